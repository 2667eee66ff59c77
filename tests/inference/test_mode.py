"""Modes: of the working density, its curvature, where its search starts; on the natural scale, at the boundary too."""

import dataclasses

import dense_model as dense
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

import lgm
from lgm import priors
from lgm.errors import IdentifiabilityError
from lgm.inference import mode
from lgm.inference.coordinates import Folded, Working
from lgm.posterior.gaussian import GaussianData
from lgm.posterior.priors import starts

# Working coordinates --------------------------------------------------------------------------------------------------

FORMULA = "Reaction ~ Days + (Days||Subject)"
DATA = lgm.load_dataset("sleepstudy")
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
    return lgm.model(FORMULA, DATA, priors=GIVEN)


@pytest.fixture(scope="module")
def found(model: lgm.Model) -> mode.Mode:
    return mode.find_mode(model.analysed.marginal, starts(model.design, model.chosen_priors.theta))


def dense_density(x: np.ndarray) -> float:
    """``log N(y; 0, V) + log prior + log Jacobian`` of the three log standard deviations, from the covariance of y."""
    days, y = DATA["Days"].to_numpy(dtype=float), DATA["Reaction"].to_numpy()
    columns, theta = np.column_stack([np.ones(days.size), days]), np.exp(x)
    V = dense.group(DATA["Subject"].cat.codes, columns, theta[:2]) + theta[2] ** 2 * np.eye(days.size)
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
        value, grad = mode.evaluated(Working(model.analysed.marginal))(found.x)
    assert value == pytest.approx(found.value, abs=1e-12)
    assert np.abs(found.root.T @ grad).max() < 1e-5


def test_does_not_depend_on_the_start(model: lgm.Model, found: mode.Mode) -> None:
    other = mode.find_mode(model.analysed.marginal, np.array([1.0, 50.0, 100.0]))
    assert np.abs(np.linalg.solve(found.root, other.x - found.x)).max() < 1e-5


@pytest.mark.parametrize("start", [[0.0, 6.0, 26.0], [np.inf, 6.0, 26.0], [25.0, np.nan, 26.0], [25.0, 6.0, 1e-200]])
def test_falls_back_on_the_prior(model: lgm.Model, found: mode.Mode, start: list[float]) -> None:
    """Where the density is not finite at the start, a draw from the prior takes its place."""
    other = mode.find_mode(model.analysed.marginal, np.array(start))
    assert np.abs(np.linalg.solve(found.root, other.x - found.x)).max() < 1e-5


def test_error_when_nothing_is_finite(model: lgm.Model) -> None:
    post = model.analysed.marginal
    assert isinstance(post.data, GaussianData)
    data = dataclasses.replace(post.data, projection=np.full(post.dim, np.nan))
    broken = dataclasses.replace(post, data=data)
    with pytest.raises(IdentifiabilityError, match="not finite at the starting value or at 20 draws"):
        mode.find_mode(broken, np.array([25.0, 6.0, 26.0]))


def test_everything_held() -> None:
    held = {"sd": priors.constant(25.0), "sigma": priors.constant(26.0)}
    model = lgm.model("Reaction ~ Days + (1|Subject)", lgm.load_dataset("sleepstudy"), priors=held)
    found = mode.find_mode(model.analysed.marginal, np.array([25.0, 26.0]))
    assert found.x.shape == (0,) and found.root.shape == (0, 0)
    assert found.value == pytest.approx(model.log_likelihood({"sd(Intercept|Subject)": 25.0, "sigma": 26.0}), abs=1e-10)


def test_flat_direction_gets_a_finite_width() -> None:
    """A group with one row each beside sigma: only the sum of both variances is known, the rest comes from priors."""
    data = lgm.load_dataset("Dyestuff").assign(row=range(30))
    with pytest.warns(lgm.IdentifiabilityWarning):
        fit = lgm.fit("Yield ~ 1 + (1|row)", data, draws=50, seed=1, progress=False)
    assert np.all(np.isfinite(fit.mode.root))
    assert np.linalg.cond(fit.mode.root) < 1e4


# Folded coordinates ---------------------------------------------------------------------------------------------------


def folded_mode_of(model: lgm.Model) -> mode.FoldedMode:
    post = model.analysed.marginal
    return mode.find_folded_mode(
        post, mode.find_mode(post, starts(model.design, model.chosen_priors.theta)), jacobian=True
    )


def test_a_sigma_of_zero_is_a_boundary() -> None:
    """An autoregression has an effect in every row: at sigma = 0 the density is finite, but cannot be evaluated there.

    Its derivatives close to zero are rounding, so that a Newton step from there leads nowhere.
    """
    data = lgm.load_dataset("LakeHuron")
    model = lgm.model("level ~ tc + ar1(t)", data.assign(level=data["level"] - 579, tc=(data["t"] - 49.5) / 10))
    post, found = model.analysed.marginal, folded_mode_of(model)
    assert found.boundary.tolist() == [False, False, True]
    spread = np.sqrt(np.sum(found.root**2, axis=1))
    assert found.theta[2] < 0.1 * spread[2]
    with jax.enable_x64(True):
        density = jax.jit(Folded(post, True).log_density)
        drop = found.value - float(density(jnp.asarray(found.x + [0.0, 0.0, spread[2]])))
    assert 0.2 < drop < 1.0  # about one half


def test_equals_a_derivative_free_search() -> None:
    model = lgm.model(
        "CRIME ~ INC + HOVAL + icar(id, g)", lgm.load_dataset("columbus"), env={"g": lgm.load_dataset("columbus_adj")}
    )
    post, found = model.analysed.marginal, folded_mode_of(model)
    with jax.enable_x64(True):
        density = jax.jit(Folded(post, True).log_density)
        searched = minimize(
            lambda x: -float(density(jnp.asarray(x))), found.x * 1.3, method="Nelder-Mead", options={"fatol": 1e-10}
        )
    assert found.value == pytest.approx(-searched.fun, abs=1e-8)


def test_curvature_is_the_inverse_root() -> None:
    model = lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"))
    post, found = model.analysed.marginal, folded_mode_of(model)
    with jax.enable_x64(True):
        grad = jax.jit(jax.grad(Folded(post, True).log_density))
        h = 1e-4 * found.x
        columns = [
            (grad(found.x + np.eye(2)[i] * h[i]) - grad(found.x - np.eye(2)[i] * h[i])) / (2 * h[i]) for i in (0, 1)
        ]
    hessian = np.array(columns)
    # central differences with relative step 1e-4 err by about 1e-8 relative to the third derivative
    np.testing.assert_allclose(found.root @ found.root.T, np.linalg.inv(-hessian), rtol=1e-5)
