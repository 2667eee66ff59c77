"""Design: a formula meets data; sparse columns for all effects, and how other rows are encoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from formulaic import Formula as Formulaic
from formulaic import ModelSpec

from lgm.errors import DataError, IdentifiabilityError
from lgm.formula import Formula
from lgm.frame import Rows, read_weights, to_pandas, usable_rows
from lgm.pattern import FloatArray
from lgm.priors import exponential
from lgm.scope import Scope, names_in
from lgm.terms import TERMS, group
from lgm.terms.block import Block, Parameter
from lgm.terms.fixed import materialise, standardise, unseen_levels
from lgm.terms.term import Encoded, Term

# A column whose squared residual on the others is this small, relative to its own square, adds nothing that survives
# double precision: rounding in the Gram matrix leaves about 1e-15.
COLLINEAR = 1e-12


@dataclass(frozen=True)
class Design:
    """A formula evaluated on data.

    Parameters
    ----------
    formula : Formula
    scope : Scope
        All rows in use, those without a response included.
    rows : Rows
        Which rows of the data these are.
    y, offset : float arrays (n,)
        Observed rows.
    all_weights : float array
        Of all rows in use, observed or not.
    X : sparse array (n, p)
        Fixed effects, null-space columns of terms included.
    Z : sparse array (n, q)
        Latent effects, term by term.
    fixed_names : tuple of p str
    intercept : int or None
        Its column in X.
    spec : ModelSpec
        formulaic's memory of the fixed part.
    terms : tuple of Term
    null_names : tuple of str
        Fixed columns that come from the null spaces of terms (the last ones of X).
    """

    formula: Formula
    scope: Scope
    rows: Rows
    y: FloatArray
    offset: FloatArray
    all_weights: FloatArray
    X: sp.csc_array
    Z: sp.csc_array
    fixed_names: tuple[str, ...]
    intercept: int | None
    spec: ModelSpec
    levels: dict[str, pd.Index]
    terms: tuple[Term, ...]
    null_names: tuple[str, ...]

    @property
    def weights(self) -> FloatArray:
        """Known weights of the observed rows, shape (n,)."""
        return self.all_weights[self.rows.observed]

    @property
    def weighted(self) -> bool:
        """Whether the weights differ."""
        return bool(np.ptp(self.weights) > 0)

    @property
    def n(self) -> int:
        """Number of rows with a response."""
        return self.y.size

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
        """``[X|Z]`` at the observed rows."""
        return sp.csc_array(sp.hstack([self.X, self.Z], format="csc"))

    @property
    def blocks(self) -> list[Block]:
        """Blocks of latent effects, term by term."""
        return [term.block for term in self.terms]

    @property
    def parameters(self) -> list[Parameter]:
        """Hyperparameters in the order of theta: those of the terms, then sigma."""
        own = [parameter for block in self.blocks for parameter in block.parameters]
        sd_y = self.scope.sd_y
        return [*own, Parameter(("sigma",), "sigma", exponential(1.0 / sd_y), 0.5 * sd_y)]

    @property
    def theta_names(self) -> tuple[str, ...]:
        """Names of the hyperparameters, one per natural coordinate."""
        return tuple(name for parameter in self.parameters for name in parameter.names)

    def term_slices(self) -> list[slice]:
        """Places of the terms' effects in ``b``."""
        ends = np.cumsum([0] + [block.n for block in self.blocks])
        return [slice(int(a), int(b)) for a, b in zip(ends[:-1], ends[1:], strict=True)]


@dataclass(frozen=True)
class NewRows:
    """Other rows in the columns of a design."""

    index: pd.Index
    X: sp.csc_array
    encoded: tuple[Encoded, ...]
    offset: FloatArray


