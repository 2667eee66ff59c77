"""Which prior a parameter gets: defaults, keys by name and by class, and what is refused."""

from __future__ import annotations

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

import lgm
from lgm import priors
from lgm.errors import PriorError
from lgm.posterior.priors import require_highest
from lgm.priors import Constant, Flat, Lkj, Normal, constant, flat, lkj, normal, pc_corr

pytestmark = pytest.mark.filterwarnings("ignore:.*is one series:lgm.DataWarning")
RNG = np.random.default_rng(6)
N = 24
DATA = pd.DataFrame(
    {
        "y": 100.0 + 5.0 * RNG.standard_normal(N),
        "x": 7.0 + 2.0 * RNG.standard_normal(N),
        "o": 3.0 * RNG.standard_normal(N),
        "f": RNG.choice(["a", "b", "c"], N),
        "g": np.arange(N) % 6,
        "h": np.arange(N) // 3 % 4,
        "t": np.arange(N) % 8,
    }
)
FORMULA = "y ~ x + f + offset(o) + (x|g) + (1|h) + ar1(t)"
THREE = "y ~ x + t + (x + t|g)"


def resolved(formula=FORMULA, given=None):
    model = lgm.model(formula, DATA, priors=given)
    names = [*model.design.fixed_names, *(p.key or p.names[0] for p in model.design.parameters)]
    return model, dict(zip(names, [*model.chosen_priors.fixed, *model.chosen_priors.theta], strict=True))


def test_fixed_effects():
    """2.5 times the sd that explains all of y; the intercept around its mean, at the mean of the columns."""
    model, found = resolved()
    y, sd = DATA["y"] - DATA["o"], np.std(DATA["y"] - DATA["o"])
    assert model.chosen_priors.centred_intercept
    assert found["Intercept"] == Normal(pytest.approx(y.mean()), pytest.approx(2.5 * sd))
    assert found["x"] == Normal(0.0, pytest.approx(2.5 * sd / np.std(DATA["x"])))
    assert found["f[T.b]"] == Normal(0.0, pytest.approx(2.5 * sd / np.std(DATA["f"] == "b")))


def test_without_an_intercept_the_columns_carry_the_level():
    model, found = resolved("y ~ 0 + x")
    assert not model.chosen_priors.centred_intercept
    assert found["x"] == Normal(0.0, pytest.approx(2.5 * np.sqrt(np.mean(DATA["y"] ** 2)) / np.std(DATA["x"])))


@pytest.mark.parametrize("origin", [1e6, 2e11])
def test_a_column_far_from_zero_keeps_its_spread(origin):
    x = np.round(1e3 * DATA["x"]) / 1e3
    far = DATA.assign(x=origin + x)
    sd = lgm.model("y ~ x", far).chosen_priors.fixed[1].sd
    assert sd == pytest.approx(2.5 * np.std(DATA["y"]) / np.std(far["x"] - origin), rel=1e-6)


def test_a_key_with_decomposed_accents():
    given = normal(0.0, 3.0)
    data = DATA.rename(columns={"x": "é"})
    assert lgm.model("y ~ é", data, priors={"e\u0301": given}).chosen_priors.fixed[1] == given


@pytest.mark.parametrize("origin", [2000.0, -1e6])
def test_where_zero_is_does_not_matter_beside_a_factor(origin):
    """The default prior of a level's difference is that at the mean of x over its rows, not at x = 0."""
    formula, theta = "y ~ x*f + (1|g)", {"sd(Intercept|g)": 2.0, "sigma": 4.0}
    own, far = lgm.model(formula, DATA), lgm.model(formula, DATA.assign(x=DATA["x"] - DATA["x"].mean() + origin))
    for one, other in zip(own.chosen_priors.fixed, far.chosen_priors.fixed, strict=True):
        assert (other.mean, other.sd) == pytest.approx((one.mean, one.sd), rel=1e-8)
    assert far.log_density(theta) == pytest.approx(own.log_density(theta), rel=1e-7)
    assert far.priors.loc["f[T.b]", "prior"].endswith(" at the mean of the predictors")
    given = {"fixed": normal(0, 3)}
    assert lgm.model(formula, DATA, priors=given).log_density(theta) != pytest.approx(
        lgm.model(formula, DATA.assign(x=DATA["x"] + 5), priors=given).log_density(theta)
    )  # what a user says is about the printed coefficients


