"""Scaling by component: geometric mean variance one, and the generalised determinant that goes with it."""

import numpy as np
import pytest
from dense_model import icar_structure, rounding, rw_structure, scaled_covariance
from helpers import reference
from scipy.sparse.csgraph import connected_components

import lgm
from lgm.precision.icar import icar
from lgm.precision.intrinsic import intrinsic_moments
from lgm.precision.rw import rw1, rw2


def test_scaled_by_component():
    """A path of three, a pair and an island: with factors c, ``log|R|*`` gains ``rank log c`` per component."""
    n, edges = 6, [[0, 2], [2, 5], [1, 4]]
    structure = icar(edges, [0, 1, 0, 2, 1, 0])
    R = icar_structure(n, edges)
    template, factors = structure.scaled("icar")
    covariance, means = scaled_covariance(R)
    np.testing.assert_allclose(factors, means, rtol=rounding(n))
    scaled = template.pattern.matrix(template.entries).toarray()
    np.testing.assert_allclose(np.linalg.pinv(scaled), covariance, rtol=0, atol=rounding(n))
    eigenvalues = np.linalg.eigvalsh(scaled)[2:]
    np.testing.assert_allclose(template.log_det, np.log(eigenvalues).sum(), rtol=0, atol=rounding(n))
    by_component = [np.exp(np.mean(np.log(np.diag(np.linalg.pinv(scaled))[part]))) for part in ([0, 2, 5], [1, 4], [3])]
    np.testing.assert_allclose(by_component, 1.0, rtol=rounding(n))
    assert template.n == n


WALKS = {1: rw1, 2: rw2}
TIMES = np.array([-3.0, -2.5, 0.0, 0.25, 4.0, 11.0, 12.0])


def random_graph(seed, n=14):
    """Several components, islands among them."""
    rng = np.random.default_rng(seed)
    edges = np.argwhere(np.triu(rng.random((n, n)) < 1.2 / n, 1))
    return n, edges


def dense_moments(R, nullity=1):
    """Variances of the constrained Gaussian, and the log of the product of the non-zero eigenvalues."""
    labels = connected_components(R != 0)[1]
    covariance, means = scaled_covariance(R, nullity)
    sizes = np.bincount(labels)
    by_node = np.ones(len(R))
    for label, mean in zip(np.flatnonzero(sizes > 1), means, strict=True):
        by_node[labels == label] = mean
    null = nullity * means.size
    return by_node * np.diag(covariance), np.log(np.linalg.eigvalsh(R)[null:]).sum()


@pytest.mark.parametrize("seed", range(6))
def test_moments_of_graphs(seed):
    n, edges = random_graph(seed)
    R = icar_structure(n, edges)
    variances, log_det = intrinsic_moments(icar(edges, connected_components(R != 0)[1]))
    wanted, wanted_log_det = dense_moments(R)
    bound = rounding(n, R + np.eye(n)) * n**2  # the smallest eigenvalue of a path of n nodes is about 10 / n^2
    np.testing.assert_allclose(variances, wanted, rtol=bound)
    assert log_det == pytest.approx(wanted_log_det, abs=n * bound)


@pytest.mark.parametrize("order", WALKS)
@pytest.mark.parametrize("times", [np.arange(9.0), TIMES, 1e3 + 0.1 * TIMES], ids=["even", "uneven", "other units"])
def test_moments_of_walks(order, times):
    """The closed form of the walk, its factored precision, and the dense pseudo-inverse."""
    structure, R = WALKS[order](times), rw_structure(order, times)
    factored = intrinsic_moments(structure)
    wanted = dense_moments(R, order)
    values = np.linalg.eigvalsh(R)
    bound = (
        10 * rounding(times.size) * values[-1] / values[order] * max(1.0, np.abs(times).max() / np.diff(times).min())
    )
    assert structure.moments is not None
    for variances, log_det in (structure.moments, factored):
        np.testing.assert_allclose(variances, wanted[0], rtol=bound)
        assert log_det == pytest.approx(wanted[1], abs=times.size * bound)


@pytest.mark.parametrize("order", WALKS)
def test_moments_of_long_walks_with_close_times(order):
    """``R^- = P M var(e) M' P`` written out, for times where R itself cannot be inverted."""
    rng = np.random.default_rng(4)
    t = np.cumsum(rng.gamma(0.4, size=300))
    t[20] = t[19] + 1e-7
    n, gaps = t.size, np.diff(t)
    if order == 1:
        M = np.tril(np.ones((n, n - 1)), -1) * np.sqrt(gaps)
    else:
        M = np.maximum(t[:, None] - t[1:-1], 0.0) * np.sqrt((gaps[1:] + gaps[:-1]) / 2)
    lines = np.linalg.qr(np.vander(t - t.mean(), order))[0]
    M -= lines @ (lines.T @ M)
    wanted = np.sum(M**2, axis=1)
    # differences of terms as large as the largest of these sums
    moments = WALKS[order](t).moments
    assert moments is not None
    np.testing.assert_allclose(moments.variances, wanted, rtol=rounding(n) * wanted.max() / wanted.min())


@pytest.mark.parametrize(
    ("edges", "name", "key"),
    [
        ("scotlip_adj_ck", "scotlip.bayes_icar_ck", "icar"),
        ("scotlip_adj_geobugs", "scotlip.bayes_bym2_geobugs", "bym2_structured"),
        ("nc_sids_adj_cr85", "nc_sids.bayes_bym2", "bym2_structured"),
    ],
)
def test_scales_of_published_maps(edges, name, key):
    nodes = range(1, 101) if edges.startswith("nc") else range(1, 57)
    graph = lgm.graph(lgm.load_dataset(edges), nodes)
    _, factors = icar(graph.edges, graph.components).scaled("icar")
    np.testing.assert_allclose(factors, [reference(name)["structured_scale"][key]], rtol=1e-9)
