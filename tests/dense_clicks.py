"""``log p(y)`` of binary outcomes with an intercept and one effect for each group, by quadrature in two dimensions."""

import numpy as np


def log_likelihood(y, g, sd_intercept, sd):
    """Groups are independent given the intercept: a grid of it, and a grid of the effect of each group."""
    x, w = np.polynomial.hermite_e.hermegauss(61)
    w = w / w.sum()
    total = np.zeros(x.size)
    for group in np.unique(g):
        eta = sd_intercept * x[:, None] + sd * x
        successes, trials = y[g == group].sum(), np.sum(g == group)
        likelihood = np.exp(successes * eta - trials * np.log1p(np.exp(eta)))
        total += np.log(likelihood @ w)
    return float(np.log(np.exp(total) @ w))
