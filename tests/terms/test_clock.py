"""Dates and periods as times: what they count, what tables and plots say, what new data may hold."""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import around

import lgm
from lgm.design.design import encode
from lgm.model import Model
from lgm.terms.clock import NUMBERS, Clock

N = 40
FIRST = 360  # January 2000, in months after January 1970
MONTHS = np.delete(np.arange(48), [3, 4, 17, 18, 19, 30, 41, 42])  # some have no row
START = pd.period_range("2000-01", periods=48, freq="M")[MONTHS]
COLUMNS = {
    "first": START.to_timestamp(),
    "tenth": START.to_timestamp() + pd.Timedelta(9, "D"),
    "last": START.to_timestamp(how="end").normalize(),
    "noon": START.to_timestamp(how="end").normalize() + pd.Timedelta(12, "h"),
    "zoned": START.to_timestamp().tz_localize("America/New_York"),
    "period": START,
    "python": [stamp.date() for stamp in START.to_timestamp()],
}
DATA = pd.DataFrame(COLUMNS).assign(
    number=MONTHS + FIRST, y=np.random.default_rng(3).normal(size=N) + np.sin(MONTHS / 4.0)
)
TERMS = (
    "rw1({})",
    "rw2({})",
    "ar1({})",
    "ar({}, p=2)",
    "ou({})",
    "seasonal({}, 12)",
    "rw2({}, cyclic=True, period=12)",
)
VALUES = {"sd": 0.8, "rho": 0.6, "pacf1": 0.4, "pacf2": -0.3, "sigma": 0.7}


@cache
def model(term: str, column: str = "number") -> Model:
    return lgm.model("y ~ " + term.format(column), DATA)


def theta(built: Model) -> dict[str, float]:
    return {name: VALUES[name.split("(")[0]] for name in built.design.theta_names}


@pytest.mark.parametrize("term", TERMS)
def test_months_are_one_after_the_other(term: str) -> None:
    """However they are written, they are the numbers 360, 361, ... with gaps, and not days."""
    numbered = model(term)
    for column in COLUMNS if term == TERMS[0] else ("last", "period"):
        dated = model(term, column)
        if column == "last":
            assert dated.log_likelihood(theta(dated)) == numbered.log_likelihood(theta(numbered))
        np.testing.assert_array_equal(dated.design.terms[0].z.toarray(), numbered.design.terms[0].z.toarray())


@pytest.mark.parametrize("term", TERMS[:-1])
def test_tables_show_dates(term: str) -> None:
    """Those of the data, and those between that have an effect without a row."""
    for column in COLUMNS if term == TERMS[0] else ("last", "period"):
        (variable,) = model(term, column).design.terms[0].variables
        labels, wanted = variable.labels.tolist(), pd.Series(COLUMNS[column]).tolist()
        if column == "python":
            labels = [label.date() for label in labels]
        assert variable.dim == column
        assert labels == wanted if variable.labels.size == N else set(wanted) < set(labels)


def test_the_size_says_in_what_times_are_counted() -> None:
    found = {term: model(term, "last").design.terms[0].size for term in TERMS}
    assert found == {
        "rw1({})": "40 distinct values, in months",
        "rw2({})": "40 distinct values, in months",
        "ar1({})": "40 times in steps of 1 month; rho is that of one step",
        "ar({}, p=2)": "order 2, 48 times in steps of 1 month; lag 1 is that of one step",
        "ou({})": "40 times in steps of 1 month; rho is that of one step",
        "seasonal({}, 12)": "period 12, 48 times, in months",
        "rw2({}, cyclic=True, period=12)": "a circle of 12 times",
    }


# Units ----------------------------------------------------------------------------------------------------------------

REGULAR = {
    "YE-DEC": ("Y-DEC", "year"),
    "YS-JAN": ("Y-DEC", "year"),
    "QE-DEC": ("Q-DEC", "quarter"),
    "QS-JAN": ("Q-DEC", "quarter"),
    "MS": ("M", "month"),
    "W-WED": ("W-SUN", "week"),
    "D": ("D", "day"),
    "B": ("D", "day"),
    "h": ("h", "hour"),
    "5min": ("min", "minute"),
    "s": ("s", "second"),
}


