"""Gaussian models by their definition: dense covariances of the response and of the effects.

The response is ``y ~ N(X beta, V)``; every term adds a matrix to V that is written down row by row from its meaning.
This shares nothing with lgm, which works with sparse precisions of whitened effects.
"""

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.special import gamma

EPS = float(np.finfo(np.float64).eps)


def rounding(n, *matrices):
    """Relative error of a factorisation or solve of order n: ``10 n eps`` times the largest condition number."""
    cond = max((np.linalg.cond(np.asarray(m)) for m in matrices if np.size(m)), default=1.0)
    assert cond < 1e10, "a case this badly conditioned cannot show anything"
    return 10.0 * n * EPS * float(cond)


def restricted(y, X, V, slopes=()):
    """REML log likelihood, the integral of ``N(y; X beta, V)`` over beta, and its derivatives along ``slopes`` of V.

    With ``P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1`` the derivative is ``(y'P dV P y - tr(P dV)) / 2``. X may have no
    columns.
    """
    n, p = X.shape
    inverse = np.linalg.inv(V)
    gram = X.T @ inverse @ X
    P = inverse - inverse @ X @ np.linalg.solve(gram, X.T @ inverse)
    log_dets = np.linalg.slogdet(V)[1] + np.linalg.slogdet(gram)[1]
    value = -0.5 * ((n - p) * np.log(2.0 * np.pi) + log_dets + y @ P @ y)
    return value, np.array([0.5 * (y @ P @ dV @ P @ y - np.sum(P * dV)) for dV in slopes])


def derivatives(function, theta):
    """Of a matrix by each theta, by complex steps: exact to rounding for functions made of sums and products."""
    return [function(theta + 1e-30j * step).imag / 1e-30 for step in np.eye(theta.size)]


def group(codes, columns, sds, corr=()):
    """``V_ij = x_i' D C D x_j`` for rows of the same group, else zero; C is the correlation matrix."""
    codes, columns = np.asarray(codes), np.atleast_2d(np.asarray(columns, dtype=float).T).T
    scaled = columns * np.array(sds)
    return np.where(codes[:, None] == codes, scaled @ correlation(corr, len(sds)) @ scaled.T, 0.0)


def correlation(corr, q):
    """Correlation matrix with the lower triangle ``corr``, row by row; the identity without it."""
    C = np.eye(q, dtype=np.result_type(float, *corr))
    if len(corr):
        rows, cols = np.tril_indices(q, -1)
        C[rows, cols] = C[cols, rows] = corr
    return C


def ar1(t, sd, rho):
    """``sd^2 rho^|t_i - t_j|`` at whole times."""
    lag = np.abs(np.subtract.outer(np.asarray(t), np.asarray(t)))
    powers = np.cumprod(np.array([1.0, *[rho] * lag.max()]))
    return sd**2 * powers[lag]


def rw_structure(order, times):
    """``sum_i (u_{i+1} - u_i)^2 / d_i`` or the lumped integral of the squared second derivative, as a matrix."""
    t = np.asarray(times, dtype=float)
    R = np.zeros((t.size, t.size))
    for i in range(t.size - order):
        row = np.zeros(t.size)
        if order == 1:
            row[[i, i + 1]] = np.array([-1.0, 1.0]) / np.sqrt(t[i + 1] - t[i])
        else:
            left, right = t[i + 1] - t[i], t[i + 2] - t[i + 1]
            row[[i, i + 1, i + 2]] = np.array([1 / left, -1 / left - 1 / right, 1 / right]) / np.sqrt(
                (left + right) / 2
            )
        R += np.outer(row, row)
    return R


def circular_structure(order, n):
    """Squared differences ``u_{i+1} - u_i``, or ``u_{i+2} - 2 u_{i+1} + u_i``, all around a circle, as a matrix."""
    R = np.zeros((n, n))
    for i in range(n):
        row = np.zeros(n)
        for j, weight in enumerate([-1.0, 1.0] if order == 1 else [1.0, -2.0, 1.0]):
            row[(i + j) % n] += weight
        R += np.outer(row, row)
    return R


def icar_structure(n, edges):
    """``sum over edges (u_i - u_j)^2`` as a matrix; nodes without neighbours get a one."""
    R = np.zeros((n, n))
    for i, j in edges:
        R[[i, j], [i, j]] += 1.0
        R[[i, j], [j, i]] -= 1.0
    lonely = np.diag(R) == 0
    R[lonely, lonely] = 1.0
    return R


