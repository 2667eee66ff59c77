"""Groups of relatives: pedigrees and other known relationships, against dense covariances."""

from __future__ import annotations

import pickle
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from dense_model import condition, correlation, restricted, rounding
from synthetic import around

import lgm
from lgm.errors import DataError, DataWarning
from lgm.priors import flat

# id, father, mother: founders first
PEDIGREE = [(1, 0, 0), (2, 0, 0), (3, 0, 0), (4, 1, 2), (5, 1, 2), (6, 3, 4), (7, 5, 4), (8, 6, 7), (9, 6, 0)]


def additive() -> np.ndarray:
    """Henderson's recursion: half of the parents' relationship, and one plus half of that of the parents."""
    A = np.zeros((10, 10))
    for i, father, mother in PEDIGREE:
        A[i, :i] = A[:i, i] = 0.5 * (A[father, :i] + A[mother, :i])
        A[i, i] = 1.0 + 0.5 * A[father, mother]
    return A[1:, 1:]


def inverse_by_rules() -> sp.csc_array:
    """``T'D^-1 T``: one less half of each parent, over the variance that the parents leave."""
    A = np.zeros((10, 10))
    A[1:, 1:] = additive()
    T, left = np.eye(9), np.empty(9)
    for i, father, mother in PEDIGREE:
        for parent in (father, mother):
            if parent:
                T[i - 1, parent - 1] -= 0.5
        left[i - 1] = 1.0 - 0.25 * (A[father, father] + A[mother, mother])
    return sp.csc_array(T.T @ np.diag(1.0 / left) @ T)


IDS = [f"id{i}" for i in range(1, 10)]
A = additive()
COV = pd.DataFrame(A, IDS, IDS)
P = (inverse_by_rules(), IDS)
RNG = np.random.default_rng(2)
N = 24
CODES = np.concatenate([[3, 8, 5], RNG.integers(3, 9, N - 3)])  # founders have no rows
DATA = pd.DataFrame({"id": np.array(IDS)[CODES], "x": RNG.standard_normal(N), "y": RNG.standard_normal(N)})
Z = np.equal.outer(CODES, np.arange(9)).astype(float)
X = np.ones((N, 1))


@cache
def model(formula: str) -> lgm.Model:
    return lgm.model(formula, DATA, priors={"Intercept": flat()}, env={"COV": COV, "P": P})


@pytest.mark.parametrize("how", ["cov=COV", "precision=P"])
def test_likelihood(how: str) -> None:
    V = 0.8**2 * Z @ A @ Z.T + 0.25 * np.eye(N)
    found = model(f"y ~ 1 + (1 | id, {how})").log_likelihood({"sd(Intercept|id)": 0.8, "sigma": 0.5})
    assert found == pytest.approx(restricted(DATA["y"].to_numpy(), X, V)[0], abs=100 * rounding(N, V))


def test_likelihood_of_slopes() -> None:
    ZZ = (Z[:, :, None] * np.column_stack([np.ones(N), DATA["x"]])[:, None, :]).reshape(N, -1)
    D = np.outer([0.8, 0.4], [0.8, 0.4]) * correlation([-0.5], 2)
    V = ZZ @ np.kron(A, D) @ ZZ.T + 0.25 * np.eye(N)
    names = ("sd(Intercept|id)", "sd(x|id)", "corr(Intercept,x|id)", "sigma")
    found = model("y ~ 1 + (x | id, cov=COV)").log_likelihood(dict(zip(names, (0.8, 0.4, -0.5, 0.5), strict=True)))
    assert found == pytest.approx(restricted(DATA["y"].to_numpy(), X, V)[0], abs=100 * rounding(N, V))


def test_breeding_values_of_all_animals() -> None:
    fit = around(
        model("y ~ 1 + (1 | gr(id, cov=COV))"), {"sd(Intercept|id)": 0.8, "sigma": 0.5}, spread=0.0, chains=1, draws=4
    )
    G = 0.64 * A
    mean, cov = condition(DATA["y"].to_numpy(), np.hstack([X, Z]), G, Z @ G @ Z.T + 0.25 * np.eye(N), flat=1)
    table = fit.ranef()
    np.testing.assert_allclose(table["mean"], mean[1:], atol=1e-9)
    np.testing.assert_allclose(table["sd"], np.sqrt(np.diag(cov))[1:], rtol=1e-9)
    assert table.loc["Intercept|id"].index.tolist() == IDS
    assert "9 levels related by COV, 6 with rows" in str(fit)
    found = fit.predict(pd.DataFrame({"id": ["id1", "id4"]}))
    np.testing.assert_allclose(found["mean"], mean[0] + mean[1:][[0, 3]], atol=1e-9)
    with pytest.raises(DataError, match="`COV` does not have the levels stranger of new_data"):
        fit.predict(pd.DataFrame({"id": ["stranger"]}))
    assert len(pickle.loads(pickle.dumps(fit)).ranef()) == 9


