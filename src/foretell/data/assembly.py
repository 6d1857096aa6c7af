"""From rows to an event log: every row is kept, merged, or left out for a counted reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.data.log import UNIT_SECONDS, EventLog, IntArray, Merge, ReadReport
from foretell.data.options import ReadOptions
from foretell.data.rows import GROUP, ID, TIME, Columns, Rows
from foretell.data.times import TimeReader
from foretell.errors import ColumnError, DataError, EmptyLogError, ParameterError

_KEY: Final = "key"
_DAY_US: Final = UNIT_SECONDS["day"] * 1_000_000
# Text that whole numbers are written as: with leading zeros it is text, or 007 and 7 would be one customer.
_WHOLE_NUMBER: Final = r"^(?:0|-?[1-9]\d{0,17})$"


class _Tally:
    """Rows left out or adjusted, and why."""

    def __init__(self, origin: str, rows: int) -> None:
        self.origin, self.rows = origin, rows
        self.left_out: dict[str, int] = {}
        self.adjusted: dict[str, int] = {}
        self.examples: dict[str, tuple[str, ...]] = {}

    def leave_out(self, reason: str, rows: int, examples: Iterable[object]) -> None:
        if rows:
            self.left_out[reason] = rows
            self.examples[reason] = tuple(map(str, examples))

    def drop(self, frame: pl.DataFrame, mask: pl.Series, reason: str, shown: pl.Series) -> pl.DataFrame:
        """Return the frame without the rows of the mask; ``shown`` holds what names each row."""
        if not mask.any():
            return frame
        examples = shown.filter(mask).head(1_000).unique(maintain_order=True)
        self.leave_out(reason, int(mask.sum()), examples.head(3))
        left = frame.filter(~mask)
        if left.is_empty():
            raise self.nothing_left()
        return left

    def adjust(self, reason: str, mask: pl.Series, shown: pl.Series) -> None:
        if mask.any():
            self.adjusted[reason] = int(mask.sum())
            self.examples[reason] = tuple(str(value) for value in shown.filter(mask).head(3))

    def report(self, events: int) -> ReadReport:
        return ReadReport(self.rows, events, self.left_out, self.examples, self.adjusted)

    def nothing_left(self) -> EmptyLogError:
        reasons = "; ".join(line.strip() for line in str(self.report(0)).splitlines()[1:])
        return EmptyLogError(f"none of the {self.rows:,} rows of {self.origin} can be used: {reasons}")


def assemble(rows: Rows, columns: Columns, options: ReadOptions) -> EventLog:
    """Build the validated log out of rows; see :func:`foretell.read_events` for the rules."""
    tally = _Tally(rows.origin, rows.frame.height)
    if not tally.rows:
        narrowed = any(limit is not None for limit in (options.ids, options.start, options.as_of))
        within = " within what start=, as_of= and ids= ask for" if narrowed else ""
        raise EmptyLogError(f"{rows.origin} holds no rows{within}; expected one row per event")
    frame = _with_ids(rows, columns, options, tally)
    frame = _with_times(frame, columns, options, tally)
    frame = _with_marks(frame, columns, tally)
    ids, codes = _encode(frame[ID], untyped=rows.untyped)
    frame = _in_order(frame.with_columns(codes.alias(ID)))
    frame = _merged(frame, ids, columns, options.merge_rule, tally)
    frame = _frequent(frame, ids, options.min_events, tally)
    owner, moments = frame[ID].to_numpy(), frame[TIME].to_numpy()
    counts = np.bincount(owner, minlength=len(ids))
    groups, group_names = None, None
    if columns.group is not None:
        group_names, codes = _encode(frame[GROUP], untyped=rows.untyped)
        groups = codes.to_numpy().astype(np.int64)
    times = moments // options.unit_us
    start, as_of = _observed(times, moments, options, tally)
    if np.count_nonzero(counts) == 1 and options.ids is None:
        raise DataError(
            f"one customer only is left of {rows.origin} ({ids[int(owner[0])]!r}): what a population has in "
            f"common cannot be learned from one; is {columns.id!r} the right id column? To read one customer "
            "on purpose, name it by ids="
        )
    return EventLog(
        ids=ids.filter(pl.Series(counts > 0)),
        offsets=np.concatenate([[0], np.cumsum(counts[counts > 0])]).astype(np.int64),
        times=times,
        marks=np.column_stack([np.zeros((len(times), 0)), *(frame[role] for role in columns.mark_roles())]),
        mark_names=columns.marks,
        groups=groups,
        group_names=group_names,
        unit=options.unit,
        merge=options.merge_rule,
        start=start,
        as_of=as_of,
        report=tally.report(len(times)),
    )


def _with_ids(rows: Rows, columns: Columns, options: ReadOptions, tally: _Tally) -> pl.DataFrame:
    """Return the rows that have an id, and one that was asked for."""
    frame, ids = rows.frame, rows.frame[ID]
    if ids.dtype.is_nested() or ids.dtype == pl.Object:
        raise ColumnError(f"the id column {columns.id!r} is of type {ids.dtype}; expected numbers or text")
    missing = ids.is_null()
    if ids.dtype.is_float():
        missing |= ids.is_nan().fill_null(value=False)
    if missing.any():
        numbers = pl.int_range(1, len(ids) + 1, eager=True)
        frame = tally.drop(frame, missing, "without an id", "row " + numbers.cast(pl.String))
    if options.ids is None:
        return frame
    others = ~frame[ID].is_in(_as_ids(options.ids, frame[ID].dtype, columns.id).to_list())
    return tally.drop(frame, others, "of customers that were not asked for", frame[ID])


def _as_ids(ids: Collection[Any], dtype: pl.DataType, column: str) -> pl.Series:
    """Return the asked-for ids in the type of the id column."""
    as_text = isinstance(dtype, (pl.String, pl.Categorical, pl.Enum)) or len({*map(type, ids)}) > 1
    try:
        values = pl.Series([str(value) for value in ids] if as_text else list(ids))
        return values if isinstance(dtype, (pl.Categorical, pl.Enum)) else values.cast(dtype)
    except (pl.exceptions.PolarsError, TypeError) as error:
        raise ParameterError(
            f"ids holds values that cannot be ids of column {column!r}, which is of type {dtype}: "
            f"{list(ids)[:3]}"
        ) from error


def _with_times(frame: pl.DataFrame, columns: Columns, options: ReadOptions, tally: _Tally) -> pl.DataFrame:
    """Return the rows that fall into the observed period, with times in microseconds."""
    raw = frame[TIME]
    wall = TimeReader(columns.time, options.time_format, options.time_zone).read(raw)
    frame = frame.with_columns(wall.cast(pl.Int64).alias(TIME))
    frame = tally.drop(frame, wall.is_null(), "with an unreadable time", raw)
    if options.first is not None:
        early = frame[TIME] < options.first * options.unit_us
        frame = tally.drop(frame, early, "before the start", frame[TIME].cast(pl.Datetime("us")))
    if options.last is not None:
        late = frame[TIME] >= (options.last + 1) * options.unit_us
        frame = tally.drop(frame, late, "after the as-of date", frame[TIME].cast(pl.Datetime("us")))
    return frame


def _with_marks(frame: pl.DataFrame, columns: Columns, tally: _Tally) -> pl.DataFrame:
    """Return the rows with finite, non-negative marks: what is missing or negative counts as 0."""
    for role in columns.mark_roles():
        raw, name = frame[role], columns.by_role()[role]
        if raw.dtype.is_nested() or raw.dtype.is_temporal() or raw.dtype == pl.Object:
            raise ColumnError(f"the mark column {name!r} is of type {raw.dtype}; expected numbers")
        text = raw.str.strip_chars() if raw.dtype == pl.String else raw
        values = text.cast(pl.Float64, strict=False)
        given = len(raw) - raw.null_count()
        if 2 * (len(values) - values.null_count()) < given:
            bad = raw.filter(values.is_null() & raw.is_not_null()).head(3).to_list()
            raise ColumnError(
                f"the mark column {name!r} holds text, such as {', '.join(map(repr, bad))}; expected numbers "
                "(a place or a kind of event goes to group=)"
            )
        missing = ~values.is_finite().fill_null(value=False)
        tally.adjust(f"with no number in {name!r}, counted as 0", missing, raw)
        negative = (values < 0).fill_null(value=False) & ~missing
        tally.adjust(f"with a negative {name!r}, counted as 0", negative, raw)
        if missing.any() or negative.any():
            values = pl.select(pl.when(missing | negative).then(0.0).otherwise(values)).to_series()
        frame = frame.with_columns(values.alias(role))
    return frame


def _encode(values: pl.Series, *, untyped: bool) -> tuple[pl.Series, pl.Series]:
    """Return the sorted distinct values, and for each row its place among them."""
    distinct = values.unique()
    names = distinct
    if untyped and distinct.drop_nulls().str.contains(_WHOLE_NUMBER).all():
        names = distinct.cast(pl.Int64)
    table = pl.DataFrame({"value": distinct, "name": names}).sort("name", nulls_last=True)
    table = table.with_row_index("code")
    codes = values.to_frame("value").join(
        table.select("value", "code"), on="value", how="left", nulls_equal=True, maintain_order="left"
    )["code"]
    return table["name"], codes


def _in_order(frame: pl.DataFrame) -> pl.DataFrame:
    """Sort by customer and time; of two events at the same time, the source's first stays the first."""
    times = frame[TIME]
    step = 1_000_000 if (times % 1_000_000 == 0).all() else 1
    spread = (times - int(times.to_numpy().min())) // step
    width = int(spread.to_numpy().max()) + 1
    if (int(frame[ID].to_numpy().max()) + 1) * width >= 2**63:
        return frame.sort(ID, TIME, maintain_order=True)
    # One number to sort by takes a quarter of the time that two columns take.
    key = frame[ID].cast(pl.Int64) * width + spread
    return frame.with_columns(key.alias(_KEY)).sort(_KEY, maintain_order=True).drop(_KEY)


