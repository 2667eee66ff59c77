"""The effects given the data: their moments as mixtures over theta, and their draws, of which few enough are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import ndtri

from lgm.arrays import FloatArray, IntArray
from lgm.design.predictor import Printed
from lgm.errors import IdentifiabilityError, LgmError
from lgm.inference.compile import Plan
from lgm.inference.draws import Draws, Expected, Mixture, joined
from lgm.posterior.assemble import Analysed
from lgm.posterior.density import Marginal
from lgm.results import at_theta, bent, fixed_alone, normal, variances
from lgm.results.drawing import Block, Drawing
from lgm.results.drawing import programs as drawing_programs
from lgm.results.fixed_alone import Fixed
from lgm.results.quantiles import Tails, ends
from lgm.words import amount
from lgm.xla import own_settings

KEPT_BYTES = 1e9  # most that draws of effects may take in memory
NO_TABLE = np.zeros((4, 0))  # until all of it is there


@dataclass(frozen=True, eq=False)
class Kept:
    """What is kept of the effects ``u = (beta, b)``, on their printed scale.

    Parameters
    ----------
    mean : float array (p + q,)
        ``E[u | y]``: the average of the conditional means over all S thetas (Rao-Blackwell). These are exact where the
        effects given theta are normal, else those of weighted points.
    table : float array (4, p)
        Mean, sd and ends of the interval of each fixed effect: what the summary shows. Where draws of all effects are
        too many to be kept, they are from points that the engine made, the others from draws that are made again, and
        the two differ by Monte Carlo error.
    sd : float array (p + m,)
        Of what tables show: the fixed effects, then the m variables of the terms (`Predictor.printed`).
        From the law of total variance: the variance of the conditional means over all thetas plus the average
        conditional variance over some of them, as many as bring its Monte Carlo error below half a percent of every
        sd, but at most 200. At one theta where the effects are not normal: by the weighted points of which the draws
        were made, beside the known variance of the normal draws behind these; where a point costs a factorisation, by
        few points without any draws (`lgm.results.bent`).
    ends : float array (2, p + m)
        Of the intervals of the same: quantiles of all draws, or by such points, or exact where all draws have the same
        theta and the effects are normal given it.
    fixed : float array (S, p)
        Draws of the fixed effects; (0, p) where they are yet to be made: with one theta no table needs them.
    draws : float array (S, p + q)
        Draws of all; (0, p + q) where they are yet to be made or too large to be kept.
    """

    mean: FloatArray
    table: FloatArray
    sd: FloatArray
    ends: FloatArray
    fixed: FloatArray
    draws: FloatArray

    def within(self, limit: float) -> Kept:
        """The same without draws that take more bytes than this; they can be made again."""
        return self if self.draws.nbytes <= limit else replace(self, draws=self.draws[:0])


class Effects:
    """One draw of u for each draw of theta, and what tables show of them; nothing is computed before it is needed.

    Parameters
    ----------
    analysed : Analysed
    drawn : Draws
        Of theta. Effects that the engine computed along with its weights are used where they suffice.
    seed : int
    interval : float
        Probability of the intervals.
    progress : bool
        Whether work of more than two seconds shows a bar.
    kept : Kept, optional
        Where it is known.
    """

    def __init__(
        self,
        analysed: Analysed,
        drawn: Draws,
        seed: int,
        interval: float = 0.95,
        *,
        progress: bool = True,
        kept: Kept | None = None,
    ) -> None:
        thetas = joined(drawn.theta)
        self.drawing = Drawing(analysed, thetas, seed, progress)
        self._drawn, self._interval, self._kept = drawn, interval, kept

    @property
    def made(self) -> Kept | None:
        """What is kept, if it is there."""
        return self._kept

    @property
    def kept(self) -> Kept:
        """Means, standard deviations, intervals, and draws as far as they are there."""
        if self._kept is None:
            self._kept = _finite(_kept(self.drawing, self._drawn, self._interval, self._fixed_alone))
        return self._kept

    @property
    def table(self) -> FloatArray:
        """See `Kept`; without the other effects where these are not needed for it."""
        if self._kept is None and self._fixed_alone is not None:
            return self._fixed_alone.table
        return self.kept.table

    @cached_property
    def _fixed_alone(self) -> Fixed | None:
        found = fixed_alone.fixed_effects(self.drawing, self._drawn, self._interval)
        if found is not None:
            _require_finite(found.table)
        return found

    def kept_at(self, interval: float) -> Kept:
        """The same with intervals of another probability: from draws that are there, or once more from the start."""
        kept, alone = self.kept, fixed_alone.fixed_effects(self.drawing, self._drawn, interval)
        if self.drawing.normal:
            found = _normal_ends(self.drawing.analysed.printed(kept.mean), kept.sd, interval)
        elif len(kept.draws) and not bent.serves(self.drawing):
            found = ends(np.ascontiguousarray(self.drawing.analysed.printed(kept.draws).T), interval)
        else:
            return _finite(_kept(self.drawing, self._drawn, interval, alone))
        return _finite(_with_table(replace(kept, ends=found), self.drawing.p, alone))

    @property
    def mean(self) -> FloatArray:
        """See `Kept`."""
        return self.kept.mean

    @property
    def sd(self) -> FloatArray:
        """See `Kept`."""
        return self.kept.sd

    @property
    def ends(self) -> FloatArray:
        """See `Kept`."""
        return self.kept.ends

    @property
    def size(self) -> int:
        """Number of draws."""
        return self.drawing.size

    @property
    def held(self) -> bool:
        """Whether all draws may be held in memory."""
        return fits(self.size, self.drawing.dim)

    @property
    def draws(self) -> FloatArray:
        """All draws (S, p + q), natural scale.

        Raises
        ------
        LgmError
            If they would take more memory than is allowed.
        """
        if not self.held:
            taken = amount(8.0 * self.size * self.drawing.dim)
            raise LgmError(
                f"{self.size} draws of {self.drawing.dim} effects take {taken}; at most {amount(KEPT_BYTES)} are kept. "
                "fit.effect_draws(term, levels) makes those of some levels."
            )
        if not len(self.kept.draws):
            made = self._made(lambda u: u, self.drawing.dim)
            self._kept = replace(self.kept, draws=made, fixed=made[:, : self.drawing.p])
        return self.kept.draws

    @property
    def fixed(self) -> FloatArray:
        """Draws of the fixed effects (S, p)."""
        if not len(self.kept.fixed):
            fixed = self.of(lambda u: u[:, : self.drawing.p], self.drawing.p)  # may keep the draws that it makes
            self._kept = replace(self.kept, fixed=fixed)
        return self.kept.fixed

    def of(self, function: Callable[[FloatArray], FloatArray], m: int) -> FloatArray:
        """Draws (S, m) of what a function makes of some draws of all effects, (B, p + q) to (B, m)."""
        return function(self.draws) if self.held else self._made(function, m)

    def printed(self, parts: Sequence[tuple[Printed, Any]]) -> list[FloatArray]:
        """Draws (S, m) of printed effects at some of their levels, for each part.

        Raises
        ------
        LgmError
            If they would take more memory than is allowed.
        """

        def function(u: FloatArray) -> FloatArray:
            return np.concatenate([printed.of(u)[:, where] for printed, where in parts], axis=1)

        sizes = [printed.variable.labels[where].size for printed, where in parts]
        if not fits(self.size, sum(sizes)):
            raise LgmError(
                f"{self.size} draws of {sum(sizes)} effects take {amount(8.0 * self.size * sum(sizes))}; at most "
                f"{amount(KEPT_BYTES)} are made at once. Accepted: fewer levels."
            )
        if self.held:
            return [printed.of(self.draws)[:, where] for printed, where in parts]
        return np.split(self.of(function, sum(sizes)), np.cumsum(sizes)[:-1], axis=1) if parts else []

    def blocks(self) -> Iterator[tuple[IntArray, FloatArray]]:
        """Draws (B, p + q) with their numbers (B,): all at once where they may be held, else block by block."""
        if self.held:
            yield np.arange(self.size), self.draws
            return
        for block in self.drawing.blocks(np.arange(self.size)):
            yield block.numbers, block.draws

    def _made(self, function: Callable[[FloatArray], FloatArray], m: int) -> FloatArray:
        out = _columns(self.size, m)
        for block in self.drawing.blocks(np.arange(self.size)):
            out[block.numbers] = function(block.draws)
        return out


def fits(draws: int, m: int) -> bool:
    """Whether draws of m variables may be held in memory."""
    return 8.0 * draws * m <= KEPT_BYTES


def require_memory(draws: int, m: int) -> None:
    """Raise unless draws of m effects that cannot be made again may be held in memory."""
    if not fits(draws, m):
        raise LgmError(
            f"{draws} draws of {m} effects take {amount(8.0 * draws * m)}; at most {amount(KEPT_BYTES)} are kept, and "
            'method="joint" keeps all. Accepted: fewer draws or chains.'
        )


def _columns(draws: int, m: int) -> FloatArray:
    """An array (S, m) with the draws of a variable side by side, as those who go over them want it."""
    return np.empty((m, draws)).T


def _finite(kept: Kept) -> Kept:
    """The same; numbers that are none are never printed."""
    _require_finite(kept.mean, kept.table, kept.sd, kept.ends)
    return kept


def _require_finite(*values: FloatArray) -> None:
    if not all(np.all(np.isfinite(each)) for each in values):
        raise IdentifiabilityError(
            "moments of the effects given the hyperparameters are not finite. Look for effects that the data cannot "
            "tell apart, for priors that hold hyperparameters far from all that the data allow, and for extreme units."
        )


def _kept(drawing: Drawing, drawn: Draws, interval: float, alone: Fixed | None) -> Kept:
    if drawing.normal:
        return _with_table(_at_one_theta(drawing, interval), drawing.p, None)
    known = drawn.effects_at()
    if known is not None and known[0].mean.shape[1] < drawing.dim:
        known = None
    if known is None and drawing.alike:
        few = bent.table(drawing, interval)
        kept = _by_points(drawing, interval) if few is None else _without_draws(drawing, *few)
        return _with_table(kept, drawing.p, alone)
    found, spread = _from_draws(drawing, interval) if known is None else _from_points(drawing, *known, interval)
    if known is not None and not (drawn.conditional and drawing.analysed.marginal.data.normal):
        sd = _sd_of_points(drawing, known[0], found.mean)
    else:
        sd = np.sqrt(spread + variances.averaged(drawing, spread))
    return _with_table(replace(found, sd=sd), drawing.p, alone)


def _with_table(kept: Kept, p: int, alone: Fixed | None) -> Kept:
    """The same; what was found of the fixed effects alone comes first."""
    if alone is None:
        return replace(kept, table=np.vstack([kept.mean[:p], kept.sd[:p], kept.ends[:, :p]]))
    return replace(
        kept,
        mean=alone.mean if alone.mean.size == kept.mean.size else kept.mean,
        table=alone.table,
        sd=np.concatenate([alone.sd, kept.sd[p:]]),
        ends=np.concatenate([alone.ends, kept.ends[:, p:]], axis=1),
    )


def _sd_of_points(drawing: Drawing, points: Mixture, mean: FloatArray) -> FloatArray:
    """Standard deviations of the printed effects, by the draws at all weighted points.

    Draws and weights come from the same pairs, and are exact together only: means of few pairs scatter, and what
    others say of the variance around them does not know by how much.
    """
    analysed, weights = drawing.analysed, np.exp(points.log_weights)
    m = points.draws.shape[1]
    each = (analysed.printed(analysed.natural(points.draws[:, k]) - mean) for k in range(m))
    return np.sqrt(sum(weights @ away**2 for away in each) / m)


def _at_one_theta(drawing: Drawing, interval: float) -> Kept:
    """Normal, so that nothing need be drawn."""
    mean, variance = normal.moments(drawing)
    sd, nothing = np.sqrt(variance), np.zeros((0, mean.size))
    found = _normal_ends(drawing.analysed.printed(mean), sd, interval)
    return Kept(mean, NO_TABLE, sd, found, nothing[:, : drawing.p], nothing)


def _without_draws(drawing: Drawing, mean: FloatArray, sd: FloatArray, ends: FloatArray) -> Kept:
    """From what is found of the effects of terms; the fixed effects are found by themselves."""
    nothing, p = np.zeros((0, mean.size)), drawing.p
    sd, ends = np.concatenate([np.zeros(p), sd]), np.concatenate([np.zeros((2, p)), ends], axis=1)
    return Kept(mean, NO_TABLE, sd, ends, nothing[:, :p], nothing)


def _by_points(drawing: Drawing, interval: float) -> Kept:
    """From weighted points at one theta: those of which effects are drawn say how these spread too.

    The fixed effects have no sd yet: theirs is found by themselves.
    """
    post, at = drawing.analysed.marginal, drawing.at_theta
    with own_settings():
        centre, known = map(np.asarray, at_theta.spread(None, post, at.theta, at.found))
    said = _Said()
    kept, _ = _from_draws(drawing, interval, said)
    mean = said.mean / said.share
    moved = drawing.analysed.printed(mean - drawing.analysed.natural(centre))[drawing.p :]
    variance = np.maximum(known + said.squares / said.share - moved**2, 0.0)
    return replace(kept, mean=mean, sd=np.concatenate([np.zeros(drawing.p), np.sqrt(variance)]))


class _Said:
    """What the points of all blocks say together, each by the average of its weights."""

    def __init__(self) -> None:
        self._first: float | None = None
        self.share, self.mean, self.squares = 0.0, np.zeros(()), np.zeros(())

    def add(self, block: Block) -> None:
        assert block.points is not None
        self._first = block.points.gain if self._first is None else self._first
        share = np.exp(block.points.gain - self._first)
        self.share += share
        self.mean = self.mean + share * block.means[0]
        self.squares = self.squares + share * block.points.squares


def _normal_ends(centre: FloatArray, sd: FloatArray, interval: float) -> FloatArray:
    away = ndtri((1.0 + interval) / 2.0) * sd
    return np.stack([centre - away, centre + away])


def _from_draws(drawing: Drawing, interval: float, said: _Said | None = None) -> tuple[Kept, FloatArray]:
    """All but the sd, and the variance of the conditional means over theta, from one pass over all draws."""
    analysed, size, dim = drawing.analysed, drawing.size, drawing.dim
    draws = _columns(size if fits(size, dim) else 0, dim)
    fixed, total, square = np.empty((size, drawing.p)), np.zeros(dim), np.zeros(())
    first, tails = np.zeros(0), None
    for block in drawing.blocks(np.arange(size)):
        if said is not None:
            said.add(block)
        printed = analysed.printed(block.draws)
        fixed[block.numbers] = block.draws[:, : drawing.p]
        if len(draws):
            draws[block.numbers] = block.draws
        tails = tails or Tails(printed.shape[1], size, interval)
        tails.add(printed.T)
        first = first if first.size else block.means[0]  # a shift, against cancellation in the variance
        total += block.counts @ (block.means - first)
        square = square + block.counts @ analysed.printed(block.means - first) ** 2
    assert tails is not None
    average = total / size
    spread = np.maximum(square / size - analysed.printed(average) ** 2, 0.0)
    return Kept(first + average, NO_TABLE, spread, tails.ends(), fixed, draws), spread


def _from_points(drawing: Drawing, points: Mixture, index: IntArray, interval: float) -> tuple[Kept, FloatArray]:
    """The same from weighted points: means use the weights of all points, not the resampled ones."""
    analysed, weights = drawing.analysed, np.exp(points.log_weights)
    means = analysed.natural(points.mean)
    mean = weights @ means
    spread = weights @ analysed.printed(means - mean) ** 2
    occurrence = _occurrences(index)
    known = np.flatnonzero(occurrence < points.draws.shape[1])
    draws = _columns(index.size, drawing.dim)
    draws[known] = analysed.natural(points.draws[index[known], occurrence[known]])
    for block in drawing.blocks(np.flatnonzero(occurrence >= points.draws.shape[1])):
        draws[block.numbers] = block.draws
    found = ends(np.ascontiguousarray(analysed.printed(draws).T), interval)
    return Kept(mean, NO_TABLE, spread, found, draws[:, : drawing.p], draws), spread


def _occurrences(index: IntArray) -> IntArray:
    """How often each entry has occurred before."""
    order = np.argsort(index, kind="stable")
    ranked = index[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    run = np.arange(index.size) - np.repeat(starts, np.diff(np.concatenate([starts, [index.size]])))
    out = np.empty(index.size, dtype=np.int64)
    out[order] = run
    return out


def programs(post: Marginal, expected: Expected) -> list[Plan]:
    """What the tables will call for the draws of a run."""
    if expected.thetas == 1:
        return normal.programs(post) if post.data.normal else fixed_alone.programs(post)
    moments = variances.programs(post, expected.thetas) if expected.thetas else []
    return [*drawing_programs(post, expected), *moments]