def test_draws_from_priors_at_means():
    model = lgm.model("y ~ x*f", DATA.assign(x=DATA["x"] + 2000))
    drawn, x = model.sample_prior(4000, seed=1), DATA["x"] + 2000
    difference = drawn["f[T.b]"] + x[DATA["f"] == "b"].mean() * drawn["x:f[T.b]"]
    wanted = model.chosen_priors.fixed[model.design.fixed_names.index("f[T.b]")].sd
    assert difference.std() == pytest.approx(wanted, rel=0.06) and abs(difference.mean()) < 0.08 * wanted
    level = drawn[list(model.design.fixed_names)] @ np.asarray(model.design.predictor.X.mean(axis=0)).ravel()
    assert level.std() == pytest.approx(2.5 * np.std(DATA["y"]), rel=0.06)


def test_hyperparameters():
    """``P(sd > 2.5 sd(y)) = 0.05``, for a slope with ``sd(y) / sd(x)``; sigma exponential with mean sd(y)."""
    _, found = resolved()
    sd = np.std(DATA["y"] - DATA["o"])
    rate = -np.log(0.05) / (2.5 * sd)
    for name, wanted in [
        ("sd(Intercept|g)", rate),
        ("sd(x|g)", rate * np.std(DATA["x"])),
        ("sd(Intercept|h)", rate),
        ("sd(ar1(t))", rate),
        ("sigma", 1 / sd),
    ]:
        assert isinstance(found[name].distribution, dist.Exponential)
        assert float(found[name].distribution.rate) == pytest.approx(wanted)
    assert found["corr(g)"] == Lkj(2.0)
    assert repr(found["rho(ar1(t))"]) == "lkj(1.5)"


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({"sd": priors.exponential(1)}, ["sd(Intercept|g)", "sd(x|g)", "sd(Intercept|h)", "sd(ar1(t))"]),
        ({"sd(x|g)": priors.half_normal(2)}, ["sd(x|g)"]),
        ({"sigma": priors.gamma(2, 1)}, ["sigma"]),
        ({"corr": lkj(1)}, ["corr(g)"]),
        ({"corr(g)": lkj(1)}, ["corr(g)"]),
        ({"corr(Intercept,x|g)": pc_corr(0.3, 0.1)}, ["corr(g)"]),
        ({"rho": priors.uniform(0, 1)}, ["rho(ar1(t))"]),
        ({"rho(ar1(t))": constant(0.9)}, ["rho(ar1(t))"]),
        ({"fixed": flat()}, ["x", "f[T.b]", "f[T.c]"]),
        ({"Intercept": normal(0, 10)}, ["Intercept"]),
        ({"x": dist.Normal(1.0, 2.0)}, ["x"]),
        ({"sigma": dist.LogNormal(0.0, 1.0)}, ["sigma"]),
        ({"sd(Intercept|h)": constant(0.0)}, ["sd(Intercept|h)"]),
    ],
    ids=", ".join,
)
def test_keys(given, changed):
    """A key changes what it names and nothing else, and the table says so."""
    _, before = resolved()
    model, after = resolved(given=given)
    assert [name for name in before if repr(before[name]) != repr(after[name])] == changed
    assert model.priors.index[model.priors["source"] == "given"].tolist() == changed
    (prior,) = given.values()
    words = {"x": "normal(1, 2)", "sigma": "LogNormal"} if isinstance(prior, dist.Distribution) else {}
    assert [repr(after[name]) for name in changed] == [words.get(name, repr(prior)) for name in changed]


def test_the_most_specific_key_wins():
    """Also where it leaves nothing for the class."""
    given = {
        "sd": priors.exponential(1),
        "sd(x|g)": priors.exponential(2),
        "rho": pc_corr(),
        "rho(ar1(t))": constant(0.5),
    }
    _, found = resolved(given=given)
    assert repr(found["sd(x|g)"]) == "exponential(2)"
    assert repr(found["sd(ar1(t))"]) == "exponential(1)"
    assert found["rho(ar1(t))"] == Constant(0.5)


