"""Group effects: ``(1|g)``, ``(x|g)``, ``(x||g)``, nested and crossed; ``cs(0 + f|g)``; related or pooled levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from formulaic import ModelSpec

from lgm.arrays import BoolArray, FloatArray, IntArray
from lgm.data.model_matrix import materialise
from lgm.data.scope import Scope
from lgm.data.table import is_number, kind_of
from lgm.errors import DataError, IdentifiabilityError
from lgm.formula.sides import Bar
from lgm.parameter import Parameter
from lgm.precision.centred import AboutMeans
from lgm.precision.related import Related
from lgm.precision.several import Several, by_kinds
from lgm.precision.template import Template, Theta
from lgm.terms.block import Block
from lgm.terms.kinds import Kinds
from lgm.terms.levels import Grouping
from lgm.terms.members import Members
from lgm.terms.relationship import Relatives
from lgm.terms.structures import CovarianceClass
from lgm.terms.term import Caution, Component, Encoded, Novel, Term, Variable
from lgm.words import counted, listed

MOST_CORRELATED = 30  # effects in a level: 435 correlations
FAR = 5.0  # beyond so many sds from zero, level effects at zero are extrapolations that default priors do not expect
ROUNDING = 1e-9  # of the sd: a mean below this is that of a centred covariate


@dataclass(frozen=True)
class GroupTerm(Term):
    """Effects that vary by level of a group, correlated within a level or independent.

    Levels are independent, of the same distribution or of one for each kind of level, or they are relatives.
    """

    label: str
    bar: Bar
    members: Members
    spec: ModelSpec
    covariance: CovarianceClass
    z: sp.csc_array
    block: Block
    means: FloatArray  # (q,): effects of the block are those of ``covariate - mean``
    far: tuple[str, ...] = ()  # covariates whose zero is far from the data, beside an intercept that varies
    relatives: Relatives | None = None
    kinds: Kinds | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the effects of a level."""
        return self.covariance.names

    @property
    def grouping(self) -> Grouping:
        """The levels."""
        return self.members.grouping

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
        """Number of levels, and of what kind they and their effects are."""
        count = counted(self.grouping.n, "level")
        if self.relatives is not None:
            count = f"{count} related by {self.relatives.name}, {self.relatives.with_rows} with rows"
        parts = [count, self.members.words, self.covariance.words, "" if self.kinds is None else self.kinds.words]
        return "; ".join(part for part in parts if part)

    @property
    def components(self) -> tuple[Component, ...]:
        """The variances of the varying effects and, of a correlated term, their covariances; none of relatives."""
        if self.relatives is not None or self.covariance.name not in ("us", "diag", "homdiag"):
            return ()
        if self.kinds is None:
            return tuple(self._components(np.arange(self.grouping.n), self.group, self.label))
        owners = zip(self.kinds.levels, self.kinds.owners(self.group), self.kinds.owners(self.label), strict=True)
        return tuple(one for each in owners for one in self._components(*each))

    def _components(self, levels: IntArray, owner: str, label: str) -> list[Component]:
        q = len(self.names)
        places = [levels * q + k for k in range(q)]
        if self.covariance.homogeneous:
            return [Component((f"sd({label})",), np.concatenate(places))]
        found = [Component((f"sd({name}|{owner})",), own) for name, own in zip(self.names, places, strict=True)]
        if self.covariance.structure is not None:
            for i, j in zip(*np.tril_indices(q, -1), strict=True):
                name = f"corr({self.names[j]},{self.names[i]}|{owner})"
                found.append(Component((name,), places[j], places[i]))
        return found

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

    @property
    def to_zero(self) -> sp.csc_array | None:
        """What its columns are multiplied by to be those of `about_zero`: slopes get back the mean of the covariate."""
        if not self.means.any():
            return None
        one = np.eye(len(self.names))
        one[self.names.index("Intercept")] += self.means
        return sp.csc_array(sp.kron(sp.eye_array(self.grouping.n), sp.csc_array(one), format="csc"))

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows; unknown levels get effects of their own, but relatives are known."""
        what = f"The part before the bar of {self.bar.text}"
        columns = _centred(materialise(self.bar.effects, scope, what, self.spec)[1], self.means)
        known, new, labels = self.grouping.codes(scope)
        z = self.members.columns(columns, known, self.grouping.n, scope)
        if not labels.size:
            return Encoded(z)
        if self.relatives is not None:
            raise DataError(self.relatives.unknown(labels.tolist()))
        what = f"{counted(len(labels), 'new level')} of {self.bar.group_name} ({listed(labels.tolist(), 5)})"
        kind = None if self.kinds is None else self.kinds.of_new(scope, new, labels)

        def draw(theta: Mapping[str, FloatArray], b: FloatArray, normals: FloatArray) -> FloatArray:
            return self._draw(theta, b, normals, kind)

        fresh = self.members.columns(columns, new, len(labels), scope)
        return Encoded(z, novel=Novel(what, fresh, draw, population=True))

    def _draw(self, theta: Theta, b: FloatArray, normals: FloatArray, kind: IntArray | None = None) -> FloatArray:
        """Effects of levels that are independent of the others, of some kinds."""
        q = len(self.names)
        white = normals.reshape(len(normals), -1, q)
        if kind is None or self.kinds is None:
            return self._coloured(theta, white).reshape(len(normals), -1)
        out = np.empty_like(white)
        for k, part in enumerate(by_kinds(theta, len(self.kinds.values))):
            out[:, kind == k] = self._coloured(part, white[:, kind == k])
        return out.reshape(len(normals), -1)

    def _coloured(self, theta: Theta, white: FloatArray) -> FloatArray:
        """Effects (S, levels, q) of standard normals."""
        if self.covariance.structure is not None:
            root = np.linalg.cholesky(self.covariance.structure.matrix(theta, len(self.names)))
            white = np.einsum("sij,slj->sli", root, white)
        return np.asarray(white * theta["sd"][:, None, :])


def build(bar: Bar, scope: Scope, yardstick: float) -> GroupTerm:
    """Read one bar against the data.

    Raises
    ------
    FormulaError
        If the effects or the grouping cannot be evaluated.
    DataError
        If the group has a single level, or for a relationship matrix or kinds of levels that do not fit.
    IdentifiabilityError
        If an effect is zero in every row.
    """
    members, codes = Members.of(bar, scope)
    relatives = Relatives.of(bar, scope, members.grouping, codes)
    if relatives is not None:
        members, codes = replace(members, grouping=relatives.grouping), relatives.codes
    grouping = members.grouping
    if grouping.n == 1:
        raise DataError(
            f"the group `{bar.group_name}` in {bar.text} has one level ({grouping.labels[0]}): a variance between "
            f"levels needs at least two. Remove the term, or use another grouping."
        )
    what = f"The part before the bar of {bar.text}"
    spec, columns, names = materialise(bar.effects, scope, what)
    covariance = CovarianceClass("diag" if not bar.correlated else bar.structure, tuple(names))
    _require_few(bar, scope, covariance)
    mean, spread, indicator = scope.moments(bar.effects.text) or _moments(columns, scope.n)
    empty = [name for name, one, two in zip(names, mean, spread, strict=True) if one == 0.0 and two == 0.0]
    if empty:
        raise IdentifiabilityError(f"the effect `{empty[0]}` in {bar.text} is zero in every row; remove it.")
    kinds = Kinds.of(bar, scope, members, codes)
    scales = yardstick / _value_scales(mean, spread, indicator)
    scales = scales if relatives is None else scales / relatives.typical
    about = _about(columns, covariance, mean, spread) if kinds is None else np.zeros(len(names))
    return GroupTerm(
        label=bar.text,
        bar=bar,
        members=members,
        spec=spec,
        covariance=covariance,
        z=members.columns(_centred(columns, about), codes, grouping.n, scope),
        block=Block(
            _template(covariance, grouping.n, relatives, kinds),
            _parameters(bar, covariance, scales, kinds),
            printing=AboutMeans(about) if about.any() else None,
        ),
        means=about,
        far=_far_from_zero(mean, spread, names) if "Intercept" in names and not covariance.words and not kinds else (),
        relatives=relatives,
        kinds=kinds,
    )


def _template(covariance: CovarianceClass, levels: int, relatives: Relatives | None, kinds: Kinds | None) -> Template:
    if relatives is not None:
        return Related.of(relatives.relationship, covariance.template(1))
    if kinds is not None:
        return Several(covariance.template(1), kinds.codes, len(kinds.values), levels)
    return covariance.template(levels)


def _parameters(
    bar: Bar, covariance: CovarianceClass, scales: FloatArray, kinds: Kinds | None
) -> tuple[Parameter, ...]:
    """Hyperparameters, kind after kind."""
    scales = np.exp(np.mean(np.log(scales), keepdims=True)) if covariance.homogeneous else scales
    group, label = bar.group_name, bar.text
    owners = [(group, label)] if kinds is None else zip(kinds.owners(group), kinds.owners(label), strict=True)
    return tuple(each for owner in owners for each in covariance.parameters(*owner, scales))


def _about(columns: sp.csc_array, covariance: CovarianceClass, mean: FloatArray, spread: FloatArray) -> FloatArray:
    """Means of the covariates about which correlated effects are, beside an intercept."""
    about = np.zeros(mean.size)
    if covariance.name == "us" and mean.size > 1 and covariance.names[0] == "Intercept":
        whole = np.diff(columns.indptr) == columns.shape[0]  # columns with gaps stay sparse
        about[1:] = np.where(whole & (np.abs(mean) > ROUNDING * spread), mean, 0.0)[1:]
    return about


def _require_few(bar: Bar, scope: Scope, covariance: CovarianceClass) -> None:
    """A covariance matrix has ``q (q + 1) / 2`` parameters, more than data speak of or engines bear when q is large."""
    q = len(covariance.names)
    if q == 1 and bar.structure not in ("us", "diag", "homdiag"):
        raise DataError(
            f"{bar.text} has one effect in each level ({covariance.names[0]}), and `{bar.structure}` is for several. "
            f"Accepted: (1 | {bar.group_name}) for one, {bar.structure}(0 + f | {bar.group_name}) for those of the "
            "levels of a factor f."
        )
    if covariance.structure is None or q <= MOST_CORRELATED:
        return
    factors = [name for name in bar.effects.factors if name in scope.frame and not is_number(scope.frame[name])]
    counts = [f"`{name}` is {kind_of(scope.frame[name])} of {scope.frame[name].nunique()} levels" for name in factors]
    text = " For a slope, make numbers of it: astype(float)." if counts and " text " in counts[0] else ""
    one = f"; or one variance, (1 | {bar.group_name}:{factors[0]})" if factors else ""
    parameters = f", with {q} standard deviations and {q * (q - 1) // 2} correlations" if bar.structure == "us" else ""
    raise IdentifiabilityError(
        f"{bar.text} would have {q} effects in each level{parameters}"
        f"{f': {listed(counts)}' if counts else ''}.{text} Accepted: at most {MOST_CORRELATED} correlated "
        f"effects; independent ones, ({bar.effects.text} || {bar.group_name}){one}."
    )


def _centred(columns: sp.csc_array, means: FloatArray) -> sp.csc_array:
    """Columns less their means, where these are not zero; all rows of such columns are stored."""
    if not means.any():
        return columns
    data = columns.data - np.repeat(means, np.diff(columns.indptr))
    return sp.csc_array((data, columns.indices, columns.indptr), shape=columns.shape)


def _moments(columns: sp.csc_array, n: int) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Mean and sd of each column, in two passes as a mean may be far larger, and which are zeros and ones."""
    if columns.nnz == n * columns.shape[1] and np.all(columns.data == 1.0):
        return np.ones(columns.shape[1]), np.zeros(columns.shape[1]), np.ones(columns.shape[1], dtype=bool)
    stored = np.diff(columns.indptr)
    mean = np.asarray(columns.sum(axis=0)).ravel() / n
    column = np.repeat(np.arange(mean.size), stored)
    squares = np.bincount(column, (columns.data - mean[column]) ** 2, minlength=mean.size) + (n - stored) * mean**2
    others = np.bincount(column, (columns.data != 0.0) & (columns.data != 1.0), minlength=mean.size)
    return mean, np.sqrt(squares / n), others == 0.0


def _far_from_zero(mean: FloatArray, spread: FloatArray, names: list[str]) -> tuple[str, ...]:
    """Effects whose covariate has a mean of more than `FAR` standard deviations."""
    far = (np.abs(mean) > FAR * spread) & (spread > 1e-7 * np.abs(mean))
    return tuple(name for name, is_far in zip(names, far, strict=True) if is_far and name != "Intercept")


def _value_scales(mean: FloatArray, spread: FloatArray, indicator: BoolArray) -> FloatArray:
    """Scale of each effect's covariate for its default prior: its sd, but one for indicators, and a constant's size."""
    varies = spread > 1e-12 * np.abs(mean)
    return np.where(indicator, 1.0, np.where(varies, spread, np.abs(mean)))
