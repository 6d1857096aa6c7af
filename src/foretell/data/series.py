"""The door for regular series: any source → :class:`~foretell.data.panel.Panel`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from foretell.data.alignment import assemble_panel
from foretell.data.options import Closed, Duplicates, SeriesOptions
from foretell.data.panel import Panel
from foretell.data.rows import SeriesColumns
from foretell.data.sources import read_rows

_Names = Sequence[str] | str


def read_series(
    source: Any,
    *,
    id: str | None = "unique_id",  # noqa: A002  # the users' word for it, as in the tables that come out
    time: str = "ds",
    target: _Names = "y",
    past: _Names = (),
    future: _Names = (),
    static: _Names = (),
    categorical: _Names = (),
    freq: str | int | None = None,
    closed: Closed = "infer",
    duplicates: Duplicates = "error",
    query: str | None = None,
    table: str | None = None,
    time_format: str | None = None,
    time_zone: str | None = None,
    start: Any = None,
    as_of: Any = None,
    ids: Collection[Any] | None = None,
    chunk_rows: int = 100_000,
) -> Panel:
    """Read regular series (weekly sales of stores, hourly load) from wherever they are kept.

    Every row becomes a step of its series, or is left out for a reason that ``panel.report`` counts. What
    is missing stays missing (NaN): gaps are not filled.

    Parameters
    ----------
    source : path, glob pattern, list of paths, frame, SQLAlchemy URL or Engine
        As for :func:`foretell.read_events`.
    id : str or None
        Column of the series; None where there is but one.
    time : str
        Column of the time of each step: dates, date-times, text or numbers as for
        :func:`foretell.read_events`, or whole numbers that mean no date (1, 2, 3 …; years).
    target : str or sequence of str
        Numeric columns to forecast. Infinities count as missing.
    past, future, static : str or sequence of str
        Covariates: those known up to a step (the weather), those known ahead (the planned promotions), and
        those that each series has one value of (the region). Text and booleans are categories.
        Rows after a series' last target give its future covariates, for ``panel.ahead``.
    categorical : str or sequence of str
        Covariates whose numbers are names of categories.
    freq : str or int, optional
        The step: ``"5m"``, ``"1h"``, ``"1d"``, ``"1w"``, ``"1mo"``, ``"1q"``, ``"1y"`` and multiples, an
        alias of pandas (``"D"``, ``"B"``, ``"MS"`` …), or a whole number for times that are whole numbers.
        By default the most common difference of one row to the next.
    closed : {"infer", "keep"}
        Slots of the week that never occur (Sundays, nights), in data that prove it, are no steps: the one
        after Friday is Monday. ``"keep"``: they are, and are missing.
    duplicates : {"error", "mean", "sum", "last"}
        What becomes of rows of the same series and time: the targets' mean, sum or last value, and the last
        of each covariate. With ``"error"`` the same row twice counts once, and different ones are refused.
    query, table, time_format, time_zone, chunk_rows
        As for :func:`foretell.read_events`.
    start, as_of : date, datetime, str or int, optional
        First and last observed time, both inclusive; a day, month or year is meant whole. Of what comes
        after ``as_of`` only future covariates are read.
    ids : collection, optional
        Read these series only.

    Returns
    -------
    Panel
        With ``report``: ``rows_read`` = ``rows`` + what ``left_out`` counts. A series begins with its first
        and ends with its last number.

    Raises
    ------
    SourceError
        A file or a database is not there, or is not what it claims to be.
    ColumnError
        A column is missing or of the wrong kind.
    EmptyLogError
        No row can be used.
    DataError
        Times are off the grid that the series share, rows contradict each other, or a static covariate
        has several values within a series.
    ParameterError
        A setting is outside of what is allowed.

    Examples
    --------
    >>> import polars as pl
    >>> import foretell as ft
    >>> sales = pl.DataFrame(
    ...     {
    ...         "store": ["a", "a", "a", "b", "b"],
    ...         "week": ["2024-01-01", "2024-01-08", "2024-01-22", "2024-01-01", "2024-01-08"],
    ...         "customers": [120, 130, 140, 55, None],
    ...     }
    ... )
    >>> panel = ft.read_series(sales, id="store", time="week", target="customers")
    >>> panel
    Panel(2 series, 5 rows, 2024-01-01 to 2024-01-22, freq='1w')
    >>> panel.values.ravel()
    array([120., 130.,  nan, 140.,  55.])
    >>> print(panel.report)
    5 rows read, 4 kept
      1 after the last number in 'customers' of their series (for example b)
      1 steps without a row, missing
      1 series of one step (for example b)
    """
    columns = SeriesColumns(
        id, time, _names(target), _names(past), _names(future), _names(static), _names(categorical)
    )
    options = SeriesOptions(
        freq=freq,
        closed=closed,
        duplicates=duplicates,
        time_format=time_format,
        time_zone=time_zone,
        start=start,
        as_of=as_of,
        ids=ids,
        chunk_rows=chunk_rows,
        reads_ahead=bool(columns.future),
    )
    return assemble_panel(read_rows(source, columns, options, query=query, table=table), columns, options)


def _names(names: _Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
