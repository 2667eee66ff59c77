"""``matern(lon, lat)`` against the dense covariance of a field on a small mesh."""

from __future__ import annotations

import pickle
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from dense_model import condition, field_elements, field_precision, restricted, rounding
from synthetic import around

import lgm
from lgm.posterior import density
from lgm.priors import flat
from lgm.terms.view import Field

RNG = np.random.default_rng(7)
DATA = pd.DataFrame({"lon": RNG.uniform(0, 4, 40), "lat": RNG.uniform(0, 3, 40), "x": RNG.normal(size=40)})
DATA = DATA.assign(y=2.0 + np.sin(DATA["lon"]) + 0.3 * RNG.normal(size=40), count=RNG.poisson(3.0, 40))
PLACES = DATA[["lon", "lat"]].to_numpy()
MESH = lgm.mesh(PLACES, edge=1.2, extension=2.0)
LABEL = "matern(lon, lat)"
NAMES = [f"sd({LABEL})", f"range({LABEL})", "sigma"]
THETAS = [(0.7, 2.0, 0.5), (1.5, 6.0, 0.3)]
thetas = pytest.mark.parametrize("theta", THETAS, ids=str)
X = np.column_stack([np.ones(40), DATA["x"]])
FLAT = {"Intercept": flat(), "fixed": flat()}


def interpolation(places):
    """Weights of the corners of the triangle that a place is in, by solving for them."""
    A = np.zeros((len(places), MESH.n))
    for row, place in enumerate(places):
        for corners in MESH.triangles:
            found = np.linalg.solve(np.column_stack([MESH.points[corners], np.ones(3)]).T, np.append(place, 1.0))
            if found.min() >= -1e-12:
                A[row, corners] = found
                break
    return A


Z = interpolation(PLACES)


@cache
def model():
    return lgm.model("y ~ x + matern(lon, lat, mesh=MESH)", DATA, priors=FLAT, env={"MESH": MESH})


def effects(theta):
    mass, stiffness = field_elements(MESH.points, MESH.triangles)
    return theta[0] ** 2 * np.linalg.inv(field_precision(mass, stiffness, 2, 2, theta[1]))


def response(theta):
    return Z @ effects(theta) @ Z.T + theta[2] ** 2 * np.eye(40)


@thetas
def test_likelihood_and_gradient(theta):
    at, V = np.array(theta), response(theta)
    steps = 1e-5 * np.diag(at)
    changes = [(response(at + step) - response(at - step)) / (2.0 * step.sum()) for step in steps]
    wanted, slopes = restricted(DATA["y"].to_numpy(), X, V, changes)
    with jax.enable_x64(True):
        both = jax.jit(jax.value_and_grad(density.log_likelihood, argnums=1))
        value, grad = both(model().analysed.marginal, jnp.array(theta))
    y = DATA["y"].to_numpy()
    bound = rounding(40, V, X.T @ X) * (40.0 + y @ np.linalg.solve(V, y))
    assert abs(float(value) - wanted) < bound < 1e-7
    np.testing.assert_allclose(grad, slopes, rtol=1e-6, atol=1e-6)
    assert model().design.theta_names == tuple(NAMES)


@pytest.fixture(scope="module")
def fit():
    return around(model(), dict(zip(NAMES, THETAS[0], strict=True)), spread=0.0, chains=1, draws=200)


def test_effects_and_predictions(fit):
    """Anywhere in the mesh; between nodes the sd is that of the interpolated value, five standard errors."""
    mean, cov = condition(DATA["y"], np.hstack([X, Z]), effects(THETAS[0]), response(THETAS[0]), flat=2)
    found = pd.concat([fit.fixef(), fit.ranef()])
    np.testing.assert_allclose(found["mean"], mean, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found["sd"] ** 2, np.diag(cov), rtol=0, atol=1e-9)
    assert fit.ranef().index.get_level_values("level").tolist() == list(range(MESH.n))
    new = pd.DataFrame({"lon": [0.5, 2.25, -1.5], "lat": [0.5, 1.0, 3.5], "x": 0.0})
    A = np.hstack([np.eye(2)[np.zeros(3, dtype=int)], interpolation(new[["lon", "lat"]].to_numpy())])
    predicted = fit.predict(new)
    np.testing.assert_allclose(predicted["mean"], A @ mean, rtol=0, atol=1e-9)
    np.testing.assert_allclose(predicted["sd"], np.sqrt(np.diag(A @ cov @ A.T)), rtol=5 / np.sqrt(2 * 200))


def test_files_and_copies(fit, tmp_path):
    new = pd.DataFrame({"lon": [0.5, 2.25], "lat": [0.5, 1.0], "x": 0.0})
    fit.save(tmp_path / "fit.lgm")
    for again in (lgm.load(tmp_path / "fit.lgm"), pickle.loads(pickle.dumps(fit))):
        pd.testing.assert_frame_equal(again.predict(new), fit.predict(new))
        assert again.design.terms[0].view.mesh == MESH


