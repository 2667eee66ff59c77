"""Modes on the natural scale: REML estimates of other software, and the boundary."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_model import correlation, group, restricted
from helpers import reference
from scipy.optimize import minimize

import lgm
from lgm.inference import folded
from lgm.inference.at_mode import standard_errors
from lgm.inference.mode import find_mode
from lgm.posterior.priors import starts
from lgm.priors import flat

FLAT = {"Intercept": flat(), "sd": flat(), "sigma": flat()}


def mode_of(model: lgm.Model, jacobian: bool = False) -> folded.FoldedMode:
    post = model.analysed.posterior
    return folded.find_folded_mode(post, find_mode(post, starts(model.design, model.prior.theta)), jacobian=jacobian)


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("sleepstudy.lmer_reml", {"fixed": flat(), "corr": flat()}),
        ("Dyestuff.lmer_reml", {}),
        ("Penicillin.lmer_reml", {}),
        ("Pastes.lmer_reml", {}),
    ],
)
def test_flat_priors_give_reml(name: str, extra: dict) -> None:
    """lme4 stops at a relative tolerance of about 1e-5 in its parameters; the log likelihood must not be lower."""
    ref = reference(name)
    model = lgm.model(ref["formula"], lgm.load_dataset(ref["dataset"]), priors={**FLAT, **extra})
    found = mode_of(model)
    theirs = [v["sd"] for v in ref["varcomp"] if "sd" in v and v["group"] != "Residual"]
    ours = {n: t for n, t in zip(model.design.theta_names, found.theta, strict=True) if n.startswith("sd")}
    np.testing.assert_allclose(sorted(ours.values()), sorted(theirs), rtol=1e-4)
    assert found.theta[-1] == pytest.approx(ref["residual_sd"], rel=1e-4)
    at_mode = model.log_likelihood(dict(zip(model.design.theta_names, found.theta, strict=True)))
    assert at_mode >= ref["logLik"] - 1e-6


def test_a_variance_of_zero_is_found_exactly() -> None:
    model = lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff2"), priors=FLAT)
    found = mode_of(model)
    ref = reference("Dyestuff2.lmer_reml")
    assert found.theta[0] == 0.0
    assert found.boundary.tolist() == [True, False]
    assert found.theta[1] == pytest.approx(ref["residual_sd"], rel=1e-6)
    se = standard_errors(model.analysed.posterior, found)
    assert np.isnan(se[0]) and se[1] > 0


def test_reml_of_a_singular_fit() -> None:
    """Effects on three columns that are multiples of one: the correlations run to one.

    There ``C^-1`` is all rounding; the likelihood at the mode must be that of ``V = Z D C D Z' + sigma^2 I``.
    """
    rng = np.random.default_rng(25)
    g = np.repeat(np.arange(10), 6)
    x, z, b = rng.normal(size=60), rng.normal(size=60), 0.8 * rng.normal(size=10)
    y = 1 + x + b[g] * (1 + 0.8 * x + 0.5 * z) + 0.2 * rng.normal(size=60)
    model = lgm.model(
        "y ~ x + (x + z|g)", {"y": y, "x": x, "z": z, "g": g}, priors={**FLAT, "fixed": flat(), "corr(g)": flat()}
    )
    found = mode_of(model)
    sds, corr, sigma = found.theta[:3], found.theta[3:6], found.theta[6]
    C = correlation(corr, 3)
    assert np.linalg.det(C) < 1e-6
    V = group(g, np.column_stack([np.ones(60), x, z]), sds, corr) + sigma**2 * np.eye(60)
    wanted, _ = restricted(y, np.column_stack([np.ones(60), x]), V)
    value = model.log_likelihood(dict(zip(model.design.theta_names, found.theta, strict=True)))
    assert value == pytest.approx(wanted, abs=1e-5)


def test_a_sigma_of_zero_is_a_boundary() -> None:
    """An autoregression has an effect in every row: at sigma = 0 the density is finite, but cannot be evaluated there.

    Its derivatives close to zero are rounding, so that a Newton step from there leads nowhere.
    """
    data = lgm.load_dataset("LakeHuron")
    model = lgm.model("level ~ tc + ar1(t)", data.assign(level=data["level"] - 579, tc=(data["t"] - 49.5) / 10))
    post, found = model.analysed.posterior, mode_of(model, True)
    assert found.boundary.tolist() == [False, False, True]
    spread = np.sqrt(np.sum(found.root**2, axis=1))
    assert found.theta[2] < 0.1 * spread[2]
    with jax.enable_x64(True):
        density = jax.jit(lambda x: folded.log_density(post, x, True))
        drop = found.value - float(density(jnp.asarray(found.x + [0.0, 0.0, spread[2]])))
    assert 0.2 < drop < 1.0  # about one half


@pytest.mark.parametrize("jacobian", [False, True])
def test_equals_a_derivative_free_search(jacobian: bool) -> None:
    model = lgm.model(
        "CRIME ~ INC + HOVAL + icar(id, g)", lgm.load_dataset("columbus"), env={"g": lgm.load_dataset("columbus_adj")}
    )
    post, found = model.analysed.posterior, mode_of(model, jacobian)
    with jax.enable_x64(True):
        density = jax.jit(lambda x: folded.log_density(post, x, jacobian))
        searched = minimize(
            lambda x: -float(density(jnp.asarray(x))), found.x * 1.3, method="Nelder-Mead", options={"fatol": 1e-10}
        )
    assert found.value == pytest.approx(-searched.fun, abs=1e-8)


def test_curvature_is_the_inverse_root() -> None:
    model = lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"))
    post, found = model.analysed.posterior, mode_of(model, True)
    with jax.enable_x64(True):
        grad = jax.jit(jax.grad(lambda x: folded.log_density(post, x, True)))
        h = 1e-4 * found.x
        columns = [
            (grad(found.x + np.eye(2)[i] * h[i]) - grad(found.x - np.eye(2)[i] * h[i])) / (2 * h[i]) for i in (0, 1)
        ]
    hessian = np.array(columns)
    # central differences with relative step 1e-4 err by about 1e-8 relative to the third derivative
    np.testing.assert_allclose(found.root @ found.root.T, np.linalg.inv(-hessian), rtol=1e-5)
