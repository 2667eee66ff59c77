"""What `lgm.linalg` needs of JAX beyond its everyday interface; a failure here means that JAX has changed."""

import ast
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lgm.linalg
from lgm.linalg._jax import SymbolicZero, custom_vmap, linear_map, symmetric_map, vmap_in_parts

EVERYDAY = {"jax", "jax.ffi", "jax.lax", "jax.numpy", "jax.random", "jax.scipy.linalg", "jax.typing"}
MATRIX = np.array([[2.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.0, -1.0, 4.0]])


def of_jax(source: str) -> set[str]:
    """Modules of JAX that a file imports or reaches through the package."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "jax":
            name = f"jax.{node.attr}"
            if name in {"jax.core", "jax.custom_batching", "jax.extend", "jax.interpreters", "jax._src"}:
                found.add(name)
    return {name for name in found if name and name.split(".")[0] in {"jax", "jaxlib"}}


def test_one_file_leans_on_the_rest_of_jax() -> None:
    folder = Path(lgm.linalg.__file__).parent
    unusual = {path.name: of_jax(path.read_text()) - EVERYDAY for path in folder.glob("*.py")}
    assert {name: modules for name, modules in unusual.items() if modules} == {
        "_jax.py": {"jax.core", "jax.custom_batching", "jax.custom_derivatives", "jax.extend.core", "jax.interpreters"}
    }


def test_a_rule_for_batches_sees_what_is_batched() -> None:
    seen = []

    @custom_vmap
    def double(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        return 2.0 * x, 2.0 * y

    @double.def_vmap
    def rule(
        size: int, batched: list[bool], x: jax.Array, y: jax.Array
    ) -> tuple[tuple[jax.Array, ...], tuple[bool, ...]]:
        seen.append((size, tuple(batched)))
        return (2.0 * x, 2.0 * y), tuple(batched)

    found = jax.vmap(double, (None, 0), (None, 0))(jnp.ones(()), jnp.ones(5))
    assert seen == [(5, (False, True))] and found[0].shape == () and found[1].shape == (5,)


def test_a_derivative_rule_sees_what_is_not_differentiated() -> None:
    seen = []

    @jax.custom_jvp
    def product(x: jax.Array, y: jax.Array) -> jax.Array:
        return x * y

    def rule(primals: tuple[jax.Array, ...], tangents: tuple[Any, ...]) -> tuple[jax.Array, jax.Array]:
        seen.append(tuple(isinstance(tangent, SymbolicZero) for tangent in tangents))
        return primals[0] * primals[1], primals[0] * tangents[1]

    product.defjvp(rule, symbolic_zeros=True)
    assert jax.grad(product, 1)(3.0, 2.0) == 3.0
    assert seen == [(True, False)]


def times(values: jax.Array, direction: jax.Array) -> jax.Array:
    return symmetric_map(lambda v, d: v @ d, values, direction, "not by the values")


def test_a_symmetric_map_is_linear_batches_and_is_its_own_transpose() -> None:
    x, y = jnp.array([1.0, -2.0, 0.5]), jnp.array([0.3, 0.1, 2.0])
    function = jax.jit(lambda d: times(MATRIX, d))
    np.testing.assert_allclose(function(x), MATRIX @ x)
    np.testing.assert_allclose(jax.jvp(function, (x,), (y,))[1], MATRIX @ y)
    np.testing.assert_allclose(jax.vjp(function, x)[1](y)[0], MATRIX @ y)
    np.testing.assert_allclose(jax.jacrev(jax.jacfwd(lambda d: jnp.sum(function(d) ** 3)))(x), by_hand(x), rtol=1e-12)
    batch = jnp.stack([x, y])
    np.testing.assert_allclose(jax.vmap(function)(batch), batch @ MATRIX)
    both = jax.vmap(times)(jnp.stack([MATRIX, 2.0 * MATRIX]), batch)
    np.testing.assert_allclose(both, [MATRIX @ x, 2.0 * MATRIX @ y])


def by_hand(x: jax.Array) -> np.ndarray:
    """Second derivative of ``sum((M x)^3)``."""
    return MATRIX @ np.diag(6.0 * (MATRIX @ x)) @ MATRIX


@pytest.mark.parametrize("transform", [jax.grad, jax.jacfwd, jax.hessian])
def test_a_symmetric_map_refuses_derivatives_by_its_values(transform) -> None:
    def total(values: jax.Array) -> jax.Array:
        return jnp.sum(times(values, jnp.ones(3)))

    derivative = transform(total)
    with pytest.raises(NotImplementedError, match="not by the values"):
        derivative(jnp.asarray(MATRIX))
    with pytest.raises(NotImplementedError, match="not by the values"):
        jax.jit(jax.vmap(derivative))(jnp.stack([MATRIX, MATRIX]))


def test_a_linear_map_has_its_transpose() -> None:
    wide = np.arange(6.0).reshape(2, 3)

    def native(x: jax.Array) -> jax.Array:
        return linear_map(lambda x: jnp.asarray(wide) @ x, lambda y: jnp.asarray(wide.T) @ y, x, (2,))

    x = jnp.array([1.0, -1.0, 2.0])
    np.testing.assert_array_equal(native(x), wide @ x)
    np.testing.assert_array_equal(jax.jacrev(native)(x), wide)
    np.testing.assert_array_equal(jax.jacfwd(native)(x), wide)
    np.testing.assert_array_equal(jax.vmap(native)(jnp.stack([x, 2.0 * x])), jnp.stack([wide @ x, 2.0 * wide @ x]))


@pytest.mark.parametrize(("most", "width"), [(1, 1), (4, 3), (100, 6)])
def test_a_batch_in_parts(most: int, width: int) -> None:
    """By as many elements at once as divide it; arguments that they have in common stay so."""
    seen = []

    def function(x: Any, common: dict[str, Any]) -> Any:
        return {"sum": jnp.sum(x * common["a"]), "x": x}

    x, a = np.arange(12.0).reshape(6, 2), np.array([1.0, -2.0])
    in_parts = jax.vmap(vmap_in_parts(function, most), (0, None))
    found = in_parts(x, {"a": a})
    np.testing.assert_array_equal(found["sum"], x @ a)
    np.testing.assert_array_equal(found["x"], x)
    for equation in jax.make_jaxpr(in_parts)(x, {"a": a}).eqns:
        seen += [equation.params["length"]] if equation.primitive.name == "scan" else []
    assert sum(seen) == 6 // width
