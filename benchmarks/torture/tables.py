"""Tables as shops keep them, some cells of them odd, and the files that they are written to."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import gzip
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import xlsxwriter

ID, TIME, VALUE, OTHER = "who", "when", "paid", "note"
_EPOCH = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)

ODD = (
    *("", " ", "NULL", "null", "NaN", "nan", "\\N", "NA", "n/a", "-", "?", "None", "inf", "-inf", "1e400"),
    *("-1e-400", "0", "-0", "00", "007", "1_000", "0x10", "1e5", "+5", "٣", "½", "true", "1.234", "1,234"),
    *(
        "1.234,50",
        "€ 5,-",
        "(7)",
        "12%",
        "0001-01-01",
        "9999-12-31",
        "1899-12-31",
        "2200-01-01",
        "2024-02-30",
    ),
    *("2024-13-01", "20240229", "2024-02-29 25:00:00", "2024-02-29T23:59:60", "2024-02-29 12:00:00+14:00"),
    *("2024-02-29Z", "01/02/03", "1709164800", "99999999999999999999", "-9223372036854775808"),
    *(
        "18446744073709551615",
        "\u00e9",
        "\u200b",
        "\ufeff",
        "\U0001f600",
        "a\tb",
        'say "hi"',
        '"',
        "a,b",
        "a;b",
    ),
    *("a\nb", "a\rb", "\x00", "\x1a", "x" * 3_000, "{}", "[1]", "=1+1", "'"),
)


def pick(rng: np.random.Generator, choices: tuple) -> object:
    """Return one of several things."""
    return choices[int(rng.integers(len(choices)))]


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of text as they are written, and of what kind the ids, the times and the values are."""

    rows: list[list[str]]
    kinds: tuple[str, str, str]

    @property
    def names(self) -> list[str]:
        return [ID, TIME, VALUE, OTHER]


def some_table(rng: np.random.Generator, *, regular: bool) -> Table:
    """Return a table of visits, or of daily values of a few series, with odd cells in some."""
    n = int(rng.choice([4, 10, 20, 60]))
    who = np.arange(n) % 2 if regular else np.append(rng.integers(0, int(rng.integers(2, 9)), n - 2), [0, 1])
    days = np.arange(n) // 2 if regular else rng.integers(0, 700, n)
    kinds = (
        str(pick(rng, ("int", "text", "zeros", "big", "unicode", "uuid"))),
        str(
            pick(
                rng,
                ("date", "moment", "T", "fraction", "offset", "german", "epoch", "ms", "compact", "names"),
            )
        ),
        str(pick(rng, ("float", "int", "long", "comma", "exponent", "blank", "negative"))),
    )
    clock = np.zeros(n, dtype=int) if regular else rng.integers(0, 86_400, n)
    rows = [
        [_id(kinds[0], int(k)), _time(kinds[1], int(day), int(second)), _value(kinds[2], rng), "note"]
        for k, day, second in zip(who, days, clock, strict=True)
    ]
    for _ in range(int(rng.choice([0, 0, 1, 2, n]))):
        rows[int(rng.integers(n))][int(rng.integers(4))] = str(pick(rng, ODD))
    if rng.random() < 0.1:
        rows += [list(rows[int(rng.integers(len(rows)))]) for _ in range(3)]
    return Table(rows, kinds)


def _id(kind: str, k: int) -> str:
    words = {
        "int": f"{17850 + k}",
        "text": f"C-{k}",
        "zeros": f"{k:05d}",
        "big": f"{9_007_199_254_740_993 + k}",
        "unicode": f"Zoë {'上海王明李华'[k % 6]}{k}",
        "uuid": f"{k:08x}-0000-4000-8000-000000000000",
    }
    return words[kind]


def _time(kind: str, day: int, second: int) -> str:
    when = _EPOCH + dt.timedelta(days=day, seconds=second)
    seconds = int(when.timestamp())
    words = {
        "date": f"{when:%Y-%m-%d}",
        "moment": f"{when:%Y-%m-%d %H:%M:%S}",
        "T": f"{when:%Y-%m-%dT%H:%M:%S}",
        "fraction": f"{when:%Y-%m-%d %H:%M:%S}.{second % 1000:03d}",
        "offset": f"{when:%Y-%m-%dT%H:%M:%S}Z",
        "german": f"{when:%d.%m.%Y}",
        "epoch": f"{seconds}",
        "ms": f"{seconds * 1000}",
        "compact": f"{when:%Y%m%d}",
        "names": f"{when:%d %b %Y}",
    }
    return words[kind]


def _value(kind: str, rng: np.random.Generator) -> str:
    number = float(rng.gamma(2.0, 20.0))
    words = {
        "float": f"{number:.2f}",
        "int": f"{number:.0f}",
        "long": repr(number / 3),
        "comma": f"{number:.2f}".replace(".", ","),
        "exponent": f"{number:.3e}",
        "blank": "" if rng.random() < 0.5 else f"{number:.2f}",
        "negative": f"{number * rng.choice([-1.0, 1.0]):.2f}",
    }
    return words[kind]


