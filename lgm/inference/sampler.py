"""NumPyro's NUTS kernel in blocks of draws, chain beside chain.

The blocks are jitted at module level, so that a second model of the same structure compiles nothing, progress can be
shown, and Ctrl-C keeps what there is. The program is that of one chain. Each chain calls it in a thread of its own,
since XLA runs the programs of one thread one after another. A vectorised one takes twice as long to trace and to
compile, as its trees are loops within loops over all chains, and every chain would wait for the longest tree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from numpyro.infer.hmc import hmc
from numpyro.infer.util import ParamInfo

from lgm.arrays import FloatArray
from lgm.inference import progress
from lgm.inference.compile import compiled
from lgm.inference.coordinates import log_density
from lgm.inference.interrupt import interruptible
from lgm.xla import LOOPS, own_settings

BLOCK = 10  # draws between two looks at the keyboard and two steps of the progress bar
# The same where a draw takes a millisecond or less: calls of the program would take a fifth of the time otherwise.
BLOCK_OF_QUICK = 50

__all__ = ["BLOCK", "BLOCK_OF_QUICK", "ParamInfo", "Schedule", "Target", "Traced", "begin", "run"]


class Target(Protocol):
    """A log density of coordinates, as of `lgm.inference.coordinates`, and what is kept of a draw."""

    def log_density(self, x: jax.Array) -> jax.Array:
        """Log density of the coordinates; NaN where it is undefined."""

    def drawn(self, z: jax.Array) -> Any:
        """What to keep of a draw z."""


class Schedule(NamedTuple):
    """How many draws adapt, and how; ``shapes(post, schedule)`` are those of `begin`'s arguments."""

    warmup: int
    adapt_metric: bool
    dense: bool
    accept: float
    depth: int
    shapes: Callable[[Any, Schedule], tuple[Any, ...]]
    length: int = BLOCK


class _Trace(NamedTuple):
    drawn: Any
    diverging: jax.Array
    n_steps: jax.Array
    acceptance_rate: jax.Array
    energy: jax.Array
    lp: jax.Array


class Traced(NamedTuple):
    """Kept draws (chains, draws, ...), what is known of each, step sizes (chains,), and draws spent on adaptation.

    ``stopped`` says what there is if somebody stopped it, and is empty otherwise.
    """

    drawn: Any
    stats: dict[str, FloatArray]
    stopped: str
    step_size: FloatArray
    warmup: int


def _potential(target: Any) -> Any:
    return lambda z: -log_density(target, z)


@lru_cache
def _kernel(how: Schedule) -> tuple[Any, Any]:
    """NumPyro's kernel keeps the settings given to `init` for `sample`, hence one pair per setting."""
    return hmc(potential_fn_gen=_potential, algo="NUTS")


@compiled(shapes=lambda post, how: how.shapes(post, how))
def begin(how: Schedule, target: Target, point: Any, metric: jax.Array, key: jax.Array) -> Any:
    """State of a chain at a point, which is a `ParamInfo` where its density is known."""
    init, _ = _kernel(how)
    return init(
        point,
        num_warmup=how.warmup,
        step_size=1.0,
        inverse_mass_matrix=metric,
        dense_mass=how.dense,
        adapt_mass_matrix=how.adapt_metric,
        target_accept_prob=how.accept,
        max_tree_depth=how.depth,
        model_args=(target,),
        rng_key=key,
    )


@compiled(shapes=lambda post, how: (how.shapes(post, how)[0], begin.ahead(post, how)), donate=(1,), options=LOOPS)
def advance(how: Schedule, target: Target, state: Any) -> tuple[Any, _Trace]:
    """The next draws of a chain; `begin` comes with it, as it takes what that returns."""
    _, step = _kernel(how)

    def one(state: Any, _: None) -> tuple[Any, _Trace]:
        state = step(state, model_args=(target,))
        trace = _Trace(
            target.drawn(state.z),
            state.diverging,
            state.num_steps,
            state.accept_prob,
            state.energy,
            -state.potential_energy,
        )
        return state, trace

    return jax.lax.scan(one, state, None, length=how.length)


def block(
    step: Callable[[Any], tuple[Any, _Trace]], states: Sequence[Any], threads: Executor
) -> tuple[list[Any], list[_Trace]]:
    """The next draws of all chains; ``step`` is `advance` of a state."""

    def ready(state: Any) -> tuple[Any, _Trace]:
        with own_settings():  # JAX's settings are those of a thread
            return jax.block_until_ready(step(state))

    made = threads.map(ready, states)
    states, traces = map(list, zip(*made, strict=True))
    return states, traces


def run(how: Schedule, target: Target, states: Sequence[Any], draws: int, *, shown: bool) -> Traced:
    """Adapt and draw, until all draws are made or somebody wants to stop.

    Parameters
    ----------
    how : Schedule
    target : Target
    states : sequence
        Of chains, each as from `begin`.
    draws : int
        To keep, of each chain.
    shown : bool
        Whether to show progress.
    """
    step, length = advance.bound(how, target), how.length
    before = -(-how.warmup // length) * length
    parts: list[list[_Trace]] = []
    with (
        ThreadPoolExecutor(len(states), thread_name_prefix="lgm-chain") as threads,
        interruptible("block of draws") as stopped,
        progress.bar(before + draws, "draw", shown=shown) as bar,
    ):
        for done in range(0, before + draws, length):
            if done == before and not how.adapt_metric:
                states = _of_one_step(states)
            states, traces = block(step, states, threads)
            if done >= before:
                parts.append(jax.tree.map(np.asarray, traces))
            bar.update(min(length, before + draws - done))
            bar.set_postfix_str("warm-up" if done < before else "", refresh=False)
            if stopped:
                break
    if not parts:
        raise KeyboardInterrupt("stopped before a draw could be kept")
    chains = [
        jax.tree.map(lambda *arrays: np.concatenate(arrays)[:draws], *chain) for chain in zip(*parts, strict=True)
    ]
    kept = jax.tree.map(lambda *arrays: np.stack(arrays), *chains)
    made = kept.lp.shape[1]
    if made < 4:
        raise KeyboardInterrupt("stopped before a draw could be kept")
    words = f"stopped after {made} of {draws} draws per chain; these are kept" if made < draws else ""
    stats = {name: value for name, value in kept._asdict().items() if name != "drawn"}
    return Traced(kept.drawn, stats, words, np.array([state.adapt_state.step_size for state in states]), before)


def _of_one_step(states: Sequence[Any]) -> list[Any]:
    """With the step size that chains of one metric found together, which varies much less than that of each."""
    together = np.exp(np.mean(np.log([state.adapt_state.step_size for state in states])))
    return [state._replace(adapt_state=state.adapt_state._replace(step_size=together)) for state in states]
