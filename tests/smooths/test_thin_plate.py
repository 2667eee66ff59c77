"""Thin plate splines by their definition, in one variable and several."""

import numpy as np
import pytest

from lgm.errors import DataError
from lgm.smooths import cubic, thin_plate
from lgm.smooths.basis import Settled
from lgm.smooths.thin_plate import ThinPlate, build, polynomials, radial

RNG = np.random.default_rng(9)
X = RNG.uniform(0.0, 4.0, (45, 2)) * [1.0, 2.0]


def test_one_variable_as_cubic_splines() -> None:
    one, other = build(X[:, :1], 9, 2, None, "s(x)"), cubic.build("tp", X[:, 0], 9)
    np.testing.assert_allclose(one.evaluate(X[:, 0]), other.evaluate(X[:, 0]), atol=1e-11)
    assert one.scale == pytest.approx(other.scale)


@pytest.mark.parametrize(("d", "m"), [(1, 1), (1, 3), (2, 2), (2, 3), (3, 2), (3, 3)])
def test_columns_follow_the_definition(d: int, m: int) -> None:
    """``sum_i delta_i eta(|x - x_i|)`` + polynomials, delta in the truncated space, with ``delta' E delta = b'b``."""
    x, k = RNG.uniform(0.0, 3.0, (30, d)), 14
    found = build(x, k, m, None, "s(x)")
    far = np.linalg.norm(x[:, None] - x, axis=2)
    E = radial(far, m, d)
    values, vectors = np.linalg.eigh(E)
    U = vectors[:, np.argsort(-np.abs(values))[:k]]
    T = np.prod((x - x.mean(axis=0))[:, None] ** polynomials(d, m), axis=2)
    free = U @ np.linalg.qr(U.T @ T, mode="complete")[0][:, T.shape[1] :]
    new = RNG.uniform(-1.0, 4.0, (40, d))
    at_new = radial(np.linalg.norm(new[:, None] - x, axis=2), m, d) @ free
    t_new = np.prod((new - x.mean(axis=0))[:, None] ** polynomials(d, m), axis=2)
    z = found.evaluate(new) * found.scale**0.5
    whole = np.column_stack([at_new, t_new])
    size = np.linalg.norm(whole, axis=0)
    coefficients = np.linalg.lstsq(whole / size, z, rcond=None)[0] / size[:, None]
    np.testing.assert_allclose(whole @ coefficients, z, atol=1e-7 * np.abs(z).max())
    delta = free @ coefficients[: free.shape[1]]
    np.testing.assert_allclose(delta.T @ E @ delta, np.eye(k - T.shape[1]), atol=1e-5)


def test_fundamental_solutions() -> None:
    r = np.array([0.0, 0.5, 2.0])
    np.testing.assert_allclose(radial(r, 2, 1), r**3 / 12.0)
    np.testing.assert_allclose(radial(r, 1, 1), -r / 2.0)
    np.testing.assert_allclose(radial(r, 2, 2)[1:], r[1:] ** 2 * np.log(r[1:]) / (8.0 * np.pi))
    np.testing.assert_allclose(radial(r, 2, 3), -r / (8.0 * np.pi))
    np.testing.assert_allclose(radial(r, 2, 2, 3.0)[1:], r[1:] ** 2 * np.log(3.0 * r[1:]) / (8.0 * np.pi))
    assert radial(r, 2, 2)[0] == 0.0


def test_no_axis_is_special() -> None:
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    one, other = build(X, 20, None, None, "s(x, z)"), build(X @ turn + 7.0, 20, None, None, "s(x, z)")
    z, turned = one.evaluate(X), other.evaluate(X @ turn + 7.0)
    np.testing.assert_allclose(z @ z.T, turned @ turned.T, atol=1e-9)


def test_defaults() -> None:
    assert build(X, None, None, None, "s(x, z)").k == 30
    assert [thin_plate.default_order(d) for d in (1, 2, 3)] == [2, 2, 3]
    assert polynomials(2, 3).tolist() == [[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2]]


def _points(found: Settled) -> ThinPlate:
    assert isinstance(found.functions, ThinPlate)
    return found.functions


def test_points_of_large_data_are_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the order of the rows, and near the smooth through all points."""
    monkeypatch.setattr(thin_plate, "MOST_POINTS", 30)
    one, other = (build(x, 12, None, None, "s(x, z)") for x in (X, X[::-1]))
    np.testing.assert_allclose(one.evaluate(X), other.evaluate(X), atol=1e-9)
    assert len(_points(one).points) == 30
    low, high = np.array(_points(one).points).min(axis=0), np.array(_points(one).points).max(axis=0)
    assert np.all(high - low > 0.8 * np.ptp(X, axis=0) / _points(one).width)


def test_knots_are_its_points() -> None:
    found = build(X, 12, None, X[::2], "s(x, z)")
    assert len(_points(found).points) == 23
    np.testing.assert_allclose(
        _points(build(X[::2], 12, None, None, "s(x, z)")).delta.shape, _points(found).delta.shape
    )


@pytest.mark.parametrize(
    ("x", "k", "m", "message"),
    [
        (X, 60, None, r"k=60 but there are only 45 distinct rows of its variables; pass k=45 or less"),
        (X, 3, None, "k=3 is too small; bs='tp' needs k=4 or more"),
        (X, 10, 1, r"m=1 is no order for 2 variable\(s\); accepted: m=2, m=3, m=4"),
        (np.column_stack([X[:, 0], 2.0 * X[:, 0]]), 10, None, "its variables are functions of each other"),
    ],
)
def test_impossible_ones(x, k: int, m: int | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        build(x, k, m, None, "s(x, z)")
