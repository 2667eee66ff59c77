"""Group effects: ``(1|g)``, ``(x|g)``, ``(x||g)``, nested and crossed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from formulaic import ModelSpec

from lgm.arrays import FloatArray, IntArray
from lgm.data.model_matrix import materialise
from lgm.data.scope import Scope
from lgm.data.table import is_number, kind_of
from lgm.errors import DataError, IdentifiabilityError
from lgm.formula.sides import Bar
from lgm.parameter import Parameter, correlations, standard_deviation
from lgm.precision.centred import AboutMeans
from lgm.precision.correlated import Correlated
from lgm.precision.iid import Iid
from lgm.precision.template import Template
from lgm.terms.block import Block
from lgm.terms.levels import Grouping
from lgm.terms.term import Caution, Component, Encoded, Novel, Term, Variable
from lgm.words import counted, listed

DEFAULT_LKJ = 2.0
MOST_CORRELATED = 30  # effects in a level: 435 correlations
FAR = 5.0  # beyond so many sds from zero, level effects at zero are extrapolations that default priors do not expect
ROUNDING = 1e-9  # of the sd: a mean below this is that of a centred covariate


@dataclass(frozen=True)
class GroupTerm(Term):
    """Effects that vary by level of a group, correlated within a level or independent."""

    label: str
    bar: Bar
    grouping: Grouping
    spec: ModelSpec
    names: tuple[str, ...]
    z: sp.csc_array
    block: Block
    means: FloatArray  # (q,): effects of the block are those of ``covariate - mean``
    far: tuple[str, ...] = ()  # covariates whose zero is far from the data, beside an intercept that varies

    @property
    def group(self) -> str:
        """The grouping, such as ``g`` or ``a:b``."""
        return self.bar.group_name

    @property
    def variables(self) -> tuple[Variable, ...]:
        """One per varying effect; an intercept is that at zero."""
        return tuple(self._variable(k, name) for k, name in enumerate(self.names))

    def _variable(self, k: int, name: str) -> Variable:
        shown = f"{name}|{self.group}", self._places(k), self.group, self.grouping.labels
        if name != "Intercept":
            return Variable(*shown, slope_of=name)
        moved = np.flatnonzero(self.means)
        if not moved.size:
            return Variable(*shown)
        index = np.column_stack([self._places(j) for j in (k, *moved)])
        return replace(Variable(*shown), index=index, weights=np.array([1.0, *-self.means[moved]]))

    def _places(self, k: int) -> IntArray:
        """Where effect k of each level stands in the block."""
        return np.arange(self.grouping.n) * len(self.names) + k

    @property
    def size(self) -> str:
        """Number of levels."""
        return f"{self.grouping.n} levels"

    @property
    def components(self) -> tuple[Component, ...]:
        """The variances of the varying effects and, of a correlated term, their covariances."""
        places, group = [self._places(k) for k in range(len(self.names))], self.group
        found = [Component((f"sd({name}|{group})",), own) for name, own in zip(self.names, places, strict=True)]
        if self.bar.correlated:
            for i, j in zip(*np.tril_indices(len(places), -1), strict=True):
                name = f"corr({self.names[j]},{self.names[i]}|{group})"
                found.append(Component((name,), places[j], places[i]))
        return tuple(found)

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """Where level effects are about zero of a covariate that is far from zero, their default prior does not fit."""
        if not self.far or self.block.printing is not None:
            return ()
        x, sd = self.far[0], f"sd(Intercept|{self.group})"
        text = (
            f"in {self.label}, `{x}` is far from zero, so {sd} is the spread of extrapolations to {x} = 0, which its "
            f"default prior does not expect. Centre it, as in (center({x}) | {self.group}), or give {sd} a prior."
        )
        return (Caution(sd, text),)

    @property
    def origin(self) -> tuple[str, ...]:
        """The sd of the intercepts and the correlations, where they are about the means of covariates."""
        return () if self.block.printing is None else (f"sd(Intercept|{self.group})", f"corr({self.group})")

    def about_zero(self, scope: Scope) -> GroupTerm:
        """The same effects, with a block whose intercepts are those at zero."""
        plain = replace(self, means=np.zeros(len(self.names)), block=replace(self.block, printing=None))
        return replace(plain, z=plain.encode(scope).z)

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows; unknown levels get effects of their own."""
        what = f"The part before the bar of {self.bar.text}"
        columns = _centred(materialise(self.bar.effects, scope, what, self.spec)[1], self.means)
        known, new, labels = self.grouping.codes(scope)
        z = _spread(columns, known, self.grouping.n)
        if not labels.size:
            return Encoded(z)
        what = f"{counted(len(labels), 'new level')} of {self.bar.group_name} ({listed(labels.tolist(), 5)})"
        return Encoded(z, novel=Novel(what, _spread(columns, new, len(labels)), self._draw, population=True))

    def _draw(self, theta: Mapping[str, FloatArray], b: FloatArray, normals: FloatArray) -> FloatArray:
        q, sd = len(self.names), theta["sd"]
        white = normals.reshape(len(sd), -1, q)
        if "corr" in theta:
            corr = np.broadcast_to(np.eye(q), (len(sd), q, q)).copy()
            rows, cols = np.tril_indices(q, -1)
            corr[:, rows, cols] = corr[:, cols, rows] = theta["corr"]
            white = np.einsum("sij,slj->sli", np.linalg.cholesky(corr), white)
        return (white * sd[:, None, :]).reshape(len(sd), -1)


