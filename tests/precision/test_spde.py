"""Matern fields on meshes: matrices against integrals of the elements, covariances against the Matern function."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_model import field_elements, field_precision, rounding
from scipy.special import gamma, kv

from lgm.data.mesher import mesh
from lgm.precision.spde import Matern, intervals, triangles

POINTS = np.random.default_rng(4).uniform(0.0, 3.0, (7, 2))
SMALL = mesh(POINTS, edge=1.5, extension=2.0)
KNOTS = np.array([0.0, 0.3, 1.0, 1.2, 2.5, 4.0])
CASES = {"plane": (triangles(SMALL.points, SMALL.triangles), 2), "line": (intervals(KNOTS), 2)}
CASES["rough line"] = (CASES["line"][0], 1)
cases = pytest.mark.parametrize("name", CASES)


def matern_correlation(distance, nu, length):
    """``2^(1 - nu) / Gamma(nu) (kappa h)^nu K_nu(kappa h)`` with ``kappa = sqrt(8 nu) / range``."""
    x = np.maximum(np.sqrt(8.0 * nu) / length * distance, 1e-10)
    return 2.0 ** (1.0 - nu) / gamma(nu) * x**nu * kv(nu, x)


def test_elements_of_triangles():
    C, G = field_elements(SMALL.points, SMALL.triangles)
    found = triangles(SMALL.points, SMALL.triangles)
    np.testing.assert_allclose(found.mass, C, rtol=1e-12)
    np.testing.assert_allclose(found.stiffness.toarray(), G, atol=1e-12)
    assert found.mass.sum() == pytest.approx(SMALL.areas.sum())


def test_elements_of_a_line():
    """Each is a hat: its integral, and slopes one over the gaps."""
    found, gaps = intervals(KNOTS), np.diff(KNOTS)
    slopes = (np.eye(6)[1:] - np.eye(6)[:-1]) / gaps[:, None]
    np.testing.assert_allclose(found.stiffness.toarray(), slopes.T @ np.diag(gaps) @ slopes, atol=1e-12)
    hats = np.array([np.trapezoid(np.eye(6)[k], KNOTS) for k in range(6)])
    np.testing.assert_allclose(found.mass, hats, rtol=1e-12)


def dense(name, length):
    elements, alpha = CASES[name]
    return field_precision(elements.mass, elements.stiffness.toarray(), elements.dimension, alpha, length)


def logdet(template, length):
    return template.whiten({"sd": jnp.ones(1), "range": length}).logdet


@cases
@pytest.mark.parametrize("length", [0.5, 3.0, 40.0])
def test_values_and_determinant(name, length):
    template, R = Matern.on(*CASES[name]), dense(name, length)
    with jax.enable_x64(True):
        found = template.whiten({"sd": jnp.array([2.0]), "range": jnp.array([length])})
        slope = float(jax.grad(partial(logdet, template))(jnp.array([length]))[0])
    scale = np.abs(R).max()
    np.testing.assert_allclose(template.pattern.matrix(np.asarray(found.values)).toarray(), R, atol=1e-12 * scale)
    np.testing.assert_array_equal(found.scale, 2.0)
    bound = rounding(template.n, R)
    assert abs(float(found.logdet) - np.linalg.slogdet(R)[1]) < bound
    step = 1e-4 * length
    dR = (dense(name, length + step) - dense(name, length - step)) / (2.0 * step)
    assert slope == pytest.approx(np.trace(np.linalg.solve(R, dR)), rel=1e-5)


def covariance(template, length):
    with jax.enable_x64(True):
        found = template.whiten({"sd": jnp.ones(1), "range": jnp.array([length])})
    return np.linalg.inv(template.pattern.matrix(np.asarray(found.values)).toarray())


def test_the_covariance_is_that_of_a_matern_field():
    """Within 2% of the variance, at and between nodes, where edges are a 20th of the range and the end is far away."""
    made = mesh([[0.0, 0.0], [2.0, 0.0], [2.0, 1.5], [0.0, 1.5]], edge=0.125, extension=3.0)
    S = covariance(Matern.on(triangles(made.points, made.triangles), 2), 2.5)
    places = np.random.default_rng(0).uniform([0.0, 0.0], [2.0, 1.5], (150, 2))
    inside = np.flatnonzero(np.all((made.points >= 0.0) & (made.points <= [2.0, 1.5]), axis=1))
    for weights, at in ((np.eye(made.n)[inside], made.points[inside]), (made.weights(places), places)):
        found = weights @ S @ weights.T
        wanted = matern_correlation(np.hypot(*(at[:, None] - at).transpose(2, 0, 1)), 1.0, 2.5)
        assert np.abs(found - wanted).max() < 0.02


@pytest.mark.parametrize("alpha", [1, 2])
def test_the_covariance_on_a_line(alpha):
    knots = np.linspace(-8.0, 12.0, 801)
    S = covariance(Matern.on(intervals(knots), alpha), 3.0)
    inside = np.flatnonzero((knots >= 0.0) & (knots <= 4.0))
    distance = np.abs(np.subtract.outer(knots[inside], knots[inside]))
    wanted = matern_correlation(distance, alpha - 0.5, 3.0)
    np.testing.assert_allclose(S[np.ix_(inside, inside)], wanted, atol=0.01)
