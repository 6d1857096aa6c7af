"""Sessions that the server ends half-way, statements that take too long: one error, and nothing half-done."""

import polars as pl
import pytest
import sqlalchemy as sa
from benchmarks.torture.hardships import unheard
from tests.data.servers import own_table, server

import foretell as ft
from foretell.data import database
from foretell.errors import SourceError, StorageError

SERVERS = [server("FORETELL_TEST_POSTGRES_URL"), server("FORETELL_TEST_MYSQL_URL")]
PASSWORD = "s3cret-of-nobody"
ROWS = pl.DataFrame(
    {
        "unique_id": [k % 500 for k in range(5_000)],
        "as_of": ["2024-06-30"] * 5_000,
        "ds": [f"2024-01-{1 + k % 28:02}" for k in range(5_000)],
        "amount": 1.5,
    }
)


@pytest.fixture
def table():
    return own_table("lost")


@pytest.fixture(params=SERVERS)
def shop(request, table):
    """An engine, by which a table of visits was written, and what ends all sessions of another engine."""
    url = sa.make_url(request.param)
    if url.drivername.startswith("postgresql") and not url.password:  # that of tests trusts anybody
        url = url.set(password=PASSWORD)
    engine = sa.create_engine(url)
    sessions = []

    @sa.event.listens_for(engine, "connect")
    def remember(connection, record):
        ours = getattr(connection, "info", None)
        sessions.append(ours.backend_pid if ours is not None else connection.thread_id())

    kill = "SELECT pg_terminate_backend({})" if engine.dialect.name == "postgresql" else "KILL {}"

    def end():
        other = sa.create_engine(url)
        with other.connect() as connection:
            for session in sessions:
                connection.exec_driver_sql(kill.format(session))
        other.dispose()
        sessions.clear()

    ft.write_tables(ROWS.unique(["unique_id", "as_of"]), engine, table, if_exists="replace")
    yield engine, end
    engine.dispose()
    sa.Table(table, sa.MetaData()).drop(engine, checkfirst=True)
    engine.dispose()


def told(kind, call):
    """Return what an error says; of drivers' results that cannot be closed nothing is left."""
    said = f"no {kind.__name__}"
    with unheard():
        try:
            call()
        except kind as error:
            said = str(error)
    assert PASSWORD not in said
    assert "\n" not in said
    return said


def test_a_session_that_ends_while_it_is_read_is_one_refused_source(shop, table, monkeypatch):
    engine, end = shop
    frames = database._frame
    seen = []

    def ends_once(chunk, columns):
        if not seen:
            end()
        seen.append(len(chunk))
        return frames(chunk, columns)

    monkeypatch.setattr(database, "_frame", ends_once)
    # More than is on its way already.
    rows = f"SELECT a.unique_id, a.ds, a.amount FROM {table} a CROSS JOIN {table} b"
    said = told(SourceError, lambda: ft.read_events(engine, query=rows, marks="amount", chunk_rows=1_000))
    assert "cannot read the query" in said
    assert 0 < sum(seen) < 250_000


@pytest.mark.parametrize("if_exists", ["append", "replace"])
def test_a_session_that_ends_while_it_writes_leaves_the_table_as_it_was(shop, table, if_exists):
    engine, end = shop
    rows = ROWS.unique(["unique_id", "as_of"])

    def tables():
        yield rows.with_columns(amount=pl.lit(9.5))
        end()
        yield rows.with_columns(amount=pl.lit(9.5), unique_id=-pl.col("unique_id") - 1)

    said = told(StorageError, lambda: ft.write_tables(tables(), engine, table, if_exists=if_exists))
    assert "it is as it was" in said
    assert set(ft.read_events(engine, table=table, marks="amount").marks.ravel()) == {1.5}
    names = sa.inspect(engine).get_table_names()
    assert ft.write_tables(rows, engine, table, if_exists=if_exists).rows == 500
    assert not [name for name in names if name.startswith("foretell_old")]


def test_a_statement_that_takes_too_long_is_one_refused_source(shop, table):
    engine, _ = shop
    if engine.dialect.name == "postgresql":
        limited = engine.url.update_query_dict({"options": "-c statement_timeout=100"})
        slow = f"SELECT unique_id, ds FROM {table} WHERE pg_sleep(0.01) IS NOT NULL"
    else:
        limited = engine.url.update_query_dict({"init_command": "SET max_statement_time = 0.1"})
        slow = f"SELECT unique_id, ds FROM {table} WHERE SLEEP(0.01) = 0"
    assert "cannot read the query" in told(SourceError, lambda: ft.read_events(limited, query=slow))
