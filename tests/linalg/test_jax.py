"""The parts of JAX that lgm.linalg leans on: these fail when a new version moves them."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.custom_batching import custom_vmap
from jax.custom_derivatives import SymbolicZero

from lgm.linalg._jax import symmetric_map

MATRIX = np.array([[2.0, 1.0], [1.0, 3.0]])


def test_a_rule_for_batches():
    @custom_vmap
    def double(x):
        return 2.0 * x

    @double.def_vmap
    def rule(size, batched, x):
        assert size == 3 and list(batched) == [True]
        return 5.0 * x, True

    assert jax.vmap(double)(jnp.ones(3)).tolist() == [5.0] * 3


def test_what_is_not_differentiated_is_marked():
    seen = []

    @jax.custom_jvp
    def first(x, y):
        return x

    def rule(primals, tangents):
        seen.append([isinstance(tangent, SymbolicZero) for tangent in tangents])
        return primals[0], tangents[0]

    first.defjvp(rule, symbolic_zeros=True)
    jax.jvp(lambda x: first(x, 1.0), (2.0,), (1.0,))
    assert seen == [[False, True]]
    assert "symmetric" in inspect.signature(jax.lax.custom_linear_solve).parameters


def apply(values, direction):
    return jnp.asarray(MATRIX) @ direction


def test_a_symmetric_map_has_a_transpose_and_batches():
    with jax.enable_x64(True):
        b = jnp.array([1.0, -2.0])
        out, back = jax.vjp(lambda d: symmetric_map(apply, jnp.ones(1), d, "no"), b)
        np.testing.assert_allclose(out, MATRIX @ [1.0, -2.0], rtol=1e-15)
        np.testing.assert_allclose(back(jnp.array([1.0, 0.0]))[0], MATRIX[0], rtol=1e-15)
        many = jax.vmap(lambda d: symmetric_map(apply, jnp.ones(1), d, "no"))(jnp.eye(2))
        np.testing.assert_allclose(many, MATRIX, rtol=1e-15)


def test_its_derivative_by_the_values_is_refused():
    with jax.enable_x64(True), pytest.raises(NotImplementedError, match="the third derivative"):
        jax.grad(lambda v: jnp.sum(symmetric_map(apply, v, jnp.ones(2), "the third derivative")))(jnp.ones(1))
