"""Each check finds the fault that was planted, and right models are left in peace."""

import numpy as np
import pandas as pd
import planted
import pytest

import lgm
from lgm.results.checking.check import LEVEL, _holm, together


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("overdispersion", "dispersion"),
        ("zero inflation", "zeros"),
        ("slope", "slopes"),
        ("autocorrelation", "autocorrelation"),
        ("curve", "curves"),
        ("outliers", "outliers"),
        ("spread", "spread"),
    ],
)
def test_a_planted_fault_is_found(fault: str, check: str) -> None:
    found = planted.of(fault).check()
    assert check in found.amiss
    assert found.sentences and all("To try: " in line for line in found.sentences)


def test_a_pattern_in_space_is_found_by_coordinates() -> None:
    fit = planted.of("space")
    data, _ = planted.response("space", 1)
    found = fit.check("space", near=(data.lon, data.lat))
    assert found.amiss == ["space"] and "lon and lat" in found.sentences[0] and "matern(lon, lat)" in found.sentences[0]


@pytest.mark.parametrize("family", ["poisson", "gaussian"])
def test_a_right_model_is_left_in_peace(family: str) -> None:
    found = planted.of(family).check()
    assert not found.amiss and "Nothing is amiss." in repr(found)
    assert "Nothing is amiss." in found._repr_html_()


def test_a_small_basis_is_found() -> None:
    data = lgm.load_dataset("mcycle")
    fit = lgm.model("accel ~ s(times, k=4)", data).fit(method="mode", draws=100, seed=1, progress=False)
    found = fit.check(["basis", "autocorrelation"])
    assert found.amiss == ["autocorrelation", "basis"] and "k larger than 3 + 1" in found.sentences[-1]
    assert "Conditional: hyperparameters are held" in repr(found)


def test_p_values_that_agree_are_that_one_together() -> None:
    assert together(np.full(40, 0.03)) == pytest.approx(0.03)
    mixed = together(np.array([0.01, 0.2, 0.6]))
    assert mixed == pytest.approx(0.5 - np.arctan(np.mean(np.tan((0.5 - np.array([0.01, 0.2, 0.6])) * np.pi))) / np.pi)
    rng = np.random.default_rng(1)
    independent = np.array([together(rng.random(40)) for _ in range(4000)])
    assert abs(np.mean(independent < 0.05) - 0.05) < 4.0 * np.sqrt(0.05 * 0.95 / 4000) + 0.002


def test_holms_rule() -> None:
    np.testing.assert_allclose(_holm(np.array([0.01, 0.04, 0.03, 0.5])), [0.04, 0.09, 0.09, 0.5])
    assert _holm(np.array([0.4, 0.9]))[0] == pytest.approx(0.8)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["poisson", "gaussian"])
def test_of_right_models_few_are_said_to_be_amiss(family: str) -> None:
    """At most one in twenty, and each p-value is uniform where it matters: below 0.05 and 0.2."""
    times, amiss, p = 200, 0, []
    for seed in range(times):
        found = planted.fitted(family, 1000 + seed).check()
        amiss += bool(found.amiss)
        p.append(found.table.set_index("check")["p"])
    table = pd.DataFrame(p)
    for level in (0.05, 0.2):
        allowed = level + 4.0 * np.sqrt(level * (1.0 - level) / times)
        assert (table < level).mean().max() < allowed
    assert (table < 0.2).mean().mean() > 0.1
    assert amiss / times < LEVEL + 4.0 * np.sqrt(LEVEL * (1.0 - LEVEL) / times)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("overdispersion", "dispersion"),
        ("zero inflation", "zeros"),
        ("slope", "slopes"),
        ("autocorrelation", "autocorrelation"),
        ("curve", "curves"),
        ("space", "space"),
    ],
)
def test_planted_faults_are_nearly_always_found(fault: str, check: str) -> None:
    found = 0
    for seed in range(40):
        data, _ = planted.response(fault, 2000 + seed)
        near = (data.lon, data.lat) if fault == "space" else None
        found += check in planted.fitted(fault, 2000 + seed).check(near=near).amiss
    assert found >= 36


@pytest.mark.parametrize("draws", [0, -1, 2.5, "a", True])
def test_how_many_draws_is_a_whole_number(draws: object) -> None:
    with pytest.raises(lgm.LgmError, match=r"draws=.*; accepted: how many draws of the posterior"):
        planted.of("poisson").check(draws=draws)
