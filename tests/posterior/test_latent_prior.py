"""The prior of effects: places of hyperparameters in theta, and blocks without a closed form of their determinant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from dense_model import derivatives, restricted, rounding

import lgm
from lgm.data.scope import Scope
from lgm.formula.sides import Call
from lgm.parameter import PROPORTION, correlations, one, standard_deviation
from lgm.pattern import Pattern
from lgm.posterior import density
from lgm.posterior.latent_prior import by_kind, needs_factor, places_of
from lgm.precision.iid import Iid
from lgm.precision.template import Theta, Whitened
from lgm.priors import flat, uniform
from lgm.terms import TERMS, register_term
from lgm.terms.block import Block
from lgm.terms.term import Encoded, Term, Variable, one_hot

N, EDGES = 7, [[0, 1], [1, 2], [2, 3], [3, 0], [4, 5]]  # a ring, a pair and an island
W = np.zeros((N, N))
for i, j in EDGES:
    W[i, j] = W[j, i] = 1.0
DEGREE = np.maximum(W.sum(axis=1), 1.0)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class _ProperCar:
    """Precision ``D - alpha W``, whose determinant is left to a factorisation."""

    degree: np.ndarray
    pattern: Pattern = field(metadata={"static": True})

    @property
    def n(self) -> int:
        return self.pattern.n

    def whiten(self, theta: Theta) -> Whitened:
        diagonal = self.pattern.rows == self.pattern.cols
        own = jnp.asarray(self.degree)[self.pattern.rows]
        values = jnp.where(diagonal, own, -theta["alpha"][0])
        return Whitened(jnp.broadcast_to(theta["sd"], (self.n,)), values, None)


@dataclass(frozen=True)
class _Car(Term):
    label: str
    call: Call
    z: sp.csc_array
    block: Block

    @property
    def variables(self) -> tuple[Variable, ...]:
        return (Variable(self.label, np.arange(N), "region", np.arange(N)),)

    @property
    def size(self) -> str:
        return f"{N} regions"

    def encode(self, scope: Scope) -> Encoded:
        return Encoded(one_hot(scope.numbers(self.call.args[0], "region").astype(int), N))


TEMPLATE = _ProperCar(DEGREE, Pattern.from_entries(N, *np.array(EDGES).T))


@pytest.fixture(autouse=True)
def _term() -> Iterator[None]:
    def build(call: Call, scope: Scope, label: str, scale: float) -> _Car:
        codes = scope.numbers(call.args[0], "region").astype(int)
        parameters = (one("alpha", label, PROPORTION, uniform(0, 1), 0.5), standard_deviation(label, scale))
        return _Car(label, call, one_hot(codes, N), Block(TEMPLATE, parameters))

    register_term("car", build)
    yield
    del TERMS["car"]


RNG = np.random.default_rng(1)
DATA = pd.DataFrame(
    {"y": RNG.normal(size=25), "region": RNG.choice([0, 1, 2, 4, 5, 6], 25), "g": RNG.integers(0, 4, 25)}
)


def _covariance(alpha: complex, sd: complex, between: complex, sigma: complex) -> np.ndarray:
    at, g = DATA["region"].to_numpy(), DATA["g"].to_numpy()
    inverse = np.linalg.inv(np.diag(DEGREE) - alpha * W)
    return sd**2 * inverse[np.ix_(at, at)] + between**2 * np.equal.outer(g, g) + sigma**2 * np.eye(25)


@pytest.mark.parametrize(
    "theta", [(0.3, 0.8, 0.4, 0.7), (0.99, 1.5, 0.2, 0.5), (0.5, 0.0, 0.4, 0.7), (0.5, 0.0, 0.0, 1.0)]
)
def test_a_determinant_by_factorisation(theta: tuple[float, ...]) -> None:
    """Value and gradient, and an sd of zero, against the dense covariance; the term stands before a closed form."""
    model = lgm.model("y ~ car(region) + (1|g)", DATA, priors={"Intercept": flat()})
    assert model.design.theta_names == ("alpha(car(region))", "sd(car(region))", "sd(Intercept|g)", "sigma")
    at, y = np.array(theta), DATA["y"].to_numpy()
    V = _covariance(*at)
    wanted, slopes = restricted(y, np.ones((25, 1)), V, derivatives(lambda t: _covariance(*t), at))
    with jax.enable_x64(True):
        both = jax.jit(jax.value_and_grad(density.log_likelihood, argnums=1))
        value, grad = both(model.analysed.posterior, jnp.asarray(at))
    bound = rounding(25, V, np.diag(DEGREE) - theta[0] * W) * (25 + y @ np.linalg.solve(V, y))
    assert float(value) == pytest.approx(wanted, abs=bound)
    np.testing.assert_allclose(grad, slopes, rtol=0, atol=bound / min(1 - theta[0], 0.2))


def test_who_needs_a_factorisation() -> None:
    assert needs_factor(TEMPLATE, (("alpha", (0,)), ("sd", (1,))))
    assert not needs_factor(Iid(4), (("sd", (3,)),))
    model = lgm.model("y ~ car(region) + (1|g)", DATA)
    assert [analysis is None for analysis in model.analysed.posterior.prior.factored] == [False, True]


def test_places_by_kind() -> None:
    three = correlations("g", [("a", "b"), ("a", "c"), ("b", "c")], 3, 2.0)
    sds = [standard_deviation("g", 1.0, name) for name in "abc"]
    rho = one("rho", "t", PROPORTION, uniform(0, 1), 0.5)
    places = places_of([sds[0], rho, sds[1], three, sds[2]], 2)
    assert dict(places) == {"sd": (2, 4, 8), "rho": (3,), "corr": (5, 6, 7)}
    assert hash(places) is not None and places_of([], 5) == ()
    theta = np.arange(20.0).reshape(2, 10)
    found = by_kind(theta, places)
    assert found["sd"].tolist() == [[2, 4, 8], [12, 14, 18]] and found["corr"].tolist() == [[5, 6, 7], [15, 16, 17]]
    traced = jax.jit(lambda theta: by_kind(theta, places))(jnp.arange(10.0))
    assert traced["sd"].tolist() == [2, 4, 8] and traced["rho"].tolist() == [3]
