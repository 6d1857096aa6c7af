"""The way out: tables in files and databases, one after the other, all of them or none."""

import datetime as dt
import json
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest
import sqlalchemy as sa
from benchmarks import databases
from benchmarks.torture.hardships import full_disk, unheard
from polars.testing import assert_frame_equal
from tests.data.servers import own_table, server

import foretell as ft
from foretell.data import database_sink
from foretell.errors import (
    ColumnError,
    DataError,
    MissingDependencyError,
    ParameterError,
    SourceError,
    StorageError,
)

TABLE = own_table("the scores")
JUNE, JULY = dt.date(2024, 6, 30), dt.date(2024, 7, 31)
DATES = pl.col("as_of", "next_event-lo-80")
READERS = {
    ".csv": lambda path: pl.read_csv(path, try_parse_dates=True),
    ".parquet": pl.read_parquet,
    ".json": lambda path: pl.DataFrame(json.loads(path.read_text())).with_columns(DATES.str.to_date()),
    ".ndjson": lambda path: pl.read_ndjson(path).with_columns(DATES.str.to_date()),
}


def scores(ids, as_of=JUNE, start=0.0):
    """Return answers as models give them, of numbered customers."""
    return pl.DataFrame(
        {
            "unique_id": pl.Series(ids, dtype=pl.Int64),
            "as_of": pl.Series([as_of] * len(ids), dtype=pl.Date),
            "p_active": pl.Series([start + k / 10 for k in ids], dtype=pl.Float64),
            "next_event-lo-80": pl.Series([as_of] * len(ids), dtype=pl.Date),
        }
    )


def breaks_off(*tables):
    """Give some tables, then fail as a forecaster might."""
    yield from tables
    raise DataError("the third block fails")


@pytest.mark.parametrize("ending", READERS)
class TestFiles:
    def test_tables_are_written_one_after_the_other_as_one(self, ending, tmp_path):
        path = tmp_path / f"scores{ending}"
        tables = [scores([1, 2]), scores([]), scores([3])]
        written = ft.write_tables(iter(tables), path)
        assert (written.rows, str(written)) == (3, f"3 rows written to {path}")
        assert_frame_equal(READERS[ending](path), pl.concat(tables))

    def test_where_it_fails_the_file_stays_as_it_was_and_nothing_is_left(self, ending, tmp_path):
        path = tmp_path / f"scores{ending}"
        ft.write_tables(scores([1]), path)
        with pytest.raises(DataError, match="third block"):
            ft.write_tables(breaks_off(scores([5]), scores([6])), path)
        assert READERS[ending](path)["unique_id"].to_list() == [1]
        assert list(tmp_path.iterdir()) == [path]

    def test_a_file_that_must_not_be_there_is_refused_at_once(self, ending, tmp_path):
        path = tmp_path / f"scores{ending}"
        path.touch()
        with pytest.raises(StorageError, match="exists"):
            ft.write_tables(breaks_off(), path, if_exists="fail")

    def test_tables_of_other_columns_are_refused(self, ending, tmp_path):
        tables = [scores([1]), scores([1]).drop("p_active")]
        with pytest.raises(ColumnError, match="the ones before it"):
            ft.write_tables(tables, tmp_path / f"scores{ending}")
        assert list(tmp_path.iterdir()) == []


def test_a_table_without_rows_is_written_with_its_columns(tmp_path):
    for ending in (".csv", ".parquet"):
        assert ft.write_tables(scores([]), tmp_path / f"scores{ending}").rows == 0
        assert READERS[ending](tmp_path / f"scores{ending}").columns == scores([]).columns
    ft.write_tables(scores([]), tmp_path / "scores.json")
    assert json.loads((tmp_path / "scores.json").read_text()) == []


