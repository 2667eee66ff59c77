"""What every latent term provides, and how its columns are found again in new data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
import scipy.sparse as sp

from lgm.arrays import BoolArray, FloatArray, IntArray
from lgm.data.scope import Scope
from lgm.formula.hints import argument_hint
from lgm.formula.python import Expression
from lgm.formula.sides import Call
from lgm.terms.block import Block
from lgm.terms.view import By, Levels, View
from lgm.words import suggest

Column: TypeAlias = FloatArray | sp.csc_array  # (n,), or (n, 1) where most rows have none of it


@dataclass(frozen=True)
class Variable:
    """A named part of a term's effects, for tables and draws.

    Parameters
    ----------
    name : str
        Such as ``"Days|Subject"`` or ``"rw1(t)"``.
    index : int array (m,) or (m, s)
        Its effects within the block; with s columns each printed effect is the sum of s effects of the block.
    dim : str
        Name of the dimension.
    labels : array (m,)
        One label per printed effect.
    slope_of : str, optional
        The covariate whose coefficient these effects change; None for effects on the linear predictor itself.
    weights : float array (s,) or (m, s), optional
        Of the s effects in each sum; by default one.
    prior_sd : str, optional
        For one number that tables show with the fixed effects, and on which with the hyperparameters all effects of the
        term depend: the hyperparameter that is the standard deviation of its prior, which is normal about zero.
    """

    name: str
    index: IntArray
    dim: str
    labels: np.ndarray[Any, Any]
    slope_of: str | None = None
    weights: FloatArray | None = None
    prior_sd: str | None = None

    def of(self, effects: FloatArray) -> FloatArray:
        """The printed effects (..., m) of the effects of a block (..., n)."""
        chosen = effects[..., self.index]
        if self.index.ndim == 1:
            return chosen
        return np.asarray(np.sum(chosen if self.weights is None else chosen * self.weights, axis=-1))


class Draw(Protocol):
    """Draws of effects that the fit does not have."""

    def __call__(self, theta: Mapping[str, FloatArray], b: FloatArray, normals: FloatArray) -> FloatArray:
        """One row per posterior draw.

        Parameters
        ----------
        theta : mapping
            The term's hyperparameters by kind, (S, number of that kind), in each of S posterior draws.
        b : float array (S, n)
            The term's effects.
        normals : float array (S, m)
            Standard normals, as many as `Novel.normals` says.
        """


@dataclass(frozen=True)
class Novel:
    """Effects that new data need and the fit does not have: new levels of a group, new times of a walk.

    Parameters
    ----------
    what : str
        In words, for the message that says so.
    z : sparse array (rows, m)
        Their columns.
    draw : Draw
        How they are drawn, given each posterior draw.
    population : bool or bool array (m,)
        Whether the new effects are independent of the fitted ones (drawn from the population), all or one by one.
    mean_needs_theta : bool
        Whether their mean given the fitted effects depends on theta. If not, the mean of b gives it exactly.
    noise : int, optional
        How many standard normals a draw takes, by default one for each effect.
    """

    what: str
    z: sp.csc_array
    draw: Draw
    population: bool | BoolArray
    mean_needs_theta: bool = False
    noise: int | None = None

    @property
    def normals(self) -> int:
        """How many standard normals a draw takes."""
        return int(self.z.shape[1]) if self.noise is None else self.noise


@dataclass(frozen=True)
class Encoded:
    """A term at new rows: columns of the fitted effects, null-space columns, effects that the fit does not have."""

    z: sp.csc_array
    null: Mapping[str, Column] = field(default_factory=dict)
    novel: Novel | None = None
    notes: tuple[str, ...] = ()

    def without_population(self) -> Encoded:
        """The same with new effects that are drawn from a population taken for zero."""
        if self.novel is None:
            return self
        drawn = np.broadcast_to(self.novel.population, self.novel.z.shape[1])
        if np.all(drawn):
            return replace(self, novel=None)
        z = sp.csc_array(self.novel.z @ sp.diags_array(np.where(drawn, 0.0, 1.0)))
        return replace(self, novel=replace(self.novel, z=z))

    def by_row(self) -> Encoded:
        """The same, stored so that rows are quickly taken out."""
        novel = None if self.novel is None else replace(self.novel, z=sp.csr_array(self.novel.z))
        return replace(self, z=sp.csr_array(self.z), novel=novel)


@dataclass(frozen=True)
class Component:
    """A variance of effects that are independent of each other, or the covariance of two kinds of them level by level.

    Times its value, it adds ``Z_left Z_left'`` or ``Z_left Z_right' + Z_right Z_left'`` to the response's covariance.

    Parameters
    ----------
    names : tuple of str
        The hyperparameters that make up its value.
    left : int array (levels,)
        Effects of the block.
    right : int array (levels,), optional
        The others of a covariance.
    """

    names: tuple[str, ...]
    left: IntArray
    right: IntArray | None = None


@dataclass(frozen=True)
class Caution:
    """What to say of a parameter if it keeps its default prior."""

    parameter: str
    text: str


@dataclass(frozen=True)
class Smooth:
    """A smooth function that a term is, or one of several.

    Parameters
    ----------
    name : str
    effects : int array (n,)
        Its penalised effects within the block.
    fixed : tuple of str
        Its unpenalised ones.
    variables : tuple of Expression
        What it is a function of.
    by : By, optional
        What changes it.
    level : object
        Of a factor after ``by=``.
    of_margins : bool
        Whether its variables have no unit in common.
    lost : int
        Directions that constraints take out of its penalised effects.
    """

    name: str
    effects: IntArray
    fixed: tuple[str, ...]
    variables: tuple[Expression, ...]
    by: By | None = None
    level: Any = None
    of_margins: bool = False
    lost: int = 0

    @property
    def dimension(self) -> int:
        """Number of functions, without the constant that centring takes out."""
        return self.effects.size + len(self.fixed) - self.lost


class Term(ABC):
    """One latent term of a model.

    Attributes
    ----------
    label : str
        As printed.
    z : sparse array (rows, n)
        Columns at the rows of the data.
    block : Block
        Effects, precision and hyperparameters.
    """

    label: str
    z: sp.csc_array
    block: Block

    @property
    @abstractmethod
    def variables(self) -> tuple[Variable, ...]:
        """Named parts of the effects."""

    @property
    @abstractmethod
    def size(self) -> str:
        """Size in words, such as ``"18 levels"``."""

    @abstractmethod
    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows."""

    @property
    def null(self) -> Mapping[str, Column]:
        """Null-space columns that join the fixed effects, by name."""
        return {}

    @property
    def group(self) -> str | None:
        """The grouping factor whose levels the effects are of; None for a term that is no group effect."""
        return None

    @property
    def view(self) -> View:
        """How it is drawn."""
        return Levels()

    def on_columns(self, names: Sequence[str], by: str) -> Term:
        """For curves: the same term, its variables read as numbers from plain columns, and from one what `by=` names.

        This is for terms with one variable, ``piece``.
        """
        term: Any = self
        return replace(term, piece=Expression.column(names[0]))

    @property
    def smooths(self) -> tuple[Smooth, ...]:
        """The smooth functions that it stands for, whose bases may be too small."""
        return ()

    @property
    def centred(self) -> bool:
        """Whether its effects sum to zero, so that the level has to be in the fixed part."""
        return False

    @property
    def uncopied(self) -> str:
        """Why ``replicate=`` and ``group=`` can make no copies of it, in words; empty where they can."""
        own = self.variables
        one = len(own) == 1 and own[0].index.ndim == 1 and self.block.printing is None
        return "" if one else "its effects are not those of one process"

    def in_copies(self, copy: IntArray) -> Term:
        """The same term where rows (n,) belong to copies, for what its defaults take from the rows of one process."""
        return self

    @property
    def coefficients(self) -> Sequence[str]:
        """Names of fixed effects in whose place it has effects: they may stand once in a formula."""
        return ()

    @property
    def of_predictors(self) -> bool:
        """Whether it says what predictors do, as fixed effects say: its prior variance is none of the population."""
        return bool(self.coefficients)

    @property
    def around_mode(self) -> bool:
        """Whether weighted points around the mode can stand for its hyperparameters."""
        return True

    @property
    def one_series(self) -> bool:
        """Whether it is one series in time, where users may mean one for each of several groups of rows."""
        return False

    @property
    def components(self) -> tuple[Component, ...]:
        """The variances and covariances of its effects that are free to vary, whatever else is added to them."""
        return ()

    @property
    def origin(self) -> tuple[str, ...]:
        """Titles of hyperparameters whose default priors are about the means of covariates, not about zero."""
        return ()

    def about_zero(self, scope: Scope) -> Term:
        """The same term with these hyperparameters as they are printed, for what a user says of them."""
        return self

    @property
    def to_zero(self) -> sp.csc_array | None:
        """What its columns are multiplied by to be those of `about_zero`; None for nothing."""
        return None

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """What its default priors do not expect."""
        return ()


