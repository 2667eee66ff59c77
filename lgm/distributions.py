"""NumPyro distributions for users' own models: Gaussians whose precision is sparse, or whose covariance is low-rank.

Both work in NumPyro models and under ``jit``, ``grad`` and ``vmap``. Everything is float64.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike
from numpyro.distributions import constraints
from numpyro.distributions.util import validate_sample

from lgm.linalg import Analysis, logdet, marginal_variances, sample

_LOG_2PI = math.log(2.0 * math.pi)


class SparsePrecisionNormal(dist.Distribution):
    """Multivariate normal ``N(loc, Q^-1)`` with sparse precision Q.

    ``log p(y) = log|Q| / 2 - (y - loc)' Q (y - loc) / 2 - n log(2 pi) / 2``

    Value and gradient take one factorisation; see `lgm.linalg`.

    Parameters
    ----------
    loc : float array (..., n)
        Mean.
    analysis : lgm.linalg.Analysis
        Pattern of Q, from `lgm.linalg.analyse`; static.
    values : float array (..., nnz)
        Q in pattern order.
    validate_args : bool, optional
        As in NumPyro.

    Notes
    -----
    Where Q is not positive definite the density is NaN, which samplers take for a rejected move. Draws can be
    differentiated in `loc` and not in `values`, so this is a distribution for densities and for simulation, not a
    guide of variational inference.

    Examples
    --------
    >>> import jax, numpy as np, scipy.sparse as sp
    >>> from lgm.linalg import analyse
    >>> Q = sp.csc_array([[2.0, 1.0], [1.0, 2.0]])
    >>> sym = analyse(Q)
    >>> with jax.enable_x64(True):
    ...     p = SparsePrecisionNormal(np.zeros(2), sym, sym.values(Q))
    ...     round(float(p.log_prob(np.array([1.0, -1.0]))), 6)
    -2.288571
    """

    arg_constraints = {"loc": constraints.real_vector, "values": constraints.real_vector}
    support = constraints.real_vector
    reparametrized_params = ["loc"]
    pytree_data_fields = ("loc", "values")
    pytree_aux_fields = ("analysis",)

    def __init__(
        self, loc: ArrayLike, analysis: Analysis, values: ArrayLike, *, validate_args: bool | None = None
    ) -> None:
        if analysis.constraints:
            raise ValueError(
                "the analysis is that of a precision bordered by constraints; accepted: one without a border"
            )
        self.analysis = analysis
        loc, values = jnp.asarray(loc), jnp.asarray(values)
        if loc.shape[-1:] != (analysis.n,) or values.shape[-1:] != (analysis.nnz,):
            raise ValueError(
                f"loc and values must end in ({analysis.n},) and ({analysis.nnz},), not {loc.shape} and {values.shape}"
            )
        batch_shape = jnp.broadcast_shapes(loc.shape[:-1], values.shape[:-1])
        self.loc, self.values = loc, values
        super().__init__(batch_shape, (analysis.n,), validate_args=validate_args)

    def sample(self, key: jax.Array | None, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Draws ``(*sample_shape, ..., n)``; all draws of one matrix share its factorisation."""
        assert key is not None
        if self.values.ndim == 1:
            return self.loc + sample(self.analysis, self.values, key, None, (*sample_shape, *self.batch_shape))
        values = jnp.broadcast_to(self.values, (*self.batch_shape, self.analysis.nnz)).reshape(-1, self.analysis.nnz)
        keys = jax.random.split(key, values.shape[0])
        draws = jax.vmap(lambda k, v: sample(self.analysis, v, k, None, sample_shape))(keys, values)
        in_front = jnp.moveaxis(draws, 0, -2)
        return self.loc + in_front.reshape(*sample_shape, *self.batch_shape, self.analysis.n)

    @validate_sample
    def log_prob(self, value: ArrayLike) -> jax.Array:
        """Log-density (...,) at points (..., n)."""
        residual = jnp.asarray(value) - self.loc
        quad = _quadratic(self.analysis, self.values, residual)
        return 0.5 * (_logdet(self.analysis, self.values) - quad - self.analysis.n * _LOG_2PI)

    @property
    def mean(self) -> jax.Array:
        """Mean (..., n)."""
        return jnp.broadcast_to(self.loc, self.shape())

    @property
    def variance(self) -> jax.Array:
        """Marginal variances (..., n): the diagonal of ``Q^-1``, at the cost of one evaluation with gradient."""
        found = _over_batch(lambda v: marginal_variances(self.analysis, v), self.values)
        return jnp.broadcast_to(found, self.shape())


