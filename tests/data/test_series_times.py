"""The grid is found in the times, or is given; what is off it is refused with a mend."""

# ruff: noqa: DTZ001  # the clock of the series has no zone
import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest

import foretell as ft
from foretell.core.grid import Grid
from foretell.errors import ColumnError, DataError, ParameterError

MONDAY = dt.datetime(2024, 1, 1)


def read(times, ids="a", **options):
    ids = [ids] * len(times) if isinstance(ids, str) else ids
    return ft.read_series(
        pl.DataFrame({"unique_id": ids, "ds": times, "y": np.arange(len(times)) + 1.0}), **options
    )


def every(**step):
    return lambda n, first=MONDAY: [first + k * dt.timedelta(**step) for k in range(n)]


def pandas(freq):
    return lambda n, first=MONDAY: pl.Series(pd.date_range(first, periods=n, freq=freq))


@pytest.mark.parametrize(
    ("times", "freq"),
    [
        (every(seconds=30), "30s"),
        (every(minutes=5), "5m"),
        (every(minutes=15), "15m"),
        (every(hours=1), "1h"),
        (every(hours=6), "6h"),
        (every(days=1), "1d"),
        (every(days=2), "2d"),
        (every(weeks=1), "1w"),
        (every(weeks=4), "4w"),
        (pandas("MS"), "1mo"),
        (pandas("ME"), "1mo"),
        (pandas("2MS"), "2mo"),
        (pandas("QS"), "1q"),
        (pandas("QE-JAN"), "1q"),
        (pandas("YS"), "1y"),
        (pandas("YE-JUN"), "1y"),
        (lambda n: list(range(n)), 1),
        (lambda n: list(range(5, 5 + 10 * n, 10)), 10),
        (lambda n: list(range(1990, 1990 + n)), 1),
    ],
)
@pytest.mark.parametrize("n", [2, 3, 60])
def test_the_step_is_the_most_common_difference(times, freq, n):
    panel = read(times(n))
    assert panel.n_rows == n
    assert panel.grid.freq == freq
    assert (
        panel.time_of(panel.index).cast(pl.String).to_list()
        == read(times(n), freq=freq).to_frame()["ds"].cast(pl.String).to_list()
    )
    back = panel.to_frame()["ds"]
    expected = pl.Series(times(n))
    assert back.to_list() == expected.cast(back.dtype).to_list()


def test_months_may_end_or_begin_or_lie_between():
    ends = read([dt.date(2023, 1, 31), dt.date(2023, 2, 28), dt.date(2023, 3, 31), dt.date(2023, 4, 30)])
    assert (ends.grid.freq, ends.grid.day, ends.n_rows) == ("1mo", 31, 4)
    late = read([dt.date(2023, 1, 30), dt.date(2023, 2, 28), dt.date(2023, 3, 30)])
    assert (late.grid.freq, late.grid.day) == ("1mo", 30)
    evening = read([dt.datetime(2023, m, 15, 23) for m in (1, 2, 4)])
    assert (evening.grid.day, evening.n_rows) == (15, 4)
    assert evening.time_of(evening.ends)[0] == dt.datetime(2023, 4, 15, 23)


@pytest.mark.parametrize(
    ("texts", "freq"),
    [
        (["2023-11", "2023-12", "2024-01", "2024-02"], "1mo"),
        (["2023/11", "2023/12", "2024/01", "2024/02"], "1mo"),
        (["202311", "202312", "202401", "202402"], "1mo"),
        ([202311, 202312, 202401, 202402], "1mo"),
        (["2023Q2", "2023Q3", "2023Q4", "2024Q1"], "1q"),
        (["2023-Q2", "2023-Q3", "2023-Q4", "2024-Q1"], "1q"),
        (["Q2 2023", "Q3 2023", "Q4 2023", "Q1 2024"], "1q"),
        ([20232, 20233, 20234, 20241], "1q"),
        (["2023-W51", "2023-W52", "2024-W01", "2024-W02"], "1w"),
        (["2023W51", "2023W52", "2024W01", "2024W02"], "1w"),
        (["2023-W52-7", "2024-W01-1", "2024-W01-2", "2024-W01-3"], "1d"),
        ([202351, 202352, 202401, 202402], "1w"),
        (["202351", "202352", "202401", "202402"], "1w"),
    ],
)
def test_months_quarters_and_weeks_need_no_day(texts, freq):
    panel = read(texts)
    assert panel.n_rows == 4
    assert panel.grid.freq == freq
    assert panel.time_of(panel.ends)[0].year == 2024


