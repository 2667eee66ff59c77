"""Relations between covariance components, against the rank of dense matrices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.posterior.confounding import Moved, Remainder, relations


def _one_hot(codes: FloatArray) -> FloatArray:
    return (codes[:, None] == np.unique(codes)).astype(float)


def _dense(x: FloatArray, z: FloatArray, parts: list[Moved], residual: bool) -> FloatArray:
    """``M D_a M`` of each component, as the columns of a matrix."""
    m = np.eye(len(x)) - x @ np.linalg.pinv(x)
    found = []
    for part in parts:
        e = np.zeros((z.shape[1],) * 2)
        right = part.left if part.right is None else part.right
        e[part.left, right] = e[right, part.left] = 1.0
        found.append(m @ z @ e @ z.T @ m)
    return np.column_stack([each.ravel() for each in [*found, *([m] if residual else [])]])


def _design(rng: np.random.Generator) -> tuple[FloatArray, FloatArray, list[Moved]]:
    """Fixed effects, two groupings with two effects each, and all their variances and covariances."""
    n = int(rng.integers(4, 30))
    g, h = rng.integers(0, rng.integers(2, n), n), rng.integers(0, 4, n)
    if rng.random() < 0.3:
        h = g % 5
    slope = rng.choice([-1.0, 1.0], n) if rng.random() < 0.5 else rng.standard_normal(n)
    columns = [np.ones((n, 1)), slope[:, None], _one_hot(h)[:, 1:], _one_hot(g)[:, 1:]]
    x = np.hstack([column for column in columns if rng.random() < 0.4] or [np.ones((n, 1))])
    x = np.linalg.svd(x, full_matrices=False)[0][:, : np.linalg.matrix_rank(x)] * np.sqrt(n)
    blocks, parts, start = [], [], 0
    for codes in (g, h):
        own = _one_hot(codes)
        index = start + np.arange(own.shape[1])
        other = index + own.shape[1]
        blocks += [own, own * slope[:, None]]
        parts += [Moved(index), Moved(other), Moved(index, other)]
        start += 2 * own.shape[1]
    return x, np.hstack(blocks), parts


@pytest.mark.parametrize("seed", range(60))
def test_relations_are_those_of_the_dense_matrices(seed: int) -> None:
    x, z, parts = _design(np.random.default_rng(seed))
    gram = sp.csc_array(np.hstack([x, z]).T @ np.hstack([x, z]))
    p, n = x.shape[1], len(x)
    for residual in (None, n - p):
        if residual == 0:
            continue
        dense = _dense(x, z, parts, residual is not None)
        dense /= np.maximum(np.linalg.norm(dense, axis=0), 1e-300)
        dense[:, np.linalg.norm(_dense(x, z, parts, residual is not None), axis=0) < 1e-9] = 0.0
        found = relations(Remainder.of(gram, np.arange(p), p), parts, residual)
        assert len(found) == dense.shape[1] - np.linalg.matrix_rank(dense, tol=1e-7)
        for related in found:  # and each is one: dependent, by all of its members
            assert np.linalg.matrix_rank(dense[:, related], tol=1e-7) < related.size
            for some in itertools.combinations(related, related.size - 1):
                assert np.linalg.matrix_rank(dense[:, list(some)], tol=1e-7) == len(some)


def test_the_designs_of_the_test_have_relations_of_every_kind() -> None:
    kinds = set()
    for seed in range(60):
        x, z, parts = _design(np.random.default_rng(seed))
        gram, p = sp.csc_array(np.hstack([x, z]).T @ np.hstack([x, z])), x.shape[1]
        for related in relations(Remainder.of(gram, np.arange(p), p), parts, len(x) - p):
            kinds.add((min(related.size, 3), len(parts) in related))
    assert kinds >= {(1, False), (2, False), (2, True), (3, True)}


def test_one_row_in_a_hundred_thousand_tells_two_groupings_apart() -> None:
    n, levels = 100_000, 100
    g = np.arange(n) % levels
    h = g.copy()
    h[-1] = 0
    ones = np.ones(n)
    z = sp.hstack([sp.csc_array((ones, (np.arange(n), each))) for each in (g, h)])
    a = sp.hstack([sp.csc_array(ones[:, None]), z]).tocsc()
    parts = [Moved(np.arange(levels)), Moved(levels + np.arange(levels))]
    assert relations(Remainder.of(sp.csc_array(a.T @ a), np.arange(1), 1), parts, n - 1) == []
    z = sp.hstack([sp.csc_array((ones, (np.arange(n), g)))] * 2)
    a = sp.hstack([sp.csc_array(ones[:, None]), z]).tocsc()
    (related,) = relations(Remainder.of(sp.csc_array(a.T @ a), np.arange(1), 1), parts, n - 1)
    assert related.tolist() == [0, 1]


def test_units_of_effects_do_not_matter() -> None:
    """Traces of components in a basis of tiny columns are tiny beside that of the residual."""
    g = np.arange(30) % 10
    z = 1e-6 * _one_hot(g)
    a = sp.csc_array(np.hstack([np.ones((30, 1)), z]))
    assert relations(Remainder.of(sp.csc_array(a.T @ a), np.arange(1), 1), [Moved(np.arange(10))], 29) == []


@pytest.mark.parametrize("seed", range(5))
def test_predictors_simulated_with_a_common_seed_are_not_the_probe(seed: int) -> None:
    """An effect for each row, beside a predictor that users draw first."""
    x = np.random.default_rng(seed).standard_normal((24, 1))
    gram = sp.csc_array(np.hstack([x, np.eye(24)]).T @ np.hstack([x, np.eye(24)]))
    assert not Remainder.of(gram, np.array([0]), 1).is_nothing(np.arange(24))
