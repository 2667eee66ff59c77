"""Whether the alarms of approximations fire where they should, on ten simulated models that chose no threshold.

    python benchmarks/alarms.py [names] [--approximations laplace auto] [--seed 1] [--points 4096] [--list]

Each model is fitted with ``method="importance"`` under each approximation, and compared with a reference that shares
nothing with lgm: with one grouping factor the effects of groups are integrated by the trapezoid rule, and fixed effects
and hyperparameters by importance sampling about their mode; else by NumPyro's NUTS on all unknowns together.

What is printed of a fit: the moves of fixed effects and hyperparameters that it predicts for plain Laplace; the
variance of the log weights at the mode and their k; Pareto k at the end; whether it warned; and how far it really is
from the reference, in posterior sds, and in logs of sds. Alarms are right if what is printed without one is near.

| model | data |
|---|---|
| tiny groups | 150 groups x 4 binary, slope, sd 1.5 |
| cloglog | 40 groups x 3 of 8 trials, complementary log-log, sd 1 |
| rare | 300 groups x 6 binary, three per cent events, sd 1.5 |
| low counts | 100 groups x 3 Poisson, mean 0.3, sd 1 |
| negative binomial | 60 groups x 5, mean 4, shape 1.5, sd 0.6 |
| gamma | 50 groups x 4, log link, shape 2, sd 0.5 |
| crossed | 30 x 30 binary, once each in a third of the cells, sds 1.2 and 0.7 |
| walk | Poisson counts, mean 2, over 100 times, second-order walk |
| lattice | 12 x 12 regions, 3 trials each, icar |
| slopes | 100 groups x 8 binary, correlated intercepts and slopes, sds 1 and 0.7 |
"""

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
from numpyro.diagnostics import effective_sample_size
from numpyro.infer import MCMC, NUTS
from scipy import optimize, stats
from scipy.special import expit, logsumexp

import lgm
from lgm import priors

NODES = np.linspace(-9.0, 9.0, 181)  # of a standard normal effect
LOG_MASS = -0.5 * NODES**2 - 0.5 * np.log(2.0 * np.pi) + np.log(NODES[1] - NODES[0])
FIXED_SD, SD_RATE = 3.0, 1.0
DISPERSION = (2.0, 0.5)  # gamma prior of the shape


class Simulated(NamedTuple):
    """A model, its data, and how its posterior is found without lgm."""

    formula: str
    family: str
    link: str | None
    data: pd.DataFrame
    reference: Callable[[int, int], pd.DataFrame]  # mean, sd and ess by parameter, of a number of points and a seed
    env: dict[str, Any] = {}


# One grouping factor --------------------------------------------------------------------------------------------------


def grouped(
    data: pd.DataFrame, covariates: list[str], logp: Callable[..., np.ndarray], *, dispersed: bool = False
) -> Callable[[int, int], pd.DataFrame]:
    """Of ``y ~ covariates + (1|g)``; ``logp(eta)``, or ``logp(eta, shape)``, has a column per node."""
    x = np.column_stack([np.ones(len(data)), *(data[name] for name in covariates)])
    codes, p = data["g"].to_numpy(), 1 + len(covariates)
    starts = np.flatnonzero(np.r_[True, np.diff(codes) > 0])

    def log_posterior(at: np.ndarray) -> float:
        sd, shape = np.exp(at[p]), np.exp(at[p + 1]) if dispersed else None
        eta = (x @ at[:p])[:, None] + sd * NODES
        rows = logp(eta) if shape is None else logp(eta, shape)
        value = logsumexp(np.add.reduceat(rows, starts) + LOG_MASS, axis=1).sum()
        value += stats.norm.logpdf(at[:p], scale=FIXED_SD).sum() + at[p] - SD_RATE * sd
        if shape is not None:
            value += stats.gamma.logpdf(shape, DISPERSION[0], scale=1.0 / DISPERSION[1]) + at[p + 1]
        return float(value)

    names = ["Intercept", *covariates, "sd(Intercept|g)", *(["shape"] if dispersed else [])]

    def reference(points: int, seed: int) -> pd.DataFrame:
        start = np.zeros(len(names))
        mode = optimize.minimize(lambda at: -log_posterior(at), start, method="Nelder-Mead", options={"maxfev": 4000}).x
        root = np.linalg.cholesky(np.linalg.inv(_curvature(log_posterior, mode)))
        normal = stats.norm.ppf(stats.qmc.Sobol(mode.size + 1, seed=seed).random(points))
        chi = stats.chi2.ppf(stats.norm.cdf(normal[:, -1]), 5)[:, None] / 5.0  # Student t of five degrees of freedom
        away = 1.15 * normal[:, :-1] / np.sqrt(chi)
        at = mode + away @ root.T
        logs = np.array([log_posterior(each) for each in at])
        logs += 0.5 * (5 + mode.size) * np.log1p(np.sum((away / 1.15) ** 2, axis=1) / 5.0)
        weights = np.exp(logs - logsumexp(logs))
        at[:, p:] = np.exp(at[:, p:])
        return _moments(at, weights, names)

    return reference


