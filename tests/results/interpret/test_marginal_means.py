"""Marginal means and contrasts against R's emmeans, and averages over a balanced grid by hand.

The references are of emmeans 1.8.4 with asymptotic df for ``m <- lmer(y ~ trt*x + trt*sex + (1|g))``, of which
`measured` has the variances.
"""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import counts, measured, ranked

import lgm


def test_means_of_emmeans() -> None:
    """``emmeans(m, "trt")``."""
    found = measured().marginal_means("trt")
    assert found["trt"].tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(found["mean"], [4.54751930825, 4.88504616376, 4.78552405216], rtol=1e-10)
    np.testing.assert_allclose(found["sd"], [0.252186254962, 0.258536661638, 0.258513897284], rtol=1e-9)


def test_a_number_at_a_value() -> None:
    """``emmeans(m, "trt", at = list(x = 1.5))``."""
    found = measured().marginal_means("trt", conditions={"x": 1.5})
    np.testing.assert_allclose(found["mean"], [4.55439070718, 4.88964031822, 4.79405052226], rtol=1e-10)
    np.testing.assert_allclose(found["sd"], [0.252209524540, 0.258475769280, 0.258547315628], rtol=1e-9)


def test_means_of_two_factors() -> None:
    """``emmeans(m, "trt", by = "sex")``."""
    means = [4.31253538188, 4.58992376925, 4.39817958144, 4.78250323463, 5.18016855827, 5.17286852288]
    sds = [0.286644471246, 0.301772632874, 0.301171806005, 0.273604485194, 0.282768312725, 0.281288599413]
    found = measured().marginal_means("trt", by="sex")
    np.testing.assert_allclose(found[["mean", "sd"]], np.column_stack([means, sds]), rtol=1e-9)
    crossed = measured().marginal_means("sex:trt")
    pd.testing.assert_frame_equal(crossed, found)


@pytest.mark.parametrize(
    ("contrasts", "names", "means", "sds"),
    [
        (
            "pairwise",
            ["a - b", "a - c", "b - c"],
            [-0.3375268555053, -0.2380047439091, 0.0995221115962],
            [0.178632336371, 0.179334380905, 0.186816440958],
        ),
        ("control", ["b - a", "c - a"], [0.337526855505, 0.238004743909], [0.178632336371, 0.179334380905]),
        ("sequential", ["b - a", "c - b"], [0.337526855505, -0.0995221115962], [0.178632336371, 0.186816440958]),
        ({"k": [-1, 0.5, 0.5]}, ["k"], [0.287765799707], [0.152676357806]),
        ({"k": {"a": -1, "c": 0.5, "b": 0.5}}, ["k"], [0.287765799707], [0.152676357806]),
    ],
)
def test_contrasts_of_emmeans(contrasts: Any, names: list[str], means: list[float], sds: list[float]) -> None:
    """``pairs(e)``, ``contrast(e, "trt.vs.ctrl")`` and ``contrast(e, list(k = c(-1, .5, .5)))``."""
    found = measured().marginal_means("trt", contrasts=contrasts)
    assert found["contrast"].tolist() == names
    np.testing.assert_allclose(found["mean"], means, rtol=1e-9)
    np.testing.assert_allclose(found["sd"], sds, rtol=1e-9)


def test_contrasts_within_levels_of_another_factor() -> None:
    """``pairs(emmeans(m, "trt", by = "sex"))``."""
    found = measured().marginal_means("trt", by="sex", contrasts="pairwise")
    assert found[["contrast", "sex"]].iloc[3].tolist() == ["a - b", "m"]
    means = [-0.27738838737133, -0.08564419956465, 0.19174418780668]
    means += [-0.39766532363937, -0.39036528825357, 0.00730003538579]
    np.testing.assert_allclose(found["mean"], means, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(found["sd"][:2], [0.275287116605, 0.271893499692], rtol=1e-9)


def test_expected_responses_are_averaged_on_their_own_scale() -> None:
    fit = ranked()
    found = fit.marginal_means("f")
    at = fit.predict({"x": [fit.design.seen.frame["x"].mean()] * 3, "f": ["u", "v", "w"]})
    np.testing.assert_allclose(found["mean"], at["mean"])
    assert found["category"].tolist() == ["low", "mid", "high"] * 3


def test_groups_have_marginal_means_too() -> None:
    found = measured().marginal_means("g")
    b = measured().ranef()["mean"]
    spread = found["mean"] - found["mean"].mean()
    np.testing.assert_allclose(spread, (b - b.mean()).to_numpy(), atol=1e-10)


@pytest.mark.parametrize(
    ("asked", "options", "message"),
    [
        ("x", {}, r"`x` is no factor.*C\(x\)"),
        ("tr", {}, "factors= has 'tr'.*Did you mean `trt`"),
        ("trt", {"contrasts": "pairs"}, "contrasts='pairs'. Did you mean `pairwise`"),
        ("trt", {"contrasts": {"k": [1, -1]}}, r"one number for each of the 3 levels \(a, b, c\)"),
        ("trt", {"contrasts": {"k": {"d": 1}}}, "has the level 'd'.*Levels: a, b, c"),
        ("trt", {"by": "age"}, "by= has 'age'"),
        ("trt", {"conditions": {"trt": "z"}}, "`trt` has level.* z"),
    ],
)
def test_what_has_no_marginal_means(asked: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(lgm.LgmError, match=message):
        measured().marginal_means(asked, **options)


def test_times_are_not_averaged_over() -> None:
    found = counts().marginal_means("g")
    assert list(found.columns) == ["g", "mean", "sd", "2.5%", "97.5%"]
