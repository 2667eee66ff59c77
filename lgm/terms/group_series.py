"""Group effects that are a series in each level: ``ar1(0 + time | g)``, ``hetar1(...)``, ``ou(0 + time | g)``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import scipy.sparse as sp
from formulaic import ModelSpec

from lgm.arrays import FloatArray, IntArray
from lgm.data.model_matrix import materialise
from lgm.data.scope import Scope
from lgm.data.table import is_number
from lgm.errors import DataError
from lgm.formula.python import Expression
from lgm.formula.sides import Bar
from lgm.parameter import Parameter, autocorrelation, positive_autocorrelation, standard_deviation
from lgm.precision import continuation
from lgm.precision.chain import Chain
from lgm.terms.block import Block
from lgm.terms.kinds import Kinds
from lgm.terms.levels import Grouping
from lgm.terms.members import Members
from lgm.terms.term import Caution, Encoded, Novel, Term, Variable
from lgm.terms.timeline import LARGEST_WHOLE
from lgm.words import counted, listed

SERIES = ("ar1", "hetar1", "ou")
MOST_SDS = 100  # of hetar1: a parameter for each time


@dataclass(frozen=True)
class Times:
    """Where effects of a level stand in time: numbers, or the columns of a model matrix one after the other.

    Parameters
    ----------
    text : str
        What stands before the bar.
    variable : Expression, optional
        Of times that are numbers.
    spec : ModelSpec, optional
        Of columns, such as those of a factor.
    at : float array (T,)
        The times, increasing.
    names : tuple of str
        Of the times or columns.
    """

    text: str
    variable: Expression | None
    spec: ModelSpec | None
    at: FloatArray
    names: tuple[str, ...]

    @classmethod
    def of(cls, bar: Bar, scope: Scope) -> Times:
        """Read them from the data."""
        variable = _numeric(bar, scope)
        if variable is not None:
            values = scope.numbers(variable, f"the time of {bar.text}")
            if bar.structure != "ou":
                _require_whole(values, variable, bar, scope)
            at = np.unique(values)
            return cls(bar.effects.text, variable, None, at, tuple(f"{variable.text}[{time:g}]" for time in at))
        what = f"The part before the bar of {bar.text}"
        spec, _, names = materialise(bar.effects, scope, what)
        if bar.structure == "ou":
            raise DataError(
                f"{bar.text} needs times that are numbers, as in ou(0 + time | {bar.group_name}); `{bar.effects.text}` "
                f"gives {listed(names, 3)}. Accepted for successive times: ar1({bar.effects.text} | {bar.group_name})."
            )
        return cls(bar.effects.text, None, spec, np.arange(len(names), dtype=float), tuple(names))

    def entries(self, bar: Bar, scope: Scope) -> tuple[IntArray, FloatArray, FloatArray]:
        """Of the effects in rows: the row, the time, and what multiplies the effect."""
        if self.variable is not None:
            values = scope.numbers(self.variable, f"the time of {bar.text}")
            if bar.structure != "ou":
                _require_whole(values, self.variable, bar, scope)
            return np.arange(scope.n), values, np.ones(scope.n)
        what = f"The part before the bar of {bar.text}"
        columns = sp.coo_array(materialise(bar.effects, scope, what, self.spec)[1])
        return columns.row, self.at[columns.col], columns.data

    def label(self, time: float) -> str:
        """What tables call a time."""
        if self.variable is not None:
            return f"{time:.10g}"
        return self.names[int(time)]


def _numeric(bar: Bar, scope: Scope) -> Expression | None:
    """The variable of ``0 + time``, if its values are numbers."""
    terms = [term for term in bar.effects.formula]
    if len(terms) != 1 or len(terms[0].factors) != 1:
        return None
    variable = bar.effects.factors.get(terms[0].factors[0].expr)
    if variable is None or not is_number(scope.column(variable, f"the time of {bar.text}")):
        return None
    return variable


def _require_whole(values: FloatArray, variable: Expression, bar: Bar, scope: Scope) -> None:
    odd = np.flatnonzero((values != np.round(values)) | (np.abs(values) > LARGEST_WHOLE))
    if odd.size:
        raise DataError(
            f"{bar.text} needs whole times (1, 2, 3, ...; gaps are fine), `{variable.text}` has {values[odd[0]]:g} in "
            f"row {scope.frame.index[odd[0]]}. Number the times in units of one step, or use ou({bar.effects.text} | "
            f"{bar.group_name})."
        )


@dataclass(frozen=True)
class Pairs:
    """Levels and their times, those that occur: one effect for each, in order of levels and times.

    Parameters
    ----------
    level : int array (n,)
    time : float array (n,)
    """

    level: IntArray
    time: FloatArray

    @classmethod
    def of(cls, level: IntArray, time: FloatArray) -> tuple[Pairs, IntArray]:
        """The distinct pairs, and which of them each is."""
        order = np.lexsort((time, level))
        first = np.ones(order.size, dtype=bool)
        first[1:] = (np.diff(level[order]) != 0) | (np.diff(time[order]) != 0.0)
        where = np.empty(order.size, dtype=np.int64)
        where[order] = np.cumsum(first) - 1
        return cls(level[order][first], time[order][first]), where

    @property
    def n(self) -> int:
        """Number of effects."""
        return self.level.size

    def starts(self, levels: int) -> IntArray:
        """Where the effects of each level begin, and the end of the last (levels + 1,)."""
        return np.searchsorted(self.level, np.arange(levels + 1))

    def find(self, level: IntArray, time: FloatArray) -> IntArray:
        """The places of other pairs among these, -1 for those that are not."""
        known = pd.MultiIndex.from_arrays([self.level, self.time])
        return np.asarray(known.get_indexer(pd.MultiIndex.from_arrays([level, time])), dtype=np.int64)


@dataclass(frozen=True)
class GroupSeriesTerm(Term):
    """Effects of a stationary autoregression of order one in each level of a group, at the times that it has.

    ``rho`` is the correlation of effects of a level one step apart: for columns from one to the next, for whole times
    the largest whole number of which all spacings are multiples, for other times (``ou``) the median spacing.
    """

    label: str
    bar: Bar
    grouping: Grouping
    times: Times
    pairs: Pairs
    step: float
    z: sp.csc_array
    block: Block
    kinds: Kinds | None

    @property
    def group(self) -> str:
        """The grouping."""
        return self.bar.group_name

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """The effects by level and time."""
        levels = self.grouping.labels.tolist()
        times, at = np.unique(self.pairs.time, return_inverse=True)
        after = np.array([f":{self.times.label(time)}" for time in times.tolist()], dtype=object)
        labels = np.array([str(level) for level in levels], dtype=object)[self.pairs.level] + after[at]
        return (Variable(self.label, np.arange(self.pairs.n), f"{self.group}:{self.times.text}", labels),)

    @property
    def size(self) -> str:
        """Number of levels and effects, whether variances are equal, and the step that rho is about."""
        what = "one variance for each time" if self.bar.structure == "hetar1" else "equal variances"
        name = {"ou": "Ornstein-Uhlenbeck"}.get(self.bar.structure, "autoregression of order one")
        step = "" if self.step == 1.0 else f"; rho is that of a step of {self.step:g}"
        kinds = "" if self.kinds is None else f"; {self.kinds.words}"
        levels = counted(self.grouping.n, "level")
        return f"{levels}, {self.pairs.n} effects; {name}, {what}{step}{kinds}"

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """Columns of several variables, such as an intercept and a slope, are rarely meant to be a series."""
        effects = self.bar.effects
        if len(list(effects.formula)) == 1:
            return ()
        *_, rho = self.block.parameters
        time = effects.text if effects.text in effects.factors else "time"
        text = (
            f"in {self.label}, {listed(list(self.times.names), 3)} are taken for successive times. An effect for each "
            f"time is {self.bar.structure}(0 + {time} | {self.group})."
        )
        return (Caution(rho.names[0], text),)

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows; new times of a level are drawn given the others, new levels from the population."""
        rows, time, data = self.times.entries(self.bar, scope)
        known, new, labels = self.grouping.codes(scope)
        level = np.where(known >= 0, known, self.grouping.n + new)[rows]
        place = self.pairs.find(level, time)
        has = place >= 0
        z = sp.csc_array((data[has], (rows[has], place[has])), shape=(scope.n, self.pairs.n))
        if np.all(has):
            return Encoded(z)
        fresh, where = Pairs.of(level[~has], time[~has])
        columns = sp.csc_array((data[~has], (rows[~has], where)), shape=(scope.n, fresh.n))
        of_population = fresh.level >= self.grouping.n
        group = self.bar.group_name
        parts = []
        if labels.size:
            parts.append(f"{counted(labels.size, 'new level')} of {group} ({listed(labels.tolist(), 5)})")
        if not np.all(of_population):
            parts.append(f"{counted(int(np.sum(~of_population)), 'new time')} of levels of {group}")
        kind = np.zeros(0, dtype=np.int64)
        if self.kinds is not None:
            kind = np.append(self.kinds.codes, self.kinds.of_new(scope, new, labels) if labels.size else kind)

        def draw(theta: Mapping[str, FloatArray], b: FloatArray, normals: FloatArray) -> FloatArray:
            return self._draw(fresh, kind, theta, b, normals)

        return Encoded(z, novel=Novel(" and ".join(parts), columns, draw, of_population, mean_needs_theta=True))

    def _draw(
        self, fresh: Pairs, kind: IntArray, theta: Mapping[str, FloatArray], b: FloatArray, normals: FloatArray
    ) -> FloatArray:
        """Level by level, as series of unit variance."""
        out = np.empty_like(normals)
        starts = self.pairs.starts(self.grouping.n)
        edges = np.flatnonzero(np.diff(fresh.level, prepend=-1))
        for first, last in zip(edges.tolist(), [*edges[1:].tolist(), fresh.n], strict=True):
            level = int(fresh.level[first])
            k = int(kind[level]) if kind.size else 0
            new, z = self._steps(fresh.time[first:last]), normals[:, first:last]
            sd = theta["sd"][:, self._sds(fresh.time[first:last], k)]
            bridge = continuation.autoregressive(np.ones(len(b)), theta["rho"][:, k])
            if level < self.grouping.n:
                own = slice(starts[level], starts[level + 1])
                old, scale = self.pairs.time[own], theta["sd"][:, self._sds(self.pairs.time[own], k)]
                u = np.divide(b[:, own], scale, out=np.zeros_like(scale), where=scale > 0.0)
                white = continuation.markov(self._steps(old), new, bridge, u, z)
            else:
                rest = continuation.markov(new[:1], new[1:], bridge, z[:, :1], z[:, 1:])
                white = np.concatenate([z[:, :1], rest], axis=1)
            out[:, first:last] = sd * white
        return out

    def _steps(self, time: FloatArray) -> FloatArray:
        """Times in steps from the first one on, whole numbers where they are whole steps apart."""
        return np.asarray((time - self.times.at[0]) / self.step)

    def _sds(self, time: FloatArray, kind: int) -> IntArray:
        """Which standard deviation effects at these times have, in a level of this kind."""
        if self.bar.structure != "hetar1":
            return np.full(time.size, kind)
        return kind * self.times.at.size + np.searchsorted(self.times.at, time)


