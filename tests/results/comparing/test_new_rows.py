"""Rows that were left out, one by one."""

import numpy as np
from dense_clicks import log_likelihood

import lgm
from lgm.results.comparing.new_rows import predicted
from lgm.results.comparing.passes import Thetas, rows_of


def test_they_are_given_those_that_stayed(clicks: lgm.Fit) -> None:
    y, g = clicks.design.y, clicks.design.rows.frame["g"].to_numpy()
    out = np.flatnonzero((g == 2) | (g == 5))
    kept = np.setdiff1d(np.arange(24), out)
    found = predicted(clicks, rows_of(clicks), Thetas.of(clicks, 24), out)
    for place, row in enumerate(out):
        both = np.append(kept, row)
        expected = log_likelihood(y[both], g[both], 1.5, 1.5) - log_likelihood(y[kept], g[kept], 1.5, 1.5)
        assert abs(found[0, place] - expected) < 0.02
