"""Areal and space-time models by ``method="mode"``, from hundreds of areas to a million, beside mgcv.

    python benchmarks/bench_areas.py [--runs 3] [--quick] [--large]

Areas are the squares of a board, neighbours share a side. ``y ~ icar(area, board)``, a response for each area: mgcv's
``gam`` and ``bam`` fit the same model (a Markov random field of full rank, REML) on boards that are small enough for
their dense matrices; they and lgm run in turn, each in a fresh process, import included. mgcv needs `Rscript` and its
package (Debian: r-cran-mgcv); without them the rivals are skipped, and said so.

With --large lgm alone, once each: a board of 1,000 x 1,000 areas, and 100 x 100 areas at 50 times,
``y ~ icar(area, board) + rw1(time) + rw1(time, replicate=area)``, 510,050 effects under 10,002 constraints
(interaction of type II in Knorr-Held 2000), and 30 x 30 areas at 50 times with ``icar(area, board, group=rw1(time))``
in its place (type IV).

All processes print seconds and their peak of memory. On two cores of an AMD EPYC that other work kept busy (load 10),
the board of 1,000 x 1,000 took 494 s of processor time, from import to table, and at most 3.6 GB.
"""

import argparse
import os
import shutil
import sys
import tempfile

import numpy as np
import pandas as pd
from timing import Contender, in_turn, ratio, table, under_test

LGM = """
import json, resource, time
start = time.perf_counter()
import numpy as np, pandas as pd, scipy.sparse as sp
import lgm
side, times = {side}, {times}
line = sp.diags([1.0, 1.0], [-1, 1], shape=(side, side))
one = sp.eye(side)
board = lgm.graph(sp.csr_array(sp.kron(line, one) + sp.kron(one, line)), nodes=np.arange(side * side))
data = pd.read_csv({path!r})
out = {{"read": time.perf_counter() - start}}
before = time.perf_counter()
model = lgm.model({formula!r}, data)
out["model"] = time.perf_counter() - before
before = time.perf_counter()
fit = model.fit(method="mode", draws=25, seed=1, progress=False)
text = str(fit)
out["fit and table"] = time.perf_counter() - before
out["all"] = time.perf_counter() - start
out["GB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
analysis = model.analysed.marginal.analysis
out["effects"] = model.analysed.marginal.dim
out["nnz of L"] = getattr(analysis, "nnz_factor", float("nan"))
out |= {{name: float(fit.draws.theta[0, 0, i]) for i, name in enumerate(fit.design.theta_names)}}
print(json.dumps(out))
"""

# The default priors of lgm are proper and weak; mgcv has none. Estimates agree to a few percent of an sd.
MGCV = """
import json, resource, subprocess
code = '''
start <- proc.time()[["elapsed"]]
suppressMessages(library(mgcv))
data <- read.csv("{path}")
side <- {side}
k <- side * side
data$area <- factor(data$area, levels = 0:(k - 1))
at <- matrix(0:(k - 1), side, side, byrow = TRUE)
nb <- vector("list", k); names(nb) <- 0:(k - 1)
for (i in 1:side) for (j in 1:side) {{{{
  near <- c(if (i > 1) at[i - 1, j], if (i < side) at[i + 1, j], if (j > 1) at[i, j - 1], if (j < side) at[i, j + 1])
  nb[[at[i, j] + 1]] <- near + 1
}}}}
fit <- {function}(y ~ s(area, bs = "mrf", k = k, xt = list(nb = nb)), data = data, method = "{criterion}")
cat(sprintf('{{{{"all": %.4f, "sigma": %.6f}}}}', proc.time()[["elapsed"]] - start, sqrt(fit$sig2)))
'''
code = code.replace("{{{{", "{{").replace("}}}}", "}}")
done = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True)
assert done.returncode == 0, done.stderr
out = json.loads(done.stdout.strip().splitlines()[-1])
out["GB"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
print(json.dumps(out))
"""

AREAS = "y ~ icar(area, board)"
TYPE_II = "y ~ icar(area, board) + rw1(time) + rw1(time, replicate=area)"
TYPE_IV = "y ~ icar(area, board) + rw1(time) + icar(area, board, group=rw1(time))"


def write(folder: str, side: int, times: int) -> str:
    """A smooth surface that moves, a walk that all areas share, and noise; the path of the file."""
    rng = np.random.default_rng(1)
    x, y = (each.ravel()[:, None] for each in np.meshgrid(*2 * [np.arange(side) / side], indexing="ij"))
    t = np.arange(times) / times
    level = np.sin(6 * x) + np.cos(5 * y) * x + 0.5 * np.sin(6 * x + 9 * t) * (times > 1)
    level = level + 0.2 * np.cumsum(rng.standard_normal(times)) * (times > 1)
    columns = {
        "area": np.repeat(np.arange(side**2), times),
        "time": np.tile(np.arange(times), side**2),
        "y": (level + 0.5 * rng.standard_normal(level.shape)).ravel(),
    }
    path = os.path.join(folder, f"board{side}x{times}.csv")
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def ours(path: str, side: int, times: int, formula: str) -> Contender:
    return Contender("lgm", sys.executable, LGM.format(path=path, side=side, times=times, formula=formula))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one run on the smallest board")
    parser.add_argument("--large", action="store_true", help="only the large boards")
    args = parser.parse_args()
    print(under_test())
    with tempfile.TemporaryDirectory() as folder:
        if args.large:
            for side, times, formula in [(1000, 1, AREAS), (100, 50, TYPE_II), (30, 50, TYPE_IV)]:
                alone = ours(write(folder, side, times), side, times, formula)
                alone.run()
                print(f"\n{side} x {side} areas, {times} time(s): {formula}")
                print(", ".join(f"{name} {value:.4g}" for name, value in alone.stages[0].items()), flush=True)
            return
        rivals = shutil.which("Rscript") is not None
        if not rivals:
            print("mgcv is skipped: there is no Rscript")
        for side in (20,) if args.quick else (20, 30, 40):
            path = write(folder, side, 1)
            contenders = [ours(path, side, 1, AREAS)]
            for function, criterion in (("gam", "REML"), ("bam", "fREML")) if rivals else ():
                code = MGCV.format(path=path, side=side, function=function, criterion=criterion)
                contenders.append(Contender(f"mgcv::{function}", sys.executable, code))
            in_turn(contenders, 1 if args.quick else args.runs)
            print(f"\n{side} x {side} areas: {AREAS}")
            print(table(contenders))
            for rival in contenders[1:]:
                print(f"{rival.name} takes {ratio(rival, contenders[0]):.2f} times as long as lgm", flush=True)


if __name__ == "__main__":
    main()
