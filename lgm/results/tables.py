"""Tables of effects, and the names by which users ask for them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Container, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lgm.arrays import FloatArray, IntArray
from lgm.design.design import Design
from lgm.design.predictor import Printed
from lgm.errors import LgmError
from lgm.families.cumulative import Cumulative
from lgm.posterior.latent_prior import by_kind
from lgm.results.effects import KEPT_BYTES, fits
from lgm.results.on_map import placed
from lgm.results.quoted.condsd import conditional_sds
from lgm.words import amount, some, suggest

if TYPE_CHECKING:
    from lgm.results.fit import Fit

LEAD = ("chain", "draw")


def effects(fit: Fit, wanted: str | None, *, condsd: bool = False, geometry: Any = None) -> pd.DataFrame:
    """See `Fit.ranef`."""
    chosen = named(fit, wanted)
    table = pd.concat([_table(fit, printed) for printed in chosen])
    if condsd:
        found = conditional_sds(fit)
        table.insert(2, "condsd", np.concatenate([found[printed.place] for printed in chosen]))
    return table if geometry is None else placed(table, chosen, geometry)


def named(fit: Fit, wanted: str | None) -> list[Printed]:
    """The effects that a name means: of a term as it is printed or stands in the formula, themselves, or of a group.

    Raises
    ------
    LgmError
        If there are none.
    """
    predictor = fit.design.predictor
    name = None if wanted is None else predictor.as_printed(str(wanted))
    found = [printed for printed in predictor.printed() if is_named(name, printed)]
    if not found:
        raise unknown_term(wanted, fit.design)
    return found


def thresholds(fit: Fit) -> pd.DataFrame:
    """See `Fit.thresholds`."""
    family, d = fit.design.family, fit.design
    if not isinstance(family, Cumulative):
        raise LgmError(f"{family.name} has no thresholds; families of ordered categories have.")
    j = d.predictor.intercept
    level = 0.0 if j is None else fit.effects.fixed[:, j]
    values = np.stack([np.broadcast_to(c - level, fit.effects.size) for c in family.thresholds(theta_of_family(fit))])
    ends = np.quantile(values, [(1 - fit.interval) / 2, (1 + fit.interval) / 2], axis=1)
    names = [f"{a}|{b}" for a, b in itertools.pairwise(family.categories)]
    table = np.column_stack([values.mean(axis=1), values.std(axis=1, ddof=1), *ends])
    return pd.DataFrame(table, pd.Index(names, name="threshold"), ["mean", "sd", *fit.interval_names])


def theta_of_family(fit: Fit) -> dict[str, FloatArray]:
    """Draws of the family's own hyperparameters by kind: (S,), or (S, m) for a kind of m values."""
    found = by_kind(fit.draws.theta.reshape(fit.effects.size, -1), fit.analysed.marginal.data.places)
    return {kind: values[:, 0] if values.shape[1] == 1 else values for kind, values in found.items()}


def require_interval(interval: Any) -> None:
    """Raise unless it is a probability."""
    if not (isinstance(interval, (float, np.floating)) and 0 < interval < 1):
        raise LgmError(f"interval={interval!r}; accepted: a probability between 0 and 1, such as 0.95.")


def _table(fit: Fit, printed: Printed) -> pd.DataFrame:
    effects, p = fit.effects, fit.design.p
    shown = [effects.sd, *effects.ends]
    values = np.column_stack([printed.of(effects.mean), *(each[p:][printed.place] for each in shown)])
    name, labels = printed.variable.name, printed.variable.labels
    index = pd.MultiIndex.from_arrays([[name] * labels.size, labels], names=["effect", "level"])
    return pd.DataFrame(values, index, columns=["mean", "sd", *fit.interval_names])


def places_of_theta(design: Design) -> list[tuple[str, str]]:
    """Where each hyperparameter stands in the table of variances: its group, and its name within."""
    family = design.family
    own = [place for block in design.predictor.blocks for parameter in block.parameters for place in parameter.places]
    for parameter in design.family_parameters:
        group = "Residual" if parameter.kind == family.residual else family.name
        own += [(group, within) for _, within in parameter.places]
    return own


def few_enough(fit: Fit) -> tuple[list[Printed], str]:
    """The printed effects whose draws may be held in memory together, and what to say of those that are left out."""
    known = fit.design.predictor.printed()
    total, shown, left_out = 0, set(), []
    for j in sorted(range(len(known)), key=lambda j: known[j].variable.labels.size):
        total += known[j].variable.labels.size
        if fits(fit.effects.size, total):
            shown.add(j)
        else:
            left_out.append(known[j].variable)
    if not left_out:
        return known, ""
    taken = ", ".join(
        f"{variable.name} ({variable.labels.size} levels, {amount(8.0 * fit.effects.size * variable.labels.size)})"
        for variable in left_out
    )
    return [known[j] for j in sorted(shown)], (
        f"draws of effects are held up to {amount(KEPT_BYTES)}; left out: {taken}. "
        f"fit.effect_draws({left_out[0].name!r}, levels=[...]) makes those of some levels."
    )


def variables(names: Iterable[str]) -> list[str]:
    """Names of parameters beside the dimensions chain and draw."""
    return [f"{name}_" if name in LEAD else name for name in names]


def dimension(dim: str, labels: Any, coords: dict[str, Any], taken: Container[str]) -> str:
    """Name of a dimension: as the term says, longer where that name is taken by other labels or by a variable."""
    while dim in LEAD or dim in taken or (dim in coords and not np.array_equal(coords[dim], labels)):
        dim += "_"
    coords[dim] = labels
    return dim


def places(printed: Printed, levels: Any) -> IntArray | slice:
    """Where some levels stand among those of printed effects; None means all.

    Raises
    ------
    LgmError
        For a level that they do not have.
    """
    if levels is None:
        return slice(None)
    known = {label: i for i, label in enumerate(printed.variable.labels.tolist())}
    wanted = [levels] if isinstance(levels, str) or not isinstance(levels, Iterable) else list(levels)
    wanted = [_plain_level(level) for level in wanted]
    missing = [level for level in wanted if level not in known]
    if missing:
        raise LgmError(f"{printed.variable.name} has no level {some(missing)}. Accepted: {some(known)}.")
    return np.array([known[level] for level in wanted], dtype=np.int64)


def _plain_level(level: Any) -> Any:
    """A label as tables hold it: NumPy's dates are those of pandas, its other values those of Python."""
    if isinstance(level, np.datetime64):
        return pd.Timestamp(level)
    return level.item() if isinstance(level, np.generic) else level


def is_named(wanted: str | None, printed: Printed) -> bool:
    """Whether a name, with terms as they are printed, means these effects: their term, themselves, or their group.

    None means all.
    """
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
    of_it = [t.label for t in design.terms if _plain(str(term)) in re.split(r"[(),|]", _plain(t.label))]  # its variable
    meant = f" Did you mean `{of_it[0]}`?" if of_it else suggest(str(term), known)
    return LgmError(f"there is no term {term!r}.{meant} Terms and effects: {listed}.")
