"""The door for events: any source → :class:`~foretell.data.log.EventLog`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

from foretell.core.time import Unit
from foretell.data.assembly import assemble
from foretell.data.log import EventLog, Merge
from foretell.data.options import EventOptions
from foretell.data.rows import EventColumns
from foretell.data.sources import read_rows


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
    columns = EventColumns(id, time, (marks,) if isinstance(marks, str) else tuple(marks), group)
    options = EventOptions(
        unit=unit,
        merge=merge,
        time_format=time_format,
        time_zone=time_zone,
        start=start,
        as_of=as_of,
        ids=ids,
        min_events=min_events,
        chunk_rows=chunk_rows,
    )
    return assemble(read_rows(source, columns, options, query=query, table=table), columns, options)