def test_a_given_step_decides_what_whole_numbers_count():
    numbers = [202401, 202402, 202403, 202404]
    first = {freq: read(numbers, freq=freq).time_of(0) for freq in ("1w", "1mo", "1q")}
    assert [read(numbers, freq=freq).n_rows for freq in ("1w", "1mo", "1q", 1)] == [4] * 4
    assert first["1mo"].dtype == first["1q"].dtype == pl.Date
    panel = read([*numbers, 202501, 202502, 202503, 202504])
    assert (panel.n_rows, panel.grid.freq) == (8, "1q")  # no year has a fifth


def test_weeks_that_the_calendar_does_not_have_are_refused_with_a_mend():
    with pytest.raises(DataError, match=r"the week '202353', which ISO 8601 .* write the date of a day"):
        read([202351, 202352, 202353, 202401])


@pytest.mark.parametrize("freq", [None, "1mo", "ME", "BME"])
def test_the_last_business_days_of_months_are_months_whatever_the_step_is_called(freq):
    times = pd.bdate_range("2020-01-31", periods=48, freq="BME").to_list()
    times[2] -= dt.timedelta(days=1)  # a holiday
    panel = read(times, freq=freq)
    assert (panel.n_rows, panel.grid.freq) == (48, "BME")
    assert panel.time_of(panel.ends[0] + np.arange(1, 3)).to_list() == [
        dt.date(2024, 1, 31),
        dt.date(2024, 2, 29),
    ]


@pytest.mark.parametrize(("alias", "freq"), [("BMS", "BMS"), ("BQE-JAN", "3BME"), ("BYS-APR", "12BMS")])
def test_business_months_quarters_and_years_are_found(alias, freq):
    times = pd.date_range("2020-01-01", periods=12, freq=alias)
    for given in (None, alias):
        panel = read(times.to_list(), freq=given)
        assert panel.grid.freq == freq
        assert panel.time_of(panel.index).to_list() == [time.date() for time in times]


def test_two_days_of_one_business_month_are_refused():
    days = [dt.date(2020, 1, 31), dt.date(2020, 2, 27), dt.date(2020, 2, 28), dt.date(2020, 3, 31)]
    with pytest.raises(DataError, match="off the grid"):
        read(days, freq="BME")


