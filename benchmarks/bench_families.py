"""Counts and binary outcomes: full posteriors after compilation, beside rivals in the same run.

    python benchmarks/bench_families.py [names] [--methods importance] [--runs 3] [--quick] [--rival-python PATH]

Of each contender: seconds of a fit whose programs are compiled (a second fit of the same structure in one process), the
smallest bulk ESS of fixed effects and hyperparameters, and ESS per second. Rivals: bambi with nutpie (needs an
interpreter that has both: option, or LGM_RIVAL_PYTHON), a hand-written model in NumPyro with non-centred effects, and
lme4's point estimate where R is on PATH with lme4.

    VerbAgg      7,584 answers, crossed people (316) and items (24), Bernoulli
    small groups 294 x 7 binary outcomes, sd 4: most groups answer alike every time
    cbpp, seeds, scotlip, epil    classics
    crossed      100,000 counts, 5,000 x 500 crossed levels, simulated; lgm alone
    map          300 x 300 regions, a count each, icar; lgm alone
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from timing import Contender, export, in_turn, installed, under_test

LGM = """
import json, resource, time, warnings
import numpy as np, pandas as pd
import lgm
{prepare}
def once(seed):
    start = time.perf_counter()
    fit = lgm.fit({formula!r}, data, family={family!r}, method={method!r}, seed=seed, progress=False)
    table = fit.summary()
    return time.perf_counter() - start, table
