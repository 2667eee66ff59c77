"""How cost grows with rows, levels, nodes and hyperparameters: measured exponents beside theoretical ones.

    python benchmarks/bench_growth.py [--only rows levels ...] [--points 8] [--largest 1.0] [--no-peers] [--quick]

One axis at a time, sizes doubling up to the largest times a factor. Processor seconds, in one process: *build* reads
data and makes the model, *evaluation* is one value and gradient of the density of theta, *fit* is the mode with its
table by a model whose like was fitted before, so that nothing is compiled. REML estimates in R stand beside it, of the
same data, in processor seconds of their own, where Rscript has the packages: lme4's where it has the model, and mgcv's
of the lattice up to 700 nodes, of which it makes dense matrices. An exponent is the slope of the logarithms over the
larger half of the sizes. For a Gaussian response an evaluation does not touch the rows; nested effects are linear in
their levels; a planar lattice has n^1.5 operations; crossed factors of l levels are dense in the end, l^3. The plot is
output/growth.png.
"""

import argparse
import math
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from bench_scale import Problem, crossed, has, lattice, slopes
from timing import under_test

OUTPUT = Path(__file__).resolve().parents[1] / "output"
LME4 = """
suppressMessages(library(lme4))
d <- read.csv("{path}")
for (v in grep("^[gh]", names(d), value = TRUE)) d[[v]] <- factor(d[[v]])
cat(sum(system.time(lmer({formula}, d, control = lmerControl(calc.derivs = FALSE)))[1:2]))
"""

MGCV = """
suppressMessages(library(mgcv))
d <- read.csv("{path}")
nodes <- max(d$area) + 1
side <- sqrt(nodes)
beside <- function(k) c(if (k >= side) k - side, if (k + side < nodes) k + side,
                        if (k %% side > 0) k - 1, if (k %% side < side - 1) k + 1) + 1
nb <- setNames(lapply(seq_len(nodes) - 1, beside), seq_len(nodes) - 1)
d$area <- factor(d$area, levels = names(nb))
field <- y ~ s(area, bs = "mrf", xt = list(nb = nb), k = nodes)
cat(sum(system.time(gam(field, data = d, method = "REML"))[1:2]))
"""
DENSE = 700  # nodes: mgcv takes half a minute there, and the cube of it


def groups(number: int) -> Problem:
    """Crossed factors of twelve levels, each with an sd of its own."""
    rng = np.random.default_rng(1)
    table = pd.DataFrame({f"g{i}": rng.integers(12, size=2000) for i in range(number)})
    effects = rng.normal(size=(number, 12))
    table["y"] = rng.normal(size=2000) + sum(effects[i][table[f"g{i}"]] for i in range(number))
    return Problem("y ~ 1 + " + " + ".join(f"(1|g{i})" for i in range(number)), table, {}, True)


class Axis(NamedTuple):
    """What grows: a problem of a size, the largest size, and the exponents of `COLUMNS` that theory has, if any."""

    problem: Callable[[int], Problem]
    largest: int
    theory: dict[str, float]


AXES = {
    "rows": Axis(lambda n: crossed(n, 200, 40), 800_000, {"build": 1.0, "evaluation": 0.0, "fit": 0.0}),
    "levels": Axis(slopes, 128_000, {"build": 1.0, "evaluation": 1.0, "fit": 1.0}),
    "crossed levels": Axis(lambda n: crossed(20 * n, n, n), 800, {"evaluation": 3.0, "fit": 3.0}),
    "nodes": Axis(lambda n: lattice(math.isqrt(n)), 90_000, {"build": 1.0, "evaluation": 1.5, "fit": 1.5}),
    "hyperparameters": Axis(lambda n: groups(n - 1), 9, {}),
}
COLUMNS = {"build": "#0072B2", "evaluation": "#009E73", "fit": "#D55E00", "lme4": "0.4", "mgcv": "0.6"}


def spent(work: Callable[[], object]) -> float:
    """Processor seconds."""
    start = time.process_time()
    work()
    return time.process_time() - start


def peer(given: Problem, installed: Sequence[str]) -> tuple[str, str] | None:
    """The package in R that has the model, and what it runs."""
    if given.reml and "lme4" in installed:
        return "lme4", LME4
    if given.env and given.data["area"].nunique() <= DENSE and "mgcv" in installed:
        return "mgcv", MGCV
    return None