def test_names_and_words(fit):
    assert list(fit.varcorr().index) == [(LABEL, "sd"), (LABEL, "range"), ("Residual", "sigma")]
    assert f"{MESH.n} nodes, {len(MESH.triangles)} triangles" in repr(model())
    [term] = model().design.terms
    assert isinstance(term.view, Field) and term.view.variables == ("lon", "lat") and term.view.mesh == MESH


def test_a_mesh_of_its_own_and_the_default_prior_of_the_range():
    """Five percent of the diameter, or two edges where the mesh is coarse."""
    own = lgm.model(f"y ~ {LABEL}", DATA)
    diameter = np.hypot(*np.ptp(PLACES, axis=0))
    assert isinstance(own.design.terms[0].view, Field) and own.design.terms[0].view.mesh == lgm.mesh(PLACES)
    assert own.priors.loc[NAMES[1], "prior"] == f"pc_range({0.05 * diameter:.3g}, 0.05)"
    coarse = float(model().priors.loc[NAMES[1], "prior"].removeprefix("pc_range(").split(",")[0])
    assert 1.6 < coarse / 1.2 < 2.5
    assert own.sample_prior(7, seed=1).shape == (7, 4)


def test_counts_with_a_missing_response_beside_other_terms():
    frame = DATA.assign(count=DATA["count"].where(DATA.index != 3), g=np.arange(40) % 8)
    env = {"MESH": (MESH.points, MESH.triangles)}  # as another tool would give it
    built = lgm.model("count ~ x + matern(lon, lat, mesh=MESH) + (1|g)", frame, family="poisson", env=env)
    theta = {NAMES[1]: 2.0, "sd(Intercept|g)": 0.2}
    without = lgm.model("count ~ x + (1|g)", frame, family="poisson")
    assert built.log_likelihood({**theta, NAMES[0]: 0.0}) == pytest.approx(
        without.log_likelihood({"sd(Intercept|g)": 0.2}), abs=1e-8
    )
    assert np.isfinite(built.log_likelihood({**theta, NAMES[0]: 0.5}))


def test_two_fields():
    built = lgm.model("y ~ matern(lon, lat, mesh=MESH) + matern(lat, lon)", DATA, env={"MESH": MESH})
    assert built.design.theta_names[:4] == (*NAMES[:2], "sd(matern(lat, lon))", "range(matern(lat, lon))")


def test_a_mesh_that_does_not_cover_the_data(fit):
    cut = lgm.mesh(PLACES[PLACES[:, 0] < 2.0], extension=0.1)
    message = r"matern\(lon, lat\): \d+ of 40 rows are outside of the mesh \(rows .*\. It covers x from .*lgm.mesh\("
    with pytest.raises(lgm.DataError, match=message):
        lgm.model("y ~ matern(lon, lat, mesh=cut)", DATA, env={"cut": cut})
    with pytest.raises(lgm.DataError, match=r"1 of 2 rows .* \(rows 8; the first is at 50, 1\)"):
        fit.predict(pd.DataFrame({"lon": [1.0, 50.0], "lat": 1.0, "x": 0.0}, index=[4, 8]))


def test_what_is_no_mesh():
    with pytest.raises(lgm.DataError, match=r"matern\(lon, lat\): a mesh is not made from int"):
        lgm.model("y ~ matern(lon, lat, mesh=3)", DATA)
    with pytest.raises(lgm.DataError, match=r"matern\(lon, lat\): a mesh needs points at two places"):
        lgm.model("y ~ matern(lon, lat)", DATA.assign(lon=1.0, lat=2.0))
    with pytest.raises(lgm.FormulaError, match="no variance at points in the plane"):
        lgm.model("y ~ matern(lon, lat, alpha=1)", DATA)
    with pytest.raises(lgm.FormulaError, match=r"alpha=3 is not known"):
        lgm.model("y ~ matern(lon, lat, alpha=3)", DATA)
    with pytest.raises(lgm.FormulaError, match=r"matern\(\) needs `y`"):
        lgm.model("y ~ matern(lon)", DATA)


def test_priors_of_ranges_that_the_mesh_cannot_show():
    def built(prior):
        return lgm.model("y ~ matern(lon, lat, mesh=MESH)", DATA, priors={"range": prior}, env={"MESH": MESH})

    with pytest.raises(
        lgm.PriorError, match=r"median of about .*, which is beyond the domain: the mesh has a diameter"
    ):
        built(lgm.priors.pc_range(500.0))
    with pytest.raises(lgm.PriorError, match=r"which is shorter than the edges of the mesh"):
        built(lgm.priors.exponential(100.0))
    for prior in (lgm.priors.constant(2.0), lgm.priors.pc_range(1.0, 0.05)):
        assert built(prior).priors.loc[NAMES[1], "prior"] == repr(prior)


def test_longitudes_on_both_sides_of_the_date_line():
    """The warning says that distances are planar; shifted longitudes raise none."""
    frame = DATA.assign(lon=np.where(DATA["lon"] > 2.0, 182.0 - DATA["lon"], -180.0 + DATA["lon"]))
    with pytest.warns(lgm.DataWarning, match=r"`lon` runs from .* date line .* distances are those of the plane"):
        lgm.model("y ~ matern(lon, lat)", frame)
    lgm.model("y ~ matern((lon + 360) % 360, lat)", frame)
