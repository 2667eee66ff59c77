r"""The Cholesky factor of a dense matrix after a change of rank one, without factoring again.

With ``p = L^-1 x`` and ``t_j = 1 + w (p_1^2 + .. + p_j^2)``

    L L' + w x x' = L (I + w p p') L' = L K K' L',    K_jj = (t_j / t_{j-1})^1/2,    K_ij = w p_i p_j (t_j t_{j-1})^-1/2

for i > j, so that ``L K`` follows from sums along the rows of L (Gill, Golub, Murray & Saunders 1974, Math. Comp. 28,
505-535): of the order of n^2 operations, in which nothing waits for the column before.

There is no such update of sparse factors: the verbs on a sparse matrix keep none, and an x with entries far apart fills
it in. What is wanted of a sparse ``Q + w x x'`` follows from one `logdet_quad` at Q: with ``s = x' Q^-1 x`` its
log-determinant is ``log|Q| + log(1 + w s)``, and its solutions are those of Q less
``Q^-1 x (x' Q^-1 b) w / (1 + w s)``.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from lgm.linalg._arguments import factor, float64


def cholesky_update(lower: ArrayLike, x: ArrayLike, weight: ArrayLike = 1.0) -> jax.Array:
    """The lower Cholesky factor of ``L L' + weight x x'``: an update, or a downdate where the weight is negative.

    It works under ``jit``, ``grad`` and ``vmap``, to any order of derivatives.

    Parameters
    ----------
    lower : float array (n, n)
        L, of which the lower triangle is read; its diagonal is positive.
    x : float array (n,)
    weight : float array ()

    Returns
    -------
    lower : float array (n, n)
        All NaN where the matrix is not positive definite, or not finite; `cholesky_update_info` says where.

    Raises
    ------
    TypeError
        If JAX is not in x64 mode or an argument is not float64.
    ValueError
        If a shape does not fit.

    Notes
    -----
    A downdate loses digits where it leaves little: those of ``1 + weight |L^-1 x|^2``, as the matrix itself does.

    Examples
    --------
    >>> import jax, numpy as np
    >>> with jax.enable_x64(True):
    ...     up = cholesky_update(np.eye(2), np.array([3.0, 4.0]))
    ...     down = cholesky_update(up, np.array([3.0, 4.0]), -1.0)
    >>> up, down = np.asarray(up), np.asarray(down)
    >>> (up @ up.T).round(6).tolist(), down.round(6).tolist()
    ([[10.0, 12.0], [12.0, 17.0]], [[1.0, 0.0], [0.0, 1.0]])
    """
    L, p, w = _read(lower, x, weight)
    t = _minors(p, w)
    before = jnp.concatenate([jnp.ones_like(t[:1]), t[:-1]])
    safe = jnp.where(t > 0.0, t, 1.0), jnp.where(before > 0.0, before, 1.0)
    diagonal, below = jnp.sqrt(safe[0] / safe[1]), w * p / jnp.sqrt(safe[0] * safe[1])
    found = L * diagonal + jnp.tril(_after(L * p), -1) * below
    return jnp.where(jnp.all(_fine(t)), found, jnp.nan)


def cholesky_update_info(lower: ArrayLike, x: ArrayLike, weight: ArrayLike = 1.0) -> jax.Array:
    """0 if ``L L' + weight x x'`` is positive definite and finite, else 1 + the row of the first bad pivot; int32.

    Arguments as for `cholesky_update`.

    Examples
    --------
    >>> import jax, numpy as np
    >>> with jax.enable_x64(True):
    ...     int(cholesky_update_info(np.eye(3), np.array([0.0, 2.0, 0.0]), -1.0))
    2
    """
    _, p, w = _read(*jax.lax.stop_gradient((lower, x, weight)))
    bad = ~_fine(_minors(p, w))
    return jnp.where(jnp.any(bad), 1 + jnp.argmax(bad), 0).astype(jnp.int32)


def _read(lower: ArrayLike, x: ArrayLike, weight: ArrayLike) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The lower triangle L, ``L^-1 x`` and the weight."""
    L, vector, w = jnp.tril(factor(lower)), float64("x", x), float64("weight", weight)
    if vector.shape != L.shape[:1] or w.shape:
        raise ValueError(
            f"x and weight must have shapes ({L.shape[0]},) and (), not {vector.shape} and {w.shape}; jax.vmap runs "
            "over a batch"
        )
    return L, jax.scipy.linalg.solve_triangular(L, vector, lower=True), w


def _minors(p: jax.Array, w: jax.Array) -> jax.Array:
    """``t`` (n,): by what each leading determinant grows, as sums of terms of one sign."""
    square = p * p
    falling = 1.0 + w * jnp.sum(square) - w * _after(square)
    return jnp.where(w < 0.0, falling, 1.0 + w * jnp.cumsum(square))


def _fine(t: jax.Array) -> jax.Array:
    return (t > 0.0) & jnp.isfinite(t)


def _after(terms: jax.Array) -> jax.Array:
    """Sums over all later terms of the last axis; with nothing taken off again, small ones keep their digits."""
    sums = jax.lax.cumsum(terms, axis=terms.ndim - 1, reverse=True)
    return jnp.concatenate([sums[..., 1:], jnp.zeros_like(sums[..., :1])], axis=-1)
