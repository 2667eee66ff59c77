"""Times until an event, known or censored, whose logarithms are a location and a scale times a standard variable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from lgm.arrays import FloatArray
from lgm.errors import DataError
from lgm.families.checks import RowError, require_positive, require_varied
from lgm.families.positive import Positive
from lgm.families.response import Response
from lgm.families.standard import Standard

KNOWN, RIGHT, LEFT, INTERVAL = 0, 1, -1, 2


@dataclass(frozen=True)
class Times(Positive):
    """A family of times, some of which may be censored: known to be above, below or between two values."""

    forms = ("cens",)

    def check(self, y: Response, name: str) -> None:
        """Times above zero; where they are censored, by a known code and with ends in their order."""
        require_positive(y, name, self.name)
        if y.censored is None:
            require_varied(y, name)
            return
        codes, values = np.asarray(y.censored), np.asarray(y.value)
        wrong = np.flatnonzero(~np.isin(codes, (KNOWN, RIGHT, LEFT, INTERVAL)))
        if wrong.size:
            raise RowError(
                f"the response {name} is censored by the code {codes[wrong[0]]}",
                wrong,
                "; accepted: 0 (known), 1 (right: above the value), -1 (left: below it), 2 (between the value and an "
                "upper one).",
            )
        if np.any(codes == INTERVAL) and y.upper is None:
            raise DataError(f"the response {name} has intervals (code 2) without their upper ends.")
        if y.upper is not None:
            upper = np.asarray(y.upper)
            wrong = np.flatnonzero((codes == INTERVAL) & ~((upper > values) & np.isfinite(upper)))
            if wrong.size:
                i = wrong[0]
                raise RowError(
                    f"the response {name} has the interval from {values[i]:g} to {upper[i]:g}",
                    wrong,
                    "; accepted: an upper end above the lower one. Without an end it is censored on the right (code "
                    "1), and one that is no interval is known (code 0).",
                )

    def level_of(self, y: Response, offset: FloatArray, weights: FloatArray) -> float:
        """Log of the mean of exponential times: all time over the number of events, at least half a one."""
        mean = super().level_of(y, offset, weights)
        if y.censored is None:
            return mean
        happened = np.sum(weights * (np.asarray(y.censored) != RIGHT))
        return float(mean + np.log(np.sum(weights)) - np.log(np.maximum(happened, 0.5)))


def log_likelihood(y: Response, standard: Standard, location: Any, scale: Any) -> Any:
    """Log density (n,) of times T where ``(log T - location) / scale`` is standard, or log probability if censored."""
    log_value = jnp.log(jnp.asarray(y.value))
    z = (log_value - location) / scale
    known = standard.density(z) - jnp.log(scale) - log_value
    if y.censored is None:
        return known
    code = jnp.asarray(y.censored)
    found = jnp.where(code == RIGHT, standard.above(z), jnp.where(code == LEFT, standard.below(z), known))
    if y.upper is None:
        return found
    upper = jnp.where(code == INTERVAL, jnp.asarray(y.upper), 2.0 * jnp.asarray(y.value))  # others have no interval
    width = (jnp.log(upper) - log_value) / scale
    return jnp.where(code == INTERVAL, standard.between(z, width), found)


def log_times(y: FloatArray) -> FloatArray:
    """Logarithms (rows, 1) of any numbers (rows,), minus infinity where they are not above zero."""
    return np.log(y, out=np.full(y.shape, -np.inf), where=y > 0.0)[:, None]
