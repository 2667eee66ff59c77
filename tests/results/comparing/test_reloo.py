"""An outlier that draws of the posterior do not reach without: its log density by numerical integration."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad

import lgm
from lgm import priors


def test_a_row_that_moves_sigma() -> None:
    y = np.random.default_rng(3).normal(size=25)
    y[7] = 12.0
    held = {"Intercept": priors.normal(0.0, 1e-6), "sigma": priors.exponential(1.0)}
    fit = lgm.fit("y ~ 1", pd.DataFrame({"y": y}), priors=held, chains=4, draws=500, seed=1, progress=False)

    def log_integral(rows: np.ndarray) -> float:
        def value(sigma: float) -> float:
            return float(np.sum(-0.5 * (rows / sigma) ** 2 - np.log(sigma) - 0.5 * np.log(2 * np.pi)) - sigma)

        top = max(value(s) for s in np.linspace(0.2, 6.0, 2000))
        return top + float(np.log(quad(lambda s: np.exp(value(s) - top), 0.05, 30.0, limit=500)[0]))

    wanted = log_integral(y) - log_integral(np.delete(y, 7))
    plain, again = fit.loo(), fit.loo(reloo=True)
    assert plain is fit.loo() and not plain.table["reliable"][7] and plain.table["reliable"].sum() == 24
    assert any(note.startswith("Not reliable: 7 (Pareto k") for note in plain.notes)
    assert again.table["elpd"][7] == pytest.approx(wanted, abs=1.0)
    assert abs(again.table["elpd"][7] - wanted) < abs(plain.table["elpd"][7] - wanted)
    assert "Fitted again without 1 row: 7." in again.notes
    assert again.table["reliable"].all() and again.table["elpd"][0] == plain.table["elpd"][0]
    with pytest.raises(lgm.LgmError, match=r"for single rows. Accepted for groups: fit.kfold"):
        fit.loo(groups=np.arange(25) % 5, reloo=True)
