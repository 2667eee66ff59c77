"""Spline bases: agreement with mgcv at fixed smoothing parameters, closed forms, invariances, errors.

Tolerances come from `rounding`: linear algebra on n rows of order-one numbers loses at most a small multiple of
``n * eps * cond``. The reference files carry ten significant digits, see `test_fitted_values_of_mgcv`.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import BSpline, CubicSpline

from lgm.arrays import FloatArray
from lgm.errors import DataError
from lgm.smooths import cubic
from lgm.smooths.cubic import Basis, build

ROOT = Path(__file__).parents[2]
KINDS = ("tp", "cr", "ps")
assert_close = partial(np.testing.assert_allclose, rtol=0.0)

REFERENCES = ("gamsim1.gam_tp_reml", "gamsim1.gam_tp_ml", "gamsim1.gam_cr_reml", "gamsim1.gam_ps_reml",
              "mcycle.gam_tp_reml", "mcycle.gam_ps_reml", "nhtemp.gam_tp_reml")  # fmt: skip
COLUMNS = {"gamsim1": ("y", ["x0", "x1", "x2", "x3"]), "mcycle": ("accel", ["times"]), "nhtemp": ("temp", ["t"])}


def rounding(n: int, cond: float = 1.0) -> float:
    """Bound for the error of linear algebra with n terms and the given condition number, relative to the largest."""
    return 10.0 * n * float(np.finfo(np.float64).eps) * cond


@pytest.fixture
def x() -> FloatArray:
    """Uneven covariate with repeats, not in order, in units far from one; neighbours differ by 0.2 at least."""
    rng = np.random.default_rng(20240501)
    values = 50.0 + np.cumsum(0.2 + rng.gamma(0.5, size=70))
    return rng.permutation(np.concatenate([values, values[:20], values[:5]]))


def with_null(x: FloatArray, Z: FloatArray) -> FloatArray:
    """[1, x, Z] with x centred and scaled."""
    return np.column_stack([np.ones_like(x), (x - x.mean()) / np.ptp(x), Z])


def penalised_fit(y: FloatArray, fixed: FloatArray, Z: FloatArray, penalty: FloatArray) -> FloatArray:
    """Coefficients that minimise ``|y - fixed beta - Z b|^2 + sum_j penalty_j b_j^2``, with extra rows."""
    extra = np.pad(np.diag(np.sqrt(penalty)), ((0, 0), (fixed.shape[1], 0)))
    rows = np.vstack([np.column_stack([fixed, Z]), extra])
    size = np.linalg.norm(rows, axis=0)
    u: FloatArray = np.linalg.lstsq(rows / size, np.concatenate([y, np.zeros(penalty.size)]), rcond=None)[0] / size
    return u


def second_derivative(basis: Basis, at: FloatArray, step: FloatArray) -> FloatArray:
    """Second difference of the design: exact where the columns are cubic polynomials across ``at +- step``."""
    left, middle, right = (basis.design(at + sign * step) for sign in (-1.0, 0.0, 1.0))
    return (left - 2.0 * middle + right) / step[:, None] ** 2


@pytest.mark.parametrize("reference", REFERENCES)
def test_fitted_values_of_mgcv(reference: str) -> None:
    """With ``lambda_j = sp_j / S_scale_j`` on ``b_j' b_j``, penalised least squares gives mgcv's fitted values.

    The files give ten significant digits: a fitted value is off by half a unit of its tenth digit, and each lambda by a
    relative error of 1e-9 at most (two factors of 5e-10). Since ``d fitted / d log lambda`` is ``-F (I - F) y`` in the
    eigenbasis of the smoother F, with eigenvalues in [0, 1], the latter moves a fitted value by ``1e-9 |y - mean| / 4``
    at most, per smooth. Both together are below 1e-8 of the range of the fitted values.
    """
    dataset, model = reference.split(".")
    response, covariates = COLUMNS[dataset]
    result: dict[str, Any] = json.loads((ROOT / "tests/oracles/reference" / f"{reference}.json").read_text())
    data = pd.read_csv(ROOT / "data" / f"{dataset}.csv").astype(np.float64)
    y, fitted = data[response].to_numpy(), np.array(result["fitted"])
    fixed, columns, penalty = [np.ones_like(y)], [], []
    for covariate, smooth in zip(covariates, result["smooths"], strict=True):
        assert smooth["label"] == f"s({covariate})"
        x = data[covariate].to_numpy()
        basis = build(model.split("_")[1], x, smooth["bs_dim"], name=covariate)
        fixed.append(x - x.mean())
        columns.append(basis.evaluate(x))
        penalty.append(np.full(basis.k - 2, smooth["sp"] / smooth["S_scale"] / basis.scale))
    X, Z = np.column_stack(fixed), np.column_stack(columns)
    ours = np.column_stack([X, Z]) @ penalised_fit(y, X, Z, np.concatenate(penalty))

    printed = 0.5 * 10.0 ** (np.floor(np.log10(np.abs(fitted))) - 9.0)
    smoothing = 1e-9 * np.linalg.norm(y - y.mean()) / 4.0 * len(covariates)
    assert np.max(printed + smoothing) < 1e-8 * np.ptp(fitted)
    assert np.all(np.abs(ours - fitted) <= printed + smoothing)


@pytest.mark.parametrize("k", [3, 4, 9, 20])
@pytest.mark.parametrize("kind", ["tp", "cr"])
def test_penalty_is_the_integral_of_the_squared_second_derivative(kind: str, k: int, x: FloatArray) -> None:
    """f'' is linear between knots, so that two Gauss nodes per interval integrate its square exactly."""
    basis, distinct = build(kind, x, k), np.unique(x)
    knots = distinct if kind == "tp" else np.quantile(distinct, np.linspace(0.0, 1.0, k))
    half, middle = np.repeat(np.diff(knots) / 2.0, 2), np.repeat((knots[1:] + knots[:-1]) / 2.0, 2)
    step = 0.4 * half
    second = second_derivative(basis, middle + half * np.tile([-1.0, 1.0], knots.size - 1) / 3.0**0.5, step)
    # four rounded values per second difference; J = 1 changes by 2 sqrt(J range) times their error
    lost = 4.0 * rounding(1) * np.max(np.abs(basis.design(x))) / step.min() ** 2
    assert_close(second.T @ (half[:, None] * second), np.eye(k - 2), atol=2.0 * lost * np.ptp(x) ** 0.5)


def test_p_spline_penalty_is_the_sum_of_squared_second_differences(x: FloatArray) -> None:
    k = 12
    low, step = x.min() - 0.001 * np.ptp(x), 1.002 * np.ptp(x) / (k - 3)
    knots = low + step * np.arange(-3.0, k + 1.0)
    grid = np.linspace(x.min(), x.max(), 400)
    B = BSpline.design_matrix(grid, knots, 3).toarray()
    Z = build("ps", x, k).design(grid)
    beta = np.linalg.lstsq(B, Z, rcond=None)[0]
    second = np.diff(beta, 2, axis=0)
    tolerance = rounding(k, np.linalg.cond(B)) * np.max(np.abs(Z))
    assert_close(B @ beta, Z, atol=tolerance)
    assert_close(second.T @ second, np.eye(k - 2), atol=tolerance * k)


def test_thin_plate_follows_its_definition(x: FloatArray) -> None:
    """Columns are ``sum_i delta_i |x - x_i|^3 / 12`` + linear, delta in the truncated space, ``J = delta' E delta``."""
    k, knots = 9, np.unique(x) - x.mean()
    E = np.abs(knots[:, None] - knots) ** 3 / 12.0
    values, vectors = np.linalg.eigh(E)
    U, D = (part[..., np.argsort(-np.abs(values))[:k]] for part in (vectors, values))
    Zk = np.linalg.qr(U.T @ with_null(knots, np.empty((knots.size, 0))), mode="complete")[0][:, 2:]
    delta = U @ Zk

    new = np.linspace(x.min() - 5.0, x.max() + 5.0, 200)
    truth = with_null(new, np.abs(new[:, None] - x.mean() - knots) ** 3 / 12.0 @ delta)
    Z = build("tp", x, k).design(new)
    size = np.linalg.norm(truth, axis=0)
    gamma = np.linalg.lstsq(truth / size, Z, rcond=None)[0] / size[:, None]
    tolerance = rounding(knots.size, np.linalg.cond(truth / size)) * np.max(np.abs(Z))
    assert_close(truth @ gamma, Z, atol=tolerance)
    assert_close(
        gamma[2:].T @ delta.T @ E @ delta @ gamma[2:],
        np.eye(k - 2),
        atol=tolerance * np.linalg.cond(Zk.T @ (D[:, None] * Zk)),
    )


