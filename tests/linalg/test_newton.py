"""The search for a mode by the kernel: likelihoods against JAX, modes and derivatives against dense algebra."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import log_ndtr

from lgm.families.binomial import Binomial
from lgm.families.poisson import Poisson
from lgm.families.response import Response
from lgm.linalg._ffi import kernel
from lgm.linalg.constrained import Border
from lgm.linalg.constrained import normals as placed
from lgm.linalg.newton import Problem, find_mode, find_mode_and_pairs, find_mode_and_slopes, no_trials
from lgm.linalg.rows import Rows
from lgm.pattern import Pattern

N, D = 40, 6


def loglik(name: str, y: Response, eta: Any, own: Any, weights: Any) -> Any:
    """Each observation's, by JAX."""
    if name == "poisson_log":
        return Poisson().loglik(y, eta, {}, weights)
    if name.startswith("binomial"):
        return Binomial(name.split("_")[1]).loglik(y, eta, {}, weights)
    if name == "gaussian_identity":
        return 0.5 * jnp.log(weights / own[0] ** 2 / (2.0 * jnp.pi)) - 0.5 * weights * ((y.value - eta) / own[0]) ** 2
    shape, log_gamma = own[0], jax.scipy.special.gammaln
    ways = log_gamma(y.value + shape) - log_gamma(shape) - log_gamma(y.value + 1.0)
    x = eta - jnp.log(shape)
    return weights * (ways - y.value * jax.nn.softplus(-x) - shape * jax.nn.softplus(x))


NAMES = {
    "poisson_log": np.zeros(0),
    "binomial_logit": np.zeros(0),
    "binomial_probit": np.zeros(0),
    "binomial_cloglog": np.zeros(0),
    "negativebinomial_log": np.array([1.7]),
    "gaussian_identity": np.array([0.8]),
}


@pytest.mark.parametrize("name", NAMES)
def test_likelihoods_and_their_derivatives(name: str) -> None:
    eta = np.tile(np.linspace(-6.0, 3.0, 37), 3)
    value = np.repeat([0.0, 2.0, 7.0], 37)
    trials, weights, own = np.full(eta.size, 7.0), np.resize([1.0, 2.5], eta.size), NAMES[name]
    found = np.array(kernel.likelihood(name, eta, value, trials, weights, own))

    def one(e: Any, y: Any, w: Any) -> Any:
        return loglik(name, Response(y, jnp.asarray(7.0)), e, own, w)

    orders = [one]
    for _ in range(3):
        orders.append(jax.grad(orders[-1]))
    at_once = jax.jit(jax.vmap(lambda *at: [order(*at) for order in orders]))
    for k, wanted in enumerate(at_once(eta, value, weights)):
        np.testing.assert_allclose(found[:, k], wanted, rtol=2e-11 if k else 2e-12, atol=1e-11)


def test_likelihoods_far_out() -> None:
    """Closed forms of limits, where plain formulas have lost all digits or overflow."""
    one = np.ones(1)

    def at(name: str, eta: float, y: float, own: Any = ()) -> np.ndarray:
        return np.array(kernel.likelihood(name, np.array([eta]), y * one, one, one, np.array(own)))[0]

    far = at("binomial_probit", -1e4, 1.0)
    np.testing.assert_allclose(far[:3], [log_ndtr(-1e4), 1e4 + 1e-4, -1.0 + 1e-8], rtol=1e-12)
    np.testing.assert_allclose(at("binomial_probit", -12.0, 1.0)[0], log_ndtr(-12.0), rtol=1e-14)
    np.testing.assert_allclose(at("binomial_logit", -800.0, 1.0), [-800.0, 1.0, 0.0, 0.0])
    np.testing.assert_allclose(at("binomial_cloglog", -40.0, 1.0)[0], -40.0, rtol=1e-15)
    np.testing.assert_allclose(at("binomial_cloglog", 800.0, 1.0), 0.0)
    assert at("poisson_log", 800.0, 1.0)[0] == -np.inf
    poisson, negative = at("poisson_log", 1.0, 4.0), at("negativebinomial_log", 1.0, 4.0, [1e12])
    np.testing.assert_allclose(negative[:3], poisson[:3], rtol=1e-3 * 1e-6)
    many = at("negativebinomial_log", 7.0, 5000.0, [0.3])[0]  # by mpmath: scipy.stats.nbinom agrees
    from scipy.stats import nbinom

    np.testing.assert_allclose(many, nbinom.logpmf(5000, 0.3, 0.3 / (0.3 + np.exp(7.0))), rtol=1e-11)


def test_the_logistic_likelihood_keeps_its_digits() -> None:
    eta = np.linspace(-700.0, 700.0, 2001)
    one, small = np.ones_like(eta), np.exp(-np.abs(eta))
    found = np.array(kernel.likelihood("binomial_logit", eta, 0.0 * one, one, one, np.zeros(0)))
    np.testing.assert_allclose(found[:, 0], -np.logaddexp(0.0, eta), rtol=1e-14, atol=4e-16)  # of a sum: absolute
    np.testing.assert_allclose(found[:, 1], -np.where(eta < 0.0, small, 1.0) / (1.0 + small), rtol=1e-14)
    np.testing.assert_allclose(found[:, 2], -small / (1.0 + small) ** 2, rtol=1e-14)


