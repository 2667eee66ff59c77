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
