"""Whole posteriors of counts and shares against long Stan runs, by the engines; and that the check has power.

Means must agree within 0.05 posterior sds (hyperparameters 0.1), sds within 5%, beside the error of the reference.
"""

import numpy as np
import pytest
from statistical import generalised
from statistical.generalised import CASES, distances, far, fitted

QUICK = ("cbpp.bayes_stan",)
GOOD_K = 0.5  # below it the weights have a finite variance


@pytest.mark.parametrize(
    ("name", "method"),
    [
        pytest.param(name, method, marks=() if name in QUICK and method == "importance" else pytest.mark.slow)
        for name in CASES
        for method in ("importance", "nuts")
    ],
)
def test_posterior_equals_the_reference(name: str, method: str) -> None:
    fit = fitted(name, method)
    found = far(distances(name, fit))
    assert found.empty, found.round(3).to_string()
    assert fit.summary().attrs["pareto_k"] < GOOD_K


@pytest.mark.slow
@pytest.mark.parametrize("name", ["salamander.bayes_crossed", "scotlip.bayes_icar_ck", "epil.bayes_nbinom"])
def test_the_joint_posterior_equals_the_reference(name: str) -> None:
    """Crossed outcomes, a constraint, and a parameter of the family."""
    fit = fitted(name, "joint")
    found = far(distances(name, fit))
    assert found.empty, found.round(3).to_string()
    assert fit.verdict.startswith("Converged")


@pytest.mark.slow
def test_plain_laplace_fails_on_crossed_binary_data() -> None:
    """By half a posterior sd or more; the fit says so."""
    with pytest.warns(match="Laplace"):
        fit = fitted("salamander.bayes_crossed", "importance", "laplace")
    found = distances("salamander.bayes_crossed", fit)
    wrong = far(found)
    assert {"Intercept", "wsf", "sd(Intercept|Female)", "sd(Intercept|Male)"} <= set(wrong.index)
    assert found.loc["Intercept":"wsf:wsm", "mean"].abs().max() > 0.5


@pytest.mark.slow
def test_plain_laplace_fails_on_small_binary_groups() -> None:
    model = generalised.small_groups_model()
    with pytest.warns(match="Laplace"):
        plain = model.fit(method="importance", approximation="laplace", seed=3, progress=False)
    found = generalised.small_groups_distances(plain)
    assert far(found).index.tolist() == ["Intercept", "sd(Intercept|g)"], found.round(3).to_string()
    assert np.all(found["mean"].abs() > 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["importance", "nuts", "joint"])
def test_small_binary_groups(method: str) -> None:
    """Most groups are all zero, so that nothing but the prior bounds their effects."""
    fit = generalised.small_groups_model().fit(method=method, seed=3, progress=False)
    found = far(generalised.small_groups_distances(fit))
    assert found.empty, found.round(3).to_string()
    assert fit.summary().attrs.get("pareto_k", 0.0) < GOOD_K
