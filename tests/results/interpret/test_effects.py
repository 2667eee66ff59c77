"""Conditional effects against predictions at the same rows."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import counts, factorial, measured, ranked

import lgm

ENDS = ["mean", "sd", "2.5%", "97.5%"]


def test_along_a_number() -> None:
    fit, data = measured(), factorial()
    found = fit.conditional_effects("x")
    x = np.linspace(data.x.min(), data.x.max(), 100)
    at = pd.DataFrame({"x": x, "trt": "a", "sex": "f"})
    pd.testing.assert_frame_equal(found[ENDS], fit.predict(at, include_group_specific=False))
    assert list(found.columns) == ["x", "trt", "sex", *ENDS]
    np.testing.assert_allclose(found["x"], x)


@pytest.mark.parametrize("kind", ["mean", "linear"])
def test_other_variables_are_typical(kind: Any) -> None:
    """Of a walk the time nearest to the mean, of an exposure its mean."""
    fit = counts()
    found = fit.conditional_effects("x", kind=kind, resolution=5)
    seen = fit.design.seen.frame
    assert (found["e"] == seen["e"].mean()).all() and set(found["t"]) <= {3, 4}
    expected = fit.predict(found[["x", "e", "t"]], kind, include_group_specific=False)
    pd.testing.assert_frame_equal(found[ENDS], expected, rtol=1e-9)


def test_two_variables() -> None:
    fit, data = measured(), factorial()
    found = fit.conditional_effects("trt:x", resolution=10)
    assert list(found.columns[:2]) == ["x", "trt"]  # along the number
    assert len(found) == 30
    assert len(fit.conditional_effects("trt:sex")) == 6
    assert fit.conditional_effects("trt:sex")["trt"].tolist() == ["a", "a", "b", "b", "c", "c"]
    assert data.x.mean() in fit.conditional_effects("trt")["x"].unique()


def test_of_groups() -> None:
    fit = measured()
    assert fit.conditional_effects("g")["g"].tolist() == list(range(9))
    given = fit.conditional_effects("x", conditions={"g": [2, 5], "sex": "m"}, resolution=4)
    assert given["g"].tolist() == [2, 5] * 4 and set(given["sex"]) == {"m"}
    pd.testing.assert_frame_equal(given[ENDS], fit.predict(given[["x", "g", "sex", "trt"]]))


def test_all_of_them() -> None:
    found = measured().conditional_effects(resolution=3)
    assert list(found) == ["trt", "x", "sex", "trt:x", "trt:sex"]
    some = measured().conditional_effects(["x", "trt"], resolution=3)
    pd.testing.assert_frame_equal(some["x"], found["x"])


def test_categories_have_a_row_each() -> None:
    found = ranked().conditional_effects("x", resolution=4)
    assert len(found) == 12
    np.testing.assert_allclose(found.groupby("x")["mean"].sum(), 1.0, rtol=1e-9)


def test_values_that_a_user_gives() -> None:
    found = measured().conditional_effects("x", conditions={"x": [0.0, 2.0], "trt": ["a", "b"]})
    assert found[["x", "trt"]].to_numpy().tolist() == [[0.0, "a"], [0.0, "b"], [2.0, "a"], [2.0, "b"]]


@pytest.mark.parametrize(
    ("asked", "options", "message"),
    [
        ("w", {}, "there is no effect 'w'. Variables: trt, x, sex, g"),
        ("x", {"conditions": {"age": 3}}, "conditions= has 'age', which is no variable"),
        ("x", {"conditions": {"trt": "z"}}, "`trt` has level.* z"),
        ("x", {"resolution": 1}, "resolution=1; accepted"),
        ("x", {"kind": "response"}, "kind='response'; accepted: 'mean', 'linear'"),
        ("x", {"include_group_specific": True}, "the grid needs levels of g"),
    ],
)
def test_effects_that_are_not_there(asked: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(lgm.LgmError, match=message):
        measured().conditional_effects(asked, **options)


def test_of_draws_from_the_prior() -> None:
    """With sigma held, exact: the prior of the line, whatever the response was."""
    data = pd.DataFrame({"x": [0.0, 1.0, 2.0, 5.0], "y": [9.0, 1.0, 30.0, -4.0]})
    own = lgm.priors
    priors = {"Intercept": own.normal(1.0, 2.0), "x": own.normal(3.0, 0.5), "sigma": own.constant(1.0)}
    fit = lgm.fit("y ~ x", data, priors=priors, method="prior", draws=50, seed=1, progress=False)
    found = fit.conditional_effects("x", resolution=np.int64(3))
    np.testing.assert_allclose(found["mean"], 1.0 + 3.0 * found["x"], rtol=1e-9)
    np.testing.assert_allclose(found["sd"], np.sqrt(4.0 + 0.25 * found["x"] ** 2), rtol=1e-9)
