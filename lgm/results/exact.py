"""Exact variances of linear functionals of the effects given one theta, without a draw.

Rows of a fit, and rows of other data that combine what some row of the fit combines, need only entries of ``H^-1`` that
the selected inverse has; any others take a solve each.
"""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

from lgm.arrays import BoolArray, FloatArray, IntArray
from lgm.inference.compile import compiled, floats, wholes
from lgm.posterior.density import Marginal, effects, variances
from lgm.posterior.functionals import Sums
from lgm.results.drawing import Drawing
from lgm.results.progress import bar
from lgm.xla import own_settings

CHUNK_BYTES = 64e6  # of what one call is given
_AT_ONCE = 16  # thetas in one call


@compiled(
    shapes=lambda post, how: (
        post,
        floats(post.hyper.size),
        Sums(wholes(*how), floats(*how), wholes(*how, how[1]), wholes(how[0])),
    )
)
def _of_sums(how: tuple[int, int], post: Marginal, theta: jax.Array, sums: Sums) -> jax.Array:
    return variances(post, theta, jnp.zeros((post.dim, 0)), (sums,))[0]


@compiled(shapes=lambda post, m: (post, floats(post.hyper.size), floats(post.dim, m)))
def _of_functionals(m: int, post: Marginal, theta: jax.Array, functionals: jax.Array) -> jax.Array:
    return variances(post, theta, functionals, ())[1]


@compiled(shapes=lambda post, m: (post, floats(m, post.hyper.size), floats(post.dim, 1)))
def _given_thetas(m: int, post: Marginal, thetas: jax.Array, functional: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Conditional means of all effects (m, p + q), and variances of one functional (m,)."""

    def one(theta: jax.Array) -> tuple[jax.Array, jax.Array]:
        mean = effects(post, theta, jnp.zeros((post.n_normals, 0)), 0).mean
        return mean, variances(post, theta, functional, ())[1][0]

    return jax.vmap(one)(thetas)


def moments_given_theta(drawing: Drawing, row: FloatArray, most: int) -> tuple[FloatArray, FloatArray]:
    """Mean and variance (m,) of a functional of the effects (p + q,) given each of up to so many draws of theta.

    Where the effects given theta are normal, its posterior is the mixture of these normal distributions.
    """
    analysed, p, size = drawing.analysed, drawing.p, drawing.size
    chosen = drawing.thetas[np.unique(np.linspace(0, size - 1, min(most, size)).astype(int))]
    functional = np.concatenate([row[:p] @ analysed.basis, row[p:]])[:, None]
    step, means, spreads = min(_AT_ONCE, len(chosen)), [], []
    for start in range(0, len(chosen), step):
        at = np.minimum(np.arange(start, start + step), len(chosen) - 1)  # every call has the same shapes
        with own_settings():
            mean, variance = _given_thetas(step, analysed.marginal, chosen[at], functional)
        means.append((analysed.natural(np.asarray(mean)) @ row)[: len(chosen) - start])
        spreads.append(np.asarray(variance)[: len(chosen) - start])
    return np.concatenate(means), np.concatenate(spreads)


def row_variances(drawing: Drawing, rows: sp.csr_array, solves: int) -> FloatArray | None:
    """Conditional variances (n,) of ``rows @ u`` at the first theta; None where they would take too many solves.

    Parameters
    ----------
    drawing : Drawing
    rows : sparse array (n, p + q)
        In natural coordinates.
    solves : int
        How many rows may be solved for.
    """
    analysed, p = drawing.analysed, drawing.p
    fixed = sp.csr_array(rows[:, :p] @ sp.csr_array(analysed.basis)) if p else rows[:, :0]
    internal = sp.csr_array(sp.hstack([fixed, rows[:, p:]], format="csr"))
    internal.sum_duplicates()
    found = np.zeros(internal.shape[0])
    others: list[IntArray] = []
    with bar(internal.shape[0], "variances", progress=drawing.progress) as shown:
        for chosen in _alike(internal):
            sums, inside = _sums(drawing, internal[chosen])
            others.append(chosen[~inside])
            if sum(other.size for other in others) > solves:
                return None
            found[chosen[inside]] = _in_pattern(drawing, sums)
            shown.update(np.count_nonzero(inside))
        rest = np.concatenate([np.zeros(0, dtype=np.int64), *others])
        step = _power_of_two(min(max(int(CHUNK_BYTES // (8 * drawing.dim)), 1), max(rest.size, 1)))
        for start in range(0, rest.size, step):
            part = rest[start : start + step]
            found[part] = _solved(drawing, internal[part], step)
            shown.update(part.size)
    return found


def _alike(rows: sp.csr_array) -> Iterator[IntArray]:
    """Rows with as many entries as each other, few enough for one call."""
    counts = np.diff(rows.indptr)
    for s in np.unique(counts[counts > 0]):
        chosen = np.flatnonzero(counts == s)
        step = max(int(CHUNK_BYTES // (16 * s * s)), 1)
        for start in range(0, chosen.size, step):
            yield chosen[start : start + step]


def _sums(drawing: Drawing, rows: sp.csr_array) -> tuple[Sums, BoolArray]:
    """Rows with as many entries as each other whose pairs are all in the pattern of H, and which rows these are."""
    n = rows.shape[0]
    index, weights = rows.indices.reshape(n, -1), rows.data.reshape(n, -1)
    analysis = drawing.analysed.marginal.analysis
    pairs = analysis.pattern.find(index[:, :, None], index[:, None, :])
    inside = np.all(pairs >= 0, axis=(1, 2)) & analysis.exact
    return Sums(index[inside], weights[inside], pairs[inside], np.arange(np.count_nonzero(inside))), inside


def _in_pattern(drawing: Drawing, sums: Sums) -> FloatArray:
    m, s = sums.index.shape
    if not m:
        return np.zeros(0)
    padded = _power_of_two(m)  # few shapes, few programs
    at = np.minimum(np.arange(padded), m - 1)
    whole = Sums(sums.index[at], sums.weights[at], sums.pairs[at], np.arange(padded))
    with own_settings():
        return np.asarray(_of_sums((padded, s), drawing.analysed.marginal, drawing.thetas[0], whole))[:m]


def _solved(drawing: Drawing, rows: sp.csr_array, step: int) -> FloatArray:
    functionals = np.zeros((drawing.dim, step))
    functionals[:, : rows.shape[0]] = rows.T.toarray()
    with own_settings():
        found = _of_functionals(step, drawing.analysed.marginal, drawing.thetas[0], functionals)
    return np.asarray(found)[: rows.shape[0]]


def _power_of_two(n: int) -> int:
    """The smallest that is n or larger."""
    return 1 << (n - 1).bit_length()
