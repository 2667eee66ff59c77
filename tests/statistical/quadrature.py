"""Posteriors of small models by quadrature, with nothing of lgm: dense algebra, grids over the working coordinates.

On a grid that is wide enough the trapezoid rule is exact to many digits, because densities and all their derivatives
vanish at its ends; quantiles come from splines through the marginal densities, not from sums of cells.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import logsumexp
from statistical.monte_carlo import PROBABILITIES


class Result(NamedTuple):
    """``log p(y)``, and summaries of the hyperparameters by name."""

    log_evidence: float
    posterior: dict[str, dict[str, float]]


def integrated(
    log_density: np.ndarray,
    axes: Sequence[np.ndarray],
    names: Sequence[str],
    natural: Sequence[Callable[..., Any]],
) -> Result:
    """The whole integral and the marginals, from the log density of the working coordinates on a grid."""
    cell = sum(np.log(x[1] - x[0]) for x in axes)
    found = marginals(log_density, axes, natural)
    return Result(float(logsumexp(log_density) + cell), dict(zip(names, found, strict=True)))


def marginals(
    log_density: np.ndarray, axes: Sequence[np.ndarray], natural: Sequence[Callable[..., Any]]
) -> list[dict[str, float]]:
    """Mean, sd and quantiles of each natural coordinate, from the log density of the working ones on a grid."""
    weights = np.exp(log_density - log_density.max())
    out = []
    for j, (x, to_natural) in enumerate(zip(axes, natural, strict=True)):
        mass = weights.sum(axis=tuple(i for i in range(len(axes)) if i != j))
        mass /= mass.sum()
        assert mass[-1] < 1e-6, "the grid is cut off"
        value = to_natural(x)
        mean = float(mass @ value)
        summary = {"mean": mean, "sd": float(np.sqrt(mass @ (value - mean) ** 2))}
        cumulative = CubicSpline(x, mass).antiderivative()
        fine = np.linspace(x[0], x[-1], 20_001)
        cdf = cumulative(fine) / cumulative(x[-1])
        for name, p in PROBABILITIES.items():
            summary[name] = float(to_natural(np.interp(p, cdf, fine)))
        out.append(summary)
    return out


def log_evidence(
    y: np.ndarray, x: np.ndarray, prior_precision: np.ndarray, basis: np.ndarray, variances: np.ndarray
) -> np.ndarray:
    """``log N(y; 0, B diag(v) B' + X P^-1 X')`` for many vectors v (..., n); B is orthogonal."""
    y, x = basis.T @ y, basis.T @ x
    inverse = 1.0 / variances
    crossed = (x[:, :, None] * x[:, None, :]).reshape(y.size, -1)
    information = prior_precision + (inverse @ crossed).reshape(*inverse.shape[:-1], *prior_precision.shape)
    score = inverse @ (x * y[:, None])
    fitted = np.linalg.solve(information, score[..., None])[..., 0]
    misfit = inverse @ y**2 - np.sum(score * fitted, axis=-1)
    logdet = np.log(variances).sum(axis=-1) + np.linalg.slogdet(information)[1] - np.linalg.slogdet(prior_precision)[1]
    return -0.5 * (y.size * np.log(2.0 * np.pi) + logdet + misfit)


def two_sds(y: np.ndarray, x: np.ndarray, fixed_sds: np.ndarray, structure: np.ndarray, rate: float) -> Result:
    """``y ~ N(x beta, sd^2 structure + sigma^2 I)``: beta normal(0, fixed_sds), sd and sigma exponential(rate)."""
    sizes, basis = np.linalg.eigh(structure)
    log_sd = log_sigma = np.linspace(-9.0, 3.0, 300) - np.log(rate)  # below: less than 1e-4 of the mass
    sd, sigma = np.meshgrid(np.exp(log_sd), np.exp(log_sigma), indexing="ij")
    variances = sd[..., None] ** 2 * np.maximum(sizes, 0.0) + sigma[..., None] ** 2
    density = log_evidence(y, x, np.diag(fixed_sds**-2.0), basis, variances)
    density += np.log(sd) + np.log(sigma) + 2.0 * np.log(rate) - rate * (sd + sigma)  # working scale: + log sd
    return integrated(density, (log_sd, log_sigma), ("sd", "sigma"), (np.exp, np.exp))


def one_way(y: np.ndarray, group: np.ndarray, intercept_sd: float, rate: float) -> Result:
    """``y ~ 1 + (1|group)``, intercept normal(0, intercept_sd), both sds exponential(rate)."""
    indicator = (group[:, None] == np.unique(group)).astype(float)
    return two_sds(y, np.ones((y.size, 1)), np.array([intercept_sd]), indicator @ indicator.T, rate)


def icar(y: np.ndarray, x: np.ndarray, fixed_sds: np.ndarray, edges: np.ndarray, rate: float) -> Result:
    """``y = x beta + icar(region) + noise``, one row per region and edges (m, 2) from 0."""
    laplacian = np.zeros((y.size, y.size))
    for i, j in edges:
        laplacian[[i, j], [i, j]] += 1.0
        laplacian[[i, j], [j, i]] -= 1.0
    covariance = np.linalg.pinv(laplacian, hermitian=True)
    scaled = covariance / np.exp(np.mean(np.log(np.diag(covariance))))
    return two_sds(y, x, fixed_sds, scaled, rate)


def ar1_and_noise(y: np.ndarray, x: np.ndarray, fixed_sds: np.ndarray, rates: tuple[float, float]) -> Result:
    """``y = x beta + ar1(t) + noise``: beta normal(0, fixed_sds), sd and sigma exponential(rates), rho uniform."""
    lag = np.abs(np.subtract.outer(np.arange(y.size), np.arange(y.size)))
    log_sd, log_sigma, atanh_rho = np.linspace(-1.5, 3.5, 80), np.linspace(-12, 0.5, 70), np.linspace(-1.0, 4.5, 60)
    sd, sigma = np.meshgrid(np.exp(log_sd), np.exp(log_sigma), indexing="ij")
    prior = np.log(sd) + np.log(sigma) + np.sum(np.log(rates)) - rates[0] * sd - rates[1] * sigma - np.log(2.0)
    density = np.empty((atanh_rho.size, *sd.shape))
    for i, rho in enumerate(np.tanh(atanh_rho)):
        values, basis = np.linalg.eigh(rho**lag)
        variances = sd[..., None] ** 2 * values + sigma[..., None] ** 2
        evidence = log_evidence(y, x, np.diag(fixed_sds**-2.0), basis, variances)
        density[i] = evidence + prior + np.log1p(-(rho**2))
    return integrated(density, (atanh_rho, log_sd, log_sigma), ("rho", "sd", "sigma"), (np.tanh, np.exp, np.exp))


def binary_groups(
    successes: np.ndarray,
    size: int,
    intercept_sd: float,
    rate: float,
    intercepts: tuple[float, float],
    log_sds: tuple[float, float],
    points: int = 81,
) -> Result:
    """``y ~ 1 + (1|g)`` for binary y with ``size`` rows in each group: intercept normal, sd exponential(rate).

    The effect of a group is integrated by the trapezoid rule over a standard normal, cut off at ten sds.
    """
    b, x = np.linspace(*intercepts, points), np.linspace(*log_sds, points)
    z = np.linspace(-10.0, 10.0, 801)
    log_normal = -0.5 * z**2 - 0.5 * np.log(2.0 * np.pi) + np.log(z[1] - z[0])
    density = np.empty((points, points))
    counts = np.bincount(successes, minlength=size + 1)
    for j, sd in enumerate(np.exp(x)):
        eta = b[:, None] + sd * z
        yes, no = -np.logaddexp(0.0, -eta), -np.logaddexp(0.0, eta)
        logs = [logsumexp(k * yes + (size - k) * no + log_normal, axis=1) for k in range(size + 1)]
        prior = x[j] + np.log(rate) - rate * sd - 0.5 * (b / intercept_sd) ** 2
        density[:, j] = counts @ np.array(logs) + prior - 0.5 * np.log(2.0 * np.pi * intercept_sd**2)
    return integrated(density, (b, x), ("Intercept", "sd(Intercept|g)"), (lambda value: value, np.exp))
