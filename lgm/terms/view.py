"""How a term is drawn: it says what its effects are, and the plots know how such things are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lgm.arrays import FloatArray, IntArray
from lgm.data.graph import Graph
from lgm.data.mesh import Mesh
from lgm.formula.python import Expression
from lgm.terms.clock import NUMBERS, Clock


@dataclass(frozen=True)
class By:
    """A variable that changes a function.

    Parameters
    ----------
    variable : Expression
        In the formula.
    levels : tuple
        Those of a factor that have a function each; empty for numbers.
    """

    variable: Expression
    levels: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Curve:
    """A function of one variable.

    Parameters
    ----------
    variable : Expression
        In the formula.
    points : float array, optional
        Where it is drawn: the values that a walk lives on; by default an even grid over the range of the data.
    clock : Clock
        How the variable is read.
    turn : float array, optional
        The times of one turn of a circle, to which all others are brought.
    by : By, optional
        What changes the function: numbers that multiply it, or a factor with a function for each level.
    """

    variable: Expression
    points: FloatArray | None = None
    clock: Clock = NUMBERS
    turn: FloatArray | None = None
    by: By | None = None


@dataclass(frozen=True)
class Surface:
    """A function of two variables.

    Parameters
    ----------
    variables : (Expression, Expression)
        In the formula.
    by : By, optional
    clocks : (Clock, Clock)
        As for a curve.
    """

    variables: tuple[Expression, Expression]
    by: By | None = None
    clocks: tuple[Clock, Clock] = (NUMBERS, NUMBERS)


@dataclass(frozen=True)
class Levels:
    """One effect for each level of a group."""


@dataclass(frozen=True)
class Map:
    """One effect for each region of a graph."""

    graph: Graph


@dataclass(frozen=True)
class Maps:
    """One effect for each region of a graph, once for each level of something else; level by level."""

    graph: Graph
    levels: tuple[str, ...]


@dataclass(frozen=True)
class Field:
    """A function over a part of the plane, linear in each triangle of a mesh.

    Parameters
    ----------
    mesh : Mesh
        Its nodes have one effect each.
    places : float array (rows, 2)
        Where the data are.
    variables : (str, str)
        The coordinates.
    """

    mesh: Mesh
    places: FloatArray
    variables: tuple[str, str]


@dataclass(frozen=True)
class Fields:
    """A field once for each level of something else; level by level.

    Parameters
    ----------
    one : Field
    levels : tuple of str
    copy : int array (rows,)
        The level of each row of the data, -1 where there is none.
    """

    one: Field
    levels: tuple[str, ...]
    copy: IntArray


View = Curve | Surface | Levels | Map | Maps | Field | Fields
