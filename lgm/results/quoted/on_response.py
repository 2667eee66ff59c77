"""Variance partition on the scale of the response: what each term does to its mean, and how it varies about that.

Given theta and the fixed effects, what terms add to a row is normal, so that the mean and variance of a function of it
are integrals in one dimension, and the variance of its mean given one of several terms is one in two. These are taken
by the trapezoidal rule, which converges faster than any power of its step for smooth functions (Trefethen & Weideman
2014, SIAM Review 56, 385-458).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.errors import LgmError
from lgm.families.family import Theta
from lgm.results.progress import bar
from lgm.results.quoted.errors import variances

if TYPE_CHECKING:
    from lgm.results.fit import Fit

NODES = np.linspace(-10.0, 10.0, 81)
MASSES = np.exp(-0.5 * NODES**2) / np.sum(np.exp(-0.5 * NODES**2))
MOST_ROWS = 200
INTERACTION = "interaction"


def require_numbers(fit: Fit) -> None:
    """Raise for responses that have no variance."""
    d = fit.design
    if d.family.outcomes or d.response.censored is not None:
        what = "of categories" if d.family.outcomes else "that is censored"
        raise LgmError(
            f'scale="response" is for responses that are numbers, and `{d.formula.response.text}` is one {what}. '
            'Accepted: scale="latent".'
        )


def chosen_rows(n: int) -> IntArray:
    """The rows of n over which variances are averaged."""
    return np.unique(np.linspace(0, n - 1, min(n, MOST_ROWS)).astype(int))


def partition(
    fit: Fit, rows: IntArray, lines: FloatArray, terms: Mapping[str, FloatArray], theta: Theta
) -> tuple[FloatArray, dict[str, FloatArray], FloatArray]:
    """Variance over the rows of their means, that of each term with their interaction, and that of errors (S,) each.

    Parameters
    ----------
    rows : int array (r,)
        Among those with a response.
    lines : float array (r, S)
        What of the linear predictor terms add to.
    terms : mapping of float arrays (r, S)
        The variance of what each term adds.
    theta : mapping
        Draws of the family's parameters.
    """
    mean, rng = fit.design.family.mean, np.random.default_rng([fit.seed, 23])
    total = np.asarray(sum(terms.values()))
    centre = mean(lines, theta)  # a shift, against cancellation
    first, square, errors = (np.zeros(lines.shape) for _ in range(3))
    for z, mass in zip(NODES, MASSES, strict=True):
        eta = lines + np.sqrt(total) * z
        away = mean(eta, theta) - centre
        first += mass * away
        square += mass * away**2
        errors += mass * variances(fit, rows, eta, theta, rng)
    whole = np.maximum(square - first**2, 0.0)
    found = {name: whole.mean(axis=0) for name in terms}
    if len(terms) > 1:
        with bar(len(terms) * NODES.size, "variances", progress=fit.progress) as shown:
            for name, own in terms.items():
                of_mean, rest = np.zeros(lines.shape), np.sqrt(np.maximum(total - own, 0.0))
                for z, mass in zip(NODES, MASSES, strict=True):
                    at = lines + np.sqrt(own) * z
                    given = sum(m * (mean(at + rest * t, theta) - centre) for t, m in zip(NODES, MASSES, strict=True))
                    of_mean += mass * (given - first) ** 2
                    shown.update(1)
                found[name] = of_mean.mean(axis=0)
        found[INTERACTION] = np.maximum(whole.mean(axis=0) - sum(found.values()), 0.0)
    return (centre + first).var(axis=0, ddof=1), found, errors.mean(axis=0)
