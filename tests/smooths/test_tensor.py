"""Tensor products against the Kronecker sums of dense penalties that define them."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from lgm.arrays import FloatArray
from lgm.smooths import tensor
from lgm.smooths.basis import typical
from lgm.smooths.build import build, margins

RNG = np.random.default_rng(12)
X = RNG.uniform(0.0, 1.0, (60, 3)) * [3.0, 1.0, 2.0]
NAMES = ("x", "z", "v")


def cardinal(x: FloatArray, k: int, *, closed: bool = False) -> tuple[FloatArray, FloatArray]:
    """Cubic splines by their values at k quantiles, natural or periodic, and the integral of their f''^2.

    f'' is a broken line, so that Simpson's rule is exact on each interval.
    """
    knots = np.quantile(np.unique(x), np.linspace(0.0, 1.0, k))
    values = np.vstack([np.eye(k - 1), np.eye(1, k - 1)]) if closed else np.eye(k)
    spline = CubicSpline(knots, values, bc_type="periodic" if closed else "natural")
    f, half = spline(knots, 2), spline((knots[1:] + knots[:-1]) / 2.0, 2)
    ends = f[:-1, :, None] * f[:-1, None] + f[1:, :, None] * f[1:, None]
    inner = (ends + 4.0 * half[:, :, None] * half[:, None]) / 6.0
    penalty = np.einsum("i,ijk->jk", np.diff(knots), inner)
    return spline(x), penalty / np.linalg.eigvalsh(penalty)[-1]


def rowwise(parts: list[FloatArray]) -> FloatArray:
    out = parts[0]
    for part in parts[1:]:
        out = (out[:, :, None] * part[:, None, :]).reshape(len(out), -1)
    return out


def without(columns: FloatArray, f: FloatArray) -> FloatArray:
    """Of functions what is not in the span of some columns."""
    return f - columns @ np.linalg.lstsq(columns, f, rcond=None)[0]


def dense_covariance(parts: list[tuple[FloatArray, FloatArray]], sds: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Of ``f = X b`` with the precision ``sum_j I (x) S_j (x) I / sd_j^2`` on its range; and its null space."""
    sizes = [p[1].shape[0] for p in parts]
    penalty = np.zeros((int(np.prod(sizes)),) * 2)
    for j, (_, s) in enumerate(parts):
        factors = [s / sds[j] ** 2 if i == j else np.eye(n) for i, n in enumerate(sizes)]
        whole = factors[0]
        for factor in factors[1:]:
            whole = np.kron(whole, factor)
        penalty += whole
    design = rowwise([p[0] for p in parts])
    values, vectors = np.linalg.eigh(penalty)
    nullity = int(np.prod([n - np.linalg.matrix_rank(p[1], tol=1e-10) for n, p in zip(sizes, parts, strict=True)]))
    ranged = design @ vectors[:, nullity:]
    return ranged / values[nullity:] @ ranged.T, design @ vectors[:, :nullity]


@pytest.mark.parametrize(("kinds", "sizes"), [("cr cr", (5, 4)), ("cr cc", (4, 6)), ("cc cr cr", (5, 3, 4))])
def test_te_is_the_kronecker_sum(kinds: str, sizes: tuple[int, ...]) -> None:
    d = len(sizes)
    x, sds = X[:, :d], np.array([0.7, 1.9, 0.4])[:d]
    found = tensor.sum_of_penalties("te", margins("te", kinds.split(), x, sizes, [None] * d, "te"), x, NAMES[:d])
    parts = [cardinal(x[:, j], sizes[j], closed=kind == "cc") for j, kind in enumerate(kinds.split())]
    covariance, null = dense_covariance(parts, sds / np.sqrt(found.factors))
    z = found.evaluate(x)
    ours = z / np.sum(found.weights / sds**2, axis=1) @ z.T
    plain = np.column_stack([np.ones(60), found.null(x)])
    np.testing.assert_allclose(without(plain, null), 0.0, atol=1e-8)
    expected = without(plain, without(plain, covariance).T)
    np.testing.assert_allclose(without(plain, without(plain, ours).T), expected, atol=1e-8 * np.abs(expected).max())
    assert found.weights.shape == (np.prod([p[1].shape[0] for p in parts]) - null.shape[1], d)


