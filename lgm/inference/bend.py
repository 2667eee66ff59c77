"""The coordinates in which importance sampling proposes: linear in a standard deviation near zero, logarithmic far off.

On the log scale the posterior of a standard deviation that may be zero has an exponential left tail; on its own scale
it has a long right tail, along which other hyperparameters change exponentially (an autoregression's sd and its rho). A
Student t covers neither well, and what it misses there no later weight can show. With ``sd = scale * sinh(x)``, folded
at zero, both tails are tame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lgm.arrays import FloatArray
from lgm.inference.folded import FoldedMode

# Of the posterior's width at the mode: a standard deviation that may be zero is linear all the way from there, and only
# beyond does the logarithm begin.
SCALE = 4.0
LEAST = 0.25  # of the curvature before bending: where bending leaves less, it is not believed


@dataclass(frozen=True)
class Bend:
    """``y = scale * sinh(x)`` for folded coordinates y, the identity for others.

    Parameters
    ----------
    scale : float array (d,)
        One where nothing is bent.
    folded : bool array (d,)
    """

    scale: FloatArray
    folded: npt.NDArray[np.bool_]

    def to_folded(self, x: FloatArray) -> FloatArray:
        """Bent (..., d) to folded."""
        return np.where(self.folded, self.scale * np.sinh(np.where(self.folded, x, 0.0)), x)

    def from_folded(self, y: FloatArray) -> FloatArray:
        """Folded (..., d) to bent."""
        return np.where(self.folded, np.arcsinh(y / self.scale), y)

    def slope(self, x: FloatArray) -> FloatArray:
        """``dy / dx``, for each coordinate."""
        return np.where(self.folded, self.scale * np.cosh(np.where(self.folded, x, 0.0)), 1.0)

    def log_jacobian(self, x: FloatArray) -> FloatArray:
        """Sum of the logarithms of the slopes, (...)."""
        return np.sum(np.log(self.slope(x)), axis=-1)


class BentMode(NamedTuple):
    """About the mode of the density of bent coordinates, and a root of its inverse curvature."""

    bend: Bend
    x: FloatArray
    root: FloatArray


def around(mode: FoldedMode, folded: tuple[bool, ...]) -> BentMode:
    """Bend around the mode in folded coordinates.

    The density gains ``log cosh x`` for each bent coordinate, with gradient ``g = tanh x`` and curvature ``D = sech^2
    x``. With R the root of the inverse curvature before that, mapped to x, the new inverse curvature is ``R (I - R' D
    R)^-1 R'``, and one Newton step from the old mode is that times g.
    """
    bent = np.array(folded, dtype=bool)
    width = np.sqrt(np.sum(mode.root**2, axis=1))
    bend = Bend(np.where(bent, SCALE * width, 1.0), bent)
    x = bend.from_folded(mode.x)
    root = mode.root / bend.slope(x)[:, None]
    gained = np.where(bent, np.cosh(np.where(bent, x, 0.0)) ** -2.0, 0.0)
    left, directions = np.linalg.eigh(np.eye(x.size) - root.T @ (gained[:, None] * root))
    root = root @ (directions / np.sqrt(np.maximum(left, LEAST)))
    step = root @ (root.T @ np.where(bent, np.tanh(np.where(bent, x, 0.0)), 0.0))
    return BentMode(bend, x + step, root)
