"""From two to eight hyperparameters: what importance sampling needs beside NUTS, in the same process and in turn.

    python benchmarks/bench_dimension.py [--seeds 5] [--dimensions 2 3 4 5 6 7 8] [--quick]

Medians over data sets. `values` and `gradients` are evaluations of the density; those of NUTS are counted in the kept
draws and scaled up to its warm-up. `points` are effective ones, to be compared with the smallest effective sample size
of theta by NUTS. Seconds are those of theta, without the effects, which cost both the same.

Where NUTS should take over (two idle cores, 3 data sets each): with up to eight hyperparameters nowhere for the sake of
speed, weighted points gave 1.9 to 9 times the effective draws of theta per second. With crossed groups the effective
share of 1024 values falls from 0.84 with two to 0.44 with eight, a tenth with each hyperparameter, while Pareto k stays
below 0.33: more hyperparameters cost points, not trust. At that rate the 400 effective points that a fit needs end near
nine in the first round, and in the four rounds there are (4096 values) in the low twenties (not run). What should hand
over to NUTS is therefore not the dimension but the shape: k above its limit, or fewer than 400 effective points after
all rounds, as for an autoregression beside a random walk of thirty steps; a fit warns of both.
"""

import argparse
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import lgm
from lgm.inference import pareto
from lgm.inference.importance import EVALUATIONS

ROWS, LEVELS = 400, 12
OUTPUT = Path(__file__).resolve().parents[1] / "output"


class Block(NamedTuple):
    """Effects of some columns that vary together, with correlation, by one group; "1" is the level."""

    columns: tuple[str, ...]
    group: str

    @property
    def hyperparameters(self) -> int:
        k = len(self.columns)
        return k * (k + 1) // 2

    def __str__(self) -> str:
        return (
            f"({' + '.join(('1', *self.columns[1:]) if self.columns[0] == '1' else ('0', *self.columns))}|{self.group})"
        )


def levels(n: int) -> list[Block]:
    """So many crossed groups."""
    return [Block(("1",), f"g{i}") for i in range(1, n + 1)]


# One list of blocks for every number of hyperparameters, sigma included.
CORRELATED = {
    4: [Block(("1", "x1"), "g1")],
    5: [Block(("1", "x1"), "g1"), Block(("1",), "g2")],
    6: [Block(("1", "x1"), "g1"), Block(("1",), "g2"), Block(("x2",), "g2")],
    7: [Block(("1", "x1", "x2"), "g1")],
    8: [Block(("1", "x1", "x2"), "g1"), Block(("1",), "g2")],
}


class Family(NamedTuple):
    name: str
    blocks: dict[int, list[Block]]
    sd: float  # of every effect; sigma is one


CROSSED = {d: levels(d - 1) for d in range(2, 9)}
FAMILIES = [
    Family("crossed levels", CROSSED, 0.7),
    Family("correlated slopes", CORRELATED, 0.7),
    Family("crossed levels near zero", CROSSED, 0.05),
]


def table_of(blocks: Sequence[Block], sd: float, seed: int) -> pd.DataFrame:
    """Rows whose design is always the same, so that nothing compiles twice, and a response that the seed sets."""
    fixed = np.random.default_rng(1)
    frame = pd.DataFrame({f"g{i}": fixed.integers(LEVELS, size=ROWS).astype(str) for i in range(1, 8)})
    frame[["x1", "x2"]] = fixed.standard_normal((ROWS, 2))
    rng = np.random.default_rng(seed)
    y = rng.standard_normal(ROWS)
    for block in blocks:
        k = len(block.columns)
        covariance = sd**2 * (0.5 * np.eye(k) + 0.5)  # correlations of one half
        effects = rng.multivariate_normal(np.zeros(k), covariance, size=LEVELS)
        group = frame[block.group].astype(int).to_numpy()
        for column, effect in zip(block.columns, effects.T, strict=True):
            y += effect[group] * (1.0 if column == "1" else frame[column].to_numpy())
    return frame.assign(y=y)


def measured(model: lgm.Model, seed: int) -> dict[str, float]:
    """Both engines once; theta alone is timed, because the effects cost both the same."""
    out: dict[str, float] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lgm.ConvergenceWarning)  # k is in the table
        start = time.perf_counter()
        points = model.fit(method="importance", seed=seed, progress=False).draws.points
        out["importance s"] = time.perf_counter() - start
        start = time.perf_counter()
        nuts = model.fit(seed=seed, progress=False)
        out["NUTS s"] = time.perf_counter() - start
    out |= {"values": points.log_weights.size, "k": points.k, "points": points.ess, "error": points.log_evidence_se}
    out["trusted"] = float(points.k <= pareto.threshold(points.log_weights.size))
    steps = nuts.draws.stats["n_steps"]
    out["gradients"] = steps.sum() * (1.0 + nuts.draws.warmup / steps.shape[1])  # warm-up steps are not kept
    ess = nuts.summary().loc[list(nuts.design.theta_names), ["ess_bulk", "ess_tail"]]
    out["NUTS ess"] = float(ess.min(axis=None))
    out["importance ess/s"] = out["points"] / out["importance s"]
    out["NUTS ess/s"] = out["NUTS ess"] / out["NUTS s"]
    return out


