"""What DuckDB reads of the files that foretell reads: who came on which day and paid what."""

from __future__ import annotations

import collections
import datetime as dt
import functools
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import polars as pl
from benchmarks.torture.tables import ID, TIME, VALUE, Table, Written

import foretell as ft

_NULLS = ["", "NULL", "null", "NaN", "nan", "\\N"]
# Digits that are parted by _ are numbers of SQL alone.
# Rows whose time has an offset count by their own clock here, and by that of Greenwich there; times that are
# damaged, such as 00:0 :00, are times there alone.
_PLAIN = r"\s*\d{4}-\d{1,2}-\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?\s*"
_ROWS = f"""
    SELECT CASE WHEN typeof("{ID}") IN ('DOUBLE', 'FLOAT') THEN nullif("{ID}"::VARCHAR, 'nan')
        ELSE "{ID}"::VARCHAR END,
        CASE WHEN regexp_full_match("{TIME}"::VARCHAR, '{_PLAIN}')
        THEN TRY_CAST("{TIME}"::VARCHAR AS TIMESTAMP) END,
        CASE WHEN NOT contains("{VALUE}"::VARCHAR, '_') THEN TRY_CAST("{VALUE}" AS DOUBLE) END,
        "{VALUE}"::VARCHAR
    FROM """  # names of this module


class Row(NamedTuple):
    """A row, without a time where DuckDB reads none; ``text`` is how the value is written."""

    who: str
    when: dt.datetime | None
    value: float | None
    text: str | None


@functools.cache
def _connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    return connection


def rows_of(written: Written, table: Table, *, harmed: bool, place: Path) -> list[Row] | None:
    """Return the rows that have an id; None where DuckDB cannot read the file."""
    packed = written.text is not None and written.source != written.text
    if harmed and (packed or written.kind == "sheet"):
        return None
    try:
        found = _connection().execute(_ROWS + _source(written, table, place, harmed=harmed)).fetchall()
    except (duckdb.Error, UnicodeError):
        return None
    rows = [Row(_key(who, written.kind), *rest) for who, *rest in found if who is not None and who.strip()]
    return (
        [row._replace(value=None) if _doubtful(row.text) else row for row in rows] if _mixed(rows) else rows
    )


def _mixed(rows: list[Row]) -> bool:
    """Tell whether a column has values as people write them: they say how others are meant."""
    return any(row.value is None and row.text not in (None, "") for row in rows)


def _doubtful(text: str | None) -> bool:
    return text is not None and re.fullmatch(r"[+-]?[1-9]\d{0,2}[.,]\d{3}", text.strip()) is not None


def _source(written: Written, table: Table, place: Path, *, harmed: bool) -> str:
    if written.kind in ("frame", "sheet"):
        text = pl.DataFrame(table.rows, schema=dict.fromkeys(table.names, pl.String), orient="row")
        _connection().register("rows", written.source if written.kind == "frame" else text)
        return "rows"
    if written.kind == "parquet":
        return f"read_parquet('{written.source}')"
    content = (written.text or Path(str(written.source))).read_bytes().decode(written.encoding)
    if harmed and re.search(r"\r(?!\n)", content):
        raise UnicodeError("a carriage return alone ends a line there, and is a character here")
    plain = place / f"oracle.{written.kind}"
    plain.write_text(content, encoding="utf-8", newline="")
    if written.kind == "json":
        columns = ", ".join(f"'{name}': 'VARCHAR'" for name in (ID, TIME, VALUE))
        return f"read_json('{plain}', format='newline_delimited', columns={{{columns}}})"
    nulls = ", ".join(f"'{null}'" for null in _NULLS)
    return (
        f"read_csv('{plain}', all_varchar=true, header=true, delim='{written.delimiter}', quote='\"', "
        f"escape='\"', nullstr=[{nulls}], max_line_size=10000000, comment='')"
    )


def _key(who: str, kind: str) -> str:
    """Return an id by which both sides know a customer: 7 and 7.0 are one where ids are numbers."""
    if kind == "csv":
        return who
    try:
        return repr(float(who) + 0.0)  # of two zeros one
    except ValueError:
        return who


def difference(theirs: list[Row], ours: list[Row], *, rtol: float) -> str:
    """Return in what rows differ, in words; nothing where they do not."""
    wanted, known = _by_day(theirs), _by_day(ours)
    for key, values in wanted.items():
        if len(values) > len(known[key]):
            return f"{key} stands {len(values)} times there, {len(known[key])} times here"
    unread = sum(row.when is None for row in theirs)
    surplus = len(ours) - sum(map(len, wanted.values()))
    if surplus > unread:
        return f"{surplus} rows more here, and there only {unread} without a time"
    if _mixed(theirs):  # numbers as people write them are read here alone
        return ""
    for key, values in wanted.items():
        there, here = np.sort(values).tolist(), np.sort(known[key]).tolist()
        if len(there) == len(here) and not np.allclose(there, here, rtol=rtol, atol=0.0, equal_nan=True):
            return f"the values of {key} are {there[:5]} there, {here[:5]} here"
    return ""


def _by_day(rows: list[Row]) -> dict[Any, list[float]]:
    """Return the values of each customer or series and day, NaN where there is no number."""
    found = collections.defaultdict[Any, list[float]](list)
    for row in rows:
        if row.when is not None and 1900 <= row.when.year < 2200:
            usable = row.value is not None and math.isfinite(row.value)
            found[row.who, row.when.date()].append(row.value if usable else math.nan)
    return found


def as_marks(rows: list[Row]) -> list[Row]:
    """Return rows whose values are marks: of a refund that is kept as a visit there is none."""
    return [row._replace(value=math.nan) if row.value is not None and row.value < 0 else row for row in rows]


def visits_of(log: ft.EventLog, kind: str) -> list[Row]:
    """Return the rows of a log."""
    owners = [_key(str(who), kind) for who, n in zip(log.ids, log.counts, strict=True) for _ in range(n)]
    moments = log.dates(log.times).astype("datetime64[us]").tolist()
    return [Row(*row, None) for row in zip(owners, moments, log.marks[:, 0].tolist(), strict=True)]


def last_of_each(rows: list[Row]) -> list[Row]:
    """Return the last number of each series and time, and what cannot be read as rows without a time."""
    unread = [row._replace(when=None) for row in rows if row.when is None or (row.value is None and row.text)]
    usable = [row for row in rows if row.when and row.value is not None and math.isfinite(row.value)]
    return unread + list({(row.who, row.when): row for row in usable}.values())


def steps_of(panel: ft.Panel, kind: str) -> list[Row]:
    """Return the steps of a panel that have a number."""
    target = panel.targets[0]
    frame = panel.to_frame().drop_nulls(target)
    rows = frame.select("unique_id", pl.col("ds").cast(pl.Datetime("us")), target).iter_rows()
    return [Row(_key(str(who), kind), when, value, None) for who, when, value in rows]
