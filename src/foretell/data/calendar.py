"""What is known of the days of a shop, of those to come too: promotions, prices, holidays."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, Final

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl

from foretell.core import FloatArray, IntArray
from foretell.core.ragged import flat_ranges
from foretell.data.amounts import Numbers
from foretell.data.covariate_values import covariate
from foretell.data.covariates import Covariates
from foretell.data.files import head_of_file
from foretell.data.report import Tally
from foretell.data.rows import listed
from foretell.data.sources import is_frame, series_of
from foretell.data.times import TimeReader
from foretell.errors import ColumnError, DataError, ParameterError

_MOST_DAYS: Final = 1_000_000
_MOST_WORDS: Final = 60
_DAY_US: Final = 86_400_000_000
_MEND: Final = " ({bad:,} of {given:,} rows); expected numbers, or nothing where the value is not known"


@dataclasses.dataclass(frozen=True, eq=False)
class Calendar:
    """Columns by day, from a first day on without a gap.

    Attributes
    ----------
    start : int
        First day, in days since 1970-01-01.
    columns : Covariates
        A row a day; NaN where a value is not known.

    Examples
    --------
    >>> known = read_calendar({"ds": ["2024-01-01", "2024-01-02"], "promotion": [0, 1]})
    >>> known
    Calendar(promotion: 2024-01-01 to 2024-01-02)
    >>> known.at(np.array([19723, 19724, 19725])).ravel()
    array([ 0.,  1., nan])
    """

    start: int
    columns: Covariates

    def __repr__(self) -> str:
        first, last = (np.datetime64(day, "D") for day in (self.start, self.end))
        return f"Calendar({', '.join(self.columns.names)}: {first} to {last})"

    @property
    def end(self) -> int:
        """The last day."""
        return self.start + len(self.columns) - 1

    @property
    def read_as(self) -> dict[str, str]:
        """Return what each column holds: numbers, or words."""
        return {
            name: "words" if name in self.columns.categories else "numbers" for name in self.columns.names
        }

    def at(self, days: IntArray) -> FloatArray:
        """Return the values of days, shape (n_days, n_columns); NaN where nothing is known."""
        place = np.asarray(days) - self.start
        inside = (place >= 0) & (place < len(self.columns))
        values = self.columns.values[np.clip(place, 0, len(self.columns) - 1)]
        return np.where(inside[:, None], values, np.nan)

    def followed_by(self, later: Calendar, since: int) -> Calendar:
        """Return this calendar with what another knows of the days from one on; where it knows more.

        Raises
        ------
        ParameterError
            It has other columns.
        """
        later = self.alike(later)
        mine, theirs = self.columns.categories, later.columns.categories
        words = {name: tuple(dict.fromkeys([*mine[name], *theirs[name]])) for name in mine}
        own, other = self.with_words(words), later.with_words(words)
        days = np.arange(min(self.start, later.start), max(self.end, later.end) + 1)
        known, newer = own.at(days), other.at(days)
        use = ~np.isnan(newer) & ((days >= since)[:, None] | np.isnan(known))
        values = np.where(use, newer, known)
        return Calendar(int(days[0]), dataclasses.replace(own.columns, values=values))

    def alike(self, other: Calendar) -> Calendar:
        """Return another calendar with its columns in this one's order; refuse one of other columns."""
        if self.read_as != other.read_as:
            raise ParameterError(
                f"the calendar has columns {other.read_as}, the one before {self.read_as}; expected the same"
            )
        names, columns = self.columns.names, other.columns
        order = [columns.names.index(name) for name in names]
        return Calendar(other.start, Covariates(names, columns.values[:, order], columns.categories))

    def with_words(self, words: Mapping[str, tuple[str, ...]]) -> Calendar:
        """Return the calendar with codes of other words by column; what is none of them is not known."""
        return Calendar(self.start, self.columns.recoded(words))