def test_an_intercept_that_is_given_is_the_printed_one():
    assert not resolved(given={"Intercept": normal(0, 10)})[0].chosen_priors.centred_intercept
    assert resolved(given={"fixed": normal(0, 10)})[0].chosen_priors.centred_intercept


def test_flat_is_known_to_be_improper():
    assert not resolved(given={"x": flat()})[0].chosen_priors.proper
    assert resolved()[0].chosen_priors.proper
    assert isinstance(resolved(given={"x": flat()})[1]["x"], Flat)


def test_flat_hyperparameters():
    """Improper on a half line, uniform on a bounded range."""
    model, found = resolved(given={"sd(Intercept|h)": flat(), "sigma": flat(), "corr": flat(), "rho": flat()})
    shown = [repr(found[name]) for name in ("sd(Intercept|h)", "sigma", "corr(g)", "rho(ar1(t))")]
    assert shown == ["flat()", "flat()", "lkj(1)", "lkj(1)"]
    assert not model.chosen_priors.proper


@pytest.mark.parametrize(
    ("formula", "given", "title"),
    [
        ("y ~ r2d2(x, z)", {}, r"weight\(r2d2\(x, z\)\), of which only ratios matter, is gamma\(0.5, 1\)"),
        ("y ~ r2d2(x, z, concentration=1)", {}, r"is gamma\(1, 1\)"),
        ("y ~ x + (1|g)", {"sd": priors.gamma(0.5, 1.0)}, r"sd\(Intercept\|g\) is gamma\(0.5, 1\)"),
    ],
)
def test_no_mode_of_what_has_no_highest_point(formula, given, title):
    rng = np.random.default_rng(1)
    data = {"y": rng.normal(size=12), "x": rng.normal(size=12), "z": rng.normal(size=12), "g": np.arange(12) % 3}
    built = lgm.model(formula, data, priors=given)
    with pytest.raises(PriorError, match=f"(?s){title}, which is highest at zero.*no mode. Accepted: method="):
        built.fit(method="mode", progress=False)
    other = lgm.model("y ~ r2d2(x, z, concentration=2) + (1|g)", data)
    require_highest(other.design, other.chosen_priors.theta)


def test_table():
    table = resolved()[0].priors
    assert table.columns.tolist() == ["prior", "source"]
    assert table.loc["Intercept", "prior"].endswith("at the mean of the predictors")
    assert set(table["source"]) == {"default"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sd(Day|g)": lkj(1)}, r"the key 'sd\(Day\|g\)', which matches nothing.*Variables: Intercept, x"),
        ({"phi": priors.beta(1, 1)}, "the key 'phi', which matches nothing.*Classes: sd, corr, fixed, rho"),
        ({"z": normal()}, r"the key 'z', which matches nothing in this model\..*\nVariables"),
        ({"sdd": priors.exponential(1)}, "the key 'sdd', which matches nothing in this model. Did you mean `sd`"),
        ({1: normal()}, "the key 1, which matches nothing"),
        ([normal()], "priors is of the type list; accepted: a dict of priors by name or class"),
        ({"x": priors.exponential(1)}, r"prior of the fixed effect\(s\) `x` is exponential\(1\).*takes a normal prior"),
        ({"fixed": constant(0.0)}, "takes a normal prior"),
        ({"fixed": dist.Normal(np.zeros(2), 1.0)}, "takes a normal prior"),
        (
            {"sigma": normal()},
            r"`sigma` is normal\(0, 1\); .* values are positive, such as lgm.priors.half_normal\(1\)\.$",
        ),
        ({"corr": normal()}, r"`corr` is normal\(0, 1\); .* values are in \(-1, 1\), such as lgm.priors.lkj\(2\)\.$"),
        ({"sigma": 2.0}, r"To hold it there, use lgm.priors.constant\(2.0\)"),
        ({"sigma": lkj(1)}, r"`sigma` is lkj\(1\), but an LKJ prior is for correlations"),
        ({"sigma": dist.Normal(0.0, 1.0)}, "`sigma` is .* allows values that are not positive"),
        ({"sigma": dist.Poisson(3.0)}, "allows values that are not positive"),
        ({"sigma": dist.HalfNormal(np.ones(2))}, r"is of shape \(2,\); it must be scalar"),
        ({"sigma": constant(0.0)}, r"`sigma` is constant\(0\), but it must be positive"),
        ({"sd": constant(-0.1)}, r"`sd` is constant\(-0.1\), but it must be positive"),
        ({"sd": priors.uniform(-0.01, 3)}, r"`sd` is uniform\(-0.01, 3\), which allows values that are not positive"),
        ({"sd": priors.uniform(-3, -1)}, "allows values that are not positive"),
        ({"corr": priors.uniform(-1.001, 1)}, r"`corr` is .* allows values that are not in \(-1, 1\)"),
        ({"corr": constant(1.0)}, r"`corr` is constant\(1\), but it must be in \(-1, 1\)"),
        ({"rho": priors.exponential(1)}, r"allows values that are not in \(-1, 1\)"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_errors(given, message):
    with pytest.raises(PriorError, match=f"(?s){message}"):
        resolved(given=given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"corr": pc_corr()}, r"must be lgm.priors.lkj\(concentration\): three or more"),
        ({"corr(g)": constant(0.0)}, "correlations of three or more effects move together"),
        ({"corr(x,t|g)": lkj(1)}, r"have one prior; its key is 'corr\(g\)', not 'corr\(x,t\|g\)'"),
    ],
    ids=str,
)
def test_correlations_of_three_effects_share_a_prior(given, message):
    assert resolved(THREE, {"corr(g)": lkj(3)})[1]["corr(g)"] == Lkj(3.0)
    with pytest.raises(PriorError, match=message):
        resolved(THREE, given)


