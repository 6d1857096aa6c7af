"""Databases: what is asked of them, and rows read in chunks through SQLAlchemy."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

import polars as pl
import sqlalchemy as sa

from foretell.core.constraints import Maybe, Text, check, did_you_mean
from foretell.data.rows import Columns, ReadOptions, Rows, listed
from foretell.data.times import EPOCH_UNITS, number_kind
from foretell.errors import ColumnError, MissingDependencyError, ParameterError, SourceError

_SAMPLE: Final = 100
# Databases limit the parameters of a statement: SQLite to 32,766, older ones to 999.
_IDS_AT_ONCE: Final = 900
_SLACK: Final = dt.timedelta(days=2)
_ISO_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NUMBERS: Final = (int, float, Decimal)
_Write = Callable[[dt.datetime], object]


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
    ids = _typed(options.ids, _sample(connection, id_column), columns.id)
    for k in range(0, len(ids), _IDS_AT_ONCE):
        yield sa.and_(period, id_column.in_(ids[k : k + _IDS_AT_ONCE]))


def _sample(connection: sa.Connection, column: sa.ColumnElement[object]) -> list[Any]:
    """Return a few values, to see of which type they are."""
    present = sa.select(column).where(column.is_not(None)).limit(_SAMPLE)
    return list(connection.execute(present).scalars())


def _typed(ids: Collection[object], sample: list[Any], column: str) -> list[object]:
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
            f"{kind.__name__}: {list(ids)[:3]}"
        ) from error


def _period(
    column: sa.ColumnElement[object], sample: list[Any], options: ReadOptions
) -> sa.ColumnElement[bool]:
    """Return the condition for the observed period, as far as the type of the column allows one."""
    kinds = {type(value) for value in sample}
    if len(kinds) != 1:
        return sa.true()
    kind = kinds.pop()
    strange: list[sa.ColumnElement[bool]] = [column.is_(None)]
    write: _Write
    if options.whole_numbers:
        if kind not in _NUMBERS:
            return sa.true()
        return _between(column, options.begin, options.delivered_end, strange)
    if kind is dt.datetime:
        aware = all(value.tzinfo is not None for value in sample)
        write = (lambda when: when) if aware else (lambda when: when.replace(tzinfo=None))
    elif kind is dt.date:
        write = dt.datetime.date
    elif kind is str and options.time_format is None and all(map(_ISO_DATE.match, sample)):
        write = _iso_date
        strange.append(column.not_like("____-__-__%"))
    elif kind in _NUMBERS and (number := _number(sample, options)) is not None:
        low, high, write = number
        strange += [column < low, column > high]
    else:
        return sa.true()
    begin, end = options.begin, options.delivered_end
    first = None if begin is None else write(_day(begin) - _SLACK)
    return _between(column, first, None if end is None else write(_day(end - 1) + _SLACK), strange)


def _between(
    column: sa.ColumnElement[object], begin: object, end: object, strange: list[sa.ColumnElement[bool]]
) -> sa.ColumnElement[bool]:
    """Return the condition for values from ``begin`` to before ``end``, or strange ones."""
    within = ([] if begin is None else [column >= begin]) + ([] if end is None else [column < end])
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
    (rows,) = database_slices(source, columns, options, query=query, table=table)
    return rows


def database_slices(
    source: str | sa.URL | sa.Engine,
    columns: Columns,
    options: ReadOptions,
    *,
    query: str | None = None,
    table: str | None = None,
    size: float = float("inf"),
) -> Iterator[Rows]:
    """Read what `read_database` reads, about ``size`` rows at a time."""
    check("query", query, Maybe(Text("a SELECT statement")))
    check("table", table, Maybe(Text("the name of a table")))
    if (query is None) == (table is None):
        given = "both are given" if query is not None else f"neither is given{_offered(source)}"
        raise ParameterError(f"a database needs one of query= and table=; {given}")
    with opened(source) as database, database.connected() as connection:
        origin = f"{'the query' if query is not None else f'table {table!r}'} of {database}"
        slices, waiting = 0, []
        for chunk in database.chunks(connection, columns, options, query, table):
            waiting.append(chunk)
            if sum(map(len, waiting)) >= size:
                yield Rows(_concat(waiting, columns).select(columns.expressions()), origin)
                slices, waiting = slices + 1, []
        if waiting or not slices:
            yield Rows(_concat(waiting, columns).select(columns.expressions()), origin)


def head_of_table(
    source: str | sa.URL | sa.Engine, rows: int, *, query: str | None = None, table: str | None = None
) -> pl.DataFrame:
    """Return the first rows of a table or of a query's result, with all columns."""
    if (query is None) == (table is None):
        raise ParameterError(f"a database needs one of query= and table={_offered(source)}")
    with opened(source) as database, database.connected() as connection:
        if query is not None:
            text = sa.text(_BIND.sub(r"\\:", query.strip().rstrip(";")))
            place: sa.FromClause = text.columns().subquery("foretell_rows")
        else:
            schema, name = schema_and_name(str(table))
            place = sa.table(name, schema=schema)
        try:
            result = connection.execute(sa.select(sa.text("*")).select_from(place).limit(rows))
            names, values = list(result.keys()), result.all()
        except (sa.exc.SQLAlchemyError, OSError) as error:
            mend = "it is run as a subquery of a SELECT" if query is not None else database.tables(str(table))
            raise database.error("cannot be read", error, mend) from error
    columns = zip(*values, strict=True) if values else [()] * len(names)
    return pl.DataFrame([_series(n, list(v)) for n, v in zip(names, columns, strict=True)])