def adjacency(n, edges):
    """A one for each pair of neighbours."""
    W = np.zeros((n, n))
    for i, j in edges:
        W[i, j] = W[j, i] = 1.0
    return W


def areal_structure(n, edges, name, w):
    """Precisions of unit sd of "car", "leroux" and "sar", by their definitions; one for nodes without neighbours."""
    W = adjacency(n, edges)
    degree = W.sum(axis=1)
    if name == "sar":
        shares = np.eye(n) - w * W / np.maximum(degree, 1.0)[:, None]
        return shares.T @ shares
    R = np.diag(degree) - w * W if name == "car" else (1.0 - w) * np.eye(n) + w * (np.diag(degree) - W)
    lonely = degree == 0.0
    R[lonely, lonely] = 1.0
    return R


def seasonal_structure(n, period):
    """``sum over t of (u_t + ... + u_{t+m-1})^2``, one row for each sum, as a matrix."""
    R = np.zeros((n, n))
    for t in range(n - period + 1):
        row = np.zeros(n)
        row[t : t + period] = 1.0
        R += np.outer(row, row)
    return R


def field_elements(points, triangles):
    """Integrals over triangles of linear elements, and of products of their gradients, by solving for their planes."""
    G, C = np.zeros((len(points), len(points))), np.zeros(len(points))
    for corners in triangles:
        system = np.column_stack([np.ones(3), points[corners]])
        planes, area = np.linalg.inv(system), 0.5 * abs(np.linalg.det(system))  # one column for each element
        G[np.ix_(corners, corners)] += area * planes[1:].T @ planes[1:]
        C[corners] += area / 3.0
    return C, G


def field_precision(C, G, dimension, alpha, length):
    """Of unit variance and a range: ``t^2 K`` or ``t^2 K C^-1 K`` with ``K = kappa^2 C + G``."""
    nu = alpha - dimension / 2
    kappa2 = 8.0 * nu / length**2
    K = kappa2 * np.diag(C) + G
    t2 = gamma(nu) / (gamma(alpha) * (4.0 * np.pi) ** (dimension / 2) * kappa2**nu)
    return t2 * (K if alpha == 1 else K @ np.diag(1.0 / C) @ K)


def scaled_covariance(R, nullity=1):
    """Pseudo-inverse of each connected component, divided by the geometric mean of its variances; and these means.

    ``nullity`` is the number of null directions of a component of two or more nodes.
    """
    labels = connected_components(R != 0)[1]
    out, means = np.zeros_like(R), []
    for label in range(labels.max() + 1):
        part = np.ix_(labels == label, labels == label)
        if np.count_nonzero(labels == label) == 1:
            out[part] = 1.0
            continue
        values, vectors = np.linalg.eigh(R[part])
        inverse = vectors[:, nullity:] / values[nullity:] @ vectors[:, nullity:].T
        means.append(np.exp(np.mean(np.log(np.diag(inverse)))))
        out[part] = inverse / means[-1]
    return out, np.array(means)


def condition(y, A, covariance, V, flat=0):
    """Mean and covariance of u given y, where ``y = A u + noise`` and the prior of u is ``N(0, covariance)``.

    The first ``flat`` effects have a flat prior; they are in A, but neither in ``covariance`` nor in ``V = cov(y)``.
    """
    X, Z = A[:, :flat], A[:, flat:]
    inverse = np.linalg.inv(V)
    beta_cov = np.linalg.inv(X.T @ inverse @ X)
    beta = beta_cov @ X.T @ inverse @ y
    pull = covariance @ Z.T @ inverse
    mean = np.concatenate([beta, pull @ (y - X @ beta)])
    tilt = pull @ X
    return mean, np.block(
        [
            [beta_cov, -beta_cov @ tilt.T],
            [-tilt @ beta_cov, covariance - pull @ Z @ covariance + tilt @ beta_cov @ tilt.T],
        ]
    )


def constraints(post):
    """C' (d, k), whose columns effects are kept orthogonal to."""
    d, k = post.dim, post.prior.k
    return post.analysis.pattern.matrix(np.asarray(post.prior.base)).toarray()[d : d + k, :d].T


def unbordered(post, values):
    """H (d, d) of the values of its bordered form: what is left once slacks have taken the anchors off."""
    d, k = post.dim, post.prior.k
    whole = post.analysis.pattern.matrix(np.asarray(values)).toarray()
    slacks = whole[d + k :, :d]
    return whole[:d, :d] - slacks.T @ np.linalg.solve(whole[d + k :, d + k :], slacks)
