"""Databases: the same log from SQLite, PostgreSQL and MariaDB, streamed, filtered by the server."""

# ruff: noqa: DTZ001  # the shop's clock has no zone
import datetime as dt
import sqlite3
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa
from tests.data.servers import own_table, server

import foretell as ft
from foretell.data import database
from foretell.errors import (
    ColumnError,
    DataError,
    EmptyLogError,
    MissingDependencyError,
    ParameterError,
    SourceError,
)

TABLE = own_table("visits")
ROWS = [
    {
        "Customer": c,
        "create time": dt.datetime(2024, m, 1 + c % 27, 23, 30),
        "amount": c * m / 4,
        "order": "n",
    }
    for c in range(1, 31)
    for m in range(1, 1 + c % 12)
]
NAMES = {"id": "Customer", "time": "create time", "marks": ["amount"], "group": "order"}


@pytest.fixture(
    params=["sqlite", server("FORETELL_TEST_POSTGRES_URL"), server("FORETELL_TEST_MYSQL_URL")],
)
def url(request, tmp_path):
    """A database with a table of visits, whose columns all have to be quoted."""
    address = f"sqlite:///{tmp_path / 'shop.db'}" if request.param == "sqlite" else request.param
    engine = sa.create_engine(address)
    columns = [
        sa.Column("Customer", sa.Integer),
        sa.Column("create time", sa.DateTime),
        sa.Column("amount", sa.Numeric(10, 2)),
        sa.Column("order", sa.String(9)),
    ]
    visits = sa.Table(TABLE, sa.MetaData(), *columns)
    visits.drop(engine, checkfirst=True)
    visits.create(engine)
    with engine.begin() as connection:
        connection.execute(visits.insert(), ROWS)
    yield address
    visits.drop(engine)
    engine.dispose()


@pytest.fixture
def statements(monkeypatch):
    """Every statement that is sent, with its parameters."""
    sent = []
    engines = database._engine

    def watched(source):
        engine = engines(source)
        sa.event.listen(engine, "before_cursor_execute", lambda *args: sent.append((args[2], args[3])))
        return engine

    monkeypatch.setattr(database, "_engine", watched)
    return sent


def quoted(url, *names):
    preparer = sa.create_engine(url).dialect.identifier_preparer
    return [preparer.quote(name) for name in names]


def test_a_table_gives_the_same_log_as_a_frame(url):
    log = ft.read_events(url, table=TABLE, chunk_rows=7, **NAMES)
    expected = ft.read_events(pl.DataFrame(ROWS), **NAMES)
    assert log.to_polars().equals(expected.to_polars())
    assert log.report.rows_read == len(ROWS)


def test_a_query_is_read_as_it_is(url):
    customer, time = quoted(url, "Customer", "create time")
    query = (
        f"with big as (select {customer}, {time}, 'a:b %% :c' as note from {TABLE} where amount >= 5) "
        f"select {customer}, {time} from big where note like '%:c' and note not like '% :d';\n"
    )
    log = ft.read_events(url, query=query, id="Customer", time="create time")
    assert log.report.rows_read == sum(row["amount"] >= 5 for row in ROWS)


def test_an_engine_is_used_and_left_open(url):
    engine = sa.create_engine(url)
    assert ft.read_events(engine, table=TABLE, **NAMES).n_customers == 28
    assert engine.connect().close() is None
    engine.dispose()


def test_ids_and_period_are_bound_parameters_of_the_sql(url, statements):
    settings = {"ids": ["5", 7, 29], "start": "2024-02-10", "as_of": "2024-04-10"}
    log = ft.read_events(url, table=TABLE, **NAMES, **settings)
    expected = ft.read_events(pl.DataFrame(ROWS), **NAMES, **settings)
    assert log.to_polars().equals(expected.to_polars())
    assert (log.start, log.as_of) == (expected.start, expected.as_of)
    assert log.report.rows_read < 20 < expected.report.rows_read
    sql, parameters = statements[-1]
    assert " IN " in sql
    assert "2024" not in sql
    values = list(parameters.values()) if isinstance(parameters, dict) else list(parameters)
    assert {5, 7, 29} <= set(values)


