"""Groups whose levels are of several kinds, against dense covariances."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dense_model import group, restricted, rounding

import lgm
from lgm.design.design import encode
from lgm.errors import DataError
from lgm.priors import flat

N = 40
RNG = np.random.default_rng(5)
DATA = pd.DataFrame({"g": np.repeat(np.arange(8), 5), "x": RNG.standard_normal(N), "y": RNG.standard_normal(N)})
DATA["k"] = np.where(np.isin(DATA["g"], [0, 3, 4]), "u", "v")


def test_likelihood_of_correlated_effects_by_kind() -> None:
    model = lgm.model("y ~ 1 + (x | g, by=k)", DATA, priors={"Intercept": flat()})
    theta, V = {"sigma": 0.6}, 0.36 * np.eye(N)
    for kind, sds, corr in (("u", (0.8, 0.3), 0.5), ("v", (1.5, 0.9), -0.4)):
        owner = f"g[k={kind}]"
        theta |= {f"sd(Intercept|{owner})": sds[0], f"sd(x|{owner})": sds[1], f"corr(Intercept,x|{owner})": corr}
        inside = (DATA["k"] == kind).to_numpy()
        V += np.outer(inside, inside) * group(DATA["g"], np.column_stack([np.ones(N), DATA["x"]]), sds, [corr])
    wanted = restricted(DATA["y"].to_numpy(), np.ones((N, 1)), V)[0]
    assert model.log_likelihood(theta) == pytest.approx(wanted, abs=100 * rounding(N, V))
    assert model.design.terms[0].size == "8 levels; variances by k (u, v)"
    names = [component.names for component in model.design.terms[0].components]
    assert ("sd(x|g[k=v])",) in names and ("corr(Intercept,x|g[k=u])",) in names and len(names) == 6


def test_spelling_of_brms_and_classes() -> None:
    brms = lgm.model("y ~ (1 | gr(g, by=k))", DATA).design
    assert brms.theta_names == ("sd(Intercept|g[k=u])", "sd(Intercept|g[k=v])", "sigma")
    equal = lgm.model("y ~ homdiag(x | g, by=k)", DATA).design
    assert equal.theta_names[:2] == ("sd(homdiag(x | g, by=k)[k=u])", "sd(homdiag(x | g, by=k)[k=v])")


def test_new_levels_are_drawn_from_their_kind() -> None:
    design = lgm.model("y ~ (1 | g, by=k)", DATA).design
    new = pd.DataFrame({"g": [50, 0, 60, 50], "k": ["v", "u", "u", "v"]})
    (encoded,) = encode(design, new).encoded
    assert encoded.novel is not None and encoded.novel.population
    theta = {"sd": np.tile([2.0, 5.0], (3, 1))}
    draws = encoded.novel.draw(theta, np.zeros((3, 8)), np.ones((3, 2)))
    assert draws.tolist() == [[5.0, 2.0]] * 3
    with pytest.raises(DataError, match="new levels of `g` have 'w' in `k`, of which the fit knows no variance"):
        encode(design, new.assign(k=["w", "u", "u", "w"]))
    with pytest.raises(DataError, match="the new level 50 of `g` has two values of `k`"):
        encode(design, new.assign(k=["u", "u", "u", "v"]))


def test_what_kinds_cannot_be() -> None:
    with pytest.raises(DataError, match="the level 0 of `g` has rows with different values of `k`"):
        lgm.model("y ~ (1 | g, by=k)", DATA.assign(k=np.arange(N) % 2))
    with pytest.raises(DataError, match=r"'u' of `k` has 1 level of `g`: a variance"):
        lgm.model("y ~ (1 | g, by=k)", DATA.assign(k=np.where(DATA["g"] == 0, "u", "v")))
    with pytest.raises(DataError, match="is for groups of which each row has one level"):
        lgm.model("y ~ (1 | mm(g, h, by=k))", DATA.assign(h=DATA["g"]))
