"""Large models: what a fit takes beside what its factorisations take, one fresh process for each.

    python benchmarks/bench_scale.py [--only NAME ...] [--methods mode importance] [--quick]

Seconds by the clock for building the model, the fit and its printed table, import and compilation included; processor
seconds of all three; peak memory of the process. `values` counts the thetas at which a density, a draw or a variance
was evaluated, `kernel` is the time of one factorisation with its selected inverse, alone, and `share` what so many of
them are of fit and table: above one, several run side by side or need no inverse. lme4's REML estimate stands beside
the models that it has, if `Rscript` and the package are there (Debian: r-cran-lme4). With --quick all sizes are a
hundredth.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from timing import under_test

LME4 = """
suppressMessages(library(lme4))
d <- read.csv("{path}")
for (v in intersect(c("g", "h"), names(d))) d[[v]] <- factor(d[[v]])
cat(system.time(lmer({formula}, d, control = lmerControl(calc.derivs = FALSE)))[["elapsed"]])
"""


class Problem(NamedTuple):
    """A formula, its data, what else the formula names, and whether lme4 has the model."""

    formula: str
    data: pd.DataFrame
    env: dict[str, Any]
    reml: bool


def crossed(rows: int, first: int, second: int) -> Problem:
    """Two crossed factors."""
    rng = np.random.default_rng(1)
    g, h, x = rng.integers(first, size=rows), rng.integers(second, size=rows), rng.normal(size=rows)
    y = x + rng.normal(size=first)[g] + 0.5 * rng.normal(size=second)[h] + rng.normal(size=rows)
    return Problem("y ~ x + (1|g) + (1|h)", pd.DataFrame({"y": y, "x": x, "g": g, "h": h}), {}, True)


def slopes(levels: int) -> Problem:
    """An intercept and a slope in each of many groups of five rows."""
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(levels), 5), rng.normal(size=5 * levels)
    b = rng.normal(size=(levels, 2)) @ np.array([[1.0, 0.3], [0.0, 0.5]])
    y = 1.0 + x + b[g, 0] + b[g, 1] * x + rng.normal(size=5 * levels)
    return Problem("y ~ x + (x|g)", pd.DataFrame({"y": y, "x": x, "g": g}), {}, True)


def walk(times: int) -> Problem:
    """A random walk with two rows for each time."""
    rng = np.random.default_rng(1)
    t = np.repeat(np.arange(times), 2)
    y = np.cumsum(0.05 * rng.normal(size=times))[t] + rng.normal(size=2 * times)
    return Problem("y ~ rw1(t)", pd.DataFrame({"y": y, "t": t}), {}, False)


def lattice(side: int) -> Problem:
    """An intrinsic field on a square lattice with two rows for each place."""
    import lgm

    one = sp.diags_array([np.ones(side - 1), np.ones(side - 1)], offsets=[-1, 1])
    neighbours = sp.csr_array(sp.kron(one, sp.eye_array(side)) + sp.kron(sp.eye_array(side), one))
    area = np.repeat(np.arange(side**2), 2)
    field = np.sin(6.0 * (area // side) / side) + np.cos(5.0 * (area % side) / side)
    y = field + 0.5 * np.random.default_rng(1).normal(size=area.size)
    env = {"w": lgm.graph(neighbours, nodes=list(range(side**2)))}
    return Problem("y ~ icar(area, graph=w)", pd.DataFrame({"y": y, "area": area}), env, False)


MODELS: dict[str, tuple[Callable[..., Problem], tuple[int, ...]]] = {
    "10^6 rows, 1,000 x 100 crossed": (crossed, (10**6, 1000, 100)),
    "10^7 rows, 1,000 x 100 crossed": (crossed, (10**7, 1000, 100)),
    "(x|g), 20,000 levels": (slopes, (20_000,)),
    "(x|g), 100,000 levels": (slopes, (100_000,)),
    "rw1, 100,000 times": (walk, (100_000,)),
    "icar, 100 x 100": (lattice, (100,)),
    "icar, 300 x 300": (lattice, (300,)),
    "crossed, 20,000 x 4,000": (crossed, (400_000, 20_000, 4_000)),
}


def problem(name: str, quick: bool) -> Problem:
    """A model of the table, or a small one like it."""
    make, sizes = MODELS[name]
    root = 10 if make is lattice else 100
    return make(*(max(size // root, 4) for size in sizes) if quick else sizes)


class Counted:
    """A compiled function that counts the thetas of its calls: the rows of its first result, or one."""

    total = 0

    def __init__(self, function: Any, *, many: bool = False) -> None:
        self._function, self._many = function, many

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)

    def __call__(self, *args: Any) -> Any:
        found = self._function(*args)
        Counted.total += len(found[0]) if self._many else 1
        return found

    def bound(self, *first: Any) -> Callable[..., Any]:
        return Counted(self._function.bound(*first))


def measured(name: str, method: str, quick: bool) -> dict[str, float]:
    """All figures of one fit, in this process."""
    given = problem(name, quick)
    start, spent = time.perf_counter(), time.process_time()
    import lgm
    from lgm.inference import importance, mode
    from lgm.results import drawing, normal, variances

    for module, name in [(mode, "_evaluate"), (normal, "_moments")]:
        setattr(module, name, Counted(getattr(module, name)))
    for module, name in [(importance, "_evaluate"), (drawing, "_draw_chunk"), (variances, "_chunk")]:
        setattr(module, name, Counted(getattr(module, name), many=True))
    model = lgm.model(given.formula, given.data, env=given.env)
    model.analysed  # noqa: B018  (made when first asked for)
    built = time.perf_counter()
    fit = model.fit(method=method, seed=1, progress=False)
    fitted = time.perf_counter()
    str(fit)
    end = time.perf_counter()
    out = {"build": built - start, "fit": fitted - built, "table": end - fitted}
    out |= {"cpu": time.process_time() - spent, "values": Counted.total}
    out["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    out["kernel"] = kernel(model.analysed.marginal.analysis)
    return {**out, "share": Counted.total * out["kernel"] / (end - built)}


def kernel(analysis: Any) -> float:
    """Seconds of one factorisation with its selected inverse; the numbers do not matter."""
    import jax

    from lgm import linalg

    with jax.enable_x64(True):
        values = (analysis.pattern.rows == analysis.pattern.cols).astype(float)
        rhs = np.ones((analysis.n, 1))
        call = jax.jit(lambda values: linalg.solve_and_invert(analysis, values, rhs))
        seconds = []
        for _ in range(6):
            start = time.perf_counter()
            jax.block_until_ready(call(values))
            seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[1:]))


def fresh(name: str, method: str, quick: bool) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--child", name, method, *(["--quick"] if quick else [])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name}, {method}, failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def lme4(given: Problem, folder: str) -> float:
    """Seconds of lmer() alone."""
    path = os.path.join(folder, "data.csv")
    given.data.to_csv(path, index=False)
    script = LME4.format(path=path, formula=given.formula)
    done = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def has(package: str) -> bool:
    """Whether R has a package, said if it has not."""
    code = f"quit(status = !requireNamespace('{package}', quietly = TRUE))"
    if shutil.which("Rscript") is None or subprocess.run(["Rscript", "-e", code], capture_output=True).returncode:
        print(f"{package} is skipped: it needs Rscript and the package {package} (Debian: r-cran-{package})")
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[""], help="models whose name contains one of these")
    parser.add_argument("--methods", nargs="+", default=["mode", "importance"])
    parser.add_argument("--quick", action="store_true", help="sizes of a hundredth")
    parser.add_argument("--no-lme4", action="store_true", help="lgm alone")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, method = options.child
        print(json.dumps(measured(name, method, options.quick)))
        return
    print(under_test())
    beside = not options.no_lme4 and has("lme4")
    heads = ["build", "fit", "table", "cpu s", "GB", "values", "kernel ms", "share", "lme4 s"]
    print(f"{'':<44}" + "".join(f"{head:>10}" for head in heads), flush=True)
    for name in (name for name in MODELS if any(part in name for part in options.only)):
        given = problem(name, options.quick)
        with tempfile.TemporaryDirectory() as folder:
            rival = f"{lme4(given, folder):10.1f}" if beside and given.reml else ""
        del given
        for method in options.methods:
            found = fresh(name, method, options.quick)
            cells = [f"{found[key]:10.1f}" for key in ("build", "fit", "table", "cpu")]
            cells += [f"{found['peak']:10.2f}", f"{found['values']:10.0f}", f"{1e3 * found['kernel']:10.2f}"]
            print(f"{name:<32}{method:<12}" + "".join(cells) + f"{found['share']:10.2f}{rival}", flush=True)


if __name__ == "__main__":
    main()
