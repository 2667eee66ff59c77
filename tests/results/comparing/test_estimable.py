"""What is unknown without some rows."""

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.results.comparing.estimable import unknown_without
from lgm.results.comparing.labels import by_group

DATA = pd.DataFrame({"y": np.arange(8.0) ** 2, "x": [0.0, 0, 0, 0, 1, 1, 2, 3], "g": list("aabbccdd")})


@pytest.mark.parametrize(("x", "flat", "unknown"), [("x", True, []), ("I(x == 1)", True, ["c"]), ("x", False, [])])
def test_flat_effects_of_one_group(x: str, flat: bool, unknown: list[str]) -> None:
    priors = {"Intercept": lgm.priors.flat(), "fixed": lgm.priors.flat()} if flat else {}
    fit = lgm.fit(f"y ~ {x}", DATA.assign(g=DATA["g"]), priors=priors | {"sigma": lgm.priors.constant(1.0)},
                  method="mode", draws=4, seed=1, progress=False)  # fmt: skip
    units = by_group(fit, DATA["g"])
    if not unknown:
        assert not unknown_without(fit, units).any()
        return
    with pytest.warns(lgm.IdentifiabilityWarning, match=f"without {unknown[0]} of g"):
        found = unknown_without(fit, units)
    assert list(units.index[found]) == unknown
