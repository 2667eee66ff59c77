"""The basis of the fixed effects, and what the data cannot tell apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.data.model_matrix import full_column
from lgm.design.columns import Columns
from lgm.design.fixed_effects import adding, adds, require_full_rank, standardise
from lgm.errors import IdentifiabilityError

RNG = np.random.default_rng(5)
N = 40


def _x(*columns: np.ndarray) -> sp.csc_array:
    parts = [full_column(np.asarray(c, dtype=float)) if np.all(c) else sp.csc_matrix(np.c_[c]) for c in columns]
    return sp.csc_array(sp.hstack(parts, format="csc"))


def full_rank(x: sp.csc_array, names: Sequence[str], intercept: int | None) -> FloatArray:
    return require_full_rank(x, Columns.of(x), names, intercept)


ONES = np.ones(N)
YEAR = 2000.0 + np.arange(N)
GROUP = (np.arange(N) % 3 == 0).astype(float)


@pytest.mark.parametrize("intercept", [0, None])
def test_the_basis_leads_back_to_the_columns(intercept: int | None) -> None:
    x = _x(ONES, YEAR, GROUP, YEAR**2)
    internal, basis = standardise(x, intercept)
    np.testing.assert_allclose(x.toarray() @ basis, internal.toarray(), rtol=1e-9, atol=1e-9)
    assert internal.nnz == x.nnz
    np.testing.assert_allclose(np.sum(internal.toarray()[:, 1:] ** 2, axis=0) / N, 1.0)
    if intercept == 0:
        np.testing.assert_allclose(internal.toarray()[:, [1, 3]].mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_array_equal(x.toarray()[:, 1], YEAR)


def test_stored_zeros_are_centred_too() -> None:
    x = sp.csc_array(sp.hstack([full_column(ONES), full_column(np.arange(N) * 1.0)], format="csc"))
    internal, _ = standardise(x, 0)
    np.testing.assert_allclose(internal.toarray()[:, 1].mean(), 0.0, atol=1e-12)


def test_no_columns() -> None:
    internal, basis = standardise(sp.csc_array((N, 0)), None)
    assert internal.shape == (N, 0) and basis.shape == (0, 0)
    full_rank(sp.csc_array((N, 0)), [], None)
    assert adds(sp.csc_array((N, 0)), YEAR, None)


@pytest.mark.parametrize(
    ("columns", "intercept", "message"),
    [
        ([ONES, 0 * YEAR], 0, r"the column `b` is zero in every row with a response"),
        ([ONES, 3 * ONES], 0, r"the column `b` is 3 in every row, like the intercept"),
        ([ONES, 3 * ONES + 1e-15 * YEAR], 0, r"the column `b` is 3 in every row, like the intercept"),
        ([ONES, YEAR, 2 * YEAR + 5], 0, r"the column `c` is a linear function of `b`"),
        ([YEAR, 2 * YEAR], None, r"the column `b` is a linear function of `a`"),
        ([ONES, YEAR, GROUP, YEAR - 2 * GROUP], 0, r"the column `d` is a linear combination of `b` and `c`, so"),
        ([ONES, YEAR, GROUP, YEAR - 2 * GROUP + 9], 0, r"combination of `b` and `c` and the intercept, so"),
        ([ONES, np.full(N, 7.0)], 0, r"the column `b` is 7 in every row, like the intercept. Remove one of the two\.$"),
        (
            [ONES, 1e15 + 16 * YEAR],
            0,
            r"`b` is 1e\+15 in every row, like the intercept, but for differences of 624, .* centre its",
        ),
        ([ONES, GROUP, 1 - GROUP], 0, r"the column `c` is a linear function of `b`"),
    ],
)
def test_what_the_data_cannot_tell_apart(columns: list[np.ndarray], intercept: int | None, message: str) -> None:
    with pytest.raises(IdentifiabilityError, match=message):
        full_rank(_x(*columns), "abcd"[: len(columns)], intercept)


@pytest.mark.parametrize(("call", "centred"), [("cr(x, df=3)", True), ("pieces(x)", False)])
def test_a_basis_that_holds_the_intercept(call: str, centred: bool) -> None:
    parts = np.random.default_rng(1).dirichlet(np.ones(3), N)
    names = ["Intercept", "z", *(f"{call}[{k}]" for k in (1, 2, 3))]
    with pytest.raises(IdentifiabilityError) as caught:
        full_rank(_x(ONES, YEAR, *parts.T), names, 0)
    also = f", or `{call[:-1]}, constraints='center')`" * centred
    assert f"columns of `{call}` hold the intercept too" in str(caught.value)
    assert str(caught.value).endswith(f"Accepted: `0 + {call}`{also}.")


SECONDS = 1.7e9 + 60.0 * np.arange(N)


@pytest.mark.parametrize(
    ("columns", "intercept", "name"),
    [
        ([GROUP, 1 - GROUP, SECONDS], None, "c"),
    ],
)
def test_numbers_far_from_zero_are_to_be_centred(columns: list[np.ndarray], intercept: int | None, name: str) -> None:
    text = rf"the column `{name}` varies by .* around .*, too far from zero .* Centre its numbers, as in `center"
    with pytest.raises(IdentifiabilityError, match=text):
        full_rank(_x(*columns), "abcd"[: len(columns)], intercept)


@pytest.mark.parametrize("origin", [0.0, 1.7e9, -1e12])
@pytest.mark.parametrize("intercept", [0, None])
def test_interactions_do_not_depend_on_the_origin(origin: float, intercept: int | None) -> None:
    numbers, sums = origin + 1000.0 * RNG.normal(size=N), np.where(GROUP, 1.0, -1.0) * (np.arange(N) % 4 > 0)
    columns = [ONES, GROUP, sums, numbers * GROUP, numbers * sums, numbers**0]
    x = _x(*columns[:5]) if intercept == 0 else _x(*columns[1:5])
    internal, basis = standardise(x, intercept)
    full_rank(x, list("abcde")[: x.shape[1]], intercept)
    dense = internal.toarray()
    assert np.linalg.cond(dense) < 20
    rounding = 1e-15 * max(abs(origin), 1000.0)
    np.testing.assert_allclose(x.toarray() @ basis, dense, atol=rounding)
    assert basis.shape == (x.shape[1],) * 2 and np.linalg.slogdet(basis)[1] == pytest.approx(
        np.log(np.diag(basis)).sum()
    )


@pytest.mark.parametrize("number", [3.0, 1e3])
def test_numbers_that_do_not_vary_within_a_level(number: float) -> None:
    numbers = np.where(GROUP, number, RNG.normal(size=N))
    with pytest.raises(IdentifiabilityError, match="the column `d` is a linear function of `b`"):
        full_rank(_x(ONES, GROUP, numbers, numbers * GROUP), list("abcd"), 0)


def test_centred_numbers_are_told_apart() -> None:
    x = SECONDS - SECONDS.mean()
    full_rank(_x(ONES, GROUP, x, x * GROUP), list("abcd"), 0)
    full_rank(_x(GROUP, 1 - GROUP, x), list("abc"), None)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_scales_do_not_matter(scale: float) -> None:
    full_rank(_x(ONES, scale * YEAR, scale * GROUP, RNG.normal(size=N)), list("abcd"), 0)
    assert adds(_x(ONES, YEAR), scale * YEAR**2, 0)
    assert not adds(_x(ONES, YEAR), scale * (YEAR - 1990), 0)
    assert adds(_x(YEAR), YEAR - 1990, None)
    assert not adds(_x(YEAR), scale * YEAR, None)
    assert not adds(_x(ONES), 0 * YEAR, 0)


def test_several_columns_at_once_as_one_by_one() -> None:
    """Those that are left out do not stand in the way of those after them."""
    x, parts = _x(ONES, YEAR, GROUP), [YEAR - 1990, YEAR**2, GROUP * YEAR, 3 * YEAR**2 - YEAR, 0 * YEAR, np.sin(YEAR)]
    found = adding(x, sp.csc_array(np.column_stack(parts)), 0)
    for column, added in zip(parts, found, strict=True):
        assert added == adds(x, column, 0)
        if added:
            x = sp.csc_array(sp.hstack([x, full_column(column)], format="csc"))
    assert found.tolist() == [False, True, True, False, False, True]