def _curvature(function: Callable[[np.ndarray], float], at: np.ndarray, step: float = 1e-3) -> np.ndarray:
    """Minus the matrix of second derivatives, by differences."""
    d = at.size
    out, e = np.empty((d, d)), step * np.eye(d)
    for i in range(d):
        for j in range(d):
            corners = (s * t * function(at + s * e[i] + t * e[j]) for s in (1, -1) for t in (1, -1))
            out[i, j] = -sum(corners) / (4.0 * step**2)
    return 0.5 * (out + out.T)


def _moments(values: np.ndarray, weights: np.ndarray, names: list[str]) -> pd.DataFrame:
    mean = weights @ values
    sd, ess = np.sqrt(weights @ (values - mean) ** 2), 1.0 / np.sum(weights**2)
    return pd.DataFrame({"mean": mean, "sd": sd, "ess": ess}, names)


# Everything else ------------------------------------------------------------------------------------------------------


def joint(program: Callable[[], None]) -> Callable[[int, int], pd.DataFrame]:
    """By NUTS on all unknowns; what the program calls ``deterministic`` is compared."""

    def reference(points: int, seed: int) -> pd.DataFrame:
        with jax.enable_x64(True):
            run = MCMC(NUTS(program, target_accept_prob=0.9), num_warmup=1000, num_samples=points, progress_bar=False)
            run.run(jax.random.key(seed))
            draws = run.get_samples(group_by_chain=True)
        kept = {name: np.asarray(value) for name, value in draws.items() if not name.startswith("_")}
        found = {n: {"mean": v.mean(), "sd": v.std(ddof=1), "ess": effective_sample_size(v)} for n, v in kept.items()}
        return pd.DataFrame(found).T

    return reference


def _fixed(names: list[str]) -> jax.Array:
    return jnp.stack([numpyro.sample(name, dist.Normal(0.0, FIXED_SD)) for name in names])


def _sd(name: str) -> jax.Array:
    return numpyro.sample(name, dist.Exponential(SD_RATE))


def _standard(name: str, n: int) -> jax.Array:
    return numpyro.sample(f"_{name}", dist.Normal(0.0, 1.0).expand([n]).to_event(1))


def scaled_root(structure: np.ndarray, nullity: int) -> np.ndarray:
    """A square root of the generalised inverse whose variances have geometric mean one."""
    values, vectors = np.linalg.eigh(structure)
    root = vectors[:, nullity:] / np.sqrt(values[nullity:])
    return np.asarray(root / np.exp(0.5 * np.mean(np.log(np.sum(root**2, axis=1)))))


# The models -----------------------------------------------------------------------------------------------------------


def _groups(rng: np.random.Generator, n: int, size: int, sd: float) -> tuple[pd.DataFrame, np.ndarray]:
    data = pd.DataFrame({"g": np.repeat(np.arange(n), size), "x": rng.standard_normal(n * size)})
    return data, np.repeat(sd * rng.standard_normal(n), size)


def tiny_groups(rng: np.random.Generator) -> Simulated:
    data, u = _groups(rng, 150, 4, 1.5)
    y = (rng.random(len(data)) < expit(-0.5 + 0.8 * data["x"] + u)).to_numpy(dtype=float)[:, None]
    reference = grouped(data, ["x"], lambda eta: y * eta - np.logaddexp(0.0, eta))
    return Simulated("y ~ x + (1|g)", "bernoulli", None, data.assign(y=y[:, 0].astype(int)), reference)


def cloglog(rng: np.random.Generator) -> Simulated:
    data, u = _groups(rng, 40, 3, 1.0)
    y = rng.binomial(8, -np.expm1(-np.exp(-1.0 + 0.5 * data["x"] + u)))[:, None]
    ways = stats.binom.logpmf(y, 8, 0.5) + 8.0 * np.log(2.0)

    def logp(eta: np.ndarray) -> np.ndarray:
        rate = np.exp(np.minimum(eta, 30.0))
        return ways + y * np.log(-np.expm1(-rate)) - (8 - y) * rate

    reference = grouped(data, ["x"], logp)
    data = data.assign(y=y[:, 0], fail=8 - y[:, 0])
    return Simulated("cbind(y, fail) ~ x + (1|g)", "binomial", "cloglog", data, reference)