def one_hot(codes: IntArray, n: int) -> sp.csc_array:
    """Indicator columns: row i has a one in column ``codes[i]``; rows with a negative code are empty."""
    rows = np.flatnonzero(codes >= 0)
    return sp.csc_array((np.ones(rows.size), (rows, codes[rows])), shape=(codes.size, n))


COPYING = ("replicate", "group")  # arguments by which terms are copied, unless they have such arguments of their own


@dataclass(frozen=True)
class Signature:
    """How a term is called, and what of a call its name shows.

    Parameters
    ----------
    variables : tuple of str
        Arguments that show in the name of the term, such as the ``x`` of ``s(x)``; by position or by keyword.
    others : tuple of str
        Further arguments that need no keyword and do not show, such as the graph of a map.
    options : tuple of str
        Arguments by keyword that do not show.
    shown : tuple of str
        Arguments by keyword that show where they are given, because they make another term of it.
    many : bool
        Whether further variables may follow those named: they are called after the last of these, ``x2``, ``x3``, ...
    copied : bool
        Whether ``replicate=`` and ``group=`` make copies of the term.
    """

    variables: tuple[str, ...]
    others: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    many: bool = False
    copied: bool = True

    @property
    def positional(self) -> tuple[str, ...]:
        """Arguments that need no keyword, in their order."""
        return (*self.variables, *self.others)

    @property
    def names(self) -> tuple[str, ...]:
        """All arguments."""
        return (*self.positional, *self.options, *self.shown)

    @property
    def copying(self) -> tuple[str, ...]:
        """What asks for copies."""
        return tuple(name for name in COPYING if self.copied and name not in self.names)

    def given(self, call: Call) -> dict[str, Expression]:
        """Arguments of a call by name; `arguments` is the one that checks them."""
        keywords = {keyword.name: keyword.value for keyword in call.keywords}
        return {**keywords, **dict(zip((*self.positional, *self._further(call)), call.args, strict=False))}

    def _further(self, call: Call) -> list[str]:
        """Names of the variables beyond those named."""
        count = len(call.args) - len(self.positional)
        return [f"{self.variables[-1]}{i + 2}" for i in range(count)] if self.many else []

    def label(self, call: Call) -> str:
        """The name of a term: its call without what does not matter to it.

        Examples
        --------
        >>> from lgm.formula.parse import parse
        >>> signature = Signature(("x",), options=("k",), shown=("by",))
        >>> [signature.label(call) for call in parse("y ~ s(x, k=5) + s(k=5, x=log(z), by=f)", {"s"}).mu.calls]
        ['s(x)', 's(log(z), by=f)']
        """
        given = self.given(call)
        variables = [given[name].text for name in (*self.variables, *self._further(call)) if name in given]
        shown = [f"{name}={given[name].text}" for name in self.shown if name in given]
        first = [expression.text for expression in given.values()][:1]  # of a call that does not say what it is about
        return f"{call.name}({', '.join([*variables, *shown] or first)})"


