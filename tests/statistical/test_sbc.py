"""Simulation-based calibration: parameters from the prior, data from the parameters, ranks among posterior draws.

Both engines are tested. The weighted points of importance sampling are all taken, whatever their Pareto k: a rule that
left bad fits out would have to be calibrated as well.
"""

import time
import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from compilations import compilations
from scipy.stats import norm
from statistical import uniformity

import lgm
from lgm.inference.weighted import Weighted

REPLICATIONS = {"nuts": 400, "importance": 500}
GROUPS, ROWS = 5, 4
CHAINS, DRAWS, THIN = 4, 250, 10  # one draw in ten: the ESS is about half the number of draws
RANKS = CHAINS * DRAWS // THIN + 1
FORMULA = "y ~ x + (1|g)"
PRIORS = {
    "Intercept": lgm.priors.normal(0, 2),
    "x": lgm.priors.normal(0, 1),
    "sd": lgm.priors.exponential(1),
    "sigma": lgm.priors.exponential(1),
}


class Quantities(NamedTuple):
    """Parameters and effects, each (S,) or (S, GROUPS): one row per draw."""

    intercept: np.ndarray
    slope: np.ndarray
    sd: np.ndarray
    sigma: np.ndarray
    b: np.ndarray

    def measured(self, frame: pd.DataFrame) -> dict[str, np.ndarray]:
        """What is ranked; the log likelihood sees errors that no single parameter shows (Modrak et al. 2023)."""
        group = frame["g"].cat.codes.to_numpy()
        eta = self.intercept[:, None] + self.slope[:, None] * frame["x"].to_numpy() + self.b[:, group]
        return {
            "Intercept": self.intercept,
            "x": self.slope,
            "sd": self.sd,
            "sigma": self.sigma,
            "b[1]": self.b[:, 0],
            "b[5]": self.b[:, -1],
            "b[2] - b[1]": self.b[:, 1] - self.b[:, 0],
            "log p(y | eta)": norm.logpdf(frame["y"].to_numpy(), eta, self.sigma[:, None]).sum(axis=1),
        }


def design(rng: np.random.Generator) -> pd.DataFrame:
    g = pd.Categorical(np.repeat(list("abcde"), ROWS))
    return pd.DataFrame({"y": 0.0, "x": rng.standard_normal(GROUPS * ROWS), "g": g})


def simulate(truth: Quantities, frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    group = frame["g"].cat.codes.to_numpy()
    mean = truth.intercept + truth.slope * frame["x"] + truth.b[0, group]
    return frame.assign(y=mean + truth.sigma * rng.standard_normal(len(frame)))


def truths(n: int, frame: pd.DataFrame, rng: np.random.Generator) -> list[Quantities]:
    prior = lgm.model(FORMULA, frame.assign(y=rng.standard_normal(len(frame))), priors=PRIORS)
    drawn = prior.sample_prior(n, seed=1)
    columns = [drawn[c].to_numpy() for c in ("Intercept", "x", "sd(Intercept|g)", "sigma")]
    b = columns[2][:, None] * rng.standard_normal((n, GROUPS))
    return [Quantities(*(c[i : i + 1] for c in [*columns, b])) for i in range(n)]


def thinned_draws(fit: lgm.Fit) -> Quantities:
    """As many draws from one chain of weighted points, which is in random order, as from four of NUTS."""
    thinned = fit.posterior.isel(draw=slice(THIN - 1, None, THIN)).stack(sample=("chain", "draw"))
    names = ("Intercept", "x", "sd(Intercept|g)", "sigma")
    return Quantities(*(thinned[n].transpose("sample", ...).to_numpy() for n in (*names, "Intercept|g")))


class Ranks(NamedTuple):
    """Ranks of the true values, one entry per replication, among good draws and among spoilt ones."""

    engine: str
    right: pd.DataFrame
    wrong_sigma: pd.DataFrame
    compiled: list[str]
    seconds: np.ndarray  # of each fit, effects and draws included
    k: np.ndarray  # Pareto k of each fit, for engines that weight


@pytest.fixture(scope="module", params=REPLICATIONS)
def ranks(request: pytest.FixtureRequest) -> Ranks:
    engine = request.param
    rng = np.random.default_rng(20250)
    frame = design(rng)
    right, wrong, seconds, k = [], [], [], []
    compiled: list[str] = []
    for i, truth in enumerate(truths(REPLICATIONS[engine], frame, rng)):
        data = simulate(truth, frame, rng)
        start = time.perf_counter()
        with compilations() as names, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the importance weights are not reliable", lgm.ConvergenceWarning)
            fit = lgm.fit(
                FORMULA, data, priors=PRIORS, method=engine, chains=CHAINS, draws=DRAWS, seed=i, progress=False
            )
            drawn = thinned_draws(fit)
        seconds.append(time.perf_counter() - start)
        if i > 0:
            compiled += names
        if isinstance(fit.draws, Weighted):
            k.append(fit.draws.points.k)
        right.append(rank(truth, drawn, data))
        wrong.append(rank(truth, drawn._replace(sigma=1.2 * drawn.sigma), data))
    return Ranks(engine, pd.DataFrame(right), pd.DataFrame(wrong), compiled, np.array(seconds), np.array(k))


def rank(truth: Quantities, drawn: Quantities, data: pd.DataFrame) -> dict[str, int]:
    true, draws = truth.measured(data), drawn.measured(data)
    return {name: int(np.sum(draws[name] < true[name])) for name in true}


@pytest.mark.slow
def test_ranks_are_uniform(ranks, capsys):
    uniformity.plot(ranks.right, RANKS, f"sbc_{ranks.engine}")
    with capsys.disabled():
        print(f"\n{summary(ranks)}")
    found, gamma = uniformity.worst_tails(ranks.right, RANKS), uniformity.gamma_of(ranks.right, RANKS)
    assert (found >= gamma).all(), f"outside the band (gamma = {gamma:.2g}):\n{found}"


def summary(ranks: Ranks) -> str:
    """How long the refits took, and how well the weights did."""
    text = (
        f"{ranks.engine}: {len(ranks.seconds)} refits in {ranks.seconds.sum():.0f} s, the first "
        f"{ranks.seconds[0]:.1f} s, the others {1e3 * np.median(ranks.seconds[1:]):.0f} ms each (median)"
    )
    if ranks.k.size:
        text += f"; Pareto k above 0.5 in {np.sum(ranks.k > 0.5)}, above 0.7 in {np.sum(ranks.k > 0.7)}"
    return text


@pytest.mark.slow
def test_wrong_draws_are_found(ranks):
    """The same test with sigma 20% too large."""
    uniformity.plot(ranks.wrong_sigma, RANKS, f"sbc_{ranks.engine}_wrong_sigma")
    found, gamma = uniformity.worst_tails(ranks.wrong_sigma, RANKS), uniformity.gamma_of(ranks.wrong_sigma, RANKS)
    assert found["sigma"] < gamma
    assert found["log p(y | eta)"] < gamma


@pytest.mark.slow
def test_replications_compile_nothing(ranks):
    assert ranks.compiled == []