def _offered(source: str | sa.URL | sa.Engine) -> str:
    """Return the tables that a file has to choose from; a server is not asked for them."""
    with opened(source) as database:
        if database.file is None or not database.file.is_file():
            return ""
        with database.connected():
            return f", and {database.tables('')}"


@contextlib.contextmanager
def opened(source: str | sa.URL | sa.Engine) -> Iterator[Database]:
    """Give the database behind a URL or an engine; an engine of the user's is left open."""
    engine = source if isinstance(source, sa.Engine) else _engine(source)
    try:
        yield Database(engine)
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
        if dialect == "duckdb":
            raise MissingDependencyError(
                "the driver of duckdb:// is missing: pip install 'foretell[duckdb]'"
            ) from error
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
class Database:
    """An engine, and how messages speak of it without giving away what its URL holds."""

    engine: sa.Engine

    def __str__(self) -> str:
        url = self.engine.url
        place = f" on {url.host}" + (f":{url.port}" if url.port else "") if url.host else ""
        return f"the {url.get_backend_name()} database {url.database or ''!r}{place}"

    def error(self, what: str, error: Exception, mend: str) -> SourceError:
        """Return what went wrong when it was read."""
        return SourceError(f"{self} {what}: {self.reason(error)}; {mend}")

    def reason(self, error: Exception) -> str:
        """Return the driver's first line, without the password."""
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        password = self.engine.url.password
        for secret in {str(password), quote(str(password)), quote_plus(str(password))} if password else ():
            reason = reason.replace(secret, "***")
        return reason

    @property
    def file(self) -> Path | None:
        """The file of a SQLite or DuckDB database that is kept in one."""
        name = self.engine.url.database or ""
        is_file = self.engine.url.get_backend_name() in {"sqlite", "duckdb"} and name not in {"", ":memory:"}
        return Path(name) if is_file and not name.startswith("file:") else None

    @contextlib.contextmanager
    def connected(self, *, make: bool = False) -> Iterator[sa.Connection]:
        """Connect; a SQLite file that is not there is refused, unless it is to be made."""
        if self.file is not None and not make and not self.file.is_file():
            raise SourceError(
                f"there is no database file {self.file} (working folder: {Path.cwd()}); check it"
            )
        try:
            connection = self.engine.connect()
        except (sa.exc.SQLAlchemyError, OSError) as error:
            mend = "check the address and that the server runs"
            raise self.error("cannot be reached", error, mend) from error
        try:
            yield connection
        finally:
            # All is read or committed by now, or an error tells of it: how a session ends is none of its own.
            with contextlib.suppress(sa.exc.SQLAlchemyError, OSError):
                connection.close()

    def chunks(
        self,
        connection: sa.Connection,
        columns: Columns,
        options: ReadOptions,
        query: str | None,
        table: str | None,
    ) -> Iterator[pl.DataFrame]:
        """Read the columns, with what ``options`` ask for pushed into the SQL."""
        what = "the query" if query is not None else f"table {table!r}"
        mysql = self.engine.dialect.name in ("mysql", "mariadb")
        rows = _table(str(table), columns) if query is None else _subquery(query, columns, mysql=mysql)
        try:
            everything = sa.select(sa.text("*")).select_from(rows).where(sa.false())
            columns.check(list(connection.execute(everything).keys()), f"{what} of {self}")
            for condition in conditions(connection, rows, columns, options):
                for chunk in _stream(connection, sa.select(*rows.c).where(condition), options.chunk_rows):
                    yield _frame(chunk, columns)
        except (sa.exc.SQLAlchemyError, OSError) as error:
            mend = "it is run as a subquery of a SELECT" if query is not None else self.tables(str(table))
            raise self.error(f"cannot read {what}", error, mend) from error

    def tables(self, table: str) -> str:
        """Return the tables that there are, as a hint."""
        try:
            inspector = sa.inspect(self.engine)
            found = sorted([*inspector.get_table_names(), *inspector.get_view_names()])
            names = [f'"{name}"' if "." in name else name for name in found]
        except sa.exc.SQLAlchemyError:
            return "check the name of the table"
        return f"its tables are {listed(names)}{did_you_mean(table, names)}"


