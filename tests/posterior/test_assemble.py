"""From a design to a posterior: scales of intrinsic terms, the pattern of H, the limits of double precision."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest
from dense_model import icar_structure, rounding, rw_structure, scaled_covariance
from helpers import reference
from scipy.sparse.csgraph import connected_components

import lgm
from lgm.errors import DataError
from lgm.posterior.assemble import intrinsic_moments
from lgm.precision.icar import icar
from lgm.precision.rw import rw1, rw2
from lgm.terms import splines

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
    with jax.enable_x64(True):
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
    with jax.enable_x64(True):
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
    variances, _ = moments
    np.testing.assert_allclose(variances, wanted, rtol=rounding(n) * wanted.max() / wanted.min())


def test_close_times_are_refused_where_double_precision_ends():
    t = np.concatenate([np.arange(100.0), [50.5, 50.5 + 1e-7]])
    frame = pd.DataFrame({"y": np.sin(t), "t": t})
    assert np.isfinite(lgm.model("y ~ rw1(t)", frame).log_likelihood({"sd(rw1(t))": 1.0, "sigma": 0.5}))
    with pytest.raises(DataError, match=r"rw2\(t\): some of its values are so close.*Round them"):
        lgm.model("y ~ rw2(t)", frame)
    rounded = frame.assign(t=frame["t"].round(3))
    assert np.isfinite(lgm.model("y ~ rw2(t)", rounded).log_likelihood({"sd(rw2(t))": 1.0, "sigma": 0.5}))


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
    with jax.enable_x64(True):
        structure = icar(graph.edges, graph.components)
        _, factors = structure.scaled(*intrinsic_moments(structure))
    np.testing.assert_allclose(factors, [reference(name)["structured_scale"][key]], rtol=1e-9)


def frame():
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "y": rng.standard_normal(30),
            "x": rng.standard_normal(30),
            "t": rng.choice(TIMES, 30),
            "region": rng.integers(0, 6, 30),
            "f": rng.choice(["a", "b", "c"], 30),
        }
    )


EDGES = [[0, 3], [3, 1], [4, 5]]


def test_scales_are_reported_by_term():
    """One factor per component of a graph, one for a walk, that of the basis for a smooth, none for proper terms."""
    data = frame()
    graph = lgm.graph(EDGES, range(6))
    model = lgm.model('y ~ (1|f) + icar(region, graph) + rw2(t) + s(x, bs="ps", k=7)', data, env={"graph": graph})
    scales = model.analysed.scales
    assert set(scales) == {"icar(region)", "rw2(t)", "s(x)"}
    np.testing.assert_allclose(scales["icar(region)"], scaled_covariance(icar_structure(6, EDGES))[1], rtol=1e-13)
    np.testing.assert_allclose(
        scales["rw2(t)"], scaled_covariance(rw_structure(2, np.unique(data["t"])), 2)[1], rtol=1e-9
    )
    assert scales["s(x)"].tolist() == [splines.build("ps", data["x"].to_numpy(), 7).scale]


def test_pattern_comes_from_structure_not_from_values():
    """A covariate that is zero in places, and rows that cancel, leave the pattern alone."""
    one = frame()
    other = one.assign(x=np.where(np.arange(30) < 15, 0.0, one["x"]))
    # x and -x in the same level of f: the cross product of the columns is zero, its place is kept
    cancel = one.assign(x=one["x"] - one.groupby("f")["x"].transform("mean"))
    patterns = {
        lgm.model("y ~ x + (1 + x|f)", data).analysed.posterior.analysis.pattern for data in (one, other, cancel)
    }
    assert len(patterns) == 1


def test_fixed_effects_return_from_their_basis():
    """``X_internal internal + reference`` and the printed coefficients give the same linear predictor."""
    data = frame().assign(x=lambda d: 50.0 + d["x"])
    analysed = lgm.model("y ~ x * f", data).analysed
    design = lgm.model("y ~ x * f", data).design
    internal = np.random.default_rng(1).standard_normal(design.p)
    printed = analysed.natural(internal)
    np.testing.assert_allclose(analysed.basis @ internal, printed - analysed.reference, rtol=1e-12)
    gradient = design.X.T @ (design.y - design.X @ analysed.reference)  # the reference is the least-squares fit
    np.testing.assert_allclose(gradient, 0.0, atol=rounding(30, design.X.toarray()) * np.abs(design.X).max() * 30)
