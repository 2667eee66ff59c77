"""Which rows are left out together: groups, blocks in time and space, folds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from lgm.arrays import FloatArray, IntArray
from lgm.data.table import is_number, per_row
from lgm.errors import DataError
from lgm.words import listed, suggest

if TYPE_CHECKING:
    from lgm.results.fit import Fit


class Labels(NamedTuple):
    """The unit of each row with a response (n,), by number, and what the units are called."""

    of: IntArray
    index: pd.Index

    @property
    def sizes(self) -> IntArray:
        """Number of rows of each unit."""
        return np.bincount(self.of, minlength=len(self.index))


def by_group(fit: Fit, groups: Any) -> Labels:
    """By a column of the data, a group of the formula such as ``"a:b"``, or an array.

    Raises
    ------
    DataError
        For what is no such thing, missing labels, or fewer than two groups.
    """
    rows, name = fit.design.rows, groups if isinstance(groups, str) else str(getattr(groups, "name", None) or "groups")
    if isinstance(groups, str):
        column = _named(fit, groups)
    else:
        given = np.asarray(groups) if isinstance(groups, (list, tuple)) else groups
        every = per_row(given, pd.DataFrame(index=rows.index), "groups")
        if every is None:
            raise DataError(
                f"groups= must be a column of the data by name, or an array with one label for each of its "
                f"{len(rows.index)} rows; got {_described(groups)}."
            )
        column = every.iloc[rows.kept]
    column = column[rows.observed]
    if column.isna().any():
        raise DataError(f"{name} has {int(column.isna().sum())} missing labels; accepted: a label for every row.")
    of, index = pd.factorize(column, sort=True)
    if len(index) < 2:
        raise DataError(
            f"{name} has one group only, so that no row is left to predict it from. Accepted: two groups or more."
        )
    return Labels(of.astype(np.int64), pd.Index(index, name=name))


def _named(fit: Fit, name: str) -> pd.Series:
    frame = fit.design.rows.frame
    if name in frame:
        return frame[name]
    parts = name.split(":")
    if len(parts) > 1 and all(part in frame for part in parts):
        keys = frame[parts].astype(str)
        return keys[parts[0]].str.cat([keys[part] for part in parts[1:]], sep=":")
    kept = listed([str(column) for column in frame])
    raise DataError(
        f"the fit has no column {name!r}.{suggest(name, [str(column) for column in frame])} It kept those that its "
        f"formula names ({kept}). Accepted: one of these, or an array with a label for each of the "
        f"{len(fit.design.rows.index)} rows, such as data[{name!r}]."
    )


def _described(value: Any) -> str:
    return f"{len(value)} labels" if hasattr(value, "__len__") else repr(value)


def folds(n: int, k: int, seed: int) -> Labels:
    """Units at random, of sizes that differ by one at most."""
    of = np.random.default_rng([seed, 13]).permutation(np.arange(n) % k)
    return Labels(of, pd.RangeIndex(1, k + 1, name="fold"))


def blocks(x: Any, size: Any) -> npt.NDArray[Any]:
    """Labels of blocks in time or space, to be left out together.

    Parameters
    ----------
    x : array (n,) or (n, 2)
        Times (numbers or dates), or coordinates in columns.
    size : number, or a length of time such as ``"90D"``
        Of a block, in the units of x; of a square, its side.

    Returns
    -------
    int array (n,)
        Blocks are counted from the least value on.

    Raises
    ------
    DataError
        For what is no array of times or of pairs of coordinates, values that are missing, or a size that is not
        positive.

    Notes
    -----
    What is near a row tells of it, so that leaving out single rows asks for interpolation. Blocks longer than the
    correlation reaches ask for extrapolation (Roberts et al. 2017, Ecography 40, 913-929).

    Examples
    --------
    >>> import lgm
    >>> lgm.blocks([2001, 2002, 2003, 2004, 2005], 2).tolist()
    [0, 0, 1, 1, 2]
    >>> lgm.blocks([[0.5, 0.5], [0.6, 0.7], [3.0, 0.6]], 1.0).tolist()
    [0, 0, 1]
    """
    shape = np.shape(x) if hasattr(x, "__len__") and not isinstance(x, (str, bytes, dict)) else ()
    if not shape or 0 in shape or len(shape) > 2 or (len(shape) == 2 and shape[1] != 2):
        got = f"an array of shape {shape}" if shape else repr(x)
        raise DataError(f"x is {got}; accepted: times (n,), or coordinates in two columns (n, 2).")
    if len(shape) == 2:
        columns = pd.DataFrame(x)
        cells = [_cells(columns.iloc[:, j], size) for j in (0, 1)]
        return np.unique(np.column_stack(cells), axis=0, return_inverse=True)[1].ravel()
    return _cells(x, size)


def _cells(x: Any, size: Any) -> IntArray:
    column = pd.Series(np.asarray(x)) if not isinstance(x, pd.Series) else x.reset_index(drop=True)
    if column.isna().any():
        raise DataError(f"{int(column.isna().sum())} values of x are missing; accepted: a time or place for every row.")
    try:
        away: Any = column - column.min()
        step: Any = size if is_number(column) else pd.Timedelta(size)
        fine = step > type(step)(0) and bool(np.isfinite(step / step))
        found: FloatArray = np.floor(np.asarray(away / step, dtype=float)) if fine else np.zeros(0)
    except (TypeError, ValueError):
        fine = False
    if not fine:
        raise DataError(
            f"size={size!r} is no length of a block; accepted: a positive number, or such as '90D' for dates."
        )
    return found.astype(np.int64)
