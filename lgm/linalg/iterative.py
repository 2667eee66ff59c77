r"""The operations of `lgm.linalg.backend` without a factorisation: for crossed factors whose fill no machine holds.

Rows come in three parts: a *head* of blocks that do not meet each other (the levels of the largest factor), the *rest*
(the other factors), and the *border* (fixed effects), which is eliminated last. With ``H = [D B'; B C]`` for head and
rest, the Schur complement ``S = C - B D^-1 B'`` and its diagonal P,

    log|H| = log|D| + log|P| + tr log T + log|S_F|,     T = P^-1/2 S P^-1/2,

where S_F is the Schur complement of the border. Nothing but products with T is needed, one pass over the entries of B
for 16 vectors. Systems are solved by conjugate gradients to a relative residual of 1e-11. Only ``tr log T`` is an
estimate: the mean over probes z of independent random signs of ``z' log(T) z``, each of these by Lanczos' method to as
many digits. As the diagonal of T is one, what is estimated is what T has beside it, and the diagonal is its control
variate. The probes are frozen: an analysis has the same ones at every evaluation, so that the estimate is a smooth
function of H, whose exact derivative is found with it. `spread` says by how much probes differ.

Ubaru, Chen & Saad (2017), SIAM J. Matrix Anal. Appl. 38, 1075-1099 (stochastic Lanczos quadrature); Kuendig & Sigrist
(2025), arXiv 2505.09552 (for crossed effects).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from lgm.arrays import IntArray
from lgm.linalg import backend, products
from lgm.linalg._arguments import matrix_values
from lgm.linalg._ffi import kernel
from lgm.linalg.analysis import Analysis, pattern_to_factor
from lgm.pattern import Pattern

MOST_IN_BLOCK = 4
_DRAWS = 64  # from which the diagonal of the inverse is estimated


class IterativeAnalysis(Analysis):
    """An analysis whose verbs never factor the matrix; made by `analyse_iterative`.

    Log-determinants are estimates by frozen probes, whose derivative by the values is exact. Of the inverse, the rows
    of the border are exact; its diagonal, the blocks of the head and the rest are estimates (`diagonal_of_inverse`);
    entries of the head with the rest are not known: they are NaN. Solutions and draws are exact up to rounding.

    Attributes
    ----------
    pattern : Pattern
        The stored positions; values given to the verbs of `lgm.linalg` are in this order.
    constraints : int
        Zero.
    head : int32 array (blocks, size)
        Rows of blocks that do not meet each other.
    border : int32 array (p,)
        Rows that are eliminated last.
    probes, seed : int
        Number of the probes, and which ones.
    """

    __slots__ = ("_key", "border", "constraints", "head", "pattern", "probes", "seed")

    pattern: Pattern
    constraints: int
    head: npt.NDArray[np.int32]
    border: npt.NDArray[np.int32]
    probes: int
    seed: int
    _key: str

    exact = False

    def __init__(self, pattern: Pattern, head: IntArray, border: IntArray, probes: int, seed: int) -> None:
        own_head, own_border = np.array(head, dtype=np.int32), np.array(border, dtype=np.int32)
        for array in (own_head, own_border):
            array.setflags(write=False)
        content = pattern.key + own_head.tobytes() + own_border.tobytes() + own_head.shape[1].to_bytes(4)
        key = hashlib.blake2b(content, digest_size=16).hexdigest()
        kernel.register_arrow(key, pattern.indptr, pattern.indices, own_head.ravel(), own_head.shape[1], own_border)
        for name, value in {
            "pattern": pattern,
            "constraints": 0,
            "head": own_head,
            "border": own_border,
            "probes": probes,
            "seed": seed,
            "_key": key,
        }.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an Analysis does not change")

    @property
    def key(self) -> str:
        """Content address under which the kernel knows its parts."""
        return self._key

    @property
    def _content(self) -> tuple[str, int, int]:
        return self._key, self.probes, self.seed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IterativeAnalysis) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    def __reduce__(self) -> tuple[Callable[..., IterativeAnalysis], tuple[Any, ...]]:
        return IterativeAnalysis, (self.pattern, self.head, self.border, self.probes, self.seed)


def analyse_iterative(
    matrix: sp.sparray | sp.spmatrix | Pattern,
    head: npt.ArrayLike,
    *,
    last: npt.ArrayLike = (),
    probes: int = 32,
    seed: int = 0,
) -> IterativeAnalysis:
    """Have the verbs of `lgm.linalg` done without a factorisation, with log-determinants estimated by probes.

    One product takes about ``4 * 16 * nnz`` operations for 16 vectors, memory is that of the entries. How many products
    it takes depends on how much of the rest is left once the head is eliminated: ten to twenty for two factors crossed
    at random, more where levels meet in clusters, and not to be recommended for fields in space or time.

    Parameters
    ----------
    matrix : sparse matrix or array (n, n), or Pattern
        Only the pattern counts, as in `analyse`.
    head : int array (blocks,) or (blocks, size)
        Rows of blocks which have no entries with each other, at most four to a block.
    last : int array (p,)
        Rows that are eliminated last, by p solutions each time (fixed effects).
    probes : int
        The variance of the estimate is that of one probe over their number.
    seed : int
        Which probes.

    Returns
    -------
    IterativeAnalysis

    Raises
    ------
    ValueError
        If blocks of the head meet, or rows are none.

    Examples
    --------
    >>> import jax, numpy as np, scipy.sparse as sp
    >>> from lgm.linalg import logdet, solve
    >>> Q = sp.csc_array([[4.0, 0.0, 1.0], [0.0, 5.0, 1.0], [1.0, 1.0, 6.0]])
    >>> sym = analyse_iterative(Q, [0, 1])
    >>> with jax.enable_x64(True):
    ...     found = logdet(sym, sym.values(Q)), solve(sym, sym.values(Q), np.array([4.0, 0.0, 1.0]))
    >>> round(float(np.exp(found[0])), 6), found[1].round(6).tolist()  # with a rest of one row there is no error
    (111.0, [1.0, 0.0, 0.0])
    """
    pattern = pattern_to_factor(matrix)
    rows, border = np.asarray(head, dtype=np.int64), np.asarray(last, dtype=np.int64).ravel()
    rows = rows[:, None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or not 1 <= rows.shape[1] <= MOST_IN_BLOCK:
        raise ValueError(f"head must have shape (blocks,) or (blocks, size), size at most {MOST_IN_BLOCK}")
    if probes < 2:
        raise ValueError(f"probes={probes}; accepted: two or more, whose differences tell the error")
    return IterativeAnalysis(pattern, rows, border, int(probes), int(seed))


def spread(sym: IterativeAnalysis, values: jax.Array, directions: jax.Array) -> tuple[jax.Array, jax.Array]:
    """``log|Q|`` by each probe alone, and the derivatives of these in some directions.

    Their means are the log-determinant of the verbs and its derivatives; their covariances, over the number of probes,
    those of the error.

    Parameters
    ----------
    sym, values
        The matrix, as for `lgm.linalg.logdet_quad`.
    directions : float array (d, nnz)
        In pattern order.

    Returns
    -------
    logdets : float array (probes,)
    slopes : float array (probes, d)
    """
    shapes = ((sym.probes,), (sym.probes, directions.shape[0]))
    call = jax.ffi.ffi_call("lgm_iterate_each", [*map(_floats, shapes), _INFO])
    logdets, slopes, _ = call(matrix_values(sym, values), directions, **_attributes(sym))
    return logdets, slopes


def diagonal_of_inverse(sym: IterativeAnalysis, values: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Diagonal of ``Q^-1``, its standard errors, and the inverse on the pattern as far as it is known.

    Notes
    -----
    A variance is that given all other variables, which is known, and that of the mean given these, which is averaged
    over draws: only the second has an error (Siden, Lindgren, Bolin & Villani 2018, J. Comput. Graph. Stat. 27,
    898-909). A covariance in the rest is that of one variable with the mean of the other given all but it, one way and
    the other.
    """
    results = [_floats((sym.n,)), _floats((sym.n,)), _floats((sym.nnz,)), _INFO]
    call = jax.ffi.ffi_call("lgm_iterate_variances", results, vmap_method="sequential")
    attributes = {"analysis": sym.key, "draws": np.int64(_DRAWS), "seed": np.int64(sym.seed + 1)}
    diagonal, error, inverse, _ = call(matrix_values(sym, values), **attributes)
    return diagonal, error, inverse


