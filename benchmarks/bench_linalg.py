"""Value and gradient of a sparse Gaussian log-density: `lgm.linalg` beside CHOLMOD and sparsax, in one run.

    python benchmarks/bench_linalg.py [--cases "grid 100^2" "crossed"] [--quick] [--minima]
    python benchmarks/bench_linalg.py --memory [--calls 10000] [--cases ...]
    python benchmarks/bench_linalg.py --orderings [--cases ...]

Every figure is a median over calls with values that change from call to call, or with --minima the least, which a busy
machine disturbs less. Columns: milliseconds of our factorisation, of our fused call (factor, solve, selected inverse),
of our jitted value and gradient of ``0.5 b'Q^-1 b - 0.5 log|Q|``, all on one thread; of one factorisation by CHOLMOD
with an ordering of the same family (scikit-sparse), and of sparsax's value and gradient; then the ratios. Then what a
second thread gains, in one evaluation and in a batch of four. CHOLMOD and sparsax are rivals only; without them their
columns are empty. CHOLMOD takes the BLAS that the system has: set its threads to one (OPENBLAS_NUM_THREADS=1).

With --memory: the factor L (8 bytes a nonzero), our work space, and the peak of a first value and gradient beyond what
the process had before (work space, results, and what JAX and BLAS set up); then how far many more push that peak.

With --orderings: for the best of the orderings that need no other library, for nested dissection by METIS and for
the one that lgm chooses, the nonzeros of the factor, the operations of one factorisation, and the times of the
analysis and of the fused call.
"""

import argparse
import gc
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
from cases import CASES, LARGE

from lgm.linalg import SparseAnalysis, _calls, analyse, logdet, logdet_quad
from lgm.linalg._ffi import kernel

try:
    from sksparse import cholmod
except ImportError:
    cholmod = None
try:
    import sparsax
except ImportError:
    sparsax = None

Function = Callable[..., Any]
Statistic = Callable[[Sequence[float]], Any]


def call_ms(function: Function, arguments: Sequence[Any], seconds: float, statistic: Statistic) -> float:
    """Time of a call in milliseconds over about this many seconds, at least 5 calls."""
    jax.block_until_ready(function(arguments[0]))
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < 5 or (time.perf_counter() - start < seconds and len(times) < 2000):
        before = time.perf_counter()
        jax.block_until_ready(function(arguments[len(times) % len(arguments)]))
        times.append(time.perf_counter() - before)
    return 1e3 * float(statistic(times))


def interleaved_ms(
    functions: Sequence[Function], arguments: Sequence[Any], seconds: float, statistic: Statistic = np.median
) -> list[float]:
    """Times of several functions, taken in turns so that a busy machine slows all of them."""
    rounds = [[call_ms(f, arguments, seconds / 3, statistic) for f in functions] for _ in range(3)]
    return [float(statistic(column)) for column in zip(*rounds, strict=True)]


def ours(sym: SparseAnalysis, b: jax.Array) -> Function:
    """Jitted value and gradient of the log-density."""

    def objective(values: jax.Array) -> jax.Array:
        ld, quad, _ = logdet_quad(sym, values, b)
        return 0.5 * quad - 0.5 * ld

    return jax.value_and_grad(objective)


def rivals(sym: SparseAnalysis, b: jax.Array) -> Function:
    """The same by sparsax; it wants the upper triangle."""
    i, j = jnp.asarray(sym.pattern.cols, jnp.int32), jnp.asarray(sym.pattern.rows, jnp.int32)

    def objective(values: jax.Array) -> jax.Array:
        x = sparsax.solve(i, j, values, b)
        return 0.5 * b @ x - 0.5 * sparsax.logdet(i, j, values, sym.n)

    return jax.value_and_grad(objective)


def factorisation_by_cholmod(sym: SparseAnalysis) -> Function | None:
    """CHOLMOD's numeric factorisation of the matrix with these values, which it takes as a SciPy matrix."""
    if cholmod is None:
        return None
    family = "metis" if sym.ordering == "metis" else "natural" if sym.ordering == "natural" else "amd"
    matrix = sp.csc_matrix(sym.pattern.matrix(np.ones(sym.nnz)))
    place = sp.csc_matrix(sym.pattern.matrix(np.arange(1.0, sym.nnz + 1))).data.astype(np.int64) - 1
    factor = cholmod.analyze(matrix, mode="auto", ordering_method=family)

    def run(values: jax.Array) -> np.ndarray:
        matrix.data[:] = np.asarray(values)[place]
        factor.cholesky_inplace(matrix)
        return np.zeros(())

    return run


