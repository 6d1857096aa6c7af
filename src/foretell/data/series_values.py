"""The columns of regular series: numbers, categories, times, one row for each series and time."""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np
import polars as pl

from foretell.core.grid import Frequency
from foretell.data.amounts import Numbers
from foretell.data.covariate_values import covariate
from foretell.data.log import RefundRule
from foretell.data.report import Tally
from foretell.data.rows import (
    ID,
    ROW,
    TIME,
    Duplicates,
    SeriesColumns,
    SeriesOptions,
    in_order,
    with_times,
    within,
)
from foretell.data.strays import FACTOR, REASON, SURE, tell_stray
from foretell.data.times import number_kind, with_days, within_reach
from foretell.errors import ColumnError, DataError, ParameterError

_MEND: Final = (
    " ({bad:,} of {given:,} rows); expected numbers: mend them, or leave them empty where there is no number"
)


def with_values(
    frame: pl.DataFrame, columns: SeriesColumns, tally: Tally, *, untyped: bool, decimal_comma: bool
) -> pl.DataFrame:
    """Return the rows with targets and numeric covariates as numbers, categories as text; null is missing."""
    read = Numbers(frame[ROW], tally, _MEND, "kept as missing", decimal_comma=decimal_comma)
    values = [read(frame[role], name, "target") for role, name in columns.of_kind("target").items()]
    for kind in ("past", "future", "static"):
        for role, name in columns.of_kind(kind).items():
            forced = name in columns.categorical
            values.append(covariate(frame[role], name, kind, read, forced=forced, untyped=untyped))
    return frame.drop(ROW).with_columns(values)


def with_steps(
    frame: pl.DataFrame, columns: SeriesColumns, options: SeriesOptions, tally: Tally
) -> tuple[pl.DataFrame, bool]:
    """Return the rows with a readable time from the start on, and whether times are whole numbers."""
    if options.time_format is None and not options.whole_numbers:
        step = None if options.freq is None else Frequency.parse(options.freq)
        frame = frame.with_columns(with_days(frame[TIME], columns.time, step).alias(TIME))
    raw = within_reach(frame[TIME])
    numbers = _whole_numbers(raw, columns.time, options)
    if numbers is None:
        if options.whole_numbers:
            raise ParameterError(
                f"freq={options.freq!r}, start={options.start!r} and as_of={options.as_of!r} speak of whole "
                f"numbers, but the time column {columns.time!r} holds {raw.dtype}, such as "
                f"{raw.drop_nulls().head(1).to_list()}; expected dates, and a step such as '1d'"
            )
        try:
            return with_times(frame, columns, options, tally), False
        except ColumnError as error:
            if not raw.dtype.is_numeric() or options.freq is None:
                raise
            mend = f"; or give a whole number as freq= instead of {options.freq!r}, where times mean no dates"
            raise ColumnError(f"{error}{mend}") from error
    if not options.whole_numbers and (options.start is not None or options.as_of is not None):
        raise ParameterError(
            f"start={options.start!r} and as_of={options.as_of!r} name dates, but the time column "
            f"{columns.time!r} holds whole numbers; name whole numbers"
        )
    frame = frame.with_columns(numbers.alias(TIME))
    frame = tally.drop(frame, numbers.is_null(), "with an unreadable time", raw)
    return within(frame, options.begin, None, tally, dates=False), True


def _whole_numbers(raw: pl.Series, column: str, options: SeriesOptions) -> pl.Series | None:
    """Return times that are whole numbers and mean no date; None where they are something else."""
    if isinstance(options.freq, str) or options.time_format is not None:
        return None
    some = raw.drop_nulls().head(1_000)
    if not (raw.dtype.is_numeric() or raw.dtype == pl.String) or not len(some):
        return None
    broken = raw.dtype.is_float() and not (raw.drop_nulls().drop_nans() % 1 == 0).all()
    if broken or 2 * some.cast(pl.Int64, strict=False).null_count() > len(some):
        return None
    numbers = raw.cast(pl.Int64, strict=False)
    if options.whole_numbers:
        return numbers
    try:
        number_kind(numbers, None, column)
    except ColumnError:
        return numbers
    return None


