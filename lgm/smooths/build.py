"""The basis that ``bs=`` names, with mgcv's defaults."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from lgm.arrays import FloatArray
from lgm.errors import DataError
from lgm.smooths import cubic, cyclic, p_spline, tensor, thin_plate
from lgm.smooths.basis import Basis
from lgm.smooths.shrunk import shrunk

KINDS = ("tp", "ts", "cr", "cs", "cc", "ps", "cp")
MARGINS = KINDS  # of tensor products
DEFAULT_K = 10
DEFAULT_MARGIN = 5


def build(
    kind: str,
    x: FloatArray,
    k: int | None,
    m: Any,
    knots: FloatArray | None,
    label: str,
    name: str = "its variable",
    times: FloatArray | None = None,
) -> Basis:
    """Make a basis for the rows x (n, d).

    Parameters
    ----------
    kind : str
        One of `KINDS`; of more than one variable ``"tp"`` or ``"ts"``.
    x : float array (n, d)
    k : int, optional
        Dimension.
    m : int or (int, int), optional
        Order of the derivatives of a thin plate spline; degree less one and order of the differences of a P-spline.
    knots : float array (q, d), optional
    label, name : str
        What messages call the smooth, and its variable.
    times : float array (n,), optional
        How many rows of the data each stands for.

    Raises
    ------
    DataError
        For what the kind does not take, or the data do not bear.
    """
    d = x.shape[1]
    if d > 1 and kind not in ("tp", "ts"):
        raise DataError(f"{label}: bs={kind!r} is of one variable; accepted for {d}: bs='tp', bs='ts', or te()")
    if kind in ("ts", "cs"):
        return shrunk(kind, build({"ts": "tp", "cs": "cr"}[kind], x, k, m, knots, label, name, times), x, times)
    if kind in ("tp", "cr") and knots is not None:
        _require_inside(knots, x, label)
    if kind == "tp":
        order = _order(m, label)
        if d == 1 and order in (None, 2) and knots is None:
            return cubic.build("tp", x[:, 0], DEFAULT_K if k is None else k, name=name, label=label, times=times)
        return thin_plate.build(x, k, order, knots, label, times)
    own = None if knots is None else knots[:, 0]
    if kind in ("ps", "cp"):
        pair = _pair(m, label)
        dimension = max(DEFAULT_K, pair[0] + (kind == "ps")) if k is None else k
        if kind == "cp":
            return cyclic.p_spline(x[:, 0], dimension, pair, own, label, times)
        if pair == (2, 2) and own is None:
            return cubic.build("ps", x[:, 0], dimension, name=name, label=label, times=times)
        return p_spline.build(x[:, 0], dimension, pair, own, label, times)
    if m is not None:
        raise DataError(f"{label}: bs={kind!r} takes no m; its penalty is of second derivatives")
    if kind == "cc":
        count = None if own is None or own.size == 2 else own.size
        return cyclic.cubic(x[:, 0], k or count or DEFAULT_K, own, label, times)
    k = (DEFAULT_K if own is None else own.size) if k is None else k
    if own is not None and own.size != k:
        raise DataError(f"{label}: {own.size} knots for k={k}; bs='cr' takes one for each dimension")
    return cubic.build("cr", x[:, 0], k, name=name, label=label, knots=own, times=times)


def margins(
    call: str,
    kinds: Sequence[str],
    x: FloatArray,
    sizes: Sequence[int | None],
    orders: Sequence[Any],
    label: str,
    names: Sequence[str] = (),
    knots: Sequence[FloatArray | None] = (),
    times: FloatArray | None = None,
) -> list[tensor.Margin]:
    """The margins of ``te``, ``ti`` or ``t2`` for the rows x (n, d), whose variables have names for messages.

    ``times`` are how many rows of the data each stands for.
    """
    found = []
    for j, kind in enumerate(kinds):
        own = knots[j] if knots else None
        k = dimension(kind, sizes[j], own)
        name = names[j] if names else "its variable"
        basis = build(kind, x[:, [j]], k, orders[j], None if own is None else own[:, None], label, name, times)
        at = _value_knots(kind, x[:, j], k, own)
        if call == "t2":
            found.append(tensor.natural(basis, x[:, j], at, times))
        else:
            found.append(tensor.margin(basis, x[:, j], at, constant=call == "te", times=times))
    return found


def dimension(kind: str, k: int | None, knots: FloatArray | None) -> int:
    """The dimension of a margin, which all of its knots settle where no k is given.

    Examples
    --------
    >>> dimension("cr", None, np.arange(7.0)), dimension("cp", None, np.arange(7.0)), dimension("cc", None, None)
    (7, 6, 5)
    """
    if k is not None or knots is None or knots.size == 2 or kind not in ("cr", "cs", "cc", "cp"):
        return DEFAULT_MARGIN if k is None else k
    return knots.size - (kind == "cp")


def _value_knots(kind: str, x: FloatArray, k: int, own: FloatArray | None) -> FloatArray | None:
    """The knots at which the values of cubic splines are their coordinates."""
    if kind not in ("cr", "cs", "cc"):
        return None
    if kind == "cc":
        if own is not None and own.size > 2:
            return own[:-1]
        x = x if own is None else np.append(own, x)
    elif own is not None:
        return own
    placed = np.quantile(np.unique(x), np.linspace(0.0, 1.0, k))
    return placed[:-1] if kind == "cc" else placed


def _require_inside(knots: FloatArray, x: FloatArray, label: str) -> None:
    """A knot beyond the data is one about which they say nothing."""
    for j in range(x.shape[1]):
        low, high = x[:, j].min(), x[:, j].max()
        outside = knots[(knots[:, j] < low) | (knots[:, j] > high), j]
        if outside.size:
            raise DataError(f"{label}: the knot {outside[0]:g} is outside the data, which run from {low:g} to {high:g}")


def _order(m: Any, label: str) -> int | None:
    if m is None:
        return None
    try:
        return operator.index(m)
    except TypeError:
        raise DataError(f"{label}: m={m!r}; bs='tp' takes a whole number, the order of the derivatives") from None


def _pair(m: Any, label: str) -> tuple[int, int]:
    """Degree less one and order of the differences; one number is both, and 2 is the default."""
    try:
        numbers = [2] if m is None else [operator.index(each) for each in (m if isinstance(m, (list, tuple)) else [m])]
        first, second = numbers * 2 if len(numbers) == 1 else numbers
    except (TypeError, ValueError):
        raise DataError(f"{label}: m={m!r}; P-splines take one or two whole numbers, such as m=(2, 1)") from None
    if first < 0 or second < 1:
        raise DataError(f"{label}: m={m!r}; accepted: a degree of at least 1, m[0] + 1, and an order of at least 1")
    return first, second
