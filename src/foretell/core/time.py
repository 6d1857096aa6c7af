"""Time as both questions read it: moments that a user names, durations, and the axes that count them."""

from __future__ import annotations

import abc
import dataclasses
import datetime as dt
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core import IntArray
from foretell.core.constraints import Whole, check, is_list, is_whole
from foretell.errors import ParameterError

Unit = Literal["day", "hour"]

UNIT_SECONDS: Final = {"hour": 3_600, "day": 86_400, "week": 604_800}
_PERIODS: Final = {"Y", "M", "W", "D"}
_OFFSET: Final = re.compile(r":\d{2}\S*(?:Z|[+-]\d{2}:?\d{2})$")
_COMPACT: Final = re.compile(r"\s*(\d{4})(\d{2})(\d{2})\s*")
_DURATION: Final = re.compile(r"\s*(\d{1,18})\s*(h|d|w|mo|y)\s*")
_FIXED_US: Final = {name[0]: seconds * 1_000_000 for name, seconds in UNIT_SECONDS.items()}
_MONTHS: Final = {"mo": 1, "y": 12}
# How numpy writes calendar steps → how durations do.
_CALENDAR: Final = {"M": "mo", "Y": "y"}
# Dates end with the year 9999, and nobody forecasts farther than lives last.
_LONGEST_YEARS: Final = 200
_YEAR_DAYS: Final = 366


def to_moment(when: object) -> np.datetime64:
    """Return the moment that a date, a datetime, an ISO string or a numpy datetime means.

    Examples
    --------
    >>> str(to_moment("20240630")), str(to_moment("2024-06"))
    ('2024-06-30', '2024-06')
    """
    aware = isinstance(when, dt.datetime) and when.tzinfo is not None
    if aware or (isinstance(when, str) and _OFFSET.search(when)):
        raise ParameterError(
            f"{when!s} carries a time zone; expected the time on the data's own clock, without one"
        )
    compact = _COMPACT.fullmatch(when) if isinstance(when, str) else None
    try:
        given = "-".join(compact.groups()) if compact else when
        moment: np.datetime64 = np.datetime64(given)  # type: ignore[call-overload]
    except (ValueError, TypeError) as error:
        raise ParameterError(
            f"{when!r} is not a date; expected something like '1997-09-30', a datetime.date or a datetime"
        ) from error
    if np.isnat(moment):
        raise ParameterError(f"{when!r} is not a date; expected something like '1997-09-30'")
    if not 1 <= int(moment.astype("datetime64[Y]").astype(np.int64)) + 1970 <= dt.MAXYEAR:
        raise ParameterError(f"{when!r} is not a date of the years 1 to 9999; expected one like '1997-09-30'")
    return moment


def is_plain_date(moment: np.datetime64) -> bool:
    """Tell whether a moment is a day, a month or a year, meant whole."""
    return np.datetime_data(moment.dtype)[0] in _PERIODS


def begin_us(moment: np.datetime64) -> int:
    """Return the microsecond at which a moment, or the day, month or year that it names, begins."""
    return int(moment.astype("datetime64[us]").astype(np.int64))


def end_us(moment: np.datetime64) -> int:
    """Return the first microsecond after a moment, or after the day, month or year that it names."""
    return begin_us(moment + 1) if is_plain_date(moment) else begin_us(moment) + 1


