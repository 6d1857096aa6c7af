"""From whatever a column calls a time to local wall-clock time."""

from __future__ import annotations

import dataclasses
from typing import Final

import polars as pl

from foretell.data.timenumbers import EPOCH_UNITS, parse_numbers
from foretell.data.timetext import parse_text
from foretell.errors import ColumnError, DataError

_WALL: Final = pl.Datetime("us")
# Sentinels such as 0001-01-01 and 9999-12-31 mean "unknown" or "open": they are no times of events.
_YEARS: Final = (1900, 2199)


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
            examples = ", ".join(repr(value) for value in unread.head(3))
            fits = f"fits {self.time_format!r}" if self.time_format else "reads as a time"
            raise ColumnError(
                f"{readable or 'none'} of the {given:,} values of the time column {self.column!r} {fits}: "
                f"it holds {examples}; name another column, or describe the text by time_format= "
                "(for example '%d.%m.%Y %H:%M'; 's' or 'ms' for numbers since 1970)"
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
