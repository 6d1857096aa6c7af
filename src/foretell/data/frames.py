"""Frames of pandas, polars, pyarrow and whatever else narwhals knows."""

from __future__ import annotations

from typing import Any, Final

import narwhals.stable.v2 as nw
import polars as pl

from foretell.data.rows import Columns, Rows
from foretell.errors import DataError, SourceError

# How None, NaN, pandas' NaT and NA print: pandas need not be there to compare with.
_MISSING: Final = {"None", "nan", "NaN", "NaT", "<NA>"}


def is_frame(source: object) -> bool:
    """Tell whether narwhals knows how to read ``source`` as a table."""
    return isinstance(nw.from_native(source, pass_through=True), (nw.DataFrame, nw.LazyFrame))


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
    """Return a column as polars; one that holds objects of several kinds becomes text."""
    try:
        return frame.select(name).to_polars().to_series()
    except Exception:  # noqa: BLE001  # each library has its own exception for mixed objects
        values = frame[name].to_list()
        return pl.Series(name, [None if str(v) in _MISSING else str(v) for v in values], dtype=pl.String)
