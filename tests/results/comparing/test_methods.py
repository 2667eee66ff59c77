"""Methods of a fit pass on to the functions of their files, which have the tests."""

import left_out
import pytest

import lgm
from lgm.results.comparing.methods import Criteria


def test_a_fit_has_them() -> None:
    assert issubclass(lgm.Fit, Criteria)
    for name in ("loo", "kfold", "waic", "dic"):
        assert getattr(lgm.Fit, name) is getattr(Criteria, name)
    assert "elpd_loo" in repr(left_out.case("Penicillin").fit.loo())


def test_a_prior_has_nothing_to_leave_out() -> None:
    fit = lgm.fit("Yield ~ 1", lgm.load_dataset("Dyestuff"), method="prior", draws=10, seed=1, progress=False)
    for ask in (fit.loo, fit.kfold, fit.waic, fit.dic):
        with pytest.raises(lgm.LgmError, match="learnt from no row"):
            ask()
