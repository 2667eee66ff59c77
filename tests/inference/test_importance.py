"""Importance sampling: exact evidence, agreement with quadrature and NUTS, alarms."""

import signal

import numpy as np
import pytest
from helpers import reference
from oracles.small import walk
from scipy import integrate
from statistical import monte_carlo

import lgm
from lgm import priors
from lgm.inference import draws, faces, importance, nuts, pareto, weighted
from lgm.inference.chains import Chains
from lgm.inference.ladder import with_rung
from lgm.inference.mode import find_folded_mode, find_mode
from lgm.posterior.priors import starts

COLUMBUS = {
    "Intercept": priors.normal(0, 1000),
    "fixed": priors.normal(0, 100),
    "sd": priors.exponential(0.1),
    "sigma": priors.exponential(0.1),
}


def columbus() -> lgm.Fit:
    graph = lgm.load_dataset("columbus_adj")
    data = lgm.load_dataset("columbus")
    return lgm.fit(
        "CRIME ~ INC + HOVAL + icar(id, graph)",
        data,
        priors=COLUMBUS,
        method="importance",
        seed=1,
        progress=False,
        env={"graph": graph},
    )


@pytest.mark.parametrize(
    ("name", "formula", "rate"),
    [("Dyestuff.bayes_exact", "Yield ~ 1 + (1|Batch)", None), ("Nile.bayes_exact", "flow ~ rw1(t)", None)],
)
def test_evidence_equals_quadrature(name: str, formula: str, rate: None) -> None:
    ref = reference(name)
    given: dict[str, object] = {
        "Intercept": priors.normal(
            ref["priors"]["fixed"]["(Intercept)"]["mean"], ref["priors"]["fixed"]["(Intercept)"]["sd"]
        )
    }
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
    assert second.draws.points.draws.shape[1] == 0
    error = stored.effects.sd / np.sqrt(stored.draws.points.ess)
    assert np.all(np.abs(stored.effects.mean - second.effects.mean) < 4 * error)
    np.testing.assert_allclose(second.effects.sd, stored.effects.sd, rtol=0.1)


def press(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    """Send SIGINT while this batch of points is evaluated."""
    evaluate, count = importance._evaluate, [0]

    def pressed(*args: object, **static: object) -> object:
        count[0] += 1
        if count[0] == batch:
            signal.raise_signal(signal.SIGINT)
        return evaluate(*args, **static)

    monkeypatch.setattr(importance, "_evaluate", pressed)
    monkeypatch.setattr(importance.Importance, "programs", lambda *_: [])


def test_ctrl_c_keeps_the_points_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = columbus()
    press(monkeypatch, batch=10)
    with pytest.warns(lgm.ConvergenceWarning, match="stopped after 640 points; these are kept"):
        part = columbus()
    points = part.draws.points
    assert part.draws.interrupted and "stopped early" in str(part)
    np.testing.assert_array_equal(points.theta, whole.draws.points.theta[:640])
    errors = np.hypot(points.log_evidence_se, whole.draws.points.log_evidence_se)
    assert abs(points.log_evidence - whole.draws.points.log_evidence) < 4 * errors
    assert part.effects.draws.shape == whole.effects.draws.shape


def test_ctrl_c_at_once_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    press(monkeypatch, batch=1)
    with pytest.raises(KeyboardInterrupt, match="before there were enough points"):
        columbus()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def ambiguous(seed: int = 1, **how: object) -> lgm.Fit:
    """Thirty steps of a random walk, explained by an autoregression or by a random walk: the sd of either may be zero,
    rho is free where its sd is, and no one Student t looks like that.
    """
    data = {"y": np.cumsum(np.random.default_rng(3).normal(size=30)), "t": np.arange(30)}
    return lgm.fit("y ~ ar1(t) + rw1(t)", data, seed=seed, progress=False, **how)


@pytest.mark.slow
def test_a_bad_case_raises_the_alarm_and_nuts_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "NEAREST", np.inf)  # no parts but the one around the mode,
    monkeypatch.setattr(faces.Surroundings, "widened", lambda self, x, root: 0.3 * root)  # which is far too narrow
    monkeypatch.setattr(importance, "ROUNDS", 1)  # and stays so
    with pytest.warns(lgm.ConvergenceWarning, match="Not reliable: .*fallback="):
        alarmed = ambiguous(method="importance")
    assert alarmed.draws.points.k > alarmed.draws.points.limit and alarmed.verdict.startswith("Not reliable")
    with pytest.warns(lgm.ConvergenceWarning, match="continuing with NUTS"):
        fit = ambiguous(method="importance", fallback="nuts")
    assert fit.method == "nuts" and isinstance(fit.draws, Chains)
    assert fit.draws.warmup == nuts.ADAPTATION  # the weights have no metric to give
    other = ambiguous(seed=2)
    for j, name in enumerate(fit.design.theta_names):
        ours, theirs = (monte_carlo.of_draws(f.draws.theta[..., j]) for f in (fit, other))
        found = {s: monte_carlo.deviation(ours[s], theirs[s]) for s in ours}
        assert max(map(abs, found.values())) < monte_carlo.LIMIT, (name, found)


