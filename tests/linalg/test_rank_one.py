"""Factors after a change of rank one, against factoring anew."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from lgm.linalg import analyse_dense, cholesky_update, cholesky_update_info, factor_info

# Compiled whole: outside of a program each operation in them is one, for each size.
compiled = jax.jit(cholesky_update)
compiled_info = jax.jit(cholesky_update_info)
EPS = float(np.finfo(float).eps)
N = 5
# Each is a program of its own.
sizes = st.sampled_from([1, 2, 3, 7, 12])
seeds = st.integers(0, 2**31)


def drawn(n: int, seed: int, weight: float) -> tuple[np.ndarray, np.ndarray]:
    """A factor, and a vector that leaves a definite matrix: ``1 + weight |L^-1 x|^2`` is at least 0.01."""
    rng = np.random.default_rng(seed)
    lower = np.tril(rng.normal(size=(n, n)) / np.sqrt(n), -1) + np.diag(rng.uniform(0.3, 2.0, n))
    x = lower @ rng.normal(size=n)
    if weight < 0.0:
        x *= np.sqrt(rng.uniform(0.0, 0.99) / -weight) / np.linalg.norm(np.linalg.solve(lower, x))
    return lower, x


@settings(max_examples=40, deadline=None, derandomize=True)
@given(sizes, seeds, st.floats(0.01, 100.0), st.booleans())
def test_updates_and_downdates(n: int, seed: int, size: float, down: bool) -> None:
    """To the rounding of the matrix that both stand for, and of the downdate: by what is left of a direction."""
    weight = -size if down else size
    lower, x = drawn(n, seed, weight)
    whole = lower @ lower.T + weight * np.outer(x, x)
    with jax.enable_x64(True):
        found = np.asarray(compiled(lower, x, weight))
        assert int(compiled_info(lower, x, weight)) == 0
    left = 1.0 + weight * np.sum(np.linalg.solve(lower, x) ** 2)
    error = 10.0 * n * EPS * np.linalg.cond(lower) ** 2 * max(1.0, 1.0 / left) * np.linalg.norm(whole + lower @ lower.T)
    assert np.linalg.norm(found @ found.T - whole) <= error
    assert np.all(np.diag(found) > 0) and not np.triu(found, 1).any()


def test_only_the_lower_triangle_is_read() -> None:
    lower, x = drawn(N, 1, 1.0)
    with jax.enable_x64(True):
        np.testing.assert_array_equal(
            cholesky_update(lower + np.triu(np.ones((N, N)), 1), x), cholesky_update(lower, x)
        )
        np.testing.assert_array_equal(cholesky_update(lower, np.zeros(N), -3.0), lower)


def test_derivatives() -> None:
    """Those of factoring anew: first and second ones, forward, reverse, and each over the other."""
    cotangent = np.tril(np.random.default_rng(3).normal(size=(N, N)))
    by = (0, 1, 2)

    def anew(lower: jax.Array, x: jax.Array, weight: jax.Array) -> jax.Array:
        lower = jnp.tril(lower)
        return jnp.sum(cotangent * jnp.linalg.cholesky(lower @ lower.T + weight * jnp.outer(x, x)))

    def updated(lower: jax.Array, x: jax.Array, weight: jax.Array) -> jax.Array:
        return jnp.sum(cotangent * cholesky_update(lower, x, weight))

    @jax.jit
    def ours(*arguments: jax.Array) -> tuple[list[Any], list[Any]]:
        forward, reverse = jax.jacfwd(updated, by), jax.grad(updated, by)
        second = [jax.jacfwd(forward, by), jax.jacfwd(reverse, by), jax.jacrev(forward, by), jax.jacrev(reverse, by)]
        return [forward(*arguments), reverse(*arguments)], [each(*arguments) for each in second]

    theirs = jax.jit(lambda *arguments: (jax.grad(anew, by)(*arguments), jax.hessian(anew, by)(*arguments)))
    with jax.enable_x64(True):
        for weight in (0.7, -0.7):
            lower, x = drawn(N, 2, weight)
            for found, expected in zip(ours(lower, x, weight), theirs(lower, x, weight), strict=True):
                for each in found:
                    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-9), each, expected)
            np.testing.assert_array_equal(ours(lower, np.zeros(N), weight)[0][1][1], 0.0)


def test_a_batch_is_a_loop() -> None:
    several = [drawn(N, seed, -2.0) for seed in range(4)]
    lowers, xs = (np.stack(each) for each in zip(*several, strict=True))
    with jax.enable_x64(True):
        found = jax.jit(jax.vmap(cholesky_update, (0, 0, None)))(lowers, xs, -2.0)
        for one, (lower, x) in zip(found, several, strict=True):
            np.testing.assert_allclose(one, compiled(lower, x, -2.0), rtol=1e-13, atol=1e-15)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.sampled_from([1, 2, 3, 7]), seeds)
def test_a_downdate_that_leaves_nothing(n: int, seed: int) -> None:
    """The row is the one at which factoring anew fails."""
    rng = np.random.default_rng(seed)
    lower, x = drawn(n, seed, 1.0)
    weight = -float(rng.uniform(1.05, 20.0)) / np.sum(np.linalg.solve(lower, x) ** 2)
    whole = sp.csc_array(lower @ lower.T + weight * np.outer(x, x))
    sym = analyse_dense(sp.csc_array(np.ones((n, n))))
    with jax.enable_x64(True):
        found, info = compiled(lower, x, weight), int(compiled_info(lower, x, weight))
        expected = int(jax.jit(factor_info, static_argnums=0)(sym, sym.values(whole)))
    assert np.all(np.isnan(found)) and info == expected > 0


def test_what_is_not_finite() -> None:
    lower, x = drawn(N, 4, 1.0)
    with jax.enable_x64(True):
        for bad in (np.nan, np.inf):
            assert np.all(np.isnan(compiled(lower, np.where(np.arange(N) == 2, bad, x))))
            assert int(compiled_info(lower, np.where(np.arange(N) == 2, bad, x))) == 3


def test_what_is_refused() -> None:
    lower, x = drawn(N, 5, 1.0)
    with jax.enable_x64(False), pytest.raises(TypeError, match="32-bit mode"):
        cholesky_update(lower, x)
    with jax.enable_x64(True):
        with pytest.raises(ValueError, match=r"lower must have shape \(n, n\), not \(5,\)"):
            cholesky_update(x, x)
        with pytest.raises(ValueError, match=r"shapes \(5,\) and \(\), not \(4,\) and \(\)"):
            cholesky_update(lower, x[:4])
        with pytest.raises(TypeError, match="x must be float64"):
            cholesky_update(lower, x.astype(np.float32))