def observed(
    frame: pl.DataFrame, columns: SeriesColumns, options: SeriesOptions, tally: Tally, *, dates: bool
) -> pl.DataFrame:
    """Return what was known at the as-of date: nothing later, but for what is known ahead."""
    if options.end is None:
        return frame
    if not columns.future:
        return within(frame, None, options.end, tally, dates=dates)
    late = frame[TIME] >= options.end
    hidden = [*columns.of_kind("target"), *columns.of_kind("past")]
    given = pl.select(pl.any_horizontal(frame[role].is_not_null() for role in hidden)).to_series() & late
    shown = frame[TIME].cast(pl.Datetime("us") if dates else pl.Int64())
    tally.adjust("after the as-of date, of which only what is known ahead is used", given, shown)
    return frame.with_columns(frame[role].set(late, None) for role in hidden) if given.any() else frame


def single(
    frame: pl.DataFrame,
    columns: SeriesColumns,
    ids: pl.Series,
    rule: Duplicates,
    tally: Tally,
    *,
    dates: bool,
) -> pl.DataFrame:
    """Return one row for each series and time, of rows in order."""
    owner, times = frame[ID].to_numpy(), frame[TIME].to_numpy()
    same = np.zeros(len(owner) + 1, dtype=bool)
    same[1:-1] = (owner[1:] == owner[:-1]) & (times[1:] == times[:-1])
    if not same.any():
        return frame
    repeated = frame.filter(pl.Series(same[1:] | same[:-1]))
    if rule == "error":
        merged = repeated.unique(maintain_order=True)
        _refuse_conflicts(merged, columns, ids, dates=dates)
        reason = "the same as another row, merged"
    else:
        targets = list(columns.of_kind("target"))
        others = [role for role in columns.value_roles() if role not in targets]
        merged = repeated.group_by(ID, TIME, maintain_order=True).agg(
            *(_combined(pl.col(role), rule) for role in targets),
            *(pl.col(role).drop_nulls().last() for role in others),
        )
        reason = f"of the same series and time as another, combined by {rule!r}"
    shown = [name_row(ids, row, dates=dates) for row in merged.head(3).select(ID, TIME).iter_rows()]
    tally.leave_out(reason, repeated.height - merged.height, shown)
    alone = frame.filter(pl.Series(~(same[1:] | same[:-1])))
    return in_order(pl.concat([alone, merged.select(frame.columns)]))


def without_refunds(
    frame: pl.DataFrame,
    columns: SeriesColumns,
    ids: pl.Series,
    rule: RefundRule,
    tally: Tally,
    *,
    dates: bool,
) -> pl.DataFrame:
    """Return rows in order of which none has a negative target, unless they are kept."""
    targets = list(columns.of_kind("target"))
    below = pl.any_horizontal(frame[role] < 0 for role in targets).fill_null(value=False)
    negative = pl.select(below).to_series()
    if rule == "keep" or not negative.any():
        return frame
    named = (name_row(ids, row, dates=dates) for row in frame.filter(negative).select(ID, TIME).iter_rows())
    shown = list(itertools.islice(named, 3))
    if rule == "drop":
        tally.leave_out("refunds (a negative target), left out", int(negative.sum()), shown)
        frame = frame.filter(~negative)
        if frame.is_empty():
            raise tally.nothing_left()
        return frame
    steps = frame.filter(negative).select(ID, TIME).unique()
    touched = frame.join(steps, on=[ID, TIME], how="semi", maintain_order="left")
    others = [role for role in columns.value_roles() if role not in targets]
    netted = touched.group_by(ID, TIME, maintain_order=True).agg(
        *(_combined(pl.col(role), "sum").clip(lower_bound=0.0) for role in targets),
        *(pl.col(role).drop_nulls().last() for role in others),
    )
    tally.leave_out("refunds, and what they are taken from", touched.height - netted.height, shown)
    sums = touched.group_by(ID, TIME, maintain_order=True).agg(pl.col(role).sum() for role in targets)
    short = pl.select(pl.any_horizontal(sums[role] < 0 for role in targets)).to_series()
    tally.note("steps with more refunds than sales, taken as 0", int(short.sum()))
    rest = frame.join(steps, on=[ID, TIME], how="anti", maintain_order="left")
    return in_order(pl.concat([rest, netted.select(frame.columns)]))


