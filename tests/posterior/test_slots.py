"""Slots of theta: densities of natural values, working coordinates, and draws."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from of_slots import PRIORS, SLOTS, slot
from scipy import stats
from scipy.integrate import cumulative_trapezoid, quad

from lgm import priors
from lgm.parameter import POSITIVE, alike, simplex, standard_deviation
from lgm.posterior import slots
from lgm.posterior.hyperparameters import Hyperparameters
from lgm.priors import lkj

named = pytest.mark.parametrize("name", PRIORS)


def density(name):
    """Natural-scale density as a function of an array, from the slot that a model uses."""
    chosen = slot(PRIORS[name][0])
    batched = jax.jit(jax.vmap(lambda x: jnp.exp(chosen.log_prior(x[None]))))

    def evaluate(x):
        with jax.enable_x64(True):
            return np.asarray(batched(jnp.atleast_1d(jnp.asarray(x, dtype=float))))

    return evaluate


@pytest.mark.parametrize("name", [name for name in PRIORS if name != "pc_corr"])
def test_integrates_to_one(name):
    _, low, high = PRIORS[name]
    p = density(name)
    total, error = quad(lambda x: p(x)[0], low, high, epsabs=1e-9, limit=200)
    assert abs(total - 1.0) <= max(error, 1e-9)


@pytest.mark.parametrize("name", SLOTS)
def test_working_scale(name):
    """Round trip, and the working density is the natural one times the Jacobian of the map."""
    chosen = SLOTS[name]
    x = np.random.default_rng(1).uniform(-1.5, 1.5, chosen.working_size)

    @jax.jit
    def everything(x):
        theta = chosen.natural(x)
        jacobian = jax.jacfwd(chosen.natural)(x)[: chosen.working_size]  # shares: all but the last
        return theta, chosen.working(theta), jacobian, chosen.log_prior_working(x), chosen.log_prior(theta)

    with jax.enable_x64(True):
        theta, back, jacobian, working, natural = (np.asarray(part) for part in everything(jnp.asarray(x)))
    assert theta.shape == (chosen.size,)
    assert theta.dtype == np.float64
    np.testing.assert_allclose(back, x, rtol=0, atol=1e-13)
    log_jacobian = np.linalg.slogdet(jacobian)[1] if chosen.working_size else 0.0
    assert float(working) == pytest.approx(natural + log_jacobian, abs=1e-12)


def test_shares_have_their_density_on_the_simplex_alone():
    chosen = SLOTS["shares"]
    inside = np.array([0.1, 0.2, 0.3, 0.4])
    with jax.enable_x64(True):
        assert float(chosen.log_prior(inside)) == pytest.approx(stats.dirichlet.logpdf(inside, [1.7] * 4), abs=1e-12)
        assert (
            float(chosen.log_prior(inside + 0.01))
            == -np.inf
            == float(chosen.log_prior(np.array([-0.1, 0.3, 0.4, 0.4])))
        )
        flat = slots.slot(priors.dirichlet(1.0), simplex("mo(x)", 3))
        assert float(flat.log_prior(np.array([0.0, 0.0, 1.0]))) == pytest.approx(np.log(2.0))  # a corner is a point
        drawn = np.asarray(jax.vmap(flat.sample)(jax.random.split(jax.random.key(1), 4000)))
    np.testing.assert_allclose(drawn.sum(axis=1), 1.0)
    assert stats.kstest(drawn[:, 1], stats.beta(1.0, 2.0).cdf).pvalue > 1e-3


def test_lkj_of_three_is_normalised():
    """Correlation matrices of order three fill ``pi^2 / 2``; the density is proportional to ``|C|^(c - 1)``."""
    corr = np.array([0.3, -0.2, 0.5])
    C = np.array([[1, 0.3, -0.2], [0.3, 1, 0.5], [-0.2, 0.5, 1]])
    with jax.enable_x64(True):
        log_prior = jax.jit(lambda chosen, corr: chosen.log_prior(corr))
        flat, peaked = (float(log_prior(slot(lkj(c), 3), jnp.asarray(corr))) for c in (1.0, 3.0))
        peaked_at_zero = float(log_prior(slot(lkj(3.0), 3), jnp.zeros(3)))
        outside = float(log_prior(slot(lkj(1.0), 3), jnp.array([0.9, 0.9, -0.9])))
    assert flat == pytest.approx(-np.log(np.pi**2 / 2), abs=1e-12)
    assert peaked - peaked_at_zero == pytest.approx(2 * np.log(np.linalg.det(C)), abs=1e-12)
    assert outside == -np.inf


@named
def test_outside_the_support(name):
    _, low, high = PRIORS[name]
    assert density(name)(low - 0.1) == 0.0
    if high < np.inf:
        assert density(name)(high + 0.1) == 0.0


@pytest.mark.parametrize(("name", "at_zero"), [("exponential", 0.5), ("gamma", 0.0), ("numpyro's", 0.0)])
def test_an_sd_of_zero_has_its_density(name, at_zero):
    assert density(name)(0.0)[0] == pytest.approx(at_zero, abs=1e-15)


def test_held():
    held = SLOTS["held"]
    with jax.enable_x64(True):
        assert held.natural(jnp.zeros(0)).tolist() == held.sample(jax.random.key(1)).tolist() == [1.5]
        assert float(held.log_prior(jnp.array([1.5]))) == 0.0
        assert float(held.log_prior(jnp.array([1.6]))) == -np.inf


DRAWS = 4000
# Dvoretzky, Kiefer, Wolfowitz, Massart: P(sup |F_n - F| > bound) <= 2 exp(-2 n bound^2), here 1e-6.
BOUND = np.sqrt(np.log(2e6) / (2 * DRAWS))


def draws(chosen):
    with jax.enable_x64(True):
        return np.asarray(jax.jit(jax.vmap(chosen.sample))(jax.random.split(jax.random.key(7), DRAWS)))


@named
def test_draws_follow_the_density(name):
    sample = np.sort(draws(SLOTS[name])[:, 0])
    _, low, _ = PRIORS[name]
    grid = low + (sample[-1] - low) * np.linspace(0.0, 1.0, 20001)[1:-1]  # the ends may be infinite
    cdf = np.interp(sample, grid, cumulative_trapezoid(density(name)(grid), grid, initial=0.0))
    distance = np.max(np.abs(cdf - (np.arange(DRAWS) + 0.5) / DRAWS))
    assert distance < BOUND + 1.0 / DRAWS


def test_draws_of_correlations():
    """Each correlation is ``2 Beta(a, a) - 1`` with ``a = concentration - 1 + q / 2``."""
    sample = draws(Hyperparameters((SLOTS["held"], SLOTS["lkj of four"])))
    assert np.all(sample[:, 0] == 1.5)
    for column in sample[:, 1:].T:
        assert stats.kstest((column + 1) / 2, stats.beta(2.0, 2.0).cdf).statistic < BOUND


@pytest.mark.parametrize(
    "prior",
    [dist.HalfCauchy(0.7), dist.Gamma(1.5, 1.0), dist.Gamma(0.5, 1.0), dist.Normal(0.0, 2.0)],
    ids=["half-cauchy", "gamma", "gamma-pole", "normal"],
)
def test_several_alike(prior):
    """The same densities as those of as many single ones, and the same working scale, a logarithm on half lines."""
    with jax.enable_x64(True):
        owner = alike("lambda", "hs(x)", ["a", "b", "c", "d"], POSITIVE, priors.Prior(prior, "own"), 1.0)
        one = slots.slot(priors.Prior(prior, "own"), standard_deviation("g", 1.0))
        many = slots.slot(priors.Prior(prior, "own"), owner)
        x = jnp.array([-3.0, -0.2, 0.4, 6.0])
        value = many.natural(x)
        np.testing.assert_allclose(many.working(value), x, rtol=1e-9)
        singles = jnp.concatenate([one.natural(u[None]) for u in x])
        np.testing.assert_array_equal(value, singles)
        singly = sum(float(one.log_prior(v[None])) for v in value)
        assert float(many.log_prior(value)) == pytest.approx(singly, rel=1e-12)
        slopes = jnp.diagonal(jax.jacfwd(many.natural)(x))
        assert float(many.log_jacobian(x)) == pytest.approx(float(jnp.sum(jnp.log(slopes))), rel=1e-9)
        whole = float(many.log_prior(value)) + float(jnp.sum(jnp.log(slopes)))
        assert float(many.log_prior_working(x)) == pytest.approx(whole, rel=1e-9)
        assert many.sample(jax.random.key(0)).shape == (4,) and many.working_size == many.size == 4
        assert many.half_line == one.half_line
        pole = isinstance(prior, dist.Gamma) and prior.concentration < 1.0
        assert many.half_line == (not isinstance(prior, dist.Normal) and not pole)
        if not isinstance(prior, dist.Normal):
            assert not np.isfinite(many.log_prior(value.at[0].set(-1.0)))
