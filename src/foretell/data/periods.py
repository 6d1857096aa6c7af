"""Months, quarters and years as tables write them, without a day: 2024-06, 202406, 2024Q2."""

from __future__ import annotations

from typing import Final

import polars as pl

_YEAR: Final = r"((?:19|20|21)\d{2})"
_WHOLE_YEAR: Final = rf"^\s*{_YEAR}\s*$"
_MONTH: Final = rf"^\s*{_YEAR}[-/.]?(0[1-9]|1[0-2])\s*$"
_QUARTER: Final = rf"^\s*{_YEAR}[-/ ]?[Qq]%d\s*$"
_ANY_QUARTER: Final = _QUARTER.replace("%d", "[1-4]")
_FIRST_MONTHS: Final = {1: "01", 2: "04", 3: "07", 4: "10"}
_SAMPLE: Final = 1_000


def with_days(times: pl.Series, *, yearly: bool = False) -> pl.Series:
    """Return months, quarters and, where ``yearly``, years with their first day; other times as they are."""
    some = times.drop_nulls().head(_SAMPLE)
    if not len(some):
        return times
    if yearly and (times.dtype.is_integer() or times.dtype == pl.String):
        text = times.cast(pl.String)
        if some.cast(pl.String).str.contains(_WHOLE_YEAR).all():
            return text.str.replace(_WHOLE_YEAR, "${1}-01-01")
    if times.dtype.is_integer():
        return times.cast(pl.Int64) * 100 + 1 if some.cast(pl.String).str.contains(_MONTH).all() else times
    if times.dtype != pl.String:
        return times
    if some.str.contains(_MONTH).all():
        return times.str.replace(_MONTH, "${1}-${2}-01")
    if some.str.contains(_ANY_QUARTER).all():
        for quarter, month in _FIRST_MONTHS.items():
            times = times.str.replace(_QUARTER % quarter, f"${{1}}-{month}-01")
    return times
