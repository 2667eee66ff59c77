"""``car``, ``leroux`` and ``sar`` against the dense covariance of the response and of the effects."""

from __future__ import annotations

import pickle
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from dense_model import (
    adjacency,
    areal_structure,
    condition,
    derivatives,
    icar_structure,
    restricted,
    rounding,
    scaled_covariance,
)
from synthetic import around

import lgm
from lgm.posterior import density
from lgm.precision import car, sar
from lgm.priors import flat

EDGES = [[0, 3], [3, 5], [5, 6], [6, 0], [1, 7], [7, 8]]  # a ring, a path, and the islands 2 and 4
GRAPH = lgm.graph(EDGES, range(9))
NAMES = {"car": "rho", "leroux": "lambda", "sar": "rho"}
THETAS = [(0.7, 0.4, 0.8), (1.5, 0.95, 0.6)]
terms = pytest.mark.parametrize("name", NAMES)
thetas = pytest.mark.parametrize("theta", THETAS, ids=str)
FLAT = {"Intercept": flat(), "fixed": flat()}


def _data():
    """Forty rows; region 6 and the island 4 have none."""
    rng = np.random.default_rng(12)
    frame = pd.DataFrame({"y": 3.0 + rng.standard_normal(40), "x": rng.standard_normal(40)})
    frame["count"] = rng.poisson(3.0, 40)
    return frame.assign(region=rng.choice([0, 1, 2, 3, 5, 7, 8], 40))


DATA = _data()
AT = DATA["region"].to_numpy()
X = np.column_stack([np.ones(40), DATA["x"]])
Z = np.equal.outer(AT, np.arange(9)).astype(float)


@cache
def model(name):
    return lgm.model(f"y ~ x + {name}(region, graph)", DATA, priors=FLAT, env={"graph": GRAPH})


def theta_of(name, theta):
    label = f"{name}(region)"
    return dict(zip((f"sd({label})", f"{NAMES[name]}({label})", "sigma"), theta, strict=True))


def effects(name, sd, w):
    """Covariance: the structure's inverse, at both ends of w of typical variance ``sd^2`` but for ``sar``."""
    covariance = sd**2 * np.linalg.inv(areal_structure(9, EDGES, name, w))
    if name == "sar":
        return covariance
    precision = np.ones(9, dtype=covariance.dtype)
    factors, degree = scaled_covariance(icar_structure(9, EDGES))[1], adjacency(9, EDGES).sum(axis=1)
    for factor, nodes in zip(factors, ([0, 3, 5, 6], [1, 7, 8]), strict=True):
        first = 1.0 if name == "leroux" else np.exp(np.mean(np.log(degree[nodes])))
        precision[nodes] = (1.0 - w) * first + w / factor
    root = np.sqrt(precision)
    return root[:, None] * covariance * root


def response(name, theta):
    return Z @ effects(name, theta[0], theta[1]) @ Z.T + theta[2] ** 2 * np.eye(40)


def bound_of(V):
    y = DATA["y"].to_numpy()
    return rounding(40, V, X.T @ X) * (40.0 + y @ np.linalg.solve(V, y))


@terms
@thetas
def test_likelihood_and_gradient(name, theta):
    V = response(name, theta)
    changes = derivatives(lambda t: response(name, t), np.array(theta))
    wanted, slopes = restricted(DATA["y"].to_numpy(), X, V, changes)
    with jax.enable_x64(True):
        both = jax.jit(jax.value_and_grad(density.log_likelihood, argnums=1))
        value, grad = both(model(name).analysed.marginal, jnp.array(theta))
    assert abs(float(value) - wanted) < bound_of(V) < 1e-6
    np.testing.assert_allclose(grad, slopes, rtol=0, atol=100 * bound_of(V))
    assert model(name).log_likelihood(theta_of(name, theta)) == pytest.approx(wanted, abs=bound_of(V))


@terms
def test_many_regions_are_factored_with_the_same_result(name, monkeypatch):
    monkeypatch.setattr(car, "MOST_EIGENVALUES", 1)
    monkeypatch.setattr(sar, "MOST_EIGENVALUES", 1)
    built = lgm.model(f"y ~ x + {name}(region, graph)", DATA, priors=FLAT, env={"graph": GRAPH})
    assert getattr(built.design.terms[0].block.template, "eigenvalues", 0) is None
    theta = theta_of(name, THETAS[0])
    assert built.log_likelihood(theta) == pytest.approx(model(name).log_likelihood(theta), abs=1e-9)


@terms
def test_an_sd_of_zero_is_the_model_without_the_term(name):
    alone = lgm.model("y ~ x", DATA, priors=FLAT)
    found = model(name).log_likelihood(theta_of(name, (0.0, 0.4, 0.8)))
    assert found == pytest.approx(alone.log_likelihood({"sigma": 0.8}), abs=1e-10)


