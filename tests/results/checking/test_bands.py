"""Bands: how often right places and right predictions stay within, and pools of adjacent violators by hand."""

import numpy as np
import pytest

from lgm.results.checking import bands


@pytest.mark.parametrize(("n", "probability"), [(30, 0.9), (250, 0.95)])
def test_a_band_holds_a_whole_curve_of_uniform_places(n: int, probability: float) -> None:
    rng, times = np.random.default_rng(1), 400
    level = bands.uniform(rng.random(n), probability)
    share = np.mean([_inside(rng.random(n), level) for _ in range(times)])
    assert abs(share - probability) < 4.0 * np.sqrt(probability * (1 - probability) / times) + 0.01


def _inside(places: np.ndarray, known: bands.Pit) -> bool:
    found = np.searchsorted(np.sort(places), known.x, side="left") / places.size - known.x
    return not known._replace(difference=found).outside


def test_places_that_are_not_uniform_leave_it() -> None:
    rng = np.random.default_rng(2)
    assert bands.uniform(rng.beta(2.0, 2.0, 200), 0.95).outside
    found = bands.uniform(np.array([0.1, 0.6]), 0.95)
    np.testing.assert_allclose(found.difference, [0.0, 0.0])
    assert found.x.size == 2


def test_calibration_is_isotonic_and_rows_with_one_prediction_have_one_share() -> None:
    y = np.array([1.0, 0.0, 0.0, 1.0, 1.0])
    predicted = np.array([0.1, 0.2, 0.2, 0.5, 0.4])
    found = bands.calibration(y, predicted, y[None].repeat(3, axis=0), np.ones(5), 0.9)
    np.testing.assert_allclose(found.x, [0.1, 0.2, 0.2, 0.4, 0.5])
    np.testing.assert_allclose(found.share, [1 / 3, 1 / 3, 1 / 3, 1.0, 1.0])
    np.testing.assert_allclose(found.low, found.share)
    weighted = bands.calibration(y, predicted, y[None], np.array([4.0, 1.0, 1.0, 1.0, 1.0]), 0.9)
    np.testing.assert_allclose(weighted.share[:3], 4.0 / 6.0)


def test_right_predictions_are_within_the_band_of_calibration() -> None:
    rng = np.random.default_rng(3)
    p = rng.uniform(0.1, 0.9, 400)
    new = rng.binomial(1, p, (300, 400)).astype(float)
    right, wrong = rng.binomial(1, p).astype(float), rng.binomial(1, np.clip(2.5 * (p - 0.5) + 0.5, 0, 1)).astype(float)
    found = bands.calibration(right, p, new, np.ones(400), 0.95)
    assert np.mean((found.share < found.low) | (found.share > found.high)) < 0.3
    found = bands.calibration(wrong, p, new, np.ones(400), 0.95)
    assert np.mean((found.share < found.low) | (found.share > found.high)) > 0.4
