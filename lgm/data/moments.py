r"""Central moments of numbers that come in parts, and what transformations such as ``scale(x)`` remember of them.

Parts with counts ``n_i``, means ``m_i`` and sums ``M_k`` of k-th powers about their means are merged about the common
mean by ``sum (x - m)^k = sum_j binom(k, j) M_{k-j} (m_i - m)^j`` (Pebay 2008, Sandia report SAND2008-6212).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from formulaic.transforms import TRANSFORMS

from lgm.arrays import FloatArray
from lgm.errors import DataError

HIGHEST = 4  # degree of orthogonal polynomials: from moments, further ones lose more than six digits


@dataclass(frozen=True)
class Moments:
    """Of one column.

    Parameters
    ----------
    n : int
    mean : float
    powers : float array (k + 1,)
        Sums of the powers 0, 1, ..., k about the mean as it was rounded: the first is not quite zero.
    low, high : float
    """

    n: int
    mean: float
    powers: FloatArray
    low: float
    high: float

    @classmethod
    def of(cls, x: FloatArray, k: int = 2) -> Moments:
        """Of some numbers, of which none is missing.

        Examples
        --------
        >>> x = np.array([1.0, 2.0, 4.0, 8.0])
        >>> both = Moments.of(x[:1]) + Moments.of(x[1:])
        >>> both.mean, round(both.sd(ddof=1), 6) == round(float(np.std(x, ddof=1)), 6)
        (3.75, True)
        """
        if not x.size:
            return cls(0, 0.0, np.zeros(k + 1), math.inf, -math.inf)
        mean = float(np.mean(x))
        about, powers, product = x - mean, np.empty(k + 1), np.ones(x.size)
        for j in range(k + 1):
            powers[j] = np.sum(product)
            product = product * about
        return cls(x.size, mean, powers, float(x.min()), float(x.max()))

    def __add__(self, other: Moments) -> Moments:
        if not (self.n and other.n):
            return self if self.n else other
        n = self.n + other.n
        mean = self.mean + (other.mean - self.mean) * (other.n / n)
        powers = self._about(self.mean - mean) + other._about(other.mean - mean)
        return Moments(n, mean, powers, min(self.low, other.low), max(self.high, other.high))

    def _about(self, shift: float) -> FloatArray:
        """Sums of powers of the numbers, each moved by so much from the mean."""
        k = self.powers.size - 1
        return np.array(
            [sum(math.comb(j, i) * self.powers[j - i] * shift**i for i in range(j + 1)) for j in range(k + 1)]
        )

    def sd(self, ddof: float = 0.0) -> float:
        """Standard deviation."""
        return float(np.sqrt(self.powers[2] / (self.n - ddof)))

    def is_indicator(self) -> bool:
        """Whether all are zeros and ones: then, and between these only then, the squares sum up to what they do.

        Examples
        --------
        >>> [Moments.of(np.array(x)).is_indicator() for x in ([0.0, 1.0, 1.0], [0.0, 0.5, 1.0], [0.0, 2.0])]
        [True, False, False]
        """
        square = self.root_mean_square() ** 2
        return self.low >= 0.0 and self.high <= 1.0 and self.mean - square <= 1e-12 * self.mean

    def root_mean_square(self) -> float:
        """About zero."""
        return float(np.sqrt(self.powers[2] / self.n + self.mean**2))


@dataclass(frozen=True)
class Heard:
    """What a transformation was called with, beside the moments of what it transforms.

    Parameters
    ----------
    name : str
        Of the transformation.
    options : dict
        Its other arguments by name, defaults included.
    moments : Moments
    """

    name: str
    options: Mapping[str, Any]
    moments: Moments

    @classmethod
    def of(cls, called: Callable[..., Any], text: str, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Heard:
        """A call in an expression of the formula.

        Raises
        ------
        DataError
            For a transformation that moments do not settle.
        """
        name = next((each for each, function in TRANSFORMS.items() if function is called), "")
        if name not in _STATES:
            raise DataError(
                f"`{text}` learns from all rows at once, which are not in memory. Accepted of data in partitions: "
                f"{', '.join(f'`{each}()`' for each in _STATES)}, smooth terms such as `s(x)`, or a column that holds "
                "the values."
            )
        bound = inspect.signature(called).bind(*args, **keywords)
        bound.apply_defaults()
        options = {key: value for key, value in bound.arguments.items() if not key.startswith("_")}
        x = np.asarray(options.pop(next(iter(options))), dtype=float)
        if x.ndim != 1 or np.isnan(x).any():
            raise DataError(
                f"`{text}` transforms what another transformation learns from all rows, and these are not in memory. "
                "Accepted: one transformation of a column or of functions of it, or a column that holds the values."
            )
        return cls(name, options, Moments.of(x, _powers(name, text, options)))

    def __add__(self, other: Heard) -> Heard:
        return Heard(self.name, self.options, self.moments + other.moments)

    def state(self) -> dict[str, Any]:
        """What the transformation would have remembered of all rows."""
        return _STATES[self.name](self.moments, self.options)


def _powers(name: str, text: str, options: Mapping[str, Any]) -> int:
    if name != "poly" or options["raw"]:
        return 2
    if options["degree"] > HIGHEST:
        raise DataError(
            f"`{text}` is of degree {options['degree']}; accepted of data in partitions: at most {HIGHEST}, or "
            "raw=True of a column that is centred."
        )
    return 2 * int(options["degree"])


def _scale(moments: Moments, options: Mapping[str, Any]) -> dict[str, Any]:
    centre, scale, ddof = options.get("center", True), options.get("scale", True), options.get("ddof", 1)
    about = moments.mean if centre is True else None if centre is False else np.array(centre)
    square = moments.powers[2] + moments.n * (moments.mean - (0.0 if about is None else about)) ** 2
    spread = np.sqrt(square / (moments.n - ddof)) if scale is True else None if scale is False else np.array(scale)
    return {"ddof": ddof, "center": about, "scale": spread}


def _center(moments: Moments, options: Mapping[str, Any]) -> dict[str, Any]:
    return _scale(moments, {"scale": False})


def _poly(moments: Moments, options: Mapping[str, Any]) -> dict[str, Any]:
    """Coefficients of the three-term recurrence, from the moments about the mean in units of the sd."""
    degree = int(options["degree"])
    if options["raw"]:
        return {}
    sd = moments.sd() or 1.0
    own = np.asarray(moments.powers / sd ** np.arange(moments.powers.size), dtype=np.longdouble)
    alpha, norms2 = {}, {0: float(moments.n)}
    before, current = np.zeros(1, np.longdouble), np.ones(1, np.longdouble)  # monic, in ascending powers
    norm, last = own[0], own[0]
    for k in range(degree):
        square = np.convolve(current, current)
        centre = np.dot(square, own[1 : square.size + 1]) / norm
        alpha[k] = float(moments.mean + sd * centre)
        following = np.append(np.longdouble(0.0), current)
        following[: current.size] -= centre * current
        if k:
            following[: before.size] -= norm / last * before
        before, current, last = current, following, norm
        square = np.convolve(current, current)
        norm = np.dot(square, own[: square.size])
        norms2[k + 1] = float(norm * np.longdouble(sd) ** (2 * (k + 1)))
    return {"alpha": alpha, "norms2": norms2}


_STATES: dict[str, Callable[[Moments, Mapping[str, Any]], dict[str, Any]]] = {
    "scale": _scale,
    "center": _center,
    "poly": _poly,
}
