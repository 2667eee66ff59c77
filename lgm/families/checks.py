"""What several families ask of a response."""

from __future__ import annotations

import numpy as np

from lgm.errors import DataError
from lgm.families.response import Response


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
    raise DataError(
        f"the response {name} has {found:g} in row {wrong[0] + 1} of those with a response, but {family} is for "
        f"numbers above 0. {instead}"
    )


def require_varied(y: Response, name: str) -> None:
    """Raise a DataError if all values are the same."""
    values = np.asarray(y.value)
    if float(np.std(values)) <= 1e-13 * float(np.max(np.abs(values))):
        raise DataError(
            f"the response {name} is {values[0]:g} in all {y.size} rows that have one; there is nothing to model."
        )
