"""Fits of other software at their own estimates: likelihoods, fitted values, effects, scales."""

from __future__ import annotations

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import REFERENCE, reference

import lgm
from lgm.posterior import density
from lgm.priors import exponential, flat, normal

BY_ITSELF = {"co2.reml_rw2_season"}
GRAPHS = {"columbus": ("columbus_adj", range(1, 50))}
RENAMED = {"(Intercept)": "Intercept", "cask:batch": "batch:cask", "Subject.1": "Subject"}
OWN_NAMES = {
    "icar": "sd(icar(id))",
    "rw1": "sd(rw1(t))",
    "rw2": "sd(rw2(t))",
    "season": "sd(Intercept|season)",
    "intercept": "sd(Intercept|Subject)",
    "slope": "sd(Days|Subject)",
}


def restricted_fits():
    """Every exact Gaussian REML fit in the index: those by lme4, and those by dense algebra."""
    index = json.loads((REFERENCE / "index.json").read_text())
    names = [fit["id"] for fit in index if fit["family"] == "gaussian"]
    names = [name for name in names if re.search(r"\.lmer\w*_reml$|\.reml_", name) and name not in BY_ITSELF]
    assert len(names) >= 20
    return names


def build(fit, priors=None):
    """The model of a reference, with its formula and graph; fixed effects are flat unless priors are given."""
    if priors is None:
        priors = {"Intercept": flat()} | ({"fixed": flat()} if len(fit["fixed"]) > 1 or "smooths" in fit else {})
    dataset = fit["dataset"]
    env = {}
    if dataset in GRAPHS:
        edges, nodes = GRAPHS[dataset]
        env["graph"] = lgm.graph(lgm.load_dataset(edges), nodes)
    formula = fit["formula"].replace("icar(id)", "icar(id, graph)")
    return lgm.model(formula, lgm.load_dataset(dataset), priors=priors, env=env)


def theta_of(fit, model):
    """The estimates by lgm's names; a structured sd is one of the unscaled structure in the files."""
    if "varcomp" not in fit:
        own = {OWN_NAMES[name]: sd for name, sd in fit["sd"].items()}
        for label, factor in model.design.scales.items():
            own[f"sd({label})"] *= np.sqrt(factor[0])
        return {**own, "sigma": fit["residual_sd"]}
    out = {}
    for row in fit["varcomp"]:
        group = RENAMED.get(row["group"], row["group"])
        if "corr" in row:
            first, second = (RENAMED.get(row[term], row[term]) for term in ("term1", "term2"))
            out[f"corr({first},{second}|{group})"] = row["corr"]
        elif group == "Residual":
            out["sigma"] = row["sd"]
        else:
            out[f"sd({RENAMED.get(row['term'], row['term'])}|{group})"] = row["sd"]
    return out


def unit_of_last_digit(value):
    """The files hold ten significant digits."""
    return 10.0 ** (np.floor(np.log10(np.abs(value))) - 9.0)


@pytest.mark.parametrize("name", restricted_fits())
def test_restricted_likelihood(name):
    """At the optimum the ten printed digits of theta matter only to second order."""
    fit = reference(name)
    model = build(fit)
    assert model.design.n == fit["n"]
    deviance = -2.0 * model.log_likelihood(theta_of(fit, model))
    assert abs(deviance + 2.0 * fit["logLik"]) <= max(1e-6, unit_of_last_digit(2.0 * fit["logLik"]))


def test_restricted_likelihood_of_a_trend_and_a_circle_of_months():
    fit = reference("co2.reml_rw2_season")
    data = lgm.load_dataset("co2")
    data = data.assign(season=data["season"].astype(int))
    model = lgm.model(
        "co2 ~ t + rw2(t) + rw2(season, cyclic=True)", data, priors={"Intercept": flat(), "fixed": flat()}
    )
    sds = {label: fit["sd"][key] for label, key in [("rw2(t)", "rw2"), ("rw2(season)", "season")]}
    theta = {f"sd({label})": sd * np.sqrt(model.design.scales[label][0]) for label, sd in sds.items()}
    found = model.log_likelihood({**theta, "sigma": fit["residual_sd"]})
    assert model.design.fixed_names == ("Intercept", "t")
    assert found == pytest.approx(fit["logLik"], abs=1e-6)


FITTED = (
    "sleepstudy.lmer_reml",
    "Pastes.lmer_nested_reml",
    "columbus.reml_icar",
    "nhtemp.reml_rw2",
    "AirPassengers.reml_log_rw1_season",
    "gamsim1.gam_tp_reml",
    "gamsim1.gam_tp_ml",
    "gamsim1.gam_cr_reml",
    "gamsim1.gam_ps_reml",
    "mcycle.gam_tp_reml",
    "mcycle.gam_ps_reml",
    "nhtemp.gam_tp_reml",
)