def test_too_few_points_are_not_enough_either(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (draws, weighted):  # the points' own judgement, and the verdict
        monkeypatch.setattr(module, "ENOUGH", 5000)
    monkeypatch.setattr(importance, "ROUNDS", 1)
    data, formula = lgm.load_dataset("Dyestuff"), "Yield ~ 1 + (1|Batch)"
    with pytest.warns(lgm.ConvergenceWarning, match=r"Too few points: .* \d+ effective of 1024 points"):
        lgm.fit(formula, data, method="importance", seed=1, progress=False)
    with pytest.warns(lgm.ConvergenceWarning, match="continuing with NUTS"):
        fit = lgm.fit(formula, data, method="importance", fallback="nuts", draws=50, seed=1, progress=False)
    assert fit.method == "nuts"


def test_a_tail_that_estimates_make_is_told_from_that_of_a_proposal() -> None:
    """Only the latter is mended by a refit."""
    rng = np.random.default_rng(1)
    bounded, heavy = 0.3 * rng.uniform(size=1280), 0.55 * rng.exponential(size=1280)  # weights of k = -1, and of 0.55
    k = pareto.smooth(bounded + heavy).k
    assert importance.GOOD_K < k < pareto.threshold(1280)
    assert importance._only_noisy(bounded + heavy, heavy, k)
    assert not importance._only_noisy(bounded + heavy, bounded, k)
    assert not importance._only_noisy(bounded + 2.0 * heavy, 2.0 * heavy, 1.1)  # too heavy to be trusted at all
    failed = np.where(np.arange(1280) == 7, -np.inf, bounded + heavy)
    assert importance._only_noisy(failed, np.where(np.arange(1280) == 7, np.nan, heavy), k)


def test_points_of_large_fields_come_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as are enough; how many are evaluated at once changes rounding alone."""
    model = walk()[0]
    how = {"method": "importance", "approximation": "transport", "draws": 250, "seed": 1, "progress": False}
    whole = model.fit(**how).draws.points
    assert whole.size == 2 * importance.AHEAD and whole.ess > draws.ENOUGH
    monkeypatch.setattr(importance, "AT_ONCE", 16 * model.analysed.marginal.dim)
    assert importance._batch(with_rung(model.analysed.marginal, "transport", 2)) == 16
    assert importance._batch(model.analysed.marginal) == importance.BATCH
    parts = model.fit(**how).draws.points
    np.testing.assert_array_equal(parts.theta, whole.theta)
    np.testing.assert_allclose(parts.log_weights, whole.log_weights, atol=1e-8)
    np.testing.assert_allclose(parts.mean, whole.mean, atol=1e-8)


def test_points_without_a_density_leave_the_means_of_effects_alone() -> None:
    """Effects that are nearly one: proposals reach correlations that rounding takes for one."""
    rng = np.random.default_rng(25)
    g = np.repeat(np.arange(10), 6)
    x, b = rng.normal(size=60), 0.8 * rng.normal(size=10)
    data = {"y": 1 + x + b[g] * (1 + 0.8 * x) + 0.2 * rng.normal(size=60), "x": x, "g": g}
    given = {"corr": priors.pc_corr(0.9, 0.5)}
    fit = lgm.fit("y ~ x + (x|g)", data, priors=given, method="importance", seed=1, progress=False)
    failed = np.count_nonzero(fit.draws.points.log_weights == -np.inf)
    assert failed > 0 and fit.summary().attrs["failed"] == failed
    assert f"{failed} of {fit.draws.points.size} points had no density." in fit.verdict
    assert np.isfinite(fit.summary()[["mean", "sd"]]).all(axis=None)
    assert np.isfinite(fit.ranef()).all(axis=None)


@pytest.mark.parametrize(
    "prior", [priors.half_student_t(0.1, 1), priors.gamma(0.25, 1)], ids=["long right tail", "pole at zero"]
)
def test_bent_proposals_cover_both_tails(prior: priors.Prior) -> None:
    """No alarm, and none needed: ``log p(y)`` and quantiles by quadrature."""
    data = {"y": [-1.0, -1.2, 1.4, 1.1], "g": list("aabb")}
    given = {"sd": prior, "sigma": priors.constant(0.3), "Intercept": priors.normal(0, 1000)}
    model = lgm.model("y ~ 1 + (1|g)", data, priors=given)
    points = model.fit(method="importance", seed=1, progress=False).draws.points
    assert points.k < 0.5
    log_sd = np.linspace(np.log(1e-20), np.log(1e20), 6001)
    log_density = log_sd + [model.log_density({"sd(Intercept|g)": s, "sigma": 0.3}) for s in np.exp(log_sd)]
    cdf = integrate.cumulative_trapezoid(np.exp(log_density - log_density.max()), log_sd, initial=0)
    assert abs(points.log_evidence - log_density.max() - np.log(cdf[-1])) < 4 * points.log_evidence_se
    weights, place = np.exp(points.log_weights), np.log(points.theta[:, 0])
    for p in (0.05, 0.5, 0.95):
        below = place < np.interp(p, cdf / cdf[-1], log_sd)
        assert abs(weights @ below - p) < 4 * np.sqrt(weights**2 @ (below - p) ** 2)


def test_compare() -> None:
    data = lgm.load_dataset("Dyestuff")
    batch = lgm.fit("Yield ~ 1 + (1|Batch)", data, method="importance", seed=1, progress=False)
    alone = lgm.fit("Yield ~ 1", data, method="mode", seed=1, progress=False)
    table = lgm.compare(alone, batch, by="evidence")
    assert list(table.index) == ["Yield ~ 1 + (1|Batch)", "Yield ~ 1"]
    assert table["probability"].sum() == pytest.approx(1.0)
    assert table["log_evidence"].iloc[0] == batch.draws.points.log_evidence
    flat = lgm.fit("Yield ~ 1", data, priors={"Intercept": priors.flat()}, method="mode", seed=1, progress=False)
    with pytest.raises(lgm.PriorError, match="Intercept is flat"):
        lgm.compare(alone, flat, by="evidence")
    with pytest.raises(lgm.DataError, match="not fits of the same data"):
        lgm.compare(alone, lgm.fit("Yield ~ 1", data.head(20), method="mode", seed=1, progress=False))
    with pytest.raises(lgm.LgmError, match="two or more"):
        lgm.compare(alone)


def test_a_tail_that_no_student_t_reaches_is_found_by_every_seed() -> None:
    """The walk's sd is below half far from the mode, where rho is nearly one.

    Three runs of 8,192 points say that the probability is 0.043; runs like these scatter by 0.0025 around it.
    """
    data = {"y": np.cumsum(np.random.default_rng(3).normal(size=30)), "t": np.arange(30)}
    model = lgm.model("y ~ ar1(t) + rw1(t)", data)
    post = model.analysed.marginal
    mode = find_folded_mode(post, find_mode(post, starts(model.design, model.chosen_priors.theta)), jacobian=True)
    place, low = model.design.theta_names.index("sd(rw1(t))"), []
    for seed in range(1, 5):
        points, _, _ = importance.weighted_points(post, mode, draws=100, seed=seed, progress=False)
        assert points.k < points.limit and points.ess > draws.ENOUGH
        low.append(np.exp(points.log_weights) @ (points.theta[:, place] < 0.5))
    np.testing.assert_allclose(low, 0.043, atol=4 * 0.0025)