def rare(rng: np.random.Generator) -> Simulated:
    data, u = _groups(rng, 300, 6, 1.5)
    y = (rng.random(len(data)) < expit(-4.5 + u)).astype(float)[:, None]
    reference = grouped(data, [], lambda eta: y * eta - np.logaddexp(0.0, eta))
    return Simulated("y ~ 1 + (1|g)", "bernoulli", None, data.assign(y=y[:, 0].astype(int)), reference)


def low_counts(rng: np.random.Generator) -> Simulated:
    data, u = _groups(rng, 100, 3, 1.0)
    y = rng.poisson(np.exp(-1.7 + 0.4 * data["x"] + u))[:, None]
    reference = grouped(data, ["x"], lambda eta: y * eta - np.exp(eta))
    return Simulated("y ~ x + (1|g)", "poisson", None, data.assign(y=y[:, 0]), reference)


def negative_binomial(rng: np.random.Generator) -> Simulated:
    data, u = _groups(rng, 60, 5, 0.6)
    mu = np.exp(1.4 + 0.3 * data["x"] + u)
    y = rng.negative_binomial(1.5, 1.5 / (1.5 + mu))[:, None]

    def logp(eta: np.ndarray, shape: float) -> np.ndarray:
        return np.asarray(stats.nbinom.logpmf(y, shape, shape / (shape + np.exp(np.minimum(eta, 50.0)))))

    reference = grouped(data, ["x"], logp, dispersed=True)
    return Simulated("y ~ x + (1|g)", "negativebinomial", None, data.assign(y=y[:, 0]), reference)


def gamma(rng: np.random.Generator) -> Simulated:
    data, u = _groups(rng, 50, 4, 0.5)
    y = rng.gamma(2.0, np.exp(0.5 - 0.3 * data["x"] + u) / 2.0)[:, None]

    def logp(eta: np.ndarray, shape: float) -> np.ndarray:
        return np.asarray(stats.gamma.logpdf(y, shape, scale=np.exp(eta) / shape))

    reference = grouped(data, ["x"], logp, dispersed=True)
    return Simulated("y ~ x + (1|g)", "gamma", "log", data.assign(y=y[:, 0]), reference)


def crossed(rng: np.random.Generator) -> Simulated:
    cells = rng.permutation(900)[:300]
    a, b = cells // 30, cells % 30
    eta = 0.3 + 1.2 * rng.standard_normal(30)[a] + 0.7 * rng.standard_normal(30)[b]
    y = (rng.random(300) < expit(eta)).astype(int)

    def program() -> None:
        (level,) = _fixed(["Intercept"])
        effects = _sd("sd(Intercept|a)") * _standard("a", 30)[a] + _sd("sd(Intercept|b)") * _standard("b", 30)[b]
        numpyro.sample("_y", dist.Bernoulli(logits=level + effects), obs=y)

    return Simulated("y ~ 1 + (1|a) + (1|b)", "bernoulli", None, pd.DataFrame({"y": y, "a": a, "b": b}), joint(program))


def walk(rng: np.random.Generator) -> Simulated:
    n = 100
    t = np.arange(n)
    y = rng.poisson(np.exp(0.7 + 0.6 * np.sin(t / 9.0) + 0.3 * np.sin(t / 4.0)))
    differences = np.diff(np.eye(n), 2, axis=0)
    root = scaled_root(differences.T @ differences, 2)

    def program() -> None:
        level, slope = _fixed(["Intercept", "rw2(t)[linear]"])
        effects = _sd("sd(rw2(t))") * root @ _standard("t", n - 2)
        numpyro.sample("_y", dist.Poisson(jnp.exp(level + slope * t + effects)), obs=y)

    return Simulated("y ~ 1 + rw2(t)", "poisson", None, pd.DataFrame({"y": y, "t": t}), joint(program))


def lattice(rng: np.random.Generator) -> Simulated:
    side, n = 12, 144
    place = np.arange(n).reshape(side, side)
    pairs = [(place[:, :-1], place[:, 1:]), (place[:-1], place[1:])]
    edges = np.concatenate([np.column_stack([one.ravel(), other.ravel()]) for one, other in pairs])
    structure = np.zeros((n, n))
    np.add.at(structure, (edges[:, 0], edges[:, 0]), 1.0)
    np.add.at(structure, (edges[:, 1], edges[:, 1]), 1.0)
    structure[edges[:, 0], edges[:, 1]] = structure[edges[:, 1], edges[:, 0]] = -1.0
    root = scaled_root(structure, 1)
    y = rng.binomial(3, expit(-0.3 + root @ rng.standard_normal(n - 1)))

    def program() -> None:
        (level,) = _fixed(["Intercept"])
        effects = _sd("sd(icar(region))") * root @ _standard("region", n - 1)
        numpyro.sample("_y", dist.Binomial(3, logits=level + effects), obs=y)

    data = pd.DataFrame({"y": y, "fail": 3 - y, "region": np.arange(n)})
    env = {"graph": lgm.graph(edges, range(n))}
    return Simulated("cbind(y, fail) ~ 1 + icar(region, graph)", "binomial", None, data, joint(program), env)


