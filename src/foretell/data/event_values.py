"""The amounts of visits: numbers, rows that stand twice, refunds, one row for each visit."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from foretell.core import BoolArray, FloatArray
from foretell.data.amounts import Numbers
from foretell.data.log import Merge, RefundRule, RepeatRule, first_of_period, period_of, summed
from foretell.data.refunds import Owed, Refunds, net
from foretell.data.refunds import Rows as Amounts
from foretell.data.report import Tally
from foretell.data.rows import GROUP, ID, ROW, TIME, EventColumns, EventOptions, Rows
from foretell.data.strays import without_stray_values
from foretell.errors import DataError

_MEND: Final = "; expected numbers (a place or a kind of event goes to group=)"
_SURE: Final = 30  # rows, below which nothing is said of their signs


def with_marks(
    frame: pl.DataFrame, columns: EventColumns, options: EventOptions, tally: Tally, *, decimal_comma: bool
) -> pl.DataFrame:
    """Return the rows with marks as finite numbers, null where there is none."""
    read = Numbers(frame[ROW], tally, _MEND, "missing", decimal_comma=decimal_comma)
    for role in columns.value_roles():
        raw, name = frame[role], columns.by_role()[role]
        values, unread = read.given(raw, name, "mark")
        tally.note(f"without {name!r}, missing", values.null_count() - unread)
        values = read.finite(values, raw, name)
        values = without_stray_values(values, name, frame[ROW], tally, missing=options.strays == "missing")
        frame = frame.with_columns(values.alias(role))
    return frame


def distinct(
    frame: pl.DataFrame, rows: Rows, columns: EventColumns, rule: RepeatRule, tally: Tally
) -> pl.DataFrame:
    """Return rows in order, of which none is identical to another, unless all are kept.

    Rows are identical where all columns of the source are, not only those that were asked for.
    """
    same = _at_once(frame)
    if rule == "keep" or not same.any():
        return frame
    marks = columns.value_roles()
    keys = [ID, TIME, *marks, *([] if columns.group is None else [GROUP])]
    alike = frame.filter(pl.Series(same)).filter(pl.struct(keys).is_duplicated())
    if len(alike) and rows.fingerprints is not None:
        prints = rows.fingerprints()
        if len(prints) != tally.rows:  # of a file that is broken where nobody asked, nothing is certain
            return frame
        keys.append("fingerprint")
        prints = prints.gather(alike[ROW] - 1).alias("fingerprint")
        alike = alike.with_columns(prints).filter(pl.struct(keys).is_duplicated())
    if alike.is_empty():
        return frame
    alike = alike.with_columns(
        pl.struct(keys).is_first_distinct().alias("first"), pl.len().over(keys).alias("rows")
    )
    again = alike.filter(~pl.col("first"))
    told = "counted once" if rule == "drop" else "added up"
    tally.leave_out(
        f"identical to another row, {told}", len(again), "row " + again[ROW].sort().head(3).cast(pl.String)
    )
    frame = frame.filter(~pl.col(ROW).is_in(again[ROW].implode()))
    if rule == "drop" or not marks:
        return frame
    first = alike.filter("first").select(ROW, "rows")
    times = frame.select(ROW).join(first, on=ROW, how="left", maintain_order="left")["rows"].fill_null(1)
    return frame.with_columns(pl.col(marks) * times)


def _at_once(frame: pl.DataFrame) -> BoolArray:
    """Tell which rows, in order, are of the same customer and time as the one before or after."""
    owner, times = frame[ID].to_numpy(), frame[TIME].to_numpy()
    same = np.zeros(len(owner) + 1, dtype=bool)
    same[1:-1] = (owner[1:] == owner[:-1]) & (times[1:] == times[:-1])
    return same[1:] | same[:-1]


def without_refunds(
    frame: pl.DataFrame, columns: EventColumns, rule: RefundRule, tally: Tally
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the visits, and the refunds that are to be netted: rows with a negative mark."""
    roles, names = columns.value_roles(), columns.by_role()
    below = {role: (frame[role] < 0).fill_null(value=False) for role in roles}
    if not any(mask.any() for mask in below.values()):
        return frame, frame.clear()
    negative = pl.select(pl.any_horizontal(*below.values())).to_series()
    shown = pl.select(
        pl.coalesce(pl.when(mask).then(frame[role]) for role, mask in below.items())
    ).to_series()
    if rule == "keep":
        for role, mask in below.items():
            tally.adjust(f"refunds (a negative {names[role]!r}), visits without it", mask, shown, frame[ROW])
        return frame.with_columns(frame[role].set(mask, None) for role, mask in below.items()), frame.clear()
    if len(frame) >= _SURE and 2 * int(negative.sum()) > len(frame):
        most = max(below, key=lambda role: int(below[role].sum()))
        raise DataError(
            f"{int(negative.sum()):,} of {len(frame):,} rows of {tally.origin} have a negative mark, mostly "
            f"{names[most]!r}: they would be refunds, and no visits; turn the sign of what is paid, leave "
            "out marks that are below zero by themselves, or take such rows for visits by refunds='keep'"
        )
    told = "left out" if rule == "drop" else "netted with what their customers bought before"
    returned = frame.filter(negative) if rule == "net" else frame.clear()
    return tally.drop(frame, negative, f"refunds, no visits: {told}", shown, frame[ROW]), returned


