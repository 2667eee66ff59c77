"""``ou(t)`` against its dense covariance; at whole times it is ``ar1(t)``."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from dense_model import condition, restricted, rounding
from synthetic import around

import lgm
from lgm.design.design import encode
from lgm.priors import flat

N = 30
RNG = np.random.default_rng(21)
TIMES = np.sort(RNG.uniform(0, 40, 18))
DATA = pd.DataFrame({"t": np.r_[TIMES, RNG.choice(TIMES, N - 18)], "k": RNG.integers(0, 9, N), "x": RNG.normal(size=N)})
DATA = DATA.sample(frac=1.0, random_state=1, ignore_index=True)
DATA["y"] = np.sin(DATA["t"] / 4.0) + 0.5 * RNG.normal(size=N)
DATA["n"] = RNG.poisson(np.exp(DATA["y"]))
FLAT = {"Intercept": flat(), "fixed": flat()}
STEP = np.median(np.diff(TIMES))
X = np.column_stack([np.ones(N), DATA["x"]])


def covariance(t, sd, rho, step=STEP):
    return sd**2 * np.exp(np.log(rho) * np.abs(np.subtract.outer(t, t)) / step)


def by_name(sd, rho, sigma, label="ou(t)"):
    return {f"sd({label})": sd, f"rho({label})": rho, "sigma": sigma}


@cache
def model(formula="y ~ x + ou(t)", family="gaussian"):
    return lgm.model(formula, DATA, family=family, priors=FLAT)


@pytest.mark.parametrize("rho", [0.05, 0.7, 0.999])
def test_likelihood_and_effects(rho):
    y = DATA["y"].to_numpy()
    Z = np.equal.outer(DATA["t"].to_numpy(), TIMES).astype(float)
    G = covariance(TIMES, 0.9, rho)
    V = Z @ G @ Z.T + 0.36 * np.eye(N)
    np.testing.assert_array_equal(model().design.predictor.Z.toarray(), Z)
    bound = rounding(N, V) * (N + y @ np.linalg.solve(V, y))
    assert model().log_likelihood(by_name(0.9, rho, 0.6)) == pytest.approx(restricted(y, X, V)[0], abs=bound)
    if rho == 0.7:
        fit = around(model(), by_name(0.9, rho, 0.6), spread=0.0, chains=1, draws=4)
        mean, cov = condition(y, np.hstack([X, Z]), G, V, flat=2)
        np.testing.assert_allclose(fit.ranef()["mean"], mean[2:], rtol=0, atol=bound)
        np.testing.assert_allclose(fit.ranef()["sd"] ** 2, np.diag(cov)[2:], rtol=0, atol=bound)


@pytest.mark.parametrize("close", [1e-4, 1e-6, 1e-8])
@pytest.mark.parametrize("rho", [0.5, 0.99])
def test_close_times(close, rho):
    """Several pairs of them: rounding of entries ``1 / (2 gap (1 - rho))`` in the precision is all that is lost."""
    t = TIMES.copy()
    t[[3, 8, 12]] = t[[2, 7, 11]] + close
    frame = DATA.iloc[:18].assign(t=t)
    built = lgm.model("y ~ x + ou(t, step=1)", frame, priors=FLAT)
    V = covariance(t, 0.9, rho, 1.0) + 0.36 * np.eye(18)
    y = frame["y"].to_numpy()
    lost = 18 * np.finfo(float).eps / (2 * close * (1 - rho))
    wanted = restricted(y, X[:18], V)[0]
    assert built.log_likelihood(by_name(0.9, rho, 0.6)) == pytest.approx(wanted, abs=1e-9 + 10 * lost)


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_whole_times_are_those_of_ar1(family):
    response, sigma = ("y", {"sigma": 0.6}) if family == "gaussian" else ("n", {})
    one, other = model(f"{response} ~ x + ou(k)", family), model(f"{response} ~ x + ar1(k)", family)
    wanted = other.log_likelihood({"sd(ar1(k))": 0.9, "rho(ar1(k))": 0.7, **sigma})
    assert one.log_likelihood({"sd(ou(k))": 0.9, "rho(ou(k))": 0.7, **sigma}) == pytest.approx(wanted, abs=1e-10)


def test_the_step_is_a_matter_of_units():
    """By default the median spacing, so that rho does not depend on the unit of time; else what a user says."""
    wanted = model().log_likelihood(by_name(0.9, 0.7, 0.6))
    hours = lgm.model("y ~ x + ou(t)", DATA.assign(t=24 * DATA["t"]), priors=FLAT)
    assert hours.log_likelihood(by_name(0.9, 0.7, 0.6)) == pytest.approx(wanted, rel=1e-12)
    unit = model("y ~ x + ou(t, step=1)")
    assert unit.log_likelihood(by_name(0.9, 0.7 ** (1 / STEP), 0.6)) == pytest.approx(wanted, rel=1e-12)
    assert f"18 times in steps of {STEP:g}; rho is that of one step" in repr(model())
    assert "18 times\n" in repr(unit)


@pytest.mark.parametrize("rho", [0.2, 0.9])
def test_new_times_follow_the_conditional_gaussian(rho):
    new = np.array([-3.0, TIMES[4] + 1e-7, TIMES[4] + 0.01, 41.0, 41.5, 90.0])
    (encoded,) = encode(model().design, pd.DataFrame({"t": new, "x": 0.0})).encoded
    C = covariance(np.r_[TIMES, new], 1.7, rho)
    b = RNG.normal(size=(1, 18))
    pull = np.linalg.solve(C[:18, :18], C[:18, 18:]).T
    at = {"sd": np.full((6, 1), 1.7), "rho": np.full((6, 1), rho)}
    zero = encoded.novel.draw(at, np.repeat(b, 6, axis=0), np.zeros((6, 6)))[0]
    root = encoded.novel.draw(at, np.repeat(b, 6, axis=0), np.eye(6)) - zero
    assert encoded.novel.mean_needs_theta
    np.testing.assert_allclose(zero, pull @ b[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(root.T @ root, C[18:, 18:] - pull @ C[:18, 18:], rtol=0, atol=1e-9)
    known = encode(model().design, pd.DataFrame({"t": TIMES[[5, 2]], "x": 0.0})).encoded[0]
    assert known.novel is None and known.z.toarray().argmax(axis=1).tolist() == [5, 2]


def test_names_priors_and_files(tmp_path):
    assert model().design.theta_names == ("sd(ou(t))", "rho(ou(t))", "sigma")
    assert model().priors.loc["rho(ou(t))", "prior"] == "beta(1.5, 1.5)"
    with pytest.raises(lgm.PriorError, match=r"allows values that are not in \(0, 1\)"):
        lgm.model("y ~ ou(t)", DATA, priors={"rho": lgm.priors.pc_corr(0.5, 0.5)})
    fit = around(model(), by_name(0.9, 0.7, 0.6), spread=0.02, chains=1, draws=20)
    fit.save(tmp_path / "fit.lgm")
    again, new = lgm.load(tmp_path / "fit.lgm"), pd.DataFrame({"t": [3.3, 44.0], "x": 0.0})
    pd.testing.assert_frame_equal(again.predict(new), fit.predict(new))


@pytest.mark.parametrize("step", ["0", "-2", "'day'", "True", "np.inf"])
def test_what_is_no_step(step):
    with pytest.raises(lgm.FormulaError, match=rf"step={step} is no length of time(.|\n)*as step=1"):
        lgm.model(f"y ~ ou(t, step={step})", DATA, env={"np": np})


def test_bad_times():
    with pytest.raises(lgm.DataError, match=r"ou\(c\) needs at least 2 distinct times, `c` has 1"):
        lgm.model("y ~ ou(c)", DATA.assign(c=0.5))
    for close in (1e-13, 1e-11):
        t = DATA["t"].where(DATA.index != 1, DATA["t"][0] + close)
        with pytest.raises(lgm.DataError, match=r"ou\(t\): some of its values are so close to each other"):
            lgm.model("y ~ ou(t)", DATA.assign(t=t))


def test_the_step_of_copies_is_the_spacing_within_each():
    """However many there are: pooled, the times of all stand closer and closer."""
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(8), 5)
    t = rng.permutation((np.arange(5) + 0.2 * rng.uniform(size=(8, 5))).ravel())  # rows in no order
    data = pd.DataFrame({"t": t, "g": [f"g{i}" for i in g], "y": rng.normal(size=40)})
    step = np.median(np.concatenate([np.diff(np.sort(own)) for _, own in data.groupby("g")["t"]]))
    label = "ou(t, replicate=g)"
    built = lgm.model(f"y ~ 1 + {label}", data, priors={"Intercept": flat()})
    given = lgm.model("y ~ 1 + ou(t, step=2, replicate=g)", data, priors={"Intercept": flat()})
    alike = np.equal.outer(data["g"].to_numpy(), data["g"].to_numpy())
    for model_of, length in ((built, step), (given, 2.0)):
        V = covariance(t, 0.9, 0.4, length) * alike + 0.36 * np.eye(40)
        value = model_of.log_likelihood(by_name(0.9, 0.4, 0.6, label))
        assert value == pytest.approx(restricted(data["y"].to_numpy(), np.ones((40, 1)), V)[0], rel=1e-10)
