"""Series come from the same sources as events: files, frames and databases."""

# the clock of the series has no zone
import datetime as dt
import gzip
import sqlite3

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa
from tests.data.panels import assert_same, assert_sound
from tests.data.servers import own_table, server
from tests.frames import KINDS_OF_FRAME

import foretell as ft
from foretell.data import database
from foretell.errors import ColumnError, EmptyLogError, ParameterError

TABLE = own_table("sales")
# Ids that are all written as numbers come as numbers of every source.
SALES = pl.DataFrame(
    [
        (
            store,
            dt.date(2024, 1, 1) + dt.timedelta(days=k),
            None if k in (3, 28, 29) else store * k / 4,
            weather,
            price,
            "NS"[store % 2],
        )
        for store in (7, 12, 30)
        for k in range(30)
        for weather, price in [(("sun", "rain", None)[k % 3], 1.5 + k % 4)]
    ],
    schema=["Store", "day of", "sold", "weather", "price", "group"],
    orient="row",
)
NAMES = {
    "id": "Store",
    "time": "day of",
    "target": "sold",
    "past": "weather",
    "future": "price",
    "static": "group",
}


def read(source, **options):
    return ft.read_series(source, **(NAMES | options))


@pytest.fixture(scope="module")
def sales():
    panel = read(SALES)
    assert_sound(panel)
    assert (panel.n_series, panel.n_rows, len(panel.ahead)) == (3, 3 * 28, 3 * 2)
    return panel


def assert_is(panel, sales):
    assert_same(panel, sales)
    assert panel.report.left_out == sales.report.left_out
    noted = {what: count for what, count in panel.report.noted.items() if "as people write" not in what}
    assert noted == sales.report.noted


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.csv", lambda f: f.write_csv()),
        ("a.tsv", lambda f: f.write_csv(separator="\t")),
        ("a.csv.gz", lambda f: f.write_csv()),
        ("half-of-europe.csv", lambda f: f.write_csv(separator=";", decimal_comma=True)),
        ("null.csv", lambda f: f.write_csv(null_value="NULL")),
        ("a.ndjson", lambda f: f.write_ndjson()),
        ("a.jsonl.gz", lambda f: f.write_ndjson()),
    ],
)
def test_text_files_give_the_same_panel(tmp_path, sales, name, write):
    text = write(SALES).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    assert_is(read(tmp_path / name), sales)


def test_parquet_and_a_pattern_give_the_same_panel(tmp_path, sales):
    SALES[:40].write_parquet(tmp_path / "a.parquet")
    SALES[40:].write_parquet(tmp_path / "b.parquet")
    assert_is(read(tmp_path / "*.parquet"), sales)


@pytest.mark.parametrize(
    "convert",
    [
        *KINDS_OF_FRAME.values(),
        lambda f: f.with_columns(pl.col("weather", "group").cast(pl.Categorical)),
        lambda f: f.with_columns(pl.col("sold", "price").cast(pl.Decimal(10, 2))),
        lambda f: f.with_columns(pl.col("day of").cast(pl.String)),
    ],
    ids=[*KINDS_OF_FRAME, "categorical", "decimal", "text"],
)
def test_frames_of_any_library_give_the_same_panel(sales, convert):
    assert_is(read(convert(SALES)), sales)


def test_na_is_no_number_but_may_be_a_category(tmp_path):
    (tmp_path / "a.csv").write_text(
        "unique_id,ds,y,p,q\n1,2024-01-01,1,NA,NA\n1,2024-01-02,NA,2,EU\n1,2024-01-03,3,3,\n"
    )
    panel = ft.read_series(tmp_path / "a.csv", past=["p", "q"])
    np.testing.assert_array_equal(panel.values.ravel(), [1, np.nan, 3])
    assert panel.past.column("p").to_list() == [None, 2.0, 3.0]
    assert panel.past.column("q").to_list() == ["NA", "EU", None]


def test_in_csv_what_reads_as_a_number_is_one_unless_it_names_a_category(tmp_path):
    (tmp_path / "a.csv").write_text("unique_id,ds,y,kind\n1,2024-01-01,1,3\n1,2024-01-02,2,10\n")
    assert ft.read_series(tmp_path / "a.csv", past="kind").past.categories == {}
    panel = ft.read_series(tmp_path / "a.csv", past="kind", categorical="kind")
    assert panel.past.column("kind").to_list() == ["3", "10"]