_INFO = jax.ShapeDtypeStruct((), np.int32)


def _floats(shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, np.float64)


def _attributes(sym: IterativeAnalysis, *, determinant: bool = True) -> dict[str, Any]:
    probes = sym.probes if determinant else 0
    return {"analysis": sym.key, "probes": np.int64(probes), "seed": np.int64(sym.seed)}


def _iterate(
    sym: IterativeAnalysis,
    values: jax.Array,
    b: jax.Array,
    z: jax.Array,
    *,
    determinant: bool = True,
    gradient: bool = False,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array]:
    """Log-determinant, ``Q^-1 b``, ``R z``, gradient of the first by the values if wanted, info."""
    results = [_floats(()), _floats(b.shape), _floats(z.shape), _floats((sym.nnz if gradient else 0,)), _INFO]
    call = jax.ffi.ffi_call("lgm_iterate", results, vmap_method="sequential")
    out: Any = call(values, b, z, **_attributes(sym, determinant=determinant))
    return tuple(out)


def _nothing(sym: IterativeAnalysis) -> jax.Array:
    return jnp.zeros((sym.n, 0))


@backend.logdet_quad.register(IterativeAnalysis)
@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _logdet_quad(sym: IterativeAnalysis, values: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    logdet, x, *_ = _iterate(sym, values, b, _nothing(sym))
    return logdet, b.T @ x, x


def _forward(sym: IterativeAnalysis, values: jax.Array, b: jax.Array) -> Any:
    logdet, x, _, slope, _ = _iterate(sym, values, b, _nothing(sym), gradient=True)
    return (logdet, b.T @ x, x), (values, x, slope)


def _backward(sym: IterativeAnalysis, kept: Any, cotangents: Any) -> tuple[jax.Array, jax.Array]:
    values, x, slope = kept
    by_logdet, by_quad, by_x = cotangents
    both = 0.5 * (by_quad + by_quad.T)
    if not x.shape[1]:
        return by_logdet * slope, jnp.zeros_like(x)
    v = jax.lax.cond(
        jnp.any(by_x != 0.0), lambda: _iterate(sym, values, by_x, _nothing(sym), determinant=False)[1], lambda: by_x
    )
    by_values = by_logdet * slope - products.gradient(sym, x, x @ both + v)
    return by_values, 2.0 * (x @ both) + v


_logdet_quad.defvjp(_forward, _backward)


@backend.solve.register(IterativeAnalysis)
@partial(jax.jit, static_argnums=0, inline=True)
def _solve(sym: IterativeAnalysis, values: jax.Array, b: jax.Array) -> jax.Array:
    def native(_: Any, rhs: jax.Array) -> jax.Array:
        return _iterate(sym, values, rhs, _nothing(sym), determinant=False)[1]

    out: jax.Array = jax.lax.custom_linear_solve(partial(products.multiply, sym, values), b, native, symmetric=True)
    return out


@backend.solve_and_invert.register
def _solve_and_invert(
    sym: IterativeAnalysis, values: jax.Array, b: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    logdet, x, *_ = _iterate(sym, values, b, _nothing(sym))
    return logdet, x, diagonal_of_inverse(sym, values)[2]


@backend.solve_and_sample.register
def _solve_and_sample(
    sym: IterativeAnalysis, values: jax.Array, b: jax.Array, z: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    logdet, x, draws, *_ = _iterate(sym, values, b, z)
    return logdet, x, draws


@backend.factor_info.register
def _factor_info(sym: IterativeAnalysis, values: jax.Array) -> jax.Array:
    """0, or 1 where the matrix is not positive definite, 2 where solutions did not converge."""
    return _iterate(sym, values, _nothing(sym), _nothing(sym))[4]


# Products with the stored entries, as `lgm.linalg.products` has them for a factored matrix.


_multiply, _outer = products.native("lgm_stored_multiply", "lgm_stored_outer")


@products.summed.register
def _summed(sym: IterativeAnalysis, values: jax.Array, x: jax.Array) -> jax.Array:
    return _multiply(values, x, sym=sym, diagonal=1.0)


@products.pairs.register
def _pairs(sym: IterativeAnalysis, x: jax.Array, y: jax.Array, diagonal: float) -> jax.Array:
    return _outer(x, y, sym=sym, diagonal=diagonal)
