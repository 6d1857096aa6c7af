"""The door for events: any source → :class:`~foretell.data.log.EventLog`."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from typing import Any, Final, Literal

from foretell.data.assembly import assemble
from foretell.data.frames import is_frame, read_frame
from foretell.data.log import EventLog, Merge, Unit
from foretell.data.options import ReadOptions
from foretell.data.rows import Columns, Rows
from foretell.data.sources import read_files
from foretell.errors import ParameterError

_URL: Final = re.compile(r"[A-Za-z][\w+.-]*://")


def read_events(
    source: Any,
    *,
    id: str = "unique_id",  # noqa: A002  # the users' word for it, as in the tables that come out
    time: str = "ds",
    marks: Sequence[str] | str = (),
    group: str | None = None,
    query: str | None = None,
    table: str | None = None,
    unit: Unit = "day",
    merge: Merge | Literal["auto"] | None = "auto",
    time_format: str | None = None,
    time_zone: str | None = None,
    start: Any = None,
    as_of: Any = None,
    ids: Collection[Any] | None = None,
    min_events: int = 1,
    chunk_rows: int = 100_000,
) -> EventLog:
    r"""Read a log of events (who, when, and optionally how much and where) from wherever it is kept.

    Every row becomes an event, is merged into one, or is left out for a reason that ``log.report`` counts.

    Parameters
    ----------
    source : path, glob pattern, list of paths, frame, SQLAlchemy URL or Engine
        Files: CSV or TSV (``.csv``, ``.tsv``, ``.txt``; delimiter ``,``, ``;``, tab or ``|``, found by
        itself), NDJSON (``.ndjson``, ``.jsonl``), both also with ``.gz``, and Parquet (``.parquet``,
        ``.pq``). Frames: pandas, polars (also lazy), pyarrow and others that narwhals knows. Databases:
        a URL such as ``"sqlite:///shop.db"``, with ``query`` or ``table``; read in chunks.
    id, time : str
        Columns of the customer and of the time of the event. Ids keep their type
        (UUIDs become text); in CSV they are whole numbers where all are written as such, without leading
        zeros, else text. Times may be dates, date-times with or without a zone, text in ISO or another
        common format, or numbers: seconds, milliseconds, microseconds or nanoseconds since 1970, or dates
        such as 19970930. Years outside of 1900 to 2199 count as unreadable. In CSV, NULL, null, NaN, nan
        and \N mean nothing.
    marks : sequence of str
        Numeric columns, such as the amount. An event without a number, or with a negative one (returned
        goods), still is a visit: it stays, its mark counts as 0, and the report says how many did.
    group : str, optional
        Column of the place of the event (the store).
    query, table : str, optional
        For databases: a SELECT statement, or a table (``"schema.table"`` where needed).
    unit : {"day", "hour"}
        The clock's tick.
    merge : {"auto", "hour", "day", "week"} or None
        Events of one customer in the same period (weeks from Monday) become one: at the time and with
        the group of the first, with the sum of the marks. ``"auto"`` is the same as ``unit``; None
        keeps all.
    time_format : str, optional
        How times are written: a strptime format, or ``"s"``, ``"ms"``, ``"us"``, ``"ns"`` for numbers
        since 1970. By default found by itself; where day and month cannot be told apart, that is an error.
    time_zone : str, optional
        Zone whose days count, such as ``"Europe/Berlin"``. Times with a zone or an offset, and numbers
        since 1970, are converted to it; times without one are taken to be in it. By default times count
        as they are written.
    start, as_of : date, datetime or str, optional
        First and last observed day (or hour), both inclusive; by default the first and the last event's.
        Databases deliver only rows within them, give or take two days.
    ids : collection, optional
        Read these customers only.
    min_events : int
        Leave out customers with fewer events, after merging.
    chunk_rows : int
        Rows that a database delivers at a time.

    Returns
    -------
    EventLog
        With ``report``: ``rows_read`` = ``events`` + what ``left_out`` counts, merged rows among them.

    Raises
    ------
    SourceError
        A file or a database is not there, or is not what it claims to be.
    ColumnError
        A column is missing or of the wrong kind.
    EmptyLogError
        No row can be used.
    DataError
        There is nothing to learn from: one customer only, or all events on the same tick (both allowed
        where ``ids`` asks for it); or times mix zones or orders of day and month.
    ParameterError
        A setting is outside of what is allowed.

    Examples
    --------
    >>> import foretell as ft
    >>> from foretell.datasets import load_cdnow
    >>> log = ft.read_events(load_cdnow(), id="customer_id", time="date", marks=["amount"])
    >>> log
    EventLog(23,570 customers, 67,591 events, 1997-01-01 to 1998-06-30, unit='day', merge='day')
    >>> print(log.report)
    69,659 rows read, 67,591 events kept
      2,068 merged (for example 2 on 1997-01-12, 8 on 1997-11-16, 29 on 1997-07-13)
    """
    columns = Columns(id, time, (marks,) if isinstance(marks, str) else tuple(marks), group)
    options = ReadOptions(unit, merge, time_format, time_zone, start, as_of, ids, min_events, chunk_rows)
    return assemble(_read(source, columns, options, query, table), columns, options)


def _read(source: Any, columns: Columns, options: ReadOptions, query: str | None, table: str | None) -> Rows:
    if _is_database(source):
        # Most logs are files: their readers need not wait for SQLAlchemy.
        from foretell.data.database import read_database  # noqa: PLC0415

        return read_database(source, columns, options, query=query, table=table)
    if query is not None or table is not None:
        raise ParameterError("query= and table= are for databases; a file or a frame is read whole")
    if is_frame(source):
        return read_frame(source, columns)
    if isinstance(source, (str, os.PathLike)) or (isinstance(source, (list, tuple)) and source):
        return read_files(source, columns)
    raise ParameterError(
        f"the source is of type {type(source).__name__}; expected a path, a pattern, a list of paths, "
        "a frame of pandas, polars or pyarrow, or a SQLAlchemy URL or Engine"
    )


def _is_database(source: object) -> bool:
    """Tell whether ``source`` is a URL, or an Engine, without importing SQLAlchemy."""
    if isinstance(source, str):
        return _URL.match(source) is not None
    return type(source).__module__.startswith("sqlalchemy.")
