"""From whatever a column calls a time to local wall-clock time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

import numpy as np
import polars as pl

from foretell.core.grid import WEEK_US, Frequency
from foretell.data.report import brief
from foretell.errors import ColumnError, DataError, ParameterError

# Unit → how many make a second.
EPOCH_UNITS: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
# Where the middle value lies says what is counted. The ranges do not overlap; those since 1970 start in 1973,
# so that small numbers (1, 2, 3 …; the 45000 of spreadsheets) are never taken for dates.
_KINDS: Final = (
    (19_000_101, 21_991_231, "%Y%m%d"),
    (10**8, 10**10, "s"),
    (10**11, 10**13, "ms"),
    (19_000_101_000_000, 21_991_231_235_959, "%Y%m%d%H%M%S"),
    (10**14, 10**16, "us"),
    (10**17, 9 * 10**18, "ns"),
)


def number_kind(numbers: pl.Series, time_format: str | None, column: str) -> tuple[int, int, str]:
    """Return the bounds within which numbers are believed, and what they count."""
    if time_format in EPOCH_UNITS:
        limit = 9 * 10**9 * EPOCH_UNITS[time_format]
        return -limit, limit, time_format
    if time_format is not None:
        if not time_format.startswith("%"):
            raise ParameterError(
                f"time_format={time_format!r}, but the time column {column!r} holds numbers; "
                "expected 's', 'ms', 'us' or 'ns' since 1970, or a format such as '%Y%m%d'"
            )
        return 0, 9 * 10**18, time_format
    middle = float(np.nanmedian(numbers.drop_nulls().cast(pl.Float64).to_numpy()))
    for low, high, kind in _KINDS:
        if low <= middle <= high:
            return low, high, kind
    raise ColumnError(
        f"the time column {column!r} holds numbers around {middle:g}, which are neither obvious "
        "seconds or milliseconds since 1970 nor dates such as 19970930; say which by time_format= "
        "('s', 'ms', 'us' or 'ns')"
    )


def parse_numbers(numbers: pl.Series, time_format: str | None, column: str) -> tuple[pl.Series, bool]:
    """Return times that are written as numbers, null where one cannot be read, and whether they are in UTC.

    They are where the numbers count from an instant; else they are the clock as written. Without a format
    (one of ``EPOCH_UNITS``, or strptime's) the size of the numbers decides.
    """
    low, high, kind = number_kind(numbers, time_format, column)
    numbers = pl.select(pl.when(numbers.is_between(low, high)).then(numbers)).to_series()
    if kind not in EPOCH_UNITS:
        text = numbers.cast(pl.Int64).cast(pl.String)
        return text.str.to_datetime(kind, strict=False, time_unit="us"), False
    per_second = EPOCH_UNITS[kind]
    if per_second > 10**6:
        numbers = numbers // (per_second // 10**6)
    else:
        numbers = numbers * (10**6 // per_second)
    return numbers.cast(pl.Int64).cast(pl.Datetime("us")), True


_WALL: Final = pl.Datetime("us")
_DATES: Final = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d.%m.%Y", "%d.%m.%y"),
    *("%d/%m/%Y", "%d-%m-%Y", "%d/%m/%y"),
    *("%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%a, %d %b %Y"),
    *("%d %B %Y", "%B %d, %Y"),
)
_CLOCKS: Final = ("", " %H:%M:%S%.f", "T%H:%M:%S%.f", " %H:%M", "T%H:%M", " %I:%M:%S %p", " %I:%M %p")
_FORMATS: Final = tuple(date + clock for clock in _CLOCKS for date in _DATES)
_SAMPLE: Final = 500
_FIRST_YEAR: Final = 1_000
# Only after hours and minutes: the -01 of 2024-01-01 is no offset.
_OFFSET: Final = r"\d:\d{2}(?::\d{2}(?:\.\d+)?)?\s*(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)$"
_OFFSET_END: Final = r"\s*(?:Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)$"


def parse_text(text: pl.Series, time_format: str | None, column: str) -> tuple[pl.Series, pl.Series | None]:
    """Return the clock of times as written, null where it cannot be read, and their minutes ahead of UTC.

    The minutes are null for rows without an offset, None where no row has one. Without a format of strptime
    the common ones are tried.
    """
    # Offsets cost a regular expression a row, so they are looked for only where plain reading failed.
    wall = _parse(text, time_format) if time_format else _guess(text, column, rounds=1)
    left = wall.is_null() & text.is_not_null()
    if not left.any():
        return wall, None
    rest = text.filter(left)
    minutes = _offsets(rest)
    rest = pl.select(
        pl.when(minutes.is_not_null()).then(rest.str.replace(_OFFSET_END, "")).otherwise(rest)
    ).to_series()
    rest_format = time_format and time_format.replace("%z", "").replace("%Z", "").rstrip()
    parsed = _parse(rest, rest_format) if rest_format else _guess(rest, column)
    rows = left.arg_true()
    wall = wall.scatter(rows, parsed)
    if minutes.null_count() == len(minutes):
        return wall, None
    return wall, pl.repeat(None, len(text), dtype=pl.Int32, eager=True).scatter(rows, minutes)


def _guess(text: pl.Series, column: str, rounds: int = len(_FORMATS)) -> pl.Series:
    """Parse with the format that fits most of what is left, round by round, until none fits."""
    wall = pl.repeat(None, len(text), dtype=_WALL, eager=True)
    for _ in range(rounds):
        left = wall.is_null() & text.is_not_null()
        rest = text.filter(left)
        best = _best_format(rest)
        if best is None:
            break
        parsed = _parse(rest, best)
        twin = _month_first(best)
        if twin is not None:
            parsed = _choose(rest, parsed, _parse(rest, twin), column)
        wall = parsed if len(rest) == len(text) else wall.scatter(left.arg_true(), parsed)
    return wall


def _best_format(text: pl.Series) -> str | None:
    """Return the format that reads most of a sample, spread over the whole text."""
    sample = text.gather_every(max(1, len(text) // _SAMPLE)).drop_nulls().to_frame("text")
    best, most = None, 0
    for clock in _CLOCKS:
        formats = [date + clock for date in _DATES]
        both = [*formats, *filter(None, map(_month_first, formats))]
        read = sample.select(
            (_years(time_format) >= _FIRST_YEAR).sum().alias(time_format) for time_format in both
        )
        hits = dict(zip(both, read.row(0), strict=True))
        for time_format in formats:
            count = max(hits[time_format], hits.get(_month_first(time_format) or "", 0))
            if count > most:
                best, most = time_format, count
        if most == len(sample):  # no other reads more
            break
    return best


def _years(time_format: str) -> pl.Expr:
    return pl.col("text").str.to_datetime(time_format, strict=False, time_unit="us").dt.year()


def _month_first(time_format: str) -> str | None:
    """Return the American reading of a day-first format, None where there is none."""
    for day_first, month_first in (("%d/%m/", "%m/%d/"), ("%d-%m-", "%m-%d-")):
        if time_format.startswith(day_first):
            return time_format.replace(day_first, month_first)
    return None


def _choose(text: pl.Series, day_first: pl.Series, month_first: pl.Series, column: str) -> pl.Series:
    """Return the only reading that is possible; a guess between two would shift visits by months."""
    only_day = text.filter(day_first.is_not_null() & month_first.is_null())
    only_month = text.filter(month_first.is_not_null() & day_first.is_null())
    if bool(len(only_day)) != bool(len(only_month)):
        return day_first if len(only_day) else month_first
    differ = text.filter((day_first != month_first).fill_null(value=False))
    if not len(only_day) and not len(differ):
        return day_first
    what = (
        f"writes days first ({only_day[0]!r}) and months first ({only_month[0]!r})"
        if len(only_day)
        else f"may write days or months first ({differ[0]!r}): both readings fit every row"
    )
    raise DataError(
        f"the time column {column!r} {what}; say which by time_format= "
        "(for example '%d/%m/%Y' or '%m/%d/%Y'); rows that do not fit it are then counted in the report"
    )


def _parse(text: pl.Series, time_format: str) -> pl.Series:
    try:
        wall = text.str.to_datetime(time_format, strict=False, time_unit="us")
    except pl.exceptions.PolarsError as error:
        raise ParameterError(
            f"time_format={time_format!r} is not a format of strptime; expected something like "
            "'%d.%m.%Y %H:%M'"
        ) from error
    if isinstance(wall.dtype, pl.Datetime) and wall.dtype.time_zone:
        # The offset is read apart, so that the clock stays as written.
        return pl.repeat(None, len(text), dtype=_WALL, eager=True)
    # %Y takes the 24 of 01/02/24 for the year 24: such text is left for a format with %y.
    return pl.select(pl.when(wall.dt.year() >= _FIRST_YEAR).then(wall)).to_series().cast(_WALL)


def _offsets(text: pl.Series) -> pl.Series:
    """Return the minutes ahead of UTC that each text names, null where it names none."""
    offsets = text.str.extract(_OFFSET, 1)
    minutes = {name: _minutes(name) for name in offsets.drop_nulls().unique()}
    return offsets.replace_strict(list(minutes), list(minutes.values()), default=None, return_dtype=pl.Int32)


def _minutes(offset: str) -> int:
    if offset[0] not in "+-":
        return 0
    digits = offset[1:].replace(":", "").ljust(4, "0")
    return int(offset[0] + "1") * (60 * int(digits[:2]) + int(digits[2:]))


# Sentinels such as 0001-01-01 and 9999-12-31 mean "unknown" or "open": they are no times of events.
_YEARS: Final = (1900, 2199)
_REACH: Final = (-54_787, 106_484)  # days since 1970: the years 1820 to 2261, which nanoseconds reach
_PER_DAY: Final = {"ms": 86_400 * 10**3, "us": 86_400 * 10**6, "ns": 86_400 * 10**9}


def within_reach(values: pl.Series) -> pl.Series:
    """Return times, null where a date lies so far away that polars itself can neither convert nor show it."""
    if not isinstance(values.dtype, (pl.Date, pl.Datetime)):
        return values
    per_day = _PER_DAY[values.dtype.time_unit] if isinstance(values.dtype, pl.Datetime) else 1
    near = (values.to_physical() // per_day).is_between(*_REACH)
    return values if near.all() else pl.select(pl.when(near).then(values)).to_series()


@dataclasses.dataclass(frozen=True)
class TimeReader:
    """Reads a column of times; nulls in the result are values that cannot be read.

    Attributes
    ----------
    column : str
        What messages call the column.
    time_format : str or None
        strptime format of text, or ``"s"``, ``"ms"``, ``"us"``, ``"ns"`` for numbers since 1970.
    time_zone : str or None
        Zone whose wall clock is wanted; times without a zone are taken to be in it.
    """

    column: str
    time_format: str | None = None
    time_zone: str | None = None

    def read(self, values: pl.Series) -> pl.Series:
        """Return naive wall-clock times, null where a value is no time."""
        if values.dtype.is_float():
            values = values.fill_nan(None)
        given = len(values) - values.null_count()
        if not given:
            raise ColumnError(f"the time column {self.column!r} is empty in all {len(values):,} rows")
        wall = self._convert(values)
        wall = pl.select(pl.when(wall.dt.year().is_between(*_YEARS)).then(wall)).to_series()
        readable = len(wall) - wall.null_count()
        # A format that the user gave may fit few rows; one that was guessed may not.
        if not readable or (self.time_format is None and 2 * readable < given):
            unread = values.filter(wall.is_null() & values.is_not_null())
            examples = ", ".join(repr(brief(v) if isinstance(v, str) else v) for v in unread.head(3))
            fits = f"fits {self.time_format!r}" if self.time_format else "reads as a time"
            raise ColumnError(
                f"{readable or 'none'} of the {given:,} values of the time column {self.column!r} {fits}: "
                f"it holds {examples}; name another column, or describe the text by time_format= "
                "(for example '%d.%m.%Y %H:%M'; '%Y-%m' for months; 's' or 'ms' for numbers since 1970)"
            )
        return wall

    def _convert(self, values: pl.Series) -> pl.Series:
        dtype = values.dtype
        if dtype == pl.Date:
            return values.cast(_WALL)
        if isinstance(dtype, pl.Datetime):
            return self._wall(values) if dtype.time_zone else values.cast(_WALL)
        if dtype.is_numeric():
            return self._from_numbers(values.cast(pl.Float64 if dtype.is_float() else pl.Int64, strict=False))
        if isinstance(dtype, (pl.String, pl.Categorical, pl.Enum)):
            return self._from_text(values.cast(pl.String).str.strip_chars())
        raise ColumnError(
            f"the time column {self.column!r} is of type {dtype}; expected dates, times, text or numbers"
        )

    def _wall(self, aware: pl.Series) -> pl.Series:
        """Return the wall clock of aware times, in ``time_zone`` where one is given."""
        local = aware if self.time_zone is None else aware.dt.convert_time_zone(self.time_zone)
        return local.dt.replace_time_zone(None).cast(_WALL)

    def _from_numbers(self, numbers: pl.Series) -> pl.Series:
        wall, in_utc = parse_numbers(numbers, self.time_format, self.column)
        return self._wall(wall.dt.replace_time_zone("UTC")) if in_utc else wall

    def _from_text(self, text: pl.Series) -> pl.Series:
        if self.time_format in EPOCH_UNITS or (self.time_format is None and _is_numeric(text)):
            whole = text.cast(pl.Int64, strict=False)
            exact = whole.null_count() == text.null_count()
            return self._from_numbers(whole if exact else text.cast(pl.Float64, strict=False))
        wall, offsets = parse_text(text, self.time_format, self.column)
        if offsets is None:
            return wall
        if self.time_zone is None:
            self._refuse_mixed_zones(text, wall, offsets)
            return wall
        utc = wall - (offsets.cast(pl.Int64) * 60_000_000).cast(pl.Duration("us"))
        shifted = self._wall(utc.dt.replace_time_zone("UTC"))
        return pl.select(pl.when(offsets.is_null()).then(wall).otherwise(shifted)).to_series()

    def _refuse_mixed_zones(self, text: pl.Series, wall: pl.Series, offsets: pl.Series) -> None:
        """Raise where rows carry different offsets: then nothing says which day is the local one."""
        kinds = offsets.filter(wall.is_not_null()).value_counts(sort=True)
        if kinds.height < 2:
            return
        shown = [
            f"{text.filter(offsets.eq_missing(offset) & wall.is_not_null()).item(0)!r} ({rows:,} rows so)"
            for offset, rows in kinds.head(3).iter_rows()
        ]
        raise DataError(
            f"the time column {self.column!r} mixes time zones: {', '.join(shown)}; name the zone whose days "
            "count by time_zone= (for example 'Europe/Berlin'): times with an offset are converted to it, "
            "times without one are taken to be in it"
        )


def _is_numeric(text: pl.Series) -> bool:
    """Tell whether text holds numbers and nothing else, by the first few values."""
    some = text.drop_nulls().head(1_000)
    return 2 * int(some.str.contains(r"^-?\d+(\.\d*)?$").sum()) > len(some)


_YEAR: Final = r"((?:19|20|21)\d{2})"
_WHOLE_YEAR: Final = rf"^{_YEAR}$"
_MONTH: Final = rf"^{_YEAR}[-/.]?(0[1-9]|1[0-2])$"
_WEEK: Final = rf"^{_YEAR}[-/ ]?[Ww]([0-5]\d)(?:-?([1-7]))?$"
_WEEK_NUMBER: Final = rf"^{_YEAR}([0-5]\d)$"
_QUARTER: Final = rf"^{_YEAR}[-/ ]?[Qq]([1-4])$"
_QUARTER_FIRST: Final = rf"^[Qq]([1-4])[-/ ]?{_YEAR}$"
_QUARTER_NUMBER: Final = rf"^{_YEAR}0?([1-4])$"
_QUARTERS, _QUARTER_MONTHS = 4, 3
_FIRST_ROWS: Final = 1_000


def with_days(times: pl.Series, column: str, frequency: Frequency | None = None) -> pl.Series:
    """Return months, quarters, weeks and years as text of their first day; other times as they are.

    Text says what it is (``2024-05``, ``2024-Q1``, ``2024-W07``). Whole numbers such as 202405 are months,
    weeks where they go on to 13 and more, quarters where they end with 4; so is 20241. A ``frequency`` of
    weeks, quarters or years decides where several are possible.
    """
    if not (times.dtype.is_integer() or times.dtype == pl.String) or times.null_count() == len(times):
        return times
    text = times.cast(pl.String).str.strip_chars()
    some = text.drop_nulls().unique(maintain_order=True).head(_FIRST_ROWS)

    def are(pattern: str) -> bool:
        return bool(some.str.contains(pattern).all())

    step = frequency or Frequency("number", 1)
    weekly = step.unit == "us" and step.size == WEEK_US
    quarterly = step.unit == "month" and step.size == _QUARTER_MONTHS
    in_quarters = quarterly or len(some) > _QUARTERS or not are(_MONTH)
    turned = text.str.replace(_QUARTER_FIRST, "${2}Q${1}")
    readings: tuple[tuple[str, bool, Callable[[], pl.Series]], ...] = (
        (_WHOLE_YEAR, step.size_in_years, lambda: text.str.replace(_WHOLE_YEAR, "${1}-01-01")),
        (_WEEK, True, lambda: _days_of_weeks(text, _WEEK, column)),
        (_WEEK_NUMBER, weekly or not are(_MONTH), lambda: _days_of_weeks(text, _WEEK_NUMBER, column)),
        (_QUARTER, True, lambda: _days_of_quarters(text, _QUARTER)),
        (_QUARTER_FIRST, True, lambda: _days_of_quarters(turned, _QUARTER)),
        (_QUARTER_NUMBER, in_quarters, lambda: _days_of_quarters(text, _QUARTER_NUMBER)),
        (_MONTH, True, lambda: text.str.replace(_MONTH, "${1}-${2}-01")),
    )
    return next((read() for pattern, meant, read in readings if meant and are(pattern)), times)


def _days_of_quarters(text: pl.Series, pattern: str) -> pl.Series:
    month = text.str.extract(pattern, 2).cast(pl.Int32) * _QUARTER_MONTHS - 2
    return text.str.extract(pattern, 1) + "-" + month.cast(pl.String).str.zfill(2) + "-01"


def _days_of_weeks(text: pl.Series, pattern: str, column: str) -> pl.Series:
    """Return the days of weeks as ISO 8601 numbers them, by default their Mondays."""
    year, week = (text.str.extract(pattern, k) for k in (1, 2))
    day = text.str.extract(pattern, 3).fill_null("1") if pattern == _WEEK else "1"
    days = (year + "-W" + week + "-" + day).str.to_date("%G-W%V-%u", strict=False)
    wrong = text.filter(days.is_null() & year.is_not_null())
    if len(wrong):
        raise DataError(
            f"the time column {column!r} holds the week {wrong[0]!r}, which ISO 8601 does not number so: its "
            "weeks 1 to 52 or 53 begin on a Monday, the first has the year's first Thursday; write the date "
            "of a day of each week, such as its first"
        )
    return days.cast(pl.String)