@pytest.mark.parametrize("freq", REGULAR)
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_the_unit_of_regular_dates(freq: str, zone: str | None) -> None:
    """Over the end of winter time: local days and longer periods, absolute hours and shorter ones."""
    dates = pd.date_range("2000-03-25", periods=12, freq=freq, tz=zone)
    frame = pd.DataFrame({"y": np.arange(12.0) % 5, "d": dates})
    term: Any = lgm.model("y ~ ar1(d)", frame.iloc[[0, 1, 2, 3, 4, 7, 11]]).design.terms[0]
    unit, name = REGULAR[freq]
    assert (term.clock.unit.split("-")[0], term.clock.name) == (unit.split("-")[0], name)
    steps = {"h": 4.0, "s": 4.0, "min": 20.0, "M": 4.0, "Y-DEC": 4.0}
    assert term.timeline.gaps[-1] == steps.get(unit, term.timeline.gaps[-1])
    assert term.variables[0].labels.tolist() == dates[[0, 1, 2, 3, 4, 7, 11]].tolist()


def test_irregular_dates_are_counted_in_days() -> None:
    """By terms for any times; the walk is that over the days, and labels are exact."""
    moments = pd.Timestamp("2021-03-03 10:17") + pd.to_timedelta(
        np.cumsum([0, 3.2, 1e-4, 17, 40.5, 2]), unit="D"
    ).round("s")
    frame = pd.DataFrame({"y": [1.0, 2.0, 1.5, 0.0, 3.0, 1.0], "d": moments})
    frame["days"] = (moments - pd.Timestamp("1970")) / pd.Timedelta(1, "D")
    for term in ("rw1({})", "rw2({})", "ou({})"):
        dated, numbered = (lgm.model("y ~ " + term.format(column), frame) for column in ("d", "days"))
        assert dated.log_likelihood(theta(dated)) == pytest.approx(numbered.log_likelihood(theta(numbered)), rel=1e-9)
        assert dated.design.terms[0].variables[0].labels.tolist() == moments.tolist()
        assert "days" in dated.design.terms[0].size
    hours = lgm.model("y ~ ou(d)", frame.assign(d=pd.date_range("2021", periods=6, freq="h"))).design.terms[0]
    assert hours.size == "6 times in steps of 1 hour; rho is that of one step"


def test_a_unit_that_is_asked_for() -> None:
    """Rows of one period share their time; tables then show the periods."""
    rng = np.random.default_rng(8)
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.sort(rng.choice(300, 30, replace=False)), unit="D")
    frame = pd.DataFrame({"y": rng.normal(size=30), "d": days})
    frame["month"] = days.month
    for freq in ("M", "MS", "ME"):
        asked, numbered = lgm.model(f"y ~ ar1(d, freq={freq!r})", frame), lgm.model("y ~ ar1(month)", frame)
        assert asked.log_likelihood(theta(asked)) == numbered.log_likelihood(theta(numbered))
        assert asked.design.terms[0].variables[0].labels.tolist() == days.to_period("M").unique().tolist()
    term: Any = lgm.model("y ~ rw1(d, freq='W-MON')", frame).design.terms[0]
    assert term.clock.unit == "W-MON"


# New data -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["last", "zoned", "period"])
@pytest.mark.parametrize("term", ["rw2({})", "ar({}, p=2)", "seasonal({}, 12)", "ou({})"])
def test_later_and_missing_months(term: str, column: str) -> None:
    """Columns and draws are those of the numbers; a date stands for its month."""
    later = pd.period_range("2000-04", periods=50, freq="M")[[0, 1, 30, 46, 49]]
    stamps = later.to_timestamp().tz_localize("America/New_York" if column == "zoned" else None)
    dates = later if column == "period" else stamps + pd.Timedelta(3, "D")
    found, wanted = (
        encode(built.design, rows).encoded[0]
        for built, rows in (
            (model(term, column), pd.DataFrame({column: dates})),
            (model(term), pd.DataFrame({"number": later.asi8})),
        )
    )
    np.testing.assert_array_equal(found.z.toarray(), wanted.z.toarray())
    np.testing.assert_array_equal([*found.null.values()], [*wanted.null.values()])
    np.testing.assert_array_equal(found.novel.z.toarray(), wanted.novel.z.toarray())
    rng = np.random.default_rng(2)
    b, normals = rng.normal(size=(3, model(term).design.q)), rng.normal(size=(3, wanted.novel.z.shape[1]))
    at = {"sd": np.full((3, 1), 0.8), "rho": np.full((3, 1), 0.6), "pacf": np.tile([0.4, -0.3], (3, 1))}
    np.testing.assert_array_equal(found.novel.draw(at, b, normals), wanted.novel.draw(at, b, normals))


def _refusal(column: str, values: object) -> str:
    with pytest.raises(lgm.DataError) as caught:
        encode(model("ar1({})", column).design, pd.DataFrame({column: values}))
    return str(caught.value)


