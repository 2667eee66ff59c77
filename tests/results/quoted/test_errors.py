"""Variances of responses: closed forms are those of simulated responses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lgm import families
from lgm.results.quoted.errors import variances

N, S = 3, 4000
ETA = np.repeat(np.array([[-0.5], [0.2], [1.0]]), S, axis=1)
TRIALS, WEIGHTS = np.array([4.0, 2.0, 7.0]), np.array([1.0, 2.0, 0.5])


def _fit(name: str, link: str | None = None) -> Any:
    response = SimpleNamespace(trials=TRIALS if name == "binomial" else None)
    rows = SimpleNamespace(observed=np.ones(N, dtype=bool))
    design = SimpleNamespace(family=families.find(name, link), all_weights=WEIGHTS, rows=rows, response=response, n=N)
    return SimpleNamespace(design=design)


@pytest.mark.parametrize(
    ("name", "theta", "exact"),
    [
        ("gaussian", {"sigma": np.full(S, 0.7)}, True),
        ("binomial", {}, True),
        ("bernoulli", {}, True),
        ("poisson", {}, True),
        ("negativebinomial", {"shape": np.full(S, 3.0)}, True),
        ("beta", {"kappa": np.full(S, 5.0)}, False),
    ],
)
def test_variances(name: str, theta: dict[str, Any], exact: bool) -> None:
    fit, rng = _fit(name), np.random.default_rng(2)
    family, trials = fit.design.family, TRIALS if name == "binomial" else np.ones(N)
    drawn = np.concatenate([family.simulate(rng, ETA, theta, WEIGHTS, trials) for _ in range(20)], axis=1)
    wanted = (drawn / trials[:, None]).var(axis=1)
    found = variances(fit, np.arange(N), ETA, theta, rng)
    assert (family.variance(ETA, theta, WEIGHTS, trials) is not None) == exact
    assert found.shape == (N, S)
    np.testing.assert_allclose(found.mean(axis=1), wanted, rtol=0.06)
