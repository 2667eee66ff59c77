"""What ``bs=`` names, its defaults, and what is refused."""

from typing import Any

import numpy as np
import pytest

from lgm.errors import DataError
from lgm.smooths import cubic
from lgm.smooths.build import KINDS, build, margins

RNG = np.random.default_rng(2)
X = RNG.uniform(0.0, 8.0, (70, 2))
ONE = X[:, :1]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(kind: str) -> None:
    found = build(kind, ONE, None, None, None, "s(x)")
    z = found.evaluate(X[:, 0])
    assert found.kind == kind and found.k == 10
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=1e-12)
    assert np.exp(np.mean(np.log(np.sum(z**2, axis=1)))) == pytest.approx(1.0)
    assert z.shape[1] + found.null.m == {"cc": 8, "cp": 9}.get(kind, 9 if kind in ("ts", "cs") else 9)


def test_knots_of_cubic_splines() -> None:
    """Those of the default give the default, whatever their order."""
    knots = np.quantile(X[:, 0], np.linspace(0.0, 1.0, 7))
    found = build("cr", ONE, None, None, knots[::-1][:, None], "s(x)")
    np.testing.assert_allclose(found.evaluate(X[:, 0]), cubic.build("cr", X[:, 0], 7).evaluate(X[:, 0]), atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "d", "k", "m", "knots", "message"),
    [
        ("cr", 2, None, None, None, "bs='cr' is of one variable; accepted for 2: bs='tp', bs='ts', or te"),
        ("cr", 1, None, 2, None, "bs='cr' takes no m"),
        ("cr", 1, None, None, [1.0, 4.0, 99.0], "the knot 99 is outside the data, which run from 0.* to 7"),
        ("tp", 1, 3, None, [-2.0, 1.0, 4.0, 6.0], "the knot -2 is outside the data"),
        ("cr", 1, 5, None, [1.0, 4.0, 6.0], "3 knots for k=5; bs='cr' takes one for each dimension"),
        ("tp", 1, None, 1.5, None, "m=1.5; bs='tp' takes a whole number"),
        ("ps", 1, None, (2, 1, 3), None, r"m=\(2, 1, 3\); P-splines take one or two whole numbers"),
        ("ps", 1, None, (2, 0), None, r"m=\(2, 0\); accepted: a degree of at least 1"),
        ("tp", 1, 99, None, None, "k=99 but x has only 70 distinct values; pass k=70 or less"),
    ],
)
def test_what_is_refused(kind: str, d: int, k: int | None, m: Any, knots: Any, message: str) -> None:
    given = None if knots is None else np.array(knots)[:, None]
    with pytest.raises(DataError, match=message):
        build(kind, X[:, :d], k, m, given, "s(x)", "x")


def test_margins() -> None:
    """Five functions of each by default; those of ti have no constant."""
    te = margins("te", ["cr", "cc"], X, [None, 6], [None, None], "te(x, z)")
    ti = margins("ti", ["cr", "cc"], X, [None, 6], [None, None], "ti(x, z)")
    assert [one.k for one in te] == [5, 5] and [one.nullity for one in te] == [2, 1]
    assert [one.k for one in ti] == [4, 4] and [one.nullity for one in ti] == [1, 0]
    for one, x in zip(ti, X.T, strict=True):
        np.testing.assert_allclose(one(x).mean(axis=0), 0.0, atol=1e-12)