class Case:
    """A small problem with everything in it, and its dense formulas."""

    def __init__(self, name: str, *, constrained: bool) -> None:
        rng = np.random.default_rng(3)
        self.name, self.own = name, jnp.asarray(NAMES[name])
        a = np.zeros((N, D))
        a[:, 0], a[np.arange(N), 1 + np.arange(N) % (D - 1)] = 1.0, rng.normal(size=N)
        self.a = a
        r = np.diag(np.linspace(1.0, 2.0, D))
        r[2, 1] = r[1, 2] = -0.4
        pattern = Pattern.of(sp.csc_array((a.T @ a != 0) | (r != 0)))
        self.c = np.r_[0.0, np.ones(D - 1)][None] if constrained else np.zeros((0, D))
        k = len(self.c)
        self.border = Border.of(pattern, sp.csc_array(self.c.T), np.ones(k, dtype=int), np.full(k, 2.0))
        self.sym, self.order, self.start = self.border.analyse(), D + 2 * k, jnp.zeros(D + 2 * k)
        self.values = jnp.asarray(self.border.around(r[pattern.rows, pattern.cols]))
        self.scale = jnp.pad(jnp.linspace(0.5, 1.5, D), (0, 2 * k))
        trials = np.full(N, 5.0) if name.startswith("binomial") else np.zeros(0)
        y = rng.integers(0, 5, N).astype(float)
        self.problem = Problem(
            Rows.of(sp.csr_array(a), self.border.pattern),
            rng.normal(size=N) * 0.3,
            y,
            trials,
            np.resize([1.0, 2.0], N),
            np.pad(np.full(D, 0.2), (0, 2 * k)),
        )

    def precision(self, values: Any) -> Any:
        """Without the border."""
        pattern, n = self.sym.pattern, self.order
        own = values - self.border.values
        lower = jnp.zeros((n, n)).at[pattern.rows, pattern.cols].set(own)
        return (lower + jnp.tril(lower, -1).T)[:D, :D]

    def joint(self, v: Any, values: Any, scale: Any, own: Any) -> Any:
        y = Response(self.problem.value, self.problem.trials if self.problem.trials.size else None)
        eta = self.problem.offset + self.a @ (scale[:D] * v)
        prior = -0.5 * v @ self.precision(values) @ v + self.problem.pull[:D] @ v
        return jnp.sum(loglik(self.name, y, eta, own, self.problem.weights)) + prior

    def laplace(self, values: Any, scale: Any, own: Any) -> tuple[Any, Any]:
        """The mode and ``J - 1/2 log|H|``, by Newton's method on a basis of the constrained space."""
        basis = np.linalg.svd(self.c)[2][self.c.shape[0] :].T if self.c.size else np.eye(D)
        free = lambda x: self.joint(basis @ x, values, scale, own)  # noqa: E731
        x = jnp.zeros(basis.shape[1])
        step = lambda _, x: x - jnp.linalg.solve(jax.hessian(free)(x), jax.grad(free)(x))  # noqa: E731
        x = jax.lax.fori_loop(0, 25, step, x)
        return basis @ x, free(x) - 0.5 * jnp.linalg.slogdet(-jax.hessian(free)(x))[1]


@pytest.mark.parametrize("constrained", [False, True])
@pytest.mark.parametrize("name", ["poisson_log", "binomial_cloglog", "negativebinomial_log"])
def test_a_mode_and_its_derivatives(name: str, constrained: bool) -> None:
    case = Case(name, constrained=constrained)
    parts = case.values, case.scale, case.own
    formula = jax.jit(case.laplace)
    v, value = formula(*parts)
    mode, slopes = find_mode_and_slopes(case.sym, name, case.problem, case.values, case.scale, case.own, case.start)
    np.testing.assert_allclose(mode.v[:D], v, atol=1e-9)
    np.testing.assert_allclose(mode.joint - 0.5 * (mode.logdet - case.border.log_scale), value, rtol=1e-12)
    rng, h = np.random.default_rng(4), 1e-4
    for part, slope in ((0, slopes.values), (1, slopes.scale)):
        way = rng.normal(size=parts[part].shape)
        if part == 0:  # the border stays
            way = case.border.around(way[case.border.inner]) - case.border.values
        ahead, behind = ([*parts] for _ in range(2))
        ahead[part], behind[part] = parts[part] + h * way, parts[part] - h * way
        wanted = (formula(*ahead)[1] - formula(*behind)[1]) / (2.0 * h)
        np.testing.assert_allclose(jnp.vdot(slope, way), wanted, rtol=1e-6)
    again = find_mode(case.sym, name, case.problem, *parts, mode.v)
    assert again.counts[0] == 1 and again.counts[1] == 0
    np.testing.assert_allclose(again.joint, mode.joint, rtol=1e-13)