def test_more_ids_than_a_statement_takes_are_read_in_parts(url, statements):
    log = ft.read_events(url, table=TABLE, ids=range(1, 40_000), **NAMES)
    assert log.n_events == ft.read_events(pl.DataFrame(ROWS), **NAMES).n_events
    assert len(statements) > 40


def test_an_open_end_is_no_limit(url):
    log = ft.read_events(url, table=TABLE, start="0001-01-01", as_of="9999-12-31", **NAMES)
    assert log.n_events == ft.read_events(pl.DataFrame(ROWS), **NAMES).n_events


def test_an_id_that_is_named_twice_is_read_once(url):
    log = ft.read_events(url, table=TABLE, ids=[*range(1, 2_000), "7", 7], **NAMES)
    assert log.report.rows_read == len(ROWS)


def test_rows_are_streamed_in_chunks(url, monkeypatch):
    sizes = []
    frame = database._frame
    monkeypatch.setattr(
        database, "_frame", lambda chunk, columns: sizes.append(len(chunk)) or frame(chunk, columns)
    )
    ft.read_events(url, table=TABLE, chunk_rows=50, **NAMES)
    assert max(sizes) == 50
    assert sum(sizes) == len(ROWS)


def test_the_first_rows_are_shown_with_all_columns(url):
    head = database.head_of_table(url, 3, table=TABLE)
    assert head.columns == ["Customer", "create time", "amount", "order"]
    assert len(head) == 3
    (customer,) = quoted(url, "Customer")
    assert database.head_of_table(url, 1, query=f"select {customer} from {TABLE};").shape == (1, 1)
    assert database.head_of_table(url, 5, query=f"select 1 as n from {TABLE} where 1 = 0").columns == ["n"]
    with pytest.raises(SourceError, match=rf"its tables are .*{TABLE}"):
        database.head_of_table(url, 3, table="nowhere")
    with pytest.raises(ParameterError, match="one of query= and table="):
        database.head_of_table(url, 3)


def test_a_missing_table_lists_those_there_are(url):
    with pytest.raises(SourceError, match=rf"cannot read table '{TABLE}s'.*did you mean '{TABLE}'"):
        ft.read_events(url, table=f"{TABLE}s", **NAMES)


def test_a_missing_column_lists_those_there_are(url):
    with pytest.raises(
        ColumnError, match=r"no column 'customer'; its columns are 'Customer'.*did you mean 'Customer'"
    ):
        ft.read_events(url, table=TABLE, id="customer", time="create time")


def test_bad_sql_is_refused_with_the_servers_reason(url):
    with pytest.raises(SourceError, match=r"cannot read the query: .*syntax"):
        ft.read_events(url, query="selec nothing", **NAMES)


def test_a_query_cannot_change_the_data(url):
    with pytest.raises(SourceError):
        ft.read_events(url, query=f"delete from {TABLE}", **NAMES)
    assert ft.read_events(url, table=TABLE, **NAMES).report.rows_read == len(ROWS)


def test_a_result_without_rows_is_refused(url):
    customer, time = quoted(url, "Customer", "create time")
    with pytest.raises(EmptyLogError, match=r"the query .*holds no rows"):
        ft.read_events(
            url,
            query=f"select {customer}, {time} from {TABLE} where 1 = 0",
            id="Customer",
            time="create time",
        )


def test_a_period_without_rows_is_named_as_the_reason(url):
    with pytest.raises(EmptyLogError, match="holds no rows within what start=, as_of= and ids= ask for"):
        ft.read_events(url, table=TABLE, start="2030-01-01", **NAMES)


@pytest.mark.parametrize("address", [server("FORETELL_TEST_POSTGRES_URL")])
def test_times_that_a_server_keeps_with_a_zone_count_by_the_zone_that_is_asked_for(address):
    query = (
        "select md5(g::text)::uuid as who, "
        "timestamptz '2024-01-31 23:30+00' + g * interval '1 day' as moment from generate_series(0, 59) g"
    )
    settings = {"query": query, "id": "who", "time": "moment", "start": "2024-02-10", "as_of": "2024-02-12"}
    assert ft.read_events(address, **settings).n_events == 3
    log = ft.read_events(address, time_zone="Europe/Berlin", **settings)
    assert log.dates(np.sort(log.times)).astype(str).tolist() == ["2024-02-10", "2024-02-11", "2024-02-12"]
    assert log.report.rows_read < 10
    assert ft.read_events(address, time_zone="Europe/Berlin", ids=[log.ids[0]], **settings).ids.to_list() == [
        log.ids[0]
    ]


