"""Chains run beside each other as each does alone; what of NumPyro is used beyond its public interface."""

import inspect
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lgm.inference import sampler
from lgm.inference.keys import keys
from lgm.inference.sampler import Schedule


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Normal:
    """Independent normals, of which the first is kept."""

    sd: jax.Array

    def log_density(self, x: jax.Array) -> jax.Array:
        return -jnp.sum((x / self.sd) ** 2) / 2

    def drawn(self, z: jax.Array) -> jax.Array:
        return z[:1]


def test_chains_run_beside_each_other_as_each_does_alone() -> None:
    with jax.enable_x64(True):
        target, how = Normal(np.array([1.0, 3.0])), Schedule(20, False, True, 0.8, 5, lambda post, how: ())
        each = list(zip(np.array([[0.5, 1.0], [-1.0, 2.0], [3.0, 0.1]]), keys(1, size=3), strict=True))

        def begun() -> list[object]:
            return [sampler.begin(how, target, point, np.eye(2), key) for point, key in each]

        together = sampler.run(how, target, begun(), 25, shown=False)
        with ThreadPoolExecutor(3) as threads:
            _, traces = sampler.block(sampler.advance.bound(how, target), begun(), threads)
        alone = [sampler.advance(how, target, state)[1] for state in begun()]
    assert together.drawn.shape == (3, 25, 1)
    assert together.warmup == 20
    assert together.step_size.shape == (3,)
    assert len(set(together.step_size)) == 1
    assert len({float(trace.lp[-1]) for trace in traces}) == 3
    for one, two in zip(traces, alone, strict=True):
        jax.tree.map(np.testing.assert_array_equal, one, two)


def test_each_chain_has_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Called from one, XLA would run them one after another: no chain would meet the others."""
    block, together = sampler.block, threading.Barrier(3)

    def met(step: Callable[..., Any], *args: Any) -> Any:
        def meeting(state: object) -> object:
            together.wait(timeout=60)
            return step(state)

        return block(meeting, *args)

    monkeypatch.setattr(sampler, "block", met)
    with jax.enable_x64(True):
        target, how = Normal(np.array([1.0, 3.0])), Schedule(10, False, True, 0.8, 5, lambda post, how: ())
        states = [sampler.begin(how, target, np.ones(2), np.eye(2), key) for key in keys(1, size=3)]
        assert sampler.run(how, target, states, 10, shown=False).drawn.shape == (3, 10, 1)


def test_numpyro_has_what_we_use_of_it() -> None:
    """`hmc` and `ParamInfo` are not public: where NumPyro changes them, this says what we need of them."""
    from numpyro.infer.hmc import hmc
    from numpyro.infer.util import ParamInfo

    assert {"potential_fn_gen", "algo"} <= inspect.signature(hmc).parameters.keys()
    assert ParamInfo._fields == ("z", "potential_energy", "z_grad")
    init, sample = hmc(potential_fn_gen=lambda scale: lambda z: jnp.sum((z / scale) ** 2) / 2, algo="NUTS")
    wanted = {"num_warmup", "step_size", "inverse_mass_matrix", "dense_mass", "adapt_mass_matrix"}
    wanted |= {"target_accept_prob", "max_tree_depth", "model_args", "rng_key"}
    assert wanted <= inspect.signature(init).parameters.keys()
    assert list(inspect.signature(sample).parameters)[:2] == ["hmc_state", "model_args"]
    z = jnp.array([1.0, 2.0])
    state = init(
        ParamInfo(z, jnp.sum(z**2) / 2, z),
        num_warmup=1,
        step_size=1.0,
        inverse_mass_matrix=jnp.eye(2),
        dense_mass=True,
        adapt_mass_matrix=False,
        target_accept_prob=0.9,
        max_tree_depth=3,
        model_args=(1.0,),
        rng_key=jax.random.key(0),
    )
    state = sample(state, model_args=(1.0,))
    used = {"z", "diverging", "num_steps", "accept_prob", "energy", "potential_energy", "adapt_state"}
    assert used <= set(state._fields)
    assert "step_size" in state.adapt_state._fields
    assert state.z.shape == (2,)
    assert float(state.potential_energy) == pytest.approx(float(jnp.sum(state.z**2) / 2), rel=1e-6)
