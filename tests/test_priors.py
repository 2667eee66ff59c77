"""Priors: tail statements, what is refused, and the words that a fit prints."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from dense_model import EPS
from scipy import stats
from scipy.integrate import quad

from lgm import priors
from lgm.errors import PriorError
from lgm.priors import constant, lkj, pc_corr, pc_corr1, pc_prec, pc_range, pc_sd


@pytest.mark.parametrize(("U", "alpha"), [(2.0, 0.05), (0.3, 0.5)])
def test_pc_sd_puts_alpha_above_U(U, alpha):
    assert stats.expon(scale=-U / np.log(alpha)).sf(U) == pytest.approx(alpha, rel=1e-12)
    with jax.enable_x64(True):
        log_p = pc_sd(U, alpha).distribution.log_prob(U)
    assert float(log_p) == pytest.approx(stats.expon(scale=-U / np.log(alpha)).logpdf(U), rel=1e-12)


@pytest.mark.parametrize(("U", "alpha"), [(3.0, 0.05), (0.3, 0.5)])
def test_pc_prec_is_exponential_in_one_over_the_root(U, alpha):
    """The density of a transformed exponential variable, and its draws."""
    prior, x = pc_prec(U, alpha).distribution, np.geomspace(1e-3, 1e9, 7)
    exponential = stats.expon(scale=-U / np.log(alpha))
    with jax.enable_x64(True):
        log_p = np.asarray(prior.log_prob(x))
        drawn = np.asarray(prior.sample(jax.random.key(1), (2000,)))
    np.testing.assert_allclose(log_p, exponential.logpdf(x**-0.5) - np.log(2.0) - 1.5 * np.log(x), rtol=1e-12)
    assert stats.kstest(drawn**-0.5, exponential.cdf).pvalue > 1e-3


@pytest.mark.parametrize(("U", "alpha", "d"), [(3.0, 0.05, 2), (0.3, 0.5, 1)])
def test_pc_range_puts_alpha_below_U(U, alpha, d):
    """The density of a transformed exponential variable, and its draws."""
    prior, x = pc_range(U, alpha, d).distribution, np.geomspace(1e-2, 1e4, 7)
    exponential = stats.expon(scale=-(U ** (-d / 2)) / np.log(alpha))
    assert exponential.sf(U ** (-d / 2)) == pytest.approx(alpha, rel=1e-12)
    with jax.enable_x64(True):
        log_p = np.asarray(prior.log_prob(x))
        drawn = np.asarray(prior.sample(jax.random.key(1), (2000,)))
    wanted = exponential.logpdf(x ** (-d / 2)) + np.log(d / 2) - (d / 2 + 1) * np.log(x)
    np.testing.assert_allclose(log_p, wanted, rtol=1e-12)
    assert stats.kstest(drawn ** (-d / 2), exponential.cdf).pvalue > 1e-3


@pytest.mark.parametrize(("U", "alpha"), [(0.5, 0.5), (0.9, 0.05), (0.1, 0.7), (0.999, 1e-6)])
def test_pc_corr_puts_alpha_outside_U(U, alpha):
    """With an alpha of nearly nothing: the density integrates to one."""
    prior = pc_corr(U, alpha).distribution
    with jax.enable_x64(True):
        p = jax.jit(lambda r: jnp.exp(prior.log_prob(r)))
        for end in (-U, U):
            half, error = quad(lambda r: float(p(jnp.asarray(r))), 0.0, end, epsabs=1e-10, limit=200)
            assert abs(half - np.sign(end) * (1 - alpha) / 2) <= max(error, 1e-10)


@pytest.mark.parametrize(("U", "alpha"), [(0.5, 0.9), (0.9, 0.5), (-0.5, 0.95), (0.99, 0.08), (0.0, 0.999)])
def test_pc_corr1_puts_alpha_above_U(U, alpha):
    """By quadrature in ``d = sqrt(1 - r)``, in which the density has a bound; all of it is one, and so are draws."""
    prior = pc_corr1(U, alpha).distribution
    with jax.enable_x64(True):
        p = jax.jit(lambda d: jnp.exp(prior.log_prob(1.0 - d * d)) * 2.0 * d)
        drawn = np.asarray(prior.sample(jax.random.key(2), (2000,)))
        above, whole = (quad(lambda d: float(p(jnp.asarray(d))), 0.0, np.sqrt(end))[0] for end in (1.0 - U, 2.0))
    assert (above, whole) == (pytest.approx(alpha, abs=1e-9), pytest.approx(1.0, abs=1e-9))
    assert abs(np.mean(drawn > U) - alpha) < 4.0 * np.sqrt(alpha * (1.0 - alpha) / 2000)
    rate = float(prior.rate)
    cut = stats.truncexpon(np.sqrt(2.0) * rate, scale=1.0 / rate)
    assert stats.kstest(np.sqrt(1.0 - drawn), cut.cdf).pvalue > 1e-3


OF_SCIPY = [
    (priors.half_cauchy(2.5), stats.halfcauchy(scale=2.5)),
    (priors.student_t(4.0, 1.0, 2.0), stats.t(4.0, 1.0, 2.0)),
    (priors.lognormal(0.3, 0.7), stats.lognorm(0.7, scale=np.exp(0.3))),
    (priors.inverse_gamma(3.0, 2.0), stats.invgamma(3.0, scale=2.0)),
    (priors.gamma(2.0, 0.5), stats.gamma(2.0, scale=2.0)),
    (priors.half_student_t(3.0, 2.0), None),
    (priors.shifted_gamma(2.0, 2.0, 0.1), stats.gamma(2.0, 2.0, 10.0)),
]


@pytest.mark.parametrize(("prior", "wanted"), OF_SCIPY, ids=[repr(prior) for prior, _ in OF_SCIPY])
def test_densities_are_those_of_their_names(prior, wanted):
    x = np.array([2.1, 2.6, 5.0, 11.0])
    with jax.enable_x64(True):
        found = np.asarray(prior.distribution.log_prob(x))
    if wanted is None:  # a t distribution that is folded
        np.testing.assert_allclose(found, np.log(2.0) + stats.t(3.0, 0.0, 2.0).logpdf(x), rtol=1e-10)
    else:
        np.testing.assert_allclose(found, wanted.logpdf(x), rtol=1e-10)


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


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: priors.exponential(0.0), "rate=0.0 must be a positive number"),
        (lambda: priors.exponential(np.inf), "rate=inf must be a finite number"),
        (lambda: pc_sd(-1.0), "U=-1.0 must be a positive number"),
        (lambda: pc_sd(1.0, 1.0), "alpha=1.0 must lie between 0 and 1"),
        (lambda: pc_prec(0.0), "U=0.0 must be a positive number"),
        (lambda: pc_range(1.0, 0.05, 4), "dimension=4 must be 1, 2 or 3"),
        (lambda: pc_corr(1.0), "U=1.0 must lie between 0 and 1"),
        (lambda: pc_corr1(1.0, 0.5), "U=1.0 must lie between -1 and 1"),
        (lambda: pc_corr1(0.5, 0.5), r"pc_corr1\(0.5, 0.5\): alpha, .*, must exceed 0.5"),
        (lambda: priors.half_cauchy(0.0), "scale=0.0 must be a positive number"),
        (lambda: priors.student_t(0.0), "df=0.0 must be a positive number"),
        (lambda: priors.lognormal(0.0, -1.0), "sd=-1.0 must be a positive number"),
        (lambda: priors.inverse_gamma(1.0, 0.0), "scale=0.0 must be a positive number"),
        (lambda: priors.half_normal(np.nan), "sd=nan must be a finite number"),
        (lambda: priors.half_student_t(3.0, 0.0), "scale=0.0 must be"),
        (lambda: priors.gamma(2.0, -1.0), "rate=-1.0 must be"),
        (lambda: priors.beta(0.0, 1.0), "a=0.0 must be"),
        (lambda: priors.uniform(1.0, 1.0), r"uniform\(1, 1\) needs the smaller number first"),
        (lambda: priors.uniform(0.0, np.inf), "high=inf must be a finite number"),
        (lambda: priors.half_normal("2"), "sd='2' must be a finite number"),
        (lambda: priors.normal("zero", 1), "mean='zero' must be a finite number"),
        (lambda: priors.exponential(np.ones(2)), r"rate=array\(\[1., 1.\]\) must be a finite number"),
        (lambda: pc_sd(1.0, None), "alpha=None must be a finite number"),
        (lambda: lkj(0.0), "concentration=0.0 must be"),
        (lambda: priors.normal(np.nan, 1.0), "mean=nan must be a finite number"),
        (lambda: priors.normal(0.0, 0.0), "sd=0.0 must be a positive number"),
        (lambda: constant(np.inf), "value=inf must be a finite number"),
    ],
)
def test_errors(make, message):
    with pytest.raises(PriorError, match=message):
        make()


@pytest.mark.parametrize(
    ("prior", "words"),
    [
        (pc_sd(2.0, 0.05), "pc_sd(2, 0.05)"),
        (pc_prec(3.0, 0.05), "pc_prec(3, 0.05)"),
        (pc_range(3.0), "pc_range(3, 0.05)"),
        (pc_range(3.0, dimension=1), "pc_range(3, 0.05, dimension=1)"),
        (pc_corr(0.5, 0.5), "pc_corr(0.5, 0.5)"),
        (pc_corr1(0.5, 0.9), "pc_corr1(0.5, 0.9)"),
        (priors.half_cauchy(2.5), "half_cauchy(2.5)"),
        (priors.student_t(3, 0, 2.5), "student_t(3, 0, 2.5)"),
        (priors.lognormal(0, 1), "lognormal(0, 1)"),
        (priors.inverse_gamma(3, 0.5), "inverse_gamma(3, 0.5)"),
        (priors.exponential(0.5), "exponential(0.5)"),
        (priors.half_normal(3.0), "half_normal(3)"),
        (priors.half_student_t(3.0, 2.5), "half_student_t(3, 2.5)"),
        (priors.gamma(2.0, 0.1), "gamma(2, 0.1)"),
        (priors.beta(2.0, 3.0), "beta(2, 3)"),
        (priors.uniform(-1.0, 2.0), "uniform(-1, 2)"),
        (lkj(2.0), "lkj(2)"),
        (priors.normal(1, 2), "normal(1, 2)"),
        (priors.flat(), "flat()"),
        (constant(0.25), "constant(0.25)"),
        (priors.Prior(dist.LogNormal(0.3, 0.5), "LogNormal"), "LogNormal"),
    ],
)
def test_words(prior, words):
    assert repr(prior) == words
