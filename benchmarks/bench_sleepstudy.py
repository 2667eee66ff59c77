"""The sleep study from `import` to the printed summary in a fresh process, beside bambi with nutpie in the same run.

    python benchmarks/bench_sleepstudy.py [--runs 5] [--quick] [--rival-python /path/to/python]

Four chains of 1000 kept draws each. lgm runs with an empty compilation cache, and once more with a filled one. The
rival needs an interpreter with bambi and nutpie (option, or LGM_RIVAL_PYTHON); without one only lgm is timed.
"""

import argparse
import os
import sys
import tempfile

from timing import Contender, export, in_turn, installed, ratio, table, under_test

FORMULA = "Reaction ~ Days + (Days|Subject)"

LGM = f"""
import json, time
t = [time.perf_counter()]
import lgm
t.append(time.perf_counter())
data = lgm.load_dataset("sleepstudy")
model = lgm.model({FORMULA!r}, data)
t.append(time.perf_counter())
fit = model.fit(seed=1, progress=False)
t.append(time.perf_counter())
fit.effects
t.append(time.perf_counter())
text = str(fit)
t.append(time.perf_counter())
str(lgm.fit({FORMULA!r}, data.assign(Reaction=data["Reaction"] * 1.1), seed=2, progress=False))
t.append(time.perf_counter())
names = ["import", "build", "mode and theta", "effects", "summary", "second fit, same process"]
print(json.dumps(dict(zip(names, (b - a for a, b in zip(t, t[1:]))))))
"""

BAMBI = f"""
import json, time
t = [time.perf_counter()]
import arviz, bambi, pandas
t.append(time.perf_counter())
model = bambi.Model({FORMULA!r}, pandas.read_csv({{path!r}}))
model.build()
t.append(time.perf_counter())
kwargs = dict(draws=1000, tune=1000, chains=4, random_seed=1)
fit = model.fit(inference_method="nutpie", **kwargs)
t.append(time.perf_counter())
text = str(arviz.summary(fit))
t.append(time.perf_counter())
print(json.dumps(dict(zip(["import", "build", "sample", "summary"], (b - a for a, b in zip(t, t[1:]))))))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a single run")
    parser.add_argument("--rival-python", default=os.environ.get("LGM_RIVAL_PYTHON"))
    options = parser.parse_args()
    print(under_test())
    with tempfile.TemporaryDirectory() as folder:
        cache = {
            "JAX_COMPILATION_CACHE_DIR": os.path.join(folder, "cache"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        cold = Contender("lgm, nothing cached", sys.executable, LGM)
        contenders = [cold, Contender("lgm, JAX's cache on disk", sys.executable, LGM, cache)]
        rival = installed(options.rival_python, "bambi", "nutpie")
        if rival:
            code = BAMBI.replace("{path!r}", repr(export("sleepstudy", folder)))
            contenders.append(Contender("bambi with nutpie", options.rival_python, code))
        else:
            print("bambi is skipped: name an interpreter that has bambi and nutpie by --rival-python")
        in_turn(contenders, 1 if options.quick else options.runs)
        print(table(contenders))
        second = cold.median("second fit, same process")
        print(f"\nThe wall time of lgm includes a second fit in the same process ({second:.2f} s).")
        if rival:
            for a in contenders[:2]:
                alone = [w - s["second fit, same process"] for w, s in zip(a.walls, a.stages, strict=True)]
                first = Contender(a.name, "", "", walls=alone)
                print(f"{a.name}, first fit / bambi with nutpie: {ratio(first, contenders[-1]):.2f}")


if __name__ == "__main__":
    main()
