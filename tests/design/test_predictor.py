"""Parts of a linear predictor: what counts, what has to be read for it, and which columns of new data that takes."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.design.design import Design, encode
from lgm.design.predictor import NewRows, Parts

RNG = np.random.default_rng(3)
N = 40
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.normal(size=N),
        "f": RNG.choice(["u", "v"], N),
        "g": RNG.choice(["a", "b", "c"], N),
        "o": RNG.normal(size=N),
        "t": RNG.integers(0, 8, N),
        "r": RNG.integers(0, 5, N),
    }
)
GRAPH = lgm.graph([(0, 1), (1, 2), (3, 4)], range(5))
FORMULA = "y ~ x + f + offset(o) + (x|g) + rw2(t) + bym2(r, graph)"
NAMES = ("Intercept", "x", "f[T.v]", "rw2(t)[linear]")
PLACES = [slice(0, 6), slice(6, 14), slice(14, 24)]


@cache
def _design() -> Design:
    return lgm.model(FORMULA, DATA, env={"graph": GRAPH}).design


def _parts(fixed: tuple[str, ...] = (), terms: tuple[int, ...] = (), offset: bool = False) -> Parts:
    return Parts(np.isin(NAMES, fixed), tuple(j in terms for j in range(3)), offset)


def _dense(rows: NewRows) -> np.ndarray:
    """Columns of fixed effects, of all terms (empty where one does not count), and the offset."""
    sizes = [s.stop - s.start for s in PLACES]
    z = [
        np.zeros((len(rows.index), n)) if e is None else e.z.toarray() for e, n in zip(rows.encoded, sizes, strict=True)
    ]
    return np.hstack([rows.X.toarray(), *z, rows.offset[:, None]])


def test_columns_and_places() -> None:
    predictor = _design().predictor
    assert predictor.fixed_names == NAMES and predictor.null_names == NAMES[3:]
    assert predictor.term_slices() == PLACES and (predictor.p, predictor.q) == (4, 24)
    assert predictor.A.shape == (N, 28) and predictor.intercept == 0
    np.testing.assert_array_equal(predictor.A.toarray()[:, 4:], predictor.Z.toarray())
    np.testing.assert_array_equal(predictor.offset, DATA["o"])


def test_printed_effects() -> None:
    """In order, one after the other; a regional total is the sum of two effects."""
    printed = _design().predictor.printed()
    assert [each.variable.name for each in printed] == ["Intercept|g", "x|g", "rw2(t)", "bym2(r)", "bym2(r)[spatial]"]
    assert [(each.place.start, each.place.stop) for each in printed] == [(0, 3), (3, 6), (6, 14), (14, 19), (19, 24)]
    u = np.arange(56.0).reshape(2, 28)
    assert printed[1].of(u)[0].tolist() == [5, 7, 9]
    np.testing.assert_array_equal(printed[3].of(u), u[:, 18:23] + u[:, 23:28])
    np.testing.assert_array_equal(printed[4].of(u), u[:, 23:28])


def test_all_rows_of_the_fit() -> None:
    rows = encode(_design())
    predictor = _design().predictor
    np.testing.assert_allclose(_dense(rows), np.column_stack([predictor.A.toarray(), predictor.offset]), rtol=1e-15)


SOME = {
    "nothing": (_parts(), []),
    "the intercept": (_parts(("Intercept",)), ["x", "f"]),
    "a slope": (_parts(("x",)), ["x", "f"]),
    "a group": (_parts(terms=(0,)), ["x", "g"]),
    "a walk with its line": (_parts(("rw2(t)[linear]",), (1,)), ["t"]),
    "a walk without its line": (_parts((), (1,)), ["t"]),
    "a line without its walk": (_parts(("rw2(t)[linear]",)), ["t"]),
    "a map and the offset": (_parts((), (2,), True), ["r", "o"]),
    "all but the walk and its line": (_parts(NAMES[:3], (0, 2), True), ["x", "f", "g", "r", "o"]),
    "everything": (_parts(NAMES, (0, 1, 2), True), ["x", "f", "g", "t", "r", "o"]),
}


@pytest.mark.parametrize("name", SOME)
def test_parts_that_count(name: str) -> None:
    """Their columns are as in the whole; the others are empty; columns that only these need may be missing."""
    parts, needed = SOME[name]
    whole = _dense(encode(_design()))
    keep = np.concatenate([parts.fixed, np.repeat(parts.terms, [6, 8, 10]), [parts.offset]])
    found = encode(_design(), DATA[["x", *needed]] if not needed else DATA[needed], parts)
    np.testing.assert_allclose(_dense(found), np.where(keep, whole, 0.0), rtol=1e-15)
    assert [encoded is not None for encoded in found.encoded] == list(parts.terms)
    for column in needed:
        with pytest.raises(lgm.DataError, match=rf"lacks the column\(s\) {column}"):
            encode(_design(), DATA.drop(columns=column), parts)


def test_everything_is_what_counts_by_default() -> None:
    chosen = Parts.all(_design().predictor)
    assert chosen.fixed.all() and chosen.terms == (True,) * 3 and chosen.offset
    assert chosen.read(_design().predictor) == [True] * 3


def test_a_term_is_read_for_its_line() -> None:
    predictor = _design().predictor
    assert _parts(("rw2(t)[linear]",)).read(predictor) == [False, True, False]
    assert _parts(("x",), (2,)).read(predictor) == [False, False, True]


def test_holes_in_columns_that_do_not_count() -> None:
    holes = DATA.assign(t=np.nan, o=np.nan)
    parts = _parts(NAMES[:3], (0,))
    np.testing.assert_array_equal(_dense(encode(_design(), holes, parts)), _dense(encode(_design(), DATA, parts)))
    with pytest.raises(lgm.DataError, match=r"missing values in .*t \(40\)"):
        encode(_design(), holes)


def test_a_line_that_the_fixed_part_has_already() -> None:
    design = lgm.model("y ~ t + rw2(t)", DATA).design
    assert design.fixed_names == ("Intercept", "t") and design.predictor.null_names == ()
    assert list(design.terms[0].null) == ["rw2(t)[linear]"]
