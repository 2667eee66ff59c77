"""What of a model the data cannot tell apart, or do not speak of."""

from __future__ import annotations

import warnings

from lgm.design.design import Design
from lgm.errors import DataWarning, IdentifiabilityError, IdentifiabilityWarning
from lgm.posterior.priors import Priors
from lgm.priors import Fixed
from lgm.terms.group import GroupTerm, same_as_residual


def check_identifiability(built: Design, resolved: Priors) -> None:
    """Sigma, unless it is known, needs rows that the fixed effects leave over, and no group with a level per row.

    Beside such a group, weights tell the two apart.
    """
    if isinstance(resolved.theta[-1], Fixed):
        return
    if built.p == built.n:
        text = f"there are as many fixed effects as rows ({built.n}), so nothing is left to estimate sigma from."
        if not resolved.proper:
            raise IdentifiabilityError(f"{text} Accepted: fewer predictors, or proper priors.")
        warnings.warn(f"{text} Only its prior and theirs speak of it.", IdentifiabilityWarning, stacklevel=4)
    if built.weighted:
        return
    for term in built.terms:
        effect = same_as_residual(term, built.rows.observed)
        if effect is not None:
            text = (
                f"{term.label} has as many levels as there are rows ({built.n}), so the standard deviation of {effect} "
                'and sigma say the same. Remove the term, or fix sigma: priors={"sigma": lgm.priors.fixed(...)}.'
            )
            if not resolved.proper:
                raise IdentifiabilityError(text)
            warnings.warn(f"{text} Only their priors tell them apart.", IdentifiabilityWarning, stacklevel=4)


def report_far_covariates(built: Design, resolved: Priors) -> None:
    """Level effects are those at zero of a covariate; where zero is far, their default prior does not fit."""
    for term in built.terms:
        if isinstance(term, GroupTerm) and term.far:
            sd = f"sd(Intercept|{term.bar.group_name})"
            if resolved.table.loc[sd, "source"] == "default":
                warnings.warn(
                    f"in {term.label}, `{term.far[0]}` is far from zero, so {sd} is the spread of extrapolations to "
                    f"{term.far[0]} = 0, which its default prior does not expect. Centre it, as in "
                    f"(center({term.far[0]}) | {term.bar.group_name}), or give {sd} a prior.",
                    DataWarning,
                    stacklevel=4,
                )
