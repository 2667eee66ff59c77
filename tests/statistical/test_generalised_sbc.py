"""Simulation-based calibration of responses that are not Gaussian, as in `test_sbc`: ranks of true values are uniform.

What the package says of a response is not used to draw one: effects come from their definition, responses from NumPy.
Raw Laplace must fail where binary outcomes come in pairs, which shows that the test sees such errors.
"""

import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from compilations import compilations
from scipy import stats
from scipy.special import expit
from statistical import uniformity

import lgm
from lgm import priors

REPLICATIONS = 200
CHAINS, DRAWS, THIN = 4, 250, 10
RANKS = CHAINS * DRAWS // THIN + 1
FIXED = {"Intercept": priors.normal(0, 1.5), "x": priors.normal(0, 1)}

Theta = dict[str, Any]  # a number each, or one column of draws


class Case(NamedTuple):
    """A model with one term of effects, and its response by definition."""

    formula: str
    family: str
    priors: dict[str, Any]
    frame: pd.DataFrame
    respond: Callable[[np.random.Generator, np.ndarray, Theta], np.ndarray]
    loglik: Callable[[np.ndarray, np.ndarray, Theta], np.ndarray]  # by row, also for many draws (S, n)
    effects: str = "Intercept|g"
    by: str = "g"  # column with the places of the effects, from 0
    root: np.ndarray | None = None  # effects are sd times this times standard normals; None for independent ones
    values: int = 2  # that a response must have at least; others are drawn again, which data alone decide


def groups(n: int, size: int) -> pd.DataFrame:
    x = np.random.default_rng(7).standard_normal(n * size)
    return pd.DataFrame({"x": x, "g": np.repeat(np.arange(n), size)})


def times(n: int) -> pd.DataFrame:
    return pd.DataFrame({"x": np.random.default_rng(7).standard_normal(n), "t": np.arange(n)})


def walk_root(n: int) -> np.ndarray:
    """Sums to zero; marginal variances have geometric mean one."""
    root = np.linalg.pinv(np.diff(np.eye(n), axis=0))
    return np.asarray(root / np.exp(0.5 * np.mean(np.log(np.sum(root**2, axis=1)))))


def nb(eta: np.ndarray, theta: Theta) -> tuple[Any, Any]:
    return theta["shape"], theta["shape"] / (theta["shape"] + np.exp(eta))


def below(eta: np.ndarray, theta: Theta) -> np.ndarray:
    """``P(y <= k)`` for k = -1, ..., 3."""
    first, second = theta["gap[1]"], theta["gap[1]"] + theta["gap[2]"]
    zero = np.zeros_like(eta)
    return np.stack([zero, expit(-eta), expit(first - eta), expit(second - eta), zero + 1.0])


def log_share(y: np.ndarray, eta: np.ndarray, theta: Theta) -> np.ndarray:
    place = np.broadcast_to(y.astype(int), eta.shape)[None]
    return np.log(np.take_along_axis(np.diff(below(eta, theta), axis=0), place, axis=0)[0])


def inflated(y: np.ndarray, eta: np.ndarray, theta: Theta) -> np.ndarray:
    zi = theta["zi"]
    return np.log(zi * (y == 0) + (1.0 - zi) * stats.poisson.pmf(y, np.exp(eta)))


CASES = {
    "bernoulli": Case(
        "y ~ x + (1|g)",
        "bernoulli",
        {**FIXED, "sd": priors.exponential(0.5)},
        groups(40, 2),
        lambda rng, eta, theta: rng.binomial(1, expit(eta)),
        lambda y, eta, theta: y * eta - np.logaddexp(0.0, eta),
    ),
    "walk": Case(
        "y ~ x + rw1(t)",
        "poisson",
        {**FIXED, "sd": priors.exponential(1)},
        times(30),
        lambda rng, eta, theta: rng.poisson(np.exp(eta)),
        lambda y, eta, theta: stats.poisson.logpmf(y, np.exp(eta)),
        "rw1(t)",
        "t",
        walk_root(30),
    ),
    "negativebinomial": Case(
        "y ~ x + (1|g)",
        "negativebinomial",
        {**FIXED, "sd": priors.exponential(1), "shape": priors.gamma(2, 0.5)},
        groups(15, 4),
        lambda rng, eta, theta: rng.negative_binomial(*nb(eta, theta)),
        lambda y, eta, theta: stats.nbinom.logpmf(y, *nb(eta, theta)),
    ),
    "cumulative": Case(
        "y ~ x + (1|g)",
        "cumulative",
        {**FIXED, "sd": priors.exponential(1), "gap": priors.exponential(0.7)},
        groups(15, 4),
        lambda rng, eta, theta: (rng.random(eta.shape) > below(eta, theta)).sum(axis=0) - 1,
        log_share,
        values=4,
    ),
    "zero_inflated_poisson": Case(
        "y ~ x + (1|g)",
        "zero_inflated_poisson",
        {**FIXED, "sd": priors.exponential(1), "zi": priors.beta(2, 3)},
        groups(15, 4),
        lambda rng, eta, theta: rng.poisson(np.exp(eta)) * (rng.random(eta.shape) > theta["zi"]),
        inflated,
    ),
    "t": Case(
        "y ~ x + (1|g)",
        "t",
        {**FIXED, "sd": priors.exponential(1), "sigma": priors.exponential(1), "nu": priors.gamma(4, 0.8)},
        groups(10, 5),
        lambda rng, eta, theta: eta + theta["sigma"] * rng.standard_t(theta["nu"], eta.shape),
        lambda y, eta, theta: stats.t.logpdf(y, theta["nu"], eta, theta["sigma"]),
    ),
}
FITS = [*((name, "importance", "auto") for name in CASES), ("negativebinomial", "nuts", "auto")]


