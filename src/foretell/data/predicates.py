"""Which rows a database need not deliver: ids and the observed period as conditions of the SQL.

A condition may let too much through, since every row is checked again after reading, but never too little:
the period is widened by two days, which is more than any zone shifts, and rows whose time is missing, or is
text of another shape than the sampled, are always delivered, so that the report can count them.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

import polars as pl
import sqlalchemy as sa

from foretell.data.options import ReadOptions
from foretell.data.rows import Columns
from foretell.data.times import EPOCH_UNITS, number_kind
from foretell.errors import ColumnError, ParameterError

_SAMPLE: Final = 100
# Databases limit the parameters of a statement: SQLite to 32,766, older ones to 999.
_IDS_AT_ONCE: Final = 900
_SLACK: Final = dt.timedelta(days=2)
_ISO_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_Write = Callable[[dt.datetime], Any]


def conditions(
    connection: sa.Connection, rows: sa.FromClause, columns: Columns, options: ReadOptions
) -> Iterator[sa.ColumnElement[bool]]:
    """Yield the conditions under which to read, one after the other; together they cover each row once."""
    if options.ids is None and options.begin is None and options.delivered_end is None:
        yield sa.true()
        return
    period = _period(rows.c[columns.time], _sample(connection, rows.c[columns.time]), options)
    if options.ids is None or columns.id is None:
        yield period
        return
    id_column = rows.c[columns.id]
    ids = _typed(list(options.ids), _sample(connection, id_column), columns.id)
    for k in range(0, len(ids), _IDS_AT_ONCE):
        yield sa.and_(period, id_column.in_(ids[k : k + _IDS_AT_ONCE]))


def _sample(connection: sa.Connection, column: sa.ColumnElement[Any]) -> list[Any]:
    """Return a few values, to see of which type they are."""
    present = sa.select(column).where(column.is_not(None)).limit(_SAMPLE)
    return list(connection.execute(present).scalars())


def _typed(ids: list[Any], sample: list[Any], column: str) -> list[Any]:
    """Return ids, each once, in the type of the column: strict databases do not compare text with numbers."""
    kinds = {type(value) for value in sample}
    if len(kinds) != 1:
        return list(dict.fromkeys(ids))
    kind = kinds.pop()
    try:
        return list(dict.fromkeys(value if isinstance(value, kind) else kind(value) for value in ids))
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ParameterError(
            f"ids holds values that cannot be ids of column {column!r}, which holds "
            f"{kind.__name__}: {ids[:3]}"
        ) from error


def _period(column: sa.ColumnElement[Any], sample: list[Any], options: ReadOptions) -> sa.ColumnElement[bool]:
    """Return the condition for the observed period, as far as the type of the column allows one."""
    kinds = {type(value) for value in sample}
    if len(kinds) != 1:
        return sa.true()
    kind = kinds.pop()
    strange: list[sa.ColumnElement[bool]] = [column.is_(None)]
    if options.whole_numbers:
        return _numbered(column, options, strange) if kind in (int, float, Decimal) else sa.true()
    write: _Write
    if kind is dt.datetime:
        aware = all(value.tzinfo is not None for value in sample)
        write = (lambda when: when) if aware else (lambda when: when.replace(tzinfo=None))
    elif kind is dt.date:
        write = dt.datetime.date
    elif kind is str and options.time_format is None and all(map(_ISO_DATE.match, sample)):
        write = _iso_date
        strange.append(column.not_like("____-__-__%"))
    elif kind in (int, float, Decimal) and (number := _number(sample, options)) is not None:
        low, high, write = number
        strange += [column < low, column > high]
    else:
        return sa.true()
    within = []
    if options.begin is not None:
        within.append(column >= write(_day(options.begin) - _SLACK))
    if options.delivered_end is not None:
        within.append(column < write(_day(options.delivered_end - 1) + _SLACK))
    return sa.or_(sa.and_(*within), *strange) if within else sa.true()


def _numbered(
    column: sa.ColumnElement[Any], options: ReadOptions, strange: list[sa.ColumnElement[bool]]
) -> sa.ColumnElement[bool]:
    """Return the condition for whole numbers that mean no date."""
    within = []
    if options.begin is not None:
        within.append(column >= options.begin)
    if options.delivered_end is not None:
        within.append(column < options.delivered_end)
    return sa.or_(sa.and_(*within), *strange) if within else sa.true()


def _day(microseconds: int) -> dt.datetime:
    """Return the day of a moment, kept within the years that times can be of."""
    first, last = _EPOCH.replace(year=1900), _EPOCH.replace(year=2200)
    days = min(max(microseconds // 86_400_000_000, (first - _EPOCH).days), (last - _EPOCH).days)
    return _EPOCH + dt.timedelta(days=days)


def _iso_date(when: dt.datetime) -> str:
    return when.date().isoformat()


def _number(sample: list[Any], options: ReadOptions) -> tuple[int, int, _Write] | None:
    """Return the bounds of numbers that are times, and how they write one; None where that is not certain."""
    numbers = pl.Series([float(value) for value in sample])
    try:
        ends = [number_kind(numbers.sort()[k : k + 1], options.time_format, "") for k in (0, len(sample) - 1)]
    except ColumnError:
        return None
    low, high, kind = ends[0]
    if ends[0] != ends[1]:
        return None
    if kind in EPOCH_UNITS:
        return low, high, lambda when: int((when - _EPOCH).total_seconds()) * EPOCH_UNITS[kind]
    if kind in ("%Y%m%d", "%Y%m%d%H%M%S"):
        return low, high, lambda when: int(when.strftime(kind))
    return None
