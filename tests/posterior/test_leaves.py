"""Which effects are leaves, and where their densities are."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from oracles.leaves import LOGLIK, hard

import lgm
from lgm.posterior.functionals import Sums
from lgm.posterior.laplace import LaplaceData
from lgm.posterior.leaves import Leaves, framed, quadratic


def leaves_of(formula, frame):
    built = lgm.model(formula, frame, "poisson")
    data = built.analysed.marginal.data
    assert isinstance(data, LaplaceData)
    labels = [term.label for term in built.design.terms]
    slices = dict(zip(labels, built.design.predictor.term_slices(), strict=True))
    return data.leaves, {label: built.design.p + np.arange(own.start, own.stop) for label, own in slices.items()}


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(2)
    n = 60
    columns = {"y": rng.poisson(2.0, n), "x": rng.normal(size=n), "w": rng.normal(size=n), "t": np.arange(n)}
    return pd.DataFrame({**columns, "g": rng.integers(0, 5, n), "h": rng.integers(0, 9, n)})


def test_the_largest_block_of_which_each_row_has_one_effect(frame):
    leaves, places = leaves_of("y ~ x + (1|g) + (0 + x|h) + rw1(t)", frame)
    assert leaves.size == 9 and leaves.order == 1  # a walk is not independent
    np.testing.assert_array_equal(leaves.columns[:, 0], next(own for label, own in places.items() if "h" in label))
    np.testing.assert_allclose(leaves.entry[:, 0], frame["x"])


@pytest.mark.parametrize(
    ("formula", "k"),
    [
        ("y ~ (x|h) + (1|g)", 2),
        ("y ~ (x||h) + (1|g)", 2),
        ("y ~ (x + w|h) + (1|g)", 3),
        ("y ~ (1|h) + (1|g) + (0 + x|h)", 2),
    ],
)
def test_effects_of_one_level_are_one_leaf(frame, formula, k):
    leaves, _ = leaves_of(formula, frame)
    assert (leaves.size, leaves.order) == (9, k)
    values = [np.ones(len(frame)), frame["x"] - frame["x"].mean() * ("||" not in formula), frame["w"]]
    member = np.repeat(np.arange(len(frame)), np.diff(leaves.member.starts))
    np.testing.assert_array_equal(member, np.arange(len(frame)))
    np.testing.assert_array_equal(leaves.member.columns, frame["h"])
    np.testing.assert_allclose(leaves.entry[:, 0], values[0])
    if k == 2 and "(0" not in formula:
        np.testing.assert_allclose(leaves.entry[:, 1], values[1])


def test_their_blocks_of_a_matrix(frame):
    built = lgm.model("y ~ (x|h) + (1|g)", frame, "poisson").analysed.marginal
    values = np.random.default_rng(0).normal(size=built.analysis.pattern.nnz)
    whole = built.analysis.pattern.matrix(values).toarray()
    assert isinstance(built.data, LaplaceData) and built.data.leaves is not None
    leaves = built.data.leaves
    with jax.enable_x64(True):
        found = np.asarray(leaves.blocks(jnp.asarray(values)))
    columns = np.asarray(leaves.columns)
    np.testing.assert_array_equal(found, whole[columns[:, :, None], columns[:, None, :]])


def test_pairs_without_a_place_are_zero():
    """Two effects of a level that no row has together."""
    a = sp.csr_array(np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 2]]))
    pattern = lgm.pattern.Pattern.of(a.T @ a)
    leaves = Leaves.at(a, np.arange(4).reshape(2, 2), pattern)
    with jax.enable_x64(True):
        found = np.asarray(leaves.blocks(jnp.arange(1.0, pattern.nnz + 1)))
    assert found[0, 0, 1] == 0.0 and found[1, 0, 1] != 0.0


def test_too_many_effects_or_none(frame):
    assert leaves_of("y ~ x + rw1(t)", frame)[0] is None
    assert leaves_of("y ~ x + (0 + x + w + t + I(x**2)|h)", frame.assign(t=frame["t"] / 60))[0] is None
    assert Leaves.of(sp.csr_array(np.ones((3, 1))), [], 1, lgm.pattern.Pattern.diagonal(1)) is None


def test_variances_of_sums():
    """Of effects of one leaf with their covariance, of two leaves without, of others not at all."""
    rng = np.random.default_rng(1)
    pattern = lgm.pattern.Pattern.diagonal(7)
    leaves = Leaves.at(sp.csr_array((2, 7)), np.array([[2, 5], [3, 6]]), pattern)
    root = rng.normal(size=(2, 2, 2))
    cov, scale = root @ root.swapaxes(1, 2), rng.uniform(1, 2, 7)
    whole = np.zeros((7, 7))
    for g, own in enumerate(np.asarray(leaves.columns)):
        whole[np.ix_(own, own)] = cov[g]
    whole = scale[:, None] * whole * scale
    index, weights = np.array([[2, 5], [2, 3], [0, 6], [0, 1]]), rng.normal(size=(4, 2))
    with jax.enable_x64(True):
        sums = Sums(jnp.asarray(index), jnp.asarray(weights), jnp.zeros((4, 2, 2), int), jnp.arange(4))
        inside, found = leaves.inside(sums, 7), leaves.variances(sums, jnp.asarray(scale), jnp.asarray(cov))
    wanted = [w @ whole[np.ix_(own, own)] @ w for own, w in zip(index, weights, strict=True)]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    np.testing.assert_array_equal(inside, [True, True, True, False])


@pytest.mark.parametrize("k", [1, 2])
def test_frames(k):
    """Tops are maxima, axes orthonormal by the curvature there, and ends where the density has fallen by 16."""
    case = hard(k)
    with jax.enable_x64(True):
        given, start = case.given(), jnp.full((len(case.y), k), -1.0)
        found = jax.jit(lambda y: framed(case.leaves, LOGLIK(y), given, start, 16.0))(case.rows)
        size = quadratic(given.precision, jnp.asarray(found.top)[..., None])
    assert np.all(np.isfinite(size))
    for g in range(len(case.y)):
        top, axes = np.asarray(found.top[g]), np.asarray(found.axes[g])
        height, slope, curvature = case.at(g, top)
        np.testing.assert_allclose(slope, 0.0, atol=1e-8)
        np.testing.assert_allclose(axes @ curvature @ axes.T, np.eye(k), atol=1e-8)
        for end in (found.low, found.high):
            for axis, along in zip(axes, np.asarray(end[g]), strict=True):
                assert 15.0 < height - case.at(g, top + along * axis)[0] < 17.0
