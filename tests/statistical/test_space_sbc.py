"""Simulation-based calibration of areal terms and fields: effects drawn from covariances by their definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from dense_model import areal_structure, field_elements, field_precision, icar_structure, scaled_covariance
from statistical import uniformity

import lgm
from lgm import priors

REPLICATIONS, DRAWS, THIN, ROWS = 200, 1000, 10, 60
RANKS = DRAWS // THIN + 1
EDGES = [[i, i + 1] for i in range(11) if i % 4 < 3] + [[i, i + 4] for i in range(8)]  # a lattice, and the island 12
GRAPH = lgm.graph(EDGES, range(13))
MESH = lgm.mesh([[0.0, 0.0], [3.0, 0.0], [3.0, 2.0], [0.0, 2.0]], edge=0.7, extension=1.5)
PRIORS = {"Intercept": priors.normal(0, 1), "sd": priors.exponential(1), "sigma": priors.exponential(2)}


def _areal(name: str, sd: float, w: float) -> np.ndarray:
    """Of typical sd at both ends of w, for ``car`` and ``leroux``; nodes without neighbours have it throughout."""
    covariance = sd**2 * np.linalg.inv(areal_structure(13, EDGES, name, w))
    if name == "sar":
        return covariance
    [factor] = scaled_covariance(icar_structure(13, EDGES))[1]
    degree = np.bincount(np.ravel(EDGES), minlength=13)[:12]
    first = np.exp(np.mean(np.log(degree))) if name == "car" else 1.0
    root = np.sqrt(np.append(np.full(12, (1.0 - w) * first + w / factor), 1.0))
    return root[:, None] * covariance * root


def _field(sd: float, length: float) -> np.ndarray:
    mass, stiffness = field_elements(MESH.points, MESH.triangles)
    return sd**2 * np.linalg.inv(field_precision(mass, stiffness, 2, 2, length))


class Case(NamedTuple):
    """A term, its second hyperparameter with a prior, and the covariance of the effects at both."""

    term: str
    kind: str
    prior: Any
    covariance: Callable[[float, float], np.ndarray]


CASES = {
    "car": Case("car(r, g)", "rho", priors.uniform(0, 1), lambda sd, w: _areal("car", sd, w)),
    "leroux": Case("leroux(r, g)", "lambda", priors.uniform(0, 1), lambda sd, w: _areal("leroux", sd, w)),
    "sar": Case("sar(r, g)", "rho", priors.uniform(-1, 1), lambda sd, w: _areal("sar", sd, w)),
    "matern": Case("matern(u, v, mesh=m)", "range", priors.gamma(4, 2), _field),
}


def _frame(name: str, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows without a response, and the columns of their effects."""
    if name == "matern":
        places = rng.uniform([0.0, 0.0], [3.0, 2.0], (ROWS, 2))
        return pd.DataFrame({"u": places[:, 0], "v": places[:, 1]}), MESH.weights(places).toarray()
    regions = rng.integers(0, 13, ROWS)
    return pd.DataFrame({"r": regions}), np.equal.outer(regions, np.arange(13)).astype(float)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::lgm.ConvergenceWarning")
def test_ranks_are_uniform(name: str) -> None:
    case, rng = CASES[name], np.random.default_rng(11)
    frame, z = _frame(name, rng)
    given, env = {**PRIORS, case.kind: case.prior}, {"g": GRAPH, "m": MESH}
    formula = f"y ~ 1 + {case.term}"
    drawn = lgm.model(formula, frame.assign(y=rng.normal(size=ROWS)), priors=given, env=env).sample_prior(
        REPLICATIONS, seed=3
    )
    label = next(column for column in drawn if column.startswith("sd("))[3:-1]
    names = ["Intercept", f"sd({label})", f"{case.kind}({label})", "sigma"]
    ranks = []
    for i, (level, sd, w, sigma) in enumerate(drawn[names].to_numpy()):
        root = np.linalg.cholesky(case.covariance(sd, w))
        b = root @ rng.standard_normal(len(root))
        y = level + z @ b + sigma * rng.standard_normal(ROWS)
        data = frame.assign(y=y)
        fit = lgm.fit(
            formula, data, priors=given, env=env, method="importance", chains=1, draws=DRAWS, seed=i, progress=False
        )
        kept = fit.posterior.isel(chain=0, draw=slice(THIN - 1, None, THIN))
        effects = kept[label].to_numpy()
        eta = kept["Intercept"].to_numpy()[:, None] + effects @ z.T
        noise = kept["sigma"].to_numpy()
        loglik = -0.5 * np.sum((y - eta) ** 2, axis=1) / noise**2 - ROWS * np.log(noise)
        true = -0.5 * np.sum((y - level - z @ b) ** 2) / sigma**2 - ROWS * np.log(sigma)
        found = {
            key: int(np.sum(kept[key].to_numpy() < value))
            for key, value in zip(names, (level, sd, w, sigma), strict=True)
        }
        found |= {"b[first]": int(np.sum(effects[:, 0] < b[0])), "b[last]": int(np.sum(effects[:, -1] < b[-1]))}
        ranks.append({**found, "log p(y | eta)": int(np.sum(loglik < true))})
    table = pd.DataFrame(ranks)
    uniformity.plot(table, RANKS, f"sbc_{name}")
    tails, gamma = uniformity.worst_tails(table, RANKS), uniformity.gamma_of(table, RANKS)
    assert (tails >= gamma).all(), f"outside the band (gamma = {gamma:.2g}):\n{tails}"
