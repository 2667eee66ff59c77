"""Correlated effects about the means of their covariates, printed as effects about zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax

from lgm.arrays import Numbers
from lgm.precision.correlated import correlation_matrix
from lgm.precision.template import Theta


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class AboutMeans:
    """What is printed of intercepts and slopes whose block has the intercepts at the means m of the covariates.

    An intercept at zero is ``c_0 - m'c`` of the effects c of the block, of which the first is the intercept at m.

    Parameters
    ----------
    means : float array (q,)
        Of the covariates; zero for the intercept.

    Notes
    -----
    The intercept at zero is ``v'e`` with ``v = (sd_0, -m_1 sd_1, ...)`` and standardised effects ``e ~ N(0, C)``. So
    its sd is ``sqrt(v'Cv)``, and its correlation with effect k is ``(Cv)_k / sqrt(v'Cv)``. This keeps its digits
    however far the means are from zero. The way back does not: correlations about zero are then one to all digits.

    The map of covariance matrices has determinant one, and ``|d covariance / d (sds, correlations)| = 2^q prod sd^q``.

    Examples
    --------
    >>> import numpy as np
    >>> means = AboutMeans(np.array([0.0, 2.0]))
    >>> found = means.printed({"sd": np.array([3.0, 2.0]), "corr": np.array([0.0])})
    >>> found["sd"].tolist(), found["corr"].tolist()
    ([5.0, 2.0], [-0.8])
    """

    means: Numbers

    def printed(self, theta: Theta) -> Theta:
        """Sds and correlations of the effects about zero, from those of the block, (..., number of them)."""
        return self._moved(theta, -1.0)

    def internal(self, theta: Theta) -> Theta:
        """Those of the block, from those of the effects about zero."""
        return self._moved(theta, 1.0)

    def log_jacobian(self, theta: Theta) -> Any:
        """``log |d printed / d internal|`` at values of the block, (...,)."""
        own, printed = theta["sd"][..., 0], self.printed(theta)["sd"][..., 0]
        xp = own.__array_namespace__()
        same = own == printed  # as where both are zero
        ratio = xp.where(same, 1.0, own) / xp.where(same, 1.0, printed)
        return self.means.shape[0] * xp.log(ratio)

    def _moved(self, theta: Theta, sign: float) -> Theta:
        """Sds and correlations once ``sign`` times m times the slopes is added to the intercept."""
        sd, corr = theta["sd"], theta["corr"]
        xp = sd.__array_namespace__()
        shift = sign * xp.asarray(self.means)[1:]
        q = sd.shape[-1]
        c = correlation_matrix(corr, q)
        v = xp.concat([sd[..., :1], shift * sd[..., 1:]], axis=-1)
        size = xp.max(xp.abs(v), axis=-1, keepdims=True)
        unit = v / xp.where(size > 0.0, size, 1.0)
        together = xp.sum(c * unit[..., None, :], axis=-1)
        square = xp.sum(unit * together, axis=-1, keepdims=True)
        some = square > 0.0
        length = xp.sqrt(xp.where(some, square, 1.0))
        level = xp.where(some, size * length, 0.0)
        first = xp.where(some, xp.clip(together / length, -1.0, 1.0), c[..., 0])
        columns = [first[..., i] if j == 0 else c[..., i, j] for i in range(1, q) for j in range(i)]
        return {**theta, "sd": xp.concat([level, sd[..., 1:]], axis=-1), "corr": xp.stack(columns, axis=-1)}
