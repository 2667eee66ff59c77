"""Ranks of true values among posterior draws, quantity by quantity, by `lgm.results.uniformity`; and their picture."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from lgm.results import uniformity

LEVEL = 0.01  # of the whole test
OUTPUT = Path(__file__).resolve().parents[2] / "output"


def worst_tails(table: pd.DataFrame, ranks: int) -> pd.Series:
    """Smallest two-sided tail probability of the ECDF of each column of ranks from 0 to ``ranks - 1``."""
    return uniformity.tails(table, ranks - 1)


def gamma_of(table: pd.DataFrame, ranks: int) -> float:
    """The one below which a column is outside of the band; the columns share the level (Bonferroni)."""
    return uniformity.critical(len(table), ranks - 1, LEVEL / table.shape[1])


def plot(table: pd.DataFrame, ranks: int, name: str) -> None:
    """ECDF minus the uniform one, with the simultaneous band."""
    p, low, high = uniformity.band(len(table), ranks - 1, gamma_of(table, ranks))
    figure, axes = plt.subplots(2, -(-table.shape[1] // 2), figsize=(12, 5), sharex=True, sharey=True, squeeze=False)
    for axis, column in zip(axes.flat, table, strict=False):
        axis.fill_between(p, low, high, color="#9ecae1", alpha=0.6, linewidth=0)
        axis.step(p, uniformity.difference(table[column].to_numpy(), ranks - 1), where="mid", color="#08519c")
        axis.set_title(column)
    figure.supxlabel("fractional rank of the true value")
    figure.supylabel("ECDF minus uniform")
    figure.set_layout_engine("constrained")
    OUTPUT.mkdir(exist_ok=True)
    figure.savefig(OUTPUT / f"{name}.png", dpi=120)
    plt.close(figure)
