"""How often 95% intervals cover the truth under candidate default priors, over a grid of small designs.

    python benchmarks/coverage_of_defaults.py [--data-sets 200] [--only groups slopes series] [--quick]

Frequentist: data sets are simulated at fixed true values, the same for every candidate, and posteriors are exact, by
quadrature over the hyperparameters of balanced designs (nothing here depends on lgm). For each candidate and quantity
there are the coverage in percent, and the mean interval score (Gneiting & Raftery 2007: the width, plus 40 times what
is missed) relative to that under the first candidate: below one is better. `width` is that of intervals, also relative.

A candidate is a prior of standard deviations whose yardstick, sd(y), is 1 (of slopes, sd(y) / sd(x)), and the
concentration of the LKJ prior. sigma is exponential with mean sd(y), fixed effects are flat, and so is an
autocorrelation.
"""

import argparse
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

TAIL = 0.025
RATIOS = (0.1, 0.5, 2.0, 5.0)  # sd of effects over that of the residual
LEVELS = (3, 6, 12, 30)
FAR = 10.0  # below the largest, log likelihoods do not count: no candidate is so much higher there
NODES = stats.norm.ppf((np.arange(15) + 0.5) / 15)  # of a normal distribution, each with the same share

Density = Callable[[np.ndarray], np.ndarray]


def exponential(upper: float) -> Density:
    """With ``P(sd > upper) = 0.05``."""
    return stats.expon(scale=-upper / np.log(0.05)).logpdf


SDS: dict[str, Density] = {
    "exp 1": exponential(1.0),
    "exp 1.5": exponential(1.5),
    "exp 2.5": exponential(2.5),
    "exp 5": exponential(5.0),
    "half-normal 1": stats.norm(0, 1.0).logpdf,
    "half-normal 2.5": stats.norm(0, 2.5).logpdf,
    "half-t3 1": stats.t(3, scale=1.0).logpdf,
    "half-t3 2.5": stats.t(3, scale=2.5).logpdf,
    "half-t3 5": stats.t(3, scale=5.0).logpdf,
}


class Quantity(NamedTuple):
    """Something unknown: its value (k,) at each of k points, or means and sds of a normal at each, and the truth."""

    name: str
    value: np.ndarray
    sd: np.ndarray | None
    truth: float
    unit: float


class Posterior(NamedTuple):
    """Log likelihood times quadrature weights at points, sds in units of their yardsticks (k, m), correlations (k,)."""

    log_weight: np.ndarray
    sds: np.ndarray
    corr: np.ndarray | None
    quantities: list[Quantity]


