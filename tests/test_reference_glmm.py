"""Generalised mixed models of lme4 and glmmTMB at their own estimates: the marginal likelihood of the random effects.

They leave the fixed effects outside of the integral, at the estimate; lgm integrates them too. So here the estimate
goes into an offset, and the model has random effects alone: then both are the same integral, and Laplace's
approximation of it the same formula.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from helpers import reference

import lgm
from lgm.posterior import density

FACTORS = ("period", "Gender", "btype", "situ")
LAPLACE = {
    "cbpp.glmer_laplace": "binomial",
    "cbpp.glmer_olre": "binomial",
    "cbpp.tmb": "binomial",
    "epil.glmer_slope": "poisson",
    "epil.glmer_subject": "poisson",
    "epil.glmer_subject_obs": "poisson",
    "epil.tmb_nbinom1": "nbinom1",
    "epil.tmb_nbinom2": "negativebinomial",
    "nc_sids.glmer_iid": "poisson",
    "salamander.glmer_crossed": "bernoulli",
    "salamander.glmer_exp1": "bernoulli",
    "salamander.glmer_exp2": "bernoulli",
    "salamander.glmer_exp3": "bernoulli",
    "salamander.glmer_fall": "bernoulli",
    "salamander.tmb_crossed": "bernoulli",
    "scotlip.glmer_iid": "poisson",
    "seeds.glmer_laplace": "binomial",
    "VerbAgg.glmer_laplace": "bernoulli",
    "VerbAgg.tmb": "bernoulli",
}
QUADRATURE = {
    "cbpp.glmer_agq25": "binomial",
    "epil.glmer_subject_agq15": "poisson",
    "scotlip.glmer_iid_agq15": "poisson",
    "seeds.glmer_agq25": "binomial",
    "seeds.glmer_main_agq25": "binomial",
}

QUICK = ("cbpp.", "epil.tmb", "salamander.tmb", "seeds.glmer_laplace")


def names(of: Iterable[str], kind: str) -> list[Any]:
    """Some of each kind run always."""
    chosen = [name for name in of if kind in name]
    return [name if name.startswith(QUICK) else pytest.param(name, marks=pytest.mark.slow) for name in chosen]


def prepared(name: str) -> pd.DataFrame:
    """The data with the columns that the formula of a reference has."""
    dataset, _, kind = name.partition(".")
    table = lgm.load_dataset(dataset)
    if dataset == "epil":
        visits = np.array([-0.3, -0.1, 0.1, 0.3])[table["period"].to_numpy() - 1]
        return table.assign(
            logbase4=np.log(table["base"] / 4),
            logage=np.log(table["age"]),
            progabide=(table["trt"] == "progabide").astype(float),
            Visit10=visits,
            obs=np.arange(len(table)).astype(str),
        )
    if dataset == "cbpp":
        return table.assign(obs=np.arange(len(table)).astype(str))
    if dataset == "nc_sids":
        expected = table["BIR74"] * table["SID74"].sum() / table["BIR74"].sum()
        return table.assign(nwp=table["NWBIR74"] / table["BIR74"], E=expected, idf=table["id"].astype(str))
    if dataset == "scotlip":
        return table.assign(aff10=table["aff"] / 10, idf=table["id"].astype(str))
    if "exp" in kind:
        return table[table["Experiment"] == int(kind[-1])].reset_index(drop=True)
    return table


def coefficients(fit: dict[str, Any]) -> dict[str, float]:
    """The fixed effects by lgm's names."""
    fixed = fit["fixed"].get("cond", fit["fixed"])
    out = {}
    for name, row in fixed.items():
        factor = next((each for each in FACTORS if name.startswith(each)), None)
        ours = name if factor is None else f"{factor}[T.{name.removeprefix(factor)}]"
        out["Intercept" if name == "(Intercept)" else ours] = row["estimate"]
    return out


def theta_of(fit: dict[str, Any]) -> dict[str, float]:
    """The variance parameters by lgm's names, and the dispersion of glmmTMB's counts."""
    out, called = {}, {"(Intercept)": "Intercept"}
    for row in fit["varcomp"]:
        if "corr" in row:
            first, second = (called.get(row[key], row[key]) for key in ("term1", "term2"))
            out[f"corr({first},{second}|{row['group']})"] = row["corr"]
        else:
            (term,) = row.get("terms") or [row["term"]]
            out[f"sd({called.get(term, term)}|{row['group']})"] = row["sd"]
    of_counts = {"nbinom1": "dispersion", "nbinom2": "shape"}  # variances mu (1 + sigma), mu (1 + mu / sigma)
    if fit["family"] in of_counts:
        out[of_counts[fit["family"]]] = fit["sigma"]
    return out


