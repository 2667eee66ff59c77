"""Means of what depends on a variable whose own mean is known better than its draws tell."""

from __future__ import annotations

import numpy as np

from lgm.arrays import FloatArray


class Average:
    """The mean of ``x = f(c)`` from draws that come in blocks, with c as a control variate.

    ``mean(x) - b (mean(c) - E c)`` with b the slope of x on c (Owen 2013, Monte Carlo theory, methods and examples,
    sec. 8.9): exact where f is linear, and with less noise elsewhere. It is kept within the range of the draws of x.

    Parameters
    ----------
    known : float array (m,)
        ``E c``, for each of m variables.

    Examples
    --------
    >>> average = Average(np.array([0.5]))
    >>> average.add(np.array([[3.0, 5.0, 7.0]]), np.array([[0.0, 1.0, 2.0]]))
    >>> average.value()
    array([4.])
    """

    def __init__(self, known: FloatArray) -> None:
        self._known = known[:, None]
        self._count = 0
        self._shift = np.zeros(self._known.shape)
        self._sums = np.zeros((4, known.size))  # of x, c, xc and cc
        self._low, self._high = np.full(known.size, np.inf), np.full(known.size, -np.inf)

    def add(self, x: FloatArray, c: FloatArray) -> None:
        """Take a block of draws (m, B) of both."""
        if not self._count:
            self._shift = x[:, :1].copy()  # against cancellation in the slope
        self._count += x.shape[1]
        self._low, self._high = np.minimum(self._low, x.min(axis=1)), np.maximum(self._high, x.max(axis=1))
        x, c = x - self._shift, c - self._known
        self._sums += x.sum(axis=1), c.sum(axis=1), np.einsum("ms,ms->m", x, c), np.einsum("ms,ms->m", c, c)

    def value(self) -> FloatArray:
        """The mean (m,), once all draws have come."""
        x, c, xc, cc = self._sums / self._count
        spread = cc - c**2
        slope = np.divide(xc - x * c, spread, out=np.zeros_like(x), where=spread > 0)
        return np.clip(self._shift[:, 0] + x - slope * c, self._low, self._high)
