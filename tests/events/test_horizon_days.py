"""The clock of days: closed days do not count, and nothing else is taken for a closed day."""

import numpy as np
import pytest

from foretell.events.horizon.days import DayClock

MONDAY = 4  # 1970-01-05


def fitted(days, unit="day", until=None):
    days = np.asarray(days)
    return DayClock.fit(
        np.sort(days), np.zeros(50, dtype=np.int64), int(days.max()) + 1 if until is None else until, unit
    )


def test_a_day_without_visits_stands_still():
    days = np.arange(1, 400)
    clock = fitted(np.repeat(days[days % 7 != MONDAY], 3))
    assert clock.week[MONDAY] == 0
    monday = 400 + (MONDAY - 400) % 7
    assert clock.ahead(monday - 1, np.array([1, 2])).tolist() == pytest.approx([0, 7 / 6], abs=0.01)
    assert clock.ahead(monday - 1, np.array([70]))[0] == pytest.approx(70, rel=0.01)


def test_few_visits_close_no_day():
    assert min(fitted(np.arange(1, 40)[::3]).week) > 0.5


def test_a_month_in_which_nobody_comes_is_closed():
    days = np.arange(1, 1100)
    august = days.astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12 == 7
    clock = fitted(np.repeat(days[~august], 2))
    assert clock.months[7] == 0
    assert sum(clock.months) == 11


def test_of_visits_dated_by_month_only_the_first_days_count():
    months = np.arange("1970-02", "1972-01", dtype="datetime64[M]").astype("datetime64[D]").astype(int)
    clock = fitted(np.repeat(months, 10), until=720)
    assert clock.monthly
    january = int(np.datetime64("1972-01-01").astype(int))
    assert clock.ahead(january, np.array([29]))[0] == 0
    assert clock.ahead(january, np.array([31]))[0] == pytest.approx(365.25 / 12, rel=0.01)


def test_hours_are_parts_of_a_day():
    hours = np.repeat(np.arange(24, 24 * 300, 5), 2)
    assert fitted(hours, unit="hour").ahead(24 * 300 - 1, np.array([24 * 7]))[0] == pytest.approx(7, rel=0.01)


def test_readings_add_up_from_any_start():
    clock = DayClock("day", (0.5, 1.5, 1.0, 1.0, 0.0, 1.0, 1.0))
    whole = clock.readings(100, np.arange(100, 130))
    np.testing.assert_allclose(np.diff(whole), clock.speed(np.arange(101, 130)))
    assert whole[0] == pytest.approx(clock.speed(np.array([100]))[0])


def test_what_was_learned_survives_as_numbers():
    clock = DayClock("hour", (0.0, 1.5, 1.0, 1.0, 1.0, 1.0, 1.0), (1.0,) * 11 + (0.0,), monthly=False)
    assert DayClock.of_array(clock.to_array(), "hour") == clock
