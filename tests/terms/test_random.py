"""``s(g, bs="re")``: the group effects of bars, as mgcv writes them."""

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.design.design import encode
from lgm.errors import DataError

RNG = np.random.default_rng(3)
N = 50
DATA = pd.DataFrame({"x": RNG.normal(2.0, 1.0, N), "f": RNG.choice(list("abc"), N), "g": RNG.choice(list("uvw"), N)})
DATA["y"] = RNG.normal(size=N) + DATA.x * (DATA.f == "a")


@pytest.mark.parametrize(
    ("smooth", "bar", "sd"),
    [
        ("s(f, bs='re')", "(1|f)", "sd(Intercept|f)"),
        ("s(f, g, bs='re')", "(1|f:g)", "sd(Intercept|f:g)"),
        ("s(x, f, bs='re')", "(0 + x|f)", "sd(x|f)"),
        ("s(f, x, bs='re')", "(0 + x|f)", "sd(x|f)"),
    ],
)
def test_they_are_the_effects_of_bars(smooth: str, bar: str, sd: str) -> None:
    one, other = lgm.model(f"y ~ x + {smooth}", DATA), lgm.model(f"y ~ x + {bar}", DATA)
    (name, _), label = one.design.theta_names, one.design.terms[0].label
    assert name == f"sd({label})"
    found = one.log_density({name: 0.7, "sigma": 0.9})
    assert found == pytest.approx(other.log_density({sd: 0.7, "sigma": 0.9}), abs=1e-10)
    np.testing.assert_array_equal(one.design.predictor.Z.toarray(), other.design.predictor.Z.toarray())


def test_new_levels_come_from_the_population() -> None:
    design = lgm.model("y ~ s(x, f, bs='re')", DATA).design
    rows = encode(design, pd.DataFrame({"x": [2.0, 3.0], "f": ["a", "new"]})).encoded[0]
    assert rows.z.toarray().tolist() == [[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert rows.novel is not None and rows.novel.z.toarray().tolist() == [[0.0], [3.0]] and rows.novel.population
    drawn = rows.novel.draw({"sd": np.array([[2.0], [0.5]])}, np.zeros((2, 3)), np.array([[1.5], [4.0]]))
    assert drawn.tolist() == [[3.0], [2.0]]


@pytest.mark.parametrize(
    ("right", "data", "message"),
    [
        ("s(x, bs='re')", DATA, r"x holds numbers. Accepted: \(1 \| x\)"),
        ("s(f, bs='re')", DATA.assign(f="a"), r"its factor has one level \(a\)"),
        ("s(f, x, bs='re')", DATA.assign(x=0.0), "its numbers are zero in every row"),
    ],
)
def test_what_is_refused(right: str, data: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        lgm.model(f"y ~ 1 + {right}", data)