@pytest.mark.parametrize("constrained", [False, True])
@pytest.mark.parametrize("name", ["binomial_logit", "poisson_log", "negativebinomial_log"])
def test_pairs_about_a_mode(name: str, constrained: bool) -> None:
    """Of unit vectors in place of normals, whose draws have the covariance itself as their sum of squares."""
    case = Case(name, constrained=constrained)
    k, parts = len(case.c), (case.values, case.scale, case.own)
    units = placed(jnp.eye(D + k), D, k)
    mode, pairs = find_mode_and_pairs(case.sym, name, case.problem, *parts, case.start, units)
    basis = np.linalg.svd(case.c)[2][k:].T if k else np.eye(D)
    v = mode.v[:D]
    joint = jax.jit(lambda v: case.joint(v, *parts))
    h = -np.asarray(jax.jit(jax.hessian(joint))(v))
    s = basis @ np.linalg.inv(basis.T @ h @ basis) @ basis.T
    x = np.asarray(pairs.drawn[:D])
    np.testing.assert_allclose(x @ x.T, s, atol=1e-12)
    scaled = case.a * np.asarray(case.scale[:D])
    np.testing.assert_allclose(pairs.eta, case.problem.offset + scaled @ v, atol=1e-12)
    np.testing.assert_allclose(pairs.spread, np.sum((scaled @ s) * scaled, axis=1), rtol=1e-10)

    def each(eta: Any, value: Any, weight: Any) -> Any:
        return loglik(name, Response(value, jnp.asarray(5.0)), eta, case.own, weight)

    third = jax.jit(jax.vmap(jax.grad(jax.grad(jax.grad(each)))))(pairs.eta, case.problem.value, case.problem.weights)
    shift = 0.5 * s @ (scaled.T @ (pairs.spread * third))
    np.testing.assert_allclose(pairs.shift[:D], shift, atol=1e-10)
    points = np.asarray(v + shift)[:, None] + np.concatenate([x, -x], axis=1)
    heights = jax.jit(jax.vmap(joint, 1))(points) - joint(v)
    np.testing.assert_allclose(pairs.log_weights, heights + 0.5 * np.tile(np.sum(x * (h @ x), axis=0), 2), atol=1e-9)


def test_with_a_gaussian_response_one_step_is_enough() -> None:
    case = Case("gaussian_identity", constrained=True)
    found = find_mode(case.sym, case.name, case.problem, case.values, case.scale, case.own, case.start)
    assert found.counts[0] <= 2 and found.counts[1] <= 2
    np.testing.assert_allclose(found.v[:D], jax.jit(case.laplace)(case.values, case.scale, case.own)[0], atol=1e-11)


def test_a_batch_is_its_elements() -> None:
    case = Case("poisson_log", constrained=True)
    scales = jnp.linspace(0.3, 2.0, 9)[:, None] * case.scale

    def one(scale: jax.Array) -> Any:
        return find_mode_and_slopes(case.sym, case.name, case.problem, case.values, scale, case.own, case.start)

    together, alone = jax.jit(jax.vmap(one))(scales), [one(scale) for scale in scales]
    for batch, single in zip(
        jax.tree.leaves(together), jax.tree.leaves(jax.tree.map(lambda *x: jnp.stack(x), *alone)), strict=True
    ):
        assert np.array_equal(batch, single)


def test_a_start_that_leads_nowhere_is_left_for_zero() -> None:
    case = Case("poisson_log", constrained=False)
    rest = case.values, case.scale, case.own
    far = find_mode(case.sym, case.name, case.problem, *rest, jnp.full(D, 1e6))
    near = find_mode(case.sym, case.name, case.problem, *rest, case.start)
    assert np.array_equal(far.v, near.v)
    steep = find_mode(case.sym, case.name, case.problem, *rest, jnp.full(D, -60.0))  # too far for a search
    assert np.array_equal(steep.v, near.v)


def test_where_there_is_no_mode_all_is_nan() -> None:
    case = Case("poisson_log", constrained=False)
    indefinite, rest = case.values.at[0].set(-1e3), (case.scale, case.own)
    mode, slopes = find_mode_and_slopes(case.sym, case.name, case.problem, indefinite, case.scale, case.own, case.start)
    assert np.all(np.isnan(mode.v)) and np.isnan(mode.joint) and np.all(np.isnan(slopes.scale))
    normals = jnp.zeros((D, 3))
    pairs = find_mode_and_pairs(case.sym, case.name, case.problem, indefinite, *rest, case.start, normals)[1]
    assert all(np.all(np.isnan(part)) for part in pairs)
    nothing = find_mode(case.sym, case.name, case.problem, case.values, case.scale * np.nan, case.own, case.start)
    assert np.isnan(nothing.joint)


def test_what_the_kernel_does_not_know_is_refused() -> None:
    case = Case("poisson_log", constrained=False)
    with pytest.raises(Exception, match="no likelihood zeta"):
        jax.block_until_ready(find_mode(case.sym, "zeta", case.problem, case.values, case.scale, case.own, case.start))
    with pytest.raises(Exception, match="wrong shape of trials"):
        wrong = case.problem._replace(trials=np.ones(3))
        jax.block_until_ready(find_mode(case.sym, case.name, wrong, case.values, case.scale, case.own, case.start))
    assert no_trials().shape == (0,)
