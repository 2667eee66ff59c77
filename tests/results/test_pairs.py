"""Variables at pairs of weighted points, where moments and probabilities are known."""

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermeval
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import norm

from lgm.results.pairs import Known, Paired

# Of He_0, .. He_4: weights of mean one, whose expectations with He_k / k! are these.
TILTS = np.array([[0.0, 0.1, 0.05, -0.03, 0.02], [0.0, -0.2, 0.1, 0.04, -0.01]])
CENTRE, SD = np.array([3.0, -1.0]), np.array([2.0, 0.5])


def _known(tilts: np.ndarray) -> Known:
    return Known(*tilts[:, 1:].T)


def test_the_tilt_is_the_integral() -> None:
    known = _known(TILTS)
    for t in (-2.0, 0.3, 1.7):
        wanted = [quad(lambda z, c=c: hermeval(z, c) * norm.pdf(z), -12.0, t)[0] for c in TILTS]
        np.testing.assert_allclose(-known.tilt(np.full(2, t)) * norm.pdf(t), wanted, atol=1e-10)


@pytest.mark.parametrize("odd", [False, True])
def test_what_is_known_of_the_weights_is_exact(odd: bool) -> None:
    """Few pairs, and no Monte Carlo error, where the weights are foretold and nothing is moved."""
    tilts = (TILTS if odd else TILTS * [0, 0, 1, 0, 1])[:1]
    z = np.random.default_rng(1).standard_normal(10)
    away = np.stack([z, -z])
    foretold = hermeval(away, tilts[0])
    x = CENTRE[:1, None, None] + SD[0] * away[None]
    found = Paired(x, x, CENTRE[:1], SD[:1], 1.0 + foretold, foretold, _known(tilts))
    assert found.mean[0] == pytest.approx(CENTRE[0] + SD[0] * tilts[0, 1], rel=1e-12)
    if not odd:
        assert found.variance[0] == pytest.approx(SD[0] ** 2 * (1.0 + 2.0 * tilts[0, 2]), rel=1e-12)
        assert np.max(found.errors(found.interval(0.9), 0.9)[:2]) < 1e-25

    def below(z: float) -> float:
        return float(ndtr(z) - np.polyval(_powers(tilts[0]), z) * norm.pdf(z))

    ends = [brentq(lambda z, level=level: below(z) - level, -4.0, 4.0) for level in (0.05, 0.95)]
    np.testing.assert_allclose(found.interval(0.9)[:, 0], CENTRE[0] + SD[0] * np.array(ends), rtol=1e-9)


def _powers(c: np.ndarray) -> list[float]:
    """``c1 + c2 z + c3 (z^2 - 1) + c4 (z^3 - 3z)`` by powers, from the highest."""
    return [c[4], c[3], c[2] - 3.0 * c[4], c[1] - c[3]]


def test_errors_are_those_of_many_repetitions() -> None:
    """Weights that nothing foretells, and points that are moved from normal draws."""
    rng, pairs, again = np.random.default_rng(2), 100, 600
    estimates, errors = [], []
    for _ in range(again):
        z, w = rng.standard_normal(pairs), np.exp(0.4 * rng.standard_normal(pairs))
        away = SD[:1, None, None] * np.stack([z, -z])[None]
        x = CENTRE[0] + away + 0.1 * away**2
        weights = np.stack([w, w]) / w.mean()
        centre, nothing = x.mean(axis=(1, 2)), np.zeros(1)
        found = Paired(x, centre + away, centre, SD[:1], weights, np.zeros_like(weights), Known(*[nothing] * 4))
        ends = found.interval(0.9)
        estimates.append([found.mean[0], found.variance[0], *ends[:, 0]])
        errors.append(found.errors(ends, 0.9)[:, 0])
    spread, expected = np.var(estimates, axis=0, ddof=1), np.mean(errors, axis=0)
    variance = np.mean(estimates, axis=0)[1]
    # of one draw: the variance, twice its square
    ratios = spread[:2] / (expected[:2] * np.array([variance, 2.0 * variance**2]))
    np.testing.assert_allclose(ratios, 1.0, atol=0.3)  # variances of 600 that are not quite normal
    true = CENTRE[0] + _moved(norm.ppf([0.05, 0.95]) * SD[0])
    # by the density there, which the bend has moved too
    slope = norm.pdf(norm.ppf(0.05)) / (SD[0] * (1.0 + 0.2 * SD[0] * norm.ppf([0.05, 0.95])))
    np.testing.assert_allclose(spread[2:] * slope**2 / (expected[2:] * 0.05 * 0.95), 1.0, atol=0.4)
    assert np.all(np.abs(np.mean(estimates, axis=0)[2:] - true) < 0.1 * SD[0])


def _moved(away: np.ndarray) -> np.ndarray:
    return away + 0.1 * away**2
