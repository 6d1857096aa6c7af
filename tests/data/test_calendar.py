"""Calendars: one row a day, of days to come too; what is not known is told from nothing."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest

import foretell as ft
from foretell.data.calendar import read_calendar
from foretell.data.state import calendar_from_state, calendar_state

DAYS = ["2024-03-01", "2024-03-02", "2024-03-03"]
FIRST = int(np.datetime64(DAYS[0], "D").astype(int))


@pytest.fixture
def known():
    return read_calendar(
        pl.DataFrame({"ds": DAYS, "price": [9.5, None, 7.0], "holiday": ["", "Easter", None]})
    )


def log_of(calendar, days=DAYS):
    rows = {"unique_id": ["a", "a", "b", "b"], "ds": [days[0], days[2], days[1], days[2]]}
    return ft.read_events(pl.DataFrame(rows), calendar=calendar)


def test_numbers_may_be_unknown_and_no_word_is_a_word(known):
    np.testing.assert_array_equal(known.at(FIRST + np.arange(4))[:, 0], [9.5, np.nan, 7.0, np.nan])
    assert known.columns.column("holiday").to_list() == ["", "Easter", ""]
    assert known.read_as == {"price": "numbers", "holiday": "words"}


def test_files_and_frames_of_any_kind_say_the_same(tmp_path):
    frame = pl.DataFrame({"date": DAYS, "promotion": [0, 1, 0], "who": ["x", "", "y"]})
    frame.write_csv(tmp_path / "days.csv")
    frame.with_columns(pl.col("date").str.to_date()).write_parquet(tmp_path / "days.parquet")
    sources = [frame, frame.lazy(), frame.to_dict(as_series=False), pd.DataFrame(frame.to_dicts())]
    for source in [*sources, tmp_path / "days.csv", str(tmp_path / "days.parquet")]:
        read = read_calendar(source, time="date")
        assert read.start == FIRST
        np.testing.assert_array_equal(read.columns.values, [[0, 1], [1, 0], [0, 2]])


def test_rows_come_in_any_order_and_flags_are_numbers():
    read = read_calendar({"ds": DAYS[::-1], "promotion": [True, None, False]})
    np.testing.assert_array_equal(read.columns.values.ravel(), [0, np.nan, 1])


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ({"ds": ["2024-03-01", "2024-03-04"], "x": [1, 2]}, "no row for 2 days .* such as 2024-03-02"),
        ({"ds": ["2024-03-01", "2024-03-01"], "x": [1, 2]}, "1 days more than once, such as 2024-03-01"),
        ({"ds": ["2024-03-01", "2024-03-02", None], "x": [1, 2, 3]}, "row 3 has None in 'ds'"),
        ({"ds": DAYS}, "at least one of what is known"),
        ({"when": DAYS, "x": [1, 2, 3]}, "a column 'ds'"),
        ({"ds": DAYS, "x": [dt.date(2024, 1, 1)] * 3}, "calendar column 'x' is of type"),
        (
            {"ds": pl.date_range(dt.date(2024, 1, 1), dt.date(2024, 3, 31), eager=True)}
            | {"note": [f"note {k}" for k in range(91)]},
            "91 different words in 'note'.* 60 at the most",
        ),
    ],
)
def test_what_is_no_calendar_is_refused_with_the_mend(rows, says):
    with pytest.raises(ft.errors.DataError, match=says):
        read_calendar(rows)


def test_what_is_no_table_is_refused():
    with pytest.raises(ft.errors.ParameterError, match="calendar=7; expected a path or a frame"):
        read_calendar(7)


def test_a_later_calendar_goes_on_and_changes_nothing_that_was_seen(known):
    later = read_calendar(
        {"ds": [*DAYS[1:], "2024-03-04"], "holiday": ["x", "x", "Whitsun"], "price": [8.0, 1.0, 2.0]}
    )
    whole = known.followed_by(later, since=FIRST + 2)
    np.testing.assert_array_equal(
        whole.columns.values[:, 0], [9.5, 8.0, 1.0, 2.0]
    )  # the second was not known
    assert whole.columns.column("holiday").to_list() == ["", "Easter", "x", "Whitsun"]
    with pytest.raises(ft.errors.ParameterError, match="expected the same"):
        known.followed_by(read_calendar({"ds": DAYS, "price": [1, 2, 3]}), since=FIRST)


def test_a_log_keeps_its_calendar_and_a_later_batch_may_bring_more():
    log = log_of({"ds": DAYS, "promotion": [0, 1, 0]})
    assert log.until(DAYS[1]).calendar is log.calendar
    more = ["2024-03-04", "2024-03-05", "2024-03-06"]
    later = log_of({"ds": [*DAYS, *more], "promotion": [1, 1, 1, 0, 0, 1]}, more)
    joined, _ = log.extended(later)
    assert joined.calendar.columns.values.ravel().tolist() == [0, 1, 0, 0, 0, 1]
    assert log.extended(log_of(None, more))[0].calendar is log.calendar


def test_a_calendar_of_other_days_is_said():
    with pytest.warns(ft.errors.CovariateWarning, match="has no day of the log"):
        log_of({"ds": ["2023-01-01"], "promotion": [1]})


def test_it_survives_as_plain_values(known):
    again = calendar_from_state(calendar_state(known))
    np.testing.assert_array_equal(again.columns.values, known.columns.values)
    assert (again.start, again.columns.names) == (known.start, known.columns.names)
    assert again.columns.categories == known.columns.categories


@pytest.mark.parametrize(
    "change",
    [
        {"values": [1.0]},
        {"start": 1.5},
        {"start": 10**30},
        {"names": ["price"]},
        {"categories": {"holiday": [""]}},
    ],
)
def test_forged_values_are_refused(known, change):
    with pytest.raises(ft.errors.DataError):
        calendar_from_state(calendar_state(known) | change)
