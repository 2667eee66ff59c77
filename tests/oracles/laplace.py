"""Laplace's approximation of a marginal likelihood, and the integral itself, by dense algebra.

The model is written down from its definition: a log density of each row as a function of its linear predictor, dense
columns, a normal prior of all effects. Nothing is shared with lgm: derivatives are differences, the mode is SciPy's.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from scipy import optimize

import lgm
from lgm.design.answer import Answer
from lgm.families import find
from lgm.posterior import density
from lgm.posterior.assemble import analyse
from lgm.priors import normal
from lgm.xla import QUICK

# Central differences of nine points, of the order of the step to the eighth power (Fornberg 1988).
_FIRST = np.array([1 / 280, -4 / 105, 1 / 5, -4 / 5, 0.0, 4 / 5, -1 / 5, 4 / 105, -1 / 280])
_SECOND = np.array([-1 / 560, 8 / 315, -1 / 5, 8 / 5, -205 / 72, 8 / 5, -1 / 5, 8 / 315, -1 / 560])


@dataclass(frozen=True)
class Dense:
    """``y_i ~ exp(logp_i(eta_i))``, ``eta = A u + offset``, ``u ~ N(mean, cov)``.

    Parameters
    ----------
    logp : callable
        Log density of the rows, elementwise: (n,) -> (n,) and (n, m) -> (n, m).
    A : float array (n, d)
    mean, cov : float arrays (d,), (d, d)
    offset : float or float array (n,)
    step : float
        Of differences in eta: about a twentieth of the distance over which a row's log density changes its shape.
    """

    logp: Callable[[Any], Any]
    A: np.ndarray
    mean: np.ndarray
    cov: np.ndarray
    offset: Any = 0.0
    step: float = 0.05

    def joint(self, u):
        """Log density of the response and of u, (d,) or each column of (d, m), without constants of the prior."""
        away = (u.T - self.mean).T
        eta = ((self.A @ u).T + self.offset).T
        return np.sum(self.logp(eta), axis=0) - 0.5 * np.sum(away * np.linalg.solve(self.cov, away), axis=0)

    def slope(self, u):
        """Gradient of `joint` (d,)."""
        return self.A.T @ self._difference(u, _FIRST, 1) - np.linalg.solve(self.cov, u - self.mean)

    def precision(self, u):
        """Minus the matrix of second derivatives of `joint` (d, d)."""
        curvature = self._difference(u, _SECOND, 2)
        return np.linalg.inv(self.cov) - self.A.T @ (curvature[:, None] * self.A)

    def _difference(self, u, weights, order):
        eta = self.A @ u + self.offset
        return sum(
            (w * self.logp(eta + k * self.step) for k, w in enumerate(weights, start=-4) if w), np.zeros(eta.size)
        ) / (self.step**order)

    def mode(self):
        """Where `joint` is largest (d,)."""
        found = optimize.minimize(
            lambda u: -self.joint(u),
            self.mean,
            jac=lambda u: -self.slope(u),
            hess=self.precision,
            method="trust-exact",
            options={"gtol": 1e-5},
        ).x
        for _ in range(3):
            found = found + np.linalg.solve(self.precision(found), self.slope(found))
        assert np.max(np.abs(self.slope(found))) < 1e-7 * (1.0 + np.max(np.abs(self.joint(found))))
        return found

    def laplace(self):
        """Laplace's approximation of ``log p(y)``: the constants of prior and approximation cancel."""
        u = self.mode()
        np.linalg.cholesky(self.precision(u))  # a maximum
        return self.joint(u) - 0.5 * np.linalg.slogdet(self.precision(u))[1] - 0.5 * np.linalg.slogdet(self.cov)[1]

    def integral(self, reach=9.0, nodes=61):
        """``log p(y)`` by the trapezoidal rule in standardised coordinates about the mode; for at most three effects.

        The rule converges faster than any power of the distance of its nodes, if nothing is left beyond its ends.
        """
        u, d = self.mode(), self.mean.size
        root = np.linalg.inv(np.linalg.cholesky(self.precision(u))).T
        z = np.linspace(-reach, reach, nodes)
        values = self.joint(u[:, None] + root @ np.stack(np.meshgrid(*[z] * d, indexing="ij")).reshape(d, -1))
        top = values.max()
        total = np.log(np.sum(np.exp(values - top))) + top + d * np.log(z[1] - z[0])
        inner = values.reshape([nodes] * d)[(slice(1, -1),) * d]
        assert np.sum(np.exp(values - top)) - np.sum(np.exp(inner - top)) < 1e-12, "it does not reach far enough"
        constants = -0.5 * d * np.log(2.0 * np.pi) - 0.5 * np.linalg.slogdet(self.cov)[1]
        return float(total + np.linalg.slogdet(root)[1] + constants)


