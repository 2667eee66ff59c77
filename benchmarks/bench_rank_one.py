"""A Cholesky factor after a change of rank one, and its gradient, beside factoring anew. Call it as

    python benchmarks/bench_rank_one.py [--quick]

Factoring anew is JAX's own ``cholesky`` of ``L L' + x x'``, the matrix given (to form it costs more than to factor it).
Times are microseconds of one call, medians of rounds in which both take turns.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lgm.linalg import cholesky_update

SIZES, FEW = (10, 30, 100, 300, 1000, 2000), (10, 100, 300)


def data(n: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """A factor, a vector, and the matrix that both make."""
    rng = np.random.default_rng(n)
    lower = np.tril(rng.normal(size=(n, n)) / n, -1) + np.diag(rng.uniform(0.5, 2.0, n))
    x = rng.normal(size=n)
    return jnp.asarray(lower), jnp.asarray(x), jnp.asarray(lower @ lower.T + np.outer(x, x))


def updated(lower: jax.Array, x: jax.Array, whole: jax.Array) -> jax.Array:
    return cholesky_update(lower, x)


def anew(lower: jax.Array, x: jax.Array, whole: jax.Array) -> jax.Array:
    return jnp.linalg.cholesky(whole, symmetrize_input=False)


def gradient_updated(lower: jax.Array, x: jax.Array, whole: jax.Array) -> Any:
    return jax.grad(lambda lower, x: jnp.sum(jnp.log(jnp.diagonal(cholesky_update(lower, x)))), argnums=(0, 1))(
        lower, x
    )


def gradient_anew(lower: jax.Array, x: jax.Array, whole: jax.Array) -> Any:
    return jax.grad(lambda whole: jnp.sum(jnp.log(jnp.diagonal(jnp.linalg.cholesky(whole)))))(whole)


def rounds(functions: Sequence[Callable[..., Any]], args: tuple[jax.Array, ...], count: int) -> list[float]:
    """Microseconds of a call of each."""
    compiled = [jax.jit(function) for function in functions]
    for one in compiled:
        jax.block_until_ready(one(*args))
    times = np.empty((count, len(compiled)))
    for row in times:
        for j, one in enumerate(compiled):
            start = time.perf_counter()
            jax.block_until_ready(one(*args))
            row[j] = 1e6 * (time.perf_counter() - start)
    return np.median(times, axis=0).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer sizes and calls")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    print(f"{'n':>6s} {'update':>9s} {'anew':>9s} {'ratio':>6s} {'gradient':>9s} {'anew':>9s} {'ratio':>6s}")
    for n in FEW if options.quick else SIZES:
        args, count = data(n), 5 if options.quick else 51 if n < 1000 else 9
        one, other = rounds([updated, anew], args, count)
        slope, slope_other = rounds([gradient_updated, gradient_anew], args, count)
        ratios = other / one, slope_other / slope
        print(
            f"{n:6d} {one:9.1f} {other:9.1f} {ratios[0]:6.2f} {slope:9.1f} {slope_other:9.1f} {ratios[1]:6.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
