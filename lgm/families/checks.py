"""What several families ask of a response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lgm.arrays import IntArray
from lgm.errors import DataError
from lgm.families.response import Response


class RowError(DataError):
    """Some rows are not what a family takes. It knows them by their places; whoever has the data knows their labels.

    Parameters
    ----------
    before : str
        What is wrong with the first of them.
    rows : int array
        Their places among the rows with a response.
    after : str
        What is accepted.
    """

    def __init__(self, before: str, rows: IntArray, after: str) -> None:
        super().__init__(f"{before} in row {rows[0] + 1} of those with a response{after}")
        self.before, self.rows, self.after = before, rows, after

    def labelled(self, labels: Sequence[Any] | pd.Index) -> DataError:
        """The same by the label of the row."""
        others = f" ({self.rows.size} such rows)" if self.rows.size > 1 else ""
        return DataError(f"{self.before} in row {labels[self.rows[0]]}{others}{self.after}")


def require_positive(y: Response, name: str, family: str) -> None:
    """Raise a DataError unless all values are finite and above zero."""
    values = np.asarray(y.value)
    wrong = np.flatnonzero(~((values > 0.0) & np.isfinite(values)))
    if wrong.size == 0:
        return
    found = values[wrong[0]]
    instead = (
        "Zeros may be modelled apart: whether it is above zero by bernoulli, then the rows above zero by this family."
        if found == 0.0
        else "Measurements of both signs: gaussian or t."
    )
    raise RowError(f"the response {name} has {found:g}", wrong, f", but {family} is for numbers above 0. {instead}")


def require_varied(y: Response, name: str) -> None:
    """Raise a DataError if all values are the same."""
    values = np.asarray(y.value)
    if float(np.std(values)) <= 1e-13 * float(np.max(np.abs(values))):
        raise DataError(
            f"the response {name} is {values[0]:g} in all {y.size} rows that have one; there is nothing to model."
        )