def _over_batch(function: Any, values: jax.Array) -> jax.Array:
    for _ in range(values.ndim - 1):
        function = jax.vmap(function)
    return function(values)


def _logdet(sym: Analysis, values: jax.Array) -> jax.Array:
    return _over_batch(lambda v: logdet(sym, v), values)


def _quadratic(sym: Analysis, values: jax.Array, r: jax.Array) -> jax.Array:
    """``r' Q r`` from the stored entries: each off-diagonal one counts twice."""
    rows, cols = sym.pattern.rows, sym.pattern.cols
    twice = jnp.where(rows == cols, 1.0, 2.0)
    return jnp.sum(twice * values * r[..., rows] * r[..., cols], axis=-1)


class LowRankCovarianceNormal(dist.Distribution):
    """Multivariate normal ``N(loc, S)``, ``S = D + U C U'``, with D diagonal and U n x r of low rank.

    With ``G = U' D^-1 U``, ``C = R R'``, ``K = I + R' G R`` (r x r), ``T = R K^-1 R'`` and ``t = U' D^-1 e``, by the
    matrix determinant lemma and Woodbury's identity

    ``log|S| = log|D| + log|K|``,  ``e' S^-1 e = e' D^-1 e - t' T t``.

    No n x n matrix is formed, and U enters two products of cost ``n r^2``: one for the value, one for its gradient.

    Parameters
    ----------
    loc : float array (..., n)
        Mean.
    diagonal : float array (..., n)
        Diagonal of D, positive: variances, not standard deviations.
    factor : float array (..., n, r)
        U.
    core : float array (..., r, r), optional
        C, positive definite; the identity by default.
    validate_args : bool, optional
        As in NumPyro.

    Notes
    -----
    ``e' D^-1 e - t' T t`` loses digits when the low-rank part dwarfs D: about as many as ``log10`` of the largest
    eigenvalue of K has. Where C is not positive definite the density is NaN.

    References
    ----------
    Petersen & Pedersen (2012), The Matrix Cookbook, (24) and (156).

    Examples
    --------
    >>> import jax, numpy as np
    >>> with jax.enable_x64(True):
    ...     p = LowRankCovarianceNormal(np.zeros(3), np.ones(3), np.ones((3, 1)), np.array([[2.0]]))
    ...     round(float(p.log_prob(np.array([1.0, 0.0, -1.0]))), 6)
    -4.729771
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "diagonal": constraints.independent(constraints.positive, 1),
        "factor": constraints.independent(constraints.real, 2),
    }
    support = constraints.real_vector
    reparametrized_params = ["loc", "diagonal", "factor", "core"]
    pytree_data_fields = ("loc", "diagonal", "factor", "core")

    def __init__(
        self,
        loc: ArrayLike,
        diagonal: ArrayLike,
        factor: ArrayLike,
        core: ArrayLike | None = None,
        *,
        validate_args: bool | None = None,
    ) -> None:
        loc, diagonal, factor = jnp.asarray(loc), jnp.asarray(diagonal), jnp.asarray(factor)
        n, rank = factor.shape[-2:]
        self.core = None if core is None else jnp.asarray(core)
        core_shape = (rank, rank) if self.core is None else self.core.shape
        if loc.shape[-1:] != (n,) or diagonal.shape[-1:] != (n,) or core_shape[-2:] != (rank, rank):
            raise ValueError(
                f"with factor {factor.shape}, loc and diagonal must end in ({n},) and core in ({rank}, {rank}), not "
                f"{loc.shape}, {diagonal.shape} and {core_shape}"
            )
        self.loc, self.diagonal, self.factor = loc, diagonal, factor
        batch_shape = jnp.broadcast_shapes(loc.shape[:-1], diagonal.shape[:-1], factor.shape[:-2], core_shape[:-2])
        super().__init__(batch_shape, (n,), validate_args=validate_args)

    def sample(self, key: jax.Array | None, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Draws ``(*sample_shape, ..., n)``: ``loc + D^1/2 e + U R z`` with standard normal e and z."""
        assert key is not None
        key_diagonal, key_factor = jax.random.split(key)
        shape = self.shape(sample_shape)
        noise = jax.random.normal(key_diagonal, shape, dtype=self.loc.dtype)
        scores = jax.random.normal(key_factor, (*shape[:-1], self.factor.shape[-1]), dtype=self.loc.dtype)
        if self.core is not None:
            scores = jnp.einsum("...jk,...k->...j", jnp.linalg.cholesky(self.core), scores)
        common = jnp.einsum("...ij,...j->...i", self.factor, scores)
        return self.loc + jnp.sqrt(self.diagonal) * noise + common

    @validate_sample
    def log_prob(self, value: ArrayLike) -> jax.Array:
        """Log-density (...,) at points (..., n)."""
        residual = jnp.asarray(value) - self.loc
        if self.core is None:
            return _low_rank_plain(residual, self.diagonal, self.factor)
        return _low_rank_with_core(residual, self.diagonal, self.factor, self.core)

    @property
    def mean(self) -> jax.Array:
        """Mean (..., n)."""
        return jnp.broadcast_to(self.loc, self.shape())

    @property
    def variance(self) -> jax.Array:
        """Marginal variances (..., n)."""
        scaled = self.factor if self.core is None else self.factor @ self.core
        return jnp.broadcast_to(self.diagonal + jnp.sum(scaled * self.factor, axis=-1), self.shape())


