"""Leaves with few binary outcomes and large sds, and their densities on fine grids."""

from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
from scipy.special import expit, logsumexp

from lgm.pattern import Pattern
from lgm.posterior.leaves import Given, Leaves

SDS = np.array([3.0, 2.0, 2.0])
FINE = {1: 4001, 2: 301, 3: 101}  # nodes along an axis


def LOGLIK(y):
    """Of binary outcomes, as a function of eta."""
    return lambda eta: y * eta - jax.nn.softplus(eta)


@dataclass(frozen=True)
class Hard:
    """Leaves of k effects that have four rows each, and a row without a leaf at the end."""

    leaves: Leaves
    y: np.ndarray  # (G, 4)
    eta: np.ndarray  # (G, 4)
    push: np.ndarray  # (G, 4, k)
    precision: np.ndarray  # (k, k)

    @property
    def rows(self):
        """The outcomes of all rows."""
        return jnp.asarray(np.append(self.y, 1.0))

    def given(self):
        """What leaves are given, in one column."""
        k = self.precision.shape[0]
        eta, push = np.append(self.eta, 0.7), np.vstack([self.push.reshape(-1, k), np.zeros((1, k))])
        precision = np.tile(self.precision, (len(self.y), 1, 1))
        return Given(jnp.asarray(eta)[:, None], jnp.asarray(push), jnp.asarray(precision))

    def at(self, g, t):
        """Log density of a leaf at t (..., k), less that of its rows without it; its gradient and minus its Hessian."""
        a, y, eta = self.push[g], self.y[g], self.eta[g] + t @ self.push[g].T
        height = np.sum(y * eta - np.logaddexp(0.0, eta), axis=-1)
        height = height - np.sum(y * self.eta[g] - np.logaddexp(0.0, self.eta[g]))
        height = height - 0.5 * np.sum(t @ self.precision * t, axis=-1)
        if t.ndim > 1:
            return height
        mu = expit(eta)
        return height, a.T @ (y - mu) - self.precision @ t, self.precision + (a.T * mu * (1 - mu)) @ a

    def on_a_grid(self, g):
        """Log integral, mean, covariance, means of the rows' slopes and curvatures; a place in each cell, its share."""
        k = self.precision.shape[0]
        root = np.linalg.inv(np.linalg.cholesky(self.precision)).T
        axis = np.linspace(-7.5, 7.5, FINE[k])
        nodes = np.stack(np.meshgrid(*[axis] * k, indexing="ij"), axis=-1).reshape(-1, k) @ root.T
        height = self.at(g, nodes)
        integral = logsumexp(height)
        w = np.exp(height - integral)
        mean = w @ nodes
        mu = expit(self.eta[g] + nodes @ self.push[g].T)
        size = k * np.log(axis[1] - axis[0]) + np.linalg.slogdet(root)[1]
        away = nodes - mean
        moments = (integral + size, mean, (away.T * w) @ away)
        within = 0.5 * (k > 1)  # else many nodes have a coordinate in common; in one dimension the middle serves
        cells = np.random.default_rng(g).uniform(-within, within, nodes.shape)
        inside = (axis[1] - axis[0]) * cells @ root.T
        return *moments, w @ (self.y[g] - mu), w @ (mu * (1 - mu)), nodes + inside, w


@cache
def hard(k):
    """Three leaves: nothing but zeros, a single one, nothing but ones."""
    rng = np.random.default_rng(4)
    y = np.array([[0.0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1]])
    x = np.concatenate([np.ones((3, 4, 1)), rng.normal(size=(3, 4, 2))], axis=2)[..., :k]
    corr = np.full((k, k), 0.4) + 0.6 * np.eye(k)
    a = np.vstack([np.repeat(np.kron(np.eye(3), np.ones((1, k))), 4, axis=0), np.zeros((1, 3 * k))])
    pattern = Pattern.block_diagonal([Pattern.from_entries(k, *np.tril_indices(k))] * 3)
    leaves = Leaves.at(sp.csr_array(a), np.arange(3 * k).reshape(3, k), pattern)
    eta = np.array([[-3.0], [-1.0], [0.5]]) + 0.3 * rng.normal(size=(3, 4))
    return Hard(leaves, y, eta, x * SDS[:k], np.linalg.inv(corr))
