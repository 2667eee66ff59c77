"""A family's log-likelihood and its derivatives in the linear predictor, row by row."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from lgm.xla import QUICK


@partial(jax.jit, static_argnums=(0, 1), compiler_options=QUICK)
def _orders(family, most, y, eta, theta, weights):
    def higher(function):
        def more(e):
            found, slopes = jax.jvp(function, (e,), (jnp.ones_like(e),))
            return (*found, slopes[-1])

        return more

    def function(e):
        return (family.loglik(y, e, theta, weights),)

    for _ in range(most):
        function = higher(function)
    return jnp.stack(function(eta))


def values(family, y, eta, theta=None, weights=1.0):
    """The log-likelihood (n,); parameters may have a value for each row."""
    return orders(family, y, eta, theta, weights, most=0)[0]


def orders(family, y, eta, theta=None, weights=1.0, *, most=4):
    """The log-likelihood and its first four derivatives (5, n), or fewer; parameters may have a value for each row."""
    eta = np.asarray(eta, dtype=float)
    with jax.enable_x64(True):
        theta = {
            kind: np.broadcast_to(np.asarray(value, dtype=float), eta.shape) for kind, value in (theta or {}).items()
        }
        return np.asarray(
            _orders(family, most, y, eta, theta, np.broadcast_to(np.asarray(weights, dtype=float), eta.shape))
        )


def slope_errors(family, y, eta, theta=None, step=2e-3):
    """Errors (4, n) of the derivatives against central differences, of five points, of those one order lower.

    They are relative to the largest derivative of a row, or a hundredth of its response where differences are rounding.
    With derivatives of one size, the error of the differences is of the order of the step to the fourth.
    """
    eta = np.asarray(eta, dtype=float)
    found = orders(family, y, eta, theta)
    moved = [orders(family, y, eta + k * step, theta)[:-1] for k in (-2, -1, 1, 2)]
    differences = np.tensordot([1 / 12, -2 / 3, 2 / 3, -1 / 12], np.stack(moved), axes=1) / step
    return np.abs(found[1:] - differences) / (0.01 * (1.0 + np.abs(y.value)) + np.max(np.abs(found[1:]), axis=0))
