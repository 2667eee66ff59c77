"""Marginal means: the expected response at levels of factors, averaged over a balanced grid of the other factors."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.errors import LgmError
from lgm.results.interpret import grid
from lgm.results.interpret.estimates import Estimand, How, averages, encoded, estimates, grouped, names_of_by, table
from lgm.results.interpret.grid import Variables
from lgm.words import suggest

if TYPE_CHECKING:
    from lgm.results.fit import Fit

CONTRASTS = ("pairwise", "control", "sequential")


def marginal_means(
    fit: Fit, asked: Any, *, by: Any, contrasts: Any, conditions: Any, groups: Any, how: How
) -> pd.DataFrame:
    """See `Fit.marginal_means`."""
    variables = Variables.of(fit)
    factors, within = _factors(variables, asked), names_of_by(() if by is None else by)
    variables.require(within, "by=")
    given = grid.conditions_of(conditions, variables)
    values = {name: given.get(name) or grid.require_several_levels(variables, name) for name in factors}
    values |= {name: given.get(name) or variables.few(name) for name in within if name not in values}
    others = [name for name in _fixed(variables) if name not in values and name not in given]
    values |= {name: variables.levels(name) for name in others if variables.is_factor(name)}
    values |= {name: each for name, each in given.items() if name not in values}
    rows = grid.of_grid(fit, values, groups)
    shown = [*within, *(name for name in factors if name not in within)]
    cells, labels = grouped(rows.frame, shown)
    weights = averages(cells, len(labels))
    words: dict[str, Any] = {}
    if contrasts is not None:
        own = [name for name in factors if name not in within]
        words["contrast"], labels, chosen = _contrasts(labels, within, own, contrasts)
        weights = sp.csr_array(chosen @ weights)
    return table(fit, labels, estimates(fit, encoded(fit, rows, how), Estimand((weights,)), how), how, words)


def _factors(variables: Variables, asked: Any) -> tuple[str, ...]:
    names = [asked] if isinstance(asked, str) else list(asked)
    found: list[str] = []
    for name in names:
        if not isinstance(name, str):
            raise LgmError(f"factors has {name!r}; accepted: names of factors.")
        found += [part.strip() for part in name.split(":")] if name not in variables.known else [name]
    variables.require(found, "factors=")
    for name in found:
        if not variables.is_factor(name):
            raise LgmError(
                f"`{name}` is no factor, so it has no marginal means at its levels. Accepted: a factor, such as "
                f"C({name}) in the formula makes of it, or fit.predictions('grid', conditions={{{name!r}: [...]}})."
            )
    return tuple(dict.fromkeys(found))


def _fixed(variables: Variables) -> tuple[str, ...]:
    """The columns of the fixed part, and of the smooths beside it."""
    side = variables.design.predictor.side
    calls = [each for call in side.calls for each in call.expressions]
    deviating = {name for _, _, columns in variables.deviations() for name in columns}
    own = variables.within(side.fixed.factors.values())
    return tuple(dict.fromkeys([*own, *(name for name in variables.within(calls) if name not in deviating)]))


def _contrasts(
    labels: pd.DataFrame, within: Sequence[str], factors: Sequence[str], contrasts: Any
) -> tuple[list[str], pd.DataFrame, sp.csr_array]:
    """Contrasts of cells within each combination of other columns: names, these columns, coefficients."""
    groups, outer = grouped(labels, list(within) or True)
    names, rows, found = [], [], []
    for group in range(len(outer)):
        cells = np.flatnonzero(groups == group)
        words = [
            " ".join(str(value) for value in row) for row in labels[list(factors)].iloc[cells].itertuples(index=False)
        ]
        for name, coefficients in _coefficients(words, contrasts).items():
            names.append(name)
            found.append(group)
            row = np.zeros(len(labels))
            row[cells] = coefficients
            rows.append(row)
    return names, outer.iloc[found].reset_index(drop=True), sp.csr_array(np.array(rows))


def _coefficients(levels: Sequence[str], contrasts: Any) -> dict[str, FloatArray]:
    """The coefficients of each contrast of some levels."""
    unit = np.eye(len(levels))
    if isinstance(contrasts, Mapping):
        return {str(name): _own(levels, str(name), given) for name, given in contrasts.items()}
    if contrasts == "pairwise":  # in the order and direction of emmeans
        pairs = list(itertools.combinations(range(len(levels)), 2))
    elif contrasts == "control":
        pairs = [(i, 0) for i in range(1, len(levels))]
    elif contrasts == "sequential":
        pairs = [(i + 1, i) for i in range(len(levels) - 1)]
    else:
        near = suggest(str(contrasts), CONTRASTS)
        raise LgmError(
            f"contrasts={contrasts!r}.{near} Accepted: {', '.join(map(repr, CONTRASTS))}, or a dict of coefficients by "
            "name, such as {'b and c against a': [-1, 0.5, 0.5]}."
        )
    return {f"{levels[i]} - {levels[j]}": unit[i] - unit[j] for i, j in pairs}


def _own(levels: Sequence[str], name: str, given: Any) -> FloatArray:
    """Coefficients that a user gives, in the order of the levels or by level."""
    if isinstance(given, Mapping):
        by_level = {str(level): value for level, value in given.items()}
        for level in by_level:
            if level not in levels:
                raise LgmError(
                    f"the contrast {name!r} has the level {level!r}.{suggest(level, levels)} "
                    f"Levels: {', '.join(levels)}."
                )
        given = [by_level.get(level, 0.0) for level in levels]
    try:
        values = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape != (len(levels),) or not np.all(np.isfinite(values)):
        raise LgmError(
            f"the contrast {name!r} is {given!r}; accepted: one number for each of the {len(levels)} levels "
            f"({', '.join(levels)}), or a dict of numbers by level."
        )
    return values
