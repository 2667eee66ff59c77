"""What an expression learns from the rows of the fit, so that other rows are computed as those were."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from lgm.arrays import FloatArray
from lgm.data.arithmetic import as_called, called_with_doubles
from lgm.data.moments import Heard
from lgm.errors import DataError

_NUMBERS = (bool, int, float, complex, str, np.generic, datetime.date, datetime.timedelta, pd.Interval, pd.Period)
_ARRAYS = (np.ndarray, pd.Series, pd.Index, pd.api.extensions.ExtensionArray)


class Learner:
    """What one expression knows while it is evaluated.

    Parameters
    ----------
    learnt : dict or None
        By place in the expression; None while it is evaluated for the first time.
    rows : int
        Number of rows of its columns.
    context : mapping
        The names around, which formulaic's transformations may ask for.
    """

    def __init__(self, learnt: dict[int, Any] | None, rows: int, context: Mapping[str, Any]) -> None:
        self.learns = learnt is None
        self.learnt = {} if learnt is None else learnt
        self.rows, self.context = rows, context

    def function(self, called: Callable[..., Any], place: int) -> Callable[..., Any]:
        """What is called: formulaic's stateful transformations have their memory."""
        if not getattr(called, "__is_stateful_transform__", False):
            return as_called(called)
        state = self.learnt.setdefault(place, {}) if self.learns else self.learnt.get(place, {})
        handed = {"_context": self.context, "_metadata": None, "_state": state, "_spec": None}
        return functools.partial(called_with_doubles, called, **handed)

    def value(self, compute: Callable[[], Any], place: int) -> Any:
        """A part of the expression that is computed from columns: numbers that are not one for each row are kept.

        So ``x - x.mean()`` and ``(date - date.min()).dt.days`` mean the mean and the first day of the fit.
        """
        if place in self.learnt:
            return self.learnt[place]
        value = compute()
        if self.learns and (isinstance(value, _NUMBERS) or (isinstance(value, _ARRAYS) and np.size(value) < self.rows)):
            self.learnt[place] = value
        return value


class Listening(dict[str, dict[Any, Any]]):
    """A memory of nothing, which notes what expressions would learn of a part of the rows.

    Parameters
    ----------
    heard : dict
        By the text of the expression and the place in it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.heard: dict[tuple[str, int], Heard] = {}


class Listener(Learner):
    """Notes what stateful transformations are called with; their values are missing.

    Parameters
    ----------
    text : str
        Of the expression.
    rows, context
        As in `Learner`.
    heard : dict
        Where it is noted.

    Raises
    ------
    DataError
        For what cannot be put together from parts of the rows.
    """

    def __init__(self, text: str, rows: int, context: Mapping[str, Any], heard: dict[tuple[str, int], Heard]) -> None:
        super().__init__({}, rows, context)
        self.text, self.heard = text, heard

    def function(self, called: Callable[..., Any], place: int) -> Callable[..., Any]:
        """What is called; of a stateful transformation, what notes its arguments."""
        if not getattr(called, "__is_stateful_transform__", False):
            return as_called(called)

        def listen(*args: Any, **keywords: Any) -> FloatArray:
            self.heard[self.text, place] = Heard.of(called, self.text, args, keywords)
            return np.full(self.rows, np.nan)

        return listen

    def value(self, compute: Callable[[], Any], place: int) -> Any:
        """A part that is computed from columns, row by row."""
        value = compute()
        if isinstance(value, _NUMBERS) or (isinstance(value, _ARRAYS) and np.size(value) < self.rows):
            raise DataError(
                f"`{self.text}` needs a number of all rows, which are not in memory. Accepted of data in partitions: "
                "the number itself, or `center(x)`, `scale(x)`, `poly(x, 2)`, which know their means."
            )
        return value


def learner(memory: dict[str, Any], text: str, rows: int, context: Mapping[str, Any]) -> Learner:
    """What an expression knows while it is evaluated, given a memory."""
    if isinstance(memory, Listening):
        return Listener(text, rows, context, memory.heard)
    return Learner(memory.get(text), rows, context)
