"""Conditional effects: the expected response along one variable or two, where others have typical values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lgm.errors import LgmError
from lgm.results.interpret import grid
from lgm.results.interpret.estimates import Estimand, How, averages, encoded, estimates, table
from lgm.results.interpret.grid import Variables

if TYPE_CHECKING:
    from lgm.results.fit import Fit


@dataclass(frozen=True, eq=False)
class Effect:
    """The effect of one variable or two.

    Parameters
    ----------
    variables : tuple of str
        The first is that along which the effect is shown.
    conditions : tuple of str
        Further variables with several values.
    numeric : bool
        Whether the first is a number or a time.
    table : pandas.DataFrame
    """

    variables: tuple[str, ...]
    conditions: tuple[str, ...]
    numeric: bool
    table: pd.DataFrame


def conditional_effects(
    fit: Fit, asked: Any, *, conditions: Any, resolution: int, groups: Any, how: How
) -> dict[str, Effect]:
    """See `Fit.conditional_effects`: the effects by name."""
    if not isinstance(resolution, (int, np.integer)) or isinstance(resolution, bool) or resolution < 2:
        raise LgmError(f"resolution={resolution!r}; accepted: how many values of a number, from 2.")
    variables = Variables.of(fit)
    names = grid.all_effects(variables) if asked is None else [asked] if isinstance(asked, str) else list(asked)
    if not names:
        raise LgmError("the model has no variables, so there are no effects; fit.predictions('grid') has its mean.")
    given = grid.conditions_of(conditions, variables)
    return {name: _one(fit, grid.effect_of(variables, name), given, int(resolution), groups, how) for name in names}


def _one(
    fit: Fit, names: tuple[str, ...], given: Mapping[str, list[Any]], resolution: int, groups: Any, how: How
) -> Effect:
    variables = Variables.of(fit)
    first, *second = names
    if second and variables.is_factor(first) and not variables.is_factor(second[0]):
        first, second = second[0], [first]
    values = {first: given.get(first) or variables.spread(first, resolution)}
    values |= {name: given.get(name) or variables.few(name) for name in second}
    others = {name: each for name, each in given.items() if name not in values}
    values |= {name: each for name, each in others.items() if len(each) > 1}
    rows = grid.of_grid(fit, values, groups, held={name: each[0] for name, each in others.items() if len(each) == 1})
    weights = averages(pd.RangeIndex(len(rows.frame)).to_numpy(), len(rows.frame))
    found = table(fit, rows.frame, estimates(fit, encoded(fit, rows, how), Estimand((weights,)), how), how)
    several = tuple(name for name in values if name not in (first, *second))
    return Effect((first, *second), several, not variables.is_factor(first), found)
