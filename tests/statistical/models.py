"""Models whose posteriors are known from long Stan runs or from quadrature, fitted with the same priors by any engine.

NUTS fits once with many draws. Importance sampling fits as users do, with several seeds: its draws cost so little that
their number, not the length of a run, makes the comparison sharp.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from helpers import reference
from statistical import monte_carlo, quadrature
from statistical.monte_carlo import Estimate, Summary

import lgm
from lgm import priors
from lgm.inference.weighted import Weighted

CHAINS = 4
SEEDS = 8  # of the fits by importance sampling
DISTRIBUTIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "normal": lambda d: priors.normal(d["mean"], d["sd"]),
    "exponential": lambda d: priors.exponential(d["rate"]),
    "uniform": lambda d: priors.uniform(d["lower"], d["upper"]),
    "gamma": lambda d: priors.gamma(d["shape"], d["rate"]),
    "beta": lambda d: priors.beta(d["a"], d["b"]),
}


class Case(NamedTuple):
    """A model and the names that its parameters have in the reference files."""

    dataset: str
    formula: str
    names: dict[str, str] = {}
    effects: dict[str, str] = {}
    priors: dict[str, Any] | None = None  # by default those of the reference, or lgm's if there is none
    draws: int = 2000


CASES = {
    "dyestuff": Case(
        "Dyestuff",
        "Yield ~ 1 + (1|Batch)",
        {"(Intercept)": "Intercept", "sd:Batch": "sd(Intercept|Batch)"},
        {"Batch": "Intercept|Batch"},
    ),
    "penicillin": Case(
        "Penicillin",
        "diameter ~ 1 + (1|plate) + (1|sample)",
        {
            "(Intercept)": "Intercept",
            "sd:plate": "sd(Intercept|plate)",
            "sd:sample": "sd(Intercept|sample)",
        },
        {"plate": "Intercept|plate", "sample": "Intercept|sample"},
    ),
    "sleepstudy": Case(
        "sleepstudy",
        "Reaction ~ Days + (Days||Subject)",
        {
            "(Intercept)": "Intercept",
            "sd:Subject:(Intercept)": "sd(Intercept|Subject)",
            "sd:Subject:Days": "sd(Days|Subject)",
        },
        {"Subject:(Intercept)": "Intercept|Subject", "Subject:Days": "Days|Subject"},
    ),
    "sleepstudy, correlated": Case(
        "sleepstudy",
        "Reaction ~ Days + (Days|Subject)",
        {
            "b_Intercept": "Intercept",
            "b_Days": "Days",
            "sd_Subject__Intercept": "sd(Intercept|Subject)",
            "sd_Subject__Days": "sd(Days|Subject)",
            "cor_Subject__Intercept__Days": "corr(Intercept,Days|Subject)",
        },
        # brms writes its priors in a language of its own; these are the same.
        priors={
            "Intercept": priors.normal(0, 1000),
            "Days": priors.normal(0, 100),
            "sd(Intercept|Subject)": priors.exponential(0.05),
            "sd(Days|Subject)": priors.exponential(0.2),
            "corr": priors.lkj(1),
            "sigma": priors.exponential(0.05),
        },
    ),
    "nile": Case(
        "Nile",
        "flow ~ 1 + rw1(t)",
        {"(Intercept)": "Intercept", "sd:rw1(scaled)": "sd(rw1(t))"},
        {"rw1": "rw1(t)"},
    ),
    "columbus": Case(
        "columbus",
        "CRIME ~ INC + HOVAL + icar(id, graph)",
        {"(Intercept)": "Intercept", "sd:icar(scaled)": "sd(icar(id))"},
        # 49 rows, 49 regions, so either sd may vanish: the posterior is a narrow bend, and mixing is slow.
        draws=10_000,
    ),
    "huron": Case(
        "LakeHuron",
        "level ~ tc + ar1(t)",
        {"(Intercept)": "Intercept", "sd:ar1(marginal)": "sd(ar1(t))", "rho": "rho(ar1(t))"},
    ),
    "gamsim1": Case("gamsim1", "y ~ s(x0) + s(x1) + s(x2) + s(x3)"),
}
REFERENCES = {
    "Dyestuff.bayes_exact": "dyestuff",
    "Dyestuff.bayes_stan": "dyestuff",
    "Penicillin.bayes_stan": "penicillin",
    "sleepstudy.bayes_stan_uncorr": "sleepstudy",
    "sleepstudy.brms_corr": "sleepstudy, correlated",
    "Nile.bayes_exact": "nile",
    "Nile.bayes_rw1": "nile",
    "columbus.bayes_exact": "columbus",
    "LakeHuron.bayes_exact_ar1_noise": "huron",
}
ROWS_OF = {"Dyestuff": "Batch", "Nile": "t", "columbus": "id"}  # the column that says which effect a row has


def data_of(dataset: str) -> pd.DataFrame:
    table = lgm.load_dataset(dataset)
    if dataset == "LakeHuron":
        table = table.assign(level=table["level"] - 579, tc=(table["t"] - 49.5) / 10)
    return table


def priors_of(case: str) -> dict[str, Any] | None:
    """Those of the reference, under the names that lgm gives to the parameters."""
    name = next((name for name, of in REFERENCES.items() if of == case), None)
    if CASES[case].priors is not None or name is None:
        return CASES[case].priors
    stored, names = reference(name), CASES[case].names
    given = {**stored["priors"]["fixed"], **{k: v for k, v in stored["priors"].items() if k != "fixed"}}
    return {names.get(key, key): DISTRIBUTIONS[prior["dist"]](prior) for key, prior in given.items()}


@cache
def model_of(case: str, *, default_priors: bool = False) -> lgm.Model:
    dataset, formula, *_ = CASES[case]
    env = {"graph": lgm.graph(lgm.load_dataset("columbus_adj"))} if "graph" in formula else None
    return lgm.model(formula, data_of(dataset), priors=None if default_priors else priors_of(case), env=env)


@cache
def fitted(case: str) -> lgm.Fit:
    """By NUTS."""
    return model_of(case).fit(chains=CHAINS, draws=CASES[case].draws, seed=20250, progress=False)


@cache
def weighted(case: str, *, default_priors: bool = False) -> list[lgm.Fit]:
    """By importance sampling."""
    model = model_of(case, default_priors=default_priors)
    return [model.fit(method="importance", seed=i, progress=False) for i in range(SEEDS)]


def of_fits(fits: list[lgm.Fit], variable: str) -> tuple[Summary, np.ndarray]:
    """Summary of one parameter with its Monte Carlo errors, and the draws behind it, pooled over the fits."""
    draws = np.concatenate([fit.posterior[variable].to_numpy() for fit in fits], axis=1)
    if not isinstance(fits[0].draws, Weighted):
        return monte_carlo.of_draws(draws), draws
    sizes = [fit.draws.points.log_weights.size for fit in fits]
    starts = np.cumsum([0, *sizes[:-1]])
    points = np.concatenate([start + fit.draws.index for start, fit in zip(starts, fits, strict=True)])
    return monte_carlo.of_points(draws[0], points), draws


@cache
def finer(name: str) -> quadrature.Result:
    """Hyperparameters of the fits by quadrature, on a finer grid, and ``log p(y)``.

    The stored quantiles are sums over cells of the grid: for Columbus the 95% quantile of the sd is stored as 16.00 and
    is 15.89, for Lake Huron the 5% quantile as 0.967 and is 0.981, both more than four of our standard errors.
    """
    case = CASES[REFERENCES[name]]
    table = data_of(case.dataset)
    y = table[case.formula.split(" ~ ")[0]].to_numpy(dtype=float)
    ones = np.ones((len(table), 1))
    if case.dataset == "Dyestuff":
        return quadrature.one_way(y, table["Batch"].to_numpy(), 10_000.0, 0.02)
    if case.dataset == "Nile":  # a random walk is an ICAR on a path
        path = np.column_stack([np.arange(99), np.arange(1, 100)])
        return quadrature.icar(y, ones, np.array([10_000.0]), path, 0.01)
    if case.dataset == "columbus":
        x = np.column_stack([ones, table["INC"], table["HOVAL"]])
        edges = lgm.load_dataset("columbus_adj")[["from", "to"]].to_numpy() - 1
        return quadrature.icar(y, x, np.array([1000.0, 100.0, 100.0]), edges, 0.1)
    x = np.column_stack([ones, table["tc"]])
    return quadrature.ar1_and_noise(y, x, np.array([100.0, 10.0]), (1.0, 1.0))


def printed_posterior(name: str) -> dict[str, dict[str, float]]:
    """The stored summaries by the names of lgm, from the finer grid where there is one."""
    case, printed = CASES[REFERENCES[name]], reference(name)["posterior"]
    if "bayes_exact" in name:
        fine = finer(name).posterior
        printed = {key: fine.get(key.partition(":")[0], summary) for key, summary in printed.items()}
    # sd:rw1(unscaled): the same draws times a constant
    return {
        case.names.get(key.removeprefix("b:"), key.removeprefix("b:")): summary
        for key, summary in printed.items()
        if key != "sd:rw1(unscaled)"
    }


def reference_deviations(name: str, fits: list[lgm.Fit]) -> pd.DataFrame:
    """Deviations from every stored summary of fixed effects and hyperparameters, in standard errors."""
    rows = {}
    for variable, printed in printed_posterior(name).items():
        ours, draws = of_fits(fits, variable)
        rows[variable] = deviations(ours, monte_carlo.of_printed(printed, draws))
    return pd.DataFrame(rows).T


def engine_deviations(ours: list[lgm.Fit], theirs: list[lgm.Fit]) -> pd.DataFrame:
    """Deviations of fits of one model by two engines, in standard errors."""
    design = ours[0].design
    names = [*design.fixed_names, *design.theta_names]
    return pd.DataFrame({n: deviations(of_fits(ours, n)[0], of_fits(theirs, n)[0]) for n in names}).T


def deviations(ours: Summary, theirs: Summary) -> dict[str, float]:
    return {stat: monte_carlo.deviation(ours[stat], theirs[stat]) for stat in ours}


def pooled_evidence(fits: list[lgm.Fit]) -> Estimate:
    """``log p(y)`` from the average of unbiased estimates of ``p(y)``."""
    points = [fit.draws.points for fit in fits]
    values, errors = (np.array([getattr(p, a) for p in points]) for a in ("log_evidence", "log_evidence_se"))
    shares = np.exp(values - values.max())
    value = values.max() + np.log(shares.mean())
    return Estimate(value, float(np.sqrt(np.sum((shares * errors) ** 2)) / shares.sum()))