def values_of(sym: SparseAnalysis, base: np.ndarray, count: int) -> list[jax.Array]:
    """Positive definite variants: every diagonal entry grows by its own amount."""
    rng = np.random.default_rng(0)
    out = []
    for _ in range(count):
        values = base.copy()
        values[sym.pattern.indptr[:-1]] *= 1.0 + 0.1 * rng.uniform(size=sym.n)
        out.append(jnp.asarray(values))
    return out


def single(name: str, seconds: float, statistic: Statistic) -> None:
    """One row of the main table."""
    matrix = CASES[name]()
    start = time.perf_counter()
    sym = analyse(matrix)
    analysis_ms = 1e3 * (time.perf_counter() - start)
    arguments = values_of(sym, sym.values(matrix), 5)
    b = jnp.asarray(np.random.default_rng(2).normal(size=sym.n))
    factor = jax.jit(lambda v: logdet(sym, v))
    fused = jax.jit(lambda v: _calls.factor_solve_invert(sym, v, b[:, None]))
    functions: dict[str, Function] = {"factor": factor, "fused": fused, "ours": jax.jit(ours(sym, b))}
    if (factorisation := factorisation_by_cholmod(sym)) is not None:
        functions["cholmod"] = factorisation
    error = float("nan")
    if sparsax is not None:
        functions["sparsax"] = jax.jit(rivals(sym, b))
        gradient, reference = (functions[key](arguments[0])[1] for key in ("ours", "sparsax"))
        error = float(jnp.max(jnp.abs(gradient - reference)) / jnp.max(jnp.abs(reference)))
    kernel.set_max_threads(1)
    found = interleaved_ms(list(functions.values()), arguments, seconds, statistic)
    kernel.set_max_threads(0)
    times = dict.fromkeys(("cholmod", "sparsax"), float("nan")) | dict(zip(functions, found, strict=True))
    memory = sym.workspace_bytes / 8 / sym.nnz_factor
    print(
        f"{name:16s} {sym.n:7d} {sym.ordering:8s} {analysis_ms:8.1f} {times['factor']:9.3f} {times['fused']:9.3f} "
        f"{times['ours']:9.3f} {times['cholmod']:9.3f} {times['sparsax']:9.3f} {times['ours'] / times['cholmod']:8.2f} "
        f"{times['sparsax'] / times['ours']:7.1f} {times['fused'] / times['factor']:7.2f} {memory:7.2f} {error:9.1e}",
        flush=True,
    )


def threads_table(name: str, seconds: float, statistic: Statistic) -> None:
    """Value, value and gradient, and four of these under vmap, on one thread and on two."""
    matrix = CASES[name]()
    sym = analyse(matrix)
    arguments = values_of(sym, sym.values(matrix), 4)
    b = jnp.asarray(np.random.default_rng(2).normal(size=sym.n))
    cells = []
    for function, given in (
        (jax.jit(lambda v: logdet(sym, v)), arguments),
        (jax.jit(ours(sym, b)), arguments),
        (jax.jit(jax.vmap(ours(sym, b))), [jnp.stack(arguments)]),
    ):
        times: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(3):
            for threads, found in times.items():
                kernel.set_max_threads(threads)
                found.append(call_ms(function, given, seconds / 3, statistic))
        kernel.set_max_threads(0)
        one, two = (float(statistic(found)) for found in times.values())
        cells.append(f"{one:9.3f} {two:9.3f} {one / two:6.2f}")
    print(f"{name:16s} " + "  ".join(cells), flush=True)


