"""``ar(t, p=2)`` against its dense covariance; of order one it is ``ar1(t)``."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from dense_model import condition, restricted, rounding
from scipy import stats
from synthetic import around

import lgm
from lgm.design.design import encode
from lgm.priors import flat
from lgm.terms.ar import CONCENTRATIONS, MOST

N = 30
RNG = np.random.default_rng(12)
DATA = pd.DataFrame({"t": 3 * RNG.choice([k for k in range(14) if k not in (4, 5, 9)], N) + 2, "x": RNG.normal(size=N)})
DATA["y"] = np.sin(DATA["t"] / 5.0) + 0.5 * RNG.normal(size=N)
DATA["n"] = RNG.poisson(np.exp(DATA["y"]))
STEPS = np.arange(14)
FLAT = {"Intercept": flat(), "fixed": flat()}
PSI = {2: (0.6, -0.4), 3: (0.5, 0.3, -0.2)}


def covariance(sd, psi, size):
    """Of successive steps: the response of the filter ``x_t = sum phi_k x_{t-k} + e_t`` to one error, run for long."""
    phi = [1.0 * psi[0]]
    for each in psi[1:]:
        phi = [a - each * b for a, b in zip(phi, reversed(phi), strict=True)] + [each]
    response = np.zeros(3000)
    response[0] = 1.0
    for k in range(1, 3000):
        response[k] = sum(c * response[k - 1 - i] for i, c in enumerate(phi) if k - 1 - i >= 0)
    r = np.array([response[h:] @ response[: 3000 - h] for h in range(size)])
    return sd**2 * (r / r[0])[np.abs(np.subtract.outer(np.arange(size), np.arange(size)))]


def by_name(sd, psi, sigma=None, label="ar(t)"):
    found = {f"sd({label})": sd} | {f"pacf{k}({label})": v for k, v in enumerate(psi, 1)}
    return found if sigma is None else {**found, "sigma": sigma}


@cache
def model(order, response="y", family="gaussian"):
    return lgm.model(f"{response} ~ x + ar(t, p={order})", DATA, family=family, priors=FLAT)


X = np.column_stack([np.ones(N), DATA["x"]])
Z = np.equal.outer((DATA["t"].to_numpy() - DATA["t"].min()) // 3, STEPS).astype(float)


@pytest.mark.parametrize("order", PSI)
def test_likelihood_and_effects(order):
    """Every step has an effect, three of them without a row."""
    psi, y = PSI[order], DATA["y"].to_numpy()
    G = covariance(0.9, psi, STEPS.size)
    V = Z @ G @ Z.T + 0.36 * np.eye(N)
    built = model(order)
    np.testing.assert_array_equal(built.design.predictor.Z.toarray(), Z)
    bound = rounding(N, V) * (N + y @ np.linalg.solve(V, y))
    assert built.log_likelihood(by_name(0.9, psi, 0.6)) == pytest.approx(restricted(y, X, V)[0], abs=bound)
    fit = around(built, by_name(0.9, psi, 0.6), spread=0.0, chains=1, draws=4)
    mean, cov = condition(y, np.hstack([X, Z]), G, V, flat=2)
    np.testing.assert_allclose(fit.ranef()["mean"], mean[2:], rtol=0, atol=bound)
    np.testing.assert_allclose(fit.ranef()["sd"] ** 2, np.diag(cov)[2:], rtol=0, atol=bound)
    assert fit.ranef().loc["ar(t)"].index.tolist() == (2 + 3 * STEPS).tolist()


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_order_one_is_ar1(family):
    """Whose gaps have no effects of their own."""
    response = "y" if family == "gaussian" else "n"
    sigma = {"sigma": 0.6} if family == "gaussian" else {}
    one = lgm.model(f"{response} ~ x + ar1(t)", DATA, family=family, priors=FLAT)
    wanted = one.log_likelihood({"sd(ar1(t))": 0.9, "rho(ar1(t))": 0.7, **sigma})
    found = model(1, response, family).log_likelihood({**by_name(0.9, (0.7,)), **sigma})
    assert found == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("new", [[50], [-4, 14, 44, 47, 62], [5, -1]], ids=str)
def test_new_times_follow_the_conditional_gaussian(new):
    """Later, earlier, in a gap; what lies on the way to them has effects too."""
    built = model(2)
    (encoded,) = encode(built.design, pd.DataFrame({"t": new, "x": 0.0})).encoded
    steps = (np.array(new) - 2) // 3
    whole = np.arange(min(0, steps.min()), max(13, steps.max()) + 1)
    C = covariance(1.7, PSI[2], whole.size)
    old = np.searchsorted(whole, STEPS)
    fresh = np.setdiff1d(np.arange(whole.size), old)
    pull = np.linalg.solve(C[np.ix_(old, old)], C[np.ix_(old, fresh)]).T
    m, b = fresh.size, RNG.normal(size=(1, 14))
    assert encoded.novel.mean_needs_theta and not encoded.novel.population

    def draw(normals):
        at = {"sd": np.full((len(normals), 1), 1.7), "pacf": np.tile(PSI[2], (len(normals), 1))}
        return encoded.novel.draw(at, np.repeat(b, len(normals), axis=0), normals)

    zero = draw(np.zeros((1, m)))
    root = draw(np.eye(m)) - zero
    np.testing.assert_allclose(zero[0], pull @ b[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(root.T @ root, C[np.ix_(fresh, fresh)] - pull @ C[np.ix_(old, fresh)], atol=1e-12)
    known = encoded.z.toarray() @ STEPS + encoded.novel.z.toarray() @ whole[fresh]
    np.testing.assert_array_equal(known, steps)


def test_a_forecast_widens_to_the_prior():
    fit = around(model(2), by_name(0.9, PSI[2], 0.6), spread=0.0, chains=1, draws=2000)
    draws = fit.effects.draws[:, 2:]
    (encoded,) = encode(fit.design, pd.DataFrame({"t": 41 + 3 * np.arange(1, 40), "x": 0.0})).encoded
    at = {"sd": np.full((2000, 1), 0.9), "pacf": np.tile(PSI[2], (2000, 1))}
    sd = encoded.novel.draw(at, draws, np.random.default_rng(1).normal(size=(2000, 39))).std(axis=0)
    assert sd[0] < sd[1] < 0.95 * 0.9
    assert sd[20:].mean() == pytest.approx(0.9, rel=0.02)


def test_names_and_priors():
    built = model(3)
    assert built.design.theta_names == ("sd(ar(t))", "pacf1(ar(t))", "pacf2(ar(t))", "pacf3(ar(t))", "sigma")
    assert built.priors.loc[["pacf1(ar(t))", "pacf2(ar(t))", "pacf3(ar(t))"], "prior"].tolist() == [
        "lkj(1.5)",
        "lkj(1.5)",
        "lkj(2)",
    ]
    assert "order 3, 14 times in steps of 3; lag 1 is that of one step" in repr(built)
    of_class = lgm.model("y ~ ar(t, p=2)", DATA, priors={"pacf": lgm.priors.uniform(-1, 1), "sd(ar(t))": flat()})
    assert of_class.priors.loc["pacf2(ar(t))", "prior"] == "uniform(-1, 1)"
    assert lgm.model("y ~ ar(t) + ar(t2, p=2)", DATA.assign(t2=DATA["t"] % 5)).design.theta_names[3] == "pacf1(ar(t2))"


@pytest.mark.parametrize("order", ["0", "11", "-1", "1.5", "True", "'two'", "None"])
def test_what_is_no_order(order):
    with pytest.raises(
        lgm.FormulaError, match=rf"p={order} is no order of an autoregression(.|\n)*from 1 to 10, as p=2"
    ):
        lgm.model(f"y ~ ar(t, p={order})", DATA)


def test_bad_times():
    with pytest.raises(lgm.DataError, match=r"ar\(x\) needs whole times .*, or use ou\(x\)"):
        lgm.model("y ~ ar(x, p=2)", DATA)
    with pytest.raises(lgm.DataError, match=r"ar\(c\) needs at least 2 distinct times, `c` has 1"):
        lgm.model("y ~ ar(c)", DATA.assign(c=1))
    with pytest.raises(lgm.DataError, match=r"ar\(c\) of order 4 needs more than 4 times; `c` runs over 3 steps"):
        lgm.model("y ~ ar(c, p=4)", DATA.assign(c=DATA["t"] // 3 % 3))
    with pytest.raises(lgm.DataError, match="an effect for every whole number from the first to the last `c`, 0 to 1e"):
        lgm.model("y ~ ar(c)", DATA.assign(c=np.r_[0, 1, 1e9, DATA["t"][3:]]))
    with pytest.raises(lgm.DataError, match=r"in steps of 3 from 2 on; 48 lies between two of them"):
        encode(model(2).design, pd.DataFrame({"t": [50, 48], "x": 0.0}))


def test_saved_and_read(tmp_path):
    fit = around(model(2), by_name(0.9, PSI[2], 0.6), chains=1, draws=20)
    assert list(fit.varcorr().index)[:3] == [("ar(t)", "sd"), ("ar(t)", "pacf1"), ("ar(t)", "pacf2")]
    fit.save(tmp_path / "fit.lgm")
    again, new = lgm.load(tmp_path / "fit.lgm"), pd.DataFrame({"t": [2, 44, 50], "x": 0.0})
    pd.testing.assert_frame_equal(again.predict(new), fit.predict(new))
    (ax,) = fit.plot_term("ar(t)").axes[:1]
    assert max(len(line.get_xdata()) for line in ax.lines) == 14


def test_default_priors_pull_higher_orders_to_zero():
    """P(|psi_k| > 1/2): as `ar1` for the first, a tenth from the fifth on, near those of R-INLA."""
    outside = [2.0 * stats.beta(c, c).sf(0.75) for c in CONCENTRATIONS]
    assert len(outside) == MOST
    np.testing.assert_allclose(outside[:4], [0.39, 0.39, 0.31, 0.21], atol=0.005)  # as the comment there says
    np.testing.assert_allclose(outside[4:], 0.10, atol=0.005)
    model = lgm.model("y ~ ar(t, p=3)", {"y": np.arange(9) % 4, "t": np.arange(9)})
    priors = model.priors["prior"].to_dict()
    assert [priors[f"pacf{k}(ar(t))"] for k in (1, 2, 3)] == ["lkj(1.5)", "lkj(1.5)", "lkj(2)"]
