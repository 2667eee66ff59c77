"""Whether ranks of true values among posterior draws are uniform, quantity by quantity.

If draws come from the posterior, the rank of a true value among L independent ones is uniform on 0..L (Talts et al.
2018). The empirical distribution function of the ranks must stay in a simultaneous band (Saeilynoja, Buerkner & Vehtari
2022).
"""

from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import binom

LEVEL = 0.01  # of the whole test
SIMULATIONS = 100_000
OUTPUT = Path(__file__).resolve().parents[2] / "output"


def worst_tail(counts: np.ndarray) -> np.ndarray:
    """The smallest two-sided tail probability of an ECDF over its points, per row of rank counts (..., ranks).

    Under uniform ranks the number of ranks below i is Binomial(N, i / ranks), for every i.
    """
    ranks = counts.shape[-1]
    below = np.cumsum(counts, axis=-1)[..., :-1]
    n, p = counts.sum(axis=-1, keepdims=True), np.arange(1, ranks) / ranks
    return 2.0 * np.minimum(binom.cdf(below, n, p), binom.sf(below - 1, n, p)).min(axis=-1)


@cache
def critical_tail(replications: int, ranks: int, quantities: int) -> float:
    """The tail probability gamma at which pointwise bands hold every quantity's whole ECDF with probability 1 - LEVEL.

    Simulated, as in algorithm 1 of Saeilynoja et al. (2022): gamma is the quantile of `worst_tail` under uniform ranks.
    """
    rng = np.random.default_rng(1)
    uniform = np.full(ranks, 1.0 / ranks)
    parts = [worst_tail(rng.multinomial(replications, uniform, size=1000)) for _ in range(SIMULATIONS // 1000)]
    return float(np.quantile(np.concatenate(parts), LEVEL / quantities))  # the quantities share the level (Bonferroni)


def worst_tails(table: pd.DataFrame, ranks: int) -> pd.Series:
    """Of each column of ranks from 0 to ``ranks - 1``."""
    counts = np.array([np.bincount(table[name], minlength=ranks) for name in table])
    return pd.Series(worst_tail(counts), index=table.columns)


def gamma_of(table: pd.DataFrame, ranks: int) -> float:
    """The `critical_tail` of a table of ranks."""
    return critical_tail(len(table), ranks, table.shape[1])


def plot(table: pd.DataFrame, ranks: int, name: str) -> None:
    """ECDF minus the uniform one, with the simultaneous band."""
    n, gamma = len(table), gamma_of(table, ranks)
    p = np.arange(1, ranks) / ranks
    low, high = (binom.ppf(q, n, p) / n - p for q in (gamma / 2, 1 - gamma / 2))
    figure, axes = plt.subplots(2, -(-table.shape[1] // 2), figsize=(12, 5), sharex=True, sharey=True, squeeze=False)
    for axis, column in zip(axes.flat, table, strict=False):
        below = np.cumsum(np.bincount(table[column], minlength=ranks))[:-1] / n
        axis.fill_between(p, low, high, color="#9ecae1", alpha=0.6, linewidth=0)
        axis.step(p, below - p, where="mid", color="#08519c")
        axis.set_title(column)
    figure.supxlabel("fractional rank of the true value")
    figure.supylabel("ECDF minus uniform")
    figure.set_layout_engine("constrained")
    OUTPUT.mkdir(exist_ok=True)
    figure.savefig(OUTPUT / f"{name}.png", dpi=120)
    plt.close(figure)
