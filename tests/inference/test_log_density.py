"""One vector without bounds, its log posterior, and the maps between it and printed hyperparameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compilations import compilations
from numpyro.diagnostics import effective_sample_size

import lgm

SLEEP = lgm.load_dataset("sleepstudy")
X = np.array([3.3, 1.6, -0.2, 3.4])


@pytest.fixture(scope="module")
def model() -> lgm.Model:
    """Hyperparameters about the mean of Days, which are not those that are printed."""
    return lgm.model("Reaction ~ Days + (Days|Subject)", SLEEP)


def test_it_is_the_density_of_theta_and_the_jacobian_of_the_map(model: lgm.Model) -> None:
    flat = model.logdensity_fn()
    with jax.enable_x64(True):
        jacobian = jax.jacfwd(lambda x: jax.numpy.stack([flat.theta(x)[name] for name in flat.names]))(X)
    expected = model.log_density(flat.theta(X)) + np.linalg.slogdet(np.asarray(jacobian))[1]
    assert flat(X) == pytest.approx(expected, abs=1e-9)


def test_there_and_back(model: lgm.Model) -> None:
    flat = model.logdensity_fn()
    many = X + np.linspace(-1.0, 1.0, 6).reshape(2, 3, 1)
    theta = flat.theta(many)
    assert {each.shape for each in theta.values()} == {(2, 3)}
    np.testing.assert_allclose(flat.working(theta), many, atol=1e-12)
    assert flat(flat.start) > -np.inf


def test_what_is_held_has_no_coordinate() -> None:
    held = lgm.model("Reaction ~ 1 + (1|Subject)", SLEEP, priors={"sigma": lgm.priors.constant(30.0)})
    flat = held.logdensity_fn()
    assert flat.size == 1 and flat.theta(np.zeros(1)) == {"sd(Intercept|Subject)": 1.0, "sigma": 30.0}
    np.testing.assert_allclose(flat.working({"sd(Intercept|Subject)": np.ones(4), "sigma": np.full(4, 30.0)}), 0.0)


def test_gradients_and_where_there_are_none(model: lgm.Model) -> None:
    flat = model.logdensity_fn()
    value, slope = flat.value_and_grad(X)
    with jax.enable_x64(True):
        traced, expected = jax.value_and_grad(flat)(X)
    assert value == pytest.approx(float(traced), rel=1e-13) and flat(X) == value
    np.testing.assert_allclose(slope, expected, rtol=1e-9)
    nowhere = np.full(4, np.nan)
    assert flat(nowhere) == -np.inf
    value, slope = flat.value_and_grad(nowhere)
    assert value == -np.inf and not slope.any()


def test_another_model_of_its_shape_compiles_nothing(model: lgm.Model) -> None:
    other = model.with_response(SLEEP["Reaction"] + 10.0 * np.cos(SLEEP["Days"]))
    with jax.enable_x64(True):
        batch = jax.jit(lambda flat, x: jax.vmap(jax.value_and_grad(flat))(x))
        several = np.tile(X, (3, 1))
        first = batch(model.logdensity_fn(), several)[0]
        flat = other.logdensity_fn()
        with compilations() as names:
            second = batch(flat, several)[0]
    assert not names
    assert first[0] == pytest.approx(model.logdensity_fn()(X)) and second[0] == pytest.approx(flat(X))


def test_blackjax_finds_the_posterior_of_lgm(model: lgm.Model) -> None:
    """Means of hyperparameters and effects within four Monte Carlo errors of both."""
    blackjax = pytest.importorskip("blackjax", reason="BlackJAX is not installed; make test-pymc has it")
    density = model.logdensity_fn()
    with jax.enable_x64(True):
        adapting, drawing = jax.random.split(jax.random.key(1))
        warmup = blackjax.window_adaptation(blackjax.nuts, density)
        (state, parameters), _ = warmup.run(adapting, jnp.asarray(density.start), num_steps=500)
        step = blackjax.nuts(density, **parameters).step

        def draw(state, key):
            state, _ = step(key, state)
            return state, state.position

        x = jax.lax.scan(draw, state, jax.random.split(drawing, 1500))[1]
    theta = density.theta(np.asarray(x))
    effects = model.draw_effects(theta, seed=1)
    fit = model.fit(method="importance", draws=2000, seed=1, progress=False)
    expected, people = fit.summary(), fit.ranef("Days|Subject")
    size_of_ours = float(expected["ess_bulk"].min())
    of = {**theta, "Days": effects["Days"].to_numpy(), "308": effects["Days|Subject"].sel(Subject=308).to_numpy()}
    for name, values in of.items():
        known = people.loc[("Days|Subject", 308)] if name == "308" else expected.loc[name]
        z, size = (np.ravel(values) - known["mean"]) / known["sd"], float(effective_sample_size(np.atleast_2d(values)))
        assert size > 150, name
        assert abs(z.mean()) < 4.0 * np.sqrt(1.0 / size + 1.0 / size_of_ours), name
        assert z.std() == pytest.approx(1.0, abs=4.0 * np.sqrt(1.0 / size + 1.0 / size_of_ours)), name


def test_what_it_refuses(model: lgm.Model) -> None:
    flat = model.logdensity_fn()
    with pytest.raises(lgm.LgmError, match=r"an array of shape \(3,\); accepted: \(4,\)"):
        flat(np.zeros(3))
    with pytest.raises(lgm.LgmError, match=r"accepted: \(\.\.\., 4\)"):
        flat.theta(np.zeros((4, 2)))
    with pytest.raises(lgm.LgmError, match="look at sd"):
        flat.working({"sigma": 1.0})
    # others in this process, such as PyMC, may have switched it on for all
    with jax.enable_x64(False), pytest.raises(lgm.LgmError, match="x64 mode: work inside"):
        jax.grad(flat)(jax.numpy.zeros(4))
