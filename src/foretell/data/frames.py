"""Frames of pandas, polars, pyarrow and whatever else narwhals knows."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import narwhals.stable.v2 as nw
import polars as pl

from foretell.data.rows import Columns, Rows
from foretell.errors import DataError, SourceError

# How None, NaN, pandas' NaT and NA print: pandas need not be there to compare with.
_MISSING: Final = {"None", "nan", "NaN", "NaT", "<NA>"}


def is_frame(source: object) -> bool:
    """Tell whether narwhals knows how to read ``source`` as a table."""
    try:
        return isinstance(nw.from_native(source, pass_through=True), (nw.DataFrame, nw.LazyFrame))
    except nw.exceptions.NarwhalsError:
        # A frame it is, but a broken one: reading it says how.
        return True


def read_frame(source: Any, columns: Columns) -> Rows:
    """Read the asked-for columns of a frame; a lazy one is collected once, with those columns only."""
    origin = f"the {type(source).__module__.partition('.')[0]} frame"
    try:
        frame = nw.from_native(source)
        columns.check([str(name) for name in frame.collect_schema().names()], origin)
        chosen = frame.select(columns.names())
        eager = chosen.collect("polars") if isinstance(chosen, nw.LazyFrame) else chosen
        native = pl.DataFrame([_series(eager, name) for name in columns.names()])
    except DataError:
        raise
    except Exception as error:
        raise SourceError(f"{origin} cannot be read: {str(error).splitlines()[0]}") from error
    return Rows(native.select(columns.expressions()), origin)


def _series(frame: nw.DataFrame[Any], name: str) -> pl.Series:
    """Return a column as polars; one of Python objects of several kinds becomes text."""
    if frame.schema[name] != nw.Object:
        return frame.select(name).to_polars().to_series()
    values = [None if str(value) in _MISSING else value for value in frame[name].to_list()]
    kinds = {type(value) for value in values if value is not None}
    # As text, since polars would read date-times with and without a zone as if all were in UTC.
    if len(kinds) > 1 or any(issubclass(kind, dt.datetime) for kind in kinds):
        return pl.Series(name, [None if value is None else _text(value) for value in values], dtype=pl.String)
    return pl.Series(name, values)


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, dt.date) else str(value)
