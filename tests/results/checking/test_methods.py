"""Methods of a fit pass on what they are asked."""

import inspect

import planted
from matplotlib.figure import Figure

import lgm
from lgm.results.checking.check import Check
from lgm.results.checking.methods import Adequacy


def test_a_fit_has_them() -> None:
    fit = planted.of("gaussian")
    assert isinstance(fit.pp_check(), Figure) and isinstance(fit.plot_residuals(), Figure)
    assert isinstance(fit.check(draws=5), Check)
    assert fit.residuals(seed=3).name == "quantile residual"
    names = [name for name, _ in inspect.getmembers(Adequacy, inspect.isfunction)]
    assert all(getattr(lgm.Fit, name).__doc__ for name in names)


def test_an_interval_of_another_probability() -> None:
    assert list(planted.of("gaussian").pp_statistic(draws=20, interval=0.5))[3:5] == ["25%", "75%"]