def runs(families: Sequence[Family], dimensions: Sequence[int], seeds: int) -> pd.DataFrame:
    """One row for every family, number of hyperparameters and data set; the engines take turns."""
    rows = []
    for family in families:
        for d in [d for d in family.blocks if d in dimensions]:
            blocks = family.blocks[d]
            formula = "y ~ 1 + " + " + ".join(map(str, blocks))
            for seed in range(seeds + 1):
                model = lgm.model(formula, table_of(blocks, family.sd, seed))
                assert len(model.design.theta_names) == d
                found = measured(model, 100 * seed)
                if seed:  # the first compiles
                    rows.append({"family": family.name, "d": d, "seed": seed, **found})
            print(rows_of(pd.DataFrame(rows), family.name, d), flush=True)
    return pd.DataFrame(rows)


COLUMNS = {
    "values": "8.0f",
    "k": "7.2f",
    "points": "8.0f",
    "error": "8.3f",
    "importance s": "8.3f",
    "importance ess/s": "9.0f",
    "gradients": "10.0f",
    "NUTS s": "8.2f",
    "NUTS ess": "7.0f",
    "NUTS ess/s": "9.0f",
}
TITLES = "  values      k (range)      points   error       s    ess/s |  gradients       s    ess    ess/s"


def rows_of(table: pd.DataFrame, family: str, d: int) -> str:
    """One line: medians over the data sets, and the range of k."""
    part = table[(table["family"] == family) & (table["d"] == d)]
    cells = [format(part[name].median(), form) for name, form in COLUMNS.items()]
    cells[1] += f" ({part['k'].min():5.2f},{part['k'].max():5.2f})"
    cells.insert(6, " |")
    return f"{family:<25s}{d:2d}{''.join(cells)}"


PANELS = {
    "k": "Pareto k",
    "values": "values of the density",
    "share": "effective share of the values",
    "importance ess/s": "effective draws per second",
}
STYLES = {"crossed levels": "#0072B2", "correlated slopes": "#D55E00", "crossed levels near zero": "#009E73"}


def plot(table: pd.DataFrame, path: Path) -> None:
    """Each data set a dot, medians joined; NUTS dashed where it is compared."""
    table = table.assign(share=table["points"] / table["values"])
    figure, axes = plt.subplots(2, 2, figsize=(10, 7.5), sharex=True, layout="constrained")
    for axis, (column, label) in zip(axes.flat, PANELS.items(), strict=True):
        for i, (family, part) in enumerate(table.groupby("family", sort=False)):
            jitter = 0.08 * (i - 1)
            median = part.groupby("d")[column].median()
            axis.plot(part["d"] + jitter, part[column], ".", color=STYLES[family], alpha=0.4)
            axis.plot(median.index + jitter, median, "-o", ms=4, color=STYLES[family], label=family)
            if column == "importance ess/s":
                rival = part.groupby("d")["NUTS ess/s"].median()
                axis.plot(rival.index + jitter, rival, "--s", ms=4, color=STYLES[family], mfc="white")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    k, values, share, speed = axes.flat
    for limit, text in ((0.5, "finite variance"), (0.7, "not to be trusted")):
        k.axhline(limit, color="0.3", lw=0.8, ls=":")
        k.annotate(text, (2, limit), xytext=(0, 2), textcoords="offset points", fontsize=8, color="0.3")
    values.set_ylim(0, 4.4 * EVALUATIONS)
    values.set_yticks([EVALUATIONS * r for r in range(5)])
    share.set_ylim(0, 1)
    speed.set_yscale("log")
    speed.plot([], [], "-o", ms=4, color="0.3", label="importance sampling")
    speed.plot([], [], "--s", ms=4, color="0.3", mfc="white", label="NUTS (smallest ESS of theta)")
    speed.legend(handles=speed.lines[-2:], fontsize=8)
    share.legend(fontsize=8)
    for axis in axes[1]:
        axis.set_xlabel("hyperparameters")
    figure.suptitle(f"{table['seed'].nunique()} data sets each (dots), medians joined")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="data sets for each model")
    parser.add_argument("--dimensions", type=int, nargs="+", default=list(range(2, 9)))
    parser.add_argument("--quick", action="store_true", help="one data set with two hyperparameters")
    options = parser.parse_args()
    dimensions, seeds = ([2], 1) if options.quick else (options.dimensions, options.seeds)
    print(f"{'':27s}{TITLES}")
    table = runs(FAMILIES, dimensions, seeds)
    plot(table, OUTPUT / "importance_dimension.png")
    table.to_csv(OUTPUT / "importance_dimension.csv", index=False)
    print(f"plot and table: {OUTPUT}/importance_dimension.*")


if __name__ == "__main__":
    main()
