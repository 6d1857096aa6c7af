import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.data.state import log_from_state, log_state
from foretell.errors import DataError, ParameterError


def read(*rows, **options):
    data = pl.DataFrame(rows, schema=["who", "when", "much", "many"][: len(rows[0])], orient="row")
    options = {"ids": ["a", "b", "c"], "marks": "much"} | options
    return ft.read_events(data, id="who", time="when", **options)


SHOP = (
    ("a", "2024-01-01", 100.0),
    ("a", "2024-01-05", -30.0),
    ("a", "2024-01-09", 50.0),
    ("b", "2024-01-03", 10.0),
)


def test_a_refund_is_no_visit_and_is_taken_from_what_was_bought_before():
    log = read(*SHOP)
    assert log.marks.ravel().tolist() == [70.0, 50.0, 10.0]
    reason = "refunds, no visits: netted with what their customers bought before"
    assert log.report.left_out == {reason: 1}
    assert log.report.examples[reason] == ("-30.0 in row 2",)


def test_the_latest_purchase_is_refunded_first_and_what_goes_beyond_is_said():
    log = read(*SHOP, ("a", "2024-01-10", -60.0), ("b", "2024-01-10", -15.0))
    assert log.marks.ravel().tolist() == [60.0, 0.0, 0.0]
    assert log.report.noted == {"refunds of more than was bought before, netted as far as it goes": 1}


def test_what_is_bought_and_returned_on_the_same_day_is_netted_in_either_order():
    log = read(("a", "2024-01-05 09:00", -30.0), ("a", "2024-01-05 18:00", 100.0), *SHOP[2:])
    assert log.marks.ravel().tolist() == [70.0, 50.0, 10.0]


def test_refunds_may_be_left_out_or_be_visits():
    assert read(*SHOP, refunds="drop").marks.ravel().tolist() == [100.0, 50.0, 10.0]
    kept = read(*SHOP, refunds="keep")
    assert kept.to_polars()["much"].to_list() == [100.0, None, 50.0, 10.0]
    assert kept.report.adjusted == {"refunds (a negative 'much'), visits without it": 1}
    with pytest.raises(ParameterError, match=r"refunds='no'.*'drop', 'keep' or 'net'"):
        read(*SHOP, refunds="no")


def test_each_mark_is_netted_by_itself():
    log = read(
        ("a", "2024-01-01", 100.0, 4),
        ("a", "2024-01-05", -30.0, -1),
        ("b", "2024-01-03", 10.0, 1),
        marks=["much", "many"],
    )
    assert log.marks.tolist() == [[70.0, 3.0], [10.0, 1.0]]


def test_a_log_as_of_an_earlier_date_does_not_know_of_later_refunds():
    rows = (*SHOP, ("a", "2024-01-06", -0.1), ("a", "2024-01-07", -0.2), ("a", "2024-01-12", 1.0))
    log = read(*rows)
    for day in range(1, 13):
        early, again = (
            log.until(f"2024-01-{day:02d}"),
            read(*rows, as_of=f"2024-01-{day:02d}", start="2024-01-01"),
        )
        np.testing.assert_array_equal(early.marks, again.marks)
    one = log.take(np.array([0])).until("2024-01-04")
    assert one.marks.ravel().tolist() == [100.0]
    saved = log_from_state(log_state(log))
    assert saved.until("2024-01-05").marks.ravel().tolist() == [70.0, 10.0]


def test_later_refunds_of_a_log_that_goes_on_are_of_what_it_goes_on_with():
    later = read(
        ("b", "2024-02-01", 20.0), ("b", "2024-02-03", -5.0), ("c", "2024-02-04", 1.0), start="2024-01-10"
    )
    log, _ = read(*SHOP).extended(later)
    assert log.marks.ravel().tolist() == [70.0, 50.0, 10.0, 15.0, 1.0]
    assert log.until("2024-02-02").marks.ravel().tolist() == [70.0, 50.0, 10.0, 20.0]
    assert log.until("2024-01-04").marks.ravel().tolist() == [100.0, 10.0]


