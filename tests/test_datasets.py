"""The shipped data: complete, as described, and with factors where formulas need them."""

import json

import numpy as np
import pandas as pd
import pytest
from helpers import REFERENCE

from lgm import datasets
from lgm.datasets import load_dataset
from lgm.errors import DataError

# rows, and every factor with its number of levels
TABLES = {
    "AirPassengers": (144, {}),
    "BodyWeight": (176, {"Rat": 16, "Diet": 3}),
    "Dyestuff": (30, {"Batch": 6}),
    "Dyestuff2": (30, {"Batch": 6}),
    "InstEval": (73421, {"s": 2972, "d": 1128, "service": 2, "dept": 14, "studage": 4, "lectage": 6}),
    "LakeHuron": (98, {}),
    "Nile": (100, {}),
    "Orthodont": (108, {"Subject": 27, "Sex": 2}),
    "Pastes": (60, {"batch": 10, "cask": 3, "sample": 30}),
    "Penicillin": (144, {"plate": 24, "sample": 6}),
    "UKDriverDeaths": (192, {}),
    "VerbAgg": (
        7584,
        {"Gender": 2, "item": 24, "resp": 3, "id": 316, "btype": 3, "situ": 2, "mode": 2, "r2": 2},
    ),
    "cbpp": (56, {"herd": 15, "period": 4}),
    "co2": (468, {}),
    "columbus": (49, {}),
    "columbus_adj": (115, {}),
    "epil": (236, {"trt": 2, "subject": 59}),
    "gamsim1": (400, {}),
    "kidney": (76, {"disease": 4}),
    "mcycle": (133, {}),
    "nc_sids": (100, {"L.id": 4, "M.id": 4}),
    "nc_sids_adj_cc89": (197, {}),
    "nc_sids_adj_cr85": (246, {}),
    "nhtemp": (60, {}),
    "salamander": (360, {"Experiment": 3, "TypeM": 2, "TypeF": 2, "Cross": 4, "Male": 60, "Female": 60}),
    "scotlip": (56, {}),
    "scotlip_adj_ck": (132, {}),
    "scotlip_adj_geobugs": (117, {}),
    "seeds": (21, {"plate": 21, "seed": 2, "extract": 2}),
    "sleepstudy": (180, {"Subject": 18}),
    "tokyo": (366, {}),
}


def test_names_are_all_data_sets_in_alphabetical_order():
    assert set(datasets.names()) == set(TABLES)
    assert datasets.names() == sorted(TABLES, key=str.lower)


@pytest.mark.parametrize("name", TABLES)
def test_rows_and_factors(name):
    table = load_dataset(name)
    rows, factors = TABLES[name]
    assert len(table) == rows
    assert not table.isna().any(axis=None)
    found = {column: len(table[column].cat.categories) for column in table.select_dtypes("category")}
    assert found == factors


@pytest.mark.parametrize("name", TABLES)
def test_levels_ascend_and_are_all_used(name):
    table = load_dataset(name)
    for column in TABLES[name][1]:
        levels = table[column].cat.categories.tolist()
        assert set(levels) == set(table[column])
        # R's kidney starts with "Other", and so do the reference fits.
        assert levels == (["Other", "AN", "GN", "PKD"] if column == "disease" else sorted(levels))


def test_numbers_stay_numbers_as_levels():
    assert load_dataset("sleepstudy")["Subject"].cat.categories[:2].tolist() == [308, 309]
    assert load_dataset("BodyWeight")["Rat"].cat.categories.tolist() == list(range(1, 17))


@pytest.mark.parametrize(
    ("name", "columns"),
    [("co2", ["time", "t", "season"]), ("scotlip", ["id"]), ("columbus_adj", ["from", "to"]), ("kidney", ["id"])],
)
def test_times_and_areal_ids_are_numbers(name, columns):
    assert all(pd.api.types.is_numeric_dtype(load_dataset(name)[column]) for column in columns)


def test_a_loaded_table_may_be_changed():
    table = load_dataset("Nile")
    table["flow"] = 0
    assert load_dataset("Nile")["flow"].iloc[0] == 1120


def test_known_means():
    # From the published tables: Dyestuff 1527.5 (Davies and Goldsmith), sleepstudy's mean reaction 298.5 ms.
    assert load_dataset("Dyestuff")["Yield"].mean() == 1527.5
    assert np.isclose(load_dataset("sleepstudy")["Reaction"].mean(), 298.508, atol=5e-4)


def test_every_reference_fit_has_its_data():
    index = json.loads((REFERENCE / "index.json").read_text(encoding="utf-8"))
    assert {entry["dataset"] for entry in index} <= set(TABLES)
    assert all((REFERENCE / entry["file"]).is_file() for entry in index)


@pytest.mark.parametrize(
    ("name", "close"), [("sleepStudy", "'sleepstudy'"), ("columbus_adjacency", "'columbus_adj'"), ("CO2", "'co2'")]
)
def test_an_unknown_name_gets_the_close_ones_and_all(name, close):
    with pytest.raises(DataError, match=f"there is no data set '{name}'. Did you mean {close}") as error:
        load_dataset(name)
    assert str(error.value).endswith(", ".join(datasets.names()))


@pytest.mark.parametrize("name", ["qqqqqqqq", 3, None])
def test_a_name_like_no_other_gets_all_names(name):
    with pytest.raises(DataError, match="The names are: AirPassengers, ") as error:
        load_dataset(name)
    assert "Did you mean" not in str(error.value)
