"""Two crossed groups beyond a factorisation: solver="iterative" beside the direct one, GPBoost and lme4, with errors.

    python benchmarks/bench_crossed.py [--levels 2000 500] [--rows 20000] [--runs 3] [--without direct lme4] [--quick]
                                       [--rival-python PATH]

``y ~ x + (1|g) + (1|h)`` of simulated ratings, levels at random, by mode with flat priors; every run is a fresh
process, import included, all in turn. Printed: wall and processor time of building the model, finding theta and making
the table of all effects; peak memory; how far theta is from that of the direct solver and from the truth, in standard
errors, beside the error that the fit itself says it has. The direct solver's factor is dense in the levels of the
smaller group, so leave it out (--without direct) above some 4,000. GPBoost, whose method is of the same kind, finds the
maximum likelihood estimate and the means of the effects, without standard errors; it needs an interpreter that has
gpboost (option, or LGM_RIVAL_PYTHON). lme4 needs `Rscript` and its package (Debian: r-cran-lme4). Each is skipped where
it is not there.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np
from timing import ELSEWHERE, Contender, in_turn, installed, ratio, table, under_test

TRUTH = {"sd(Intercept|g)": 0.5, "sd(Intercept|h)": 0.3, "sigma": 1.0}

DATA = """
import numpy as np
import pandas as pd
rng = np.random.default_rng(1)
first, second, n = {first}, {second}, {rows}
g, h, x = rng.integers(first, size=n), rng.integers(second, size=n), rng.normal(size=n)
y = 1.0 + 0.2 * x + rng.normal(0.0, 0.5, first)[g] + rng.normal(0.0, 0.3, second)[h] + rng.normal(size=n)
frame = pd.DataFrame({{"y": y, "x": x, "g": g, "h": h}})
"""

LGM = """
import json, resource, time
start = time.perf_counter()
import numpy as np
import lgm
{data}
flat = lgm.priors.flat()
priors = {{"Intercept": flat, "fixed": flat, "sd": flat, "sigma": flat}}
began, used = time.perf_counter(), time.process_time()
model = lgm.model("y ~ x + (1|g) + (1|h)", frame, priors=priors, solver={solver!r})
built = time.perf_counter()
fit = model.fit(method="mode", seed=1, progress=False)
found = time.perf_counter()
sd = fit.effects.sd
out = {{"build": built - began, "theta": found - built, "effects": time.perf_counter() - found}}
out |= {{"processor": time.process_time() - used, "all": time.perf_counter() - began}}
out["peak GB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
out["mean sd of effects"] = float(np.mean(sd[2:]))
summary = fit.summary()
out |= {{f"own: {{name}}": value for name, value in summary.attrs.items() if name != "method"}}
out |= {{name: float(summary["mean"][name]) for name in summary.index}}
out |= {{f"se: {{name}}": float(summary["sd"][name]) for name in summary.index}}
np.save({path!r}, sd)
print(json.dumps(out))
"""

GPBOOST = """
import json, os, resource, time
{data}
import gpboost
began, used = time.perf_counter(), time.process_time()
quiet, out = os.open(os.devnull, os.O_WRONLY), os.dup(1)
os.dup2(quiet, 1)  # it talks on stdout
model = gpboost.GPModel(group_data=np.column_stack([g, h]), matrix_inversion_method="iterative")
model.fit(y=y, X=np.column_stack([np.ones(n), x]))
found = time.perf_counter()
model.predict_training_data_random_effects()
os.dup2(out, 1)
sds = np.sqrt(np.ravel(model.get_cov_pars(format_pandas=False)))
out = {{"theta": found - began, "effects": time.perf_counter() - found}}
out |= {{"processor": time.process_time() - used, "all": time.perf_counter() - began}}
out["peak GB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
out |= dict(zip(["sigma", "sd(Intercept|g)", "sd(Intercept|h)"], map(float, sds)))
print(json.dumps(out))
"""

LME4 = """
import json, subprocess
done = subprocess.run(["Rscript", {path!r}], capture_output=True, text=True, check=True)
seconds, *sds = map(float, done.stdout.split())
print(json.dumps({{"lmer() alone": seconds, **dict(zip({names!r}, sds))}}))
"""

R = """
suppressMessages(library(lme4))
d <- read.csv("{path}")
for (v in c("g", "h")) d[[v]] <- factor(d[[v]])
t <- system.time(m <- lmer(y ~ x + (1|g) + (1|h), d, REML = TRUE))[["elapsed"]]
s <- as.data.frame(VarCorr(m))
cat(t, format(s$sdcor[match(c("g", "h", "Residual"), s$grp)], digits = 10), sep = " ")
"""


def lme4(data: str, folder: str) -> Contender | None:
    """lme4 in R, or None if it is not there."""
    has = "quit(status = !requireNamespace('lme4', quietly = TRUE))"
    if shutil.which("Rscript") is None or subprocess.run(["Rscript", "-e", has], capture_output=True).returncode:
        print("lme4 is skipped: it needs Rscript and the package lme4 (Debian: r-cran-lme4)")
        return None
    path, script = os.path.join(folder, "rows.csv"), os.path.join(folder, "fit.R")
    write = f"{data}\nframe.to_csv({path!r}, index=False)"
    subprocess.run([sys.executable, "-c", write], env={**os.environ, **ELSEWHERE}, check=True)
    with open(script, "w") as file:
        file.write(R.format(path=path))
    return Contender("lme4, REML", sys.executable, LME4.format(path=script, names=list(TRUTH)))


def away(found: dict[str, float], others: dict[str, float]) -> str:
    """How far each hyperparameter is from others, in standard errors."""
    return ", ".join(f"{name} {(found[name] - others[name]) / found[f'se: {name}']:+.2g}" for name in TRUTH)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--levels", type=int, nargs=2, default=[2000, 500])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--without", nargs="*", choices=["direct", "lme4"], default=[])
    parser.add_argument("--quick", action="store_true", help="a single run with a fifth of the levels and rows")
    parser.add_argument("--rival-python", default=os.environ.get("LGM_RIVAL_PYTHON"))
    options = parser.parse_args()
    runs, part = (1, 5) if options.quick else (options.runs, 1)
    first, second = (max(each // part, 2) for each in options.levels)
    rows = options.rows // part
    print(under_test())
    print(f"{rows:,} rows, {first:,} x {second:,} levels")
    data = DATA.format(first=first, second=second, rows=rows)
    with tempfile.TemporaryDirectory() as folder:
        solvers = [solver for solver in ("iterative", "direct") if solver not in options.without]
        kept = {solver: os.path.join(folder, f"{solver}.npy") for solver in solvers}
        ours = {
            solver: Contender(
                f"solver={solver!r}", sys.executable, LGM.format(data=data, solver=solver, path=kept[solver])
            )
            for solver in solvers
        }
        rival = None if "lme4" in options.without else lme4(data, folder)
        gpboost = None
        if installed(options.rival_python, "gpboost", "pandas"):
            gpboost = Contender("GPBoost, ML", options.rival_python, GPBOOST.format(data=data))
        else:
            print("GPBoost is skipped: name an interpreter that has gpboost by --rival-python")
        contenders = [*ours.values(), *(each for each in (gpboost, rival) if each is not None)]
        in_turn(contenders, runs)
        print(table(contenders))
        iterative = ours["iterative"].stages[0]
        print(f"\nfrom the truth, in standard errors: {away(iterative, TRUTH)}")
        if "direct" in ours:
            direct = ours["direct"]
            print(f"from the direct solver: {away(iterative, direct.stages[0])}")
            sds = [np.load(kept[solver]) for solver in ("iterative", "direct")]
            print(f"sds of effects: at most {np.max(np.abs(sds[0] / sds[1] - 1.0)):.1%} away")
            print(f"time, iterative / direct: {ratio(ours['iterative'], direct):.2f}")
        if gpboost is not None:
            print(f"from GPBoost: {away(iterative, gpboost.stages[0])}")
            print(f"time, iterative / GPBoost: {ratio(ours['iterative'], gpboost):.2f}")
        if rival is not None:
            print(f"from lme4: {away(iterative, rival.stages[0])}")
            alone = Contender("", "", "", walls=[run["lmer() alone"] for run in rival.stages])
            print(f"time with import and effects, iterative / lmer() alone: {ratio(ours['iterative'], alone):.2f}")


if __name__ == "__main__":
    main()
