"""Numbers of which squares are no doubles."""

import numpy as np
import pytest

import lgm
from lgm.data.magnitude import require_magnitude
from lgm.errors import DataError

X = np.random.default_rng(0).normal(size=30)
DATA = {"y": X[::-1] + 1.0, "x": X, "g": np.repeat(np.arange(6), 5)}


def test_the_usual_and_zeros() -> None:
    for values in (np.zeros(3), np.array([1e-300, 1.0]), np.array([-1e99, 0.0]), np.zeros(0)):
        require_magnitude(values, "x")


@pytest.mark.parametrize("unit", [1e154, 1e-200, 1e300, 1e-320])
@pytest.mark.parametrize(
    ("column", "formula", "words"),
    [
        ("y", "y ~ x + (1|g)", "the response `y`"),
        ("x", "y ~ x + (1|g)", "the column `x`"),
        ("x", "y ~ 1 + (x|g)", "the column `x`"),
        ("x", "y ~ s(x)", "`x`"),
        ("x", "y ~ 1 + offset(x) + (1|g)", "the offset `x`"),
    ],
)
def test_one_error_names_the_column(unit: float, column: str, formula: str, words: str) -> None:
    with pytest.raises(DataError, match=f"{words} has values of up to .* Accepted: units"):
        lgm.model(formula, {**DATA, column: unit * DATA[column]})


def test_weights_of_very_different_sizes() -> None:
    with pytest.raises(DataError, match=r"weights go from 1 \(row 1\) to 1e\+300 \(row 0\)"):
        lgm.model("y ~ x + (1|g)", DATA, weights=np.array([1e300] + [1.0] * 29))


def test_a_heavy_row_is_fitted_exactly() -> None:
    """Beside a weight of 1e10 the rest has its own say: the line through that row with least squares in the others."""
    priors = {"Intercept": lgm.priors.flat(), "fixed": lgm.priors.flat(), "sigma": lgm.priors.constant(1.0)}
    weights = np.array([1e10] + [1.0] * 29)
    fit = lgm.fit("y ~ x", DATA, weights=weights, priors=priors, method="mode", draws=10, seed=1, progress=False)
    away, rises = DATA["x"][1:] - DATA["x"][0], DATA["y"][1:] - DATA["y"][0]
    slope = (away @ rises) / (away @ away)
    mean = fit.fixef()["mean"]
    assert mean["x"] == pytest.approx(slope, rel=1e-5)
    assert mean["Intercept"] + mean["x"] * DATA["x"][0] == pytest.approx(DATA["y"][0], abs=1e-6)
