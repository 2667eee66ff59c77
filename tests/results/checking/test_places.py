"""Places of responses among predictions, against distributions of scipy draw by draw."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import planted
import scipy.stats
from synthetic import around

import lgm
from lgm.families import Family, custom, find
from lgm.families.response import Response
from lgm.results.checking import places
from lgm.results.checking.observed import Observed
from lgm.results.checking.places import Places, scores


def _eta(rows: Observed) -> np.ndarray:
    return rows.eta.draws()


def test_counts_stand_between_two_probabilities() -> None:
    rows = Observed(planted.few())
    mean = np.exp(_eta(rows))
    found, y = places.predictive(rows, 1), rows.y[:, None]
    np.testing.assert_allclose(found.lower, scipy.stats.poisson.cdf(y - 1, mean).mean(axis=1), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(found.upper, scipy.stats.poisson.cdf(y, mean).mean(axis=1), rtol=1e-10)


def _rows(family: Family, y: Response, eta: np.ndarray, **theta: float) -> Any:
    """Rows whose linear predictor has these draws (n, S)."""
    n, size = eta.shape
    predictor = SimpleNamespace(
        pieces=lambda bytes_per_row: [np.arange(n)],
        blocks=lambda take: [(np.arange(size), eta[take])],
        draws=lambda only=None: eta[:, only],
    )
    design = SimpleNamespace(family=family, response=y, weights=np.ones(n))
    return SimpleNamespace(
        fit=SimpleNamespace(design=design, effects=SimpleNamespace(size=size)),
        n=n,
        trials=np.ones(n) if y.trials is None else y.trials,
        theta={kind: np.full(size, value) for kind, value in theta.items()},
        eta=predictor,
        y=y.value,
    )


ETA = np.random.default_rng(5).normal(size=(4, 30))


def test_trials_are_those_of_each_row() -> None:
    trials = np.array([3.0, 2.0, 4.0, 9.0])
    y = Response(np.array([0.0, 2.0, 1.0, 5.0]), trials)
    found = places.predictive(_rows(find("binomial"), y, ETA), 1)
    p = 1.0 / (1.0 + np.exp(-ETA))
    upper, lower = (scipy.stats.binom.cdf(y.value[:, None] - k, trials[:, None], p).mean(axis=1) for k in (0, 1))
    np.testing.assert_allclose(found.upper, upper, rtol=1e-9)
    np.testing.assert_allclose(found.lower, lower, rtol=1e-9)


def test_censored_times_stand_between_the_ends_of_their_interval() -> None:
    code = np.array([-1, 2, 0, 1])
    y = Response(np.array([1.0, 2.0, 0.5, 1.5]), upper=np.array([9.0, 3.0, 9.0, 9.0]), censored=code)
    found = places.predictive(_rows(find("exponential"), y, ETA), 1)
    at = scipy.stats.expon.cdf(y.value[:, None], scale=np.exp(ETA)).mean(axis=1)
    end = scipy.stats.expon.cdf(3.0, scale=np.exp(ETA[1])).mean()
    np.testing.assert_allclose(found.lower, [0.0, at[1], at[2], at[3]], rtol=1e-12)
    np.testing.assert_allclose(found.upper, [at[0], end, at[2], 1.0], rtol=1e-12)


def test_places_by_one_draw_are_those_of_its_distribution() -> None:
    rows, numbers = Observed(planted.of("gaussian")), np.array([3, 70])
    expected = scipy.stats.norm.cdf(rows.y[:, None], _eta(rows)[:, numbers], planted.SIGMA)
    np.testing.assert_allclose(places.given_draws(rows, numbers, 1), expected, rtol=1e-12)
    rows = Observed(planted.few())
    found, mean = places.given_draws(rows, numbers, 1), np.exp(_eta(rows)[:, numbers])
    low, high = (scipy.stats.poisson.cdf(rows.y[:, None] - step, mean) for step in (1, 0))
    assert np.all((low <= found) & (found <= high))


def test_places_by_one_draw_are_uniform_if_the_model_is_right() -> None:
    """Data from the prior of all effects, one draw of the effects given the data: exactly uniform, also together."""
    found = []
    for seed in range(20):
        rng, data, _ = planted.table(seed, groups=4, rows=3)
        data["y"] = np.repeat(rng.normal(0.0, 2.0, 4), 3) + rng.normal(size=12)
        model = lgm.model("y ~ 0 + (1|g)", data)
        fit = around(model, {"sd(Intercept|g)": 2.0, "sigma": 1.0}, spread=0.0, chains=1, draws=2)
        rows = Observed(replace(fit, seed=seed))
        found.append(places.given_draws(rows, np.array([1]), seed)[:, 0])
    z = scores(np.array(found))
    assert scipy.stats.kstest(np.ravel(found), "uniform").pvalue > 1e-3
    within = z.reshape(20, 4, 3)
    assert abs(np.mean(within[..., 0] * within[..., 1])) < 4.0 / np.sqrt(80)


def _secant(y, eta, theta):  # type: ignore[no-untyped-def]
    import jax.numpy as jnp

    return -jnp.logaddexp(y - eta, eta - y) - jnp.log(jnp.pi / 2)


def _simulate(rng, eta, theta):  # type: ignore[no-untyped-def]
    return eta + np.log(np.tan(0.5 * np.pi * rng.uniform(size=eta.shape)))


def test_a_family_without_a_distribution_function_is_simulated() -> None:
    family = custom("secant", _secant, simulate=_simulate, log_concave=True)
    eta = np.random.default_rng(2).normal(size=(60, 1000))
    rows = _rows(family, Response(np.random.default_rng(3).logistic(size=60)), eta)
    exact = scipy.stats.hypsecant.cdf(rows.y[:, None] - eta)
    found = places.predictive(rows, 1)
    np.testing.assert_allclose(found.lower, exact.mean(axis=1), atol=5.0 * 0.5 / np.sqrt(1000))
    np.testing.assert_allclose(found.upper - found.lower, 1.0 / 1001.0, rtol=1e-9)
    drawn = places.given_draws(rows, np.array([0, 400]), 1)
    np.testing.assert_allclose(drawn, exact[:, [0, 400]], atol=5.0 * 0.5 / np.sqrt(places.SIMULATED))
    assert np.all((drawn > 0.0) & (drawn < 1.0))


def test_scores_are_finite() -> None:
    found = scores(np.array([0.0, 0.5, 1.0]))
    assert np.all(np.isfinite(found)) and found[1] == 0.0 and found[0] < -8.0 and found[2] > 8.0


def test_a_place_is_drawn_evenly_between_its_ends() -> None:
    low, high = np.full(4000, 0.2), np.full(4000, 0.6)
    drawn = Places(low, high).drawn(np.random.default_rng(1))
    assert scipy.stats.kstest((drawn - 0.2) / 0.4, "uniform").pvalue > 1e-3
