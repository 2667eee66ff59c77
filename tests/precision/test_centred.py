"""Covariances of effects about means and about zero, against the product ``T S T'``."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_model import EPS, correlation

from lgm.precision.centred import AboutMeans

CASES = [
    (np.array([0.0, 3.0]), [0.7, 0.4], [-0.6]),
    (np.array([0.0, -200.0]), [2.0, 0.5], [0.3]),
    (np.array([0.0, 1.5, 0.0]), [0.7, 0.4, 2.0], [0.5, -0.2, 0.4]),
    (np.array([0.0, 1.5, -4.0, 0.0]), [0.7, 0.4, 2.0, 1.0], [0.1, 0.2, 0.3, -0.1, 0.0, 0.5]),
]
cases = pytest.mark.parametrize(("means", "sd", "corr"), CASES)


def theta_of(sd, corr):
    return {"sd": np.array(sd), "corr": np.array(corr)}


def covariance(theta):
    D = np.diag(np.asarray(theta["sd"]))
    return D @ correlation(theta["corr"], len(D)) @ D


@cases
def test_printed_are_those_of_the_effects_about_zero(means, sd, corr):
    """``b = T c``: an intercept at zero is that at the means less the slopes' share."""
    T = np.eye(means.size)
    T[0, 1:] = -means[1:]
    wanted = T @ covariance(theta_of(sd, corr)) @ T.T
    found = AboutMeans(means).printed(theta_of(sd, corr))
    np.testing.assert_allclose(covariance(found), wanted, rtol=0, atol=100 * EPS * np.abs(wanted).max())


@cases
def test_there_and_back(means, sd, corr):
    theta, map_ = theta_of(sd, corr), AboutMeans(means)
    back = map_.internal(map_.printed(theta))
    lost = (1.0 + np.abs(means).max()) ** 2  # of digits, squared: variances are subtracted
    for kind, values in theta.items():
        np.testing.assert_allclose(back[kind], values, rtol=0, atol=1000 * EPS * lost)


@cases
def test_jacobian(means, sd, corr):
    map_, theta = AboutMeans(means), theta_of(sd, corr)
    q = means.size

    def flat(x):
        found = map_.printed({"sd": x[:q], "corr": x[q:]})
        return jnp.concatenate([found["sd"], found["corr"]])

    with jax.enable_x64(True):
        slopes = jax.jacfwd(flat)(jnp.array([*sd, *corr]))
        wanted = float(jnp.linalg.slogdet(slopes)[1])
    assert map_.log_jacobian(theta) == pytest.approx(wanted, abs=1e-6)  # the determinant is of nearly singular slopes


def test_far_from_zero_keeps_its_digits():
    """With m = 1e9 the correlation about zero is -1 to all digits, and the sd is that of the slope times m."""
    means, theta = np.array([0.0, 1e9]), theta_of([2.0, 3.0], [0.5])
    found = AboutMeans(means).printed(theta)
    assert found["sd"].tolist() == [pytest.approx(3e9 - 1.0, rel=4 * EPS), 3.0]  # sqrt(m2 s2 - 2 m s a r + a2)
    assert found["corr"].tolist() == [-1.0]


def test_sds_of_zero():
    map_ = AboutMeans(np.array([0.0, 2.0]))
    both, slope = theta_of([0.0, 0.0], [0.3]), theta_of([0.5, 0.0], [0.3])
    for theta in (both, slope):  # nothing to move
        found = map_.printed(theta)
        assert {kind: values.tolist() for kind, values in found.items()} == {k: v.tolist() for k, v in theta.items()}
        assert map_.log_jacobian(theta) == 0.0
    level = map_.printed(theta_of([0.0, 0.5], [0.3]))
    assert level["sd"].tolist() == [1.0, 0.5] and level["corr"].tolist() == [-1.0]


def test_many_at_once_are_as_one_by_one_and_as_traced():
    means, rng = CASES[2][0], np.random.default_rng(1)
    many = {"sd": rng.uniform(0.1, 2.0, (5, 4, 3)), "corr": 0.3 * rng.uniform(-1, 1, (5, 4, 3))}
    found = AboutMeans(means).printed(many)
    one = AboutMeans(means).printed({kind: values[3, 2] for kind, values in many.items()})
    with jax.enable_x64(True):
        traced = jax.jit(AboutMeans(means).printed)(jax.tree.map(jnp.asarray, many))
    for kind in many:
        assert isinstance(found[kind], np.ndarray)
        np.testing.assert_allclose(found[kind][3, 2], one[kind], rtol=1e-14)
        np.testing.assert_allclose(found[kind], traced[kind], rtol=1e-13)


def test_units_do_not_matter():
    """Squares of values this small are not numbers any more."""
    means, sd = np.array([0.0, 2.0]), np.array([3.0, 2.0])
    found = AboutMeans(means).printed(theta_of(1e-200 * sd, [0.0]))
    np.testing.assert_allclose(found["sd"], [5e-200, 2e-200], rtol=1e-14)
