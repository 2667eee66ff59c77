"""Proper CAR and Leroux precisions against dense matrices, on graphs with several components and islands."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_model import areal_structure, icar_structure, rounding, scaled_covariance
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from lgm.precision import car
from lgm.precision.icar import icar

GRAPHS = {
    "pair": (2, [[0, 1]]),
    "ring, path, two islands": (9, [[0, 3], [3, 5], [5, 6], [6, 0], [1, 7], [7, 8]]),
    "star": (7, [[6, k] for k in range(6)]),
    "lattice": (12, [[i, i + 1] for i in range(11) if i % 4 < 3] + [[i, i + 4] for i in range(8)]),
}
graphs = pytest.mark.parametrize("name", GRAPHS)
kinds = pytest.mark.parametrize("kind", ["car", "leroux"])
shares = pytest.mark.parametrize("w", [0.0, 0.4, 0.99])
PARAMETER = {"car": "rho", "leroux": "lambda"}


def template_of(n, edges, kind):
    labels = connected_components(icar_structure(n, edges) != 0)[1]
    structure = icar(edges, labels)
    factors = scaled_covariance(icar_structure(n, edges))[1]
    return getattr(car, kind)(structure, factors)


def whitened(template, kind, w):
    return template.whiten({"sd": jnp.ones(1), PARAMETER[kind]: w})


def logdet(template, kind, w):
    return whitened(template, kind, w).logdet


@graphs
@kinds
@shares
def test_values_and_determinant(name, kind, w):
    template, R = template_of(*GRAPHS[name], kind), areal_structure(*GRAPHS[name], kind, w)
    with jax.enable_x64(True):
        found = whitened(template, kind, jnp.array([w]))
        slope = float(jax.grad(partial(logdet, template, kind))(jnp.array([w]))[0])
    np.testing.assert_allclose(template.pattern.matrix(np.asarray(found.values)).toarray(), R, rtol=1e-14, atol=1e-15)
    bound = rounding(template.n, R)
    assert abs(float(found.logdet) - np.linalg.slogdet(R)[1]) < bound
    dR = areal_structure(*GRAPHS[name], kind, w + 1e-30j).imag / 1e-30
    assert abs(slope - np.trace(np.linalg.solve(R, dR))) < bound * np.linalg.cond(R)


@settings(max_examples=10, deadline=None)
@given(st.integers(2, 8), st.data())
def test_determinant_on_random_graphs(n, data):
    pairs = [[i, j] for i in range(n) for j in range(i)]
    edges = data.draw(st.lists(st.sampled_from(pairs), min_size=1, unique_by=tuple))
    kind, w = data.draw(st.sampled_from(sorted(PARAMETER))), data.draw(st.floats(0.0, 0.999))
    template, R = template_of(n, edges, kind), areal_structure(n, edges, kind, w)
    with jax.enable_x64(True):
        found = float(logdet(template, kind, jnp.array([w])))
    assert abs(found - np.linalg.slogdet(R)[1]) < rounding(n, R)


@graphs
@kinds
def test_the_sd_is_that_of_a_typical_effect_at_both_ends(name, kind):
    """By component; of the intrinsic end without its level, which has no variance."""
    n, edges = GRAPHS[name]
    template = template_of(n, edges, kind)
    labels = connected_components(icar_structure(n, edges) != 0)[1]
    for w in (0.0, 1.0):
        with jax.enable_x64(True):
            scale = np.asarray(whitened(template, kind, jnp.array([w])).scale)
        covariance = np.diag(scale) @ np.linalg.pinv(areal_structure(n, edges, kind, w), rcond=1e-10) @ np.diag(scale)
        logs = np.log(np.diag(covariance))
        typical = [logs[labels == k].mean() for k in range(labels.max() + 1)]
        np.testing.assert_allclose(typical, 0.0, atol=1e-10)


@kinds
def test_many_regions_are_factored(kind, monkeypatch):
    monkeypatch.setattr(car, "MOST_EIGENVALUES", 3)
    template = template_of(*GRAPHS["lattice"], kind)
    with jax.enable_x64(True):
        assert whitened(template, kind, jnp.array([0.5])).logdet is None
