"""What families of counts have in common."""

import numpy as np
import pytest
from scipy import stats

from lgm.errors import DataError
from lgm.families.counts import first_event, log_level, poisson_draws, require_counts
from lgm.families.response import Response


@pytest.mark.parametrize(("wrong", "said"), [(-1.0, "-1"), (2.5, "2.5"), (np.inf, "inf"), (np.nan, "nan")])
def test_a_count_that_is_none(wrong, said):
    with pytest.raises(
        DataError, match=f"the response `n` has {said} in row 3 .* poisson is for counts: whole numbers"
    ):
        require_counts(Response(np.array([0.0, 7.0, wrong])), "`n`", "poisson")


def test_counts_may_be_zero_and_large():
    require_counts(Response(np.array([0.0, 1e12])), "`n`", "poisson")


def test_the_level_of_weighted_counts_with_exposures():
    y, exposure, weights = np.array([4.0, 0.0, 6.0]), np.array([2.0, 1.0, 7.0]), np.array([1.0, 2.0, 3.0])
    found = log_level(Response(y), np.log(exposure), weights)
    assert found == pytest.approx(np.log((4 + 18 + 0.5) / (2 + 2 + 21)))
    far = log_level(Response(y), np.log(exposure) + 800.0, weights)
    assert far == pytest.approx(found - 800.0)


def test_draws_of_any_mean():
    rng, n = np.random.default_rng(1), 20_000
    means = np.array([0.0, 3.0, 1e12, 1e17, 1e300])
    drawn = poisson_draws(rng, np.repeat(means, n).reshape(5, n))
    np.testing.assert_array_equal(drawn, np.round(drawn))
    assert np.all(np.abs(drawn.mean(axis=1) - means) <= 4 * np.sqrt(means / n) + 1e-15 * means)
    np.testing.assert_allclose(drawn[:4].var(axis=1), means[:4], rtol=4 * np.sqrt((2 + 1 / 3) / n), atol=1e-300)


@pytest.mark.parametrize("events", [1e-12, 0.7, 40.0])
def test_the_first_event_is_exponential_before_the_end(events):
    times = first_event(np.random.default_rng(2), np.full(5_000, events))
    assert np.all((times >= 0) & (times <= events))
    assert stats.kstest(times / events, stats.truncexpon(events, scale=1 / events).cdf).pvalue > 1e-3
