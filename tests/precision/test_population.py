"""Prior draws: a linear map of the normals, whose covariance is that of the definition, whatever the theta."""

from __future__ import annotations

import numpy as np
import pytest
from dense_model import ar1, icar_structure, rounding, rw_structure, scaled_covariance, seasonal_structure

import lgm
from lgm.precision import rw
from lgm.precision.ar import Ar1
from lgm.precision.icar import icar
from lgm.precision.kronecker import Kronecker, constraint_of
from lgm.precision.population import normals_of, prior_draws
from lgm.precision.seasonal import seasonal

EDGES = [(0, 1), (1, 2), (2, 0), (3, 4)]
TIMES = np.array([0.0, 1.0, 2.5, 3.0, 7.0])
STRUCTURES = {
    "rw1": (rw.rw1(TIMES), scaled_covariance(rw_structure(1, TIMES))[0]),
    "rw2": (rw.rw2(TIMES), scaled_covariance(rw_structure(2, TIMES), 2)[0]),
    "seasonal": (seasonal(7, 3), scaled_covariance(seasonal_structure(7, 3), 2)[0]),
    "icar": (icar(EDGES, [0, 0, 0, 1, 1, 2]), scaled_covariance(icar_structure(6, EDGES))[0]),
}


def square(template, constraint, theta):
    """``L L'`` of the linear map L that draws are of their normals, at each theta."""
    m = normals_of(template, constraint)
    size = len(theta["sd"])
    maps = prior_draws(template, constraint, theta, np.broadcast_to(np.eye(m), (size, m, m)).copy())
    assert maps.shape == (size, m, template.n)
    return maps.swapaxes(1, 2) @ maps


@pytest.mark.parametrize("name", STRUCTURES)
def test_intrinsic(name):
    structure, wanted = STRUCTURES[name]
    template, _ = structure.scaled(name)
    sds = np.array([[0.5], [2.0], [0.0]])
    found = square(template, structure.constraint, {"sd": sds})
    for sd, each in zip(sds[:, 0], found, strict=True):
        np.testing.assert_allclose(each, sd**2 * wanted, rtol=0, atol=rounding(30, np.eye(2)) * 1e3)
    off = structure.constraint.null_space.T @ found[0]
    np.testing.assert_allclose(off, 0.0, atol=1e-10)


def test_precision_that_depends_on_theta():
    template = Ar1(np.array([1, 2, 1]), 4)
    theta = {"sd": np.array([[0.5], [2.0], [1.0]]), "rho": np.array([[0.3], [-0.8], [0.9]])}
    found = square(template, None, theta)
    for sd, rho, each in zip(theta["sd"][:, 0], theta["rho"][:, 0], found, strict=True):
        np.testing.assert_allclose(each, ar1(np.array([0, 1, 3, 4]), sd, rho), rtol=0, atol=1e-12)


def test_copies():
    structure, wanted = STRUCTURES["rw1"]
    inner, _ = structure.scaled("rw1")
    outer = Ar1(np.array([1, 1]), 3)
    template = Kronecker.of(outer, inner, ((("sd", 1), ("rho", 1)), (("sd", 1),)), (None, structure.constraint))
    constraint = constraint_of(None, structure.constraint, 3, structure.n)
    found = square(template, constraint, {"sd": np.array([[0.5]]), "rho": np.array([[0.7]])})[0]
    np.testing.assert_allclose(found, np.kron(ar1(np.arange(3), 0.5, 0.7), wanted), rtol=0, atol=1e-11)


def test_means_are_zero():
    structure, _ = STRUCTURES["rw1"]
    template, _ = structure.scaled("rw1")
    found = prior_draws(template, structure.constraint, {"sd": np.ones((2, 1))}, np.zeros((2, 3, 6)))
    assert found.shape == (2, 3, 5) and not found.any()


def test_a_precision_that_is_none():
    theta = {"sd": np.ones((1, 1)), "rho": np.ones((1, 1))}
    with pytest.raises(lgm.IdentifiabilityError, match="effects that the fit does not have cannot be drawn"):
        prior_draws(Ar1(np.array([1]), 2), None, theta, np.ones((1, 1, 2)))
