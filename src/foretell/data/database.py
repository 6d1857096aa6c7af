"""Databases: a table or a query behind a SQLAlchemy URL, streamed in chunks."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

import polars as pl
import sqlalchemy as sa

from foretell.core.constraints import closest
from foretell.data.options import ReadOptions
from foretell.data.predicates import conditions
from foretell.data.rows import Columns, Rows, listed
from foretell.errors import MissingDependencyError, ParameterError, SourceError

# Drivers that foretell's own extras install, for URLs that name none.
_DRIVERS: Final = {
    "postgresql": ("psycopg", "foretell[postgres]"),
    "mysql": ("pymysql", "foretell[mysql]"),
    "mariadb": ("pymysql", "foretell[mysql]"),
}
# What text() would take for a parameter: in a user's query a colon is a colon.
_BIND: Final = re.compile(r"(?<![:\w\\]):(?=\w)")


def read_database(
    source: str | sa.URL | sa.Engine,
    columns: Columns,
    options: ReadOptions,
    *,
    query: str | None = None,
    table: str | None = None,
) -> Rows:
    """Read the asked-for columns of a table or of a query's result."""
    if (query is None) == (table is None):
        given = "neither is given" if query is None else "both are given"
        raise ParameterError(f"a database needs one of query= and table=; {given}")
    engine = source if isinstance(source, sa.Engine) else _engine(source)
    database = _Database(engine)
    try:
        with database.connected() as connection:
            return database.read(connection, columns, options, query, table)
    finally:
        if engine is not source:
            engine.dispose()


def _engine(source: str | sa.URL) -> sa.Engine:
    url = _parse(source)
    dialect, _, driver = url.drivername.partition("+")
    ours, extra = _DRIVERS.get(dialect, ("", ""))
    try:
        try:
            return sa.create_engine(url)
        except ModuleNotFoundError:
            if driver or not ours:
                raise
            return sa.create_engine(url.set(drivername=f"{dialect}+{ours}"))
    except sa.exc.NoSuchModuleError as error:
        raise SourceError(
            f"no database dialect {url.drivername!r} is installed; expected one such as sqlite, "
            "postgresql+psycopg or mysql+pymysql, or install the package that brings it"
        ) from error
    except ModuleNotFoundError as error:
        mend = f"install it, or use {dialect}+{ours}:// with pip install {extra!r}" if ours else "install it"
        raise MissingDependencyError(
            f"the driver of {url.drivername}:// is missing (no module {error.name!r}): {mend}"
        ) from error


def _parse(source: str | sa.URL) -> sa.URL:
    try:
        url = sa.make_url(source)
        if "@" in f"{url.host}{url.database}":
            raise ValueError  # noqa: TRY301  # an @ of the password taken for the one before the host
    except (sa.exc.ArgumentError, ValueError):
        # Not chained: the message may quote a part of the password.
        raise SourceError(
            "the database URL cannot be parsed; expected dialect+driver://user:password@host:port/database, "
            "with special characters of the password percent-encoded"
        ) from None
    # The scheme that many hosting services hand out.
    return url.set(drivername="postgresql") if url.drivername == "postgres" else url


