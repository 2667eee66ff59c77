"""What of NumPyro is used beyond its public interface."""

import inspect

import jax
import jax.numpy as jnp
import pytest


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
