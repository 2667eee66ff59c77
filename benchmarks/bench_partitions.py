"""Rows that are never in memory together: time of each pass, peak memory, and what a fit in memory takes.

    python benchmarks/bench_partitions.py --rows 10_000_000 --how iterated
    python benchmarks/bench_partitions.py --rows 10_000_000 --how memory
    python benchmarks/bench_partitions.py --rows 100_000_000 --how dask --workers 2

``y ~ x1 + x2 + (1|g1) + (1|g2) + s(t)`` with 10^4 and 10^3 levels; rows are made where they are read, a million at a
time. Of `dask` the peak is that of this process and of its workers together, sampled twice a second.
"""

from __future__ import annotations

import argparse
import os
import resource
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import lgm
from lgm.data.partitions import Partitions, partitions_of

FORMULA = "y ~ x1 + x2 + (1|g1) + (1|g2) + s(t)"
LEVELS = (10_000, 1_000)
TIMES = 1_000  # values of t
AT_ONCE = 1_000_000


def rows(part: int, n: int) -> pd.DataFrame:
    """A partition, the same whenever and wherever it is made."""
    effects = np.random.default_rng(0)
    first, second = effects.normal(0.0, 0.7, LEVELS[0]), effects.normal(0.0, 0.4, LEVELS[1])
    rng = np.random.default_rng([1, part])
    g1, g2 = rng.integers(LEVELS[0], size=n), rng.integers(LEVELS[1], size=n)
    t = rng.integers(TIMES, size=n) / TIMES
    x1, x2 = rng.normal(size=n), rng.normal(3.0, 2.0, size=n)
    y = 1.0 + 0.5 * x1 - 0.2 * x2 + np.sin(6.0 * t) + first[g1] + second[g2] + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x1": x1, "x2": x2, "g1": g1, "g2": g2, "t": t})


@dataclass(frozen=True)
class Made:
    """Partitions that are made whenever they are asked for."""

    n: int

    def sizes(self) -> list[int]:
        """Rows of each."""
        whole, rest = divmod(self.n, AT_ONCE)
        return [AT_ONCE] * whole + [rest] * (rest > 0)

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return (rows(i, n) for i, n in enumerate(self.sizes()))


@dataclass(frozen=True)
class Timed(Partitions):
    """Partitions that note how long each pass takes."""

    inner: Partitions
    passes: list[float] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, ...]:
        return self.inner.names

    def reduced(self, *how: Any) -> Any:
        start = time.perf_counter()
        found = self.inner.reduced(*how)
        self.passes.append(time.perf_counter() - start)
        print(f"pass {len(self.passes)}: {self.passes[-1]:.1f} s", flush=True)
        return found


class Peak:
    """The largest memory in use by this process and its children, in GiB."""

    def __init__(self) -> None:
        self.largest, self._stop = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            self.largest = max(self.largest, sum(map(resident, family(os.getpid()))) / 2**20)


def resident(process: int) -> int:
    """Memory of a process that is its own, in KiB; none of one that has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def family(process: int) -> set[int]:
    """A process and all that it started."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found, before = {process}, 0
    while len(found) > before:
        before = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=lambda text: int(text.replace("_", "")), default=AT_ONCE)
    parser.add_argument("--how", choices=("iterated", "memory", "dask", "parquet"), default="iterated")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--method", nargs="+", default=["mode"])
    parser.add_argument("--path", help="of Parquet files")
    parser.add_argument("--only-model", action="store_true", help="the passes, and no fit")
    parser.add_argument("--quick", action="store_true", help="fifty thousand rows, and no fit")
    chosen = parser.parse_args()
    made = Made(50_000 if chosen.quick else chosen.rows)
    cluster: Any = None
    with Peak() as peak:
        start, cpu = time.perf_counter(), time.process_time()
        if chosen.how == "memory":
            data: Any = pd.concat(list(made), ignore_index=True)
            print(f"rows made in {time.perf_counter() - start:.1f} s", flush=True)
        elif chosen.how == "dask":
            import dask.dataframe as dd
            from dask.distributed import Client, LocalCluster

            cluster = LocalCluster(n_workers=chosen.workers, threads_per_worker=1, memory_limit="3GiB")
            Client(cluster)
            sizes = made.sizes()
            data = dd.from_map(rows, range(len(sizes)), sizes, meta=rows(0, 1))
        elif chosen.how == "parquet":
            data = chosen.path
        else:
            data = made
        found = partitions_of(data)
        start, cpu = time.perf_counter(), time.process_time()
        model = lgm.model(FORMULA, data if found is None else Timed(found))
        built = time.perf_counter() - start
        print(f"model: {built:.1f} s, {time.process_time() - cpu:.1f} CPU s in this process", flush=True)
        start = time.perf_counter()
        theta = {name: 0.5 for name in model.design.theta_names}
        print(f"log density at sds of one half: {model.log_density(theta)!r}", flush=True)
        print(f"one evaluation, compiled first: {time.perf_counter() - start:.1f} s", flush=True)
        start = time.perf_counter()
        if not (chosen.only_model or chosen.quick):
            for method in chosen.method:
                start, cpu = time.perf_counter(), time.process_time()
                print(model.fit(method=method, seed=1, progress=False).summary())
                used = time.process_time() - cpu
                print(f"{method}: {time.perf_counter() - start:.1f} s, {used:.1f} CPU s", flush=True)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak: {peak.largest:.2f} GiB in all, {own:.2f} GiB in this process")
    if cluster is not None:
        cluster.close()


if __name__ == "__main__":
    main()
