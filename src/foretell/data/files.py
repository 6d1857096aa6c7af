"""Files of rows: which there are, what kind each is, and their columns, scanned by polars."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import glob
import gzip
import itertools
import logging
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, ClassVar, Final, Literal

import polars as pl

from foretell.core.constraints import is_list
from foretell.data import encodings
from foretell.data.report import brief
from foretell.data.rows import Columns, ReadOptions, Rows, listed
from foretell.errors import DataError, EmptyLogError, MissingDependencyError, ParameterError, SourceError

_SHEETS: Final = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_KINDS: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    **dict.fromkeys(_SHEETS, "spreadsheet"),
}
_MENDS: Final = {
    "csv": "check that it is whole, and its quotes and delimiters",
    "parquet": "check that it is whole",
    "ndjson": "expected one JSON object a line",
    "spreadsheet": "check that it is whole, and opens without a password",
}
_TEXT: Final = ("csv", "ndjson")
_DELIMITERS: Final = ",;\t|"
_NULLS: Final = ["NULL", "null", "NaN", "nan", "\\N"]
_MAX_LINE: Final = 16 * 2**20
_GZIP: Final = b"\x1f\x8b"
_HEAD: Final = 2**16
# It may panic where it should raise.
_POLARS: Final = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
_DOUBTFUL: Final = ("utf-8", "utf8")  # what polars says of text that is none


@dataclasses.dataclass(frozen=True)
class _File:
    """A file to read: where it is, how messages call it, its kind, and what has to last until it is read."""

    path: Path
    origin: str
    kind: str
    lasts: object = None

    @property
    def packed(self) -> bool:
        return self.path.suffix.lower() == ".gz"

    @contextlib.contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Open the file, unpacked."""
        with gzip.open(self.path) if self.packed else self.path.open("rb") as file:
            yield file  # type: ignore[misc]  # both give bytes


@dataclasses.dataclass(frozen=True)
class _Scan:
    """A file that is not read yet, with all its columns.

    Attributes
    ----------
    rows : polars.LazyFrame
    names : list of str
    whole : polars.LazyFrame
        The same rows, as far as that is needed to tell them apart.
    delimiter : str
        What parts the columns of CSV.
    told : str
        What to say of how it was read.
    lasts : object
        What has to last until it is read.
    """

    rows: pl.LazyFrame
    names: list[str]
    whole: pl.LazyFrame
    delimiter: str = ""
    told: str = ""
    lasts: object = None

    @property
    def decimal_comma(self) -> bool:
        """Whether columns are parted by semicolons, as spreadsheets do that write decimal commas."""
        return self.delimiter == ";"


def read_files(
    source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], columns: Columns, options: ReadOptions
) -> Rows:
    """Read the asked-for columns of one file, of a folder, of a glob pattern, or of several of these."""
    files = [file for path in find_files(source) for file in _unpacked(path)]
    kinds = [file.kind for file in files]
    _check_options(files, options)
    try:
        frame, scans = _read(files, columns, options, doubtful=False)
    except _NoUTF8:
        frame, scans = _read(files, columns, options, doubtful=True)
    told: dict[str, int] = {}
    for scan in scans:
        if scan.told:
            told[scan.told] = told.get(scan.told, 0) + 1
    return Rows(
        frame,
        _origin(files),
        untyped=set(kinds) == {"csv"},
        decimal_comma=all(scan.decimal_comma for scan in scans),
        fingerprints=_fingerprints(scans, columns),
        told=told,
    )


@dataclasses.dataclass(frozen=True)
class _AllColumns(Columns):
    """Nothing is asked for by name."""

    kinds: ClassVar[Mapping[str, str]] = {}
    id: str | None = None
    time: str = "any"

    def names(self) -> list[str]:
        return []

    def check(self, available: Sequence[str], origin: str) -> None:
        del available, origin


def head_of_file(source: str | os.PathLike[str], rows: int, sheet: str | None = None) -> pl.DataFrame:
    """Return the first rows of a file, with all columns as they are; of text the columns are text."""
    file = _unpacked(find_files(source)[0])[0]
    options = ReadOptions(sheet=sheet)
    _check_options([file], options)
    try:
        # Of text all is looked at: its first rows may hold no letter that tells the encoding.
        scan = _SCANS[file.kind](file, _AllColumns(), options, doubtful=file.kind in _TEXT)
        return scan.rows.head(rows).collect()
    except (pl.exceptions.PolarsError, OSError, EOFError, zlib.error) as error:
        raise _unreadable(file.origin, file.kind, error) from error


