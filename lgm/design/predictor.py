"""A linear predictor: sparse columns for its fixed and latent effects, its offset, and how other rows are encoded."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import scipy.sparse as sp
from formulaic import ModelSpec

from lgm.arrays import BoolArray, FloatArray, IntArray
from lgm.data.model_matrix import full_column, materialise
from lgm.data.scope import Scope
from lgm.design.columns import Columns
from lgm.design.fixed_effects import adding, adds, require_difference, require_full_rank
from lgm.formula.python import Expression
from lgm.formula.sides import Bar, Call, RightHandSide
from lgm.sparse import between, side_by_side
from lgm.terms import build as read
from lgm.terms import group, group_series, label_of
from lgm.terms.block import Block
from lgm.terms.term import Column, Encoded, Term, Variable


@dataclass(frozen=True, eq=False)
class Predictor:
    """The right-hand side of a formula at the rows with a response: ``eta = X beta + Z b + offset``.

    Parameters
    ----------
    side : RightHandSide
        Of the formula.
    X : sparse array (n, p)
        Fixed effects, null-space columns of terms included.
    Z : sparse array (n, q)
        Latent effects, term by term.
    offset : float array (n,)
    fixed_names : tuple of p str
    intercept : int or None
        Its column in X.
    spec : ModelSpec
        formulaic's memory of the fixed part.
    terms : tuple of Term
    sources : tuple of Bar or Call
        What each term was read from.
    null_names : tuple of str
        Fixed columns that come from the null spaces of terms (the last ones of X).
    columns : Columns
        What the fixed columns are as a whole.
    gram : float array (k, k)
        ``X_int' X_int`` of the other fixed columns, standardised (`lgm.design.fixed_effects.standardise`).
    """

    side: RightHandSide
    X: sp.csc_array
    Z: sp.csc_array
    offset: FloatArray
    fixed_names: tuple[str, ...]
    intercept: int | None
    spec: ModelSpec
    terms: tuple[Term, ...]
    sources: tuple[Bar | Call, ...]
    null_names: tuple[str, ...]
    columns: Columns
    gram: FloatArray

    @property
    def p(self) -> int:
        """Number of fixed effects."""
        return int(self.X.shape[1])

    @property
    def q(self) -> int:
        """Number of latent effects."""
        return int(self.Z.shape[1])

    @property
    def A(self) -> sp.csc_array:
        """``[X|Z]``."""
        return side_by_side([self.X, self.Z], self.X.shape[0])

    @property
    def blocks(self) -> list[Block]:
        """Blocks of latent effects, term by term."""
        return [term.block for term in self.terms]

    @cached_property
    def spans_level(self) -> bool:
        """Whether the fixed effects can move all rows by the same."""
        return self.intercept is not None or not adds(self.X, np.ones(self.X.shape[0]), None)

    def term_slices(self) -> list[slice]:
        """Places of the terms' effects in ``b``."""
        ends = np.cumsum([0] + [block.n for block in self.blocks])
        return [slice(int(a), int(b)) for a, b in zip(ends[:-1], ends[1:], strict=True)]

    def as_printed(self, name: str) -> str:
        """A name that a user typed, with terms as tables print them where it has them as the formula does.

        ``"icar(id, neighbours)"`` is printed as ``"icar(id)"``, and ``"sd(icar(id, neighbours))"`` as
        ``"sd(icar(id))"``; spaces and the kind of quotes do not matter.
        """
        for term, source in zip(self.terms, self.sources, strict=True):
            letters = ["['\"]" if each in "'\"" else re.escape(each) for each in source.text if each != " "]
            name = re.sub(r"(?<![\w.])" + r"\s*".join(letters), term.label.replace("\\", r"\\"), name)
        return name

    def printed(self) -> list[Printed]:
        """The effects of terms as tables show them, in order."""
        found, start = [], 0
        for term, where in zip(self.terms, self.term_slices(), strict=True):
            for variable in term.variables:
                index = variable.index.reshape(variable.labels.size, -1) + self.p + where.start
                place = slice(start, start + variable.labels.size)
                weights = np.ones(index.shape[1]) if variable.weights is None else variable.weights
                found.append(Printed(term, variable, index, weights, place))
                start = place.stop
        return found

    def coefficients(self) -> list[Printed]:
        """Those that tables show with the fixed effects."""
        return [printed for printed in self.printed() if printed.variable.prior_sd is not None]


