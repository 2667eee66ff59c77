"""Products with a matrix of stored entries, by both backends, against dense algebra; and their derivatives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp

from lgm.linalg import Analysis, analyse, analyse_dense, products

N, M = 7, 2


@pytest.fixture(scope="module", params=[analyse, analyse_dense])
def sym(request: pytest.FixtureRequest) -> Analysis:
    return request.param(sp.random_array((N, N), density=0.3, rng=np.random.default_rng(1)) + sp.eye_array(N))


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def arrays(sym: Analysis) -> tuple[jax.Array, jax.Array, jax.Array]:
    rng = np.random.default_rng(2)
    values, x, y = (jnp.asarray(rng.normal(size=shape)) for shape in [(sym.nnz,), (N, M), (N, M)])
    return values, x, y


def dense(sym: Analysis, values: jax.Array) -> jax.Array:
    """S, by nothing of `products`."""
    rows, cols = sym.pattern.rows, sym.pattern.cols
    lower = jnp.zeros((N, N)).at[rows, cols].set(values)
    return lower + lower.T - jnp.diag(jnp.diag(lower))


def test_products_are_those_of_dense_algebra(sym: Analysis) -> None:
    values, x, y = arrays(sym)
    whole = np.asarray(dense(sym, values))
    np.testing.assert_allclose(products.multiply(sym, values, x), whole @ x, rtol=1e-13)
    d = np.asarray(x[:, 0])
    wanted = (d[:, None] * whole * d)[sym.pattern.rows, sym.pattern.cols]
    np.testing.assert_allclose(products.scaled(sym, values, d), wanted, rtol=1e-13)
    by_entry = jax.jit(jax.grad(lambda values: jnp.trace(x.T @ dense(sym, values) @ y)))(values)
    np.testing.assert_allclose(products.gradient(sym, x, y), by_entry, rtol=1e-13, atol=1e-15)


def ours(sym: Analysis, values: jax.Array, x: jax.Array) -> jax.Array:
    moved = products.scaled(sym, jnp.sin(values), x[:, 0])
    return jnp.sum(products.multiply(sym, moved, x) ** 3) + jnp.vdot(moved, products.gradient(sym, x, jnp.cos(x)))


def theirs(sym: Analysis, values: jax.Array, x: jax.Array) -> jax.Array:
    d = x[:, 0]
    moved = d[:, None] * dense(sym, jnp.sin(values)) * d
    return jnp.sum((moved @ x) ** 3) + jnp.trace(x.T @ moved @ jnp.cos(x))


@pytest.mark.parametrize(
    "transform", [jax.grad, jax.jacfwd, jax.hessian, lambda f, by: jax.jacrev(jax.grad(f, by), by)]
)
def test_derivatives_are_those_of_dense_algebra(sym: Analysis, transform) -> None:
    values, x, _ = arrays(sym)
    found, wanted = (jax.jit(transform(partial(f, sym), (0, 1)))(values, x) for f in (ours, theirs))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-11)


def test_a_batch_is_its_elements(sym: Analysis) -> None:
    values, x, _ = arrays(sym)
    many = jnp.stack([values, 2.0 * values, -values])
    slope = jax.jit(jax.grad(partial(ours, sym), (0, 1)))
    for by, places in (((many, x), (0, None)), ((values, jnp.stack([x, -x])), (None, 0))):
        found = jax.jit(jax.vmap(slope, places))(*by)
        for i in range(len(found[0])):
            one = slope(*(each if at is None else each[i] for each, at in zip(by, places, strict=True)))
            for a, b in zip(found, one, strict=True):
                np.testing.assert_allclose(a[i], b, rtol=1e-12)


def test_programs_hold_no_copy_of_a_sparse_pattern() -> None:
    n = 20_000
    sym = analyse(sp.diags_array([np.ones(n), np.ones(n - 1)], offsets=[0, 1]))
    slope = jax.jit(jax.grad(lambda d: jnp.sum(jnp.sin(products.scaled(sym, jnp.ones(sym.nnz), d)))))
    assert len(slope.lower(jnp.ones(n)).as_text()) < n
