"""A fit in words: numbers, text and HTML."""

import html.parser

import numpy as np
import pandas as pd
import pytest
from synthetic import around, counts

import lgm
from lgm.results import text


def test_numbers() -> None:
    table = pd.DataFrame(
        {
            "mean": [251.405, -0.00123, 2.0, 1234567.0, 1e-9],
            "sd": [6.8246, 0.26412, 0.0, 43210.0, 2e-10],
            "2.5%": [238.1, -0.5, 2.0, 1.1e6, 5e-10],
            "97.5%": [264.9, 0.5, 2.0, 1.3e6, 1.4e-9],
            "ess_bulk": [3801.4, 1200.0, np.nan, 900.0, 900.0],
            "r_hat": [1.00049, 1.0, np.nan, 1.01, 1.0],
        },
        index=["a", "b", "held", "large", "small"],
    )
    shown = text.formatted(table)
    assert [c.strip() for c in shown.loc["a"]] == ["251.41", "6.82", "238.10", "264.90", "3801", "1.000"]
    assert [c.strip() for c in shown.loc["b"]] == ["-0.001", "0.264", "-0.500", "0.500", "1200", "1.000"]
    assert [c.strip() for c in shown.loc["held"]] == ["2", "-", "-", "-", "-", "-"]
    assert [c.strip() for c in shown.loc["large"]] == ["1234567", "43210", "1100000", "1300000", "900", "1.010"]
    assert shown.loc["small", "mean"].strip() == "1.000e-09"
    ends = {len(cell.rstrip()) - cell.rstrip().index(".") for cell in shown["mean"] if "." in cell}
    places = {len(cell) - cell.index(".") for cell in shown["mean"] if "." in cell}
    assert len(places) == 1 < len(ends)  # points under each other


@pytest.fixture(scope="module")
def fit() -> lgm.Fit:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"y": rng.normal(size=40), "x": rng.normal(size=40), "a<b": np.arange(40) % 8})
    data.loc[3, "y"], data.loc[7, "x"] = np.nan, np.nan
    with pytest.warns(lgm.DataWarning):
        model = lgm.model("y ~ x + (1|`a<b`) + s(x)", data, priors={"sigma": lgm.priors.half_normal(2)})
    return around(model, {name: 0.5 for name in model.design.theta_names})


def test_text(fit: lgm.Fit) -> None:
    lines = repr(fit).splitlines()
    assert lines[0] == "Formula    y ~ x + (1|`a<b`) + s(x)"
    assert lines[1].endswith("gaussian (identity link)")
    assert lines[2] == "Rows       38, 1 more without a response are predicted, 1 dropped (missing predictors)"
    assert lines[3].endswith("8 levels")
    assert lines[4] == "s(x)       tp basis, k=10"
    assert lines[5] == "Draws      4 chains of 100 after 200 for warm-up (nuts, seed 1)"
    assert ["sigma", "half_normal(2)", "(given)"] in [line.split() for line in lines]
    assert lines[-1] == fit.verdict
    assert max(map(len, lines[:-1])) <= 100


class _Balance(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def test_html_is_balanced_escaped_and_complete(fit: lgm.Fit) -> None:
    source = fit._repr_html_()
    page = _Balance()
    page.feed(source)
    assert not page.open
    assert "a&lt;b" in source
    for word in ("y ~ x + (1|`a<b`) + s(x)", "sd(Intercept|a<b)", "half_normal(2)", "r_hat", fit.verdict):
        assert word in page.text


def test_a_model_before_it_is_fitted(fit: lgm.Fit) -> None:
    shown, source = repr(fit.model), fit.model._repr_html_()
    page = _Balance()
    page.feed(source)
    assert not page.open and "a&lt;b" in source
    for word in ("y ~ x + (1|`a<b`) + s(x)", "gaussian (identity link)", "sd(Intercept|a<b)", "half_normal(2)"):
        assert word in shown and word in page.text


def test_numbers_far_from_zero_keep_the_digits_that_their_sd_shows() -> None:
    table = pd.DataFrame([[1e7 + 1e-3, 1.272e-5, 1e7, 1e7 + 2e-3]], ["x"], ["mean", "sd", "2.5%", "97.5%"])
    assert float(text.formatted(table).loc["x", "mean"]) == pytest.approx(1e7 + 1e-3, abs=1e-7)


@pytest.mark.parametrize("sd", [1.0, np.inf, np.nan])
def test_numbers_that_are_not_finite_are_printed(sd: float) -> None:
    assert text.in_step([1.5, np.inf, np.nan], sd) == ["1.50", "inf", "-"]
    assert text.in_step([np.inf, -np.inf], sd) == ["inf", "-inf"]
    assert text.in_step([np.nan], sd) == ["-"]


def test_family_and_link() -> None:
    assert repr(counts()).splitlines()[1] == "Family   poisson (log link)"
