"""From a source to a panel: each row goes to its step of the grid, or is left out for a counted reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
import polars as pl

from foretell.core import BoolArray, FloatArray, IntArray
from foretell.core.constraints import as_names
from foretell.core.grid import Frequency, Grid
from foretell.core.journal import JOURNAL
from foretell.core.ragged import to_offsets
from foretell.data.covariate_values import static_values
from foretell.data.covariates import Covariates, seen_only
from foretell.data.log import RefundRule
from foretell.data.panel import Panel
from foretell.data.periodicity import fit_grid
from foretell.data.report import Tally
from foretell.data.rows import (
    ID,
    TIME,
    Closed,
    Duplicates,
    Rows,
    SeriesColumns,
    SeriesOptions,
    Strays,
    encode,
    in_order,
    opened,
    with_ids,
)
from foretell.data.series_values import (
    name_row,
    observed,
    single,
    with_steps,
    with_values,
    without_refunds,
    without_strays,
)
from foretell.data.sources import read_rows
from foretell.errors import DataError, ParameterError

# So many steps for each row are more likely a wrong step, or one wrong date, than a series with gaps.
_SPARSE: Final = 50
_SMALL: Final = 1_000_000


def assemble_panel(rows: Rows, columns: SeriesColumns, options: SeriesOptions) -> Panel:
    """Build the validated panel out of rows; see :func:`foretell.read_series` for the rules."""
    tally = opened(rows, options, "step of a series")
    if columns.id is None:
        if options.ids is not None:
            raise ParameterError(
                "ids= chooses among series, but id=None says that there is one; leave it out"
            )
        name = columns.targets[0] if len(columns.targets) == 1 else "series"
        rows = dataclasses.replace(rows, frame=rows.frame.with_columns(pl.lit(name).alias(ID)))
    frame = with_ids(rows, columns, options, tally, "series")
    frame, whole_numbers = with_steps(frame, columns, options, tally)
    dates = not whole_numbers
    frame = with_values(frame, columns, tally, untyped=rows.untyped, decimal_comma=rows.decimal_comma)
    frame = observed(frame, columns, options, tally, dates=dates)
    ids, codes = encode(frame[ID], untyped=rows.untyped)
    frame = in_order(frame.with_columns(codes.alias(ID)))
    frame = without_refunds(frame, columns, ids, options.refunds, tally, dates=dates)
    frame = single(frame, columns, ids, options.duplicates, tally, dates=dates)
    frame = without_strays(frame, columns, ids, tally, missing=options.strays == "missing", dates=dates)
    owner, times = frame[ID].to_numpy().astype(np.int64), frame[TIME].to_numpy()
    grid = fit_grid(owner, times, options.freq, options.closed, whole_numbers=whole_numbers)
    index, on_grid = grid.locate(times)
    # Business months have the same step for several days.
    on_grid[1:] &= (owner[1:] != owner[:-1]) | (index[1:] != index[:-1])
    if not on_grid.all():
        raise _off_grid(grid, ids, owner, times, ~on_grid, options)
    return _placed(frame, columns, ids, grid, index, tally)


def _off_grid(
    grid: Grid, ids: pl.Series, owner: IntArray, times: IntArray, off: BoolArray, options: SeriesOptions
) -> DataError:
    """Return the error for times that lie between the steps."""
    dates, rows = grid.frequency.unit != "number", np.flatnonzero(off)
    shown = "; ".join(name_row(ids, (owner[k], times[k]), dates=dates) for k in rows[:3])
    said = "the most common difference of one row to the next" if options.freq is None else "as freq= says"
    mend = "make the times regular before (truncate or resample them), or leave those rows out"
    if dates and _half_months(times):
        mend = (
            "the times are half-months, which are of no fixed length: number them, 24 a year, by (year * 12 "
            "+ month - 1) * 2 + (day > 10), and read those numbers with freq=1"
        )
    steps = np.diff(np.unique(times))
    common = int(np.gcd.reduce(steps[steps > 0])) if len(steps) and "half" not in mend else 0
    # A grid that holds everything by being next to continuous is no advice.
    if common and (not dates or common >= 1_000_000) and np.ptp(times) // common < _SPARSE * len(times):
        finer = Frequency("us" if dates else "number", common).text
        mend += f"; all times lie on a grid of freq={finer!r}"
    return DataError(
        f"{len(rows):,} rows of {len(np.unique(owner[rows])):,} series are off the grid that the series "
        f"share, with steps of {grid.freq!r} ({said}): {shown}. "
        f"{grid.describe_off(int(times[rows[0]]))}; {mend}"
    )


def _half_months(times: IntArray) -> bool:
    """Tell whether times are the 1st and the 15th or 16th of months, or the 15th and the last day."""
    days = np.unique(times).astype("datetime64[us]").astype("datetime64[D]")
    day = (days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1
    last = (days + 1).astype("datetime64[M]") > days.astype("datetime64[M]")
    middle = (day == 15) | (day == 16)
    return bool(0.3 < middle.mean() < 0.7 and ((day == 1).all(where=~middle) or last.all(where=~middle)))


def _placed(
    frame: pl.DataFrame, columns: SeriesColumns, ids: pl.Series, grid: Grid, index: IntArray, tally: Tally
) -> Panel:
    targets = _matrix(frame, list(columns.of_kind("target")))
    parts = {kind: Covariates.of(_named(frame, columns, kind)) for kind in ("past", "future")}
    static = static_values(frame, columns, ids)
    owner = frame[ID].to_numpy().astype(np.int64)
    spans = _spans(owner, index, np.any(np.isfinite(targets), axis=1), len(ids))
    inside, later = _sorted_out(frame, columns, ids, spans, parts["future"], tally)
    present = spans.lengths > 0
    place = np.cumsum(present) - 1
    lengths = spans.lengths[present]
    _refuse_sparse(grid, ids.filter(pl.Series(present)), lengths, int(inside.sum()))
    offsets = to_offsets(lengths)
    rows = offsets[place[owner[inside]]] + index[inside] - spans.first[owner[inside]]
    n_rows = int(offsets[-1])
    n_ahead = np.zeros(len(ids), dtype=np.int64)
    np.maximum.at(n_ahead, owner[later], (index - spans.last[owner])[later])
    ahead_offsets = to_offsets(n_ahead[present])
    ahead_rows = ahead_offsets[place[owner[later]]] + (index - spans.last[owner])[later] - 1
    future = _scattered(parts["future"], inside, rows, n_rows)
    ahead = _scattered(parts["future"], later, ahead_rows, int(ahead_offsets[-1]))
    future, ahead = seen_only(future, ahead)
    known = Covariates.of(_named(static.filter(pl.Series(present)[static[ID]]), columns, "static"))
    values = _scatter(targets, inside, rows, n_rows)
    ids = ids.filter(pl.Series(present))
    _note(values, columns, ids, offsets, n_rows - int(inside.sum()), tally)
    return Panel(
        ids=ids,
        offsets=offsets,
        starts=spans.first[present],
        targets=columns.targets,
        values=values,
        past=seen_only(_scattered(parts["past"], inside, rows, n_rows))[0],
        future=future,
        static=seen_only(known)[0] if columns.static else Covariates.none(len(ids)),
        ahead=ahead,
        ahead_offsets=ahead_offsets,
        grid=grid,
        report=tally.report(int(inside.sum() + later.sum())),
    )


@dataclasses.dataclass(frozen=True)
class _Spans:
    """First and last step with a value of each series (length 0: none), and owner and step of each row."""

    first: IntArray
    last: IntArray
    owner: IntArray
    index: IntArray

    @property
    def lengths(self) -> IntArray:
        return self.last - self.first + 1


def _spans(owner: IntArray, index: IntArray, has_value: BoolArray, n_series: int) -> _Spans:
    rows = np.flatnonzero(has_value)
    owners = owner[rows]
    ends = np.searchsorted(owners, np.arange(n_series + 1))
    first, last = np.zeros(n_series, dtype=np.int64), np.full(n_series, -1, dtype=np.int64)
    some = ends[1:] > ends[:-1]
    first[some] = index[rows[ends[:-1][some]]]
    last[some] = index[rows[ends[1:][some] - 1]]
    return _Spans(first, last, owner, index)


def _sorted_out(
    frame: pl.DataFrame,
    columns: SeriesColumns,
    ids: pl.Series,
    spans: _Spans,
    future: Covariates,
    tally: Tally,
) -> tuple[BoolArray, BoolArray]:
    """Return which rows lie between the first and the last value of a series, and which are known ahead."""
    owner, index = spans.owner, spans.index
    empty = (spans.lengths == 0)[owner]
    before, after = ~empty & (index < spans.first[owner]), ~empty & (index > spans.last[owner])
    named = " or ".join(map(repr, columns.targets))
    known = ~np.isnan(future.values).all(axis=1) if future else np.zeros(len(owner), dtype=bool)
    later = after & known
    reasons = {
        f"of series without any number in {named}": empty,
        f"before the first number in {named} of their series": before,
        f"after the last number in {named} of their series"
        + (", with nothing known ahead" if future else ""): after & ~known,
    }
    for reason, mask in reasons.items():
        examples = ids.gather(owner[np.flatnonzero(mask)[:1_000]]).unique(maintain_order=True).head(3)
        tally.leave_out(reason, int(mask.sum()), examples)
    if empty.all():
        raise tally.nothing_left()
    past = list(columns.of_kind("past"))
    if past and later.any():
        given = pl.select(pl.any_horizontal(frame[role].is_not_null() for role in past)).to_series()
        reason = f"with past covariates after the last number in {named}, which are not used"
        tally.adjust(reason, given & pl.Series(later), ids.gather(owner))
    return ~(empty | before | after), later


def _refuse_sparse(grid: Grid, ids: pl.Series, lengths: IntArray, n_rows: int) -> None:
    """Raise where nearly all steps would be missing."""
    steps = int(lengths.sum())
    if steps <= _SMALL or steps <= _SPARSE * n_rows:
        return
    longest = int(np.argmax(lengths))
    raise DataError(
        f"{n_rows:,} rows would be spread over {steps:,} steps of {grid.freq!r}: series {ids[longest]!r} "
        f"alone covers {int(lengths[longest]):,}; check its first and last time, or give a "
        "longer step by freq="
    )


def _note(
    values: FloatArray, columns: SeriesColumns, ids: pl.Series, offsets: IntArray, gaps: int, tally: Tally
) -> None:
    """Count what an analyst would want to know of the series that stay."""
    tally.note("steps without a row, missing", gaps)
    for k, name in enumerate(columns.targets):
        tally.note(f"rows without a number in {name!r}, missing", int(np.isnan(values[:, k]).sum()) - gaps)
    lengths = np.diff(offsets)
    short = lengths == 1
    tally.note("series of one step", int(short.sum()), ids.filter(pl.Series(short)).head(3))
    spread = np.fmax.reduceat(values, offsets[:-1]) - np.fmin.reduceat(values, offsets[:-1])
    constant = ~(spread > 0).any(axis=1) & ~short
    tally.note("constant series", int(constant.sum()), ids.filter(pl.Series(constant)).head(3))


def _named(frame: pl.DataFrame, columns: SeriesColumns, kind: str) -> dict[str, pl.Series]:
    return {name: frame[role] for role, name in columns.of_kind(kind).items()}


def _matrix(frame: pl.DataFrame, roles: list[str]) -> FloatArray:
    return np.stack([frame[role].to_numpy() for role in roles], axis=1)


def _scatter(values: FloatArray, chosen: BoolArray, rows: IntArray, n_rows: int) -> FloatArray:
    """Return the chosen values at their rows, NaN elsewhere."""
    if n_rows == len(values) == len(rows):
        return values
    placed = np.full((n_rows, values.shape[1]), np.nan)
    placed[rows] = values[chosen]
    return placed


def _scattered(covariates: Covariates, chosen: BoolArray, rows: IntArray, n_rows: int) -> Covariates:
    if not covariates:
        return Covariates.none(n_rows)
    return dataclasses.replace(covariates, values=_scatter(covariates.values, chosen, rows, n_rows))


_Names = Sequence[str] | str


def read_series(  # noqa: PLR0913  # one keyword for each way that rows are written
    source: object,
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
    refunds: RefundRule = "keep",
    query: str | None = None,
    table: str | None = None,
    time_format: str | None = None,
    time_zone: str | None = None,
    start: object = None,
    as_of: object = None,
    ids: Collection[object] | None = None,
    exclude: Collection[object] | None = None,
    strays: Strays = "keep",
    encoding: str | None = None,
    sheet: str | None = None,
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
        Numeric columns to forecast; text as for the marks of :func:`foretell.read_events`. What cannot be
        read is missing and counted apart, as infinities are.
    past, future, static : str or sequence of str
        Covariates: those known up to a step (the weather), those known ahead (the planned promotions), and
        those that each series has one value of (the region). Text and booleans are categories.
        Rows after a series' last target give its future covariates, for ``panel.ahead``.
    categorical : str or sequence of str
        Covariates whose numbers are names of categories.
    freq : str or int, optional
        The step: ``"5m"``, ``"1h"``, ``"1d"``, ``"1w"``, ``"1mo"``, ``"1q"``, ``"1y"`` and multiples, an
        alias of pandas (``"D"``, ``"B"``, ``"MS"``, ``"BME"`` …), or a whole number for times that are whole
        numbers. By default the most common difference of one row to the next.
    closed : {"infer", "keep"}
        Slots of the week that never occur (Sundays, nights), in data that prove it, are no steps: the one
        after Friday is Monday. ``"keep"``: they are, and are missing.
    duplicates : {"error", "mean", "sum", "last"}
        What becomes of rows of the same series and time: the targets' mean, sum or last value, and the last
        of each covariate. With ``"error"`` the same row twice counts once, and different ones are refused.
    refunds : {"keep", "drop", "net"}
        What becomes of rows with a negative target, in series that can have none. ``"keep"``: they are values
        like others. ``"drop"``: they are left out. ``"net"``: they are taken from the other rows of the same
        series and time, which are added up, down to 0; earlier steps stay as they were.
    query, table, time_format, time_zone, encoding, sheet, chunk_rows
        As for :func:`foretell.read_events`.
    start, as_of : date, datetime, str or int, optional
        First and last observed time, both inclusive; a day, month or year is meant whole. Of what comes
        after ``as_of`` only future covariates are read.
    ids : collection, optional
        Read these series only.
    exclude : collection, optional
        Leave out these series.
    strays : {"keep", "missing"}
        What becomes of a target that is more than 1,000 times as large as all others of its series: it is
        said, and kept or missing.

    Returns
    -------
    Panel
        With ``report``: ``rows_read`` = ``rows`` + what ``left_out`` counts. A series begins with its first
        and ends with its last number.

    Raises
    ------
    DataError
        Times are off the grid that the series share, rows contradict each other, or a static covariate
        has several values within a series.
    SourceError, ColumnError, EmptyLogError, ParameterError
        As for :func:`foretell.read_events`.

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
        id,
        time,
        as_names(target, "target"),
        as_names(past, "past"),
        as_names(future, "future"),
        as_names(static, "static"),
        as_names(categorical, "categorical"),
    )
    options = SeriesOptions(
        freq=freq,
        closed=closed,
        duplicates=duplicates,
        refunds=refunds,
        time_format=time_format,
        time_zone=time_zone,
        start=start,
        as_of=as_of,
        ids=ids,
        exclude=exclude,
        strays=strays,
        encoding=encoding,
        sheet=sheet,
        chunk_rows=chunk_rows,
        reads_ahead=bool(columns.future),
    )
    panel = assemble_panel(read_rows(source, columns, options, query=query, table=table), columns, options)
    JOURNAL.info("%r: %s", panel, panel.report)
    return panel
