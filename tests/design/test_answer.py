"""Responses in all their forms become numbers, or an error that names the row."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from lgm.design import design
from lgm.design.answer import trials_of
from lgm.design.design import Design
from lgm.errors import DataError
from lgm.families import find
from lgm.families.cumulative import Cumulative
from lgm.formula.parse import parse

DATA = pd.DataFrame(
    {
        "dead": [1.0, 0.0, np.nan, 3.0, 2.0],
        "size": [4, 2, 5, 3, 7],
        "x": [0.1, 0.4, 0.3, 0.9, 0.2],
        "code": ["none", "right", "left", "interval", "none"],
        "t": [1.0, 2.0, 3.0, 4.0, 5.0],
        "end": [np.nan, np.nan, np.nan, 6.0, np.nan],
        "sick": ["yes", "no", "yes", None, "no"],
        "grade": pd.Categorical(["mid", "low", None, "top", "mid"], categories=["low", "mid", "top"], ordered=True),
    },
    index=list("abcde"),
)


def built(formula: str, family: str, data: Any = DATA, weights: Any = None, link: str | None = None) -> Design:
    return design.build(parse(formula, ()), data, find(family, link), {}, weights, "drop")


def refused(formula: str, family: str, *words: str, data: Any = DATA, weights: Any = None) -> None:
    with pytest.raises(DataError, match="(?s)" + ".*".join(map(re.escape, words))):
        built(formula, family, data, weights)


# Trials ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "formula", ["cbind(dead, size - dead) ~ x", "dead | trials(size) ~ x", "cbind(dead, {size - 1 + 1 - dead}) ~ x"]
)
def test_successes_and_trials(formula: str) -> None:
    d = built(formula, "binomial")
    np.testing.assert_array_equal(d.y, [1, 0, 3, 2])
    np.testing.assert_array_equal(d.response.trials, [4, 2, 3, 7])
    assert d.rows.observed.tolist() == [True, True, False, True, True]
    assert d.answer.trials is not None and d.weights.tolist() == [1.0] * 4


def test_trials_of_rows_without_a_response() -> None:
    """They are known where they stand by themselves, and not where they are a sum with what is missing."""
    for formula, third in (("cbind(dead, size - dead) ~ x", 5.0), ("cbind(dead, size) ~ x", np.nan)):
        trials = built(formula, "binomial").answer.trials
        assert trials is not None
        np.testing.assert_array_equal(trials[2], third)


def test_one_number_of_trials_for_all_rows() -> None:
    d = built("dead | trials(10) ~ x", "binomial")
    np.testing.assert_array_equal(d.answer.trials, np.full(5, 10.0))
    np.testing.assert_array_equal(trials_of(d.scope.on(d.scope.frame.iloc[:2])), [10, 10])


def test_shares_with_weights_are_successes_out_of_so_many_trials() -> None:
    d = built("dead / size ~ x", "binomial", weights="size")
    np.testing.assert_array_equal(d.y, [1, 0, 3, 2])
    np.testing.assert_array_equal(d.response.trials, [4, 2, 3, 7])
    assert d.answer.share and not d.weighted and d.weights.tolist() == [1.0] * 4
    np.testing.assert_allclose(d.as_given, [1 / 4, 0, 1, 2 / 7])
    rounded = DATA.assign(share=(DATA.dead / DATA["size"]).round(4))
    np.testing.assert_array_equal(built("share ~ x", "binomial", rounded, "size").y, [1, 0, 3, 2])


def test_weights_beside_trials_stay_weights() -> None:
    d = built("dead | trials(size) ~ x", "binomial", weights=np.arange(1.0, 6.0))
    assert d.weights.tolist() == [1.0, 2.0, 4.0, 5.0] and d.weighted and not d.answer.share


def test_wrong_trials() -> None:
    refused("dead | trials(size) ~ x", "binomial", "5 successes of 2 trials", data=DATA.assign(dead=5, size=2))
    zero = DATA.assign(size=[4, 0, 5, 3, 7])
    refused("dead | trials(size) ~ x", "binomial", "trials `size` is 0 in row b; accepted", "remove it", data=zero)
    half = DATA.assign(size=[4.0, 2.5, 5, 3, 7])
    refused("dead | trials(size) ~ x", "binomial", "trials `size` is 2.5 in row b; accepted: whole", data=half)
    less = DATA.assign(size=[4, -2, 5, -3, 7])
    words = ["failures `size` is -2 in row b (2 such rows); accepted: whole numbers from 0"]
    refused("cbind(dead, size) ~ x", "binomial", *words, data=less)
    refused("dead | trials(size) ~ x", "binomial", "1.5 successes", "whole numbers", data=DATA.assign(dead=1.5))
    refused("dead | trials(code) ~ x", "binomial", "the number of trials `code` holds text")
    refused("dead | trials(size) ~ x", "poisson", 'family="poisson" does not take', 'family = "binomial", "beta_bin')
    refused("sick | trials(size) ~ x", "binomial", "the response `sick` holds text, but it must be numeric")


def test_counts_without_trials() -> None:
    refused("dead ~ x", "binomial", "the response `dead` is 3 in row d", "cbind(dead, failures)", "zeros and ones")
    refused("t / 7 ~ x", "binomial", "`t / 7` is 0.142857 in row a (5 such rows)", "with weights=")
    refused("x ~ t", "binomial", "is 0.1 in row a", "times the weight of their row", weights="size")
    np.testing.assert_array_equal(built("{t > 2} ~ x", "binomial").y, [0, 0, 1, 1, 1])


# Events and categories ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bernoulli", "binomial"])
def test_the_second_of_two_categories_is_the_event(family: str) -> None:
    d = built("sick ~ x", family)
    np.testing.assert_array_equal(d.y, [1, 0, 1, 0])
    assert d.answer.categories == ("no", "yes") and d.answer.meaning == "the event is yes, not no"
    turned = DATA.assign(sick=pd.Categorical(DATA.sick, categories=["yes", "no"]))
    np.testing.assert_array_equal(built("sick ~ x", family, turned).y, [0, 1, 0, 1])
    flags = DATA.assign(sick=[True, False, None, True, False])
    d = built("sick ~ x", family, flags)
    np.testing.assert_array_equal(d.y, [1, 0, 1, 0])
    assert d.answer.meaning == "the event is True, not False"
    np.testing.assert_array_equal(built("{code == 'none'} ~ x", family).y, [1, 0, 0, 0, 1])


def test_a_category_without_rows_may_be_the_other_one() -> None:
    data = DATA.assign(sick=pd.Categorical(["yes"] * 5, categories=["no", "yes"]))
    np.testing.assert_array_equal(built("sick ~ x", "bernoulli", data).y, np.ones(5))
    three = pd.Categorical(["b", "c", "b", "c", "b"], categories=["a", "b", "c"])
    assert built("sick ~ x", "bernoulli", DATA.assign(sick=three)).answer.categories == ("b", "c")


def test_what_is_no_event() -> None:
    refused("code ~ x", "bernoulli", "has 4 values (interval, left, none, right), but bernoulli is for two", "{code ==")
    refused("sick ~ x", "bernoulli", "is 'yes' in all rows", "both categories", data=DATA.assign(sick="yes"))
    refused(
        "size ~ x",
        "bernoulli",
        "has 4 in row a (5 such rows)",
        "zeros and ones, booleans, or two categories. Numbers of",
    )
    two = DATA.assign(size=[1, 2, 1, 2, 1])
    refused("size ~ x", "bernoulli", "has 2 in row b", "{size == 2} makes 2 the event", data=two)
    refused("sick ~ x", "poisson", "`sick` holds text, but it must be numeric", 'family="bernoulli"')
    refused("sick ~ x", "gaussian", "`sick` holds text, but it must be numeric", 'family="bernoulli"')
    refused("dead | trials(size) ~ x", "bernoulli", 'family="bernoulli" does not take successes of several trials')


def test_weights_of_single_trials_are_whole() -> None:
    for formula, data in (("sick ~ x", DATA), ("y ~ x", DATA.assign(y=[0, 1, 0, 1, 1]))):
        weights = np.array([1.0, 2.0, 1.5, 1.0, 1.0])
        refused(formula, "bernoulli", "a weight of family='bernoulli' is 1.5 in row c", data=data, weights=weights)
        assert built(formula, "bernoulli", data, np.arange(1.0, 6.0)).weighted


def test_ordered_categories() -> None:
    d = built("grade ~ x", "cumulative")
    np.testing.assert_array_equal(d.y, [2, 1, 3, 2])
    assert isinstance(d.family, Cumulative) and (d.family.categories, d.family.first) == (("low", "mid", "top"), 1)
    assert d.answer.meaning == "low < mid < top"
    d = built(
        "grade ~ x",
        "cumulative",
        pl.DataFrame({"grade": ["b", "a", "c"], "x": [1.0, 2, 3]}).with_columns(
            pl.col("grade").cast(pl.Enum(["c", "b", "a"]))
        ),
    )
    np.testing.assert_array_equal(d.y, [2, 3, 1])
    d = built("size ~ x", "cumulative")
    np.testing.assert_array_equal(d.y, DATA["size"])
    assert isinstance(d.family, Cumulative) and (d.family.categories, d.family.first) == (tuple("234567"), 2)


def test_what_has_no_order() -> None:
    refused("code ~ x", "cumulative", "`code` holds text, but cumulative needs to know their order", "ordered=True")
    loose = DATA.assign(grade=DATA.grade.cat.as_unordered())
    refused("grade ~ x", "cumulative", "holds categories without an order", data=loose)
    refused("sick ~ x", "cumulative", "holds booleans", data=DATA.assign(sick=True))
    refused("t ~ x", "cumulative", "is 1.5 in row a", "whole numbers", data=DATA.assign(t=DATA.t + 0.5))
    refused("t ~ x", "cumulative", "5 different values from 1 to 25", data=DATA.assign(t=DATA.t**2))
    two = DATA.assign(t=[1, 2, 1, 2, 1])
    refused("t ~ x", "cumulative", "has 2 categories (1, 2)", 'family="bernoulli"', data=two)


# Censoring ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code", [DATA.code, [0, 1, -1, 2, 0], [0.0, 1.0, -1.0, 2.0, 0.0], DATA.code.astype("category")]
)
def test_codes_of_censoring(code: Any) -> None:
    y = built("t | cens(code, end) ~ x", "weibull", DATA.assign(code=code)).response
    np.testing.assert_array_equal(y.value, DATA.t)
    np.testing.assert_array_equal(y.censored, [0, 1, -1, 2, 0])
    assert y.upper is not None and y.upper[3] == 6.0 and np.all(y.upper > y.value)


def test_booleans_are_censored_on_the_right() -> None:
    y = built("t | cens(x > 0.35) ~ 1", "exponential").response
    np.testing.assert_array_equal(y.censored, [0, 1, 0, 1, 0])
    assert y.upper is None


def test_rows_with_a_part_missing_are_predicted() -> None:
    data = DATA.assign(code=["none", None, "left", "interval", "interval"])
    d = built("t | cens(code, end) ~ x", "weibull", data)
    assert d.rows.observed.tolist() == [True, False, True, True, False]
    np.testing.assert_array_equal(d.response.censored, [0, -1, 2])


def test_wrong_codes() -> None:
    odd = DATA.assign(code=["none", "rihgt", "left", "interval", "none"])
    refused(
        "t | cens(code, end) ~ x", "weibull", "is 'rihgt' in row b. Did you mean `right`?", '"left" or -1', data=odd
    )
    refused("t | cens(code, end) ~ x", "weibull", "is 3 in row a", data=DATA.assign(code=3))
    refused("t | cens(code) ~ x", "weibull", "row d is censored to an interval", "cens(code, upper)")
    low = DATA.assign(end=3.0)
    refused(
        "t | cens(code, end) ~ x", "weibull", "the upper end `end` is 3 in row d; accepted: numbers above", data=low
    )
    refused("t | cens(code, end) ~ x", "gaussian", 'family="gaussian" does not take censored values', '"weibull"')


def test_an_exposure_of_zero() -> None:
    data = DATA.assign(e=[1, 0, 2, 3, 1])
    refused(
        "size ~ x + offset(log(e))", "poisson", "the offset `log(e)` is not finite in 1 of 5 rows (rows b)", data=data
    )
