"""Partitions: what counts as some, in which order results are combined, and what is refused."""

import os
import signal
import threading
import time
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import lgm
from lgm.data.partitions import Partitions, in_tree, partitions_of
from lgm.errors import DataError

FRAME = pd.DataFrame({"x": np.arange(7.0), "g": list("abcabca")})
PARTS = [FRAME.iloc[:3], FRAME.iloc[3:3], FRAME.iloc[3:]]


def _sizes(found: Partitions | None) -> list[int]:
    assert found is not None
    assert found.names == ("x", "g")
    for _ in range(2):  # as often as one likes
        sizes = found.reduced(lambda part, number: [(number, len(part))], lambda a, b: a + b, found.names, lambda: None)
    assert [number for number, _ in sizes] == list(range(len(sizes)))
    return [size for _, size in sizes]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("parquet")
    for i in (0, 2):
        pq.write_table(pa.Table.from_pandas(PARTS[i], preserve_index=False), where / f"{i}.parquet")
    return where


def test_iterables_of_tables():
    assert _sizes(partitions_of(PARTS)) == [3, 0, 4]
    assert _sizes(partitions_of(lambda: iter(PARTS))) == [3, 0, 4]
    assert _sizes(partitions_of([pl.from_pandas(part) for part in PARTS])) == [3, 0, 4]
    assert _sizes(partitions_of(pa.Table.from_pandas(FRAME).to_batches(max_chunksize=5))) == [5, 2]


def test_parquet(folder):
    for data in (folder, str(folder), ds.dataset(folder)):
        assert sum(_sizes(partitions_of(data))) == 7
    assert _sizes(partitions_of(pq.ParquetFile(folder / "2.parquet"))) == [4]


@pytest.mark.parametrize(
    "data", [FRAME, pl.from_pandas(FRAME), pa.Table.from_pandas(FRAME), {"x": [1]}, [{"x": 1}], []]
)
def test_tables_are_no_partitions(data):
    assert partitions_of(data) is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (iter(PARTS), "a list_iterator, which can be gone through only once.*the generator function itself"),
        ((part for part in PARTS), "a generator, which can be gone through only once"),
        (lambda: iter([]), "there are no partitions"),
        (lambda: [1, 2], "objects of the type int; accepted: tables"),
        ("none.parquet", "there is no file or folder 'none.parquet'"),
    ],
)
def test_what_is_refused(data, message):
    with pytest.raises(DataError, match=message):
        partitions_of(data)


def test_a_file_that_is_not_parquet(tmp_path):
    (tmp_path / "x.csv").write_text("x\n1\n")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        partitions_of(tmp_path / "x.csv")


def test_errors_name_the_partition():
    def fails(part, number):
        if number == 1:
            raise DataError("no.")

    found = partitions_of(PARTS)
    with pytest.raises(DataError, match=r"^partition 1: no\.$"):
        found.reduced(fails, lambda a, b: None, found.names, lambda: None)


@pytest.mark.parametrize("n", range(1, 18))
def test_the_tree_is_that_of_neighbours_in_rounds(n):
    """As Dask's, whose rounds pair up neighbours and carry an odd one up."""

    def join(a: str, b: str) -> str:
        return f"({a}{b})"

    level = list("abcdefghijklmnopqr"[:n])
    found = in_tree(iter(level), join)
    while len(level) > 1:
        pairs = [join(a, b) for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[2 * len(pairs) :]
    assert found == level[0]


def test_dask_gives_the_same():
    dd = pytest.importorskip("dask.dataframe")
    dask = pytest.importorskip("dask")
    with dask.config.set(scheduler="synchronous"):
        found = partitions_of(dd.from_map(lambda i: PARTS[i], range(3), meta=FRAME.iloc[:0]))
        assert _sizes(found) == [3, 0, 4]
        assert found.count == 3


@pytest.fixture(scope="module")
def client():
    """Of two processes with one thread each."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as found,
    ):
        yield found


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced(client, tmp_path):
    """The sums have the same bits."""
    dd = pytest.importorskip("dask.dataframe")
    data = pd.DataFrame({"x": np.sin(np.arange(400.0)), "g": np.arange(400) % 9})
    data["y"] = data["x"] + np.cos(np.arange(400.0))
    parts = [data[:50], data[50:120], data[120:300], data[300:]]

    def part(number):
        with (tmp_path / str(number)).open("a") as log:
            log.write(".")
        if number == 2 and (tmp_path / "2").stat().st_size == 2:  # in the second pass
            os._exit(1)
        return parts[number]

    wanted: Any = lgm.model("y ~ x + (1|g)", parts).design
    found: Any = lgm.model("y ~ x + (1|g)", dd.from_map(part, range(4), meta=data.iloc[:0])).design
    assert (tmp_path / "2").stat().st_size > 2
    for name in ("places", "products", "within", "total", "latent", "projection", "square"):
        np.testing.assert_array_equal(getattr(found.sums, name), getattr(wanted.sums, name))


@pytest.mark.slow
def test_an_interrupt_leaves_nothing_on_the_cluster(client, tmp_path):
    dd = pytest.importorskip("dask.dataframe")

    def part(number):
        (tmp_path / str(number)).touch()
        time.sleep(0.5)
        return FRAME

    def interrupt():
        while not any(tmp_path.iterdir()):
            time.sleep(0.01)
        begun.append(client.run_on_scheduler(count))
        signal.pthread_kill(main, signal.SIGINT)

    def count(dask_scheduler):
        return len(dask_scheduler.tasks)

    begun: list[int] = []
    main = threading.main_thread().ident
    frame = dd.from_map(part, range(20), meta=FRAME.iloc[:0])
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        lgm.model("x ~ 1 + (1|g)", frame)
    end = time.monotonic() + 60.0
    while client.run_on_scheduler(count) and time.monotonic() < end:
        time.sleep(0.05)
    assert begun[0] > 0 and not client.run_on_scheduler(count)
    assert not client.futures
    assert len(list(tmp_path.iterdir())) < 20
