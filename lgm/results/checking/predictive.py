"""Numbers behind pictures of new data beside the data: which picture suits a response, and what it shows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lgm.arrays import FloatArray
from lgm.data.table import is_number
from lgm.errors import LgmError
from lgm.families.own import Own
from lgm.families.times import RIGHT
from lgm.results.checking.observed import Observed
from lgm.results.checking.replicates import replicates, require_known
from lgm.words import suggest

KINDS = (
    "dens_overlay",
    "ecdf_overlay",
    "km_overlay",
    "stat",
    "intervals",
    "bars",
    "rootogram",
    "calibration",
    "loo_pit",
)
FEW = 15  # values of which each has a bar
MANY = 80  # counts of a rootogram
GRID = 512


def usual(rows: Observed) -> str:
    """The kind of picture that suits the response."""
    y = rows.y
    if rows.censored.any():
        return "km_overlay" if np.all(np.isin(rows.censored, (0, RIGHT))) else "loo_pit"
    if not _whole(rows):
        return "ecdf_overlay" if rows.fit.design.family.whole else "dens_overlay"
    if np.unique(y).size <= FEW and np.ptp(y) <= MANY:
        return "bars"
    return "rootogram" if np.max(y) <= MANY else "ecdf_overlay"


def require(rows: Observed, kind: str) -> None:
    """Raise an LgmError unless there is such a kind, and it suits the response; it says which do."""
    family = rows.fit.design.family.name
    if kind not in KINDS:
        known = ", ".join(map(repr, KINDS))
        raise LgmError(f"kind={kind!r}.{suggest(str(kind), list(KINDS))} Accepted: {known}.")
    if kind == "loo_pit":
        return
    if kind == "km_overlay":
        if not (rows.censored.any() and np.all(np.isin(rows.censored, (0, RIGHT)))):
            instead = "'loo_pit'" if rows.censored.any() else "'ecdf_overlay'"
            raise LgmError(
                f"kind='km_overlay' is for times some of which are censored on the right; accepted: {instead}."
            )
        return
    require_known(rows, f"pictures of the kind {kind!r}")
    binary = _whole(rows) and np.max(rows.y) <= 1.0
    wrong = {
        "dens_overlay": _whole(rows) and "has no density: its responses are whole numbers",
        "bars": not _whole(rows) and "has no categories or counts to make bars of",
        "rootogram": (not _whole(rows) or bool(rows.fit.design.family.outcomes) or binary) and "is of no counts",
        "calibration": not _is_share(rows) and "predicts no probabilities or shares",
    }
    if wrong.get(kind):
        raise LgmError(
            f"kind={kind!r} cannot be: {family} {wrong[kind]}. Accepted here: {usual(rows)!r}, 'ecdf_overlay', "
            "'stat', 'intervals', 'loo_pit'."
        )


def _whole(rows: Observed) -> bool:
    """Whether responses are counts or categories, also those of a user's own family that seem to be."""
    family, y = rows.fit.design.family, rows.y
    if isinstance(family, Own):
        return bool(np.all((y == np.floor(y)) & (y >= 0.0)))
    return family.whole and not rows.fit.design.answer.share


def _is_share(rows: Observed) -> bool:
    family = rows.fit.design.family
    return not family.outcomes and family.link in ("logit", "probit", "cloglog")


class Overlay(NamedTuple):
    """One function of the responses y, and of each of some new data sets.

    Parameters
    ----------
    x : float array (m,)
    observed : float array (m,)
    new : float array (D, m)
    """

    x: FloatArray
    observed: FloatArray
    new: FloatArray


def distributions(rows: Observed, draws: int, redraw: Any, seed: int) -> Overlay:
    """Distribution functions, where there are values."""
    new = replicates(rows, draws, redraw, seed)
    low, high = _range(rows.y, new)
    x = np.unique(np.concatenate([rows.y, np.linspace(low, high, GRID)]))
    x = x[(x >= low) & (x <= high)]
    x = x[np.linspace(0, x.size - 1, min(x.size, 2 * GRID)).astype(int)]
    return Overlay(x, _ecdf(rows.y, x), np.array([_ecdf(each, x) for each in new]))


def densities(rows: Observed, draws: int, redraw: Any, seed: int) -> Overlay:
    """Kernel densities of one bandwidth, Silverman's for the responses; reflected where the responses have an end."""
    new = replicates(rows, draws, redraw, seed)
    low, high = _range(rows.y, new)
    floor, ceiling = _support(rows)
    spread = float(np.std(rows.y))
    robust = float(np.subtract(*np.quantile(rows.y, [0.75, 0.25]))) / 1.349
    width = 0.9 * (min(spread, robust) if robust > 0.0 else spread) * rows.n**-0.2
    low, high = max(low - 3.0 * width, floor), min(high + 3.0 * width, ceiling)
    edges = np.linspace(low, high, GRID + 1)
    return Overlay(
        0.5 * (edges[1:] + edges[:-1]),
        _density(rows.y, edges, width, floor, ceiling),
        np.array([_density(each, edges, width, floor, ceiling) for each in new]),
    )


