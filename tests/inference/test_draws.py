"""Weighted points: when they are doubted, and what of them a file keeps."""

import numpy as np
import pytest

from lgm.inference.draws import ENOUGH, Mixture, Points


def points(k: float, ess: float) -> Points:
    theta = np.zeros((1024, 2))
    weights = np.full(1024, -np.log(1024))
    return Points(theta, weights, np.zeros((1024, 5)), np.zeros((1024, 3, 5)), k, ess, 0.0, 0.0, 0)


@pytest.mark.parametrize(
    ("k", "ess", "doubt"),
    [
        (0.2, ENOUGH, None),
        (0.67, 900, r"the importance weights are not reliable \(Pareto k 0.67, limit 0.67\)"),
        (np.inf, 1.0, r"not reliable \(Pareto k inf"),
        (-np.inf, 399.4, "only 399 effective points of 1024"),
    ],
)
def test_doubt(k: float, ess: float, doubt: str | None) -> None:
    found = points(k, ess).doubt()
    if doubt is None:
        assert found is None
    else:
        with pytest.raises(ValueError, match=doubt):
            raise ValueError(found)


def test_without_effects() -> None:
    """Of its own class, with its weights, and with the shapes of nothing."""
    whole = points(0.2, 900)
    bare = whole.without_effects()
    assert (type(bare), bare.k, bare.size) == (Points, 0.2, 1024)
    assert (bare.mean.shape, bare.draws.shape) == ((1024, 0), (1024, 0, 5))
    assert type(Mixture(whole.theta, whole.log_weights, whole.mean, whole.draws).without_effects()) is Mixture
