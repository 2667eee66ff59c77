"""The verbs of `lgm.linalg` by dense algebra with JAX's own derivatives: slow and plain."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

from lgm.linalg import Analysis

EPS = np.finfo(float).eps


def matrix(sym: Analysis, values: jax.Array) -> jax.Array:
    """The dense symmetric matrix with these stored entries."""
    lower = jnp.zeros((sym.n, sym.n)).at[sym.pattern.rows, sym.pattern.cols].set(values)
    return lower + jnp.tril(lower, -1).T


def logdet_quad(sym: Analysis, values: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Log-determinant, quadratic form and solution, for JAX to differentiate."""
    q = matrix(sym, values)
    x = jnp.linalg.solve(q, b)
    return jnp.linalg.slogdet(q)[1], b.T @ x, x


def selected_inverse(sym: Analysis, values: jax.Array) -> jax.Array:
    """The inverse at the stored positions."""
    return jnp.linalg.inv(matrix(sym, values))[sym.pattern.rows, sym.pattern.cols]


class Numbers:
    """Values and gradients by NumPy: nothing to compile, so fit for many shapes."""

    def __init__(self, sym: Analysis, values: np.ndarray) -> None:
        self.sym = sym
        self.q = sym.pattern.matrix(np.asarray(values)).toarray()
        self.inverse = np.linalg.inv(self.q)
        self.logdet = np.linalg.slogdet(self.q)[1]

    def stored(self, full: np.ndarray) -> np.ndarray:
        """Derivatives by stored entries from those by all entries: an off-diagonal one stands for two."""
        rows, cols = self.sym.pattern.rows, self.sym.pattern.cols
        return np.where(rows == cols, full[rows, cols], full[rows, cols] + full[cols, rows])

    def pullback(self, b: np.ndarray, g_logdet: float, g_quad: np.ndarray, g_x: np.ndarray) -> tuple[np.ndarray, ...]:
        """Gradients by values and by b of ``g_logdet logdet + <g_quad, B'X> + <g_x, X>`` with fixed weights."""
        x, v = self.inverse @ b, self.inverse @ g_x
        by_matrix = g_logdet * self.inverse - x @ g_quad @ x.T - v @ x.T
        return self.stored(by_matrix), x @ (g_quad + g_quad.T) + v


def tolerance(sym: Analysis, condition: float = 100.0) -> float:
    """Relative error to allow: a backward stable method loses about n * eps * condition; `positive` keeps to 100."""
    return 10 * sym.n * EPS * condition


def positive(pattern: sp.sparray, rng: np.random.Generator) -> sp.csc_array:
    """A matrix with this pattern whose eigenvalues lie in [1, 100] by Gershgorin: rows sums of absolute values < 1."""
    both = sp.csc_array(pattern)
    lower = sp.coo_array(sp.tril(both + both.T, -1))
    data = rng.uniform(-1.0, 1.0, size=lower.nnz)
    half = sp.csc_array((data, (lower.row, lower.col)), shape=pattern.shape)
    off = half + half.T
    reach = np.asarray(abs(off).sum(axis=1)).ravel() if off.nnz else np.zeros(pattern.shape[0])
    scale = 1.0 / np.maximum(reach, 1.0)
    shrunk = sp.diags_array(np.sqrt(scale)) @ off @ sp.diags_array(np.sqrt(scale))
    bound = np.asarray(abs(shrunk).sum(axis=1)).ravel().max(initial=0.0)
    return sp.csc_array(sp.diags_array(bound + rng.uniform(1.0, 3.0, size=pattern.shape[0])) + shrunk)
