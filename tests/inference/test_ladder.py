"""Which approximation is chosen, and what is said of it."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import lgm
from lgm.errors import IdentifiabilityWarning, LgmError
from lgm.inference import ladder
from lgm.inference.ladder import Rung, approximated, settle
from lgm.posterior.laplace import Accuracy, LaplaceData
from lgm.posterior.priors import starts
from lgm.priors import exponential, normal


def chosen(model, approximation="auto"):
    start = starts(model.design, model.chosen_priors.theta)
    return settle(model.analysed.marginal, start, model.analysed.basis, approximation, 1)


@pytest.fixture(scope="module")
def counts():
    """Counts around ten in groups of eight: easy."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(10), 8)
    y = rng.poisson(np.exp(2.3 + 0.4 * rng.standard_normal(10)[g]))
    return lgm.model("y ~ 1 + (1|g)", pd.DataFrame({"y": y, "g": g}), "poisson")


@pytest.fixture(scope="module")
def binary():
    """Few rare outcomes in each of many groups with a large sd: where plain approximations fail."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(150), 4)
    y = rng.binomial(1, 1 / (1 + np.exp(2.5 - 3.0 * rng.standard_normal(150)[g])))
    return lgm.model("y ~ 1 + (1|g)", pd.DataFrame({"y": y, "g": g}), "bernoulli")


def test_easy_counts_are_weighted(counts):
    post, theta, rung = chosen(counts)
    assert rung.name == "weighted" and rung.pairs == post.data.pairs == 8 and post.data.rung == "weighted"
    assert rung.doubt(held=False) is None and rung.shift < 0.3
    assert counts.log_density({"sd(Intercept|g)": theta[0]}) > counts.log_density({"sd(Intercept|g)": 2 * theta[0]})


def test_more_pairs_where_weights_spread():
    assert [ladder._pairs("weighted", variance) for variance in (0.01, 0.1, 0.3, 0.9, 2.0)] == [8, 8, 16, 16, 32]
    assert [ladder._pairs(name, 0.01) for name in ("quadrature", "transport", "second-order", "joint")] == [2, 2, 1, 8]


def test_where_effects_are_sampled_the_plain_approximation_is_measured_all_the_same(counts):
    post, _, rung = chosen(counts, "joint")
    assert (rung.name, rung.pairs, post.data.rung, post.data.pairs) == ("joint", 8, "weighted", 8)
    usual = chosen(counts)[2]
    assert (rung.shift, rung.sd_second, rung.variance) == (usual.shift, usual.sd_second, usual.variance)
    assert rung.said(held=False)[0][1].endswith("effects sampled with the hyperparameters")


def test_few_binary_outcomes_go_to_quadrature_and_alarms_fire(binary):
    post, _, rung = chosen(binary)
    assert rung.name == "quadrature" and post.data.rung == "leaves" and rung.doubt(held=False) is None
    assert rung.shift > 1.0 and rung.sd_second > 0.5
    for approximation, words in (("laplace", "off by about"), ("weighted", "spread too far")):
        assert words in chosen(binary, approximation)[2].doubt(held=False)


def test_weights_serve_away_from_the_mode_too():
    """Two binary outcomes a group: at the mode they do, but not at sds that are as likely.

    There even a thousand pairs miss most of ``p(y | theta)``, and weighted points most of its upper tail.
    """
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(20), 2), rng.normal(size=40)
    eta = x - 2 + rng.normal(0, 4, 20)[g]
    y = (rng.random(40) < 1 / (1 + np.exp(-eta))).astype(int)
    priors = {"Intercept": normal(0, 5), "x": normal(0, 2.5), "sd": exponential(0.25)}
    model = lgm.model("y ~ x + (1|g)", pd.DataFrame({"y": y, "x": x, "g": g}), "bernoulli", priors=priors)
    rung = chosen(model)[2]
    assert rung.name == "quadrature" and rung.doubt(held=False) is None
    assert "spread too far" in chosen(model, "weighted")[2].doubt(held=False)


def test_the_edge_of_a_plateau_is_no_second_order_matter():
    """Outcomes that offsets foretell: the likelihood is flat at the mode and falls far out; derivatives say nothing."""
    data = pd.DataFrame({"g": np.repeat(np.arange(4), 5), "e": np.tile([-20.0, 20.0], 10)})
    data["y"] = (data["e"] > 0).astype(int)
    model = lgm.model("y ~ 1 + offset(e) + (1|g)", data, "bernoulli", priors={"Intercept": normal(0, 20)})
    rung = chosen(model)[2]
    assert rung.sd_second < 0.1 and rung.name != "second-order"
    assert "spread too far" in rung.doubt(held=False)
    for approximation in ("second-order", "laplace"):  # obeyed, and not believed
        post, _, rung = chosen(model, approximation)
        assert rung.name == approximation and post.data.rung == ladder.RUNGS[approximation]
        assert "do not describe their density" in rung.doubt(held=False)


def test_second_order_is_believed_where_effects_are_nearly_normal(counts):
    post, _, rung = chosen(counts, "second-order")
    assert post.data.rung == "shifted" and rung.doubt(held=False) is None


def test_a_tail_in_doubt_is_measured_again(monkeypatch, counts):
    """Not where 64 pairs say enough: that the variance is small, or far too large. At one theta more are taken."""
    post = counts.analysed.marginal
    normal = 0.2 * stats.norm.ppf((np.arange(64) + 0.5) / 64)
    tailed = np.concatenate([0.1 * normal[:-2], [3.0, 5.0]])  # two that outweigh all others
    cases = [(normal, 1, 1), (20.0 * normal, 1, 1), (tailed, 1, ladder.BATCHES), (normal, 0, ladder.BATCHES_ALONE)]
    for weights, free, calls in cases:
        seen: list[np.ndarray] = []

        def accuracy(post, x, functionals, z, weights=weights, seen=seen):
            seen.append(np.asarray(z))
            return Accuracy(weights, np.zeros(1), np.zeros(()), np.zeros(post.dim))

        monkeypatch.setattr(ladder, "_accuracy", accuracy)
        with jax.enable_x64(True):
            normals = partial(ladder._drawn_for, 1, post.n_normals)
            found = ladder._measured(post, np.zeros(free), np.zeros((post.dim, 1)), normals)
        assert len(seen) == calls and found.variance == pytest.approx(np.var(weights, ddof=1), rel=0.02)
        assert all(np.any(seen[0] != other) for other in seen[1:])


@pytest.fixture(scope="module")
def one_sided():
    """Two of five levels without a single success."""
    rng = np.random.default_rng(2)
    h = np.tile(np.arange(5), 24)
    data = pd.DataFrame({"y": np.where(h < 2, 0, rng.binomial(1, 0.5, h.size)), "h": h, "g": np.arange(120) // 5})
    given = {"Intercept": normal(0, 5), "sd": exponential(0.2)}
    return lgm.model("y ~ 1 + (1|g) + (1|h)", data, "bernoulli", priors=given)


@pytest.mark.parametrize("approximation", ["weighted", "quadrature"])
def test_long_tails_are_found_and_followed(one_sided, approximation):
    """Of the intercept and an effect together, as those of the rows of a level are."""
    post, _, rung = chosen(one_sided, approximation)
    intercept, levels = rung.tails[0], rung.tails[-5:]
    assert rung.facts["long_tails"] == 2 and "2 long tails followed" in rung.said(held=False)[0][1]
    which = np.argmax(np.abs(levels), axis=0)
    assert sorted(which) == [0, 1]
    np.testing.assert_allclose(levels, np.where(np.arange(5)[:, None] == which, intercept, 0.0), atol=0.05)
    assert isinstance(post.data, LaplaceData) and post.data.tails is not None
    again = approximated(one_sided.analysed.marginal, rung).data
    assert isinstance(again, LaplaceData) and again.tails is not None and again.tails.reach is rung.reach


@pytest.mark.parametrize("approximation", ["transport", "second-order", "laplace"])
def test_approximations_that_cut_long_tails_say_so(one_sided, approximation):
    rung = chosen(one_sided, approximation)[2]
    assert rung.name == approximation and rung.facts["long_tails"] == 0
    assert rung.more and "on one side, which this approximation cuts" in replace(rung, sd_second=0.0, shift=0.0).doubt(
        held=False
    )


def test_second_order_is_not_for_long_tails():
    """Of 60 levels of which 50 are empty: weights spread too far, and little for each effect."""
    h = np.repeat(np.arange(60), 12)
    data = pd.DataFrame({"y": np.where(h < 50, 0, np.arange(h.size) % 2), "h": [f"h{each:02d}" for each in h]})
    with pytest.warns(IdentifiabilityWarning, match="separation"):
        model = lgm.model("y ~ 0 + h", data, "bernoulli", priors={"fixed": normal(0, 5)})
    rung = chosen(model)[2]
    assert rung.name != "second-order" and rung.doubt(held=False) is not None


def test_easy_counts_have_no_long_tails(counts):
    post, _, rung = chosen(counts)
    assert isinstance(post.data, LaplaceData) and post.data.tails is None and rung.facts["long_tails"] == 0


@pytest.mark.slow
def test_large_fields_are_bent():
    """Weights of normal points spread with the number of regions; those of bent points serve."""
    n = 70
    k = np.arange(n * n).reshape(n, n)
    right, down = [k[:, :-1].ravel(), k[:, 1:].ravel()], [k[:-1].ravel(), k[1:].ravel()]
    graph = lgm.graph(pd.DataFrame(np.hstack([right, down]).T, columns=["from", "to"]), range(n * n))
    wave = np.sin(np.arange(n) / 3.0)
    y = np.random.default_rng(1).poisson(np.exp(np.add.outer(wave, wave))).ravel()
    model = lgm.model("y ~ 1 + icar(r, graph)", {"y": y, "r": k.ravel()}, "poisson", env={"graph": graph})
    post, _, rung = chosen(model)
    plain = chosen(model, "weighted")[2]
    assert rung.name == "transport" and post.data.rung == "transport" and rung.doubt(held=False) is None
    assert 4 * rung.variance < plain.variance and "spread too far" in plain.doubt(held=False)


def test_what_is_not_there():
    data = pd.DataFrame({"y": [0, 3, 1, 2, 4, 1], "t": np.arange(6.0)})
    with pytest.raises(
        LgmError, match=r'"quadrature" is for a group with one, two or three effects.*Accepted here: "auto"'
    ):
        chosen(lgm.model("y ~ rw1(t)", data, "poisson"), "quadrature")
    with pytest.raises(LgmError, match=r"approximation='exact'; accepted: 'auto', 'laplace', 'second-order'"):
        lgm.fit("y ~ rw1(t)", data, "poisson", approximation="exact")


def test_gaussian_responses_need_none():
    data = pd.DataFrame({"y": [0.0, 3, 1, 2, 4, 1], "g": list("aabbcc")})
    post, _, rung = chosen(lgm.model("y ~ 1 + (1|g)", data))
    assert rung is None and approximated(post, rung) is post


def of(name, pairs, sd_second, shift, variance, k, effects=50):
    """A rung without long tails."""
    return Rung(
        name, pairs, sd_second, shift, variance, k, effects, np.zeros((effects, 0)), np.zeros((0, 2)), more=False
    )


@pytest.mark.parametrize(
    ("rung", "held", "words"),
    [
        (of("weighted", 8, 0.02, 0.2, 0.3, 0.4), False, None),
        (of("weighted", 8, 0.02, 0.2, 0.3, 0.4), True, None),
        (of("weighted", 8, 0.02, 0.2, 0.3, 0.8), False, "spread too far"),
        (of("weighted", 8, 0.02, 0.2, 0.01, 0.8), False, None),  # weights that are all alike
        (of("weighted", 8, 0.3, 0.2, 0.3, 0.4), True, "the mode of the hyperparameters is that of Laplace"),
        (of("weighted", 32, 0.3, 0.2, 4.0, 0.9), False, "spread too far"),
        (of("second-order", 1, 0.3, 0.2, 4.0, 0.9), False, None),
        (of("second-order", 1, 0.8, 0.2, 4.0, 0.9), False, "no small correction"),
        (of("weighted", 32, 0.8, 0.2, 4.0, 0.9), False, 'method="joint" samples effects'),
        (of("second-order", 1, 0.8, 0.2, 4.0, 0.9), False, 'method="joint" samples effects'),
        (of("second-order", 1, 0.3, 0.2, 4.0, 0.9, 30), False, "variance of 4, of 30 effects"),
        (of("second-order", 1, 0.0, 0.0, np.inf, np.inf, 5), False, "do not describe their density"),
        (of("joint", 8, 0.8, 0.9, 4.0, 0.9, 5), False, None),
        (
            replace(of("weighted", 8, 0.02, 0.2, 0.3, 0.4), more=True),
            False,
            "more effects may have long tails than the 0",
        ),
        (replace(of("transport", 8, 0.02, 0.2, 0.3, 0.4), more=True), False, "which this approximation cuts"),
        (of("laplace", 1, 0.02, 0.05, 0.3, 0.4), False, None),
        (of("laplace", 1, 0.02, 0.3, 0.3, 0.4), False, "off by about 0.3 posterior sds"),
        (of("laplace", 1, 0.02, 0.05, 0.9, 0.4, 5), False, "do not describe their density"),
    ],
)
def test_doubts(rung, held, words):
    doubt = rung.doubt(held=held)
    assert doubt is None if words is None else words in doubt
    assert [name for name, _ in rung.said(held=held)] == ["Approximation", "Laplace"]
    assert rung.facts["log_weight_variance"] == rung.variance
