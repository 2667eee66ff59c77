"""Hyperparameters: where they live, how they are asked for, and what a term may have of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from dense_model import ar1, restricted, rounding
from synthetic import around

import lgm
from lgm.data.scope import Scope
from lgm.formula.sides import Call
from lgm.parameter import (
    AUTOCORRELATION,
    CORRELATION,
    POSITIVE,
    PROPORTION,
    STANDARD_DEVIATION,
    Domain,
    Parameter,
    correlations,
    one,
    standard_deviation,
)
from lgm.pattern import Pattern
from lgm.precision.ar import Ar1
from lgm.precision.template import Theta, Whitened
from lgm.priors import Lkj, flat, gamma, lkj, pc_corr, pc_sd, uniform
from lgm.terms import TERMS, register_term
from lgm.terms.block import Block
from lgm.terms.term import Encoded, Term, Variable, one_hot

DOMAINS = [STANDARD_DEVIATION, POSITIVE, CORRELATION, AUTOCORRELATION, PROPORTION]


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_is_an_open_interval(domain: Domain) -> None:
    inside = (domain.low + min(domain.high, 7.0)) / 2
    assert domain.holds(inside) and not domain.holds(domain.high) and not domain.holds(domain.low - 0.1)
    assert domain.holds(domain.low) is (domain is STANDARD_DEVIATION)
    assert not domain.holds(math.nan)
    assert domain.within(domain.low, domain.high) and domain.within(inside, inside)
    assert not domain.within(domain.low - 0.1, inside) and (math.isinf(domain.high) or not domain.within(inside, 2.0))


def test_flat_is_proper_on_what_is_bounded() -> None:
    assert STANDARD_DEVIATION.flat == POSITIVE.flat == flat()
    assert CORRELATION.flat == lkj(1.0)
    assert [repr(domain.flat) for domain in (AUTOCORRELATION, PROPORTION)] == ["uniform(-1, 1)", "uniform(0, 1)"]


def test_keys_from_the_most_specific_on() -> None:
    assert standard_deviation("g", 3.0, "x").keys == ("sd(x|g)", "sd")
    assert one("rho", "ar1(t)", AUTOCORRELATION, pc_corr(), 0.5).keys == ("rho(ar1(t))", "rho")
    assert correlations("g", [("a", "b")], 2, 2.0).keys == ("corr(a,b|g)", "corr(g)", "corr")
    three = correlations("g", [("a", "b"), ("a", "c"), ("b", "c")], 3, 2.0)
    assert three.keys == ("corr(g)", "corr") and three.title == "corr(g)"
    assert Parameter(("sigma",), "sigma", POSITIVE, pc_sd(1.0), 1.0, (("Residual", "sigma"),)).keys == (
        "sigma",
        "sigma",
    )


def test_places_in_the_table_of_variances() -> None:
    assert standard_deviation("g", 3.0, "x").places == (("g", "sd(x)"),)
    assert standard_deviation("rw1(t)", 3.0).places == (("rw1(t)", "sd"),)
    assert correlations("g", [("a", "b")], 2, 2.0).places == (("g", "corr(a,b)"),)


def test_default_sd() -> None:
    found = standard_deviation("g", 3.0)
    assert repr(found.default) == "pc_sd(3, 0.05)" and found.start == 1.0
    assert correlations("g", [("a", "b")], 2, 2.0).default == Lkj(2.0)


# Terms of a user's own ----------------------------------------------------------------------------------------------

RANGE = Domain(0.0, math.inf, "positive", "gamma(2, 1)")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class _Decaying:
    """Correlation ``exp(-|i - j| / range)`` of n successive effects: an AR(1) by another name."""

    own: Ar1
    size: int = field(metadata={"static": True})

    @property
    def n(self) -> int:
        return self.size

    @property
    def pattern(self) -> Pattern:
        return self.own.pattern

    def whiten(self, theta: Theta) -> Whitened:
        return self.own.whiten({"sd": theta["sd"], "rho": jnp.exp(-1.0 / theta["range"])})


@dataclass(frozen=True)
class _Own(Term):
    label: str
    call: Call
    z: sp.csc_array
    block: Block

    @property
    def variables(self) -> tuple[Variable, ...]:
        n = self.block.n
        return (Variable(self.label, np.arange(n), "t", np.arange(n)),)

    @property
    def size(self) -> str:
        return f"{self.block.n} times"

    def encode(self, scope: Scope) -> Encoded:
        return Encoded(one_hot(scope.numbers(self.call.args[0], "t").astype(int), self.block.n))


def _built(call: Call, scope: Scope, label: str, decaying: bool, scale: float) -> _Own:
    t = scope.numbers(call.args[0], "t").astype(int)
    template = Ar1(np.ones(t.max(), dtype=np.int64), t.max() + 1)
    sd = standard_deviation(label, scale)
    if decaying:
        spread = one("range", label, RANGE, gamma(2.0, 0.5), 2.0)
        block = Block(_Decaying(template, template.n), (sd, spread))
    else:
        block = Block(template, (one("rho", label, AUTOCORRELATION, pc_corr(0.5, 0.5), 0.5), sd))  # rho first
    return _Own(label, call, one_hot(t, template.n), block)


@pytest.fixture(autouse=True)
def _terms() -> Iterator[None]:
    register_term("turned", lambda call, scope, label, scale: _built(call, scope, label, False, scale))
    register_term("decay", lambda call, scope, label, scale: _built(call, scope, label, True, scale))
    yield
    del TERMS["turned"], TERMS["decay"]


RNG = np.random.default_rng(1)
DATA = pd.DataFrame({"t": np.tile(np.arange(8), 3), "g": np.repeat([0, 1, 2], 8), "y": RNG.normal(size=24)})
FLAT = {"Intercept": flat()}


def test_parameters_may_be_in_any_order() -> None:
    """The template finds them by kind, whatever stands before the term in theta."""
    usual = lgm.model("y ~ (1|g) + ar1(t)", DATA, priors=FLAT)
    turned = lgm.model("y ~ (1|g) + turned(t)", DATA, priors=FLAT)
    assert turned.design.theta_names == ("sd(Intercept|g)", "rho(turned(t))", "sd(turned(t))", "sigma")
    for sd, rho in [(0.4, 0.7), (1.7, -0.3)]:
        rest = {"sd(Intercept|g)": 0.3, "sigma": 0.9}
        one = usual.log_density({"sd(ar1(t))": sd, "rho(ar1(t))": rho, **rest})
        assert turned.log_density({"sd(turned(t))": sd, "rho(turned(t))": rho, **rest}) == pytest.approx(one, rel=1e-12)


def test_a_hyperparameter_of_a_kind_of_its_own() -> None:
    theta = {"sd(decay(t))": 0.8, "range(decay(t))": 2.5, "sigma": 0.7}
    model = lgm.model("y ~ decay(t)", DATA, priors=FLAT)
    assert model.design.theta_names == tuple(theta)
    V = ar1(DATA["t"], 0.8, np.exp(-1 / 2.5)) + 0.49 * np.eye(24)
    y = DATA["y"].to_numpy()
    wanted = restricted(y, np.ones((24, 1)), V)[0]
    assert model.log_likelihood(theta) == pytest.approx(wanted, abs=100 * rounding(24, V))
    assert model.priors.loc["range(decay(t))", "prior"] == "gamma(2, 0.5)"
    fit = around(model, theta, draws=10)
    assert list(fit.varcorr().index) == [("decay(t)", "sd"), ("decay(t)", "range"), ("Residual", "sigma")]


@pytest.mark.parametrize("key", ["range(decay(t))", "range"])
def test_priors_of_that_kind(key: str) -> None:
    model = lgm.model("y ~ decay(t)", DATA, priors={key: gamma(3.0, 1.0), **FLAT})
    row = model.priors.loc["range(decay(t))"]
    assert (row["prior"], row["source"]) == ("gamma(3, 1)", "given")
    with pytest.raises(
        lgm.PriorError, match=rf"the prior of `{key}`.*not positive".replace("(", r"\(").replace(")", r"\)")
    ):
        lgm.model("y ~ decay(t)", DATA, priors={key: uniform(-1.0, 1.0)})
    with pytest.raises(lgm.PriorError, match="must be positive"):
        lgm.model("y ~ decay(t)", DATA, priors={key: lgm.priors.constant(0.0)})
    with pytest.raises(lgm.PriorError, match="Classes: sd, range"):
        lgm.model("y ~ decay(t)", DATA, priors={"rnge": gamma(3.0, 1.0)})
