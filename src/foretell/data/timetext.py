"""Times written as text: which format they are in, and which offset from UTC they carry."""

from __future__ import annotations

from typing import Final

import polars as pl

from foretell.errors import DataError, ParameterError

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
# Only after hours and minutes: the -01 of 2024-01-01 is no offset.
_OFFSET: Final = r"\d:\d{2}(?::\d{2}(?:\.\d+)?)?\s*(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)$"
_OFFSET_END: Final = r"\s*(?:Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)$"


def parse_text(text: pl.Series, time_format: str | None, column: str) -> tuple[pl.Series, pl.Series | None]:
    """Parse times that are written as text.

    Parameters
    ----------
    text : polars.Series of String
    time_format : str or None
        strptime format; None tries the common ones.
    column : str
        What messages call the column.

    Returns
    -------
    wall : polars.Series of Datetime
        The clock as written, null where it cannot be read.
    offsets : polars.Series of Int32, or None
        Minutes ahead of UTC, null for rows without an offset; None where no row has one.
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
    sample = text.gather_every(max(1, len(text) // _SAMPLE)).drop_nulls()
    best, most = None, 0
    for time_format in _FORMATS:
        twin = _month_first(time_format)
        hits = max(_parse(sample, f).count() for f in (time_format, twin or time_format))
        if hits > most:
            best, most = time_format, hits
    return best


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
    return pl.select(pl.when(wall.dt.year() >= 1_000).then(wall)).to_series().cast(_WALL)


def _offsets(text: pl.Series) -> pl.Series:
    """Return the minutes ahead of UTC that each text names, null where it names none."""
    found = text.str.extract(_OFFSET, 1)
    minutes = {name: _minutes(name) for name in found.drop_nulls().unique()}
    return found.replace_strict(list(minutes), list(minutes.values()), default=None, return_dtype=pl.Int32)


def _minutes(offset: str) -> int:
    if offset[0] not in "+-":
        return 0
    digits = offset[1:].replace(":", "").ljust(4, "0")
    return int(offset[0] + "1") * (60 * int(digits[:2]) + int(digits[2:]))