def smooth_theta(fit, model):
    """mgcv's ``sp / S_scale`` penalises ``b'b`` before `Basis.scale`: ``sd = sigma sqrt(scale S_scale / sp)``."""
    theta = {"sigma": fit["residual_sd"]}
    for smooth in fit["smooths"]:
        (scale,) = model.design.scales[smooth["label"]]
        theta[f"sd({smooth['label']})"] = fit["residual_sd"] * np.sqrt(scale * smooth["S_scale"] / smooth["sp"])
    return theta


_effects = jax.jit(density.effects)
_variances = jax.jit(density.variances)


def natural(model, theta):
    """Printed theta, by name, in the coordinates of the posterior."""
    values = jnp.asarray([theta[name] for name in model.design.theta_names])
    return model.analysed.marginal.hyper.from_printed(values)


def conditional_mean(model, theta):
    """``E[u | y, theta]``, natural scale: the effects that the columns of the design belong to."""
    post = model.analysed.marginal
    with jax.enable_x64(True):
        zeros = jnp.zeros((post.n_normals, 1))
        return model.analysed.natural(np.asarray(_effects(post, natural(model, theta), zeros).mean))


@pytest.mark.parametrize("name", FITTED)
def test_fitted_values(name):
    """``A u*`` from the formula to the conditional mean.

    The files give theta with ten digits, so each entry of the prior precision L, relative to that of the data, is
    wrong by ``r = 2e-9`` at most. With the smoother ``S = A H^-1 A'`` (data scaled to precision one), ``d fitted /
    d log L_j = -A H^-1 L_j H^-1 A' y``; that matrix is at most ``S (I - S) <= 1/4``, because ``L_j <= L``, and moves
    no constant.
    """
    fit = reference(name)
    model = build(fit)
    theta = smooth_theta(fit, model) if "smooths" in fit else theta_of(fit, model)
    ours = model.design.predictor.A @ conditional_mean(model, theta)
    fitted = np.array(fit["fitted"])
    bound = unit_of_last_digit(fitted) + 2e-9 * len(theta) * np.linalg.norm(model.design.y - model.design.y.mean()) / 4
    assert bound.max() < 1e-7 * np.ptp(fitted)
    np.testing.assert_array_less(np.abs(ours - fitted), bound)


def without_noise(model, theta):
    """Log likelihood and effects in the limit of no noise beside a series, by two Richardson steps in ``sigma^2``.

    With much less noise than that, the precision of the data swamps the digits of the series.
    """
    found = [({**theta, "sigma": np.sqrt(k * 1e-5) * theta[next(iter(theta))]}) for k in (1.0, 2.0, 3.0)]
    values = [np.append(model.log_likelihood(at), conditional_mean(model, at)) for at in found]
    one, two, three = values
    limit = 3.0 * one - 3.0 * two + three
    return limit[0], limit[1:]


def partial_autocorrelations(phi):
    """Of an autoregression of order one or two."""
    return phi if len(phi) == 1 else [phi[0] / (1.0 - phi[1]), phi[1]]


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("LakeHuron.gls_ar1_reml", "level ~ t + ar(t)"),
        ("LakeHuron.gls_ar1_reml", "level ~ t + ou(t)"),
        ("LakeHuron.gls_ar2_reml", "level ~ t + ar(t, p=2)"),
    ],
)
def test_autoregressive_errors_of_nlme(name, formula):
    """Its residuals are the series itself."""
    fit = reference(name)
    model = lgm.model(formula, lgm.load_dataset("LakeHuron"), priors={"Intercept": flat(), "fixed": flat()})
    values = [fit["residual_sd"], *partial_autocorrelations(list(fit["corStruct"]["coef"].values()))]
    found, effects = without_noise(model, dict(zip(model.design.theta_names, values, strict=False)))
    assert found == pytest.approx(fit["logLik"], abs=1e-6)
    fitted = model.design.predictor.X @ effects[:2]
    np.testing.assert_allclose(fitted, fit["fitted"], rtol=0, atol=1e-5 * np.ptp(fit["fitted"]))