def test_ti_has_margins_that_sum_to_zero() -> None:
    """In the coordinates of an orthonormal basis of the values at the knots whose functions do."""
    x, sds = X[:, :2], np.array([0.7, 1.9])
    found = tensor.sum_of_penalties("ti", margins("ti", ["cr", "cr"], x, (5, 4), [None] * 2, "ti"), x, NAMES[:2])
    parts = []
    for j, k in enumerate((5, 4)):
        f, s = cardinal(x[:, j], k)
        free = np.linalg.qr(f.mean(axis=0)[:, None], mode="complete")[0][:, 1:]
        s = free.T @ s @ free
        parts.append((f @ free, s / np.linalg.eigvalsh(s)[-1]))
    covariance, null = dense_covariance(parts, sds / np.sqrt(found.factors))
    z = found.evaluate(x)
    ours = z / np.sum(found.weights / sds**2, axis=1) @ z.T
    plain = np.column_stack([np.ones(60), found.null(x)])
    assert null.shape[1] == 1 and found.null.powers.tolist() == [[1, 1]]
    expected = without(plain, without(plain, covariance).T)
    np.testing.assert_allclose(without(plain, without(plain, ours).T), expected, atol=1e-8 * np.abs(expected).max())


def test_each_sd_is_a_typical_size_where_the_others_are_infinite() -> None:
    found = tensor.sum_of_penalties(
        "te", margins("te", ["cr", "tp"], X[:, :2], (5, 4), [None] * 2, "te"), X[:, :2], "xz"
    )
    z = found.evaluate(X[:, :2])
    for weights in found.weights.T:
        seen = weights > 0.0
        assert typical(z[:, seen] ** 2 @ (1.0 / weights[seen])) == pytest.approx(1.0)


def test_units_do_not_matter() -> None:
    x = X[:, :2]
    one, other = (
        tensor.sum_of_penalties("te", margins("te", ["cr", "ps"], each, (5, 6), [None] * 2, "te"), each, "xz")
        for each in (x, x * [100.0, 0.01] + 3.0)
    )
    np.testing.assert_allclose(one.weights, other.weights, rtol=1e-8, atol=1e-10)
    z, moved = one.evaluate(x), other.evaluate(x * [100.0, 0.01] + 3.0)
    np.testing.assert_allclose(
        (z / one.weights.sum(axis=1)) @ z.T, (moved / other.weights.sum(axis=1)) @ moved.T, atol=1e-8
    )


def test_t2_is_made_of_products() -> None:
    """Each has its own sd: with ranges R and null spaces N of the margins, ``R R``, ``R N`` and ``N R``."""
    x = X[:, :2]
    both = margins("t2", ["cr", "cc"], x, (5, 6), [None] * 2, "t2")
    found = tensor.by_parts(both, x, NAMES[:2])
    assert found.parts == ("x:z", "x", "z")
    assert found.weights.astype(bool).sum(axis=0).tolist() == [3 * 4, 3 * 1, 2 * 4]
    assert (found.weights > 0).sum(axis=1).tolist() == [1] * len(found.weights)
    plain = np.column_stack([np.ones(60), found.null(x)])
    for i, part in enumerate(found.parts):
        own = [one(x[:, j]) for j, one in enumerate(both)]
        chosen = [
            f[:, one.nullity :] if name in part.split(":") else f[:, : one.nullity]
            for f, one, name in zip(own, both, "xz", strict=True)
        ]
        product = without(plain, rowwise(chosen))
        mine = found.weights[:, i] > 0
        z = found.evaluate(x)[:, mine]
        np.testing.assert_allclose(z @ z.T, product @ product.T, atol=1e-9)
        assert typical(z**2 @ (1.0 / found.weights[mine, i])) == pytest.approx(1.0)


def test_margins_of_t2_are_of_size_one() -> None:
    (one,) = margins("t2", ["cr"], X[:, :1], (6,), [None], "t2")
    f = one(X[:, 0])
    np.testing.assert_allclose(f[:, :2].T @ f[:, :2] / 60, np.eye(2), atol=1e-12)
    assert np.mean(f[:, 2:] ** 2) == pytest.approx(1.0)


def test_columns_vanish_nowhere_but_in_the_null_space() -> None:
    found = tensor.sum_of_penalties(
        "te", margins("te", ["tp", "ps"], X[:, :2], (4, 5), [None] * 2, "te"), X[:, :2], "xz"
    )
    whole = np.column_stack([np.ones(60), found.null(X[:, :2]), found.evaluate(X[:, :2])])
    assert np.linalg.matrix_rank(whole) == whole.shape[1] == found.k == 20
    outside = np.array([[-1.0, 0.5], [1.0, 0.5], [1.0, 2.0]])
    assert found.outside(outside).tolist() == [True, False, True]


def test_a_margin_is_its_basis_turned() -> None:
    x = X[:, 0]
    basis = build("tp", X[:, :1], 6, None, None, "s(x)")
    one = tensor.margin(basis, x, None, constant=True)
    assert one.k == 6 and one.nullity == 2 and one.eigenvalues[:2].tolist() == [0.0, 0.0]
    points = np.linspace(x.min(), x.max(), 6)
    np.testing.assert_allclose(one(points).T @ one(points), np.eye(6), atol=1e-10)