def memory_kib(field: str) -> int:
    """Memory of this process in KiB: "VmRSS" now, "VmHWM" at its highest (Linux only)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def memory(name: str, calls: int) -> None:
    """Peak of a value and gradient beyond what the process had before it, and growth over many."""
    matrix = CASES[name]()
    sym = analyse(matrix)
    arguments = values_of(sym, sym.values(matrix), 5)
    function = jax.jit(ours(sym, jnp.ones(sym.n))).lower(arguments[0]).compile()
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on
    before = memory_kib("VmRSS")
    jax.block_until_ready(function(arguments[0]))
    peak = 1024 * (memory_kib("VmHWM") - before)
    for k in range(200):
        jax.block_until_ready(function(arguments[k % 5]))
    warm = memory_kib("VmHWM")
    start = time.perf_counter()
    for k in range(calls):
        jax.block_until_ready(function(arguments[k % 5]))
    seconds = time.perf_counter() - start
    growth = memory_kib("VmHWM") - warm
    factor = 8 * sym.nnz_factor
    print(
        f"{name:16s} {factor / 2**20:9.3f} {sym.workspace_bytes / 2**20:9.3f} {peak / 2**20:9.3f} "
        f"{sym.workspace_bytes / factor:7.2f} {peak / factor:7.2f} {growth:9d} {calls:7d} {seconds:7.1f}",
        flush=True,
    )


def memory_table(names: Sequence[str], calls: int) -> None:
    """One row per case, each in a process of its own, so that none finds memory that another has left."""
    print(
        f"{'case':16s} {'L MiB':>9s} {'work MiB':>9s} {'peak MiB':>9s} {'work/L':>7s} {'peak/L':>7s} {'grew KiB':>9s} "
        f"{'calls':>7s} {'seconds':>7s}",
        flush=True,
    )
    for name in names:
        command = [sys.executable, __file__, "--memory-of-one", "--calls", str(calls), "--cases", name]
        subprocess.run(command, check=True)


def timed_analysis(matrix: sp.csc_array, ordering: str) -> tuple[float, SparseAnalysis]:
    """Milliseconds, and the analysis."""
    start = time.perf_counter()
    sym = analyse(matrix, ordering=ordering)
    return 1e3 * (time.perf_counter() - start), sym


def ordering_table(names: Sequence[str], seconds: float) -> None:
    """Without nested dissection, with it alone, and what is chosen; fused calls are taken in turns."""
    print(
        f"{'case':16s} {'n':>7s} {'wanted':8s} {'taken':8s} {'nnz(L)':>10s} {'Mflop':>9s} {'analyse':>9s} {'fused':>9s}"
    )
    for name in names:
        matrix = {**CASES, **LARGE}[name]()
        own = [timed_analysis(matrix, ordering) for ordering in ("natural", "amd", "rcm")]
        without = sum(ms for ms, _ in own), min((sym for _, sym in own), key=lambda sym: sym.flops)
        found = {"own": without, "metis": timed_analysis(matrix, "metis"), "auto": timed_analysis(matrix, "auto")}
        b = jnp.ones((matrix.shape[0], 1))
        arguments = values_of(without[1], without[1].values(matrix), 3)
        functions = [jax.jit(partial(_calls.factor_solve_invert, sym, rhs=b)) for _, sym in found.values()]
        times = interleaved_ms(functions, arguments, seconds)
        for (wanted, (analysis_ms, sym)), ms in zip(found.items(), times, strict=True):
            print(
                f"{name:16s} {sym.n:7d} {wanted:8s} {sym.ordering:8s} {sym.nnz_factor:10d} {sym.flops / 1e6:9.1f} "
                f"{analysis_ms:9.1f} {ms:9.3f}",
                flush=True,
            )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="*", choices=[*CASES, *LARGE])
    parser.add_argument("--quick", action="store_true", help="fewer calls")
    parser.add_argument("--minima", action="store_true", help="the least of all times instead of medians")
    parser.add_argument(
        "--memory", action="store_true", help="memory instead of time (Linux); half an hour for all cases"
    )
    parser.add_argument("--orderings", action="store_true", help="what nested dissection is worth, large cases too")
    parser.add_argument("--calls", type=int, default=10_000, help="evaluations over which memory may grow")
    parser.add_argument("--memory-of-one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    seconds = 0.3 if options.quick else 2.0
    statistic = np.min if options.minima else np.median
    if options.orderings:
        return ordering_table(options.cases or [*CASES, *LARGE], seconds)
    names = options.cases or list(CASES)
    if options.memory_of_one:
        return memory(names[0], options.calls)
    if options.memory:
        return memory_table(names, options.calls)
    for rival, package in ((cholmod, "scikit-sparse"), (sparsax, "sparsax")):
        if rival is None:
            print(f"{package} is not installed: its columns are empty (pip install {package})")
    print(
        f"{'case':16s} {'n':>7s} {'ordering':8s} {'analyse':>8s} {'factor':>9s} {'fused':>9s} {'ours':>9s} "
        f"{'cholmod':>9s} {'sparsax':>9s} {'ours/CH':>8s} {'times':>7s} {'fus/fac':>7s} {'mem/L':>7s} {'error':>9s}"
    )
    for name in names:
        single(name, seconds, statistic)
    print(f"\n{'':16s} {'value':>9s} {'2 threads':>9s} {'gain':>6s}", end="")
    for what in ("with gradient", "four of these"):
        print(f" {what:>14s} {'':>5s} {'gain':>6s}", end="")
    print()
    for name in names:
        threads_table(name, seconds, statistic)


if __name__ == "__main__":
    main()
