"""Every verb on every backend: values, derivatives, batches, draws, failures, refusals."""

import pickle
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
from linalg import dense_oracle as dense
from linalg.matrices import NAMES, named
from linalg.problems import Analyse, check_gradient, check_values, close, quickly, scalar, stacked
from linalg.problems import problem as problem_of

from lgm.errors import NotPositiveDefiniteError
from lgm.linalg import (
    analyse,
    analyse_dense,
    factor_info,
    logdet,
    logdet_quad,
    marginal_variances,
    require_positive_definite,
    sample,
    selected_inverse,
    solve,
    solve_and_invert,
    solve_and_sample,
)
from lgm.pattern import Pattern


@pytest.fixture(params=[analyse, analyse_dense], ids=["sparse", "dense"])
def backend(request: pytest.FixtureRequest) -> Analyse:
    """What makes the analysis."""
    return request.param


# To dense algebra a pattern is a pattern, and derivatives are made of what `test_values` finds right on all patterns.
SHAPES: list[tuple[Analyse, str]] = [(analyse, name) for name in NAMES]
SHAPES += [(analyse_dense, name) for name in ("one", "two components", "nested")]
FEW_SHAPES: list[tuple[Analyse, str]] = [
    (analyse, "one"),
    (analyse, "two components"),
    (analyse, "nested"),
    (analyse, "cube"),
]
FEW_SHAPES += [(analyse_dense, "one"), (analyse_dense, "two components")]


@pytest.fixture
def problem(backend: Analyse):
    """A matrix, analysed by the backend, and right-hand sides."""
    return partial(problem_of, analyse=backend)


@pytest.mark.parametrize(("backend", "name"), SHAPES, indirect=["backend"])
def test_values(problem, name: str) -> None:
    sym, values, b = problem(name)
    check_values(sym, values, b)
    assert int(factor_info(sym, values)) == 0


def test_no_right_hand_sides(problem) -> None:
    sym, values, b = problem("grid", 0)
    found, quad, x = logdet_quad(sym, values, b)
    assert quad.shape == (0, 0) and x.shape == (144, 0)
    assert found == logdet(sym, values)


@pytest.mark.parametrize("columns", [None, 3])
@pytest.mark.parametrize(("backend", "name"), FEW_SHAPES, indirect=["backend"])
def test_gradients(problem, name: str, columns: int | None) -> None:
    check_gradient(*problem(name, columns))


def test_gradient_of_logdet_is_the_inverse_off_diagonals_twice(problem) -> None:
    sym, values, _ = problem("grid")
    twice = np.where(sym.pattern.rows == sym.pattern.cols, 1.0, 2.0)
    inverse = dense.Numbers(sym, values).inverse[sym.pattern.rows, sym.pattern.cols]
    close(jax.grad(logdet, 1)(sym, values), twice * inverse, dense.tolerance(sym))


@pytest.mark.parametrize(("name", "columns"), [("one", None), ("arrowhead", 2), ("two components", None)])
def test_second_derivatives(problem, name: str, columns: int | None) -> None:
    sym, values, b = problem(name, columns)
    ours, theirs = scalar(logdet_quad, sym, b.shape), scalar(dense.logdet_quad, sym, b.shape)
    wanted = jax.jit(jax.hessian(theirs, (0, 1)))(values, b)
    forward_over_reverse = jax.jit(jax.hessian(ours, (0, 1)))(values, b)
    reverse_over_reverse = jax.jit(jax.jacrev(jax.jacrev(ours, (0, 1)), (0, 1)))(values, b)
    for found in (forward_over_reverse, reverse_over_reverse):
        jax.tree.map(lambda f, w: close(f, w, dense.tolerance(sym, 1e4)), found, wanted)


@pytest.mark.parametrize("name", ["arrowhead", "chain"])
def test_derivatives_of_the_selected_inverse(problem, name: str) -> None:
    sym, values, _ = problem(name)
    weight = jnp.asarray(np.random.default_rng(1).normal(size=sym.nnz))
    found = jax.jit(jax.grad(lambda v: weight @ selected_inverse(sym, v) ** 2))(values)
    wanted = jax.jit(jax.grad(lambda v: weight @ dense.selected_inverse(sym, v) ** 2))(values)
    close(found, wanted, dense.tolerance(sym))


def test_solve_has_derivatives_of_higher_order(problem) -> None:
    sym, values, b = problem("two components")
    direction = jnp.cos(values)

    def along(function):
        return lambda t: jnp.sum(function(values + t * direction, b) ** 3)

    ours = along(lambda v, rhs: solve(sym, v, rhs))
    theirs = along(lambda v, rhs: jnp.linalg.solve(dense.matrix(sym, v), rhs))
    for _ in range(2):
        ours, theirs = jax.grad(ours), jax.grad(theirs)
        close(jax.jit(ours)(0.1), jax.jit(theirs)(0.1), dense.tolerance(sym, 1e4))


