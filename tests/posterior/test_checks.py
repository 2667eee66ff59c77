"""What of a model the data cannot tell apart, in words."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lgm

N = 24
ROW = np.arange(N)
DATA = pd.DataFrame(
    {
        "y": np.sin(1.0 + ROW**2),
        "x": np.cos(ROW * 1.7),
        "g": ROW // 3,
        "twin": [f"clinic {i // 3}" for i in ROW],
        "f": np.tile(list("abc"), N // 3),
        "t": np.tile([1.0, 2.0, 3.0], N // 3),
        "row": ROW,
        "pair": np.r_[0, ROW[:-1]],
        "sign": np.where(ROW % 5, 1.0, -1.0),
        "w": 1.0 + ROW / N,
    }
)


def _said(formula: str, data: pd.DataFrame = DATA, **settings: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lgm.model(formula, data, **settings)
    return [str(each.message) for each in caught if each.category is lgm.IdentifiabilityWarning]


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x + (x|g)",
        "y ~ f + (1|g)",
        "y ~ f + (f||g)",
        "y ~ (1|pair)",
        "y ~ (0 + x|row)",
        "y ~ x + (1|g) + (0 + x|g)",
        "y ~ (1|f) + rw1(t)",
        "y ~ (1|g) + rw1(g)",
        "y ~ rw1(row)",
        "y ~ s(row)",
    ],
)
def test_what_can_be_told_apart_is_let_be(formula: str) -> None:
    assert _said(formula) == []


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y ~ (1|row)", "(1 | row) can give each of the 24 rows an error of its own, so sd(Intercept|row) and sigma"),
        ("y ~ (1|g:f)", "sd(Intercept|g:f) and sigma say the same"),
        ("y ~ (0 + sign|row)", "sd(sign|row) and sigma"),
        ("y ~ f + (0 + f|g)", "sd(f[a]|g), sd(f[b]|g), sd(f[c]|g) and sigma say the same"),
        ("y ~ f + (f|g)", "(f | g) can give each of the 24 rows an error of its own, so sd(Intercept|g), sd(f[T.b]|g)"),
        ("y ~ (1|g) + (1|twin)", "sd(Intercept|g), sd(Intercept|twin) apart: (1 | g) and (1 | twin) can say the same"),
        ("y ~ x + (x|g) + (0 + x|twin)", "corr(Intercept,x|g), sd(x|twin) apart: (x | g) and (0 + x | twin) can"),
        ("y ~ C(g) + (1|g)", "beside C(g), the data say nothing of sd(Intercept|g) in (1 | g)"),
        ("y ~ C(g) + (x|g)", "beside C(g), the data say nothing of sd(Intercept|g), corr(Intercept,x|g) in (x | g)"),
        ("y ~ f + rw1(t)", "beside f, the data say nothing of sd(rw1(t)) in rw1(t)"),
        ("y ~ f + C(g) + f:x + (1|f)", "beside f, the data say nothing of sd(Intercept|f)"),
        (
            "y ~ 0 + C(g) * x + (x|twin)",
            "beside the fixed effects, the data say nothing of sd(Intercept|twin), sd(x|twin)",
        ),
    ],
)
def test_what_says_the_same_is_named(formula: str, words: str) -> None:
    (said,) = _said(formula)
    assert words in said


def test_effects_that_no_level_has_both_of() -> None:
    cells = DATA.assign(f=np.where(ROW // 3 % 2, "a", np.where(ROW % 2, "b", "c")))
    (said,) = _said("y ~ f + (0 + f|g)", cells)
    assert said.startswith("no level has rows for both effects of corr(f[a],f[b]|g), corr(f[a],f[c]|g) in (0 + f | g)")


@pytest.mark.parametrize("origin", [2000.0, 1e4, 2.4e6])
def test_where_zero_is_says_nothing(origin: float) -> None:
    assert _said("y ~ x + (x|g)", DATA.assign(x=DATA["x"] + origin)) == []


def test_two_things_wrong_are_two_warnings() -> None:
    said = _said("y ~ (0 + f|g) + (1|twin)")
    assert len(said) == 2
    (twins,) = [text for text in said if "(0 + f | g) and (1 | twin)" in text]  # rounding says which comes first
    (residual,) = [text for text in said if text != twins]
    assert "sigma say the same" in residual


def test_weights_tell_an_effect_per_row_from_the_residual() -> None:
    assert _said("y ~ (1|row)", weights="w") == []
    assert len(_said("y ~ (1|row)", weights=np.full(N, 2.0))) == 1


def test_what_is_held_needs_no_telling() -> None:
    one = lgm.priors.constant(1.0)
    assert _said("y ~ f + (0 + f|g)", priors={"sigma": one}) == []
    assert _said("y ~ (1|row)", priors={"sd(Intercept|row)": one}) == []
    assert _said("y ~ C(g) + (1|g)", priors={"sd": one}) == []
    assert len(_said("y ~ C(g) + (x|g)", priors={"sd(Intercept|g)": one})) == 1  # the correlation is still asked for
    assert _said("y ~ (1|g) + (1|twin)", priors={"sd(Intercept|twin)": one}) == []


def test_a_flat_prior_of_what_cannot_be_told_apart_is_an_error() -> None:
    flat = lgm.priors.flat()
    with pytest.raises(lgm.IdentifiabilityError, match=r"\(1 \| g\) and \(1 \| twin\) can say the same in two ways"):
        lgm.model("y ~ (1|g) + (1|twin)", DATA, priors={"sd": flat})
    with pytest.raises(lgm.IdentifiabilityError, match=r"beside C\(g\), the data say nothing of sd"):
        lgm.model("y ~ C(g) + (1|g)", DATA, priors={"sd": flat})
    assert len(_said("y ~ (1|g) + (1|twin)", priors={"sigma": flat})) == 1  # which the data do speak of


def test_levels_without_a_response_are_no_levels() -> None:
    half = DATA.assign(y=np.where(ROW < 12, DATA["y"], np.nan))
    own = half.assign(g=np.where(ROW < 12, ROW // 2, ROW))
    assert _said("y ~ (1|g)", own) == []
    own = half.assign(g=np.where(ROW < 12, ROW, 0))
    assert len(_said("y ~ (1|g)", own)) == 1


def test_a_slope_that_is_text_is_refused_before_its_correlations_are_made() -> None:
    data = DATA.assign(x=[f"{value:.4f}" for value in np.sqrt(1.0 + ROW)])
    many = pd.concat([data, data.assign(x=[f"{value:.4f}" for value in np.sqrt(50.0 + ROW)])])
    with pytest.raises(
        lgm.IdentifiabilityError, match=r"48 effects .* 1128 correlations: `x` is text of 48 levels.* astype"
    ):
        lgm.model("y ~ 1 + (x|g)", many)
    with pytest.raises(lgm.IdentifiabilityError, match=r"\(C\(row\) \|\| g\)"):
        lgm.model("y ~ 1 + (C(row)|g)", many.assign(row=np.arange(len(many))))


def _plain(formula: str, **columns: Any) -> None:
    frame = pd.DataFrame({**{"y": np.sin(np.arange(12)), "x": np.arange(12) % 3.0}, **columns})
    lgm.model(formula, frame)


@pytest.mark.parametrize("term", ["s(x)", "rw1(x)", "rw2(x)", "icar(x, [(0, 1), (1, 2)])", "bym2(x, [(0, 1), (1, 2)])"])
def test_effects_that_sum_to_zero_need_a_level(term: str) -> None:
    x = np.arange(2 * 12) % 12.0 if "s(" in term else np.arange(2 * 12) % 3
    columns = {"y": 5 + np.sin(np.arange(2 * 12)), "x": x, "f": np.arange(2 * 12) % 2 == 0}
    text = rf"there is no intercept, and the effects of {re.escape(term.split(',')[0])}.* sum to zero, .* level of `y`"
    with pytest.warns(lgm.DataWarning, match=text):
        _plain(f"y ~ 0 + {term}", **columns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for fixed in ("1", "0 + C(f)", "0 + offset(y - f)"):
            _plain(f"y ~ {fixed} + {term}", **columns)


def test_effects_with_mean_zero_need_no_level() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _plain("y ~ 0 + (1|x)")


def _panel(order: str) -> dict[str, Any]:
    frame = pd.DataFrame({"subject": np.repeat(list("abcd"), 6), "i": np.tile(np.arange(6), 4)})
    frame = frame if order == "stacked" else frame.sample(frac=1.0, random_state=3)
    return {"y": np.sin(np.arange(24)), "x": 0.0, **{name: frame[name].to_numpy() for name in frame}}


def test_a_series_over_several_subjects_is_reported() -> None:
    with pytest.warns(lgm.DataWarning, match=r"ar1\(i\) is one series, .* each level of `subject` has them once"):
        _plain("y ~ ar1(i) + (1|subject)", **_panel("shuffled"))
    with pytest.warns(
        lgm.DataWarning, match=r"ar1\(i\) is one series, .* they start again 3 times.*ar1\(i, replicate=g\)"
    ):
        _plain("y ~ ar1(i)", **_panel("stacked"))


def test_a_series_with_repeated_measurements_is_fine() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _plain("y ~ ar1(i)", **_panel("shuffled"))
        _plain("y ~ ar1(i)", i=np.arange(12) // 2)
        _plain("y ~ ar1(i) + (1|g)", i=np.arange(12) // 2, g=np.arange(12) % 4 // 2)
        _plain("y ~ ar1(i)", i=np.arange(12))


def test_levels_of_one_row_beside_a_parameter_that_says_how_rows_vary() -> None:
    counts = DATA.assign(y=ROW % 4, flag=ROW % 3 == 1)
    (text,) = _said("y ~ x + (1|row)", counts, family="negativebinomial")
    assert text.startswith("each level of `row` has one row, so sd(Intercept|row) and shape both say how much single")
    (text,) = _said("flag ~ x + (1|row)", counts, family="bernoulli")
    assert text.startswith("each level of `row` has one row, and one trial says nothing of how levels vary: sd(Inter")
    assert _said("y ~ x + (1|row)", counts, family="poisson") == []
    assert _said("y | trials(5) ~ x + (1|row)", counts, family="binomial") == []
    assert _said("y ~ x + (1|g)", counts, family="negativebinomial") == []


def test_ordered_categories_without_rows() -> None:
    data = DATA.assign(y=pd.Categorical(np.tile(list("abd"), 8), categories=list("abcde"), ordered=True))
    (text,) = _said("y ~ x", data, family="cumulative")
    assert text.startswith("no row has the response c, e, so only priors say how likely it is.")


def test_centred_smooths_of_levels_need_the_levels() -> None:
    text = r"the smooths of s\(x, by=f\) are centred, so nothing says how .* Add `f`, or \(1 \| f\)"
    with pytest.warns(lgm.DataWarning, match=text):
        lgm.model("y ~ s(x, by=f, k=4)", DATA)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for right in ("f + s(x, by=f, k=4)", "(1|f) + s(x, by=f, k=4)", "s(x, by=w, k=4)", "s(x, f, bs='fs', k=4)"):
            lgm.model(f"y ~ {right}", DATA)
