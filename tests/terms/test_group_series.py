"""Series in the levels of a group against dense covariances, with gaps and times of their own."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from dense_model import restricted, rounding
from synthetic import around

import lgm
from lgm.design.design import encode
from lgm.errors import DataError, FormulaError, PredictionWarning
from lgm.priors import flat
from lgm.terms.group_series import GroupSeriesTerm

N, J = 40, 6
RNG = np.random.default_rng(6)


def _data() -> pd.DataFrame:
    g = RNG.integers(0, J, N)
    f = np.array(list("abcd"))[RNG.integers(0, 4, N)]
    f = np.where((g == 0) & np.isin(f, ["b", "c"]) | (g == 3) & (f == "d"), "a", f)  # times that levels lack
    t = 3 * RNG.integers(0, 7, N) + 1  # gaps, and several rows of one time
    return pd.DataFrame(
        {
            "g": g,
            "t": t,
            "s": np.round(RNG.uniform(0.0, 9.0, N), 2),
            "f": f,
            "k": np.where(g < 3, "u", "v"),
            "y": RNG.standard_normal(N),
        }
    )


DATA = _data()
SAME = np.equal.outer(DATA["g"].to_numpy(), DATA["g"].to_numpy())


def lags(column: str) -> np.ndarray:
    values = DATA[column].to_numpy(float) if column != "f" else np.array(["abcd".index(f) for f in DATA["f"]], float)
    return np.abs(np.subtract.outer(values, values))


def spacing() -> float:
    """The median spacing of times within levels."""
    gaps = [np.diff(np.unique(part)) for _, part in DATA.groupby("g")["s"]]
    return float(np.median(np.concatenate(gaps)))


POSITION = np.array(["abcd".index(f) for f in DATA["f"]])
SDS = np.array([0.5, 1.2, 0.8, 1.0])
KIND = (DATA["k"] == "v").to_numpy().astype(int)
CASES = {
    "ar1(0 + t | g)": (("sd(ar1(0 + t | g))", 0.9), ("rho(ar1(0 + t | g))", -0.6)),
    "ar1(0 + f | g)": (("sd(ar1(0 + f | g))", 0.9), ("rho(ar1(0 + f | g))", 0.7)),
    "ou(0 + s | g)": (("sd(ou(0 + s | g))", 0.9), ("rho(ou(0 + s | g))", 0.4)),
    "hetar1(0 + f | g)": (
        *((f"sd(f[{name}]|g)", sd) for name, sd in zip("abcd", SDS, strict=True)),
        ("rho(hetar1(0 + f | g))", 0.7),
    ),
    "ou(0 + s | g, by=k)": tuple(
        (f"{kind}(ou(0 + s | g, by=k)[k={level}])", value)
        for level, pair in (("u", (0.9, 0.4)), ("v", (1.4, 0.8)))
        for kind, value in zip(("sd", "rho"), pair, strict=True)
    ),
}


def dense(name: str) -> np.ndarray:
    """Covariance of the effects in the rows."""
    match name:
        case "ar1(0 + t | g)":
            return 0.81 * SAME * np.power(-0.6, lags("t") // 3)
        case "ar1(0 + f | g)":
            return 0.81 * SAME * np.power(0.7, lags("f"))
        case "ou(0 + s | g)":
            return 0.81 * SAME * np.power(0.4, lags("s") / spacing())
        case "hetar1(0 + f | g)":
            return np.outer(SDS[POSITION], SDS[POSITION]) * SAME * np.power(0.7, lags("f"))
    sd, rho = np.array([0.9, 1.4])[KIND], np.array([0.4, 0.8])[KIND]
    return sd[:, None] ** 2 * SAME * np.power(rho[:, None], lags("s") / spacing())


@cache
def model(name: str) -> lgm.Model:
    return lgm.model(f"y ~ 1 + {name}", DATA, priors={"Intercept": flat()})


@pytest.mark.parametrize("name", CASES)
def test_likelihood(name: str) -> None:
    V = dense(name) + 0.36 * np.eye(N)
    assert list(model(name).design.theta_names) == [*dict(CASES[name]), "sigma"]
    found = model(name).log_likelihood({**dict(CASES[name]), "sigma": 0.6})
    wanted = restricted(DATA["y"].to_numpy(), np.ones((N, 1)), V)[0]
    assert found == pytest.approx(wanted, abs=100 * rounding(N, V))


def test_columns_that_are_no_factor_stand_one_after_the_other() -> None:
    """As in lme4: neighbours in the model matrix, an intercept and a slope say, have the correlation rho."""
    data = DATA.assign(x=DATA["s"] - 4.0)
    with pytest.warns(lgm.DataWarning, match=r"Intercept, x are taken for successive times.*ar1\(0 \+ time \| g\)"):
        found = lgm.model("y ~ 1 + ar1(1 + x | g)", data, priors={"Intercept": flat()})
    label = "ar1(1 + x | g)"
    x = data["x"].to_numpy()
    C = SAME * (1.0 + np.outer(x, x) + 0.3 * np.add.outer(x, x))
    V = 0.25 * C + 0.36 * np.eye(N)
    theta = {f"sd({label})": 0.5, f"rho({label})": 0.3, "sigma": 0.6}
    wanted = restricted(DATA["y"].to_numpy(), np.ones((N, 1)), V)[0]
    assert found.log_likelihood(theta) == pytest.approx(wanted, abs=100 * rounding(N, V))


def test_a_forgotten_zero() -> None:
    with pytest.warns(lgm.DataWarning, match=r"in ar1\(t \| g\), .* An effect for each time is ar1\(0 \+ t \| g\)\."):
        lgm.model("y ~ 1 + ar1(t | g)", DATA)


def test_effects_and_size() -> None:
    term = model("ar1(0 + t | g)").design.terms[0]
    pairs = sorted(set(zip(DATA["g"], DATA["t"], strict=True)))
    assert term.variables[0].labels.tolist() == [f"{g}:{t}" for g, t in pairs]
    assert term.variables[0].dim == "g:0 + t"
    assert term.size == (
        f"6 levels, {len(pairs)} effects; autoregression of order one, equal variances; rho is that of a step of 3"
    )
    assert "one variance for each time" in model("hetar1(0 + f | g)").design.terms[0].size


NEW: dict[str, tuple[str, Any]] = {
    "ou(0 + s | g)": ("s", [2.005, 12.5, 4.4, -3.0, 1.0, 2.5]),
    "ar1(0 + t | g)": ("t", [4, 28, 40, -8, 1, 4]),
    "hetar1(0 + f | g)": ("f", ["a", "b", "d", "c", "a", "c"]),
}


@pytest.mark.parametrize("name", NEW)
def test_effects_at_new_times_and_in_new_levels(name: str) -> None:
    """Given the fitted effects, those of a process that had these times all along; draws are linear in normals."""
    column, values = NEW[name]
    design = model(name).design
    new = pd.DataFrame({"g": [0, 0, 3, 5, 77, 77], column: values})
    (encoded,) = encode(design, new).encoded
    term = design.terms[0]
    assert isinstance(term, GroupSeriesTerm)
    old_g, old_t = np.array([int(label.split(":")[0]) for label in term.variables[0].labels]), term.pairs.time
    fresh = np.flatnonzero(np.diff(sp.csr_array(encoded.z).indptr) == 0)
    assert fresh.size >= 3 and encoded.novel is not None
    numbers = ["abcd".index(v) for v in values] if column == "f" else values
    new_t = np.array(numbers, dtype=np.float64)[fresh]
    order = np.lexsort((new_t, new["g"].to_numpy()[fresh]))
    g, t = np.append(old_g, new["g"].to_numpy()[fresh][order]), np.append(old_t, new_t[order])
    rho = CASES[name][-1][1]
    lag = np.abs(np.subtract.outer(t, t)) / {"s": spacing(), "t": 3.0, "f": 1.0}[column]
    sd = SDS[t.astype(int)] if column == "f" else np.full(t.size, 0.9)
    C = np.outer(sd, sd) * np.equal.outer(g, g) * np.power(rho, np.round(lag) if rho < 0 else lag)
    n, m = old_t.size, fresh.size
    pull = C[n:, :n] @ np.linalg.inv(C[:n, :n])
    theta = {"sd": SDS[None] if column == "f" else np.array([[0.9]]), "rho": np.array([[rho]])}

    def drawn(b: np.ndarray, z: np.ndarray) -> np.ndarray:
        return encoded.novel.draw({k: np.tile(v, (len(b), 1)) for k, v in theta.items()}, b, z)

    np.testing.assert_allclose(drawn(np.eye(n), np.zeros((n, m))), pull.T, atol=1e-9)
    root = drawn(np.zeros((m, n)), np.eye(m))
    np.testing.assert_allclose(root.T @ root, C[n:, n:] - pull @ C[:n, n:], atol=1e-9)
    assert np.all(encoded.novel.population == (g[n:] == 77))


def test_new_levels_may_be_zero() -> None:
    fit = around(model("ou(0 + s | g)"), {**dict(CASES["ou(0 + s | g)"]), "sigma": 0.6}, spread=0.0, chains=1, draws=9)
    new = pd.DataFrame({"g": [0, 77], "s": [20.0, 1.0]})
    with pytest.warns(PredictionWarning, match=r"1 new level of g \(77\) and 1 new time of levels of g: .*set to zero"):
        zero = fit.predict(new, kind="linear", new_levels="zero")
    with pytest.warns(PredictionWarning, match="drawn from the population"):
        drawn = fit.predict(new, kind="linear")
    level = fit.fixef().loc["Intercept"]
    assert zero["mean"].iloc[1] == pytest.approx(level["mean"], rel=1e-9) != zero["mean"].iloc[0]
    assert drawn["sd"].iloc[1] > zero["sd"].iloc[1]
    with pytest.raises(DataError, match="new_data has 1 new level"):
        fit.predict(new, new_levels="error")


def test_what_cannot_be_a_series() -> None:
    with pytest.raises(DataError, match=r"ou\(0 \+ f \| g\) needs times that are numbers"):
        lgm.model("y ~ ou(0 + f | g)", DATA)
    with pytest.raises(DataError, match=r"ar1\(0 \+ s \| g\) needs whole times .*or use ou\(0 \+ s \| g\)"):
        lgm.model("y ~ ar1(0 + s | g)", DATA)
    with pytest.raises(DataError, match="no level of `g` has two times"):
        lgm.model("y ~ ar1(0 + t | g)", DATA.drop_duplicates("g"))
    with pytest.raises(DataError, match="`cov=` is for effects of the classes us, diag, cs and toep"):
        lgm.model("y ~ ar1(0 + t | g, cov=K)", DATA, env={"K": np.eye(J)})
    with pytest.raises(FormulaError, match=r"`hom=True` is not for `us\(\)`"):
        lgm.model("y ~ us(t | g, hom=True)", DATA)