@pytest.mark.parametrize("kind", ["tp", "cr"])
def test_full_basis_interpolates_as_the_natural_cubic_spline(kind: str) -> None:
    x, y = np.cumsum(0.5 + np.random.default_rng(5).random(12)), np.random.default_rng(6).normal(size=12)
    new = np.linspace(x[0], x[-1], 101)
    basis = build(kind, x, x.size)
    A = with_null(x, basis.evaluate(x))
    u = np.linalg.solve(A, y)
    at_new = np.column_stack([np.ones_like(new), (new - x.mean()) / np.ptp(x), basis.evaluate(new)]) @ u
    natural = CubicSpline(x, y, bc_type="natural")(new)
    assert_close(at_new, natural, atol=rounding(x.size, np.linalg.cond(A)) * np.max(np.abs(natural)))


@pytest.mark.parametrize("kind", KINDS)
def test_null_space_is_exactly_linear(kind: str, x: FloatArray) -> None:
    """A linear function added to y moves the fixed part by itself and b not at all."""
    basis = build(kind, x, 10)
    fixed, Z = with_null(x, np.empty((x.size, 0))), basis.evaluate(x)
    y, penalty = np.sin(x / 5.0), np.full(8, 0.3)
    tolerance = rounding(x.size, np.linalg.cond(with_null(x, Z))) * 7.0
    change = penalised_fit(y + fixed @ [4.0, -3.0], fixed, Z, penalty) - penalised_fit(y, fixed, Z, penalty)
    assert_close(change, [4.0, -3.0] + [0.0] * 8, atol=tolerance)
    assert np.linalg.matrix_rank(with_null(x, Z)) == 10


