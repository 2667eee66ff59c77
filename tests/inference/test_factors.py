"""Coordinates in which a covariance may be singular."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.inference.factors import Factors
from lgm.inference.mode import evaluated
from lgm.priors import constant, flat

LEAST = 1e-6


def factors(priors: dict | None = None) -> Factors:
    rng = np.random.default_rng(0)
    data = {"y": rng.normal(size=40), "x": rng.normal(size=40), "z": rng.normal(size=40), "g": np.arange(40) % 8}
    model = lgm.model("y ~ 1 + (x + z|g) + ar1(t)", {**data, "t": np.arange(40)}, priors=priors)
    with jax.enable_x64(True):
        return Factors.of(model.analysed.marginal, LEAST)


# Compiled whole: outside of a program each operation in it is one.
compiled = jax.jit(Factors.natural)


def natural(target: Factors, z: np.ndarray) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(compiled(target, jnp.asarray(z)))


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


def test_a_first_step_is_that_of_em() -> None:
    """Against ``s^2 = E(b'b | y) / q`` and ``sigma^2 = E(e'e | y) / n`` by dense algebra, with flat priors."""
    rng = np.random.default_rng(8)
    g, h = rng.integers(0, 6, 40), rng.integers(0, 4, 40)
    data = pd.DataFrame({"g": g, "h": h, "x": rng.normal(size=40)})
    data["y"] = data["x"] + rng.normal(size=6)[g] + rng.normal(size=4)[h] + rng.normal(size=40)
    flat_ones = dict.fromkeys(["fixed", "Intercept", "sd", "sigma"], flat())
    target = Factors.of(lgm.model("y ~ x + (1|g) + (1|h)", data, priors=flat_ones).analysed.marginal, LEAST)
    s, t, sigma = 0.7, 1.9, 0.8
    with jax.enable_x64(True):
        z = target.start(np.array([s, t, sigma]))
        grad = evaluated(target)(z)[1]
    step = grad / target.complete(np.ones(3), z, grad)
    a = np.column_stack([np.ones(40), data["x"], np.eye(6)[g], np.eye(4)[h]])
    prior = np.repeat([0.0, s**-2, t**-2], [2, 6, 4])
    covariance = np.linalg.inv(a.T @ a / sigma**2 + np.diag(prior))
    mean = covariance @ a.T @ data["y"].to_numpy() / sigma**2
    square = mean**2 + np.diag(covariance)
    errors = np.sum((data["y"].to_numpy() - a @ mean) ** 2) + np.trace(a @ covariance @ a.T)
    found = [s + step[0], t + step[1], np.exp(z[2] + step[2])]
    np.testing.assert_allclose(found, np.sqrt([square[2:8].mean(), square[8:].mean(), errors / 40]), rtol=1e-8)
    small = target.complete(10.0 * np.ones(3), z, grad)  # sds far below their unit
    np.testing.assert_allclose(small[:2], [2.0 * 6 / 100.0, 2.0 * 4 / 100.0])


def test_information_of_complete_data() -> None:
    """Of three effects in each of eight levels, of 40 times, and of 40 rows, at a density without slope."""
    target = factors()
    (group,) = target.groups
    with jax.enable_x64(True):
        z = target.start(np.array([1.0, 2.0, 3.0, 0.1, 0.2, 0.3, 4.0, 0.5, 6.0]))
    found = target.complete(np.ones(9), z, np.zeros(9))
    np.testing.assert_allclose(found[list(group.diagonal)], 2.0 * 8 / np.array([1.0, 4.0, 9.0]))
    np.testing.assert_allclose(found[list(group.below)], 8 / np.array([4.0, 9.0, 9.0]))
    np.testing.assert_allclose(found[6:], [2.0 * 40 / 16.0, 1.0, 2.0 * 40])
