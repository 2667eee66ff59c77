"""Normal density with covariance D + U U': ours beside the dense one and NumPyro's, value and gradient, in one run.

    python benchmarks/bench_low_rank.py [--quick]

Milliseconds, medians, jitted, float64. The dense density is left out above 2,000 dimensions, where it takes seconds.
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
RANKS = (1, 5, 20, 50)
DENSE_UP_TO = 2000


def ours(y: jax.Array, diagonal: jax.Array, factor: jax.Array) -> jax.Array:
    return LowRankCovarianceNormal(jnp.zeros_like(y), diagonal, factor).log_prob(y)


def numpyros(y: jax.Array, diagonal: jax.Array, factor: jax.Array) -> jax.Array:
    return dist.LowRankMultivariateNormal(jnp.zeros_like(y), factor, diagonal).log_prob(y)


def dense(y: jax.Array, diagonal: jax.Array, factor: jax.Array) -> jax.Array:
    return dist.MultivariateNormal(jnp.zeros_like(y), jnp.diag(diagonal) + factor @ factor.T).log_prob(y)


def medians(functions: Sequence[Callable[..., Any]], arguments: tuple[jax.Array, ...], seconds: float) -> list[float]:
    """Median milliseconds of each function, called in turns."""
    times: list[list[float]] = [[] for _ in functions]
    for function in functions:
        jax.block_until_ready(function(*arguments))
    start = time.perf_counter()
    while len(times[0]) < 5 or (time.perf_counter() - start < seconds and len(times[0]) < 2000):
        for function, found in zip(functions, times, strict=True):
            before = time.perf_counter()
            jax.block_until_ready(function(*arguments))
            found.append(time.perf_counter() - before)
    return [1e3 * float(np.median(found)) for found in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer calls")
    seconds = 0.2 if parser.parse_args().quick else 1.0
    jax.config.update("jax_enable_x64", True)
    rng = np.random.default_rng(0)
    print(
        f"{'n':>6s} {'rank':>5s} {'ours':>9s} {'NumPyro':>9s} {'dense':>9s} {'NumPyro/ours':>13s} {'dense/ours':>11s}"
    )
    for n in DIMENSIONS:
        for rank in RANKS:
            factor = jnp.asarray(rng.normal(size=(n, rank)))
            arguments = (jnp.asarray(rng.normal(size=n)), jnp.asarray(rng.uniform(0.5, 2.0, size=n)), factor)
            densities = [ours, numpyros, dense] if n <= DENSE_UP_TO else [ours, numpyros]
            found = medians([jax.jit(jax.value_and_grad(d, (0, 1, 2))) for d in densities], arguments, seconds)
            found += [float("nan")] * (3 - len(found))
            print(
                f"{n:6d} {rank:5d} {found[0]:9.3f} {found[1]:9.3f} {found[2]:9.3f} {found[1] / found[0]:13.2f} "
                f"{found[2] / found[0]:11.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