class Tiny(NamedTuple):
    """The posterior of a model of six rows, ``y ~ x + (1|g)``, and its definition as a function of theta."""

    marginal: density.Marginal
    dense: Callable[[Any], Dense]

    def check(self, theta):
        """Value and gradient of ``log p(y | theta)`` at theta, the sd of the group first, then what the family has."""
        value, slopes = marginal_likelihood(self.marginal, theta)
        np.testing.assert_allclose(value, self.dense(theta).laplace(), rtol=1e-9, atol=1e-8)
        np.testing.assert_allclose(slopes, differences(self.marginal, theta), rtol=1e-7, atol=1e-9)


def tiny(family, y, logp, step=0.05):
    """A tiny model of a response, a `lgm.families.response.Response` of six rows.

    Parameters
    ----------
    family : Family or str
    y : Response
    logp : callable
        From eta (n,) or (n, m), y and its trials as such columns, and the family's theta to log densities.
    step : float
        As in `Dense`.
    """
    x, g, family = np.array([0.1, -0.4, 1.0, 0.3, -1.2, 0.6]), np.array([0, 0, 1, 1, 2, 2]), find(family)
    data = pd.DataFrame({"y": np.arange(6.0), "x": x, "g": g.astype(str)})
    model = lgm.model("y ~ x + (1|g)", data, priors={"Intercept": normal(0.3, 2.0), "x": normal(0.0, 1.5)})
    own = family.parameters(y, 1.0, np.ones(6))
    design = replace(model.design, family=family, answer=Answer(y), family_parameters=own)
    priors = [model.chosen_priors.theta[0], *(parameter.default for parameter in own)]
    made = analyse(design, model.chosen_priors.fixed, priors, centred_intercept=False)

    def dense(theta):
        def rows(eta):
            shaped = [
                None if part is None else part.reshape((6,) + (1,) * (eta.ndim - 1)) for part in (y.value, y.trials)
            ]
            return logp(eta, *shaped, *theta[1:])

        return Dense(
            logp=rows,
            A=np.column_stack([np.ones(6), x, np.eye(3)[g]]),
            mean=np.array([0.3, 0.0, 0.0, 0.0, 0.0]),
            cov=np.diag([2.0**2, 1.5**2, *[theta[0] ** 2] * 3]),
            step=step,
        )

    return Tiny(made.marginal, dense)


# One program for each family: little optimised, because it runs a few times only.
_value_and_slopes = jax.jit(jax.value_and_grad(density.log_likelihood, argnums=1), compiler_options=QUICK)


def marginal_likelihood(marginal, theta):
    """``log p(y | theta)`` of a posterior, `lgm.posterior.density.Marginal`, and its gradient, for theta (k,)."""
    with jax.enable_x64(True):
        value, slopes = _value_and_slopes(marginal, np.asarray(theta, dtype=float))
    return float(value), np.asarray(slopes)


def differences(marginal, theta, step=3e-4):
    """The gradient of ``log p(y | theta)`` by central differences of five points, with steps relative to theta."""
    theta = np.asarray(theta, dtype=float)
    found = []
    for j, size in enumerate(step * np.abs(theta)):
        values = [marginal_likelihood(marginal, theta + k * size * np.eye(theta.size)[j])[0] for k in (-2, -1, 1, 2)]
        found.append(np.dot([1 / 12, -2 / 3, 2 / 3, -1 / 12], values) / size)
    return np.array(found)
