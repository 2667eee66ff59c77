"""Questions that only a fit can answer for which the data were used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from lgm.errors import LgmError

if TYPE_CHECKING:
    from lgm.results.fit import Fit


def learned(fit: Any, what: str) -> Fit:
    """The fit itself.

    Raises
    ------
    LgmError
        If its draws are from the prior.
    """
    if fit.method == "prior":
        raise LgmError(
            f"there is no {what} of draws from the prior, for which no response was used. Accepted: a fit by another "
            "method, such as fit.model.fit()."
        )
    return cast("Fit", fit)