def test_half_months_are_refused_with_a_mend_that_works():
    times = [dt.date(2020 + m // 12, m % 12 + 1, d) for m in range(24) for d in (1, 15)]
    with pytest.raises(DataError, match=r"half-months, .* number them, 24 a year, by \(year \* 12"):
        read(times)
    assert read([(t.year * 12 + t.month - 1) * 2 + (t.day > 10) for t in times], freq=1).n_rows == 48


@pytest.mark.parametrize(
    ("period", "freq"), [("M", "1mo"), ("Q", "1q"), ("W", "1w"), ("D", "1d"), ("h", "1h")]
)
def test_periods_of_pandas_are_their_first_moment(period, freq):
    times = pd.period_range("2020-01-06", periods=9, freq=period)
    panel = ft.read_series(pd.DataFrame({"ds": times, "y": range(9)}), id=None)
    assert (panel.n_rows, panel.grid.freq) == (9, freq)
    assert panel.time_of(panel.starts).cast(pl.Datetime)[0] == times[0].start_time


@pytest.mark.parametrize("years", [[1999, 2000, 2002], ["1999", "2000", "2002"]])
def test_years_are_dates_where_the_step_is_said_to_be_a_year(years):
    panel = read(years, freq="1y")
    assert panel.time_of(panel.index).to_list() == [dt.date(y, 1, 1) for y in range(1999, 2003)]
    assert read(years).time_of(0).dtype == pl.Int64


def test_a_gap_is_one_whatever_the_length_of_the_month():
    panel = read([dt.date(2024, m, 1) for m in (1, 2, 3, 5, 6)])
    np.testing.assert_array_equal(panel.values.ravel(), [1, 2, 3, np.nan, 4, 5])


@pytest.mark.parametrize("freq", ["MS", "1mo", "M"])
def test_a_frequency_may_be_given_to_months(freq):
    times = [dt.date(2024, m, 1 if freq != "M" else {1: 31, 2: 29, 3: 31}[m]) for m in (1, 2, 3)]
    assert read(times, freq=freq).n_rows == 3


def test_a_given_step_shows_the_gaps_that_the_common_one_would_hide():
    assert read([MONDAY, MONDAY + dt.timedelta(days=2)], freq="D").n_rows == 3


def test_steps_keep_their_place_between_the_round_ones():
    panel = read(every(minutes=5)(4, MONDAY.replace(minute=3)))
    assert panel.grid.phase == 3 * 60_000_000
    assert panel.time_of(panel.starts)[0] == MONDAY.replace(minute=3)


def test_series_of_one_step_take_their_step_from_each_other():
    panel = read([MONDAY, MONDAY + dt.timedelta(days=1)], ids=["a", "b"])
    assert panel.grid.freq == "1d"
    assert panel.report.noted == {"series of one step": 2}


def test_a_single_time_says_nothing_about_steps():
    with pytest.raises(DataError, match=r"says nothing about how far apart .*freq='1d'"):
        read([MONDAY])
    assert read([MONDAY], freq="1d").n_rows == 1


def test_times_off_the_grid_are_refused_with_the_first_and_a_mend():
    times = [*every(hours=1)(30), MONDAY + dt.timedelta(minutes=90), MONDAY + dt.timedelta(minutes=150)]
    with pytest.raises(
        DataError,
        match=r"2 rows of 1 series .* '1h' \(the most common.*a at 2024-01-01 01:30:00.* around it are "
        r"2024-01-01 01:00:00 and 2024-01-01 02:00:00; make the times regular.*freq='30m'",
    ):
        read(times)
    assert read(times, freq="30m").n_rows == 59


def test_series_with_different_steps_are_refused():
    daily, weekly = every(days=1)(20), every(weeks=1)(20, MONDAY + dt.timedelta(hours=5))
    with pytest.raises(DataError, match=r"20 rows of 1 series are off .*b at 2024-01-01 05:00:00"):
        read(daily + weekly, ids=["a"] * 20 + ["b"] * 20)


def test_weekend_rows_are_off_a_grid_of_business_days():
    with pytest.raises(DataError, match=r"as freq= says\): a at 2024-01-06; a at 2024-01-07"):
        read(every(days=1)(8), freq="B")


def business(n):
    return [day for day in every(days=1)(n) if day.weekday() < 5]


def test_days_that_are_never_open_are_no_steps():
    panel = read(business(28))
    assert panel.grid == Grid("B")
    assert panel.n_rows == 20
    assert panel.grid.season_lengths() == (5, 261)


def test_a_holiday_is_a_gap():
    days = [day for day in business(70) if day != dt.datetime(2024, 1, 16)]
    panel = read(days)
    assert panel.grid.open_slots.sum() == 5
    assert np.isnan(panel.values.ravel()).sum() == 1


def test_closed_slots_are_kept_where_asked_for():
    panel = read(business(28), closed="keep")
    assert panel.grid.open_slots is None
    assert panel.n_rows == 26


def test_opening_hours_are_the_steps_of_a_call_centre():
    slots = [MONDAY + dt.timedelta(minutes=5 * k) for k in range(288 * 42)]
    times = [t for t in slots if t.weekday() < 5 and 7 * 60 <= 60 * t.hour + t.minute <= 21 * 60]
    panel = read(times)
    assert panel.n_rows == len(times)
    assert panel.grid.season_lengths() == (169, 845)
    friday = panel.last_tick(dt.datetime(2024, 1, 5, 21))
    assert panel.time_of(friday + 1)[0] == dt.datetime(2024, 1, 8, 7)


def test_less_than_three_weeks_prove_nothing_closed():
    assert read(business(12)).grid.open_slots is None


@pytest.mark.parametrize("share", [0.2, 0.5, 0.7])
def test_slots_that_were_missed_by_chance_are_not_closed(share):
    rng = np.random.default_rng(0)
    times = [t for t in every(hours=1)(24 * 21) if rng.random() < share]
    assert read(times, freq="1h").grid.open_slots is None


def test_a_slot_that_any_series_has_is_open():
    times = [*business(28), dt.datetime(2024, 1, 6)]
    ids = ["a"] * 20 + ["b"]
    assert read(times, ids=ids, freq="1d").grid.open_slots.sum() == 6


def test_times_count_on_the_wall_clock_of_their_zone():
    utc = [dt.datetime(2024, 1, 1, 23, tzinfo=dt.UTC) + dt.timedelta(days=k) for k in range(3)]
    assert read(utc).time_of(read(utc).starts)[0] == dt.datetime(2024, 1, 1, 23)
    berlin = read(utc, time_zone="Europe/Berlin", as_of=dt.datetime(2024, 1, 3, 12, tzinfo=dt.UTC))
    assert berlin.time_of(berlin.index).to_list() == [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]


def test_the_hour_that_clocks_repeat_is_told_with_its_mends():
    utc = [dt.datetime(2024, 10, 26, 20, tzinfo=dt.UTC) + dt.timedelta(hours=k) for k in range(12)]
    local = pl.Series(utc).dt.convert_time_zone("Europe/Berlin")
    with pytest.raises(
        DataError, match=r"a at 2024-10-27 02:00:00 .*where clocks were set back, 'mean', or time_zone='UTC'"
    ):
        read(local)
    assert read(local, time_zone="UTC").n_rows == 12
    assert read(local, duplicates="mean").n_rows == 11
    spring = [
        t.astimezone(ZoneInfo("Europe/Berlin"))
        for t in every(hours=1)(8, dt.datetime(2024, 3, 30, 22, tzinfo=dt.UTC))
    ]
    assert np.isnan(read(pl.Series(spring)).values).sum() == 1


@pytest.mark.parametrize(
    ("times", "options", "error", "message"),
    [
        ([1, 2, 3], {"freq": "1d"}, ColumnError, "numbers around 2.*a whole number as freq= instead of '1d'"),
        ([1, 2, 3], {"as_of": "2024-01-01"}, ParameterError, "holds whole numbers; name whole numbers"),
        (["x", "y"], {}, ColumnError, "none of the 2 values of the time column 'ds' reads as a time"),
        ([MONDAY, MONDAY], {"freq": 1}, ParameterError, "speak of whole numbers, but the time column"),
        ([1.5, 2.5], {"freq": 1}, ParameterError, "speak of whole numbers"),
    ],
)
def test_times_of_another_kind_than_expected_are_refused(times, options, error, message):
    with pytest.raises(error, match=message):
        read(times, **options)


def test_whole_numbers_have_a_start_and_an_end_as_dates_have():
    panel = read(list(range(10)), start=2, as_of=6)
    assert panel.time_of(panel.index).to_list() == [2, 3, 4, 5, 6]
    assert panel.report.examples == {"before the start": ("0", "1"), "after the as-of date": ("7", "8", "9")}
    assert panel.until(4).n_rows == 3
