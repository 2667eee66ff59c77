"""Priors: normalisation, tail statements, working scales, draws, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from dense_model import EPS
from scipy import stats
from scipy.integrate import cumulative_trapezoid, quad

from lgm import priors
from lgm.errors import PriorError
from lgm.priors import Hyperparameters, fixed, lkj, pc_corr, pc_sd, slot

# Prior, and where its density lives (the far tails hold less than 1e-12).
PRIORS = {
    "exponential": (priors.exponential(0.5), 0.0, np.inf),
    "pc_sd": (pc_sd(2.0, 0.05), 0.0, np.inf),
    "half_normal": (priors.half_normal(3.0), 0.0, np.inf),
    "half_student_t": (priors.half_student_t(3.0, 2.5), 0.0, np.inf),
    "gamma": (priors.gamma(2.0, 0.1), 0.0, np.inf),
    "beta": (priors.beta(2.0, 3.0), 0.0, 1.0),
    "uniform": (priors.uniform(-1.0, 2.0), -1.0, 2.0),
    "pc_corr": (pc_corr(0.5, 0.5), -1.0, 1.0),
    "lkj of two": (lkj(2.0), -1.0, 1.0),
    "numpyro's": (priors.Prior(dist.LogNormal(0.3, 0.5), "LogNormal"), 0.0, np.inf),
}
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


@pytest.mark.parametrize(("U", "alpha"), [(2.0, 0.05), (0.3, 0.5)])
def test_pc_sd_puts_alpha_above_U(U, alpha):
    assert stats.expon(scale=-U / np.log(alpha)).sf(U) == pytest.approx(alpha, rel=1e-12)
    with jax.enable_x64(True):
        log_p = pc_sd(U, alpha).distribution.log_prob(U)
    assert float(log_p) == pytest.approx(stats.expon(scale=-U / np.log(alpha)).logpdf(U), rel=1e-12)


@pytest.mark.parametrize(("U", "alpha"), [(0.5, 0.5), (0.9, 0.05), (0.1, 0.7), (0.999, 1e-6)])
def test_pc_corr_puts_alpha_outside_U(U, alpha):
    """With an alpha of nearly nothing: the density integrates to one."""
    chosen = slot(pc_corr(U, alpha))
    with jax.enable_x64(True):
        p = jax.jit(lambda r: jnp.exp(chosen.log_prior(r[None])))
        for end in (-U, U):
            half, error = quad(lambda r: float(p(jnp.asarray(r))), 0.0, end, epsabs=1e-10, limit=200)
            assert abs(half - np.sign(end) * (1 - alpha) / 2) <= max(error, 1e-10)


def test_pc_corr_near_zero():
    """Value and slope against the formula, which log1p keeps exact to rounding; at zero itself they are finite."""
    prior = pc_corr(0.5, 0.5).distribution
    rate = float(prior.rate)
    r = np.concatenate([np.geomspace(1e-12, 0.999, 60), [1e-4 * (1 - 1e-9), 1e-4 * (1 + 1e-9)]])
    r = np.concatenate([r, -r])
    mu = np.sqrt(-np.log1p(-r * r))
    wanted = np.log(rate / 2) - rate * mu + np.log(np.abs(r) / mu) - np.log1p(-r * r)
    step = r / (mu * (1 - r * r))
    slope = -rate * step + (1 / r - step / mu) + 2 * r / (1 - r * r)
    with jax.enable_x64(True):
        both = jax.jit(jax.vmap(jax.value_and_grad(prior.log_prob)))
        value, grad = (np.asarray(part) for part in both(jnp.asarray([*r, 0.0])))
    np.testing.assert_allclose(value[:-1], wanted, rtol=0, atol=1e-14)
    # the two terms of size 1 / r of the formula cancel, and so do those of the density
    np.testing.assert_array_less(np.abs(grad[:-1] - slope), 1e-11 * np.maximum(1, np.abs(slope)) + 20 * EPS / np.abs(r))
    assert value[-1] == pytest.approx(np.log(rate / 2), abs=1e-15)
    assert np.isfinite(grad[-1])


SLOTS = {
    **{name: slot(prior) for name, (prior, _, _) in PRIORS.items()},
    "held": slot(fixed(1.5)),
    "flat": slot(priors.flat()),
    "lkj of three": slot(lkj(2.0), 3),
    "lkj of four": slot(lkj(1.0), 4),
}


@pytest.mark.parametrize("name", SLOTS)
def test_working_scale(name):
    """Round trip, and the working density is the natural one times the Jacobian of the map."""
    chosen = SLOTS[name]
    x = np.random.default_rng(1).uniform(-1.5, 1.5, chosen.working_size)

    @jax.jit
    def everything(x):
        theta = chosen.natural(x)
        jacobian = jax.jacfwd(chosen.natural)(x)
        return theta, chosen.working(theta), jacobian, chosen.log_prior_working(x), chosen.log_prior(theta)

    with jax.enable_x64(True):
        theta, back, jacobian, working, natural = (np.asarray(part) for part in everything(jnp.asarray(x)))
    assert theta.shape == (chosen.size,)
    assert theta.dtype == np.float64
    np.testing.assert_allclose(back, x, rtol=0, atol=1e-13)
    log_jacobian = np.linalg.slogdet(jacobian)[1] if chosen.working_size else 0.0
    assert float(working) == pytest.approx(natural + log_jacobian, abs=1e-12)


def test_hyperparameters_join_their_slots():
    names = ["exponential", "lkj of three", "held", "pc_corr"]
    whole = Hyperparameters(tuple(SLOTS[name] for name in names))
    assert (whole.size, whole.working_size) == (6, 5)
    x = np.linspace(-1.0, 1.0, 5)
    parts = {"exponential": x[:1], "lkj of three": x[1:4], "held": x[:0], "pc_corr": x[4:]}

    def answers(slot_or_all, x):
        theta = slot_or_all.natural(x)
        return theta, slot_or_all.working(theta), slot_or_all.log_prior(theta), slot_or_all.log_prior_working(x)

    with jax.enable_x64(True):
        theta, back, natural, working = map(np.asarray, jax.jit(answers)(whole, jnp.asarray(x)))
        apart = [jax.jit(answers)(SLOTS[name], jnp.asarray(part)) for name, part in parts.items()]
    np.testing.assert_allclose(theta, np.concatenate([part[0] for part in apart]), rtol=1e-15)
    np.testing.assert_allclose(back, x, rtol=0, atol=1e-13)
    assert float(natural) == pytest.approx(sum(float(part[2]) for part in apart), abs=1e-13)
    assert float(working) == pytest.approx(sum(float(part[3]) for part in apart), abs=1e-13)


def test_no_hyperparameters():
    with jax.enable_x64(True):
        none = Hyperparameters(())
        assert none.natural(jnp.zeros(0)).shape == none.sample(jax.random.key(1)).shape == (0,)
        assert none.log_prior(jnp.zeros(0)) == none.log_prior_working(jnp.zeros(0)) == 0.0


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
    ("make", "message"),
    [
        (lambda: priors.exponential(0.0), "rate=0.0 must be a positive number"),
        (lambda: priors.exponential(np.inf), "rate=inf must be a positive number"),
        (lambda: pc_sd(-1.0), "U=-1.0 must be a positive number"),
        (lambda: pc_sd(1.0, 1.0), "alpha=1.0 must lie between 0 and 1"),
        (lambda: pc_corr(1.0), "U=1.0 must lie between 0 and 1"),
        (lambda: priors.half_normal(np.nan), "sd=nan must be a positive number"),
        (lambda: priors.half_student_t(3.0, 0.0), "scale=0.0 must be"),
        (lambda: priors.gamma(2.0, -1.0), "rate=-1.0 must be"),
        (lambda: priors.beta(0.0, 1.0), "a=0.0 must be"),
        (lambda: priors.uniform(1.0, 1.0), "needs two finite numbers, the smaller one first"),
        (lambda: lkj(0.0), "concentration=0.0 must be"),
        (lambda: priors.normal(np.nan, 1.0), "mean=nan must be a finite number"),
        (lambda: priors.normal(0.0, 0.0), "sd=0.0 must be a positive number"),
        (lambda: fixed(np.inf), "value=inf must be a finite number"),
    ],
)
def test_errors(make, message):
    with pytest.raises(PriorError, match=message):
        make()


def test_words():
    shown = [PRIORS[name][0] for name in ("pc_sd", "half_student_t", "uniform", "lkj of two", "numpyro's")]
    assert [repr(prior) for prior in shown] == [
        "pc_sd(2, 0.05)",
        "half_student_t(3, 2.5)",
        "uniform(-1, 2)",
        "lkj(2)",
        "LogNormal",
    ]
    assert [repr(p) for p in (priors.normal(1, 2), priors.flat(), fixed(0.25))] == [
        "normal(1, 2)",
        "flat()",
        "fixed(0.25)",
    ]
