"""Comparing models: by what they predict of data left out, or by the marginal likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from lgm.arrays import FloatArray
from lgm.errors import DataError, LgmError, LgmWarning, warn
from lgm.families.response import Response
from lgm.results.comparing import evidence
from lgm.results.comparing.labels import by_group
from lgm.results.comparing.loo import Criterion
from lgm.words import listed

if TYPE_CHECKING:
    from lgm.results.fit import Fit

BY = ("loo", "evidence", "kfold", "waic")
# Transformations of a response that are told by their values: from y, and the log of the derivative.
KNOWN: dict[str, tuple[Any, Any]] = {
    "log(y)": (np.log, lambda y: -np.log(y)),
    "sqrt(y)": (np.sqrt, lambda y: -np.log(2.0 * np.sqrt(y))),
    "log10(y)": (np.log10, lambda y: -np.log(y * np.log(10.0))),
    "log1p(y)": (np.log1p, lambda y: -np.log1p(y)),
}


def compare(
    *fits: Fit | Criterion,
    by: Literal["loo", "evidence", "kfold", "waic"] = "loo",
    groups: Any = None,
    jacobians: Sequence[Any] | None = None,
) -> pd.DataFrame:
    """Compare models of the same data.

    Parameters
    ----------
    fits : two or more Fit
        Of the same response and weights. Or what they gave: ``compare(a.kfold(k=5), b.kfold(k=5))``.
    by : {"loo", "evidence", "kfold", "waic"}
        Predictions of rows left out (`Fit.loo`), the marginal likelihood ``p(y)`` of all data, or one of the other
        criteria with its defaults. ``p(y)`` depends on the priors, which must be proper; look at ``fit.priors`` first.
    groups : column name or array, optional
        For ``"loo"`` and ``"kfold"``: rows that are left out together.
    jacobians : list, optional
        For each fit None, or ``log |dz / dy|`` of each row with a response (n,), where the response z of a fit is a
        transformation of that of the others: ``[None, -np.log(y)]`` for ``y`` and ``log(y)``.

    Returns
    -------
    pandas.DataFrame
        Best first. ``elpd``, its standard error ``se``, the effective number of parameters ``p`` where it is known,
        the difference from the best ``elpd_diff``, its standard error ``se_diff`` from differences row by row, and the
        stacking ``weight``: weights of predictive distributions that together predict best (Yao, Vehtari, Simpson &
        Gelman 2018, Bayesian Analysis 13, 917-1007). By evidence ``log_evidence``, its Monte Carlo error ``se``,
        ``difference`` from the best, and ``probability``, that of the model if all are equally likely beforehand.

    Raises
    ------
    LgmError, DataError, PriorError
        For fewer than two fits, fits of different data or weights, or flat priors where p(y) is asked for.

    Notes
    -----
    Differences of elpd of less than 4 say little, and their standard errors are too small then and where rows are few
    (Sivula, Magnusson, Matamoros & Vehtari 2020).

    Examples
    --------
    >>> import lgm
    >>> dyestuff = lgm.load_dataset("Dyestuff")
    >>> with_batch = lgm.fit("Yield ~ 1 + (1|Batch)", dyestuff, method="importance", seed=1, progress=False)
    >>> without = lgm.fit("Yield ~ 1", dyestuff, method="importance", seed=1, progress=False)
    >>> list(lgm.compare(without, with_batch).index)
    ['Yield ~ 1 + (1|Batch)', 'Yield ~ 1']
    >>> lgm.compare(without, with_batch, by="evidence").columns.tolist()
    ['log_evidence', 'se', 'difference', 'probability']
    """
    owners = _owners(fits)
    if by not in BY:
        raise LgmError(f"by={by!r}; accepted: {', '.join(map(repr, BY))}.")
    if groups is not None and by not in ("loo", "kfold"):
        raise LgmError(f'groups= goes with by="loo" or "kfold", not with by={by!r}.')
    added = _added(owners, jacobians)
    _require_same_data(owners, jacobians is not None)
    index = pd.Index(labels(owners), name="model")
    given = [each for each in fits if isinstance(each, Criterion)]
    if given and len(given) < len(fits):
        raise LgmError("compare() takes fits or what their criteria gave, not both at once.")
    if by == "evidence" and not given:
        return evidence.table(owners, index, [float(more.sum()) for more in added])
    if by == "loo" and groups is None and not given:
        _warn_of_groups(owners)
    found = given or [_criterion(fit, by, groups) for fit in owners]
    by_row = all(len(each.table) == each.fit.nobs for each in found)  # of the same responses, whatever their labels
    same = by_row or all(each.table.index.equals(found[0].table.index) for each in found)
    if len({each.name for each in found}) > 1 or not same:
        raise LgmError(
            f"these left out different things: {listed([each.what for each in found], 4)}. Accepted: one criterion "
            "with the same groups or folds."
        )
    return _table(found, added, index)


def _owners(fits: Sequence[Any]) -> list[Fit]:
    odd = [type(other).__name__ for other in fits if not (hasattr(other, "design") or isinstance(other, Criterion))]
    if len(fits) < 2 or odd:
        got = f"a {odd[0]} among them" if odd else str(len(fits))
        raise LgmError(f"compare() takes two or more fits one by one, as in compare(one, other); got {got}.")
    return [each.fit if isinstance(each, Criterion) else each for each in fits]


def _added(fits: Sequence[Fit], jacobians: Sequence[Any] | None) -> list[FloatArray]:
    """What is added to the log density of each row of each fit."""
    nothing = [np.zeros(fit.nobs) for fit in fits]
    if jacobians is None:
        return nothing
    if len(jacobians) != len(fits):
        raise LgmError(f"jacobians= has {len(jacobians)} entries; accepted: one for each of the {len(fits)} fits.")
    out = []
    for zero, given in zip(nothing, jacobians, strict=True):
        values = zero if given is None else np.asarray(given, dtype=float)
        if values.shape != zero.shape or not np.all(np.isfinite(values)):
            raise DataError(
                f"jacobians= must have None or {zero.size} finite numbers for each fit, one for each row with a "
                "response."
            )
        out.append(values)
    return out


def _require_same_data(fits: Sequence[Fit], transformed: bool) -> None:
    first = fits[0]
    for other in fits[1:]:
        names = f"{other.design.formula.source} and {first.design.formula.source}"
        if other.nobs == first.nobs and not np.array_equal(other.design.weights, first.design.weights):
            raise DataError(f"{names} have different weights. Accepted: fits with the same weights of the same rows.")
        same = other.nobs == first.nobs if transformed else same_response(other.design.response, first.design.response)
        if not same:
            raise DataError(
                f"{names} are not fits of the same data: "
                f"their responses ({other.design.n} and {first.design.n} rows) differ. Accepted: fits of the same "
                f"rows of the same response, in the same order and on the same scale.{_transformation(first, other)}"
            )


def _transformation(one: Fit, other: Fit) -> str:
    """What to add where a response is a function of the other."""
    if one.nobs != other.nobs:
        return ""
    for y, z, at in ((one.design.y, other.design.y, 1), (other.design.y, one.design.y, 0)):
        for name, (function, log_slope) in KNOWN.items():
            with np.errstate(all="ignore"):
                if np.allclose(function(y), z, rtol=1e-9, atol=1e-12):
                    what = (other if at else one).design.formula.response.text
                    total = float(np.sum(log_slope(y)))
                    return (
                        f" `{what}` is {name} of the other, so that the sum of log |dz/dy|, {total:.6g}, is to be "
                        f"added to its log densities: jacobians= does it, with an array for that fit and None for the "
                        f"other."
                    )
    return (
        " If one response is a smooth function of the other, jacobians= takes the logs of its derivatives at each row."
        if one.design.formula.response.text != other.design.formula.response.text
        else ""
    )


def same_response(one: Response, other: Response) -> bool:
    """Whether two responses are the same; a single trial need not be said."""
    mine, others = (replace(y, trials=np.ones(y.size) if y.trials is None else y.trials) for y in (one, other))
    pairs = zip(vars(mine).values(), vars(others).values(), strict=True)
    return all((a is None) == (b is None) and (a is None or np.array_equal(a, b)) for a, b in pairs)


def labels(fits: Sequence[Fit]) -> list[str]:
    """The formulas or families, or both where both differ; numbered where one is repeated (with other priors)."""
    formulas = [fit.design.formula.source for fit in fits]
    names, families = formulas, [fit.design.family.name for fit in fits]
    if len(set(families)) > 1:
        one = len(set(formulas)) == 1
        names = families if one else [", ".join(both) for both in zip(formulas, families, strict=True)]
    return [f"{name} [{i + 1}]" if names.count(name) > 1 else name for i, name in enumerate(names)]


def _criterion(fit: Fit, by: str, groups: Any) -> Criterion:
    if by == "waic":
        return fit.waic()
    return fit.loo(groups=groups) if by == "loo" else fit.kfold(groups=groups, seed=0)


def _table(found: Sequence[Criterion], added: Sequence[FloatArray], index: pd.Index) -> pd.DataFrame:
    each = np.column_stack([one.table["elpd"].to_numpy() for one in found])
    if len(each) == added[0].size:
        each = each + np.column_stack(added)
    elif any(np.any(more) for more in added):
        raise LgmError("jacobians= are of rows, but groups were left out. Accepted: fit.loo(groups=..., joint=False).")
    fine = np.all(np.isfinite(each), axis=1)
    if not fine.all():
        warn(f"{int(np.sum(~fine))} of {len(each)} have no density in some model, and are left out.", LgmWarning)
    each = each[fine]
    n, elpd = len(each), each.sum(axis=0)
    away = each - each[:, [int(np.argmax(elpd))]]
    out = pd.DataFrame({"elpd": elpd, "se": np.sqrt(n * each.var(axis=0, ddof=1))}, index)
    p = [one.table.get(f"p_{one.name}") for one in found]
    if all(column is not None for column in p):
        out["p"] = [float(column.to_numpy()[fine].sum()) for column in p]
    out["elpd_diff"] = away.sum(axis=0)
    out["se_diff"] = np.sqrt(n * away.var(axis=0, ddof=1))
    out["weight"] = stacking_weights(each)
    return out.sort_values("elpd", ascending=False)


def stacking_weights(each: FloatArray) -> FloatArray:
    """Weights (K,) of models whose mixture has the largest sum of log densities, from those of each (n, K)."""
    density = np.exp(each - each.max(axis=1, keepdims=True))
    k = each.shape[1]

    def loss(w: FloatArray) -> tuple[float, FloatArray]:
        mixed = density @ w
        return -float(np.mean(np.log(mixed))), -np.mean(density / mixed[:, None], axis=0)

    start = np.full(k, 1.0 / k)
    sums = {"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": lambda w: np.ones(k)}
    found = minimize(
        loss,
        start,
        jac=True,
        bounds=[(1e-12, 1.0)] * k,
        constraints=[sums],
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    w = np.clip(found.x, 0.0, None)
    return np.asarray(np.where(w < 1e-8, 0.0, w) / np.where(w < 1e-8, 0.0, w).sum())


def _warn_of_groups(fits: Sequence[Fit]) -> None:
    """Where models differ in what is the same in all rows of a group, and the group has effects of its own."""
    for fit in fits:
        names = [name for name in fit.design.fixed_names if any(name not in other.design.fixed_names for other in fits)]
        for group in dict.fromkeys(term.group for term in fit.design.terms if term.group):
            try:
                of = by_group(fit, group).of
            except DataError:
                continue
            if np.bincount(of).max() == 1:
                continue
            first = np.unique(of, return_index=True)[1]
            x = fit.design.predictor.X.tocsc()[:, [fit.design.fixed_names.index(name) for name in names]]
            same = [name for j, name in enumerate(names) if _constant(x[:, [j]].toarray()[:, 0], of, first)]
            if same:
                warn(
                    f"{listed(same, 3)} {'is' if len(same) == 1 else 'are'} the same in all rows of each {group}, and "
                    "these have effects of their own: predictions of further rows of the same groups hardly need it. "
                    f"If new groups are the question, compare with groups={group!r}.",
                    LgmWarning,
                )
                return


def _constant(x: FloatArray, of: Any, first: Any) -> bool:
    return bool(np.all(x == x[first][of]) and np.ptp(x) > 0)
