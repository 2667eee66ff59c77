"""Tables of effects, and the names by which users ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lgm.design.design import Design
from lgm.design.predictor import Printed
from lgm.errors import LgmError
from lgm.words import suggest

if TYPE_CHECKING:
    from lgm.results.fit import Fit


def effects(fit: Fit, wanted: str | None) -> pd.DataFrame:
    """See `Fit.ranef`."""
    tables = [_table(fit, printed) for printed in fit.design.predictor.printed() if is_named(wanted, printed)]
    if not tables:
        raise unknown_term(wanted, fit.design)
    return pd.concat(tables)


def _table(fit: Fit, printed: Printed) -> pd.DataFrame:
    draws = printed.of(fit.effects.draws)
    ends = np.quantile(draws, [(1 - fit.interval) / 2, (1 + fit.interval) / 2], axis=0)
    values = np.column_stack([printed.of(fit.effects.mean), fit.effects.sd[fit.design.p :][printed.place], *ends])
    name, labels = printed.variable.name, printed.variable.labels
    index = pd.MultiIndex.from_arrays([[name] * labels.size, labels], names=["effect", "level"])
    return pd.DataFrame(values, index, columns=["mean", "sd", *fit.interval_names])


def is_named(wanted: str | None, printed: Printed) -> bool:
    """Whether a name that a user typed means these effects: their term, themselves, or their group; None means all."""
    term, variable = printed.term, printed.variable
    known = [term.label, variable.name, *([variable.dim] if term.group else [])]
    return wanted is None or _plain(wanted) in map(_plain, known)


def _plain(name: str) -> str:
    return name.replace(" ", "")


def unknown_term(term: str | None, design: Design) -> LgmError:
    """Error for a term that the fit does not have."""
    known = [t.label for t in design.terms] + [v.name for t in design.terms for v in t.variables]
    if not known:
        return LgmError("this model has no latent terms; its fixed effects are in fit.fixef().")
    listed = ", ".join(dict.fromkeys(known))
    return LgmError(f"there is no term {term!r}.{suggest(str(term), known)} Terms and effects: {listed}.")
