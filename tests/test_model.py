"""The main path's own doors: densities under JAX's transformations, prior draws, refused arguments."""

import copy
import gc
import multiprocessing
import pickle
import weakref
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from synthetic import around

import lgm

THETA = {"sd(Intercept|Batch)": 40.0, "sigma": 50.0}


@pytest.fixture(scope="module")
def model():
    return lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"))


def test_a_traced_density_is_the_one_of_numbers(model):
    for function in (model.log_likelihood, model.log_density):
        with jax.enable_x64(True):
            traced = jax.jit(lambda sd, f=function: f({**THETA, "sd(Intercept|Batch)": sd}))(40.0)
        assert isinstance(function(THETA), float)
        assert float(traced) == pytest.approx(function(THETA), rel=1e-13)


def test_the_gradient_of_the_likelihood(model):
    """Central differences with the step that balances their error and rounding."""
    step = 40.0 * np.finfo(float).eps ** (1 / 3)
    up, down = (model.log_likelihood({**THETA, "sd(Intercept|Batch)": 40.0 + s}) for s in (step, -step))
    with jax.enable_x64(True):
        slope = jax.grad(lambda sd: model.log_likelihood({**THETA, "sd(Intercept|Batch)": sd}))(40.0)
    assert float(slope) == pytest.approx((up - down) / (2 * step), abs=1e-8)


def test_a_density_is_that_of_the_printed_parameters():
    """Priors about the mean of Days, and the Jacobian of the map between covariance matrices, in this order."""
    model = lgm.model("Reaction ~ Days + (Days|Subject)", lgm.load_dataset("sleepstudy"))
    level, slope, corr, sigma = 30.0, 5.0, -0.4, 25.0
    names = model.design.theta_names
    theta = dict(zip(names, [level, slope, corr, sigma], strict=True))
    cov = corr * level * slope
    at_mean = np.sqrt(level**2 + 2 * 4.5 * cov + (4.5 * slope) ** 2)
    r = (cov + 4.5 * slope**2) / (at_mean * slope)
    sds = [prior.distribution for prior in (model.chosen_priors.theta[i] for i in (0, 1, 3))]
    prior = sum(float(d.log_prob(x)) for d, x in zip(sds, (at_mean, slope, sigma), strict=True))
    prior += np.log(0.75 * (1 - r**2))  # LKJ(2)
    prior += 2 * np.log(level / at_mean)  # |d cov| = 2^q prod sd^q |d (sds, corr)| on both sides
    assert model.log_density(theta) - model.log_likelihood(theta) == pytest.approx(prior, abs=1e-5)  # float32 priors
    zero = {**theta, names[0]: 0.0}
    assert model.log_likelihood(zero) == pytest.approx(
        lgm.model("Reaction ~ Days + (0 + Days|Subject)", lgm.load_dataset("sleepstudy")).log_likelihood(
            {names[1]: slope, "sigma": sigma}
        ),
        abs=1e-9,
    )
    assert model.log_density(zero) == -np.inf


def test_traced_values_need_double_precision(model):
    with pytest.raises(lgm.LgmError, match="x64 mode: work inside"):
        jax.grad(lambda sd: model.log_likelihood({**THETA, "sd(Intercept|Batch)": sd}))(jnp.float32(40.0))


@pytest.mark.parametrize(
    ("theta", "message"),
    [
        ([40.0, 50.0], "accepted: a dict with"),
        ({"sigma": 50.0}, r"look at sd\(Intercept\|Batch\)"),
        ({**THETA, "rho": 0.1}, "look at rho"),
    ],
)
def test_other_thetas(model, theta, message):
    with pytest.raises(lgm.LgmError, match=message):
        model.log_likelihood(theta)


def test_prior_draws(model):
    drawn = model.sample_prior(4000, seed=3)
    assert list(drawn.columns) == ["Intercept", "sd(Intercept|Batch)", "sigma"]
    assert (drawn["sigma"] > 0).all()
    rate = 1.0 / np.std(lgm.load_dataset("Dyestuff")["Yield"])
    assert drawn["sigma"].mean() == pytest.approx(
        1 / rate, rel=4 / np.sqrt(4000)
    )  # the sd of an exponential is its mean
    assert model.sample_prior(5, seed=3).equals(model.sample_prior(5, seed=3))


