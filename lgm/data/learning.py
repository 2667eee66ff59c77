"""What an expression learns from the rows of the fit, so that other rows are computed as those were."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from lgm.data.arithmetic import as_called, called_with_doubles

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
