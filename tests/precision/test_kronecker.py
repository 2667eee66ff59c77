"""``A (x) B`` against dense products, written down from the definitions of A and B."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
from dense_model import ar1, circular_structure, icar_structure, rounding, rw_structure, seasonal_structure
from hypothesis import given, settings
from hypothesis import strategies as st

from lgm.pattern import Pattern
from lgm.precision import rw
from lgm.precision.ar import Ar1
from lgm.precision.circular import circular
from lgm.precision.icar import icar
from lgm.precision.iid import Iid
from lgm.precision.kronecker import Kronecker, constraint_of, product_of_patterns
from lgm.precision.seasonal import seasonal
from lgm.precision.template import Constraint, Whitened

EDGES, NODES = [(0, 1), (1, 2), (2, 0), (3, 4)], 6  # two components and an island
TIMES = [0.0, 1.0, 2.5, 3.0]
SD, ONLY = (("sd", 1),), (("sd", 1), ("rho", 1))

# template, constraint, kinds, dense precision of unit sd, nullity
FACTORS: dict[str, Any] = {
    "iid": (Iid(3), None, SD, np.eye(3), 0),
    "ar1": (Ar1(np.array([1, 2, 1]), 4), None, ONLY, np.linalg.inv(ar1(np.array([0, 1, 3, 4]), 1.0, 0.6)), 0),
}
for name, structure, matrix, nullity in [
    ("rw1", rw.rw1(TIMES), rw_structure(1, TIMES), 1),
    ("rw2", rw.rw2(TIMES), rw_structure(2, TIMES), 2),
    ("cyclic", circular(2, 5), circular_structure(2, 5), 1),
    ("seasonal", seasonal(6, 3), seasonal_structure(6, 3), 2),
    ("icar", icar(EDGES, [0, 0, 0, 1, 1, 2]), icar_structure(NODES, EDGES), 2),
]:
    template, factors = structure.scaled(name)
    labels = structure.component
    scale = np.ones(structure.n)
    for label, factor in zip(np.unique(labels[labels >= 0]), factors, strict=True):
        scale[labels == label] = factor
    FACTORS[name] = (template, structure.constraint, SD, matrix * scale, nullity)

pairs = pytest.mark.parametrize(("a", "b"), list(itertools.product(FACTORS, FACTORS)), ids=str)


SOME = [
    ("iid", "ar1"),
    ("iid", "rw2"),
    ("iid", "icar"),
    ("ar1", "ar1"),
    ("ar1", "icar"),
    ("rw1", "icar"),
    ("rw2", "cyclic"),
    ("icar", "rw2"),
    ("icar", "ar1"),
    ("seasonal", "seasonal"),
]


def product(a, b):
    outer, inner = FACTORS[a], FACTORS[b]
    template = Kronecker.of(outer[0], inner[0], (outer[2], inner[2]), (outer[1], inner[1]))
    theta = {"sd": jnp.array([0.7]), "rho": jnp.array([0.6] * (len(outer[2]) + len(inner[2]) - 2))}
    return template, theta, np.kron(outer[3], inner[3])


@pytest.mark.parametrize(("a", "b"), SOME, ids=str)
def test_values_scale_and_determinant(a, b):
    with jax.enable_x64(True):
        template, theta, R = product(a, b)
        found = template.whiten(theta)
        bound = rounding(len(R)) * np.abs(R).max()
        np.testing.assert_allclose(template.pattern.matrix(found.values).toarray(), R, rtol=0, atol=bound)
        np.testing.assert_array_equal(found.scale, np.full(len(R), 0.7))
        rank = np.prod([len(FACTORS[f][3]) - FACTORS[f][4] for f in (a, b)])
        values = np.linalg.eigvalsh(R)[len(R) - rank :]
        assert template.ranks[0] * template.ranks[1] == rank == np.linalg.matrix_rank(R)
        assert float(found.logdet) == pytest.approx(np.sum(np.log(values)), abs=1e-8)
        assert template.pattern.nnz == np.count_nonzero(np.abs(np.tril(R)) > 1e-12) == found.values.size


@pairs
def test_null_space_is_all_of_it_and_anchored(a, b):
    outer, inner = FACTORS[a], FACTORS[b]
    R = np.kron(outer[3], inner[3])
    constraint = constraint_of(outer[1], inner[1], len(outer[3]), len(inner[3]))
    lost = len(R) - np.linalg.matrix_rank(R)
    if not lost:
        assert constraint is None
        return
    null_space, anchors = constraint.null_space.toarray(), constraint.anchors
    assert null_space.shape == (len(R), lost)
    assert np.linalg.matrix_rank(null_space) == lost
    np.testing.assert_allclose(R @ null_space, 0.0, atol=1e-9 * np.abs(R).max())
    assert np.unique(anchors).size == lost == np.linalg.matrix_rank(null_space[anchors])
    raised = R.copy()
    raised[anchors, anchors] += R.diagonal().mean()
    assert np.linalg.eigvalsh(raised).min() > 1e-6


@st.composite
def patterns(draw):
    n = draw(st.integers(1, 5))
    entries = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=8))
    return Pattern.from_entries(n, [i for i, _ in entries], [j for _, j in entries])


@settings(deadline=None, max_examples=60)
@given(patterns(), patterns(), st.integers(0, 2**32 - 1))
def test_any_patterns(a, b, seed):
    rng = np.random.default_rng(seed)
    left, right = rng.integers(1, 100, a.nnz).astype(float), rng.integers(1, 100, b.nnz).astype(float)
    pattern, of_a, of_b = product_of_patterns(a, b)
    found = pattern.matrix(left[of_a] * right[of_b]).toarray()
    np.testing.assert_array_equal(found, np.kron(a.matrix(left).toarray(), b.matrix(right).toarray()))
    assert pattern == Pattern.of(sp.kron(a.matrix(left), b.matrix(right), "csc"))


@jax.tree_util.register_pytree_node_class
class _Fixed:
    """A precision without a closed form of its determinant."""

    def __init__(self, pattern, values):
        self.pattern, self.entries, self.n = pattern, values, pattern.n

    def whiten(self, theta):
        scale = jnp.broadcast_to(theta["sd"], (self.n,)) * jnp.arange(1.0, self.n + 1)
        lifted = jnp.asarray(self.entries) + theta["rho"][0] * (self.pattern.rows == self.pattern.cols)
        return Whitened(scale, lifted, None)

    def tree_flatten(self):
        return (self.entries,), self.pattern

    @classmethod
    def tree_unflatten(cls, pattern, children):
        return cls(pattern, children[0])


@pytest.mark.parametrize("which", ["outer", "inner", "both"])
def test_determinants_by_factorisation_and_their_gradients(which):
    path = Pattern.from_entries(4, [0, 1, 2], [1, 2, 3])
    entries = np.where(path.rows == path.cols, 2.0, -0.7)
    fixed, known = (_Fixed(path, entries), ONLY, path.matrix(entries).toarray()), (Ar1(np.array([1, 1]), 3), ONLY)
    a, b = {"outer": (fixed, known), "inner": (known, fixed), "both": (fixed, fixed)}[which]

    def dense(factor, rho):
        if len(factor) == 3:
            return np.arange(1.0, 5.0), factor[2] + rho * np.eye(4)
        return np.ones(3), np.linalg.inv(ar1(np.arange(3), 1.0, rho))

    with jax.enable_x64(True):
        template = Kronecker.of(a[0], b[0], (a[1], b[1]))
        theta = {"sd": jnp.array([0.7]), "rho": jnp.array([0.3, 0.5])}  # of B, of A
        found = template.whiten(theta)
        (scale_a, A), (scale_b, B) = dense(a, 0.5), dense(b, 0.3)
        np.testing.assert_allclose(template.pattern.matrix(found.values).toarray(), np.kron(A, B), atol=1e-12)
        np.testing.assert_allclose(found.scale, 0.7 * np.kron(scale_a, scale_b), rtol=1e-14)
        assert float(found.logdet) == pytest.approx(np.linalg.slogdet(np.kron(A, B))[1], abs=1e-10)

        def logdet(rho):
            return template.whiten({**theta, "rho": rho}).logdet

        slope = jax.jit(jax.grad(logdet))(theta["rho"])
        for k, step in enumerate(np.eye(2)):
            up, down = (
                np.linalg.slogdet(np.kron(dense(a, 0.5 + h * step[1])[1], dense(b, 0.3 + h * step[0])[1]))[1]
                for h in (1e-5, -1e-5)
            )
            assert float(slope[k]) == pytest.approx((up - down) / 2e-5, rel=1e-7)


def test_hyperparameters_are_split_by_kind():
    template = Kronecker.of(Ar1(np.array([1]), 2), Ar1(np.array([1]), 2), (ONLY, ONLY))
    own, others = template.split({"sd": np.array([[2.0], [3.0]]), "rho": np.array([[0.1, 0.2], [0.3, 0.4]])})
    assert own["sd"].tolist() == [[2.0], [3.0]] and own["rho"].tolist() == [[0.1], [0.3]]
    assert others["sd"].tolist() == [[1.0], [1.0]] and others["rho"].tolist() == [[0.2], [0.4]]


def test_without_constraints_there_is_none():
    assert constraint_of(None, None, 2, 3) is None
    one = Constraint(sp.csc_array(np.ones((2, 1))), np.array([0]))
    found = constraint_of(None, one, 2, 2)
    assert found is not None
    assert found.null_space.toarray().tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]] and found.anchors.tolist() == [0, 2]
