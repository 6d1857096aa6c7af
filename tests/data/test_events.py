"""Rows become events, are merged, or are left out for a counted reason."""

# ruff: noqa: DTZ001  # the clock of the events has no zone
import datetime as dt
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foretell as ft
from foretell.datasets import load_cdnow, load_complete_journey
from foretell.errors import (
    CalendarWarning,
    ColumnError,
    DataError,
    EmptyLogError,
    ForetellError,
    ParameterError,
)


def frame(*rows, schema=("who", "when", "much", "where")):
    return pl.DataFrame(list(rows), schema=list(schema)[: len(rows[0])], orient="row")


def read(data, **settings):
    names = {"id": "who", "time": "when"}
    names |= {"marks": ["much"]} if "much" in data.columns else {}
    names |= {"group": "where"} if "where" in data.columns else {}
    return ft.read_events(data, **(names | settings))


SHOP = frame(
    ("b", "2024-01-05 09:00", 1.0, "north"),
    ("a", "2024-01-03 18:00", 2.0, "south"),
    ("a", "2024-01-03 08:00", 4.0, "north"),
    ("a", "2024-01-01 08:00", 8.0, "south"),
    ("b", "2024-01-07 10:00", 16.0, "north"),
)


def test_events_come_out_by_customer_and_time():
    log = read(SHOP)
    assert log.ids.to_list() == ["a", "b"]
    assert log.offsets.tolist() == [0, 2, 4]
    days = ["2024-01-01", "2024-01-03", "2024-01-05", "2024-01-07"]
    assert log.dates(log.times).astype(str).tolist() == days
    assert log.mark_names == ("much",)


def test_events_of_one_day_become_one_with_summed_marks_and_the_first_ones_group():
    log = read(SHOP)
    assert log.marks.ravel().tolist() == [8.0, 6.0, 1.0, 16.0]
    assert log.group_names.gather(log.groups).to_list() == ["south", "north", "north", "north"]
    assert log.report.left_out == {"merged": 1}
    assert log.report.examples["merged"] == ("a on 2024-01-03",)


def test_without_a_merge_rule_all_events_stay():
    log = read(SHOP, merge=None)
    assert log.n_events == 5
    assert log.report.left_out == {}
    assert log.min_gap == 0


@pytest.mark.parametrize(
    ("unit", "merge", "ticks"),
    [
        ("day", "auto", [0, 2, 9]),
        ("day", "hour", [0, 0, 2, 2, 9]),
        ("day", "week", [0, 9]),
        ("hour", "auto", [8, 18, 48, 57, 216]),
        ("hour", "day", [8, 48, 216]),
        ("hour", None, [8, 8, 18, 48, 57, 216]),
    ],
)
def test_the_clocks_unit_and_the_merge_rule_are_apart(unit, merge, ticks):
    hours = [(0, 8, 5), (0, 8, 50), (0, 18, 0), (2, 0, 0), (2, 9, 0), (9, 0, 0)]
    rows = [("a", dt.datetime(2024, 1, 1 + d, h, m)) for d, h, m in hours]
    log = read(
        frame(*rows, ("b", dt.datetime(2024, 1, 1)), ("b", dt.datetime(2024, 1, 20))), unit=unit, merge=merge
    )
    origin = log.last_tick("2024-01-01") - (23 if unit == "hour" else 0)
    assert (log.times[: log.offsets[1]] - origin).tolist() == ticks
    assert log.merge == (unit if merge == "auto" else merge)


def test_weeks_run_from_monday_to_sunday():
    sunday, monday = dt.date(2024, 1, 7), dt.date(2024, 1, 8)
    log = read(frame(("a", sunday), ("a", monday), ("b", monday), ("b", dt.date(2024, 1, 14))), merge="week")
    assert log.counts.tolist() == [2, 1]


def test_of_two_events_at_the_same_time_the_sources_first_gives_the_group():
    day = "2024-01-01"
    log = read(frame(("a", day, 1, "late"), ("a", day, 1, "early"), ("b", "2024-01-02", 1, "early")))
    assert log.group_names.gather(log.groups).to_list() == ["late", "early"]


def test_missing_groups_stay_missing():
    log = read(frame(("a", "2024-01-01", 1, None), ("b", "2024-01-02", 1, "north")))
    assert log.to_polars()["group"].to_list() == [None, "north"]


