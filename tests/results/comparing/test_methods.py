"""Methods of a fit pass on to the functions of their files, which have the tests."""

import left_out

import lgm
from lgm.results.comparing.methods import Criteria


def test_a_fit_has_them() -> None:
    assert issubclass(lgm.Fit, Criteria)
    for name in ("loo", "kfold", "waic", "dic"):
        assert getattr(lgm.Fit, name) is getattr(Criteria, name)
    assert "elpd_loo" in repr(left_out.case("Penicillin").fit.loo())
