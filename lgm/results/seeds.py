"""The seed of what is drawn from a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lgm.inference.keys import chosen

if TYPE_CHECKING:
    from lgm.results.fit import Fit


def seed_of(fit: Fit, seed: Any) -> int:
    """What a user gives, or that of the fit.

    Raises
    ------
    LgmError
        For what is no whole number from zero.
    """
    return fit.seed if seed is None else chosen(seed)
