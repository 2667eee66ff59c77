"""JAX verbs on a symmetric positive definite matrix ``Q``, given by its analysis and its values in pattern order.

Every verb factors Q once and uses the factor at once, by the backend that belongs to the class of the analysis. All
work under ``jit``, ``vmap`` and the differentiation of JAX. A matrix that is not positive definite, or not finite,
gives NaN for its element of the batch and never an exception; `factor_info` says where it failed.

Everything is float64, so JAX's x64 mode must be on. Every verb raises TypeError if it is not or if an argument is not
float64, and ValueError if a shape does not fit.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from lgm.errors import NotPositiveDefiniteError
from lgm.linalg import backend
from lgm.linalg._arguments import as_columns, matrix_values, no_columns, vectors
from lgm.linalg.analysis import Analysis


def logdet_quad(sym: Analysis, values: ArrayLike, b: ArrayLike) -> tuple[jax.Array, jax.Array, jax.Array]:
    """``log|Q|``, ``b' Q^-1 b`` and ``Q^-1 b`` from one factorisation.

    With k columns the quadratic form is the k x k matrix ``B' Q^-1 B``. When differentiated, the same call also finds
    the inverse of Q on its pattern, from which the gradients of the first two follow without further solves; a
    cotangent of the third costs one more factorisation and solve.

    Parameters
    ----------
    sym : Analysis
        The pattern of Q, from `analyse` or `analyse_dense`; static.
    values : float array (nnz,)
        Q in pattern order. A stored off-diagonal stands for two entries, so its derivative is that of both together.
    b : float array (n,) or (n, k)
        One or several vectors.

    Returns
    -------
    logdet : float array ()
    quad : float array () or (k, k)
    x : float array, like `b`

    Raises
    ------
    TypeError
        If JAX is not in x64 mode or an argument is not float64.
    ValueError
        If a shape does not fit.

    References
    ----------
    Takahashi, Fagan & Chin (1973), Proc. 8th PICA Conf., 63-69 (the inverse on the pattern); Rue & Held (2005),
    Gaussian Markov Random Fields, sec. 2.3.

    Examples
    --------
    >>> import jax, numpy as np, scipy.sparse as sp
    >>> from lgm.linalg import analyse
    >>> Q = sp.csc_array([[4.0, 2.0], [2.0, 5.0]])
    >>> sym = analyse(Q)
    >>> with jax.enable_x64(True):
    ...     logdet, quad, x = logdet_quad(sym, sym.values(Q), np.array([4.0, 2.0]))
    >>> round(float(np.exp(logdet)), 6), round(float(quad), 6), x.round(6).tolist()
    (16.0, 4.0, [1.0, 0.0])
    """
    q, rhs = matrix_values(sym, values), vectors(sym, b, "b")
    logdet, quad, x = backend.logdet_quad(sym, q, as_columns(rhs))
    if rhs.ndim == 2:
        return logdet, quad, x
    return logdet, quad[0, 0], x[:, 0]


def logdet(sym: Analysis, values: ArrayLike) -> jax.Array:
    """``log|Q|``, a scalar; its gradient (nnz,) is the inverse of Q on the pattern, doubled off the diagonal.

    Arguments as for `logdet_quad`; differentiable twice.

    Examples
    --------
    >>> import jax, numpy as np, scipy.sparse as sp
    >>> from lgm.linalg import analyse
    >>> Q = sp.csc_array([[4.0, 2.0], [2.0, 5.0]])
    >>> sym = analyse(Q)
    >>> with jax.enable_x64(True):
    ...     value, gradient = jax.value_and_grad(logdet, argnums=1)(sym, sym.values(Q))
    >>> round(float(np.exp(value)), 6), gradient.round(6).tolist()
    (16.0, [0.3125, -0.25, 0.25])
    """
    return backend.logdet_quad(sym, matrix_values(sym, values), no_columns(sym))[0]


def solve(sym: Analysis, values: ArrayLike, b: ArrayLike) -> jax.Array:
    """``Q^-1 b`` for one vector (n,) or several (n, k), in the shape of `b`.

    Arguments as for `logdet_quad`; differentiable to any order in `values` and `b`.

    Examples
    --------
    >>> import jax, numpy as np, scipy.sparse as sp
    >>> from lgm.linalg import analyse
    >>> Q = sp.csc_array([[4.0, 2.0], [2.0, 5.0]])
    >>> sym = analyse(Q)
    >>> with jax.enable_x64(True):
    ...     solve(sym, sym.values(Q), np.array([4.0, 2.0])).round(6).tolist()
    [1.0, 0.0]
    """
    q, rhs = matrix_values(sym, values), vectors(sym, b, "b")
    return backend.solve(sym, q, as_columns(rhs)).reshape(rhs.shape)


def solve_and_invert(sym: Analysis, values: ArrayLike, b: ArrayLike) -> tuple[jax.Array, jax.Array, jax.Array]:
    """``log|Q|``, ``Q^-1 b`` and the inverse on the pattern from one factorisation.

    For conditional variances: those of single elements are in the inverse, those of other linear functionals take a
    solution. Differentiable once.

    Parameters
    ----------
    sym, values
        The matrix, as for `logdet_quad`.
    b : float array (n,) or (n, k)
        Right-hand sides.

    Returns
    -------
    logdet : float array ()
    x : float array, like `b`
    z : float array (nnz,)
        ``(Q^-1)_ij`` at every stored position, in pattern order.

    References
    ----------
    Takahashi, Fagan & Chin (1973), Proc. 8th PICA Conf., 63-69.

    Examples
    --------
    >>> import jax, numpy as np, scipy.sparse as sp
    >>> from lgm.linalg import analyse
    >>> Q = sp.csc_array([[4.0, 2.0], [2.0, 5.0]])
    >>> sym = analyse(Q)
    >>> with jax.enable_x64(True):
    ...     logdet, x, z = solve_and_invert(sym, sym.values(Q), np.array([4.0, 2.0]))
    >>> round(float(np.exp(logdet)), 6), x.round(6).tolist(), z.round(6).tolist()
    (16.0, [1.0, 0.0], [0.3125, -0.125, 0.25])
    """
    q, rhs = matrix_values(sym, values), vectors(sym, b, "b")
    logdet, x, z = backend.solve_and_invert(sym, q, as_columns(rhs))
    return logdet, x.reshape(rhs.shape), z


def selected_inverse(sym: Analysis, values: ArrayLike) -> jax.Array:
    """``(Q^-1)_ij`` at every stored position (nnz,), in pattern order; arguments as for `logdet_quad`.

    Differentiable once. `solve_and_invert` solves in the same factorisation.
    """
    return backend.solve_and_invert(sym, matrix_values(sym, values), no_columns(sym))[2]


def marginal_variances(sym: Analysis, values: ArrayLike) -> jax.Array:
    """The diagonal (n,) of ``Q^-1``; arguments as for `logdet_quad`, differentiable once."""
    return selected_inverse(sym, values)[sym.pattern.indptr[:-1]]


def sample(
    sym: Analysis,
    values: ArrayLike,
    key: jax.Array,
    mean: ArrayLike | None = None,
    shape: tuple[int, ...] = (),
) -> jax.Array:
    """Draws from the normal distribution with this mean (zero by default) and precision Q.

    With ``z`` standard normal and ``R R' = Q^-1``, ``mean + R z`` has covariance ``Q^-1``. All draws share one
    factorisation. R depends on the backend and its ordering, hence the draws do.

    Parameters
    ----------
    sym, values
        The precision matrix, as for `logdet_quad`.
    key : PRNG key
        As from `jax.random.key`.
    mean : float array (n,), optional
        Derivatives go through the mean; those with respect to `values` are not implemented and raise.
    shape : tuple of int
        How many draws.

    Returns
    -------
    draws : float array ``(*shape, n)``
    """
    q = matrix_values(sym, values)
    z = jax.random.normal(key, (*shape, sym.n), dtype=q.dtype)
    _, _, draws = _solve_and_sample(sym, q, no_columns(sym), z.reshape(-1, sym.n).T)
    centred = draws.T.reshape(*shape, sym.n)
    return centred if mean is None else centred + vectors(sym, mean, "mean", most=1)


def solve_and_sample(
    sym: Analysis, values: ArrayLike, b: ArrayLike, z: ArrayLike
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """``log|Q|``, ``Q^-1 b`` and draws with covariance ``Q^-1`` from one factorisation.

    Parameters
    ----------
    sym, values
        The precision matrix, as for `logdet_quad`.
    b : float array (n,) or (n, k)
        Right-hand sides.
    z : float array (n,) or (n, m)
        Standard normals, one column per draw.

    Returns
    -------
    logdet : float array ()
    x : float array, like `b`
    draws : float array, like `z`
        ``R z``, of mean zero, with ``R R' = Q^-1``; R is ``P' L^-T P`` with a factorisation ``P Q P' = L L'``.

    Notes
    -----
    Not differentiable (it raises): use `logdet_quad` and `solve` where derivatives are wanted.
    """
    q, rhs, normals = matrix_values(sym, values), vectors(sym, b, "b"), vectors(sym, z, "z")
    logdet, x, draws = _solve_and_sample(sym, q, as_columns(rhs), as_columns(normals))
    return logdet, x.reshape(rhs.shape), draws.reshape(normals.shape)


def factor_info(sym: Analysis, values: ArrayLike) -> jax.Array:
    """0 if Q is positive definite and finite, else 1 + the row at whose pivot the factorisation failed; int32.

    Arguments as for `logdet_quad`. Which of several bad rows is named depends on the order of elimination.
    """
    return backend.factor_info(sym, jax.lax.stop_gradient(matrix_values(sym, values)))


def require_positive_definite(sym: Analysis, values: ArrayLike) -> None:
    """Raise if Q is not positive definite; on the host, not for traced code. Arguments as for `logdet_quad`.

    Raises
    ------
    NotPositiveDefiniteError
        With the row at which the factorisation failed.
    """
    info = int(factor_info(sym, values))
    if info:
        q = np.asarray(values)
        what = "not positive definite" if np.all(np.isfinite(q)) else "not finite"
        raise NotPositiveDefiniteError(
            f"the {sym.n} x {sym.n} matrix is {what}: the pivot of row {info - 1} (counted from 0) is not positive"
        )


# Draws go through one rule for all backends: what one of them could not differentiate, none does.
@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _solve_and_sample(
    sym: Analysis, q: jax.Array, b: jax.Array, z: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    return backend.solve_and_sample(sym, q, b, z)


@_solve_and_sample.defjvp
def _solve_and_sample_jvp(sym: Analysis, primals: Any, tangents: Any) -> Any:
    raise NotImplementedError(
        "draws cannot be differentiated with respect to the precision matrix: the derivative of L^-T z is not "
        "implemented. Use logdet_quad and solve for what must be differentiated, or jax.lax.stop_gradient on the values"
    )
