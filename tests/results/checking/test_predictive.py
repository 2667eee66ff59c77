"""Numbers behind pictures, and which picture suits which response."""

import numpy as np
import planted
import pytest
import scipy.stats

from lgm.errors import LgmError
from lgm.results.checking import predictive, replicates
from lgm.results.checking.observed import Observed


def test_the_usual_picture_is_that_of_the_response() -> None:
    kinds = [predictive.usual(Observed(fit)) for fit in (planted.of("gaussian"), planted.few(), planted.binary())]
    assert kinds == ["dens_overlay", "bars", "bars"]
    assert predictive.usual(Observed(planted.times())) == "km_overlay"
    assert predictive.usual(Observed(planted.of("poisson"))) in ("bars", "rootogram")


def test_densities_are_kernel_estimates() -> None:
    rows = Observed(planted.of("gaussian"))
    found = predictive.densities(rows, 3, False, 1)
    robust = min(np.std(rows.y), np.subtract(*np.quantile(rows.y, [0.75, 0.25])) / 1.349)
    width = 0.9 * robust * rows.n**-0.2
    exact = scipy.stats.norm.pdf(found.x[:, None], rows.y[None], width).mean(axis=1)
    np.testing.assert_allclose(found.observed, exact, atol=0.01 * exact.max())
    np.testing.assert_allclose(np.trapezoid(found.new, found.x, axis=1), 1.0, atol=0.02)


def test_densities_stay_where_responses_can_be() -> None:
    edges = np.linspace(0.0, 3.0, 513)
    y = np.random.default_rng(1).exponential(0.5, 500)
    density = predictive._density(y, edges, 0.1, 0.0, np.inf)
    assert np.sum(density) * (edges[1] - edges[0]) == pytest.approx(1.0, abs=0.01)


def test_distribution_functions_are_empirical() -> None:
    rows = Observed(planted.of("gaussian"))
    found, new = predictive.distributions(rows, 4, False, 1), replicates.replicates(rows, 4, False, 1)
    np.testing.assert_allclose(found.observed, [np.mean(rows.y <= x) for x in found.x])
    np.testing.assert_allclose(found.new[2], [np.mean(new[2] <= x) for x in found.x])


def test_frequencies_are_counted() -> None:
    rows = Observed(planted.few())
    table = predictive.frequencies(rows, 40, False, 1)
    new = replicates.replicates(rows, 40, False, 1)
    for value in (0, 1, 4):
        each = np.sum(new == value, axis=1)
        assert table.loc[value, "observed"] == np.sum(rows.y == value)
        assert table.loc[value, "mean"] == pytest.approx(each.mean())
        assert table.loc[value, "97.5%"] == pytest.approx(np.quantile(each, 0.975))
    assert table["observed"].sum() == rows.n


def test_rows_have_intervals() -> None:
    rows = Observed(planted.few())
    table, new = predictive.of_rows(rows, 40, False, 1), replicates.replicates(rows, 40, False, 1)
    np.testing.assert_allclose(table["2.5%"], np.quantile(new, 0.025, axis=0))
    assert 5 not in table.index and len(table) == 30


@pytest.mark.parametrize(
    ("fit", "kind", "message"),
    [
        (planted.binary, "dens_overlay", "bernoulli has no density: its responses are whole numbers"),
        (planted.binary, "rootogram", "bernoulli is of no counts"),
        (planted.few, "calibration", "poisson predicts no probabilities"),
        (planted.few, "km_overlay", "censored on the right; accepted: 'ecdf_overlay'"),
        (planted.few, "density", r"kind='density'.*Accepted: 'dens_overlay'"),
        (planted.times, "bars", r"are censored. Accepted: pp_check\(\"km_overlay\"\)"),
        (lambda: planted.of("gaussian"), "bars", "gaussian has no categories or counts"),
    ],
)
def test_a_picture_that_does_not_suit_is_refused(fit, kind: str, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(LgmError, match=message):
        fit().pp_check(kind)


def test_new_times_are_beside_the_survivors() -> None:
    rows = Observed(planted.times())
    found = predictive.survival(rows, 5, False, 1)
    assert found.observed[0] == 1.0 and np.all(np.diff(found.observed[np.isfinite(found.observed)]) <= 0.0)
    assert found.new.shape == (5, found.x.size)


def test_numbers_of_many_values_make_an_axis() -> None:
    rows = Observed(planted.of("gaussian"))
    assert predictive.is_axis(rows, "x") and not predictive.is_axis(rows, np.arange(240) % 8)