@pytest.fixture
def sqlite(tmp_path):
    """Make a SQLite database out of rows of who and when, in whatever types they are."""

    def make(rows, name="any.db"):
        with sqlite3.connect(tmp_path / name) as connection:
            connection.execute("create table visits (who, moment)")
            connection.executemany("insert into visits values (?, ?)", rows)
        connection.close()
        return f"sqlite:///{tmp_path / name}"

    return make


def by_table(url, **settings):
    return ft.read_events(url, table="visits", id="who", time="moment", **settings)


SECONDS = 1_704_067_200


@pytest.mark.parametrize(
    "write",
    [
        str,
        lambda day: f"{day} 23:59:59.000000",
        lambda day: f"{day}T23:59:59+00:00",
        lambda day: SECONDS + 86_400 * (day - dt.date(2024, 1, 1)).days,
        lambda day: 1_000 * (SECONDS + 86_400 * (day - dt.date(2024, 1, 1)).days),
        lambda day: int(f"{day:%Y%m%d}"),
        lambda day: f"{day:%d.%m.%Y}",
    ],
    ids=["date", "datetime", "offset", "seconds", "milliseconds", "digits", "german"],
)
def test_the_period_is_pushed_down_for_every_way_to_store_a_time(sqlite, write):
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=k) for k in range(0, 300, 3)]
    url = sqlite([(k % 2, write(day)) for k, day in enumerate(days)] + [(1, None), (0, "never")])
    log = by_table(url, start="2024-03-01", as_of="2024-03-31")
    inside = [day for day in days if dt.date(2024, 3, 1) <= day <= dt.date(2024, 3, 31)]
    assert sorted(log.to_polars()["ds"].to_list()) == inside
    assert log.report.left_out["with an unreadable time"] == 2
    german = isinstance(write(days[0]), str) and "." in write(days[0])[:3]
    assert log.report.rows_read == len(days) + 2 if german else log.report.rows_read < 20


def test_ids_of_any_type_that_sqlite_lets_into_one_column_become_text(sqlite):
    log = by_table(sqlite([(1, "2024-01-01"), ("x", "2024-01-02"), (2.5, "2024-01-03")]))
    assert log.ids.to_list() == ["1", "2.5", "x"]


def test_ids_that_cannot_be_ids_of_the_column_are_refused(sqlite):
    url = sqlite([(1, "2024-01-01"), (2, "2024-01-02")])
    with pytest.raises(ParameterError, match="cannot be ids of column 'who', which holds int"):
        by_table(url, ids=["x"])


def test_a_sqlite_file_that_is_not_there_is_refused_and_not_made(tmp_path):
    with pytest.raises(SourceError, match="no database file"):
        by_table(f"sqlite:///{tmp_path / 'nope.db'}")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "shop.db").write_text("who,moment\n" * 99)
    with pytest.raises(SourceError, match="not a database"):
        by_table(f"sqlite:///{tmp_path / 'shop.db'}")


@pytest.mark.parametrize("given", [{}, {"query": "select 1", "table": "visits"}])
def test_one_of_query_and_table_has_to_be_given(sqlite, given):
    with pytest.raises(ParameterError, match="one of query= and table="):
        ft.read_events(sqlite([(1, "2024-01-01")]), **given)


