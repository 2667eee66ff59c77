"""Draws of the linear predictor: the parts add up to the whole, names choose them, and draws come with labels."""

import numpy as np
import pandas as pd
import pytest
from synthetic import around

import lgm

N = 40
RNG = np.random.default_rng(6)
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.normal(size=N),
        "f": RNG.choice(["u", "v", "w"], N),
        "t": RNG.integers(0, 9, N),
        "g": RNG.choice(["a", "b", "c"], N),
        "h": RNG.choice(["k", "l"], N),
        "e": RNG.normal(size=N),
    }
)
THETA = {
    "sd(rw2(t))": 0.5,
    "sd(Intercept|g)": 0.4,
    "sd(x|g)": 0.3,
    "corr(Intercept,x|g)": 0.2,
    "sd(Intercept|h)": 0.6,
    "sigma": 0.8,
}


@pytest.fixture(scope="module")
def fit():
    model = lgm.model("y ~ x + f + rw2(t) + (x|g) + (1|h) + offset(e)", DATA)
    return around(model, THETA, draws=30)


def draws(fit, **choice):
    return fit.predict(kind="draws", **choice)


PIECES = [["Intercept"], ["x"], ["f"], ["rw2(t)"], ["(x|g)"], ["h"], ["offset"]]


def test_the_parts_add_up_to_the_whole(fit):
    total = sum(draws(fit, terms=piece) for piece in PIECES)
    np.testing.assert_allclose(total, draws(fit), rtol=0, atol=1e-12)


@pytest.mark.parametrize("piece", PIECES, ids=str)
def test_what_is_excluded_is_what_is_missing(fit, piece):
    np.testing.assert_allclose(draws(fit, exclude=piece) + draws(fit, terms=piece), draws(fit), rtol=0, atol=1e-12)


def test_groups_by_name(fit):
    np.testing.assert_array_equal(draws(fit, include_group_specific=["g"]), draws(fit, exclude=["h"]))
    np.testing.assert_array_equal(draws(fit, include_group_specific=["g", "h"]), draws(fit))
    np.testing.assert_array_equal(draws(fit, include_group_specific=[]), draws(fit, include_group_specific=False))
    new = DATA.drop(columns="h").iloc[:3]
    assert fit.predict(new, include_group_specific=["g"]).shape == (3, 4)


def test_draws_have_labels_and_the_moments_of_the_table(fit):
    index = [f"row {i}" for i in range(5)]
    new = DATA.iloc[:5].set_axis(index)
    found, table = fit.predict(new, "draws"), fit.predict(new)
    assert found.dims == ("chain", "draw", "row") and found.shape == (4, 30, 5) and found.name == "y"
    assert found["row"].to_numpy().tolist() == index
    np.testing.assert_allclose(found.std(["chain", "draw"], ddof=1), table["sd"], rtol=1e-12)
    np.testing.assert_allclose(found.quantile(0.025, ["chain", "draw"]), table["2.5%"], rtol=1e-12)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (
            {"terms": ["s(t)"]},
            r"terms= has 's\(t\)'.* Accepted: Intercept, x, f\[T.v\], f\[T.w\], rw2\(t\)\[linear\], f, ",
        ),
        ({"exclude": "z"}, "exclude= has 'z'"),
        ({"terms": ["x|g"]}, r"'x\|g' is a part of \(x \| g\), which counts as a whole"),
        ({"terms": ["x"], "exclude": ["f"]}, "give one of them"),
        (
            {"include_group_specific": ["G"]},
            r"has 'G'. Did you mean `g`\? Accepted: True, False, or a list of groups \('g', 'h'\)",
        ),
        ({"include_group_specific": 3}, "include_group_specific has 3"),
    ],
)
def test_names_that_are_not_there(fit, choice, message):
    with pytest.raises(lgm.LgmError, match=message):
        fit.predict(**choice)
