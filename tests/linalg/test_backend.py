"""A whole model on another backend: only the analysis in its posterior is replaced."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.linalg import analyse_dense
from lgm.posterior import density

EDGES = [(k, k + 1) for k in range(11)] + [(0, 11), (2, 9)]
FORMULAS = ["y ~ x + (1 + x|g)", "y ~ x + (1|g) + rw1(t) + icar(region, graph)", "y ~ bym2(region, graph)"]


def data() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 60
    columns = {"x": rng.normal(size=n), "g": rng.integers(6, size=n), "t": rng.integers(8, size=n)}
    return pd.DataFrame({**columns, "region": rng.integers(12, size=n), "y": rng.normal(size=n)})


@pytest.mark.parametrize("formula", [*FORMULAS[:2], pytest.param(FORMULAS[2], marks=pytest.mark.slow)])
def test_a_posterior_runs_on_dense_algebra(formula: str) -> None:
    sparse = lgm.model(formula, data(), env={"graph": lgm.graph(EDGES)}).analysed.marginal
    dense = replace(sparse, analysis=analyse_dense(sparse.analysis.pattern, constraints=sparse.analysis.constraints))
    x = jnp.linspace(-0.4, 0.3, sparse.hyper.working_size)
    functionals = jnp.eye(sparse.dim, 3)

    @jax.jit
    def everything(post: density.Marginal, x: jax.Array) -> tuple[jax.Array, ...]:
        theta = post.hyper.natural(x)
        mean = density.effects(post, theta, jnp.zeros((post.n_normals, 1))).mean
        log_likelihood = density.log_likelihood(post, theta)
        return log_likelihood, *density.value_and_grad(post, x), mean, *density.variances(post, theta, functionals)

    for found, wanted in zip(everything(dense, x), everything(sparse, x), strict=True):
        assert bool(jnp.all(jnp.isfinite(wanted)))
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


def test_replacing_the_analysis_compiles_again_and_only_once() -> None:
    post = lgm.model(FORMULAS[0], data()).analysed.marginal
    traces = []

    @jax.jit
    def value(post: density.Marginal, theta: jax.Array) -> jax.Array:
        traces.append(type(post.analysis).__name__)
        return density.log_likelihood(post, theta)

    theta = post.hyper.natural(jnp.zeros(post.hyper.working_size))
    for _ in range(2):
        for analysis in (post.analysis, analyse_dense(post.analysis.pattern, constraints=post.analysis.constraints)):
            value(replace(post, analysis=analysis), theta)
    assert traces == ["SparseAnalysis", "DenseAnalysis"]
