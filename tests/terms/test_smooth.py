"""``s(x)``: columns of its basis, and rows beyond the data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.design.design import Design, encode
from lgm.smooths import cubic
from lgm.terms.view import Levels, Surface

N = 30
RNG = np.random.default_rng(2)
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.uniform(size=N),
        "t": RNG.integers(0, 10, N) * 2,
        "w": RNG.choice([0.5, 1.25, 4.0, 9.0], N),
        "region": RNG.choice(["n", "e", "s"], N),
        "g": RNG.choice(["a", "b", "c"], N),
    }
)


def _design(right: str, data: pd.DataFrame = DATA) -> Design:
    return lgm.model(f"y ~ {right}", data).design


@pytest.mark.parametrize("kind", ["tp", "cr", "ps"])
def test_smooths_have_the_columns_of_their_basis(kind: str) -> None:
    design = _design(f"s(x, bs={kind!r}, k=7)")
    basis = cubic.build(kind, DATA["x"].to_numpy(), 7)
    np.testing.assert_allclose(design.predictor.Z.toarray(), basis.evaluate(DATA["x"]))
    rows = encode(design, DATA.iloc[:4].assign(x=[0.5, 0.1, 2.0, -1.0]))
    np.testing.assert_allclose(rows.encoded[0].z.toarray(), basis.evaluate([0.5, 0.1, 2.0, -1.0]))
    assert rows.X.toarray()[:, 1].tolist() == [0.5, 0.1, 2.0, -1.0]
    (note,) = rows.encoded[0].notes
    assert note.startswith("s(x): 2 rows outside the data's range") and note.endswith("extrapolated")


def test_the_default_dimension() -> None:
    """minus one is mgcv's word for it."""
    assert _design("s(x, k=-1)").terms[0].size == _design("s(x)").terms[0].size == "tp basis, k=10"


def test_the_line_is_a_fixed_effect() -> None:
    design = _design("s(x)")
    assert design.fixed_names == ("Intercept", "s(x)[linear]")
    np.testing.assert_array_equal(design.predictor.X.toarray()[:, 1], DATA["x"])
    np.testing.assert_allclose(design.predictor.Z.toarray().sum(axis=0), 0.0, atol=1e-11)


@pytest.mark.parametrize(
    ("right", "message"), [("s(x, k=2.5)", "k=2.5 is not a whole number"), ("s(x, bs='zz')", "bs=")]
)
def test_options(right: str, message: str) -> None:
    with pytest.raises(lgm.FormulaError, match=message):
        _design(right)


def test_messages_of_options() -> None:
    """Unknown ones with a list of those that exist."""
    kinds = "'tp', 'ts', 'cr', 'cs', 'cc', 'ps', 'cp', 're', 'fs', 'mrf'"
    with pytest.raises(lgm.FormulaError, match=f"bs='zz' is not known(.|\n)*bs = {kinds}"):
        _design("s(x, bs='zz')")
    with pytest.raises(lgm.FormulaError, match="bs='cr' takes no graph=(.|\n)*graph= with bs='mrf'"):
        _design("s(x, bs='cr', graph=1)")
    with pytest.raises(lgm.FormulaError, match="knots='ab' are no knots(.|\n)*a list of at least two numbers"):
        _design("s(x, knots='ab')")
    with pytest.raises(lgm.DataError, match="the knot 5 is outside the data, which run from"):
        _design("s(x, bs='cr', knots=[0.2, 0.4, 5])")
    with pytest.raises(lgm.DataError, match="k=40 but x has only 30 distinct values; pass k=30 or less"):
        _design("s(x, k=40)")
    with pytest.raises(lgm.DataError, match="k=40 but there are only 30 distinct rows of its variables"):
        _design("s(x, t, k=40)")


def test_two_variables() -> None:
    design = _design("s(x, t)", pd.concat([DATA] * 2).assign(t=RNG.normal(size=2 * N)))
    assert design.fixed_names == ("Intercept", "s(x, t)[x]", "s(x, t)[t]")
    (term,) = design.terms
    assert (term.label, term.block.n, term.size) == ("s(x, t)", 27, "tp basis, k=30")
    rows = encode(design, pd.DataFrame({"x": [0.5, 0.5], "t": [0.0, 99.0]}))
    assert rows.encoded[0].notes == ("s(x, t): 1 row outside the data's range: extrapolated",)


def test_three_variables_have_no_picture_but_that_of_coefficients() -> None:
    term = _design("s(x, t, w, k=20)").terms[0]
    assert isinstance(term.view, Levels) and isinstance(_design("s(x, t, k=9)").terms[0].view, Surface)


@pytest.mark.parametrize(
    ("right", "fixed", "dimension"),
    [("s(x, bs='cc')", 0, 8), ("s(x, bs='ts')", 0, 9), ("s(x, m=1)", 0, 8), ("s(x, m=3)", 2, 10)],
)
def test_what_is_fixed_is_what_the_penalty_does_not_see(right: str, fixed: int, dimension: int) -> None:
    """As in mgcv a thin plate spline has eight functions beyond its polynomials by default."""
    design = _design(right)
    assert design.p == 1 + fixed
    assert design.terms[0].smooths[0].dimension == dimension


def test_the_same_smooth_twice_shows_its_options() -> None:
    names = _design("s(x) + s(x, bs='cr')").theta_names
    assert names[:2] == ("sd(s(x))", "sd(s(x, bs='cr'))")
