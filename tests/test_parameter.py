"""Hyperparameters: where they live, by which keys they are addressed, where they stand in tables."""

import math

import pytest

from lgm.parameter import (
    AUTOCORRELATION,
    CORRELATION,
    POSITIVE,
    PROPORTION,
    STANDARD_DEVIATION,
    Span,
    alike,
    correlations,
    one,
    partial_autocorrelations,
    standard_deviation,
)
from lgm.priors import Flat, exponential, lkj, pc_corr, uniform


@pytest.mark.parametrize(
    ("domain", "inside", "outside"),
    [
        (STANDARD_DEVIATION, [0.0, 1e-300, 5.0], [-1e-300, math.inf, math.nan]),
        (POSITIVE, [1e-300, 5.0], [0.0, -1.0, math.inf, math.nan]),
        (CORRELATION, [-0.999, 0.0, 0.999], [-1.0, 1.0, 2.0]),
        (AUTOCORRELATION, [-0.999, 0.999], [-1.0, 1.0]),
        (PROPORTION, [1e-9, 0.5], [0.0, 1.0]),
    ],
)
def test_where_a_value_may_be_held(domain, inside, outside):
    assert all(domain.holds(value) for value in inside)
    assert not any(domain.holds(value) for value in outside)


def test_a_flat_prior_is_proper_on_a_bounded_domain():
    assert STANDARD_DEVIATION.flat == Flat() == POSITIVE.flat
    assert repr(CORRELATION.flat) == repr(lkj(1.0))
    assert repr(PROPORTION.flat) == repr(uniform(0.0, 1.0))


def test_supports():
    assert PROPORTION.within(0.0, 1.0) and PROPORTION.within(0.2, 0.3)
    assert not PROPORTION.within(-0.1, 0.5) and not PROPORTION.within(0.5, 1.1)
    assert POSITIVE.within(0.0, 1e300)


def test_names_keys_and_places():
    sd = standard_deviation("Subject", 6.0, "Days")
    assert (sd.names, sd.keys, sd.places) == (
        ("sd(Days|Subject)",),
        ("sd(Days|Subject)", "sd"),
        (("Subject", "sd(Days)"),),
    )
    assert (sd.title, sd.start) == ("sd(Days|Subject)", 2.0)
    assert standard_deviation("rw1(t)", 6.0).places == (("rw1(t)", "sd"),)
    rho = one("rho", "ar1(t)", AUTOCORRELATION, pc_corr(), 0.5)
    assert (rho.keys, rho.places) == (("rho(ar1(t))", "rho"), (("ar1(t)", "rho"),))
    two = correlations("g", [("a", "b")], 2, 2.0)
    assert (two.names, two.keys) == (("corr(a,b|g)",), ("corr(a,b|g)", "corr(g)", "corr"))
    three = correlations("g", [("a", "b"), ("a", "c"), ("b", "c")], 3, 2.0)
    assert (three.keys, three.title) == (("corr(g)", "corr"), "corr(g)")  # they have one prior in common
    assert three.places[1] == ("g", "corr(a,c)")


def test_a_span_says_on_which_side_a_median_is():
    span = Span(1.0, 3.0, "short", "long")
    assert [span.fault(median) for median in (0.5, 1.0, 2.0, 3.5)] == ["short", "", "", "long"]


def test_several_with_one_prior():
    found = alike("lambda", "hs(x, z)", ["x", "z"], POSITIVE, exponential(1.0), 1.0)
    assert found.names == ("lambda(x)", "lambda(z)") and found.keys == ("lambda(hs(x, z))", "lambda")
    assert found.title == "lambda(hs(x, z))" and found.places[1] == ("hs(x, z)", "lambda(z)")


def test_partial_autocorrelations_by_their_order():
    found = partial_autocorrelations("ar(t)", [1.0, 1.5, 2.0], 0.5)
    assert [p.names for p in found] == [("pacf1(ar(t))",), ("pacf2(ar(t))",), ("pacf3(ar(t))",)]
    assert {p.kind for p in found} == {"pacf"} and found[2].keys == ("pacf3(ar(t))", "pacf")
    assert [p.default for p in found] == [lkj(1.0), lkj(1.5), lkj(2.0)]
    assert [p.start for p in found] == [0.5, 0.0, 0.0]
