r"""The second pass over data in partitions: ``A'WA``, ``A'Wy``, ``y'Wy`` and what else the rows say, as sums.

Sums are about a reference, so that nothing cancels: fixed columns less a typical value and in units of their spread,
``X_0 = X B_0``, and the response less a fit to some rows, ``r_0 = y - offset - X_0 beta_0``. A change of basis of the
fixed effects, ``A = A_0 T``, and of the fit, ``r = r_0 - X_0 d``, is one of the sums alone:

    A'WA = T' (A_0'WA_0) T,    A'Wr = T' (A_0'W r_0 - A_0'W X_0 d),    r'Wr = r_0'W r_0 - 2 d'X_0'W r_0 + d'X_0'WX_0 d
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from lgm.arrays import BoolArray, FloatArray, IntArray
from lgm.design.columns import COLLINEAR, Columns, Interactions
from lgm.design.reference import Reference
from lgm.errors import DataError
from lgm.gram import dense_gram, entries, gram


class Stored(NamedTuple):
    """What is stored of columns (p,): how much, between which values and sizes, and which have the same rows.

    ``alike`` has for each column the first one that is stored in the same rows.
    """

    number: IntArray
    low: FloatArray
    high: FloatArray
    least: FloatArray
    most: FloatArray
    alike: IntArray

    @classmethod
    def of(cls, x: sp.csc_array) -> Stored:
        """Of some rows."""
        p = x.shape[1]
        low, high, least, most = np.full((4, p), np.inf)
        high, most = -high, np.zeros(p)
        alike, first = np.arange(p), dict[bytes, int]()
        for j in range(p):
            part = slice(x.indptr[j], x.indptr[j + 1])
            values = x.data[part]
            alike[j] = first.setdefault(x.indices[part].tobytes(), j)
            if values.size:
                size = np.abs(values)
                low[j], high[j], least[j], most[j] = values.min(), values.max(), size.min(), size.max()
        return cls(np.diff(x.indptr).astype(np.int64), low, high, least, most, alike)

    def plus(self, other: Stored) -> Stored:
        """Of both sets of rows."""
        first: dict[tuple[int, int], int] = {}
        both = zip(self.alike.tolist(), other.alike.tolist(), strict=True)
        alike = np.array([first.setdefault(pair, j) for j, pair in enumerate(both)], dtype=np.int64)
        return Stored(
            self.number + other.number,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            np.minimum(self.least, other.least),
            np.maximum(self.most, other.most),
            alike,
        )

    def at(self, kept: IntArray) -> Stored:
        """Of some columns."""
        first: dict[int, int] = {}
        alike = np.array([first.setdefault(int(self.alike[j]), i) for i, j in enumerate(kept)], dtype=np.int64)
        return Stored(self.number[kept], self.low[kept], self.high[kept], self.least[kept], self.most[kept], alike)


@dataclass(frozen=True, eq=False)
class Sums:
    """Over some rows, about a reference.

    Parameters
    ----------
    n : int
    size : int
        Number of columns, p fixed ones first.
    places : int array (m,)
        Of the entries of the lower triangle of ``A_0'WA_0`` that some row stores, ``row * size + column``, ascending.
    products : float array (m,)
    within : float array (p, p)
        ``X_0'X_0``, without weights.
    total : float array (p,)
        ``X_0'1``.
    latent : float array (size - p,)
        ``Z'1``.
    offset : float
        Sum over the rows.
    projection : float array (size,)
        ``A_0'W r_0``.
    square : float
        ``r_0'W r_0``.
    log_weights : float
        Sum of their logarithms.
    stored : Stored
        Of X.
    """

    n: int
    size: int
    places: IntArray
    products: FloatArray
    within: FloatArray
    total: FloatArray
    latent: FloatArray
    offset: float
    projection: FloatArray
    square: float
    log_weights: float
    stored: Stored

    @classmethod
    def of(
        cls,
        x: sp.csc_array,
        z: sp.csc_array,
        y: FloatArray,
        w: FloatArray,
        reference: Reference,
        offset: float = 0.0,
    ) -> Sums:
        """Of the rows with these fixed columns (n, p), other columns (n, q), responses less offsets, and weights."""
        x0 = reference.columns(x)
        blocks, r = (x0, z), y - x0 @ reference.beta
        n, size = x.shape[0], x.shape[1] + z.shape[1]
        weighted = bool(np.any(w != 1.0))
        if not n:
            nothing = np.zeros(0)
            p = x.shape[1]
            totals = np.zeros((p, p)), np.zeros(p), np.zeros(size - p), 0.0
            return cls(0, size, nothing.astype(int), nothing, *totals, np.zeros(size), 0.0, 0.0, Stored.of(x))
        within, weighed = dense_gram(x0), w * r
        products = gram(blocks, w, None if weighted else within)
        places, values = _summed(products.row.astype(np.int64) * size + products.col, products.data)
        if any(np.any(block.data[_sparse(block)] <= 0.0) for block in blocks):  # a sum of zero is left out then
            row, col = entries(blocks)
            every = row.astype(np.int64) * size + col
            places, values = _summed(np.concatenate([places, every]), np.concatenate([values, np.zeros(every.size)]))
        return cls(
            n,
            size,
            places,
            values,
            within,
            np.asarray(x0.sum(axis=0)).ravel(),
            np.asarray(z.sum(axis=0)).ravel(),
            offset,
            np.concatenate([block.T @ weighed for block in blocks]),
            float(r @ weighed),
            float(np.sum(np.log(w))) if weighted else 0.0,
            Stored.of(x),
        )

    def __add__(self, other: Sums) -> Sums:
        places = np.concatenate([self.places, other.places])
        merged = _summed(places, np.concatenate([self.products, other.products]))
        return Sums(
            self.n + other.n,
            self.size,
            *merged,
            self.within + other.within,
            self.total + other.total,
            self.latent + other.latent,
            self.offset + other.offset,
            self.projection + other.projection,
            self.square + other.square,
            self.log_weights + other.log_weights,
            self.stored.plus(other.stored),
        )

    def without(self, dropped: IntArray) -> Sums:
        """The same without some fixed columns."""
        if not dropped.size:
            return self
        kept = np.setdiff1d(np.arange(self.size), dropped)
        fixed = kept[kept < self.total.size]
        number = np.full(self.size, -1, dtype=np.int64)
        number[kept] = np.arange(kept.size)
        row, col = number[self.places // self.size], number[self.places % self.size]
        some = (row >= 0) & (col >= 0)
        return Sums(
            self.n,
            kept.size,
            row[some] * kept.size + col[some],
            self.products[some],
            self.within[np.ix_(fixed, fixed)],
            self.total[fixed],
            self.latent,
            self.offset,
            self.projection[kept],
            self.square,
            self.log_weights,
            self.stored.at(fixed),
        )

    def changed(self, blocks: Sequence[sp.sparray]) -> Sums:
        """The same for ``Z C``, where C has these blocks; fixed columns stay.

        Examples
        --------
        >>> z = sp.csc_array([[1.0, 2.0], [1.0, 3.0]])
        >>> about = Reference(np.eye(1), 0, np.zeros(1))
        >>> one, y = sp.csc_array([[1.0], [1.0]]), np.array([1.0, 5.0])
        >>> change = sp.csc_array([[1.0, -2.0], [0.0, 1.0]])
        >>> found = Sums.of(one, z, y, np.ones(2), about).changed([change])
        >>> wanted = Sums.of(one, z @ change, y, np.ones(2), about)
        >>> found.projection.tolist() == wanted.projection.tolist(), found.latent.tolist() == wanted.latent.tolist()
        (True, True)
        """
        change = sp.csc_array(sp.block_diag([sp.eye_array(self.p), *blocks], format="csc"))
        row, col = self.places // self.size, self.places % self.size
        lower = sp.coo_array((self.products, (row, col)), shape=(self.size, self.size))
        whole = sp.csc_array(lower + sp.tril(lower, -1).T)
        new = sp.coo_array(sp.tril(change.T @ whole @ change))
        places = np.concatenate([self.places, new.row.astype(np.int64) * self.size + new.col])
        merged = _summed(places, np.concatenate([np.zeros(self.places.size), new.data]))
        latent = change[self.p :, self.p :].T @ self.latent
        projection = change.T @ self.projection
        return replace(self, places=merged[0], products=merged[1], latent=latent, projection=projection)

    @property
    def p(self) -> int:
        """Number of fixed columns."""
        return int(self.total.size)

    def summary(self, reference: Reference) -> Columns:
        """What the fixed columns are as a whole."""
        n, stored = self.n, self.stored
        back = np.linalg.inv(reference.basis)
        mean = back.T @ self.total / n
        moment = back.T @ self.within @ back
        square = np.maximum(moment.diagonal(), 0.0)
        about = back.copy()
        if reference.intercept is not None:
            about[reference.intercept] -= mean
            variance = np.maximum(np.einsum("ij,ik,kj->j", about, self.within, about), 0.0) / n
        else:
            variance = np.maximum(square / n - mean**2, 0.0)
        varies = (stored.number < n) | (stored.high - stored.low > COLLINEAR * stored.most)
        count = np.maximum(stored.number, 1)
        level = mean * n / count
        scatter = np.sqrt(np.where(stored.number == n, variance, np.maximum(square / count - level**2, 0.0)))
        some = stored.number > 0
        scatter = np.minimum(scatter, np.where(some, stored.high - stored.low, 0.0) / 2.0)  # where it is rounding
        return Columns(
            n,
            stored.number,
            np.where(some, stored.low, 0.0),
            np.where(some, stored.high, 0.0),
            mean,
            np.sqrt(np.where(varies, variance, square / n)),
            level,
            scatter,
            np.sqrt(square),
            self._pairs(moment),
        )

    def _pairs(self, moment: FloatArray) -> Interactions:
        """See `Interactions.of`."""
        stored, found = self.stored, list[tuple[int, int, float, float]]()
        for j, i in enumerate(stored.alike.tolist()):
            if i == j or not 0 < stored.number[j] < self.n or stored.least[i] < stored.most[i] or stored.most[i] == 0.0:
                continue
            mean = moment[i, j] / moment[i, i]
            rest = max(moment[j, j] - mean * moment[i, j], 0.0)
            varies = stored.most[j] - stored.least[j] > COLLINEAR * stored.most[j] or rest > 1e-8 * moment[j, j]
            found.append((i, j, float(mean), float(np.sqrt(rest / self.n)) if varies else 0.0))
        indicator, product, means, spreads = np.array(found).reshape(-1, 4).T
        return Interactions(indicator.astype(np.int64), product.astype(np.int64), means, spreads)

    def standard(self, reference: Reference) -> FloatArray:
        """The basis that standardises the fixed columns, as `lgm.design.fixed_effects.standardise` does."""
        found, intercept = self.summary(reference), reference.intercept
        p, pairs = self.p, found.pairs
        basis = np.eye(p)
        basis[pairs.indicator, pairs.product] -= pairs.mean
        for j in range(p):
            if j != intercept and intercept is not None and found.stored[j] == self.n:
                basis[intercept, j] -= found.mean[j]
        forward = np.linalg.solve(reference.basis, basis)
        square = np.maximum(np.einsum("ij,ik,kj->j", forward, self.within, forward), 0.0)
        scale = np.sqrt(square / self.n)
        scale[pairs.product[pairs.spread == 0.0]] = 0.0
        if intercept is not None:
            scale[intercept] = 1.0
        scale[scale == 0.0] = 1.0
        return np.asarray(basis / scale)

    def within_at(self, change: FloatArray) -> FloatArray:
        """``X'X`` of ``X = X_0 T``, without weights."""
        return np.asarray(change.T @ self.within @ change)