def test_every_row_that_is_left_out_is_counted_with_examples():
    data = frame(
        ("a", "2024-01-01", 1.0),
        (None, "2024-01-02", 1.0),
        ("a", "never", 1.0),
        ("a", None, 1.0),
        ("a", "2023-06-01", 1.0),
        ("b", "2025-06-01", 1.0),
        ("b", "2024-01-04", 1.0),
        ("b", "2024-01-04", 1.0),
        ("a", "2024-01-05", 1.0),
        ("c", "2024-01-05", 1.0),
    )
    log = read(data, start="2024-01-01", as_of="2024-12-31", ids=["a", "b"], min_events=2)
    assert log.report.left_out == {
        "without an id": 1,
        "of customers that were not asked for": 1,
        "with an unreadable time": 2,
        "before the start": 1,
        "after the as-of date": 1,
        "identical to another row, counted once": 1,
        "of customers with fewer than 2 events": 1,
    }
    assert log.report.examples["without an id"] == ("row 2",)
    assert log.report.examples["with an unreadable time"] == ("never in row 3", "None in row 4")
    assert log.ids.to_list() == ["a"]
    assert "1 before the start (for example 2023-06-01" in str(log.report)


def test_marks_that_are_missing_stay_missing_and_the_visit_stays():
    log = read(
        frame(
            ("a", "2024-01-01", None),
            ("a", "2024-01-02", float("nan")),
            ("b", "2024-01-03", math.inf),
            ("b", "2024-01-04", 2.5),
        )
    )
    assert log.to_polars()["much"].to_list() == [None, None, None, 2.5]
    assert np.isnan(log.marks.ravel()).tolist() == [True, True, True, False]
    assert log.report.left_out == {}
    assert log.report.noted == {"without 'much', missing": 2}
    assert "1 with an infinite 'much', missing (for example inf in row 3)" in str(log.report)


def test_the_observed_period_is_the_events_own_unless_it_is_given():
    log = read(SHOP)
    assert (str(log.date(log.start)), str(log.date(log.as_of))) == ("2024-01-01", "2024-01-07")
    log = read(SHOP, start="2023-12-31", as_of="2024-01-31")
    assert (str(log.date(log.start)), str(log.date(log.as_of))) == ("2023-12-31", "2024-01-31")


def test_both_ends_of_the_period_are_inclusive():
    log = read(SHOP, start="2024-01-03", as_of="2024-01-05")
    assert log.dates(log.times).astype(str).tolist() == ["2024-01-03", "2024-01-05"]


def test_on_an_hourly_clock_a_date_means_its_whole_day():
    log = read(SHOP, unit="hour", start="2024-01-03", as_of=dt.date(2024, 1, 5))
    assert str(log.date(log.start)) == "2024-01-03T00"
    assert str(log.date(log.as_of)) == "2024-01-05T23"
    assert log.n_events == 3


def test_an_aware_as_of_is_read_in_the_zone_of_the_events():
    when = dt.datetime(2024, 1, 5, 23, 30, tzinfo=dt.UTC)
    assert str(read(SHOP, as_of=when, time_zone="Europe/Berlin").__repr__()).count("2024-01-06") == 1
    with pytest.raises(ParameterError, match="time_zone="):
        read(SHOP, as_of=when)


def test_the_day_of_an_event_is_the_local_day():
    late = dt.datetime(2024, 1, 1, 23, 30, tzinfo=dt.UTC)
    data = frame(("a", late), ("b", late + dt.timedelta(days=3)))
    assert str(read(data).date(read(data).start)) == "2024-01-01"
    log = read(data, time_zone="Europe/Berlin")
    assert str(log.date(log.start)) == "2024-01-02"


@pytest.mark.parametrize(
    "ids",
    [
        pl.Series([3, 1, 2], dtype=pl.Int32),
        pl.Series([2**40, 5, 7], dtype=pl.UInt64),
        pl.Series(["x", "ü", "a"]),
        pl.Series([1.5, 2.5, 0.5]),
        pl.Series([dt.date(2024, 1, 3), dt.date(2024, 1, 1), dt.date(2024, 1, 2)]),
        pl.Series(["x", "y", "z"], dtype=pl.Categorical),
        pl.Series([b"x", b"y", b"a"]),
    ],
    ids=lambda s: str(s.dtype),
)
def test_ids_keep_their_type_and_come_sorted(ids):
    log = read(pl.DataFrame({"who": ids, "when": ["2024-01-01", "2024-01-02", "2024-01-03"]}))
    assert log.ids.dtype == ids.dtype
    assert log.ids.to_list() == sorted(ids.to_list())