def build(bar: Bar, scope: Scope, yardstick: float) -> GroupSeriesTerm:
    """Read one bar of these classes against the data.

    Raises
    ------
    DataError
        If the group has one level, no level has two times, or times are not what the class needs.
    """
    _require_plain(bar)
    members, codes = Members.of(bar, scope)
    grouping = members.grouping
    if grouping.n == 1:
        raise DataError(
            f"the group `{bar.group_name}` in {bar.text} has one level ({grouping.labels[0]}). A series for all rows "
            "is a term by itself, such as ar1(t)."
        )
    kinds = Kinds.of(bar, scope, members, codes)
    times = Times.of(bar, scope)
    if bar.structure == "hetar1" and times.at.size > MOST_SDS:
        raise DataError(f"{bar.text} has a standard deviation for each of {times.at.size} times; accepted: {MOST_SDS}.")
    rows, time, data = times.entries(bar, scope)
    pairs, where = Pairs.of(codes[rows], time)
    joined = np.diff(pairs.level) == 0
    if not joined.any():
        raise DataError(
            f"in {bar.text} no level of `{bar.group_name}` has two times, so nothing is known of how they are "
            f"correlated. Accepted: (1 | {bar.group_name})."
        )
    gaps = np.diff(pairs.time)
    step = float(np.median(gaps[joined])) if bar.structure == "ou" else _largest_step(gaps[joined])
    counts = gaps / step if bar.structure == "ou" else np.round(gaps / step).astype(np.int64)
    kind = np.zeros(grouping.n, dtype=np.int64) if kinds is None else kinds.codes
    position = np.searchsorted(times.at, pairs.time)
    sd = kind[pairs.level] * times.at.size + position if bar.structure == "hetar1" else kind[pairs.level]
    template = Chain.of(counts, joined, sd, kind[pairs.level[1:]])
    z = sp.csc_array((data, (rows, where)), shape=(scope.n, pairs.n))
    parameters = _parameters(bar, times, yardstick, kinds)
    return GroupSeriesTerm(bar.text, bar, grouping, times, pairs, step, z, Block(template, parameters), kinds)


def _largest_step(gaps: FloatArray) -> float:
    return float(np.gcd.reduce(gaps.astype(np.int64)))


def _require_plain(bar: Bar) -> None:
    if bar.pooled:
        raise DataError(f"{bar.text}: a series is of one level in each row, not of the members of mm().")
    for name in ("cov", "precision"):
        if bar.option(name) is not None:
            raise DataError(f"{bar.text}: `{name}=` is for effects of the classes us, diag, cs and toep.")


def _parameters(bar: Bar, times: Times, yardstick: float, kinds: Kinds | None) -> tuple[Parameter, ...]:
    group, label = bar.group_name, bar.text
    owners = [(group, label)] if kinds is None else zip(kinds.owners(group), kinds.owners(label), strict=True)
    found: list[Parameter] = []
    for owner, term in owners:
        if bar.structure == "hetar1":
            found += [standard_deviation(owner, yardstick, name) for name in times.names]
        else:
            found.append(standard_deviation(term, yardstick))
        found.append(positive_autocorrelation(term) if bar.structure == "ou" else autocorrelation(term))
    return tuple(found)