@cache
def random_part(name: str, family: str) -> lgm.Model:
    """The model with the fixed part of a reference in its offset."""
    fit, data = reference(name), prepared(name)
    left, right = fit["formula"].split(" ~ ")
    whole = lgm.model(f"{left} ~ {right}", data, family)
    given = coefficients(fit)
    predictor = whole.design.predictor
    assert set(given) == set(whole.design.fixed_names)
    eta = predictor.X @ np.array([given[each] for each in whole.design.fixed_names]) + predictor.offset
    bars = re.findall(r"\([^()|]*\|[^()]*\)", right)
    assert bars
    return lgm.model(f"{left} ~ 0 + offset(eta) + {' + '.join(bars)}", data.assign(eta=eta), family)


def _stopped_early(model: lgm.Model, theta: dict[str, float]) -> tuple[float, float]:
    """Laplace's approximation by dense algebra, and by how much lme4 may miss it because it stops early.

    lme4 ends its search for the mode when a step s changes the penalised deviance D by less than ``1e-7 D``, and keeps
    the determinant of H from before that step. Near the mode the change of D is ``s'Hs``, and that of ``log|H| / 2`` is
    ``g's`` with ``g = -A'(l''' diag(A H^-1 A')) / 2``: at most ``sqrt(g'H^-1 g 1e-7 D)``, where D is at most minus
    twice the log density.
    """
    post, design = model.analysed.marginal, model.design
    with jax.enable_x64(True):
        prior = post.prior.whiten(post.hyper.from_printed(jnp.asarray([theta[each] for each in design.theta_names])))
        R = np.tril(post.analysis.pattern.matrix(np.asarray(prior.values)).toarray())
        R = R + np.tril(R, -1).T
        A = design.predictor.Z.toarray() * np.asarray(prior.scale)

        def log_density(eta: jax.Array) -> jax.Array:
            return jnp.sum(design.family.loglik(design.response, eta, {}, design.weights))

        first = jax.jit(jax.grad(log_density))
        second = jax.jit(jax.grad(lambda eta: jnp.sum(first(eta))))
        third = jax.jit(jax.grad(lambda eta: jnp.sum(second(eta))))
        v = np.zeros(len(R))
        for _ in range(30):
            eta = jnp.asarray(A @ v + design.predictor.offset)
            H = R - A.T @ (np.asarray(second(eta))[:, None] * A)
            v = v + np.linalg.solve(H, A.T @ np.asarray(first(eta)) - R @ v)
        value = float(log_density(eta)) - 0.5 * v @ R @ v
        g = 0.5 * A.T @ (np.asarray(third(eta)) * np.einsum("ij,ji->i", A, np.linalg.solve(H, A.T)))
    laplace = value - 0.5 * np.linalg.slogdet(H)[1] + 0.5 * np.linalg.slogdet(R)[1]
    return laplace, float(np.sqrt(g @ np.linalg.solve(H, g) * 1e-7 * -2.0 * value))


@pytest.mark.parametrize("name", names(LAPLACE, "tmb"))
def test_laplace_of_glmmtmb(name: str) -> None:
    """At the optimum the printed digits of theta and of the fixed effects matter to second order only."""
    fit = reference(name)
    model = random_part(name, LAPLACE[name])
    assert model.design.n == fit["n"]
    assert model.log_likelihood(theta_of(fit)) == pytest.approx(fit["logLik"], abs=1e-6)


@pytest.mark.parametrize("name", names(LAPLACE, "glmer"))
def test_laplace_of_lme4(name: str) -> None:
    fit, theta = reference(name), theta_of(reference(name))
    model = random_part(name, LAPLACE[name])
    assert model.design.n == fit["n"]
    exact, missed = _stopped_early(model, theta)
    found = model.log_likelihood(theta)
    assert found == pytest.approx(exact, abs=1e-8)
    assert missed < 0.1  # or it would say nothing
    assert found == pytest.approx(fit["logLik"], abs=missed + 1e-6)


@pytest.mark.parametrize("name", names(QUADRATURE, "glmer"))
def test_quadrature(name: str) -> None:
    """Weighted pairs estimate the integral itself without bias.

    lme4 leaves out the saturated part there, which the files add.
    """
    fit = reference(name)
    model = random_part(name, QUADRATURE[name])
    post = model.analysed.marginal
    logs = []
    with jax.enable_x64(True):
        theta = post.hyper.from_printed(jnp.asarray([theta_of(fit)[each] for each in model.design.theta_names]))
        for seed in range(REPEATS):
            z = jax.random.normal(jax.random.key(seed), (post.n_normals, PAIRS))
            logs.append(float(_estimate(post, theta, z)))
    shares = np.exp(np.array(logs) - fit["logLik_full"])
    error = shares.std(ddof=1) / np.sqrt(REPEATS)
    assert abs(shares.mean() - 1.0) < 4.0 * error
    plain = model.log_likelihood(theta_of(fit)) - fit["logLik_full"]
    assert abs(np.expm1(plain)) > 8.0 * error, "the check could not tell it from Laplace's approximation"


PAIRS, REPEATS = 256, 40


@jax.jit
def _estimate(post: density.Marginal, theta: jax.Array, z: jax.Array) -> jax.Array:
    return density.log_likelihood_and_effects(post, theta, z)[0]
