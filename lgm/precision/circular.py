"""Random walks of order one and two on a circle of equally spaced times."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from lgm.pattern import Pattern
from lgm.precision.intrinsic import Moments, Structure
from lgm.precision.template import Constraint


def circular(order: int, n: int) -> Structure:
    """Structure ``u'Ru`` of squared first or second differences of n times of which the first follows the last.

    Null space: constants, for order two as well, as no straight line closes. R is circulant with the eigenvalues
    ``(4 sin^2(pi k / n))^order``. Their product without the zero is ``n^(2 order)``, and the mean of their inverses,
    which is every marginal variance, ``(n^2 - 1) / (12 n)`` for order one and ``(n^2 - 1) (n^2 + 11) / (720 n)`` for
    order two. Rue & Held (2005), sec. 2.6.1 and 3.3.

    Parameters
    ----------
    order : {1, 2}
    n : int
        Number of times, at least 3.

    Examples
    --------
    >>> s = circular(1, 4)
    >>> s.pattern.matrix(s.entries).toarray().tolist()
    [[2.0, -1.0, 0.0, -1.0], [-1.0, 2.0, -1.0, 0.0], [0.0, -1.0, 2.0, -1.0], [-1.0, 0.0, -1.0, 2.0]]
    """
    here = np.arange(n)
    step = sp.csc_array((np.ones(n), (here, (here + 1) % n)), shape=(n, n)) - sp.eye_array(n, format="csc")
    first = sp.csc_array(step.T @ step)
    matrix = first if order == 1 else sp.csc_array(first @ first)
    variance = (n**2 - 1) / (12 * n) if order == 1 else (n**2 - 1) * (n**2 + 11) / (720 * n)
    pattern = Pattern.of(matrix)
    return Structure(
        pattern,
        pattern.values(matrix),
        Constraint(sp.csc_array(np.ones((n, 1))), np.zeros(1, dtype=np.int64)),
        np.zeros(n, dtype=np.int64),
        Moments(np.full(n, variance), float(2 * order * np.log(n))),
    )
