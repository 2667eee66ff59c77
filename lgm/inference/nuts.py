"""NumPyro's NUTS on theta, in coordinates whitened at the mode, several chains in one vectorised run.

(The coordinates are those of `lgm.inference.coordinates`.)

The kernel runs in jitted blocks of draws at module level, so that a second model of the same structure compiles
nothing, progress can be shown, and Ctrl-C keeps what there is.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer.hmc import hmc
from numpyro.infer.util import ParamInfo

from lgm.arrays import FloatArray
from lgm.errors import ConvergenceWarning
from lgm.inference import progress
from lgm.inference.chains import Chains
from lgm.inference.compile import LOOPS, Plan, compiled, floats
from lgm.inference.coordinates import Bend, Whitened, Working, log_density, whitened
from lgm.inference.corrected import corrected
from lgm.inference.corrected import programs as correcting
from lgm.inference.draws import Expected, Run
from lgm.inference.importance import EVALUATIONS
from lgm.inference.interrupt import interruptible
from lgm.inference.keys import key
from lgm.inference.mode import Mode, evaluate, find_mode, folded_scale
from lgm.inference.start import from_points, from_thetas
from lgm.posterior.density import Marginal

BLOCK = 10  # draws between two looks at the keyboard and two steps of the progress bar
WARMUP = 150  # draws that find the step size; NumPyro restarts its search after the first 100
ADAPTATION = 300  # draws that find the metric as well
TARGET_ACCEPT = 0.95  # posteriors of two sds can be thin arcs, where longer steps diverge; costs 10 to 30 % more steps
MAX_TREE_DEPTH = 8


class _Schedule(NamedTuple):
    """How many chains, how many draws adapt, whether they adapt the metric too, and draws in a block."""

    chains: int
    warmup: int
    adapt_metric: bool
    length: int


class _Trace(NamedTuple):
    theta: jax.Array
    diverging: jax.Array
    n_steps: jax.Array
    acceptance_rate: jax.Array
    energy: jax.Array
    lp: jax.Array


def _potential(target: Whitened) -> Any:
    return lambda z: -log_density(target, z)


@lru_cache
def _kernel(how: _Schedule) -> tuple[Any, Any]:
    """NumPyro's kernel keeps the settings given to `init` for `sample`, hence one pair per setting."""
    return hmc(potential_fn_gen=_potential, algo="NUTS")


def _target(post: Marginal) -> Any:
    """Shapes of whitened coordinates."""
    d = post.hyper.working_size
    return Whitened(post, Bend(floats(d), post.hyper.folded), floats(d), floats(d, d))  # type: ignore[arg-type]


def _begin_shapes(post: Marginal, how: _Schedule) -> tuple[Any, ...]:
    n, d = how.chains, post.hyper.working_size
    return _target(post), ParamInfo(floats(n, d), floats(n), floats(n, d)), floats(d, d), key(0, shape=(n,))


@compiled(shapes=_begin_shapes)
def _begin(how: _Schedule, target: Whitened, points: ParamInfo, metric: jax.Array, keys: jax.Array) -> Any:
    init, _ = _kernel(how)

    def one(point: ParamInfo, key: jax.Array) -> Any:
        return init(
            point,
            num_warmup=how.warmup,
            step_size=1.0,
            inverse_mass_matrix=metric,
            dense_mass=True,
            adapt_mass_matrix=how.adapt_metric,
            target_accept_prob=TARGET_ACCEPT,
            max_tree_depth=MAX_TREE_DEPTH,
            model_args=(target,),
            rng_key=key,
        )

    return jax.vmap(one)(points, keys)


@compiled(shapes=lambda post, how: (_target(post), _begin.ahead(post, how)), donate=(1,), options=LOOPS)
def _block(how: _Schedule, target: Whitened, states: Any) -> tuple[Any, _Trace]:
    _, step = _kernel(how)

    def one(state: Any, _: None) -> tuple[Any, _Trace]:
        state = jax.vmap(lambda s: step(s, model_args=(target,)))(state)
        theta = jax.vmap(target.natural)(state.z)
        trace = _Trace(
            theta, state.diverging, state.num_steps, state.accept_prob, state.energy, -state.potential_energy
        )
        return state, trace

    return jax.lax.scan(one, states, None, length=how.length)


def _of_one_step(states: Any) -> Any:
    """With the step size that chains of one metric found together, which varies much less than that of each."""
    adapted = states.adapt_state
    sizes = np.asarray(adapted.step_size)
    together = jnp.full(sizes.shape, np.exp(np.mean(np.log(sizes))))
    return states._replace(adapt_state=adapted._replace(step_size=together))


