"""Coefficients under a prior that lets few of them matter: ``hs(x1, x2, ...)`` and ``r2d2(x1, x2, ...)``."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpyro.distributions as dist
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.data.model_matrix import full_column
from lgm.data.scope import Scope
from lgm.data.table import is_number
from lgm.errors import DataError, IdentifiabilityError
from lgm.formula.python import Expression
from lgm.formula.sides import Call
from lgm.formula.tokens import without_backticks
from lgm.parameter import POSITIVE, PROPORTION, alike, one
from lgm.precision.shrinkage import R2D2, Horseshoe
from lgm.priors import Prior, beta, gamma, half_student_t
from lgm.terms.block import Block
from lgm.terms.levels import Levels
from lgm.terms.term import Encoded, Signature, Term, Variable
from lgm.words import counted, listed, suggest
from lgm.xla import own_settings

MOST_SHOWN = 3  # covariates in the name of a term
SLAB_DF = 4.0
SHARE = 0.1  # of the coefficients are expected to matter unless p0= says how many


@dataclass(frozen=True)
class Listed(Signature):
    """Any number of covariates, of which a name shows the first and the last."""

    def label(self, call: Call) -> str:
        """Such as ``"hs(x1, ..., x200)"``."""
        texts = [arg.text for arg in call.args]
        shown = texts if len(texts) <= MOST_SHOWN else [texts[0], "...", texts[-1]]
        return f"{call.name}({', '.join(shown)})"


HS = Listed((), options=("p0",), copied=False)
R2 = Listed((), options=("mean", "precision", "concentration"), copied=False)


@dataclass(frozen=True)
class Covariate:
    """One argument: a number, or a factor of which all levels but the first have a coefficient."""

    expression: Expression
    levels: tuple[Hashable, ...]

    @classmethod
    def of(cls, expression: Expression, scope: Scope, label: str) -> Covariate:
        """Read it from the data.

        Raises
        ------
        IdentifiabilityError
            If it is a factor of one level, or a number that does not vary.
        """
        column = scope.column(expression, f"the covariate of {label}")
        if is_number(column):
            return cls(expression, ())
        if column.isna().any():
            raise DataError(f"{label}: `{expression.text}` is missing in {int(column.isna().sum())} rows.")
        levels = Levels.of(column).values
        if len(levels) == 1:
            raise IdentifiabilityError(
                f"{label}: the factor `{expression.text}` has one level ({levels[0]!r}), and so no coefficient. Remove "
                "it."
            )
        return cls(expression, levels)

    @property
    def names(self) -> list[str]:
        """Of its columns, as fixed effects are called."""
        text = without_backticks(self.expression.text)
        return [f"{text}[T.{level}]" for level in self.levels[1:]] if self.levels else [text]

    def columns(self, scope: Scope, label: str) -> list[FloatArray]:
        """Its columns at rows."""
        if not self.levels:
            return [scope.numbers(self.expression, f"the covariate of {label}")]
        codes, new = Levels(self.levels).positions(scope.column(self.expression, f"the covariate of {label}"))
        if new:
            raise DataError(
                f"`{self.expression.text}` has level(s) that the fit does not have: "
                f"{listed([repr(level) for level in new], 5)}. Known levels: "
                f"{listed([repr(level) for level in self.levels], 8)}."
            )
        return [(codes == k).astype(float) for k in range(1, len(self.levels))]


@dataclass(frozen=True)
class ShrunkTerm(Term):
    """Coefficients of covariates about their means, integrated out under a prior with a scale for each.

    The intercept of the model is then the level at the means of these covariates.
    """

    label: str
    covariates: tuple[Covariate, ...]
    means: FloatArray
    z: sp.csc_array
    block: Block

    @property
    def names(self) -> list[str]:
        """Of the coefficients."""
        return [name for covariate in self.covariates for name in covariate.names]

    @property
    def around_mode(self) -> bool:
        """A scale for each coefficient makes too many, with tails too heavy."""
        return False

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The coefficients, in units of the covariates."""
        labels = np.array(self.names, dtype=object)
        return (Variable(self.label, np.arange(labels.size), "coefficient", labels),)

    @property
    def coefficients(self) -> Sequence[str]:
        """All of them."""
        return self.names

    @property
    def uncopied(self) -> str:
        """Covariates are not places of a process."""
        return "its effects are coefficients, not those of one process"

    @property
    def size(self) -> str:
        """Number of coefficients."""
        return f"{counted(self.block.n, 'coefficient')} of covariates about their means"

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows."""
        return Encoded(_centred(_columns(self.covariates, scope, self.label), self.means))


def _columns(covariates: tuple[Covariate, ...], scope: Scope, label: str) -> list[FloatArray]:
    return [column for covariate in covariates for column in covariate.columns(scope, label)]


def _centred(columns: list[FloatArray], means: FloatArray) -> sp.csc_array:
    return sp.csc_array(
        sp.hstack([full_column(column - mean) for column, mean in zip(columns, means, strict=True)], format="csc")
    )


def build(call: Call, scope: Scope, label: str, yardstick: float) -> ShrunkTerm:
    """Read ``hs(x1, x2, ...)`` or ``r2d2(x1, x2, ...)`` against the data.

    Raises
    ------
    FormulaError
        Without covariates, for one that stands twice, or an unknown option.
    IdentifiabilityError
        If a covariate does not vary.
    """
    signature = HS if call.name == "hs" else R2
    options = _options(call, scope, signature)
    covariates = tuple(Covariate.of(arg, scope, label) for arg in call.args)
    columns = _columns(covariates, scope, label)
    means, sds = np.array([np.mean(c) for c in columns]), np.array([np.std(c) for c in columns])
    names = [name for covariate in covariates for name in covariate.names]
    flat = [name for name, mean, sd in zip(names, means, sds, strict=True) if not sd > 1e-12 * abs(mean)]
    if flat:
        raise IdentifiabilityError(f"{label}: `{flat[0]}` does not vary, so nothing is known of its coefficient.")
    make = _horseshoe if call.name == "hs" else _r2d2
    block = make(label, names, sds, scope, yardstick, options)
    return ShrunkTerm(label, covariates, means, _centred(columns, means), block)


def _options(call: Call, scope: Scope, signature: Signature) -> dict[str, float]:
    accepted = f"`{call.name}(x1, x2, ..., {', '.join(f'{name}=...' for name in signature.options)})`"
    if not call.args:
        raise scope.formula.error(f"{call.name}() needs covariates.", call.span, accepted)
    texts = [arg.text for arg in call.args]
    for arg, text in zip(call.args, texts, strict=True):
        if texts.count(text) > 1:
            raise scope.formula.error(f"`{text}` is twice in {call.name}().", arg.span, "each covariate once.")
    found = {}
    for keyword in call.keywords:
        if keyword.name not in signature.options:
            hint = suggest(keyword.name, signature.options)
            raise scope.formula.error(f"{call.name}() has no argument `{keyword.name}`.{hint}", keyword.span, accepted)
        value = scope.value(keyword.value)
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0.0 < value < np.inf:
            raise scope.formula.error(f"{keyword.name} must be a positive number.", keyword.span, accepted)
        found[keyword.name] = float(value)
    return found


def _horseshoe(
    label: str, names: list[str], sds: FloatArray, scope: Scope, yardstick: float, options: dict[str, float]
) -> Block:
    """Half-Cauchy scales; that of tau expects p0 coefficients to matter (Piironen & Vehtari 2017)."""
    p = len(names)
    p0 = options.get("p0", max(SHARE * p, min(1.0, 0.5 * p)))
    if p0 >= p:
        raise DataError(f"{label}: p0={p0:g} coefficients are expected to matter of {p}; accepted: fewer than all.")
    tau0 = p0 / (p - p0) * yardstick / np.sqrt(scope.n)
    parameters = [
        one("tau", label, POSITIVE, half_student_t(1.0, tau0), tau0),
        alike("lambda", label, names, POSITIVE, _half_cauchy(), 1.0),
        one("slab", label, POSITIVE, _slab(yardstick), yardstick),
    ]
    return Block(Horseshoe(sds, p), tuple(parameters))


def _half_cauchy() -> Prior:
    with own_settings():
        return Prior(dist.HalfCauchy(1.0), "half_cauchy(1)")


def _slab(scale: float) -> Prior:
    """Large coefficients are then Student t, with `SLAB_DF` degrees of freedom and this scale."""
    with own_settings():
        square = dist.InverseGamma(0.5 * SLAB_DF, 0.5 * SLAB_DF * scale**2)
        root = dist.transforms.PowerTransform(0.5)
        return Prior(dist.TransformedDistribution(square, root), f"root_inverse_gamma({SLAB_DF:g}, {scale:.6g})")


def _r2d2(
    label: str, names: list[str], sds: FloatArray, scope: Scope, yardstick: float, options: dict[str, float]
) -> Block:
    """A beta prior on R2, and gamma weights, so that shares are Dirichlet."""
    mean, precision = options.get("mean", 0.5), options.get("precision", 2.0)
    if not mean < 1.0:
        raise DataError(f"{label}: mean={mean:g} is that of a share of variance; accepted: numbers below 1.")
    a = options.get("concentration", 0.5)
    parameters = [
        one("r2", label, PROPORTION, beta(mean * precision, (1.0 - mean) * precision), 0.5),
        alike("weight", label, names, POSITIVE, gamma(a, 1.0), 1.0, ratios=True),
    ]
    return Block(R2D2(sds / yardstick, len(names)), tuple(parameters))