def merged(
    frame: pl.DataFrame, ids: pl.Series, columns: EventColumns, merge: Merge | None, tally: Tally
) -> pl.DataFrame:
    """Return one row per customer and period: the first one's time and group, the sum of the marks."""
    owner, moments = frame[ID].to_numpy(), frame[TIME].to_numpy()
    first = first_of_period(owner, moments, merge)
    if first.all():
        return frame
    heads, later = np.flatnonzero(first), np.flatnonzero(~first)
    examples = (
        f"{ids[int(owner[k])]} on {np.datetime64(int(moments[k]), 'us').item():%Y-%m-%d}" for k in later[:3]
    )
    tally.leave_out("merged", len(later), examples)
    roles = columns.value_roles()
    sums = summed(marks_of(frame, columns), heads)
    return frame.filter(pl.Series(first)).with_columns(
        pl.Series(role, sums[:, k]) for k, role in enumerate(roles)
    )


def marks_of(frame: pl.DataFrame, columns: EventColumns) -> FloatArray:
    """Return the marks as numbers, NaN where missing, shape (n_rows, n_marks)."""
    roles = columns.value_roles()
    return np.column_stack([np.zeros((len(frame), 0)), *(frame[role].to_numpy() for role in roles)])


def netted(
    frame: pl.DataFrame,
    returned: pl.DataFrame,
    ids: pl.Series,
    columns: EventColumns,
    options: EventOptions,
    as_of: int,
    tally: Tally,
) -> tuple[FloatArray, Refunds, Owed]:
    """Return the marks of visits, less what was returned by the as-of tick, what they were, what is owed."""
    marks = marks_of(frame, columns)
    if returned.is_empty():
        return marks, Refunds.none(), Owed.none()

    def amounts(rows: pl.DataFrame, values: FloatArray) -> Amounts:
        moments = rows[TIME].to_numpy()
        return Amounts(rows[ID].to_numpy().astype(np.int64), period_of(moments, options.merge_rule), values)

    ticks = np.minimum(options.clock.last_step(returned[TIME].to_numpy()), as_of)
    less, refunds, left = net(amounts(frame, marks), amounts(returned, marks_of(returned, columns)), ticks)
    short = (left < 0).any(axis=1)
    beyond = returned.filter(pl.Series(short))
    shown = "row " + beyond[ROW].head(3).cast(pl.String)
    tally.note("refunds of more than was bought before, netted as far as it goes", beyond.height, shown)
    return less, refunds, Owed(ids.gather(beyond[ID]), ticks[short], left[short])
