"""InstEval, 73,421 ratings with 4,128 crossed effects: the mode and the full posterior beside lme4 and bambi.

    python benchmarks/bench_insteval.py [--runs 3] [--nuts] [--quick] [--rival-python /path/to/python]

Every run is a fresh process, import included, all in turn in one run of this script. The mode (flat priors) stands
beside lme4's REML estimates. The full posterior (theta, fixed effects, draws, means and sds of all 4,128 effects) comes
from 1,024 weighted points, with --nuts from four chains of NUTS too. lme4 needs `Rscript` and its package (Debian:
r-cran-lme4), bambi an interpreter that has it and nutpie (option, or LGM_RIVAL_PYTHON); what is not there is skipped,
and said so. Effective sample sizes: of weighted points ``1 / sum w^2``, of chains the smallest over theta, fixed
effects and all 4,128 effects. With --quick a single run on every tenth rating.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

from timing import Contender, export, in_turn, installed, ratio, table, under_test

FORMULA = "y ~ service + (1|s) + (1|d) + (1|dept:service)"

LGM = """
import json, time
start = time.perf_counter()
import numpy as np
import lgm
flat = lgm.priors.flat()
priors = {{"Intercept": flat, "fixed": flat, "sd": flat, "sigma": flat}} if {method!r} == "mode" else None
data = lgm.load_dataset("InstEval")[::{every}]
fit = lgm.fit({formula!r}, data, method={method!r}, priors=priors, seed=1, progress=False)
ready = time.perf_counter()
fit.effects
out = {{"theta": ready - start, "effects": time.perf_counter() - ready}}
text = str(fit)
out["all"] = time.perf_counter() - start
if {method!r} == "importance":
    out |= {{"smallest ess": fit.draws.points.ess, "Pareto k": fit.draws.points.k}}
if {method!r} == "nuts":
    from lgm.results.arviz import diagnostics
    draws = [x.stack(effect=[d for d in x.dims if d not in ("chain", "draw")]) for x in fit.posterior.values()]
    columns = {{f"{{i}}, {{j}}": x.values[..., j] for i, x in enumerate(draws) for j in range(x.shape[-1])}}
    ess = diagnostics(columns)[["ess_bulk", "ess_tail"]].min(axis=None)
    divergences = int(fit.draws.stats["diverging"].sum())
    out |= {{"smallest ess": ess, "largest R-hat": fit.summary()["r_hat"].max(), "divergences": divergences}}
    out["leapfrog steps a draw"] = float(fit.draws.stats["n_steps"].mean())
out |= dict(zip(fit.design.theta_names, fit.draws.theta.mean(axis=(0, 1)).tolist()))
print(json.dumps(out))
"""

BAMBI = """
import json, time
start = time.perf_counter()
import arviz, bambi, pandas
data = pandas.read_csv({path!r}, dtype={{name: "category" for name in ("s", "d", "dept", "service")}})
model = bambi.Model({formula!r}, data)
fit = model.fit(inference_method="nutpie", draws=1000, tune=1000, chains=4, random_seed=1)
out = {{"all": time.perf_counter() - start}}
out["smallest ess"] = min(float(arviz.ess(fit.posterior, method=m).to_array().min()) for m in ("bulk", "tail"))
out["largest R-hat"] = float(arviz.rhat(fit.posterior).to_array().max())
print(json.dumps(out))
"""

LME4 = """
import json, subprocess
done = subprocess.run(["Rscript", {path!r}], capture_output=True, text=True, check=True)
seconds, *sds = map(float, done.stdout.split())
names = ["sd(Intercept|s)", "sd(Intercept|d)", "sd(Intercept|dept:service)", "sigma"]
print(json.dumps({{"lmer() alone": seconds, **dict(zip(names, sds))}}))
"""

R = """
suppressMessages(library(lme4))
d <- read.csv("{path}")
for (v in c("s", "d", "dept", "service")) d[[v]] <- factor(d[[v]])
t <- system.time(m <- lmer({formula}, d, REML = TRUE))[["elapsed"]]
cat(t, format(as.data.frame(VarCorr(m))$sdcor, digits = 10), sep = " ")
"""


def lme4(path: str) -> Contender | None:
    """lme4 in R, or None if it is not there."""
    has = "quit(status = !requireNamespace('lme4', quietly = TRUE))"
    if shutil.which("Rscript") is None or subprocess.run(["Rscript", "-e", has], capture_output=True).returncode:
        print("lme4 is skipped: it needs Rscript and the package lme4 (Debian: r-cran-lme4)")
        return None
    script = f"{path}.R"
    with open(script, "w") as file:
        file.write(R.format(path=path, formula=FORMULA))
    return Contender("lme4, REML", sys.executable, LME4.format(path=script))


def bambi(path: str, python: str | None) -> Contender | None:
    """bambi with nutpie, or None if nobody said where they are."""
    if python is None or not installed(python, "bambi", "nutpie"):
        print("bambi is skipped: name an interpreter that has bambi and nutpie by --rival-python")
        return None
    return Contender("bambi with nutpie", python, BAMBI.format(path=path, formula=FORMULA))


def ess_per_second(c: Contender) -> float:
    """Median over the runs."""
    return statistics.median(run["smallest ess"] / run["all"] for run in c.stages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--nuts", action="store_true", help="also by NUTS: minutes for every run")
    parser.add_argument("--quick", action="store_true", help="a single run on every tenth rating")
    parser.add_argument("--rival-python", default=os.environ.get("LGM_RIVAL_PYTHON"))
    options = parser.parse_args()
    runs, every = (1, 10) if options.quick else (options.runs, 1)
    print(under_test())
    with tempfile.TemporaryDirectory() as folder:
        path = export("InstEval", folder, every)
        ours = {
            m: Contender(f"lgm, method={m!r}", sys.executable, LGM.format(method=m, formula=FORMULA, every=every))
            for m in ["mode", "importance", *(["nuts"] if options.nuts else [])]
        }
        reml, chains = lme4(path), bambi(path, options.rival_python)
        contenders = [*ours.values(), *(c for c in (reml, chains) if c is not None)]
        in_turn(contenders, runs)
        print(table(contenders))
        if reml is not None:
            alone = Contender("", "", "", walls=[run["lmer() alone"] for run in reml.stages])
            found, theirs = ours["mode"].stages[0], reml.stages[0]
            largest = max(abs(found[name] / theirs[name] - 1) for name in theirs if name in found)
            print(f"\nmode / lmer() alone: {ratio(ours['mode'], alone):.2f}; estimates differ by {largest:.1e} at most")
            for method in list(ours)[1:]:
                print(f"full posterior, method={method!r} / lmer() alone: {ratio(ours[method], alone):.2f}")
        for method in list(ours)[1:] if chains is not None else []:
            times = ess_per_second(ours[method]) / ess_per_second(chains)
            print(f"effective draws per second, method={method!r} / bambi: {times:.1f}")


if __name__ == "__main__":
    main()
