"""Moments that a user names: a date, a month, a date-time, in whatever kind they come."""

from __future__ import annotations

import datetime as dt
import re

import numpy as np

from foretell.errors import ParameterError

_PERIODS = {"Y", "M", "W", "D"}
_OFFSET = re.compile(r":\d{2}\S*(?:Z|[+-]\d{2}:?\d{2})$")


def to_moment(when: object) -> np.datetime64:
    """Return the moment that a date, a datetime, an ISO string or a numpy datetime means."""
    aware = isinstance(when, dt.datetime) and when.tzinfo is not None
    if aware or (isinstance(when, str) and _OFFSET.search(when)):
        raise ParameterError(
            f"{when!s} carries a time zone; expected the time on the data's own clock, without one"
        )
    try:
        moment = np.datetime64(when)  # type: ignore[call-overload]
    except (ValueError, TypeError) as error:
        raise ParameterError(
            f"{when!r} is not a date; expected something like '1997-09-30', a datetime.date or a datetime"
        ) from error
    if np.isnat(moment):
        raise ParameterError(f"{when!r} is not a date; expected something like '1997-09-30'")
    return moment  # type: ignore[no-any-return]


def is_plain_date(moment: np.datetime64) -> bool:
    """Tell whether a moment is a day, a month or a year, meant whole."""
    return np.datetime_data(moment.dtype)[0] in _PERIODS


def begin_us(moment: np.datetime64) -> int:
    """Return the microsecond at which a moment, or the day, month or year that it names, begins."""
    return int(moment.astype("datetime64[us]").astype(np.int64))


def end_us(moment: np.datetime64) -> int:
    """Return the first microsecond after a moment, or after the day, month or year that it names."""
    return begin_us(moment + 1) if is_plain_date(moment) else begin_us(moment) + 1
