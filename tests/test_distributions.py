"""NumPyro distributions with sparse precision and with low-rank covariance, against dense normals."""

import warnings
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.sparse as sp
from numpyro.infer import MCMC, NUTS

from lgm.distributions import LowRankCovarianceNormal, SparsePrecisionNormal
from lgm.linalg import Analysis, analyse
from lgm.linalg.constrained import Border


@pytest.fixture(autouse=True)
def _x64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def chain(n: int) -> tuple[Analysis, np.ndarray, np.ndarray]:
    """Analysis, values and dense matrix of an AR(1) precision."""
    q = sp.csc_array(sp.diags_array([np.full(n - 1, -0.9), np.full(n, 2.0), np.full(n - 1, -0.9)], offsets=[-1, 0, 1]))
    sym = analyse(q)
    return sym, sym.values(q), q.toarray()


def low_rank(n: int, rank: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Mean, D, U, C and the dense covariance."""
    rng = np.random.default_rng(seed)
    loc, diagonal, factor = rng.normal(size=n), rng.uniform(0.5, 2.0, size=n), rng.normal(size=(n, rank))
    half = rng.normal(size=(rank, rank))
    core = half @ half.T + np.eye(rank)
    return loc, diagonal, factor, core, np.diag(diagonal) + factor @ core @ factor.T


# Compiled whole: outside of a program each operation in them is one, for each shape.
density = jax.jit(lambda p, y: p.log_prob(y))
variance = jax.jit(lambda p: p.variance)
draw = jax.jit(lambda p, key, shape: p.sample(key, shape), static_argnums=2)


def dense_density(y: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Log density of the normal distribution, by row of y."""
    off = y - mean
    square = np.sum(off * np.linalg.solve(covariance, off.T).T, axis=-1)
    return -0.5 * (np.linalg.slogdet(covariance)[1] + off.shape[-1] * np.log(2 * np.pi) + square)


def check_draws(draws: jax.Array, mean: np.ndarray, covariance: np.ndarray) -> None:
    """Means and covariances of independent draws within five standard errors."""
    count = draws.shape[0]
    spread = np.sqrt(np.diag(covariance))
    assert np.max(np.abs(draws.mean(axis=0) - mean) / (spread / np.sqrt(count))) < 5
    error = np.sqrt((covariance**2 + np.outer(spread, spread) ** 2) / count)
    assert np.max(np.abs(np.cov(draws.T) - covariance) / error) < 5


def test_sparse_density_is_the_dense_one() -> None:
    sym, values, q = chain(12)
    rng = np.random.default_rng(0)
    loc, y = rng.normal(size=12), rng.normal(size=(4, 12))
    ours = SparsePrecisionNormal(loc, sym, values)
    covariance = np.linalg.inv(q)
    np.testing.assert_allclose(density(ours, y), dense_density(y, loc, covariance), rtol=1e-12)
    np.testing.assert_allclose(variance(ours), np.diag(covariance), rtol=1e-12)
    np.testing.assert_array_equal(ours.mean, loc)
    at = jax.jit(lambda m, v: SparsePrecisionNormal(m, sym, v).log_prob(y[0]))
    gradient = jax.jit(jax.grad(at, (0, 1)))(loc, values)
    step = 6e-6
    for argument, found in enumerate(gradient):
        for k in (0, 5, 11):
            moved = [np.array(loc), np.array(values)]
            sides = []
            for sign in (1, -1):
                moved[argument][k] += sign * step
                sides.append(at(*moved))
                moved[argument][k] -= sign * step
            np.testing.assert_allclose(found[k], (sides[0] - sides[1]) / (2 * step), rtol=0, atol=1e-8)


def test_sparse_batches_of_matrices_and_of_means() -> None:
    sym, values, q = chain(6)
    scales = np.array([1.0, 2.0, 3.0])
    batch = SparsePrecisionNormal(np.zeros((2, 1, 6)), sym, scales[:, None] * values)
    assert batch.batch_shape == (2, 3) and batch.event_shape == (6,)
    y = np.arange(6.0)
    wanted = [dense_density(y, np.zeros(6), np.linalg.inv(s * q)) for s in scales]
    np.testing.assert_allclose(density(batch, y), np.tile(wanted, (2, 1)), rtol=1e-12)
    np.testing.assert_allclose(variance(batch)[1, 2], np.diag(np.linalg.inv(3 * q)), rtol=1e-12)
    assert draw(batch, jax.random.key(0), (5,)).shape == (5, 2, 3, 6)
    mapped = jax.jit(jax.vmap(lambda v: SparsePrecisionNormal(np.zeros(6), sym, v).log_prob(y)))(
        scales[:, None] * values
    )
    np.testing.assert_allclose(mapped, wanted, rtol=1e-12)


def test_sparse_draws() -> None:
    sym, values, q = chain(5)
    loc = np.arange(5.0)
    check_draws(SparsePrecisionNormal(loc, sym, values).sample(jax.random.key(0), (20_000,)), loc, np.linalg.inv(q))


def test_sparse_distribution_goes_through_jit_and_vmap_as_an_argument() -> None:
    sym, values, _ = chain(5)
    p = SparsePrecisionNormal(np.zeros(5), sym, values)
    direct = p.log_prob(np.ones(5))
    np.testing.assert_allclose(jax.jit(lambda d: d.log_prob(np.ones(5)))(p), direct, rtol=1e-14)
    stack = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), p)
    np.testing.assert_allclose(jax.vmap(lambda d: d.log_prob(np.ones(5)))(stack), [direct] * 2, rtol=1e-14)


def test_sparse_density_outside_the_cone_is_nan() -> None:
    sym, values, _ = chain(5)
    assert np.isnan(SparsePrecisionNormal(np.zeros(5), sym, -values).log_prob(np.ones(5)))