@terms
def test_effects_predictions_and_files(name, tmp_path):
    """At a fixed theta; every region of the graph is known, the islands too."""
    theta = THETAS[0]
    fit = around(model(name), theta_of(name, theta), spread=0.0, chains=1, draws=4)
    mean, cov = condition(DATA["y"], np.hstack([X, Z]), effects(name, *theta[:2]), response(name, theta), flat=2)
    found = pd.concat([fit.fixef(), fit.ranef()])
    np.testing.assert_allclose(found["mean"], mean, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found["sd"] ** 2, np.diag(cov), rtol=0, atol=1e-10)
    assert fit.ranef().index.get_level_values("level").tolist() == list(range(9))
    new = pd.DataFrame({"x": np.linspace(-1, 1, 9), "region": range(9)})
    predicted = fit.predict(new)
    np.testing.assert_allclose(predicted["mean"], mean[0] + mean[1] * new["x"] + mean[2:], rtol=0, atol=1e-10)
    with pytest.raises(lgm.DataError, match=rf"{name}\(region\): regions that are not in the graph: 9"):
        fit.predict(new.assign(region=9))
    fit.save(tmp_path / "fit.lgm")
    for again in (lgm.load(tmp_path / "fit.lgm"), pickle.loads(pickle.dumps(fit))):
        pd.testing.assert_frame_equal(again.predict(new), predicted)
    assert [ax.get_title(loc="left") for ax in fit.plot_term(f"{name}(region)").axes[:1]] == [f"{name}(region)"]
    assert list(fit.varcorr().index)[:2] == [(f"{name}(region)", "sd"), (f"{name}(region)", NAMES[name])]


def test_counts_with_a_missing_response_beside_another_term():
    frame = DATA.assign(count=DATA["count"].where(DATA.index != 3), t=np.arange(40) % 8)
    built = lgm.model("count ~ x + leroux(region, graph) + rw1(t)", frame, family="poisson", env={"graph": GRAPH})
    held = {key: value for key, value in theta_of("leroux", THETAS[0]).items() if key != "sigma"}
    values = [built.log_likelihood({**held, "sd(leroux(region))": sd, "sd(rw1(t))": 0.2}) for sd in (0.0, 0.3)]
    without = lgm.model("count ~ x + rw1(t)", frame, family="poisson")
    assert values[0] == pytest.approx(without.log_likelihood({"sd(rw1(t))": 0.2}), abs=1e-8)
    assert np.isfinite(values[1]) and built.sample_prior(5, seed=1).shape == (5, 5)


def test_priors_by_class_and_what_they_may_hold():
    def built(name, **priors):
        return lgm.model(f"y ~ {name}(region, graph)", DATA, priors=priors, env={"graph": GRAPH}).priors["prior"]

    assert built("car")["rho(car(region))"] == "uniform(0, 1)"
    assert built("leroux", **{"lambda": lgm.priors.beta(2, 1)})["lambda(leroux(region))"] == "beta(2, 1)"
    assert built("sar")["rho(sar(region))"] == "uniform(-1, 1)"
    assert built("sar", rho=lgm.priors.pc_corr(0.5, 0.5))["rho(sar(region))"] == "pc_corr(0.5, 0.5)"
    with pytest.raises(lgm.PriorError, match=r"allows values that are not in \(0, 1\)"):
        built("car", rho=lgm.priors.pc_corr())
    with pytest.raises(lgm.PriorError, match=r"must be in \(0, 1\)"):
        built("leroux", **{"lambda": lgm.priors.constant(1.0)})


@pytest.mark.parametrize("name", ["car", "leroux"])
def test_near_one_it_is_the_intrinsic_term(name):
    """With a flat intercept, which takes the level of the map over."""
    ring = lgm.graph([(0, 1), (1, 2), (2, 3), (3, 0)])
    data = DATA.assign(region=np.arange(40) % 4)
    values = [
        lgm.model(f"y ~ {each}(region, g)", data, priors={"Intercept": flat()}, env={"g": ring}).log_likelihood(theta)
        for each, theta in (
            ("icar", {"sd(icar(region))": 0.7, "sigma": 0.8}),
            (name, theta_of(name, (0.7, 1.0 - 1e-6, 0.8))),
        )
    ]
    assert values[0] - values[1] == pytest.approx(0.0, abs=1e-4)


def test_the_graph_is_asked_for():
    with pytest.raises(lgm.FormulaError, match=r"leroux\(\) needs `graph`"):
        lgm.model("y ~ leroux(region)", DATA)
    with pytest.raises(lgm.FormulaError, match=r"`leroux\(region, graph\)`"):
        lgm.model("y ~ besagproper2(region)", DATA)
