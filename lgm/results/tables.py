"""Tables of effects, and the names by which users ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lgm.design.design import Design
from lgm.errors import LgmError
from lgm.terms.term import Term, Variable
from lgm.words import suggest

if TYPE_CHECKING:
    from lgm.results.fit import Fit


def place(name: str, kind: str, term: Term) -> tuple[str, str]:
    """Group (or term) of a hyperparameter, and its name within: ``sd(Days|Subject)`` is ``("Subject", "sd(Days)")``."""
    owner = term.variables[0].dim if term.kind == "group" else term.label
    inside = name.removeprefix(f"{kind}(").removesuffix(")")
    effect = inside.removesuffix(f"|{owner}")
    return owner, kind if inside == owner or effect == inside else f"{kind}({effect})"


def effects(fit: Fit, wanted: str | None) -> pd.DataFrame:
    """See `Fit.ranef`."""
    p, tables = fit.design.p, []
    for term, where in zip(fit.design.terms, fit.design.term_slices(), strict=True):
        for variable in term.variables:
            if wanted is not None and not is_named(wanted, term, variable):
                continue
            at = p + where.start + variable.index
            ends = np.quantile(fit.effects.draws[:, at], [(1 - fit.interval) / 2, (1 + fit.interval) / 2], axis=0)
            values = np.column_stack([fit.effects.mean[at], fit.effects.sd[at], *ends])
            index = pd.MultiIndex.from_arrays([[variable.name] * at.size, variable.labels], names=["effect", "level"])
            tables.append(pd.DataFrame(values, index, columns=["mean", "sd", *fit.interval_names]))
    if not tables:
        raise unknown_term(wanted, fit.design)
    return pd.concat(tables)


def is_named(name: str, term: Term, variable: Variable) -> bool:
    """Whether a name that a user typed means this part of a term: the whole term, the effect, or its group."""
    known = [term.label, variable.name, *([variable.dim] if term.kind == "group" else [])]
    return _plain(name) in map(_plain, known)


def _plain(name: str) -> str:
    return name.replace(" ", "")


def unknown_term(term: str | None, design: Design) -> LgmError:
    """Error for a term that the fit does not have."""
    known = [t.label for t in design.terms] + [v.name for t in design.terms for v in t.variables]
    if not known:
        return LgmError("this model has no latent terms; its fixed effects are in fit.fixef().")
    listed = ", ".join(dict.fromkeys(known))
    return LgmError(f"there is no term {term!r}.{suggest(str(term), known)} Terms and effects: {listed}.")
