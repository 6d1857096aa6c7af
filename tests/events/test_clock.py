"""The operational clock: it finds the shop's own week and year, and can be read both ways."""

import dataclasses

import numpy as np
import polars as pl
import pytest
from benchmarks.simulated import closed_sundays_panel, exponential_panel, season_of
from hypothesis import given
from hypothesis import strategies as st

import foretell as ft
from foretell.events.clock import ClockTable, OperationalClock

WEEK = [0.8, 0.8, 0.9, 1.0, 1.3, 1.5, 0.7]


@pytest.fixture(scope="module")
def panel():
    return exponential_panel(1_500, seed=2)


@pytest.fixture(scope="module")
def log(panel):
    whole = panel.log()
    return whole.until(panel.cutoff)


@pytest.fixture(scope="module")
def clock(log):
    return OperationalClock.fit(log)


def test_it_finds_the_day_of_week(clock):
    np.testing.assert_allclose(clock.cycle, np.array(WEEK) / np.mean(WEEK), atol=0.06)


def test_it_finds_the_season_of_the_year(clock, log):
    ticks = np.arange(log.start + 364, log.start + 2 * 364)
    found = clock.speed(ticks).reshape(-1, 7).mean(axis=1)
    truth = season_of(WEEK, year=0.5, december=0.6)[364 : 2 * 364].reshape(-1, 7).mean(axis=1)
    assert np.corrcoef(found, truth)[0, 1] > 0.95
    # Weekly factors of some hundred events each, and a December that doubles within two weeks.
    assert np.sqrt(np.mean((found / truth - 1) ** 2)) < 0.12


def test_it_is_flat_where_the_log_has_no_season():
    rng = np.random.default_rng(0)
    days = np.sort(rng.integers(0, 700, (600, 12)), axis=1).ravel()
    frame = pl.DataFrame({"unique_id": np.repeat(np.arange(600), 12), "ds": days})
    frame = frame.with_columns(ds=pl.date(2020, 1, 1) + pl.duration(days="ds"))
    found = OperationalClock.fit(ft.read_events(frame))
    np.testing.assert_allclose(found.cycle, 1.0, atol=0.08)
    np.testing.assert_allclose(found.year, 1.0, atol=0.05)


def test_a_shop_that_is_young_is_not_taken_for_a_quiet_season():
    """Everyone comes every few weeks from the first visit on; new customers come in the first year only."""
    rng = np.random.default_rng(0)
    every = rng.uniform(10, 40, 1_000)
    first = rng.integers(0, 365, 1_000)
    days = [np.arange(start, 550, gap).astype(int) for start, gap in zip(first, every, strict=True)]
    ids = np.repeat(np.arange(1_000), [len(part) for part in days])
    frame = pl.DataFrame({"unique_id": ids, "ds": np.concatenate(days)})
    frame = frame.with_columns(ds=pl.date(2021, 1, 1) + pl.duration(days="ds"))
    found = OperationalClock.fit(ft.read_events(frame))
    np.testing.assert_allclose(found.year, 1.0, atol=0.02)


def test_too_little_history_for_a_year_leaves_the_year_flat(log):
    short = OperationalClock.fit(log.up_to(log.start + 400))
    assert set(short.year) == {1.0}
    np.testing.assert_allclose(short.cycle, np.array(WEEK) / np.mean(WEEK), atol=0.12)


def test_thin_data_leave_the_clock_flat(log):
    assert OperationalClock.fit(log.take(range(20))) == OperationalClock.flat("day")


def test_closed_days_are_slow_but_the_clock_never_stands_still():
    panel = closed_sundays_panel(800, seed=1)
    whole = panel.log()
    found = OperationalClock.fit(whole.until(panel.cutoff))
    days = np.arange(whole.start, whole.as_of)
    speeds, sundays = found.speed(days), (days + 3) % 7 == 6
    assert 0 < speeds[sundays].min() <= speeds[sundays].max() < 0.01
    assert speeds[~sundays].min() > 0.5


@pytest.mark.parametrize("start", [0, 19_000])
def test_its_mean_speed_is_one_over_the_weeks_of_the_year(clock, start):
    # Cycle and year factors meet in all combinations over the 400 years of the Gregorian calendar.
    ticks = np.arange(start, start + 146_097)
    assert clock.speed(ticks).mean() == pytest.approx(1.0, abs=1e-3)
    assert np.mean(clock.cycle) == pytest.approx(1.0)


def test_monday_is_the_first_day_and_the_year_begins_on_new_years_day():
    clock = OperationalClock("day", tuple(range(1, 8)), (100.0,) + (1.0,) * 52)
    at = np.array(["2024-01-01", "2024-01-07", "2024-01-08", "2024-12-31"], dtype="datetime64[D]").astype(int)
    # 2024-01-01 and 2024-01-08 are Mondays, 2024-12-31 is a Tuesday in week 52.
    assert clock.speed(at).tolist() == [100.0, 700.0, 1.0, 2.0]


