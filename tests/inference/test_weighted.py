"""Draws from weighted points: their moments, verdict and words."""

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.inference.draws import Points
from lgm.inference.weighted import Weighted


def _draws(k: float = 0.2, ess: float = 900, failed: int = 0, *, interrupted: bool = False) -> Weighted:
    theta = np.random.default_rng(0).normal(size=(1024, 1))
    points = Points(theta, np.full(1024, -np.log(1024)), theta, theta[:, None], k, ess, -3.0, 0.1, failed)
    return Weighted(theta[None], {"lp": theta.T}, interrupted, points, np.arange(1024))


@pytest.mark.parametrize(
    ("k", "ess", "start"), [(0.2, 900, "Reliable: "), (0.9, 900, "Not reliable: "), (0.2, 90, "Too few points: ")]
)
def test_verdict(k: float, ess: float, start: str) -> None:
    draws = _draws(k, ess)
    found, doubted = draws.verdict(pd.DataFrame())
    assert doubted == (not start.startswith("Reliable"))
    assert found.startswith(start)
    assert f"{ess} effective of 1024 points" in found
    assert ('method="nuts"' in found) == (not start.startswith("Reliable"))
    assert (draws.points.doubt() is None) == start.startswith("Reliable")


@pytest.mark.parametrize(("k", "ess"), [(0.2, 900), (0.9, 900), (0.2, 90)])
def test_evaluations_that_failed_are_said(k: float, ess: float) -> None:
    draws = _draws(k, ess, failed=3)
    assert draws.verdict(pd.DataFrame()).text.endswith(". 3 of 1024 points had no density.")
    assert draws.verdict(pd.DataFrame()).doubted == _draws(k, ess).verdict(pd.DataFrame()).doubted
    assert "no density" not in _draws(k, ess).verdict(pd.DataFrame()).text
    assert draws.facts(proper=True)["failed"] == 3


def test_words() -> None:
    assert _draws().described() == "1024 from 1024 weighted points"
    assert _draws(interrupted=True).described() == "1024 from 1024 weighted points, stopped early"


def test_evidence_needs_proper_priors() -> None:
    assert _draws().facts(proper=False) == {"pareto_k": 0.2, "ess": 900, "failed": 0}
    assert _draws().facts(proper=True).keys() == {"pareto_k", "ess", "failed", "log_evidence", "log_evidence_se"}


def test_moments_are_those_of_the_weights() -> None:
    """Resampling keeps whole copies of points, so its moments are only close."""
    theta = np.array([[1.0], [2.0], [4.0]])
    weights = np.array([0.2, 0.3, 0.5])
    points = Points(theta, np.log(weights), theta, theta[:, None], 0.1, 2.6, 0.0, 0.0, 0)
    draws = Weighted(theta[None], {}, False, points, np.arange(3))
    table = pd.DataFrame(1.0, index=["Intercept", "sigma"], columns=["mean", "sd", "2.5%", "97.5%"])
    found = draws.summarised(table, dict, pd.DataFrame)
    assert found.loc["sigma", ["mean", "sd"]].tolist() == pytest.approx([2.8, np.sqrt(9.4 - 2.8**2)])
    assert (found.loc["Intercept", ["mean", "sd", "2.5%"]] == 1.0).all()
    assert found["ess_bulk"].tolist() == [2.6, 2.6] and found[["ess_tail", "r_hat"]].isna().all(axis=None)


def test_what_is_held_has_no_standard_deviation() -> None:
    held = {"sigma": lgm.priors.constant(51.3)}
    data = lgm.load_dataset("Dyestuff")
    fit = lgm.fit("Yield ~ 1 + (1|Batch)", data, priors=held, method="importance", draws=50, seed=1, progress=False)
    assert fit.summary().loc["sigma", ["mean", "sd"]].tolist() == [51.3, 0.0]
