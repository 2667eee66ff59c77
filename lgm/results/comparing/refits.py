r"""``log p(y_I | y_-I, theta) = log p(y | theta) - log p(y_-I | theta)``, the second term by a fit without the rows I.

Exact for a Gaussian response, whatever the rows. For others both terms are Laplace's approximations, whose errors
nearly cancel where the rows are few; where they are all that is known of an effect, both have what the rung puts back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.inference.compile import compiled
from lgm.posterior import density
from lgm.posterior.density import Marginal
from lgm.posterior.every_row import EveryRow
from lgm.results.progress import bar
from lgm.xla import own_settings

if TYPE_CHECKING:
    from lgm.results.fit import Fit

TOGETHER = 64  # fits in one call
PAIRS, MOST_PAIRS, ALL_PAIRS = 64, 1024, 1536  # of points where weights correct: at a theta, and over all thetas


class Masks(NamedTuple):
    """Which rows count: those that ``kept`` has (n,), and in which units (n,) rows go (0) or come (1) together."""

    kept: FloatArray
    label: IntArray
    becomes: float


@compiled(shapes=lambda post, how: ())
def _changed(
    corrected: bool, post: Marginal, rows: EveryRow, masks: Masks, thetas: jax.Array, units: jax.Array, z: jax.Array
) -> jax.Array:
    def one(at: tuple[jax.Array, jax.Array]) -> jax.Array:
        theta, unit = at
        some = density.keeping(post, rows, jnp.where(masks.label == unit, masks.becomes, masks.kept))
        if corrected:
            return density.log_likelihood_and_effects(some, theta, z, 1)[0]
        return density.log_likelihood(some, theta)

    return jax.lax.map(one, (thetas, units))


def units_left_out(
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
    masks = Masks(np.ones(label.size), label, 0.0)
    return -_changes(fit, rows, masks, units, thetas, corrected=corrected)


def rows_added(fit: Fit, rows: EveryRow, kept: FloatArray, units: IntArray, thetas: FloatArray) -> FloatArray:
    """``log p(y_i | y_K, theta)`` (S, U) of some rows that those with a one (n,) are without."""
    masks = Masks(kept, np.arange(kept.size), 1.0)
    return _changes(fit, rows, masks, units, thetas, corrected=not fit.analysed.marginal.data.exact)


def _changes(
    fit: Fit, rows: EveryRow, masks: Masks, units: IntArray, thetas: FloatArray, *, corrected: bool
) -> FloatArray:
    """By how much each change of a unit changes the log-likelihood (S, U)."""
    post = fit.analysed.marginal
    with own_settings():
        pairs = int(np.clip(ALL_PAIRS // len(thetas), PAIRS, MOST_PAIRS))
        shape = (post.n_normals, post.data.columns(pairs))
        z = jax.random.normal(jax.random.key(fit.seed), shape) if corrected else np.zeros((0, 0))
    every = np.append(units, -1)  # no row has a label of -1
    which, who = (x.ravel() for x in np.indices((len(thetas), every.size)))
    found = np.empty(which.size)
    with bar(which.size, "fits without rows", progress=fit.progress) as shown:
        for start in range(0, which.size, TOGETHER):
            at = np.minimum(np.arange(start, start + TOGETHER), which.size - 1)
            real = min(TOGETHER, which.size - start)
            with own_settings():
                values = _changed(corrected, post, rows, masks, thetas[which[at]], every[who[at]], z)
            found[start : start + real] = np.asarray(values)[:real]
            shown.update(real)
    table = found.reshape(len(thetas), every.size)
    return table[:, :-1] - table[:, -1:]
