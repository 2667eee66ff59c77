"""The ordered distinct values that walks and autoregressions live on, and how they go on at other values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.data.scope import Scope
from lgm.errors import DataError
from lgm.formula.python import Expression
from lgm.terms.clock import NUMBERS, Clock
from lgm.terms.term import Draw, Novel, one_hot
from lgm.words import counted

LARGEST_WHOLE = 2.0**53  # beyond it floating-point numbers skip whole ones
SPANS = 1e-75, 1e75  # of values whose cubes and their inverses are ordinary numbers, those of differences included
SAME = 1e-12  # of the span: values this close differ by rounding only
MOST_TIMES = 10**6  # of a term that has an effect for each, with rows or not
MOST_PARTS = 50  # of one gap: more of them would change no standard deviation by two percent


@dataclass(frozen=True)
class Timeline:
    """Increasing distinct values."""

    times: FloatArray

    @classmethod
    def of(cls, values: FloatArray) -> Timeline:
        """The distinct values of a column."""
        return cls(np.unique(values))

    @property
    def n(self) -> int:
        """Number of distinct values."""
        return self.times.size

    @property
    def gaps(self) -> FloatArray:
        """Differences of successive values."""
        return np.diff(self.times)

    @property
    def rounding(self) -> float:
        """Values this close to each other are taken for one where they need not be whole numbers."""
        return SAME * float(self.times[-1] - self.times[0])

    def locate(self, values: FloatArray, tolerance: float = 0.0) -> tuple[IntArray, FloatArray, IntArray]:
        """Position of each value (-1 if new), the distinct new values, where each row is among these (-1 if known)."""
        at = nearest(self.times, values)
        known = np.abs(self.times[at] - values) <= tolerance
        new, new_codes = np.unique(values[~known], return_inverse=True)
        where = np.full(values.size, -1, dtype=np.int64)
        where[~known] = new_codes
        return np.where(known, at, -1), new, where

    def between(self, where: IntArray | None = None) -> FloatArray:
        """Values that cut gaps (all, or those that start at some positions) into pieces of typical length.

        The typical length is the median of the gaps, so an even series is cut where its missing values are.
        """
        starts = np.arange(self.n - 1) if where is None else where
        parts = np.clip(np.round(self.gaps[starts] / np.median(self.gaps)), 1, MOST_PARTS).astype(np.int64)
        cuts = [
            np.linspace(self.times[i], self.times[i + 1], count + 1)[1:-1]
            for i, count in zip(starts[parts > 1].tolist(), parts[parts > 1].tolist(), strict=True)
        ]
        return np.concatenate([np.zeros(0), *cuts])

    def beyond(self, distance: float) -> FloatArray:
        """Distances shorter than this one in steps of typical length, longer ones where they are far away."""
        typical = float(np.median(self.gaps))
        even = typical * np.arange(1, MOST_PARTS + 1)
        further = max(np.log(max(distance, typical) / even[-1]) / np.log1p(1.0 / MOST_PARTS), 0.0)
        found = np.concatenate([even, even[-1] * (1.0 + 1.0 / MOST_PARTS) ** np.arange(1, int(further) + 1)])
        return found[found < distance]

    def walked(self, new: FloatArray) -> FloatArray:
        """New values, and others on the way to them, so that a walk in steps does not depend on what else is asked."""
        start = np.unique(np.searchsorted(self.times, new)) - 1
        inner = self.between(start[(start >= 0) & (start < self.n - 1)])
        before = self.times[0] - self.beyond(self.times[0] - new[0])
        after = self.times[-1] + self.beyond(new[-1] - self.times[-1])
        others = np.concatenate([before, inner, after])
        apart = np.abs(new[nearest(new, others)] - others) > self.rounding
        return np.sort(np.concatenate([new, others[apart]]))


def nearest(times: FloatArray, values: FloatArray) -> IntArray:
    """Position of the nearest of increasing times to each value."""
    right = np.clip(np.searchsorted(times, values), 1, max(times.size - 1, 1))
    right = np.minimum(right, times.size - 1)
    left = np.maximum(right - 1, 0)
    return np.where(values - times[left] <= times[right] - values, left, right)


def novel(
    piece: Expression,
    new: FloatArray,
    where: IntArray,
    added: FloatArray,
    draw: Draw,
    *,
    mean_needs_theta: bool = False,
) -> Novel:
    """The effects at values that the fit does not have.

    Parameters
    ----------
    piece : Expression
        The variable.
    new, where
        As `Timeline.locate` found them.
    added : float array (m,)
        Increasing values at which effects are drawn, all new ones among them.
    draw : Draw
    mean_needs_theta : bool
    """
    what = f"{counted(new.size, 'value')} of {piece.text} that the data do not have"
    codes = np.where(where >= 0, np.searchsorted(added, new)[where], -1)
    return Novel(what, one_hot(codes, added.size), draw, population=False, mean_needs_theta=mean_needs_theta)


def require_ordinary(times: FloatArray, piece: Expression, label: str) -> None:
    """Differences of values, and their cubes, must be numbers that double precision has.

    Raises
    ------
    DataError
        If they are astronomically large or small.
    """
    low, high = float(np.min(times)), float(np.max(times))
    half = high / 2.0 - low / 2.0  # the span itself may overflow
    if not SPANS[0] <= half <= SPANS[1]:
        what = "large" if half > 1.0 else "small"
        raise DataError(
            f"{label}: `{piece.text}` runs from {low:g} to {high:g}, a range too {what} for double precision. Give it "
            "in other units."
        )


def whole_times(scope: Scope, piece: Expression, label: str, otherwise: str = "", clock: Clock = NUMBERS) -> FloatArray:
    """The variable of a term that needs whole numbers; ``otherwise`` says what else a user may do.

    Raises
    ------
    DataError
        If one is not whole, or too large to be told from its neighbours.
    """
    values = clock.read(scope, piece, role_of(label))
    odd = np.flatnonzero((values != np.round(values)) | (np.abs(values) > LARGEST_WHOLE))
    if odd.size:
        limit = f" up to {LARGEST_WHOLE:.0e}" if abs(values[odd[0]]) > LARGEST_WHOLE else ""
        raise DataError(
            f"{label} needs whole times (1, 2, 3, ...; gaps are fine){limit}, `{piece.text}` has "
            f"{values[odd[0]]:g} in row {scope.frame.index[odd[0]]}. Number the times in units of one step{otherwise}."
        )
    return values


def role_of(label: str) -> str:
    """What messages call the time of a term."""
    return f"the time of {label}"


def every(
    first: float, last: float, piece: Expression, label: str, clock: Clock = NUMBERS, step: float = 1.0
) -> FloatArray:
    """All whole times in a range, where each has an effect."""
    what = "whole number" if clock.unit is None else clock.name
    require_few(
        (last - first) / step + 1.0,
        f"{label} has an effect for every {what} from the first to the last `{piece.text}`, {clock.said(first)} to "
        f"{clock.said(last)}",
    )
    return np.arange(first, last + 0.5 * step, step)


def require_few(n: float, what: str) -> None:
    """Raise a DataError where a term would have more effects than anyone wants."""
    if n > MOST_TIMES:
        raise DataError(f"{what}; accepted are up to {MOST_TIMES} of them. Number the times in units of one step.")


def whole_period(scope: Scope, piece: Expression, least: int) -> int:
    """The number of times in one period, an argument of a call.

    Raises
    ------
    FormulaError
        If it is not a whole number of at least ``least``.
    """
    value = scope.value(piece)
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float, np.integer))
        or not least <= value < np.inf
        or value % 1
    ):
        raise scope.formula.error(
            f"period={piece.text} is not a period.",
            piece.span,
            f"the number of times in one period, a whole number of at least {least}, such as 12 for months.",
        )
    return int(value)