class Drawn(NamedTuple):
    """Draws of all unknowns (S,) and of the effects (S, q); a truth is one."""

    parameters: Theta
    b: np.ndarray

    def measured(self, case: Case, y: np.ndarray) -> dict[str, np.ndarray]:
        """What is ranked; the log likelihood sees errors that no single parameter shows (Modrak et al. 2023)."""
        of = {name: values[:, None] for name, values in self.parameters.items()}
        eta = of["Intercept"] + of["x"] * case.frame["x"].to_numpy() + self.b[:, case.frame[case.by]]
        return {
            **self.parameters,
            "b[1]": self.b[:, 0],
            "b[2] - b[1]": self.b[:, 1] - self.b[:, 0],
            "b[last]": self.b[:, -1],
            "log p(y | eta)": case.loglik(y, eta, of).sum(axis=1),
        }


class Found(NamedTuple):
    """Of all replications."""

    ranks: pd.DataFrame
    late: list[str]  # compiled by a refit although one before had the same approximation
    said: str


def replications(case: Case, rng: np.random.Generator) -> Any:
    """True values with a response that they gave."""
    n, start = 4 * REPLICATIONS, np.arange(len(case.frame)) % case.values
    prior = lgm.model(case.formula, case.frame.assign(y=start), case.family, priors=case.priors).sample_prior(n, seed=1)
    root = np.eye(case.frame[case.by].max() + 1) if case.root is None else case.root
    sds = prior[f"sd({case.effects})"].to_numpy()
    for i in range(n):
        b = sds[i] * root @ rng.standard_normal(root.shape[1])
        own = {name: prior[name].to_numpy()[i : i + 1] for name in prior}
        eta = own["Intercept"] + own["x"] * case.frame["x"].to_numpy() + b[case.frame[case.by]]
        y = case.respond(rng, eta, own)
        if np.unique(y).size >= case.values:
            yield Drawn(own, b[None]), y
    raise AssertionError("too few of the responses have enough values")


def thinned(fit: lgm.Fit, case: Case) -> Drawn:
    kept = fit.posterior.isel(draw=slice(THIN - 1, None, THIN)).stack(sample=("chain", "draw"))
    names = (*fit.design.fixed_names, *fit.design.theta_names)
    return Drawn({n: kept[n].to_numpy() for n in names}, kept[case.effects].transpose("sample", ...).to_numpy())


def calibrated(name: str, method: str, approximation: str) -> Found:
    case, rows, seconds, late, doubted = CASES[name], [], [], [], 0
    rungs: dict[tuple[str, int], int] = {}
    for i, (truth, y) in zip(range(REPLICATIONS), replications(case, np.random.default_rng(20261)), strict=False):
        start = time.perf_counter()
        with compilations() as compiled, warnings.catch_warnings():
            warnings.simplefilter("ignore", lgm.ConvergenceWarning)  # bad fits count: leaving them out would select
            warnings.simplefilter("ignore", lgm.IdentifiabilityWarning)
            model = lgm.model(case.formula, case.frame.assign(y=y), case.family, priors=case.priors)
            fit = model.fit(
                method=method, approximation=approximation, chains=CHAINS, draws=DRAWS, seed=i, progress=False
            )
            drawn = thinned(fit, case)
        seconds.append(time.perf_counter() - start)
        facts = fit.summary().attrs
        rung = (facts["approximation"], facts["pairs"])
        if rung in rungs:
            late += compiled
        rungs[rung] = rungs.get(rung, 0) + 1
        doubted += facts.get("pareto_k", 0.0) > 0.7
        true, among = truth.measured(case, y), drawn.measured(case, y)
        rows.append({key: int(np.sum(among[key] < true[key])) for key in true})
    said = (
        f"{name}, {method}, {approximation}: {len(rows)} refits in {sum(seconds):.0f} s, {1e3 * np.median(seconds):.0f}"
        f" ms each (median); Pareto k above 0.7 in {doubted}; {rungs}"
    )
    return Found(pd.DataFrame(rows), late, said)


def judged(found: Found, picture: str, capsys: pytest.CaptureFixture[str]) -> tuple[pd.Series, float]:
    """How unlikely each quantity's ranks are, and from where on too unlikely; both are shown."""
    worst, gamma = uniformity.worst_tails(found.ranks, RANKS), uniformity.gamma_of(found.ranks, RANKS)
    uniformity.plot(found.ranks, RANKS, picture)
    with capsys.disabled():
        print(f"\n{found.said}; gamma {gamma:.2g}\n{worst.to_string(float_format='{:.2g}'.format)}")
    return worst, gamma


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method", "approximation"), FITS)
def test_ranks_are_uniform(name, method, approximation, capsys):
    found = calibrated(name, method, approximation)
    worst, gamma = judged(found, f"sbc_{name}_{method}", capsys)
    assert not found.late
    assert (worst >= gamma).all(), f"outside the band (gamma = {gamma:.2g}):\n{worst}"


@pytest.mark.slow
def test_plain_laplace_is_found(capsys):
    """On binary outcomes in pairs: the linear predictors that it draws suit the data too little."""
    worst, gamma = judged(calibrated("bernoulli", "importance", "laplace"), "sbc_bernoulli_laplace", capsys)
    assert worst["log p(y | eta)"] < gamma
