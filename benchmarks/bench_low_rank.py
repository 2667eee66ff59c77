"""Normal density with covariance D + U U': ours beside NumPyro's low-rank one and the dense one, in one run.

    python benchmarks/bench_low_rank.py [--quick] [--dense]

Microseconds per call, float64, all jitted alike, of the value alone and of the value with its gradient in y, D and U.
"floor" is the sum of squares of the same arrays (and its gradient): what the call and the reading and writing of the
arrays take, below which no density can come. The ratio is NumPyro's time over ours, the median over rounds in which
the two follow each other, in an order drawn anew for each.

JAX hands all but the smallest programs to a second thread, at a cost of 20 to 70 microseconds that depend on what else
the machine does; a sampler pays it once a run and not once an evaluation, so it is turned off here for everyone.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from lgm.distributions import LowRankCovarianceNormal

DIMENSIONS = (9, 50, 200, 1000, 2000, 10_000)
RANKS = (1, 2, 3, 5, 10, 20, 50)
FEW_DIMENSIONS, FEW_RANKS = (9, 200, 1000), (1, 5, 20)
DENSE_UP_TO = 2000
DENSE_RANKS = (1, 50)
Density = Callable[..., jax.Array]


def ours(y: jax.Array, diagonal: jax.Array, factor: jax.Array) -> jax.Array:
    return LowRankCovarianceNormal(jnp.zeros_like(y), diagonal, factor).log_prob(y)


def numpyros(y: jax.Array, diagonal: jax.Array, factor: jax.Array) -> jax.Array:
    return dist.LowRankMultivariateNormal(jnp.zeros_like(y), factor, diagonal).log_prob(y)


def dense(y: jax.Array, diagonal: jax.Array, factor: jax.Array) -> jax.Array:
    return dist.MultivariateNormal(jnp.zeros_like(y), jnp.diag(diagonal) + factor @ factor.T).log_prob(y)


def floor(y: jax.Array, diagonal: jax.Array, factor: jax.Array) -> jax.Array:
    return jnp.sum(y**2) + jnp.sum(diagonal**2) + jnp.sum(factor**2)


def value(density: Density) -> Density:
    return jax.jit(density)


def with_gradient(density: Density) -> Density:
    return jax.jit(jax.value_and_grad(density, (0, 1, 2)))


def timed(function: Density, arguments: Sequence[jax.Array], calls: int) -> float:
    """Median seconds of a call, in a burst that finds the caches as the function itself left them."""
    times = []
    for _ in range(calls + 3):
        before = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - before)
    return float(np.median(times[3:]))


def rounds(functions: Sequence[Density], arguments: Sequence[jax.Array], count: int, seconds: float) -> Any:
    """Microseconds (count, functions): a burst of each in every round, in random order."""
    for function in functions:
        jax.block_until_ready(function(*arguments))  # compile
    calls = [int(np.clip(seconds / timed(f, arguments, 3), 3, 200)) for f in functions]
    rng = np.random.default_rng(0)
    found = np.empty((count, len(functions)))
    for row in found:
        for k in rng.permutation(len(functions)):
            row[k] = timed(functions[k], arguments, calls[k])
    return 1e6 * found


def data(n: int, rank: int) -> tuple[jax.Array, ...]:
    rng = np.random.default_rng(n + rank)
    return tuple(map(jnp.asarray, (rng.normal(size=n), rng.uniform(0.5, 2.0, size=n), rng.normal(size=(n, rank)))))


def beside_numpyro(dimensions: Sequence[int], ranks: Sequence[int], count: int, seconds: float) -> None:
    """The main table; last the smallest ratio from dimension 50 up."""
    columns = f"{'ours':>9s} {'NumPyro':>9s} {'floor':>9s} {'ratio':>6s}"
    print(f"{'':12s} | {'value':^36s} | {'value and gradient':^36s}")
    print(f"{'n':>6s} {'rank':>5s} | {columns} | {columns}")
    smallest = [np.inf, np.inf]
    for n in dimensions:
        for rank in ranks:
            row = f"{n:6d} {rank:5d}"
            for k, kind in enumerate((value, with_gradient)):
                found = rounds([kind(d) for d in (ours, numpyros, floor)], data(n, rank), count, seconds)
                times = np.median(found, axis=0)
                ratio = float(np.median(found[:, 1] / found[:, 0]))
                row += f" | {times[0]:9.1f} {times[1]:9.1f} {times[2]:9.1f} {ratio:6.2f}"
                if n >= 50:
                    smallest[k] = min(smallest[k], ratio)
            print(row, flush=True)
    print(f"smallest ratio from dimension 50 up: value {smallest[0]:.2f}, value and gradient {smallest[1]:.2f}")


def beside_dense(dimensions: Sequence[int], count: int, seconds: float) -> None:
    """Value and gradient beside the dense density, which takes a second at 2,000 dimensions."""
    print(f"\n{'n':>6s} {'rank':>5s} {'ours':>9s} {'dense':>10s} {'ratio':>7s}   value and gradient")
    for n in (n for n in dimensions if n <= DENSE_UP_TO):
        for rank in DENSE_RANKS:
            found = rounds([with_gradient(ours), with_gradient(dense)], data(n, rank), min(count, 3), seconds)
            times = np.median(found, axis=0)
            print(f"{n:6d} {rank:5d} {times[0]:9.1f} {times[1]:10.1f} {times[1] / times[0]:7.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer sizes, ranks and calls")
    parser.add_argument("--dense", action="store_true", help="also the dense density: about a minute more")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    dimensions, ranks = (FEW_DIMENSIONS, FEW_RANKS) if options.quick else (DIMENSIONS, RANKS)
    count, seconds = (5, 0.005) if options.quick else (15, 0.02)
    beside_numpyro(dimensions, ranks, count, seconds)
    if options.dense:
        beside_dense(dimensions, count, seconds)


if __name__ == "__main__":
    main()
