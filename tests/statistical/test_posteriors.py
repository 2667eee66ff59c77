"""Whole posteriors against long Stan runs and against quadrature, with the same priors.

Everything must agree within four combined Monte Carlo standard errors (monte_carlo.py derives them).
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from helpers import reference
from statistical import models, monte_carlo
from statistical.models import CASES, CHAINS, REFERENCES, fitted
from statistical.monte_carlo import LIMIT, Estimate

from lgm.posterior import density

REFERENCED = tuple(dict.fromkeys(REFERENCES.values()))
SLOW = ("penicillin", "huron", "columbus")  # to keep the ordinary run short


@jax.jit
def _conditional_means(post: density.Marginal, thetas: jax.Array) -> jax.Array:
    nothing = jnp.zeros((post.n_normals, 1))
    return jax.lax.map(lambda theta: density.effects(post, theta, nothing).mean, thetas)


@cache
def effect_errors(case: str) -> np.ndarray:
    """Monte Carlo errors of the exact-mixture means: only theta is sampled, u given theta is averaged exactly."""
    fit = fitted(case)
    with jax.enable_x64(True):
        thetas = jnp.asarray(fit.draws.theta.reshape(-1, fit.draws.theta.shape[-1]))
        means = fit.analysed.natural(np.asarray(_conditional_means(fit.analysed.marginal, thetas)))
    by_chain = means.reshape(CHAINS, -1, means.shape[-1])
    return np.array(
        [by_chain[..., j].std() / np.sqrt(monte_carlo.ess(by_chain[..., j])) for j in range(means.shape[1])]
    )


def mixture_means(case: str, effect: str) -> list[Estimate]:
    """Posterior means of the levels of one effect."""
    fit = fitted(case)
    errors = effect_errors(case)[fit.design.p :]
    starts = [place.start for place in fit.design.predictor.term_slices()]
    found = [
        (start, v) for start, t in zip(starts, fit.design.terms, strict=True) for v in t.variables if v.name == effect
    ]
    [(start, variable)] = found
    values = fit.ranef(effect)["mean"].to_numpy()
    return [Estimate(value, errors[start + j]) for value, j in zip(values, variable.index, strict=True)]


def effect_deviations(name: str) -> pd.Series:
    """Deviations of the stored means of the levels, in standard errors.

    The files hold no ESS for effects: the smallest of the fit's parameters stands in.
    """
    stored, case = reference(name), REFERENCES[name]
    size = min((p.get("ess_bulk", np.inf) for p in stored["posterior"].values()), default=np.inf)
    rows = {}
    for key, effect in CASES[case].effects.items():
        table = stored["ranef"][key]
        for i, ours in enumerate(mixture_means(case, effect)):
            theirs = Estimate(table["mean"][i], table["sd"][i] / np.sqrt(size))
            rows[effect, i] = monte_carlo.deviation(ours, theirs)
    return pd.Series(rows)


def _slow(names: Iterable[str]) -> list[Any]:
    return [pytest.param(n, marks=pytest.mark.slow) if REFERENCES.get(n, n) in SLOW else n for n in names]


@pytest.mark.parametrize("name", _slow(REFERENCES))
def test_fixed_effects_and_hyperparameters(name):
    found = models.reference_deviations(name, [fitted(REFERENCES[name])])
    assert found.abs().max(axis=None) < LIMIT, found.round(2).to_string()


@pytest.mark.parametrize(
    "name", _slow(n for n, of in REFERENCES.items() if CASES[of].effects and "ranef" in reference(n))
)
def test_effect_means(name):
    found = effect_deviations(name)
    assert found.abs().max() < LIMIT, found.round(2).to_string()


@pytest.mark.parametrize("name", _slow(n for n in REFERENCES if "effect_mean_by_row" in reference(n)))
def test_effect_means_by_row(name):
    """Quadrature stores the effect of each row; it has no error of its own."""
    case = REFERENCES[name]
    [term] = fitted(case).design.terms
    [variable] = term.variables
    ours = mixture_means(case, variable.name)
    place = dict(zip(variable.labels, ours, strict=True))
    dataset = CASES[case].dataset
    column = models.data_of(dataset)[models.ROWS_OF[dataset]]
    stored = reference(name)["effect_mean_by_row"]
    found = [monte_carlo.deviation(place[label], Estimate(v, 0.0)) for label, v in zip(column, stored, strict=True)]
    assert np.max(np.abs(found)) < LIMIT, np.round(found, 2)


@pytest.mark.parametrize("case", _slow(REFERENCED))
def test_chains_agree_and_nothing_diverges(case):
    summary = fitted(case).summary()
    assert summary["r_hat"].max() < 1.01
    assert summary[["ess_bulk", "ess_tail"]].min(axis=None) > 400
    assert fitted(case).draws.stats["diverging"].mean() < 0.005


@pytest.mark.parametrize("name", _slow(n for n in REFERENCES if "bayes_exact" in n))
def test_quadrature_agrees_with_the_stored_one(name):
    """Two codes and two grids, by their moments, which do not suffer from cells; Lake Huron's ends above sigma = 0."""
    stored, fine = reference(name)["posterior"], models.finer(name).posterior
    limit = 0.03 if "Huron" in name else 1e-4
    for key, printed in stored.items():
        for stat in ("mean", "sd"):
            value = fine.get(key.partition(":")[0], printed)[stat]
            assert abs(value - printed[stat]) < limit * printed["sd"], (key, stat)
