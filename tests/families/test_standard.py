"""Standard distributions by SciPy and by differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from lgm.families.standard import EXTREME, NORMAL


def of(function, z):
    with jax.enable_x64(True):
        quick = jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})
        return np.asarray(quick(jnp.asarray(z)))


def slope(function):
    return lambda z: jax.jvp(function, (z,), (jnp.ones_like(z),))[1]


def test_the_normal_distribution():
    z = np.linspace(-40.0, 8.0, 241)
    np.testing.assert_allclose(of(NORMAL.density, z), stats.norm.logpdf(z), rtol=1e-12)
    np.testing.assert_allclose(of(NORMAL.below, z), special.log_ndtr(z), rtol=1e-12)
    np.testing.assert_allclose(of(NORMAL.above, -z), special.log_ndtr(z), rtol=1e-12)


def test_the_extreme_value_distribution():
    z = np.linspace(-30.0, 3.0, 166)
    np.testing.assert_allclose(of(EXTREME.density, z), stats.gumbel_l.logpdf(z), rtol=1e-12)
    np.testing.assert_allclose(of(EXTREME.above, z), -np.exp(z), rtol=1e-12)
    np.testing.assert_allclose(of(EXTREME.below, z), np.log(-np.expm1(-np.exp(z))), rtol=1e-11)


@pytest.mark.parametrize("width", [1e-6, 0.01, 0.3, 1.5])
def test_intervals(width):
    """By the density at Gauss-Legendre nodes, which for 40 of them is exact at these widths."""
    nodes, shares = np.polynomial.legendre.leggauss(40)
    z = np.linspace(-6.0, 1.5, 31)
    at = z[:, None] + 0.5 * width * (nodes + 1.0)
    for standard, known in ((NORMAL, stats.norm), (EXTREME, stats.gumbel_l)):
        with np.errstate(divide="ignore"):
            expected = np.log(0.5 * width * (known.pdf(at) @ shares))
        found = of(lambda z, standard=standard: standard.between(z, width), z)
        fine = expected > -600.0
        np.testing.assert_allclose(found[fine], expected[fine], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "function",
    [NORMAL.below, NORMAL.above, EXTREME.below, lambda z: NORMAL.between(z, 0.4), lambda z: EXTREME.between(z, 0.4)],
)
def test_four_derivatives(function):
    """Against differences of five points of those one order lower, also where one formula takes over from another."""
    z, step = np.r_[np.linspace(-7.0, 2.0, 19), -5.0, 0.0, -2.0, 5.0], 5e-3
    for order in range(4):
        moved = of(function, np.stack([z + k * step for k in (-2, -1, 1, 2)]))
        function = slope(function)
        expected = np.tensordot([1 / 12, -2 / 3, 2 / 3, -1 / 12], moved, axes=1) / step
        np.testing.assert_allclose(of(function, z), expected, rtol=1e-6, atol=1e-6, err_msg=str(order))


def test_far_out_nothing_is_lost():
    """``-phi(z) / Phi(z) = z - 1 / |z| + 2 / |z|^3 - ...``, and the curvature is one less ``1 / z^2``."""
    z = np.array([-1e3, -1e5])
    np.testing.assert_allclose(of(slope(NORMAL.below), z), -z - 1.0 / z, rtol=1e-9)
    np.testing.assert_allclose(of(slope(slope(NORMAL.below)), z), -1.0 + 1.0 / z**2, rtol=1e-9)
    np.testing.assert_allclose(of(slope(EXTREME.below), np.array([-800.0])), 1.0)