def test_a_link_goes_on_pointing_to_what_it_did(tmp_path):
    (tmp_path / "scores.csv").symlink_to(tmp_path / "real.csv")
    ft.write_tables(scores([1]), tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").is_symlink()
    assert (tmp_path / "real.csv").is_file()


@pytest.mark.parametrize(
    ("target", "settings", "error", "message"),
    [
        ("scores.xls", {}, ParameterError, r"ends in \.csv, \.parquet, \.json, \.ndjson or \.xlsx"),
        ("scores", {}, ParameterError, "which kind of table"),
        ("nowhere/scores.csv", {}, StorageError, "directory .*nowhere is not there"),
        ("folder.csv", {}, StorageError, "it is a directory"),
        ("scores.csv", {"if_exists": "append"}, ParameterError, "for tables of databases"),
        ("scores.csv", {"if_exists": "drop"}, ParameterError, "if_exists='drop'; expected"),
        ("scores.csv", {"table": "scores"}, ParameterError, "is for databases"),
    ],
)
def test_what_does_not_say_where_to_is_refused_before_any_work(tmp_path, target, settings, error, message):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(error, match=message):
        ft.write_tables(breaks_off(), tmp_path / target, **settings)


@pytest.mark.parametrize("target", ["scores.csv", "sqlite:///scores.db"])
def test_no_table_at_all_is_refused(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError, match="no table to write"):
        ft.write_tables([], target, "scores" if "db" in target else None)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(params=["sqlite", server("FORETELL_TEST_POSTGRES_URL"), server("FORETELL_TEST_MYSQL_URL")])
def url(request, tmp_path):
    """A database without the table."""
    address = f"sqlite:///{tmp_path / 'scores.db'}" if request.param == "sqlite" else request.param
    engine = sa.create_engine(address)
    table = sa.Table(TABLE, sa.MetaData())
    table.drop(engine, checkfirst=True)
    yield address
    table.drop(engine, checkfirst=True)
    engine.dispose()


def rows_of(url, *columns):
    """Return what the table holds, by date and customer."""
    engine = sa.create_engine(url)
    columns = columns or scores([]).columns
    types = {"as_of": sa.Date(), "next_event-lo-80": sa.Date()}
    table = sa.table(TABLE, *(sa.column(name, types.get(name)) for name in columns))
    with engine.connect() as connection:
        rows = connection.execute(sa.select(table).order_by(*list(table.c)[:2])).all()
    engine.dispose()
    return [tuple(row) for row in rows]


def tables_of(url):
    engine = sa.create_engine(url)
    names = [
        name for name in sa.inspect(engine).get_table_names() if TABLE in name or name == "foretell_rows"
    ]
    engine.dispose()
    return names


def as_rows(*tables):
    return sorted(row for table in tables for row in table.rows())


def test_a_table_is_made_with_the_rows_and_their_types(url):
    tables = [scores([1, 2]), scores([]), scores([3])]
    written = ft.write_tables(iter(tables), url, TABLE)
    assert (written.rows, written.replaced) == (3, 0)
    assert f"3 rows written to table {TABLE!r} of the " in str(written)
    assert rows_of(url) == as_rows(*tables)
    assert tables_of(url) == [TABLE]


def test_the_same_as_of_date_again_replaces_its_rows(url):
    ft.write_tables(scores([1, 2, 3]), url, TABLE)
    ft.write_tables(scores([1, 2], JULY), url, TABLE)
    for _ in range(2):
        again = ft.write_tables([scores([1], start=1.0), scores([4], start=1.0)], url, TABLE)
    assert again.replaced == 2
    expected = as_rows(scores([1, 4], start=1.0), scores([1, 2], JULY))
    assert rows_of(url) == expected
    assert tables_of(url) == [TABLE]


def test_a_part_of_the_customers_replaces_their_rows_alone(url):
    ft.write_tables(scores([1, 2, 3]), url, TABLE)
    ft.write_tables(scores([1], JULY), url, TABLE)
    assert ft.write_tables(scores([2, 9], start=1.0), url, TABLE, part=True).replaced == 1
    assert rows_of(url) == as_rows(scores([1, 3]), scores([2, 9], start=1.0), scores([1], JULY))


def test_steps_of_series_take_the_place_of_the_same_steps(url):
    def steps(days, value):
        return pl.DataFrame(
            {"unique_id": ["a"] * len(days), "ds": [dt.date(2024, 1, day) for day in days], "foretell": value}
        )

    ft.write_tables(steps([1, 2, 3], 1.0), url, TABLE)
    assert ft.write_tables(steps([3, 4], 2.0), url, TABLE).replaced == 1
    assert [row[-1] for row in rows_of(url, "unique_id", "ds", "foretell")] == [1.0, 1.0, 2.0, 2.0]


def test_another_table_takes_the_place_of_the_old_one(url):
    ft.write_tables(scores([1, 2]), url, TABLE)
    new = scores([3]).select("unique_id", "as_of", overdue=pl.lit("much"))
    ft.write_tables(new, url, TABLE, if_exists="replace")
    assert len(rows_of(url, "unique_id", "overdue")) == 1
    assert rows_of(url, "unique_id", "overdue") == [(3, "much")]
    assert tables_of(url) == [TABLE]


def test_a_table_that_must_not_be_there_is_refused_at_once(url):
    ft.write_tables(scores([1]), url, TABLE, if_exists="fail")
    with pytest.raises(StorageError, match=f"has a table {TABLE!r}"):
        ft.write_tables(breaks_off(), url, TABLE, if_exists="fail")


@pytest.mark.parametrize("if_exists", ["append", "replace"])
def test_where_it_fails_the_table_stays_as_it_was(url, if_exists):
    ft.write_tables(scores([1, 2]), url, TABLE)
    with pytest.raises(DataError, match="third block"):
        ft.write_tables(breaks_off(scores([3]), scores([4])), url, TABLE, if_exists=if_exists)
    assert rows_of(url) == as_rows(scores([1, 2]))
    assert tables_of(url) == [TABLE]


def test_where_it_fails_a_table_that_was_not_there_is_not_made(url):
    with pytest.raises(DataError, match="third block"):
        ft.write_tables(breaks_off(scores([3])), url, TABLE)
    assert tables_of(url) == []


def test_what_a_killed_process_left_is_no_hindrance(url):
    engine = sa.create_engine(url)
    left = sa.Table(f"foretell_new_{TABLE}", sa.MetaData(), sa.Column("a", sa.Integer))
    left.create(engine, checkfirst=True)
    engine.dispose()
    ft.write_tables(scores([1]), url, TABLE)
    assert tables_of(url) == [TABLE]


@pytest.mark.parametrize("if_exists", ["append", "replace"])
def test_a_customer_is_not_let_in_twice(url, if_exists):
    ft.write_tables(scores([1, 2]), url, TABLE)
    with pytest.raises(StorageError, match="each as_of and unique_id once"):
        ft.write_tables(scores([3, 3]), url, TABLE, if_exists=if_exists)
    assert rows_of(url) == as_rows(scores([1, 2]))


def test_a_table_of_other_columns_is_refused(url):
    ft.write_tables(scores([1]), url, TABLE)
    other = scores([1]).rename({"p_active": "p_return_7d"})
    with pytest.raises(ColumnError, match=r"it lacks 'p_return_7d', the rows lack 'p_active'; .*replace"):
        ft.write_tables(other, url, TABLE)


def test_rows_that_do_not_say_what_they_replace_are_not_appended(url):
    groups = pl.DataFrame({"group": ["a", "b"], "ds": [JUNE] * 2, "expected_events_7d": [1.0, 2.0]})
    ft.write_tables(groups, url, TABLE)
    with pytest.raises(ParameterError, match="do not say which"):
        ft.write_tables(groups, url, TABLE)
    assert ft.write_tables(groups, url, TABLE, if_exists="replace").rows == 2


@pytest.mark.parametrize("address", [server("FORETELL_TEST_POSTGRES_URL")])
def test_what_a_server_cannot_keep_is_refused_in_its_words(address):
    with pytest.raises(StorageError, match="invalid byte sequence"):
        ft.write_tables(scores([1]).with_columns(text=pl.lit("a\0b")), address, TABLE)


def test_all_kinds_of_values_come_back_as_they_were(url):
    table = pl.DataFrame(
        {
            "unique_id": ["a", "A", "", 'q"uo,te\n', "\\N", "客户"],
            "as_of": [JUNE] * 6,
            "moment": [dt.datetime(2024, 1, 1, 23, 59, 59, 123456)] * 5 + [None],  # noqa: DTZ001
            "yes": [True, False, None, True, False, None],
            "number": [0.1, float("nan"), None, -1e300, 1e-300, 5.0],
            "text": ["", None, "null", "a\tb", "%s :x", "\\."],
        }
    )
    ft.write_tables([table.head(4), table.tail(2)], url, TABLE)
    engine = sa.create_engine(url)
    types = {"as_of": sa.Date(), "moment": sa.DateTime(), "yes": sa.Boolean()}
    there = sa.table(TABLE, *(sa.column(name, types.get(name)) for name in table.columns))
    with engine.connect() as connection:
        rows = {row[0]: tuple(row) for row in connection.execute(sa.select(there))}
    engine.dispose()
    expected = table.with_columns(pl.col("number").fill_nan(None))
    assert rows == {row[0]: row for row in expected.rows()}


def test_categories_are_text_and_nested_values_are_refused(url):
    table = scores([1]).with_columns(unique_id=pl.lit("a", dtype=pl.Categorical))
    ft.write_tables(table, url, TABLE)
    assert rows_of(url, "unique_id", "as_of") == [("a", JUNE)]
    with pytest.raises(ColumnError, match="'p_active' is of type List"):
        ft.write_tables(table.with_columns(p_active=[[1]]), url, TABLE, if_exists="replace")


def test_rows_are_loaded_in_batches(url, monkeypatch):
    monkeypatch.setattr(database_sink, "_BATCH", 7)
    commits = []
    engine = sa.create_engine(url)
    sa.event.listen(engine, "commit", commits.append)
    ft.write_tables(scores(range(50)), engine, TABLE)
    assert len(commits) >= 8
    assert len(rows_of(url)) == 50
    engine.dispose()


def test_what_is_written_is_read_back(url):
    visits = pl.DataFrame({"who": [1, 1, 2], "day": [dt.date(2024, 1, day) for day in (1, 5, 9)]})
    ft.write_tables(visits, url, TABLE)
    log = ft.read_events(url, table=TABLE, id="who", time="day")
    assert (log.n_customers, log.n_events) == (2, 3)


def test_a_sqlite_file_is_made_for_its_user(tmp_path):
    ft.write_tables(scores([1]), f"sqlite:///{tmp_path / 'new.db'}", "scores")
    assert stat.S_ISREG((tmp_path / "new.db").stat().st_mode)
    with pytest.raises(StorageError, match=r"directory .*nowhere is not there"):
        ft.write_tables(breaks_off(), f"sqlite:///{tmp_path / 'nowhere' / 'new.db'}", "scores")


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ("postgresql+psycopg://u:pass%20word@127.0.0.1:1/shop", SourceError, "cannot be reached"),
        ("mysql+mysqldb://u:pass%20word@127.0.0.1/shop", MissingDependencyError, r"foretell\[mysql\]"),
        ("nodialect://u:pass%20word@127.0.0.1/shop", SourceError, "no database dialect"),
    ],
)
def test_a_database_that_cannot_be_written_is_refused_before_any_work(target, error, message):
    with pytest.raises(error, match=message) as caught:
        ft.write_tables(breaks_off(), target, TABLE)
    assert "pass" not in str(caught.value)


