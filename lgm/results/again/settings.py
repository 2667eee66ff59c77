"""How a fit was drawn, for one that is drawn in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lgm.errors import LgmError
from lgm.words import suggest

if TYPE_CHECKING:
    from lgm.results.fit import Fit


_KNOWN = ("method", "approximation", "fallback", "chains", "draws", "warmup", "interval", "seed", "progress")


def settings_of(fit: Fit, **others: Any) -> dict[str, Any]:
    """Arguments of `lgm.model.Model.fit` that draw as this fit was drawn, but for what is given.

    Raises
    ------
    LgmError
        For an argument that there is not.
    """
    for name in others:
        if name not in _KNOWN:
            raise LgmError(f"there is no argument {name}=.{suggest(name, list(_KNOWN))} Accepted: {', '.join(_KNOWN)}.")
    chains, draws, _ = fit.draws.theta.shape
    made = {"method": fit.method, "chains": chains, "draws": draws}
    asked = {"interval": fit.interval, "seed": fit.seed, "progress": fit.progress, **(fit.asked or made)}
    return {**asked, **{name: value for name, value in others.items() if value is not None}}
