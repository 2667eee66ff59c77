"""What families of positive measurements with a log link have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lgm.arrays import FloatArray
from lgm.families.checks import require_positive, require_varied
from lgm.families.family import Family
from lgm.families.links import log_rate
from lgm.families.response import Response


@dataclass(frozen=True)
class Positive(Family):
    """A family of positive measurements, ``log mu_i = eta_i``.

    The yardstick of default priors is one: a factor of e. Without an intercept the effects carry the level too, which
    depends on the unit, and the yardstick is the root mean square about zero.
    """

    link: str = "log"

    links = ("log",)

    def check(self, y: Response, name: str) -> None:
        """Values above zero, that are not all the same."""
        require_positive(y, name, self.name)
        require_varied(y, name)

    def level_of(self, y: Response, offset: FloatArray, weights: FloatArray) -> float:
        """Log of the mean, for an offset of zero."""
        return log_rate(float(np.sum(weights * y.value)), offset, weights)

    def scale_of(self, y: Response, offset: FloatArray, *, about_zero: bool = False) -> float:
        """One; without an intercept, the root mean square of what spreads by one around the level."""
        level = self.level_of(y, offset, np.ones(y.size)) if about_zero else 0.0
        return float(np.hypot(self.linked.spread, level))
