"""The way out: tables written one after the other to a file or to a table of a database."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import io
import itertools
import os
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Literal

import polars as pl

from foretell.core.constraints import Flag, Maybe, OneOf, check
from foretell.core.paths import as_path
from foretell.errors import ColumnError, MissingDependencyError, ParameterError, StorageError

if TYPE_CHECKING:
    import sqlalchemy as sa

IfExists = Literal["append", "replace", "fail"]
IF_EXISTS: Final = ("append", "replace", "fail")

_URL: Final = re.compile(r"[A-Za-z][\w+.-]*://")


@dataclasses.dataclass(frozen=True)
class Written:
    """What was written.

    Attributes
    ----------
    rows : int
    place : str
        Where they are, in words.
    replaced : int
        Rows that were there before, of the same as-of date.
    """

    rows: int
    place: str
    replaced: int = 0

    def __str__(self) -> str:
        replaced = f" (in place of {self.replaced:,})" if self.replaced else ""
        return f"{self.rows:,} rows written to {self.place}{replaced}"


class Sink(ABC):
    """Where tables of the same columns go, one after the other: all of them, or where that fails none."""

    @abstractmethod
    def check(self) -> None:
        """Refuse what cannot be written to, before any work is done for it."""

    @abstractmethod
    def write(self, tables: Iterator[pl.DataFrame]) -> Written:
        """Write tables of which there is at least one."""


def sink(
    target: str | os.PathLike[str] | sa.URL | sa.Engine,
    table: str | None = None,
    *,
    if_exists: IfExists | None = None,
    part: bool = False,
) -> Sink:
    """Return what writes to a file or to a table of a database; see `write_tables`."""
    check("if_exists", if_exists, Maybe(OneOf(IF_EXISTS)))
    if isinstance(target, os.PathLike) or (isinstance(target, str) and not _URL.match(target)):
        if table is not None:
            raise ParameterError(f"table={table!r} is for databases; {target} is a file")
        return FileSink(as_path(target, "target"), if_exists or "replace")
    if not table:
        raise ParameterError("a database needs table=, the name of the table to write to; none is given")
    # Most answers go to files: they need not wait for SQLAlchemy.
    from foretell.data.database_sink import DatabaseSink  # noqa: PLC0415

    return DatabaseSink(target, table, if_exists or "append", part=part)


def write_tables(
    tables: pl.DataFrame | Iterable[pl.DataFrame],
    target: str | os.PathLike[str] | sa.URL | sa.Engine,
    table: str | None = None,
    *,
    if_exists: IfExists | None = None,
    part: bool = False,
) -> Written:
    """Write tables, such as ``predict_blocks`` gives, one after the other to a file or a database.

    One table at a time is in memory. All rows are written, or where anything fails none: a file or table
    that was there before stays as it was.

    Parameters
    ----------
    tables : polars.DataFrame or iterable of polars.DataFrame
        Of the same columns.
    target : path, SQLAlchemy URL or Engine
        A file, by its ending: ``.csv``, ``.parquet``, ``.json`` (a list of objects), ``.ndjson`` or ``.xlsx``
        (pip install 'foretell[excel]'); or a database, such as ``"sqlite:///scores.db"``, with ``table``.
    table : str, optional
        The table (``"schema.table"`` where needed); made if it is not there, with an index by date and id
        that lets no row in twice.
    if_exists : {"append", "replace", "fail"}, optional
        What to do with a table that is there. ``"append"``, the default for databases: rows of the same
        as-of date are replaced (of tables without ``as_of``: those of the same ``unique_id``, ``ds`` and
        ``target``), all others stay, so that a run can be repeated. ``"replace"``, the default for files:
        what was there goes. ``"fail"``: it is an error.
    part : bool
        The rows are those of some customers only: of the same as-of date, other customers' rows stay.

    Returns
    -------
    Written
        ``rows``, ``place`` and ``replaced``.

    Raises
    ------
    ParameterError
        The target does not say what it is.
    ColumnError
        The table that is there has other columns.
    StorageError
        The target cannot be written.
    MissingDependencyError
        The driver of the database is not installed.

    Examples
    --------
    >>> import tempfile
    >>> import polars as pl
    >>> import foretell as ft
    >>> folder = tempfile.mkdtemp()
    >>> scores = pl.DataFrame({"unique_id": [1, 2], "as_of": ["2024-06-30"] * 2, "p_active": [0.9, 0.2]})
    >>> url = f"sqlite:///{folder}/scores.db"
    >>> ft.write_tables(scores, url, "scores").rows
    2
    >>> ft.write_tables(scores, url, "scores").replaced
    2
    """
    check("part", part, Flag())
    place = sink(target, table, if_exists=if_exists, part=part)
    place.check()
    return place.write(alike([tables] if isinstance(tables, pl.DataFrame) else tables))


def alike(tables: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Give the tables, of which there has to be one, as long as their columns are those of the first."""
    schema = None
    if not isinstance(tables, Iterable):
        raise ParameterError(f"tables={tables!r}; expected a polars.DataFrame, or several")
    for frame in tables:
        if not isinstance(frame, pl.DataFrame):
            raise ParameterError(f"tables holds a {type(frame).__name__}; expected polars.DataFrames")
        schema = schema or frame.schema
        if frame.schema != schema:
            raise ColumnError(
                f"a table has the columns {dict(frame.schema)}, the ones before it {dict(schema)}; expected "
                "tables of the same columns"
            )
        yield frame
    if schema is None:
        raise ParameterError("there is no table to write; expected at least one, which may have no rows")


