"""The event log: what is seen of it at a date, by customer, and how it counts time."""

import datetime as dt
import uuid

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import foretell as ft
from foretell.core.time import Clock
from foretell.errors import EmptyLogError, ParameterError


@pytest.fixture
def log():
    rows = [
        ("a", "2024-01-01"),
        ("a", "2024-01-08"),
        ("b", "2024-01-04"),
        ("c", "2024-01-20"),
        ("c", "2024-02-01"),
    ]
    data = pl.DataFrame(rows, schema=["unique_id", "ds"], orient="row").with_columns(much=pl.int_range(5))
    return ft.read_events(data, marks=["much"], group="unique_id")


def test_counts_first_and_last_belong_to_the_customers(log):
    assert log.counts.tolist() == [2, 1, 2]
    assert log.dates(log.first).astype(str).tolist() == ["2024-01-01", "2024-01-04", "2024-01-20"]
    assert log.dates(log.last).astype(str).tolist() == ["2024-01-08", "2024-01-04", "2024-02-01"]
    assert log.owner.tolist() == [0, 0, 1, 2, 2]


def test_as_it_stood_at_a_date_it_has_no_later_events_and_no_later_customers(log):
    past = log.until("2024-01-05")
    assert past.ids.to_list() == ["a", "b"]
    assert past.counts.tolist() == [1, 1]
    assert past.marks.ravel().tolist() == [0.0, 2.0]
    assert str(past.date(past.as_of)) == "2024-01-05"
    assert past.start == log.start


def test_before_the_first_event_nothing_is_left(log):
    with pytest.raises(EmptyLogError, match="runs from 2024-01-01 to 2024-02-01"):
        log.until("2023-12-31")


@pytest.mark.parametrize("chosen", [range(1), range(1, 3), range(3)])
def test_customers_in_a_row_are_taken_as_any_others(log, chosen):
    row, some = log.take(chosen), log.take(list(chosen))
    assert row.to_polars().equals(some.to_polars())
    assert row.offsets.tolist() == some.offsets.tolist()


@pytest.mark.parametrize("chosen", [[2, 0], np.array([True, False, True])])
def test_customers_are_taken_by_position_or_mask_in_order(log, chosen):
    some = log.take(chosen)
    assert some.ids.to_list() == ["a", "c"]
    assert some.to_polars().equals(log.to_polars().filter(pl.col("unique_id") != "b"))
    assert some.as_of == log.as_of


def test_its_table_has_one_row_per_event(log):
    table = log.to_polars()
    assert table.columns == ["unique_id", "ds", "much", "group"]
    assert table["ds"].dtype == pl.Date
    assert table["group"].equals(table["unique_id"].alias("group"))


def test_it_prints_its_size_period_and_clock(log):
    expected = "EventLog(3 customers, 5 events, 2024-01-01 to 2024-02-01, unit='day', merge='day')"
    assert repr(log) == expected


@pytest.mark.parametrize(
    "when", ["2024-01-05", "20240105", dt.date(2024, 1, 5), np.datetime64("2024-01-05"), "2024-01-05T07"]
)
def test_a_date_is_the_same_tick_however_it_is_given(when):
    assert Clock("day").last_until(when) == 19_727
    assert Clock("hour").last_until(when) == 19_727 * 24 + (7 if str(when).endswith("T07") else 23)


@pytest.mark.parametrize(("when", "last"), [("2024-02", "2024-02-29"), ("2024", "2024-12-31")])
def test_a_month_and_a_year_are_meant_whole(log, when, last):
    assert str(log.date(log.last_tick(when))) == last


@pytest.mark.parametrize("when", ["soon", "", "NaT", None, "20241305", "99999999999"])
def test_what_is_no_date_is_refused(when):
    with pytest.raises(ParameterError, match="is not a date"):
        Clock("day").last_until(when)


@given(st.integers(1, 10_000))
def test_durations_agree_between_units(n):
    assert Clock("day").ticks_of(f"{n}w") == Clock("day").ticks_of(7 * n) == 7 * n
    assert Clock("hour").ticks_of(f"{n}d") == Clock("hour").ticks_of(f"{24 * n}h")


@pytest.mark.parametrize("duration", ["7", "d", "-7d", "0d", "12h", 0, -1, True, 1.5])
def test_what_is_no_whole_positive_duration_is_refused(duration):
    with pytest.raises(ParameterError):
        Clock("day").ticks_of(duration)


@pytest.mark.parametrize(
    ("duration", "days"),
    [
        (np.timedelta64(7, "D"), 7),
        (np.timedelta64(2, "W"), 14),
        (np.timedelta64(48, "h"), 2),
        (dt.timedelta(days=3), 3),
        (pd.Timedelta("7d"), 7),
        ("1mo", 29),
        ("1y", 366),
    ],
)
def test_a_duration_has_its_days_and_months_are_counted_from_a_date(log, duration, days):
    assert log.ticks_of(duration, log.last_tick("2024-01-31")) == days


