"""Degrees of freedom of terms that are no smooths, by dense algebra; those of smooths are in `test_basis_check`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dense_model import icar_structure, scaled_covariance
from synthetic import around

import lgm

RNG = np.random.default_rng(6)
DATA = pd.DataFrame({"g": np.repeat(list("abcdef"), 5), "x": RNG.normal(size=30), "r": RNG.permutation(30) % 5})
DATA["y"] = RNG.normal(size=30)
EDGES = [[0, 1], [1, 2], [2, 3], [3, 4]]


def test_groups_and_maps_are_traces() -> None:
    flat = {"Intercept": lgm.priors.flat(), "fixed": lgm.priors.flat()}
    model = lgm.model("y ~ x + (x|g) + icar(r, m)", DATA, env={"m": lgm.graph(EDGES)}, priors=flat)
    area = model.design.terms[1].label
    theta = {"sd(Intercept|g)": 0.9, "sd(x|g)": 0.5, "corr(Intercept,x|g)": 0.3, f"sd({area})": 0.7, "sigma": 0.8}
    found = around(model, theta, spread=0.0, draws=2).edf()
    cov = np.kron(np.eye(6), np.array([[0.81, 0.135], [0.135, 0.25]]))
    group, x = pd.get_dummies(DATA["g"]).to_numpy(float), DATA["x"].to_numpy()
    slopes = np.stack([group, group * x[:, None]], axis=2).reshape(30, 12)
    places = np.eye(5)[DATA["r"]]
    parts = [slopes @ cov @ slopes.T, 0.49 * places @ scaled_covariance(icar_structure(5, EDGES))[0] @ places.T]
    fixed = np.column_stack([np.ones(30), x])
    inverse = np.linalg.inv(sum(parts) + 0.64 * np.eye(30))
    about = inverse - inverse @ fixed @ np.linalg.solve(fixed.T @ inverse @ fixed, fixed.T @ inverse)
    assert list(found.index) == ["(x | g)", area]
    np.testing.assert_allclose(found, [np.trace(part @ about) for part in parts], rtol=1e-9)


def test_without_terms() -> None:
    with pytest.raises(lgm.LgmError, match="no latent terms; a fixed effect is worth one"):
        around(lgm.model("y ~ x", DATA), {"sigma": 0.8}, spread=0.0, draws=2).edf()
