"""Rows in partitions that say the same, made one in each partition and over all of them.

Where the family says how responses add up, rows with the same columns, offset and weight are one, and what is added up
are the functions of a row that `Family.added_up` asks for; they are put into its formula when all rows have been seen.
Else rows with the same response are one, too, and their weights add up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.design.collapse import Observations, equal_rows, taken
from lgm.errors import DataError
from lgm.families.family import Family
from lgm.families.response import Response

MOST = 2_000_000  # rows that are left


@dataclass(frozen=True, eq=False)
class Distinct:
    """Rows of which no two are alike, and sums over those that were.

    Parameters
    ----------
    a : sparse array (m, p + q)
        Columns of all effects.
    y : Response
        Of the first row of each kind.
    beside : tuple of float arrays (m,)
        What has to be equal beside the columns: the offset first.
    sums : tuple of float arrays (m,)
        Rows, weights, and what the family adds up.
    refusal : str
        What to say if there are more than `MOST`.
    """

    a: sp.csc_array
    y: Response
    beside: tuple[FloatArray, ...]
    sums: tuple[FloatArray, ...]
    refusal: str

    @classmethod
    def of(
        cls, family: Family, a: sp.csc_array, y: Response, offset: FloatArray, weights: FloatArray, refusal: str
    ) -> Distinct:
        """Those of some rows.

        Examples
        --------
        >>> from lgm.families.poisson import Poisson
        >>> a = sp.csc_array([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
        >>> some = Distinct.of(Poisson(), a, Response(np.array([3.0, 1.0, 2.0])), np.zeros(3), np.ones(3), "")
        >>> rows = (some + some).rows(Poisson())
        >>> rows.y.value.tolist(), np.exp(rows.offset).round(6).tolist()
        ([10.0, 2.0], [4.0, 2.0])
        """
        added: list[FloatArray] = []

        def noted(values: FloatArray) -> FloatArray:
            added.append(np.asarray(values, dtype=float))
            return added[-1]

        if family.adds_up:
            family.added_up(y, noted)
            beside = [weights]
        else:
            beside = [np.asarray(leaf, dtype=float) for leaf in jax.tree.leaves(y)]
        every = cls(a, y, (offset, *beside), (np.ones(y.size), weights, *added), refusal)
        return every._joined() if y.size else every

    def __add__(self, other: Distinct) -> Distinct:
        if not (self.y.size and other.y.size):
            return self if self.y.size else other
        return Distinct(
            sp.csc_array(sp.vstack([self.a, other.a], format="csc")),
            jax.tree.map(lambda one, two: np.concatenate([one, two]), self.y, other.y),
            tuple(np.concatenate(pair) for pair in zip(self.beside, other.beside, strict=True)),
            tuple(np.concatenate(pair) for pair in zip(self.sums, other.sums, strict=True)),
            self.refusal,
        )._joined()

    def _joined(self) -> Distinct:
        groups = equal_rows(self.a, self.beside)
        first = groups.first
        if first.size > MOST:
            raise DataError(self.refusal)
        return Distinct(
            taken(self.a, first),
            self.y.rows(first),
            tuple(values[first] for values in self.beside),
            tuple(groups.sums(values) for values in self.sums),
            self.refusal,
        )

    def at(self, kept: IntArray) -> Distinct:
        """The same of some columns."""
        return replace(self, a=sp.csc_array(self.a[:, kept]))

    def rows(self, family: Family) -> Observations:
        """As the likelihood takes them; the response knows how many rows of the data each stands for."""
        times, mass, *added = self.sums
        offset = self.beside[0]
        if not family.adds_up:
            return Observations((self.a,), replace(self.y, times=times), offset, mass, mass)
        weights, known = self.beside[1], iter(added)
        y, shift, constant = family.added_up(self.y, lambda values: next(known))
        return Observations(
            (self.a,), replace(y, times=times), offset + shift, weights, mass, float(weights @ constant)
        )
