"""Ordered categories by their definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats

import lgm
from lgm.families import find
from lgm.families.response import Response

CDF = {"logit": stats.logistic, "probit": stats.norm}
GAPS = np.array([0.3, 1.2, 0.02])


def family(link, labels="abcde", first=1):
    return find("cumulative", link).of_categories(tuple(labels), first)


def log_likelihood(link, y, eta, gaps):
    """By the tails on that side where they keep their digits."""
    edges = np.concatenate([[-np.inf, 0.0], np.cumsum(gaps), [np.inf]])
    k = np.asarray(y).astype(int)
    low, high, f = edges[k - 1] - eta, edges[k] - eta, CDF[link]
    return np.log(np.where(low > 0, f.sf(low) - f.sf(high), f.cdf(high) - f.cdf(low)))


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_log_likelihood(link):
    rng = np.random.default_rng(1)
    y, eta, w = rng.integers(1, 6, 60).astype(float), 2.0 * rng.normal(size=60), rng.uniform(0.5, 2.0, 60)
    with jax.enable_x64(True):
        found = jax.jit(family(link).loglik)(Response(y), eta, {"gap": GAPS}, w)
        three = jax.jit(family(link, "abc", 0).loglik)(Response(y[y < 4] - 1), eta[y < 4], {"gap": 0.3}, 1.0)
    np.testing.assert_allclose(found, w * log_likelihood(link, y, eta, GAPS), rtol=1e-10)
    np.testing.assert_allclose(three, log_likelihood(link, y[y < 4], eta[y < 4], GAPS[:1]), rtol=1e-10)


@pytest.mark.parametrize("link", ["logit", pytest.param("probit", marks=pytest.mark.slow)])
def test_derivatives(link):
    """By central differences of five points; finite, and concave, also far out.

    The third one of the normal distribution takes long to trace, and has a test of its own.
    """
    own, y = family(link, "abc"), Response(np.tile([1.0, 2.0, 3.0], 5))

    def value(eta):
        return own.loglik(y, eta, {"gap": 0.7}, 1.0)

    def slope(function):
        return jax.jit(lambda eta: jax.jvp(function, (eta,), (jnp.ones_like(eta),))[1])

    near, far, step = np.repeat([-4.0, -1.0, 0.1, 1.0, 4.0], 3), np.repeat([-30.0, -12.0, 0.0, 12.0, 30.0], 3), 1e-3
    with jax.enable_x64(True):
        lower, upper = jax.jit(value), slope(value)
        for order in (1, 2, 3) if link == "logit" else (1, 2):
            moved = [np.asarray(lower(jnp.asarray(near + k * step))) for k in (-2, -1, 1, 2)]
            expected = np.tensordot([1 / 12, -2 / 3, 2 / 3, -1 / 12], moved, axes=1) / step
            np.testing.assert_allclose(np.asarray(upper(jnp.asarray(near))), expected, rtol=1e-7, atol=1e-9)
            found = np.asarray(upper(jnp.asarray(far)))
            assert np.all(np.isfinite(found)) and (order != 2 or np.all(found <= 0.0))
            lower, upper = upper, slope(upper)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_mean_and_new_responses(link):
    """Shares from n draws have a standard error of at most 1 / (2 sqrt(n))."""
    own, n, eta = family(link, "abcd", 3), 40_000, np.array([-0.5, 1.0])
    theta = {"gap": np.tile(GAPS[:2], (n, 1))}
    shares = np.exp([[log_likelihood(link, [k], e, GAPS[:2])[0] for k in (1, 2, 3, 4)] for e in eta])
    np.testing.assert_allclose(own.mean(eta[:, None] + np.zeros(n), theta)[:, 0], shares @ [3, 4, 5, 6], rtol=1e-12)
    found = own.probabilities(eta[:, None] + np.zeros(n), theta)
    assert own.outcomes == tuple("abcd") and found.shape == (4, 2, n)
    np.testing.assert_allclose(found[..., 0].T, shares, rtol=1e-12)
    drawn = own.simulate(np.random.default_rng(3), eta[:, None] + np.zeros(n), theta, np.ones(2), np.ones(2))
    for row, share in zip(drawn, shares, strict=True):
        np.testing.assert_allclose([np.mean(row == k) for k in (3, 4, 5, 6)], share, atol=4 / (2 * np.sqrt(n)))


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_small_probabilities_keep_their_digits(link):
    own, eta = family(link, "abcd"), np.array([-9.0, 9.0])
    expected = np.exp([[log_likelihood(link, [k], e, GAPS[:2])[0] for e in eta] for k in (1, 2, 3, 4)])
    found = own.probabilities(eta[:, None], {"gap": np.array(GAPS[:2])})[..., 0]
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_parameters_and_level():
    y = Response(np.array([1.0, 1, 2, 3, 3, 4, 4, 4]))
    own = family("logit", ["low", "mid", "high", "top"])
    first, second = own.parameters(y, 1.0, np.ones(8))
    assert (first.names, second.names, first.kind) == (("gap[mid]",), ("gap[high]",), "gap")
    cuts = stats.logistic.ppf(np.array([2.5, 4.0, 6.5]) / 10)
    assert own.level_of(y, np.full(8, 0.5), np.ones(8)) == pytest.approx(-cuts[0] - 0.5)
    assert (first.start, second.start) == pytest.approx(tuple(np.diff(cuts)))
    assert first.default.distribution.mean == pytest.approx(np.pi / np.sqrt(3))
    assert own.one_sided(y).tolist() == [-1, -1, 0, 0, 0, 1, 1, 1]


def test_laplace_of_one_effect():
    """By its definition, with the intercept, which stands for the first threshold, as good as held."""
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=12), np.tile([1, 2, 3], 4)
    own = {"Intercept": lgm.priors.normal(0.3, 1e-5), "x": lgm.priors.normal(0.0, 0.4)}
    model = lgm.model("y ~ x", {"x": x, "y": y}, "cumulative", priors=own)

    def minus(b):
        return -np.sum(log_likelihood("logit", y, 0.3 + b * x, np.array([0.9]))) - stats.norm.logpdf(b, 0.0, 0.4)

    mode = optimize.minimize_scalar(minus, tol=1e-12).x
    curvature = (minus(mode + 1e-3) - 2.0 * minus(mode) + minus(mode - 1e-3)) / 1e-6
    expected = -minus(mode) + 0.5 * np.log(2.0 * np.pi / curvature)
    assert model.log_likelihood({"gap[2]": 0.9}) == pytest.approx(expected, abs=2e-6)