def test_batches_in_batches_with_gradients(problem) -> None:
    sym, values, b = problem("arrowhead", 2)
    matrices_, vectors = stacked(values, 3), jnp.stack([b, 2 * b])
    gradient = jax.grad(scalar(logdet_quad, sym, b.shape), (0, 1))
    wanted_gradient = jax.grad(scalar(dense.logdet_quad, sym, b.shape), (0, 1))

    def nest(function):
        return jax.vmap(jax.vmap(function, (None, 0)), (0, None))

    found, wanted = jax.jit(nest(gradient))(matrices_, vectors), jax.jit(nest(wanted_gradient))(matrices_, vectors)
    jax.tree.map(lambda f, w: close(f, w, dense.tolerance(sym)), found, wanted)


def test_draws_solve_the_triangular_system(problem) -> None:
    sym, values, b = problem("cube", 2)
    z = np.random.default_rng(0).normal(size=(sym.n, 70))
    found, x, draws = map(np.asarray, solve_and_sample(sym, values, b, z))
    close(found, logdet(sym, values), 1e-13)
    close(x, solve(sym, values, b), 1e-13)
    # u = P' L^-T P z has u'Qu = z'z and keeps inner products
    close(draws.T @ dense.Numbers(sym, values).q @ draws, z.T @ z, dense.tolerance(sym))
    vector = solve_and_sample(sym, values, b[:, 0], z[:, 0])
    assert vector[1].shape == vector[2].shape == (sym.n,)
    close(vector[2], draws[:, 0], 1e-13)


def test_draws_have_the_right_covariance(problem) -> None:
    sym, values, mean = problem("arrowhead")
    count = 40_000
    draws = np.asarray(sample(sym, values, jax.random.key(1), mean, (count,)))
    covariance = dense.Numbers(sym, values).inverse
    spread = np.sqrt(np.diag(covariance))
    errors = (draws.mean(axis=0) - mean) / (spread / np.sqrt(count))
    assert np.max(np.abs(errors)) < 4.5
    found = np.cov(draws.T)
    error_of = np.sqrt((covariance**2 + np.outer(spread, spread) ** 2) / count)
    assert np.max(np.abs(found - covariance) / error_of) < 5.0


def test_draws_come_in_any_shape_and_are_reproducible(problem) -> None:
    sym, values, mean = problem("chain")
    key = jax.random.key(0)
    assert sample(sym, values, key).shape == (sym.n,)
    draws = sample(sym, values, key, mean, (2, 3))
    assert draws.shape == (2, 3, sym.n)
    close(draws, jax.jit(lambda v: sample(sym, v, key, mean, (2, 3)))(values), 1e-13)
    np.testing.assert_array_equal(draws, sample(sym, values, key, mean, (2, 3)))
    by_mean = jax.grad(lambda m: sample(sym, values, key, m, (2, 3)).sum())(mean)
    np.testing.assert_array_equal(by_mean, np.full(sym.n, 6.0))
    keys = jax.random.split(key, 4)
    close(jax.vmap(lambda k: sample(sym, values, k))(keys), jnp.stack([sample(sym, values, k) for k in keys]), 1e-13)


