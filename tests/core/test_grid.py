"""A grid counts steps in time: any step has one time, and back."""

# ruff: noqa: DTZ001  # the clock of the series has no zone
import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import foretell as ft
from foretell.core.grid import DAY_US, Frequency, Grid
from foretell.errors import ParameterError

HOUR_US = DAY_US // 24
OFFICE = np.array([day < 5 and 7 <= hour < 22 for day in range(7) for hour in range(24)])
SHORT_SATURDAY = np.array(
    [(day < 5 and 9 <= h < 18) or (day == 5 and 9 <= h < 12) for day in range(7) for h in range(24)]
)
GRIDS = [
    Grid(1),
    Grid(7, phase=3),
    Grid("1s"),
    Grid("5m", phase=120_000_000),
    Grid("15m"),
    Grid("1h"),
    Grid("1h", open_slots=OFFICE),
    Grid("1h", open_slots=SHORT_SATURDAY),
    Grid("7h"),
    Grid("1d"),
    Grid("1d", phase=9 * HOUR_US),
    Grid("1d", open_slots=[True] * 6 + [False]),
    Grid("B"),
    Grid("3d"),
    Grid("1w"),
    Grid("W-SUN"),
    Grid("2w"),
    Grid("MS"),
    Grid("ME"),
    Grid("1mo", day=30, clock=23 * HOUR_US),
    Grid("2mo", phase=1),
    Grid("QS"),
    Grid("QE"),
    Grid("QS-FEB"),
    Grid("1y"),
    Grid("YE"),
    Grid("BME"),
    Grid("BMS"),
    Grid("BQE-JAN"),
]
STEPS = st.lists(st.integers(-3_000, 3_000), min_size=1, max_size=20)


def name(grid):
    return f"{grid} {grid.phase} {grid.day}"


@pytest.mark.parametrize("grid", GRIDS, ids=name)
@given(steps=STEPS)
def test_the_time_of_a_step_is_that_step_again(grid, steps):
    numbers = grid.numbers_of(steps)
    found, on_grid = grid.locate(numbers)
    assert found.tolist() == steps
    assert on_grid.all()
    times = grid.time_of(steps).to_physical().to_numpy().astype(np.int64)
    assert grid.last_step(times * (DAY_US if grid.has_dates else 1)).tolist() == steps
    assert (np.diff(grid.numbers_of(np.sort(np.unique(steps)))) > 0).all()


@pytest.mark.parametrize("grid", [grid for grid in GRIDS if "BM" not in str(grid.freq)], ids=name)
@given(step=st.integers(-3_000, 3_000), share=st.floats(0.01, 0.99))
def test_a_time_between_two_steps_belongs_to_the_earlier_one_and_is_off_the_grid(grid, step, share):
    before, after = (int(number) for number in grid.numbers_of([step, step + 1]))
    between = before + int((after - before) * share)
    found, on_grid = grid.locate([between])
    assert found.tolist() == [step]
    assert on_grid.tolist() == [between == before]


@pytest.mark.parametrize("grid", GRIDS, ids=name)
def test_a_grid_can_be_made_again_of_its_fields(grid):
    again = Grid(grid.freq, grid.phase, grid.day, grid.clock, grid.open_slots)
    assert again == grid
    assert hash(again) == hash(grid)


def times(grid, *steps):
    return grid.time_of(np.array(steps)).to_list()


def test_month_ends_are_respected():
    grid = Grid("ME")
    january = grid.last_until("2024-01-31")
    assert times(grid, *range(january, january + 4)) == [
        dt.date(2024, 1, 31),
        dt.date(2024, 2, 29),
        dt.date(2024, 3, 31),
        dt.date(2024, 4, 30),
    ]


def test_a_late_day_of_the_month_is_the_last_one_in_short_months():
    grid = Grid("1mo", day=30)
    february = grid.last_until("2023-02-28")
    assert times(grid, february - 1, february + 1) == [dt.date(2023, 1, 30), dt.date(2023, 3, 30)]


def test_the_step_after_friday_is_monday_on_business_days():
    grid = Grid("B")
    friday = grid.last_until(dt.date(2024, 1, 5))
    assert times(grid, friday, friday + 1) == [dt.date(2024, 1, 5), dt.date(2024, 1, 8)]


def test_the_step_after_closing_is_the_next_opening():
    grid = Grid("1h", open_slots=OFFICE)
    last = grid.last_until("2024-01-05T21:00")
    assert times(grid, last + 1) == [dt.datetime(2024, 1, 8, 7)]


@pytest.mark.parametrize(
    ("freq", "expected"),
    [
        ("5m", "5m"),
        ("5min", "5m"),
        ("15T", "15m"),
        ("60m", "1h"),
        ("h", "1h"),
        ("H", "1h"),
        ("24h", "1d"),
        ("D", "1d"),
        ("7d", "1w"),
        ("W", "1w"),
        ("2w", "2w"),
        ("M", "1mo"),
        ("MS", "1mo"),
        ("3mo", "1q"),
        ("QE-MAR", "1q"),
        ("12mo", "1y"),
        ("A", "1y"),
        ("BM", "BME"),
        ("BQS", "3BMS"),
        ("30s", "30s"),
        ("ms", "1ms"),
        (4, 4),
    ],
)
def test_a_frequency_is_written_in_one_way(freq, expected):
    assert Grid(freq).freq == expected