@dataclasses.dataclass(frozen=True)
class Written:
    """A file or a frame that holds a table.

    Attributes
    ----------
    source : Path or frame
    kind : {"csv", "json", "parquet", "sheet", "frame"}
    delimiter : str
    encoding : str
        Of text.
    text : Path or None
        The same file without its packing, for those who cannot unpack it.
    """

    source: object = dataclasses.field(repr=False)
    kind: str
    delimiter: str = ","
    encoding: str = "utf-8"
    text: Path | None = None


def written(rng: np.random.Generator, table: Table, place: Path) -> Written:
    """Write a table in some format."""
    kind = str(pick(rng, ("csv", "csv", "csv", "json", "parquet", "sheet", "frame", "pandas", "arrow")))
    if kind == "csv":
        return _csv(rng, table, place)
    if kind == "json":
        records = [dict(zip(table.names, map(_plain, row), strict=True)) for row in table.rows]
        text = "".join(json.dumps(record, ensure_ascii=bool(rng.integers(2))) + "\n" for record in records)
        return _packed(rng, text.encode(), place, ".ndjson", Written(None, "json"))
    if kind == "sheet":
        path = place / "rows.xlsx"
        book = xlsxwriter.Workbook(path, {"strings_to_formulas": False})
        sheet = book.add_worksheet()
        for k, row in enumerate([table.names, *table.rows]):
            for column, value in enumerate(row):
                sheet.write(k, column, _plain(value) if column == 2 else value)
        book.close()
        return Written(path, "sheet")
    frame = typed(rng, table)
    if kind == "parquet":
        path = place / "rows.parquet"
        frame.write_parquet(path, compression=pick(rng, ("zstd", "snappy", "uncompressed", "gzip", "lz4")))
        return Written(path, "parquet")
    frames = {"frame": lambda: frame, "pandas": frame.to_pandas, "arrow": frame.to_arrow}
    return Written(frames[kind](), "frame")


def _csv(rng: np.random.Generator, table: Table, place: Path) -> Written:
    delimiter = str(pick(rng, (",", ";", "\t", "|")))
    ends = str(pick(rng, ("\n", "\r\n")))
    out = io.StringIO(newline="")
    quoting = int(rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    csv.writer(out, delimiter=delimiter, lineterminator=ends, quoting=quoting).writerows(
        [table.names, *table.rows]
    )
    text = out.getvalue()
    encoding = str(pick(rng, ("utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252", "gb18030")))
    content = text.encode(encoding, "replace")
    suffix = str(pick(rng, (".csv", ".tsv", ".txt")))
    return _packed(rng, content, place, suffix, Written(None, "csv", delimiter, encoding))


def _packed(rng: np.random.Generator, content: bytes, place: Path, suffix: str, how: Written) -> Written:
    plain = place / f"rows{suffix}"
    plain.write_bytes(content)
    way = rng.random()
    path = plain
    if way < 0.1:
        path = place / f"packed{suffix}.gz"
        path.write_bytes(gzip.compress(content))
    elif way < 0.2:
        path = place / "packed.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(plain, plain.name)
    return dataclasses.replace(how, source=path, text=plain)


def _plain(text: str) -> object:
    """Return a number where Python's JSON has one for a text."""
    try:
        number = float(text)
    except ValueError:
        return text
    return number if np.isfinite(number) else text


_TYPES = {
    ID: (pl.String, pl.Int64, pl.Int32, pl.UInt64, pl.Float64, pl.Categorical, pl.Decimal(18, 2)),
    TIME: (
        pl.String,
        pl.Date,
        pl.Datetime("us"),
        pl.Datetime("ns"),
        pl.Datetime("ms", "UTC"),
        pl.Int64,
        pl.Time,
    ),
    VALUE: (pl.String, pl.Float64, pl.Float32, pl.Int64, pl.Int8, pl.Decimal(12, 3), pl.Boolean),
    OTHER: (pl.String, pl.Binary, pl.List(pl.String), pl.Null),
}


def typed(rng: np.random.Generator, table: Table) -> pl.DataFrame:
    """Return a table as a frame, its columns of some types that its text can be cast to."""
    frame = pl.DataFrame(table.rows, schema=dict.fromkeys(table.names, pl.String), orient="row")
    for name, types in _TYPES.items():
        dtype = pick(rng, types)
        try:
            column = _cast(frame[name], dtype)
        except (pl.exceptions.PolarsError, TypeError):
            continue
        # Mostly types that hold what was written.
        if 2 * column.null_count() < len(column) or rng.random() < 0.1:
            frame = frame.with_columns(column)
    return frame


def _cast(column: pl.Series, dtype: object) -> pl.Series:
    if isinstance(dtype, pl.Datetime):
        moments = column.str.to_datetime(strict=False, time_unit=dtype.time_unit)
        return moments if dtype.time_zone is None else moments.dt.replace_time_zone(dtype.time_zone)
    if dtype == pl.Date:
        return column.str.to_date("%Y-%m-%d", strict=False)
    if dtype == pl.List(pl.String):
        return column.str.split("")
    return column.cast(dtype, strict=False)
