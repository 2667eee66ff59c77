"""Parts of predictions: their names, that they add up, and draws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from synthetic import around

import lgm
from lgm.results.linear_predictor import parts_of

RNG = np.random.default_rng(3)
N = 40
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.normal(size=N),
        "f": RNG.choice(["u", "v", "w"], N),
        "g": RNG.choice(["a", "b", "c"], N),
        "h": RNG.choice(["p", "q"], N),
        "o": RNG.normal(size=N),
        "t": RNG.integers(0, 8, N),
    },
    index=[f"row {i}" for i in range(N)],
)
FIXED = ["Intercept", "x", "f[T.v]", "f[T.w]", "rw2(t)[linear]"]
THETA = {"sd(Intercept|g)": 0.8, "sd(x|g)": 0.5, "corr(Intercept,x|g)": 0.2, "sd(Intercept|h)": 0.4, "sd(rw2(t))": 0.6}


@pytest.fixture(scope="module")
def fit() -> lgm.Fit:
    model = lgm.model("y ~ x + f + offset(o) + (x|g) + (1|h) + rw2(t)", DATA)
    return around(model, {**THETA, "sigma": 0.9}, draws=25)


def _chosen(
    fit: lgm.Fit, *, terms: object = None, exclude: object = None, groups: object = True
) -> tuple[list, list, bool]:
    parts = parts_of(fit, terms, exclude, groups)
    labels = [term.label for term in fit.design.terms]
    return list(np.array(FIXED)[parts.fixed]), list(np.array(labels)[list(parts.terms)]), parts.offset


NAMED = {
    "x": (["x"], [], False),
    "f": (["f[T.v]", "f[T.w]"], [], False),
    "f[T.w]": (["f[T.w]"], [], False),
    "Intercept": (["Intercept"], [], False),
    "1": (["Intercept"], [], False),
    "offset": ([], [], True),
    "rw2(t)": (["rw2(t)[linear]"], ["rw2(t)"], False),
    "rw2( t )": (["rw2(t)[linear]"], ["rw2(t)"], False),
    "rw2(t)[linear]": (["rw2(t)[linear]"], [], False),
}


@pytest.mark.parametrize("name", NAMED)
def test_names(fit: lgm.Fit, name: str) -> None:
    fixed, terms, offset = NAMED[name]
    assert _chosen(fit, terms=[name]) == _chosen(fit, terms=name) == (fixed, terms, offset)
    every = [term.label for term in fit.design.terms]
    out = ([n for n in FIXED if n not in fixed], [t for t in every if t not in terms], not offset)
    assert _chosen(fit, exclude=[name]) == out


@pytest.mark.parametrize("name", ["g", "Intercept|g", "x|g"])
def test_a_group_by_its_name_or_by_an_effect(fit: lgm.Fit, name: str) -> None:
    label = fit.design.terms[0].label
    assert _chosen(fit, terms=[name]) == ([], [label], False)


def test_groups(fit: lgm.Fit) -> None:
    g, h, walk = (term.label for term in fit.design.terms)
    assert _chosen(fit, groups=False) == (FIXED, [walk], True)
    assert _chosen(fit, groups=["h"]) == _chosen(fit, groups="h") == (FIXED, [h, walk], True)
    assert _chosen(fit, groups=["g", "h"]) == _chosen(fit) == (FIXED, [g, h, walk], True)
    assert _chosen(fit, groups=[]) == _chosen(fit, groups=np.bool_(False)) == _chosen(fit, groups=False)
    assert _chosen(fit, terms=["x", "g"], groups=["h"]) == (["x"], [], False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"terms": ["z"]}, r"terms= has 'z'.*Accepted: Intercept, x, f\[T.v\], .*rw2\(t\).*, offset"),
        ({"exclude": ["rw1(t)"]}, r"exclude= has 'rw1\(t\)'.*rw2\(t\)"),
        ({"terms": ["x"], "exclude": ["f"]}, "give one of them"),
        ({"groups": ["k"]}, r"include_group_specific has 'k'.*Accepted: True, False, or a list of groups \('g', 'h'\)"),
        ({"groups": 3}, "include_group_specific has 3"),
    ],
)
def test_names_that_the_model_does_not_have(fit: lgm.Fit, arguments: dict, message: str) -> None:
    with pytest.raises(lgm.LgmError, match=message):
        _chosen(fit, **arguments)


def test_offset_is_no_name_without_one() -> None:
    fit = around(lgm.model("y ~ x", DATA), {"sigma": 1.0}, draws=4)
    with pytest.raises(lgm.LgmError, match="terms= has 'offset'"):
        parts_of(fit, ["offset"], None, True)
    with pytest.raises(lgm.LgmError, match="there are none"):
        parts_of(fit, None, None, ["g"])


def test_the_parts_add_up(fit: lgm.Fit) -> None:
    """Draw by draw, and so do the means."""
    parts = ["Intercept", "x", "f", "offset", "g", "h", "rw2(t)"]
    whole = fit.predict(kind="draws")
    total = sum(fit.predict(kind="draws", terms=[name]) for name in parts)
    np.testing.assert_allclose(total, whole, rtol=0, atol=1e-12)
    means = sum(fit.predict(terms=[name])["mean"] for name in parts)
    np.testing.assert_allclose(means, fit.predict()["mean"], rtol=0, atol=1e-12)
    for name in parts:
        both = fit.predict(kind="draws", terms=[name]) + fit.predict(kind="draws", exclude=[name])
        np.testing.assert_allclose(both, whole, rtol=0, atol=1e-12)


def test_groups_that_count(fit: lgm.Fit) -> None:
    one = fit.predict(kind="draws", include_group_specific=["g"])
    np.testing.assert_allclose(one, fit.predict(kind="draws", exclude=["h"]), rtol=0, atol=1e-12)
    new = DATA.drop(columns="h")
    np.testing.assert_allclose(fit.predict(new, "draws", include_group_specific=["g"]), one, rtol=0, atol=1e-12)


def test_draws_are_labelled_and_summarised(fit: lgm.Fit) -> None:
    drawn, table = fit.predict(kind="draws"), fit.predict()
    assert drawn.dims == ("chain", "draw", "row") and drawn.shape == (4, 25, N) and drawn.name == "y"
    assert drawn["row"].to_numpy().tolist() == list(DATA.index)
    flat = drawn.to_numpy().reshape(100, N)
    np.testing.assert_allclose(flat.std(axis=0, ddof=1), table["sd"], rtol=1e-10)
    np.testing.assert_allclose(np.quantile(flat, [0.025, 0.975], axis=0).T, table.iloc[:, 2:], rtol=1e-10, atol=1e-12)
    # the mean of the table is exact; that of draws is not
    assert np.all(np.abs(flat.mean(axis=0) - table["mean"]) < 5 * table["sd"] / np.sqrt(100))


def test_draws_go_with_those_of_the_parameters(fit: lgm.Fit) -> None:
    post = fit.posterior
    alone = fit.predict({"x": [2.0], "f": ["u"]}, "draws", terms=["x"]).isel(row=0)
    np.testing.assert_allclose(alone, 2.0 * post["x"], rtol=1e-12)
    walk = fit.predict({"t": [3]}, "draws", terms=["rw2(t)"]).isel(row=0)
    np.testing.assert_allclose(walk, post["rw2(t)"].sel(t=3) + 3 * post["rw2(t)[linear]"], rtol=0, atol=1e-12)


def test_new_times_are_the_same_in_every_kind(fit: lgm.Fit) -> None:
    new = {"t": [2, 9, 9, 11]}
    drawn = fit.predict(new, "draws", terms=["rw2(t)"]).to_numpy().reshape(100, 4)
    np.testing.assert_array_equal(drawn[:, 1], drawn[:, 2])
    np.testing.assert_allclose(drawn.std(axis=0, ddof=1), fit.predict(new, terms=["rw2(t)"])["sd"], rtol=1e-10)
