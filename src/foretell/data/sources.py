"""Files and frames, and which reader takes a source."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import glob
import gzip
import io
import itertools
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import narwhals.stable.v2 as nw
import polars as pl

from foretell.data.rows import Columns, ReadOptions, Rows, listed
from foretell.errors import DataError, EmptyLogError, ParameterError, SourceError

# How None, NaN, pandas' NaT and NA print: pandas need not be there to compare with.
_MISSING: Final = {"None", "nan", "NaN", "NaT", "<NA>"}


def is_frame(source: object) -> bool:
    """Tell whether narwhals knows how to read ``source`` as a table."""
    try:
        return isinstance(nw.from_native(source, pass_through=True), (nw.DataFrame, nw.LazyFrame))
    except nw.exceptions.NarwhalsError:
        # A frame it is, but a broken one: reading it says how.
        return True


def read_frame(source: Any, columns: Columns) -> Rows:
    """Read the asked-for columns of a frame; a lazy one is collected once, with those columns only."""
    origin = f"the {type(source).__module__.partition('.')[0]} frame"
    try:
        frame = nw.from_native(source)
        columns.check([str(name) for name in frame.collect_schema().names()], origin)
        chosen = frame.select(columns.names())
        eager = chosen.collect("polars") if isinstance(chosen, nw.LazyFrame) else chosen
        native = pl.DataFrame([_series(eager, name) for name in columns.names()])
    except DataError:
        raise
    except Exception as error:
        raise SourceError(f"{origin} cannot be read: {str(error).splitlines()[0]}") from error
    whole = None if isinstance(frame, nw.LazyFrame) else _fingerprints(frame, columns)
    return Rows(native.select(columns.expressions()), origin, fingerprints=whole)


def _fingerprints(frame: nw.DataFrame[Any], columns: Columns) -> Callable[[], pl.Series] | None:
    """Return what tells the rows of a frame apart, where it has more columns than those that were read."""
    if set(frame.columns) <= set(columns.names()):
        return None
    return lambda: pl.DataFrame([_series(frame, name).cast(pl.String) for name in frame.columns]).hash_rows()


def _series(frame: nw.DataFrame[pl.DataFrame], name: str) -> pl.Series:
    """Return a column as polars; one of Python objects of several kinds becomes text.

    Periods of pandas are their first moment.
    """
    if frame.schema[name] not in (nw.Object, nw.Unknown):
        return frame.select(name).to_polars().to_series()
    values = [None if str(value) in _MISSING else value for value in frame[name].to_list()]
    values = [getattr(value, "start_time", value) for value in values]
    kinds = {type(value) for value in values if value is not None}
    # As text, since polars would read date-times with and without a zone as if all were in UTC.
    if len(kinds) > 1 or any(issubclass(kind, dt.datetime) for kind in kinds):
        return pl.Series(name, [None if value is None else _text(value) for value in values], dtype=pl.String)
    return pl.Series(name, values)


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, dt.date) else str(value)


_KINDS: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}
_MENDS: Final = {
    "csv": "check that it is whole, and its quotes and delimiters",
    "parquet": "check that it is whole",
    "ndjson": "expected one JSON object a line",
}
_DELIMITERS: Final = ",;\t|"
_NULLS: Final = ["NULL", "null", "NaN", "nan", "\\N"]
_MAX_LINE: Final = 16 * 2**20
_GZIP: Final = b"\x1f\x8b"
_HEAD: Final = 2**16


def read_files(source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], columns: Columns) -> Rows:
    """Read the asked-for columns of one file, of a glob pattern, or of several files."""
    paths = find_files(source)
    kinds = [_kind(path) for path in paths]
    scans = []
    for path, kind in zip(paths, kinds, strict=True):
        try:
            scans.append(_SCANS[kind](path, columns))
        except DataError:
            raise
        except (pl.exceptions.PolarsError, OSError, EOFError, zlib.error) as error:
            raise _unreadable(path, kind, error) from error
    origin = str(paths[0]) if len(paths) == 1 else f"{len(paths):,} files ({paths[0]} …)"
    try:
        frame = _collected([scan.rows.select(columns.expressions()) for scan in scans])
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(origin, kinds[0], error) from error
    return Rows(
        frame,
        origin,
        untyped=set(kinds) == {"csv"},
        decimal_comma=all(scan.decimal_comma for scan in scans),
        fingerprints=_fingerprints_of_files(scans, columns),
    )


@dataclasses.dataclass(frozen=True)
class _Scan:
    """A file that is not read yet, with all its columns."""

    rows: pl.LazyFrame
    names: list[str]
    decimal_comma: bool = False


def _collected(scans: list[pl.LazyFrame]) -> pl.DataFrame:
    return pl.concat(scans, how="vertical_relaxed").collect(engine="streaming")


def _fingerprints_of_files(scans: list[_Scan], columns: Columns) -> Callable[[], pl.Series] | None:
    """Return what tells the rows of files apart, where they have more columns than those that were read."""
    if all(set(scan.names) <= set(columns.names()) for scan in scans):
        return None

    def read() -> pl.Series:
        # By name: the same columns in another order are the same row.
        rows = [scan.rows.select(pl.struct(sorted(set(scan.names))).hash().alias("row")) for scan in scans]
        return _collected(rows)["row"]

    return read


def find_files(source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Return the files that a path, a glob pattern or a list of them names."""
    if not isinstance(source, (str, os.PathLike)):
        paths = [path for pattern in source for path in find_files(pattern)]
        if not paths:
            raise SourceError("the list of files is empty; name at least one file")
        return paths
    path = Path(source).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        raise SourceError(f"{path} is a folder; name its files by a pattern such as '{path / '*.csv'}'")
    if not glob.has_magic(str(path)):
        raise SourceError(f"there is no file {path} (working folder: {Path.cwd()}); check the path")
    matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True)) if Path(match).is_file()]  # noqa: PTH207  # Path.glob takes no absolute pattern
    if not matches:
        raise SourceError(f"no file matches the pattern {path} (working folder: {Path.cwd()}); check it")
    return matches


