"""What ArviZ does for a fit: effective sample sizes and R-hat by arviz-stats, and its container of everything.

Of arviz-stats only the part for arrays is used, which needs NumPy and SciPy alone: tables do not depend on ArviZ, whose
old line reads matplotlib at import. Both are read when first needed, so that `import lgm` stays fast.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from lgm.arrays import FloatArray
from lgm.errors import LgmError

_TAILS = (0.05, 0.95)  # the quantiles whose smaller effective sample size is that of the tails


@contextmanager
def quiet_arviz() -> Iterator[Any]:
    """ArviZ; that 0.23 announces its successor at import is not the user's concern.

    Raises
    ------
    LgmError
        If it is not installed, or fails on being read, as when it does not fit the matplotlib beside it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        try:
            import arviz
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise LgmError(
                f"fit.idata needs ArviZ (pip install arviz), which cannot be imported here ({reason}); "
                "fit.posterior holds the draws without it."
            ) from error
        yield arviz


def container(**groups: xr.Dataset) -> Any:
    """ArviZ's object for these groups; in names, a slash is a division slash, since its files and trees take none."""
    plain = {group: _without_slashes(dataset) for group, dataset in groups.items()}
    with quiet_arviz() as az:
        if az.__version__.startswith("0."):
            return az.InferenceData(**plain)
    return xr.DataTree.from_dict(plain)


def _without_slashes(dataset: xr.Dataset) -> xr.Dataset:
    names = {*dataset.variables, *dataset.dims}
    renamed = dataset.rename({name: str(name).replace("/", "\u2215") for name in names if "/" in str(name)})
    return renamed.assign_coords({name: plain_labels(renamed[name].to_index()) for name in renamed.coords})


def plain_labels(index: pd.Index) -> np.ndarray[Any, Any]:
    """Labels that a file can hold: numbers, dates and text as they are, all others as text."""
    values = index.to_numpy()
    if values.dtype != object or all(isinstance(value, str) for value in values):
        return values
    return np.array([":".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in values])


def diagnostics(draws: Mapping[str, FloatArray]) -> pd.DataFrame:
    """Bulk and tail effective sample sizes and R-hat (Vehtari et al. 2021), one row per variable.

    Parameters
    ----------
    draws : mapping of str to float array (chains, draws)

    Returns
    -------
    pandas.DataFrame
        Columns ess_bulk, ess_tail and r_hat. R-hat needs at least two chains, and is NaN for one.
    """
    from arviz_stats.base import array_stats

    table = pd.DataFrame(index=list(draws), columns=["ess_bulk", "ess_tail", "r_hat"], dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):  # chains that do not move have an R-hat of infinity or NaN
        for name, x in draws.items():
            bulk, tail = array_stats.ess(x, method="bulk"), array_stats.ess(x, method="tail", prob=_TAILS)
            table.loc[name] = [bulk, tail, array_stats.rhat(x) if len(x) > 1 else np.nan]
    return table