def build(formula: Formula, data: Any, env: Mapping[str, Any], weights: Any, missing: str) -> Design:
    """Evaluate a formula on data.

    Parameters
    ----------
    formula : Formula
    data : pandas, polars or Arrow table, or dict of columns
    env : mapping
        Names beside the columns.
    weights : None, column name or array
        Known weights: the residual variance of a row is ``sigma^2 / weight``.
    missing : {"drop", "error"}
        For missing predictors; missing responses are predicted.
    """
    everything = to_pandas(data)
    texts = list(_texts(formula))
    if formula.has_wildcard:
        raise formula.error("`.` is not available.", formula.find("."), "the columns by name.")
    used = {name for text in [formula.response.text, *texts] for name in names_in(text)} | _fixed_names(formula)
    w = read_weights(weights, everything)
    frame = everything[[c for c in everything.columns if c in used]]
    frame.attrs["columns"] = list(everything.columns)
    bare = Scope(formula, frame, env, term_names=tuple(TERMS))
    response = bare.data_names(iter([formula.response.text]))
    predictors = [c for c in frame.columns if c not in response or c in _predictor_names(formula, texts)]
    rows = usable_rows(frame, predictors, response, missing)
    w = w[rows.kept]
    scope = bare.on(rows.frame)
    y = _response(scope, rows.observed)
    offset = sum((scope.numbers(piece, "the offset") for piece in formula.offsets), np.zeros(scope.n))
    sd_y = float(np.std(y - offset[rows.observed]))
    if not sd_y > 0:
        raise DataError(f"the response `{formula.response.text}` is the same in every row; there is nothing to model.")
    scope = Scope(formula, rows.frame, env, sd_y, tuple(TERMS))
    spec, x, names = materialise(Formulaic(formula.fixed), scope, formula.fixed_span)
    intercept = names.index("Intercept") if "Intercept" in names else None
    terms = _terms(formula, scope)
    seen = rows.observed
    _require_full_rank(x[np.flatnonzero(seen)], names, intercept)
    columns, null_names = [x], []
    for term in terms:
        for name, values in term.null.items():
            so_far = sp.csc_array(sp.hstack(columns, format="csc")[np.flatnonzero(seen)])
            if _adds(so_far, values[seen], intercept):
                columns.append(sp.csc_array(values[:, None]))
                null_names.append(name)
    whole = sp.csc_array(sp.hstack(columns, format="csc"))
    z = sp.hstack([sp.csc_array((scope.n, 0)), *(term.z for term in terms)], format="csc")
    take = np.flatnonzero(seen)
    return Design(
        formula=formula,
        scope=scope,
        rows=rows,
        y=y,
        offset=offset[seen],
        all_weights=w,
        X=sp.csc_array(whole[take]),
        Z=sp.csc_array(z[take]),
        fixed_names=(*names, *null_names),
        intercept=intercept,
        spec=spec,
        levels=_factor_levels(formula, scope),
        terms=tuple(terms),
        null_names=tuple(null_names),
    )


def encode(design: Design, data: Any | None = None) -> NewRows:
    """Other rows in the columns of a design; without data, all rows of the fit, those without a response included.

    Raises
    ------
    DataError
        For missing columns or values, or levels of fixed factors that the fit does not have.
    """
    scope = design.scope
    if data is not None:
        texts = [*_texts(design.formula)]
        needed = {n for t in texts for n in names_in(t)} | _fixed_names(design.formula)
        needed &= set(design.scope.frame.columns)
        frame = to_pandas(data, needed)
        absent = sorted(needed - set(frame.columns))
        if absent:
            raise DataError(
                f"new_data lacks the column(s) {', '.join(absent)}. It has: {', '.join(frame.attrs['columns'])}."
            )
        holes = {str(c): int(v) for c, v in frame.isna().sum().items() if v}
        if holes:
            raise DataError(f"new_data has missing values in {', '.join(f'{c} ({v})' for c, v in holes.items())}.")
        scope = design.scope.on(frame)
        unseen_levels(scope, design.levels)
    _, x, _ = materialise(design.spec, scope, design.formula.fixed_span)
    encoded = tuple(term.encode(scope) for term in design.terms)
    nulls = {name: values for e in encoded for name, values in e.null.items()}
    extra = [sp.csc_array(nulls[name][:, None]) for name in design.null_names]
    offset = sum((scope.numbers(piece, "the offset") for piece in design.formula.offsets), np.zeros(scope.n))
    return NewRows(scope.frame.index, sp.csc_array(sp.hstack([x, *extra], format="csc")), encoded, offset)


def _texts(formula: Formula) -> Iterator[str]:
    """Source of every piece of the right-hand side but the fixed part."""
    for bar in formula.bars:
        yield from (piece.text for piece in bar.group)
        yield from (factor.expr for term in Formulaic(bar.effects.text) for factor in term.factors)
    for call in formula.calls:
        yield from (piece.text for piece in call.args)
        yield from (piece.text for _, piece in call.keywords)
    yield from (piece.text for piece in formula.offsets)


def _fixed_names(formula: Formula) -> set[str]:
    return {n for term in Formulaic(formula.fixed) for factor in term.factors for n in names_in(factor.expr)}


def _predictor_names(formula: Formula, texts: list[str]) -> set[str]:
    return _fixed_names(formula) | {name for text in texts for name in names_in(text)}


