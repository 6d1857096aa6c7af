"""Times written as numbers: seconds and their fractions since 1970, or dates such as 19970930."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from foretell.errors import ColumnError, ParameterError

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
    """Parse times that are written as numbers.

    Parameters
    ----------
    numbers : polars.Series of Int64 or Float64
    time_format : str or None
        One of ``EPOCH_UNITS``, or a strptime format; None decides by the size of the numbers.
    column : str
        What messages call the column.

    Returns
    -------
    times : polars.Series of Datetime
        Null where a number cannot be read.
    in_utc : bool
        The numbers count from an instant, so the times are in UTC; else they are the clock as written.
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