def test_hours_have_a_cycle_of_a_week():
    cycle = np.arange(168.0) + 1
    clock = OperationalClock("hour", tuple(cycle), (1.0,) * 53)
    monday = int(np.datetime64("2024-01-01T00").astype(int))
    assert clock.speed(monday + np.arange(168)).tolist() == cycle.tolist()
    assert clock.speed(monday + 168).tolist() == 1.0


@pytest.fixture(scope="module")
def table(clock):
    return clock.table(19_000, 19_400)


def test_a_table_adds_up_the_speeds(clock, table):
    assert table.at(18_999) == 0.0
    assert table.at(19_010) == pytest.approx(sum(clock.speed(tick) for tick in range(19_000, 19_011)))


@given(ticks=st.lists(st.integers(18_000, 20_400), min_size=1, max_size=20))
def test_reading_a_tick_and_looking_the_reading_up_again_gives_the_tick(table, ticks):
    np.testing.assert_allclose(table.invert(table.at(ticks)), ticks, atol=1e-6)


@given(moments=st.lists(st.floats(-900, 1_400), min_size=2, max_size=20))
def test_later_readings_are_later_moments(table, moments):
    readings = np.sort(moments)
    found = table.invert(readings)
    assert np.all(np.diff(found) >= 0)
    # A moment within tick t has a reading between those of the ends of t - 1 and t.
    ticks = np.ceil(found - 1e-9).astype(int)
    assert np.all(table.at(ticks - 1) <= readings + 1e-6)
    assert np.all(table.at(ticks) >= readings - 1e-6)


def test_beyond_the_table_the_clock_runs_at_its_mean_speed():
    table = ClockTable(10, np.array([0.0, 0.5, 2.5]))  # ticks 10 and 11
    assert table.at([7, 9, 10, 11, 12, 14]).tolist() == [-2.0, 0.0, 0.5, 2.5, 3.5, 5.5]
    assert table.invert([-2.0, 0.25, 1.5, 5.5]).tolist() == [7.0, 9.5, 10.5, 14.0]


def test_only_repeat_events_tell_the_season(log, clock):
    # First events come when they come: moving a one-time customer's only event leaves its weekday untold.
    once = np.flatnonzero(log.counts == 1)
    times = log.times.copy()
    rows = log.offsets[:-1][once]
    earlier = times[rows] - (times[rows] + 3) % 7  # the Monday before
    times[rows] = np.maximum(earlier, log.start)
    moved = OperationalClock.fit(dataclasses.replace(log, times=times))
    np.testing.assert_allclose(moved.cycle, clock.cycle, atol=0.01)


def closed_in_august():
    """Return the log of a shop to which nobody comes in August or on Sundays."""
    rng, start = np.random.default_rng(0), np.datetime64("2020-01-01")
    day = start + np.arange(1096)
    open_ = (day.astype("datetime64[M]").astype(int) % 12 != 7) & ((day.astype(int) + 3) % 7 != 6)
    came = (rng.random((300, 1096)) < rng.gamma(1.2, 1 / 25, (300, 1)).clip(0, 0.8)) & open_
    owner, when = np.nonzero(came)
    return ft.read_events(pl.DataFrame({"unique_id": owner, "ds": day[when]})).until("2022-07-15")


def test_it_stands_still_while_the_shop_is_closed():
    clock = OperationalClock.fit(closed_in_august())
    days = np.arange("2023-07-01", "2023-10-01", dtype="datetime64[D]")
    speed = clock.speed(days.astype(int))
    month = days.astype("datetime64[M]").astype(int) % 12 + 1
    assert speed[month == 8].sum() < 0.01 * speed[month == 9].sum()
    assert speed[(days.astype(int) + 3) % 7 == 6].max() < 0.01
    assert clock.speed(np.arange(4 * 365 + 1)).mean() == pytest.approx(1.0, abs=0.01)


@pytest.mark.filterwarnings("ignore::foretell.errors.CalendarWarning")
def test_it_goes_from_month_to_month_where_dates_are_those_of_months():
    rng = np.random.default_rng(0)
    months = np.arange("2021-01", "2023-01", dtype="datetime64[M]").astype("datetime64[D]")
    owner, when = np.nonzero(rng.random((100, 24)) < 0.5)
    log = ft.read_events(pl.DataFrame({"unique_id": owner, "ds": months[when]}))
    speed = OperationalClock.fit(log).speed(np.arange(log.as_of + 1, log.as_of + 32))  # to 1 January
    assert speed[:30].sum() < 0.01 * speed[30]
