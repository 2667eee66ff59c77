"""Real fits without the rows of which importance weights do not tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from lgm.arrays import FloatArray
from lgm.results.comparing.kfold import fold, refit
from lgm.results.comparing.loo import Loo
from lgm.results.comparing.new_rows import predicted
from lgm.results.comparing.passes import Thetas, rows_of
from lgm.results.progress import bar
from lgm.words import counted, listed


def fitted_again(loo: Loo) -> Loo:
    """The same with log densities of rows that are not reliable from fits without each of them; see `Criteria.loo`.

    Draws without an outlier do not reach where it is likely, as those with it do not reach where it is not: `bridged`
    has both.
    """
    fit, table = loo.fit, loo.table.copy()
    doubted = np.flatnonzero(~table["reliable"].to_numpy())
    if not doubted.size:
        return loo
    rows, odd = rows_of(fit), []
    columns = [table.columns.get_loc(name) for name in ("elpd", "se", "p_loo", "pareto_k", "reliable")]
    with bar(doubted.size, "fits without a row", progress=fit.progress) as shown:
        for i in doubted:
            out = np.array([i])
            if fit.draws.conditional:
                again = refit(fit, rows, out)
                thetas, doubt = Thetas.of(again, 1), again.doubt_of_theta is not None
                given = predicted(fit, rows, thetas, out)[:, 0]
                elpd, se = bridged(given, thetas.log_weights, loo.log_density[:, i], loo.thetas.log_weights)
            else:
                ([elpd], doubt), se = fold(fit, rows, out), np.nan
            odd += [table.index[i]] if doubt else []
            p = table["p_loo"].iloc[i] + table["elpd"].iloc[i] - elpd
            for column, value in zip(columns, (elpd, se, p, 0.0, not doubt), strict=True):
                table.iloc[i, column] = value
            shown.update()
    kept = tuple(note for note in loo.notes if not note.startswith("Not reliable"))
    said = f"Fitted again without {counted(doubted.size, 'row')}: {listed(list(table.index[doubted]), 5)}."
    more = (f"Refits in doubt: {listed(odd, 5)}.",) if odd else ()
    return replace(loo, table=table, notes=(*kept, said, *more))


def bridged(
    without: FloatArray, weights_without: FloatArray, given: FloatArray, weights_given: FloatArray
) -> tuple[float, float]:
    """``c = log p(y_i | y_-i)`` and its Monte Carlo error from log densities of row i at thetas of both posteriors.

    The two differ by ``p(y_i | theta) / exp(c)``, so that for each theta ``expit(l - c)`` is the probability that it is
    of the posterior with the row: c is where thetas without and with it are mistaken for each other equally often
    (Bennett 1976, Journal of Computational Physics 22, 245-268; Meng & Wong 1996, Statistica Sinica 6, 831-860).

    Parameters
    ----------
    without, given : float arrays (S,), (T,)
        ``log p(y_i | y_-i, theta)`` at thetas of the posterior without the row, and with it.
    weights_without, weights_given : float arrays (S,), (T,)
        Logs of the weights of these.
    """
    fine = np.isfinite(without), np.isfinite(given)
    w, v = (np.exp(x - x.max()) for x in (weights_without[fine[0]], weights_given[fine[1]]))
    w, v, x, z = w / w.sum(), v / v.sum(), without[fine[0]], given[fine[1]]

    def more(c: float) -> float:
        return float(np.log(w @ expit(x - c)) - np.log(v @ expit(c - z)))

    c = brentq(more, min(x.min(), z.min()) - 1.0, max(x.max(), z.max()) + 1.0, xtol=1e-9)
    errors = []
    for weights, each in ((w, expit(x - c)), (v, expit(c - z))):
        mean = weights @ each
        errors.append(np.sum((weights * (each / mean - 1.0)) ** 2))
    slope = 1.0 - (w @ expit(x - c) ** 2 + v @ expit(c - z) ** 2) / (w @ expit(x - c) + v @ expit(c - z))
    return float(c), float(np.sqrt(sum(errors)) / max(2.0 * slope, 1e-12))
