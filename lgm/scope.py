"""What names in a formula stand for: columns of the data first, then ``env``, then the caller's own names."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from formulaic.transforms import TRANSFORMS
from formulaic.utils.layered_mapping import LayeredMapping

from lgm.errors import DataError
from lgm.formula import Formula, suggest
from lgm.pattern import FloatArray
from lgm.tokens import Piece


def names_in(text: str) -> list[str]:
    """Names that a piece of a formula uses, in order; backticked names without their backticks.

    Examples
    --------
    >>> names_in("np.log(x + 1)"), names_in("`body mass`")
    (['np', 'x'], ['body mass'])
    """
    if text.startswith("`") and text.endswith("`"):
        return [text[1:-1]]
    quoted = {}
    parts = text.split("`")
    for i in range(1, len(parts), 2):
        quoted[f"_backticked_{i}"] = parts[i]
        parts[i] = f"_backticked_{i}"
    try:
        tree = ast.parse("".join(parts).strip().removeprefix("{").removesuffix("}"), mode="eval")
    except SyntaxError:  # a plain column name that is no Python name
        return [text]
    found = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return list(dict.fromkeys(quoted.get(name, name) for name in found))


@dataclass(frozen=True)
class Scope:
    """A formula, the rows of data that it is evaluated on, and the names around it.

    Parameters
    ----------
    formula : Formula
    frame : pandas.DataFrame
        The rows in use; only columns that the formula names.
    env : mapping
        Names that are not columns.
    sd_y : float
        Standard deviation of the response, the yardstick of default priors.
    term_names : tuple of str
        Registered term calls, for messages.
    """

    formula: Formula
    frame: pd.DataFrame
    env: Mapping[str, Any]
    sd_y: float = 1.0
    term_names: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.frame)

    def on(self, frame: pd.DataFrame) -> Scope:
        """The same names around other rows."""
        return replace(self, frame=frame)

    def value(self, piece: Piece) -> Any:
        """The Python value of a piece of the formula.

        Raises
        ------
        FormulaError
            If a name is unknown or the expression fails; the place is marked.
        """
        text = piece.text.strip()
        if text.startswith("`") and text.endswith("`"):
            text = text[1:-1]
        if text in self.frame.columns:
            return self.frame[text]
        for name in names_in(text):
            self.require(name, piece)
        spoken = {name: name for name in self.frame.columns}
        for i, name in enumerate(n for n in spoken if f"`{n}`" in text):
            spoken[name] = f"_column_{i}"
            text = text.replace(f"`{name}`", f"_column_{i}")
        columns = {alias: self.frame[name] for name, alias in spoken.items()}
        names = LayeredMapping(columns, self.env, TRANSFORMS, vars(builtins))
        try:
            return eval(text.removeprefix("{").removesuffix("}"), {"__builtins__": {}}, names)
        except Exception as error:
            message = f"`{piece.text}` cannot be evaluated: {type(error).__name__}: {error}."
            raise self.formula.error(message, piece.span) from error

    def reachable(self, name: str) -> bool:
        """Whether a name stands for something."""
        return name in self.frame.columns or name in self.env or name in TRANSFORMS or hasattr(builtins, name)

    def require(self, name: str, piece: Piece | None = None) -> None:
        """Raise unless a name is a column, in ``env`` or in the caller's scope."""
        if self.reachable(name):
            return
        span = self.formula.find(name) or (piece.span if piece else None)
        message = f"`{name}` is not a column of the data, and no such name is in reach."
        columns = [str(c) for c in self.frame.attrs.get("columns", self.frame.columns)]
        shown = ", ".join(columns[:12]) + (", ..." if len(columns) > 12 else "")
        hint = suggest(name, columns)
        raise self.formula.error(
            f"{message} {hint}".strip(),
            span,
            f"a column of the data ({shown}), or a name in `env` or in your own scope.",
        )

    def numbers(self, piece: Piece, role: str) -> FloatArray:
        """A piece as one finite number per row.

        Raises
        ------
        FormulaError, DataError
            If it is not numeric, not of the right length, or not finite.
        """
        values = self.column(piece, role)
        if isinstance(values.dtype, pd.CategoricalDtype) or not pd.api.types.is_numeric_dtype(values.dtype):
            raise self.formula.error(
                f"{role} `{piece.text}` holds {_kind(values)}, but it must be numeric.",
                piece.span,
                "a column of numbers.",
            )
        out = values.to_numpy(dtype=float, na_value=np.nan)
        bad = np.flatnonzero(~np.isfinite(out))
        if bad.size:
            raise DataError(
                f"{role} `{piece.text}` is not finite in {bad.size} of {out.size} rows "
                f"(first: {_rows(values.index[bad])}). Give finite numbers, or remove these rows."
            )
        return out

    def column(self, piece: Piece, role: str) -> pd.Series:
        """A piece as one value per row."""
        value = self.value(piece)
        if not isinstance(value, pd.Series):
            array = np.asarray(value)
            if array.shape != (self.n,):
                shape = "a single value" if array.ndim == 0 else f"an array of shape {array.shape}"
                raise self.formula.error(
                    f"{role} `{piece.text}` is {shape}, but the data have {self.n} rows.",
                    piece.span,
                    "one value per row.",
                )
            value = pd.Series(array, index=self.frame.index, name=piece.text)
        return value

    def data_names(self, pieces: Iterator[str]) -> list[str]:
        """Columns of the data that pieces of the formula use, in order."""
        return list(dict.fromkeys(name for text in pieces for name in names_in(text) if name in self.frame.columns))


def _kind(values: pd.Series) -> str:
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return "dates"
    return "categories" if isinstance(values.dtype, pd.CategoricalDtype) else f"{values.dtype} values"


def _rows(index: pd.Index) -> str:
    return ", ".join(str(i) for i in index[:5]) + (", ..." if len(index) > 5 else "")


def option(scope: Scope, piece: Piece, name: str, accepted: tuple[Any, ...]) -> Any:
    """The value of an argument that must be one of a few."""
    value = scope.value(piece)
    if not isinstance(value, (str, bool, int)) or value not in accepted:
        listed = ", ".join(repr(a) for a in accepted)
        raise scope.formula.error(f"{name}={piece.text} is not known.", piece.span, f"{name} = {listed}.")
    return value
