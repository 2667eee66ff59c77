"""NumPyro's NUTS on theta, in coordinates whitened at the mode, several chains in one vectorised run.

(The coordinates are those of `lgm.inference.stretch`.)

The kernel runs in jitted blocks of draws at module level, so that a second model of the same structure compiles
nothing, progress can be shown, and Ctrl-C keeps what there is.
"""

from __future__ import annotations

import warnings
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer.hmc import hmc
from numpyro.infer.util import ParamInfo
from tqdm import tqdm

from lgm.arrays import FloatArray
from lgm.errors import ConvergenceWarning
from lgm.inference import stretch
from lgm.inference.compile import LOOPS, Compiled
from lgm.inference.draws import Draws
from lgm.inference.interrupt import interruptible
from lgm.inference.keys import key
from lgm.inference.mode import Mode, folded_scale
from lgm.inference.start import from_points, from_thetas
from lgm.inference.stretch import Stretched, log_density
from lgm.posterior.density import Posterior

BLOCK = 50  # draws between two looks at the keyboard
WARMUP = 150  # draws that find the step size; NumPyro restarts its search after the first 100
ADAPTATION = 300  # draws that find the metric as well
TARGET_ACCEPT = 0.95  # posteriors of two sds can be thin arcs, where longer steps diverge; costs 10 to 30 % more steps
MAX_TREE_DEPTH = 8


class _Trace(NamedTuple):
    theta: jax.Array
    diverging: jax.Array
    n_steps: jax.Array
    acceptance_rate: jax.Array
    energy: jax.Array
    lp: jax.Array


def _potential(target: Stretched) -> Any:
    return lambda z: -log_density(target, z)


@lru_cache
def _kernel(warmup: int, adapt_metric: bool) -> tuple[Any, Any]:
    """NumPyro's kernel keeps the settings given to `init` for `sample`, hence one pair per setting."""
    return hmc(potential_fn_gen=_potential, algo="NUTS")


@Compiled
def _begin(
    target: Stretched, points: ParamInfo, metric: jax.Array, keys: jax.Array, warmup: int, adapt_metric: bool
) -> Any:
    init, _ = _kernel(warmup, adapt_metric)

    def one(point: ParamInfo, key: jax.Array) -> Any:
        return init(
            point,
            num_warmup=warmup,
            step_size=1.0,
            inverse_mass_matrix=metric,
            dense_mass=True,
            adapt_mass_matrix=adapt_metric,
            target_accept_prob=TARGET_ACCEPT,
            max_tree_depth=MAX_TREE_DEPTH,
            model_args=(target,),
            rng_key=key,
        )

    return jax.vmap(one)(points, keys)


@partial(Compiled, donate=(1,), options=LOOPS)
def _block(target: Stretched, states: Any, warmup: int, adapt_metric: bool, length: int) -> tuple[Any, _Trace]:
    _, step = _kernel(warmup, adapt_metric)

    def one(state: Any, _: None) -> tuple[Any, _Trace]:
        state = jax.vmap(lambda s: step(s, model_args=(target,)))(state)
        theta = jax.vmap(target.natural)(state.z)
        trace = _Trace(
            theta, state.diverging, state.num_steps, state.accept_prob, state.energy, -state.potential_energy
        )
        return state, trace

    return jax.lax.scan(one, states, None, length=length)


def prepare(post: Posterior, *, chains: int, warmup: int | None) -> None:
    """Begin to compile what `sample` will call, from shapes alone."""
    d, how = post.hyper.working_size, _adaptation(warmup, adapt_metric=warmup is not None)
    with jax.enable_x64(True):
        target = Stretched(post, _shape(d), _shape(d, d), _shape(d), post.hyper.folded)
        points = ParamInfo(_shape(chains, d), _shape(chains), _shape(chains, d))
        state = _begin.ahead(target, points, _shape(d, d), key(0, shape=(chains,)), **how)
        _block.ahead(target, state, **how, length=BLOCK)


def _adaptation(warmup: int | None, *, adapt_metric: bool) -> dict[str, int]:
    """How many draws adapt, and whether they adapt the metric too."""
    return {"warmup": warmup or (ADAPTATION if adapt_metric else WARMUP), "adapt_metric": adapt_metric}


def _shape(*shape: int) -> Any:
    return jax.ShapeDtypeStruct(shape, jnp.float64)


def sample(
    post: Posterior,
    mode: Mode,
    *,
    chains: int,
    draws: int,
    warmup: int | None,
    seed: int,
    progress: bool,
    start: FloatArray | None = None,
) -> Draws:
    """Draw theta from its posterior.

    Parameters
    ----------
    post : Posterior
    mode : Mode
        How the coordinates are scaled.
    chains, draws : int
        Number of chains and of kept draws per chain.
    warmup : int or None
        Draws that adapt step size and metric. None for 150 that adapt the step size alone, because the metric and the
        chains' starts are those of weighted points around the mode (`lgm.inference.start`); 300 of both kinds if the
        chains start elsewhere.
    seed : int
        The same seed gives the same bits on the same machine.
    progress : bool
        Whether to show a progress bar on stderr.
    start : float array (chains, k), optional
        Where the chains start, natural scale.

    Notes
    -----
    Ctrl-C stops at the next block of 50 draws; if warm-up is over, what has been drawn is returned with a warning.
    """
    how = _adaptation(warmup, adapt_metric=warmup is not None or start is not None)
    with jax.enable_x64(True):
        target = stretch.around(post, mode, np.asarray(folded_scale(post, mode.x)))
        begun = from_points(target, chains, seed) if start is None else from_thetas(target, start)
        points = ParamInfo(begun.z, -begun.value, -begun.grad)
        state = _begin(target, points, begun.metric, key(seed, shape=(chains,)), **how)
        blocks: list[_Trace] = []
        total = -(-how["warmup"] // BLOCK) * BLOCK + draws
        with (
            interruptible("block of draws") as stopped,
            tqdm(total=total, disable=not progress, desc="lgm", unit="draw") as bar,
        ):
            for done in range(0, total, BLOCK):
                state, trace = _block(target, state, **how, length=BLOCK)
                blocks.append(jax.tree.map(np.asarray, trace))
                bar.update(min(BLOCK, total - done))
                bar.set_postfix_str("warm-up" if done < total - draws else "", refresh=False)
                if stopped:
                    break
    trace = jax.tree.map(lambda *parts: np.concatenate(parts), *blocks)
    kept = jax.tree.map(lambda a: np.swapaxes(a[total - draws : total], 0, 1), trace)
    made = kept.theta.shape[1]
    if stopped and made < 4:
        raise KeyboardInterrupt("stopped before a draw could be kept")
    if made < draws:
        warnings.warn(
            f"stopped after {made} of {draws} draws per chain; these are kept", ConvergenceWarning, stacklevel=6
        )
    stats = {name: value for name, value in kept._asdict().items() if name != "theta"}
    step_size = np.asarray(state.adapt_state.step_size)
    return Draws(kept.theta, stats, step_size, total - draws, made < draws)
