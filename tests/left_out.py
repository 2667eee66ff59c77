"""Gaussian models of real data at fixed hyperparameters: by lgm, and as ``y ~ N(X beta, V)`` with flat beta."""

from functools import cache
from typing import Any, NamedTuple

import dense_model
import numpy as np

import lgm


class Case(NamedTuple):
    """A fit, and the response, fixed effects and covariance that it is of."""

    fit: lgm.Fit
    y: np.ndarray
    X: np.ndarray
    V: np.ndarray

    def log_density(self, rows: Any, given: Any = None) -> float:
        """``log p(y_I | y_J)`` of rows I given rows J, by default all others."""
        rows = np.atleast_1d(rows)
        given = np.setdiff1d(np.arange(self.y.size), rows) if given is None else np.asarray(given)
        return self._restricted(np.union1d(rows, given)) - self._restricted(given)

    def _restricted(self, rows: np.ndarray) -> float:
        return float(dense_model.restricted(self.y[rows], self.X[rows], self.V[np.ix_(rows, rows)])[0])


def _fit(formula: str, data: Any, theta: dict[str, float], **kwargs: Any) -> lgm.Fit:
    held = {name: lgm.priors.constant(value) for name, value in theta.items()}
    slopes = {name: lgm.priors.flat() for name in ("Days", "INC") if f"~ {name} " in formula}
    priors = {"Intercept": lgm.priors.flat(), **slopes, **held}
    return lgm.fit(formula, data, priors=priors, method="mode", draws=4, seed=1, progress=False, **kwargs)


@cache
def case(name: str) -> Case:
    """One of ``CASES``."""
    return CASES[name]()


def _sleepstudy() -> Case:
    data = lgm.load_dataset("sleepstudy")
    w = 1.0 + np.arange(len(data)) % 3
    theta = {"sd(Intercept|Subject)": 25.0, "sd(Days|Subject)": 6.0, "corr(Intercept,Days|Subject)": 0.1, "sigma": 26.0}
    X = np.column_stack([np.ones(len(data)), data["Days"]])
    V = dense_model.group(data["Subject"].cat.codes, X, [25.0, 6.0], [0.1]) + np.diag(26.0**2 / w)
    fit = _fit("Reaction ~ Days + (Days|Subject)", data.assign(w=w), theta, weights="w")
    return Case(fit, data["Reaction"].to_numpy(), X, V)


def _penicillin() -> Case:
    data = lgm.load_dataset("Penicillin")
    theta = {"sd(Intercept|plate)": 0.85, "sd(Intercept|sample)": 1.8, "sigma": 0.55}
    ones = np.ones((len(data), 1))
    V = sum(dense_model.group(data[g].cat.codes, ones, [theta[f"sd(Intercept|{g})"]]) for g in ("plate", "sample"))
    V = V + 0.55**2 * np.eye(len(data))
    return Case(_fit("diameter ~ 1 + (1|plate) + (1|sample)", data, theta), data["diameter"].to_numpy(), ones, V)


def _columbus() -> Case:
    data, edges = lgm.load_dataset("columbus"), lgm.load_dataset("columbus_adj")
    places = {label: i for i, label in enumerate(data["id"])}
    pairs = {tuple(sorted((places[a], places[b]))) for a, b in edges.iloc[:, :2].itertuples(index=False)}
    covariance, _ = dense_model.scaled_covariance(dense_model.icar_structure(len(data), pairs))
    fit = _fit("CRIME ~ INC + icar(id, g)", data, {"sd(icar(id))": 8.0, "sigma": 9.0}, env={"g": lgm.graph(edges)})
    X = np.column_stack([np.ones(len(data)), data["INC"]])
    return Case(fit, data["CRIME"].to_numpy(), X, 8.0**2 * covariance + 9.0**2 * np.eye(len(data)))


def _nile() -> Case:
    data = lgm.load_dataset("Nile")
    structure = dense_model.rw_structure(1, np.arange(len(data)))
    covariance, _ = dense_model.scaled_covariance(structure)
    fit = _fit("{1} ~ 1 + rw1({0})".format(*data.columns), data, {f"sd(rw1({data.columns[0]}))": 150.0, "sigma": 120.0})
    ones = np.ones((len(data), 1))
    return Case(fit, data.iloc[:, 1].to_numpy(dtype=float), ones, 150.0**2 * covariance + 120.0**2 * np.eye(len(data)))


CASES = {"sleepstudy": _sleepstudy, "Penicillin": _penicillin, "columbus": _columbus, "Nile": _nile}
