"""Simulation-based calibration as users call it: what is ranked, what is said, and what it sees."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from compilations import compilations

import lgm
from lgm import priors
from lgm.errors import DataError, LgmError, PriorError
from lgm.results.again.sbc import LIKELIHOOD, SBC

GIVEN = {
    "Intercept": priors.normal(0, 2),
    "x": priors.normal(0, 1),
    "sd": priors.exponential(1),
    "sigma": priors.exponential(1),
}
RNG = np.random.default_rng(1)
DATA = pd.DataFrame({"g": np.repeat(list("abcde"), 4), "x": RNG.normal(size=20), "y": RNG.normal(size=20)})
MODEL = lgm.model("y ~ x + (1|g)", DATA, priors=GIVEN)
HELD = lgm.model("y ~ x + (1|g)", DATA, priors={**GIVEN, "sd": priors.constant(0.7), "sigma": priors.constant(0.5)})


QUICK: dict[str, Any] = {"ranks": 25, "draws": 50, "progress": False}


def simulated(sigma: float) -> Any:
    """Data by the definition of the held model, with another sigma in the response."""

    def draw(rng: np.random.Generator) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
        level, slope, b = rng.normal(0, 2), rng.normal(0, 1), 0.7 * rng.normal(size=5)
        eta = level + slope * DATA["x"].to_numpy() + np.repeat(b, 4)
        truth = {"Intercept": level, "x": slope, "sd(Intercept|g)": 0.7, "sigma": 0.5, "Intercept|g": b}
        return truth, eta + sigma * rng.normal(size=20), eta

    return draw


def first(posterior: Any) -> dict[str, Any]:
    b = posterior["Intercept|g"].to_numpy()
    return {"b[1]": b[:, 0], "b[2] - b[1]": b[:, 1] - b[:, 0]}


@pytest.fixture(scope="module")
def exact() -> SBC:
    """Where theta is held draws are exact, and cost next to nothing."""
    return lgm.sbc(HELD, n=60, seed=4, quantities=first, **QUICK)


def test_exact_draws_are_calibrated(exact: SBC) -> None:
    assert list(exact.ranks) == ["Intercept", "x", LIKELIHOOD, "b[1]", "b[2] - b[1]"]  # what is held is not ranked
    assert exact.ranks.shape[0] == 60 and exact.ranks.to_numpy().min() >= 0 and exact.ranks.to_numpy().max() <= 25
    assert not exact.summary()["outside"].any()
    assert (
        exact.verdict
        == "Calibrated as far as 60 data sets can tell: all ranks are uniform. So few show large errors only."
    )
    assert exact.verdict in repr(exact)


def test_data_of_ones_own_with_an_error_are_seen() -> None:
    right = lgm.sbc(HELD, n=30, simulate=simulated(0.5), quantities=first, seed=5, **QUICK)
    assert not right.summary()["outside"].any()
    wrong = lgm.sbc(HELD, n=30, simulate=simulated(1.0), quantities=first, seed=5, **QUICK)
    assert wrong.summary().loc[LIKELIHOOD, "outside"]
    assert wrong.verdict.startswith("Not calibrated: of 30 data sets, ranks are not uniform for")
    assert f"{LIKELIHOOD} (draws are too large)" in wrong.verdict


def test_the_likelihood_is_that_of_the_response(exact: SBC) -> None:
    """Its rank in one data set, from draws and from the definition."""
    model = HELD.with_response(simulated(0.5)(np.random.default_rng(3))[1])
    seen = []

    def keep(posterior: Any) -> dict[str, Any]:
        eta = posterior["Intercept"].to_numpy()[:, None] + posterior["x"].to_numpy()[:, None] * DATA["x"].to_numpy()
        seen.append(eta + posterior["Intercept|g"].to_numpy()[:, np.repeat(np.arange(5), 4)])
        return {}

    drawn = simulated(0.5)
    responses = []

    def simulate(rng: np.random.Generator) -> Any:
        found = drawn(rng)
        responses.append(found[1])
        return found

    found = lgm.sbc(model, n=10, simulate=simulate, quantities=keep, seed=6, **QUICK)
    for y, true, eta, rank in zip(responses, seen[::2], seen[1::2], found.ranks[LIKELIHOOD], strict=True):
        assert rank == np.sum(np.sum((y - eta) ** 2, axis=1) > np.sum((y - true) ** 2))


def test_data_sets_compile_nothing_and_are_the_same_by_seed() -> None:
    settings: dict[str, Any] = {"method": "importance", "seed": 7, "progress": False, "draws": 200, "n": 10}
    one = lgm.sbc(MODEL, **settings)
    assert list(one.ranks) == ["Intercept", "x", "sd(Intercept|g)", "sigma", LIKELIHOOD]
    with compilations() as compiled:
        other = lgm.sbc(MODEL, **settings)
    assert compiled == []
    pd.testing.assert_frame_equal(one.ranks, other.ranks)


def test_an_interrupt_keeps_the_ranks() -> None:
    drawn, seen = simulated(0.5), []

    def simulate(rng: np.random.Generator) -> Any:
        seen.append(1)
        if len(seen) == 8:
            os.kill(os.getpid(), signal.SIGINT)
        return drawn(rng)

    found = lgm.sbc(HELD, n=50, simulate=simulate, seed=8, **QUICK)
    assert found.interrupted and len(found.ranks) == 8
    assert "8 data sets, stopped early" in found.verdict


def test_responses_that_cannot_be_fitted_are_drawn_again() -> None:
    drawn, seen = simulated(0.5), []

    def simulate(rng: np.random.Generator) -> Any:
        seen.append(1)
        truth, y, eta = drawn(rng)
        return truth, y if len(seen) % 3 else np.full(20, 1.0), eta

    found = lgm.sbc(HELD, n=12, simulate=simulate, seed=9, **QUICK)
    assert len(found.ranks) == 12 and found.refused == 5
    assert "5 simulated responses could not be fitted" in found.verdict
    with pytest.raises(LgmError, match="cannot be fitted; the last one: the response `y` is 1 in all 20 rows"):
        lgm.sbc(HELD, n=12, simulate=lambda rng: ({}, np.ones(20)), seed=9, **QUICK)


def test_what_is_not_accepted() -> None:
    flat = lgm.model("y ~ x + (1|g)", DATA, priors={"x": priors.flat()})
    with pytest.raises(PriorError, match="the prior of x is flat.*give a proper one"):
        lgm.sbc(flat, n=10)
    with pytest.raises(LgmError, match="n=3; accepted: a whole number of at least 10"):
        lgm.sbc(HELD, n=3)
    with pytest.raises(LgmError, match="ranks=2000 is more than there are draws"):
        lgm.sbc(HELD, ranks=2000)
    with pytest.raises(LgmError, match="level=2"):
        lgm.sbc(HELD, level=2)
    with pytest.raises(LgmError, match="takes a model that is not fitted yet.*DataFrame"):
        lgm.sbc(DATA)  # type: ignore[arg-type]
    times = DATA.assign(y=np.exp(DATA["y"]), c=np.arange(20) % 2)
    with pytest.raises(DataError, match="is censored"):
        lgm.sbc(lgm.model("y | cens(c) ~ x", times, "weibull"), n=10)


@pytest.mark.slow
def test_an_error_of_a_fifth_in_sigma_is_found() -> None:
    """Draws whose sigma is a fifth too large, in 150 data sets of the model itself."""

    def spoilt(rng: np.random.Generator) -> Any:
        theta = MODEL.sample_prior(1, seed=int(rng.integers(2**31))).iloc[0]
        b = theta["sd(Intercept|g)"] * rng.normal(size=5)
        eta = theta["Intercept"] + theta["x"] * DATA["x"].to_numpy() + np.repeat(b, 4)
        return {**theta, "sigma": theta["sigma"] / 1.2}, eta + theta["sigma"] * rng.normal(size=20), eta

    found = lgm.sbc(MODEL, n=150, simulate=spoilt, seed=11, progress=False)
    table = found.summary()
    assert table.loc["sigma", "outside"] and table.loc[LIKELIHOOD, "outside"]
    assert not table.loc[["Intercept", "x", "sd(Intercept|g)"], "outside"].any()
    assert "sigma (draws are too large)" in found.verdict
