"""Products with sparse rows, against dense arrays: values, batches, and derivatives of both modes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp

from lgm.linalg.rows import Rows
from lgm.pattern import Pattern

N, D, M = 12, 5, 3


@pytest.fixture(scope="module")
def dense() -> np.ndarray:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(N, D)) * (rng.random((N, D)) < 0.5)
    a[4] = 0.0  # a row without entries
    a[:, 2] = rng.normal(size=N)
    a[4, 2] = 0.0
    return a


@pytest.fixture(scope="module")
def pattern() -> Pattern:
    return Pattern.of(sp.csc_array(np.ones((D, D))))


@pytest.fixture(scope="module")
def rows(dense: np.ndarray, pattern: Pattern) -> Rows:
    return Rows.of(sp.csr_array(dense), pattern)


def symmetric(pattern: Pattern, z: jax.Array) -> jax.Array:
    lower = jnp.zeros((D, D)).at[pattern.rows, pattern.cols].set(z)
    return lower + jnp.tril(lower, -1).T


Maps = dict[str, tuple[Callable[[jax.Array], jax.Array], Callable[[jax.Array], jax.Array], tuple[int, ...]]]


@pytest.fixture(scope="module")
def maps(dense: np.ndarray, pattern: Pattern, rows: Rows) -> Maps:
    """Each with its dense formula and the shape of what it is applied to."""
    return {
        "times": (rows.times, lambda x: dense @ x, (D, M)),
        "transposed": (lambda g: rows.transposed_times(g, D), lambda g: dense.T @ g, (N, M)),
        "gram": (
            lambda w: rows.gram(w, pattern.nnz),
            lambda w: (dense.T @ (w[:, None] * dense))[pattern.rows, pattern.cols],
            (N,),
        ),
        "quadratic": (
            rows.quadratic,
            lambda z: jnp.sum(dense * (dense @ symmetric(pattern, z)), axis=1),
            (pattern.nnz,),
        ),
    }


@pytest.mark.parametrize("name", ["times", "transposed", "gram", "quadratic"])
def test_a_map_is_that_of_the_dense_array(maps: Maps, name: str) -> None:
    native, formula, shape = maps[name]
    x = jnp.asarray(np.random.default_rng(1).normal(size=shape))
    np.testing.assert_allclose(native(x), jax.jit(formula)(x), rtol=1e-13, atol=1e-13)
    batch = np.stack([x, -2.0 * x, 0.5 * x])
    together = np.asarray(jax.jit(jax.vmap(jax.vmap(native)))(batch[:, None]))
    compiled = jax.jit(native)
    assert np.array_equal(together[:, 0], [compiled(one) for one in batch])


@pytest.mark.parametrize("name", ["times", "transposed", "gram", "quadratic"])
def test_a_map_is_linear_for_jax(maps: Maps, name: str) -> None:
    native, formula, shape = maps[name]
    x = jnp.asarray(np.random.default_rng(2).normal(size=shape))
    wanted = np.asarray(jax.jit(jax.jacrev(formula))(x))

    def found(x: jax.Array) -> tuple[jax.Array, ...]:
        square = jax.hessian(lambda x: jnp.sum(native(x) ** 2))
        return jax.jacrev(native)(x), jax.jacfwd(native)(x), square(x)

    reverse, forward, square = jax.jit(found)(x)
    np.testing.assert_allclose(reverse, wanted, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(forward, wanted, rtol=1e-13, atol=1e-13)
    flat = wanted.reshape(-1, x.size)
    np.testing.assert_allclose(square, (2.0 * flat.T @ flat).reshape(square.shape), rtol=1e-12, atol=1e-12)


def test_batches_of_rows_go_one_by_one(dense: np.ndarray, pattern: Pattern, rows: Rows) -> None:
    many = jax.tree.map(lambda array: jnp.stack([array, array]), rows)
    many = Rows(many.data * jnp.array([[1.0], [2.0]]), many.columns, many.starts, many.pairs)
    w = jnp.arange(1.0, N + 1.0)
    found = jax.vmap(lambda a: a.gram(w, pattern.nnz))(many)
    np.testing.assert_allclose(found[1], 4.0 * found[0], rtol=1e-14)
    np.testing.assert_allclose(found[0], (dense.T @ (np.asarray(w)[:, None] * dense))[pattern.rows, pattern.cols])


def test_only_what_is_wanted_is_computed(rows: Rows) -> None:
    """A linear map carries its transpose along, which the compiler takes out."""
    program = jax.jit(rows.times).lower(jnp.ones((D, M))).compile().as_text() or ""
    assert program.count("lgm_rows_times") > 0 and "lgm_rows_transposed_times" not in program


def test_rows_may_have_no_entries(pattern: Pattern) -> None:
    empty = Rows.of(sp.csr_array((3, D)), pattern)
    assert empty.n == 3 and not np.any(empty.times(jnp.ones((D, 1)))) and not np.any(empty.gram(jnp.ones(3), 4))
