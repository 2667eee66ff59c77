"""Rows that are made one say the same of all that is estimated, constants of the likelihood included."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lgm
from lgm import families
from lgm.design import collapse
from lgm.design.collapse import Observations, equal_rows
from lgm.families.cumulative import Cumulative
from lgm.families.response import Response
from lgm.posterior import assemble, density
from lgm.posterior.inner import derivatives

N = 60
RNG = np.random.default_rng(8)
CELLS = RNG.integers(0, 4, N)
A = sp.csc_array(np.column_stack([np.ones(N), (CELLS % 2) * 0.7, np.eye(4)[CELLS]]))
OFFSET = np.array([0.0, 0.3, -1.0, 0.3])[CELLS] + 0.5 * RNG.integers(0, 2, N)
WEIGHTS = RNG.integers(1, 3, N).astype(float)
COUNTS = RNG.poisson(3.0, N).astype(float)
TRIALS = RNG.integers(1, 30, N).astype(float)
SUCCESSES = RNG.binomial(TRIALS.astype(int), 0.3).astype(float)
TIMES = np.round(RNG.exponential(2.0, N)) + 1.0

CASES = {
    "bernoulli": (families.find("bernoulli"), Response(RNG.integers(0, 2, N).astype(float)), {}),
    "probit": (families.find("bernoulli", "probit"), Response(RNG.integers(0, 2, N).astype(float)), {}),
    "binomial": (families.find("binomial", "cloglog"), Response(SUCCESSES, TRIALS), {}),
    "poisson": (families.find("poisson"), Response(COUNTS), {}),
    "negativebinomial": (families.find("negativebinomial"), Response(COUNTS), {"shape": 1.7}),
    "beta_binomial": (families.find("beta_binomial"), Response(COUNTS % 3, np.full(N, 2.0)), {"kappa": 2.0}),
    "cumulative": (
        Cumulative(categories=("a", "b", "c", "d")), Response(1.0 + COUNTS % 4), {"gap": np.array([0.7, 1.1])}
    ),
    "weibull": (
        families.find("weibull"),
        Response(TIMES, upper=TIMES + 1.0, censored=np.array([0, 1, -1, 2])[RNG.integers(0, 4, N)]),
        {"shape": 1.4},
    ),
    "zero_inflated_poisson": (families.find("zero_inflated_poisson"), Response(COUNTS % 3), {"zi": 0.2}),
}  # fmt: skip


@partial(jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0})
def _value_and_slopes(family, y, a, offset, weights, theta, u):
    return jax.value_and_grad(lambda u: jnp.sum(family.loglik(y, a @ u + offset, theta, weights)))(u)


@pytest.mark.parametrize("name", CASES)
def test_the_likelihood_is_that_of_all_rows(name, monkeypatch):
    monkeypatch.setattr(collapse, "WORTH", 1)
    family, y, theta = CASES[name]
    given = Observations((A,), y, OFFSET, WEIGHTS, WEIGHTS)
    found = collapse.collapse(family, given)
    assert found.n < N and np.sum(found.mass) == np.sum(WEIGHTS)
    u = np.random.default_rng(3).normal(size=A.shape[1])
    with jax.enable_x64(True):
        (value, slopes), (same, same_slopes) = (
            _value_and_slopes(family, rows.y, rows.a.toarray(), rows.offset, rows.weights, theta, u)
            for rows in (given, found)
        )
    assert float(same) + found.constant == pytest.approx(float(value), rel=1e-12)
    np.testing.assert_allclose(same_slopes, slopes, rtol=1e-12, atol=1e-12 * np.max(np.abs(slopes)))


def test_how_few_rows_there_are():
    """One for each cell where responses add up, one for each response in it where they do not, as given elsewhere."""
    cells = len(np.unique(np.column_stack([CELLS, OFFSET]), axis=0))
    for name, rows in (("bernoulli", cells), ("poisson", cells), ("negativebinomial", N)):
        family, y, _ = CASES[name]
        assert collapse.collapse(family, Observations((A,), y, OFFSET, np.ones(N), np.ones(N))).n == rows, name
    measured = Observations((A,), Response(np.ones(N)), OFFSET, np.ones(N), np.ones(N))
    for name in ("gaussian", "t", "gamma", "wald"):  # a weight is no number of rows there
        assert collapse.collapse(families.find(name), measured) is measured


def test_rows_are_equal_to_the_last_bit():
    a = sp.csc_array([[1.0, 0.0, 2.0], [2.0, 0.0, 1.0], [1.0, 0.0, 2.0], [0.0, 1.0, 2.0], [1.0, 0.0, 2.0 + 4e-16]])
    found = equal_rows(a, [np.zeros(5)])
    assert found.of.tolist() == [0, 1, 0, 2, 3] and found.first.tolist() == [0, 1, 3, 4]
    assert equal_rows(a, [np.array([0.0, 0, 1, 0, 0])]).first.tolist() == [0, 1, 2, 3, 4]


def test_many_sparse_rows(monkeypatch):
    """Against comparing them one by one, whatever part of A is read at a time."""
    monkeypatch.setattr(collapse, "ENTRIES", 50)
    rng = np.random.default_rng(5)
    a = sp.csc_array(rng.integers(0, 2, (200, 7)) * np.where(np.arange(7) == 6, 0.0, 1.5))
    wanted = [np.flatnonzero(np.all(a.toarray() == row, axis=1))[0] for row in a.toarray()]
    found = equal_rows(a, [])
    assert found.first[found.of].tolist() == wanted
    assert collapse.taken(a, found.first).toarray().tolist() == a.toarray()[found.first].tolist()


def test_a_model_of_equal_rows(monkeypatch):
    """With the kernel, leaves, a constraint, weights and an offset."""
    rng = np.random.default_rng(4)
    n = 80
    frame = pd.DataFrame({"x": rng.integers(0, 2, n), "g": rng.integers(0, 5, n), "t": rng.integers(0, 4, n)})
    frame["y"], frame["w"], frame["o"] = rng.integers(0, 2, n), rng.integers(1, 3, n), 0.4 * frame["x"]

    def analysed():
        formula = "y ~ x + (1|g) + rw1(t) + offset(o)"
        return lgm.model(formula, frame, "bernoulli", weights="w").analysed

    few = analysed()
    monkeypatch.setattr(assemble, "collapse", lambda family, rows: rows)
    whole = analysed()
    assert few.marginal.data.observed.a.n < n == whole.marginal.data.observed.a.n
    np.testing.assert_allclose(few.reference, whole.reference, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(few.gram, whole.gram, rtol=1e-12)
    theta, u = np.full(2, 0.8), rng.normal(size=few.marginal.dim)
    with jax.enable_x64(True):
        (value, *slopes), (same, *same_slopes) = (_seen(each.marginal, theta, u) for each in (whole, few))
    assert float(same) == pytest.approx(float(value), rel=1e-12)
    for one, other in zip(same_slopes, slopes, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@jax.jit
def _seen(post, theta, u):
    """The density and its gradient, and the slopes of the likelihood by leaf at some effects."""
    value, slope = jax.value_and_grad(density.log_likelihood, argnums=1)(post, theta)
    inner, _ = post.data.at(post.prior, post.analysis, theta)
    (slopes,) = derivatives(post.data.observed.loglik(theta), inner.eta(u[:, None])[:, 0], 1)
    return value, slope, post.data.leaves.by_leaf(slopes[:, None])
