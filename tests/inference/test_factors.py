"""Coordinates in which a covariance may be singular."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lgm
from lgm.inference.factors import Factors
from lgm.priors import constant

LEAST = 1e-6


def factors(priors: dict | None = None) -> Factors:
    rng = np.random.default_rng(0)
    data = {"y": rng.normal(size=40), "x": rng.normal(size=40), "z": rng.normal(size=40), "g": np.arange(40) % 8}
    model = lgm.model("y ~ 1 + (x + z|g) + ar1(t)", {**data, "t": np.arange(40)}, priors=priors)
    with jax.enable_x64(True):
        return Factors.of(model.analysed.marginal, LEAST)


def natural(target: Factors, z: np.ndarray) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(target.natural(jnp.asarray(z)))


def test_theta_is_that_of_the_covariance() -> None:
    target = factors()
    (group,) = target.groups
    z = np.random.default_rng(1).normal(size=9)
    lower = np.diag(z[list(group.diagonal)])
    lower[np.tril_indices(3, -1)] = z[list(group.below)]
    covariance = lower @ lower.T
    sds = np.sqrt(np.diag(covariance))
    theta = natural(target, z)
    np.testing.assert_allclose(theta[:3], sds, rtol=10 * LEAST)
    np.testing.assert_allclose(theta[3:6], (covariance / np.outer(sds, sds))[np.tril_indices(3, -1)], atol=10 * LEAST)
    assert theta[6] == abs(z[6]) and theta[8] == pytest.approx(np.exp(z[8]))
    assert target.folded.tolist() == [True] * 3 + [False] * 3 + [True, False, False]


def test_signs_of_columns_do_not_matter() -> None:
    target = factors()
    z = np.random.default_rng(2).normal(size=9)
    other = target.canonical(z)
    assert np.all(other[:3] > 0)
    np.testing.assert_allclose(natural(target, other), natural(target, z), rtol=1e-5)


def test_a_singular_covariance_and_none() -> None:
    target = factors()
    z = np.zeros(9)
    z[[0, 3, 5, 6]] = [2.0, -1.0, 1e-3, 1.0]  # the third effect is on the second dimension, that nothing else has
    z = target.canonical(z)
    assert z[5] == 0.0 and z[2] == pytest.approx(1e-3)
    assert target.singular(z)
    nearly = z.copy()
    nearly[[1, 2, 5]] = 1.0, 0.1, np.sqrt(0.99)  # of the sd of the third, a tenth is its own
    assert not target.singular(nearly, 0.099) and target.singular(nearly, 0.101)
    assert target.moves(z).tolist() == [True, False, True, True, True, False, True, True, True]
    theta = natural(target, z)
    np.testing.assert_allclose(theta[:4], [2.0, 1.0, 1e-3, -1.0], rtol=LEAST)
    nothing = np.where(np.arange(9) < 6, 0.0, z)
    theta = natural(target, nothing)
    assert np.all(theta[:6] == 0.0)
    assert target.unspoken(theta).tolist() == [False] * 3 + [True] * 3 + [False] * 3
    with jax.enable_x64(True):
        assert np.all(np.isfinite(jax.jit(jax.jacfwd(target.natural))(jnp.asarray(nothing))))


def test_starts_and_units() -> None:
    target = factors()
    theta = np.array([1.0, 2.0, 3.0, 0.1, 0.2, 0.3, 4.0, 0.5, 6.0])
    with jax.enable_x64(True):
        z = target.start(theta)
    np.testing.assert_allclose(natural(target, z), [1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 4.0, 0.5, 6.0])
    np.testing.assert_allclose(target.scale(z), [1.0, 2.0, 3.0, 2.0, 3.0, 3.0, 4.0, 1.0, 1.0])
    np.testing.assert_allclose(natural(target, target.scaled(z, 10.0))[[0, 1, 2, 6, 7, 8]], [10, 20, 30, 40, 0.5, 60])
    change = (target.scaled(z, 1.0 + 1e-7) - z) / 1e-7
    np.testing.assert_allclose(target.growing(z), change, atol=1e-5)
    assert target.lower()[8] == pytest.approx(np.log(target.post.data.least_residual))


def test_a_group_with_a_value_that_is_held_keeps_its_own_coordinates() -> None:
    target = factors({"sd(x|g)": constant(1.0)})
    assert target.groups == ()
    assert target.folded.tolist() == [True, True, False, False, False, True, False, False]