@dataclasses.dataclass(frozen=True)
class FileSink(Sink):
    """A file that takes the place of an older one when it is whole.

    Attributes
    ----------
    path : Path
    if_exists : {"replace", "fail"}
    """

    path: Path
    if_exists: IfExists = "replace"

    def check(self) -> None:
        """Refuse an ending that says nothing, and a place that cannot be written to."""
        if self.path.suffix.lower() not in WRITERS:
            *endings, last = WRITERS
            raise ParameterError(
                f"{self.path.name!r} does not say which kind of table it is; expected a name that ends in "
                f"{', '.join(endings)} or {last}"
            )
        if self.if_exists == "append":
            raise ParameterError(
                f"if_exists='append' is for tables of databases; {self.path} is written anew: expected "
                "'replace' or 'fail'"
            )
        if not self.path.absolute().parent.is_dir():
            raise StorageError(f"cannot write {self.path}: the directory {self.path.parent} is not there")
        if self.path.is_dir():
            raise StorageError(f"cannot write {self.path}: it is a directory")
        if self.if_exists == "fail" and self.path.exists():
            raise StorageError(f"{self.path} exists; choose another name, or if_exists='replace'")

    def write(self, tables: Iterator[pl.DataFrame]) -> Written:
        """Write beside the target, then put it in its place."""
        write = WRITERS[self.path.suffix.lower()]
        rows = 0

        def counted() -> Iterator[pl.DataFrame]:
            nonlocal rows
            for frame in tables:
                rows += frame.height
                yield frame

        try:
            with beside(self.path) as file:
                write(counted(), file)
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"cannot write {self.path}: {error.strerror or error}") from error
        return Written(rows, str(self.path))


@contextlib.contextmanager
def beside(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file beside a path; it takes the path's place once all is written."""
    # A link stays a link: what it points to is replaced.
    whole = path.resolve()
    aside = whole.with_name(f".{whole.name}.{secrets.token_hex(4)}")
    try:
        with aside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(whole)
    finally:
        aside.unlink(missing_ok=True)


def write_csv(tables: Iterator[pl.DataFrame], file: IO[bytes]) -> None:
    """Write tables as CSV under one header."""
    for number, frame in enumerate(tables):
        # As text, since polars would take a closed pipe for a failure.
        file.write(frame.write_csv(include_header=number == 0).encode())


def write_json(tables: Iterator[pl.DataFrame], file: IO[bytes]) -> None:
    """Write tables as one list of JSON objects."""
    before = "["
    for frame in tables:
        objects = frame.write_json()[1:-1]
        if objects:
            file.write(f"{before}{objects}".encode())
            before = ","
    file.write(b"[]" if before == "[" else b"]")


def _write_ndjson(tables: Iterator[pl.DataFrame], file: IO[bytes]) -> None:
    for frame in tables:
        file.write(frame.write_ndjson().encode())


def _write_parquet(tables: Iterator[pl.DataFrame], file: IO[bytes]) -> None:
    from pyarrow import parquet  # noqa: PLC0415  # half a second that other formats need not wait for

    first = next(tables).to_arrow()
    with parquet.ParquetWriter(file, first.schema, compression="zstd") as writer:
        for rows in itertools.chain([first], (frame.to_arrow() for frame in tables)):
            writer.write_table(rows)


@contextlib.contextmanager
def _system_errors(wrapped: type[Exception]) -> Iterator[None]:
    """Raise what the system said, instead of another error around it."""
    try:
        yield
    except wrapped as error:
        raise error.args[0] from error


_SHEET_ROWS: Final = 1_048_576
_DAY, _TIME = "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss"


def _write_xlsx(tables: Iterator[pl.DataFrame], file: IO[bytes]) -> None:
    """Write tables as one sheet under one header, a row at a time."""
    try:
        import xlsxwriter  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise MissingDependencyError(
            "the package xlsxwriter that writes .xlsx is not installed: pip install 'foretell[excel]', or "
            "write .csv, which spreadsheets open as well"
        ) from error
    options = {"constant_memory": True, "nan_inf_to_errors": True, "strings_to_formulas": False}
    packed = io.BytesIO()  # a zip that a full disk breaks off cannot even be closed
    with (
        _system_errors(xlsxwriter.exceptions.FileCreateError),
        xlsxwriter.Workbook(packed, options | {"strings_to_urls": False}) as book,
    ):
        sheet = book.add_worksheet("foretell")
        formats = {
            pl.Date: book.add_format({"num_format": _DAY}),
            pl.Datetime: book.add_format({"num_format": _TIME}),
        }
        at = 0
        for frame in tables:
            if at == 0:
                sheet.write_row(0, 0, frame.columns)
                for k, dtype in enumerate(frame.dtypes):
                    sheet.set_column(k, k, 12, formats.get(dtype.base_type()))
            if at + frame.height >= _SHEET_ROWS:
                raise StorageError(
                    f"a sheet of .xlsx has {_SHEET_ROWS - 1:,} rows, and there are more; write .csv or "
                    ".parquet"
                )
            for row in frame.iter_rows():
                at += 1
                for k, value in enumerate(row):
                    if value is not None:
                        sheet.write(
                            at, k, value if isinstance(value, (int, float, str, dt.date)) else str(value)
                        )
    file.write(packed.getbuffer())


WRITERS: Final[dict[str, Callable[[Iterator[pl.DataFrame], IO[bytes]], None]]] = {
    ".csv": write_csv,
    ".parquet": _write_parquet,
    ".json": write_json,
    ".ndjson": _write_ndjson,
    ".xlsx": _write_xlsx,
}
"""How tables are written to a file, by its ending."""