def _merged(
    frame: pl.DataFrame, ids: pl.Series, columns: Columns, merge: Merge | None, tally: _Tally
) -> pl.DataFrame:
    """Return one row per customer and period: the first one's time and group, the sum of the marks."""
    owner, moments = frame[ID].to_numpy(), frame[TIME].to_numpy()
    first = _first_of_period(owner, moments, merge)
    if first.all():
        return frame
    heads, later = np.flatnonzero(first), np.flatnonzero(~first)
    examples = (
        f"{ids[int(owner[k])]} on {np.datetime64(int(moments[k]), 'us').item():%Y-%m-%d}" for k in later[:3]
    )
    tally.leave_out("merged", len(later), examples)
    sums = [pl.Series(role, np.add.reduceat(frame[role].to_numpy(), heads)) for role in columns.mark_roles()]
    return frame.filter(pl.Series(first)).with_columns(sums)


def _first_of_period(owner: IntArray, moments: IntArray, merge: Merge | None) -> npt.NDArray[np.bool_]:
    """Tell which events are the first of their customer in a period of the merge rule."""
    first = np.ones(len(owner), dtype=bool)
    if merge is not None:
        # 1970-01-01 was a Thursday: weeks run from Monday to Sunday.
        shift = 3 * _DAY_US if merge == "week" else 0
        period = (moments + shift) // (UNIT_SECONDS[merge] * 1_000_000)
        first[1:] = (owner[1:] != owner[:-1]) | (period[1:] != period[:-1])
    return first


