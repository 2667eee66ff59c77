"""Responses that fixed effects tell apart without error."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lgm
from lgm.posterior.separation import _Rows
from lgm.priors import flat, normal

N = 60
RNG = np.random.default_rng(0)
DATA = pd.DataFrame(
    {
        "year": 2000 + 0.5 * np.arange(N),
        "z": RNG.normal(size=N),
        "f": np.tile(list("abc"), N // 3),
        "g": np.repeat(np.arange(12), 5),
        "coin": RNG.integers(0, 2, N),
        "count": RNG.poisson(2.0, N),
    }
)
DATA["late"] = (DATA.year > 2012).astype(int)
DATA["never"], DATA["always"] = 0, 1
for level in "ab":
    DATA[f"not_{level}"] = np.where(DATA.f == level, 0, DATA.coin)
DATA["no_count_b"] = np.where(DATA.f == "b", 0, DATA["count"])


def said(formula: str, family: str, **settings: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lgm.model(formula, DATA, family, **settings)
    return [str(each.message) for each in caught if each.category is lgm.IdentifiabilityWarning]


@pytest.mark.parametrize(
    ("formula", "family"),
    [("coin ~ year + z + f", "bernoulli"), ("count ~ f + z", "poisson"), ("count ~ f", "gaussian")],
)
def test_what_is_bounded_is_let_be(formula: str, family: str) -> None:
    assert said(formula, family) == []


@pytest.mark.parametrize(
    ("formula", "family", "names"),
    [
        ("late ~ year + z + (1|g)", "bernoulli", ["Intercept", "year"]),
        ("not_b ~ f + z", "bernoulli", ["f[T.b]"]),
        ("not_b ~ 0 + f", "bernoulli", ["f[b]"]),
        ("not_a ~ f", "binomial", ["Intercept", "f[T.b]", "f[T.c]"]),
        ("no_count_b ~ f + z", "poisson", ["f[T.b]"]),
        ("no_count_b ~ f", "negativebinomial", ["f[T.b]"]),
    ],
)
def test_separation_is_named_with_the_priors_that_bound_it(formula: str, family: str, names: list[str]) -> None:
    (text,) = said(formula, family)
    listed = ", ".join(names)
    assert text.startswith(f"separation: along {listed} some rows of `{formula.split()[0]}` are fitted ever better and")
    assert f"the data do not bound {listed}. Priors alone do" in text and f"{names[0]} ~ normal(" in text


def test_responses_that_are_all_alike() -> None:
    assert said("never ~ 1", "bernoulli")[0].startswith("the response `never` is 0 in all 60 rows, so the data do not")
    assert "`always` is 1 in all 60 rows" in said("always ~ 1", "bernoulli")[0]
    assert "`never` is 0 in all 60 rows" in said("never ~ 1", "poisson")[0]
    assert "is the number of trials in all 60 rows" in said("{always + 1} | trials(2) ~ 1", "binomial")[0]
    with pytest.raises(
        lgm.IdentifiabilityError, match="bound Intercept, nor does their prior, which is flat. Accepted"
    ):
        lgm.model("never ~ 1", DATA, "bernoulli", priors={"Intercept": flat()})


def test_flat_priors_are_an_error_where_nothing_else_bounds() -> None:
    """The default prior of the intercept is about the middle, and so bounds a slope whose threshold lies elsewhere."""
    assert "Intercept ~ normal(" in said("late ~ year", "bernoulli", priors={"year": flat()})[0]
    both = {"year": flat(), "Intercept": flat()}
    for priors in (both, {"fixed": flat(), "Intercept": flat()}):
        with pytest.raises(lgm.IdentifiabilityError, match="do not bound Intercept, year, nor does"):
            lgm.model("late ~ year", DATA, "bernoulli", priors=priors)
    with pytest.raises(lgm.IdentifiabilityError, match=r"do not bound f\[T.b\], nor does"):
        lgm.model("not_b ~ f", DATA, "bernoulli", priors={"fixed": flat(), "Intercept": normal(0, 1)})


def test_many_rows_come_in_as_they_are_needed() -> None:
    """One row among many breaks the separation; the first rows that are looked at do not have it."""
    n = 20_000
    x = np.linspace(-1.0, 1.0, n)
    sides = np.where(x > 0, 1, -1)
    columns = sp.csc_array(np.column_stack([np.ones(n), x]))
    nothing = np.zeros((0, 2))
    assert _Rows.of(columns, sides, 0).separating(nothing).tolist() == [False, True]
    sides[[0, -1]] = [1, -1]
    assert not _Rows.of(columns, sides, 0).separating(nothing).any()
