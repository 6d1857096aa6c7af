"""The grid and the season of a panel, found in its times and values."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from foretell.core import BoolArray, IntArray
from foretell.core.grid import DAY_US, HOLIDAYS_US, LAST_DAY, WEEK_US, Frequency, Grid
from foretell.data.panel import Panel
from foretell.data.rows import Closed
from foretell.errors import DataError

_MONTH_MIN: Final = 28 * DAY_US
# Before a slot of the week counts as closed: so many weeks, and so small a chance that it was open all along.
_MIN_WEEKS: Final = 3
_CHANCE: Final = 0.01


def fit_grid(
    owner: IntArray, times: IntArray, freq: str | int | None, closed: Closed, *, whole_numbers: bool
) -> Grid:
    """Return the grid that most times lie on, in order by series and time; `Grid.locate` finds the others.

    Without a step it is the most common difference. ``closed="infer"`` leaves slots of the week out of the
    grid that never occur.
    """
    distinct = pl.Series(times).unique().sort().to_numpy()
    if freq is None:
        frequency = _infer(owner, times, distinct, whole_numbers=whole_numbers)
    else:
        frequency = Frequency.parse(freq)
    if frequency.unit == "number":
        return Grid(frequency.size, phase=_most_common(distinct % frequency.size))
    if frequency.unit == "month":
        return _monthly(frequency, owner, times)
    phase = frequency.weekday and frequency.weekday * DAY_US
    if phase is None:
        phase = _most_common((distinct + 3 * DAY_US) % frequency.size)
    grid = Grid(frequency.text, phase=phase)
    if frequency.business:  # days: months are above
        return Grid(frequency.text, phase=phase, open_slots=np.arange(7) < 5)
    slots = _open_slots(grid, distinct) if closed == "infer" else None
    return Grid(frequency.text, phase=phase, open_slots=slots)


def _infer(owner: IntArray, times: IntArray, distinct: IntArray, *, whole_numbers: bool) -> Frequency:
    """Return the most common difference of one row to the next, in months where all fall on the same day."""
    steps = np.diff(times)[owner[1:] == owner[:-1]]
    steps = steps[steps > 0]
    if not len(steps):
        steps = np.diff(distinct)
    if not len(steps):
        raise DataError(
            f"all {len(times):,} rows are of the same time, which says nothing about how far apart the steps "
            "are; say it by freq= (for example freq='1d')"
        )
    step = _most_common(steps)
    if whole_numbers:
        return Frequency("number", step)
    if step >= _MONTH_MIN:
        months = _months(times)
        between = np.diff(months)[owner[1:] == owner[:-1]]
        between = between[between > 0] if (between > 0).any() else np.diff(_months(distinct))
        if _day_of_month(distinct, exact=True) is not None:
            return Frequency("month", _most_common(between))
        ending = _business_day(owner, times)
        if ending is not None:
            return Frequency("month", _most_common(between), day=ending, business=True)
    return Frequency("us", step)


def _monthly(frequency: Frequency, owner: IntArray, times: IntArray) -> Grid:
    distinct = np.unique(times)
    if not frequency.business:
        ending = _business_day(owner, times)
        if ending is not None and frequency.day in {None, ending}:
            frequency = dataclasses.replace(frequency, day=ending, business=True)
    day = frequency.day or _day_of_month(distinct, exact=False) or 1
    anchored = frequency.month is not None
    phase = frequency.first_month if anchored else _most_common(_months(distinct) % frequency.size)
    return Grid(frequency.text, phase=phase, day=day, clock=_most_common(distinct % DAY_US))


def _business_day(owner: IntArray, times: IntArray) -> int | None:
    """Return whether times are the first (1) or the last (31) business days of months; None: neither.

    All are weekdays, one of each series in a month, and most of them the month's first or last weekday:
    only holidays lie between the others and it.
    """
    months, days = _months(times), times // DAY_US
    twice = (np.diff(months) == 0) & (owner[1:] == owner[:-1])
    if twice.any() or ((days + 3) % 7 > 4).any() or _day_of_month(times, exact=True) is not None:
        return None
    for day, name in ((LAST_DAY, "BME"), (1, "BMS")):
        distance = np.abs(Grid(name).numbers_of(months) // DAY_US - days)
        if (distance * DAY_US <= HOLIDAYS_US).all() and 2 * (distance == 0).sum() > len(days):
            return day
    return None


def _months(times: IntArray) -> IntArray:
    return times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)


def _day_of_month(times: IntArray, *, exact: bool) -> int | None:
    """Return the day of the month that all times fall on (31: its last), in short months the last there is.

    With ``exact``, None where they do not all, at the same time of day; without, the day of most.
    """
    month = times.astype("datetime64[us]").astype("datetime64[M]")
    first = month.astype("datetime64[D]").astype(np.int64)
    length = (month + 1).astype("datetime64[D]").astype(np.int64) - first
    day = times // DAY_US - first + 1
    if not exact:
        last = day == length
        return LAST_DAY if 2 * int(last.sum()) > len(day) else _most_common(day)
    if len(np.unique(times % DAY_US)) > 1:
        return None
    anchor = LAST_DAY if (day == length).all() else int(day.max())
    return anchor if (day == np.minimum(anchor, length)).all() else None


def _most_common(values: IntArray) -> int:
    """Return the most common value; of several, the smallest."""
    counts = (
        pl.Series("value", values).value_counts(name="rows").sort("rows", "value", descending=[True, False])
    )
    return int(counts["value"][0])


def _open_slots(grid: Grid, distinct: IntArray) -> BoolArray | None:
    """Return the slots of the week that ever occur; None where that proves nothing.

    A slot that never occurs is closed only if it would have been seen, had it been open: among the steps
    that the others make up, the share that is missing, to the power of the weeks, is next to nothing.
    """
    size = grid.frequency.size
    if DAY_US % size:
        return None
    steps, on_grid = grid.locate(distinct)
    steps, n_slots = steps[on_grid], WEEK_US // size
    weeks = len(np.unique(steps // n_slots))
    slots = np.bincount(steps % n_slots, minlength=n_slots) > 0
    if weeks < _MIN_WEEKS or slots.all():
        return None
    if np.ptp(steps) < _MIN_WEEKS * n_slots * 2 // 3:
        return None
    narrowed = Grid(grid.freq, phase=grid.phase, open_slots=slots)
    ends = narrowed.last_step(distinct[[0, -1]])
    missing = 1 - len(steps) / (int(ends[1] - ends[0]) + 1)
    never_seen = max(missing, 0.0) ** weeks * n_slots
    return slots if never_seen < _CHANCE else None


# Natural seasons to try where the grid's steps are bare numbers.
_USUAL: Final = (4, 7, 12, 24, 52, 168)
# A season has to err by less than this share of what half of it errs.
_HELPFUL: Final = 0.9
# A season of any length has to come round so often, and is at most so long.
_LEAST_CYCLES, _LONGEST = 3, 60


def find_season(panel: Panel, seasons: Sequence[int] = (), *, most_series: int = 500) -> int:
    """Return the season whose naive forecast errs least over most of the series; 1 where none helps.

    The error of "as a season ago" is compared with that of "as one step ago" at the *season's* distance, so
    that a slow drift is not taken for a season: the mean |y_t − y_{t−s}| has to be smaller than the mean
    |y_t − y_{t−k}| at the distances k around s/2.

    Where steps are bare numbers, a season of any other length counts that is twice as good as the usual ones.

    Examples
    --------
    >>> wave = np.sin(2 * np.pi * np.arange(200) / 12)
    >>> find_season(Panel.from_arrays([wave]))
    12
    >>> find_season(Panel.from_arrays([[1, 2, 3] * 4]))
    3
    """
    natural = seasons or panel.grid.season_lengths()
    season, error = _best_season(panel, natural or _USUAL, most_series)
    if error >= _HELPFUL:
        season, error = 1, _HELPFUL
    if not natural and panel.grid.frequency.unit == "number":
        cycles = range(2, min(int(panel.lengths.max()) // _LEAST_CYCLES, _LONGEST) + 1)
        other, other_error = _best_season(panel, cycles, most_series // 10)
        season = other if other_error < error / 2 else season
    return season


def _best_season(panel: Panel, seasons: Sequence[int], most_series: int) -> tuple[int, float]:
    """Return the season of the least typical error, and that error; infinite where nothing is known."""
    candidates = [s for s in seasons if s > 1]
    step = max(panel.n_series // max(most_series, 1), 1)
    scores = np.array([[_gain(panel, i, s) for s in candidates] for i in range(0, panel.n_series, step)])
    if not scores.size or np.isnan(scores).all():
        return 1, np.inf
    known = (~np.isnan(scores)).sum(axis=0)
    typical = np.where(
        known * 2 >= known.max(), np.nanmedian(np.where(known > 0, scores, 2.0), axis=0), np.inf
    )
    least = float(typical.min())
    # A shorter season that does nearly as well keeps the lookback short.
    near = [k for k in range(len(candidates)) if typical[k] <= least + 0.03]
    return int(candidates[near[0]]), least


def _gain(panel: Panel, series: int, season: int) -> float:
    """Return the error of the value a season ago over that of the value half a season ago; NaN if unknown."""
    values = panel.values[panel.offsets[series] : panel.offsets[series + 1], 0]
    if len(values) < 2 * season + 2:
        return np.nan
    half = max(season // 2, 1)
    errors = [np.abs(values[k:] - values[:-k]) for k in (season, half)]
    if any(np.isnan(error).all() for error in errors):
        return np.nan
    own, other = (float(np.nanmean(error)) for error in errors)
    return own / other if other > 0 else np.nan
