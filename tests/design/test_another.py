"""Another response in an old design: the same posterior as of data that have it, and errors that say what is taken."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm import priors
from lgm.errors import DataError

RNG = np.random.default_rng(3)
N = 24
FRAME = pd.DataFrame({"x": RNG.normal(size=N), "g": np.repeat(list("abcd"), 6), "n": RNG.integers(2, 9, N)})
COMMON = {"Intercept": priors.normal(0, 2), "fixed": priors.normal(0, 1), "sd": priors.exponential(1)}
COUNTS = RNG.poisson(3.0, (2, N)).astype(float)
SUCCESSES = RNG.binomial(FRAME["n"].to_numpy(), 0.4, (2, N)).astype(float)
TEXT = np.array(["no", "yes"])[RNG.integers(0, 2, (2, N))]
ORDERED = [pd.Categorical.from_codes(RNG.permutation(np.arange(N) % 3), list("uvw"), ordered=True) for _ in range(2)]

CASES = {
    "gaussian": ("y", "gaussian", RNG.normal(size=(2, N)), {"sigma": priors.exponential(1)}, {"sigma": 0.8}),
    "poisson": ("y", "poisson", COUNTS, {}, {}),
    "trials": ("y | trials(n)", "binomial", SUCCESSES, {}, {}),
    "failures": ("cbind(y, n - y)", "binomial", SUCCESSES, {}, {}),
    "share": ("y", "binomial", SUCCESSES / FRAME["n"].to_numpy(), {}, {}),
    "text": ("y", "bernoulli", TEXT, {}, {}),
    "ordered": ("y", "cumulative", ORDERED, {"gap": priors.exponential(1)}, {"gap[v]": 1.2}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_density_is_that_of_data_with_this_response(name: str) -> None:
    left, family, (first, second), own, theta = CASES[name]
    weights = "n" if name == "share" else None

    def model(y: object) -> lgm.Model:
        return lgm.model(f"{left} ~ x + (1|g)", FRAME.assign(y=y), family, priors={**COMMON, **own}, weights=weights)

    at = {"sd(Intercept|g)": 0.7, **theta}
    assert model(first).with_response(second).log_density(at) == pytest.approx(model(second).log_density(at), abs=1e-9)


@pytest.mark.filterwarnings("ignore:.*rows are dropped:lgm.DataWarning")
def test_rows_of_the_data_or_those_with_a_response() -> None:
    data = FRAME.assign(y=RNG.normal(size=N), x=FRAME["x"].where(np.arange(N) != 3))
    data.loc[7, "y"] = np.nan
    model = lgm.model("y ~ x + (1|g)", data)
    whole = RNG.normal(size=N)
    kept = np.delete(whole, [3, 7])
    np.testing.assert_array_equal(model.with_response(whole).design.y, kept)
    np.testing.assert_array_equal(model.with_response(pd.Series(kept)).design.y, kept)
    with pytest.raises(DataError, match="has 5 values; accepted: one for each of the 22 rows with a response, or for"):
        model.with_response(np.zeros(5))


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("gaussian", np.r_[np.nan, np.zeros(N - 1)], "missing in 1 of the 24 rows"),
        ("gaussian", np.r_[np.inf, np.zeros(N - 1)], "not finite"),
        ("gaussian", np.full(N, "a"), "not numeric"),
        ("gaussian", np.ones(N), "is 1 in all 24 rows"),
        ("poisson", np.r_[np.ones(N - 1), -1.0], "-1 in row 23"),
        ("share", np.full(N, 0.3), "shares of the trials"),
        ("text", np.full(N, "maybe"), "'maybe'; accepted: no, yes"),
        ("ordered", np.full(N, 4.0), "has 4; accepted: whole numbers from 1 to 3"),
    ],
)
def test_what_is_not_taken(name: str, values: np.ndarray, message: str) -> None:
    left, family, (first, _), _, _ = CASES[name]
    weights = "n" if name == "share" else None
    model = lgm.model(f"{left} ~ x + (1|g)", FRAME.assign(y=first), family, weights=weights)
    with pytest.raises(DataError, match=message):
        model.with_response(values)


def test_a_censored_response_has_no_other() -> None:
    data = FRAME.assign(y=RNG.exponential(size=N), c=np.arange(N) % 2)
    model = lgm.model("y | cens(c) ~ x + (1|g)", data, "weibull")
    with pytest.raises(DataError, match="is censored"):
        model.with_response(data["y"])