@pytest.mark.parametrize("name", ["one", "grid", "full"])
def test_a_bad_element_spoils_nothing_else(problem, name: str) -> None:
    sym, values, b = problem(name)
    at = sym.pattern.indptr[sym.n // 2]
    batch = np.array(stacked(values, 11))
    batch[1::2, at] = [-1e3, 0.0, np.nan, np.inf, -np.inf]  # between good ones

    @quickly
    @jax.vmap
    def function(v: jax.Array) -> tuple[jax.Array, ...]:
        return factor_info(sym, v), *logdet_quad(sym, v, b), jax.grad(lambda u: logdet(sym, u))(v)

    info, *results = map(np.asarray, function(batch))
    assert info.dtype == np.int32 and np.all(info[::2] == 0) and np.all((info[1::2] >= 1) & (info[1::2] <= sym.n))
    for result in results:
        assert np.all(np.isnan(result[1::2])) and np.all(np.isfinite(result[::2]))


@pytest.mark.parametrize("bad", [1e6, np.nan, np.inf])
def test_a_bad_off_diagonal_entry_is_found(problem, bad: float) -> None:
    sym, values, _ = problem("grid")
    off = int(np.flatnonzero(sym.pattern.rows != sym.pattern.cols)[17])
    assert int(factor_info(sym, values.at[off].set(bad))) > 0


def test_without_x64_the_verbs_say_how_to_switch_it_on(backend: Analyse) -> None:
    sym = backend(named("chain"))
    with (
        jax.enable_x64(False),
        pytest.raises(TypeError, match="jax.config.update.*jax_enable_x64.*with jax.enable_x64"),
    ):
        logdet(sym, np.ones(sym.nnz))


def test_shapes_and_types_are_checked(problem) -> None:
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


def test_draws_have_no_derivative_by_the_matrix(problem) -> None:
    sym, values, b = problem("chain")
    with pytest.raises(NotImplementedError, match="draws cannot be differentiated"):
        jax.grad(lambda v: sample(sym, v, jax.random.key(0)).sum())(values)
    with pytest.raises(NotImplementedError, match="draws cannot be differentiated"):
        jax.grad(lambda v: solve_and_sample(sym, v, b, b)[0])(values)


def test_solve_and_invert_is_its_parts(problem) -> None:
    sym, values, b = problem("crossed", 2)
    apart = (logdet(sym, values), solve(sym, values, b), selected_inverse(sym, values))
    for found, wanted in zip(solve_and_invert(sym, values, b), apart, strict=True):
        close(found, wanted, 1e-13)
    _, x, z = solve_and_invert(sym, values, b[:, 0])
    assert x.shape == (sym.n,)
    close(z[sym.pattern.indptr[:-1]], marginal_variances(sym, values), 1e-13)


@pytest.mark.parametrize("columns", [None, 2])
def test_derivatives_of_solve_and_invert(problem, columns: int | None) -> None:
    sym, values, b = problem("arrowhead", columns)
    rng = np.random.default_rng(1)
    on_z, on_x = rng.normal(size=sym.nnz), rng.normal(size=b.shape)

    def objective(ld: jax.Array, x: jax.Array, z: jax.Array) -> jax.Array:
        return 0.7 * ld + jnp.sum(on_x * jnp.sin(x)) + on_z @ z**2

    def plain(v: jax.Array, rhs: jax.Array) -> jax.Array:
        ld, _, x = dense.logdet_quad(sym, v, rhs)
        return objective(ld, x, dense.selected_inverse(sym, v))

    ours = jax.jit(jax.grad(lambda v, rhs: objective(*solve_and_invert(sym, v, rhs)), (0, 1)))
    theirs = jax.jit(jax.grad(plain, (0, 1)))
    for found, wanted in zip(ours(values, b), theirs(values, b), strict=True):
        close(found, wanted, dense.tolerance(sym))
    batch = stacked(values, 3)
    together = jax.jit(jax.vmap(ours, (0, None)))(batch, b)
    for k, one in enumerate(batch):
        for found, wanted in zip(together, theirs(one, b), strict=True):
            close(found[k], wanted, dense.tolerance(sym))


@pytest.mark.parametrize("bad", [-1e3, 0.0, np.nan, np.inf])
def test_what_a_bad_matrix_gives_is_nan_throughout(problem, bad: float) -> None:
    sym, values, b = problem("grid", 2)
    spoiled = np.array(values)
    spoiled[sym.pattern.indptr[70]] = bad
    results = (
        logdet_quad(sym, spoiled, b),
        solve(sym, spoiled, b),
        solve_and_invert(sym, spoiled, b),
        solve_and_sample(sym, spoiled, b, b),
        sample(sym, spoiled, jax.random.key(0)),
        selected_inverse(sym, spoiled),
        marginal_variances(sym, spoiled),
    )
    for found in jax.tree.leaves(results):
        assert np.all(np.isnan(found))


def test_info_names_a_row(backend: Analyse) -> None:
    sym = backend(sp.eye_array(9))
    each = jnp.ones((9, 9)) - 2.0 * jnp.eye(9)
    np.testing.assert_array_equal(jax.vmap(lambda v: factor_info(sym, v))(each), np.arange(1, 10))
    spoiled = jnp.ones(9).at[6].set(-1.0)
    with pytest.raises(NotPositiveDefiniteError, match="9 x 9 matrix is not positive definite: the pivot of row 6"):
        require_positive_definite(sym, spoiled)
    with pytest.raises(NotPositiveDefiniteError, match="not finite"):
        require_positive_definite(sym, spoiled.at[6].set(jnp.inf))
    require_positive_definite(sym, jnp.ones(9))
    assert float(jax.grad(lambda v: v[0] * factor_info(sym, v))(spoiled)[0]) == 7.0


def test_an_analysis_is_a_static_value(backend: Analyse) -> None:
    matrix = named("grid")
    one, other = backend(matrix), backend(Pattern.of(matrix))
    assert one == other and hash(one) == hash(other) and one != backend(named("chain"))
    assert pickle.loads(pickle.dumps(one)) == one and pickle.loads(pickle.dumps(one)).pattern == one.pattern
    with pytest.raises(AttributeError):
        setattr(one, "pattern", other.pattern)  # noqa: B010 - what a user may try
    traces = []

    def traced(sym, v):
        traces.append(1)
        return logdet(sym, v)

    static = jax.jit(traced, static_argnums=0)
    static(one, one.values(matrix)), static(other, one.values(matrix))
    assert traces == [1]


def test_backends_are_different_values() -> None:
    matrix = named("grid")
    assert analyse(matrix) != analyse_dense(matrix) and analyse_dense(matrix) != analyse(matrix)


def test_matrices_without_rows_and_not_square(backend: Analyse) -> None:
    with pytest.raises(ValueError, match="without rows"):
        backend(sp.csc_array((0, 0)))
    with pytest.raises(ValueError, match="square"):
        backend(sp.csc_array((2, 3)))


def test_what_is_not_an_analysis_is_refused() -> None:
    with pytest.raises(TypeError, match="take an analysis, as from analyse.Q., not a Pattern"):
        logdet(Pattern.diagonal(2), jnp.ones(2))
