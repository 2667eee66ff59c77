"""Draws of effects at new times given those at old ones, in time and memory linear in the number of times.

Walks and autoregressions are processes in time: their state, a value or a value and a slope, is drawn from one time to
the next, given the next old value. No precision is factored, so times may be as close to each other as they like.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import scipy.linalg

from lgm.arrays import FloatArray, IntArray
from lgm.pattern import Pattern

Share: TypeAlias = float | FloatArray  # a number, or one per posterior draw
# Of a value given the one before it and the next known one: the weights of the two, and the standard deviation.
Bridge: TypeAlias = Callable[[float, float | None], tuple[Share, Share, Share]]


def brownian(scale: FloatArray) -> Bridge:
    """The walk of order one, ``var(u(t + h) - u(t)) = scale^2 h``."""

    def bridge(before: float, after: float | None) -> tuple[Share, Share, Share]:
        if after is None:
            return 1.0, 0.0, scale * math.sqrt(before)
        share = before / (before + after)
        return 1.0 - share, share, scale * math.sqrt(share * after)

    return bridge


def autoregressive(sd: FloatArray, rho: FloatArray) -> Bridge:
    """The stationary process with ``corr(u(t), u(t + h)) = rho^h``.

    A negative rho has no power at a part of a step; such values are independent of each other.
    """
    with np.errstate(divide="ignore"):
        log = np.log(np.abs(rho))
    negative = rho < 0

    def power(h: float) -> FloatArray:
        if h % 1.0:
            return np.where(negative, 0.0, np.exp(h * log))
        return np.where(negative & (h % 2.0 == 1.0), -1.0, 1.0) * np.exp(h * log)

    def left(h: float) -> FloatArray:  # 1 - rho^2h, of full precision near one
        return np.where(negative, 1.0, -np.expm1(2.0 * h * log)) if h % 1.0 else -np.expm1(2.0 * h * log)

    def bridge(before: float, after: float | None) -> tuple[Share, Share, Share]:
        if after is None:
            return power(before), 0.0, sd * np.sqrt(left(before))
        a, c = power(before), power(after)
        free = left(before) + a * a * left(after)  # 1 - a^2 c^2
        return a * left(after) / free, c * left(before) / free, sd * np.sqrt(left(before) * left(after) / free)

    return bridge


def markov(old: FloatArray, new: FloatArray, bridge: Bridge, b: FloatArray, normals: FloatArray) -> FloatArray:
    """Draws at new times of a process whose state is its value.

    Parameters
    ----------
    old, new : float arrays (n,), (m,)
        Increasing times, all different.
    bridge : Bridge
    b : float array (S, n)
        The old effects.
    normals : float array (S, m)
        Standard normals.

    Returns
    -------
    float array (S, m)
    """
    known, x = np.ascontiguousarray(b.T), np.array(normals.T, order="C")
    following = np.searchsorted(old, new)  # the old time after each new one
    first = int(np.searchsorted(following, 1))
    for k in range(first - 1, -1, -1):  # before all old times, from the first of these backwards
        time, value = (old[0], known[0]) if k == first - 1 else (new[k + 1], x[k + 1])
        weight, _, sd = bridge(time - new[k], None)
        x[k] = weight * value + sd * x[k]
    for k in range(first, new.size):
        right = following[k]
        alone = k == first or following[k - 1] != right
        time, value = (old[right - 1], known[right - 1]) if alone else (new[k - 1], x[k - 1])
        if right == old.size:
            weight, _, sd = bridge(new[k] - time, None)
            x[k] = weight * value + sd * x[k]
        else:
            weight, share, sd = bridge(new[k] - time, old[right] - new[k])
            x[k] = weight * value + share * known[right] + sd * x[k]
    return x.T


def predicted(
    coefficients: Sequence[FloatArray], sd: FloatArray, b: FloatArray, normals: FloatArray, before: int
) -> FloatArray:
    """Draws of a stationary autoregression at the times next to old ones, which are successive.

    Each new value is its best prediction from the p values next to it, and an error. A stationary Gaussian process is
    the same backwards, so the same coefficients lead to the times before.

    Parameters
    ----------
    coefficients : sequence of p float arrays (S,)
        ``phi_1, ..., phi_p``.
    sd : float array (S,)
        Of the error.
    b : float array (S, n)
        The old effects, at least p.
    normals : float array (S, m)
        Standard normals.
    before : int
        How many of the m new times are before the old ones.

    Returns
    -------
    float array (S, m)
    """
    known, x = np.ascontiguousarray(b.T), np.array(normals.T, order="C")
    for order, start in ((range(before - 1, -1, -1), known), (range(before, len(x)), known[::-1])):
        last = list(start[: len(coefficients)])  # the nearest first
        for k in order:
            x[k] = sum((phi * value for phi, value in zip(coefficients, last, strict=True)), sd * x[k])
            last = [x[k], *last[:-1]]
    return x.T


@dataclass(frozen=True)
class Slopes:
    r"""The walk of order two between and beyond old times, as a walk of its slopes.

    ``u_{i+1} = u_i + d_i s_i`` and ``s_i = s_{i-1} + e_i`` with ``var(e_i) = B_i = (d_{i-1} + d_i) / 2``, as in
    `lgm.precision.rw`. At time i, with q the next old one, ``L_j = t_q - t_j`` and ``x_j = t_j - t_i``, two things are
    known of s_i:

        (u_q - u_i) / L_i = s_i + sum_{i<j<q} e_j L_j / L_i
        m_q               = s_i + sum_{i<j<q} e_j + w,        var(w) = v_q + B_q

    where the values after q say ``s_q ~ N(m_q, v_q)``. So they say ``s_i ~ N(m_i, v_i)``, where

        m_i = (1 - c) (u_q - u_i) / L_i + c m_q,   c = -sum B_j L_j x_j / D
        v_i = (sum_{j<k} B_j B_k (x_j - x_k)^2 + var(w) sum B_j L_j^2) / D,   D = sum B_j x_j^2 + var(w) L_i^2

    by running sums of positive terms, the same for all draws. After the last old time nothing is known.

    Parameters
    ----------
    times : float array (N,)
        Old and new, increasing.
    is_old : bool array (N,)
    share, variance : float arrays (N,)
        c and v of each time; infinite v where nothing is known.
    following : int array (N,)
        The next old time; N after the last.
    """

    times: FloatArray
    is_old: np.ndarray
    share: FloatArray
    variance: FloatArray
    following: IntArray

    @classmethod
    def of(cls, old: FloatArray, new: FloatArray) -> Slopes:
        """From increasing times, all different, at least two of them old."""
        whole = np.concatenate([old, new])
        order = np.argsort(whole, kind="stable")
        times, is_old = whole[order], order < old.size
        n, places = times.size, np.flatnonzero(is_old)
        following = np.append(places, n)[np.searchsorted(places, np.arange(n), side="right")]
        share, variance = np.zeros(n), np.full(n, math.inf)
        for p, q in zip(places[-2::-1].tolist(), places[:0:-1].tolist(), strict=True):
            end = variance[q] + _jump(times, q) if q < n - 1 else math.inf
            cls._run(times, p, q, end, share, variance)
        return cls(times, is_old, share, variance, following)

    @staticmethod
    def _run(times: FloatArray, p: int, q: int, end: float, share: FloatArray, variance: FloatArray) -> None:
        """The numbers of each time from the old time q back to the old time p; ``end`` is the variance of w."""
        total = first = second = ends = both = cross = pairs = 0.0  # sums of B, Bx, Bx^2, BL, BL^2, BLx, and over pairs
        for i in range(q - 1, p - 1, -1):
            length = times[q] - times[i]
            if end == math.inf:
                variance[i] = both / length**2
            else:
                whole = second + end * length**2
                share[i], variance[i] = -cross / whole, (pairs + end * both) / whole
            if i > p:
                jump, step = _jump(times, i), times[i] - times[i - 1]
                pairs += jump * second
                total, ends, both = total + jump, ends + jump * length, both + jump * length**2
                cross += step * ends
                second += step * (2.0 * first + step * total)
                first += step * total

    def draw(self, b: FloatArray, scale: FloatArray, normals: FloatArray) -> FloatArray:
        """Draws (S, m) at the new times, given the old effects (S, n), scales (S,) and standard normals (S, m)."""
        times, n, places = self.times, self.times.size, np.flatnonzero(self.is_old)
        fresh = np.flatnonzero(~self.is_old)
        u = np.empty((n, len(b)))
        u[places], u[fresh] = b.T, normals.T  # a normal stays in its place until it is used
        first, last = int(places[0]), int(places[-1])
        means = self._means(u, places)

        def chord(i: int) -> FloatArray:
            return (u[i + 1] - u[i]) / (times[i + 1] - times[i])

        def slope(i: int, before: FloatArray | None, normal: FloatArray) -> FloatArray:
            """Of the piece from time i on, given that of the piece before it and all that is known after it."""
            if i >= last:
                assert before is not None
                return before + math.sqrt(_jump(times, i)) * scale * normal
            q, variance = int(self.following[i]), float(self.variance[i])
            mean = (u[q] - u[i]) / (times[q] - times[i])
            if self.share[i]:
                mean += self.share[i] * (means[q] - mean)
            if before is None:
                return mean + math.sqrt(variance) * scale * normal
            weight = _jump(times, i) / (_jump(times, i) + variance)
            return before + weight * (mean - before) + math.sqrt(weight * variance) * scale * normal

        current = None  # the slope of the piece before
        for i in np.flatnonzero(~(self.is_old[:-1] & self.is_old[1:])).tolist():
            if i < first:
                continue
            if i > first and self.is_old[i] and self.is_old[i - 1]:
                current = chord(i - 1)
            if self.is_old[i + 1]:
                current = chord(i)
            else:
                current = slope(i, current, u[i + 1])
                u[i + 1] = u[i] + (times[i + 1] - times[i]) * current
        if first:
            current = chord(first)
            for i in range(first - 1, -1, -1):
                current = current - math.sqrt(_jump(times, i + 1)) * scale * u[i]
                u[i] = u[i + 1] - (times[i + 1] - times[i]) * current
        return u[fresh].T

    def _means(self, u: FloatArray, places: IntArray) -> dict[int, FloatArray]:
        """What the values after an old time say of the slope there, where new times before it need that."""
        means: dict[int, FloatArray] = {}
        for p, q in zip(places[-2:0:-1].tolist(), places[:1:-1].tolist(), strict=True):
            if not self.is_old[p - 1]:
                means[p] = (u[q] - u[p]) / (self.times[q] - self.times[p])
                if self.share[p]:
                    means[p] += self.share[p] * (means[q] - means[p])
        return means


def _jump(times: FloatArray, i: int) -> float:
    """Variance of the change of slope at an inner time."""
    return float(times[i + 1] - times[i - 1]) / 2.0


def banded(
    pattern: Pattern,
    entries: FloatArray,
    old: IntArray,
    new: IntArray,
    b: FloatArray,
    scale: FloatArray,
    normals: FloatArray,
) -> FloatArray:
    """Draws of ``N(-Q_no b, scale^2 I) Q_nn^-1``, whose Q has few diagonals, the same for all draws.

    Parameters
    ----------
    pattern : Pattern
        Of the precision over old and new times together, in their order.
    entries : float array (nnz,)
    old, new : int arrays (n,), (m,)
        Increasing places of the old and of the new effects.
    b : float array (S, n)
        The old effects.
    scale : float array (S,)
        Standard deviation that multiplies the unit-scale precision.
    normals : float array (S, m)
        Standard normals.
    """
    whole = pattern.matrix(entries).tocsr()
    inner, cross = whole[new][:, new].tocoo(), whole[new][:, old]
    i, j = inner.coords
    width = int(np.max(i - j, initial=0))
    lower = np.zeros((width + 1, new.size))
    below = i >= j
    lower[(i - j)[below], j[below]] = inner.data[below]
    factor = scipy.linalg.cholesky_banded(lower, lower=True)
    mean = scipy.linalg.cho_solve_banded((factor, True), cross @ b.T)
    upper = np.zeros_like(factor)
    for k in range(width + 1):
        upper[width - k, k:] = factor[k, : new.size - k]
    drawn = scipy.linalg.solve_banded((0, width), upper, normals.T) * scale - mean
    return np.ascontiguousarray(drawn).T  # effects in rows, as what adds them up reads them
