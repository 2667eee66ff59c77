"""From a design to a posterior: scales of intrinsic terms, the pattern of H, the limits of double precision."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dense_model import icar_structure, rounding, rw_structure, scaled_covariance

import lgm
from lgm.errors import DataError
from lgm.smooths import cubic

TIMES = np.array([-3.0, -2.5, 0.0, 0.25, 4.0, 11.0, 12.0])


def test_close_times_are_refused_where_double_precision_ends():
    t = np.concatenate([np.arange(100.0), [50.5, 50.5 + 1e-7]])
    frame = pd.DataFrame({"y": np.sin(t), "t": t})
    assert np.isfinite(lgm.model("y ~ rw1(t)", frame).log_likelihood({"sd(rw1(t))": 1.0, "sigma": 0.5}))
    with pytest.raises(DataError, match=r"rw2\(t\): some of its values are so close.*Round them"):
        lgm.model("y ~ rw2(t)", frame)
    rounded = frame.assign(t=frame["t"].round(3))
    assert np.isfinite(lgm.model("y ~ rw2(t)", rounded).log_likelihood({"sd(rw2(t))": 1.0, "sigma": 0.5}))


def frame():
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "y": rng.standard_normal(30),
            "x": rng.standard_normal(30),
            "t": rng.choice(TIMES, 30),
            "region": rng.integers(0, 6, 30),
            "f": rng.choice(["a", "b", "c"], 30),
        }
    )


EDGES = [[0, 3], [3, 1], [4, 5]]


def test_scales_are_reported_by_term():
    """One factor per component of a graph, one for a walk, that of the basis for a smooth, none for proper terms."""
    data = frame()
    graph = lgm.graph(EDGES, range(6))
    model = lgm.model('y ~ (1|f) + icar(region, graph) + rw2(t) + s(x, bs="ps", k=7)', data, env={"graph": graph})
    scales = model.design.scales
    assert set(scales) == {"icar(region)", "rw2(t)", "s(x)"}
    np.testing.assert_allclose(scales["icar(region)"], scaled_covariance(icar_structure(6, EDGES))[1], rtol=1e-13)
    np.testing.assert_allclose(
        scales["rw2(t)"], scaled_covariance(rw_structure(2, np.unique(data["t"])), 2)[1], rtol=1e-9
    )
    assert scales["s(x)"].tolist() == [cubic.build("ps", data["x"].to_numpy(), 7).scale]


def test_pattern_comes_from_structure_not_from_values():
    """A covariate that is zero in places, and rows that cancel, leave the pattern alone."""
    one = frame()
    other = one.assign(x=np.where(np.arange(30) < 15, 0.0, one["x"]))
    # x and -x in the same level of f: the cross product of the columns is zero, its place is kept
    cancel = one.assign(x=one["x"] - one.groupby("f")["x"].transform("mean"))
    patterns = {
        lgm.model("y ~ x + (1 + x|f)", data).analysed.marginal.analysis.pattern for data in (one, other, cancel)
    }
    assert len(patterns) == 1


def test_fixed_effects_return_from_their_basis():
    """``X_internal internal + reference`` and the printed coefficients give the same linear predictor."""
    data = frame().assign(x=lambda d: 50.0 + d["x"])
    analysed = lgm.model("y ~ x * f", data).analysed
    design = lgm.model("y ~ x * f", data).design
    internal = np.random.default_rng(1).standard_normal(design.p)
    printed = analysed.natural(internal)
    np.testing.assert_allclose(analysed.basis @ internal, printed - analysed.reference, rtol=1e-12)
    X = design.predictor.X
    gradient = X.T @ (design.y - X @ analysed.reference)  # the reference is the least-squares fit
    np.testing.assert_allclose(gradient, 0.0, atol=rounding(30, X.toarray()) * np.abs(X).max() * 30)