def test_a_database_needs_a_table():
    with pytest.raises(ParameterError, match="name of the table"):
        ft.write_tables(breaks_off(), "sqlite:///scores.db")


@pytest.mark.parametrize("if_exists", ["append", "replace"])
def test_a_process_that_is_killed_changes_nothing_and_hinders_nobody(url, if_exists):
    ft.write_tables(scores([1, 2]), url, TABLE)
    program = f"""
import os, polars as pl, foretell as ft
def tables():
    table = pl.DataFrame({{"unique_id": [7], "as_of": ["2024-06-30"]}}).with_columns(
        pl.col("as_of").str.to_date(), p_active=0.5, **{{"next_event-lo-80": pl.date(2024, 6, 30)}}
    )
    yield table
    yield table.with_columns(unique_id=pl.lit(8, pl.Int64))
    os._exit(9)
ft.write_tables(tables(), {url!r}, {TABLE!r}, if_exists={if_exists!r})
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    assert rows_of(url) == as_rows(scores([1, 2]))
    ft.write_tables(scores([3]), url, TABLE, if_exists=if_exists)
    assert rows_of(url) == as_rows(scores([3]))


@pytest.mark.parametrize("if_exists", ["append", "replace"])
def test_two_who_make_the_same_table_at_once_do_so_one_after_the_other(url, if_exists):
    begun = threading.Barrier(2)

    def write(ids):
        def tables():
            yield scores(ids[:1])
            time.sleep(0.2)  # the other one is at work meanwhile
            yield scores(ids[1:])

        begun.wait()
        return ft.write_tables(tables(), url, TABLE, if_exists=if_exists, part=True).rows

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(write, [[1, 2], [3, 4]])) == [2, 2]
    one, other = as_rows(scores([1, 2])), as_rows(scores([3, 4]))
    assert rows_of(url) in ([one, other] if if_exists == "replace" else [sorted(one + other)])
    assert tables_of(url) == [TABLE]


def test_the_benchmark_of_databases_counts_what_it_writes(url):
    rows = 2_000
    customers = pl.concat(databases.visits(rows))["customer_id"].n_unique()
    try:
        counts = {name: part(url, TABLE, rows) for name, part in databases.PARTS.items()}
    finally:
        engine = sa.create_engine(url)
        sa.Table(f"{TABLE}_scores", sa.MetaData()).drop(engine, checkfirst=True)
        engine.dispose()
    assert counts == {
        "fill": rows, "read": rows, "without": customers, "score": customers, "again": customers
    }  # fmt: skip


def test_a_full_disk_is_a_storage_error_of_every_kind_of_table(tmp_path):
    table = pl.DataFrame({"unique_id": range(2_000), "p_active": 0.5})
    with unheard():
        for ending in ("csv", "parquet", "ndjson", "json", "xlsx"):
            place = tmp_path / f"scores.{ending}"
            with full_disk(1_000), pytest.raises(StorageError, match="cannot write"):
                ft.write_tables(table, place)
    assert not list(tmp_path.iterdir())