def test_ids_may_be_named_as_text_or_as_numbers():
    data = frame((1, "2024-01-01"), (2, "2024-01-02"), (3, "2024-01-03"))
    assert read(data, ids=["1", "3"]).ids.to_list() == [1, 3]
    assert read(data.cast(pl.String), ids=[1, "3"]).ids.to_list() == ["1", "3"]
    with pytest.raises(ParameterError, match="cannot be ids"):
        read(data, ids=["x"])


def test_one_customer_is_an_error_unless_asked_for():
    with pytest.raises(DataError, match=r"one customer only .*ids="):
        read(SHOP.filter(pl.col("who") == "a"))
    assert read(SHOP, ids=["a"]).n_customers == 1
    assert read(SHOP, ids=["a"], as_of="2024-01-01").n_events == 1


def test_events_all_at_the_same_tick_are_an_error_unless_silence_was_observed_after_them():
    same = frame(("a", "2024-01-01 08:00"), ("b", "2024-01-01 09:00"))
    with pytest.raises(DataError, match=r"same day, 2024-01-01.*unit='hour'"):
        read(same)
    assert read(same, unit="hour").n_events == 2
    assert read(same, as_of="2024-02-01").n_events == 2
    assert read(same, start="2024-01-01", as_of="2024-01-01").n_events == 2


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"id": None}, ParameterError, "the id column is None"),
        ({"id": "Who "}, ColumnError, "did you mean 'who'"),
        ({"time": "zzz"}, ColumnError, "its columns are 'who', 'when', 'much', 'where'"),
        ({"marks": ["many", "much"]}, ColumnError, "no column 'many'"),
        ({"marks": ["where"]}, ColumnError, "holds text, such as 'north'.*group="),
        ({"marks": ["much", "much"]}, ParameterError, "more than once"),
        ({"id": "when"}, ParameterError, "two different columns"),
        ({"id": ""}, ParameterError, "the id column is ''"),
        ({"unit": "minute"}, ParameterError, "'day' or 'hour'"),
        ({"merge": "month"}, ParameterError, "'auto', 'hour', 'day', 'week' or None"),
        ({"min_events": 0}, ParameterError, "at least 1"),
        ({"chunk_rows": True}, ParameterError, "whole number"),
        ({"ids": "a"}, ParameterError, r"\['a'\]"),
        ({"ids": []}, ParameterError, "at least one id"),
        ({"time_zone": "Europe/Berln"}, ParameterError, "did you mean 'Europe/Berlin'"),
        ({"as_of": "soon"}, ParameterError, "is not a date"),
        ({"start": "2025-01-01", "as_of": "2024-01-01"}, ParameterError, "comes after"),
        ({"as_of": "2020-01-01"}, EmptyLogError, "5 after the as-of date"),
        ({"min_events": 9}, EmptyLogError, "fewer than 9 events"),
        ({"query": "select 1"}, ParameterError, "for databases"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_was_expected(settings, error, message):
    with pytest.raises(error, match=message):
        read(SHOP, **settings)


def test_an_empty_frame_is_refused():
    with pytest.raises(EmptyLogError, match="no rows"):
        read(SHOP.clear())


def test_a_source_of_another_kind_is_refused():
    with pytest.raises(ParameterError, match="of type int; expected a path"):
        ft.read_events(5)


def oracle(rows, merge_days, duplicates):
    """Some plain lines that say what reading means."""
    rows = [row for row in rows if row[0] is not None and row[1] is not None]
    rows = sorted(rows if duplicates == "keep" else dict.fromkeys(rows), key=lambda row: (row[0], row[1]))
    events = {}
    for who, when, much in rows:
        if much is None or much >= 0:
            period = when.date() if merge_days else when
            key = (who, when.date() if merge_days else (when, len(events)))
            event = events.setdefault(key, [who, when.date(), None, period])
            event[2] = event[2] if much is None else (event[2] or 0.0) + much
    for who, when, much in rows:
        due = -much if much is not None and much < 0 else 0.0
        until = when.date() if merge_days else when
        for event in reversed([e for e in events.values() if e[0] == who and e[3] <= until and e[2]]):
            taken = min(due, event[2])
            event[2], due = event[2] - taken, due - taken
    return [(who, day, much if much is None else round(much, 6)) for who, day, much, _ in events.values()]


ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 4)),
        st.one_of(st.none(), st.datetimes(dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 9))),
        st.one_of(st.none(), st.floats(-5, 5)),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(
    ROWS,
    st.booleans(),
    st.sampled_from([1, 2]),
    st.sampled_from([None, "2024-01-05"]),
    st.sampled_from(["drop", "keep"]),
)
def test_rows_read_are_the_events_and_what_the_report_counts(rows, merge_days, min_events, as_of, duplicates):
    schema = {"who": pl.Int64, "when": pl.Datetime("us"), "much": pl.Float64}
    data = pl.DataFrame(rows, schema=schema, orient="row")
    merge = "day" if merge_days else None
    try:
        kept = {"ids": list(range(5)), "duplicates": duplicates}
        log = read(data, merge=merge, min_events=min_events, as_of=as_of, **kept)
    except ForetellError:
        return
    assert log.report.rows_read == len(rows) == log.n_events + sum(log.report.left_out.values())
    assert log.report.rows == log.n_events == log.offsets[-1] == len(log.marks)
    assert (np.diff(log.times)[np.diff(log.owner) == 0] >= log.min_gap).all()
    if min_events == 1 and as_of is None:
        read_rows = log.to_polars().rows()
        rounded = [(who, day, None if much is None else round(much, 6)) for who, day, much in read_rows]
        assert rounded == oracle(rows, merge_days, duplicates)