def measured(given: Problem, installed: Sequence[str]) -> dict[str, float]:
    """One size."""
    import lgm
    from lgm.inference.coordinates import Working
    from lgm.inference.mode import evaluated
    from lgm.inference.scales import working_scale
    from lgm.posterior.priors import starts
    from lgm.xla import own_settings

    def built() -> lgm.Model:
        return lgm.model(given.formula, given.data, env=given.env)

    def fitted() -> str:
        return str(model.fit(method="mode", seed=1, progress=False))

    model = built()
    post = model.analysed.marginal
    with own_settings():
        x = np.asarray(working_scale(post.hyper, starts(model.design, model.chosen_priors.theta)))
        at = evaluated(Working(post))
        at(x)
        times = max(3, int(0.5 / max(spent(lambda: at(x)), 1e-4)))
        many = spent(lambda: [at(x) for _ in range(min(times, 200))])
    fitted()
    out = {"build": spent(built), "evaluation": many / min(times, 200), "fit": spent(fitted)}
    rival = peer(given, installed)
    if rival is not None:
        package, script = rival
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "data.csv"
            given.data.to_csv(path, index=False)
            code = script.format(path=path, formula=given.formula)
            done = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=True)
            out[package] = float(done.stdout.split()[-1])
    return out


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Slope of the logarithms over the larger half, of two sizes at least."""
    if len(sizes) < 2:
        return float("nan")
    half = min(len(sizes) // 2, len(sizes) - 2)
    return float(np.polyfit(np.log(sizes[half:]), np.log(np.maximum(seconds[half:], 1e-6)), 1)[0])


def seen(part: pd.DataFrame, column: str) -> tuple[list[int], list[float]]:
    """Sizes at which something was measured, and its seconds."""
    there = part[["size", column]].dropna()
    return there["size"].to_list(), there[column].to_list()


def sizes_of(name: str, points: int, factor: float) -> list[int]:
    """Doubling up to the largest; hyperparameters one by one."""
    if name == "hyperparameters":
        return list(range(2, max(int(AXES[name].largest * min(factor, 1.0)), 3) + 1))
    largest = AXES[name].largest * factor
    return sorted({max(int(largest / 2**k), 16) for k in range(points)})


def plot(table: pd.DataFrame, path: Path) -> None:
    """One panel for each axis, with the exponents in its legend."""
    names = list(table["axis"].unique())
    figure, panels = plt.subplots(1, len(names), figsize=(4.2 * len(names), 4.6), layout="constrained", squeeze=False)
    for panel, name in zip(panels.flat, names, strict=True):
        part = table[table["axis"] == name].dropna(axis=1, how="all")
        for column in (column for column in COLUMNS if column in part):
            theory = AXES[name].theory.get(column)
            sizes, seconds = seen(part, column)
            said = f"{column}: {exponent(sizes, seconds):.2f}" if len(sizes) > 1 else column
            said += "" if theory is None else f" (theory {theory:g})"
            panel.plot(sizes, seconds, "o-", ms=4, color=COLUMNS[column], label=said)
        panel.set(xscale="log", yscale="log", xlabel=name, title=name)
        panel.grid(alpha=0.3)
        panel.set_xticks(part["size"], [f"{size:,}" for size in part["size"]], rotation=30)
        panel.minorticks_off()
        panel.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=2)  # covers no curve
    panels.flat[0].set_ylabel("processor seconds")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=AXES, default=list(AXES), help="axes")
    parser.add_argument("--points", type=int, default=8, help="sizes of each axis")
    parser.add_argument("--largest", type=float, default=1.0, help="factor of the largest sizes")
    parser.add_argument("--quick", action="store_true", help="two sizes of a hundredth")
    parser.add_argument("--no-peers", action="store_true", help="lgm alone")
    options = parser.parse_args()
    points, factor = (2, 0.01) if options.quick else (options.points, options.largest)
    print(under_test())
    installed = [] if options.no_peers else [package for package in ("lme4", "mgcv") if has(package)]
    rows = []
    for name in options.only:
        for size in sizes_of(name, points, factor):
            found = measured(AXES[name].problem(size), installed)
            rows.append({"axis": name, "size": size, **found})
            peers = [package for package in installed if package in found]
            beside = "".join(f"   fit / {each} {found['fit'] / max(found[each], 1e-3):.2g}" for each in peers)
            print(f"{name:<16}{size:>9}" + "".join(f"  {k} {v:9.4f}" for k, v in found.items()) + beside, flush=True)
        part = pd.DataFrame([row for row in rows if row["axis"] == name])
        slopes_found = {column: exponent(*seen(part, column)) for column in COLUMNS if column in part}
        known = [f"{column} {slope:.2f}" for column, slope in slopes_found.items() if np.isfinite(slope)]
        print(f"{name:<16} exponents " + "  ".join(known), flush=True)
    plot(pd.DataFrame(rows), OUTPUT / "growth.png")
    print(f"plot: {OUTPUT}/growth.png")


if __name__ == "__main__":
    main()
