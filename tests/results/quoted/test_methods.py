"""The quoted numbers of a fit by any engine are tables of its own interval."""

from __future__ import annotations

import lgm


def test_tables_have_the_interval_of_the_fit() -> None:
    data = lgm.load_dataset("Dyestuff")
    fit = lgm.fit("Yield ~ 1 + (1|Batch)", data, method="mode", draws=20, interval=0.9, seed=1, progress=False)
    for table in (fit.r2(), fit.icc()):
        assert list(table.columns) == ["mean", "sd", "5%", "95%"]
        assert list(fit.icc(interval=0.5).columns) == ["mean", "sd", "25%", "75%"]
    assert fit.p_direction()["Intercept"] == 1.0
