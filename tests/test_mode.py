"""The mode of the working density, its curvature, and where the search starts."""

import dataclasses

import dense_model as dense
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

import lgm
from lgm import defaults, priors
from lgm.errors import IdentifiabilityError
from lgm.inference import mode

FORMULA = "Reaction ~ Days + (Days||Subject)"
RATES = np.array([0.05, 0.2, 0.05])
GIVEN = {
    "Intercept": priors.normal(0, 1000),
    "Days": priors.normal(0, 100),
    "sd(Intercept|Subject)": priors.exponential(RATES[0]),
    "sd(Days|Subject)": priors.exponential(RATES[1]),
    "sigma": priors.exponential(RATES[2]),
}


@pytest.fixture(scope="module")
def model() -> lgm.Model:
    return lgm.model(FORMULA, lgm.load_dataset("sleepstudy"), priors=GIVEN)


@pytest.fixture(scope="module")
def found(model: lgm.Model) -> mode.Mode:
    return mode.find_mode(model.analysed.posterior, defaults.starts(model.design, model.prior.theta))


def dense_density(x: jax.Array) -> jax.Array:
    """``log N(y; 0, V) + log prior + log Jacobian`` of the three log standard deviations, from the covariance of y."""
    data = lgm.load_dataset("sleepstudy")
    days, y = data["Days"].to_numpy(dtype=float), data["Reaction"].to_numpy()
    columns = np.column_stack([np.ones(days.size), days])
    theta = jnp.exp(x)
    V = dense.group(data["Subject"].cat.codes, columns, list(theta[:2])) + theta[2] ** 2 * jnp.eye(days.size)
    V = V + columns @ np.diag([1000.0**2, 100.0**2]) @ columns.T
    return dense.restricted(y, np.zeros((days.size, 0)), V) + jnp.sum(jnp.log(RATES) - RATES * theta + x)


def test_equals_a_dense_optimiser(found: mode.Mode) -> None:
    with jax.enable_x64(True):
        objective = jax.jit(jax.value_and_grad(lambda x: -dense_density(x)))

        def both(x: np.ndarray) -> tuple[float, np.ndarray]:
            value, grad = objective(x)
            return float(value), np.asarray(grad)

        exact = minimize(both, np.full(3, 2.0), jac=True, method="BFGS", options={"gtol": 1e-8})
        hessian = np.asarray(jax.hessian(lambda x: -dense_density(x))(exact.x))
    # both searches stop at a gradient, which is a distance times the curvature
    distance = np.linalg.solve(found.root, found.x - exact.x)
    assert np.abs(distance).max() < 1e-5
    assert found.value == pytest.approx(-exact.fun, abs=1e-8)
    # central differences with step eps^(1/3) err by the step squared: 4e-11 times the third derivatives
    np.testing.assert_allclose(found.root.T @ hessian @ found.root, np.eye(3), atol=1e-6)


def test_gradient_vanishes(model: lgm.Model, found: mode.Mode) -> None:
    assert found.gradient_norm < 1e-5
    with jax.enable_x64(True):
        value, grad = mode.value_and_grad(model.analysed.posterior, found.x)
    assert float(value) == pytest.approx(found.value, abs=1e-12)
    assert np.abs(found.root.T @ np.asarray(grad)).max() < 1e-5


def test_does_not_depend_on_the_start(model: lgm.Model, found: mode.Mode) -> None:
    other = mode.find_mode(model.analysed.posterior, np.array([1.0, 50.0, 100.0]))
    assert np.abs(np.linalg.solve(found.root, other.x - found.x)).max() < 1e-5


@pytest.mark.parametrize("start", [[0.0, 6.0, 26.0], [np.inf, 6.0, 26.0], [25.0, np.nan, 26.0], [25.0, 6.0, 1e-200]])
def test_falls_back_on_the_prior(model: lgm.Model, found: mode.Mode, start: list[float]) -> None:
    """Where the density is not finite at the start, a draw from the prior takes its place."""
    other = mode.find_mode(model.analysed.posterior, np.array(start))
    assert np.abs(np.linalg.solve(found.root, other.x - found.x)).max() < 1e-5


def test_error_when_nothing_is_finite(model: lgm.Model) -> None:
    post = model.analysed.posterior
    broken = dataclasses.replace(post, projection=np.full(post.dim, np.nan))
    with pytest.raises(IdentifiabilityError, match="not finite at the starting value or at 20 draws"):
        mode.find_mode(broken, np.array([25.0, 6.0, 26.0]))


def test_everything_held() -> None:
    held = {"sd": priors.fixed(25.0), "sigma": priors.fixed(26.0)}
    model = lgm.model("Reaction ~ Days + (1|Subject)", lgm.load_dataset("sleepstudy"), priors=held)
    found = mode.find_mode(model.analysed.posterior, np.array([25.0, 26.0]))
    assert found.x.shape == (0,) and found.root.shape == (0, 0)
    assert found.value == pytest.approx(model.log_likelihood({"sd(Intercept|Subject)": 25.0, "sigma": 26.0}), abs=1e-10)


def test_flat_direction_gets_a_finite_width() -> None:
    """A group with one row each beside sigma: only the sum of both variances is known, the rest comes from priors."""
    data = lgm.load_dataset("Dyestuff").assign(row=range(30))
    with pytest.warns(lgm.IdentifiabilityWarning):
        fit = lgm.fit("Yield ~ 1 + (1|row)", data, draws=50, seed=1, progress=False)
    assert np.all(np.isfinite(fit.mode.root))
    assert np.linalg.cond(fit.mode.root) < 1e4