def read_calendar(source: object, time: str = "ds") -> Calendar:
    """Read columns by day, one row a day, of days to come too.

    Parameters
    ----------
    source : path, frame, mapping of columns, or Calendar
        Every column but that of the day counts. Numbers may be missing, where a value is not known; a text
        without a word is a word of its own. A file is CSV, NDJSON, Parquet or a spreadsheet, see
        `foretell.read_events`.
    time : str
        Column of the day; without one of that name, ``ds`` is looked for.

    Raises
    ------
    DataError
        Days are missing between the first and the last, or are there twice.
    ColumnError
        There is no column of days, or none beside it, or one of another kind.
    """
    if isinstance(source, Calendar):
        return source
    frame, origin, untyped = _table(source)
    day_column = next((name for name in (time, "ds") if name in frame.columns), None)
    if day_column is None or len(frame.columns) < 2:
        raise ColumnError(
            f"{origin} has the columns {listed(frame.columns)}; expected one row a day: a column {time!r} "
            "with the day, and at least one of what is known of it, such as a promotion"
        )
    frame, days = _by_day(frame, day_column, origin)
    read = Numbers(frame["row"], Tally(origin, len(frame)), _MEND, "not known", decimal_comma=False)
    columns = {}
    for name in frame.columns:
        if name in (day_column, "row"):
            continue
        column = frame[name]
        column = column.cast(pl.Int8) if column.dtype == pl.Boolean else column
        values = covariate(column, name, "calendar", read, forced=False, untyped=untyped)
        columns[name] = values.fill_null("") if values.dtype == pl.String else values.cast(pl.Float64)
        if values.dtype == pl.String and values.n_unique() > _MOST_WORDS:
            raise DataError(
                f"{origin} has {values.n_unique():,} different words in {name!r}, such as "
                f"{values.drop_nulls().head(2).to_list()}; expected {_MOST_WORDS} at the most, which "
                "come again: leave the column out, or put words together"
            )
    return Calendar(int(days[0]), Covariates.of(columns))


def _by_day(frame: pl.DataFrame, column: str, origin: str) -> tuple[pl.DataFrame, IntArray]:
    """Return the rows in order of their days, and the days."""
    wall = TimeReader(column).read(frame[column])
    if wall.null_count():
        row = int(wall.is_null().arg_true()[0])
        raise DataError(
            f"{origin}: row {row + 1} has {frame[column][row]!r} in {column!r}, which is no day; expected one"
        )
    days = wall.cast(pl.Int64).to_numpy() // _DAY_US
    order = np.argsort(days, kind="stable")
    days = days[order]
    steps = np.diff(days)
    if (steps == 0).any():
        twice = np.datetime64(int(days[1:][steps == 0][0]), "D")
        raise DataError(
            f"{origin} has {int((steps == 0).sum())} days more than once, such as {twice}; expected one row "
            "a day"
        )
    missing = flat_ranges(days[:-1] + 1, steps - 1)
    if len(missing):
        first = np.datetime64(int(missing[0]), "D")
        raise DataError(
            f"{origin} has no row for {len(missing):,} days between its first and its last, such as {first}; "
            "expected one row a day: 0 where there is nothing, and an empty cell where it is not known"
        )
    return frame.with_row_index("row", offset=1)[order], days


def _table(source: Any) -> tuple[pl.DataFrame, str, bool]:
    """Return the whole of a source, what messages call it, and whether it knows text only."""
    if isinstance(source, Mapping):
        source = pl.DataFrame(dict(source))
    if is_frame(source):
        frame = nw.from_native(source)
        eager = frame.collect("polars") if isinstance(frame, nw.LazyFrame) else frame
        return pl.DataFrame([series_of(eager, str(name)) for name in eager.columns]), "the calendar", False
    if isinstance(source, (str, os.PathLike)):
        table = head_of_file(source, _MOST_DAYS)
        return table, str(source), table.schema.dtypes() == [pl.String] * table.width
    raise ParameterError(
        f"calendar={source!r}; expected a path or a frame with one row a day: ds, and columns such as "
        "promotion"
    )