def _response(scope: Scope, observed: npt.NDArray[np.bool_]) -> FloatArray:
    """The response at the observed rows; evaluated there only, because a transformation may need all values."""
    piece = scope.formula.response
    part = scope.on(scope.frame.loc[observed])
    for name in names_in(piece.text):
        scope.require(name, piece)
    _, columns, names = materialise(Formulaic(f"0 + {piece.text}"), part, piece.span)
    raw = part.frame[piece.text] if piece.text in part.frame.columns else None
    if len(names) != 1 or (raw is not None and not pd.api.types.is_numeric_dtype(raw.dtype)):
        kind = "one column of numbers" if raw is None else f"a column of {raw.dtype} values"
        found = f"gives {len(names)} columns" if raw is None else f"is {kind}"
        raise DataError(
            f"the response `{piece.text}` {found}; a Gaussian response is one column of numbers. "
            "A number stored as text can be converted by astype(float)."
        )
    return columns.toarray()[:, 0]


def _terms(formula: Formula, scope: Scope) -> list[Term]:
    """Bars and calls in the order of the source; a call's label shows its options only where two would collide."""
    labels = Counter(call.label for call in formula.calls)
    built: list[tuple[int, Term]] = []
    for bar in formula.bars:
        built.append((bar.span.start, group.build(bar, scope)))
    for call in formula.calls:
        label = call.label if labels[call.label] == 1 else call.text
        built.append((call.span.start, TERMS[call.name](call, scope, label)))
    terms = [term for _, term in sorted(built, key=lambda pair: pair[0])]
    names = Counter(variable.name for term in terms for variable in term.variables)
    repeated = [name for name, count in names.items() if count > 1]
    if repeated:
        raise formula.error(
            f"The effect `{repeated[0]}` is in two terms; each effect may stand once.",
            None,
            "(1 + x | g), or (1 | g) + (0 + x | g) without a correlation.",
        )
    return terms


def _factor_levels(formula: Formula, scope: Scope) -> dict[str, pd.Index]:
    """Levels of the fixed part's factors, so that unknown ones in new data are found."""
    out = {}
    for name in sorted(_fixed_names(formula) & set(scope.frame.columns)):
        column = scope.frame[name]
        as_factor = f"C({name}" in formula.fixed.replace(" ", "")
        if as_factor or not pd.api.types.is_numeric_dtype(column.dtype) or column.dtype == bool:
            out[name] = pd.Index(column.unique())
    return out


def _residuals(gram: FloatArray) -> FloatArray:
    """Squared length of what each column adds to the ones before it, relative to its own length."""
    length = np.sqrt(np.diag(gram))
    left = gram / np.outer(length, length)
    out = np.ones(length.size)
    for j in range(length.size):
        out[j] = max(left[j, j], 0.0)
        if out[j] > COLLINEAR:
            left -= np.outer(left[:, j], left[j]) / left[j, j]
    return out


def _require_full_rank(x: sp.csc_array, names: list[str], intercept: int | None) -> None:
    """Raise if a column of the fixed part is zero, constant, or a combination of earlier ones."""
    for j, name in enumerate(names):
        values = x[:, [j]].data
        if not np.any(values):
            raise IdentifiabilityError(f"the column `{name}` is zero in every row with a response; remove it.")
        if intercept is not None and j != intercept and values.size == x.shape[0] and np.ptp(values) == 0:
            raise IdentifiabilityError(f"the column `{name}` is constant, as the intercept is; remove one of the two.")
    standard, _ = standardise(x, intercept)
    gram = (standard.T @ standard).toarray()
    redundant = np.flatnonzero(_residuals(gram) <= COLLINEAR)
    if redundant.size:
        j = int(redundant[0])
        weights = np.abs(np.linalg.lstsq(gram[:j, :j], gram[:j, j], rcond=None)[0])
        partners = ", ".join(f"`{names[i]}`" for i in np.flatnonzero(weights > 1e-6 * weights.max()))
        raise IdentifiabilityError(
            f"the column `{names[j]}` is a linear combination of {partners}, so the data cannot tell them apart. "
            "Remove one of them."
        )


def _adds(x: sp.csc_array, values: FloatArray, intercept: int | None) -> bool:
    """Whether a column is outside the span of the fixed effects so far."""
    standard, _ = standardise(sp.csc_array(sp.hstack([x, sp.csc_array(values[:, None])], format="csc")), intercept)
    gram = (standard.T @ standard).toarray()
    return bool(gram[-1, -1] > 0 and _residuals(gram)[-1] > COLLINEAR)