class _Reduced(NamedTuple):
    """What value and gradient of a low-rank density share, in the letters of `LowRankCovarianceNormal`."""

    a: jax.Array  # D^-1 U
    gram: jax.Array  # G
    root: jax.Array | None  # R, where it is not the identity
    k_root: jax.Array  # M, K = M M'
    t: jax.Array


# A single column is treated as a vector, and its 1 x 1 matrices as numbers: XLA's loops over n x 1 matrices are several
# times slower than those over vectors, and a call of LAPACK takes longer than the rest of a small density.
def _divided(factor: jax.Array, diagonal: jax.Array) -> jax.Array:
    """D^-1 U."""
    return factor / diagonal[:, None] if factor.shape[1] != 1 else (factor[:, 0] / diagonal)[:, None]


def _crossed(factor: jax.Array, e: jax.Array, a: jax.Array) -> tuple[jax.Array, jax.Array]:
    """``(U'A, A'e)``, written for each narrow U in the way that XLA's loops are fastest with (measured)."""
    n, rank = factor.shape
    if rank == 1 or (rank == 2 and n > 1000):
        columns, scaled = factor.T, a.T
        gram = jnp.stack([jnp.vdot(x, y) for x in columns for y in scaled]).reshape(rank, rank)
        return gram, jnp.stack([jnp.vdot(e, y) for y in scaled])
    if rank == 3:  # three columns take longer than four, so e becomes the fourth
        both = a.T @ jnp.concatenate([factor, e[:, None]], axis=1)
        return both[:, :3], both[:, 3]
    return a.T @ factor, a.T @ e if rank == 2 else e @ a


def _combined(x: jax.Array, weights: jax.Array) -> jax.Array:
    """X times weights, a vector or a square matrix."""
    return x @ weights if x.shape[1] != 1 else (x[:, 0] * weights.ravel()).reshape(x.shape[0], *weights.shape[1:])


