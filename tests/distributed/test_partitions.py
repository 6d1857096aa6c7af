"""Visits in partitions are those of the source: each customer's in one, nothing twice, nothing lost."""

import json

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.conftest import SMALL_CUTOFF, read_small, small_events
from tests.distributed.conftest import READING

import foretell as ft
from foretell.data import sources
from foretell.distributed import Partitions, partition
from foretell.distributed.partitions import partition_of
from foretell.errors import EmptyLogError, ParameterError, StorageError


def rows_of(log):
    return log.to_polars().sort("unique_id", "ds")


def test_partitions_part_customers_and_together_are_the_log(visits):
    whole = read_small(small_events(), as_of=SMALL_CUTOFF)
    parts = [visits.log(k) for k in range(visits.count)]
    assert sum(part.n_customers for part in parts) == whole.n_customers
    assert_frame_equal(pl.concat(map(rows_of, parts)).sort("unique_id", "ds"), rows_of(whole))
    assert_frame_equal(rows_of(visits.log()), rows_of(whole))
    assert {(part.start, part.as_of) for part in parts} == {(whole.start, whole.as_of)}


def test_a_customer_is_in_the_same_partition_as_number_and_as_text():
    numbers = pl.Series(range(5_000))
    places = partition_of(numbers, 7)
    assert (places == partition_of(numbers.cast(pl.String), 7)).all()
    assert pl.Series(places).value_counts()["count"].min() > 600


@pytest.mark.parametrize("kind", ["parquet", "database", "csv"])
def test_sources_are_read_in_slices(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(sources, "_ROWS_OF_A_SLICE", 100)
    frame, how = small_events().sort("ds"), {}
    if kind == "parquet":
        for k in range(2):
            frame[k::2].write_parquet(tmp_path / f"visits{k}.parquet")
        source = str(tmp_path / "visits*.parquet")
    elif kind == "database":
        source, how = f"sqlite:///{tmp_path / 'shop.db'}", {"table": "visits", "chunk_rows": 30}
        ft.write_tables(frame, source, "visits")
    else:
        source = tmp_path / "visits.csv"
        frame.write_csv(source)
    made = partition(source, tmp_path / "parts", partitions=3, **READING, **how)
    files = len(list((tmp_path / "parts").glob("visits-*.parquet")))
    assert (files > 3) if kind != "csv" else (files == 1)
    assert_frame_equal(rows_of(made.log()), rows_of(read_small(frame, as_of=SMALL_CUTOFF)))
    assert Partitions.open(tmp_path / "parts") == made


def test_what_comes_later_is_added_and_read_alone(tmp_path):
    early = partition(small_events(), tmp_path, partitions=2, **READING)
    both = early.add(small_events(), **READING | {"as_of": "2023-12-31"})
    whole = read_small(small_events())
    assert_frame_equal(rows_of(both.log()), rows_of(whole))
    assert both.batches[1][2] == early.log().report.rows_read  # the same rows again
    late = both.log(after=early.as_of)
    assert late.start == early.as_of + 1
    assert late.n_events == whole.n_events - early.log().n_events
    with pytest.raises(ParameterError, match="expected those of the visits"):
        both.add(small_events(), **READING | {"marks": [], "as_of": "2024-12-31"})


def test_a_partition_of_nobody_and_of_one_customer(tmp_path):
    one = pl.DataFrame({"unique_id": ["a"] * 2, "ds": ["2024-01-01", "2024-02-01"]})
    made = partition(one, tmp_path / "parts", partitions=3)
    logs = [log for k in range(3) if (log := made.log(k)) is not None]
    assert [log.ids.to_list() for log in logs] == [["a"]]


def test_what_cannot_be_partitioned_is_refused(tmp_path, visits):
    with pytest.raises(ParameterError, match="holds partitions already"):
        partition(small_events(), visits.place, **READING)
    with pytest.raises(ParameterError, match="there is no argument 'customer'"):
        partition(small_events(), tmp_path / "a", customer="unique_id")
    with pytest.raises(EmptyLogError, match="no visits with a time"):
        partition(small_events().head(0), tmp_path / "b", **READING)
    with pytest.raises(StorageError, match="no partitions in"):
        Partitions.open(tmp_path)
    (tmp_path / "partitions.json").write_text(json.dumps({"partitions": 3}))
    with pytest.raises(StorageError, match="cannot be read"):
        Partitions.open(tmp_path)


def test_who_is_excluded_and_what_is_stray_is_left_out_of_every_partition(tmp_path):
    till = pl.DataFrame({"unique_id": [1_000_000], "ds": ["2030-01-01"], "amount": [5.0]})
    far = pl.DataFrame({"unique_id": [3], "ds": ["2023-06-30"], "amount": [1e9]})
    days = [f"2023-{month:02}-{day:02}" for month in range(1, 7) for day in (1, 9, 20)]
    usual = pl.DataFrame({"unique_id": [k for k in range(9) for _ in days], "ds": days * 9, "amount": 7.0})
    rules = {"marks": "amount", "exclude": [1_000_000], "strays": "missing"}
    frame = pl.concat([usual, far, till])
    made = partition(frame, tmp_path, partitions=2, **rules)
    whole = ft.read_events(frame, **rules)
    assert Partitions.open(tmp_path).log().as_of == whole.as_of
    assert_frame_equal(rows_of(made.log()), rows_of(whole))
    assert made.log().excluded == whole.excluded == (1_000_000,)
    assert sum(made.log(k).report.left_out.get("of customers that are excluded", 0) for k in (0, 1)) == 1