@dataclass(frozen=True)
class Nuts:
    """Draw theta from its posterior by NUTS.

    Parameters
    ----------
    chains, draws : int
        Number of chains and of kept draws per chain.
    warmup : int or None
        Draws that adapt step size and metric. None for 150 that adapt the step size alone, because the metric and the
        chains' starts are those of weighted points around the mode (`lgm.inference.start`); 300 of both kinds if the
        chains start elsewhere.
    seed : int
        The same seed gives the same bits in the same environment (machine and versions of packages).
    progress : bool
        Whether to show a progress bar on stderr.

    Notes
    -----
    Ctrl-C stops at the next block of 10 draws; if warm-up is over, what has been drawn is returned with a warning.
    """

    chains: int
    draws: int
    warmup: int | None
    seed: int
    progress: bool

    moves = True

    @property
    def expected(self) -> Expected:
        """As many thetas as draws, none of them with effects."""
        return Expected(self.chains * self.draws, self.chains * self.draws)

    def programs(self, post: Marginal) -> list[Plan]:
        """What `run` will call; `_begin` comes with `_block`, which takes what it returns."""
        moving = Plan(_block, self._schedule(adapt_metric=self.warmup is not None))
        return [moving, *correcting(post, self.chains * self.draws)]

    def run(self, post: Marginal, start: FloatArray) -> Run[Chains]:
        """See `lgm.inference.engine.Engine`."""
        return self.run_from(post, find_mode(post, start))

    def run_from(self, post: Marginal, found: Mode, thetas: FloatArray | None = None) -> Run[Chains]:
        """Draw with coordinates scaled at a mode, from starts near it or from given ones (chains, k), natural scale."""
        how = self._schedule(adapt_metric=self.warmup is not None or thetas is not None)
        with jax.enable_x64(True):
            self._forecast(post, found, how)
            target = whitened(post, found, np.asarray(folded_scale(post, found.x)))
            begun = from_points(target, self.chains, self.seed) if thetas is None else from_thetas(target, thetas)
            points = ParamInfo(begun.z, -begun.value, -begun.grad)
            state = _begin(how, target, points, begun.metric, key(self.seed, shape=(self.chains,)))
            total = -(-how.warmup // BLOCK) * BLOCK + self.draws
            state, trace = self._draw(how, target, state, total)
        kept = jax.tree.map(lambda a: np.swapaxes(a[total - self.draws : total], 0, 1), trace)
        made = kept.theta.shape[1]
        if made < 4:
            raise KeyboardInterrupt("stopped before a draw could be kept")
        if made < self.draws:
            stopped = f"stopped after {made} of {self.draws} draws per chain; these are kept"
            warnings.warn(stopped, ConvergenceWarning, stacklevel=5)
        stats = {name: value for name, value in kept._asdict().items() if name != "theta"}
        step_size = np.asarray(state.adapt_state.step_size)
        chains = Chains(kept.theta, stats, made < self.draws, step_size, total - self.draws)
        return Run(found, corrected(post, chains, self.seed, progress=self.progress), "nuts")

    def _forecast(self, post: Marginal, found: Mode, how: _Schedule) -> None:
        """Say what the run will take, if that is long; the function is the one that found the mode."""
        if not self.progress:
            return
        gradient = progress.seconds(lambda: evaluate(Working(post), found.x))
        draws = how.warmup + self.draws
        words = progress.forecast(gradient, chains=self.chains, draws=draws, values=EVALUATIONS)
        if words:
            print(f"lgm: {words}", file=sys.stderr)

    def _schedule(self, *, adapt_metric: bool) -> _Schedule:
        warmup = self.warmup or (ADAPTATION if adapt_metric else WARMUP)
        return _Schedule(self.chains, warmup, adapt_metric, BLOCK)

    def _draw(self, how: _Schedule, target: Whitened, state: Any, total: int) -> tuple[Any, _Trace]:
        """Blocks of draws until all are made or somebody wants to stop: (total or fewer, chains, ...)."""
        blocks: list[_Trace] = []
        with (
            interruptible("block of draws") as stopped,
            progress.bar(total, "draw", shown=self.progress) as bar,
        ):
            for done in range(0, total, BLOCK):
                if done == total - self.draws and not how.adapt_metric:
                    state = _of_one_step(state)
                state, trace = _block(how, target, state)
                blocks.append(jax.tree.map(np.asarray, trace))
                bar.update(min(BLOCK, total - done))
                bar.set_postfix_str("warm-up" if done < total - self.draws else "", refresh=False)
                if stopped:
                    break
        return state, jax.tree.map(lambda *parts: np.concatenate(parts), *blocks)