@pytest.mark.parametrize(
    "freq", ["", "5x", "0d", 0, -1, 1.5, True, None, "W-JAN", "QS-MON", "2B", "MS-JAN", "-1d"]
)
def test_what_is_no_frequency_is_refused_with_examples(freq):
    with pytest.raises(ParameterError, match=r"is not a frequency; expected one such as '5m'"):
        Frequency.parse(freq)


@pytest.mark.parametrize(
    ("grid", "seasons"),
    [
        (Grid("1h"), (24, 168)),
        (Grid("12h"), (2, 14)),
        (Grid("5m"), (288, 2016)),
        (Grid("1h", open_slots=OFFICE), (15, 75)),
        (Grid("1h", open_slots=SHORT_SATURDAY), (48,)),
        (Grid("7h"), (24,)),
        (Grid("1d"), (7, 365)),
        (Grid("B"), (5, 261)),
        (Grid("1w"), (52,)),
        (Grid("MS"), (12,)),
        (Grid("2mo"), (6,)),
        (Grid("QE"), (4,)),
        (Grid("1y"), ()),
        (Grid("5mo"), ()),
        (Grid(1), ()),
    ],
    ids=str,
)
def test_seasons_are_counted_in_steps(grid, seasons):
    assert grid.season_lengths() == seasons


@pytest.mark.parametrize("grid", GRIDS, ids=name)
def test_the_calendar_has_a_sine_and_a_cosine_of_each_cycle(grid):
    fields = grid.calendar(np.arange(50))
    assert fields.shape == (50, len(grid.calendar_names))
    pairs = fields.reshape(50, -1, 2)
    np.testing.assert_allclose((pairs**2).sum(axis=2), 1.0)


@pytest.mark.parametrize(
    ("grid", "cycles"),
    [
        (Grid("1h"), ["day", "week", "year"]),
        (Grid("1d"), ["week", "year"]),
        (Grid("1w"), ["year"]),
        (Grid("MS"), ["year"]),
        (Grid("1y"), []),
        (Grid(1), []),
    ],
    ids=str,
)
def test_the_calendar_has_the_cycles_that_steps_move_in(grid, cycles):
    assert [name.removeprefix("sin_of_") for name in grid.calendar_names[::2]] == cycles


def test_the_calendar_repeats_after_its_cycle():
    hours = Grid("1h").calendar(np.arange(24 * 15))
    np.testing.assert_allclose(hours[:24, :2], hours[24:48, :2], atol=1e-12)
    np.testing.assert_allclose(hours[:168, 2:4], hours[168:336, 2:4], atol=1e-12)
    months = Grid("ME").calendar(np.arange(36))
    np.testing.assert_allclose(months[:12], months[12:24], atol=1e-12)
    six = Grid("1h").last_until("2024-01-01T06:00")
    np.testing.assert_allclose(Grid("1h").calendar([six])[0, :2], [1, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("grid", "when", "last"),
    [
        (Grid("1h"), "2024-01-05", dt.datetime(2024, 1, 5, 23)),
        (Grid("1h"), "2024-01-05T07:30", dt.datetime(2024, 1, 5, 7)),
        (Grid("1d"), "2024-01", dt.date(2024, 1, 31)),
        (Grid("B"), dt.date(2024, 1, 7), dt.date(2024, 1, 5)),
        (Grid("ME"), "2024", dt.date(2024, 12, 31)),
        (Grid("ME"), "2024-02-28", dt.date(2024, 1, 31)),
        (Grid(5), 13, 10),
    ],
    ids=str,
)
def test_the_last_step_until_a_day_month_or_year_is_of_all_of_it(grid, when, last):
    assert grid.time_of(grid.last_until(when))[0] == last


@pytest.mark.parametrize(
    ("grid", "when"),
    [(Grid(1), "2024-01-01"), (Grid("1d"), 5), (Grid("1d"), "soon"), (Grid("1d"), "2024-01-01T05:00Z")],
)
def test_a_moment_of_another_kind_than_the_grids_is_refused(grid, when):
    with pytest.raises(ParameterError, match="expected"):
        grid.last_until(when)


def test_a_time_off_the_grid_is_refused_with_the_steps_around_it():
    with pytest.raises(
        ParameterError, match=r"2024-01-06 is not on the grid .* are 2024-01-05 and 2024-01-08"
    ):
        ft.Panel.from_arrays([[1.0]], freq=Grid("B"), start="2024-01-06")


@pytest.mark.parametrize(
    ("freq", "slots", "message"),
    [
        ("1h", [True] * 7, "has 7 values"),
        ("1w", [True], "steps that divide a day"),
        ("1d", [False] * 7, "no step of the week"),
    ],
)
def test_open_slots_that_do_not_fit_are_refused(freq, slots, message):
    with pytest.raises(ParameterError, match=message):
        Grid(freq, open_slots=slots)
