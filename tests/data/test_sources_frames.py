"""Frames of any library give the same log."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests.frames import KINDS_OF_FRAME

import foretell as ft
from foretell.errors import ColumnError, DataError, SourceError

FRAME = pl.DataFrame(
    {
        "who": ["a", "a", "b", None],
        "when": [dt.date(2024, 1, 1), dt.date(2024, 1, 5), dt.date(2024, 1, 3), dt.date(2024, 1, 3)],
        "much": [1.5, None, 4.0, 8.0],
        "where": [3, 4, 3, 3],
    }
)


def read(source, **settings):
    return ft.read_events(source, id="who", time="when", **settings)


@pytest.mark.parametrize(
    "convert",
    KINDS_OF_FRAME.values(),
    ids=KINDS_OF_FRAME,
)
def test_every_library_gives_the_same_log(convert):
    settings = {"marks": ["much"], "group": "where"}
    log, expected = read(convert(FRAME), **settings), read(FRAME, **settings)
    assert log.to_polars().equals(expected.to_polars())
    assert log.report == expected.report


def test_the_users_frame_is_left_as_it_was():
    frame = FRAME.to_pandas()
    before = frame.copy(deep=True)
    read(frame, marks=["much"])
    pd.testing.assert_frame_equal(frame, before)


def test_pandas_times_with_a_zone_count_by_their_local_day():
    times = pd.to_datetime(["2024-01-01 03:30", "2024-01-05 12:00"]).tz_localize("UTC")
    frame = pd.DataFrame({"who": [1, 2], "when": times.tz_convert("America/New_York")})
    assert str(read(frame).date(read(frame).start)) == "2023-12-31"


def test_pandas_ids_that_are_partly_missing_are_counted():
    frame = pd.DataFrame({"who": [1, 2, np.nan], "when": ["2024-01-01", "2024-01-02", "2024-01-03"]})
    assert read(frame).report.left_out == {"without an id": 1}


def test_pandas_objects_of_several_kinds_become_text():
    frame = pd.DataFrame(
        {"who": [1, "a", None, pd.NA], "when": pd.to_datetime(["2024-01-01", "2024-01-02", None, None])}
    )
    log = read(frame)
    assert log.ids.to_list() == ["1", "a"]
    assert log.report.left_out == {"without an id": 2}


def test_pandas_objects_with_and_without_a_zone_are_refused_as_mixed():
    times = [dt.datetime(2024, 1, 1, 5, tzinfo=dt.timezone(dt.timedelta(hours=2))), dt.datetime(2024, 1, 2)]  # noqa: DTZ001
    with pytest.raises(DataError, match="mixes time zones"):
        read(pd.DataFrame({"who": [1, 2], "when": times}))


def test_a_column_that_twice_has_the_same_name_is_refused():
    with pytest.raises(SourceError, match="pandas frame cannot be read"):
        read(pd.DataFrame([[1, 2, "2024-01-01"]], columns=["who", "who", "when"]))


def test_a_missing_column_is_named_with_the_closest_one():
    with pytest.raises(ColumnError, match=r"the polars frame has no column 'where '.*did you mean 'where'"):
        read(FRAME.lazy(), group="where ")


def test_a_lazy_frame_that_fails_is_refused_as_a_source():
    broken = FRAME.lazy().with_columns(pl.col("who").str.to_date("%Y"))
    with pytest.raises(SourceError, match="polars frame cannot be read"):
        read(broken)


@pytest.mark.parametrize("convert", KINDS_OF_FRAME.values(), ids=list(KINDS_OF_FRAME))
def test_ids_of_nothing_but_spaces_are_none(convert):
    frame = pl.DataFrame({"unique_id": ["a", "", "b", "  "], "ds": [f"2024-01-0{k}" for k in range(1, 5)]})
    log = ft.read_events(convert(frame))
    assert (log.ids.to_list(), log.report.left_out) == (["a", "b"], {"without an id": 2})


def test_rows_are_told_apart_by_columns_of_lists_as_well():
    frame = pl.DataFrame(
        {"unique_id": ["a", "a", "a", "b"], "ds": "2024-01-01", "basket": [["x"], ["y"], ["y"], []]}
    )
    log = ft.read_events(frame, merge=None, as_of="2024-02-01")
    assert log.report.left_out == {"identical to another row, counted once": 1}


@pytest.mark.parametrize("dtype", [pl.Date, pl.Datetime("ms"), pl.Datetime("ms", "Europe/Berlin")])
def test_dates_that_no_calendar_reaches_are_unreadable(dtype):
    times = pl.Series("ds", [20_000 * (1 if dtype == pl.Date else 86_400_000)] * 3).cast(dtype)
    far = pl.Series("ds", [2**31 - 2 if dtype == pl.Date else 2**62]).cast(dtype)
    frame = pl.DataFrame({"unique_id": ["a", "b", "c", "d"], "ds": pl.concat([times, far]), "y": 1.0})
    log = ft.read_events(frame, as_of="2024-12-31")
    assert (log.n_events, log.report.left_out) == (3, {"with an unreadable time": 1})
    assert ft.read_series(frame, freq="1d").n_series == 3