def arguments(call: Call, scope: Scope, signature: Signature) -> dict[str, Expression]:
    """Match the arguments of a term call to its signature.

    Raises
    ------
    FormulaError
        For too many, missing, unknown or repeated arguments; the signature is part of the message.
    """
    keywords = [f"{name}=..." for name in (*signature.options, *signature.shown, *signature.copying)]
    more = ["..."] if signature.many else []
    accepted = f"`{call.name}({', '.join([*signature.positional, *more, *keywords])})`"
    positional = len(signature.positional)
    if len(call.args) > positional and not signature.many:
        few = f"{positional} argument{'s' if positional > 1 else ''} without a keyword"
        raise scope.formula.error(f"{call.name}() takes {few}.", call.args[positional].span, accepted)
    for keyword in call.keywords:
        if keyword.name not in signature.names:
            hint = argument_hint(call.name, keyword.name) or suggest(
                keyword.name, (*signature.names, *signature.copying)
            )
            message = f"{call.name}() has no argument `{keyword.name}`.{hint}"
            raise scope.formula.error(message, keyword.span, accepted)
        if keyword.name in signature.positional[: len(call.args)]:
            raise scope.formula.error(f"{call.name}() gets `{keyword.name}` twice.", keyword.span, accepted)
    given = signature.given(call)
    missing = [name for name in signature.positional if name not in given]
    if missing:
        raise scope.formula.error(f"{call.name}() needs `{missing[0]}`.", call.span, accepted)
    return given