def test_new_times_of_another_kind() -> None:
    what = "the time of ar1({}) `{}`".format
    dates = pd.date_range("2001", periods=2)
    assert _refusal("first", [3, 4]) == f"{what('first', 'first')} holds numbers, and dates in the data of the fit."
    assert _refusal("number", dates) == f"{what('number', 'number')} holds dates, and numbers in the data of the fit."
    assert "holds numbers, and periods of freq M in the data of the fit" in _refusal("period", [1.0])
    assert "holds periods of freq D, and periods of freq M in" in _refusal("period", dates.to_period("D"))
    assert "has the time zone UTC, and none in the data of the fit" in _refusal("first", dates.tz_localize("UTC"))
    assert "has no time zone, and one in the data of the fit" in _refusal("zoned", dates)
    assert "holds text. Numbers stored as text" in _refusal("first", ["2001-01-01", "2001-02-01"])


def test_another_zone_is_brought_to_that_of_the_fit() -> None:
    """Midnight of the first in New York is the first; six hours before it is the month before."""
    utc = pd.DatetimeIndex(["2000-02-01 05:00", "2000-02-01 04:59"], tz="UTC")
    found = encode(model("ar1({})", "zoned").design, pd.DataFrame({"zoned": utc})).encoded[0].z.toarray()
    assert found.argmax(axis=1).tolist() == [1, 0]


def test_smooths_of_dates() -> None:
    """Of months as of their numbers; of irregular dates in days, drawn over dates."""
    dated, numbered = model("s({}, k=6)", "last"), model("s({}, k=6)")
    found, wanted = (built.log_likelihood(theta(built)) for built in (dated, numbered))
    assert found == pytest.approx(wanted, rel=1e-9)
    later = encode(dated.design, pd.DataFrame({"last": pd.to_datetime(["2000-02-29", "2005-01-31"])})).encoded[0]
    assert "outside the data's range 2000-01-31 to 2003-12-31" in later.notes[0]
    two = lgm.model("y ~ te(tenth, x, k=3)", DATA.assign(x=np.cos(np.arange(N))))
    at = {name: 0.5 for name in two.design.theta_names}
    assert two.log_likelihood(at) == pytest.approx(
        lgm.model("y ~ te(number, x, k=3)", DATA.assign(x=np.cos(np.arange(N)))).log_likelihood(
            dict(zip([name.replace("tenth", "number") for name in at], at.values(), strict=True))
        ),
        rel=1e-9,
    )


# Bad input ------------------------------------------------------------------------------------------------------------

MOMENTS = pd.Timestamp("2020") + pd.to_timedelta(np.cumsum(np.linspace(0.1, 2.7, N) ** 2), unit="D")
BAD = {
    "ar1(x)": (MOMENTS, r'not regular in any unit(.|\n)*freq="M" \(months\)(.|\n)*such as rw1\(x\) or ou\(x\)'),
    "seasonal(x, 4)": (MOMENTS, "not regular in any unit"),
    "ar1(x, freq='X')": (MOMENTS, r"freq='X' is no unit of time(.|\n)*freq=\"D\" \(days\)"),
    "ar1(x, freq=3)": (MOMENTS, "freq=3 is no unit of time"),
    "ar1(x, freq=M)": (MOMENTS, r"it in quotes, freq='M'"),
    "rw1(number, freq='M')": (MOMENTS, r"freq= is for dates, but the variable of rw1\(number\) `number` holds numbers"),
    "rw1(period, freq='Q')": (MOMENTS, "`period` holds periods of freq M already"),
    "rw1(x, cyclic=True)": (COLUMNS["first"], "a circle of dates needs the number of times in one turn"),
    "ou(x)": ([*COLUMNS["first"][:-1], 3], r"holds numbers among other things(.|\n)*Accepted: numbers, dates, or per"),
    "rw2(x)": (
        [stamp.tz_localize("UTC" if i else "Asia/Tokyo").to_pydatetime() for i, stamp in enumerate(COLUMNS["first"])],
        r"holds dates of several time zones. Bring them to one, pd.to_datetime\(x, utc=True\)",
    ),
    "rw1(x)": (
        [pd.Period("2000", "Y"), *START[1:]],
        r"holds objects of several types(.|\n)*or periods of one frequency",
    ),
    "seasonal(first, 50)": (MOMENTS, "`first` runs over 48, in months, from 2000-01-01 to 2003-12-01"),
    "seasonal(x, 2, freq='s')": (
        pd.date_range("2000", periods=N, freq="MS"),
        "an effect for every second from the first to the last `x`, 2000-01-01 to 2003-04-01; accepted",
    ),
}