def _root(matrix: jax.Array, symmetrise: bool = False) -> jax.Array:
    """Lower Cholesky factor; NaN where there is none."""
    return jnp.linalg.cholesky(matrix, symmetrize_input=symmetrise) if matrix.shape[0] != 1 else jnp.sqrt(matrix)


def _solved(root: jax.Array, rhs: jax.Array) -> jax.Array:
    return jax.scipy.linalg.solve_triangular(root, rhs, lower=True) if root.shape[0] != 1 else rhs / root.ravel()


def _reduce(e: jax.Array, diagonal: jax.Array, factor: jax.Array, core: jax.Array | None) -> _Reduced:
    a = _divided(factor, diagonal)
    gram, t = _crossed(factor, e, a)
    one = jnp.eye(gram.shape[0], dtype=gram.dtype)
    if core is None:
        return _Reduced(a, gram, None, _root(one + gram), t)
    root = _root(core, symmetrise=True)
    return _Reduced(a, gram, root, _root(one + root.T @ gram @ root), t)


def _density(e: jax.Array, diagonal: jax.Array, k_root: jax.Array, explained: jax.Array) -> jax.Array:
    """Log-density with ``explained = M^-1 R' t``, so that ``t' T t`` is its squared length."""
    free = jnp.sum(jnp.log(diagonal) + e**2 / diagonal)  # one pass over both
    return -0.5 * (free + jnp.sum(2.0 * jnp.log(jnp.diagonal(k_root)) - explained**2) + e.size * _LOG_2PI)


@jax.custom_jvp
def _one_low_rank(e: jax.Array, diagonal: jax.Array, factor: jax.Array, core: jax.Array | None) -> jax.Array:
    parts = _reduce(e, diagonal, factor, core)
    scores = parts.t if parts.root is None else parts.root.T @ parts.t
    return _density(e, diagonal, parts.k_root, _solved(parts.k_root, scores))


# With w = S^-1 e and s = T t the derivatives of the log-density l are
#     dl/de = -w,                  dl/dU = w s' - A T                      (S^-1 U C = A T and C U' w = s),
#     dl/dd = (w^2 - diag S^-1)/2, dl/dC = ((U'w)(U'w)' - U'S^-1 U)/2,     diag S^-1 = 1/d - diag(A T A').
# Written out, they need one product of cost n r^2 where differentiating the formula of the value takes several.
def _one_low_rank_jvp(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    e, diagonal, factor, core = primals
    de, dd, du, dc = tangents
    parts = _reduce(e, diagonal, factor, core)
    half = _solved(parts.k_root, jnp.eye(parts.t.size, dtype=e.dtype) if parts.root is None else parts.root.T)
    inner, explained = half.T @ half, half @ parts.t  # T, M^-1 R' t
    s = explained @ half
    w = (e - _combined(factor, s)) / diagonal
    slope = jnp.zeros((), e.dtype)
    if not isinstance(de, SymbolicZero):
        slope = slope - jnp.vdot(w, de)
    at = _combined(parts.a, inner)  # compiled code leaves it out where nothing needs it
    if not isinstance(dd, SymbolicZero):
        inverse_diagonal = 1.0 / diagonal - jnp.sum(at * parts.a, axis=1)
        slope = slope + 0.5 * jnp.vdot(w**2 - inverse_diagonal, dd)
    if not isinstance(du, SymbolicZero):
        slope = slope + jnp.vdot(w[:, None] * s - at, du)
    if dc is not None and not isinstance(dc, SymbolicZero):
        projected = parts.t - parts.gram @ s
        precision = parts.gram - parts.gram @ inner @ parts.gram
        slope = slope + 0.5 * jnp.vdot(jnp.outer(projected, projected) - precision, dc)
    return _density(e, diagonal, parts.k_root, explained), slope


_one_low_rank.defjvp(_one_low_rank_jvp, symbolic_zeros=True)
_low_rank_with_core = jnp.vectorize(_one_low_rank, signature="(n),(n),(n,r),(r,r)->()")
_low_rank_plain = jnp.vectorize(lambda e, d, u: _one_low_rank(e, d, u, None), signature="(n),(n),(n,r)->()")