def parquet_slices(paths: Iterable[Path], columns: Columns, size: int) -> Iterator[Rows]:
    """Read Parquet files so many rows at a time."""
    for path in paths:
        scan = _scan_parquet(_File(path, str(path), "parquet"), columns, ReadOptions(), doubtful=False)
        for begin in range(0, scan.rows.select(pl.len()).collect().item(), size):
            rows = scan.rows.slice(begin, size)
            part = dataclasses.replace(scan, whole=rows)
            frame = rows.select(columns.expressions()).collect()
            yield Rows(frame, str(path), fingerprints=_fingerprints([part], columns))


def _origin(files: list[_File]) -> str:
    return files[0].origin if len(files) == 1 else f"{len(files):,} files ({files[0].origin} …)"


def _check_options(files: list[_File], options: ReadOptions) -> None:
    """Refuse what is said of kinds of files that are not among these."""
    kinds = {file.kind for file in files}
    if options.encoding is not None and not kinds & set(_TEXT):
        raise ParameterError(f"encoding={options.encoding!r} is for text files, and {_origin(files)} is none")
    if options.sheet is not None and "spreadsheet" not in kinds:
        raise ParameterError(f"sheet={options.sheet!r} is for spreadsheets, and {_origin(files)} is none")


class _NoUTF8(Exception):  # noqa: N818  # it is caught in this module
    """Text turned out not to be UTF-8 while it was read."""


def _read(
    files: list[_File], columns: Columns, options: ReadOptions, *, doubtful: bool
) -> tuple[pl.DataFrame, list[_Scan]]:
    """Read files; where it is ``doubtful`` that text is UTF-8 all of it is looked at first."""
    file = files[0]
    try:
        scans = []
        for file in files:  # the last one is named where it fails
            scans.append(_SCANS[file.kind](file, columns, options, doubtful=doubtful))
    except DataError:
        raise
    except (*_POLARS, OSError, EOFError, zlib.error) as error:
        raise _unreadable(file.origin, file.kind, error) from error
    try:
        frame = _collected([scan.rows.select(columns.expressions()) for scan in scans])
    except (*_POLARS, OSError) as error:
        if not doubtful and any(word in str(error).lower() for word in _DOUBTFUL):
            raise _NoUTF8 from error
        if "more fields" in str(error):
            raise _too_long(scans, _origin(files)) from error
        raise _unreadable(_origin(files), files[0].kind, error) from error
    return frame, scans


def _collected(scans: list[pl.LazyFrame]) -> pl.DataFrame:
    return pl.concat(scans, how="vertical_relaxed").collect(engine="streaming")


def _fingerprints(scans: list[_Scan], columns: Columns) -> Callable[[], pl.Series] | None:
    """Return what tells the rows of files apart, where they have more columns than those that were read."""
    if all(set(scan.names) <= set(columns.names()) for scan in scans):
        return None

    def read() -> pl.Series:
        # By name: the same columns in another order are the same row.
        rows = [scan.whole.select(pl.struct(sorted(set(scan.names))).hash().alias("row")) for scan in scans]
        try:
            return _collected(rows)["row"]
        except _POLARS:  # a file that is broken where nobody asked
            return pl.Series([], dtype=pl.UInt64)

    return read