@pytest.mark.parametrize("term", BAD)
def test_what_is_no_time(term: str) -> None:
    values, message = BAD[term]
    with pytest.raises(lgm.LgmError, match=message):
        lgm.model(f"y ~ {term}", DATA.assign(x=pd.Series(values, dtype=object)))


def test_months_without_january() -> None:
    kept = DATA[DATA["first"].dt.month != 1]
    with pytest.raises(
        lgm.DataError, match=r"no row of phase 0 \(`first` modulo 12\)(.|\n)*in the unit that freq= says"
    ):
        lgm.model("y ~ seasonal(first, 12)", kept)


# Tables, plots, files -------------------------------------------------------------------------------------------------


def test_a_fit_with_dates(tmp_path) -> None:
    built = model("ar1({})", "last")
    fit = around(built, theta(built), chains=1, draws=20)
    assert fit.ranef().loc["ar1(last)"].index.tolist() == COLUMNS["last"].tolist()
    assert fit.ranef().loc[("ar1(last)", dt.datetime(2000, 2, 29)), "mean"].size == 1
    assert fit.posterior["ar1(last)"]["last"].dtype.kind == "M"
    days = ("2000-02-29", dt.datetime(2000, 2, 29)), ("2000-01-31", np.datetime64("2000-01-31"))
    for day, level in days:
        wanted = fit.posterior["ar1(last)"].sel(last=day).to_numpy()
        np.testing.assert_array_equal(
            fit.effect_draws("ar1(last)", levels=level)["ar1(last)"].to_numpy().ravel(), wanted.ravel()
        )
    (ax,) = fit.plot_term("ar1(last)").axes[:1]
    line = max(ax.lines, key=lambda each: len(each.get_xdata()))
    # through the months that have no row, too
    np.testing.assert_array_equal(
        np.asarray(line.get_xdata(), dtype="datetime64[D]"),
        pd.date_range("2000-01", periods=48, freq="ME").to_numpy().astype("datetime64[D]"),
    )
    fit.save(tmp_path / "fit.lgm")
    again, new = lgm.load(tmp_path / "fit.lgm"), pd.DataFrame({"last": pd.to_datetime(["2000-04-30", "2004-05-31"])})
    pd.testing.assert_frame_equal(again.ranef(), fit.ranef())
    pd.testing.assert_frame_equal(again.predict(new), fit.predict(new))


def test_a_circle_brings_all_dates_to_its_turn() -> None:
    built = model("rw2({}, cyclic=True, period=12)", "first")
    fit = around(built, theta(built), chains=1, draws=20)
    (ax,) = fit.plot_term("rw2(first)").axes[:1]
    assert (
        max(
            np.max(np.asarray(each.get_offsets())[:, 0])
            for each in ax.collections
            if len(np.asarray(each.get_offsets())) == N
        )
        == 11
    )
    assert built.design.terms[0].variables[0].labels.tolist() == list(range(12))


@pytest.mark.parametrize("month", [1, 7])
def test_years_long_ago(month: int) -> None:
    """Before those that pandas counts in nanoseconds."""
    years = [dt.date(1201 + k, month, 31) for k in range(12)]
    (variable,) = lgm.model("y ~ ar1(d)", {"y": np.arange(12.0) % 5, "d": years}).design.terms[0].variables
    assert [label.date() for label in variable.labels.tolist()] == years


def test_numbers_are_themselves() -> None:
    times = np.array([1.5, 2.0])
    assert NUMBERS.labels(times) is times and NUMBERS.axis(times) is times
    assert (NUMBERS.counted, NUMBERS.words(3.0), NUMBERS.said(2.5)) == ("", "3", "2.5")
    assert Clock("D", pd.Timedelta(0), dates=True).said(19723.123456789) == "2024-01-01 02:57:47"


def test_between_two_months_in_proportion() -> None:
    clock = Clock("M", pd.Timedelta(0), dates=True)
    assert clock.axis(np.array([361.5]))[0] == np.datetime64("2000-02-15T12")


def test_moments_between_periods_are_dates() -> None:
    assert NUMBERS.moments(np.array([0.5])).tolist() == [0.5]
    months = Clock("M")
    assert pd.DatetimeIndex(months.moments(np.array([1.0, 1.5]))).tolist() == [
        pd.Timestamp("1970-02-01"),
        pd.Timestamp("1970-02-15"),
    ]
