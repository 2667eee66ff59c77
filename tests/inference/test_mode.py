"""The mode of the working density, its curvature, and where the search starts."""

import dataclasses

import dense_model as dense
import jax
import numpy as np
import pytest
from scipy.optimize import minimize

import lgm
from lgm import priors
from lgm.errors import IdentifiabilityError
from lgm.inference import mode
from lgm.posterior.gaussian import GaussianData
from lgm.posterior.priors import starts

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
    return mode.find_mode(model.analysed.posterior, starts(model.design, model.prior.theta))


def dense_density(x: np.ndarray) -> float:
    """``log N(y; 0, V) + log prior + log Jacobian`` of the three log standard deviations, from the covariance of y."""
    data = lgm.load_dataset("sleepstudy")
    days, y = data["Days"].to_numpy(dtype=float), data["Reaction"].to_numpy()
    columns, theta = np.column_stack([np.ones(days.size), days]), np.exp(x)
    V = dense.group(data["Subject"].cat.codes, columns, theta[:2]) + theta[2] ** 2 * np.eye(days.size)
    V = V + columns @ np.diag([1000.0**2, 100.0**2]) @ columns.T
    value, _ = dense.restricted(y, np.zeros((days.size, 0)), V)
    return float(value + np.sum(np.log(RATES) - RATES * theta + x))


def test_equals_a_dense_optimiser(found: mode.Mode) -> None:
    """A search without derivatives, in whitened coordinates z, where the log density is about ``-z'z / 2``.

    Its values are good to about 1e-9, so it finds the mode to ``sqrt(2e-9) = 4e-5``. Second differences with
    step 0.02 err by ``4e-9 / 0.02^2 = 1e-5`` from rounding and by 4e-4 times fourth derivatives of order one.
    """

    def falls(z: np.ndarray) -> float:
        return found.value - dense_density(found.x + found.root @ z)

    exact = minimize(falls, np.full(3, 0.3), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-11})
    assert np.abs(exact.x).max() < 1e-4
    assert abs(exact.fun) < 1e-8
    h, unit = 0.02, np.eye(3)
    hessian = np.array(
        [
            [sum(s * t * falls(h * (s * a + t * b) / 2) for s in (1, -1) for t in (1, -1)) / h**2 for a in unit]
            for b in unit
        ]
    )
    np.testing.assert_allclose(hessian, unit, atol=1e-3)


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
    assert isinstance(post.data, GaussianData)
    data = dataclasses.replace(post.data, projection=np.full(post.dim, np.nan))
    broken = dataclasses.replace(post, data=data)
    with pytest.raises(IdentifiabilityError, match="not finite at the starting value or at 20 draws"):
        mode.find_mode(broken, np.array([25.0, 6.0, 26.0]))


def test_everything_held() -> None:
    held = {"sd": priors.constant(25.0), "sigma": priors.constant(26.0)}
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