def _density(y: FloatArray, edges: FloatArray, width: float, floor: float, ceiling: float) -> FloatArray:
    """A kernel density from a histogram with fine bins."""
    step = edges[1] - edges[0]
    extra = int(np.ceil(5.0 * width / step))
    wide = edges[0] + step * np.arange(-extra, edges.size + extra)
    both = [y, *(2.0 * end - y for end in (floor, ceiling) if np.isfinite(end))]
    counts = np.sum([np.histogram(values, wide)[0] for values in both], axis=0).astype(float)
    kernel = np.exp(-0.5 * (step * np.arange(-extra, extra + 1) / width) ** 2)
    return np.convolve(counts, kernel / (kernel.sum() * step * y.size), mode="valid")


def _support(rows: Observed) -> tuple[float, float]:
    """Where the responses may be."""
    family = rows.fit.design.family
    if family.name == "beta":
        return 0.0, 1.0
    return (0.0 if np.min(rows.y) >= 0.0 and family.link == "log" and family.name != "gaussian" else -np.inf), np.inf


def _range(y: FloatArray, new: FloatArray) -> tuple[float, float]:
    """All responses, and nearly all new ones."""
    low, high = np.quantile(new, [0.001, 0.999])
    return float(min(low, y.min())), float(max(high, y.max()))


def _ecdf(y: FloatArray, x: FloatArray) -> FloatArray:
    return np.searchsorted(np.sort(y), x, side="right") / y.size


def survival(rows: Observed, draws: int, redraw: Any, seed: int) -> Overlay:
    """Shares that live longer: by Kaplan and Meier where times are censored, and of new times, none of which are."""
    new = replicates(rows, draws, redraw, seed)
    x = np.linspace(0.0, 1.05 * np.max(rows.y), GRID)
    return Overlay(x, kaplan_meier(rows.y, rows.censored == 0, x), 1.0 - np.array([_ecdf(each, x) for each in new]))


def kaplan_meier(time: FloatArray, happened: FloatArray, x: FloatArray) -> FloatArray:
    """The share that lives longer than x; NaN beyond the last time if that is censored.

    Examples
    --------
    >>> kaplan_meier(np.array([1.0, 2.0, 3.0]), np.array([True, False, True]), np.array([0.5, 1.0, 2.5, 3.0]))
    array([1.        , 0.66666667, 0.66666667, 0.        ])
    """
    times, which = np.unique(time, return_inverse=True)
    events = np.bincount(which, happened)
    leaving = np.bincount(which)
    at_risk = time.size - np.concatenate([[0], np.cumsum(leaving)[:-1]])
    share = np.concatenate([[1.0], np.cumprod(1.0 - events / at_risk)])
    out = share[np.searchsorted(times, x, side="right")]
    return np.where((x > times[-1]) & (share[-1] > 0.0), np.nan, out)


def frequencies(rows: Observed, draws: int, redraw: Any, seed: int) -> pd.DataFrame:
    """How often each value occurs, and how often in new data: mean and interval."""
    d = rows.fit.design
    new = np.round(replicates(rows, draws, redraw, seed) * rows.shares).astype(np.int64)
    y = np.asarray(d.y).astype(np.int64)
    first = int(d.answer.first) if d.family.outcomes else 0
    last = first + len(d.family.outcomes) - 1 if d.family.outcomes else int(max(y.max(), np.quantile(new, 0.999)))
    values = np.arange(first, last + 1)
    counts = np.array(
        [np.bincount(np.minimum(each - first, last + 1 - first), minlength=last - first + 2) for each in new]
    )
    counts = counts[:, : values.size]
    ends = np.quantile(counts, [(1 - rows.fit.interval) / 2, (1 + rows.fit.interval) / 2], axis=0)
    observed = np.bincount(y - first, minlength=values.size)
    table = np.column_stack([observed, counts.mean(axis=0), *ends])
    return pd.DataFrame(table, pd.Index(values, name="value"), ["observed", "mean", *rows.fit.interval_names])


def labels(rows: Observed) -> tuple[str, ...]:
    """What the values of the response are called, where they stand for categories."""
    return rows.fit.design.answer.categories


def of_rows(rows: Observed, draws: int, redraw: Any, seed: int) -> pd.DataFrame:
    """Of each row the response, and mean and interval of new ones."""
    new = replicates(rows, draws, redraw, seed)
    ends = np.quantile(new, [(1 - rows.fit.interval) / 2, (1 + rows.fit.interval) / 2], axis=0)
    table = np.column_stack([rows.y, new.mean(axis=0), *ends])
    columns = ["observed", "mean", *rows.fit.interval_names]
    return pd.DataFrame(table, rows.fit.design.seen.frame.index, columns)


def is_axis(rows: Observed, by: Any) -> bool:
    """Whether a column is numbers that make an axis, rather than groups."""
    column = rows.column(by, "by")
    return is_number(column) and column.nunique() > FEW