@dataclasses.dataclass(frozen=True)
class _Database:
    """An engine, and how messages speak of it without giving away what its URL holds."""

    engine: sa.Engine

    def __str__(self) -> str:
        url = self.engine.url
        place = f" on {url.host}" + (f":{url.port}" if url.port else "") if url.host else ""
        return f"the {url.get_backend_name()} database {url.database or ''!r}{place}"

    def error(self, what: str, error: Exception, mend: str) -> SourceError:
        """Return what went wrong in the driver's first line, without the password."""
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        password = self.engine.url.password
        for secret in {str(password), quote(str(password)), quote_plus(str(password))} if password else ():
            reason = reason.replace(secret, "***")
        return SourceError(f"{self} {what}: {reason}; {mend}")

    @contextlib.contextmanager
    def connected(self) -> Iterator[sa.Connection]:
        """Connect; a SQLite file that is not there is refused, not made."""
        url = self.engine.url
        name = url.database or ""
        is_file = url.get_backend_name() == "sqlite" and name not in {"", ":memory:"}
        if is_file and not name.startswith("file:") and not Path(name).is_file():
            raise SourceError(f"there is no database file {name} (working folder: {Path.cwd()}); check it")
        try:
            connection = self.engine.connect()
        except (sa.exc.SQLAlchemyError, OSError) as error:
            mend = "check the address and that the server runs"
            raise self.error("cannot be reached", error, mend) from error
        with connection:
            yield connection

    def read(
        self,
        connection: sa.Connection,
        columns: Columns,
        options: ReadOptions,
        query: str | None,
        table: str | None,
    ) -> Rows:
        """Read the columns, with what ``options`` ask for pushed into the SQL."""
        what = "the query" if query is not None else f"table {table!r}"
        rows = _subquery(query, columns) if query is not None else _table(str(table), columns)
        try:
            everything = sa.select(sa.text("*")).select_from(rows).where(sa.false())
            columns.check(list(connection.execute(everything).keys()), f"{what} of {self}")
            chunks = [
                _frame(chunk, columns)
                for condition in conditions(connection, rows, columns, options)
                for chunk in _stream(connection, sa.select(*rows.c).where(condition), options.chunk_rows)
            ]
        except (sa.exc.SQLAlchemyError, OSError) as error:
            mend = "it is run as a subquery of a SELECT" if query is not None else self._tables(str(table))
            raise self.error(f"cannot read {what}", error, mend) from error
        return Rows(_concat(chunks, columns).select(columns.expressions()), f"{what} of {self}")

    def _tables(self, table: str) -> str:
        """Return the tables that there are, as a hint."""
        try:
            inspector = sa.inspect(self.engine)
            names = sorted([*inspector.get_table_names(), *inspector.get_view_names()])
        except sa.exc.SQLAlchemyError:
            return "check the name of the table"
        hints = [f"; did you mean {match!r}?" for match in closest(table, names)]
        return f"its tables are {listed(names)}" + "".join(hints)


def _subquery(query: str, columns: Columns) -> sa.FromClause:
    text = sa.text(_BIND.sub(r"\\:", query.strip().rstrip(";")))
    return text.columns(*map(sa.column, columns.names())).subquery("foretell_rows")


def _table(table: str, columns: Columns) -> sa.FromClause:
    schema, _, name = table.rpartition(".")
    return sa.table(name, *map(sa.column, columns.names()), schema=schema or None)


def _stream(
    connection: sa.Connection, statement: sa.Select[Any], chunk_rows: int
) -> Iterator[Sequence[sa.Row[Any]]]:
    result = connection.execution_options(stream_results=True, yield_per=chunk_rows).execute(statement)
    return result.partitions()


def _frame(chunk: Sequence[sa.Row[Any]], columns: Columns) -> pl.DataFrame:
    names = columns.names()
    return pl.DataFrame([_series(n, list(v)) for n, v in zip(names, zip(*chunk, strict=True), strict=True)])


def _series(name: str, values: list[Any]) -> pl.Series:
    """Return values as drivers deliver them; kinds that do not go together become text."""
    try:
        series = pl.Series(name, values)
        if series.dtype != pl.Object:
            return series
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        if all(value is None or isinstance(value, (int, float, Decimal)) for value in values):
            return pl.Series(name, [None if value is None else float(value) for value in values])
    return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)


def _concat(chunks: list[pl.DataFrame], columns: Columns) -> pl.DataFrame:
    if not chunks:
        return pl.DataFrame(schema=dict.fromkeys(columns.names(), pl.Null))
    try:
        return pl.concat(chunks, how="vertical_relaxed")
    except pl.exceptions.PolarsError:
        return pl.concat([chunk.cast(pl.String) for chunk in chunks])