def find_files(source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Return the files that a path, a folder, a glob pattern or a list of these names."""
    if not isinstance(source, (str, os.PathLike)):
        if not is_list(source) or not all(isinstance(one, (str, os.PathLike)) for one in source):
            raise ParameterError(f"source={source!r}; expected a path, a pattern, or a list of these")
        paths = [path for pattern in source for path in find_files(pattern)]
        if not paths:
            raise SourceError("the list of files is empty; name at least one file")
        return paths
    try:
        path = Path(source).expanduser()
        is_file, is_folder = path.is_file(), path.is_dir()
    except (OSError, RuntimeError) as error:  # too long; the home of nobody
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"there is no file {brief(source)!r}: {reason}; check the path") from error
    if is_file:
        return [path]
    if is_folder:
        found = [file for file in sorted(path.iterdir()) if file.is_file() and kind_of(file) is not None]
        if not found:
            raise SourceError(f"the folder {path} holds no file that ends in one of {listed(_KINDS)}")
        return found
    if not glob.has_magic(str(path)):
        raise SourceError(f"there is no file {path} (working folder: {Path.cwd()}); check the path")
    matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True)) if Path(match).is_file()]  # noqa: PTH207  # Path.glob takes no absolute pattern
    if not matches:
        raise SourceError(f"no file matches the pattern {path} (working folder: {Path.cwd()}); check it")
    return matches


def kind_of(path: Path) -> str | None:
    """Return what kind of table a file's name promises; None where it says nothing."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    if suffixes[-1:] == [".zip"]:
        return "zip"
    packed = suffixes[-1:] == [".gz"]
    kind = _KINDS.get((suffixes[-2:-1] if packed else suffixes[-1:] or [""])[0])
    return None if packed and kind not in _TEXT else kind


def _unpacked(path: Path) -> list[_File]:
    kind = kind_of(path)
    if kind is None:
        raise SourceError(
            f"{path}: the ending says nothing about what it holds; expected one of {listed(_KINDS)}, "
            "for text also with .gz, or .zip"
        )
    return _members(path) if kind == "zip" else [_File(path, str(path), kind)]


def _members(path: Path) -> list[_File]:
    """Return the tables in a zip file, each unpacked into a file of its own."""
    files = []
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                name = Path(entry.filename)
                hidden = name.name.startswith(".") or "__MACOSX" in name.parts
                kind = kind_of(name)
                if entry.is_dir() or hidden or kind in {None, "zip"}:
                    continue
                made = encodings.Temporary(
                    "".join(name.suffixes[-2:]) if name.suffix == ".gz" else name.suffix
                )
                with archive.open(entry) as packed, made.path.open("wb") as file:
                    shutil.copyfileobj(packed, file)
                files.append(_File(made.path, f"{entry.filename} in {path}", str(kind), made))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        locked = isinstance(error, RuntimeError) and not isinstance(error, NotImplementedError)
        reason = "it is locked by a password" if locked else str(error)
        raise SourceError(f"{path} cannot be read as a zip file: {reason}; unpack it first") from error
    if not files:
        raise SourceError(f"{path} holds no file that ends in one of {listed(_KINDS)}")
    return files


def _scan_csv(file: _File, columns: Columns, options: ReadOptions, *, doubtful: bool) -> _Scan:
    text = _utf8(file, options.encoding, doubtful=doubtful)
    try:
        names, delimiter = _header(text.header, columns, text.delimiter)
    except csv.Error as error:
        raise _unreadable(file.origin, file.kind, error) from error
    plain = {name: name.strip() for name in names}
    spaced = len(set(plain.values())) < len(names) or list(plain.values()) == names
    shown = names if spaced else list(plain.values())
    columns.check(shown, file.origin)

    def scan(encoding: Literal["utf8", "utf8-lossy"]) -> pl.LazyFrame:
        # Types are not inferred: ids keep their leading zeros, and no late row can contradict an early guess.
        rows = pl.scan_csv(
            text.path,
            separator=delimiter,
            infer_schema=False,
            null_values=_NULLS,
            glob=False,
            encoding=encoding,
            skip_lines=text.before,
            # Nobody asked for what goes beyond the columns that have names.
            truncate_ragged_lines=encoding == "utf8-lossy",
        )
        return rows if spaced else rows.rename(plain)

    # Broken text in columns that nobody asked for does no harm.
    return _Scan(scan("utf8"), shown, scan("utf8-lossy"), delimiter, text.told, text)


def _scan_parquet(file: _File, columns: Columns, options: ReadOptions, *, doubtful: bool) -> _Scan:
    del options, doubtful
    with file.path.open("rb") as opened:
        if opened.read(4) != b"PAR1":
            raise SourceError(
                f"{file.origin} is not a Parquet file; name it after what it holds (.csv, .ndjson)"
            )
    frame = pl.scan_parquet(file.path, glob=False)
    names = frame.collect_schema().names()
    columns.check(names, file.origin)
    return _Scan(frame, names, frame, lasts=file)


def _scan_ndjson(file: _File, columns: Columns, options: ReadOptions, *, doubtful: bool) -> _Scan:
    text = _utf8(file, options.encoding, doubtful=doubtful)
    if not text.header.lstrip().startswith("{"):
        raise SourceError(
            f"{file.origin} holds no JSON object on its first line; expected one {{…}} a line (NDJSON), "
            "without an enclosing [ ]"
        )
    frame = pl.scan_ndjson(text.path, infer_schema_length=None)
    names = frame.collect_schema().names()
    columns.check(names, file.origin)
    return _Scan(frame, names, frame, told=text.told, lasts=text)


def _scan_sheet(file: _File, columns: Columns, options: ReadOptions, *, doubtful: bool) -> _Scan:
    del doubtful
    try:
        import fastexcel  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise MissingDependencyError(
            f"{file.origin} is a spreadsheet, and the package fastexcel that reads them is not installed: "
            "pip install 'foretell[excel]', or save the sheet as CSV"
        ) from error
    logging.getLogger("fastexcel").setLevel(logging.ERROR)  # of columns without values the report says it
    try:
        book = fastexcel.read_excel(file.path)
        names = book.sheet_names
        if not names:
            raise SourceError(f"{file.origin} holds no sheet; save it again, with one sheet at least")
        if options.sheet is not None and options.sheet not in names:
            raise SourceError(f"{file.origin} has no sheet {options.sheet!r}; its sheets are {listed(names)}")
        sheet = names[0] if options.sheet is None else options.sheet
        frame = book.load_sheet(sheet, schema_sample_rows=None).to_polars()
    except fastexcel.FastExcelError as error:
        raise _unreadable(file.origin, file.kind, error) from error
    # Spreadsheets know numbers of one kind only: the customer 17850 is none of 17850.0.
    whole = [
        c.name
        for c in frame
        if c.dtype.is_float() and (c.drop_nulls() % 1 == 0).all() and c.is_finite().all()
    ]
    frame = frame.with_columns(pl.col(whole).cast(pl.Int64, strict=False))
    columns.check(frame.columns, f"sheet {sheet!r} of {file.origin}")
    told = (
        f"spreadsheets read by their first sheet, {sheet!r}"
        if len(names) > 1 and options.sheet is None
        else ""
    )
    return _Scan(frame.lazy(), frame.columns, frame.lazy(), told=told)


_SCANS: Final = {
    "csv": _scan_csv,
    "parquet": _scan_parquet,
    "ndjson": _scan_ndjson,
    "spreadsheet": _scan_sheet,
}


@dataclasses.dataclass(frozen=True)
class _Text:
    """Text that polars can read: in UTF-8, with line feeds.

    Attributes
    ----------
    path : Path
    header : str
        The first line that holds something.
    before : int
        Lines before it.
    delimiter : str or None
        What a line before it says of what parts the columns.
    told : str
        What to say of how it was read.
    lasts : object
        What has to last until it is read.
    """

    path: Path
    header: str
    before: int
    delimiter: str | None
    told: str = ""
    lasts: object = None


def _utf8(file: _File, encoding: str | None, *, doubtful: bool) -> _Text:
    """Return a text file as polars can read it; refuse what is none before polars loads it whole."""
    try:
        with file.opened() as opened:
            head = _head_of(file, opened)
            guess = encodings.marked(head)
            _check_head(file, head, encoding or guess)
            _check_lines(file, opened)
    except gzip.BadGzipFile as error:
        with file.path.open("rb") as raw:
            mend = (
                "is damaged; get it again"
                if raw.read(2) == _GZIP
                else "is not one; drop the .gz from its name"
            )
        raise SourceError(f"{file.origin} should be a gzip file and {mend}") from error
    if encoding is None and guess is None and (doubtful or not _is_text(head)):
        with file.opened() as opened:
            guess = encodings.guess(opened, file.origin)
    written = encoding or guess or "utf-8"
    told = (
        f"files guessed to be in {guess}"
        if encoding is None and guess and not encodings.is_utf8(guess)
        else ""
    )
    old_ends = b"\r" in head and b"\n" not in head
    # What is said to be UTF-8 and is not fails where it is written anew, which says where.
    if encodings.is_utf8(written) and not old_ends and not (doubtful and encoding):
        with file.opened() as opened:
            return _Text(file.path, *_header_line(opened), told, file)
    with file.opened() as opened:
        made = encodings.rewritten(opened, written, f".{file.kind}", file.origin)
    with made.path.open("rb") as opened:
        return _Text(made.path, *_header_line(opened), told, made)


_SEPARATOR: Final = re.compile(r"sep=([,;\t|])")  # as spreadsheets begin files for themselves


def _header_line(opened: IO[bytes]) -> tuple[str, int, str | None]:
    """Return the first line that names columns, how many are before it, and the delimiter that they name."""
    before, delimiter = 0, None
    while line := opened.readline(_MAX_LINE):
        text = line.decode("utf-8-sig", "replace").rstrip("\r\n")
        said = _SEPARATOR.fullmatch(text.strip(' "'))
        if text.strip() and not said:
            return text, before, delimiter
        delimiter = said[1] if said else delimiter
        before += 1
    return "", 0, delimiter


def _head_of(file: _File, opened: IO[bytes]) -> bytes:
    """Return the beginning of a file, with its first line if that is not endless."""
    del file
    head = opened.read(_HEAD)
    while not _breaks(head) and len(head) <= _MAX_LINE and (more := opened.read(_HEAD)):
        head += more
    return head


def _is_text(head: bytes) -> bool:
    """Tell whether the first line that names columns is UTF-8, and what is before it."""
    lines = head.split(b"\n")
    names = next((k for k, line in enumerate(lines) if line.strip() and not line.startswith(b"sep=")), 0)
    try:
        b"\n".join(lines[: names + 1]).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _breaks(block: bytes) -> bool:
    return b"\n" in block or b"\r" in block


def _check_head(file: _File, head: bytes, encoding: str | None) -> None:
    if not head.strip():
        raise EmptyLogError(f"{file.origin} is empty; expected a header line and rows")
    if head.startswith(_GZIP):
        raise SourceError(f"{file.origin} is compressed with gzip; name it {file.path.name}.gz")
    binary = b"\0" in head and (encoding is None or encodings.is_utf8(encoding))
    if binary or head.startswith(b"PAR1"):
        raise SourceError(f"{file.origin} holds binary data, not text; name it after what it holds")


def _check_lines(file: _File, opened: IO[bytes]) -> None:
    """Refuse a line that would have to be held in memory whole: each stretch has to have a line break.

    Of a plain file only the beginning of each stretch is read.
    """
    for start in itertools.count(0, _MAX_LINE):
        opened.seek(start)
        block, seen = opened.read(_HEAD), 0
        if not block:
            return
        while block and not _breaks(block):
            seen += len(block)
            if seen >= _MAX_LINE:
                raise SourceError(
                    f"{file.origin} holds a line of more than {_MAX_LINE // 2**20} MB; expected one row a "
                    "line"
                )
            block = opened.read(_HEAD)


def _header(line: str, columns: Columns, delimiter: str | None) -> tuple[list[str], str]:
    """Return the column names and the delimiter: the one that finds most of what was asked for."""
    if delimiter is not None:
        return next(csv.reader([line], delimiter=delimiter)), delimiter
    splits = {mark: next(csv.reader([line], delimiter=mark)) for mark in _DELIMITERS}

    def score(mark: str) -> tuple[int, int]:
        return len(set(columns.names()) & {name.strip() for name in splits[mark]}), len(splits[mark])

    best = max(_DELIMITERS, key=score)
    return splits[best], best


def _too_long(scans: list[_Scan], origin: str) -> SourceError:
    """Return the error for a row with more fields than the header, which it names."""
    found = ""
    for scan in scans:
        if not isinstance(scan.lasts, _Text):
            continue
        opening = gzip.open if scan.lasts.path.suffix == ".gz" else open
        with opening(scan.lasts.path, "rt", encoding="utf-8", errors="replace", newline="") as file:
            rows = csv.reader(itertools.islice(file, scan.lasts.before, None), delimiter=scan.delimiter)
            longer = ((k, row) for k, row in enumerate(rows) if len(row) > len(scan.names))
            with contextlib.suppress(csv.Error):
                for k, row in itertools.islice(longer, 1):
                    line = brief(scan.delimiter.join(row))
                    found = f": row {k:,} has {len(row)} for {len(scan.names)}, {line!r}"
        if found:
            break
    return SourceError(
        f"{origin} holds rows of more fields than its header{found}; put what holds the delimiter into "
        "quotes, such as the decimal comma of an amount"
    )


def _unreadable(origin: object, kind: str, error: BaseException) -> SourceError:
    reason = str(error).strip().partition("\n")[0]
    mend = "name its encoding by encoding=" if "utf-8" in reason.lower() else _MENDS[kind]
    return SourceError(f"{origin} cannot be read as {kind}: {reason[:200]}; {mend}")