def test_reading_its_own_table_gives_the_log_back():
    log = ft.read_events(load_cdnow(sample=True), id="customer_id", time="date", marks=["amount"])
    again = ft.read_events(log.to_polars(), marks=["amount"])
    assert log.ids.equals(again.ids)
    for name in ("offsets", "times", "marks"):
        np.testing.assert_array_equal(getattr(log, name), getattr(again, name))


def test_cdnow_has_the_published_number_of_customers():
    log = ft.read_events(load_cdnow(), id="customer_id", time="date", marks=["amount"])
    assert (log.n_customers, log.report.rows_read) == (23_570, 69_659)
    assert str(log.date(log.as_of)) == "1998-06-30"


def test_complete_journey_has_2446_households_by_the_cut():
    log = ft.read_events(
        load_complete_journey(), id="household_id", time="timestamp", group="store_id", as_of="2017-09-30"
    )
    assert log.n_customers == 2_446


@pytest.mark.parametrize(("wrong", "word"), [("2031-05-01", "after"), ("1970-01-01", "before")])
def test_a_stray_year_is_said_and_neither_the_as_of_date_nor_the_start(wrong, word):
    days = np.datetime64("2021-01-01") + np.arange(400) % 90 * np.timedelta64(5, "D")
    days[7] = np.datetime64(wrong)
    data = pl.DataFrame({"who": np.arange(400) % 50, "when": days})
    with pytest.warns(CalendarWarning, match=f"1 of 400 .*{word} all others.*{wrong}"):
        log = read(data)
    assert (str(log.date(log.start)), str(log.date(log.as_of))) == ("2021-01-01", "2022-03-22")
    assert log.report.left_out[f"years {word} all others"] == 1
    kept = read(data, **({"as_of": wrong} if word == "after" else {"start": wrong}))
    assert wrong in {str(kept.date(kept.start)), str(kept.date(kept.as_of))}


def test_years_without_events_in_a_sparse_log_are_not_stray():
    days = np.datetime64("2000-01-01") + np.arange(40) * np.timedelta64(400, "D")
    log = read(pl.DataFrame({"who": np.arange(40) % 5, "when": days}))
    assert log.n_events == 40


@pytest.mark.parametrize(("step", "said"), [("1mo", "first of a month"), ("1w", "a Monday")])
def test_dates_that_are_coarser_than_the_clock_are_said(step, said):
    days = pl.date_range(dt.date(2021, 3, 1), dt.date(2023, 3, 1), step, eager=True)
    data = pl.DataFrame({"who": np.repeat([1, 2], len(days)), "when": pl.concat([days, days])})
    with pytest.warns(CalendarWarning, match=said):
        read(data)


def test_ids_to_leave_out_may_be_a_series():
    frame = pl.DataFrame({"unique_id": ["a", "b", "c"], "ds": ["2024-01-01", "2024-01-02", "2024-01-03"]})
    log = ft.read_events(frame, exclude=pl.Series(["c"]))
    assert (log.ids.to_list(), log.excluded) == (["a", "b"], ("c",))
