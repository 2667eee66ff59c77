"""How large and how small numbers of the data may be: squares of them, and of what is made of them, must be doubles."""

from __future__ import annotations

import numpy as np

from lgm.arrays import FloatArray
from lgm.errors import DataError

LARGEST = 1e100
SMALLEST = 1e-100


def require_magnitude(values: FloatArray, what: str) -> None:
    """Refuse numbers whose largest is not between 1e-100 and 1e100; zeros are none.

    Raises
    ------
    DataError
        It says how to change the units.
    """
    largest = float(np.maximum(np.max(values, initial=0.0), -np.min(values, initial=0.0)))  # nothing is copied
    if largest != 0.0 and not SMALLEST <= largest <= LARGEST:
        raise DataError(
            f"{what} has values of up to {largest:.3g}, of which squares cannot be computed with. Accepted: units in "
            f"which the largest is between {SMALLEST:g} and {LARGEST:g}, such as these divided by {largest:.0e}."
        )
