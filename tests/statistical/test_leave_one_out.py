"""Leave-one-out against refits of the whole posterior without each row: log densities by row, and their sum."""

from typing import Any

import numpy as np
import pytest

import lgm

LIMIT = 0.02  # in the log density of a row, beside the Monte Carlo error of both


def _epil() -> Any:
    data = lgm.load_dataset("epil")
    return data.assign(log_base=np.log(data["base"] / 4), log_age=np.log(data["age"]))


def _scotlip() -> Any:
    return lgm.load_dataset("scotlip").rename(columns={"E": "expected"})


CASES: dict[str, Any] = {
    "sleepstudy": ("Reaction ~ Days + (Days|Subject)", lambda: lgm.load_dataset("sleepstudy"), "gaussian"),
    "Penicillin": ("diameter ~ 1 + (1|plate) + (1|sample)", lambda: lgm.load_dataset("Penicillin"), "gaussian"),
    "columbus": ("CRIME ~ INC + HOVAL + icar(id, graph)", lambda: lgm.load_dataset("columbus"), "gaussian"),
    "Nile": ("flow ~ rw1(time)", lambda: lgm.load_dataset("Nile"), "gaussian"),
    "cbpp": (
        "cbind(incidence, size - incidence) ~ C(period) + (1|herd)",
        lambda: lgm.load_dataset("cbpp"),
        "binomial",
    ),
    "scotlip": ("y ~ aff + offset(log(expected)) + (1|id)", _scotlip, "poisson"),
    "epil": ("y ~ log_base * trt + log_age + V4 + (1|subject)", _epil, "poisson"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::lgm.LgmWarning")
def test_rows_and_their_sum(name: str) -> None:
    """Refits have other points, so that the Monte Carlo errors are independent."""
    formula, data, family = CASES[name]
    graph = lgm.graph(lgm.load_dataset("columbus_adj"))
    options: dict[str, Any] = {"method": "importance", "draws": 2000, "seed": 3, "progress": False}
    fit = lgm.fit(formula, data(), family, env={"graph": graph}, **options)
    ours = fit.loo()
    refits = fit.kfold(k=fit.nobs, seed=1)
    away = ours.pointwise["elpd"].to_numpy() - refits.pointwise["elpd"].to_numpy()
    se = ours.pointwise["se"].to_numpy()
    print(name, "largest", np.abs(away).max(), "sum", away.sum(), "se of elpd", ours.se, "mc", se.max())
    assert (np.abs(away) <= LIMIT + 4.0 * np.sqrt(2.0) * se).all()
    assert abs(away.sum()) <= 0.1 * ours.se
