"""The two parts of a bym2 effect and the distance behind its prior, against dense matrices (Riebler et al. 2016)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_model import EPS, icar_structure, rounding, scaled_covariance
from scipy.sparse.csgraph import connected_components
from scipy.special import expit

from lgm.precision import bym2
from lgm.precision.icar import icar

GRAPHS = {
    "pair": (2, [[0, 1]]),
    "ring": (6, [[0, 3], [3, 5], [5, 1], [1, 2], [2, 4], [4, 0]]),
    "path, pair, two islands": (8, [[0, 2], [2, 5], [1, 4], [5, 7]]),
    "star and ring": (9, [[8, 0], [8, 1], [8, 2], [8, 3], [4, 5], [5, 6], [6, 7], [7, 4]]),
    "lattice": (12, [[i, i + 1] for i in range(11) if i % 4 < 3] + [[i, i + 4] for i in range(8)]),
    "lollipop": (14, [[i, j] for i in range(10) for j in range(i)] + [[i, i + 1] for i in range(9, 13)]),
}
graphs = pytest.mark.parametrize("name", GRAPHS)
THETAS = [(0.7, 0.3), (2.0, 0.999), (0.2, 1e-4)]


def case(name):
    """The structure, its template, the block's, and the scaled covariance ``R*^-``, from eigenvalues."""
    n, edges = GRAPHS[name]
    R = icar_structure(n, edges)
    structure = icar(edges, connected_components(R != 0)[1])
    spatial, _ = structure.scaled("bym2")
    return structure, spatial, bym2.Bym2(spatial), scaled_covariance(R)[0]


def whitened(template, sd, phi):
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, template.whiten({"sd": jnp.array([sd]), "phi": jnp.array([phi])}))


@graphs
@pytest.mark.parametrize(("sd", "phi"), THETAS)
def test_the_sum_of_both_parts_has_the_covariance_of_the_definition(name, sd, phi):
    structure, spatial, template, covariance = case(name)
    n = spatial.n
    found = whitened(template, sd, phi)
    assert template.n == 2 * n == template.pattern.n
    R = template.pattern.matrix(found.values).toarray()
    np.testing.assert_array_equal(R[:n, :n], np.eye(n))
    np.testing.assert_array_equal(R[n:, :n], 0.0)
    np.testing.assert_array_equal(R[n:, n:], spatial.pattern.matrix(spatial.entries).toarray())
    np.testing.assert_allclose(found.scale, sd * np.repeat([np.sqrt(1 - phi), np.sqrt(phi)], n), rtol=4 * EPS)
    # the intrinsic density on its proper directions, of the sum of both parts
    whole = np.diag(found.scale) @ np.linalg.pinv(R, hermitian=True, rcond=1e-10) @ np.diag(found.scale)
    total = np.hstack([np.eye(n), np.eye(n)]) @ whole @ np.vstack([np.eye(n), np.eye(n)])
    wanted = sd**2 * ((1 - phi) * np.eye(n) + phi * covariance)
    np.testing.assert_allclose(total, wanted, rtol=0, atol=rounding(2 * n, R + 1e-2 * np.eye(2 * n)) * sd**2)


@graphs
def test_determinant_and_constraint(name):
    structure, spatial, template, _ = case(name)
    n = spatial.n
    found = whitened(template, 0.5, 0.4)
    R = template.pattern.matrix(found.values).toarray()
    constraint = bym2.constraint_of(structure)
    null_space = constraint.null_space.toarray()
    k = null_space.shape[1]
    values = np.linalg.eigvalsh(R)
    assert k == np.count_nonzero(values < 1e-8)
    assert float(found.logdet) == pytest.approx(np.log(values[k:]).sum(), abs=2 * n * rounding(2 * n) / values[k])
    # one level per component of two or more regions, on the spatial part alone
    np.testing.assert_array_equal(null_space[:n], 0.0)
    np.testing.assert_array_equal(null_space[n:], structure.constraint.null_space.toarray())
    np.testing.assert_array_equal(null_space[constraint.anchors], np.eye(k))
    np.testing.assert_allclose(R @ null_space, 0.0, atol=4 * EPS * np.abs(R).sum(axis=1).max())
    R[constraint.anchors, constraint.anchors] += 1.0
    assert np.linalg.eigvalsh(R).min() > 1e-3


@graphs
def test_the_pattern_has_each_region_with_itself(name):
    """Once: their posterior covariance is asked for by place."""
    _, spatial, template, _ = case(name)
    n, pattern = spatial.n, template.pattern
    pairs = {(int(i), int(j)) for i, j in zip(pattern.rows, pattern.cols, strict=True)}
    edges = {(n + int(i), n + int(j)) for i, j in zip(spatial.pattern.rows, spatial.pattern.cols, strict=True)}
    assert pairs == edges | {(i, i) for i in range(n)} | {(n + i, i) for i in range(n)}


