"""``seasonal(t, period)`` against its dense covariance, with the pattern that repeats as fixed effects."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from dense_model import (
    condition,
    derivatives,
    restricted,
    rounding,
    rw_structure,
    scaled_covariance,
    seasonal_structure,
)
from synthetic import around

import lgm
from lgm.posterior import density
from lgm.priors import flat, normal

LABEL = "seasonal(t)"
THETAS = [(0.8, 0.6), (0.05, 1.2), (3.0, 0.3)]
thetas = pytest.mark.parametrize("theta", THETAS, ids=str)
KINDS = {
    "flat": {"Intercept": flat(), "fixed": flat()},
    "proper": {"Intercept": normal(1.0, 2.0), "x": normal(0.5, 0.7)}
    | {f"{LABEL}[{j}]": normal(0.2, 1.5) for j in range(3)},
}
kinds = pytest.mark.parametrize("kind", KINDS)
FIRST, LAST = -3, 19  # some times in between have no row, and some have two


def _data():
    rng = np.random.default_rng(4)
    n = 36
    t = np.concatenate([[FIRST, LAST], rng.choice([s for s in range(FIRST, LAST) if s not in (0, 7, 8, 14)], n - 2)])
    frame = pd.DataFrame({"t": t, "x": rng.standard_normal(n), "w": rng.uniform(0.5, 2.0, n)})
    return frame.assign(y=2.0 + np.array([1.0, -0.5, 0.3, -0.8])[t % 4] + 0.5 * rng.standard_normal(n))


DATA = _data()


def phases(times, period):
    """One in its phase, minus one in the last."""
    out = np.zeros((len(times), period - 1))
    for i, t in enumerate(np.asarray(times)):
        phase = int(t) % period
        out[i] = -1.0 if phase == period - 1 else np.arange(period - 1) == phase
    return out


X = np.column_stack([np.ones(36), DATA["x"], phases(DATA["t"], 4)])
TIMES = np.arange(FIRST, LAST + 1)
Z = np.equal.outer(DATA["t"].to_numpy(), TIMES).astype(float)
COVARIANCE, (FACTOR,) = scaled_covariance(seasonal_structure(TIMES.size, 4), 3)


@cache
def model(kind):
    return lgm.model("y ~ x + seasonal(t, 4)", DATA, priors=KINDS[kind], weights="w")


def by_name(*values):
    return dict(zip([f"sd({LABEL})", "sigma"], values, strict=True))


def definition(kind):
    """y less prior means, flat columns, and V as a function of theta."""
    priors = model(kind).chosen_priors.fixed if kind == "proper" else ()
    y = DATA["y"].to_numpy() - sum((p.mean * x for x, p in zip(X.T, priors, strict=False)), np.zeros(36))
    known = sum((p.sd**2 * np.outer(x, x) for x, p in zip(X.T, priors, strict=False)), np.zeros((36, 36)))
    noise = np.diag(1.0 / DATA["w"].to_numpy())
    return y, X[:, len(priors) :], lambda t: t[0] ** 2 * Z @ COVARIANCE @ Z.T + t[1] ** 2 * noise + known


def bound_of(y, V):
    return rounding(36, V, X.T @ X) * (36.0 + y @ np.linalg.solve(V, y))


@kinds
@thetas
def test_likelihood_and_gradient(kind, theta):
    y, flats, covariance = definition(kind)
    at = np.array(theta)
    V = covariance(at)
    wanted, slopes = restricted(y, flats, V, derivatives(covariance, at))
    assert model(kind).design.fixed_names == ("Intercept", "x", *(f"{LABEL}[{j}]" for j in range(3)))
    with jax.enable_x64(True):
        both = jax.jit(jax.value_and_grad(density.log_likelihood, argnums=1))
        value, grad = both(model(kind).analysed.marginal, jnp.asarray(at))
    bound = bound_of(y, V)
    assert abs(float(value) - wanted) < bound < 1e-6
    np.testing.assert_allclose(grad, slopes, rtol=0, atol=2 * bound / at.min())


@kinds
def test_an_sd_of_zero_is_a_pattern_that_repeats(kind):
    y, flats, covariance = definition(kind)
    V = covariance(np.array([0.0, 0.6]))
    assert model(kind).log_likelihood(by_name(0.0, 0.6)) == pytest.approx(
        restricted(y, flats, V)[0], abs=bound_of(y, V)
    )


@kinds
@thetas
def test_effects_and_their_sds(kind, theta):
    """One for each time from the first to the last, with rows or without."""
    fit = around(model(kind), by_name(*theta), spread=0.0, chains=1, draws=4)
    y, _, covariance = definition(kind)
    V, G, start, flats = covariance(np.array(theta)), theta[0] ** 2 * COVARIANCE, np.zeros(X.shape[1] + TIMES.size), 5
    if kind == "proper":
        priors, flats = model(kind).chosen_priors.fixed, 0
        start[:5] = [p.mean for p in priors]
        G = np.block([[np.diag([p.sd**2 for p in priors]), np.zeros((5, TIMES.size))], [np.zeros((TIMES.size, 5)), G]])
    mean, cov = condition(y, np.hstack([X, Z]), G, V, flat=flats)
    bound = bound_of(y, V)
    found = pd.concat([fit.fixef(), fit.ranef()])
    np.testing.assert_allclose(found["mean"], start + mean, rtol=0, atol=bound)
    np.testing.assert_allclose(found["sd"] ** 2, np.diag(cov), rtol=0, atol=bound)
    assert fit.ranef().loc[LABEL].index.tolist() == TIMES.tolist()


def extended(theta, new):
    """Mean and covariance of ``x(t)``, pattern and level included, at all times: a series that was longer all along.

    Its precision is that of the fitted one, ``FACTOR R / sd^2``, with more sums; its pattern is flat as before.
    """
    times = np.arange(min(FIRST, min(new)), max(LAST, max(new)) + 1)
    R = FACTOR * seasonal_structure(times.size, 4)
    values, vectors = np.linalg.eigh(R)
    G = theta[0] ** 2 * (vectors[:, 3:] / values[3:]) @ vectors[:, 3:].T
    at = np.equal.outer(DATA["t"].to_numpy(), times).astype(float)
    A = np.hstack([X, at])
    V = at @ G @ at.T + theta[1] ** 2 * np.diag(1.0 / DATA["w"].to_numpy())
    mean, cov = condition(DATA["y"].to_numpy(), A, G, V, flat=5)
    rows = np.hstack([np.ones((len(new), 1)), np.zeros((len(new), 1)), phases(new, 4), np.equal.outer(new, times)])
    return rows @ mean, rows @ cov @ rows.T


DRAWS = 2000


@cache
def held(theta):
    return around(model("flat"), by_name(*theta), spread=0.0, draws=DRAWS // 4)


@thetas
@pytest.mark.parametrize("new", [[20], [20, 21, 22, 23, 31], [-9, -4], [-12, 0, 5, 19, 26], [8, 14]], ids=str)
def test_other_times_follow_the_conditional_gaussian(theta, new):
    """Later, earlier, both, in a gap, and far off, with nothing in between."""
    fit = held(theta)
    found = fit.predict(pd.DataFrame({"t": new, "x": 0.0}))
    mean, cov = extended(theta, np.array(new))
    np.testing.assert_allclose(found["mean"], mean, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found["sd"] ** 2, np.diag(cov), rtol=5 * np.sqrt(2 / DRAWS))
    # rows are drawn together: the sd of their sum
    drawn = fit.predict(pd.DataFrame({"t": new, "x": 0.0}), "draws").sum("row").to_numpy()
    assert drawn.var() == pytest.approx(cov.sum(), rel=5 * np.sqrt(2 / DRAWS))


def test_a_pattern_that_does_not_change_repeats():
    fit = around(model("flat"), by_name(0.0, 0.6), spread=0.0, chains=1, draws=50)
    found = fit.predict(pd.DataFrame({"t": [16, 20, 24, 44, -16], "x": 0.0}))
    for column in found:
        np.testing.assert_allclose(found[column], found[column].iloc[0], rtol=1e-9)


def test_mean_continues_periodically():
    """Beyond the data the mean of each sum over a period is zero: it repeats what it was in the last period."""
    fit = around(model("flat"), by_name(0.8, 0.6), spread=0.0, chains=1, draws=50)
    found = fit.predict(pd.DataFrame({"t": np.arange(20, 32), "x": 0.0}))
    mean, sd = found["mean"].to_numpy(), extended((0.8, 0.6), np.arange(20, 32))[1].diagonal()
    np.testing.assert_allclose(mean[4:], mean[:-4], rtol=1e-9)
    assert np.all(sd[4:] > sd[:-4])


PERIODS = [(2, 3), (4, 6), (2, 4)]


@pytest.mark.parametrize("periods", PERIODS, ids=str)
def test_two_patterns(periods):
    """Their names show the periods; what both patterns can do is in one of them."""
    a, b = periods
    data = DATA.assign(t=DATA["t"].where(DATA.index != 5, 2))  # so that all phases are seen
    at = np.equal.outer(data["t"].to_numpy(), TIMES).astype(float)
    names = [f"seasonal(t, {m})" for m in periods]
    built = lgm.model(f"y ~ {names[0]} + {names[1]}", data, priors=KINDS["flat"])
    assert built.design.theta_names == (f"sd({names[0]})", f"sd({names[1]})", "sigma")
    columns = np.column_stack([np.ones(36), phases(data["t"], a), phases(data["t"], b)])
    rank = np.linalg.matrix_rank(columns)
    assert len(built.design.fixed_names) == rank
    values = [0.7, 0.4, 0.9]
    V = values[2] ** 2 * np.eye(36)
    for m, sd in zip(periods, values[:2], strict=True):
        V = V + sd**2 * at @ scaled_covariance(seasonal_structure(TIMES.size, m), m - 1)[0] @ at.T
    flats = built.design.predictor.X.toarray()
    assert np.linalg.matrix_rank(np.hstack([flats, columns])) == rank
    y = DATA["y"].to_numpy()
    wanted = restricted(y, flats, V)[0]
    found = built.log_likelihood(dict(zip(built.design.theta_names, values, strict=True)))
    assert found == pytest.approx(wanted, abs=bound_of(y, V))


def test_with_months_as_a_factor():
    """The factor is the pattern already; the seasonal term keeps what changes."""
    data = DATA.assign(month=(DATA["t"] % 4).astype(str))
    built = lgm.model("y ~ month + seasonal(t, 4)", data, priors=KINDS["flat"])
    assert built.design.fixed_names == ("Intercept", "month[T.1]", "month[T.2]", "month[T.3]")
    V = 0.8**2 * Z @ COVARIANCE @ Z.T + 0.36 * np.eye(36)
    wanted = restricted(data["y"].to_numpy(), built.design.predictor.X.toarray(), V)[0]
    assert built.log_likelihood(by_name(0.8, 0.6)) == pytest.approx(wanted, abs=bound_of(data["y"].to_numpy(), V))


def test_restricted_likelihood_of_a_monthly_series():
    """``log(AirPassengers)``: a random walk, a seasonal pattern and noise, by dense algebra."""
    air = lgm.load_dataset("AirPassengers")
    built = lgm.model("log(passengers) ~ rw1(t) + seasonal(t, 12)", air, priors=KINDS["flat"])
    y, n = np.log(air["passengers"].to_numpy()), len(air)
    columns = np.column_stack([np.ones(n), phases(air["t"], 12)])
    level = scaled_covariance(rw_structure(1, np.arange(n)))[0]
    pattern = scaled_covariance(seasonal_structure(n, 12), 11)[0]
    for sds in [(0.3, 0.05, 0.1), (0.1, 0.3, 0.2)]:
        V = sds[0] ** 2 * level + sds[1] ** 2 * pattern + sds[2] ** 2 * np.eye(n)
        found = built.log_likelihood(dict(zip(["sd(rw1(t))", f"sd({LABEL})", "sigma"], sds, strict=True)))
        bound = rounding(n, V, columns.T @ columns) * (n + y @ np.linalg.solve(V, y))
        assert found == pytest.approx(restricted(y, columns, V)[0], abs=bound)
        assert bound < 1e-2


@pytest.fixture(scope="module")
def fit():
    return around(model("flat"), by_name(0.8, 0.6), draws=50)


def test_plot(fit):
    figure = fit.plot_term(LABEL)
    (ax,) = figure.axes[:1]
    line = next(line for line in ax.lines if len(line.get_xdata()) == TIMES.size)
    np.testing.assert_array_equal(line.get_xdata(), TIMES)
    # pattern and departures together, zero on average over the rows
    curve = phases(TIMES, 4) @ fit.fixef()["mean"].to_numpy()[2:] + fit.ranef()["mean"].to_numpy()
    np.testing.assert_allclose(line.get_ydata(), curve - (Z @ curve).mean(), rtol=0, atol=1e-10)


def test_names_tables_and_scales(fit):
    assert list(fit.summary().index) == [
        "Intercept",
        "x",
        *(f"{LABEL}[{j}]" for j in range(3)),
        f"sd({LABEL})",
        "sigma",
    ]
    assert list(fit.varcorr().index) == [(LABEL, "sd"), ("Residual", "sigma")]
    np.testing.assert_allclose(fit.scales[LABEL], [FACTOR], rtol=1e-10)
    assert "period 4, 23 times" in repr(model("flat"))
    np.testing.assert_allclose(fit.posterior[LABEL]["t"], TIMES)


def test_saved_and_read(fit, tmp_path):
    fit.save(tmp_path / "fit.lgm")
    again = lgm.load(tmp_path / "fit.lgm")
    pd.testing.assert_frame_equal(again.ranef(), fit.ranef())
    new = pd.DataFrame({"t": [3, 25], "x": 0.0})
    pd.testing.assert_frame_equal(again.predict(new), fit.predict(new))


def test_the_period_may_be_a_name():
    for period in (4, np.int64(4)):
        built = lgm.model("y ~ x + seasonal(period=m, t=t)", DATA, env={"m": period}, priors=KINDS["flat"], weights="w")
        value = built.log_likelihood(by_name(0.8, 0.6))
        assert value == pytest.approx(model("flat").log_likelihood(by_name(0.8, 0.6)), abs=1e-10)


def test_the_origin_of_time_does_not_matter():
    """The columns of the pattern turn with it; what they span does not."""
    moved = lgm.model("y ~ x + seasonal(t, 4)", DATA.assign(t=DATA["t"] + 1001), priors=KINDS["flat"], weights="w")
    # det of the turn of the contrasts is one in size
    assert moved.log_likelihood(by_name(0.8, 0.6)) == pytest.approx(
        model("flat").log_likelihood(by_name(0.8, 0.6)), abs=1e-9
    )


@pytest.mark.parametrize("period", ["1", "0", "-4", "2.5", "'year'", "True", "t", "None"])
def test_what_is_not_a_period(period):
    with pytest.raises(
        lgm.FormulaError, match=rf"period={period} is not a period.*\n.*\n.*\n.*a whole number of at least 2"
    ):
        lgm.model(f"y ~ seasonal(t, {period})", DATA)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ seasonal(t + 0.5, 4)", r"seasonal\(t \+ 0.5\) needs whole times .* has -2.5 in row 0. Number the times"),
        (
            "y ~ seasonal(t, 23)",
            r"seasonal\(t\) needs more than one period of 23 times; `t` runs over 23, from -3 to 19",
        ),
        ("y ~ seasonal(t, 100)", "more than one period of 100 times"),
    ],
)
def test_times_that_do_not_fit(formula, message):
    with pytest.raises(lgm.DataError, match=message):
        lgm.model(formula, DATA)


def test_a_phase_without_rows():
    """Its effect would be minus the sum of all others: any level of the data would move it."""
    with pytest.raises(
        lgm.DataError, match=r"seasonal\(t\) has no row of phase 3 \(`t` modulo 4\), so nothing is known"
    ):
        lgm.model("y ~ seasonal(t, 4)", DATA[DATA["t"] % 4 != 3])
    with pytest.raises(lgm.DataError, match=r"no row of phase 1, 3, 5, 7, 9, \.\.\."):
        lgm.model("y ~ seasonal(t, 12)", pd.DataFrame({"t": 2 * np.arange(12), "y": DATA["y"][:12]}))


def test_new_times_must_be_whole(fit):
    with pytest.raises(lgm.DataError, match="needs whole times"):
        fit.predict(pd.DataFrame({"t": [20.5], "x": 0.0}))


def test_arguments():
    with pytest.raises(lgm.FormulaError, match=r"seasonal\(\) needs `period`"):
        lgm.model("y ~ seasonal(t)", DATA)
    with pytest.raises(lgm.FormulaError, match=r"seasonal\(\) has no argument `season`"):
        lgm.model("y ~ seasonal(t, season=4)", DATA)
