"""Leave-one-out of InstEval, 73,421 ratings with 4,128 crossed effects, beside the fit that it is of.

    python benchmarks/bench_loo.py [--runs 1] [--quick]

Every run is a fresh process. Seconds for the full posterior of theta by importance sampling, for leave-one-out by rows
with its Pareto k, for the probabilities of smaller responses, and for a new response of each row by each draw; and the
peak of memory. With --quick on every tenth rating.
"""

import argparse
import sys

from timing import Contender, in_turn, table, under_test

FORMULA = "y ~ service + (1|s) + (1|d) + (1|dept:service)"

LGM = """
import json, resource, time
import lgm
data = lgm.load_dataset("InstEval")[::{every}]
start = time.perf_counter()
fit = lgm.fit({formula!r}, data, method="importance", seed=1, progress=False)
ready = time.perf_counter()
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
loo = fit.loo()
done = time.perf_counter()
loo.pit
out = {{"fit": ready - start, "loo": done - ready, "pit": time.perf_counter() - done, "thetas": loo.thetas.size}}
start = time.perf_counter()
for part in fit.posterior_predict(chunk="auto"):
    pass
out |= {{"predict": time.perf_counter() - start}}
out |= {{"GiB of the fit": memory, "GiB at most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}}
out |= {{"elpd": loo.elpd, "largest Pareto k": float(loo.table["pareto_k"].max())}}
print(json.dumps(out))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one run on every tenth rating")
    options = parser.parse_args()
    print(under_test())
    code = LGM.format(formula=FORMULA, every=10 if options.quick else 1)
    ours = Contender("lgm, method='importance'", sys.executable, code)
    in_turn([ours], 1 if options.quick else options.runs)
    print(table([ours]))
    print(f"leave-one-out / fit: {ours.median('loo') / ours.median('fit'):.2f}")


if __name__ == "__main__":
    main()
