"""Comparing models by the marginal likelihood of the data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lgm.errors import ConvergenceWarning, DataError, LgmError, PriorError, warn
from lgm.families.response import Response
from lgm.inference.draws import Points
from lgm.inference.importance import weighted_points
from lgm.inference.mode import find_folded_mode
from lgm.priors import Flat

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
    post = fit.analysed.marginal
    wide = find_folded_mode(post, fit.mode, jacobian=True)
    points, _, stopped = weighted_points(post, wide, draws=1, seed=fit.seed, progress=False)
    if stopped:
        raise KeyboardInterrupt
    return points


def compare(*fits: Fit) -> pd.DataFrame:
    """Compare models of the same data by ``log p(y)``, with every parameter integrated out.

    Parameters
    ----------
    fits : two or more Fit
        Of the same response, all with proper priors.

    Returns
    -------
    pandas.DataFrame
        Best first: ``log_evidence``, its Monte Carlo error ``se``, ``difference`` from the best, and ``probability``,
        that of the model if all are equally likely beforehand. ``p(y)`` depends on the priors; look at ``fit.priors``
        first.

    Raises
    ------
    LgmError, DataError, PriorError
        For fewer than two fits, fits of different data, or flat priors.

    Examples
    --------
    >>> import lgm
    >>> dyestuff = lgm.load_dataset("Dyestuff")
    >>> with_batch = lgm.fit("Yield ~ 1 + (1|Batch)", dyestuff, method="importance", seed=1, progress=False)
    >>> without = lgm.fit("Yield ~ 1", dyestuff, method="importance", seed=1, progress=False)
    >>> list(lgm.compare(without, with_batch).index)
    ['Yield ~ 1 + (1|Batch)', 'Yield ~ 1']
    """
    odd = [type(other).__name__ for other in fits if not hasattr(other, "design")]
    if len(fits) < 2 or odd:
        got = f"a {odd[0]} among them" if odd else str(len(fits))
        raise LgmError(f"compare() takes two or more fits one by one, as in compare(one, other); got {got}.")
    for other in fits[1:]:
        if not _same(other.design.response, fits[0].design.response):
            raise DataError(
                f"{other.design.formula.source} and {fits[0].design.formula.source} are not fits of the same data: "
                f"their responses ({other.design.n} and {fits[0].design.n} rows) differ. Accepted: fits of the same "
                "rows of the same response, in the same order and on the same scale."
            )
    found = [evidence(fit) for fit in fits]
    for fit, e in zip(fits, found, strict=True):
        if e.k > e.limit:
            warn(f"log p(y) of {fit.design.formula.source} is not reliable: Pareto k is {e.k:.2f}", ConvergenceWarning)
    index = pd.Index(_labels(fits), name="model")
    values = [(e.log_evidence, e.log_evidence_se) for e in found]
    table = pd.DataFrame(values, index, columns=["log_evidence", "se"])
    table["difference"] = table["log_evidence"] - table["log_evidence"].max()
    table["probability"] = np.exp(table["difference"]) / np.exp(table["difference"]).sum()
    return table.sort_values("log_evidence", ascending=False)


def _same(one: Response, other: Response) -> bool:
    """Whether two responses are the same; a single trial need not be said."""
    mine, others = (replace(y, trials=np.ones(y.size) if y.trials is None else y.trials) for y in (one, other))
    pairs = zip(vars(mine).values(), vars(others).values(), strict=True)
    return all((a is None) == (b is None) and (a is None or np.array_equal(a, b)) for a, b in pairs)


def _labels(fits: Sequence[Fit]) -> list[str]:
    """The formulas, with their families where these differ; numbered where one is repeated (with other priors)."""
    several = len({fit.design.family for fit in fits}) > 1
    names = [fit.design.formula.source + (f", {fit.design.family.name}" if several else "") for fit in fits]
    return [f"{name} [{i + 1}]" if names.count(name) > 1 else name for i, name in enumerate(names)]
