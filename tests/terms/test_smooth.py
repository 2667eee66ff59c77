"""``s(x)``: columns of its basis, and rows beyond the data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.design.design import Design, encode
from lgm.smooths import cubic

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
