"""Chains resampled by weights: in order, within themselves, and to the posterior that the weights say."""

from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.inference.chains import Chains
from lgm.inference.compile import jit
from lgm.inference.corrected import _in_order, corrected
from lgm.inference.ladder import with_rung
from lgm.posterior import density

_gains = jit(jax.vmap(lambda post, theta, z: density.effects(post, theta, z).gain, (None, 0, 0)))


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(12), 3)
    y = rng.binomial(1, 1 / (1 + np.exp(-2.0 * rng.standard_normal(12)[g])))
    return lgm.model("y ~ 1 + (1|g)", pd.DataFrame({"y": y, "g": g}), "bernoulli")


def chains(n=2, draws=96):
    theta = np.linspace(0.2, 4.0, draws)[None, :, None] * np.ones((n, 1, 1))
    stats = {"diverging": np.zeros((n, draws), dtype=bool), "lp": np.zeros((n, draws))}
    return Chains(theta, stats, False, np.ones(n), 150)


@pytest.fixture(scope="module")
def moved(model):
    return corrected(with_rung(model.analysed.marginal, "weighted", 8), chains(), 1, progress=False)


def test_weights_are_what_the_plain_approximation_lacks(model, moved):
    """By the likelihood itself: far better estimates of it, over as many pairs as leave little error."""
    post = with_rung(model.analysed.marginal, "leaves", 64)
    with jax.enable_x64(True):
        thetas = chains().theta[0, ::24]
        z = np.random.default_rng(3).standard_normal((len(thetas), post.n_normals, 64))
        reference = np.asarray(_gains(post, thetas, z))
    found = np.exp(moved.points.log_weights).reshape(2, -1)[:, ::24].mean(axis=0)
    ratio = found / np.exp(reference)
    np.testing.assert_allclose(ratio / ratio.mean(), 1.0, atol=0.5)  # two estimates of eight pairs each
    assert np.ptp(reference) > 0.3


def test_every_chain_keeps_its_share_and_its_order(moved):
    weights = np.exp(moved.points.log_weights).reshape(2, -1)
    np.testing.assert_allclose(weights.sum(axis=1), 0.5)
    index = moved.index.reshape(2, -1)
    assert np.all(index[0] < 96) and np.all(index[1] >= 96) and np.all(np.diff(index, axis=1) >= 0)
    np.testing.assert_array_equal(moved.theta.reshape(-1, 1), moved.points.theta[moved.index])
    points, which = moved.effects_at()
    assert points.draws.shape == (192, 1, 13) and which is moved.index


def test_a_point_is_taken_as_often_as_its_weight_says():
    weights = np.array([0.5, 0.05, 0.25, 0.2])
    counts = np.bincount(_in_order(weights, 40, np.random.default_rng(0)), minlength=4)
    np.testing.assert_allclose(counts, 40 * weights, atol=1.0)


def test_the_verdict_knows_the_weights(moved):
    names = ["Intercept", "sd(Intercept|g)"]
    columns = {"mean": 1.0, "sd": 1.0, "ess_bulk": 900.0, "ess_tail": 900.0, "r_hat": 1.001}
    summary = pd.DataFrame(columns, index=names)
    fine = moved.verdict(summary)
    assert fine.text.startswith("Converged") and "Corrected by weights of the chains" in fine.text
    bad = type(moved)(**{**vars(moved), "k": 0.9}).verdict(summary)
    assert bad.doubted and bad.text.startswith("Not reliable")
    assert moved.facts(proper=True) == {"pareto_k": moved.k, "ess": moved.ess, "failed": 0}
    failed = replace(moved, failed=2)
    assert failed.verdict(summary).text == f"{fine.text} 2 of 192 points had no density."
    assert failed.facts(proper=True)["failed"] == 2
    few = replace(moved, ess=20.0)
    assert few.verdict(summary).text.endswith("20 of 192 effective.")
    assert 'Weights leave few of the draws: method="importance"' in few.verdict(summary.assign(r_hat=1.1)).text


def test_exact_chains_stay_as_they_are(model):
    own = chains()
    assert corrected(with_rung(model.analysed.marginal, "laplace", 1), own, 1, progress=False) is own
