"""Rows that say the same of the effects, made one on the host, so that the cost of an evaluation follows distinct rows.

Rows with the same columns A and offset have the same linear predictor. Where the family says how their responses add
up, they become one row; else those of them with equal responses do, and their weights add up. What the likelihoods
differ by does not depend on anything that is estimated, and is kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.families.family import Family
from lgm.families.response import Response
from lgm.sparse import side_by_side

WORTH = 10_000  # rows saved where their number depends on the response, and another response has to be compiled for
ENTRIES = 1 << 20  # of A that are read at a time


class Observations(NamedTuple):
    """Rows with a response.

    Parameters
    ----------
    blocks : tuple of sparse arrays (n, ...)
        Columns of all effects, side by side.
    y : Response
    offset : float array (n,)
    weights : float array (n,)
        In the likelihood.
    mass : float array (n,)
        Sums of the weights of the rows of the data for which each stands.
    constant : float
        What their log-likelihoods lack of that of the data.
    """

    blocks: tuple[sp.csc_array, ...]
    y: Response
    offset: FloatArray
    weights: FloatArray
    mass: FloatArray
    constant: float = 0.0

    @property
    def a(self) -> sp.csc_array:
        """Columns of all effects (n, p + q)."""
        return side_by_side(self.blocks, self.n)

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.y.size


class Groups(NamedTuple):
    """Which rows are equal.

    Parameters
    ----------
    of : int array (n,)
        The group of each row, numbered in the order of their first rows.
    first : int array (m,)
        The first row of each group.
    """

    of: IntArray
    first: IntArray

    def sums(self, values: FloatArray) -> FloatArray:
        """Over the rows of each group (m,) of values (n,)."""
        return np.bincount(self.of, values, minlength=self.first.size).astype(float)


def collapse(family: Family, rows: Observations) -> Observations:
    """The same evidence in as few rows as the family knows how to make of them.

    Examples
    --------
    >>> from lgm.families.binomial import Bernoulli
    >>> a = sp.csc_array([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
    >>> rows = Observations((a,), Response(np.array([1.0, 1.0, 0.0])), np.zeros(3), np.ones(3), np.ones(3))
    >>> found = collapse(Bernoulli(), rows)
    >>> found.y.value.tolist(), found.y.trials.tolist(), found.a.toarray().tolist()
    ([1.0, 1.0], [2.0, 1.0], [[1.0, 0.0], [1.0, 1.0]])
    """
    if not (family.adds_up or family.weights_count):
        return rows
    beside = [rows.weights] if family.adds_up else jax.tree.leaves(rows.y)
    a = rows.a
    groups = equal_rows(a, [rows.offset, *beside])
    saved = rows.n - groups.first.size
    if saved == 0 or (saved < WORTH and not family.adds_up):
        return rows
    mass, first = groups.sums(rows.mass), groups.first
    blocks, offset = (taken(a, first),), rows.offset[first]
    if not family.adds_up:
        return Observations(blocks, rows.y.rows(first), offset, mass, mass)
    y, shift, constant = family.added_up(rows.y, groups.sums)
    weights = rows.weights[first]
    return Observations(blocks, y, offset + shift, weights, mass, float(weights @ constant))


def equal_rows(a: sp.csc_array, beside: Sequence[FloatArray]) -> Groups:
    """Rows that are equal in the sparse columns and in those (n,) beside them, to the last bit.

    A row goes by a sum over its entries of mixed bits (Carter & Wegman 1979). Where two rows agree a second sum has to
    agree too, or all rows are kept apart: that is as rare as errors of the machine.
    """
    n = a.shape[0]
    none = Groups(np.arange(n), np.arange(n))
    sums = np.zeros(n, np.uint64)
    for sums in _row_sums(a, beside, seed=1):
        if np.all(np.diff(np.sort(sums))):  # some columns have told all rows apart
            return none
    of = pd.factorize(sums)[0]
    first = np.flatnonzero(np.diff(np.maximum.accumulate(of), prepend=-1))
    *_, sums = _row_sums(a, beside, seed=2)
    return Groups(of, first) if np.array_equal(sums[first][of], sums) else none


def _row_sums(a: sp.csc_array, beside: Sequence[FloatArray], seed: int) -> Iterator[np.ndarray]:
    """Sums of mixed bits (n,) over more and more columns, at last all."""
    n, d = a.shape
    salts = np.random.default_rng(seed).integers(2**64, size=d + len(beside), dtype=np.uint64)
    sums = np.zeros(n, np.uint64)
    for column, salt in zip(beside, salts[d:], strict=True):
        sums += _mixed(np.asarray(column, dtype=float), salt)
    yield sums
    starts = np.searchsorted(a.indptr, np.arange(0, a.nnz, max(ENTRIES, n)))
    for low, high in itertools.pairwise(np.unique([*starts, d])):
        part = slice(a.indptr[low], a.indptr[high])
        own = np.repeat(salts[low:high], np.diff(a.indptr[low : high + 1]))
        np.add.at(sums, a.indices[part], _mixed(a.data[part], own))
        yield sums


def _mixed(values: np.ndarray, salt: np.ndarray) -> np.ndarray:
    """The bits of numbers, of which each depends on all before (the finaliser of MurmurHash3)."""
    bits = (np.ascontiguousarray(values) + 0.0).view(np.uint64) ^ salt  # minus zero becomes zero
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        bits ^= bits >> np.uint64(33)
        bits *= np.uint64(factor)
    bits ^= bits >> np.uint64(33)
    return bits


def taken(a: sp.csc_array, rows: IntArray) -> sp.csc_array:
    """Some rows, which ascend."""
    place = np.full(a.shape[0], -1, dtype=np.int32)
    place[rows] = np.arange(rows.size, dtype=np.int32)
    kept = np.flatnonzero(place[a.indices] >= 0)
    parts = a.data[kept], place[a.indices[kept]], np.searchsorted(kept, a.indptr)
    return sp.csc_array(parts, shape=(rows.size, a.shape[1]))
