"""``te``, ``ti`` and ``t2`` in formulas: names, options, and everything that a fit does with them."""

from __future__ import annotations

import pickle
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
from synthetic import around

import lgm
from lgm.errors import DataError, FormulaError

RNG = np.random.default_rng(1)
N = 70
DATA = pd.DataFrame({"x": RNG.uniform(0.0, 5.0, N), "z": RNG.uniform(size=N), "v": RNG.normal(size=N)})
DATA["y"] = np.sin(DATA.x) * DATA.z + 0.2 * RNG.normal(size=N)
DATA["c"] = RNG.poisson(np.exp(0.5 + np.sin(DATA.x) * DATA.z)).astype(float)


def theta_names(right: str) -> tuple[str, ...]:
    return lgm.model(f"y ~ {right}", DATA).design.theta_names[:-1]


def test_names() -> None:
    assert theta_names("te(x, log(z + 1))") == ("sd(te(x, log(z + 1))[x])", "sd(te(x, log(z + 1))[log(z + 1)])")
    assert theta_names("ti(x) + ti(z) + ti(x, z)")[::3] == ("sd(ti(x)[x])", "sd(ti(x, z)[z])")
    assert theta_names("t2(x, z)") == ("sd(t2(x, z)[x:z])", "sd(t2(x, z)[x])", "sd(t2(x, z)[z])")
    assert len(theta_names("t2(x, z, v, k=3)")) == 7 and len(theta_names("te(x, z, v, k=3)")) == 3


def test_options_are_common_or_one_for_each_variable() -> None:
    def size(right: str) -> str:
        return lgm.model(f"y ~ {right}", DATA).design.terms[0].size

    assert size("te(x, z)") == "cr k=5 x cr k=5"
    assert size("te(x, z, k=4, bs='ps', m=(2, 1))") == "ps k=4 x ps k=4"
    assert size("te(x, z, k=[4, 6], bs=['tp', 'cc'], m=[1, None])") == "tp k=4 x cc k=6"
    assert size("te(x, z, k=-1)") == "cr k=5 x cr k=5"
    plain = lgm.model("y ~ te(x, z, k=[4, 6], bs=['tp', 'cc'])", DATA, python=False)
    assert plain.design.terms[0].size == "tp k=4 x cc k=6"


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_gradients(family: str) -> None:
    response = "y" if family == "gaussian" else "c"
    model = lgm.model(f"{response} ~ te(x, z, k=4)", DATA, family)
    names = model.design.theta_names
    at = np.array([0.7, 0.4, 0.3])[: len(names)]
    with jax.enable_x64(True):
        value = jax.jit(lambda s: model.log_density(dict(zip(names, s, strict=True))))
        slope = np.asarray(jax.grad(value)(at))
        step = 1e-5
        moved = [(float(value(at + e)) - float(value(at - e))) / (2 * step) for e in step * np.eye(at.size)]
    np.testing.assert_allclose(slope, moved, rtol=1e-6, atol=1e-6)


@pytest.fixture(scope="module")
def fit() -> lgm.Fit:
    data = DATA.assign(y=DATA.y.where(DATA.index != 3))
    model = lgm.model("y ~ te(x, z) + s(v)", data)
    centre = {"sd(te(x, z)[x])": 1.0, "sd(te(x, z)[z])": 0.8, "sd(s(v))": 0.2, "sigma": 0.2}
    return around(model, centre, spread=0.05, draws=30)