class Moved(NamedTuple):
    """Sums in another basis of the fixed columns, for the residuals of a least-squares fit.

    Parameters
    ----------
    products : float array (m,)
        Of ``A'WA``, in the order of the entries.
    projection : float array (size,)
    square : float
    fit : float array (p,)
        Coefficients.
    """

    products: FloatArray
    projection: FloatArray
    square: float
    fit: FloatArray


def moved(sums: Sums, reference: Reference, basis: FloatArray) -> Moved:
    """The sums for ``X B``, with the residuals from the fixed effects that fit best."""
    p, size = sums.p, sums.size
    change = np.linalg.solve(reference.basis, basis)
    row, col = sums.places // size, sums.places % size
    products = sums.products.copy()
    fixed = col < p
    dense = np.zeros((size, p))  # few columns
    dense[row[fixed], col[fixed]] = products[fixed]
    upper = np.triu_indices(p, 1)
    dense[:p][upper] = dense[:p].T[upper]
    square_part = dense[:p].copy()
    dense = dense @ change
    dense[:p] = change.T @ dense[:p]
    products[fixed] = dense[row[fixed], col[fixed]]
    projection = sums.projection.copy()
    projection[:p] = change.T @ projection[:p]
    # y - offset = r_0 + X_0 beta_0, and X_0 = X T^-1
    before = np.linalg.solve(change, reference.beta)
    right = projection[:p] + dense[:p] @ before
    fit = _least_squares(dense[:p], right)
    step = fit - before
    along = change @ step
    square = sums.square - 2.0 * float(along @ sums.projection[:p]) + float(along @ square_part @ along)
    return Moved(products, projection - dense @ step, square, fit)


def _least_squares(left: FloatArray, right: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.lstsq(left, right, rcond=None)[0], dtype=float) if left.size else np.zeros(0)


def _sparse(a: sp.csc_array) -> BoolArray:
    """Which entries are of columns that not all rows store."""
    stored = np.diff(a.indptr)
    return np.repeat(stored < a.shape[0], stored)


def _summed(places: IntArray, values: FloatArray) -> tuple[IntArray, FloatArray]:
    """Values by ascending place; those of the same place are added up in the order in which they come."""
    if places.size > 1 and np.all(np.diff(places) > 0):
        return places, values
    order = np.argsort(places, kind="stable")
    places, values = places[order], values[order]
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    return places[starts], np.add.reduceat(values, starts) if starts.size else values


def require_same(sums: Sums, n: int, what: str) -> None:
    """Raise unless as many rows were added up as there are."""
    if sums.n != n:
        raise DataError(f"{what}: {n} rows at first, {sums.n} later. Accepted: the same rows every time.")
