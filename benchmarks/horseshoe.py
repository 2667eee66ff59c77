"""A regularised horseshoe with more coefficients than rows, against a long run of the joint model in NumPyro.

p = 200 coefficients, n = 100 rows, 8 signals. lgm integrates the coefficients out and samples the p + 3
hyperparameters; NumPyro samples coefficients and hyperparameters together, not centred. Prints both posteriors of the
signals, the largest differences of means and sds in units of the sd, and what the two runs cost.

    python benchmarks/horseshoe.py [p] [chains] [draws]
"""

from __future__ import annotations

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
from numpyro.diagnostics import summary

import lgm

ROWS, SIGNALS = 100, 8


def data(p: int) -> pd.DataFrame:
    """Independent covariates, of which the first ones matter."""
    rng = np.random.default_rng(11)
    x = rng.standard_normal((ROWS, p))
    beta = np.zeros(p)
    beta[:SIGNALS] = np.linspace(3.0, 1.0, SIGNALS) * np.where(np.arange(SIGNALS) % 2, -1.0, 1.0)
    frame = pd.DataFrame(x, columns=[f"x{j}" for j in range(p)])
    return frame.assign(y=1.0 + x @ beta + rng.standard_normal(ROWS))


def joint(model: lgm.Model, frame: pd.DataFrame, chains: int, draws: int) -> tuple[np.ndarray, float, float]:
    """Draws of the coefficients (S, p) by NumPyro, seconds, and the smallest effective sample size of one."""
    x = frame.drop(columns="y").to_numpy()
    centred, unit = x - x.mean(axis=0), x.std(axis=0)
    (intercept,) = model.chosen_priors.fixed
    tau, local, slab, sigma = (prior.distribution for prior in model.chosen_priors.theta)

    def program(y: jax.Array) -> None:
        alone = numpyro.sample("tau", tau) * numpyro.sample("lambda", local.expand([x.shape[1]]))
        scale = alone / jnp.sqrt(1.0 + (alone / numpyro.sample("slab", slab)) ** 2) / unit
        b = numpyro.deterministic("b", scale * numpyro.sample("z", dist.Normal().expand([x.shape[1]])))
        level = numpyro.sample("level", dist.Normal(intercept.mean, intercept.sd))
        numpyro.sample("y", dist.Normal(level + centred @ b, numpyro.sample("sigma", sigma)), obs=y)

    start = time.perf_counter()
    with jax.enable_x64(True):
        kernel = numpyro.infer.NUTS(program, target_accept_prob=0.95, max_tree_depth=10)
        run = numpyro.infer.MCMC(
            kernel, num_warmup=1000, num_samples=draws, num_chains=chains, chain_method="sequential", progress_bar=False
        )
        run.run(jax.random.key(0), jnp.asarray(frame["y"].to_numpy()))
        found = np.asarray(run.get_samples(group_by_chain=True)["b"])
    seconds = time.perf_counter() - start
    return found.reshape(-1, x.shape[1]), seconds, float(np.min(summary({"b": found})["b"]["n_eff"]))


def main() -> None:
    """Run both."""
    p, chains, draws = (int(a) for a in [*sys.argv[1:], *("200", "4", "2000")[len(sys.argv) - 1 :]])
    frame = data(p)
    model = lgm.model(f"y ~ 1 + hs({', '.join(f'x{j}' for j in range(p))}, p0={SIGNALS})", frame)
    start = time.perf_counter()
    fit = model.fit(method="nuts", chains=4, draws=1000, seed=1, progress=False)
    own = fit.ranef()
    print(f"lgm: {time.perf_counter() - start:.0f} s. {fit.verdict}", flush=True)
    found, seconds, ess = joint(model, frame, chains, draws)
    print(f"NumPyro: {seconds:.0f} s, {len(found)} draws, smallest effective sample size of a coefficient {ess:.0f}")
    mean, sd = found.mean(axis=0), found.std(axis=0)
    table = pd.DataFrame({"lgm": own["mean"].to_numpy(), "sd": own["sd"].to_numpy(), "NumPyro": mean, "its sd": sd})
    print(table.head(SIGNALS + 2).round(3).to_string())
    away = np.abs(table["lgm"] - mean) / sd
    ratio = np.abs(np.log(table["sd"] / sd))
    print(f"largest difference of a mean: {away.max():.3f} sd; of a log sd: {ratio.max():.3f}")


if __name__ == "__main__":
    main()
