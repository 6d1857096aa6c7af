"""The operational clock: time that runs at the shop's own seasonal speed on which gaps are measured."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from foretell.core import FloatArray
from foretell.core.time import Unit
from foretell.data.calendar import Calendar
from foretell.data.log import EventLog
from foretell.events.horizon.days import DayClock
from foretell.events.intensity import TICKS_PER_DAY, Design, Learned, phases, poisson_map

_SLOWEST = 0.02
_SHUT = 1e-4  # a closed day still moves the clock, so that every gap has a positive length
_FOUR_YEARS = 4 * 365 + 1


@dataclasses.dataclass(frozen=True)
class OperationalClock:
    """Clock whose speed is a cycle factor (hour of week or day of week) × a week-of-year factor.

    Attributes
    ----------
    unit : {"day", "hour"}
        What one tick is.
    cycle : tuple of float, length 7 (days) or 168 (hours)
        Speed by day of week from Monday, or by hour of week from Monday 00:00.
    year : tuple of float, length 53
        Speed by week of the year (day of year // 7); all ones with too little history.
    days : DayClock or None
        Says on which days nobody ever comes, and how many more on which a calendar knows something, where
        there are such days.

    Examples
    --------
    >>> clock = OperationalClock.flat("day")
    >>> clock.speed(np.arange(3)).tolist()
    [1.0, 1.0, 1.0]
    """

    unit: Unit
    cycle: tuple[float, ...]
    year: tuple[float, ...]
    days: DayClock | None = None

    @classmethod
    def flat(cls, unit: Unit) -> OperationalClock:
        """Return the clock that runs at speed 1 throughout."""
        return cls(unit, (1.0,) * (7 * TICKS_PER_DAY[unit]), (1.0,) * 53)

    @classmethod
    def fit(cls, log: EventLog) -> OperationalClock:
        """Estimate the speed from the repeat events of a log, up to its as-of date.

        Repeat events per tick are Poisson with mean (customers acquired so far) × (smooth trend) ×
        (cycle factor) × (week-of-year factor); log factors have normal priors, so that thin data give a
        flat clock. The year factor is estimated with more than 1.2 years of history only, and how far its
        weeks differ is itself learned: where they differ no more than by chance, the year is flat.
        """
        first_events = np.zeros(log.n_events, dtype=bool)
        first_events[log.offsets[:-1]] = True
        ticks = np.arange(log.start, log.as_of + 1)
        length = len(ticks)
        repeats = np.bincount(log.times[~first_events] - log.start, minlength=length).astype(float)
        joined = np.bincount(log.first - log.start, minlength=length)
        acquired = np.cumsum(joined) - joined
        days = DayClock.fit(
            log.times[~first_events], log.first, log.as_of, log.unit, log.holidays, log.calendar
        )
        shut = ~days.is_open(ticks // TICKS_PER_DAY[log.unit])
        exposed = (acquired > 0) & ~shut
        if repeats[exposed].sum() < 200:
            return cls.flat(log.unit)
        design = Design.of(ticks[exposed], log.unit, length)
        exposure = acquired[exposed] * days.busy(ticks[exposed] // TICKS_PER_DAY[log.unit])
        learned = [Learned(design.year)]
        weights = poisson_map(design.columns, design.cycle.start, repeats[exposed], exposure, learned).mean
        cycle = np.exp(weights[design.cycle])
        year = np.exp(weights[design.year]) if design.year.stop > design.year.start else np.ones(53)
        return cls._normalised(log.unit, cycle, year, days if shut.any() or days.effect else None)

    def moved(self, calendar: Calendar | None) -> OperationalClock:
        """Return the clock of the days of another calendar, where there is one."""
        days = None if self.days is None else self.days.moved(calendar)
        return self if days is self.days else dataclasses.replace(self, days=days)

    @classmethod
    def _normalised(
        cls, unit: Unit, cycle: FloatArray, year: FloatArray, days: DayClock | None
    ) -> OperationalClock:
        cycle = np.maximum(cycle / cycle.mean(), _SLOWEST)
        weeks = np.array([7.0] * 52 + [1.2425])
        year = np.maximum(year / np.average(year, weights=weeks), _SLOWEST)
        clock = cls(unit, tuple((cycle / cycle.mean()).tolist()), tuple(year.tolist()), days)
        if days is None:
            return clock
        mean = clock.speed(np.arange(_FOUR_YEARS * TICKS_PER_DAY[unit])).mean()
        return dataclasses.replace(clock, cycle=tuple((np.array(clock.cycle) / mean).tolist()))

    def speed(self, ticks: npt.ArrayLike) -> FloatArray:
        """Return the clock's speed during each tick, mean 1 over a year."""
        ticks = np.asarray(ticks, dtype=np.int64)
        in_cycle, in_year = phases(ticks, self.unit)
        speeds: FloatArray = np.asarray(self.cycle)[in_cycle] * np.asarray(self.year)[in_year]
        if self.days is not None:
            days = ticks // TICKS_PER_DAY[self.unit]
            speeds = np.where(self.days.is_open(days), speeds, speeds * _SHUT) * self.days.busy(days)
        return speeds

    def table(self, start: int, end: int) -> ClockTable:
        """Return the readings of the clock at the end of the ticks start - 1 … end."""
        readings = np.concatenate([[0.0], np.cumsum(self.speed(np.arange(start, end + 1)))])
        return ClockTable(start, readings)


@dataclasses.dataclass(frozen=True)
class ClockTable:
    """Readings of a clock over a range of ticks; beyond it the clock runs at its mean speed, 1.

    Attributes
    ----------
    start : int
        First tick.
    readings : array, shape (n_ticks + 1,)
        ``readings[i]`` is the reading at the end of tick ``start - 1 + i``.
    """

    start: int
    readings: FloatArray

    def at(self, ticks: npt.ArrayLike) -> FloatArray:
        """Return the reading at the end of each tick."""
        position = np.asarray(ticks, dtype=np.int64) - (self.start - 1)
        last = len(self.readings) - 1
        inside = self.readings[np.clip(position, 0, last)]
        return inside + np.minimum(position, 0) + np.maximum(position - last, 0)

    def invert(self, readings: npt.ArrayLike) -> FloatArray:
        """Return the moment of each reading, in ticks: 4.25 is a quarter into tick 5."""
        values = np.asarray(readings, dtype=np.float64)
        last = len(self.readings) - 1
        moments = np.interp(values, self.readings, np.arange(last + 1.0))
        moments += np.minimum(values - self.readings[0], 0.0) + np.maximum(values - self.readings[-1], 0.0)
        return np.asarray(moments + (self.start - 1))