def test_a_surface_is_what_is_predicted(fit: lgm.Fit) -> None:
    """Mean and sd at a point of the grid are those of the term there, less those of its average."""
    from lgm.results import contributions

    (surface,) = contributions.surfaces(fit, fit.design.terms[0], fit.design.terms[0].view)
    i, j = 20, 25
    here = pd.DataFrame({"x": [surface.x[j]], "z": [surface.y[i]], "v": [0.0]})
    lines = [name for name in fit.design.fixed_names if name.startswith("te(")]
    at = fit.predict(here, "draws", of="linear", terms=["te(x, z)", *lines]).to_numpy().reshape(-1)
    rows = fit.predict(None, "draws", of="linear", terms=["te(x, z)", *lines]).to_numpy().reshape(at.size, -1)
    average = np.delete(rows, 3, axis=1).mean(axis=1)
    assert surface.sd[i, j] == pytest.approx(np.std(at - average, ddof=1), rel=1e-9)
    assert abs(surface.mean[i, j] - np.mean(at - average)) < 5 * surface.sd[i, j] / np.sqrt(at.size)
    far = np.isnan(surface.mean)
    assert far.any() and np.array_equal(far, np.isnan(surface.sd))


def test_everything_that_a_fit_does(fit: lgm.Fit, tmp_path: Path) -> None:
    new = DATA.head(5).assign(x=[0.1, 1.0, 2.0, 3.0, 9.0])
    with pytest.warns(lgm.PredictionWarning, match=r"te\(x, z\): 1 row outside the data's range: extrapolated"):
        predicted = fit.predict(new)
    fit.save(tmp_path / "fit.lgm")
    for other in (lgm.load(tmp_path / "fit.lgm"), pickle.loads(pickle.dumps(fit))):
        with pytest.warns(lgm.PredictionWarning):
            pd.testing.assert_frame_equal(other.predict(new), predicted)
        pd.testing.assert_series_equal(other.edf(), fit.edf())
    assert fit.predict().shape[0] == N
    assert len(fit.plot_term("te(x, z)").axes) == 4
    with pytest.raises(lgm.LgmError, match="residuals=True is for curves"):
        fit.plot_term("te(x, z)", residuals=True)
    assert fit.ranef("te(x, z)").shape[0] == 21
    assert list(fit.varcorr().index[:2]) == [("te(x, z)[x]", "sd"), ("te(x, z)[z]", "sd")]
    assert fit.model.sample_prior(5, seed=1).shape == (5, len(fit.summary()))


@pytest.mark.parametrize(
    ("right", "kind", "message"),
    [
        ("te(x)", FormulaError, r"te\(x\) is a product of one variable.*\n?.*"),
        ("t2(x)", FormulaError, "product of one variable"),
        ("te(x, z, x)", FormulaError, "The variable `x` stands twice"),
        ("te(x, z, bs='re')", FormulaError, "bs='re' is not known"),
        ("te(x, z, bs=['cr', 'fs'])", FormulaError, "bs='fs' is no margin of a tensor product"),
        ("te(x, z, knots=[0, 1])", FormulaError, r"knots=\[0, 1\] are no knots(.|\n)*knots={'x': \[0, 5, 10\]}"),
        ("te(x, z, knots={'w': [0, 1]})", FormulaError, "an entry for 'w', which is no variable of this term"),
        ("te(x, z, knots={'x': 'ab'})", FormulaError, "The knots of `x` are no list of numbers"),
        ("te(x, z, knots={'x': [0.1, 0.5, 1]}, k=5)", DataError, "3 knots for k=5"),
        ("te(x, z, id=1)", FormulaError, r"no argument `id`.*`s\(x, g, bs='fs'\)`"),
        ("te(x, z, k=[4, 5, 6])", FormulaError, r"k=\[4, 5, 6\] has 3 entries"),
        ("te(x, z, k=2.5)", FormulaError, "k=2.5 is not a whole number"),
        ("te(x, z, k=80)", DataError, "80 x 80 = 6400 functions; accepted are up to 2000"),
        ("te(x, f, k=4)", DataError, "`f` holds text"),
        ("te(x, d, k=4)", DataError, r"te\(x, d\): k=4 but d has only 3 distinct values"),
    ],
)
def test_what_is_refused(right: str, kind: type[Exception], message: str) -> None:
    data = DATA.assign(f="a", d=np.arange(N) % 3.0)
    with pytest.raises(kind, match=message):
        lgm.model(f"y ~ {right}", data)