def slopes(rng: np.random.Generator) -> Simulated:
    n, size = 100, 8
    g, x = np.repeat(np.arange(n), size), rng.standard_normal(n * size)
    sds, rho = np.array([1.0, 0.7]), 0.4
    u = rng.standard_normal((n, 2)) @ np.linalg.cholesky(np.array([[1.0, rho], [rho, 1.0]])).T * sds
    y = (rng.random(n * size) < expit(0.2 + u[g, 0] + (0.5 + u[g, 1]) * x)).astype(int)

    def program() -> None:
        level, slope = _fixed(["Intercept", "x"])
        sd = jnp.stack([_sd("sd(Intercept|g)"), _sd("sd(x|g)")])
        corr = numpyro.sample("corr(Intercept,x|g)", dist.Uniform(-1.0, 1.0))  # LKJ(1)
        z = _standard("g", 2 * n).reshape(n, 2)
        first, second = sd[0] * z[:, 0], sd[1] * (corr * z[:, 0] + jnp.sqrt(1.0 - corr**2) * z[:, 1])
        numpyro.sample("_y", dist.Bernoulli(logits=level + first[g] + (slope + second[g]) * x), obs=y)

    return Simulated("y ~ x + (x|g)", "bernoulli", None, pd.DataFrame({"y": y, "g": g, "x": x}), joint(program))


MODELS: dict[str, Callable[[np.random.Generator], Simulated]] = {
    "tiny groups": tiny_groups,
    "cloglog": cloglog,
    "rare": rare,
    "low counts": low_counts,
    "negative binomial": negative_binomial,
    "gamma": gamma,
    "crossed": crossed,
    "walk": walk,
    "lattice": lattice,
    "slopes": slopes,
}


def model_of(made: Simulated) -> lgm.Model:
    """With the priors of its reference."""
    options = {} if made.link is None else {"link": made.link}
    first = lgm.model(made.formula, made.data, made.family, env=made.env, **options)
    chosen: dict[str, Any] = {name: priors.normal(0.0, FIXED_SD) for name in first.design.fixed_names}
    chosen["sd"] = priors.exponential(SD_RATE)
    if "shape" in first.design.theta_names:
        chosen["shape"] = priors.gamma(*DISPERSION)
    if any(name.startswith("corr") for name in first.design.theta_names):
        chosen["corr"] = priors.lkj(1.0)
    return lgm.model(made.formula, made.data, made.family, env=made.env, priors=chosen, **options)


def compared(fit: lgm.Fit, reference: pd.DataFrame) -> dict[str, float]:
    """Distances of means in sds, and of sds in logs: the largest of fixed effects, and of hyperparameters.

    Beside them the largest Monte Carlo error of the reference's means.
    """
    ours = fit.summary().loc[reference.index]
    away = ((ours["mean"] - reference["mean"]) / reference["sd"]).abs()
    fixed = away.index.isin(fit.design.fixed_names)
    return {
        "fixed": away[fixed].max(),
        "theta": away[~fixed].max(),
        "log sd": np.log(ours["sd"] / reference["sd"]).abs().max(),
        "error": 1.0 / np.sqrt(reference["ess"].min()),
    }


def measured(name: str, approximations: list[str], points: int, seed: int) -> pd.DataFrame:
    """One row for each approximation."""
    made = MODELS[name](np.random.default_rng([seed, *name.encode()]))
    reference, rows = made.reference(points, seed), {}
    model = model_of(made)
    for approximation in approximations:
        started = time.perf_counter()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            fit = model.fit(method="importance", approximation=approximation, seed=seed, progress=False)
        facts = fit.summary().attrs
        rows[name, approximation] = {
            "by": facts["approximation"],
            "shift": facts["largest_shift"],
            "second": facts["sd_second_order"],
            "variance": facts["log_weight_variance"],
            "pair k": facts["pair_k"],
            "k": facts["pareto_k"],
            "alarm": bool(said),
            **compared(fit, reference),
            "s": time.perf_counter() - started,
        }
    return pd.DataFrame(rows).T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(MODELS))
    parser.add_argument("--approximations", nargs="+", default=["laplace", "auto"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--points", type=int, default=4096)
    parser.add_argument("--list", action="store_true", help="only the names of the models")
    chosen = parser.parse_args()
    if chosen.list:
        print("\n".join(MODELS))
        return
    for name in chosen.names:
        print(measured(name, chosen.approximations, chosen.points, chosen.seed).to_string(float_format="{:.3g}".format))


if __name__ == "__main__":
    main()