@dataclass(frozen=True)
class Printed:
    """A variable of a term among all effects.

    Parameters
    ----------
    term : Term
    variable : Variable
    index : int array (m, s)
        Positions in u of the s effects of which each printed one is the weighted sum.
    weights : float array (s,) or (m, s)
    place : slice
        Among the printed effects of all terms.
    """

    term: Term
    variable: Variable
    index: IntArray
    weights: FloatArray
    place: slice

    def of(self, u: FloatArray) -> FloatArray:
        """The printed effects (..., m) of all effects (..., p + q)."""
        if self.index.shape[1] == 1:
            one = u[..., self.index[:, 0]]
            return one if self.variable.weights is None else one * self.weights[..., 0]
        return np.asarray(np.sum(u[..., self.index] * self.weights, axis=-1))


@dataclass(frozen=True, eq=False)
class Parts:
    """Which parts of a linear predictor count.

    Parameters
    ----------
    fixed : bool array (p,)
        Of the fixed effects.
    terms : tuple of bool
        Of the latent terms.
    offset : bool
    """

    fixed: BoolArray
    terms: tuple[bool, ...]
    offset: bool

    @classmethod
    def all(cls, predictor: Predictor) -> Parts:
        """Everything."""
        return cls(np.ones(predictor.p, dtype=bool), (True,) * len(predictor.terms), True)

    def read(self, predictor: Predictor) -> list[bool]:
        """Which terms have to be read: those that count, and those of which a null-space column does."""
        names = {name for name, used in zip(predictor.fixed_names, self.fixed, strict=True) if used}
        return [used or bool(names & set(term.null)) for used, term in zip(self.terms, predictor.terms, strict=True)]

    def expressions(self, predictor: Predictor) -> Iterator[Expression]:
        """What of the formula has to be evaluated for them; the fixed part is all or nothing."""
        if np.any(self.fixed & ~np.isin(predictor.fixed_names, predictor.null_names)):
            yield from predictor.side.fixed.factors.values()
        for source, wanted in zip(predictor.sources, self.read(predictor), strict=True):
            if wanted:
                yield from source.expressions
        if self.offset:
            yield from predictor.side.offsets


@dataclass(frozen=True, eq=False)
class NewRows:
    """Some rows in the columns of a predictor.

    Parameters
    ----------
    index : pandas.Index
    X : sparse array (rows, p)
        Columns of fixed effects that do not count are empty.
    encoded : tuple of (Encoded or None)
        Each term at these rows; None for one that does not count.
    offset : float array (rows,)
    """

    index: pd.Index
    X: sp.csc_array
    encoded: tuple[Encoded | None, ...]
    offset: FloatArray

    def by_row(self) -> NewRows:
        """The same, stored so that rows are quickly taken out."""
        encoded = tuple(None if each is None else each.by_row() for each in self.encoded)
        return replace(self, X=sp.csr_array(self.X), encoded=encoded)


def build(side: RightHandSide, scope: Scope, offset: FloatArray, yardstick: float) -> Predictor:
    """Evaluate a right-hand side.

    Parameters
    ----------
    side : RightHandSide
    scope : Scope
        The rows with a response.
    offset : float array (n,)
    yardstick : float
        The scale of default priors, in units of the linear predictor.
    """
    spec, x, names = materialise(side.fixed, scope)
    if not (names or side.bars or side.calls):
        accepted = "an intercept, `y ~ 1`, a predictor, or a term such as `(1 | g)`."
        raise scope.formula.error("Without an intercept nothing is left to estimate.", side.fixed.span, accepted)
    intercept = names.index("Intercept") if "Intercept" in names else None
    columns = Columns.of(x)
    gram = require_full_rank(x, columns, names, intercept)
    built = terms_of(side, scope, yardstick)
    require_once(scope, names, built)
    x, null_names = _with_null_columns(x, [term for _, term in built], intercept)
    terms, z = joined([term for _, term in built], scope.n)
    return Predictor(
        side=side,
        X=x,
        Z=z,
        offset=offset,
        fixed_names=(*names, *null_names),
        intercept=intercept,
        spec=spec,
        terms=terms,
        sources=tuple(source for source, _ in built),
        null_names=tuple(null_names),
        columns=Columns.of(x) if null_names else columns,
        gram=gram,
    )


def joined(terms: Sequence[Term], rows: int) -> tuple[tuple[Term, ...], sp.csc_array]:
    """Columns of terms side by side, and the terms with these as theirs: what is as long as the data is kept once."""
    z = side_by_side([term.z for term in terms], rows)
    ends = np.cumsum([0, *(term.z.shape[1] for term in terms)]).tolist()
    parts = zip(terms, itertools.pairwise(ends), strict=True)
    return tuple(replace(term, z=between(z, *ends)) for term, ends in parts), z  # type: ignore[type-var]


