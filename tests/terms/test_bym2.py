"""``bym2(region, graph)`` against the covariance ``sd^2 ((1 - phi) I + phi R*^-)`` of regional totals."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from dense_model import condition, derivatives, icar_structure, restricted, rounding, scaled_covariance
from synthetic import around, fit_of

import lgm
from lgm.posterior import density
from lgm.priors import flat, normal

EDGES = [[0, 3], [3, 5], [5, 6], [6, 0], [1, 7], [7, 8]]  # a ring, a path, and the islands 2 and 4
GRAPH = lgm.graph(EDGES, range(9))
SPATIAL = scaled_covariance(icar_structure(9, EDGES))[0]
LABEL = "bym2(region)"
PATH = f"{LABEL}[component of 1]"  # its level, less that of the ring, which has more rows
NAMES = [f"sd({LABEL})", f"phi({LABEL})", "sigma"]
THETAS = [(0.7, 0.4, 0.8), (1.5, 0.999, 0.6), (0.4, 0.002, 1.1)]
thetas = pytest.mark.parametrize("theta", THETAS, ids=str)
KINDS: dict[str, Any] = {
    "flat": {"Intercept": flat(), "fixed": flat()},
    "proper": {"Intercept": normal(1.0, 2.0), "x": normal(0.5, 0.7), PATH: normal(0.3, 1.5)},
}
kinds = pytest.mark.parametrize("kind", KINDS)


def _data():
    """Forty rows; region 6 and the island 4 have none."""
    rng = np.random.default_rng(12)
    n = 40
    frame = pd.DataFrame(
        {"y": 3.0 + rng.standard_normal(n), "x": rng.standard_normal(n), "w": rng.uniform(0.5, 2.0, n)}
    )
    return frame.assign(region=rng.choice([0, 1, 2, 3, 5, 7, 8], n))


DATA = _data()
AT = DATA["region"].to_numpy()
X = np.column_stack([np.ones(40), DATA["x"], np.isin(AT, [1, 7, 8])])
Z = np.equal.outer(AT, np.arange(9)).astype(float)


@cache
def model(kind):
    return lgm.model("y ~ x + bym2(region, graph)", DATA, priors=KINDS[kind], weights="w", env={"graph": GRAPH})


def total(sd, phi):
    return sd**2 * ((1.0 - phi) * np.eye(9) + phi * SPATIAL)


def definition(kind):
    """y less prior means, flat columns, and V as a function of theta."""
    priors = list(KINDS[kind].values()) if kind == "proper" else []
    y = DATA["y"].to_numpy() - sum((p.mean * X[:, j] for j, p in enumerate(priors)), np.zeros(40))
    known = sum((p.sd**2 * np.outer(X[:, j], X[:, j]) for j, p in enumerate(priors)), np.zeros((40, 40)))
    noise = np.diag(1.0 / DATA["w"].to_numpy())
    return y, X[:, len(priors) :], lambda t: Z @ total(t[0], t[1]) @ Z.T + t[2] ** 2 * noise + known


def bound_of(y, V):
    return rounding(40, V, X.T @ X) * (40.0 + y @ np.linalg.solve(V, y))


@kinds
@thetas
def test_likelihood_and_gradient(kind, theta):
    y, flats, covariance = definition(kind)
    at = np.array(theta)
    V = covariance(at)
    wanted, slopes = restricted(y, flats, V, derivatives(covariance, at))
    assert model(kind).design.theta_names == tuple(NAMES)
    with jax.enable_x64(True):
        both = jax.jit(jax.value_and_grad(density.log_likelihood, argnums=1))
        value, grad = both(model(kind).analysed.marginal, jnp.asarray(at))
    bound = bound_of(y, V)
    assert abs(float(value) - wanted) < bound < 1e-6
    nearest = min(at.min(), 1.0 - at[1])  # a derivative by phi is made of terms divided by phi and by 1 - phi
    np.testing.assert_allclose(grad, slopes, rtol=0, atol=2 * bound / nearest)
    assert model(kind).log_likelihood(dict(zip(NAMES, theta, strict=True))) == pytest.approx(wanted, abs=bound)


@kinds
def test_an_sd_of_zero_is_the_model_without_the_term(kind):
    y, flats, covariance = definition(kind)
    V = covariance(np.array([0.0, 0.4, 0.8]))
    found = model(kind).log_likelihood(dict(zip(NAMES, (0.0, 0.4, 0.8), strict=True)))
    assert found == pytest.approx(restricted(y, flats, V)[0], abs=bound_of(y, V))


def moments(kind, theta):
    """Mean and covariance of (beta, regional totals, spatial parts) given y."""
    y, _, covariance = definition(kind)
    sd, phi, _ = theta
    smooth = sd**2 * phi * SPATIAL
    G = np.block([[total(sd, phi), smooth], [smooth, smooth]])
    V = covariance(np.array(theta))
    A = np.hstack([X, Z, np.zeros((40, 9))])
    start = np.zeros(21)
    flats = 3
    if kind == "proper":
        priors = list(KINDS[kind].values())
        start[:3], flats = [p.mean for p in priors], 0
        G = np.block([[np.diag([p.sd**2 for p in priors]), np.zeros((3, 18))], [np.zeros((18, 3)), G]])
    mean, cov = condition(y, A, G, V, flat=flats)
    return start + mean, cov, bound_of(y, V)


@kinds
@thetas
def test_total_and_spatial_part_with_their_sds(kind, theta):
    """The total is a sum of two effects that the data make strongly dependent; its sd is that of the sum."""
    fit = around(model(kind), dict(zip(NAMES, theta, strict=True)), spread=0.0, chains=1, draws=4)
    mean, cov, bound = moments(kind, theta)
    found = pd.concat([fit.fixef(), fit.ranef()])
    np.testing.assert_allclose(found["mean"], mean, rtol=0, atol=bound)
    np.testing.assert_allclose(found["sd"] ** 2, np.diag(cov), rtol=0, atol=bound)
    table = fit.ranef()
    assert table.index.get_level_values("effect").unique().tolist() == [LABEL, f"{LABEL}[spatial]"]
    assert table.loc[LABEL].index.tolist() == list(range(9))
    # regions without rows: the sd of the island is that of the population
    sd, phi, _ = theta
    assert table.loc[(LABEL, 4), "sd"] == pytest.approx(sd, rel=1e-10)
    assert table.loc[(f"{LABEL}[spatial]", 4), "sd"] == pytest.approx(sd * np.sqrt(phi), rel=1e-10)
    assert table.loc[(LABEL, 4), "mean"] == pytest.approx(0.0, abs=1e-12)
    assert abs(table.loc[(LABEL, 6), "mean"]) > 1e-5  # its neighbours speak of it
    assert table.loc[(LABEL, 6), "mean"] == pytest.approx(table.loc[(f"{LABEL}[spatial]", 6), "mean"], abs=bound)
    # spatial parts sum to zero in each component of two or more regions
    spatial = table.loc[f"{LABEL}[spatial]", "mean"].to_numpy()
    np.testing.assert_allclose([spatial[[0, 3, 5, 6]].sum(), spatial[[1, 7, 8]].sum()], 0.0, atol=bound)


def test_total_variance_over_theta():
    fit = fit_of(model("flat"), np.array(THETAS + [THETAS[0]])[None])
    means, covs, bounds = zip(*(moments("flat", theta) for theta in [*THETAS, THETAS[0]]), strict=True)
    found = pd.concat([fit.fixef(), fit.ranef()])
    np.testing.assert_allclose(found["mean"], np.mean(means, axis=0), rtol=0, atol=max(bounds))
    variance = np.var(means, axis=0) + np.mean([np.diag(c) for c in covs], axis=0)
    np.testing.assert_allclose(found["sd"] ** 2, variance, rtol=0, atol=10 * max(bounds))


@pytest.fixture(scope="module")
def fit():
    return around(model("flat"), dict(zip(NAMES, THETAS[0], strict=True)), spread=0.05, draws=1000)


def test_draws_have_these_moments():
    """Given theta; five standard errors."""
    fit = around(model("flat"), dict(zip(NAMES, THETAS[0], strict=True)), spread=0.0, draws=1000)
    mean, cov, _ = moments("flat", THETAS[0])
    drawn = np.concatenate(
        [fit.posterior[name].to_numpy().reshape(4000, 9) for name in (LABEL, f"{LABEL}[spatial]")], 1
    )
    sd = np.sqrt(np.diag(cov)[3:])
    assert np.all(np.abs(drawn.mean(axis=0) - mean[3:]) < 5 * sd / np.sqrt(4000))
    np.testing.assert_allclose(drawn.var(axis=0), sd**2, rtol=5 * np.sqrt(2 / 4000))
    scatter = np.cov(drawn.T) / np.outer(sd, sd) - cov[3:, 3:] / np.outer(sd, sd)
    assert np.abs(scatter).max() < 6 * np.sqrt(2 / 4000)


def test_predictions(fit):
    """Every region of the graph, with or without rows; the rest of the row as usual."""
    new = pd.DataFrame({"x": np.linspace(-1, 1, 9), "region": range(9)})
    found = fit.predict(new)
    beta, b = fit.fixef()["mean"], fit.ranef(LABEL).xs(LABEL)["mean"]
    own = b.to_numpy() + beta[PATH] * np.isin(range(9), [1, 7, 8])  # the level of a component is a part of the term
    np.testing.assert_allclose(found["mean"], beta["Intercept"] + beta["x"] * new["x"] + own, rtol=1e-10)
    alone = fit.predict(new, terms=[LABEL])
    np.testing.assert_allclose(alone["mean"], own, rtol=1e-10, atol=1e-13)
    total_sd, ring = fit.ranef(LABEL).xs(LABEL)["sd"].to_numpy(), [0, 3, 5, 6, 2, 4]
    np.testing.assert_allclose(alone["sd"].to_numpy()[ring], total_sd[ring], rtol=5 * np.sqrt(1 / 8000))
    with pytest.raises(lgm.DataError, match=r"regions that are not in the graph: 9.*nodes="):
        fit.predict(new.assign(region=[*range(8), 9]))


def test_plot(fit):
    figure = fit.plot_term(LABEL)
    assert [ax.get_title(loc="left") for ax in figure.axes[:2]] == [LABEL, f"{LABEL}[spatial]"]
    assert len(fit.plot(f"phi({LABEL})").axes) == 2


def test_names_tables_and_scales(fit):
    assert list(fit.summary().index) == ["Intercept", "x", PATH, *NAMES]
    assert list(fit.varcorr().index) == [(LABEL, "sd"), (LABEL, "phi"), ("Residual", "sigma")]
    factors = fit.scales[LABEL]
    np.testing.assert_allclose(np.sort(factors), np.sort(scaled_covariance(icar_structure(9, EDGES))[1]), rtol=1e-12)
    assert fit.priors.loc[f"phi({LABEL})", "prior"] == "pc_phi(0.5, 0.666667)"
    assert "9 regions, 6 edges, 4 components, 2 islands" in repr(model("flat"))


def test_saved_and_read(fit, tmp_path):
    given = {"Intercept": flat(), "fixed": flat(), "phi": lgm.priors.pc_phi(0.4, 0.8)}
    built = lgm.model("y ~ x + bym2(region, graph)", DATA, priors=given, env={"graph": GRAPH})
    other = around(built, dict(zip(NAMES, THETAS[0], strict=True)), draws=25)
    other.save(tmp_path / "fit.lgm")
    again = lgm.load(tmp_path / "fit.lgm")
    pd.testing.assert_frame_equal(again.ranef(), other.ranef())
    pd.testing.assert_frame_equal(again.priors, other.priors)
    assert again.priors.loc[f"phi({LABEL})", "prior"] == "pc_phi(0.4, 0.8)"
    new = pd.DataFrame({"x": [0.0], "region": [6]})
    pd.testing.assert_frame_equal(again.predict(new), other.predict(new))


def test_the_prior_of_phi():
    """By name, by class, on an interval, held; a prior of a share is for a share."""
    theta = dict(zip(NAMES, THETAS[0], strict=True))

    def built(**priors):
        return lgm.model("y ~ x + bym2(region, graph)", DATA, priors=priors, env={"graph": GRAPH})

    def of_phi(model):
        return model.log_density(theta) - model.log_likelihood(theta)

    uniform = built(phi=lgm.priors.uniform(0, 1))
    for given in ({NAMES[1]: lgm.priors.beta(2, 1)}, {"phi": lgm.priors.beta(2, 1)}):
        assert of_phi(built(**given)) - of_phi(uniform) == pytest.approx(np.log(2 * 0.4), abs=1e-10)
    assert of_phi(built(phi=flat())) == pytest.approx(of_phi(uniform), abs=1e-12)
    assert built(phi=lgm.priors.constant(0.3)).priors.loc[NAMES[1], "prior"] == "constant(0.3)"
    with pytest.raises(lgm.PriorError, match=r"pc_phi\(0.5, 0.666667\), which is for the share"):
        built(sd=lgm.priors.pc_phi())
    with pytest.raises(lgm.PriorError, match="that are not in"):
        built(phi=lgm.priors.half_normal(1.0))
    with pytest.raises(lgm.PriorError, match=r"must be in \(0, 1\)"):
        built(phi=lgm.priors.constant(1.0))
    with pytest.raises(lgm.PriorError, match=r"on this graph alpha, .* must be more than"):
        built(phi=lgm.priors.pc_phi(0.9, 0.01))


def test_density_beyond_the_end_of_the_prior():
    theta = dict(zip(NAMES, THETAS[0], strict=True))
    for phi in (0.0, 1.0 - 1e-7, 1.0):
        assert model("flat").log_density({**theta, NAMES[1]: phi}) == -np.inf


def test_regions_that_are_not_in_the_graph():
    with pytest.raises(
        lgm.DataError, match=r"bym2\(region\): regions that are not in the graph: 11.*graph\(edges, nodes="
    ):
        lgm.model("y ~ bym2(region, graph)", DATA.replace({"region": {5: 11}}), env={"graph": GRAPH})
    with pytest.raises(lgm.FormulaError, match=r"bym2\(\) needs `graph`"):
        lgm.model("y ~ bym2(region)", DATA)


def test_one_row_per_region():
    """The independent part is a second residual; weights tell them apart, and so does a known sigma."""
    once = DATA.drop_duplicates("region")
    with pytest.warns(
        lgm.IdentifiabilityWarning, match=r"sd\(bym2\(region\)\), phi\(bym2\(region\)\) and sigma say the same"
    ):
        lgm.model("y ~ 1 + bym2(region, graph)", once, env={"graph": GRAPH})
    lgm.model("y ~ 1 + bym2(region, graph)", once, env={"graph": GRAPH}, weights="w")
    lgm.model("y ~ 1 + bym2(region, graph)", once, env={"graph": GRAPH}, priors={"sigma": lgm.priors.constant(1.0)})


def test_the_order_of_nodes_and_rows_does_not_matter():
    theta = dict(zip(NAMES, THETAS[0], strict=True))
    other = lgm.graph([(j, i) for i, j in reversed(EDGES)], [4, 8, 0, 2, 7, 5, 1, 6, 3])
    shuffled = DATA.sample(frac=1.0, random_state=3)
    built = lgm.model("y ~ x + bym2(region, graph)", shuffled, priors=KINDS["flat"], weights="w", env={"graph": other})
    one, two = model("flat"), built
    y, _, covariance = definition("flat")
    bound = bound_of(y, covariance(np.array(THETAS[0])))
    assert two.log_likelihood(theta) == pytest.approx(one.log_likelihood(theta), abs=bound)
    assert two.log_density(theta) == pytest.approx(
        one.log_density(theta), abs=1e-6
    )  # phi's prior: rounding at its nodes


def test_a_default_prior_where_hubs_leave_little_room():
    """A clique with a tail: the usual default cannot be had, and the one that is taken says what it is."""
    clique = [(i, j) for i in range(60) for j in range(i)]
    tail = [(59 + k, 60 + k) for k in range(8)]
    graph = lgm.graph(clique + tail, range(68))
    frame = pd.DataFrame({"y": np.sin(np.arange(136.0)), "r": np.arange(136) % 68})
    for key in ({}, {"phi": lgm.priors.beta(1, 1)}):
        model = lgm.model("y ~ bym2(r, graph)", frame, priors=key, env={"graph": graph})
        assert np.isfinite(model.log_density({"sd(bym2(r))": 0.5, "phi(bym2(r))": 0.4, "sigma": 1.0}))