def test_beside_independent_effects_of_the_same_levels() -> None:
    """Permanent environment: effects of the same animals that are not inherited."""
    design = model("y ~ 1 + (1 | id) + (1 | id, cov=COV)").design
    assert design.theta_names == ("sd(Intercept|id)", "sd(Intercept|id[COV])", "sigma")
    assert [variable.labels.size for term in design.terms for variable in term.variables] == [6, 9]


@pytest.mark.parametrize("how", ["COV", "P"])
def test_saved_with_its_matrix(how: str, tmp_path: object) -> None:
    data = DATA.assign(id=CODES)
    env = {"COV": pd.DataFrame(A, range(9), range(9)), "P": (P[0], list(range(9)))}
    option = "cov" if how == "COV" else "precision"
    given = lgm.model(f"y ~ 1 + (1 | id, {option}={how})", data, env=env)
    fit = around(given, {"sd(Intercept|id)": 0.8, "sigma": 0.5}, spread=0.0, chains=1, draws=4)
    fit.save(f"{tmp_path}/fit.lgm")
    pd.testing.assert_frame_equal(lgm.load(f"{tmp_path}/fit.lgm").ranef(), fit.ranef())


def test_default_prior_is_about_a_typical_level() -> None:
    four = 4.0 * COV
    plain, scaled = (
        lgm.model("y ~ (1 | id, cov=K)", DATA, env={"K": K}).design.terms[0].block.parameters[0].start
        for K in (COV, four)
    )
    assert scaled == pytest.approx(plain / 2.0, rel=1e-12)
    typical = np.exp(0.5 * np.mean(np.log(np.diag(A))))
    assert plain == pytest.approx(np.std(DATA["y"]) / 3.0 / typical, rel=1e-12)


def test_bad_matrices() -> None:
    def build(K: object, formula: str = "y ~ (1 | id, cov=K)", data: pd.DataFrame = DATA) -> None:
        lgm.model(formula, data, env={"K": K})

    with pytest.raises(DataError, match=r"`cov=K` in \(1 \| id, cov=K\) lacks 1 of the 6 levels of the data: 'id9'"):
        build(COV.iloc[:8, :8])
    with pytest.raises(DataError, match="levels that are text where those of the data are not"):
        build((A, list(range(1, 10))), data=DATA.assign(id=(CODES + 1).astype(str)))
    twins = COV.copy()
    twins.loc["id9"], twins["id9"] = twins.loc["id8"], twins["id8"]
    twins.loc["id9", "id9"] = twins.loc["id8", "id8"]
    with pytest.raises(DataError, match=r"is not positive definite: beside the other levels 'id[89]' has no variance"):
        build(twins)
    with pytest.raises(DataError, match="is not positive definite"):
        build(-COV)
    with pytest.raises(DataError, match="is not positive definite"):
        build((-P[0], IDS), "y ~ (1 | id, precision=K)")
    with pytest.raises(DataError, match="is not symmetric"):
        build(COV + np.triu(np.ones((9, 9)), 1))
    with pytest.raises(DataError, match="is for a group of one column"):
        build(COV, "y ~ (1 | id:f, cov=K)", DATA.assign(f=list("ab") * 12))
    with pytest.raises(DataError, match="cannot be joined with `by=`"):
        build(COV, "y ~ (1 | id, cov=K, by=f)", DATA.assign(f=list("ab") * 12))
    with pytest.raises(DataError, match="`x` is a column of the data, and those come before other names"):
        build(COV, "y ~ (1 | id, cov=x)")


def test_a_large_dense_matrix_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lgm.terms.relationship.LARGE", 5)
    with pytest.warns(DataWarning, match="is a dense matrix of 9 levels, whose inverse has 45 numbers"):
        lgm.model("y ~ (1 | id, cov=COV)", DATA, env={"COV": COV})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lgm.model("y ~ (1 | id, precision=P)", DATA, env={"P": P})
