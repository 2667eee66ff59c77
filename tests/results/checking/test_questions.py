"""Which faults are looked for."""

import numpy as np
import pandas as pd
import planted
import pytest
from synthetic import around

import lgm
from lgm.errors import DataError, LgmError
from lgm.results.checking.observed import Observed
from lgm.results.checking.questions import neighbours, questions


def _asked(fit: lgm.Fit, **how: object) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for question in questions(Observed(fit), how.get("time"), how.get("near")):
        found.setdefault(question.check, []).append(question.about)
    return found


def test_they_depend_on_the_family() -> None:
    assert {"dispersion", "zeros"} <= set(_asked(planted.of("poisson")))
    assert not {"dispersion", "zeros"} & set(_asked(planted.of("gaussian")))
    assert {"dispersion", "zeros"} <= set(_asked(planted.several()))
    assert not {"dispersion", "zeros"} & set(_asked(planted.binary()))
    assert not {"dispersion", "zeros"} & set(_asked(planted.ordered()))


def test_they_depend_on_the_terms() -> None:
    asked = _asked(planted.of("gaussian"))
    assert asked["curves"] == ["x"] and asked["slopes"] == ["x by g"]
    assert asked["autocorrelation"] == ["the order of the data within g"] and "space" not in asked
    asked = _asked(planted.few())
    assert asked["autocorrelation"] == ["t within g"] and "e" not in asked["curves"]
    data, _ = planted.response("gaussian", 1)
    model = lgm.model("y ~ s(x) + (1 + x | g)", data)
    asked = _asked(around(model, {name: 0.5 for name in model.design.theta_names}, draws=3))
    assert "curves" not in asked and "slopes" not in asked


def test_regions_of_a_graph_are_neighbours() -> None:
    data = pd.DataFrame({"id": np.tile(np.arange(9), 4), "x": np.random.default_rng(1).normal(size=36)})
    data["y"] = data.x + np.random.default_rng(2).normal(size=36)
    edges = [(i, j) for i in range(9) for j in (i + 1, i + 3) if j < 9]
    model = lgm.model("y ~ x + bym2(id, edges)", data, env={"edges": edges})
    fit = around(model, {name: 0.5 for name in model.design.theta_names}, draws=3)
    assert _asked(fit)["space"] == ["bym2(id)"]
    [question] = [q for q in questions(Observed(fit), None, None) if q.check == "space"]
    from lgm.results.checking.faults import Drawn

    z = np.random.default_rng(3).normal(size=(36, 1))
    w = np.zeros((9, 9))
    for i, j in edges:
        w[i, j] = w[j, i] = 1.0
    sums = z.reshape(4, 9).sum(axis=0)
    expected = 9 / w.sum() * (sums @ w @ sums) / (sums @ sums)
    assert question.statistic(Drawn(z, z, z))[0] == pytest.approx(expected)


def test_the_nearest_places_are_neighbours() -> None:
    rows = Observed(planted.of("gaussian"))
    x = np.arange(240.0)
    _, codes, adjacency, _ = neighbours(rows, (x, np.zeros(240)))
    dense = adjacency.toarray()
    assert np.array_equal(dense, dense.T) and np.array_equal(codes, np.arange(240))
    assert set(np.flatnonzero(dense[100])) == {97, 98, 99, 101, 102, 103}


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"near": "lon"}, LgmError, "near='lon'; accepted: two coordinates"),
        ({"near": ("lon", "lat")}, DataError, "near='lon' is not among the columns that the fit kept"),
        ({"near": (np.zeros(240), np.zeros(240))}, DataError, "has 1 different places"),
        ({"near": (np.array(["a"] * 240), np.zeros(240))}, DataError, "columns of numbers"),
        ({"time": np.full(240, np.nan)}, DataError, r"time= \(time\) is missing in 240 rows"),
        ({"checks": "zeros"}, LgmError, "check 'zeros' cannot be made: gaussian has no zeros"),
        ({"checks": ["curves", "dispersion"]}, LgmError, "gaussian has a parameter for how much responses vary"),
        ({"checks": "space"}, LgmError, "no graph of regions in the model; near="),
        ({"checks": "basis"}, LgmError, "there is no smooth"),
        ({"checks": "zero"}, LgmError, r"no check 'zero'.*Did you mean .*'zeros'"),
    ],
)
def test_what_a_fit_cannot_have_is_refused(how: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        planted.of("gaussian").check(**how)
