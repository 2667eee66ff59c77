"""What every latent term provides, and how its columns are found again in new data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.data.scope import Scope
from lgm.formula.parse import Call
from lgm.formula.tokens import Piece, Span
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


def arguments(
    call: Call, scope: Scope, positional: tuple[str, ...], keywords: tuple[str, ...] = ()
) -> dict[str, Piece]:
    """Match the arguments of a term call to its signature.

    Raises
    ------
    FormulaError
        For too many, missing, unknown or repeated arguments; the signature is part of the message.
    """
    signature = f"`{call.name}({', '.join([*positional, *(f'{k}=...' for k in keywords)])})`"
    names = (*positional, *keywords)
    if len(call.args) > len(positional):
        extra = call.args[len(positional)]
        few = f"{len(positional)} argument{'s' if len(positional) > 1 else ''} without a keyword"
        raise scope.formula.error(f"{call.name}() takes {few}.", extra.span, signature)
    given = dict(zip(positional, call.args, strict=False))
    for name, piece in call.keywords:
        if name not in names:
            hint = suggest(name, names)
            span = _keyword_span(scope, name, piece)
            raise scope.formula.error(f"{call.name}() has no argument `{name}`.{hint}", span, signature)
        if name in given:
            raise scope.formula.error(
                f"{call.name}() gets `{name}` twice.", _keyword_span(scope, name, piece), signature
            )
        given[name] = piece
    missing = [name for name in positional if name not in given]
    if missing:
        raise scope.formula.error(f"{call.name}() needs `{missing[0]}`.", call.span, signature)
    return given


def _keyword_span(scope: Scope, name: str, piece: Piece) -> Span:
    """From the keyword to the end of its value."""
    return Span(max(scope.formula.source.rfind(name, 0, piece.span.start), 0), piece.span.stop)
