"""WAIC and DIC by their definitions."""

import numpy as np
import pytest
from scipy.special import expit, logsumexp

import lgm
from lgm.results.comparing import information


def test_waic_and_dic(clicks: lgm.Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(information, "LARGE", 0.05)
    p = expit(clicks.predict(kind="draws", of="linear").values.reshape(-1, 24))
    each = np.log(np.where(clicks.design.y == 1, p, 1 - p))
    variance = each.var(axis=0, ddof=1)
    with pytest.warns(lgm.LgmWarning, match=r"p_waic is above 0.05 in .* where WAIC fails"):
        found = clicks.waic()
    np.testing.assert_allclose(found.table["elpd"], logsumexp(each, axis=0) - np.log(len(each)) - variance)
    assert found.estimates.index.tolist() == ["elpd_waic", "p_waic", "waicic"]
    dic = clicks.dic()
    assert dic["mean_deviance"] == pytest.approx(-2 * each.sum(axis=1).mean())
    assert dic["dic"] == pytest.approx(2 * dic["mean_deviance"] - dic["deviance_at_means"])
