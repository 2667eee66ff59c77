"""Sums of precisions: against their definition, at zero, and their derivatives."""

import jax
import numpy as np
import pytest

from lgm.arrays import FloatArray
from lgm.precision.summed import Summed


def by_definition(weights: FloatArray, sd: FloatArray) -> FloatArray:
    """Copy by copy."""
    return np.concatenate([np.sum(weights / part**2, axis=1) ** -0.5 for part in sd.reshape(-1, weights.shape[1])])


@pytest.mark.parametrize(("copies", "parts"), [(1, 1), (1, 2), (3, 2), (2, 3)])
def test_scales(copies: int, parts: int) -> None:
    """The derivative of ``(sum w / s^2)^-1/2`` by s is its cube times ``w / s^3``."""
    rng = np.random.default_rng(copies + parts)
    weights = rng.gamma(1.0, size=(6, parts)) * (rng.uniform(size=(6, parts)) < 0.6)
    weights[:, 0] += 0.01 * (weights.sum(axis=1) == 0)
    sd = rng.gamma(1.0, size=copies * parts)
    block = Summed(weights, copies)
    with jax.enable_x64(True):
        found = jax.jit(block.whiten)({"sd": sd})
        slopes = np.asarray(jax.jit(jax.jacobian(lambda s: block.whiten({"sd": s}).scale))(sd))
    np.testing.assert_allclose(found.scale, by_definition(weights, sd), rtol=1e-14)
    assert block.n == copies * 6 and np.asarray(found.values).tolist() == [1.0] * block.n
    cubes = (
        by_definition(weights, sd)[:, None] ** 3
        * np.tile(weights, (copies, 1))
        / np.repeat(sd.reshape(copies, parts) ** 3, 6, axis=0)
    )
    expected = np.zeros((copies, 6, copies, parts))
    for c in range(copies):
        expected[c, :, c] = cubes[6 * c : 6 * c + 6]
    np.testing.assert_allclose(slopes, expected.reshape(6 * copies, -1), rtol=1e-12)


def test_zero_is_an_ordinary_point() -> None:
    """The scale of what an sd of zero penalises is zero, and rises with that sd; the others are as they were."""
    block = Summed(np.array([[1.0, 0.0], [0.0, 4.0], [1.0, 1.0]]))
    with jax.enable_x64(True):
        scale, slopes = jax.jit(block.whiten), jax.jit(jax.jacobian(lambda s: block.whiten({"sd": s}).scale))
        assert np.asarray(scale({"sd": np.array([0.0, 3.0])}).scale).tolist() == [0.0, 1.5, 0.0]
        assert np.asarray(slopes(np.array([0.0, 3.0]))).tolist() == [[1.0, 0.0], [0.0, 0.5], [1.0, 0.0]]
        assert np.all(np.isfinite(slopes(np.zeros(2))))


def test_ties_and_extremes() -> None:
    block = Summed(np.array([[1.0, 1.0]]))
    with jax.enable_x64(True):
        at = jax.jit(jax.value_and_grad(lambda s: block.whiten({"sd": s}).scale[0]))
        value, slope = at(np.array([2.0, 2.0]))
        assert float(value) == pytest.approx(2.0**0.5) and np.allclose(slope, 2.0**-1.5)
        assert float(at(np.array([1e-200, 1e200]))[0]) == pytest.approx(1e-200)
