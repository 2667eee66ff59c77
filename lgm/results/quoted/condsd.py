"""Standard deviations of effects given all else, as lme4 has them beside its conditional modes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from lgm.arrays import FloatArray
from lgm.inference.compile import jit
from lgm.posterior.density import Marginal, variances
from lgm.posterior.laplace import LaplaceData
from lgm.posterior.pinned import pinned
from lgm.results.progress import bar
from lgm.xla import own_settings

if TYPE_CHECKING:
    from lgm.results.fit import Fit

MOST_THETAS = 50  # over which conditional variances are averaged


@jit
def _given_all_else(post: Marginal, theta: jax.Array) -> jax.Array:
    return variances(post, theta, jnp.zeros((post.dim, 0)))[0]


def conditional_sds(fit: Fit) -> FloatArray:
    """Of the printed effects of all terms (m,); see `Fit.ranef`."""
    post, thetas = pinned(fit.analysed.marginal), fit.effects.drawing.thetas
    chosen = np.unique(thetas[np.linspace(0, len(thetas) - 1, min(MOST_THETAS, len(thetas))).astype(int)], axis=0)
    total = np.zeros(sum(printed.variable.labels.size for printed in fit.design.predictor.printed()))
    with own_settings(), bar(len(chosen), "conditional sds", progress=fit.progress) as shown:
        if isinstance(post.data, LaplaceData):
            observed = post.data.observed
            fixed = np.linalg.solve(fit.analysed.basis, fit.effects.mean[: fit.design.p] - fit.analysed.reference)
            u = jnp.concatenate([jnp.asarray(fixed), jnp.zeros(post.prior.q)])
            data = replace(post.data, observed=replace(observed, offset=observed.eta(u)), rung="laplace")
            post = replace(post, data=data)
        for theta in chosen:
            total += np.asarray(_given_all_else(post, theta))
            shown.update(1)
    return np.sqrt(total / len(chosen))
