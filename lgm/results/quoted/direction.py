"""The probability of direction: how sure the sign of an effect is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtr

if TYPE_CHECKING:
    from lgm.results.fit import Fit


def of_fixed_effects(fit: Fit) -> pd.Series:
    """See `Fit.p_direction`."""
    table = fit.fixef()
    if fit.effects.drawing.normal:
        above = ndtr((table["mean"] / table["sd"]).to_numpy())
    else:
        above = np.mean(np.concatenate([fit.effects.fixed, fit._coefficients()], axis=1) > 0.0, axis=0)
    return pd.Series(np.maximum(above, 1.0 - above), table.index, name="pd").rename_axis("variable")
