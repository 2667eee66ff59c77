"""The levels of a factor as an outer factor of copies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lgm.data.scope import Scope
from lgm.errors import DataError
from lgm.formula.parse import parse
from lgm.terms import independent

DATA = pd.DataFrame({"y": np.arange(6.0), "my g": list("babbca")})


def scope(data):
    return Scope(parse("y ~ `my g`", ()), data, {}, tuple(data))


PIECE = next(iter(parse("y ~ `my g`", ()).mu.fixed.factors.values()))


def built():
    return independent.build(PIECE, scope(DATA), "copies")


def test_levels_and_their_places():
    term = built()
    [variable] = term.variables
    assert (variable.dim, variable.labels.tolist(), term.size) == ("my g", ["a", "b", "c"], "3 levels")
    assert term.z.toarray().argmax(axis=1).tolist() == [1, 0, 1, 1, 2, 0]
    np.testing.assert_array_equal(term.z.toarray().sum(axis=1), 1.0)
    assert term.block.n == 3 and term.block.constraint is None


def test_other_levels_are_drawn_from_the_population():
    found = built().encode(scope(pd.DataFrame({"my g": ["c", "z", "b", "z", "q"]})))
    assert found.z.toarray().sum(axis=1).tolist() == [1, 0, 1, 0, 0]
    novel = found.novel
    assert novel is not None and novel.population and novel.what == "2 new levels of my g (z, q)"
    assert novel.z.toarray().tolist() == [[0, 0], [1, 0], [0, 0], [1, 0], [0, 1]]
    drawn = novel.draw({"sd": np.array([[1.0], [2.0]])}, np.zeros((2, 3)), np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert drawn.tolist() == [[1.0, 2.0], [6.0, 8.0]]


def test_known_levels_have_nothing_new():
    assert built().encode(scope(DATA.iloc[:2])).novel is None


def test_missing_levels():
    with pytest.raises(DataError, match="missing"):
        independent.build(PIECE, scope(pd.DataFrame({"my g": ["a", None]})), "copies")
