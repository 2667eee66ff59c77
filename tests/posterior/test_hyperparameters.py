"""Hyperparameters: their slots together, working and folded coordinates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from of_slots import PRIORS, SLOTS

from lgm.posterior.hyperparameters import Hyperparameters


@pytest.mark.parametrize("name", SLOTS)
def test_folded_scale(name):
    """Half lines are themselves, with either sign; all else is as on the working scale."""
    chosen = Hyperparameters((SLOTS[name],))
    x = np.random.default_rng(2).uniform(0.1, 1.5, chosen.working_size)

    @jax.jit
    def everything(x):
        theta = chosen.from_folded(x)
        jacobian = jax.jacfwd(chosen.from_folded)(x)[: chosen.working_size]
        mirrored = chosen.from_folded(jnp.where(jnp.array(chosen.folded, dtype=bool), -x, x))
        unfolded = chosen.natural(x)
        return theta, mirrored, unfolded, chosen.to_folded(theta), jacobian, chosen.log_jacobian_folded(x)

    with jax.enable_x64(True):
        theta, mirrored, unfolded, back, jacobian, log_jacobian = map(np.asarray, everything(jnp.asarray(x)))
    half_line = name == "flat" or (name in PRIORS and PRIORS[name][1:] == (0.0, np.inf))
    assert chosen.folded == (half_line,) * chosen.working_size
    np.testing.assert_allclose(theta, x if half_line else unfolded, rtol=1e-14)
    np.testing.assert_allclose(mirrored, theta, rtol=1e-14)
    np.testing.assert_allclose(back, x, rtol=0, atol=1e-13)
    wanted = np.linalg.slogdet(jacobian)[1] if chosen.working_size else 0.0
    assert float(log_jacobian) == pytest.approx(wanted, abs=1e-12)


def test_hyperparameters_join_their_slots():
    names = ["exponential", "lkj of three", "held", "pc_corr"]
    whole = Hyperparameters(tuple(SLOTS[name] for name in names))
    assert (whole.size, whole.working_size) == (6, 5)
    x = np.linspace(-1.0, 1.0, 5)
    parts = {"exponential": x[:1], "lkj of three": x[1:4], "held": x[:0], "pc_corr": x[4:]}

    def answers(slot_or_all, x):
        theta = slot_or_all.natural(x)
        return theta, slot_or_all.working(theta), slot_or_all.log_prior(theta), slot_or_all.log_prior_working(x)

    with jax.enable_x64(True):
        theta, back, natural, working = map(np.asarray, jax.jit(answers)(whole, jnp.asarray(x)))
        apart = [jax.jit(answers)(SLOTS[name], jnp.asarray(part)) for name, part in parts.items()]
    np.testing.assert_allclose(theta, np.concatenate([part[0] for part in apart]), rtol=1e-15)
    np.testing.assert_allclose(back, x, rtol=0, atol=1e-13)
    assert float(natural) == pytest.approx(sum(float(part[2]) for part in apart), abs=1e-13)
    assert float(working) == pytest.approx(sum(float(part[3]) for part in apart), abs=1e-13)


def test_no_hyperparameters():
    with jax.enable_x64(True):
        none = Hyperparameters(())
        assert none.natural(jnp.zeros(0)).shape == none.sample(jax.random.key(1)).shape == (0,)
        assert none.log_prior(jnp.zeros(0)) == none.log_prior_working(jnp.zeros(0)) == 0.0