def test_a_column_that_is_mostly_negative_is_refused():
    rows = [("a", f"2024-01-{day:02d}", -1.0 - day) for day in range(1, 31)]
    with pytest.raises(DataError, match=r"30 of 31 rows.*'much'.*refunds='keep'"):
        read(*rows, ("b", "2024-01-01", 1.0))
    assert read(*rows, ("b", "2024-01-01", 1.0), refunds="keep").n_events == 31


TWICE = (
    ("a", "2024-01-01", 5.0),
    ("a", "2024-01-01", 5.0),
    ("a", "2024-01-01", 7.0),
    ("b", "2024-01-02", 1.0),
)


@pytest.mark.parametrize(
    ("rule", "merge", "marks"),
    [
        ("drop", "auto", [12.0, 1.0]),
        ("drop", None, [5.0, 7.0, 1.0]),
        ("sum", None, [10.0, 7.0, 1.0]),
        ("keep", None, [5.0, 5.0, 7.0, 1.0]),
        ("keep", "auto", [17.0, 1.0]),
    ],
)
def test_identical_rows_count_once_unless_it_is_said_otherwise(rule, merge, marks):
    log = read(*TWICE, duplicates=rule, merge=merge)
    assert log.marks.ravel().tolist() == marks
    assert log.report.rows_read == 4 == log.n_events + sum(log.report.left_out.values())


def test_rows_are_identical_only_where_all_columns_of_the_source_are(tmp_path):
    data = pl.DataFrame(TWICE, schema=["who", "when", "much"], orient="row").with_columns(
        receipt=pl.Series([1, 2, 3, 4])
    )
    data.write_csv(tmp_path / "a.csv")
    data.write_parquet(tmp_path / "a.parquet")
    data.write_ndjson(tmp_path / "a.ndjson")
    same = data.with_columns(receipt=1)
    for source in (
        data,
        data.to_pandas(),
        *(str(tmp_path / f"a.{kind}") for kind in ("csv", "parquet", "ndjson")),
    ):
        assert ft.read_events(source, id="who", time="when", marks="much").marks.ravel().tolist() == [
            17.0,
            1.0,
        ]
    assert ft.read_events(same, id="who", time="when", marks="much").marks.ravel().tolist() == [12.0, 1.0]


def batches(rows, day, **options):
    """Return the log of all rows, and that of the rows up to a day, continued by the others."""
    whole = read(*rows, **options)
    early = read(*(row for row in rows if row[1] <= day), as_of=day, **options)
    later = read(*(row for row in rows if row[1] > day), start=np.datetime64(day) + 1, **options)
    return whole, early, early.extended(later)


@pytest.mark.parametrize("day", ["2024-01-04", "2024-01-08", "2024-01-10"])
def test_refunds_of_a_later_batch_are_taken_from_the_older_log(day):
    rows = (
        *SHOP,
        ("a", "2024-01-11", -65.0),
        ("b", "2024-01-11", -4.0),
        ("b", "2024-01-12", 3.0),
        ("c", "2024-01-12", -9.0),
    )
    whole, early, (log, kept) = batches(rows, day)
    np.testing.assert_array_equal(log.marks, whole.marks)
    assert log.ids.to_list() == whole.ids.to_list() == ["a", "b"]
    assert kept.tolist()[1] == 0  # whose marks changed
    np.testing.assert_array_equal(log.until(day).marks, early.marks)
    np.testing.assert_array_equal(log.until("2024-01-11").marks, whole.until("2024-01-11").marks)
    saved = log_from_state(log_state(log))
    np.testing.assert_array_equal(saved.until(day).marks, early.marks)


def test_a_customer_of_text_is_the_same_in_a_later_batch_of_numbers():
    names = {"marks": "much", "id": "who", "time": "when"}
    early = pl.DataFrame({"who": ["1", "x"], "when": ["2024-01-01"] * 2, "much": 9.0})
    log = ft.read_events(early, as_of="2024-01-02", **names)
    later = pl.DataFrame({"who": [1, 2, 3], "when": ["2024-01-03"] * 3, "much": [-4.0, 1.0, 1.0]})
    log, _ = log.extended(ft.read_events(later, as_of="2024-01-05", start="2024-01-03", **names))
    assert log.marks.ravel().tolist() == [5.0, 1.0, 1.0, 9.0]
