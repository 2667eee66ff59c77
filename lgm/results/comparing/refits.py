r"""``log p(y_I | y_-I, theta) = log p(y | theta) - log p(y_-I | theta)``, the second term by a fit without the rows I.

Exact for a Gaussian response, whatever the rows. For others both terms are Laplace's approximations, whose errors
nearly cancel where the rows are few; where they are all that is known of an effect, both have what the rung puts back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.inference.compile import compiled
from lgm.posterior import density
from lgm.posterior.density import Marginal
from lgm.posterior.every_row import EveryRow
from lgm.results.progress import bar

if TYPE_CHECKING:
    from lgm.results.fit import Fit

TOGETHER = 64  # fits in one call


@compiled(shapes=lambda post, how: ())
def _without(
    corrected: bool, post: Marginal, rows: EveryRow, label: jax.Array, thetas: jax.Array, out: jax.Array, z: jax.Array
) -> jax.Array:
    def one(at: tuple[jax.Array, jax.Array]) -> jax.Array:
        theta, unit = at
        rest = density.keeping(post, rows, jnp.where(label == unit, 0.0, 1.0))
        if corrected:
            return density.log_likelihood_and_effects(rest, theta, z, 1)[0]
        return density.log_likelihood(rest, theta)

    return jax.lax.map(one, (thetas, out))


def log_densities(
    fit: Fit, rows: EveryRow, label: IntArray, units: IntArray, thetas: FloatArray, *, corrected: bool = False
) -> FloatArray:
    """``log p(y_I | y_-I, theta)`` (S, U) of some units of rows, at thetas (S, k); NaN where it is undefined.

    Parameters
    ----------
    label : int array (n,)
        The unit of each row.
    units : int array (U,)
    corrected : bool
        Whether what the rung puts back is wanted.
    """
    post = fit.analysed.marginal
    pairs = post.data.columns(1)
    with jax.enable_x64(True):
        z = jax.random.normal(jax.random.key(fit.seed), (post.n_normals, pairs)) if corrected else np.zeros((0, 0))
    every = np.append(units, -1)  # no row has a label of -1
    which, who = (x.ravel() for x in np.indices((len(thetas), every.size)))
    found = np.empty(which.size)
    with bar(which.size, "fits without rows", progress=fit.progress) as shown:
        for start in range(0, which.size, TOGETHER):
            at = np.minimum(np.arange(start, start + TOGETHER), which.size - 1)
            real = min(TOGETHER, which.size - start)
            with jax.enable_x64(True):
                values = _without(corrected, post, rows, label, thetas[which[at]], every[who[at]], z)
            found[start : start + real] = np.asarray(values)[:real]
            shown.update(real)
    table = found.reshape(len(thetas), every.size)
    return table[:, -1:] - table[:, :-1]
