"""The prior of the effects: hyperparameters are found by kind, determinants by factorisation where none is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from dense_model import ar1, restricted, rounding

import lgm
from lgm.parameter import AUTOCORRELATION, Domain, Parameter, one, standard_deviation
from lgm.pattern import Pattern
from lgm.posterior.latent_prior import by_kind, places_of
from lgm.precision.ar import Ar1
from lgm.precision.template import Theta, Whitened
from lgm.priors import flat, gamma, uniform
from lgm.terms import TERMS, register_term
from lgm.terms.block import Block
from lgm.terms.term import Encoded, Signature, Term, Variable, arguments, one_hot

N = 24
RNG = np.random.default_rng(9)
DATA = pd.DataFrame({"y": RNG.normal(2, 1, N), "t": RNG.integers(0, 8, N)})
W = np.abs(np.subtract.outer(np.arange(8), np.arange(8))) == 1  # a path of eight nodes


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ProperCar:
    """``R = D_w - rho W`` on a path, whose determinant is left to a factorisation."""

    n: int = field(metadata={"static": True})

    @property
    def pattern(self) -> Pattern:
        return Pattern.of(sp.csc_array(W))

    def whiten(self, theta: Theta) -> Whitened:
        pattern = self.pattern
        degree = jnp.asarray(W.sum(axis=1), dtype=float)
        values = jnp.where(pattern.rows == pattern.cols, degree[pattern.rows], -theta["range"][0])
        return Whitened(jnp.broadcast_to(theta["sd"], (self.n,)), values, None)


@dataclass(frozen=True)
class OwnTerm(Term):
    label: str
    piece: Any
    z: sp.csc_array
    block: Block

    @property
    def variables(self):
        return (Variable(self.label, np.arange(8), "t", np.arange(8)),)

    @property
    def size(self):
        return "8 nodes"

    def encode(self, scope):
        return Encoded(one_hot(scope.numbers(self.piece, "t").astype(int), 8))


def builder(template, parameters):
    def build(call, scope, label, yardstick):
        piece = arguments(call, scope, Signature(("t",)))["t"]
        z = one_hot(scope.numbers(piece, "t").astype(int), 8)
        return OwnTerm(label, piece, z, Block(template, parameters(label, yardstick)))

    return build


@pytest.fixture
def registered():
    """Registers a term for one test."""
    names = []

    def register(name, template, parameters):
        register_term(name, builder(template, parameters))
        names.append(name)

    yield register
    for name in names:
        del TERMS[name]


def value(formula, theta, **arguments):
    priors = {"Intercept": flat()}
    return lgm.model(formula, DATA, priors=priors, **arguments).log_likelihood(theta)


def test_places_by_kind():
    parameters = [
        one("rho", "a", AUTOCORRELATION, uniform(-1, 1), 0.5),
        standard_deviation("a", 1.0, "x"),
        standard_deviation("a", 1.0, "z"),
    ]
    places = places_of(parameters, 3)
    assert places == (("rho", (3,)), ("sd", (4, 5)))
    found = by_kind(np.arange(12.0).reshape(2, 6), places)
    assert found["rho"].tolist() == [[3.0], [9.0]] and found["sd"].tolist() == [[4.0, 5.0], [10.0, 11.0]]
    assert by_kind(np.arange(4.0), (("sd", (0, 3)),))["sd"].tolist() == [0.0, 3.0]


def test_the_order_of_the_parameters_means_nothing(registered):
    def listed(label, yardstick):
        return (one("rho", label, AUTOCORRELATION, uniform(-1, 1), 0.5), standard_deviation(label, yardstick))

    registered("other", Ar1(np.ones(7, dtype=np.int64), 8), listed)
    ours = value("y ~ 1 + other(t)", {"rho(other(t))": 0.4, "sd(other(t))": 0.7, "sigma": 0.9})
    assert ours == pytest.approx(
        value("y ~ 1 + ar1(t)", {"sd(ar1(t))": 0.7, "rho(ar1(t))": 0.4, "sigma": 0.9}), abs=1e-12
    )
    V = ar1(DATA["t"], 0.7, 0.4) + 0.81 * np.eye(N)
    assert ours == pytest.approx(restricted(DATA["y"].to_numpy(), np.ones((N, 1)), V)[0], abs=N * rounding(N, V))


def own_range(label, yardstick):
    domain = Domain(0.0, 1.0, "between 0 and 1", "beta(2, 2)")
    place = ((label, "range"),)
    return (
        Parameter((f"range({label})",), "range", domain, uniform(0, 1), 0.5, place),
        standard_deviation(label, yardstick),
    )


def test_a_determinant_that_is_left_to_a_factorisation(registered):
    registered("own_car", ProperCar(8), own_range)
    R = np.diag(W.sum(axis=1)) - 0.6 * W
    at = DATA["t"].to_numpy()
    V = 0.7**2 * np.linalg.inv(R)[np.ix_(at, at)] + 0.81 * np.eye(N)
    ours = value("y ~ 1 + own_car(t)", {"range(own_car(t))": 0.6, "sd(own_car(t))": 0.7, "sigma": 0.9})
    assert ours == pytest.approx(restricted(DATA["y"].to_numpy(), np.ones((N, 1)), V)[0], abs=N * rounding(N, V))
    none = value("y ~ 1 + own_car(t)", {"range(own_car(t))": 0.6, "sd(own_car(t))": 0.0, "sigma": 0.9})
    assert none == pytest.approx(restricted(DATA["y"].to_numpy(), np.ones((N, 1)), 0.81 * np.eye(N))[0], abs=1e-10)


def test_a_kind_of_its_own(registered):
    registered("own_car", ProperCar(8), own_range)
    for key in ("range(own_car(t))", "range"):
        model = lgm.model("y ~ 1 + own_car(t)", DATA, priors={key: lgm.priors.beta(2, 3)})
        assert model.priors.loc["range(own_car(t))", "prior"] == "beta(2, 3)"
    with pytest.raises(lgm.PriorError, match="which allows values that are not between 0 and 1"):
        lgm.model("y ~ 1 + own_car(t)", DATA, priors={"range": gamma(2, 2)})
    fit = lgm.fit("y ~ 1 + own_car(t)", DATA, method="mode", draws=10, seed=1, progress=False)
    assert ("own_car(t)", "range") in fit.varcorr().index
