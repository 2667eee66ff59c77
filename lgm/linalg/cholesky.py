"""JAX verbs on a sparse positive definite matrix ``Q`` that is given by its analysis and its values in pattern order.

Every verb is one native call: it factors ``P Q P' = L L'`` and uses the factor at once; no factor outlives its call.
All work under ``jit``, ``vmap`` and the differentiation of JAX. A matrix that is not positive definite, or not
finite, gives NaN for its element of the batch and never an exception; `factor_info` says where it failed.

Everything is float64, so JAX's x64 mode must be on.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

from lgm.errors import NotPositiveDefiniteError
from lgm.linalg import _calls
from lgm.linalg.analysis import Analysis


def logdet_quad(sym: Analysis, values: ArrayLike, b: ArrayLike) -> tuple[jax.Array, jax.Array, jax.Array]:
    """``log|Q|``, ``b' Q^-1 b`` and ``Q^-1 b`` from one factorisation.

    With k columns the quadratic form is the k x k matrix ``B' Q^-1 B``. When differentiated, the same call also finds
    the inverse of Q on its pattern, from which the gradients of the first two follow without further solves; a
    cotangent of the third costs one more factorisation and solve.

    Parameters
    ----------
    sym : Analysis
        The pattern of Q, from `analyse`; static.
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
    q, rhs = _matrix_values(sym, values), _vectors(sym, b, "b")
    logdet, quad, x = _logdet_quad(sym, q, _as_columns(rhs))
    if rhs.ndim == 2:
        return logdet, quad, x
    return logdet, quad[0, 0], x[:, 0]


def logdet(sym: Analysis, values: ArrayLike) -> jax.Array:
    """``log|Q|``; its gradient is the inverse of Q on the pattern (doubled off the diagonal)."""
    q = _matrix_values(sym, values)
    return _logdet_quad(sym, q, jnp.zeros((sym.n, 0), q.dtype))[0]


def solve(sym: Analysis, values: ArrayLike, b: ArrayLike) -> jax.Array:
    """``Q^-1 b`` for one vector (n,) or several (n, k); differentiable to any order in both arguments."""
    q, rhs = _matrix_values(sym, values), _vectors(sym, b, "b")
    return _solve(sym, q, _as_columns(rhs)).reshape(rhs.shape)


def sample(
    sym: Analysis,
    values: ArrayLike,
    key: jax.Array,
    mean: ArrayLike | None = None,
    shape: tuple[int, ...] = (),
) -> jax.Array:
    """Draws from the normal distribution with this mean (zero by default) and precision Q.

    With ``z`` standard normal, ``mean + P' L^-T P z`` has covariance ``Q^-1``. All draws share one factorisation.

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
    draws : float array (*shape, n)
    """
    q = _matrix_values(sym, values)
    z = jax.random.normal(key, (*shape, sym.n), dtype=q.dtype)
    columns = z.reshape(-1, sym.n).T
    _, _, draws = _solve_and_sample(sym, q, jnp.zeros((sym.n, 0), q.dtype), columns)
    centred = draws.T.reshape(*shape, sym.n)
    return centred if mean is None else centred + _vectors(sym, mean, "mean", most=1)


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
        ``P' L^-T P z``, of mean zero.

    Notes
    -----
    Not differentiable (it raises): use `logdet_quad` and `solve` where derivatives are wanted.
    """
    q, rhs, normals = _matrix_values(sym, values), _vectors(sym, b, "b"), _vectors(sym, z, "z")
    logdet, x, draws = _solve_and_sample(sym, q, _as_columns(rhs), _as_columns(normals))
    return logdet, x.reshape(rhs.shape), draws.reshape(normals.shape)


def selected_inverse(sym: Analysis, values: ArrayLike) -> jax.Array:
    """``(Q^-1)_ij`` at every stored position, in pattern order; differentiable once."""
    q = _matrix_values(sym, values)
    return _fused(sym, q, jnp.zeros((sym.n, 0), q.dtype))[2]


def marginal_variances(sym: Analysis, values: ArrayLike) -> jax.Array:
    """The diagonal (n,) of ``Q^-1``; differentiable once."""
    return selected_inverse(sym, values)[sym.pattern.indptr[:-1]]


def factor_info(sym: Analysis, values: ArrayLike) -> jax.Array:
    """0 if Q is positive definite and finite, else 1 + the row at whose pivot the factorisation failed; int32."""
    q = jax.lax.stop_gradient(_matrix_values(sym, values))
    nothing = jnp.zeros((sym.n, 0), q.dtype)
    return _calls.factor_solve(sym, q, nothing, nothing)[1]


def require_positive_definite(sym: Analysis, values: ArrayLike) -> None:
    """Raise if Q is not positive definite; on the host, not for traced code.

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


