"""Predictions of partitions are those of the rows."""

import numpy as np
import pandas as pd
import pytest

import lgm


@pytest.fixture(scope="module")
def fit():
    sleep = lgm.load_dataset("sleepstudy")
    return lgm.fit("Reaction ~ Days + (Days|Subject)", sleep, method="mode", draws=20, seed=1, progress=False)


@pytest.fixture(scope="module")
def parts():
    sleep = lgm.load_dataset("sleepstudy")
    return [sleep.iloc[:50], sleep.iloc[50:]]


def test_partition_by_partition(fit, parts):
    found = fit.predict(parts, "linear", interval=0.5)
    whole = fit.predict(pd.concat(parts), "linear", interval=0.5)
    first = next(found)
    assert len(first) == 50
    pd.testing.assert_frame_equal(pd.concat([first, *found]), whole)


def test_errors_name_the_partition(fit, parts):
    with pytest.raises(lgm.LgmError, match="partition 1: new_data lacks"):
        list(fit.predict([parts[0], parts[1].drop(columns="Days")]))


def test_dask(fit, parts):
    dd, dask = pytest.importorskip("dask.dataframe"), pytest.importorskip("dask")
    with dask.config.set(scheduler="synchronous"):
        three = [parts[0], parts[1].iloc[:0], parts[1]]
        frame = dd.from_map(lambda i: three[i], range(3), meta=parts[0].iloc[:0])
        found = fit.predict(frame)
        assert found.npartitions == 3
        np.testing.assert_array_equal(found.compute().to_numpy(), fit.predict(pd.concat(parts)).to_numpy())
        with pytest.raises(lgm.LgmError, match="draws of a Dask DataFrame are no table"):
            fit.predict(frame, "draws")
