"""The verbs against dense algebra: values, derivatives, batches, failures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from linalg import dense_oracle as dense
from linalg.matrices import NAMES, matrices, named

from lgm.errors import NotPositiveDefiniteError
from lgm.linalg import (
    Analysis,
    analyse,
    factor_info,
    logdet,
    logdet_quad,
    marginal_variances,
    require_positive_definite,
    sample,
    selected_inverse,
    solve,
    solve_and_sample,
)


def close(found: jax.Array, wanted: jax.Array, tolerance: float) -> None:
    """Agreement relative to the largest entry of what is wanted."""
    scale = max(1.0, float(jnp.max(jnp.abs(wanted), initial=0.0)))
    np.testing.assert_allclose(found, wanted, rtol=0.0, atol=tolerance * scale)


def problem(name: str, columns: int | None = None) -> tuple[Analysis, jax.Array, jax.Array]:
    matrix = named(name)
    sym = analyse(matrix)
    shape = (sym.n,) if columns is None else (sym.n, columns)
    return sym, jnp.asarray(sym.values(matrix)), jnp.asarray(np.random.default_rng(3).normal(size=shape))


def check_values(sym: Analysis, values: jax.Array, b: jax.Array) -> None:
    @jax.jit
    def everything(v: jax.Array, rhs: jax.Array) -> tuple[jax.Array, ...]:
        fused = logdet_quad(sym, v, rhs)
        return *fused, logdet(sym, v), solve(sym, v, rhs), selected_inverse(sym, v), marginal_variances(sym, v)

    numbers = dense.Numbers(sym, values)
    x = numbers.inverse @ b
    z = numbers.inverse[sym.pattern.rows, sym.pattern.cols]
    wanted = numbers.logdet, b.T @ x, x, numbers.logdet, x, z, np.diag(numbers.inverse)
    for found, want in zip(everything(values, b), wanted, strict=True):
        assert found.shape == np.shape(want)
        close(found, want, dense.tolerance(sym))


@pytest.mark.parametrize("ordering", ["auto", "natural", "rcm", "amd", "metis"])
@pytest.mark.parametrize("name", ["grid", "crossed", "cube", "nested"])
def test_values_in_every_ordering(name: str, ordering: str) -> None:
    matrix = named(name)
    sym = analyse(matrix, ordering=ordering)
    check_values(sym, sym.values(matrix), np.random.default_rng(0).normal(size=(sym.n, 3)))


@pytest.mark.parametrize("name", NAMES)
def test_values(name: str) -> None:
    sym, values, b = problem(name)
    check_values(sym, values, b)
    assert int(factor_info(sym, values)) == 0


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


def test_no_right_hand_sides() -> None:
    sym, values, b = problem("grid", 0)
    found, quad, x = logdet_quad(sym, values, b)
    assert quad.shape == (0, 0) and x.shape == (144, 0)
    assert found == logdet(sym, values)


# Derivatives


def scalar(function, sym: Analysis, shape: tuple[int, ...]):
    """A generic scalar of all three results of `logdet_quad`, not symmetric in the columns."""
    weight_x, weight_quad = weights(shape)

    def objective(values: jax.Array, b: jax.Array) -> jax.Array:
        ld, quad, x = function(sym, values, b)
        return 1.3 * ld + jnp.sum(weight_quad * quad) + jnp.sum(weight_x * jnp.sin(x))

    return objective


def weights(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    return rng.normal(size=shape), rng.normal(size=(shape[1],) * 2 if len(shape) == 2 else ())


def check_gradient(sym: Analysis, values: jax.Array, b: jax.Array) -> None:
    """Reverse mode against the formula by NumPy, forward mode against reverse mode."""
    objective = scalar(logdet_quad, sym, b.shape)
    direction = (np.cos(values), np.cos(b))

    @jax.jit
    def both(v: jax.Array, rhs: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        return jax.grad(objective, (0, 1))(v, rhs), jax.jvp(objective, (v, rhs), direction)[1]

    (by_values, by_b), slope = both(values, b)
    columns = np.asarray(b).reshape(sym.n, -1)
    weight_x, weight_quad = (np.reshape(w, (-1, columns.shape[1])) for w in weights(b.shape))
    numbers = dense.Numbers(sym, values)
    g_x = weight_x * np.cos(numbers.inverse @ columns)
    wanted = numbers.pullback(columns, 1.3, weight_quad, g_x)
    close(by_values, wanted[0], dense.tolerance(sym))
    close(by_b.reshape(columns.shape), wanted[1], dense.tolerance(sym))
    close(slope, np.vdot(wanted[0], direction[0]) + np.vdot(wanted[1], direction[1].ravel()), dense.tolerance(sym))


@pytest.mark.parametrize("columns", [None, 3])
@pytest.mark.parametrize("name", NAMES)
def test_gradients(name: str, columns: int | None) -> None:
    check_gradient(*problem(name, columns))


@given(matrices())
@settings(max_examples=12, deadline=None)
def test_gradients_on_random_patterns(matrix: sp.coo_array) -> None:
    with jax.enable_x64(True):
        sym = analyse(matrix)
        check_gradient(sym, jnp.asarray(sym.values(matrix)), jnp.asarray(np.random.default_rng(0).normal(size=sym.n)))


def test_gradient_of_logdet_is_the_inverse_off_diagonals_twice() -> None:
    sym, values, _ = problem("grid")
    twice = jnp.where(sym.pattern.rows == sym.pattern.cols, 1.0, 2.0)
    inverse = dense.Numbers(sym, values).inverse[sym.pattern.rows, sym.pattern.cols]
    close(jax.grad(logdet, 1)(sym, values), twice * inverse, dense.tolerance(sym))


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


@pytest.mark.parametrize(("name", "columns"), [("one", None), ("arrowhead", 2), ("two components", None)])
def test_second_derivatives(name: str, columns: int | None) -> None:
    sym, values, b = problem(name, columns)
    ours, theirs = scalar(logdet_quad, sym, b.shape), scalar(dense.logdet_quad, sym, b.shape)
    wanted = jax.jit(jax.hessian(theirs, (0, 1)))(values, b)
    forward_over_reverse = jax.jit(jax.hessian(ours, (0, 1)))(values, b)
    reverse_over_reverse = jax.jit(jax.jacrev(jax.jacrev(ours, (0, 1)), (0, 1)))(values, b)
    for found in (forward_over_reverse, reverse_over_reverse):
        jax.tree.map(lambda f, w: close(f, w, dense.tolerance(sym, 1e4)), found, wanted)


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


@pytest.mark.parametrize("name", ["arrowhead", "chain"])
def test_derivatives_of_the_selected_inverse(name: str) -> None:
    sym, values, _ = problem(name)
    weight = jnp.asarray(np.random.default_rng(1).normal(size=sym.nnz))
    found = jax.jit(jax.grad(lambda v: weight @ selected_inverse(sym, v) ** 2))(values)
    wanted = jax.jit(jax.grad(lambda v: weight @ dense.selected_inverse(sym, v) ** 2))(values)
    close(found, wanted, dense.tolerance(sym))


def test_solve_has_derivatives_of_higher_order() -> None:
    sym, values, b = problem("two components")
    direction = jnp.cos(values)

    def along(function):
        return lambda t: jnp.sum(function(values + t * direction, b) ** 3)

    ours = along(lambda v, rhs: solve(sym, v, rhs))
    theirs = along(lambda v, rhs: jnp.linalg.solve(dense.matrix(sym, v), rhs))
    for _ in range(2):
        ours, theirs = jax.grad(ours), jax.grad(theirs)
        close(jax.jit(ours)(0.1), jax.jit(theirs)(0.1), dense.tolerance(sym, 1e4))


def test_what_has_no_derivative_says_so() -> None:
    sym, values, b = problem("chain")
    with pytest.raises(NotImplementedError, match="draws cannot be differentiated"):
        jax.grad(lambda v: sample(sym, v, jax.random.key(0)).sum())(values)
    third = jax.grad(lambda v: jax.grad(lambda u: jax.grad(lambda w: logdet(sym, w))(u).sum())(v).sum())
    with pytest.raises(NotImplementedError, match="third derivative"):
        third(values)


def test_one_native_call_for_value_and_gradient() -> None:
    sym, values, b = problem("grid")

    def objective(v: jax.Array) -> jax.Array:
        ld, quad, _ = logdet_quad(sym, v, b)
        return quad - ld

    def calls(function, *arguments) -> int:
        return jax.jit(function).lower(*arguments).compile().as_text().count('custom_call_target="lgm_')

    assert calls(objective, values) == 1
    assert calls(jax.value_and_grad(objective), values) == 1
    assert calls(jax.vmap(jax.value_and_grad(objective)), jnp.stack([values, values])) == 1
    assert calls(jax.grad(lambda v: logdet_quad(sym, v, b)[2].sum()), values) == 2


# Batches


def stacked(values: jax.Array, count: int) -> jax.Array:
    return values * jnp.linspace(1.0, 2.0, count)[:, None]


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


def test_batches_in_batches_with_gradients() -> None:
    sym, values, b = problem("arrowhead", 2)
    matrices_, vectors = stacked(values, 3), jnp.stack([b, 2 * b])
    gradient = jax.grad(scalar(logdet_quad, sym, b.shape), (0, 1))
    wanted_gradient = jax.grad(scalar(dense.logdet_quad, sym, b.shape), (0, 1))

    def nest(function):
        return jax.vmap(jax.vmap(function, (None, 0)), (0, None))

    found, wanted = jax.jit(nest(gradient))(matrices_, vectors), jax.jit(nest(wanted_gradient))(matrices_, vectors)
    jax.tree.map(lambda f, w: close(f, w, dense.tolerance(sym)), found, wanted)


def test_batched_hessians() -> None:
    sym, values, b = problem("arrowhead last")
    ours, theirs = (jax.hessian(scalar(f, sym, b.shape)) for f in (logdet_quad, dense.logdet_quad))
    batch = stacked(values, 3)
    found, wanted = (jax.jit(jax.vmap(f, (0, None)))(batch, b) for f in (ours, theirs))
    close(found, wanted, dense.tolerance(sym, 1e4))


# Draws


def test_draws_solve_the_triangular_system() -> None:
    sym, values, b = problem("cube", 2)
    z = jnp.asarray(np.random.default_rng(0).normal(size=(sym.n, 70)))
    found, x, draws = solve_and_sample(sym, values, b, z)
    close(found, logdet(sym, values), 1e-13)
    close(x, solve(sym, values, b), 1e-13)
    # u = P' L^-T P z has u'Qu = z'z and keeps inner products
    close(draws.T @ dense.matrix(sym, values) @ draws, z.T @ z, dense.tolerance(sym))
    vector = solve_and_sample(sym, values, b[:, 0], z[:, 0])
    assert vector[1].shape == vector[2].shape == (sym.n,)
    close(vector[2], draws[:, 0], 1e-13)


def test_draws_have_the_right_covariance() -> None:
    sym, values, mean = problem("arrowhead")
    count = 40_000
    draws = sample(sym, values, jax.random.key(1), mean, (count,))
    covariance = jnp.linalg.inv(dense.matrix(sym, values))
    spread = jnp.sqrt(jnp.diag(covariance))
    errors = (draws.mean(axis=0) - mean) / (spread / np.sqrt(count))
    assert jnp.max(jnp.abs(errors)) < 4.5
    found = jnp.cov(draws.T)
    error_of = jnp.sqrt((covariance**2 + jnp.outer(spread, spread) ** 2) / count)
    assert jnp.max(jnp.abs(found - covariance) / error_of) < 5.0


def test_draws_come_in_any_shape_and_are_reproducible() -> None:
    sym, values, mean = problem("chain")
    key = jax.random.key(0)
    assert sample(sym, values, key).shape == (sym.n,)
    draws = sample(sym, values, key, mean, (2, 3))
    assert draws.shape == (2, 3, sym.n)
    np.testing.assert_array_equal(draws, jax.jit(lambda v: sample(sym, v, key, mean, (2, 3)))(values))
    by_mean = jax.grad(lambda m: sample(sym, values, key, m, (2, 3)).sum())(mean)
    np.testing.assert_array_equal(by_mean, np.full(sym.n, 6.0))
    keys = jax.random.split(key, 4)
    close(jax.vmap(lambda k: sample(sym, values, k))(keys), jnp.stack([sample(sym, values, k) for k in keys]), 1e-13)


# Failures


@pytest.mark.parametrize("name", ["one", "grid", "full"])
@pytest.mark.parametrize("bad", [-1e3, 0.0, np.nan, np.inf, -np.inf])
def test_a_bad_element_spoils_nothing_else(name: str, bad: float) -> None:
    sym, values, b = problem(name)
    at = sym.pattern.indptr[sym.n // 2]
    batch = stacked(values, 3).at[1, at].set(bad)
    info = jax.vmap(lambda v: factor_info(sym, v))(batch)
    assert info.dtype == jnp.int32 and info[0] == info[2] == 0 and 1 <= info[1] <= sym.n
    function = jax.jit(jax.vmap(lambda v: (*logdet_quad(sym, v, b), jax.grad(lambda u: logdet(sym, u))(v))))
    for result in function(batch):
        assert bool(jnp.all(jnp.isnan(result[1])))
        assert bool(jnp.all(jnp.isfinite(result[0]))) and bool(jnp.all(jnp.isfinite(result[2])))


@pytest.mark.parametrize("bad", [1e6, np.nan, np.inf])
def test_a_bad_off_diagonal_entry_is_found(bad: float) -> None:
    sym, values, _ = problem("grid")
    off = int(np.flatnonzero(sym.pattern.rows != sym.pattern.cols)[17])
    assert int(factor_info(sym, values.at[off].set(bad))) > 0


def test_info_names_the_row_in_the_order_of_the_caller() -> None:
    sym = analyse(sp.eye_array(9), ordering=np.arange(9)[::-1])
    values = jnp.ones(9).at[6].set(-1.0)
    assert int(factor_info(sym, values)) == 7
    with pytest.raises(NotPositiveDefiniteError, match="9 x 9 matrix is not positive definite: the pivot of row 6"):
        require_positive_definite(sym, values)
    with pytest.raises(NotPositiveDefiniteError, match="not finite"):
        require_positive_definite(sym, values.at[6].set(jnp.inf))
    require_positive_definite(sym, jnp.ones(9))


def test_without_x64_the_verbs_say_how_to_switch_it_on() -> None:
    sym = analyse(named("chain"))
    with (
        jax.enable_x64(False),
        pytest.raises(TypeError, match="jax.config.update.*jax_enable_x64.*with jax.enable_x64"),
    ):
        logdet(sym, np.ones(sym.nnz))


def test_shapes_and_types_are_checked() -> None:
    sym, values, b = problem("chain")
    with pytest.raises(ValueError, match=r"values must have shape \(79,\).*not \(78,\)"):
        logdet(sym, values[1:])
    with pytest.raises(ValueError, match=r"b must have shape \(40,\) or \(40, k\), not \(39,\)"):
        solve(sym, values, b[1:])
    with pytest.raises(ValueError, match=r"mean must have shape \(40,\), not \(40, 1\)"):
        sample(sym, values, jax.random.key(0), b[:, None])
    with pytest.raises(TypeError, match="values must be float64, not float32"):
        logdet(sym, values.astype(jnp.float32))
    close(solve(sym, values, np.arange(40)), solve(sym, values, np.arange(40.0)), 0.0)