def test_classes_that_a_model_lacks_are_not_offered():
    with pytest.raises(PriorError, match=r"(?s)the key 'fixed', which matches nothing.*Classes: sd\.$"):
        resolved("y ~ 1 + (1|g)", {"fixed": flat()})


# Origin of covariates -------------------------------------------------------------------------------------------------

ABOUT_MEANS = {"sd(Intercept|g)", "corr(g)"}


@pytest.mark.parametrize(
    ("given", "about_means"),
    [
        ({}, True),
        ({"sd(x|g)": priors.exponential(1), "sigma": constant(2.0)}, True),  # slopes are the same in both
        ({"sd(x|g)": constant(0.5)}, True),
        ({"sd": flat(), "corr": flat(), "sigma": flat()}, True),  # flat in both
        ({"sd(Intercept|g)": flat()}, True),
        ({"sd": priors.exponential(1)}, False),
        ({"sd(Intercept|g)": priors.half_normal(3)}, False),
        ({"sd(Intercept|g)": constant(0.0)}, False),
        ({"corr": lkj(1)}, False),  # uniform in one is not uniform in the other
        ({"corr(Intercept,x|g)": constant(0.0)}, False),
        ({"sd": flat(), "corr": lkj(2)}, False),
    ],
    ids=str,
)
def test_what_is_given_is_about_the_printed_parameters(given, about_means):
    model, _ = resolved(given=given)
    term = model.design.terms[0]
    assert set(term.origin) == (ABOUT_MEANS if about_means else set())
    marked = set(model.priors.index[model.priors["prior"].str.endswith("at the mean of the predictors")])
    assert marked == {"Intercept", *term.origin}
    same = term.z.toarray()[:, 1::2].sum(axis=1) - DATA["x"]  # row by row, the column of the slope
    np.testing.assert_allclose(same, -DATA["x"].mean() if about_means else 0.0, rtol=1e-12)


def test_prior_draws_are_of_the_printed_parameters():
    """At zero the variance is that at the mean, plus the mean squared times that of slopes."""
    model = lgm.model("y ~ 1 + (x|g)", DATA)
    n = 20_000
    drawn = model.sample_prior(n, seed=4)
    level, slope = (parameter.default.distribution for parameter in model.design.parameters[:2])
    # exponential: E sd^2 = 2 mean^2; the correlation has mean zero
    wanted = 2 * float(level.mean) ** 2 + 2 * (DATA["x"].mean() * float(slope.mean)) ** 2
    square = drawn["sd(Intercept|g)"] ** 2
    assert square.mean() == pytest.approx(wanted, abs=4 * square.std() / np.sqrt(n))
    assert drawn["corr(Intercept,x|g)"].mean() < -0.5
