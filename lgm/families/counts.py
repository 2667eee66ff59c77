"""What families of counts have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.families.checks import RowError
from lgm.families.family import Family
from lgm.families.links import log_rate
from lgm.families.response import Response

_MOST = 1e15  # mean of a Poisson count from which its normal approximation is closer than doubles are to each other


@dataclass(frozen=True)
class Counts(Family):
    """Whole numbers from zero, whose mean is ``exp(eta)``."""

    link: str = "log"

    links = ("log",)
    whole = True

    def check(self, y: Response, name: str) -> None:
        """Whole numbers from zero."""
        require_counts(y, name, self.name)

    def level_of(self, y: Response, offset: FloatArray, weights: FloatArray) -> float:
        """Log of the mean count for each unit of exposure."""
        return log_level(y, offset, weights)

    def one_sided(self, y: Response) -> IntArray | None:
        """Zeros."""
        return -(np.asarray(y.value) == 0).astype(np.int64)


class Truncatable(Counts):
    """Counts of which those above zero can be drawn and averaged by themselves, without waiting for one."""

    @abstractmethod
    def nonzero(self, eta: FloatArray, theta: Mapping[str, FloatArray]) -> FloatArray:
        """``-log P(y = 0)``, without loss where that is small."""

    @abstractmethod
    def above(self, y: FloatArray, eta: FloatArray, theta: Mapping[str, FloatArray]) -> FloatArray:
        """``P(count > y)`` (rows, S) for numbers (rows,), none below zero, without loss where that is small."""

    @abstractmethod
    def positive(self, rng: np.random.Generator, eta: FloatArray, theta: Mapping[str, FloatArray]) -> FloatArray:
        """Counts given that they are above zero."""


def require_counts(y: Response, name: str, family: str) -> None:
    """Raise a DataError unless all values are whole numbers from zero."""
    values = np.asarray(y.value)
    wrong = np.flatnonzero(~((values >= 0.0) & (values == np.floor(values)) & np.isfinite(values)))
    if wrong.size:
        accepted = f", but {family} is for counts: whole numbers from 0."
        raise RowError(f"the response {name} has {values[wrong[0]]:g}", wrong, accepted)


def log_level(y: Response, offset: FloatArray, weights: FloatArray) -> float:
    """``log(sum w y / sum w exp(offset))``, with half an event more than were seen, so that none is no infinity."""
    return log_rate(float(np.sum(weights * y.value)) + 0.5, offset, weights)


def poisson_draws(rng: np.random.Generator, mean: FloatArray) -> FloatArray:
    """Poisson counts of any mean; NumPy has none above 2^63."""
    large = mean > _MOST
    drawn = rng.poisson(np.where(large, 0.0, mean)).astype(float)
    if large.any():
        drawn[large] = np.round(mean[large] + np.sqrt(mean[large]) * rng.standard_normal(np.count_nonzero(large)))
    return drawn


def first_event(rng: np.random.Generator, events: FloatArray) -> FloatArray:
    """When the first event of a Poisson process of rate one comes, given that it comes before time ``events``.

    So many are expected; those after the first are a Poisson number, expected ``events`` less its time.
    """
    return -np.log1p(rng.random(events.shape) * np.expm1(-events))


def at_counts(y: FloatArray, cdf: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """A distribution function (rows, S) of counts at any numbers (rows,): that of the whole number below, zero below 0.

    Examples
    --------
    >>> at_counts(np.array([-1.0, 0.5]), lambda k: 1.0 - 0.5 ** (k + np.ones((1, 1))))
    array([[0. ],
           [0.5]])
    """
    counts = np.floor(y)[:, None]
    return np.where(counts < 0.0, 0.0, cdf(np.maximum(counts, 0.0)))
