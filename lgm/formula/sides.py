"""What a formula says: a response with what belongs to it, and linear predictors.

Each of these has fixed effects, bars, term calls and offsets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from formulaic import Formula as Formulaic

from lgm.errors import FormulaError, LgmError
from lgm.formula.python import Expression
from lgm.formula.tokens import Span, marked, without_backticks


@dataclass(frozen=True, slots=True)
class Effects:
    """The fixed part of a right-hand side, or what stands left of a bar.

    Attributes
    ----------
    text : with spaces put in order; ``"1"`` if nothing is written.
    span : from the first to the last token.
    formula : formulaic's terms.
    factors : by formulaic's name, what each of their factors but the numbers says.
    wildcard : where a ``.`` stands for "all other columns", which formulaic fills in when it has data.
    """

    text: str
    span: Span
    formula: Formulaic = field(compare=False, repr=False)
    factors: Mapping[str, Expression] = field(compare=False, repr=False)
    wildcard: Span | None = None


@dataclass(frozen=True, slots=True)
class Keyword:
    """A keyword argument; the span covers both its name and its value, which may be a term call: `call` is then its."""

    name: str
    value: Expression
    span: Span
    call: Call | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A group effect such as ``(Days | Subject)``; a nested grouping ``a/b`` gives one bar for each level.

    Attributes
    ----------
    effects : what stands left of the bar.
    group : the grouping factors, as they were typed; ``a:b`` has the two expressions ``a`` and ``b``.
    correlated : False for a double bar.
    span : the whole parenthesis, shared by the bars that ``a/b`` expands to.
    text : the bar after the expansion, with spaces put in order.
    structure : the covariance class of the effects in a level, such as ``"us"``.
    options : what is said of the grouping, ``cov=``, ``precision=`` or ``by=``.
    weights : of the members of ``mm(a, b)``, if they are given.
    pooled : whether the factors are members of ``mm(a, b)``, whose levels are the same.
    scaled : whether the weights of a row are divided by their sum.
    mark : what tells the group's name from that of another bar.
    """

    effects: Effects
    group: tuple[Expression, ...]
    correlated: bool
    span: Span
    text: str
    structure: str = "us"
    options: tuple[Keyword, ...] = ()
    weights: tuple[Expression, ...] = ()
    pooled: bool = False
    scaled: bool = True
    mark: str = ""

    @property
    def group_name(self) -> str:
        """The grouping as it appears in names of variables, such as ``a:b``; a column's name has no backticks."""
        return (f"mm({listed_names(self.group)})" if self.pooled else joined(self.group)) + self.mark

    def option(self, name: str) -> Expression | None:
        """What an option is given, if it is."""
        return next((option.value for option in self.options if option.name == name), None)

    @property
    def grouping(self) -> tuple[Expression, ...]:
        """Expressions that do not pass through formulaic."""
        return (*self.group, *(option.value for option in self.options), *self.weights)

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """All of its expressions."""
        return (*self.effects.factors.values(), *self.grouping)


@dataclass(frozen=True, slots=True)
class Call:
    """A term call such as ``s(x, k=10)``; its text is normalised Python."""

    name: str
    args: tuple[Expression, ...]
    keywords: tuple[Keyword, ...]
    span: Span
    text: str

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """All of its arguments, and those of a call among them in its place."""
        found = [(keyword.value,) if keyword.call is None else keyword.call.expressions for keyword in self.keywords]
        return (*self.args, *(each for part in found for each in part))

    def keyword(self, name: str) -> Keyword | None:
        """The keyword argument of that name."""
        return next((keyword for keyword in self.keywords if keyword.name == name), None)


@dataclass(frozen=True, slots=True)
class RightHandSide:
    """What one linear predictor is made of.

    Attributes
    ----------
    fixed : what remains when bars, calls and offsets are lifted out; its span is the whole side if nothing does.
    bars, calls : the lifted terms in the order of the source.
    offsets : the argument of each ``offset()``.
    """

    fixed: Effects
    bars: tuple[Bar, ...]
    calls: tuple[Call, ...]
    offsets: tuple[Expression, ...]

    @property
    def effects(self) -> tuple[Effects, ...]:
        """The fixed part, and the left sides of the bars."""
        return (self.fixed, *(bar.effects for bar in self.bars))

    @property
    def pieces(self) -> Iterator[Expression]:
        """Expressions that do not pass through formulaic: groupings, arguments of term calls, offsets."""
        for bar in self.bars:
            yield from bar.grouping
        for call in self.calls:
            yield from call.expressions
        yield from self.offsets

    @property
    def expressions(self) -> Iterator[Expression]:
        """All of its expressions."""
        for effects in self.effects:
            yield from effects.factors.values()
        yield from self.pieces


@dataclass(frozen=True, slots=True)
class LeftHandSide:
    """What a formula says of its response.

    Attributes
    ----------
    value : the response itself, as typed; the successes, where it counts them.
    span : the whole side.
    trials : of which there are so many successes, as in ``y | trials(n)`` and ``cbind(y, n - y)``.
    failures : in ``cbind(successes, failures)`` with any other failures.
    censored, upper : the code of each row, and the upper end of an interval, in ``y | cens(code, upper)``.
    """

    value: Expression
    span: Span
    trials: Expression | None = None
    failures: Expression | None = None
    censored: Expression | None = None
    upper: Expression | None = None

    @property
    def text(self) -> str:
        """What the response is called."""
        return self.value.text

    @property
    def counts_trials(self) -> bool:
        """Whether it says of how many trials."""
        return self.trials is not None or self.failures is not None

    @property
    def of_trials(self) -> tuple[Expression, ...]:
        """What has to be evaluated for the number of trials."""
        if self.failures is not None:
            return (self.value, self.failures)
        return () if self.trials is None else (self.trials,)

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """All of its expressions."""
        parts = (self.value, self.trials, self.failures, self.censored, self.upper)
        return tuple(part for part in parts if part is not None)


@dataclass(frozen=True, slots=True)
class Formula:
    """What a formula says, before it meets data; made by `parse`.

    Attributes
    ----------
    source : the formula as typed.
    response : the left-hand side.
    sides : the right-hand side of each linear predictor; ``"mu"``, that of the mean, is always there.
    """

    source: str
    response: LeftHandSide
    sides: Mapping[str, RightHandSide] = field(hash=False)

    @property
    def mu(self) -> RightHandSide:
        """The right-hand side of the mean."""
        return self.sides["mu"]

    def error(
        self, message: str, span: Span | None = None, accepted: str = "", kind: type[LgmError] = FormulaError
    ) -> LgmError:
        """Error to raise: the message, the formula with the span marked (None marks nothing), what is accepted."""
        return kind(marked(self.source, message, span, accepted))


def joined(group: Sequence[Expression]) -> str:
    """Grouping factors in the name of a group."""
    return ":".join(without_backticks(factor.text) for factor in group)


def listed_names(group: Sequence[Expression]) -> str:
    """Columns in the name of what is made of them, such as ``a, b``."""
    return ", ".join(without_backticks(factor.text) for factor in group)
