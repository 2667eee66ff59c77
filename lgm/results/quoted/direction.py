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
    effects, p = fit.effects, fit.design.p
    if effects.drawing.normal:
        above = ndtr(effects.mean[:p] / effects.sd[:p])
    else:
        above = np.mean(effects.fixed > 0.0, axis=0)
    return pd.Series(np.maximum(above, 1.0 - above), fit._names[:p], name="pd").rename_axis("variable")
