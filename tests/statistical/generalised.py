"""Counts and shares: models that long Stan runs have fitted with the same priors, and how far a fit is from them.

Unlike for Gaussian responses there is more than one approximation, so the distance itself is what matters: of means
in posterior standard deviations, and the ratio of these. What a reference errs by itself comes on top.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from helpers import reference
from statistical import monte_carlo, quadrature
from statistical.models import DISTRIBUTIONS

import lgm
from lgm import priors

OWN_ERRORS = 3.0  # Monte Carlo standard errors of the reference that are added to what is accepted
OF_EFFECTS, OF_PARAMETERS, OF_SDS = 0.05, 0.1, 0.05  # posterior sds; posterior sds; relative
FACTORS = ("period",)


class Case(NamedTuple):
    """A model, and the names that its parameters and effects have in the file of the reference."""

    formula: str
    family: str
    names: dict[str, str]
    effects: dict[str, str]
    prepare: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table
    graph: tuple[str, int] | None = None  # table of neighbours, number of regions


def _epil(table: pd.DataFrame) -> pd.DataFrame:
    log_base, treated = np.log(table["base"] / 4), (table["trt"] == "progabide").astype(float)
    columns = {"lb": log_base, "tr": treated, "bt": log_base * treated, "la": np.log(table["age"]), "v4": table["V4"]}
    centred = {name: column - column.mean() for name, column in columns.items()}
    return table.assign(**centred, obs=np.arange(1, len(table) + 1))


def _scotlip(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(aff10=table["aff"] / 10)


def _nc_sids(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(E=table["BIR74"] * table["SID74"].sum() / table["BIR74"].sum())


COVARIATES = "y ~ lb + tr + bt + la + v4"
SUBJECT = {"sd:subject": "sd(Intercept|subject)"}
PLATE = {"sd:plate": "sd(Intercept|plate)"}
BYM2 = {"sd:bym2_total": "sd(bym2(id))", "phi:bym2": "phi(bym2(id))", "phi": "phi(bym2(id))"}
LIP = "y ~ aff10 + offset(log(E))"
CASES = {
    "cbpp.bayes_stan": Case(
        "cbind(incidence, size - incidence) ~ period + (1|herd)",
        "binomial",
        {"sd:herd": "sd(Intercept|herd)"},
        {"herd": "Intercept|herd"},
    ),
    "seeds.bayes_stan": Case("cbind(r, n - r) ~ x1 * x2 + (1|plate)", "binomial", PLATE, {"plate": "Intercept|plate"}),
    "seeds.bayes_stan_pc": Case(
        "cbind(r, n - r) ~ x1 * x2 + (1|plate)", "binomial", PLATE, {"plate": "Intercept|plate"}
    ),
    "epil.bayes_subject": Case(
        f"{COVARIATES} + (1|subject)", "poisson", SUBJECT, {"subject": "Intercept|subject"}, _epil
    ),
    "epil.bayes_subject_obs": Case(
        f"{COVARIATES} + (1|subject) + (1|obs)",
        "poisson",
        SUBJECT | {"sd:obs": "sd(Intercept|obs)"},
        {"subject": "Intercept|subject", "obs": "Intercept|obs"},
        _epil,
    ),
    "epil.bayes_nbinom": Case(
        f"{COVARIATES} + (1|subject)", "negativebinomial", SUBJECT, {"subject": "Intercept|subject"}, _epil
    ),
    "salamander.bayes_crossed": Case(
        "Mate ~ wsf * wsm + (1|Female) + (1|Male)",
        "bernoulli",
        {"sd:Female": "sd(Intercept|Female)", "sd:Male": "sd(Intercept|Male)"},
        {"Female": "Intercept|Female", "Male": "Intercept|Male"},
    ),
    "scotlip.bayes_iid": Case(
        f"{LIP} + (1|id)", "poisson", {"sd:id": "sd(Intercept|id)"}, {"id": "Intercept|id"}, _scotlip
    ),
    "scotlip.bayes_icar_ck": Case(
        f"{LIP} + icar(id, graph)",
        "poisson",
        {"sd:icar(scaled)": "sd(icar(id))"},
        {"icar": "icar(id)"},
        _scotlip,
        ("scotlip_adj_ck", 56),
    ),
    "scotlip.bayes_bym2_ck": Case(
        f"{LIP} + bym2(id, graph)", "poisson", BYM2, {"bym2_total": "bym2(id)"}, _scotlip, ("scotlip_adj_ck", 56)
    ),
    "scotlip.bayes_bym2_geobugs": Case(
        f"{LIP} + bym2(id, graph)", "poisson", BYM2, {"bym2_total": "bym2(id)"}, _scotlip, ("scotlip_adj_geobugs", 56)
    ),
    "nc_sids.bayes_bym2": Case(
        "SID74 ~ 1 + offset(log(E)) + bym2(id, graph)",
        "poisson",
        BYM2,
        {"bym2_total": "bym2(id)"},
        _nc_sids,
        ("nc_sids_adj_cr85", 100),
    ),
    "tokyo.bayes_crw2": Case(
        "cbind(y, n - y) ~ 1 + rw2(time, cyclic=True)",
        "binomial",
        {"sd:crw2(scaled)": "sd(rw2(time))"},
        {"crw2": "rw2(time)"},
    ),
}


def our_name(case: Case, theirs: str) -> str:
    """Of a parameter in a file."""
    name = theirs.removeprefix("b:")
    factor = next((each for each in FACTORS if name.startswith(each)), None)
    if factor is not None:
        return f"{factor}[T.{name.removeprefix(factor)}]"
    return "Intercept" if name == "(Intercept)" else case.names.get(name, name)


@cache
def model_of(name: str) -> lgm.Model:
    """With the priors of the reference."""
    case, stored = CASES[name], reference(name)
    dataset = name.partition(".")[0]
    env = {}
    if case.graph is not None:
        table, regions = case.graph
        env["graph"] = lgm.graph(lgm.load_dataset(table), range(1, regions + 1))
    given = {**stored["priors"]["fixed"], **{key: prior for key, prior in stored["priors"].items() if key != "fixed"}}
    chosen = {our_name(case, key): DISTRIBUTIONS[prior["dist"]](prior) for key, prior in given.items()}
    return lgm.model(case.formula, case.prepare(lgm.load_dataset(dataset)), case.family, priors=chosen, env=env)


@cache
def fitted(name: str, method: str, approximation: str = "auto") -> lgm.Fit:
    """By an engine, with the settings of a user who set none but the seed."""
    return model_of(name).fit(method=method, approximation=approximation, seed=20251, progress=False)


def distances(name: str, fit: lgm.Fit) -> pd.DataFrame:
    """For each parameter and effect: difference of means in sds and of log sds, and what of each is accepted."""
    case, stored = CASES[name], reference(name)
    ours, rows = fit.summary(), {}
    for key, printed in stored["posterior"].items():
        variable = our_name(case, key)
        if variable not in ours.index:
            assert "unscaled" in key or "total*" in key, key  # the same draws, otherwise scaled
            continue
        theirs = monte_carlo.of_printed(printed, fit.posterior[variable].to_numpy().ravel())
        limit = OF_EFFECTS if variable in fit.design.fixed_names else OF_PARAMETERS
        rows[variable] = _row(ours.loc[variable], printed["mean"], printed["sd"], limit, theirs)
    assert set(rows) == {*fit.design.fixed_names, *fit.design.theta_names}
    size = min(printed["ess_bulk"] for printed in stored["posterior"].values())  # those of effects are not stored
    for key, effect in case.effects.items():
        table, found = stored["ranef"][key], fit.ranef(effect).loc[effect]
        labels = [each if isinstance(each, str) else f"{each:g}" for each in found.index]
        # of regions and times the file says no more than that they are in order
        assert labels == table.get("levels", [str(i) for i in range(1, len(labels) + 1)])
        for label, mean, sd, (_, row) in zip(labels, table["mean"], table["sd"], found.iterrows(), strict=True):
            theirs = {
                "mean": monte_carlo.Estimate(mean, sd / np.sqrt(size)),
                "sd": monte_carlo.Estimate(sd, sd / np.sqrt(2.0 * size)),
            }
            rows[f"{effect}[{label}]"] = _row(row, mean, sd, OF_EFFECTS, theirs)
    return pd.DataFrame(rows).T


def _row(ours: Any, mean: float, sd: float, limit: float, theirs: dict[str, monte_carlo.Estimate]) -> dict[str, float]:
    return {
        "mean": (ours["mean"] - mean) / sd,
        "mean_limit": limit + OWN_ERRORS * theirs["mean"].error / sd,
        "sd": float(np.log(ours["sd"] / sd)),
        "sd_limit": OF_SDS + OWN_ERRORS * theirs["sd"].error / sd,
    }


def far(found: pd.DataFrame) -> pd.DataFrame:
    """What is farther than accepted."""
    return found[(found["mean"].abs() > found["mean_limit"]) | (found["sd"].abs() > found["sd_limit"])]


# 500 groups of five binary outcomes whose sd of 3 leaves most groups all zero -----------------------------------------


@cache
def small_groups() -> pd.DataFrame:
    """Simulated: what a normal approximation of the effects of groups is worst for."""
    rng = np.random.default_rng(11)
    effects = 3.0 * rng.standard_normal(500)
    group = np.repeat(np.arange(500), 5)
    y = rng.random(2500) < 1.0 / (1.0 + np.exp(3.0 - effects[group]))
    return pd.DataFrame({"y": y.astype(int), "g": group})


INTERCEPT_SD, SD_RATE = 5.0, 0.5


@cache
def small_groups_model() -> lgm.Model:
    chosen = {"Intercept": priors.normal(0, INTERCEPT_SD), "sd": priors.exponential(SD_RATE)}
    return lgm.model("y ~ 1 + (1|g)", small_groups(), "bernoulli", priors=chosen)


@cache
def small_groups_posterior() -> dict[str, dict[str, float]]:
    """By quadrature: the intercept and the sd."""
    successes = small_groups().groupby("g")["y"].sum().to_numpy()
    return quadrature.binary_groups(successes, 5, INTERCEPT_SD, SD_RATE, (-7.0, -1.0), (0.3, 2.2)).posterior


def small_groups_distances(fit: lgm.Fit) -> pd.DataFrame:
    """As `distances`; quadrature has no error of its own, but chains have one here where few draws are effective."""
    rows = {}
    for variable, printed in small_groups_posterior().items():
        limit = OF_EFFECTS if variable == "Intercept" else OF_PARAMETERS
        found = fit.summary().loc[variable]
        error = printed["sd"] / np.sqrt(found.get("ess_bulk", np.inf))
        own = {
            "mean": monte_carlo.Estimate(printed["mean"], error),
            "sd": monte_carlo.Estimate(printed["sd"], error / np.sqrt(2.0)),
        }
        rows[variable] = _row(found, printed["mean"], printed["sd"], limit, own)
    return pd.DataFrame(rows).T