def test_shapes_are_checked() -> None:
    sym, values, _ = chain(5)
    with pytest.raises(ValueError, match=r"must end in \(5,\) and \(9,\), not \(4,\)"):
        SparsePrecisionNormal(np.zeros(4), sym, values)
    border = Border.of(sym.pattern, sp.csc_array(np.ones((5, 1))), np.array([0]), np.ones(1))
    with pytest.raises(ValueError, match="accepted: one without a border"):
        SparsePrecisionNormal(np.zeros(7), border.analyse(), border.values)
    with pytest.raises(ValueError, match=r"with factor \(5, 2\).* must end in \(5,\)"):
        LowRankCovarianceNormal(np.zeros(4), np.ones(5), np.ones((5, 2)))


@pytest.mark.parametrize("chain_method", ["sequential", "vectorized", pytest.param("parallel", marks=pytest.mark.slow)])
def test_sampling_from_a_model_with_sparse_precision(chain_method: str) -> None:
    n = 30
    sym, values, q = chain(n)
    y = np.linalg.cholesky(np.linalg.inv(4.0 * q)) @ np.random.default_rng(0).normal(size=n)

    def model(y: np.ndarray) -> None:
        log_precision = numpyro.sample("log_precision", dist.Normal(0.0, 1.0))
        numpyro.sample("y", SparsePrecisionNormal(np.zeros(n), sym, jnp.exp(log_precision) * values), obs=y)

    with warnings.catch_warnings():  # of fewer devices than chains: they then run one after the other
        warnings.simplefilter("ignore")
        settings = {"num_warmup": 150, "num_samples": 250, "num_chains": 2, "progress_bar": False}
        mcmc = MCMC(NUTS(model), chain_method=chain_method, **settings)
        mcmc.run(jax.random.key(0), y)
    draws = np.asarray(mcmc.get_samples()["log_precision"])
    t = np.linspace(-4, 6, 4001)  # posterior of one parameter by quadrature
    log_density = 0.5 * n * t - 0.5 * np.exp(t) * (y @ q @ y) - 0.5 * t**2
    weight = np.exp(log_density - log_density.max())
    mean = np.sum(weight * t) / np.sum(weight)
    sd = np.sqrt(np.sum(weight * (t - mean) ** 2) / np.sum(weight))
    assert abs(draws.mean() - mean) < 5 * sd / np.sqrt(100)  # 500 draws are worth 100 independent ones or more


@pytest.mark.parametrize(("n", "rank"), [(1, 1), (9, 1), (9, 3), (9, 12), (1100, 2)])
def test_low_rank_density_is_the_dense_one(n: int, rank: int) -> None:
    loc, diagonal, factor, core, covariance = low_rank(n, rank)
    y = np.random.default_rng(1).normal(size=(3, n))
    ours = LowRankCovarianceNormal(loc, diagonal, factor, core)
    np.testing.assert_allclose(density(ours, y), dense_density(y, loc, covariance), rtol=1e-10)
    np.testing.assert_allclose(variance(ours), np.diag(covariance), rtol=1e-12)
    plain = LowRankCovarianceNormal(loc, diagonal, factor)
    covariance = np.diag(diagonal) + factor @ factor.T
    np.testing.assert_allclose(density(plain, y), dense_density(y, loc, covariance), rtol=1e-10)


@pytest.mark.parametrize(("rank", "with_core"), [(1, True), (2, True), (3, True), (5, True), (1, False), (5, False)])
def test_low_rank_gradients_are_the_dense_ones(rank: int, with_core: bool) -> None:
    arguments = low_rank(8, rank)[: 4 if with_core else 3]
    y = np.random.default_rng(1).normal(size=8)

    def dense(m, d, u, c=None):
        return dist.MultivariateNormal(m, jnp.diag(d) + (u if c is None else u @ c) @ u.T).log_prob(y)

    def symmetric(gradient):
        return (gradient + gradient.T) / 2 if gradient.shape == (rank, rank) else gradient

    which = tuple(range(len(arguments)))

    def ours(*a):
        return LowRankCovarianceNormal(*a).log_prob(y)

    gradients = (jax.jit(jax.grad(f, which))(*arguments) for f in (ours, dense))
    for found, wanted in zip(*gradients, strict=True):
        np.testing.assert_allclose(symmetric(found), symmetric(wanted), atol=1e-10)


@pytest.mark.parametrize("rank", [1, 2])
def test_low_rank_density_with_an_indefinite_core_is_nan(rank: int) -> None:
    loc, diagonal, factor, core, _ = low_rank(6, rank)
    assert np.isnan(density(LowRankCovarianceNormal(loc, diagonal, factor, -core), np.ones(6)))


def test_low_rank_draws_and_batches() -> None:
    loc, diagonal, factor, core, covariance = low_rank(4, 2)
    p = LowRankCovarianceNormal(loc, diagonal, factor, core)
    check_draws(draw(p, jax.random.key(0), (20_000,)), loc, covariance)
    batch = LowRankCovarianceNormal(np.zeros((5, 1, 4)), np.stack([diagonal, 2 * diagonal]), factor, core)
    assert batch.batch_shape == (5, 2)
    y = np.ones(4)
    covariances = [np.diag(s * diagonal) + factor @ core @ factor.T for s in (1, 2)]
    wanted = [dense_density(y, np.zeros(4), c) for c in covariances]
    np.testing.assert_allclose(density(batch, y), np.tile(wanted, (5, 1)), rtol=1e-12)
    assert draw(batch, jax.random.key(0), (3,)).shape == (3, 5, 2, 4)
    stack = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), p)
    np.testing.assert_allclose(jax.vmap(lambda d: d.log_prob(y))(stack), [p.log_prob(y)] * 2, rtol=1e-14)
