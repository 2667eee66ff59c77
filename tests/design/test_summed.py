"""A design without rows says how many there were, and that they are not at hand."""

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.design.summed import Absent, SummedDesign

DATA = pd.DataFrame({"y": [1.0, 2.0, 4.0, np.nan, 3.0, 5.0], "x": [0.0, 1.0, np.nan, 3.0, 4.0, 2.0], "w": 1.0})


@pytest.fixture(scope="module")
def design() -> SummedDesign:
    with pytest.warns(lgm.DataWarning, match=r"2 of 6 rows are dropped: missing values in x \(1\), y \(1\)"):
        built = lgm.model("y ~ x", [DATA.iloc[:2], DATA.iloc[2:]], weights="w").design
    assert isinstance(built, SummedDesign)
    return built


def test_rows_are_counted(design: SummedDesign) -> None:
    assert (design.n, design.used, design.dropped, design.predicted) == (4, 4, 2, 0)
    assert design.why_dropped == "missing predictors, no response"
    assert design.missing_in == {"x": 1, "y": 1}
    assert not (design.has_rows or design.weighs or design.weighted)
    y = np.array([1.0, 2.0, 3.0, 5.0])
    assert design.level == pytest.approx(y.mean(), rel=1e-15)
    assert design.spread(about_zero=False) == pytest.approx(y.std(), rel=1e-14)
    assert design.spread(about_zero=True) == pytest.approx(np.sqrt(np.mean(y**2)), rel=1e-14)


def test_what_needs_rows_says_so(design: SummedDesign) -> None:
    for name in ("response", "seen", "weights"):
        with pytest.raises(lgm.LgmError, match="were read in partitions and are not in memory"):
            getattr(design, name)
    with pytest.raises(lgm.LgmError, match="a fit to rows in one table"):
        getattr(design.rows, "observed")  # noqa: B009  (an attribute that is not there)
    with pytest.raises(AttributeError):  # what Python asks of every object is no request for rows
        getattr(Absent(), "__len__")  # noqa: B009