# What a query consists of: text and names in quotes, comments, and what may stand at its end.
_QUOTED: Final = r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`"""
_PARTS: Final = re.compile(rf"{_QUOTED}|(?P<left_out>--[^\n]*|/\*.*?\*/|[\s;]+)", re.DOTALL)
_PARTS_OF_MYSQL: Final = re.compile(rf"{_QUOTED}|(?P<left_out>(?:--|\#)[^\n]*|/\*.*?\*/|[\s;]+)", re.DOTALL)


def bare(query: str, *, mysql: bool = False) -> str:
    """Return a query without the comments and semicolons at its end, which a subquery cannot have.

    Examples
    --------
    >>> bare("SELECT ';' AS mark; -- of all")
    "SELECT ';' AS mark"
    """
    parts, at, end = _PARTS_OF_MYSQL if mysql else _PARTS, 0, 0
    while at < len(query):
        part = parts.match(query, at)
        at = part.end() if part else at + 1
        if not (part and part["left_out"]):
            end = at
    return query[:end]


def _subquery(query: str, columns: Columns, *, mysql: bool) -> sa.FromClause:
    text = sa.text(_BIND.sub(r"\\:", bare(query, mysql=mysql)))
    return text.columns(*map(sa.column, columns.names())).subquery("foretell_rows")


def _table(table: str, columns: Columns) -> sa.FromClause:
    schema, name = schema_and_name(table)
    return sa.table(name, *map(sa.column, columns.names()), schema=schema)


_NAME: Final = r'"(?:[^"]|"")+"'
_PLACE: Final = re.compile(rf'(?:(?P<schema>{_NAME}|[^"].*)\.)?(?P<name>{_NAME}|[^."]+)', re.DOTALL)


def schema_and_name(table: str) -> tuple[str | None, str]:
    """Return the schema of a table, None where it names none, and its name.

    Examples
    --------
    >>> schema_and_name("shop.visits"), schema_and_name('shop."visits.2024"')
    (('shop', 'visits'), ('shop', 'visits.2024'))
    """
    found = _PLACE.fullmatch(table)
    schema, name = found.group("schema", "name") if found else (None, table)
    return schema and _unquoted(schema), _unquoted(name)


def _unquoted(name: str) -> str:
    quoted = len(name) > 2 and name[0] == name[-1] == '"'
    return name[1:-1].replace('""', '"') if quoted else name


def _stream(
    connection: sa.Connection, statement: sa.Select[tuple[object, ...]], chunk_rows: int
) -> Iterator[Sequence[sa.Row[tuple[object, ...]]]]:
    result = connection.execution_options(stream_results=True, yield_per=chunk_rows).execute(statement)
    try:
        yield from result.partitions()
    finally:
        with contextlib.suppress(sa.exc.SQLAlchemyError, OSError):  # of a session that is over
            result.close()


def _frame(chunk: Sequence[sa.Row[tuple[object, ...]]], columns: Columns) -> pl.DataFrame:
    names = columns.names()
    return pl.DataFrame([_series(n, list(v)) for n, v in zip(names, zip(*chunk, strict=True), strict=True)])


def _series(name: str, values: list[object]) -> pl.Series:
    """Return values as drivers deliver them; kinds that do not go together become text."""
    try:
        if isinstance(next((value for value in values if value is not None), None), Decimal):
            # polars has decimals without NaN and infinity, which PostgreSQL has.
            values = [float(v) if isinstance(v, Decimal) and not v.is_finite() else v for v in values]
        series = pl.Series(name, values)
        if series.dtype != pl.Object:
            return series
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        if all(value is None or isinstance(value, (int, float, Decimal)) for value in values):
            return pl.Series(name, [None if value is None else float(value) for value in values])  # type: ignore[arg-type]
    return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)


def _concat(chunks: list[pl.DataFrame], columns: Columns) -> pl.DataFrame:
    if not chunks:
        return pl.DataFrame(schema=dict.fromkeys(columns.names(), pl.Null))
    try:
        return pl.concat(chunks, how="vertical_relaxed")
    except pl.exceptions.PolarsError:
        return pl.concat([chunk.cast(pl.String) for chunk in chunks])
