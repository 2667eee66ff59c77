"""K-fold cross-validation."""

from typing import Any

import left_out
import numpy as np
import pytest
from compilations import compilations

import lgm
from lgm.results.comparing import kfold


def test_folds_of_a_gaussian_response_are_exact_where_theta_is_held() -> None:
    case = left_out.case("Penicillin")
    found = case.fit.kfold(k=3, seed=2)
    fold = found.table["fold"].to_numpy()
    rows = np.arange(0, case.y.size, 30)
    expected = [case.log_density(i, np.flatnonzero(fold != fold[i])) for i in rows]
    np.testing.assert_allclose(found.table["elpd"].iloc[rows], expected, atol=1e-8)
    with compilations() as names:
        case.fit.kfold(groups="sample")
    assert names == []


def test_ctrl_c_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, calls = kfold.fold, []

    def stopped(*args: Any) -> Any:
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return whole(*args)

    monkeypatch.setattr(kfold, "fold", stopped)
    found = left_out.case("Penicillin").fit.kfold(k=3)
    assert found.table["elpd"].notna().sum() == 48
    assert "Stopped early: 1 of 3 folds" in repr(found)


@pytest.mark.parametrize("k", [1, 145, 2.5])
def test_what_is_no_number_of_folds(k: Any) -> None:
    with pytest.raises(lgm.LgmError, match=f"k={k}; accepted: a whole number from 2 to the number of rows, 144"):
        left_out.case("Penicillin").fit.kfold(k=k)


def test_folds_by_number_or_by_name() -> None:
    with pytest.raises(lgm.LgmError, match="give one of them"):
        left_out.case("Penicillin").fit.kfold(k=5, groups="plate")
