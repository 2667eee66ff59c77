"""Sparse columns side by side, and some of them, where nothing need be copied.

Columns of ten million rows take longer to copy than to compute with.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp


def side_by_side(blocks: Sequence[sp.csc_array], rows: int) -> sp.csc_array:
    """``[A_1 | A_2 | ...]``; one block alone is itself.

    Examples
    --------
    >>> one = sp.csc_array([[1.0], [2.0]])
    >>> side_by_side([one, sp.csc_array((2, 0))], 2) is one
    True
    """
    there = [block for block in blocks if block.shape[1]]
    if len(there) == 1:
        return there[0]
    return sp.csc_array(sp.hstack([sp.csc_array((rows, 0)), *there], format="csc"))


def between(a: sp.csc_array, start: int, stop: int) -> sp.csc_array:
    """Columns ``start`` to ``stop``, whose entries are those of ``a`` in memory.

    Examples
    --------
    >>> a = sp.csc_array([[1.0, 0.0, 2.0], [0.0, 3.0, 4.0]])
    >>> between(a, 1, 3).toarray().tolist()
    [[0.0, 2.0], [3.0, 4.0]]
    """
    part, out = slice(a.indptr[start], a.indptr[stop]), sp.csc_array((a.shape[0], stop - start))
    # made of the three at once, scipy would copy them where they are less than half of what they are a part of
    out.data, out.indices = a.data[part], a.indices[part]
    out.indptr = a.indptr[start : stop + 1] - a.indptr[start]
    return out


def chosen(a: sp.csc_array, which: np.ndarray) -> sp.csc_array:
    """Some columns, by a mask; what stands side by side is not copied."""
    at = np.flatnonzero(which)
    if not at.size:
        return sp.csc_array((a.shape[0], 0))
    if at[-1] - at[0] == at.size - 1:
        return between(a, int(at[0]), int(at[-1]) + 1)
    return sp.csc_array(a[:, at])
