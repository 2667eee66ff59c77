"""Which faults a model may have: by its family, its terms, and the columns of its data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from lgm.arrays import FloatArray, IntArray
from lgm.data.expression import names_of
from lgm.data.table import is_number
from lgm.errors import DataError, LgmError
from lgm.families.counts import Counts
from lgm.families.hurdle import Hurdle
from lgm.families.zero_inflated import ZeroInflated
from lgm.formula.sides import Bar
from lgm.results.checking import faults
from lgm.results.checking.faults import Question
from lgm.results.checking.observed import Observed
from lgm.terms.levels import Grouping
from lgm.terms.term import Term
from lgm.terms.view import Curve, Map, Maps
from lgm.words import listed

NEIGHBOURS = 6  # of a place, where a user names coordinates
OF_RESIDUALS = (
    "distribution",
    "dispersion",
    "zeros",
    "outliers",
    "spread",
    "curves",
    "slopes",
    "autocorrelation",
    "space",
)
_RATIO = "variance along it over that of the rest"


def questions(rows: Observed, time: Any, near: Any) -> list[Question]:
    """All that apply."""
    found = [*_of_family(rows), *_curves(rows), *_slopes(rows), *_in_order(rows, time), *_in_space(rows, near)]
    return sorted(found, key=lambda question: OF_RESIDUALS.index(question.check))


def refuse(rows: Observed, check: str) -> LgmError:
    """Why a check does not apply to a fit, and what does."""
    family = rows.fit.design.family
    why = {
        "dispersion": f"{family.name} has a parameter for how much responses vary, or responses that cannot vary more",
        "zeros": f"{family.name} has no zeros that could be too many",
        "curves": "there is no numeric predictor in the fixed part",
        "slopes": "there is no group within which a numeric predictor of the fixed part varies, without a slope of it",
        "autocorrelation": "there is no order with ten pairs of rows that follow each other; time= names one",
        "space": "there is no graph of regions in the model; near= names coordinates or gives a graph",
        "basis": "there is no smooth",
    }[check]
    return LgmError(f"check {check!r} cannot be made: {why}.")


def _of_family(rows: Observed) -> Iterator[Question]:
    family, d = rows.fit.design.family, rows.fit.design
    name = family.name
    yield Question(
        "distribution",
        name,
        faults.distribution,
        "distance of the distribution of places from the uniform one",
        "",
        f"the responses are not distributed as {name} has it",
        "look at fit.plot_residuals() and fit.pp_check() for where they differ, or another family",
    )
    instead = _less_strict(rows)
    if instead is not None:
        yield Question(
            "dispersion",
            name,
            faults.dispersion,
            "mean square of the residuals",
            f"the responses vary less than {name} has it",
            f"the responses vary more than {name} has it",
            instead,
        )
    if _counts_zeros(rows):
        yield Question(
            "zeros",
            "",
            faults.zeros,
            "zeros over those expected",
            "there are fewer zeros than the model expects",
            "there are more zeros than the model expects",
            _for_zeros(name),
        )
    yield Question(
        "outliers",
        "",
        faults.outliers,
        "largest residual in sds",
        "",
        "some responses are farther out than the model lets any be",
        "look at the rows with the largest fit.residuals()" + (', or family="t"' if name == "gaussian" else ""),
    )
    if d.p + d.q > 1:
        yield Question(
            "spread",
            "fitted values",
            faults.spread,
            "correlation of the size of residuals with fitted values",
            "residuals get smaller as fitted values grow",
            "residuals get larger as fitted values grow",
            "a response on another scale, such as log(y), or a family with another variance",
        )


def _less_strict(rows: Observed) -> str | None:
    """What to try where a family without a dispersion of its own is too narrow; None where it has one."""
    family = rows.fit.design.family
    if family.residual or family.dispersion or family.outcomes or not (family.whole or family.name == "exponential"):
        return None
    if not isinstance(family, Counts | ZeroInflated) and rows.trials.max() < 2 and family.name != "exponential":
        return None
    other = {
        "poisson": '"negativebinomial"',
        "binomial": '"beta_binomial"',
        "zero_inflated_poisson": '"zero_inflated_negativebinomial"',
        "hurdle_poisson": '"hurdle_negativebinomial"',
        "exponential": '"weibull" or "gamma"',
    }.get(family.name)
    return "an effect for each row, (1 | row)" + (f", or family={other}" if other else "")


def _counts_zeros(rows: Observed) -> bool:
    family = rows.fit.design.family
    several = rows.trials.max() >= 2.0
    return not isinstance(family, Hurdle) and (isinstance(family, Counts) or (several and family.whole))


def _for_zeros(name: str) -> str:
    other = {
        "poisson": '"zero_inflated_poisson", "negativebinomial" or "hurdle_poisson"',
        "negativebinomial": '"zero_inflated_negativebinomial" or "hurdle_negativebinomial"',
        "binomial": '"zero_inflated_binomial" or "beta_binomial"',
    }.get(name)
    return f"family={other}" if other else "another family"


def _numeric(rows: Observed) -> dict[str, FloatArray]:
    """Columns of numbers that the fixed part names, with more than two values."""
    d = rows.fit.design
    names: dict[str, None] = {}
    for expression in d.predictor.side.fixed.factors.values():
        names.update(dict.fromkeys(names_of(expression, d.seen.frame.columns, d.scope.env).columns))
    found = {name: d.seen.frame[name] for name in names if is_number(d.seen.frame[name])}
    numbers = {name: column.to_numpy(dtype=float) for name, column in found.items()}
    return {name: x for name, x in numbers.items() if np.unique(x).size > 2}


def _curves(rows: Observed) -> Iterator[Question]:
    smooth = _of_functions(rows)
    for name, x in _numeric(rows).items():
        if name not in smooth and rows.n >= 20:
            yield Question(
                "curves",
                name,
                faults.curve(x),
                _RATIO,
                "",
                f"the effect of {name} is not the line that the model has",
                f"s({name}) in place of {name}",
            )


def _of_functions(rows: Observed) -> set[str]:
    """Columns that terms are functions of."""
    d = rows.fit.design
    found: set[str] = set()
    for term in d.terms:
        expressions = [e for smooth in term.smooths for e in smooth.variables]
        expressions += [term.view.variable] if isinstance(term.view, Curve) else []
        for expression in expressions:
            found.update(names_of(expression, d.seen.frame.columns, d.scope.env).columns)
    return found


def groupings(rows: Observed) -> dict[str, tuple[IntArray, set[str]]]:
    """Of each grouping factor the level of each row, and the columns that have slopes by it."""
    d = rows.fit.design
    found: dict[str, tuple[IntArray, set[str]]] = {}
    for term, source in zip(d.terms, d.predictor.sources, strict=True):
        if isinstance(source, Bar) and not source.pooled and term.group:
            codes, sloped = found.get(term.group, (Grouping.of(source, d.seen)[1], set()))
            for expression in source.effects.factors.values():
                sloped |= set(names_of(expression, d.seen.frame.columns, d.scope.env).columns)
            found[term.group] = codes, sloped
    return found


def _slopes(rows: Observed) -> Iterator[Question]:
    for group, (codes, sloped) in groupings(rows).items():
        for name, x in _numeric(rows).items():
            statistic = None if name in sloped else faults.slopes(x, codes)
            if statistic is not None:
                yield Question(
                    "slopes",
                    f"{name} by {group}",
                    statistic,
                    _RATIO,
                    "",
                    f"the effect of {name} differs between levels of {group}",
                    f"a slope of its own for each level, (1 + {name} | {group})",
                )


def _in_order(rows: Observed, time: Any) -> Iterator[Question]:
    groups = {group: codes for group, (codes, _) in groupings(rows).items()}
    for about, order, within, advice in _orders(rows, groups, time):
        statistic = faults.autocorrelation(order, within)
        if statistic is not None:
            yield Question(
                "autocorrelation",
                about,
                statistic,
                "correlation of residuals that follow each other",
                f"residuals that follow each other in {about} differ more than others",
                f"residuals that follow each other in {about} are alike",
                advice,
            )


def _orders(
    rows: Observed, groups: dict[str, IntArray], time: Any
) -> Iterator[tuple[str, FloatArray, IntArray | None, str]]:
    """Orders of the rows: what it is, a number for each row, groups within which it counts, and what to try."""
    d = rows.fit.design
    times: dict[str, FloatArray] = {}
    if time is not None:
        column = rows.column(time, "time")
        if column.isna().any():
            raise DataError(f"time= ({column.name}) is missing in {column.isna().sum()} rows with a response.")
        times[str(column.name)] = np.unique(column.to_numpy(), return_inverse=True)[1].astype(float)
    for term in d.terms:
        if isinstance(term.view, Curve) and term.view.by is None:
            about = term.view.variable.text
            times.setdefault(about, term.view.clock.read(d.seen, term.view.variable, about).astype(float))
    for about, order in times.items():
        within = one_row_each(order, groups)
        by = f" within {within}" if within else ""
        codes = groups[within] if within else None
        yield f"{about}{by}", order, codes, f"ar1({about}){_copies(within)}, or a smaller step of what is there"
    if times:
        return
    order = np.arange(rows.n, dtype=float)
    if groups:
        name = max(groups, key=lambda group: groups[group].max())
        if np.bincount(groups[name]).max() >= 3:
            yield (
                f"the order of the data within {name}",
                order,
                groups[name],
                f"a term in time, ar1(time, replicate={name})",
            )
        return
    yield "the order of the data", order, None, "a term in time, ar1(time) or s(time), or the group that rows belong to"


def _copies(within: str | None) -> str:
    return f" with replicate={within}" if within else ""


def one_row_each(order: FloatArray, groups: dict[str, IntArray]) -> str | None:
    """The group that has one row at each time, where times alone do not tell rows apart."""
    if np.unique(order).size == order.size:
        return None
    for group, codes in groups.items():
        if len(np.unique(np.column_stack([codes, order]), axis=0)) == order.size:
            return group
    return None


def _in_space(rows: Observed, near: Any) -> Iterator[Question]:
    for about, codes, adjacency, advice in _maps(rows, near):
        yield Question(
            "space",
            about,
            faults.moran(codes, adjacency),
            "Moran's I",
            f"residuals of neighbours ({about}) differ more than others",
            f"residuals of neighbours ({about}) are alike",
            advice,
        )


def _maps(rows: Observed, near: Any) -> Iterator[tuple[str, IntArray, sp.csr_array, str]]:
    d = rows.fit.design
    if near is not None:
        yield neighbours(rows, near)
        return
    for term in d.terms:
        if isinstance(term.view, Map | Maps):
            codes = _regions(term, rows)
            if codes is not None:
                graph = term.view.graph
                yield (
                    term.label,
                    codes,
                    sp.csr_array(graph.adjacency()),
                    "another term for the map, such as bym2 or leroux",
                )


def _regions(term: Term, rows: Observed) -> IntArray | None:
    """The region of each row, by the columns of a term that are one for each region."""
    graph = term.view.graph  # type: ignore[union-attr]
    index = term.variables[0].index
    places = np.asarray(index if index.ndim == 1 else index[:, 0])
    if places.size % graph.n:
        return None
    z = sp.csr_array(term.encode(rows.fit.design.seen).z)
    region = np.full(z.shape[1], -1)
    region[places] = np.arange(places.size) % graph.n
    found = sp.csr_array(abs(z)[:, places])
    if np.any(np.diff(found.indptr) != 1):
        return None
    return np.asarray(region[places][found.indices], dtype=np.int64)


def neighbours(rows: Observed, near: Any, argument: str = "near") -> tuple[str, IntArray, sp.csr_array, str]:
    """The places of rows by coordinates, and which of them are neighbours: the nearest few, one way or the other.

    ``argument`` is where the user said the coordinates, for messages.
    """
    if isinstance(near, str) or not hasattr(near, "__len__") or len(near) != 2:
        raise LgmError(
            f"{argument}={near!r}; accepted: two coordinates, by column names or as arrays, such as ('x', 'y')."
        )
    columns = [rows.column(each, argument) for each in near]
    wrong = [str(column.name) for column in columns if not is_number(column) or column.isna().any()]
    if wrong:
        raise DataError(f"{argument}= has {listed(wrong)}; accepted: columns of numbers, none of them missing.")
    places, codes = np.unique(
        np.column_stack([column.to_numpy(dtype=float) for column in columns]), axis=0, return_inverse=True
    )
    count = min(NEIGHBOURS, len(places) - 1)
    if count < 2:
        raise DataError(f"{argument}= has {len(places)} different places; accepted: three or more.")
    nearest = cKDTree(places).query(places, count + 1)[1][:, 1:]
    m = len(places)
    one = sp.csr_array((np.ones(nearest.size), (np.repeat(np.arange(m), count), nearest.ravel())), shape=(m, m))
    both = sp.csr_array(one + one.T)
    both.data[:] = 1.0
    about = " and ".join(str(column.name) for column in columns)
    return (
        about,
        codes.reshape(-1).astype(np.int64),
        both,
        f"a field, matern({', '.join(str(c.name) for c in columns)})",
    )