def half_line(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Points on (0, inf) and the logs of their cells."""
    u = (np.arange(n) + 0.5) / n
    return 0.8 * (u / (1 - u)) ** 1.25, np.log((u / (1 - u)) ** 0.25 / (1 - u) ** 2)


def correlations(n: int) -> tuple[np.ndarray, np.ndarray]:
    u = np.pi * ((np.arange(n) + 0.5) / n - 0.5)
    return np.sin(u), np.log(np.cos(u))


def residual(square: float, df: int, n: int, width: float = 5.0) -> tuple[np.ndarray, np.ndarray]:
    """Points about ``sqrt(square / df)`` on the log scale, and the logs of their cells."""
    log = 0.5 * np.log(square / df) + np.linspace(-width, width, n) / np.sqrt(2.0 * df)
    return np.exp(log), log


def groups(rng: np.random.Generator, levels: int, ratio: float, size: int = 4) -> Posterior:
    """``y ~ 1 + (1|g)``; the new group is one more of the same population."""
    y = (ratio * rng.standard_normal(levels))[:, None] + rng.standard_normal((levels, size))
    means = y.mean(axis=1)
    within, df = float(np.sum((y - means[:, None]) ** 2)), levels * (size - 1)
    (t, log_t), (s, log_s) = half_line(120), residual(within, df, 15)
    sd, sigma = np.meshgrid(t * y.std(), s, indexing="ij")
    v = sd**2 + sigma**2 / size
    log = -0.5 * (levels - 1) * np.log(v) - 0.5 * np.sum((means - means.mean()) ** 2) / v
    log += -df * np.log(sigma) - 0.5 * within / sigma**2 - sigma / y.std() + log_t[:, None] + log_s
    keep = log > log.max() - FAR
    log, sd, sigma, v = log[keep], sd[keep], sigma[keep], v[keep]
    centre, new = np.full(sd.size, means.mean()), ratio * rng.standard_normal()
    quantities = [
        Quantity("sd", sd, None, ratio, ratio),
        Quantity("sigma", sigma, None, 1.0, 1.0),
        Quantity("intercept", centre, np.sqrt(v / levels), 0.0, ratio),
        Quantity("new group", centre, np.sqrt(v / levels + sd**2), new, ratio),
    ]
    return Posterior(log, sd[:, None] / y.std(), None, quantities)


def slopes(rng: np.random.Generator, levels: int, ratio: float, corr: float, size: int = 5) -> Posterior:
    """``y ~ x + (x|g)``, x balanced with mean zero and sd one: effects about its mean are those at zero."""
    x = np.linspace(-1.0, 1.0, size)
    x /= x.std()
    b = ratio * rng.multivariate_normal([0, 0], [[1, corr], [corr, 1]], levels)
    y = b[:, :1] + b[:, 1:] * x + rng.standard_normal((levels, size))
    c = np.stack([y.mean(axis=1), y @ x / size], axis=1)
    within, df = float(np.sum((y - c[:, :1] - c[:, 1:] * x) ** 2)), levels * (size - 2)
    S = (levels - 1) * np.cov(c.T)
    (t, log_t), (r, log_r), (s, log_s) = half_line(32), correlations(21), residual(within, df, 5, 3.0)
    one, two, r, sigma = np.meshgrid(t * y.std(), t * y.std(), r, s, indexing="ij", sparse=True)
    noise = sigma**2 / size
    v11, v22, v12 = one**2 + noise, two**2 + noise, r * one * two
    det = v11 * v22 - v12**2
    log = -0.5 * (levels - 1) * np.log(det) - 0.5 * (v22 * S[0, 0] + v11 * S[1, 1] - 2 * v12 * S[0, 1]) / det
    log = log - df * np.log(sigma) - 0.5 * within / sigma**2 - sigma / y.std() + log_s
    log = log + log_t[:, None, None, None] + log_t[:, None, None] + log_r[:, None]
    keep = log.ravel() > log.max() - FAR
    full = [np.broadcast_to(part, log.shape).ravel()[keep] for part in (one, two, r, sigma, v11, v22)]
    one, two, r, sigma, v11, v22 = full
    zero = np.zeros(one.size)
    quantities = [
        Quantity("sd(1)", one, None, ratio, ratio),
        Quantity("sd(x)", two, None, ratio, ratio),
        Quantity("corr", r, None, corr, 1.0),
        Quantity("sigma", sigma, None, 1.0, 1.0),
        Quantity("slope", zero + c[:, 1].mean(), np.sqrt(v22 / levels), 0.0, ratio),
    ]
    return Posterior(log.ravel()[keep], np.stack([one, two], axis=1) / y.std(), r, quantities)


def structure(term: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of a walk whose typical variance is one, and its null space."""
    D = np.diff(np.eye(n), 1 if term == "rw1" else 2, axis=0)
    null = np.vander(np.arange(n) - n / 2, 1 if term == "rw1" else 2)
    K = np.linalg.pinv(D.T @ D, hermitian=True)
    return K / np.exp(np.mean(np.log(np.diag(K)))), null


def series(rng: np.random.Generator, term: str, ratio: float, n: int = 40, hidden: int = 5) -> Posterior:
    """A walk or an autoregression, with noise; the last times have no response, and the function there is forecast."""
    lag, true_rho = np.abs(np.subtract.outer(np.arange(n), np.arange(n))), 0.8
    walk = term != "ar1"
    K, X = structure(term, n) if walk else (true_rho**lag, np.ones((n, 1)))
    f = ratio * np.linalg.cholesky(K + 1e-10 * np.eye(n)) @ rng.standard_normal(n)
    seen, later = slice(0, n - hidden), slice(n - hidden, n)
    y = f[seen] + rng.standard_normal(n - hidden)
    (t, log_t), (s, log_s) = half_line(30), residual(float(y.size), y.size, 13, 5.0)
    rhos, log_rhos = (np.zeros(1), np.zeros(1)) if walk else correlations(14)
    parts = []
    for rho, log_rho in zip(rhos, log_rhos, strict=True):
        C = K if walk else rho**lag
        basis = np.linalg.svd(X[seen])[0][:, X.shape[1] :]
        values, vectors = np.linalg.eigh(basis.T @ C[seen, seen] @ basis)
        q = (vectors.T @ basis.T @ y) ** 2
        sd, sigma = np.meshgrid(t * y.std(), s, indexing="ij")
        v = sd[..., None] ** 2 * np.maximum(values, 0.0) + sigma[..., None] ** 2
        log = -0.5 * np.sum(np.log(v) + q / v, axis=-1) - sigma / y.std() + log_t[:, None] + log_s + log_rho
        parts.append((log.ravel(), sd.ravel(), sigma.ravel(), np.full(sd.size, rho)))
    log, sd, sigma, rho = map(np.concatenate, zip(*parts, strict=True))
    keep = log > log.max() - FAR
    log, sd, sigma, rho = log[keep], sd[keep], sigma[keep], rho[keep]
    C = np.broadcast_to(K, (log.size, n, n)) if walk else rho[:, None, None] ** lag
    C = sd[:, None, None] ** 2 * C
    V = C[:, seen, seen] + sigma[:, None, None] ** 2 * np.eye(y.size)
    cross = C[:, seen, later]
    solved = np.linalg.solve(V, np.concatenate([np.broadcast_to(X[seen], (log.size, *X[seen].shape)), cross], axis=2))
    of_x, of_cross = solved[:, :, : X.shape[1]], solved[:, :, X.shape[1] :]
    precision = np.swapaxes(of_x, 1, 2) @ X[seen]
    beta = np.linalg.solve(precision, (y @ of_x)[:, :, None])
    tilt = X[later].T - np.swapaxes(of_x, 1, 2) @ cross
    mean = (X[later] @ beta)[:, :, 0] + np.einsum("kni,kn->ki", of_cross, y - (X[seen] @ beta)[:, :, 0])
    variance = np.einsum("kii->ki", C[:, later, later]) - np.sum(cross * of_cross, axis=1)
    variance = variance + np.sum(tilt * np.linalg.solve(precision, tilt), axis=1)
    quantities = [Quantity("sd", sd, None, ratio, ratio), Quantity("sigma", sigma, None, 1.0, 1.0)]
    if not walk:
        quantities.append(Quantity("rho", rho, None, true_rho, 1.0))
    for j in (0, hidden - 1):
        spread = np.sqrt(np.maximum(variance[:, j], 1e-12))
        quantities.append(Quantity(f"forecast {j + 1}", mean[:, j], spread, float(f[later][j]), 1.0))
    return Posterior(log, sd[:, None] / y.std(), None, quantities)


def intervals(posterior: Posterior, candidates: dict[str, tuple[Density, float]]) -> Iterator[dict[str, object]]:
    """Coverage, width and score of every quantity under every candidate."""
    cells = [Cells.of(quantity) for quantity in posterior.quantities]
    for name, (sd, eta) in candidates.items():
        log = posterior.log_weight + np.sum(sd(posterior.sds), axis=1)
        if posterior.corr is not None:
            log = log + (eta - 1.0) * np.log1p(-(posterior.corr**2))
        shares = np.exp(log - log.max())
        shares /= shares.sum()
        for quantity, own in zip(posterior.quantities, cells, strict=True):
            low, high = own.interval(shares)
            missed = max(low - quantity.truth, quantity.truth - high, 0.0)
            yield {
                "candidate": name,
                "quantity": quantity.name,
                "covers": 100.0 * (missed == 0.0),
                "width": (high - low) / quantity.unit,
                "score": (high - low + missed / TAIL) / quantity.unit,
            }


class Cells(NamedTuple):
    """The different values of a quantity, or different normals of it, and which of them each point has."""

    which: np.ndarray
    values: np.ndarray  # sorted
    order: np.ndarray  # of the values, as the cells have them
    copies: int

    @classmethod
    def of(cls, quantity: Quantity) -> "Cells":
        if quantity.sd is None:
            values, which = np.unique(quantity.value, return_inverse=True)
            return cls(which, values, np.arange(values.size), 1)
        normals, which = np.unique(quantity.value + 1j * quantity.sd, return_inverse=True)
        values = (normals.real[:, None] + normals.imag[:, None] * NODES).ravel()
        order = np.argsort(values)
        return cls(which, values[order], order, NODES.size)

    def interval(self, shares: np.ndarray) -> tuple[float, float]:
        """Equal tails; each value stands for the middle of its share."""
        share = np.bincount(self.which, shares)
        above = np.cumsum(np.repeat(share / self.copies, self.copies)[self.order])
        low, high = np.interp([TAIL, 1 - TAIL], above - 0.5 * np.diff(above, prepend=0.0), self.values)
        return float(low), float(high)


def designs(kind: str, quick: bool) -> Iterator[tuple[str, str, Callable[[np.random.Generator], Posterior]]]:
    """Design, truth and simulator of each cell."""
    levels, ratios = ((6,), (2.0,)) if quick else (LEVELS, RATIOS)
    if kind == "groups":
        for n, ratio in itertools.product(levels, ratios):
            yield f"{n} groups", f"ratio {ratio}", partial(groups, levels=n, ratio=ratio)
    elif kind == "slopes":
        for n, ratio, r in itertools.product(levels, ratios if quick else (0.5, 2.0), (0.0, 0.7)):
            yield f"{n} groups", f"ratio {ratio}, corr {r}", partial(slopes, levels=n, ratio=ratio, corr=r)
    else:
        for term, ratio in itertools.product(("rw1", "rw2", "ar1"), ratios if quick else (0.5, 2.0, 5.0)):
            yield term, f"ratio {ratio}", partial(series, term=term, ratio=ratio)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per candidate and quantity, averaged over data sets and truths."""
    means = rows.groupby(["candidate", "quantity"], sort=False)[["covers", "width", "score"]].mean()
    first = means.loc[rows["candidate"].iloc[0]]
    for column in ("width", "score"):
        means[column] /= first[column].reindex(means.index, level="quantity")
    shown = means.round({"covers": 1, "width": 2, "score": 2}).unstack().swaplevel(axis=1)
    return shown[list(dict.fromkeys(rows["quantity"]))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-sets", type=int, default=200, help="for each design and truth")
    parser.add_argument("--only", nargs="+", default=["groups", "slopes", "series"], help="kinds of design")
    parser.add_argument("--quick", action="store_true", help="one design and truth of each kind, ten data sets")
    given = parser.parse_args()
    for kind in given.only:
        etas = (2.0, 1.0) if kind == "slopes" else (2.0,)
        names = {2.0: "", 1.0: ", LKJ 1"}
        candidates = {f"{name}{names[eta]}": (sd, eta) for eta in etas for name, sd in SDS.items()}
        rows = []
        for j, (design, truth, simulate) in enumerate(designs(kind, given.quick)):
            for i in range(10 if given.quick else given.data_sets):
                found = intervals(simulate(np.random.default_rng([j, i])), candidates)
                rows += [{"design": design, "truth": truth, **row} for row in found]
        with pd.option_context("display.width", 250, "display.max_columns", 100, "display.max_rows", 1000):
            for design, part in pd.DataFrame(rows).groupby("design", sort=False):
                print(f"\n{kind}: {design}\n{table(part)}", flush=True)
                if kind == "groups" and not given.quick:
                    for truth, cell in part.groupby("truth", sort=False):
                        print(f"\n{kind}: {design}, {truth}\n{table(cell)}", flush=True)


if __name__ == "__main__":
    main()