def _frequent(frame: pl.DataFrame, ids: pl.Series, min_events: int, tally: _Tally) -> pl.DataFrame:
    """Return the events of customers with at least ``min_events``."""
    owner = frame[ID].to_numpy()
    rare = pl.Series((np.bincount(owner, minlength=len(ids)) < min_events)[owner])
    if not rare.any():
        return frame
    reason = f"of customers with fewer than {min_events} events"
    return tally.drop(frame, rare, reason, ids.gather(frame[ID]))


def _observed(times: IntArray, moments: IntArray, options: ReadOptions, tally: _Tally) -> tuple[int, int]:
    """Return the first and the last observed tick; refuse a log that covers only one."""
    start = int(times.min()) if options.first is None else options.first
    as_of = int(times.max()) if options.last is None else options.last
    # A day's own events are asked for on purpose where both ends say so: they continue an older log.
    on_purpose = options.ids is not None or (options.first is not None and options.last is not None)
    if times.min() == times.max() == as_of and not on_purpose:
        finer = options.unit == "day" and moments.min() != moments.max()
        when = np.datetime64(int(times[0]), "D" if options.unit == "day" else "h")
        raise DataError(
            f"all {len(times):,} events of {tally.origin} fall on the same {options.unit}, {when}: there is "
            "no gap to learn from; "
            + ("count hours (unit='hour'), or " if finer else "")
            + "name the column that holds the time of each event, or a later as_of"
        )
    return start, as_of
