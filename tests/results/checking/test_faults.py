"""Statistics of residuals, one draw at a time by their definitions."""

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats
from scipy.special import ndtri

from lgm.results.checking import faults
from lgm.results.checking.faults import Drawn

RNG = np.random.default_rng(7)
N = 120
X, CODES = RNG.normal(size=N), np.repeat(np.arange(20), 6)
SCORES = RNG.normal(size=(N, 3))


def _drawn(scores: np.ndarray, zero: float = 0.1) -> Drawn:
    rank = np.linspace(-1.0, 1.0, len(scores))[:, None]
    return Drawn(scores, np.full((len(scores), 1), zero), rank)


def test_bends_are_orthonormal_and_beyond_straight_lines() -> None:
    for x in (X, np.repeat([0.0, 1.0, 2.0], 40), np.arange(N) % 7.0):
        basis = faults.bends(x)
        np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-10)
        np.testing.assert_allclose(basis.T @ np.column_stack([np.ones(N), x]), 0.0, atol=1e-8)
    assert faults.bends(X).shape[1] == 5 and faults.bends(np.repeat([0.0, 1.0, 2.0], 40)).shape[1] == 1


def test_a_curve_is_an_f_ratio() -> None:
    """Of regressions without and with the bends, where mean and line are known to be zero."""
    basis = faults.bends(X)
    found = faults.curve(X)(_drawn(SCORES))
    for j in range(3):
        left = SCORES[:, j] - basis @ np.linalg.lstsq(basis, SCORES[:, j], rcond=None)[0]
        inside = SCORES[:, j] @ SCORES[:, j] - left @ left
        assert found[j] == pytest.approx((inside / 5) / (left @ left / (N - 5)))
    many = faults.curve(X)(_drawn(np.random.default_rng(1).normal(size=(N, 2000))))
    assert scipy.stats.kstest(many, scipy.stats.f(5, N - 5).cdf).pvalue > 1e-3


def test_slopes_are_regressions_within_groups() -> None:
    statistic = faults.slopes(X, CODES)
    assert statistic is not None
    inside = 0.0
    for group in range(20):
        rows = group == CODES
        away = X[rows] - X[rows].mean()
        inside += (away @ SCORES[rows, 0]) ** 2 / (away @ away)
    rest = SCORES[:, 0] @ SCORES[:, 0] - inside
    assert statistic(_drawn(SCORES))[0] == pytest.approx((inside / 20) / (rest / (N - 20)))
    assert faults.slopes(CODES.astype(float), CODES) is None  # constant within each group


def test_autocorrelation_is_of_rows_that_follow_each_other() -> None:
    order, z = RNG.permutation(N).astype(float), SCORES[:, 1]
    sequence = z[np.argsort(order)]
    found = faults.autocorrelation(order, None)
    assert found is not None
    assert found(_drawn(SCORES))[1] == pytest.approx(np.mean(sequence[1:] * sequence[:-1]) / np.mean(z**2))
    within = faults.autocorrelation(np.tile(np.arange(6.0), 20), CODES)
    assert within is not None
    each = z.reshape(20, 6)
    assert within(_drawn(SCORES))[1] == pytest.approx(np.mean(each[:, 1:] * each[:, :-1]) / np.mean(z**2))
    assert faults.autocorrelation(np.arange(5.0), None) is None


def test_rows_at_one_time_count_as_their_mean() -> None:
    times = np.repeat(np.arange(40.0), 3)
    found = faults.autocorrelation(times, None)
    assert found is not None
    means = SCORES[:, 0].reshape(40, 3).mean(axis=1)
    assert found(_drawn(SCORES))[0] == pytest.approx(np.mean(means[1:] * means[:-1]) / np.mean(means**2))


def test_moran_is_that_of_means_of_regions() -> None:
    dense = np.triu(RNG.random((25, 25)) < 0.2, 1).astype(float)
    dense = dense + dense.T
    codes = np.repeat(np.arange(24), 5)  # one region has no row
    z = SCORES[:, 0].reshape(24, 5).sum(axis=1)
    w = dense[:24, :24]
    expected = 24 / w.sum() * (z @ w @ z) / (z @ z)
    assert faults.moran(codes, sp.csr_array(dense))(_drawn(SCORES))[0] == pytest.approx(expected)


def test_simple_ones() -> None:
    scores = np.array([[-3.0], [0.5], [1.0], [-1.0]])
    drawn = _drawn(scores, zero=0.2)
    assert faults.dispersion(drawn)[0] == pytest.approx(11.25 / 4)
    assert faults.outliers(drawn)[0] == 3.0
    assert faults.zeros(drawn)[0] == pytest.approx(np.sum(scores <= ndtri(0.2)) / 0.8)
    expected = np.corrcoef(np.abs(scores[:, 0]), np.linspace(-1, 1, 4))[0, 1]
    assert faults.spread(drawn)[0] == pytest.approx(expected)
    expected = scipy.stats.cramervonmises(SCORES[:, 0], "norm").statistic
    assert faults.distribution(_drawn(SCORES))[0] == pytest.approx(expected)
