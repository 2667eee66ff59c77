"""How systems with the precision of the effects are solved: by a factorisation, or without one.

For crossed groups the factor is dense in the levels of all but the largest, so that its cost grows with their cube.
``"iterative"`` does without it (`lgm.linalg.iterative`), and then log-determinants have an error, which is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from lgm import linalg
from lgm.arrays import FloatArray, IntArray
from lgm.design.design import Design
from lgm.errors import LgmError, LgmWarning, warn
from lgm.linalg import iterative
from lgm.linalg.constrained import Border
from lgm.pattern import Pattern
from lgm.posterior.density import Marginal
from lgm.posterior.gaussian import GaussianData
from lgm.xla import own_settings

SOLVERS = ("direct", "iterative")
PROBES = 32
MOST_ELIMINATED = 64  # effects that are eliminated one by one, each by a solution
_SEED = 20_250_509  # which probes: the same for every model, as its other numbers are
_LONG = 1e11  # operations of a factorisation, from which on an evaluation takes ten seconds or more, a fit half an hour
_HINT = 'solver="iterative" with method="mode" does without the factor, and says how large its error is.'


def solved(design: Design, border: Border, solver: str) -> linalg.Analysis:
    """The analysis of the bordered precision of a model.

    Raises
    ------
    LgmError
        Without a factorisation, for models for which that would not do.
    MemoryError
        With one, if it would not fit.
    """
    if solver == "iterative":
        return _iterative(design, border)
    try:
        found = border.analyse()
    except MemoryError as error:
        if _refusal(design, border) is None:
            raise MemoryError(f"{error}. {_HINT}") from None
        raise
    if found.flops > _LONG and _refusal(design, border) is None:
        warn(
            f"each factorisation takes {found.flops:.1g} operations and {found.workspace_bytes / 1e9:.1f} GB, an "
            f"evaluation of the density three times as many, a fit many evaluations. {_HINT}",
            LgmWarning,
        )
    return found


def _iterative(design: Design, border: Border) -> linalg.IterativeAnalysis:
    refusal = _refusal(design, border)
    if refusal is not None:
        raise LgmError(
            f'solver="iterative": {refusal}. Accepted: a Gaussian response with crossed or nested groups, (1|g) or '
            '(x|g), of at most four effects in each level; or solver="direct".'
        )
    head = _head(design, border.pattern)
    assert head is not None
    last = np.concatenate([np.arange(design.p), *_few(design, head)])
    return linalg.analyse_iterative(border.pattern, head.rows, last=last, probes=PROBES, seed=_SEED)


def _few(design: Design, head: _Head) -> Iterator[IntArray]:
    """Effects of terms that have few: they are eliminated as fixed effects are, without an error."""
    slices = design.predictor.term_slices()
    left = MOST_ELIMINATED
    for i in sorted(range(len(slices)), key=lambda i: slices[i].stop - slices[i].start):
        left -= slices[i].stop - slices[i].start
        if left < 0:
            return
        if i != head.term:
            yield np.arange(slices[i].start, slices[i].stop) + design.p


def _refusal(design: Design, border: Border) -> str | None:
    """Why a model cannot do without a factorisation, if it cannot."""
    if not design.family.conjugate:
        return f"the family is {design.family.name}"
    for term in design.terms:
        if term.group is None or term.block.constraint is not None or not _block_size(term.block.template.pattern):
            return f"{term.label} is not a group of independent levels"
    if _head(design, border.pattern) is None:
        return "there is no group whose levels do not meet in a row"
    return None


class _Head(NamedTuple):
    term: int
    rows: IntArray  # (blocks, size)


def _head(design: Design, pattern: Pattern) -> _Head | None:
    """The largest term whose levels have nothing to do with each other, in the pattern of H."""
    found: _Head | None = None
    for i, where in enumerate(design.predictor.term_slices()):
        start, stop = where.start + design.p, where.stop + design.p
        if found is not None and stop - start <= found.rows.size:
            continue
        inside = (pattern.cols >= start) & (pattern.rows < stop)
        size = _size(stop - start, pattern.rows[inside] - start, pattern.cols[inside] - start)
        if size:
            found = _Head(i, np.arange(start, stop).reshape(-1, size))
    return found


def _block_size(pattern: Pattern) -> int:
    return _size(pattern.n, pattern.rows, pattern.cols)


def _size(n: int, rows: IntArray, cols: IntArray) -> int:
    """Size of the equal blocks in which all entries are, or zero if there are none small enough."""
    sizes = (s for s in range(1, iterative.MOST_IN_BLOCK + 1) if n % s == 0 and np.all(rows // s == cols // s))
    return next(sizes, 0)


class Estimated(NamedTuple):
    """The error of a log likelihood whose determinant is an estimate.

    Parameters
    ----------
    probes : int
    value : float
        Standard error of the log likelihood.
    slopes : float array (k, k)
        Covariance of the error of its gradient by theta, natural scale.
    sd : float
        Largest relative standard error of the conditional standard deviation of an effect.
    """

    probes: int
    value: float
    slopes: FloatArray
    sd: float


def estimated(post: Marginal, theta: FloatArray) -> Estimated | None:
    """What the probes say of their own error at a theta; None where nothing is estimated."""
    if post.analysis.exact:
        return None
    with own_settings():
        logdets, slopes, diagonal, error = map(np.asarray, _of_probes(post, theta))
    m = len(logdets)
    return Estimated(
        probes=m,
        value=float(0.5 * np.std(logdets, ddof=1) / np.sqrt(m)),
        slopes=0.25 * np.cov(slopes, rowvar=False).reshape(theta.size, theta.size) / m,
        sd=0.5 * float(np.max(error / diagonal)),
    )


@jax.jit
def _of_probes(post: Marginal, theta: jax.Array) -> tuple[jax.Array, ...]:
    sym, data = post.analysis, post.data
    assert isinstance(sym, linalg.IterativeAnalysis)
    assert isinstance(data, GaussianData)

    def precision(theta: jax.Array) -> jax.Array:
        return data.precision(post.prior, sym, theta)

    values, along = precision(theta), jax.jacfwd(precision)(theta)
    logdets, slopes = iterative.spread(sym, values, along.T)
    return logdets, slopes, *iterative.diagonal_of_inverse(sym, values)[:2]