@graphs
def test_derivatives(name):
    """Of the scales; the precision does not depend on theta."""
    _, spatial, template, _ = case(name)
    sd, phi, n = 0.7, 0.3, spatial.n
    with jax.enable_x64(True):

        def parts(theta):
            found = template.whiten({"sd": theta[:1], "phi": theta[1:]})
            return found.scale, found.values, found.logdet

        scale, values, logdet = jax.jacfwd(parts)(jnp.array([sd, phi]))
    assert not np.any(values) and not np.any(logdet)
    np.testing.assert_allclose(scale[:, 0], np.repeat([np.sqrt(1 - phi), np.sqrt(phi)], n), rtol=1e-15)
    slopes = [-sd / (2 * np.sqrt(1 - phi)), sd / (2 * np.sqrt(phi))]
    np.testing.assert_allclose(scale[:, 1], np.repeat(slopes, n), rtol=1e-14)


def doubled_divergence(gamma, t):
    """``2 KLD(N(0, (1 - phi) I + phi R*^-) || N(0, I))`` from the eigenvalues gamma of ``R*^-``, ``t = logit phi``."""
    phi = expit(t)
    terms = np.empty(gamma.size)
    null = gamma < 1e-9
    terms[~null] = phi * (gamma[~null] - 1) - np.log1p(phi * (gamma[~null] - 1))
    terms[null] = -phi - np.log(expit(-t))  # log(1 - phi), with its digits
    return terms.sum()


def eigenvalues(name):
    return np.linalg.eigvalsh(case(name)[3])


def lost(spatial, gamma, t):
    """What rounding may do to ``2 KLD``: ``tr((R* + r I)^-1 E)`` for an error E of R*, and of other sums.

    ``1 - phi`` has lost digits near one.
    """
    null = np.count_nonzero(gamma < 1e-9)
    error = rounding(gamma.size) * np.abs(spatial.entries).max()
    other = rounding(gamma.size) * (1 + np.abs(t)) + 4 * EPS * np.exp(np.maximum(t, 0.0))
    return error * (null / np.exp(t) + gamma.sum()) + gamma.size * other


@graphs
def test_distance_at_its_nodes(name):
    structure, spatial, _, _ = case(name)
    gamma = eigenvalues(name)
    wanted = np.array([doubled_divergence(gamma, t) for t in bym2.NODES])
    found = bym2.distance(structure, spatial)
    np.testing.assert_array_equal(found.nodes, bym2.NODES)
    np.testing.assert_array_less(np.abs(found.values**2 - wanted), lost(spatial, gamma, bym2.NODES))
    # where it is small it is a difference of much larger terms; what the prior sees of it is still right
    np.testing.assert_allclose(found.values, np.sqrt(wanted), rtol=2e-3)
    np.testing.assert_allclose(found.values[4:], np.sqrt(wanted[4:]), rtol=1e-5)


@graphs
def test_distance_between_nodes_and_below(name):
    """The error of a cubic spline of log d, whose fourth derivative in logit phi is of order one, with step 1/2."""
    structure, spatial, _, _ = case(name)
    gamma = eigenvalues(name)
    found = bym2.distance(structure, spatial)
    between = (bym2.NODES[4:-1] + bym2.NODES[5:]) / 2
    wanted = np.sqrt([doubled_divergence(gamma, t) for t in between])
    np.testing.assert_allclose([found.at(expit(t)) for t in between], wanted, rtol=5 / 384 * 0.5**4)
    low = expit(bym2.NODES[0] - np.array([1e-9, 1.0, 10.0]))
    np.testing.assert_allclose([found.at(x) for x in low], found.values[0] * low / expit(bym2.NODES[0]), rtol=1e-6)


@graphs
def test_distance_grows(name):
    found = bym2.distance(*case(name)[:2])
    assert np.all(np.diff(found.values) > 0)
    # the slope at the end, by differences of the definition; bym2 leaves out what is of order 1 - phi
    gamma, h, t = eigenvalues(name), 1e-4, bym2.NODES[-1]
    logs = [0.5 * np.log(doubled_divergence(gamma, t + e)) for e in (h, -h)]
    small = 10 * gamma.sum() * expit(-t) / found.values[-1] ** 2
    assert found.end_slope == pytest.approx((logs[0] - logs[1]) / (2 * h), abs=small)


def test_the_distance_of_a_component_does_not_depend_on_the_others():
    """Squares add up over components, and an island adds nothing."""
    parts = [("ring", 0), ("pair", 6), ("star and ring", 9)]
    edges = np.concatenate([np.array(GRAPHS[name][1]) + start for name, start in parts])
    n = 19  # 8 and 18 are islands
    structure = icar(edges, connected_components(icar_structure(n, edges) != 0)[1])
    spatial, _ = structure.scaled("bym2")
    whole = bym2.distance(structure, spatial).values ** 2
    alone = [bym2.distance(*case(name)[:2]).values ** 2 for name, _ in parts]
    gamma = np.linalg.eigvalsh(scaled_covariance(icar_structure(n, edges))[0])
    np.testing.assert_array_less(np.abs(whole - np.sum(alone, axis=0)), 2 * lost(spatial, gamma, bym2.NODES))


def test_compiled_as_eager():
    template = case("path, pair, two islands")[2]
    with jax.enable_x64(True):
        theta = {"sd": jnp.array([0.7]), "phi": jnp.array([0.3])}
        eager, compiled = template.whiten(theta), jax.jit(partial(template.whiten))(theta)
    for one, other in zip(eager, compiled, strict=True):
        np.testing.assert_allclose(one, other, rtol=4 * EPS)
