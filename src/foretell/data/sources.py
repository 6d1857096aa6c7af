"""Frames, and which reader takes a source."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import narwhals.stable.v2 as nw
import polars as pl

from foretell.data.files import find_files, kind_of, parquet_slices, read_files
from foretell.data.rows import Columns, ReadOptions, Rows
from foretell.errors import DataError, ParameterError, SourceError

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
        native = pl.DataFrame([series_of(eager, name) for name in columns.names()])
    except DataError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:
        raise SourceError(f"{origin} cannot be read: {str(error).splitlines()[0]}") from error
    whole = None if isinstance(frame, nw.LazyFrame) else _fingerprints(frame, columns)
    return Rows(native.select(columns.expressions()), origin, fingerprints=whole)


def _fingerprints(frame: nw.DataFrame[Any], columns: Columns) -> Callable[[], pl.Series] | None:
    """Return what tells the rows of a frame apart, where it has more columns than those that were read."""
    if set(frame.columns) <= set(columns.names()):
        return None

    def row_hashes() -> pl.Series:
        columns = [series_of(frame, name) for name in frame.columns]
        comparable = [c.hash() if c.dtype.is_nested() else c.cast(pl.String) for c in columns]
        return pl.DataFrame(comparable).hash_rows()

    return row_hashes


def series_of(frame: nw.DataFrame[pl.DataFrame], name: str) -> pl.Series:
    """Return a column as polars; one of Python objects of several kinds becomes text.

    Periods of pandas are their first moment.
    """
    if frame.schema[name] not in (nw.Object, nw.Unknown):
        return frame.select(name).to_polars().to_series()
    values = [None if str(value) in _MISSING else value for value in frame[name].to_list()]
    values = [getattr(value, "start_time", value) for value in values]
    kinds = {type(value) for value in values if value is not None}
    # As text, since polars would read date-times with and without a zone as if all were in UTC.
    if len(kinds) > 1 or any(issubclass(kind, dt.datetime) for kind in kinds):
        return pl.Series(name, [None if value is None else _text(value) for value in values], dtype=pl.String)
    return pl.Series(name, values)


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, dt.date) else str(value)


_URL: Final = re.compile(r"[A-Za-z][\w+.-]*://")


def read_rows(
    source: Any,
    columns: Columns,
    options: ReadOptions,
    *,
    query: str | None = None,
    table: str | None = None,
) -> Rows:
    """Read the asked-for columns of a file, a frame or a database, whichever the source is."""
    source = _database_of(source)
    if _is_database(source):
        # Most logs are files: their readers need not wait for SQLAlchemy.
        from foretell.data.database import read_database  # noqa: PLC0415

        _no_file(options)
        return read_database(source, columns, options, query=query, table=table)
    if query is not None or table is not None:
        raise ParameterError("query= and table= are for databases; a file or a frame is read whole")
    if is_frame(source):
        _no_file(options)
        return read_frame(source, columns)
    if isinstance(source, (str, os.PathLike)) or (isinstance(source, (list, tuple)) and source):
        return read_files(source, columns, options)
    raise ParameterError(
        f"the source is of type {type(source).__name__}; expected a path, a pattern, a list of paths, "
        "a frame of pandas, polars or pyarrow, or a SQLAlchemy URL or Engine"
    )


def _no_file(options: ReadOptions) -> None:
    """Refuse what is said of files alone."""
    for name in ("encoding", "sheet"):
        value = getattr(options, name)
        if value is not None:
            raise ParameterError(f"{name}={value!r} is for files; leave it out")


_SQLITE: Final = b"SQLite format 3\0"


def _database_of(source: object) -> object:
    """Return the URL of a SQLite file that is named by its path; anything else as it is."""
    if not isinstance(source, (str, os.PathLike)) or is_url(source):
        return source
    try:
        path = Path(source).expanduser()
        if not path.is_file():  # a pipe would wait for its writer
            return source
        with path.open("rb") as file:
            is_sqlite = file.read(len(_SQLITE)) == _SQLITE
    except (OSError, ValueError, RuntimeError):  # what cannot be read is told later
        return source
    return f"sqlite:///{path.absolute()}" if is_sqlite else source


def is_url(source: object) -> bool:
    """Tell whether a source is named by a URL."""
    return isinstance(source, str) and _URL.match(source) is not None


_ROWS_OF_A_SLICE: Final = 4_000_000


def read_slices(
    source: Any,
    columns: Columns,
    options: ReadOptions,
    *,
    query: str | None = None,
    table: str | None = None,
) -> Iterator[Rows]:
    """Read what `read_rows` reads, of Parquet files and of databases a part of the rows at a time."""
    source = _database_of(source)
    if _is_database(source):
        from foretell.data.database import database_slices  # noqa: PLC0415

        size = _ROWS_OF_A_SLICE
        yield from database_slices(source, columns, options, query=query, table=table, size=size)
        return
    files = [] if is_frame(source) else find_files(source)
    if not files or {kind_of(path) for path in files} != {"parquet"}:
        yield read_rows(source, columns, options, query=query, table=table)
        return
    yield from parquet_slices(files, columns, _ROWS_OF_A_SLICE)


def _is_database(source: object) -> bool:
    """Tell whether ``source`` is a URL, or an Engine, without importing SQLAlchemy."""
    return is_url(source) or type(source).__module__.startswith("sqlalchemy.")
