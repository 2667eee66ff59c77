"""Log-likelihoods given the effects."""

import numpy as np
from scipy.special import expit

import lgm
from lgm.results.comparing import conditional


def test_they_are_those_of_predictions(clicks: lgm.Fit) -> None:
    numbers = np.array([3, 50, 7])
    p = expit(clicks.predict(kind="draws", of="linear").values.reshape(-1, 24)[numbers])
    y = clicks.design.y
    expected = np.log(np.where(y == 1, p, 1 - p))
    np.testing.assert_allclose(conditional.log_likelihood(clicks, numbers), expected, atol=1e-12)
    p = expit(clicks.predict(kind="linear")["mean"].to_numpy())
    expected = np.sum(np.log(np.where(y == 1, p, 1 - p)))
    np.testing.assert_allclose(conditional.at_means(clicks), expected, atol=1e-9)
