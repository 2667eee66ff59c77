"""Simulation-based calibration of groups, copies, smooths and shrinkage: effects are drawn by their definitions.

Ranked are the parameters, the linear predictor of two rows as predictions draw it, and the log likelihood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from statistical import uniformity

import lgm
from lgm import priors

KEPT = 100  # draws among which the truth is ranked
RANKS = KEPT + 1
PRIORS = {
    "Intercept": priors.normal(0, 1),
    "sigma": priors.exponential(2),
}

Theta = Mapping[str, float]


class Case(NamedTuple):
    """A model, and what effects add to the rows given the hyperparameters."""

    formula: str
    frame: pd.DataFrame
    added: Callable[[Theta, np.random.Generator], np.ndarray]
    priors: Mapping[str, Any] = MappingProxyType({"sd": priors.exponential(1)})  # beside those of all
    method: str = "importance"
    replications: int = 200
    draws: int = 1000
    warmup: int | None = None


def _compound() -> Case:
    frame = pd.DataFrame({"g": np.repeat(np.arange(10), 6), "f": np.tile(list("abcabc"), 10)})
    kind = np.tile([0, 1, 2, 0, 1, 2], 10)

    def added(theta: Theta, rng: np.random.Generator) -> np.ndarray:
        rho = theta["rho(homcs(0 + f | g))"]
        root = np.linalg.cholesky((1.0 - rho) * np.eye(3) + rho)
        b = theta["sd(homcs(0 + f | g))"] * rng.standard_normal((10, 3)) @ root.T
        return b[frame["g"], kind]

    return Case("y ~ 1 + homcs(0 + f | g)", frame, added)


def _copies() -> Case:
    frame = pd.DataFrame({"g": np.repeat(list("abcd"), 15), "t": np.tile(np.repeat(np.arange(5.0), 3), 4)})
    root = np.linalg.pinv(np.diff(np.eye(5), axis=0))  # of a walk whose effects sum to zero
    root = root / np.exp(0.5 * np.mean(np.log(np.sum(root**2, axis=1))))

    def added(theta: Theta, rng: np.random.Generator) -> np.ndarray:
        walks = theta["sd(rw1(t, replicate=g))"] * rng.standard_normal((4, 4)) @ root.T
        return walks[np.repeat(np.arange(4), 15), frame["t"].astype(int)]

    return Case("y ~ 1 + rw1(t, replicate=g)", frame, added)


def _smooth() -> Case:
    """Of its own columns, whose meaning `tests/smooths` checks: coefficients are independent."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"x": rng.uniform(-1, 1, 60)})
    (term,) = lgm.model("y ~ s(x, k=7)", frame.assign(y=rng.normal(size=60))).design.terms
    z = term.z.toarray()

    def added(theta: Theta, rng: np.random.Generator) -> np.ndarray:
        return theta["sd(s(x))"] * z @ rng.standard_normal(z.shape[1])

    return Case("y ~ s(x, k=7)", frame, added)


def _shrinkage() -> Case:
    """A horseshoe as its definition says; priors are given, as the defaults depend on the spread of the response.

    The local scales mix slowly: of 1000 draws some are worth a hundred, so that every tenth would not be independent.
    """
    names = list("abcde")
    rng = np.random.default_rng(6)
    frame = pd.DataFrame(rng.normal(size=(40, 5)) * [1.0, 0.5, 2.0, 1.0, 1.0], columns=names)
    label = "hs(a, ..., e)"

    def added(theta: Theta, rng: np.random.Generator) -> np.ndarray:
        tau, slab = theta[f"tau({label})"], theta[f"slab({label})"]
        local = np.array([theta[f"lambda({name})"] for name in names])
        sd = tau * np.sqrt(slab**2 * local**2 / (slab**2 + tau**2 * local**2)) / frame.std(ddof=0).to_numpy()
        return (frame - frame.mean()).to_numpy() @ (sd * rng.standard_normal(5))

    given = {"tau": priors.half_student_t(3, 0.3), "slab": priors.lognormal(0.5, 0.3)}
    return Case("y ~ 1 + hs(a, b, c, d, e)", frame, added, given, "nuts", 80, 2500, 300)


CASES = {"shrinkage": _shrinkage, "compound symmetry": _compound, "copies": _copies, "smooth": _smooth}


def ranks_of(case: Case) -> Iterator[dict[str, int]]:
    """Of what is true among its draws, one replication after the other."""
    rng = np.random.default_rng(12)
    rows, x = len(case.frame), np.zeros(len(case.frame))
    given = {**PRIORS, **case.priors}
    if "x" in case.frame:  # beside the line of a smooth
        given, x = {**given, "fixed": priors.normal(0, 1)}, case.frame["x"].to_numpy()
    model = lgm.model(case.formula, case.frame.assign(y=rng.normal(size=rows)), priors=given)
    thetas = model.sample_prior(case.replications, seed=4)
    for i, theta in enumerate(thetas.to_dict("records")):
        level, slope = rng.standard_normal(2)
        eta, sigma = level + slope * x + case.added(theta, rng), theta["sigma"]
        y = eta + sigma * rng.standard_normal(rows)
        fit = lgm.fit(
            case.formula,
            case.frame.assign(y=y),
            priors=given,
            method=case.method,
            chains=1,
            draws=case.draws,
            warmup=case.warmup,
            seed=i,
            progress=False,
        )
        taken: Any = {"chain": 0, "draw": slice(case.draws // KEPT - 1, None, case.draws // KEPT)}
        kept = fit.posterior.isel(taken)
        lines_drawn = fit.predict(case.frame, kind="draws").isel(taken).to_numpy().reshape(-1, rows)
        noise = kept["sigma"].to_numpy()
        loglik = -0.5 * np.sum((y - lines_drawn) ** 2, axis=1) / noise**2 - rows * np.log(noise)
        true = {
            **{key: theta[key] for key in model.design.theta_names},
            "eta[first]": eta[0],
            "eta[last]": eta[-1],
            "log p(y | eta)": -0.5 * np.sum((y - eta) ** 2) / sigma**2 - rows * np.log(sigma),
        }
        among = {
            **{key: kept[key].to_numpy() for key in model.design.theta_names},
            "eta[first]": lines_drawn[:, 0],
            "eta[last]": lines_drawn[:, -1],
            "log p(y | eta)": loglik,
        }
        yield {key: int(np.sum(among[key] < true[key])) for key in true}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::lgm.ConvergenceWarning")
def test_ranks_are_uniform(name: str) -> None:
    table = pd.DataFrame(ranks_of(CASES[name]()))
    uniformity.plot(table, RANKS, f"sbc_{name.replace(' ', '_')}")
    tails, gamma = uniformity.worst_tails(table, RANKS), uniformity.gamma_of(table, RANKS)
    assert (tails >= gamma).all(), f"outside the band (gamma = {gamma:.2g}):\n{tails}"