@pytest.mark.parametrize(
    "duration",
    [
        "9999999999d",
        "9" * 40 + "d",
        10**12,
        np.timedelta64(10**15, "h"),
        np.timedelta64("NaT"),
        np.timedelta64(7),
    ],
)
def test_an_absurd_duration_is_refused_with_a_message(log, duration):
    with pytest.raises(ParameterError, match=r"200 years|is not a duration"):
        log.ticks_of(duration)


@pytest.mark.parametrize(("duration", "mend"), [((3, "M"), "3mo"), ((1, "Y"), "1y")])
def test_months_of_numpy_are_refused_with_the_mend(log, duration, mend):
    with pytest.raises(ParameterError, match=f"write '{mend}'"):
        log.ticks_of(np.timedelta64(*duration))


def test_customers_are_selected_by_id_as_series_are(log):
    assert log.select(["c", "a"]).to_polars().equals(log.take([0, 2]).to_polars())
    with pytest.raises(ParameterError, match="the log has no customer 'B'; did you mean 'b'"):
        log.select(["B"])


@pytest.mark.parametrize("positions", [[3], [True], []])
def test_positions_that_there_are_not_are_refused(log, positions):
    with pytest.raises(ParameterError):
        log.take(positions)


def test_until_takes_dates_and_up_to_takes_ticks_in_logs_as_in_panels(log):
    assert log.until("2024-01").to_polars().equals(log.up_to(log.last_tick("2024-01-31")).to_polars())
    panel = ft.Panel.from_arrays([[1, 2, 3]], freq="1d", start="2024-01-01")
    assert panel.until("2024-01-02").n_rows == panel.up_to(int(panel.starts[0]) + 1).n_rows == 2
    with pytest.raises(ParameterError, match="up_to"):
        log.until(19_727)


def test_durations_of_a_panel_are_its_steps():
    panel = ft.Panel.from_arrays([np.arange(30.0)], freq="1w", start="2024-01-01")
    assert panel.ticks_of("26w") == panel.ticks_of(26) == 26
    assert panel.ticks_of("1y") == 52
    with pytest.raises(ParameterError, match="shorter than a step"):
        panel.ticks_of("3d")


def continued(first, later, **settings):
    """Return a log of ids continued by visits of later ids."""
    logs = []
    for ids, start, day in ((first, None, "2024-01-"), (later, "2024-02-01", "2024-02-")):
        when = [f"{day}{k + 1:02}" for k in range(len(ids))]
        data = pl.DataFrame({"id": ids, "t": when})
        logs.append(
            ft.read_events(
                data, id="id", time="t", start=start, as_of=f"{day}29", **(settings if not start else {})
            )
        )
    return logs[0].extended(logs[1])[0]


@pytest.mark.parametrize(
    ("first", "later", "ids"),
    [
        (pl.Series([1, 1, 2], dtype=pl.UInt8), pl.Series([2, 300]), [1, 2, 300]),
        (pl.Series([1, 1, 2], dtype=pl.Int32), pl.Series([5_000_000_000, 2]), [1, 2, 5_000_000_000]),
        (pl.Series([1, 1, 2]), pl.Series([2.0, 3.0]), [1, 2, 3]),
        (pl.Series(["0042", "0042", "1500"]), pl.Series([1500, 2750]), ["0042", "1500", "2750"]),
        (pl.Series(["a", "a", "b"], dtype=pl.Enum(["b", "a"])), pl.Series(["a", "new"]), ["a", "b", "new"]),
    ],
)
def test_later_ids_of_another_type_are_the_same_customers(first, later, ids):
    log = continued(first, later)
    assert log.ids.to_list() == ids
    again = [str(name) for name in [*first, *(int(i) if isinstance(i, float) else i for i in later)]]
    assert log.counts.tolist() == [again.count(str(name)) for name in ids]


@pytest.mark.parametrize("later", [pl.Series([7.5, 8.0]), pl.Series(["7", "8"])])
def test_ids_that_would_be_taken_for_others_are_refused(later):
    with pytest.raises(ParameterError, match="some would be taken for others"):
        continued(pl.Series([7, 7, 8]), later)


def test_later_events_of_another_zone_are_refused():
    with pytest.raises(ParameterError, match=r"time_zone=None.*'Europe/Berlin'.*midnight"):
        continued(pl.Series([7, 7, 8]), pl.Series([7, 8]), time_zone="Europe/Berlin")


def test_uuids_become_text():
    ids = [uuid.UUID(int=1)] * 2 + [uuid.UUID(int=2)]
    data = pl.DataFrame(
        {"id": pl.Series(ids, dtype=pl.Object), "t": ["2024-01-01", "2024-02-03", "2024-01-05"]}
    )
    assert ft.read_events(data, id="id", time="t").ids.to_list() == [str(ids[0]), str(ids[2])]
