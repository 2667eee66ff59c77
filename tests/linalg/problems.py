"""Problems and checks that the tests of all backends share."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from linalg import dense_oracle as dense
from linalg.matrices import named

from lgm.linalg import (
    Analysis,
    analyse,
    logdet,
    logdet_quad,
    marginal_variances,
    selected_inverse,
    solve,
    solve_and_invert,
)
from lgm.xla import QUICK

Analyse = Callable[..., Analysis]
quickly = partial(jax.jit, compiler_options=QUICK)  # as the package does: most of such a test is compilation


def close(found: jax.Array, wanted: jax.Array, tolerance: float) -> None:
    """Agreement relative to the largest entry of what is wanted."""
    scale = max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
    np.testing.assert_allclose(found, wanted, rtol=0.0, atol=tolerance * scale)


def problem(name: str, columns: int | None = None, analyse: Analyse = analyse) -> tuple[Analysis, jax.Array, jax.Array]:
    """A matrix of `NAMES` as an analysis and its values, and right-hand sides."""
    matrix = named(name)
    sym = analyse(matrix)
    shape = (sym.n,) if columns is None else (sym.n, columns)
    return sym, jnp.asarray(sym.values(matrix)), jnp.asarray(np.random.default_rng(3).normal(size=shape))


def check_values(sym: Analysis, values: jax.Array, b: jax.Array) -> None:
    """Every verb that has a value, in one compiled function, against NumPy."""

    @quickly
    def everything(v: jax.Array, rhs: jax.Array) -> tuple[jax.Array, ...]:
        fused = logdet_quad(sym, v, rhs)
        single = logdet(sym, v), solve(sym, v, rhs), selected_inverse(sym, v), marginal_variances(sym, v)
        return *fused, *single, *solve_and_invert(sym, v, rhs)

    numbers = dense.Numbers(sym, values)
    x = numbers.inverse @ b
    z = numbers.inverse[sym.pattern.rows, sym.pattern.cols]
    wanted = numbers.logdet, b.T @ x, x, numbers.logdet, x, z, np.diag(numbers.inverse), numbers.logdet, x, z
    for found, want in zip(everything(values, b), wanted, strict=True):
        assert found.shape == np.shape(want)
        close(found, want, dense.tolerance(sym))


def scalar(function, sym: Analysis, shape: tuple[int, ...]):
    """A generic scalar of all three results of `logdet_quad`, not symmetric in the columns."""
    weight_x, weight_quad = weights(shape)

    def objective(values: jax.Array, b: jax.Array) -> jax.Array:
        ld, quad, x = function(sym, values, b)
        return 1.3 * ld + jnp.sum(weight_quad * quad) + jnp.sum(weight_x * jnp.sin(x))

    return objective


def weights(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the entries of the solution and of the quadratic form."""
    rng = np.random.default_rng(7)
    return rng.normal(size=shape), rng.normal(size=(shape[1],) * 2 if len(shape) == 2 else ())


def check_gradient(sym: Analysis, values: jax.Array, b: jax.Array) -> None:
    """Reverse mode against the formula by NumPy, forward mode against reverse mode."""
    objective = scalar(logdet_quad, sym, b.shape)
    direction = (np.cos(values), np.cos(b))

    @quickly
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


def stacked(values: jax.Array, count: int) -> jax.Array:
    """A batch of positive multiples."""
    return jnp.asarray(np.asarray(values) * np.linspace(1.0, 2.0, count)[:, None])
