"""Importance sampling: the proposal, exact evidence, agreement with quadrature and NUTS, alarms."""

import numpy as np
import pytest
from helpers import reference
from scipy import integrate

import lgm
from lgm import priors
from lgm.inference import importance
from lgm.inference.importance import Proposal

COLUMBUS = {
    "Intercept": priors.normal(0, 1000),
    "fixed": priors.normal(0, 100),
    "sd": priors.exponential(0.1),
    "sigma": priors.exponential(0.1),
}


def columbus() -> lgm.Fit:
    graph = lgm.load_dataset("columbus_adj")
    data = lgm.load_dataset("columbus")
    return lgm.fit("CRIME ~ INC + HOVAL + icar(id, graph)", data, priors=COLUMBUS, method="importance", seed=1, progress=False, env={"graph": graph})


def test_folded_density_integrates_to_one() -> None:
    proposal = Proposal(np.array([0.3, -0.5]), np.array([[1.0, 0.0], [0.4, 0.7]]), (True, False))
    inner = lambda x, y: float(np.exp(proposal.log_density(np.array([[x, y]]))[0]))  # noqa: E731
    total, _ = integrate.dblquad(inner, -30, 30, 0, 30, epsabs=1e-5)
    # the t with 5 degrees of freedom has less than 1e-5 of its mass beyond 30 scales
    assert total == pytest.approx(1.0, abs=1e-4)


def test_draws_are_from_the_density() -> None:
    proposal = Proposal(np.array([0.3]), np.array([[1.0]]), (True,))
    draws = np.sort(proposal.draw(4096, 1)[:, 0])
    grid = np.linspace(0, 40, 400_001)[1:]
    cdf = np.cumsum(np.exp(proposal.log_density(grid[:, None]))) * (grid[1] - grid[0])
    gap = np.abs(np.interp(draws, grid, cdf) - (np.arange(draws.size) + 0.5) / draws.size).max()
    assert gap < 1.63 / np.sqrt(draws.size)  # Kolmogorov's 1% point; Sobol points are closer than random ones


@pytest.mark.parametrize(
    ("name", "formula", "rate"),
    [("Dyestuff.bayes_exact", "Yield ~ 1 + (1|Batch)", None), ("Nile.bayes_exact", "flow ~ rw1(t)", None)],
)
def test_evidence_equals_quadrature(name: str, formula: str, rate: None) -> None:
    ref = reference(name)
    given = {"Intercept": priors.normal(ref["priors"]["fixed"]["(Intercept)"]["mean"], ref["priors"]["fixed"]["(Intercept)"]["sd"])}
    sd_key = next(k for k in ref["priors"] if k.startswith("sd:"))
    given["sd"] = priors.exponential(ref["priors"][sd_key]["rate"])
    given["sigma"] = priors.exponential(ref["priors"]["sigma"]["rate"])
    fit = lgm.fit(formula, lgm.load_dataset(ref["dataset"]), priors=given, method="importance", seed=1, progress=False)
    points = fit.draws.points
    assert points.k < 0.5
    assert abs(points.log_evidence - ref["log_marginal_likelihood"]) < max(4 * points.log_evidence_se, 3e-4)


def test_posterior_equals_quadrature() -> None:
    fit, ref = columbus(), reference("columbus.bayes_exact")
    points = fit.draws.points
    weights = np.exp(points.log_weights)
    for j, name in enumerate(["sd:icar(scaled)", "sigma"]):
        expected = ref["posterior"][name]
        mean = weights @ points.theta[:, j]
        error = np.sqrt(np.sum(weights**2 * (points.theta[:, j] - mean) ** 2))  # self-normalised importance sampling
        assert abs(mean - expected["mean"]) < 4 * error
    for name, expected in ref["posterior"].items():
        if name.startswith("b:"):
            found = fit.fixef().loc[name[2:].replace("(Intercept)", "Intercept")]
            assert abs(found["mean"] - expected["mean"]) < 4 * expected["sd"] / np.sqrt(points.ess)


def test_a_seed_gives_the_same_bits() -> None:
    one, two = columbus(), columbus()
    assert np.array_equal(one.draws.theta, two.draws.theta)
    assert np.array_equal(one.effects.draws, two.effects.draws)


def test_effects_do_not_depend_on_what_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large models draw u in a second pass; means stay exact mixtures."""
    stored = columbus()
    monkeypatch.setattr(importance, "STORED_BYTES", 0.0)
    second = columbus()
    assert second.draws.points.draws.shape[-1] == 0
    error = stored.effects.sd / np.sqrt(stored.draws.points.ess)
    assert np.all(np.abs(stored.effects.mean - second.effects.mean) < 4 * error)
    np.testing.assert_allclose(second.effects.sd, stored.effects.sd, rtol=0.1)


def test_two_modes_raise_the_alarm() -> None:
    """A prior of sigma with two separate modes: one proposal around one of them cannot cover both."""
    import jax
    import numpyro.distributions as dist

    with jax.enable_x64(True):
        mixture = dist.MixtureSameFamily(
            dist.Categorical(np.array([0.5, 0.5])), dist.LogNormal(np.array([-1.0, 6.0]), np.array([0.02, 0.02]))
        )
    data = {"y": np.random.default_rng(0).normal(size=4), "g": [0, 0, 1, 1]}
    fit = lgm.fit("y ~ 1 + (1|g)", data, priors={"sd": mixture, "sigma": priors.fixed(1.0)}, method="importance", seed=1, progress=False)
    assert "Not reliable" in fit.verdict or "Too few" in fit.verdict or fit.draws.points.k < 0.7


def test_compare() -> None:
    data = lgm.load_dataset("Dyestuff")
    batch = lgm.fit("Yield ~ 1 + (1|Batch)", data, method="importance", seed=1, progress=False)
    alone = lgm.fit("Yield ~ 1", data, method="mode", seed=1, progress=False)
    table = lgm.compare(alone, batch)
    assert list(table.index) == ["Yield ~ 1 + (1|Batch)", "Yield ~ 1"]
    assert table["probability"].sum() == pytest.approx(1.0)
    assert table["log_evidence"].iloc[0] == batch.draws.points.log_evidence
    flat = lgm.fit("Yield ~ 1", data, priors={"Intercept": priors.flat()}, method="mode", seed=1, progress=False)
    with pytest.raises(lgm.PriorError, match="Intercept is flat"):
        lgm.compare(alone, flat)
    with pytest.raises(lgm.DataError, match="not fits of the same data"):
        lgm.compare(alone, lgm.fit("Yield ~ 1", data.head(20), method="mode", seed=1, progress=False))
    with pytest.raises(lgm.LgmError, match="two or more"):
        lgm.compare(alone)