PASSWORD = "p:w d/é"


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        (
            sa.URL.create("postgresql+psycopg", "u", PASSWORD, "127.0.0.1", 1, "shop"),
            SourceError,
            "cannot be reached",
        ),
        (
            sa.URL.create("mysql+pymysql", "u", PASSWORD, "127.0.0.1", 1, "shop"),
            SourceError,
            "cannot be reached",
        ),
        (sa.URL.create("mysql+nodriver", "u", PASSWORD, "127.0.0.1"), SourceError, "no database dialect"),
        (sa.URL.create("mysql+oursql", "u", PASSWORD, "127.0.0.1"), DataError, "no database dialect"),
        (
            sa.URL.create("nodialect", "u", PASSWORD, "127.0.0.1"),
            SourceError,
            "no database dialect 'nodialect'",
        ),
        (f"postgresql://u:{PASSWORD}@127.0.0.1:port/shop", SourceError, "cannot be parsed"),
        (f"postgresql://u:x@{PASSWORD}@127.0.0.1:1/shop", SourceError, "cannot be"),
        (
            sa.URL.create("mysql+mysqldb", "u", PASSWORD, "127.0.0.1"),
            MissingDependencyError,
            r"foretell\[mysql\]",
        ),
        (sa.URL.create("oracle", "u", PASSWORD, "127.0.0.1"), MissingDependencyError, "install it"),
    ],
)
def test_what_cannot_be_reached_is_refused_without_telling_the_password(url, error, message):
    address = url if isinstance(url, str) else url.render_as_string(hide_password=False)
    with pytest.raises(error, match=message) as caught:
        by_table(address)
    chain = caught.value
    while chain is not None:
        for secret in (PASSWORD, "p%3Aw", "w d", "é"):
            assert secret not in str(chain)
        chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)


def test_a_url_without_a_driver_takes_the_one_that_is_installed():
    assert database._engine("mysql://u@h/d").dialect.driver == "pymysql"
    assert database._engine("postgres://u@h/d").dialect.driver.startswith("psycopg")


def test_reading_a_file_does_not_wait_for_sqlalchemy(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("unique_id,ds\n1,2024-01-01\n2,2024-01-02\n")
    code = f"import sys, foretell as ft; ft.read_events({str(path)!r}); sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "end",
    [";", " -- that is all", "; -- it's all\n", " /* all; of it */ ;;", "\n-- a\n-- b\n;"],
)
def test_comments_and_semicolons_at_the_end_of_a_query_do_no_harm(url, end):
    (table,) = quoted(url, TABLE)
    log = ft.read_events(url, query=f"SELECT * FROM {table} WHERE '--' <> ';'{end}", **NAMES)
    assert log.n_events == len(ROWS)


def test_a_comment_of_mysql_is_one_there_alone():
    assert database.bare("SELECT a FROM b # all", mysql=True) == "SELECT a FROM b"
    assert database.bare("SELECT a #> '{b}'") == "SELECT a #> '{b}'"


@pytest.mark.parametrize("name", ["visits.2024", "vis'its", 'vis"its', "vis:its", "vis`its", "vis its;--"])
def test_names_of_tables_and_views_are_taken_as_they_are(url, name):
    table = f"{TABLE}_{name}"
    preparer = sa.create_engine(url).dialect.identifier_preparer
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE VIEW {preparer.quote_identifier(table)} AS SELECT * FROM {preparer.quote(TABLE)}"
        )
    try:
        asked = '"{}"'.format(table.replace('"', '""')) if "." in table else table
        assert ft.read_events(url, table=asked, **NAMES).n_events == len(ROWS)
        if "." in table:
            with pytest.raises(SourceError, match=f'did you mean .*{table}"'):
                ft.read_events(url, table=table, **NAMES)
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP VIEW {preparer.quote_identifier(table)}")
        engine.dispose()


@pytest.mark.parametrize("address", [server("FORETELL_TEST_POSTGRES_URL")])
def test_what_no_type_here_can_hold_is_missing_or_refused_in_words(address):
    values = "(1, DATE '2024-01-01', 'NaN'::numeric, point(1, 2)), (2, DATE '2024-01-02', 1.5, point(1, 2))"
    query = f"SELECT * FROM (VALUES {values}) AS rows (unique_id, ds, paid, place)"
    log = ft.read_events(address, query=query, marks="paid")
    assert np.isnan(log.marks[0, 0])
    assert log.marks[1, 0] == 1.5
    with pytest.raises(ColumnError, match="the time column 'place'"):
        ft.read_events(address, query=query, time="place")
    with pytest.raises(ColumnError, match="the id column"):
        ft.read_events(address, query=f"SELECT array[1] AS unique_id, ds FROM ({query}) AS rows")


@pytest.mark.parametrize("argument", ["query", "table"])
@pytest.mark.parametrize("value", ["", 7, b"visits"])
def test_a_query_and_a_table_are_text(sqlite, argument, value):
    with pytest.raises(ParameterError, match=f"{argument}={value!r}"):
        ft.read_events("sqlite:///nowhere.db", **{argument: value})
