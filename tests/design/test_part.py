"""The rows of a partition are those of the whole, in columns about the means of all rows."""

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.data.table import Table
from lgm.design.part import part_of
from lgm.posterior.assemble import every_row
from lgm.xla import own_settings

SLEEP = lgm.load_dataset("sleepstudy")
FORMULA = "Reaction ~ scale(Days) + (1|Subject)"


@pytest.fixture(scope="module")
def models():
    return lgm.model(FORMULA, SLEEP), lgm.model(FORMULA, [SLEEP.iloc[:50], SLEEP.iloc[50:]])


def test_rows_in_the_coordinates_of_all(models):
    whole, apart = models
    part = part_of(apart.design, Table.of(SLEEP.iloc[50:]), None, "drop")
    assert part is not None and part.n == 130 and part.is_part
    np.testing.assert_allclose(part.predictor.X.toarray(), whole.design.predictor.X.toarray()[50:], rtol=1e-12)
    u = np.random.default_rng(1).normal(size=whole.analysed.marginal.dim)
    with own_settings():
        mine, theirs = every_row(part, apart.analysed).observed, every_row(whole.design, whole.analysed).observed
        np.testing.assert_allclose(np.asarray(mine.eta(u)), np.asarray(theirs.eta(u))[50:], rtol=1e-9)


def test_what_all_rows_know(models):
    whole, apart = models
    part = part_of(apart.design, Table.of(SLEEP.iloc[:1]), None, "drop")
    columns = np.array([0, 1])
    for design in (part, whole.design):
        r = design.triangle(columns)
        x = whole.design.predictor.X.toarray()
        np.testing.assert_allclose(r.T @ r, x.T @ x, rtol=1e-12, atol=1e-10)


def test_no_row_with_a_response(models):
    rows = SLEEP.iloc[:2].assign(Reaction=np.nan)
    assert part_of(models[1].design, Table.of(rows), None, "drop") is None
    assert part_of(models[1].design, Table.of(pd.DataFrame(rows.iloc[:0]), least=0), None, "drop") is None