def _spread(columns: sp.csc_array, codes: IntArray, n: int) -> sp.csc_array:
    """Put effect column k of a row into column ``level * q + k``; the stored places of ``columns`` are kept."""
    q = columns.shape[1]
    entries = sp.coo_array(columns)
    keep = codes[entries.row] >= 0
    where = codes[entries.row[keep]] * q + entries.col[keep]
    return sp.csc_array((entries.data[keep], (entries.row[keep], where)), shape=(codes.size, n * q))


def build(bar: Bar, scope: Scope, yardstick: float) -> GroupTerm:
    """Read one bar against the data.

    Raises
    ------
    FormulaError
        If the effects or the grouping cannot be evaluated.
    DataError
        If the group has a single level.
    IdentifiabilityError
        If an effect is zero in every row.
    """
    grouping, codes = Grouping.of(bar, scope)
    group = bar.group_name
    if grouping.n == 1:
        raise DataError(
            f"the group `{group}` in {bar.text} has one level ({grouping.labels[0]}): a variance between levels "
            f"needs at least two. Remove the term, or use another grouping."
        )
    what = f"The part before the bar of {bar.text}"
    spec, columns, names = materialise(bar.effects, scope, what)
    q = len(names)
    _require_few(bar, scope, q)
    empty = [name for k, name in enumerate(names) if not np.any(columns[:, [k]].data)]
    if empty:
        raise IdentifiabilityError(f"the effect `{empty[0]}` in {bar.text} is zero in every row; remove it.")
    mean, spread = _moments(columns, scope.n)
    parameters: list[Parameter] = [
        standard_deviation(group, yardstick / s, name)
        for name, s in zip(names, _value_scales(columns, mean, spread), strict=True)
    ]
    template: Template = Iid(grouping.n, q)
    about, printing = np.zeros(q), None
    if bar.correlated and q > 1:
        template = Correlated(grouping.n, q)
        pairs = [(names[j], names[i]) for i, j in zip(*np.tril_indices(q, -1), strict=True)]
        parameters.append(correlations(group, pairs, q, DEFAULT_LKJ))
        if names[0] == "Intercept":
            whole = np.diff(columns.indptr) == scope.n  # columns with gaps stay sparse
            about[1:] = np.where(whole & (np.abs(mean) > ROUNDING * spread), mean, 0.0)[1:]
            printing = AboutMeans(about) if about.any() else None
    return GroupTerm(
        label=bar.text,
        bar=bar,
        grouping=grouping,
        spec=spec,
        names=tuple(names),
        z=_spread(_centred(columns, about), codes, grouping.n),
        block=Block(template, tuple(parameters), printing=printing),
        means=about,
        far=_far_from_zero(mean, spread, names) if "Intercept" in names else (),
    )


def _require_few(bar: Bar, scope: Scope, q: int) -> None:
    """A covariance matrix has ``q (q + 1) / 2`` parameters, more than data speak of or engines bear when q is large."""
    if not bar.correlated or q <= MOST_CORRELATED:
        return
    factors = [name for name in bar.effects.factors if name in scope.frame and not is_number(scope.frame[name])]
    counts = [f"`{name}` is {kind_of(scope.frame[name])} of {scope.frame[name].nunique()} levels" for name in factors]
    text = " For a slope, make numbers of it: astype(float)." if counts and " text " in counts[0] else ""
    one = f"; or one variance, (1 | {bar.group_name}:{factors[0]})" if factors else ""
    raise IdentifiabilityError(
        f"{bar.text} would have {q} effects in each level, with {q} standard deviations and {q * (q - 1) // 2} "
        f"correlations{f': {listed(counts)}' if counts else ''}.{text} Accepted: at most {MOST_CORRELATED} correlated "
        f"effects; independent ones, ({bar.effects.text} || {bar.group_name}){one}."
    )


def _centred(columns: sp.csc_array, means: FloatArray) -> sp.csc_array:
    """Columns less their means, where these are not zero; all rows of such columns are stored."""
    if not means.any():
        return columns
    data = columns.data - np.repeat(means, np.diff(columns.indptr))
    return sp.csc_array((data, columns.indices, columns.indptr), shape=columns.shape)


def _moments(columns: sp.csc_array, n: int) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of each column, in two passes: a mean may be far larger than the spread."""
    stored = np.diff(columns.indptr)
    mean = np.asarray(columns.sum(axis=0)).ravel() / n
    column = np.repeat(np.arange(mean.size), stored)
    squares = np.bincount(column, (columns.data - mean[column]) ** 2, minlength=mean.size) + (n - stored) * mean**2
    return mean, np.sqrt(squares / n)


def _far_from_zero(mean: FloatArray, spread: FloatArray, names: list[str]) -> tuple[str, ...]:
    """Effects whose covariate has a mean of more than `FAR` standard deviations."""
    far = (np.abs(mean) > FAR * spread) & (spread > 1e-7 * np.abs(mean))
    return tuple(name for name, is_far in zip(names, far, strict=True) if is_far and name != "Intercept")


def _value_scales(columns: sp.csc_array, mean: FloatArray, spread: FloatArray) -> FloatArray:
    """Scale of each effect's covariate for its default prior: its sd, but one for constants and indicators."""
    scales = np.ones(columns.shape[1])
    for k in range(columns.shape[1]):
        data = columns.data[columns.indptr[k] : columns.indptr[k + 1]]
        if np.any((data != 0.0) & (data != 1.0)):
            scales[k] = spread[k] if spread[k] > 1e-12 * abs(mean[k]) else abs(mean[k])  # or it is constant
    return scales
