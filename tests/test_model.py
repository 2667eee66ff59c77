"""The main path's own doors: densities under JAX's transformations, prior draws, refused arguments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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
