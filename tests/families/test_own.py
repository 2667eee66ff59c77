"""A user's own family."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from oracles.elementwise import orders
from oracles.grouped import agrees, by_rows
from scipy import stats

import lgm
from lgm import pickling
from lgm.errors import LgmError, PriorError
from lgm.families.own import Own, custom
from lgm.families.response import Response
from lgm.families.student import Student
from lgm.posterior.priors import resolve
from lgm.priors import beta, exponential, gamma, normal, uniform

Y = np.array([1.2, -0.3, 0.8, 2.1, 5.0, 0.4, -1.1, 0.2])
DATA = pd.DataFrame({"y": Y, "x": np.arange(8.0)})


def cauchy(y, eta, theta):
    return -jnp.log1p(jnp.square((y - eta) / theta["s"])) - jnp.log(jnp.pi * theta["s"])


def made(function=cauchy, **options):
    return custom("mine", function, {"s": exponential(1.0)}, **options)


def test_laplace_is_that_of_dense_algebra():
    y = by_rows(Y)
    agrees(made(), Y, {"s": 0.5}, lambda eta: stats.cauchy(eta, 0.5).logpdf(y(eta)), level=0.5, theta_step=5e-4)


def test_it_is_the_family_of_the_package():
    """A Cauchy response is t with one degree of freedom; a weight multiplies the log density."""
    eta = np.linspace(-2.0, 2.0, 8)
    found = orders(made(), Response(Y), eta, {"s": 0.5}, 2.0)
    np.testing.assert_allclose(found, 2.0 * orders(Student(), Response(Y), eta, {"sigma": 0.5, "nu": 1.0}), rtol=1e-12)


def test_the_curvature_of_a_step_is_positive():
    """That of the log density where it is concave, else its size or the squared slope."""
    y, eta = Response(np.zeros(4)), np.array([0.1, 0.49, 0.51, 4.0])
    slope, second = orders(made(), y, eta, {"s": 0.5})[1:3]
    with jax.enable_x64(True):
        found = np.asarray(made().information(y, eta, {"s": 0.5}, np.full(4, 3.0)))
        given = made(information=lambda y, eta, theta: 0.5 / theta["s"] ** 2 + 0.0 * eta)
        np.testing.assert_allclose(given.information(y, eta, {"s": 0.5}, 3.0), 6.0)
    assert list(second < 0) == [True, True, False, False]
    np.testing.assert_allclose(found[:2], -3.0 * second[:2])
    np.testing.assert_allclose(found[2:], 3.0 * np.maximum(second, slope**2)[2:])


def test_two_of_the_same_functions_are_one_to_the_compiler():
    assert made() == made() and hash(made()) == hash(made())
    assert made() == custom("mine", cauchy, {"s": gamma(2.0, 1.0)})  # priors are data
    assert made() != made(log_concave=True) and made() != made(lambda y, eta, theta: cauchy(y, eta, theta))
    again = pickle.loads(pickling.dumps(custom("plain", cauchy)))
    assert again == custom("plain", cauchy)


def test_a_model_names_the_family_that_cannot_be_pickled():
    model = lgm.model("y ~ x", DATA, made(lambda y, eta, theta: cauchy(y, eta, theta)))
    with pytest.raises(LgmError, match="the family mine cannot be pickled"):
        pickle.dumps(model)


def test_a_parameter_lives_where_its_prior_does():
    family = custom("f", cauchy, {"a": exponential(1.0), "b": beta(1, 1), "c": uniform(-1, 1), "d": normal(0, 3)})
    domains = {p.kind: p.domain for p in family.parameters(Response(Y), 1.0, np.ones(8))}
    assert {kind: (d.low, d.high) for kind, d in domains.items()} == {
        "a": (0.0, np.inf),
        "b": (0.0, 1.0),
        "c": (-1.0, 1.0),
        "d": (-np.inf, np.inf),
    }


def test_a_parameter_that_may_be_any_number_takes_a_normal_prior():
    def skewed(y, eta, theta):
        return stats_normal(y - eta - theta["m"])

    def stats_normal(z):
        return -0.5 * jnp.square(z) - 0.5 * jnp.log(2.0 * jnp.pi)

    family = custom("mine", skewed, {"m": dist.Normal(0.0, 1.0)}, log_concave=True)
    model = lgm.model("y ~ x", DATA, family, priors={"m": normal(0.0, 2.0)})
    assert model.priors.loc["m", "prior"] == "normal(0, 2)"
    with pytest.raises(PriorError, match="positive or bounded"):
        resolve(model.design, {"m": lgm.priors.flat()})


def test_mean_and_new_responses():
    family = made(
        mean=lambda eta, theta: eta + theta["s"], simulate=lambda rng, eta, theta: rng.normal(eta, theta["s"])
    )
    eta, theta = np.zeros((2, 3)), {"s": np.array([1.0, 2.0, 3.0])}
    assert family.mean(eta, theta)[0].tolist() == [1.0, 2.0, 3.0]
    rng = np.random.default_rng
    drawn = family.simulate(rng(1), eta, theta, np.ones(2), np.ones(2))
    np.testing.assert_array_equal(drawn, rng(1).normal(eta, theta["s"]))
    with pytest.raises(LgmError, match="the family mine cannot draw responses; give simulate="):
        made().simulate(rng(1), eta, theta, np.ones(2), np.ones(2))


def test_level_and_yardstick_are_the_links():
    y, zeros, ones = Response(np.array([1.0, 2.0, 6.0])), np.zeros(3), np.ones(3)
    assert made().level_of(y, zeros, ones) == 3.0 and made().scale_of(y, zeros) == pytest.approx(np.std(y.value))
    log = made(link="log")
    assert log.level_of(y, zeros, ones) == pytest.approx(np.log(3.0)) and log.scale_of(y, zeros) == 1.0
    assert made(link="logit").level_of(y, zeros, ones) == 0.0  # no share


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda y, eta, theta: jnp.sum(cauchy(y, eta, theta)), r"returns float64 of shape \(\) for 8 rows"),
        (lambda y, eta, theta: cauchy(y, eta, theta).astype(jnp.float32), "returns float32"),
        (lambda y, eta, theta: jnp.log(eta - 100.0), "mine is nan at y = 1.2"),
        (lambda y, eta, theta: jnp.sqrt(jnp.abs(y - y)) * eta + jnp.sqrt(eta - eta), "first derivative .* is nan"),
        (lambda y, eta, theta: cauchy(y, eta, theta) if eta[0] > 0 else eta, "cannot be traced by JAX: Tracer"),
        (lambda y, eta, theta: stats.cauchy(np.asarray(eta), 1.0).logpdf(y), "cannot be traced by JAX: Tracer"),
        (lambda y, eta, theta: cauchy(y, eta, {"s": theta["scale"]}), "cannot be traced by JAX: KeyError: 'scale'"),
        (lambda y, eta, theta: [1.0] * 8, "returns list for 8 rows"),
        (lambda y, eta, theta: cauchy(y, eta - jnp.mean(eta), theta), "is not elementwise"),
    ],
)
def test_functions_that_cannot_be_used(function, words):
    with pytest.raises(LgmError, match=f"(?s){words}.*Accepted: a function of y"):
        lgm.model("y ~ x", DATA, made(function))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: custom("", cauchy), "the name of a family is ''"),
        (lambda: custom("f", "cauchy"), "the log-likelihood of the family f is 'cauchy'"),
        (lambda: custom("f", cauchy, ["s"]), "are of the type list"),
        (lambda: custom("f", cauchy, {"sd": exponential(1)}), "has the parameter 'sd'"),
        (lambda: custom("f", cauchy, {"a b": exponential(1)}), "has the parameter 'a b'"),
        (lambda: custom("f", cauchy, {"s": 1.0}), "default prior of s of the family f is 1.0"),
        (lambda: custom("f", cauchy, {"s": lgm.priors.flat()}), r"is flat\(\)"),
        (lambda: custom("f", cauchy, link="sqrt"), "link='sqrt' of f"),
        (lambda: custom("f", cauchy, simulate=3), "simulate=3 of the family f"),
        (lambda: lgm.families.find(custom("gamma", cauchy)), "`gamma` is the name of another family"),
    ],
)
def test_arguments_that_are_wrong(call, words):
    with pytest.raises(LgmError, match=words):
        call()


def test_it_is_found_after_the_import():
    assert isinstance(lgm.families.custom("f", cauchy), Own)
