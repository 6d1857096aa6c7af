"""From a source to an event log: every row is kept, merged, or left out for a counted reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Final, Literal

import numpy as np
import polars as pl

from foretell.core import IntArray
from foretell.core.constraints import as_names
from foretell.core.journal import JOURNAL, warn
from foretell.core.time import UNIT_SECONDS, Unit
from foretell.data.calendar import Calendar, read_calendar
from foretell.data.covariates import seen_only
from foretell.data.customers import Known, known_of
from foretell.data.event_values import distinct, merged, netted, with_marks, without_refunds
from foretell.data.log import EventLog, Merge, RefundRule, RepeatRule
from foretell.data.report import Tally
from foretell.data.rows import (
    GROUP,
    ID,
    TIME,
    EventColumns,
    EventOptions,
    Rows,
    Strays,
    encode,
    in_order,
    opened,
    static_roles,
    with_ids,
    with_times,
    within,
)
from foretell.data.sources import read_rows
from foretell.data.strays import tell_crowd
from foretell.errors import CalendarWarning, CovariateWarning, DataError

_YEAR_US: Final = 365 * 86_400_000_000
_FEW = 1e-3  # of all events, or one: so many may be stray
_SURE = 30  # events, below which nothing can be told of their dates
_DATED_ALIKE = 0.99  # of all events
_DAYS: Final = ("Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday")  # of 1970


def assemble(
    rows: Rows, columns: EventColumns, options: EventOptions, known: Known | None = None
) -> EventLog:
    """Build the validated log out of rows; see :func:`foretell.read_events` for the rules."""
    tally = opened(rows, options, "event")
    frame = with_ids(rows, columns, options, tally, "customers")
    frame = with_times(frame, columns, options, tally)
    frame = within(frame, None, options.end, tally)
    frame = _without_strays(frame, columns, options, tally)
    frame = with_marks(frame, columns, options, tally, decimal_comma=rows.decimal_comma)
    ids, codes = encode(frame[ID], untyped=rows.untyped)
    if options.ids is None:
        tell_crowd(codes.to_numpy(), ids, tally)
    frame = in_order(frame.with_columns(codes.alias(ID)))
    static = None if known is None else known(frame, rows, ids, tally)
    frame = frame.drop(static_roles(columns.static))
    frame = distinct(frame, rows, columns, options.duplicates, tally)
    frame, returned = without_refunds(frame, columns, options.refunds, tally)
    frame = merged(frame, ids, columns, options.merge_rule, tally)
    frame = _frequent(frame, ids, options.min_events, tally)
    owner, moments = frame[ID].to_numpy(), frame[TIME].to_numpy()
    counts = np.bincount(owner, minlength=len(ids))
    groups, group_names = None, None
    if columns.group is not None:
        group_names, codes = encode(frame[GROUP], untyped=rows.untyped)
        groups = codes.to_numpy().astype(np.int64)
    times = options.clock.last_step(moments)
    _tell_coarse_dates(times // (UNIT_SECONDS["day"] // UNIT_SECONDS[options.unit]))
    start, as_of = _observed(times, moments, options, tally)
    if np.count_nonzero(counts) == 1 and options.ids is None:
        raise DataError(
            f"one customer only is left of {rows.origin} ({ids[int(owner[0])]!r}): what a population has in "
            f"common cannot be learned from one; is {columns.id!r} the right id column? To read one customer "
            "on purpose, name it by ids="
        )
    marks, refunded, owed = netted(frame, returned, ids, columns, options, as_of, tally)
    present = counts > 0
    return EventLog(
        ids=ids.filter(pl.Series(present)),
        offsets=np.concatenate([[0], np.cumsum(counts[present])]).astype(np.int64),
        times=times,
        marks=marks,
        mark_names=columns.marks,
        groups=groups,
        group_names=group_names,
        unit=options.unit,
        merge=options.merge_rule,
        start=start,
        as_of=as_of,
        report=tally.report(len(times)),
        holidays=options.holidays,
        time_zone=options.time_zone,
        refunds=options.refunds,
        duplicates=options.duplicates,
        refunded=refunded,
        owed=owed,
        excluded=() if options.exclude is None else tuple(options.exclude),
        static=None if static is None else seen_only(static.take(present))[0],
    )


def _without_strays(
    frame: pl.DataFrame, columns: EventColumns, options: EventOptions, tally: Tally
) -> pl.DataFrame:
    """Return the rows without one or few that lie years before or after all others.

    A mistyped year would be the as-of date, or the start of years in which nobody came. An end that is asked
    for is taken as it is.
    """
    if options.ids is not None or len(frame) < _SURE:
        return frame
    moments = frame[TIME].cast(pl.Int64)
    days = np.unique(moments.to_numpy())
    most = max(int(_FEW * len(frame)), 1)
    gaps = np.diff(days)
    for late, limit in ((True, options.end), (False, options.begin)):
        for k in np.flatnonzero(gaps > _YEAR_US) if limit is None else ():
            stray = moments > days[k] if late else moments <= days[k]
            rest = gaps[:k] if late else gaps[k + 1 :]
            if int(stray.sum()) <= most and gaps[k] > 3 * rest.max(initial=1):
                edge = "as_of" if late else "start"
                shown = frame[TIME].filter(stray).cast(pl.Datetime("us")).dt.date()
                warn(
                    f"{int(stray.sum())} of {len(frame):,} events of {tally.origin} lie years "
                    f"{'after' if late else 'before'} all others, such as one on {shown[0]} in the column "
                    f"{columns.time!r}: left out; if they are right, name the {'last' if late else 'first'} "
                    f"observed day by {edge}=",
                    CalendarWarning,
                    stacklevel=4,
                )
                reason = f"years {'after' if late else 'before'} all others"
                return _without_strays(
                    tally.drop(frame, stray, reason, frame[TIME].cast(pl.Datetime("us"))),
                    columns,
                    options,
                    tally,
                )
    return frame


def _tell_coarse_dates(days: IntArray) -> None:
    """Warn where all events are dated on the first of a month, or on the same day of the week."""
    if len(days) < _SURE:
        return
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    weekday, n = np.unique(days % 7, return_counts=True)
    if np.mean(dates == months) >= _DATED_ALIKE and len(np.unique(months)) > 2:
        said = "the first of a month: the dates are those of months"
    elif n.max() >= _DATED_ALIKE * len(days) and len(np.unique(days)) > 4:
        said = f"a {_DAYS[int(weekday[n.argmax()])]}: the dates may be those of weeks"
    else:
        return
    warn(
        f"the {len(days):,} events are dated on {said}. Forecasts keep to such days; a horizon that reaches "
        "none of them has no visits",
        CalendarWarning,
        stacklevel=4,
    )


def _tell_other_days(calendar: Calendar, log: EventLog) -> None:
    """Warn where a calendar knows none of the days of a log."""
    per_day = UNIT_SECONDS["day"] // UNIT_SECONDS[log.unit]
    if calendar.end < log.start // per_day or calendar.start > log.as_of // per_day:
        warn(
            f"{calendar!r} has no day of the log, {log.date(log.start)} to {log.date(log.as_of)}: nothing "
            "can be learned from it; give it rows for the days that were seen, too",
            CovariateWarning,
            stacklevel=3,
        )


def _frequent(frame: pl.DataFrame, ids: pl.Series, min_events: int, tally: Tally) -> pl.DataFrame:
    """Return the events of customers with at least ``min_events``."""
    owner = frame[ID].to_numpy()
    rare = pl.Series((np.bincount(owner, minlength=len(ids)) < min_events)[owner])
    if not rare.any():
        return frame
    reason = f"of customers with fewer than {min_events} events"
    return tally.drop(frame, rare, reason, ids.gather(frame[ID]))


def _observed(times: IntArray, moments: IntArray, options: EventOptions, tally: Tally) -> tuple[int, int]:
    """Return the first and the last observed tick; refuse a log that covers only one."""
    begin, end = options.begin, options.end
    start = int(times.min() if begin is None else options.clock.last_step(begin))
    as_of = int(times.max() if end is None else options.clock.last_step(end - 1))
    # From a start that is asked for on, they continue an older log: a day's own events are one update.
    on_purpose = options.ids is not None or begin is not None
    if times.min() == times.max() == as_of and not on_purpose:
        finer = options.unit == "day" and moments.min() != moments.max()
        when = options.clock.time_of(times[0])[0]
        raise DataError(
            f"all {len(times):,} events of {tally.origin} fall on the same {options.unit}, {when}: there is "
            "no gap to learn from; "
            + ("count hours (unit='hour'), or " if finer else "")
            + "name the column that holds the time of each event, or a later as_of"
        )
    return start, as_of


def read_events(  # noqa: PLR0913  # one keyword for each way that rows are written
    source: object,
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
    start: object = None,
    as_of: object = None,
    ids: Collection[object] | None = None,
    exclude: Collection[object] | None = None,
    strays: Strays = "keep",
    encoding: str | None = None,
    sheet: str | None = None,
    min_events: int = 1,
    refunds: RefundRule = "net",
    duplicates: RepeatRule = "drop",
    holidays: str | None = None,
    calendar: object = None,
    static: Sequence[str] | str = (),
    categorical: Sequence[str] | str = (),
    customers: object = None,
    chunk_rows: int = 100_000,
) -> EventLog:
    r"""Read a log of events (who, when, and optionally how much and where) from wherever it is kept.

    Every row becomes an event, is merged into one, or is left out for a reason that ``log.report`` counts.

    Parameters
    ----------
    source : path, folder, glob pattern, list of these, frame, SQLAlchemy URL or Engine
        Files: CSV or TSV (``.csv``, ``.tsv``, ``.txt``; delimiter ``,``, ``;``, tab or ``|``, found by
        itself), NDJSON (``.ndjson``, ``.jsonl``), both also with ``.gz``, Parquet (``.parquet``, ``.pq``),
        spreadsheets (``.xlsx``, ``.xls``, ``.ods``; pip install 'foretell[excel]'), and any of them in
        ``.zip``. Frames: pandas, polars (also lazy), pyarrow and others that narwhals knows. Databases:
        a URL such as ``"duckdb:///shop.duckdb"``, or the path of a SQLite file, with ``query`` or ``table``;
        read in chunks.
    id, time : str
        Columns of the customer and of the time of the event. Ids keep their type
        (UUIDs become text); in CSV they are whole numbers where all are written as such, without leading
        zeros, else text. Times may be dates, date-times with or without a zone, text in ISO or another
        common format, or numbers: seconds, milliseconds, microseconds or nanoseconds since 1970, or dates
        such as 19970930. Years outside of 1900 to 2199 count as unreadable. In CSV, NULL, null, NaN, nan
        and \N mean nothing.
    marks : sequence of str
        Numeric columns, such as the amount; in text with thousands marks, decimal commas, currencies, and a
        minus or brackets for what is negative. Whether the point of ``1.234`` stands before decimals, the
        whole column decides. An event without a number still is a visit; what cannot be read is missing
        (NaN), and counted apart.
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
    exclude : collection, optional
        Leave out these customers: guests, tills, words for nobody.
    strays : {"keep", "missing"}
        What becomes of marks that are more than 1,000 times as large as all others: they are said, and kept
        or missing.
    encoding : str, optional
        In which text files are written, such as ``"cp1252"``; by default it is guessed where it is not UTF-8,
        and said in the report.
    sheet : str, optional
        Sheet of a spreadsheet; by default the first.
    min_events : int
        Leave out customers with fewer events, after merging.
    refunds : {"net", "drop", "keep"}
        What becomes of rows with a negative mark. ``"net"``: they are no visits, and are taken from what the
        customer bought before, the latest first; a log as of an earlier date does not know of them.
        ``"drop"``: they are left out. ``"keep"``: they are visits, without that mark.
    duplicates : {"drop", "sum", "keep"}
        What becomes of rows that are identical in all columns of the source (of a database: in those that are
        read). ``"drop"``: they count once. ``"sum"``: they are one event with the sum of the marks.
        ``"keep"``: they are events of their own, merged as others are.
    holidays : str, optional
        Country (and part of it) of the shop, such as ``"DE"`` or ``"US-CA"``: if next to nobody comes on
        its public holidays, forecasts have no visits on those to come (pip install 'foretell[holidays]').
    calendar : path or frame, optional
        What is known of each day, of days to come too: one row a day, with the day in a column ``ds`` (or
        named as ``time`` is) and columns such as a promotion, a price, a word for a holiday. How many more
        visits such days bring is learned from the log, and expected of those to come; see the page on it.
    static : sequence of str
        Columns of what is known of a customer whenever they come, such as the channel, the region, the age:
        numbers, or names. Where a customer's rows differ the first value counts.
    categorical : sequence of str
        Columns of ``static`` whose numbers are names.
    customers : path, frame, URL, optional
        A table of customers that holds the columns of ``static``, with a column of ids of the same name as
        the log's; by default the log itself has them.
    chunk_rows : int
        Rows that a database delivers at a time.

    Returns
    -------
    EventLog
        With ``report``: ``rows_read`` = ``rows`` + what ``left_out`` counts, merged rows among them.

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
    69,659 rows read, 67,591 kept
      255 identical to another row, counted once (for example row 1382, row 1666, row 1668)
      1,813 merged (for example 2 on 1997-01-12, 8 on 1997-11-16, 29 on 1997-07-13)
    """
    names, alike = as_names(static, "static"), as_names(categorical, "categorical")
    known = known_of(names, alike, customers, id, encoding)
    in_rows = names if customers is None else ()
    columns = EventColumns(id, time, as_names(marks, "marks"), group, in_rows)
    options = EventOptions(
        unit=unit,
        merge=merge,
        time_format=time_format,
        time_zone=time_zone,
        start=start,
        as_of=as_of,
        ids=ids,
        exclude=exclude,
        strays=strays,
        encoding=encoding,
        sheet=sheet,
        min_events=min_events,
        refunds=refunds,
        duplicates=duplicates,
        holidays=holidays,
        chunk_rows=chunk_rows,
    )
    days = None if calendar is None else read_calendar(calendar, time)
    rows = read_rows(source, columns, options, query=query, table=table)
    log = assemble(rows, columns, options, known)
    if days is not None:
        log = dataclasses.replace(log, calendar=days)
        _tell_other_days(days, log)
    JOURNAL.info("%r: %s", log, log.report)
    return log
