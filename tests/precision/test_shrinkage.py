"""Scales of shrunk coefficients against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lgm.precision.shrinkage import R2D2, Horseshoe

UNIT = np.array([0.5, 1.0, 4.0])


@pytest.mark.parametrize(("tau", "slab"), [(0.2, 3.0), (1e-6, 0.1), (50.0, 2.0)])
def test_horseshoe(tau, slab):
    local = np.array([1e-3, 0.7, 1e4])
    with jax.enable_x64(True):
        found = Horseshoe(UNIT, 3).whiten({"tau": jnp.array([tau]), "lambda": local, "slab": jnp.array([slab])})
    square = slab**2 * local**2 / (slab**2 + tau**2 * local**2)
    np.testing.assert_allclose(found.scale, tau * np.sqrt(square) / UNIT, rtol=1e-13)
    assert np.all(np.asarray(found.scale) <= slab / UNIT)
    assert np.asarray(found.values).tolist() == [1.0] * 3 and float(found.logdet) == 0.0
    assert Horseshoe(UNIT, 3).pattern.nnz == 3


def test_a_scale_of_zero_takes_coefficients_out():
    def scale(tau):
        theta = {"tau": tau, "lambda": jnp.ones(3), "slab": jnp.ones(1)}
        return jnp.sum(Horseshoe(UNIT, 3).whiten(theta).scale)

    with jax.enable_x64(True):
        value, slope = jax.value_and_grad(scale)(jnp.zeros(1))
    assert float(value) == 0.0 and float(slope[0]) == pytest.approx(np.sum(1.0 / UNIT))


def test_r2d2():
    weight = np.array([0.1, 2.0, 0.5])
    with jax.enable_x64(True):
        found = R2D2(UNIT, 3).whiten({"r2": jnp.array([0.6]), "weight": weight})
    np.testing.assert_allclose(np.square(found.scale), 0.6 * weight / weight.sum() / UNIT**2, rtol=1e-13)
    assert R2D2(UNIT, 3).n == 3 == R2D2(UNIT, 3).pattern.nnz
