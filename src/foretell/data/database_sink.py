"""Tables written to a database: loaded in batches into a table beside the target, then put in its place."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import secrets
import zlib
from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from foretell.data.database import Database, opened, schema_and_name
from foretell.data.rows import listed
from foretell.data.sinks import IfExists, Sink, Written
from foretell.errors import ColumnError, ParameterError, StorageError
from foretell.storage.files import locked

# Rows of one transaction.
_BATCH: Final = 50_000
# What tells one row from another, as far as a table has it; the date, which is replaced whole, first.
_KEY: Final = ("as_of", "ds", "unique_id", "target", "what")
_TEXT: Final = (pl.String, pl.Categorical, pl.Enum)


@dataclasses.dataclass(frozen=True)
class DatabaseSink(Sink):
    """A table of a database.

    Attributes
    ----------
    source : str, sqlalchemy.URL or sqlalchemy.Engine
    table : str
        ``"name"`` or ``"schema.name"``.
    if_exists : {"append", "replace", "fail"}
    part : bool
        The rows are those of some customers only.
    """

    source: str | sa.URL | sa.Engine
    table: str
    if_exists: IfExists = "append"
    part: bool = False

    def check(self) -> None:
        """Refuse a database that cannot be reached, and a table that must not be there."""
        with opened(self.source) as database:
            if database.file is not None and not database.file.is_file():
                folder = database.file.absolute().parent
                if not folder.is_dir():
                    raise StorageError(f"cannot write {database.file}: the directory {folder} is not there")
                return
            with database.connected() as connection, self._failing(database, connection):
                self._columns(database, connection)

    def write(self, tables: Iterator[pl.DataFrame]) -> Written:
        """Load all rows beside the table, then let them take its place, or that of some of its rows."""
        first = next(tables)
        key = _key(first.columns)
        with (
            opened(self.source) as database,
            database.connected(make=True) as connection,
            self._failing(database, connection, key),
            contextlib.ExitStack() as stack,
        ):
            if self._columns(database, connection) is None or self.if_exists == "replace":
                stack.enter_context(_alone(database, connection, self.table))
            # Looked at again: another may have made it meanwhile.
            here = self._columns(database, connection)
            anew = here is None or self.if_exists == "replace"
            if here is not None and not anew:
                self._check_columns(database, first.columns, here, key)
            with _staged(connection, self.table, first.schema, key, temporary=not anew) as staged:
                rows = sum(_load(connection, staged, frame) for frame in itertools.chain([first], tables))
                if key:
                    _index(connection, staged, key)
                replaced = 0
                if anew:
                    _put_in_place(connection, staged, self.table, replaces=here is not None)
                else:
                    replaced = _merge(connection, staged, self.table, key, part=self.part)
        return Written(rows, f"table {self.table!r} of {database}", replaced)

    @contextlib.contextmanager
    def _failing(
        self, database: Database, connection: sa.Connection, key: Sequence[str] = ()
    ) -> Iterator[None]:
        """Say in one line what the database says, wherever it says it."""
        expected = "the types of its columns, and the right to write to it"
        try:
            yield
        except (sa.exc.SQLAlchemyError, connection.dialect.loaded_dbapi.Error) as error:
            if isinstance(error, sa.exc.IntegrityError):
                expected = f"that the rows have each {' and '.join(key)} once"
            raise StorageError(
                f"cannot write table {self.table!r} of {database}: {database.reason(error)}; it is as it "
                f"was: check {expected}"
            ) from error

    def _columns(self, database: Database, connection: sa.Connection) -> list[str] | None:
        """Return the columns of the table, None if it is not there; refuse it if it must not be."""
        schema, name = schema_and_name(self.table)
        with connection.begin():
            inspector = sa.inspect(connection)
            if not inspector.has_table(name, schema):
                return None
            if self.if_exists == "fail":
                raise StorageError(
                    f"{database} has a table {self.table!r}; name another one, or if_exists='append'"
                )
            return [column["name"] for column in inspector.get_columns(name, schema)]

    def _check_columns(
        self, database: Database, columns: Sequence[str], here: Sequence[str], key: Sequence[str]
    ) -> None:
        if set(columns) != set(here):
            missing = [name for name in columns if name not in here]
            more = [name for name in here if name not in columns]
            differences = [f"it lacks {listed(missing)}"] * bool(missing) + [
                f"the rows lack {listed(more)}"
            ] * bool(more)
            raise ColumnError(
                f"table {self.table!r} of {database} has other columns than the rows: "
                f"{', '.join(differences)}; ask for the same columns, name another table, or "
                "if_exists='replace'"
            )
        if not key:
            raise ParameterError(
                f"rows with the columns {listed(columns)} do not say which of table {self.table!r} they "
                "replace; expected unique_id, and as_of or ds, or if_exists='replace'"
            )


def _key(columns: Sequence[str]) -> list[str]:
    """Return the columns that tell one row from another; none where there is no date, or no customer."""
    key = [name for name in _KEY if name in columns]
    return key if "unique_id" in key and key[0] != "unique_id" else []


@contextlib.contextmanager
def _alone(database: Database, connection: sa.Connection, table: str) -> Iterator[None]:
    """Let one process at a time make a table; the lock of one that is killed goes with its connection."""
    locks = _LOCKS.get(connection.dialect.name)
    if locks is None:
        folder = None if database.file is None else database.file.absolute().parent
        with contextlib.nullcontext() if folder is None else locked(folder):
            yield
        return
    lock, unlock = (
        statement.bindparams(name=f"foretell {zlib.crc32(f'{database} {table}'.encode())}")
        for statement in locks
    )
    with connection.begin():
        connection.execute(lock)
    try:
        yield
    finally:
        connection.rollback()
        with contextlib.suppress(sa.exc.SQLAlchemyError), connection.begin():
            connection.execute(unlock)


_MYSQL: Final = (sa.text("SELECT GET_LOCK(:name, 1000000)"), sa.text("SELECT RELEASE_LOCK(:name)"))
# What locks a name on the server, and what lets go of it.
_LOCKS: Final = {
    "postgresql": (
        sa.text("SELECT pg_advisory_lock(hashtext(:name))"),
        sa.text("SELECT pg_advisory_unlock(hashtext(:name))"),
    ),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
}


@contextlib.contextmanager
def _staged(
    connection: sa.Connection, table: str, schema: pl.Schema, key: Sequence[str], *, temporary: bool
) -> Iterator[sa.Table]:
    """Give an empty table beside the target, which is dropped if it is still there afterwards.

    A temporary one is seen by this connection alone, and goes with it, whatever befalls the process; any
    other is what a killed process may leave, and the next one drops.
    """
    place, name = schema_and_name(table)
    columns = [_column(name, dtype, key) for name, dtype in schema.items()]
    staged = sa.Table(
        "foretell_rows" if temporary else f"foretell_new_{name}"[:60],
        sa.MetaData(),
        *columns,
        schema=None if temporary else place,
        prefixes=["TEMPORARY"] if temporary else [],
    )
    drop = sa.schema.DropTable(staged, if_exists=True)
    with connection.begin():
        connection.execute(drop)
        connection.execute(sa.schema.CreateTable(staged))
    try:
        yield staged
    finally:
        connection.rollback()
        with contextlib.suppress(sa.exc.SQLAlchemyError), connection.begin():
            connection.execute(drop)


def _column(name: str, dtype: pl.DataType, key: Sequence[str]) -> sa.Column[object]:
    """Return a column that holds values of a type."""
    if dtype.is_integer():
        return sa.Column(name, sa.BigInteger())
    if dtype.is_float():
        return sa.Column(name, sa.Double())
    if dtype == pl.Boolean:
        return sa.Column(name, sa.Boolean())
    if dtype == pl.Date:
        return sa.Column(name, sa.Date())
    if isinstance(dtype, pl.Datetime):
        moment = sa.DateTime(timezone=dtype.time_zone is not None)
        return sa.Column(name, moment.with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb"))
    if dtype in _TEXT:
        # What is indexed has a length there; and 'a' and 'A' are two customers.
        text: type[mysql.VARCHAR | mysql.TEXT] = mysql.VARCHAR if name in key else mysql.TEXT
        length = 255 if name in key else None
        bytewise = text(length, charset="utf8mb4", collation="utf8mb4_bin")
        return sa.Column(name, sa.Text().with_variant(bytewise, "mysql", "mariadb"))
    raise ColumnError(f"column {name!r} is of type {dtype}; expected numbers, text, dates, or true and false")


def _load(connection: sa.Connection, staged: sa.Table, frame: pl.DataFrame) -> int:
    """Add rows in batches, each in a transaction of its own; return how many."""
    frame = frame.with_columns(pl.col(pl.Float32, pl.Float64).fill_nan(None))
    for batch in frame.iter_slices(_BATCH):
        if not batch.height:
            continue
        with connection.begin():
            _LOADERS.get(connection.dialect.driver, _insert)(connection, staged, batch)
    return frame.height


def _insert(connection: sa.Connection, staged: sa.Table, batch: pl.DataFrame) -> None:
    connection.execute(staged.insert(), batch.to_dicts())


def _insert_text(connection: sa.Connection, staged: sa.Table, batch: pl.DataFrame) -> None:
    """Hand rows to the driver as they are, with times as text: two to four times as fast as by SQLAlchemy."""
    times = pl.selectors.datetime().dt.strftime("%Y-%m-%d %H:%M:%S%.6f")
    rows = batch.with_columns(times, pl.selectors.date().cast(pl.String)).rows()
    marks = ["?" if connection.dialect.driver == "pysqlite" else "%s"] * batch.width
    statement = f"INSERT INTO {_place(connection, staged)} VALUES ({', '.join(marks)})"  # noqa: S608  # quoted
    connection.exec_driver_sql(statement, rows)


def _place(connection: sa.Connection, staged: sa.Table) -> str:
    """Return the table and its columns as SQL."""
    preparer = connection.dialect.identifier_preparer
    names = ", ".join(preparer.quote(column.name) for column in staged.c)
    return f"{preparer.format_table(staged)} ({names})"


def _copy(connection: sa.Connection, staged: sa.Table, batch: pl.DataFrame) -> None:
    """Hand rows to PostgreSQL as CSV, its own way to load many."""
    statement = f"COPY {_place(connection, staged)} FROM STDIN (FORMAT csv)"
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101  # the connection is open
    text = io.BytesIO()
    batch.write_csv(text, include_header=False)
    with driver.cursor() as cursor, cursor.copy(statement) as rows:
        rows.write(text.getbuffer())


_LOADERS: Final = {"psycopg": _copy, "pysqlite": _insert_text, "pymysql": _insert_text}


def _index(connection: sa.Connection, staged: sa.Table, key: Sequence[str]) -> None:
    """Let no row in twice, and find rows by their date; after loading, since that is faster."""
    index = sa.Index(f"foretell_{secrets.token_hex(6)}", *(staged.c[name] for name in key), unique=True)
    with connection.begin():
        index.create(connection)


def _put_in_place(connection: sa.Connection, staged: sa.Table, table: str, *, replaces: bool) -> None:
    """Give the new table the name of the target, whose rows go."""
    schema, name = schema_and_name(table)
    target, older = (
        sa.Table(word, sa.MetaData(), schema=schema) for word in (name, f"foretell_old_{name}"[:60])
    )
    preparer = connection.dialect.identifier_preparer
    new, now, old = (preparer.format_table(one) for one in (staged, target, older))
    with _writing(connection):
        if connection.dialect.name in ("mysql", "mariadb"):
            # The one statement there that changes two names at once.
            connection.execute(sa.schema.DropTable(older, if_exists=True))
            first = f"{now} TO {old}, " if replaces else ""
            connection.exec_driver_sql(f"RENAME TABLE {first}{new} TO {now}")
            connection.execute(sa.schema.DropTable(older, if_exists=True))
        else:
            if replaces:
                connection.execute(sa.schema.DropTable(target))
            connection.exec_driver_sql(f"ALTER TABLE {new} RENAME TO {preparer.quote(name)}")


def _merge(connection: sa.Connection, staged: sa.Table, table: str, key: Sequence[str], *, part: bool) -> int:
    """Replace the rows of the same as-of dates, or those of the same key; return how many there were."""
    schema, name = schema_and_name(table)
    target = sa.table(name, *(sa.column(column.name, column.type) for column in staged.c), schema=schema)
    with _writing(connection):
        replaced = sum(
            connection.execute(target.delete().where(condition)).rowcount
            for condition in _same(connection, staged, target, key, part=part)
        )
        everything = sa.select(*staged.c)
        connection.execute(sa.insert(target).from_select([column.name for column in staged.c], everything))
    return replaced


def _same(
    connection: sa.Connection, staged: sa.Table, target: sa.TableClause, key: Sequence[str], *, part: bool
) -> Iterator[sa.ColumnElement[bool]]:
    """Yield the conditions for rows of the target that are to be replaced."""
    if key[0] == "as_of" and not part:
        for date in connection.scalars(sa.select(staged.c.as_of).distinct()).all():
            yield target.c.as_of == date
    elif connection.dialect.name == "sqlite":  # which cannot delete by a join
        columns = sa.tuple_(*(target.c[name] for name in key))
        yield columns.in_(sa.select(*(staged.c[name] for name in key)))
    else:
        yield sa.and_(*(target.c[name] == staged.c[name] for name in key))


@contextlib.contextmanager
def _writing(connection: sa.Connection) -> Iterator[None]:
    """Begin a transaction; Python's driver of SQLite would begin one before INSERT only, not before DROP."""
    with connection.begin():
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield
