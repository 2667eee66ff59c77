"""Proposals, their mixtures and their draws agree, and resampling takes each point as often as its weight says."""

import numpy as np
import pytest
from scipy import stats

from lgm.inference.proposal import DF, Mixture, Proposal, resampled

ROOT = np.array([[1.0, 0.0], [0.4, 0.7]])
CENTRE = np.array([0.3, -0.5])


@pytest.mark.parametrize("folded", [(True, False), (False, True), (True, True)])
def test_folded_density_integrates_to_one(folded: tuple[bool, bool]) -> None:
    proposal = Proposal(CENTRE, ROOT, folded)
    even = np.linspace(-4.1, 4.1, 801)
    x, y = np.meshgrid(np.sinh(even), np.sinh(even), indexing="ij")
    inside = (x >= 0 if folded[0] else True) & (y >= 0 if folded[1] else True)
    values = np.exp(proposal.log_density(np.stack([x, y], axis=-1).reshape(-1, 2))).reshape(x.shape)
    corner = np.where((x == 0) & folded[0], 0.5, 1.0) * np.where(
        (y == 0) & folded[1], 0.5, 1.0
    )  # of the trapezoid rule
    total = (
        np.sum(np.where(inside, values * np.cosh(even)[:, None] * np.cosh(even) * corner, 0.0)) * np.ptp(even[:2]) ** 2
    )
    # the t with 5 degrees of freedom has less than 1e-5 of its mass beyond 30 scales
    assert total == pytest.approx(1.0, abs=1e-4)


def test_without_folds_it_is_the_multivariate_t() -> None:
    """With a root that is not triangular."""
    rng = np.random.default_rng(1)
    root, centre, x = rng.normal(size=(4, 4)), rng.normal(size=4), 3.0 * rng.normal(size=(50, 4))
    found = Proposal(centre, root, (False,) * 4).log_density(x)
    np.testing.assert_allclose(found, stats.multivariate_t(centre, root @ root.T, df=DF).logpdf(x), rtol=1e-10)


def test_a_last_coordinate_is_folded_as_the_joint_density_is() -> None:
    joint = stats.multivariate_t(CENTRE, ROOT @ ROOT.T, df=DF)
    x = np.array([[0.2, 0.1], [-3.0, 2.0], [1.0, 0.0]])
    found = Proposal(CENTRE, ROOT, (False, True)).log_density(x)
    np.testing.assert_allclose(found, np.logaddexp(joint.logpdf(x), joint.logpdf(x * [1, -1])), rtol=1e-12)


def test_draws_are_from_the_density() -> None:
    proposal = Proposal(np.array([0.3]), np.array([[1.0]]), (True,))
    draws = np.sort(proposal.draw(4096, 1)[:, 0])
    grid = np.linspace(0, 40, 400_001)[1:]
    cdf = np.cumsum(np.exp(proposal.log_density(grid[:, None]))) * (grid[1] - grid[0])
    gap = np.abs(np.interp(draws, grid, cdf) - (np.arange(draws.size) + 0.5) / draws.size).max()
    assert gap < 1.63 / np.sqrt(draws.size)  # Kolmogorov's 1% point; Sobol points are closer than random ones


def test_weights_of_one_proposal_under_another_average_to_one() -> None:
    """In three dimensions, two of them folded: draws and density are of the same distribution."""
    rng = np.random.default_rng(2)
    wide, narrow = (
        Proposal(np.array([0.2, 0.5, 0.0]), s * rng.normal(size=(3, 3)), (True, False, True)) for s in (2, 1)
    )
    both = Mixture([wide, narrow], np.array([0.7, 0.3]))
    x = both.draw(8192, 3)
    for one in (wide, narrow):
        weights = np.exp(one.log_density(x) - both.log_density(x))
        assert abs(weights.mean() - 1.0) < 4.0 * weights.std() / np.sqrt(weights.size)


def test_mixture_takes_its_shares() -> None:
    far = Proposal(np.array([100.0]), np.array([[1.0]]), (False,))
    near = Proposal(np.array([0.0]), np.array([[1.0]]), (False,))
    mixture = Mixture([far, near], np.array([0.25, 0.75]))
    assert np.mean(mixture.draw(1024, 1) > 50) == pytest.approx(0.25, abs=1 / 1024)
    parts = np.exp(mixture.log_parts(np.array([[0.0], [100.0]])))
    np.testing.assert_allclose(parts.sum(axis=0), np.exp(mixture.log_density(np.array([[0.0], [100.0]]))), rtol=1e-12)


def test_forty_folds_are_no_more_than_forty_terms() -> None:
    """The sum over all signs would have a trillion."""
    d = 40
    proposal = Proposal(np.full(d, 0.5), np.eye(d), (True,) * d)
    assert np.all(np.isfinite(proposal.log_density(proposal.draw(64, 1))))


def test_resampling_is_systematic() -> None:
    weights = np.array([0.5, 0.26, 0.0, 0.24])
    counts = np.bincount(resampled(weights, 1000, np.random.default_rng(1)), minlength=4)
    assert counts.sum() == 1000
    assert np.all(np.abs(counts - 1000 * weights) < 1)
