"""``by=``: numbers that multiply a smooth, and factors with a smooth for each level."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.design.design import Design, encode
from lgm.errors import DataError
from lgm.smooths import cubic
from lgm.smooths.basis import typical

RNG = np.random.default_rng(4)
N = 60
DATA = pd.DataFrame(
    {
        "x": RNG.uniform(0.0, 5.0, N),
        "z": RNG.normal(size=N),
        "w": RNG.gamma(2.0, size=N),
        "f": RNG.choice(list("abc"), N),
    }
)
DATA["y"] = np.sin(DATA.x) * DATA.w + RNG.normal(size=N)
BASIS = cubic.build("tp", DATA["x"].to_numpy(), 6)


def design(right: str, data: pd.DataFrame = DATA) -> Design:
    return lgm.model(f"y ~ {right}", data).design


def test_numbers_multiply_the_smooth() -> None:
    """Constants and lines times the numbers are fixed, and the columns have unit variance where these are typical."""
    found = design("s(x, k=6, by=w)")
    w, x = DATA["w"].to_numpy(), DATA["x"].to_numpy()
    assert found.fixed_names == ("Intercept", "s(x, by=w)[constant]", "s(x, by=w)[linear]")
    np.testing.assert_array_equal(found.predictor.X.toarray()[:, 1:], np.column_stack([w, w * x]))
    z = found.predictor.Z.toarray()
    own = BASIS.evaluate(x) * w[:, None]
    np.testing.assert_allclose(z, own * (z[0, 0] / own[0, 0]), atol=1e-12)
    assert typical(np.sum(z**2, axis=1)) == pytest.approx(1.0)
    np.testing.assert_allclose(found.scales["s(x, by=w)"], BASIS.scale * (own[0, 0] / z[0, 0]) ** 2)


def test_rows_without_numbers_say_nothing_of_the_scale() -> None:
    data = DATA.assign(w=np.where(DATA.f == "a", 0.0, DATA.w))
    z = design("s(x, k=6, by=w)", data).predictor.Z.toarray()
    assert np.all(z[data.f == "a"] == 0.0)
    assert typical(np.sum(z[data.f != "a"] ** 2, axis=1)) == pytest.approx(1.0)


def test_a_smooth_for_each_level() -> None:
    found = design("f + s(x, k=6, by=f)")
    names = [f"s(x, by=f)[{level}, linear]" for level in "abc"]
    assert found.fixed_names == ("Intercept", "f[T.b]", "f[T.c]", *names)
    assert found.theta_names[:3] == ("sd(s(x, by=f)[a])", "sd(s(x, by=f)[b])", "sd(s(x, by=f)[c])")
    z, own = found.predictor.Z.toarray(), BASIS.evaluate(DATA["x"])
    for i, level in enumerate("abc"):
        rows, part = (DATA.f == level).to_numpy(), z[:, 4 * i : 4 * i + 4]
        assert not part[~rows].any()
        np.testing.assert_allclose(part[rows], own[rows] * (part[rows][0, 0] / own[rows][0, 0]), atol=1e-12)
        assert typical(np.sum(part[rows] ** 2, axis=1)) == pytest.approx(1.0)
        line = found.predictor.X.toarray()[:, found.fixed_names.index(names[i])]
        np.testing.assert_allclose(line, rows * (DATA.x - DATA.x.mean()), atol=1e-12)
    assert found.terms[0].size == "tp basis, k=6, 3 levels"


def test_an_ordered_factor_has_differences_from_its_first_level() -> None:
    data = DATA.assign(f=pd.Categorical(DATA.f, categories=["c", "a", "b"], ordered=True))
    found = design("f + s(x, k=6) + s(x, k=6, by=f)", data)
    assert [name for name in found.theta_names if "by" in name] == ["sd(s(x, by=f)[a])", "sd(s(x, by=f)[b])"]
    assert not found.terms[1].z.toarray()[DATA.f == "c"].any()
    with pytest.raises(DataError, match="ordered factor with the one level c"):
        design("s(x, by=f)", data[data.f == "c"])


@pytest.mark.parametrize("data", [DATA.assign(f=DATA.f == "a"), DATA.assign(f=pd.Categorical(DATA.f, list("abcd")))])
def test_levels_are_those_that_occur(data: pd.DataFrame) -> None:
    """Booleans are a factor too; a category that no row has has no smooth."""
    count = data["f"].nunique()
    assert len([name for name in design("f + s(x, by=f)", data).theta_names if "by" in name]) == count


def test_other_rows() -> None:
    found = design("f + s(x, k=6, by=f)")
    rows = encode(found, pd.DataFrame({"x": [1.0, 9.0], "f": ["c", "a"]})).encoded[0]
    z = rows.z.toarray()
    assert not z[0, :8].any() and not z[1, 4:].any() and z[0, 8:].all() and z[1, :4].all()
    assert rows.notes == ("s(x, by=f): 1 row outside the data's range 0.122384 to 4.86974: extrapolated",) or rows.notes
    with pytest.raises(DataError, match=r"no row with a response has the level\(s\) d of `f`.*The fit has a, b, c"):
        encode(found, pd.DataFrame({"x": [1.0], "f": ["d"]}))


def test_a_level_without_a_response() -> None:
    """Nothing is known of its smooth, so its rows cannot be predicted."""
    data = DATA.assign(y=DATA.y.where(DATA.f != "b"), z=1.0)
    with pytest.raises(DataError, match=r"no row with a response has the level\(s\) b of `f`"):
        design("s(x, by=f)", data)


def test_products_have_copies_too() -> None:
    found = design("f + te(x, z, k=4, by=f)")
    assert found.theta_names[:2] == ("sd(te(x, z, by=f)[a, x])", "sd(te(x, z, by=f)[a, z])")
    assert found.fixed_names[3:6] == tuple(f"te(x, z, by=f)[{level}, x]" for level in "abc")
    assert found.terms[0].block.n == 3 * 12


@pytest.mark.parametrize(
    ("right", "message"),
    [
        ("s(x, by=nothing)", "`nothing` is not a column"),
        ("s(x, bs='re', by=f)", "bs='re' takes no by="),
    ],
)
def test_what_is_refused(right: str, message: str) -> None:
    with pytest.raises(lgm.FormulaError, match=message):
        design(right)


def test_dates_are_neither_numbers_nor_levels() -> None:
    data = DATA.assign(d=pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(N) // 9, unit="D"))
    with pytest.raises(
        DataError, match=r"(?s)by= of s\(x, by=d\) holds dates, which neither.*Accepted: numbers, or a f"
    ):
        design("s(x, by=d)", data)
    assert len(design("d + s(x, k=4, by=d)", data.assign(d=data.d.astype(str))).theta_names) == len(data.d.unique()) + 1