@dataclasses.dataclass(frozen=True)
class Duration:
    """A length of time: calendar months, which differ in length, or microseconds.

    Examples
    --------
    >>> Duration.parse("3mo"), Duration.parse("2d").us // 1_000_000
    (Duration(months=3, us=0), 172800)
    """

    months: int = 0
    us: int = 0

    @classmethod
    def parse(cls, duration: object) -> Duration:
        """Read ``"36h"``, ``"7d"``, ``"26w"``, ``"3mo"``, ``"1y"``, or a timedelta, numpy's and pandas' too.

        Raises
        ------
        ParameterError
            It is none of these, or longer than 200 years.
        """
        read = cls._of_numpy(duration) if isinstance(duration, np.timedelta64) else cls._of(duration)
        if read is None:
            raise ParameterError(
                f"{duration!r} is not a duration; expected a whole number and h, d, w, mo or y, "
                "such as '12h', '7d', '26w', '3mo' or '1y'"
            )
        days = read.months * 31 + read.us // _FIXED_US["d"]
        if abs(days) > _LONGEST_YEARS * _YEAR_DAYS:
            raise _too_long(duration)
        return read

    @classmethod
    def _of(cls, duration: object) -> Duration | None:
        if isinstance(duration, dt.timedelta):
            return None if duration != duration else cls(us=duration // dt.timedelta(microseconds=1))  # noqa: PLR0124  # pandas' NaT
        match = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
        if match is None:
            return None
        count, unit = int(match[1]), match[2]
        return cls(months=count * _MONTHS[unit]) if unit in _MONTHS else cls(us=count * _FIXED_US[unit])

    @classmethod
    def _of_numpy(cls, duration: np.timedelta64) -> Duration | None:
        unit, size = np.datetime_data(duration.dtype)
        if np.isnat(duration) or unit == "generic":
            return None
        count = int(duration.astype(np.int64)) * size
        if unit in _CALENDAR:
            raise ParameterError(
                f"{duration!r} is of no fixed length; for calendar steps write '{count}{_CALENDAR[unit]}', "
                "else days or weeks"
            )
        seconds = count * float((np.ones(1, dtype=f"m8[{unit}]") / np.timedelta64(1, "s"))[0])
        if abs(seconds) > _LONGEST_YEARS * _YEAR_DAYS * UNIT_SECONDS["day"]:
            raise _too_long(duration)
        return cls(us=round(seconds * 1_000_000))

    def after(self, begin: int) -> int:
        """Return the end of the duration that begins at ``begin``, in microseconds since 1970.

        Months keep the day of the month, or take the last of a shorter one.
        """
        if not self.months:
            return begin + self.us
        day, clock = divmod(begin, _FIXED_US["d"])
        month = np.datetime64(day, "D").astype("datetime64[M]")
        place = int((np.datetime64(day, "D") - month.astype("datetime64[D]")).astype(np.int64))
        later = month + self.months
        first, following = (int(m.astype("datetime64[D]").astype(np.int64)) for m in (later, later + 1))
        return min(first + place, following - 1) * _FIXED_US["d"] + clock


def _too_long(duration: object) -> ParameterError:
    return ParameterError(f"{duration!r} is longer than {_LONGEST_YEARS} years; expected a shorter duration")


class TimeAxis(abc.ABC):
    """Times as whole numbers: the ticks of a log's clock, or the steps of a panel's grid.

    Dates, durations and calendar months mean the same on both. Each tick begins at a *number*: microseconds
    since 1970 on the data's own clock; on a grid whose times mean no dates, the time itself.
    """

    # Whether a duration has to be a whole number of ticks, instead of holding so many.
    exact: ClassVar[bool] = False

    @property
    @abc.abstractmethod
    def tick(self) -> str:
        """What a tick is, for messages."""

    @property
    def ticks(self) -> str:
        """What several are."""
        return f"{self.tick}s"

    @property
    @abc.abstractmethod
    def has_dates(self) -> bool:
        """Whether all ticks are whole days, so that times are shown as dates."""

    @abc.abstractmethod
    def numbers_of(self, ticks: npt.ArrayLike) -> IntArray:
        """Return the numbers at which ticks begin."""

    @abc.abstractmethod
    def last_step(self, numbers: npt.ArrayLike) -> IntArray:
        """Return the last tick that begins at or before each number."""

    def time_of(self, ticks: npt.ArrayLike) -> pl.Series:
        """Return when ticks begin: dates or date-times."""
        numbers = self.numbers_of(np.atleast_1d(np.asarray(ticks, dtype=np.int64)))
        times = pl.Series("ds", numbers).cast(pl.Datetime("us"))
        return times.cast(pl.Date) if self.has_dates else times

    def last_until(self, when: object) -> int:
        """Return the last tick that is over by ``when``: a day, month or year is meant whole."""
        if is_whole(when):
            raise ParameterError(f"{when!r} is not a date; expected one like '1997-09-30', or up_to({when})")
        return int(self.last_step(end_us(to_moment(when)) - 1))

    def ticks_of(self, duration: object, from_: int = 0) -> int:
        """Return a duration in ticks, at least 1: see `Duration.parse`; a whole number is a count of ticks.

        Months and years are counted from the tick ``from_``.
        """
        if is_whole(duration):
            check("horizon", duration, Whole(of=self.ticks))
            return int(duration)
        begin = int(self.numbers_of(from_))
        end = Duration.parse(duration).after(begin)
        ticks = int(self.last_step(end)) - from_
        if ticks < 1:
            raise ParameterError(f"{duration!r} is shorter than a {self.tick}; expected a longer one")
        if self.exact and int(self.numbers_of(from_ + ticks)) != end:
            raise ParameterError(f"{duration!r} is not a whole number of {self.ticks}; expected one")
        return ticks


@dataclasses.dataclass(frozen=True)
class Clock(TimeAxis):
    """The clock of a log: days or hours since 1970-01-01.

    Examples
    --------
    >>> clock = Clock("day")
    >>> clock.ticks_of("26w"), clock.ticks_of("1mo", from_=clock.last_until("2024-01-31"))
    (182, 29)
    >>> clock.time_of([0]).to_list()
    [datetime.date(1970, 1, 1)]
    """

    exact = True

    unit: Unit

    @property
    def tick(self) -> str:
        """What a tick is, for messages."""
        return self.unit

    @property
    def has_dates(self) -> bool:
        """Whether ticks are days."""
        return self.unit == "day"

    @property
    def _tick_us(self) -> int:
        return UNIT_SECONDS[self.unit] * 1_000_000

    def numbers_of(self, ticks: npt.ArrayLike) -> IntArray:
        """Return the microseconds at which ticks begin."""
        return np.asarray(ticks, dtype=np.int64) * self._tick_us

    def last_step(self, numbers: npt.ArrayLike) -> IntArray:
        """Return the tick of each microsecond."""
        return np.asarray(numbers, dtype=np.int64) // self._tick_us

    def ticks_of(self, duration: object, from_: int = 0) -> int:
        """Return a duration in ticks; see `TimeAxis.ticks_of`."""
        ticks = super().ticks_of(duration, from_)
        if ticks * self._tick_us > _LONGEST_YEARS * _YEAR_DAYS * _FIXED_US["d"]:
            raise _too_long(duration)
        return ticks


def as_durations(durations: object, name: str = "horizons") -> tuple[str | int | dt.timedelta, ...]:
    """Return durations as a tuple; a single one is a tuple of one.

    Examples
    --------
    >>> as_durations("7d"), as_durations(["7d", 30])
    (('7d',), ('7d', 30))
    """
    if isinstance(durations, (str, dt.timedelta, np.timedelta64)) or is_whole(durations):
        return (durations,)  # type: ignore[return-value]
    if isinstance(durations, (AbstractSet, Mapping)) or not is_list(durations):
        raise ParameterError(f"{name}={durations!r}; expected durations such as ['7d', '30d']")
    return tuple(durations)


def period_edges(horizon: int, period: int) -> IntArray:
    """Return the ends of the periods of a horizon, in ticks after the as-of date.

    Period k covers the ticks ``edges[k - 1] + 1 … edges[k]``; the last one ends with the horizon.

    Examples
    --------
    >>> period_edges(30, 7)
    array([ 7, 14, 21, 28, 30])
    """
    return np.minimum(np.arange(period, horizon + period, period, dtype=np.int64), horizon)


def interval_ticks(lower: npt.ArrayLike, upper: npt.ArrayLike, as_of: int) -> IntArray:
    """Return the whole ticks that a continuous interval of the next event's time stands for.

    Time is measured from the end of the as-of tick, so that tick ``as_of + j`` covers (j − 1, j]. Both edges
    go to the nearest whole tick: widening them outwards instead would add about one tick to every interval
    and let short ones cover far more than they claim.

    The first and the last tick, both inclusive, are at least one tick; shape (n, 2).

    Examples
    --------
    >>> interval_ticks([0.2, 3.6], [0.4, 9.5], as_of=100)
    array([[101, 101],
           [105, 110]])
    """
    first = np.rint(np.asarray(lower, dtype=np.float64)).astype(np.int64)
    last = np.rint(np.asarray(upper, dtype=np.float64)).astype(np.int64)
    return as_of + np.stack([first + 1, np.maximum(last, first + 1)], axis=-1)
