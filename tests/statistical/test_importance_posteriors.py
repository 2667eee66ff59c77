"""Importance sampling beside NUTS, Stan and quadrature: several fits of usual size, pooled, so that bias would show.

Everything must agree within four combined Monte Carlo standard errors (monte_carlo.py derives them).
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from helpers import reference
from statistical import models, monte_carlo
from statistical.models import CASES, REFERENCES, fitted, weighted
from statistical.monte_carlo import LIMIT, Estimate

SLOW = ("penicillin", "huron", "columbus", "gamsim1")  # to keep the ordinary run short
EXACT = [name for name in REFERENCES if "bayes_exact" in name]
GRID = 3e-4  # error of the quadrature itself: what its grid leaves out
GOOD_K = 0.5  # below it the weights have a finite variance, so that the errors mean what they say


def _slow(names: Iterable[str]) -> list[Any]:
    return [pytest.param(n, marks=pytest.mark.slow) if REFERENCES.get(n, n) in SLOW else n for n in names]


@pytest.mark.parametrize("name", _slow(REFERENCES))
def test_fixed_effects_and_hyperparameters_equal_the_reference(name):
    found = models.reference_deviations(name, weighted(REFERENCES[name]))
    assert found.abs().max(axis=None) < LIMIT, found.round(2).to_string()


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_fixed_effects_and_hyperparameters_equal_nuts(case):
    found = models.engine_deviations(weighted(case), [fitted(case)])
    assert found.abs().max(axis=None) < LIMIT, found.round(2).to_string()


@pytest.mark.parametrize("name", _slow(n for n in REFERENCES if "effect_mean_by_row" in reference(n)))
def test_effect_means(name):
    """Exact mixtures over the weighted points: only theta is sampled. The stored values have no error of their own."""
    case = CASES[REFERENCES[name]]
    fits = weighted(REFERENCES[name])
    [term] = fits[0].design.terms
    [variable] = term.variables
    at = fits[0].design.p + variable.index
    values = np.mean([fit.effects.mean[at] for fit in fits], axis=0)
    squares = []
    for fit in fits:
        points = fit.draws.points
        away = fit.analysed.natural(points.mean)[:, at] - fit.effects.mean[at]
        squares.append(np.exp(2.0 * points.log_weights) @ away**2)
    errors = np.sqrt(np.sum(squares, axis=0)) / len(fits)
    place = dict(zip(variable.labels, map(Estimate, values, errors), strict=True))
    column = models.data_of(case.dataset)[models.ROWS_OF[case.dataset]]
    stored = reference(name)["effect_mean_by_row"]
    found = [monte_carlo.deviation(place[label], Estimate(v, 0.0)) for label, v in zip(column, stored, strict=True)]
    assert np.max(np.abs(found)) < LIMIT, np.round(found, 2)


@pytest.mark.parametrize("name", _slow(EXACT))
def test_evidence_of_every_fit(name):
    """As users see it: one fit, its own error."""
    exact = reference(name)["log_marginal_likelihood"]
    for fit in weighted(REFERENCES[name]):
        points = fit.draws.points
        assert abs(points.log_evidence - exact) < max(LIMIT * points.log_evidence_se, GRID)


@pytest.mark.parametrize("name", _slow(EXACT))
def test_evidence_of_all_fits(name):
    value, error = models.pooled_evidence(weighted(REFERENCES[name]))
    assert abs(value - models.finer(name).log_evidence) < LIMIT * error + GRID


@pytest.mark.parametrize("case", _slow(CASES))
@pytest.mark.parametrize("default_priors", [False, True])
def test_weights_can_be_trusted(case, default_priors):
    found = [fit.draws.points.k for fit in weighted(case, default_priors=default_priors)]
    assert max(found) < GOOD_K, np.round(found, 2)
