"""The marginal likelihood of the data, with every parameter integrated out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lgm.errors import ConvergenceWarning, PriorError, warn
from lgm.inference.draws import Points
from lgm.inference.importance import new_points
from lgm.priors import Flat
from lgm.results.learned import learned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lgm.results.fit import Fit


def evidence(fit: Fit) -> Points:
    """Weighted points behind ``log p(y)`` of a fit: its own, or new ones if its engine does not weight.

    Raises
    ------
    PriorError
        If a prior is flat: ``p(y)`` is then undefined.
    """
    learned(fit, "marginal likelihood")
    names = [*fit.design.fixed_names, *(p.names[0] for p in fit.design.parameters)]
    priors = [*fit.chosen_priors.fixed, *fit.chosen_priors.theta]
    flat = [name for name, prior in zip(names, priors, strict=True) if isinstance(prior, Flat)]
    if flat:
        raise PriorError(
            f"log p(y) is undefined for {fit.design.formula.source}: the prior of {', '.join(flat)} is flat. "
            "Accepted: proper priors, such as the defaults."
        )
    return fit.draws.weighted(lambda: _new_points(fit))


def _new_points(fit: Fit) -> Points:
    points = new_points(fit.analysed.marginal, fit.mode, fit.seed)
    if points is None:
        raise KeyboardInterrupt
    return points


def table(fits: Sequence[Fit], index: pd.Index, added: Sequence[float]) -> pd.DataFrame:
    """``log p(y)`` of each fit, with what is to be added to it; best first."""
    found = [evidence(fit) for fit in fits]
    for fit, e in zip(fits, found, strict=True):
        if e.k > e.limit:
            warn(f"log p(y) of {fit.design.formula.source} is not reliable: Pareto k is {e.k:.2f}", ConvergenceWarning)
    values = [(e.log_evidence + more, e.log_evidence_se) for e, more in zip(found, added, strict=True)]
    out = pd.DataFrame(values, index, columns=["log_evidence", "se"])
    out["difference"] = out["log_evidence"] - out["log_evidence"].max()
    out["probability"] = np.exp(out["difference"]) / np.exp(out["difference"]).sum()
    return out.sort_values("log_evidence", ascending=False)
