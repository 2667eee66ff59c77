"""Many fits in one process: the time of each, and whether memory grows.

    python benchmarks/bench_many.py [--refits 500] [--models 1000] [--method mode] [--quick]

Refits are of simulated responses, as in a simulation study or a bootstrap; models have a number of rows and of levels
each of their own, so that each compiles its programs. Processor seconds for a fit with its table, and resident memory
after each tenth of the fits, when glibc has given back what it had kept for later. Of programs the last ones used are
kept, so memory grows until there are as many: what counts is its slope over the second half, in MB for a hundred fits.
"""

import argparse
import ctypes
import gc
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from timing import under_test

FORMULA = "y ~ x + (1|g)"


def resident() -> float:
    """MB in memory now, freed pages given back where the C library can."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def table(rows: int, levels: int, seed: int) -> pd.DataFrame:
    """An intercept for each level."""
    rng = np.random.default_rng(seed)
    g, x = np.arange(rows) % levels, rng.normal(size=rows)
    return pd.DataFrame({"y": x + rng.normal(size=levels)[g] + rng.normal(size=rows), "x": x, "g": g})


def watched(name: str, fit: Callable[[int], object], times: int) -> None:
    """One line for each tenth, and one for all."""
    seen, spent, every = [], time.process_time(), max(times // 10, 1)
    for i in range(times):
        fit(i)
        if (i + 1) % every == 0:
            seen.append((i + 1, resident()))
            each = (time.process_time() - spent) / (i + 1)
            print(f"{name:<10}{i + 1:>8} fits {1e3 * each:10.1f} ms each {seen[-1][1]:10.0f} MB", flush=True)
    late = np.array(seen[len(seen) // 2 :])
    if len(late) > 1:
        print(f"{name:<10} grows by {100.0 * np.polyfit(late[:, 0], late[:, 1], 1)[0]:.2f} MB in a hundred fits")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--refits", type=int, default=500)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--method", default="mode")
    parser.add_argument("--quick", action="store_true", help="twenty refits and four models")
    options = parser.parse_args()
    refits, models = (20, 4) if options.quick else (options.refits, options.models)
    print(under_test())
    import lgm

    def of(data: pd.DataFrame) -> str:
        return str(lgm.fit(FORMULA, data, method=options.method, seed=1, progress=False))

    watched("refits", lambda i: of(table(200, 20, i)), refits)
    watched("models", lambda i: of(table(100 + 3 * i, 10 + i % 37, i)), models)


if __name__ == "__main__":
    main()
