"""Passes over the rows of a fit at many thetas: which thetas, and what is computed at each, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np
from scipy.special import logsumexp

from lgm.arrays import FloatArray, IntArray
from lgm.inference import pareto
from lgm.inference.compile import jit
from lgm.inference.draws import joined
from lgm.inference.weighted import Weighted
from lgm.posterior import density
from lgm.posterior.assemble import every_row
from lgm.posterior.cavity import Cavity, cavities, predicted
from lgm.posterior.density import Marginal
from lgm.posterior.every_row import EveryRow
from lgm.posterior.inner import Observed
from lgm.results.progress import bar
from lgm.xla import own_settings

if TYPE_CHECKING:
    from lgm.results.fit import Fit

MOST, FEWEST = 1000, 200  # thetas: as many as memory allows
WIDER = 4  # times as many where they are weighted points
NEGLIGIBLE = 30.0  # logs below the largest weight
UNITS = 2000  # rows or groups at once
NUMBERS = 20_000_000  # thetas times rows that are kept, up to four times as many where they are weighted points
TOGETHER, AT_ONCE = 2_000_000, 64  # rows times thetas, and thetas, in one call


@dataclass(frozen=True, eq=False)
class Thetas:
    """Some of the thetas of a fit: evenly spread over its draws, or the weighted points that these were drawn from.

    Parameters
    ----------
    theta : float array (S, k)
        All different.
    log_weights : float array (S,)
        Sum of exponentials is about one.
    which : int array (chains, draws)
        Which of them each chosen draw is.
    draws : int array (draws,)
        Numbers of the chosen draws in their chains.
    numbers : int array (S,)
        A draw of each theta, counted through all chains; -1 for points that were not drawn.
    proposed : bool
        Whether the weights are importance weights, of points that reach further than the posterior.
    """

    theta: FloatArray
    log_weights: FloatArray
    which: IntArray
    draws: IntArray
    numbers: IntArray
    proposed: bool = False

    @property
    def size(self) -> int:
        """How many."""
        return len(self.theta)

    @classmethod
    def of(cls, fit: Fit, rows: int, most: int | None = None) -> Thetas:
        """Of a fit, at most so many, by default as many as can be kept for so many rows."""
        most = int(np.clip(NUMBERS // max(rows, 1), FEWEST, MOST)) if most is None else most
        chains, size, _ = fit.draws.theta.shape
        draws = np.arange(0, size, max(-(-chains * size // most), 1))
        if isinstance(fit.draws, Weighted) and fit.draws.points.size <= min(most, NUMBERS // max(rows, 1)) * WIDER:
            points, index = fit.draws.points, fit.draws.index
            known = np.flatnonzero(points.log_weights > points.log_weights.max() - NEGLIGIBLE)
            place = np.searchsorted(known, index[draws])
            first = np.full(known.size, -1)
            first[np.searchsorted(known, index)] = np.arange(size)
            return cls(points.theta[known], points.log_weights[known], place[None], draws, first, proposed=True)
        theta, first, which, counts = np.unique(
            joined(fit.draws.theta[:, draws]), axis=0, return_index=True, return_inverse=True, return_counts=True
        )
        chain, place = np.divmod(first, draws.size)
        which = which.reshape(chains, draws.size)
        return cls(theta, np.log(counts / counts.sum()), which, draws, chain * size + draws[place])

    def spread(self, count: int) -> IntArray:
        """Numbers of so many of those that are among the draws, evenly spread."""
        drawn = np.unique(self.which)
        return drawn[np.unique(np.linspace(0, drawn.size - 1, min(count, drawn.size)).round().astype(np.int64))]

    @property
    def slow(self) -> FloatArray:
        """Coordinates (S, k) in which log densities change slowly: logs of what is positive."""
        positive = np.all(self.theta > 0, axis=0)
        return np.where(positive, np.log(np.where(positive, self.theta, 1.0)), self.theta)

    @property
    def moved(self) -> bool:
        """Whether there is more than one."""
        return self.size > 1


class Weights(NamedTuple):
    """Normalised log weights (S, n) of thetas for each of n units, and the Pareto k of each."""

    log: FloatArray
    k: FloatArray


def smoothed(thetas: Thetas, log_density: FloatArray) -> Weights:
    """Weights of thetas given all but one unit, in proportion to ``1 / p(y_i | y_-i, theta)`` (S, n), smoothed.

    Where theta is held there is nothing to weigh, and k is NaN.
    """
    log, k = np.empty(log_density.shape), np.full(log_density.shape[1], np.nan)
    if not thetas.moved:
        return Weights(np.zeros(log.shape), k)
    for at in parts(log_density.shape[1]):
        log[:, at], k[at] = _smoothed(thetas, log_density[:, at])
    return Weights(log, k)


def parts(n: int) -> Iterator[slice]:
    """Some units at a time: what is computed of thetas and all of them takes several times the memory of a result."""
    return (slice(start, start + UNITS) for start in range(0, n, UNITS))


def _smoothed(thetas: Thetas, log_density: FloatArray) -> tuple[FloatArray, FloatArray]:
    log, k = np.empty(log_density.shape), np.full(log_density.shape[1], np.nan)
    whole = thetas.log_weights[:, None] if thetas.proposed else 0.0
    known = np.any(np.isfinite(log_density), axis=0)
    given = log_density[:, known]
    ratios = np.where(np.isfinite(given), whole - np.where(np.isfinite(given), given, 0.0), -np.inf)
    log[:, ~known] = np.nan
    log[:, known], k[known] = pareto.smooth_columns(ratios)
    if not thetas.proposed:
        log += thetas.log_weights[:, None]
    return log - logsumexp(log, axis=0), k


@jit
def _cavities(post: Marginal, rows: Observed, thetas: jax.Array) -> Cavity:
    def one(theta: jax.Array) -> Cavity:
        return cavities(rows, theta, density.linear(post, theta, rows.a))

    return jax.lax.map(one, thetas)


@jit
def _predicted(post: Marginal, rows: EveryRow, thetas: jax.Array, counted: jax.Array) -> Cavity:
    post, each = density.keeping(post, rows, counted), rows.observed

    def one(theta: jax.Array) -> Cavity:
        return predicted(each, theta, density.linear(post, theta, each.a))

    return jax.lax.map(one, thetas)


def cavities_at(fit: Fit, thetas: FloatArray, rows: EveryRow) -> Iterator[tuple[IntArray, Cavity]]:
    """Cavities (B, n) of all rows, of some thetas at a time, with the numbers of these."""

    def call(some: FloatArray) -> Cavity:
        found: Cavity = _cavities(fit.analysed.marginal, rows.observed, some)
        return found

    yield from _in_parts(call, thetas, rows, "rows", progress=fit.progress)


def predictions_at(
    fit: Fit, thetas: FloatArray, rows: EveryRow, counted: FloatArray
) -> Iterator[tuple[IntArray, Cavity]]:
    """The same, of all rows given those with a one (n,): right for the others."""

    def call(some: FloatArray) -> Cavity:
        found: Cavity = _predicted(fit.analysed.marginal, rows, some, counted)
        return found

    yield from _in_parts(call, thetas, rows, "rows", progress=False)


def _in_parts(
    call: Callable[[FloatArray], Cavity], thetas: FloatArray, rows: EveryRow, what: str, *, progress: bool
) -> Iterator[tuple[IntArray, Cavity]]:
    size = len(thetas)
    step = int(np.clip(TOGETHER // rows.observed.a.n, 1, AT_ONCE)) if size > 1 else 1  # few shapes, few programs
    with bar(size, what, progress=progress) as shown:
        for start in range(0, size, step):
            at = np.minimum(np.arange(start, start + step), size - 1)  # every call has the same shapes
            real = min(step, size - start)
            with own_settings():
                found = call(thetas[at])
            yield at[:real], jax.tree.map(lambda part, real=real: np.asarray(part)[:real], found)
            shown.update(real)


def rows_of(fit: Fit) -> EveryRow:
    """The rows of a fit with a response."""
    with own_settings():
        return every_row(fit.design, fit.analysed)