def test_continuous_autoregressive_errors_of_nlme():
    """A series for each rat: times of different rats are so far apart that nothing is left of the correlation."""
    fit = reference("BodyWeight.lme_car1_reml")
    data = lgm.load_dataset("BodyWeight")
    data["when"] = data["Time"] + 2000 * data["Rat"].astype(int)
    flats = {"Intercept": flat(), "fixed": flat()}
    model = lgm.model("weight ~ Time * Diet + (Time | Rat) + ou(when, step=1)", data, priors=flats)
    theta = {
        "sd(ou(when))": fit["residual_sd"],
        "rho(ou(when))": fit["corStruct"]["coef"]["Phi"],
        "sd(Intercept|Rat)": 36.9745102,
        "sd(Time|Rat)": 0.2434605,
        "corr(Intercept,Time|Rat)": -0.149,  # of three digits, at the maximum
    }
    found, effects = without_noise(model, theta)
    assert found == pytest.approx(fit["logLik"], abs=5e-6)
    estimates = np.array([row["estimate"] for row in fit["fixed"].values()])
    np.testing.assert_allclose(effects[: model.design.p], estimates, rtol=1e-5)
    rats = model.design.p + model.design.predictor.term_slices()[0].stop
    fitted = model.design.predictor.A[:, :rats] @ effects[:rats]
    np.testing.assert_allclose(fitted, fit["fitted"], rtol=1e-5)


@pytest.mark.parametrize("name", ["sleepstudy.lmer_reml", "columbus.reml_icar"])
def test_fixed_effects_and_their_standard_errors(name):
    """As above: ``|H^(1/2) du| <= r |L^(1/2) u|`` for each theta, and ``u'Lu <= y'y / sigma^2`` for centred y."""
    fit = reference(name)
    model = build(fit)
    theta = theta_of(fit, model)
    estimate, se = np.array([list(row.values()) for row in fit["fixed"].values()]).T
    p = model.design.p
    post = model.analysed.marginal
    functionals = np.zeros((post.dim, p))
    functionals[:p] = model.analysed.basis.T
    with jax.enable_x64(True):
        found = np.asarray(_variances(post, natural(model, theta), jnp.asarray(functionals))[1])
    y = model.design.y - model.design.y.mean()
    shift = 2e-9 * len(theta) * np.linalg.norm(y) / theta["sigma"]
    np.testing.assert_array_less(
        np.abs(conditional_mean(model, theta)[:p] - estimate), shift * se + unit_of_last_digit(estimate)
    )
    np.testing.assert_allclose(np.sqrt(found), se, rtol=2e-9 * len(theta))


def test_group_effects_of_lme4():
    fit = reference("sleepstudy.lmer_reml")
    model = build(fit)
    printed = model.analysed.printed(conditional_mean(model, theta_of(fit, model)))[model.design.p :]
    ours = printed.reshape(2, -1).T  # effect by effect, level by level
    theirs = np.column_stack([fit["ranef"]["Subject"]["(Intercept)"], fit["ranef"]["Subject"]["Days"]])
    assert model.design.terms[0].variables[0].labels.astype(str).tolist() == fit["ranef"]["Subject"]["levels"]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-8 * np.abs(theirs).max())


@pytest.mark.parametrize("name", ["Nile.reml_rw1", "columbus.reml_icar_nocov", "nhtemp.reml_rw2"])
def test_scale_of_structured_terms(name):
    fit = reference(name)
    (factor,) = build(fit).design.scales.values()
    np.testing.assert_allclose(factor, [fit["scale_factor"]], rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "widest"), [("Dyestuff.bayes_exact", 2.0), ("Nile.bayes_exact", 2.0), ("columbus.bayes_exact", 12.0)]
)
def test_marginal_likelihood(name, widest):
    """``log p(y)`` with proper priors, by the trapezoidal rule on the log sds; the coarse rule bounds its error.

    The file's own grid stops where little is left, which costs it up to 1e-4; a lost constant would be far larger.
    ``widest`` is how far sigma may go down: without replicates the structured term can explain everything.
    """
    fit = reference(name)
    given = dict(fit["priors"])
    fixed = {RENAMED.get(k, k): normal(v["mean"], v["sd"]) for k, v in given.pop("fixed").items()}
    sd, sigma = (exponential(prior["rate"]) for prior in given.values())
    model = build(fit, {**fixed, "sd": sd, "sigma": sigma})
    centre = np.log(fit["posterior"]["sigma"]["mean"])
    axes = np.linspace(centre - 14.0, centre + 6.0, 241), np.linspace(centre - widest, centre + 2.0, 97)
    logs = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    with jax.enable_x64(True):
        on_grid = jax.jit(lambda post, grid: jax.lax.map(lambda x: density.log_density(post, x), grid, batch_size=97))
        values = np.asarray(on_grid(model.analysed.marginal, jnp.exp(logs.reshape(-1, 2)))).reshape(241, 97)
    values = values + logs.sum(axis=-1)
    spacing = np.log((axes[0][1] - axes[0][0]) * (axes[1][1] - axes[1][0]))
    fine = np.logaddexp.reduce(values, axis=None) + spacing
    coarse = np.logaddexp.reduce(values[::2, ::2], axis=None) + spacing + np.log(4.0)
    assert abs(fine - coarse) < 1e-3
    assert abs(fine - fit["log_marginal_likelihood"]) < abs(fine - coarse) + 1e-4
