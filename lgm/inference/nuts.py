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

from lgm.errors import ConvergenceWarning
from lgm.inference import stretch
from lgm.inference.ahead import LOOPS, Compiled
from lgm.inference.draws import Draws
from lgm.inference.interrupt import interruptible
from lgm.inference.keys import key
from lgm.inference.mode import Mode, folded_scale, value_and_grad, working_scale
from lgm.inference.stretch import Stretched, log_density
from lgm.pattern import FloatArray
from lgm.posterior import Posterior

BLOCK = 50  # draws between two looks at the keyboard
WARMUP = 300
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
def _kernel(warmup: int) -> tuple[Any, Any]:
    """NumPyro's kernel keeps the settings given to `init` for `sample`, hence one pair per setting."""
    return hmc(potential_fn_gen=_potential, algo="NUTS")


@Compiled
def _start(target: Stretched, points: ParamInfo, keys: jax.Array, warmup: int) -> Any:
    init, _ = _kernel(warmup)

    def one(point: ParamInfo, key: jax.Array) -> Any:
        return init(
            point,
            num_warmup=warmup,
            step_size=1.0,
            inverse_mass_matrix=jnp.eye(point.z.size),
            dense_mass=True,
            adapt_mass_matrix=True,
            target_accept_prob=TARGET_ACCEPT,
            max_tree_depth=MAX_TREE_DEPTH,
            model_args=(target,),
            rng_key=key,
        )

    return jax.vmap(one)(points, keys)


@partial(Compiled, donate=(1,), options=LOOPS)
def _block(target: Stretched, states: Any, warmup: int, length: int) -> tuple[Any, _Trace]:
    _, step = _kernel(warmup)

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
    warmup, d = WARMUP if warmup is None else warmup, post.hyper.working_size
    with jax.enable_x64(True):
        target = Stretched(post, _shape(d), _shape(d, d), _shape(d), post.hyper.folded)
        state = _start.ahead(
            target,
            ParamInfo(_shape(chains, d), _shape(chains), _shape(chains, d)),
            key(0, shape=(chains,)),
            warmup=warmup,
        )
        _block.ahead(target, state, warmup=warmup, length=BLOCK)


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
        Where the chains start (with jitter) and how the coordinates are scaled.
    chains, draws : int
        Number of chains and of kept draws per chain.
    warmup : int or None
        Draws for adaptation; None for 300, enough because the coordinates are whitened already.
    seed : int
        The same seed gives the same bits on the same machine.
    progress : bool
        Whether to show a progress bar on stderr.
    start : float array (chains, k), optional
        Where the chains start, natural scale; by default jittered around the mode.

    Notes
    -----
    Ctrl-C stops at the next block of 50 draws; if warm-up is over, what has been drawn is returned with a warning.
    """
    warmup = WARMUP if warmup is None else warmup
    with jax.enable_x64(True):
        target = stretch.around(post, mode, np.asarray(folded_scale(post, jnp.asarray(mode.x))))
        state = _start(target, _starts(target, mode, chains, seed, start), key(seed, shape=(chains,)), warmup=warmup)
        blocks: list[_Trace] = []
        total = -(-warmup // BLOCK) * BLOCK + draws
        with (
            interruptible("block of draws") as stopped,
            tqdm(total=total, disable=not progress, desc="lgm", unit="draw") as bar,
        ):
            for done in range(0, total, BLOCK):
                state, trace = _block(target, state, warmup=warmup, length=BLOCK)
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


def _starts(target: Stretched, mode: Mode, chains: int, seed: int, start: FloatArray | None) -> ParamInfo:
    """Where every chain starts, with potential energy and gradient by the function that found the mode."""
    post = target.post
    if start is None:
        jitter = np.random.default_rng(seed).standard_normal((chains, mode.x.size))
        working = mode.x + jitter @ mode.root.T
    else:
        working = np.array([working_scale(post, jnp.asarray(theta)) for theta in start])
    points = []
    for u in working:
        value, grad = value_and_grad(post, jnp.asarray(u))
        points.append(stretch.from_working(target, u, float(value), np.asarray(grad)))
    z, values, grads = (np.array(column) for column in zip(*points, strict=True))
    return ParamInfo(jnp.asarray(z), -jnp.asarray(values), -jnp.asarray(grads))