@pytest.mark.parametrize("k", [4, 10, 25])
@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_canonical(kind: str, k: int, x: FloatArray) -> None:
    basis = build(kind, x, k)
    Z = basis.evaluate(x)
    assert Z.shape == (x.size, k - 2)
    tolerance = rounding(x.size) * x.size
    gram = Z.T @ with_null(x, Z)
    assert_close(gram[:, :2], 0.0, atol=tolerance)
    sizes = np.diag(gram[:, 2:])
    assert_close(gram[:, 2:], np.diag(sizes), atol=tolerance)
    assert np.all(np.diff(sizes) < 0.0)
    from_right = Z[np.argsort(x)[::-1]][:, sizes > tolerance]  # columns that vanish on the data have no sign
    first_large = np.argmax(np.abs(from_right) >= 0.5 * np.max(np.abs(from_right), axis=0), axis=0)
    assert np.all(from_right[first_large, np.arange(first_large.size)] > 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_centre_and_scale(kind: str, x: FloatArray) -> None:
    basis = build(kind, x, 10)
    Z = basis.design(x)
    assert_close(basis.centre, Z.mean(axis=0), atol=rounding(x.size) * np.max(np.abs(Z)))
    variances = np.sum((Z - Z.mean(axis=0)) ** 2, axis=1)
    tolerance = rounding(x.size, np.max(np.abs(Z)) / np.sqrt(variances.min()))
    assert basis.scale == pytest.approx(np.exp(np.mean(np.log(variances))), rel=tolerance)
    np.testing.assert_array_equal(basis.evaluate(x), (Z - basis.centre) / basis.scale**0.5)


def test_rows_without_variance_do_not_make_the_scale_zero() -> None:
    """``g = 1 - 1.5 x^2 + 0.5 |x|^3`` is the one column on {-1, -r, 0, r, 1}; it equals its mean at r if g(r) = 1/3."""
    r = np.sort(np.roots([0.5, -1.5, 0.0, 2.0 / 3.0]))[1]
    x = np.array([-1.0, -r, 0.0, r, 1.0])
    z = build("cr", x, 3).evaluate(x)[:, 0]
    assert_close(z[[1, 3]], 0.0, atol=rounding(5))
    assert np.exp(np.mean(np.log(z[[0, 2, 4]] ** 2))) == pytest.approx(1.0, rel=rounding(5))


@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_whenever_x_is_the_same(kind: str, x: FloatArray) -> None:
    first = build(kind, x)
    for other in (build(kind, x.copy()), build(kind, np.sort(x))):
        for field in ("range", "knots", "coefficients", "centre", "scale"):
            np.testing.assert_array_equal(getattr(first, field), getattr(other, field))
    with pytest.raises(ValueError, match="read-only"):
        first.coefficients[0, 0] = 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_new_data_equal_training_rows(kind: str, x: FloatArray) -> None:
    basis = build(kind, x, 10)
    np.testing.assert_array_equal(basis.evaluate(x[::7]), basis.evaluate(x)[::7])
    assert basis.evaluate(np.empty(0)).shape == (0, 8)
    with pytest.raises(DataError, match="1 of 2 values of x are missing or infinite"):
        basis.evaluate([60.0, np.nan])


@pytest.mark.parametrize(("kind", "power"), [("tp", 1.5), ("cr", 1.5), ("ps", 0.0)])
def test_units_of_x(kind: str, power: float, x: FloatArray) -> None:
    """``evaluate`` is free of units; ``design`` carries those of its penalty."""
    basis, other = build(kind, x, 10), build(kind, 1e-3 * x - 7.0, 10)
    Z = basis.evaluate(x)
    # x' is rounded to eps * 7; the gaps between singular values say how much this turns the columns
    sizes = np.linalg.svd(Z, compute_uv=False)
    tolerance = rounding(x.size, 7.0 / np.ptp(1e-3 * x) * np.max(sizes[0] ** 2 / -np.diff(sizes**2)))
    assert_close(other.evaluate(1e-3 * x - 7.0), Z, atol=tolerance)
    assert other.scale / basis.scale == pytest.approx(1e-3 ** (2.0 * power), rel=tolerance)


def test_thin_plate_of_many_values_uses_knots_evenly_spaced_in_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.sort(np.random.default_rng(3).normal(size=301))
    monkeypatch.setattr(cubic, "MAX_THIN_PLATE_KNOTS", 151)
    many, few = build("tp", x, 8), build("tp", x[::2], 8)
    A, Z = with_null(x, few.evaluate(x)), many.evaluate(x)
    residual = Z - A @ np.linalg.lstsq(A, Z, rcond=None)[0]
    assert_close(residual, 0.0, atol=rounding(x.size, np.linalg.cond(A)))
    assert build("tp", x, 160).evaluate(x).shape == (301, 158)


@pytest.mark.parametrize("kind", KINDS)
def test_extrapolation_is_linear_and_smooth(kind: str, x: FloatArray) -> None:
    basis = build(kind, x, 10)
    length, widest = np.ptp(x), 0.001 * np.ptp(x) if kind == "ps" else 0.0
    for end, side in ((x.min() - widest, -1.0), (x.max() + widest, 1.0)):
        far = basis.design(end + side * length * np.array([0.0, 1.0, 2.0, 3.0]))
        assert_close(np.diff(far, 2, axis=0), 0.0, atol=rounding(4) * np.max(np.abs(far)))
        # a jump of the slope at the end would make the second difference O(1 / step) instead of at most max |f''|
        step = np.full(398, 1e-4 * length)
        largest = np.max(np.abs(second_derivative(basis, np.linspace(x.min(), x.max(), 400)[1:-1], step)), axis=0)
        across = second_derivative(basis, np.array([end]), step[:1])[0]
        assert np.all(np.abs(across) <= largest + 4.0 * rounding(1) * np.max(np.abs(far)) / step[0] ** 2)


def test_outside_marks_what_lies_beyond_the_data(x: FloatArray) -> None:
    basis = build("tp", x, 10)
    assert basis.range == (x.min(), x.max()) and not basis.outside(x).any()
    beyond = np.array([np.nextafter(x.min(), -np.inf), 60.0, np.nextafter(x.max(), np.inf)])
    assert basis.outside(beyond).tolist() == [True, False, True]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("x", [1e15 + np.arange(15.0), 1e-30 * np.arange(15.0), np.append(np.linspace(0, 1, 14), 1e-9)])
def test_badly_scaled_covariates(kind: str, x: FloatArray) -> None:
    Z = build(kind, x, 13).evaluate(x)
    t = (x - x.min()) / np.ptp(x)
    assert_close(Z.T @ np.column_stack([np.ones_like(t), t]), 0.0, atol=rounding(15) * 15)
    assert np.exp(np.mean(np.log(np.sum(Z**2, axis=1)))) == pytest.approx(1.0, rel=rounding(15))


SEVEN = np.repeat(np.arange(7.0), 3)


@pytest.mark.parametrize(
    ("kind", "x", "k", "message"),
    [
        ("tpr", SEVEN, 5, "s(age): unknown bs='tpr'; lgm has bs='tp', bs='cr', bs='ps'"),
        ("tp", SEVEN, 10, "s(age): k=10 but age has only 7 distinct values; pass k=7 or less"),
        ("cr", np.ones(9), 10, "s(age): k=10 but age has only 1 distinct values; bs='cr' needs 3 or more"),
        ("cr", np.empty(0), 10, "s(age): k=10 but age has only 0 distinct values; bs='cr' needs 3 or more"),
        ("tp", SEVEN, 2, "s(age): k=2 is too small; bs='tp' needs k=3 or more"),
        ("ps", SEVEN, 3, "s(age): k=3 is too small; bs='ps' needs k=4 or more"),
        ("ps", SEVEN, 4.5, "s(age): k must be a whole number, got 4.5"),
        ("tp", [1.0, np.nan, np.inf], 3, "s(age): 2 of 3 values of age are missing or infinite (rows 1, 2)"),
        (
            "tp",
            np.column_stack([SEVEN] * 2),
            3,
            "s(age): age must be one column of numbers, got an array of shape (21, 2)",
        ),
    ],
)
def test_errors_name_what_is_wrong(kind: str, x: Any, k: Any, message: str) -> None:
    with pytest.raises(DataError) as error:
        build(kind, x, k, name="age")
    assert str(error.value) == message
