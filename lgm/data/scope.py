"""What names in a formula stand for: columns of the data first, then ``env``, then the caller's own names."""

from __future__ import annotations

import ast
import builtins
import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from formulaic.materializers.types import FactorValues

from lgm.arrays import BoolArray, FloatArray
from lgm.data.expression import FUNCTIONS, Names, evaluate, function, names_of
from lgm.data.magnitude import require_magnitude
from lgm.data.table import kind_of, per_row, plain
from lgm.errors import DataError, LgmError
from lgm.formula.bars import CLASSES
from lgm.formula.hints import unknown_call_message
from lgm.formula.python import Expression
from lgm.formula.sides import Formula
from lgm.words import listed, suggest

_HINTS = {
    "dates": " Write the days since the first date, ({0} - {0}.min()).dt.days.",
    "periods": ' Write how many they are after 1970, {0}.astype("int64").',
    "durations": " Write their days, {0}.dt.days.",
    "text": " Numbers stored as text are converted by astype(float).",
    "booleans": " Booleans are factors; as zeros and ones they are converted by astype(float).",
}


def names_in(expression: Expression) -> list[str]:
    """All names in an expression: those of values, then those of functions.

    Examples
    --------
    >>> from lgm.formula.parse import parse
    >>> [names_in(each) for each in parse("y ~ np.log(x + 1) + log(`body mass`)", ()).mu.expressions]
    [['np', 'x'], ['body mass', 'log']]
    """
    found = names_of(expression, (), {})
    return list(dict.fromkeys([*found.others, *found.functions]))


def taken(names: Names, env: Mapping[str, Any]) -> dict[str, Any]:
    """What names of a formula stand for outside of the data, and nothing else of what is there.

    Arrays and containers are copied: neither do they change later, nor does a slice keep what it was cut from.
    """
    found = {name: env[name] for name in names.functions if callable(env.get(name))}
    found |= {name: env[name] for name in (*names.others, *names.modules) if name in env}
    return {name: _own(value) for name, value in found.items()}


def _own(value: Any) -> Any:
    if isinstance(value, (pd.Series, pd.DataFrame, pd.Index)):
        return value.copy(deep=True)
    return copy.copy(value) if isinstance(value, (np.ndarray, list, dict, set)) else value


@dataclass(frozen=True, eq=False)
class Scope:
    """A formula, the rows of data that it is evaluated on, and the names around it.

    Parameters
    ----------
    formula : Formula
    frame : pandas.DataFrame
        The rows in use; only columns that the formula names.
    env : mapping
        Names of the formula that are not columns, and no others: see `taken`.
    columns : tuple of str
        All columns of the data, for messages.
    term_names : tuple of str
        Registered term calls, for messages.
    memory : dict
        What stateful transformations, such as ``scale(x)``, have learnt from the rows of the fit.
    """

    formula: Formula
    frame: pd.DataFrame
    env: Mapping[str, Any]
    columns: tuple[str, ...] = ()
    term_names: tuple[str, ...] = ()
    memory: dict[str, dict[Any, Any]] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.frame)

    def on(self, frame: pd.DataFrame) -> Scope:
        """The same names around other rows."""
        return replace(self, frame=frame)

    def value(self, expression: Expression) -> Any:
        """The Python value of an expression of the formula.

        Raises
        ------
        FormulaError
            If a name is unknown or the expression fails; the place is marked.
        """
        self.require(expression)
        try:
            value = evaluate(expression, self.frame, self.env, self.memory)
        except LgmError:
            raise
        except Exception as error:
            message = f"`{expression.text}` cannot be evaluated: {type(error).__name__}: {error}."
            raise self.formula.error(message, expression.span) from error
        return value.__wrapped__ if isinstance(value, FactorValues) else value

    def require(self, expression: Expression) -> None:
        """Raise unless every name in an expression stands for something.

        Raises
        ------
        FormulaError
            The name is marked; close matches are suggested.
        """
        names = names_of(expression, self.frame.columns, self.env)
        for name in names.functions:
            if function(name, self.env) is None:
                given = _arguments(expression, name)
                around_bar = any(isinstance(each, ast.BinOp) and isinstance(each.op, ast.BitOr) for each in given)
                message = unknown_call_message(name, self.term_names, CLASSES if around_bar else ())
                raise self.formula.error(message, expression.find(name))
        for name in names.others:
            if self._is_nothing(name, alone=expression.is_name):
                known = list(self.columns or self.frame.columns)
                what = "outside it is a function or module" if name in self.env else "no such name is in reach"
                first = name.split(".")[0]
                python = f" Python is written in braces: `{{{name}}}`." if first != name and first in known else ""
                raise self.formula.error(
                    f"`{name}` is not a column of the data, and {what}.{python or suggest(name, known)}",
                    expression.find(name),
                    f"a column of the data ({listed(known)}), or a name in `env` or in your own scope.",
                )

    @property
    def times(self) -> FloatArray | None:
        """How many rows of the data each row stands for; None for one."""
        return None

    def moments(self, effects: str) -> tuple[FloatArray, FloatArray, BoolArray] | None:
        """Mean and standard deviation over the data of the columns of some effects, where these rows do not say."""
        return None

    def require_rows(self, what: str) -> None:
        """Raise unless the rows of the data are at hand, where something depends on all of them."""

    def knows(self, name: str) -> bool:
        """Whether a name is a column, or is in ``env`` or in the caller's scope."""
        return name in self.frame.columns or name in self.env

    def _is_nothing(self, name: str, *, alone: bool) -> bool:
        """Whether a name has no value here; ``id`` is a function of Python, but ``s(id)`` means a column."""
        if name in self.env:
            return alone and (callable(self.env[name]) or isinstance(self.env[name], ModuleType))
        value = FUNCTIONS.get(name, getattr(builtins, name, None))
        return alone or not isinstance(value, (type, ModuleType))

    def numbers(self, expression: Expression, role: str) -> FloatArray:
        """An expression as one finite number per row.

        Raises
        ------
        FormulaError, DataError
            If it is not numeric, not of the right length, or not finite.
        """
        values = self.column(expression, role)
        if pd.api.types.is_bool_dtype(values.dtype) or not pd.api.types.is_numeric_dtype(values.dtype):
            kind = kind_of(values)
            hint = _HINTS.get(kind, "").format(expression.text if expression.is_name else "column")
            raise self.formula.error(
                f"{role} `{expression.text}` holds {kind}, but it must be numeric.{hint}",
                expression.span,
                "a column of numbers, or an expression that gives numbers.",
                DataError,
            )
        if values.dtype.kind == "c":
            raise self.formula.error(
                f"{role} `{expression.text}` holds complex numbers.", expression.span, "numbers.", DataError
            )
        out = values.to_numpy(dtype=float, na_value=np.nan)
        bad = np.flatnonzero(~np.isfinite(out))
        if bad.size:
            raise DataError(
                f"{role} `{expression.text}` is not finite in {bad.size} of {out.size} rows "
                f"(rows {listed(values.index[bad], 5)}). Give finite numbers, or remove these rows."
            )
        require_magnitude(out, f"{role} `{expression.text}`")
        return out

    def column(self, expression: Expression, role: str) -> pd.Series:
        """An expression as one value per row.

        Raises
        ------
        FormulaError
            If it is a single value, or has another number of rows; nothing is recycled.
        """
        value = self.value(expression)
        if isinstance(value, (list, tuple)):
            try:
                value = np.asarray(value)
            except ValueError:
                message = f"{role} `{expression.text}` is a list of parts of unequal length."
                raise self.formula.error(
                    message, expression.span, f"{self.n} values, one for each row in use."
                ) from None
        column = per_row(value, self.frame, expression.text)
        if column is None:
            raise self.formula.error(
                f"{role} `{expression.text}` is {shape_of(value)}.",
                expression.span,
                f"one value for each of the {self.n} rows in use.",
            )
        return plain(column) if column.dtype == object else column


