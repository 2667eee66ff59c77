"""How the variable of a term in time is read: numbers as they are, dates and periods as counts of a unit of time.

Months are not equally long, but one after the other: where dates are regular they are numbered, so that a monthly
series is 0, 1, 2, ... and not 0, 31, 59, ...
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lgm.arrays import FloatArray
from lgm.data.scope import Scope
from lgm.data.table import is_number, kind_of
from lgm.errors import DataError
from lgm.formula.python import Expression

UNITS = {
    "Y": "year",
    "Q": "quarter",
    "M": "month",
    "W": "week",
    "D": "day",
    "h": "hour",
    "min": "minute",
    "s": "second",
}
_COARSE = ("Y", "Q", "M", "W", "D")  # which are of the calendar, hence of the time zone
_OTHER_NAMES = {"A": "Y", "H": "h", "T": "min", "S": "s"}
_REAL_DAYS = "real days"
_MICROSECONDS = 86_400e6  # of a day
_PARTS_OF_A_DAY = (("hour", 3600.0), ("minute", 60.0), ("second", 1.0))
ACCEPTED = ", ".join(f'freq="{alias}" ({name}s)' for alias, name in UNITS.items())


@dataclass(frozen=True)
class Clock:
    """Times as numbers.

    Parameters
    ----------
    unit : str, optional
        Alias in pandas of the periods that are counted, from 1970 on, or `_REAL_DAYS`; None where times are numbers.
    position : pandas.Timedelta, optional
        Where in their periods the dates lie; None if they are periods, or lie here and there.
    from_end : bool
        Whether that is counted back from the next period, as for the last day of each month.
    zone : time zone, optional
        Of the dates.
    dates : bool
        Whether they are dates, not periods.
    """

    unit: str | None = None
    position: pd.Timedelta | None = None
    from_end: bool = False
    zone: Any = None
    dates: bool = False

    def read(self, scope: Scope, piece: Expression, role: str) -> FloatArray:
        """The times of some rows.

        Raises
        ------
        DataError
            If they are of another kind than those of the fit.
        """
        column = scope.column(piece, role)
        _require_times(scope, piece, column, role)
        if self.unit is None and not _is_time(column):
            return scope.numbers(piece, role)
        if self.unit is None or not _is_time(column):
            raise DataError(f"{role} `{piece.text}` holds {_kind_of(column)}, and {self._kind} in the data of the fit.")
        if isinstance(column.dtype, pd.PeriodDtype):
            return self._of_periods(pd.PeriodIndex(column), piece, role)
        return self._of_dates(pd.DatetimeIndex(column), piece, role)

    @property
    def _kind(self) -> str:
        if self.unit is None:
            return "numbers"
        return "dates" if self.dates else f"periods of freq {self.unit}"

    def _of_periods(self, found: pd.PeriodIndex, piece: Expression, role: str) -> FloatArray:
        if found.freqstr != self.unit:
            raise DataError(
                f"{role} `{piece.text}` holds periods of freq {found.freqstr}, and {self._kind} in the data of the fit."
            )
        return np.asarray(found.asi8, dtype=float)

    def _of_dates(self, found: pd.DatetimeIndex, piece: Expression, role: str) -> FloatArray:
        if (found.tz is None) != (self.zone is None):
            here, there = ("no time zone", "one") if found.tz is None else (f"the time zone {found.tz}", "none")
            raise DataError(f"{role} `{piece.text}` has {here}, and {there} in the data of the fit.")
        local = _local(found, self.zone, str(self.unit))
        if self.unit == _REAL_DAYS:
            return np.asarray(local.as_unit("us").asi8 / _MICROSECONDS)
        return np.asarray(local.to_period(self.unit).asi8, dtype=float)

    def labels(self, times: FloatArray) -> np.ndarray[Any, Any]:
        """What tables call times: numbers, dates or periods."""
        if self.unit is None:
            return times
        if self.position is None and self.unit != _REAL_DAYS:
            return np.array(pd.PeriodIndex.from_ordinals(times.astype(np.int64), freq=self.unit), dtype=object)
        return self.moments(times)

    def moments(self, times: FloatArray) -> np.ndarray[Any, Any]:
        """What tables call times that need not be those of data: numbers, or dates with their time of day."""
        if self.unit is None:
            return times
        stamps = self._stamps(times)
        return stamps.as_unit("us").to_numpy() if self.zone is None else np.array(self._in_zone(stamps), dtype=object)

    def axis(self, times: FloatArray) -> np.ndarray[Any, Any]:
        """Where times stand on the axis of a plot."""
        return times if self.unit is None else self._stamps(times).to_numpy()

    def _stamps(self, times: FloatArray) -> pd.DatetimeIndex:
        """Dates without a zone; between two periods in proportion."""
        if self.unit == _REAL_DAYS:
            return pd.DatetimeIndex(np.round(times * _MICROSECONDS).astype("datetime64[us]"))
        before = np.floor(times).astype(np.int64)
        here, there = (self._stamp(each) for each in (before, before + 1))
        return pd.DatetimeIndex(here + (there - here) * (times - before))

    def _stamp(self, whole: np.ndarray) -> pd.DatetimeIndex:
        start = pd.PeriodIndex.from_ordinals(whole + int(self.from_end), freq=self.unit).to_timestamp(how="start")
        return start + self.position if self.position else start  # a zero of pandas counts nanoseconds, hence few years

    def _in_zone(self, stamps: pd.DatetimeIndex) -> pd.DatetimeIndex:
        if self.zone is None:
            return stamps
        if _is_coarse(str(self.unit)):
            return stamps.tz_localize(
                self.zone, ambiguous=np.ones(len(stamps), dtype=bool), nonexistent="shift_forward"
            )
        return stamps.tz_localize("UTC").tz_convert(self.zone)

    def words(self, step: float) -> str:
        """A length of time, such as ``"3 months"``; the number itself where times are numbers."""
        if self.unit is None:
            return f"{step:g}"
        if self.unit == _REAL_DAYS and step < 1.0:
            seconds = 86400.0 * step
            name, length = next(((n, s) for n, s in _PARTS_OF_A_DAY if seconds > 0.999 * s), _PARTS_OF_A_DAY[-1])
            return _counted(f"{seconds / length:.6g}", name)
        return _counted(f"{step:.6g}", self.name)

    @property
    def name(self) -> str:
        """Of the unit."""
        return "day" if self.unit == _REAL_DAYS else UNITS.get(str(self.unit).split("-")[0], f"step of {self.unit}")

    @property
    def counted(self) -> str:
        """To append to a number of times: in what they are counted."""
        return "" if self.unit is None else f", in {self.name}s"

    def said(self, time: float) -> str:
        """A time, for a message."""
        if self.unit is None:
            return f"{time:g}"
        [label] = self.labels(np.array([time]))
        if isinstance(label, pd.Period):
            return str(label)
        stamp = pd.Timestamp(label).round("s")
        return str(stamp.date() if stamp == stamp.normalize() else stamp)


def _counted(number: str, noun: str) -> str:
    return f"{number} {noun}" if number == "1" else f"{number} {noun}s"


NUMBERS = Clock()


def clock_of(scope: Scope, piece: Expression, role: str, freq: Expression | None, *, whole: bool) -> Clock:
    """How the variable of a term is to be read.

    Parameters
    ----------
    scope : Scope
        The rows of the fit.
    piece : Expression
    role : str
        What messages call it.
    freq : Expression, optional
        The unit that a user asks for.
    whole : bool
        Whether times must be whole numbers. Otherwise dates that are not those of regular days, or of longer periods,
        are counted in days and parts of days.

    Raises
    ------
    FormulaError, DataError
        If there is no such unit, or none is given where none is plain.
    """
    column = scope.column(piece, role)
    _require_times(scope, piece, column, role)
    wanted = None if freq is None else _unit(scope, freq)
    if not _is_time(column):
        if freq is not None:
            message = f"freq= is for dates, but {role} `{piece.text}` holds {_kind_of(column)}."
            raise scope.formula.error(message, freq.span, "numbers without freq=, or dates.", DataError)
        return NUMBERS
    if isinstance(column.dtype, pd.PeriodDtype):
        own = pd.PeriodIndex(column).freqstr
        if wanted not in (None, own):
            message = f"`{piece.text}` holds periods of freq {own} already."
            raise scope.formula.error(message, None if freq is None else freq.span, "them without freq=.", DataError)
        return Clock(own)
    dates = pd.DatetimeIndex(column.unique())
    if wanted:
        return _placed(dates, wanted) or Clock(wanted, zone=dates.tz, dates=True)
    found = next((clock for unit in UNITS if (clock := _placed(dates, unit, distinct=True))), None)
    if found and (whole or _is_coarse(str(found.unit))):
        return found
    if whole:
        raise scope.formula.error(
            f"{role} `{piece.text}` holds dates that are not regular in any unit of time.",
            piece.span,
            f"{ACCEPTED}, in which rows of one period share their time; or a term for irregular times, such as "
            f"rw1({piece.text}) or ou({piece.text}).",
            DataError,
        )
    return Clock(_REAL_DAYS, zone=dates.tz, dates=True)


def clock_of_numbers(scope: Scope, piece: Expression, role: str) -> Clock:
    """The same, for a variable that mostly is no time: it may hold any numbers, or dates."""
    return clock_of(scope, piece, role, None, whole=False) if _is_time(scope.column(piece, role)) else NUMBERS


def read_numbers(clock: Clock, scope: Scope, piece: Expression, role: str) -> FloatArray:
    """The values of such a variable at some rows, as numbers."""
    return scope.numbers(piece, role) if clock == NUMBERS else clock.read(scope, piece, role)


def _placed(dates: pd.DatetimeIndex, unit: str, *, distinct: bool = False) -> Clock | None:
    """The clock in whose periods all dates have the same place; None if there is none."""
    local = _local(dates, dates.tz, unit)
    periods = local.to_period(unit)
    if distinct and not periods.is_unique:
        return None
    for from_end in (False, True):
        position = local - (periods + int(from_end)).to_timestamp(how="start")
        if (position == position[0]).all():
            return Clock(unit, position[0], from_end, dates.tz, dates=True)
    return None


def _local(dates: pd.DatetimeIndex, zone: Any, unit: str) -> pd.DatetimeIndex:
    """Without the time zone: days and what is longer are those of the zone, hours and what is shorter are absolute."""
    if zone is None:
        return dates
    return dates.tz_convert(zone if _is_coarse(unit) else "UTC").tz_localize(None)


def _is_coarse(unit: str) -> bool:
    return unit.split("-")[0] in _COARSE


def _is_time(column: pd.Series) -> bool:
    return pd.api.types.is_datetime64_any_dtype(column.dtype) or isinstance(column.dtype, pd.PeriodDtype)


def _kind_of(column: pd.Series) -> str:
    return "numbers" if is_number(column) else kind_of(column)


_HINTS = {
    "text": " Numbers stored as text are converted by astype(float), dates by pd.to_datetime.",
    "durations": " Write their days, {0}.dt.days.",
    "dates of several time zones": " Bring them to one, pd.to_datetime({0}, utc=True).",
}


def _require_times(scope: Scope, piece: Expression, column: pd.Series, role: str) -> None:
    if _is_time(column) or is_number(column) or column.dtype.kind == "c":
        return
    kind = kind_of(column)
    hint = _HINTS.get(kind, "").format(piece.text if piece.is_name else "column")
    message = f"{role} `{piece.text}` holds {kind}.{hint}"
    raise scope.formula.error(message, piece.span, "numbers, dates, or periods of one frequency.", DataError)


def _unit(scope: Scope, freq: Expression) -> str:
    """The alias of pandas that a user means: those of offsets ("MS", "ME") mean their periods."""
    if freq.text in UNITS and not scope.knows(freq.text):
        raise scope.formula.error(f"freq={freq.text} is not known.", freq.span, f"it in quotes, freq={freq.text!r}.")
    value = scope.value(freq)
    base, dash, anchor = value.partition("-") if isinstance(value, str) else ("", "", "")
    base = base[:-1] if base[:-1] in _COARSE and base[-1] in "SE" else base
    base = _OTHER_NAMES.get(base, base)
    try:
        if base not in UNITS:
            raise ValueError(base)
        return str(pd.PeriodIndex.from_ordinals([0], freq=f"{base}{dash}{anchor}").freqstr)
    except ValueError:
        raise scope.formula.error(f"freq={freq.text} is no unit of time.", freq.span, f"{ACCEPTED}.") from None