def _table():
    rng = np.random.default_rng(4)
    n = 24
    columns = {"y": rng.uniform(1, 2, n), "x": rng.normal(size=n), "f": np.tile(list("ab"), n // 2)}
    return {
        **columns,
        "g": np.repeat(np.arange(6), 4),
        "t": np.tile(np.arange(4), 6),
        "Sepal.Length": rng.normal(size=n),
    }


def test_a_formula_without_python_is_the_same_model():
    formula = "log(y) ~ x*C(f) + np.abs(x) + log(Sepal.Length**2) + (1 | g) + rw1(t) + offset({x / 2})"
    plain, usual = lgm.model(formula, _table(), python=False), lgm.model(formula, _table())
    theta = {name: 0.5 for name in usual.design.theta_names}
    assert plain.log_likelihood(theta) == usual.log_likelihood(theta)


@pytest.mark.parametrize("formula", ["y ~ x + I(exit())", "y ~ {x.max()} + x", "y ~ rw1(t, cyclic=open('f'))"])
def test_a_formula_without_python_calls_what_is_listed_only(formula):
    with pytest.raises(lgm.FormulaError, match="is Python, which this formula may not use"):
        lgm.model(formula, _table(), python=False)


def test_a_formula_without_python_reaches_data_and_env_only():
    secret = np.arange(24.0)
    assert lgm.model("y ~ secret", _table()).design.p == 2
    for call in (lgm.model, lgm.fit):
        with pytest.raises(lgm.FormulaError, match="`secret` is not a column of the data"):
            call("y ~ secret", _table(), python=False)
    assert lgm.model("y ~ secret", _table(), env={"secret": secret}, python=False).design.p == 2


@pytest.mark.parametrize("typed", ["I(" * 90 + "x" + ")" * 90, "{" + "x + " * 98 + "x}", "{x" + ".T" * 97 + "}"])
def test_python_up_to_the_limit_of_nesting_is_evaluated(typed):
    table = _table()
    expected = np.asarray(table["x"]) * (99 if "+" in typed else 1)
    np.testing.assert_allclose(lgm.model(f"y ~ {typed}", table).design.predictor.X.toarray()[:, 1], expected)


def test_weights_by_a_name_with_an_accent_of_its_own():
    table = {**_table(), "poids_e\u0301gal": np.full(24, 2.0)}
    model = lgm.model("y ~ x", table, weights="poids_e\u0301gal")
    assert model.inputs.weights == "poids_\u00e9gal" and model.design.weights.tolist() == [2.0] * 24


@pytest.fixture(scope="module")
def tilted():
    """A model with a module, a function, an array and a prior around it."""
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"x": rng.uniform(1, 9, 30), "g": np.arange(30) % 5, "y": rng.normal(size=30)})
    env = {"npy": np, "root": np.sqrt, "levels": [4, 3, 2, 1, 0]}
    priors = {"sigma": lgm.priors.uniform(0.1, 9.3)}
    return lgm.model("y ~ npy.log(x) + root(x) + C(g, levels=levels) + rw1(x)", data, env=env, priors=priors)


def test_a_pickled_model_is_the_same_to_the_bit(tilted):
    """JAX's own pickles come back in float32 here, where x64 is off."""
    theta = {"sd(rw1(x))": 0.71, "sigma": 1.13}
    again = pickle.loads(pickle.dumps(tilted))
    assert again.log_density(theta) == tilted.log_density(theta)
    assert again.inputs.env == tilted.inputs.env and repr(again) == repr(tilted)
    assert again.inputs.env is again.design.scope.env
    leaves, were = (jax.tree_util.tree_leaves(each.analysed.marginal) for each in (again, tilted))
    assert [leaf.dtype for leaf in leaves] == [leaf.dtype for leaf in were]


def test_models_equal_themselves_only(tilted):
    again = pickle.loads(pickle.dumps(tilted))
    assert tilted == tilted and tilted != again and len({tilted, again, tilted}) == 2
    assert copy.copy(tilted) is tilted and copy.deepcopy([tilted])[0] is tilted


