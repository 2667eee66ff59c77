"""The effects at one theta where they are normal: mean and variances from one factorisation, and nothing is drawn."""

from __future__ import annotations

import jax
import numpy as np

from lgm.arrays import FloatArray
from lgm.inference.compile import Plan, compiled, floats
from lgm.posterior import density
from lgm.posterior.density import Marginal
from lgm.results.drawing import Drawing
from lgm.xla import own_settings


@compiled(shapes=lambda post, _: (post, floats(post.hyper.size), floats(post.dim, post.dim - post.prior.q)))
def _moments(
    how: None, post: Marginal, theta: jax.Array, functionals: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    return density.normal_moments(post, theta, functionals)


def programs(post: Marginal) -> list[Plan]:
    """What `moments` will call."""
    return [Plan(_moments, None)]


def moments(drawing: Drawing) -> tuple[FloatArray, FloatArray]:
    """Mean of u (p + q,), natural scale, and variances of the printed effects (p + m,), at the first theta."""
    analysed = drawing.analysed
    with own_settings():
        found = _moments(None, analysed.marginal, drawing.thetas[0], drawing.functionals)
    mean, printed, fixed = map(np.asarray, found)
    return analysed.natural(mean), np.concatenate([fixed, printed])
