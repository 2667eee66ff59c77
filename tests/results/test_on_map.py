"""Effects of regions as a table of geopandas."""

import numpy as np
import pandas as pd
import pytest
from synthetic import around

import lgm

geopandas = pytest.importorskip("geopandas", reason="geopandas is not installed; make test-pymc has it")

EDGES = [("a", "b"), ("b", "c"), ("c", "d")]
# in another order than the regions, and with one that the model does not have
PLACES = geopandas.GeoDataFrame(
    {"area": list("dcbxa")}, geometry=geopandas.points_from_xy([3.0, 2.0, 1.0, 9.0, 0.0], [5.0] * 5), crs="EPSG:4326"
).set_index("area")


@pytest.fixture(scope="module")
def fit() -> lgm.Fit:
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"area": list("abcd") * 6, "year": np.repeat(np.arange(6), 4), "y": rng.normal(size=24)})
    model = lgm.model("y ~ icar(area, EDGES) + icar(area, EDGES, group=ar1(year)) + (1|year)", data)
    return around(model, dict.fromkeys(model.design.theta_names, 0.4), draws=20)


@pytest.mark.parametrize("several", [PLACES, PLACES.geometry, pd.concat([PLACES, PLACES])])
def test_each_region_has_its_shape(fit: lgm.Fit, several) -> None:
    found, plain = fit.ranef("icar(area)", condsd=True, geometry=several), fit.ranef("icar(area)", condsd=True)
    assert isinstance(found, geopandas.GeoDataFrame) and found.crs == PLACES.crs
    assert found.geometry.x.tolist() == [0.0, 1.0, 2.0, 3.0]
    pd.testing.assert_frame_equal(pd.DataFrame(found.drop(columns="geometry")), plain)


def test_copies_of_a_map(fit: lgm.Fit) -> None:
    found = fit.ranef("icar(area, group=ar1(year))", geometry=PLACES)
    assert found.geometry.x.tolist() == [0.0, 1.0, 2.0, 3.0] * 6
    assert all("c" in label for _, label in found.index[found.geometry.x == 2.0])


def test_what_is_refused(fit: lgm.Fit) -> None:
    moved = pd.concat([PLACES, PLACES.set_geometry(PLACES.translate(1.0))])
    for geometry, term, kind, message in [
        ({"a": (0, 1)}, "icar(area)", lgm.DataError, "of the type dict. Accepted: a GeoDataFrame"),
        (pd.DataFrame({"geometry": [1]}), "icar(area)", lgm.DataError, "of the type DataFrame. Accepted"),
        (PLACES.drop("c"), "icar(area)", lgm.LgmError, r"no shape of 'c' of icar\(area\); it has"),
        (PLACES, None, lgm.LgmError, r"no shape of .* of Intercept\|year.*the name of one term"),
        (moved, "icar(area)", lgm.DataError, "several shapes of 'd', 'c'"),
    ]:
        with pytest.raises(kind, match=message):
            fit.ranef(term, geometry=geometry)
