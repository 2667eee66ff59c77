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


@pytest.fixture(scope="module")
def apart(parts):
    return lgm.fit("Reaction ~ Days + (Days|Subject)", parts, method="mode", draws=20, seed=1, progress=False)


def test_residuals_and_loo_are_those_in_memory(fit, apart, parts):
    several = [parts[0].iloc[:1], parts[0].iloc[1:], parts[1].iloc[:0], parts[1]]
    for kind, given in (("response", "posterior"), ("quantile", "loo")):  # of which nothing is drawn
        found = apart.residuals(kind, given=given, data=several)
        assert len(next(found)) == 1
        wanted = fit.residuals(kind, given=given)
        pd.testing.assert_series_equal(pd.concat(found), wanted.iloc[1:], rtol=1e-5, atol=1e-6)
    wanted = fit.loo().pointwise
    pd.testing.assert_frame_equal(pd.concat(apart.loo(data=several)), wanted, rtol=1e-6, atol=1e-6)
    pd.testing.assert_frame_equal(apart.loo(data=parts[1]), wanted.iloc[50:], rtol=1e-6, atol=1e-6)


def test_rows_that_say_nothing(apart, parts):
    holed = parts[0].head(4).reset_index(drop=True).astype({"Reaction": float, "Days": float})
    holed.loc[1, "Reaction"] = holed.loc[2, "Days"] = np.nan
    assert apart.residuals("response", data=holed).isna().tolist() == [False, True, True, False]
    assert list(apart.loo(data=holed).index) == [0, 3]
    assert apart.residuals("response", data=holed.iloc[[1]]).isna().all() and not len(apart.loo(data=holed.iloc[[1]]))


def test_rows_of_dask_are_read_when_they_are_wanted(apart, parts):
    dd, dask = pytest.importorskip("dask.dataframe"), pytest.importorskip("dask")
    with dask.config.set(scheduler="synchronous"):
        read: list[int] = []

        def part(i):
            read.append(i)
            return parts[i]

        frame = dd.from_map(part, range(2), meta=parts[0].iloc[:0])
        left, table = apart.residuals("response", data=frame), apart.loo(data=frame)
        assert not read and left.npartitions == 2
        pd.testing.assert_series_equal(left.compute(), pd.concat(apart.residuals("response", data=parts)))
        pd.testing.assert_frame_equal(table.compute(), pd.concat(apart.loo(data=parts)))


def test_what_rows_are_refused(fit, apart, parts):
    for call, message in (
        (lambda: fit.residuals(data=parts), "data= is for fits of data in partitions"),
        (lambda: apart.loo("Subject", data=parts), "data= is for single rows"),
        (lambda: list(apart.loo(data=[parts[0], parts[1].assign(Subject=1)])), "partition 1: it has 1 new level"),
        (lambda: apart.loo(data=parts[0].drop(columns="Days")), "Days"),
    ):
        with pytest.raises(lgm.LgmError, match=message):
            call()


def test_counts_have_residuals():
    herds = lgm.load_dataset("cbpp")
    parts = [herds.iloc[:20], herds.iloc[20:]]
    formula = "cbind(incidence, size - incidence) ~ C(period) + (1|herd)"
    how = {"family": "binomial", "method": "mode", "draws": 40, "seed": 1, "progress": False}
    whole, apart = lgm.fit(formula, herds, **how), lgm.fit(formula, parts, **how)
    found = pd.concat(apart.residuals("response", data=parts))
    pd.testing.assert_series_equal(found, whole.residuals("response"), rtol=1e-5, atol=1e-6)
    assert pd.concat(apart.residuals(data=parts)).between(-5.0, 5.0).all()
    for call in (apart.loo, lambda data: apart.residuals(given="loo", data=data)):
        with pytest.raises(lgm.LgmError, match="may take fits to all the others"):
            call(data=parts)