def test_what_cannot_be_pickled_is_named():
    data = pd.DataFrame({"x": [1.0, 2, 3, 5], "y": [1.0, 2, 4, 3]})
    built = lgm.model("y ~ half(x)", data, env={"half": lambda x: x / 2, "k": 1})
    with pytest.raises(lgm.LgmError, match=r"(?s)^`half` of the formula cannot be pickled: .*lambda.*into a module"):
        pickle.dumps(built)
    assert copy.deepcopy(built) is built


class Watched(np.ndarray):
    """An array that can be watched."""


def _built_and_watched():
    """A function of its own: up to Python 3.12 a frame keeps what its names stood for when they were last asked."""
    rng = np.random.default_rng(1)
    large = rng.normal(size=100_000).view(Watched)
    data = pd.DataFrame({"x": large[:50], "y": large[50:100]}, copy=False)
    offsets, weights = large[100:150], np.exp(large[200:250])
    before = lgm.model("y ~ x", data)
    built = lgm.model("y ~ x + offset(offsets)", data, weights=weights)
    return built, [weakref.ref(each) for each in (large, data, offsets, weights, before)]


def test_nothing_of_the_callers_outlives_them():
    """Neither the table, nor the arrays beside it, nor the models that were built before."""
    built, watched = _built_and_watched()
    gc.collect()
    assert all(each() is None for each in watched)
    assert len(pickle.dumps(built)) < 30_000


def _predicted(fit):
    return fit.predict(pd.DataFrame({"x": [2.0, 3.5], "g": [1, 4]})), fit.predict(kind="draws").to_numpy()


@pytest.mark.slow
def test_a_new_process_predicts_the_same(tilted):
    fit = around(tilted, {"sd(rw1(x))": 0.7, "sigma": 1.1}, draws=20)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        table, draws = pool.apply(_predicted, (fit,))
        fitted = pool.apply(partial(tilted.fit, method="mode", draws=10, seed=3, progress=False))
    here = _predicted(fit)
    pd.testing.assert_frame_equal(table, here[0], check_exact=True)
    np.testing.assert_array_equal(draws, here[1])
    there = tilted.fit(method="mode", draws=10, seed=3, progress=False)
    pd.testing.assert_frame_equal(fitted.summary(), there.summary(), check_exact=True)


@pytest.mark.slow
def test_models_go_through_joblib(tilted):
    joblib = pytest.importorskip("joblib")
    fits = [around(tilted, {"sd(rw1(x))": sd, "sigma": 1.1}, draws=10) for sd in (0.5, 0.9)]
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(lgm.Fit.predict)(fit) for fit in fits)
    for one, fit in zip(found, fits, strict=True):
        pd.testing.assert_frame_equal(one, fit.predict(), check_exact=True)


def test_names_that_the_formula_uses_are_all_that_is_kept():
    """A module whose name a column hides among them; arrays with a value per row have become columns."""
    data = pd.DataFrame({"math": [1.0, 2, 4, 3], "x": [1.0, 2, 3, 5], "y": [1.0, 2, 4, 2.5]})
    env = {"math": __import__("math"), "w": np.arange(4.0) ** 2, "unused": 1, "np": np, "x": "hidden"}
    built = lgm.model("y ~ {x * math.sqrt(4)} + math + offset(w)", data, env=env)
    assert set(built.inputs.env) == {"math"}
    fit = around(built, {"sigma": 1.0}, spread=0.0, draws=4)
    new = data.assign(w=env["w"])
    pd.testing.assert_frame_equal(fit.predict(new), fit.predict())


def test_a_doubtful_fit_says_so_when_it_is_made() -> None:
    data = lgm.load_dataset("Dyestuff")
    with pytest.warns(lgm.ConvergenceWarning, match="Not converged|Doubtful|Too few draws"):
        fit = lgm.fit("Yield ~ 1 + (1|Batch)", data, draws=20, warmup=1, seed=1, progress=False)
    assert fit.doubt == fit.verdict
    assert lgm.fit("Yield ~ 1 + (1|Batch)", data, method="mode", seed=1, progress=False).doubt is None
