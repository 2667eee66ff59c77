"""Simultaneous autoregressions against ``(I - rho V)'(I - rho V)`` of dense matrices."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_model import areal_structure, icar_structure, rounding
from scipy.sparse.csgraph import connected_components

from lgm.precision import sar as module
from lgm.precision.sar import sar

GRAPHS = {
    "pair": (2, [[0, 1]]),
    "ring, path, two islands": (9, [[0, 3], [3, 5], [5, 6], [6, 0], [1, 7], [7, 8]]),
    "star": (7, [[6, k] for k in range(6)]),
}
cases = pytest.mark.parametrize("name", GRAPHS)
rhos = pytest.mark.parametrize("rho", [-0.8, 0.0, 0.3, 0.95])


def template_of(name):
    n, edges = GRAPHS[name]
    return sar(edges, connected_components(icar_structure(n, edges) != 0)[1])


def logdet(template, rho):
    return template.whiten({"sd": jnp.ones(1), "rho": rho}).logdet


@cases
@rhos
@pytest.mark.parametrize("most", [3000, 1], ids=["eigenvalues", "factored"])
def test_values_and_determinant(name, rho, most, monkeypatch):
    monkeypatch.setattr(module, "MOST_EIGENVALUES", most)
    template, R = template_of(name), areal_structure(*GRAPHS[name], "sar", rho)
    with jax.enable_x64(True):
        found = template.whiten({"sd": jnp.array([2.0]), "rho": jnp.array([rho])})
        slope = float(jax.grad(partial(logdet, template))(jnp.array([rho]))[0])
    np.testing.assert_allclose(template.pattern.matrix(found.values).toarray(), R, rtol=1e-13, atol=1e-14)
    np.testing.assert_array_equal(found.scale, 2.0)
    bound = rounding(template.n, R)
    assert abs(float(found.logdet) - np.linalg.slogdet(R)[1]) < bound
    dR = areal_structure(*GRAPHS[name], "sar", rho + 1e-30j).imag / 1e-30
    assert abs(slope - np.trace(np.linalg.solve(R, dR))) < bound * np.linalg.cond(R)
