"""What every latent term provides, and how its columns are found again in new data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.data.scope import Scope
from lgm.formula.python import Expression
from lgm.formula.sides import Call
from lgm.priors import pc_sd
from lgm.terms.block import Block, Parameter
from lgm.words import suggest


@dataclass(frozen=True)
class Variable:
    """A named part of a term's effects, for tables and draws.

    Parameters
    ----------
    name : str
        Such as ``"Days|Subject"`` or ``"rw1(t)"``.
    index : int array
        Its effects within the block.
    dim : str
        Name of the dimension.
    labels : array
        One label per effect.
    """

    name: str
    index: IntArray
    dim: str
    labels: np.ndarray[Any, Any]


class Draw(Protocol):
    """Draws of effects that the fit does not have."""

    def __call__(
        self, sd: FloatArray, shape: FloatArray, b: FloatArray, normals: FloatArray, factor: FloatArray
    ) -> FloatArray:
        """One row per posterior draw.

        Parameters
        ----------
        sd, shape, b : float arrays (S, n_sd), (S, n_shape), (S, n)
            The term's standard deviations, shape parameters and effects in each of S posterior draws.
        normals : float array (S, m)
            Standard normals.
        factor : float array
            What multiplied an intrinsic structure matrix (empty for proper terms).
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
    population : bool
        Whether the new effects are independent of the fitted ones (drawn from the population).
    """

    what: str
    z: sp.csc_array
    draw: Draw
    population: bool


@dataclass(frozen=True)
class Encoded:
    """A term at new rows: columns of the fitted effects, null-space columns, effects that the fit does not have."""

    z: sp.csc_array
    null: dict[str, FloatArray] = field(default_factory=dict)
    novel: Novel | None = None
    notes: tuple[str, ...] = ()


class Term(Protocol):
    """One latent term of a model."""

    @property
    def label(self) -> str:
        """As printed."""

    @property
    def kind(self) -> str:
        """``"group"``, ``"smooth"``, ``"walk"`` or ``"areal"``: how it is plotted and described."""

    @property
    def block(self) -> Block:
        """Effects, precision and hyperparameters."""

    @property
    def z(self) -> sp.csc_array:
        """Columns at the rows of the data."""

    @property
    def null(self) -> dict[str, FloatArray]:
        """Null-space columns that join the fixed effects, by name."""

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Named parts of the effects."""

    @property
    def size(self) -> str:
        """Size in words, such as ``"18 levels"``."""

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows."""


def sd_parameter(name: str, scale: float) -> Parameter:
    """A standard deviation with the default prior ``P(sd > scale) = 0.05``."""
    return Parameter((name,), "sd", pc_sd(scale, 0.05), scale / 3.0)


def one_hot(codes: IntArray, n: int) -> sp.csc_array:
    """Indicator columns: row i has a one in column ``codes[i]``; rows with a negative code are empty."""
    rows = np.flatnonzero(codes >= 0)
    return sp.csc_array((np.ones(rows.size), (rows, codes[rows])), shape=(codes.size, n))


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
    """

    variables: tuple[str, ...]
    others: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()

    @property
    def positional(self) -> tuple[str, ...]:
        """Arguments that need no keyword, in their order."""
        return (*self.variables, *self.others)

    @property
    def names(self) -> tuple[str, ...]:
        """All arguments."""
        return (*self.positional, *self.options, *self.shown)

    def given(self, call: Call) -> dict[str, Expression]:
        """Arguments of a call by name; `arguments` is the one that checks them."""
        keywords = {keyword.name: keyword.value for keyword in call.keywords}
        return {**keywords, **dict(zip(self.positional, call.args, strict=False))}

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
        variables = [given[name].text for name in self.variables if name in given]
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
    keywords = [f"{name}=..." for name in (*signature.options, *signature.shown)]
    accepted = f"`{call.name}({', '.join([*signature.positional, *keywords])})`"
    positional = len(signature.positional)
    if len(call.args) > positional:
        few = f"{positional} argument{'s' if positional > 1 else ''} without a keyword"
        raise scope.formula.error(f"{call.name}() takes {few}.", call.args[positional].span, accepted)
    for keyword in call.keywords:
        if keyword.name not in signature.names:
            hint = suggest(keyword.name, signature.names)
            message = f"{call.name}() has no argument `{keyword.name}`.{hint}"
            raise scope.formula.error(message, keyword.span, accepted)
        if keyword.name in signature.positional[: len(call.args)]:
            raise scope.formula.error(f"{call.name}() gets `{keyword.name}` twice.", keyword.span, accepted)
    given = signature.given(call)
    missing = [name for name in signature.positional if name not in given]
    if missing:
        raise scope.formula.error(f"{call.name}() needs `{missing[0]}`.", call.span, accepted)
    return given
