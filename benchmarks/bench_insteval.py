"""InstEval, 73,421 ratings with 4,128 crossed effects: the mode and the full posterior, beside lme4 in the same run.

    python benchmarks/bench_insteval.py [--runs 3] [--nuts]

lme4 needs `Rscript` and its package (Debian: r-cran-lme4); what is not installed is skipped, and said so. Every run is
a fresh process, import included. With --nuts the posterior by NUTS (4 chains of 250 draws) is timed as well.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from timing import Contender, in_turn, table

FORMULA = "y ~ service + (1|s) + (1|d) + (1|dept:service)"

LGM = """
import json, time
start = time.perf_counter()
import numpy as np
import lgm
flat = lgm.priors.flat()
priors = {{"Intercept": flat, "fixed": flat, "sd": flat, "sigma": flat}} if {method!r} == "mode" else None
data = lgm.load_dataset("InstEval")
fit = lgm.fit({formula!r}, data, method={method!r}, priors=priors, seed=1, progress=False, {more})
ready = time.perf_counter()
names = list(fit.design.theta_names)
points = fit.draws.points
out = {{"fit": ready - start}}
fit.effects
out["effects"] = time.perf_counter() - ready
if {method!r} == "importance":
    out |= {{"pareto k": points.k, "effective points": points.ess}}
if {method!r} == "nuts":
    table = fit.summary()
    ess = table[["ess_bulk", "ess_tail"]].min(axis=None)
    out |= {{"smallest ess": float(ess), "largest r_hat": table["r_hat"].max()}}
out |= dict(zip(names, fit.draws.theta.mean(axis=(0, 1)).tolist()))
print(json.dumps(out))
"""

LME4 = """
suppressMessages(library(lme4))
d <- read.csv("{path}")
for (v in c("s", "d", "dept", "service")) d[[v]] <- factor(d[[v]])
t <- system.time(m <- lmer({formula}, d, REML = TRUE))[["elapsed"]]
cat(t, as.data.frame(VarCorr(m))$sdcor, sep = " ")
"""


def lme4(path: str) -> str:
    """Time of lmer() alone, and its REML estimates."""
    if shutil.which("Rscript") is None:
        return "lme4 is skipped: there is no Rscript"
    script = Path(path).with_suffix(".R")
    script.write_text(LME4.format(path=path, formula=FORMULA))
    start = time.perf_counter()
    done = subprocess.run(["Rscript", str(script)], capture_output=True, text=True)
    if done.returncode:
        return f"lme4 is skipped: {done.stderr.strip().splitlines()[-1]}"
    seconds, *sds = done.stdout.split()
    return f"lme4: lmer() {float(seconds):.2f} s, process {time.perf_counter() - start:.2f} s; sds {', '.join(sds)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--nuts", action="store_true")
    options = parser.parse_args()
    methods = [("mode", "draws=250"), ("importance", "draws=1000")]
    methods += [("nuts", "draws=250")] if options.nuts else []
    contenders = [
        Contender(f"lgm, method={method!r}", sys.executable, LGM.format(method=method, formula=FORMULA, more=more))
        for method, more in methods
    ]
    in_turn(contenders, options.runs)
    print(table(contenders))
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/insteval.csv"
        export = f"import lgm; lgm.load_dataset('InstEval').to_csv({path!r}, index=False)"
        subprocess.run([sys.executable, "-c", export], check=True)
        for _ in range(options.runs):
            print(lme4(path))


if __name__ == "__main__":
    main()
