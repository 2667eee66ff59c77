"""The seed of what is drawn from a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lgm.errors import LgmError

if TYPE_CHECKING:
    from lgm.results.fit import Fit


def seed_of(fit: Fit, seed: Any) -> int:
    """What a user gives, or that of the fit.

    Raises
    ------
    LgmError
        For what is no whole number from zero.
    """
    if seed is None:
        return fit.seed
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0:
        raise LgmError(f"seed={seed!r}; accepted: a whole number from 0, or None for the seed of the fit.")
    return int(seed)