def encode(predictor: Predictor, scope: Scope, parts: Parts) -> NewRows:
    """The rows of a scope in the columns of a predictor, as far as parts count.

    Raises
    ------
    DataError
        For levels of fixed factors that the fit does not have.
    """
    wanted = zip(predictor.terms, parts.read(predictor), strict=True)
    read = [term.encode(scope) if reads else None for term, reads in wanted]
    nulls = {name: values for each in read if each for name, values in each.null.items()}
    encoded = tuple(each if used else None for each, used in zip(read, parts.terms, strict=True))
    columns = [_empty(scope.n)] * predictor.p
    own = predictor.p - len(predictor.null_names)
    if parts.fixed[:own].any():
        x = materialise(predictor.side.fixed, scope, spec=predictor.spec)[1]
        columns[:own] = [x[:, [j]] for j in range(own)]
    columns[own:] = [_column(nulls[name]) if name in nulls else _empty(scope.n) for name in predictor.null_names]
    kept = [column if used else _empty(scope.n) for column, used in zip(columns, parts.fixed, strict=True)]
    x = sp.csc_array(sp.hstack([sp.csc_array((scope.n, 0)), *kept], format="csc"))
    offset = offset_of(predictor.side, scope) if parts.offset else np.zeros(scope.n)
    return NewRows(scope.frame.index, x, encoded, offset)


def _empty(n: int) -> sp.csc_array:
    return sp.csc_array((n, 1))


def offset_of(side: RightHandSide, scope: Scope) -> FloatArray:
    """Sum of the offsets, one number per row."""
    return sum((scope.numbers(piece, "the offset") for piece in side.offsets), np.zeros(scope.n))


def terms_of(
    side: RightHandSide, scope: Scope, yardstick: float, standing: Callable[[Bar | Call], Scope] | None = None
) -> list[tuple[Bar | Call, Term]]:
    """Bars and calls in the order of the source; a call's label shows its options only where two would collide.

    ``standing`` gives the rows that each is read from, by default those of the scope.
    """
    rows = (lambda source: scope) if standing is None else standing
    built: list[tuple[Bar | Call, Term]] = [(bar, _bar(bar, rows(bar), yardstick)) for bar in side.bars]
    labels = [label_of(call) for call in side.calls]
    for call, label in zip(side.calls, labels, strict=True):
        label = label if labels.count(label) == 1 else call.text
        built.append((call, read(call, rows(call), label, yardstick)))
    built.sort(key=lambda pair: pair[0].span.start)
    terms = [term for _, term in built]
    names = Counter(variable.name for term in terms for variable in term.variables)
    repeated = [name for name, count in names.items() if count > 1]
    if repeated:
        spans = [bar.span for bar in side.bars if repeated[0].endswith(f"|{bar.group_name}")]
        raise scope.formula.error(
            f"The effect `{repeated[0]}` is in two terms; each effect may stand once.",
            spans[-1] if spans else None,
            "(1 + x | g), or (1 | g) + (0 + x | g) without a correlation.",
        )
    return built


def require_once(scope: Scope, names: Sequence[str], terms: Sequence[tuple[Bar | Call, Term]]) -> None:
    """A coefficient is in the fixed part or in one term."""
    owner = dict.fromkeys(names, "the fixed part")
    for source, term in terms:
        for name in term.coefficients:
            if name in owner:
                raise scope.formula.error(
                    f"The coefficient `{name}` is in {term.label} and in {owner[name]}.",
                    source.span,
                    "each of them once.",
                )
            owner[name] = term.label


def _bar(bar: Bar, scope: Scope, yardstick: float) -> Term:
    """A group effect, by its covariance class."""
    build = group_series.build if bar.structure in group_series.SERIES else group.build
    return build(bar, scope, yardstick)


def _with_null_columns(x: sp.csc_array, terms: Sequence[Term], intercept: int | None) -> tuple[sp.csc_array, list[str]]:
    """Fixed columns and, of the terms' null spaces, those that the columns before them do not span."""
    given = [(name, _column(values)) for term in terms for name, values in term.null.items()]
    if not given:
        return x, []
    for name, column in given:
        if column.nnz == column.shape[0] and np.ptp(column.data) > 0.0:
            require_difference(column.data.min(), column.data.max(), name)
    columns = sp.csc_array(sp.hstack([column for _, column in given], format="csc"))
    kept = np.flatnonzero(adding(x, columns, intercept)).tolist()
    return sp.csc_array(sp.hstack([x, columns[:, kept]], format="csc")), [given[k][0] for k in kept]


def _column(values: Column) -> sp.csc_array:
    """A null-space column that stores all of its rows."""
    return sp.csc_array(values) if sp.issparse(values) else sp.csc_array(full_column(values))