# Derivatives. Let S(q) be the symmetric matrix with stored entries q, w = 1 on the diagonal and 2 off it, and Z the
# inverse of Q = S(q) on the pattern. Then, for directions dq and dB,
#     d log|Q|    = tr(Q^-1 dQ) = sum_e w_e Z_e dq_e,
#     d (B'X)     = X'dB + dB'X - X' dQ X,     X = Q^-1 B,
#     d X         = Q^-1 (dB - dQ X),
#     d Z         = -(Q^-1 dQ Q^-1) on the pattern.
# All are linear in the directions, so JAX transposes them into the reverse mode; the solve in d X is dropped there
# unless X has a cotangent.


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _logdet_quad(sym: Analysis, values: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    nothing = jnp.zeros((sym.n, 0), b.dtype)
    logdet, _, x, _ = _calls.factor_solve(sym, values, b, nothing)
    return logdet, b.T @ x, x


def _logdet_quad_jvp(sym: Analysis, primals: Any, tangents: Any) -> Any:
    values, b = primals
    dq, db = tangents
    if isinstance(dq, SymbolicZero):
        logdet, _, x = _logdet_quad(sym, values, b)
        d_logdet = jnp.zeros_like(logdet)
    else:
        logdet, x, z = _fused(sym, values, b)
        d_logdet = jnp.vdot(_weights(sym) * z, dq)
    return (logdet, b.T @ x, x), (d_logdet, _d_quad(sym, x, dq, db), _d_solve(sym, values, x, dq, db))


_logdet_quad.defjvp(_logdet_quad_jvp, symbolic_zeros=True)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _fused(sym: Analysis, values: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    logdet, _, x, z = _calls.factor_solve_invert(sym, values, b)
    return logdet, x, z


def _fused_jvp(sym: Analysis, primals: Any, tangents: Any) -> Any:
    values, b = primals
    dq, db = tangents
    logdet, x, z = _fused(sym, values, b)
    dx = _d_solve(sym, values, x, dq, db)
    if isinstance(dq, SymbolicZero):
        return (logdet, x, z), (jnp.zeros_like(logdet), dx, jnp.zeros_like(z))
    dz = _calls.selected_inverse_tangent(sym, values, dq)
    return (logdet, x, z), (jnp.vdot(_weights(sym) * z, dq), dx, dz)


_fused.defjvp(_fused_jvp, symbolic_zeros=True)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _solve_and_sample(
    sym: Analysis, values: jax.Array, b: jax.Array, z: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    logdet, _, x, draws = _calls.factor_solve(sym, values, b, z)
    return logdet, x, draws


@_solve_and_sample.defjvp
def _solve_and_sample_jvp(sym: Analysis, primals: Any, tangents: Any) -> Any:
    raise NotImplementedError(
        "draws cannot be differentiated with respect to the precision matrix: the derivative of L^-T z is not "
        "implemented. Use logdet_quad and solve for what must be differentiated, or jax.lax.stop_gradient on the values"
    )


def _solve(sym: Analysis, values: jax.Array, b: jax.Array) -> jax.Array:
    def native(_: Any, rhs: jax.Array) -> jax.Array:
        return _calls.factor_solve(sym, values, rhs, jnp.zeros((sym.n, 0), rhs.dtype))[2]

    out: jax.Array = jax.lax.custom_linear_solve(partial(_multiply, sym, values), b, native, symmetric=True)
    return out


def _d_solve(sym: Analysis, values: jax.Array, x: jax.Array, dq: Any, db: Any) -> jax.Array:
    """``Q^-1 (dB - dQ X)``."""
    if x.shape[-1] == 0 or (isinstance(dq, SymbolicZero) and isinstance(db, SymbolicZero)):
        return jnp.zeros_like(x)
    rhs = jnp.zeros_like(x) if isinstance(db, SymbolicZero) else db
    if not isinstance(dq, SymbolicZero):
        rhs = rhs - _multiply(sym, dq, x)
    return _solve(sym, values, rhs)


def _d_quad(sym: Analysis, x: jax.Array, dq: Any, db: Any) -> jax.Array:
    """``X'dB + dB'X - X' dQ X`` with gathers only: scattering is what is slow on a CPU."""
    total = jnp.zeros((x.shape[-1],) * 2, x.dtype)
    if not isinstance(db, SymbolicZero):
        cross = x.T @ db
        total = total + cross + cross.T
    if not isinstance(dq, SymbolicZero):
        half = (0.5 * _weights(sym) * dq)[:, None] * x[_rows(sym)]
        inner = half.T @ x[_cols(sym)]
        total = total - inner - inner.T
    return total


def _multiply(sym: Analysis, values: jax.Array, x: jax.Array) -> jax.Array:
    """``S(values) x`` for x (n, k)."""
    rows, cols = _rows(sym), _cols(sym)
    below = jnp.where(rows == cols, 0.0, values)
    lower = jnp.zeros_like(x).at[rows].add(values[:, None] * x[cols], mode="promise_in_bounds")
    return lower.at[cols].add(below[:, None] * x[rows], mode="promise_in_bounds")


def _rows(sym: Analysis) -> Any:
    return sym.pattern.rows.astype(np.int32)


def _cols(sym: Analysis) -> Any:
    return sym.pattern.cols.astype(np.int32)


def _weights(sym: Analysis) -> Any:
    """1 for a stored diagonal entry, 2 for an off-diagonal one, which stands for two entries of the matrix."""
    return np.where(sym.pattern.rows == sym.pattern.cols, 1.0, 2.0)


def _as_columns(b: jax.Array) -> jax.Array:
    return b[:, None] if b.ndim == 1 else b


def _float64(name: str, array: ArrayLike) -> jax.Array:
    if jax.dtypes.canonicalize_dtype(np.float64) != np.float64:
        raise TypeError(
            'lgm.linalg computes in float64, but JAX is in 32-bit mode: call jax.config.update("jax_enable_x64", True) '
            "before the first computation, or work inside `with jax.enable_x64(True):`"
        )
    out = jnp.asarray(array)
    if jnp.issubdtype(out.dtype, jnp.integer):
        out = out.astype(jnp.float64)
    if out.dtype != jnp.float64:
        raise TypeError(f"{name} must be float64, not {out.dtype}; convert it with {name}.astype(jnp.float64)")
    return out


def _matrix_values(sym: Analysis, values: ArrayLike) -> jax.Array:
    out = _float64("values", values)
    if out.shape != (sym.nnz,):
        raise ValueError(
            f"values must have shape ({sym.nnz},), one number per stored entry, not {out.shape}; "
            "sym.values(Q) gathers them, and jax.vmap runs over a batch"
        )
    return out


def _vectors(sym: Analysis, array: ArrayLike, name: str, most: int = 2) -> jax.Array:
    out = _float64(name, array)
    if not 1 <= out.ndim <= most or out.shape[0] != sym.n:
        shapes = f"({sym.n},)" if most == 1 else f"({sym.n},) or ({sym.n}, k)"
        raise ValueError(f"{name} must have shape {shapes}, not {out.shape}")
    return out