def _kind(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = _KINDS.get((suffixes[-2:-1] if suffixes[-1:] == [".gz"] else suffixes[-1:] or [""])[0])
    if kind is None:
        raise SourceError(
            f"{path}: the ending says nothing about what it holds; expected one of {listed(_KINDS)}, "
            "for text also with .gz"
        )
    return kind


def _is_gzip(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _scan_csv(path: Path, columns: Columns) -> _Scan:
    header = _check_text(path)
    names, delimiter = _header(header, columns)
    columns.check(names, str(path))
    # Types are not inferred: ids keep their leading zeros, and no late row can contradict an early guess.
    frame = pl.scan_csv(path, separator=delimiter, infer_schema=False, null_values=_NULLS, glob=False)
    # Where semicolons part the columns, commas are decimal: spreadsheets of half of Europe write so.
    return _Scan(frame, names, decimal_comma=delimiter == ";")


def _scan_parquet(path: Path, columns: Columns) -> _Scan:
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            raise SourceError(f"{path} is not a Parquet file; name it after what it holds (.csv, .ndjson)")
    frame = pl.scan_parquet(path, glob=False)
    names = frame.collect_schema().names()
    columns.check(names, str(path))
    return _Scan(frame, names)


def _scan_ndjson(path: Path, columns: Columns) -> _Scan:
    head = _check_text(path).lstrip()
    if not head.startswith("{"):
        raise SourceError(
            f"{path} holds no JSON object on its first line; expected one {{…}} a line (NDJSON), without "
            "an enclosing [ ]"
        )
    frame = pl.scan_ndjson(path, infer_schema_length=None)
    names = frame.collect_schema().names()
    columns.check(names, str(path))
    return _Scan(frame, names)


_SCANS: Final = {"csv": _scan_csv, "parquet": _scan_parquet, "ndjson": _scan_ndjson}


def _check_text(path: Path) -> str:
    """Return the first line of a text file; refuse what is none before polars loads it whole."""
    try:
        with gzip.open(path) if _is_gzip(path) else path.open("rb") as file:
            head = file.read(_HEAD)
            _check_head(path, head)
            while b"\n" not in head and len(head) <= _MAX_LINE and (more := file.read(_HEAD)):
                head += more
            _check_lines(path, file)
    except gzip.BadGzipFile as error:
        with path.open("rb") as raw:
            mend = (
                "is damaged; get it again"
                if raw.read(2) == _GZIP
                else "is not one; drop the .gz from its name"
            )
        raise SourceError(f"{path} should be a gzip file and {mend}") from error
    try:
        return head.partition(b"\n")[0].decode("utf-8-sig").rstrip("\r")
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not written in UTF-8 ({error.reason}); save it as UTF-8") from error


def _check_head(path: Path, head: bytes) -> None:
    if not head.strip():
        raise EmptyLogError(f"{path} is empty; expected a header line and rows")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SourceError(f"{path} is written in UTF-16; save it as UTF-8")
    if head.startswith(_GZIP):
        raise SourceError(f"{path} is compressed with gzip; name it {path.name}.gz")
    if b"\0" in head or head.startswith(b"PAR1"):
        raise SourceError(f"{path} holds binary data, not text; name it after what it holds")


def _check_lines(path: Path, file: io.BufferedIOBase) -> None:
    """Refuse a line that would have to be held in memory whole: each stretch has to have a line break.

    Of a plain file only the beginning of each stretch is read.
    """
    file.seek(0)
    for start in itertools.count(0, _MAX_LINE):
        file.seek(start)
        block, seen = file.read(_HEAD), 0
        if not block:
            return
        while block and b"\n" not in block:
            seen += len(block)
            if seen >= _MAX_LINE:
                raise SourceError(
                    f"{path} holds a line of more than {_MAX_LINE // 2**20} MB; expected one row a line"
                )
            block = file.read(_HEAD)


def _header(line: str, columns: Columns) -> tuple[list[str], str]:
    """Return the column names and the delimiter: the one that finds most of what was asked for."""
    splits = {mark: next(csv.reader([line], delimiter=mark)) for mark in _DELIMITERS}

    def score(mark: str) -> tuple[int, int]:
        return len(set(columns.names()) & set(splits[mark])), len(splits[mark])

    best = max(_DELIMITERS, key=score)
    return splits[best], best


def _unreadable(path: object, kind: str, error: BaseException) -> SourceError:
    reason = str(error).strip().partition("\n")[0]
    mend = "save it as UTF-8" if "utf-8" in reason.lower() else _MENDS[kind]
    return SourceError(f"{path} cannot be read as {kind}: {reason}; {mend}")


_URL: Final = re.compile(r"[A-Za-z][\w+.-]*://")


def read_rows(
    source: Any,
    columns: Columns,
    options: ReadOptions,
    *,
    query: str | None = None,
    table: str | None = None,
) -> Rows:
    """Read the asked-for columns of a file, a frame or a database, whichever the source is."""
    if _is_database(source):
        # Most logs are files: their readers need not wait for SQLAlchemy.
        from foretell.data.database import read_database  # noqa: PLC0415

        return read_database(source, columns, options, query=query, table=table)
    if query is not None or table is not None:
        raise ParameterError("query= and table= are for databases; a file or a frame is read whole")
    if is_frame(source):
        return read_frame(source, columns)
    if isinstance(source, (str, os.PathLike)) or (isinstance(source, (list, tuple)) and source):
        return read_files(source, columns)
    raise ParameterError(
        f"the source is of type {type(source).__name__}; expected a path, a pattern, a list of paths, "
        "a frame of pandas, polars or pyarrow, or a SQLAlchemy URL or Engine"
    )


_ROWS_OF_A_SLICE: Final = 4_000_000


def read_slices(
    source: Any,
    columns: Columns,
    options: ReadOptions,
    *,
    query: str | None = None,
    table: str | None = None,
) -> Iterator[Rows]:
    """Read what `read_rows` reads, of Parquet files and of databases a part of the rows at a time."""
    if _is_database(source):
        from foretell.data.database import database_slices  # noqa: PLC0415

        size = _ROWS_OF_A_SLICE
        yield from database_slices(source, columns, options, query=query, table=table, size=size)
        return
    files = [] if is_frame(source) else find_files(source)
    if not files or {_kind(path) for path in files} != {"parquet"}:
        yield read_rows(source, columns, options, query=query, table=table)
        return
    for path in files:
        whole = _scan_parquet(path, columns)
        for begin in range(0, whole.rows.select(pl.len()).collect().item(), _ROWS_OF_A_SLICE):
            part = dataclasses.replace(whole, rows=whole.rows.slice(begin, _ROWS_OF_A_SLICE))
            frame = part.rows.select(columns.expressions()).collect()
            yield Rows(frame, str(path), fingerprints=_fingerprints_of_files([part], columns))


def _is_database(source: object) -> bool:
    """Tell whether ``source`` is a URL, or an Engine, without importing SQLAlchemy."""
    if isinstance(source, str):
        return _URL.match(source) is not None
    return type(source).__module__.startswith("sqlalchemy.")
