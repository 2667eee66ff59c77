"""The likelihood of theta against dense covariances: values, gradients, sds of zero, invariances, compilations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from dense_model import (
    EPS,
    ar1,
    derivatives,
    group,
    icar_structure,
    restricted,
    rounding,
    rw_structure,
    scaled_covariance,
)

import lgm
from lgm.posterior import density
from lgm.priors import Flat, Normal, flat, lkj, normal
from lgm.smooths import cubic

FLAT = {"Intercept": flat(), "fixed": flat()}
EDGES = [[0, 3], [3, 5], [5, 6], [6, 0], [1, 7], [7, 8]]  # a ring, a path, and the islands 2 and 4


pytestmark = pytest.mark.filterwarnings("ignore:there is no intercept:lgm.DataWarning")


def data():
    """Forty rows; region 6 and some times have none."""
    rng = np.random.default_rng(12)
    n = 40
    return pd.DataFrame(
        {
            "y": 3.0 + rng.standard_normal(n),
            "x": rng.standard_normal(n),
            "z": rng.standard_normal(n),
            "w": rng.uniform(0.5, 2.0, n),
            "o": rng.standard_normal(n),
            "g": rng.integers(0, 6, n),
            "h": rng.integers(0, 4, n),
            "region": rng.choice([0, 1, 2, 3, 4, 5, 7, 8], n),
            "t": rng.choice([1, 2, 3, 5, 8, 9, 12], n),
            "s": rng.choice([0.0, 0.5, 0.75, 2.0, 3.0, 4.5], n),
        }
    )


DATA = data()
DATA["path"] = np.isin(DATA["region"], [1, 7, 8]).astype(float)  # fewer regions than the ring
GRAPH = lgm.graph(EDGES, range(9))


def walk(order, column, sd):
    times, at = np.unique(DATA[column], return_inverse=True)
    return sd**2 * scaled_covariance(rw_structure(order, times), order)[0][np.ix_(at, at)]


def areal(sd):
    return sd**2 * scaled_covariance(icar_structure(9, EDGES))[0][np.ix_(DATA["region"], DATA["region"])]


def smooth(sd):
    Z = cubic.build("cr", DATA["x"].to_numpy(), 6).evaluate(DATA["x"].to_numpy())
    return sd**2 * Z @ Z.T


def columns(*names):
    return np.column_stack([np.ones(40) if name == "1" else DATA[name] for name in names])


@dataclass
class Case:
    """A formula, a theta away from any optimum, and the same model by its definition."""

    formula: str
    theta: dict[str, float]
    covariance: Callable[..., Any]  # of the latent part, from all of theta but sigma
    fixed: tuple[str, ...] = ("1",)
    priors: dict[str, Any] = field(default_factory=lambda: dict(FLAT))
    centred: bool = False  # whether the prior of the intercept is that at the mean of the columns
    weights: str | None = None
    offset: bool = False

    def model(self):
        return lgm.model(self.formula, DATA, priors=self.priors, weights=self.weights, env={"graph": GRAPH})

    def definition(self, model):
        """y, X, and V as a function of theta; a normal prior moves its column from X to V."""
        X, y = columns(*self.fixed), DATA["y"] - (DATA["o"] if self.offset else 0.0)
        w = DATA[self.weights].to_numpy() if self.weights else np.ones(40)
        if self.centred:
            X = X - np.where(np.array(self.fixed) == "1", 0.0, X.mean(axis=0))
        known = [(x, p) for x, p in zip(X.T, model.chosen_priors.fixed, strict=True) if isinstance(p, Normal)]
        X = X[:, [isinstance(p, Flat) for p in model.chosen_priors.fixed]]
        y = y.to_numpy() - sum((p.mean * x for x, p in known), np.zeros(40))
        extra = sum((p.sd**2 * np.outer(x, x) for x, p in known), np.zeros((40, 40)))
        return y, X, lambda theta: self.covariance(*theta[:-1]) + extra + theta[-1] ** 2 * np.diag(1.0 / w)


CASES = {
    "group, weights, offset": Case(
        "y ~ x + offset(o) + (1|g)",
        {"sd(Intercept|g)": 0.6, "sigma": 0.9},
        lambda sd: group(DATA["g"], columns("1"), [sd]),
        ("1", "x"),
        weights="w",
        offset=True,
    ),
    "two correlated effects, proper beta": Case(
        "y ~ x + (x|g) + (1|h)",
        {"sd(Intercept|g)": 0.6, "sd(x|g)": 0.4, "corr(Intercept,x|g)": -0.3, "sd(Intercept|h)": 0.3, "sigma": 0.9},
        lambda a, b, r, c: group(DATA["g"], columns("1", "x"), [a, b], [r]) + group(DATA["h"], columns("1"), [c]),
        ("1", "x"),
        {"Intercept": normal(2.0, 1.5), "x": normal(0.5, 0.7), "corr": lkj(2.0)},
    ),
    "three correlated effects": Case(
        "y ~ x + (x + z|g)",
        {
            "sd(Intercept|g)": 0.6,
            "sd(x|g)": 0.4,
            "sd(z|g)": 0.5,
            "corr(Intercept,x|g)": -0.3,
            "corr(Intercept,z|g)": 0.2,
            "corr(x,z|g)": 0.4,
            "sigma": 0.9,
        },
        lambda a, b, c, r, s, t: group(DATA["g"], columns("1", "x", "z"), [a, b, c], [r, s, t]),
        ("1", "x"),
        {**FLAT, "corr": lkj(2.0)},  # what is given is of the effects about zero
    ),
    "two components and two islands": Case(
        "y ~ x + icar(region, graph)",
        {"sd(icar(region))": 0.7, "sigma": 0.8},
        areal,
        ("1", "x", "path"),
        weights="w",
    ),
    "ar1 with gaps, default priors": Case(
        "y ~ x + ar1(t)",
        {"sd(ar1(t))": 0.8, "rho(ar1(t))": 0.6, "sigma": 0.7},
        lambda sd, rho: ar1(DATA["t"], sd, rho),
        ("1", "x"),
        {},
        centred=True,
    ),
    "irregular rw2": Case("y ~ rw2(s)", {"sd(rw2(s))": 0.5, "sigma": 0.8}, lambda sd: walk(2, "s", sd), ("1", "s")),
    "smooth": Case('s(x, bs="cr", k=6)', {"sd(s(x))": 0.9, "sigma": 0.8}, smooth, ("1", "x")),
    "no intercept": Case(
        "y ~ 0 + x + rw1(s)",
        {"sd(rw1(s))": 0.5, "sigma": 3.0},
        lambda sd: walk(1, "s", sd),
        ("x",),
        {"x": normal(0.5, 2.0)},
    ),
    "everything": Case(
        'y ~ z + offset(o) + (z||g) + icar(region, graph) + ar1(t) + rw1(s) + s(x, bs="cr", k=6)',
        {
            "sd(Intercept|g)": 0.4,
            "sd(z|g)": 0.3,
            "sd(icar(region))": 0.6,
            "sd(ar1(t))": 0.5,
            "rho(ar1(t))": -0.4,
            "sd(rw1(s))": 0.7,
            "sd(s(x))": 0.8,
            "sigma": 0.9,
        },
        lambda a, b, c, d, rho, e, f: (
            group(DATA["g"], columns("1"), [a])
            + group(DATA["g"], columns("z"), [b])
            + areal(c)
            + ar1(DATA["t"], d, rho)
            + walk(1, "s", e)
            + smooth(f)
        ),
        ("1", "z", "path", "x"),
        {},
        centred=True,
        weights="w",
        offset=True,
    ),
}
CASES["smooth"].formula = "y ~ " + CASES["smooth"].formula
CASES["irregular rw2"].priors = {"Intercept": flat(), "rw2(s)[linear]": flat()}
CASES["smooth"].priors = {"Intercept": flat(), "s(x)[linear]": flat()}
named = pytest.mark.parametrize("name", CASES)

value_and_grad = jax.jit(jax.value_and_grad(density.log_likelihood, argnums=1))


@cache
def built(name):
    """Model, theta and oracle of a case; the last gives value, gradient and a bound for rounding errors of both."""
    case = CASES[name]
    model = case.model()
    assert set(case.theta) == set(model.design.theta_names)
    theta = np.array([case.theta[parameter] for parameter in model.design.theta_names])
    y, X, covariance = case.definition(model)
    systems = jax.jit(lambda post, theta: post.data.system(post.prior, post.analysis, theta).values)

    def oracle(theta):
        V = covariance(theta)
        with jax.enable_x64(True):
            post = model.analysed.marginal
            H = post.analysis.pattern.matrix(systems(post, jnp.asarray(theta))).toarray()
        # log determinants and quadratic forms are sums of n terms and of y'V^-1 y
        bound = rounding(40, V, H, X.T @ X) * (40.0 + y @ np.linalg.solve(V, y))
        return *restricted(y, X, V, derivatives(covariance, theta)), bound

    return model, theta, oracle


def evaluate(model, theta):
    with jax.enable_x64(True):
        value, grad = value_and_grad(model.analysed.marginal, jnp.asarray(theta, dtype=float))
    return float(value), np.asarray(grad)


@named
def test_value_and_gradient(name):
    model, theta, oracle = built(name)
    value, grad = evaluate(model, theta)
    wanted, slope, bound = oracle(theta)
    assert bound < 1e-6
    assert abs(value - wanted) < bound
    # a derivative by theta_j is made of terms divided by theta_j, or by 1 - rho^2
    np.testing.assert_allclose(grad, slope, rtol=0, atol=2 * bound / np.min(np.minimum(np.abs(theta), 0.5)))


@named
def test_gradient_is_the_slope_of_the_value(name):
    """Central differences; those of twice the step show the truncation error, rounding comes on top."""
    model, theta, oracle = built(name)
    _, grad = evaluate(model, theta)
    bound = oracle(theta)[2]
    h = np.cbrt(EPS)
    for j, step in enumerate(h * np.eye(theta.size)):
        one, two = (
            (evaluate(model, theta + k * step)[0] - evaluate(model, theta - k * step)[0]) / (2 * k * h) for k in (1, 2)
        )
        assert abs(grad[j] - one) < abs(two - one) + bound / h
        assert abs(two - one) + bound / h < 1e-3 * max(1.0, np.abs(grad).max())


@named
def test_an_sd_of_zero_is_an_ordinary_point(name):
    """The model without the term, with its gradient; one sd at a time, then all."""
    model, theta, oracle = built(name)
    sds = [j for j, parameter in enumerate(model.design.theta_names) if parameter.startswith("sd")]
    for zeros in [*([j] for j in sds), sds]:
        at = theta.copy()
        at[zeros] = 0.0
        value, grad = evaluate(model, at)
        wanted, slope, bound = oracle(at)
        assert abs(value - wanted) < bound
        np.testing.assert_allclose(grad, slope, rtol=0, atol=2 * bound / np.min(np.minimum(np.abs(theta), 0.5)))


@pytest.mark.parametrize("name", ["two correlated effects, proper beta", "three correlated effects"])
def test_a_block_about_the_means_has_the_same_likelihood(name):
    """With default priors of the correlations; the covariates' means are far from zero beside their spread."""
    case, shift = CASES[name], {"x": 30.0, "z": -7.0}
    theta = built(name)[1]
    given = {key: prior for key, prior in case.priors.items() if key != "corr"}
    moved = lgm.model(case.formula, DATA.assign(**{k: DATA[k] + v for k, v in shift.items()}), priors=given)
    assert moved.design.terms[0].origin == ("sd(Intercept|g)", "corr(g)")
    X, q = np.column_stack([np.ones(40), DATA["x"] + 30.0, DATA["z"] - 7.0]), 2 if "two" in name else 3
    scale, fixed = EPS * 40 * 1e3**2, X[:, :2]
    V = group(DATA["g"], X[:, :q], theta[:q], theta[q : q * (q + 1) // 2])
    V = V + (group(DATA["h"], X[:, :1], theta[3:4]) if "two" in name else 0.0) + theta[-1] ** 2 * np.eye(40)
    known = [(x, p) for x, p in zip(fixed.T, moved.chosen_priors.fixed, strict=True) if isinstance(p, Normal)]
    y = DATA["y"].to_numpy() - sum((p.mean * x for x, p in known), np.zeros(40))
    V = V + sum((p.sd**2 * np.outer(x, x) for x, p in known), np.zeros((40, 40)))
    wanted = restricted(y, fixed[:, len(known) :], V)[0]
    hyper = moved.analysed.marginal.hyper
    assert evaluate(moved, hyper.from_printed(theta))[0] == pytest.approx(wanted, abs=1e3 * scale)
    assert moved.log_likelihood(dict(zip(moved.design.theta_names, theta, strict=True))) == pytest.approx(
        wanted, abs=1e3 * scale
    )


def likelihood(model, theta):
    return evaluate(model, [theta[name] for name in model.design.theta_names])[0]


def changed(case, data, graph=GRAPH, formula=None, **arguments):
    given = {"priors": case.priors, "weights": case.weights, **arguments}
    return lgm.model(formula or case.formula, data, env={"graph": graph}, **given)


def test_order_of_rows_and_levels_does_not_matter():
    case = CASES["everything"]
    model, theta, oracle = built("everything")
    data = DATA.sample(frac=1.0, random_state=3)
    data["g"] = data["g"].map({0: "q", 1: "b", 2: "z", 3: "a", 4: "m", 5: "n"})
    nodes = [4, 8, 0, 2, 7, 5, 1, 6, 3]
    other = changed(case, data, lgm.graph([(j, i) for i, j in reversed(EDGES)], nodes))
    assert likelihood(other, case.theta) == pytest.approx(evaluate(model, theta)[0], abs=oracle(theta)[2])


@pytest.mark.parametrize("name", ["everything", "two components and two islands", "three correlated effects"])
def test_units_of_the_response(name):
    """With y, offset and all sds times c, ``(n - p_flat) log c`` is lost; default priors scale too."""
    case = CASES[name]
    model, theta, oracle = built(name)
    c = 7.5
    data = DATA.assign(y=c * DATA["y"], o=c * DATA["o"])
    scaled = {name: value if name.startswith(("corr", "rho")) else c * value for name, value in case.theta.items()}
    flats = sum(isinstance(prior, Flat) for prior in model.chosen_priors.fixed)
    wanted = evaluate(model, theta)[0] - (40 - flats) * np.log(c)
    assert likelihood(changed(case, data), scaled) == pytest.approx(wanted, abs=2 * oracle(theta)[2])


def test_duplicated_rows_are_weights():
    """k copies of a row are one row of weight k, but for ``(k - 1)/2 log 2 pi sigma^2 + 1/2 log k``."""
    case = CASES["two correlated effects, proper beta"]
    k = 1 + DATA.index.to_numpy() % 3
    weighted = likelihood(changed(case, DATA, weights=k), case.theta)
    repeated = likelihood(changed(case, DATA.loc[DATA.index.repeat(k)]), case.theta)
    constant = np.sum((k - 1) / 2 * np.log(2 * np.pi * case.theta["sigma"] ** 2) + np.log(k) / 2)
    _, theta, oracle = built("two correlated effects, proper beta")
    assert repeated == pytest.approx(weighted - constant, abs=9 * oracle(theta)[2])


def test_an_offset_may_be_split_and_moved_into_the_response():
    case = CASES["group, weights, offset"]
    model, theta, oracle = built("group, weights, offset")
    value, bound = evaluate(model, theta)[0], oracle(theta)[2]
    split = changed(case, DATA, formula="y ~ x + offset(o - z) + offset(z) + (1|g)")
    moved = changed(case, DATA.assign(y=DATA["y"] - DATA["o"]), formula="y ~ x + (1|g)")
    assert likelihood(split, case.theta) == pytest.approx(value, abs=bound)
    assert likelihood(moved, case.theta) == pytest.approx(value, abs=bound)


def test_centring_does_not_matter():
    """Columns far from zero: ``x + 1e4`` moves the intercept alone."""
    case = CASES["group, weights, offset"]
    model, theta, _ = built("group, weights, offset")
    far = changed(case, DATA.assign(x=DATA["x"] + 1e4))
    # the data themselves lose 1e4 eps relative to sd(x)
    assert likelihood(far, case.theta) == pytest.approx(evaluate(model, theta)[0], abs=40 * 1e4 * 1e2 * EPS)


def test_eager_equals_compiled():
    model, theta, oracle = built("everything")
    with jax.enable_x64(True):
        eager = float(density.log_likelihood(model.analysed.marginal, jnp.asarray(theta)))
    assert eager == pytest.approx(evaluate(model, theta)[0], abs=oracle(theta)[2])


def test_a_second_data_set_of_the_same_structure_compiles_nothing():
    """Neither the number of rows, nor values, weights, offsets and priors are part of the structure."""
    case = CASES["everything"]
    compiled = jax.jit(lambda post, x: density.value_and_grad(post, x))  # its own cache, shared with no other test
    rng = np.random.default_rng(5)
    twice = pd.concat([DATA, DATA], ignore_index=True)
    other = twice.assign(y=rng.standard_normal(80), o=rng.standard_normal(80), w=rng.uniform(1, 2, 80))
    priors = {"sd": lgm.priors.exponential(0.3), "z": normal(0.0, 3.0)}
    for model in (built("everything")[0], changed(case, other, priors=priors)):
        with jax.enable_x64(True):
            value, _ = compiled(model.analysed.marginal, jnp.zeros(8))
        assert np.isfinite(value)
    assert compiled._cache_size() == 1  # type: ignore[attr-defined]


def test_densities_add_up():
    model, theta, _ = built("two correlated effects, proper beta")
    post = model.analysed.marginal

    @jax.jit
    def parts(post, theta):
        x = post.hyper.working(theta)
        likelihood, joint = density.log_likelihood(post, theta), density.log_density(post, theta)
        working = density.value_and_grad(post, x)[0]
        return likelihood, joint, working, post.hyper.log_prior(theta), post.hyper.log_prior_working(x)

    with jax.enable_x64(True):
        likelihood, joint, working, prior, prior_working = map(float, parts(post, jnp.asarray(theta)))
    assert joint == pytest.approx(likelihood + prior, abs=1e-11)
    assert working == pytest.approx(likelihood + prior_working, abs=1e-11)


def test_undefined_is_minus_infinity_with_a_zero_gradient():
    model, _, _ = built("two components and two islands")
    post = model.analysed.marginal
    with jax.enable_x64(True):
        outside = jax.jit(density.log_density)(post, jnp.array([0.5, -1.0]))
        overflow = jnp.full(2, 800.0)
        value, grad = jax.jit(density.value_and_grad)(post, overflow)
    assert float(outside) == float(value) == -np.inf
    assert np.asarray(grad).tolist() == [0.0, 0.0]


def test_effects_are_zero_beside_an_undefined_likelihood():
    model, theta, _ = built("two correlated effects, proper beta")
    post = model.analysed.marginal
    singular = np.where(np.array(model.design.theta_names) == "corr(Intercept,x|g)", 1.0, theta)

    @jax.jit
    def everything(post, theta, z):
        return *density.log_likelihood_and_effects(post, theta, z), density.effects(post, theta, z)

    with jax.enable_x64(True):
        z = jnp.ones((post.n_normals, 2))
        fine, undefined = (jax.tree.map(np.asarray, everything(post, jnp.asarray(t), z)) for t in (theta, singular))
    value, masked, alone = fine
    assert np.isfinite(value)
    np.testing.assert_allclose(masked.draws, alone.draws, rtol=1e-12)
    value, masked, alone = undefined
    assert np.isnan(value) and np.all(masked.mean == 0.0) and np.all(masked.draws == 0.0)
    assert np.all(np.isnan(alone.mean))
