"""The sparse kernel behind the verbs: orderings, random patterns, native calls, bits, derivatives of its own."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from linalg import dense_oracle as dense
from linalg.matrices import matrices, named
from linalg.problems import check_gradient, check_values, close, problem, scalar, stacked

from lgm.errors import NotPositiveDefiniteError
from lgm.linalg import (
    analyse,
    factor_info,
    logdet,
    logdet_quad,
    require_positive_definite,
    selected_inverse,
    solve,
    solve_and_invert,
)


@pytest.mark.parametrize("ordering", ["auto", "natural", "rcm", "amd", "metis"])
@pytest.mark.parametrize("name", ["grid", "crossed", "balanced", "cube", "nested"])
def test_values_in_every_ordering(name: str, ordering: str) -> None:
    matrix = named(name)
    sym = analyse(matrix, ordering=ordering)
    check_values(sym, sym.values(matrix), np.random.default_rng(0).normal(size=(sym.n, 3)))


@given(matrices())
@settings(max_examples=25, deadline=None)
def test_values_on_random_patterns(matrix: sp.coo_array) -> None:
    with jax.enable_x64(True):
        sym = analyse(matrix)
        check_values(sym, sym.values(matrix), np.random.default_rng(0).normal(size=sym.n))


@pytest.mark.parametrize("columns", [1, 7, 64, 65, 130])
def test_any_number_of_right_hand_sides(columns: int) -> None:
    sym, values, b = problem("cube", columns)
    check_values(sym, values, b)


@given(matrices())
@settings(max_examples=12, deadline=None)
def test_gradients_on_random_patterns(matrix: sp.coo_array) -> None:
    with jax.enable_x64(True):
        sym = analyse(matrix)
        check_gradient(sym, jnp.asarray(sym.values(matrix)), jnp.asarray(np.random.default_rng(0).normal(size=sym.n)))


def test_gradients_by_central_differences() -> None:
    sym, values, b = problem("nested")
    objective = jax.jit(scalar(logdet_quad, sym, b.shape))
    gradient = jax.jit(jax.grad(objective))(values, b)
    step = np.finfo(float).eps ** (1 / 3)  # truncation and rounding errors are then both about step^2
    rng = np.random.default_rng(0)
    for k in rng.choice(sym.nnz, size=15, replace=False):
        move = jnp.zeros(sym.nnz).at[k].set(step)
        slope = (objective(values + move, b) - objective(values - move, b)) / (2 * step)
        np.testing.assert_allclose(gradient[k], slope, rtol=0, atol=1e4 * step**2)


def test_second_derivative_in_a_few_parameters() -> None:
    sym, values, b = problem("cube")
    scale = jnp.where(sym.pattern.rows == sym.pattern.cols, 1.0, 0.0)

    def objective(theta: jax.Array) -> jax.Array:
        ld, quad, _ = logdet_quad(sym, jnp.exp(theta[0]) * values + jnp.exp(theta[1]) * scale, b)
        return 0.5 * quad - 0.5 * ld

    theta = jnp.array([0.3, -0.4])
    step = np.finfo(float).eps ** (1 / 3)
    gradient = jax.jit(jax.grad(objective))
    numerical = jnp.stack([(gradient(theta + e) - gradient(theta - e)) / (2 * step) for e in step * jnp.eye(2)])
    np.testing.assert_allclose(jax.jit(jax.hessian(objective))(theta), numerical, rtol=0, atol=1e5 * step**2)


def test_a_third_derivative_of_the_log_determinant_is_refused() -> None:
    sym, values, _ = problem("chain")
    third = jax.grad(lambda v: jax.grad(lambda u: jax.grad(lambda w: logdet(sym, w))(u).sum())(v).sum())
    with pytest.raises(NotImplementedError, match="third derivative"):
        third(values)
    with pytest.raises(NotImplementedError, match="third derivative"):
        jax.jit(jax.vmap(third))(stacked(values, 2))


def test_one_factorisation_for_value_and_gradient() -> None:
    """Products with the entries, which are passes over them, are calls of their own."""
    sym, values, b = problem("grid")

    def objective(v: jax.Array) -> jax.Array:
        ld, quad, _ = logdet_quad(sym, v, b)
        return quad - ld

    def calls(function, *arguments) -> int:
        program = jax.jit(function).lower(*arguments).compile().as_text()
        return len(re.findall('custom_call_target="lgm_(?!multiply|outer)', program))

    assert calls(objective, values) == 1
    assert calls(jax.value_and_grad(objective), values) == 1
    assert calls(jax.vmap(jax.value_and_grad(objective)), jnp.stack([values, values])) == 1
    assert calls(jax.grad(lambda v: logdet_quad(sym, v, b)[2].sum()), values) == 2
    assert calls(lambda v: solve_and_invert(sym, v, b), values) == 1
    assert calls(jax.grad(lambda v: solve_and_invert(sym, v, b)[0]), values) == 1
    assert calls(jax.grad(lambda v: solve_and_invert(sym, v, b)[2].sum()), values) == 1


@pytest.mark.parametrize("name", ["one", "chain", "grid", "crossed", "cube"])
def test_a_batch_equals_a_loop_bit_by_bit(name: str) -> None:
    sym, values, b = problem(name)
    batch = stacked(values, 5)
    function = jax.jit(lambda v: (*logdet_quad(sym, v, b), selected_inverse(sym, v)))
    looped = [function(v) for v in batch]
    together = jax.jit(jax.vmap(function))(batch)
    for k, one in enumerate(looped):
        for found, wanted in zip(together, one, strict=True):
            if found.ndim == 1:  # sums of products are XLA's, in an order of its own
                np.testing.assert_allclose(found[k], wanted, rtol=1e-13)
            else:
                np.testing.assert_array_equal(found[k], wanted)


def test_one_matrix_and_many_right_hand_sides_is_factored_once() -> None:
    sym, values, b = problem("grid")
    many = stacked(b, 4)
    lowered = jax.jit(jax.vmap(lambda rhs: solve(sym, values, rhs))).lower(many).compile().as_text() or ""
    assert lowered.count('custom_call_target="lgm_') == 1
    assert "f64[1,144,4]" in lowered or "f64[144,4]" in lowered  # four columns, not four matrices
    close(jax.vmap(lambda rhs: solve(sym, values, rhs))(many), jnp.stack([solve(sym, values, r) for r in many]), 1e-12)


def test_batched_hessians() -> None:
    sym, values, b = problem("arrowhead last")
    ours, theirs = (jax.hessian(scalar(f, sym, b.shape)) for f in (logdet_quad, dense.logdet_quad))
    batch = stacked(values, 3)
    found, wanted = (jax.jit(jax.vmap(f, (0, None)))(batch, b) for f in (ours, theirs))
    close(found, wanted, dense.tolerance(sym, 1e4))


def test_info_names_the_row_in_the_order_of_the_caller() -> None:
    sym = analyse(sp.eye_array(9), ordering=np.arange(9)[::-1])
    values = jnp.ones(9).at[6].set(-1.0)
    assert int(factor_info(sym, values)) == 7
    with pytest.raises(NotPositiveDefiniteError, match="9 x 9 matrix is not positive definite: the pivot of row 6"):
        require_positive_definite(sym, values)
    with pytest.raises(NotPositiveDefiniteError, match="not finite"):
        require_positive_definite(sym, values.at[6].set(jnp.inf))
    require_positive_definite(sym, jnp.ones(9))
