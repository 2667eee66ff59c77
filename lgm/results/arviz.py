"""What ArviZ does for a fit; only this file and the plots know it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pandas as pd
import xarray as xr

from lgm.arrays import FloatArray


@contextmanager
def quiet_arviz() -> Iterator[Any]:
    """ArviZ, read when first needed; that 0.23 announces its successor at import is not the user's concern."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        import arviz  # noqa: PLC0415, TID253 - read late, so that `import lgm` stays fast

        yield arviz


def diagnostics(draws: Mapping[str, FloatArray]) -> pd.DataFrame:
    """Bulk and tail effective sample sizes and R-hat (Vehtari et al. 2021), one row per variable.

    R-hat needs at least two chains and is NaN for one.
    """
    data = xr.Dataset({name: (("chain", "draw"), x) for name, x in draws.items()})
    with quiet_arviz() as az:
        columns = {"ess_bulk": az.ess(data, method="bulk"), "ess_tail": az.ess(data, method="tail")}
        if len(draws) and data.sizes["chain"] > 1:
            columns["r_hat"] = az.rhat(data)
    table = {c: [float(found[name]) for name in draws] for c, found in columns.items()}
    return pd.DataFrame(table, index=list(draws), columns=["ess_bulk", "ess_tail", "r_hat"], dtype=float)