def _arguments(expression: Expression, name: str) -> list[ast.expr]:
    """What the calls of a function in an expression are given."""
    return [argument for call in expression.calls({name}) for argument in call.args]


def shape_of(value: Any) -> str:
    """Size of a value that should have one entry per row, in words."""
    shape = np.shape(value)
    if not shape:
        number = isinstance(value, (int, float, np.number))
        return f"a single value, {value:g}" if number else f"of the type {type(value).__name__}"
    return f"an array of {shape[0]} values" if len(shape) == 1 else f"an array of shape {shape}"


@dataclass(frozen=True, eq=False)
class StandIns(Scope):
    """Rows that stand for those of the data, which are not in memory.

    Parameters
    ----------
    counts : float array (n,), optional
        How many rows each stands for.
    columns_of : dict
        Mean and standard deviation of the columns of effects, and which are zeros and ones, by the text of these.
    """

    counts: FloatArray | None = None
    columns_of: Mapping[str, tuple[FloatArray, FloatArray, BoolArray]] = field(default_factory=dict)

    @property
    def times(self) -> FloatArray | None:
        """How many rows of the data each row stands for."""
        return self.counts

    def moments(self, effects: str) -> tuple[FloatArray, FloatArray, BoolArray] | None:
        """Mean and standard deviation over the data, and which are zeros and ones."""
        return self.columns_of.get(effects)

    def require_rows(self, what: str) -> None:
        """They are not at hand."""
        raise DataError(
            f"{what} learns from all rows at once, and data in partitions are not in memory. Accepted: the data as one "
            "table, or a model without it."
        )


def option(scope: Scope, expression: Expression, name: str, accepted: tuple[Any, ...]) -> Any:
    """The value of an argument that must be one of a few."""
    if expression.text in accepted and not scope.knows(expression.text):
        raise _option_error(scope, expression, name, accepted)
    value = scope.value(expression)
    if not isinstance(value, (str, bool, int)) or value not in accepted:
        raise _option_error(scope, expression, name, accepted)
    return value


def _option_error(scope: Scope, expression: Expression, name: str, accepted: tuple[Any, ...]) -> LgmError:
    options = ", ".join(repr(a) for a in accepted)
    quotes = f" Put it in quotes: {name}={expression.text!r}." if expression.text in accepted else ""
    return scope.formula.error(
        f"{name}={expression.text} is not known.{quotes}", expression.span, f"{name} = {options}."
    )