warnings.simplefilter("ignore")
first, _ = once(1)
again, table = once(2)
found = {{"first": first, "again": again, "ess": float(table["ess_bulk"].min()), "by": table.attrs["approximation"]}}
found["GB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(json.dumps(found))
"""

BAMBI = """
import json, time, warnings
warnings.simplefilter("ignore")
import arviz, bambi, numpy as np, pandas as pd
{prepare}
model = bambi.Model({formula!r}, data, family={family!r})
model.build()
start = time.perf_counter()
fit = model.fit(inference_method="nutpie", draws=1000, tune=1000, chains=4, random_seed=1, progressbar=False)
again = time.perf_counter() - start
def of_effects(name):
    return any("|" in dim or "factor_dim" in dim for dim in map(str, fit.posterior[name].dims))
names = [name for name in fit.posterior.data_vars if not of_effects(name)]
ess = min(float(each.min()) for each in arviz.ess(fit, var_names=names).data_vars.values())
print(json.dumps({{"again": again, "ess": ess}}))
"""

NUMPYRO = """
import json, time
import numpyro
numpyro.set_host_device_count(2)
import jax, jax.numpy as jnp, numpy as np, numpyro.distributions as dist, pandas as pd
from numpyro.infer import MCMC, NUTS
from numpyro.diagnostics import effective_sample_size
{prepare}
{design}
def model():
    beta = numpyro.sample("beta", dist.Normal(0.0, 2.5).expand([x.shape[1]]).to_event(1))
    eta = numpyro.sample("Intercept", dist.Normal(0.0, 5.0)) + x @ beta
    for name, index in groups.items():
        sd = numpyro.sample("sd " + name, dist.Exponential(0.5))
        with numpyro.plate(name, int(index.max()) + 1):
            z = numpyro.sample("z " + name, dist.Normal())
        eta = eta + sd * z[index]
    numpyro.sample("y", dist.Bernoulli(logits=eta), obs=y)
run = MCMC(NUTS(model), num_warmup=500, num_samples=500, num_chains=2, progress_bar=False)
run.warmup(jax.random.key(0))
start = time.perf_counter()
run.warmup(jax.random.key(1))
run.run(jax.random.key(2))
draws = run.get_samples(group_by_chain=True)
jax.block_until_ready(draws)
again = time.perf_counter() - start
ess = min(float(np.min(effective_sample_size(np.asarray(v)))) for k, v in draws.items() if not k.startswith("z "))
print(json.dumps({{"again": again, "ess": ess}}))
"""

LME4 = """
suppressMessages(library(lme4)); {prepare_r}
t <- system.time(glmer({formula_r}, data, family = {family_r}))[["elapsed"]]
cat(sprintf('{{"again": %f}}\\n', t))
"""


class Case(NamedTuple):
    """A model in the words of each contender; empty where one does not take part."""

    formula: str
    family: str
    prepare: str  # Python that makes `data`
    formula_bambi: str = ""
    design: str = ""  # Python that makes x, groups and y
    formula_r: str = ""
    prepare_r: str = ""
    family_r: str = "binomial"


SMALL = """
rng = np.random.default_rng(3)
g = np.repeat(np.arange(294), 7)
visit = np.tile(np.arange(7.0), 294)
eta = -4.0 - 0.3 * visit + 4.0 * rng.standard_normal(294)[g]
data = pd.DataFrame({"y": rng.binomial(1, 1 / (1 + np.exp(-eta))), "time": visit, "g": g})
"""
CROSSED = """
rng = np.random.default_rng(4)
a, b, x = rng.integers(0, 5000, 100_000), rng.integers(0, 500, 100_000), rng.standard_normal(100_000)
eta = 0.3 + 0.2 * x + 0.5 * rng.standard_normal(5000)[a] + 0.4 * rng.standard_normal(500)[b]
data = pd.DataFrame({"y": rng.poisson(np.exp(eta)), "x": x, "a": a, "b": b})
"""
MAP = """
from scipy.fft import idctn
n = 300
k = np.arange(n * n).reshape(n, n)
pairs = [np.column_stack([k[:, :-1].ravel(), k[:, 1:].ravel()]), np.column_stack([k[:-1].ravel(), k[1:].ravel()])]
graph = lgm.graph(pd.DataFrame(np.vstack(pairs), columns=["from", "to"]), range(n * n))
rng = np.random.default_rng(5)
decay = 4 - 2 * np.cos(np.pi * np.arange(n) / n)[:, None] - 2 * np.cos(np.pi * np.arange(n) / n)
decay[0, 0] = np.inf
field = idctn(rng.standard_normal((n, n)) / np.sqrt(decay), norm="ortho")
data = pd.DataFrame({"y": rng.poisson(np.exp(0.5 * field / field.std())).ravel(), "region": k.ravel()})
"""
CASES = {
    "VerbAgg": Case(
        "r2 ~ Anger + Gender + btype + situ + (1|id) + (1|item)",
        "bernoulli",
        "data = pd.read_csv({path!r})",
        "r2['Y'] ~ Anger + Gender + btype + situ + (1|id) + (1|item)",
        "x = np.column_stack([data['Anger'] - data['Anger'].mean(), data['Gender'] == 'M', data['btype'] == 'scold', "
        "data['btype'] == 'shout', data['situ'] == 'self']).astype(float)\n"
        "groups = {name: pd.factorize(data[name])[0] for name in ('id', 'item')}\n"
        "y = (data['r2'] == 'Y').to_numpy(float)",
        "r2 ~ Anger + Gender + btype + situ + (1|id) + (1|item)",
        "data <- read.csv('{path}', stringsAsFactors = TRUE)",
    ),
    "small groups": Case(
        "y ~ time + (1|g)",
        "bernoulli",
        SMALL,
        "y ~ time + (1|g)",
        "x = data[['time']].to_numpy() - 3.0\ngroups = {'g': g}\ny = data['y'].to_numpy(float)",
    ),
    "cbpp": Case(
        "cbind(incidence, size - incidence) ~ C(period) + (1|herd)", "binomial", "data = lgm.load_dataset('cbpp')"
    ),
    "seeds": Case("cbind(r, n - r) ~ x1 * x2 + (1|plate)", "binomial", "data = lgm.load_dataset('seeds')"),
    "scotlip": Case(
        "y ~ aff + offset(log(E)) + icar(id, graph)",
        "poisson",
        "data = lgm.load_dataset('scotlip')\ngraph = lgm.graph(lgm.load_dataset('scotlip_adj_ck'), range(1, 57))",
    ),
    "epil": Case("y ~ lbase * trt + lage + V4 + (1|subject)", "poisson", "data = lgm.load_dataset('epil')"),
    "crossed": Case("y ~ x + (1|a) + (1|b)", "poisson", CROSSED),
    "map": Case("y ~ 1 + icar(region, graph)", "poisson", MAP),
}
LARGE = ("crossed", "map")


def contenders(name: str, folder: str, rival: str | None, methods: list[str]) -> list[Contender]:
    """Those that fit a model."""
    case = CASES[name]
    path = export(name, folder) if "{path" in case.prepare else ""
    prepare = case.prepare.replace("{path!r}", repr(path))
    words = {"prepare": prepare, "family": case.family}
    methods = methods or (["importance", "mode"] if name in LARGE else ["importance", "nuts"])
    found = [
        Contender(f"lgm, {method}", sys.executable, LGM.format(formula=case.formula, method=method, **words))
        for method in methods
    ]
    if case.formula_bambi and rival:
        found.append(Contender("bambi, nutpie", rival, BAMBI.format(formula=case.formula_bambi, **words)))
    if case.design:
        found.append(Contender("NumPyro by hand", sys.executable, NUMPYRO.format(prepare=prepare, design=case.design)))
    return found


def lme4(name: str, folder: str) -> float | None:
    """Seconds of its point estimate, where R has it."""
    case = CASES[name]
    if not case.formula_r or shutil.which("Rscript") is None:
        return None
    words = {"prepare_r": case.prepare_r.format(path=os.path.join(folder, f"{name}.csv"))}
    code = LME4.format(formula_r=case.formula_r, family_r=case.family_r, **words)
    done = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True)
    return float(done.stdout.rpartition(":")[2].strip(" }\n")) if done.returncode == 0 else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(CASES), help=", ".join(CASES))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a single run, without the large models")
    parser.add_argument("--methods", nargs="+", default=[], help="of lgm: importance, nuts, mode, joint")
    parser.add_argument("--rival-python", default=os.environ.get("LGM_RIVAL_PYTHON"))
    options = parser.parse_args()
    print(under_test())
    rival = options.rival_python if installed(options.rival_python, "bambi", "nutpie") else None
    if rival is None:
        print("bambi is skipped: name an interpreter that has bambi and nutpie by --rival-python")
    for name in options.names:
        if options.quick and name in LARGE:
            continue
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            found = contenders(name, folder, rival, options.methods)
            in_turn(found, 1 if options.quick or name in LARGE else options.runs)
            point = lme4(name, folder)
        print(f"\n{name}: {CASES[name].formula}  [{time.perf_counter() - started:.0f} s]", flush=True)
        for each in found:
            print(f"  {each.name:16s} {_line(each)}")
        if point is not None:
            print(f"  {'lme4, point':16s} {point:7.2f} s")


def _line(contender: Contender) -> str:
    seconds, ess = contender.median("again"), contender.median("ess")
    line = f"{seconds:7.2f} s  ESS {ess:6.0f}  {ess / seconds:8.1f} ESS/s"
    last = contender.stages[-1]
    if "by" in last:
        line += f"  {last['by']}, first fit {contender.median('first'):.1f} s, {contender.median('GB'):.2f} GB"
    return line


if __name__ == "__main__":
    main()