def without_strays(
    frame: pl.DataFrame, columns: SeriesColumns, ids: pl.Series, tally: Tally, *, missing: bool, dates: bool
) -> pl.DataFrame:
    """Return the rows with targets that are far from all others of their series missing, or warn of them."""
    for role, name in columns.of_kind("target").items():
        size = pl.when(pl.col(role) != 0).then(pl.col(role).abs())
        by_series = frame.group_by(ID).agg(size.count().alias("given"), size.top_k(2).alias("top"))
        apart = by_series.filter(
            pl.col("given") > SURE,
            pl.col("top").list.first() > FACTOR * pl.col("top").list.get(1, null_on_oob=True),
        )
        if apart.is_empty():
            continue
        limits = frame.select(ID, role).join(
            apart.select(ID, pl.col("top").list.get(0).alias("top")), on=ID, how="left", maintain_order="left"
        )
        mask = (limits[role].abs() >= limits["top"]).fill_null(value=False)
        shown = [
            name_row(ids, row, dates=dates) for row in frame.filter(mask).select(ID, TIME).head(3).iter_rows()
        ]
        if missing:
            rows = pl.Series(shown + [""] * (int(mask.sum()) - len(shown)), dtype=pl.String)
            tally.adjust(f"with {name!r} {REASON} of their series, missing", mask.filter(mask), rows)
            frame = frame.with_columns(frame[role].set(mask, None))
        else:
            tell_stray(name, tally.origin, int(mask.sum()), shown[0])
    return frame


def _combined(values: pl.Expr, rule: Duplicates) -> pl.Expr:
    if rule == "mean":
        return values.mean()
    if rule == "sum":
        # Of nothing there is no sum: it would be 0.
        return pl.when(values.count() > 0).then(values.sum())
    return values.drop_nulls().last()


def _refuse_conflicts(rows: pl.DataFrame, columns: SeriesColumns, ids: pl.Series, *, dates: bool) -> None:
    """Raise where rows of the same series and time say different things."""
    counts = rows.group_by(ID, TIME, maintain_order=True).agg(
        pl.len().alias("rows"), pl.all().exclude(ID, TIME)
    )
    counts = counts.filter(pl.col("rows") > 1)
    if counts.is_empty():
        return
    names, examples = columns.by_role(), []
    for row in counts.head(3).iter_rows(named=True):
        differing = next(role for role in columns.value_roles() if len(set(row[role])) > 1)
        values = " and ".join(map(str, row[differing][:2]))
        examples.append(f"{name_row(ids, (row[ID], row[TIME]), dates=dates)} ({names[differing]} {values})")
    raise DataError(
        f"{counts.height:,} times come twice in a series with different values, the first: "
        f"{'; '.join(examples)}; mend the source, name the column that tells the rows apart by id=, or say "
        "by duplicates= what counts: 'mean', 'sum' or 'last' (where clocks were set back, 'mean', or "
        "time_zone='UTC')"
    )


def name_row(ids: pl.Series, row: tuple[int, int], *, dates: bool) -> str:
    """Return how a message calls a row."""
    when = str(np.datetime64(int(row[1]), "us").item()).removesuffix(" 00:00:00") if dates else str(row[1])
    return f"{ids[int(row[0])]} at {when}"