def test_text_among_numbers_is_refused_as_a_covariate(tmp_path):
    rows = "".join(f"1,2024-01-0{k},1,{k}\n" for k in range(1, 8))
    (tmp_path / "a.csv").write_text("unique_id,ds,y,kind\n" + rows + "1,2024-01-08,1,free\n")
    with pytest.raises(ColumnError, match=r"text among numbers, such as 'free' in row 8; .*categorical="):
        ft.read_series(tmp_path / "a.csv", past="kind")
    panel = ft.read_series(tmp_path / "a.csv", past="kind", categorical="kind")
    assert "free" in panel.past.categories["kind"]


@pytest.fixture(params=["sqlite", server("FORETELL_TEST_POSTGRES_URL"), server("FORETELL_TEST_MYSQL_URL")])
def url(request, tmp_path):
    """A database with a table of sales, whose columns all have to be quoted."""
    address = f"sqlite:///{tmp_path / 'shop.db'}" if request.param == "sqlite" else request.param
    engine = sa.create_engine(address)
    kinds = [sa.Integer, sa.Date, sa.Numeric(10, 2), sa.String(9), sa.Float, sa.String(9)]
    columns = [sa.Column(name, kind) for name, kind in zip(SALES.columns, kinds, strict=True)]
    table = sa.Table(TABLE, sa.MetaData(), *columns)
    table.drop(engine, checkfirst=True)
    table.create(engine)
    with engine.begin() as connection:
        connection.execute(table.insert(), SALES.to_dicts())
    yield address
    table.drop(engine)
    engine.dispose()


def test_a_table_and_a_query_give_the_same_panel(url, sales):
    assert_is(read(url, table=TABLE, chunk_rows=7), sales)
    assert_is(read(url, query=f"select * from {TABLE}"), sales)


def test_ids_and_the_start_are_left_to_the_database(url):
    options = {"ids": ["7", 12], "start": "2024-01-20"}
    panel, expected = read(url, table=TABLE, **options), read(SALES, **options)
    assert_same(panel, expected)
    assert panel.report.rows_read <= 2 * 13 < expected.report.rows_read


def test_the_end_is_left_to_the_database_unless_something_is_known_ahead(url):
    options = {"as_of": "2024-01-10"}
    assert read(url, table=TABLE, **options).report.rows_read == len(SALES)
    assert_same(read(url, table=TABLE, **options), read(SALES, **options))
    options |= {"future": ()}
    panel = read(url, table=TABLE, **options)
    assert panel.report.rows_read <= 3 * 12
    assert_same(panel, read(SALES, **options))


def test_rows_are_streamed_in_chunks(url, monkeypatch):
    sizes = []
    frame = database._frame
    monkeypatch.setattr(database, "_frame", lambda chunk, c: sizes.append(len(chunk)) or frame(chunk, c))
    read(url, table=TABLE, chunk_rows=20)
    assert (max(sizes), sum(sizes)) == (20, len(SALES))


def test_one_series_is_read_without_an_id(url):
    query = f"select * from {TABLE} where price > 0"
    panel = ft.read_series(
        url, query=query, id=None, time="day of", target="sold", duplicates="sum", as_of="2024-01-03"
    )
    assert panel.values.ravel().tolist() == [0.0, 12.25, 24.5]


def test_a_period_of_whole_numbers_is_left_to_the_database(tmp_path):
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("create table t (unique_id, ds, y)")
        connection.executemany("insert into t values (?, ?, ?)", [("a", k, k * 1.0) for k in range(100)])
    connection.close()
    panel = ft.read_series(f"sqlite:///{tmp_path / 'a.db'}", table="t", start=20, as_of=29)
    assert panel.values.ravel().tolist() == [float(k) for k in range(20, 30)]
    assert panel.report.rows_read == 10


def test_a_database_without_rows_in_the_period_is_refused(url):
    with pytest.raises(EmptyLogError, match="holds no rows within what start="):
        read(url, table=TABLE, start="2030-01-01")


def test_a_missing_column_is_named_with_the_closest_one(url):
    with pytest.raises(ColumnError, match=r"no column 'Sold'.*did you mean 'sold'"):
        read(url, table=TABLE, target="Sold")


def test_a_database_needs_a_table_or_a_query(url):
    with pytest.raises(ParameterError, match="one of query= and table="):
        read(url)


def test_decimals_of_a_database_are_numbers(url):
    assert read(url, table=TABLE).values.dtype == np.float64
