"""The operational clock: time that runs at the shop's own seasonal speed on which gaps are measured."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from foretell.core import FloatArray, IntArray
from foretell.core.time import Unit
from foretell.data.log import EventLog
from foretell.events.horizon.days import DayClock

_TICKS_PER_DAY = {"day": 1, "hour": 24}
_YEAR_DAYS = 365.2425
_SLOWEST = 0.02
_SHUT = 1e-4  # a closed day still moves the clock, so that every gap has a positive length
_FOUR_YEARS = 4 * 365 + 1
_MIN_YEARS = 1.2  # below this a year season cannot be told from the trend
_FLAT = 1e6  # precision of a log factor that is 0
_FACTOR_SPREAD = 0.35  # prior standard deviation of a log factor: a season of e^±0.35 is ordinary


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
        Says on which days nobody ever comes, where there are such days.

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
        return cls(unit, (1.0,) * (7 * _TICKS_PER_DAY[unit]), (1.0,) * 53)

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
        days = DayClock.fit(log.times[~first_events], log.first, log.as_of, log.unit, log.holidays)
        shut = ~days.is_open(ticks // _TICKS_PER_DAY[log.unit])
        exposed = (acquired > 0) & ~shut
        if repeats[exposed].sum() < 200:
            return cls.flat(log.unit)
        years = length / (_TICKS_PER_DAY[log.unit] * _YEAR_DAYS)
        design, cycle_columns, year_columns = _design(ticks[exposed], log.unit, years)
        exposure = acquired[exposed].astype(float)
        weights = _poisson_map(design, cycle_columns.start, repeats[exposed], exposure, year_columns)
        cycle = np.exp(weights[cycle_columns])
        year = np.exp(weights[year_columns]) if year_columns.stop > year_columns.start else np.ones(53)
        return cls._normalised(log.unit, cycle, year, days if shut.any() else None)

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
        mean = clock.speed(np.arange(_FOUR_YEARS * _TICKS_PER_DAY[unit])).mean()
        return dataclasses.replace(clock, cycle=tuple((np.array(clock.cycle) / mean).tolist()))

    def speed(self, ticks: npt.ArrayLike) -> FloatArray:
        """Return the clock's speed during each tick, mean 1 over a year."""
        ticks = np.asarray(ticks, dtype=np.int64)
        in_cycle, in_year = _phases(ticks, self.unit)
        speeds: FloatArray = np.asarray(self.cycle)[in_cycle] * np.asarray(self.year)[in_year]
        if self.days is not None:
            speeds = np.where(self.days.is_open(ticks // _TICKS_PER_DAY[self.unit]), speeds, speeds * _SHUT)
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


def _phases(ticks: IntArray, unit: Unit) -> tuple[IntArray, IntArray]:
    """Return the position in the weekly cycle and the week of the year (0 … 52) of each tick."""
    per_day = _TICKS_PER_DAY[unit]
    days = ticks // per_day
    in_cycle = (ticks + 3 * per_day) % (7 * per_day)  # 1970-01-01 was a Thursday
    dates = days.astype("datetime64[D]")
    day_of_year = (dates - dates.astype("datetime64[Y]")).astype(np.int64)
    return in_cycle, day_of_year // 7


def _design(ticks: IntArray, unit: Unit, years: float) -> tuple[FloatArray, slice, slice]:
    """Return the columns of the log-linear model: trend, cycle, and year where there is enough history."""
    in_cycle, in_year = _phases(ticks, unit)
    position = (ticks - ticks[0]) / max(len(ticks) - 1, 1)
    # The trend bends about twice a year where the year season is not asked for, else slowly: a fast trend
    # would take the season away.
    bends = 3 if years > _MIN_YEARS else max(3, round(12 * years))
    knots = np.linspace(0.0, 1.0, bends)
    trend = np.maximum(0.0, 1.0 - np.abs(position[:, None] - knots) * (bends - 1))
    trend = np.column_stack([trend, np.log1p(ticks - ticks[0])])
    n_cycle = 7 * _TICKS_PER_DAY[unit]
    n_year = 53 if years > _MIN_YEARS else 0
    columns = [trend, np.eye(n_cycle)[in_cycle]]
    if n_year:
        columns.append(np.eye(n_year)[in_year])
    first = trend.shape[1]
    return np.hstack(columns), slice(first, first + n_cycle), slice(first + n_cycle, first + n_cycle + n_year)


def _poisson_map(
    design: FloatArray, n_trend: int, counts: FloatArray, exposure: FloatArray, learned: slice
) -> FloatArray:
    """Return the maximum a posteriori weights of a log-linear Poisson regression (Newton's method).

    The first ``n_trend`` columns are free, the others shrink towards 0; those ``learned`` at least as much,
    by the spread under which the counts are most likely.

    References
    ----------
    MacKay (1992), "Bayesian interpolation", Neural Computation 4(3): eq. 4.8 and its fixed point.
    """
    precision = np.full(design.shape[1], _FACTOR_SPREAD**-2)
    precision[:n_trend] = 1e-4
    weights = np.zeros(design.shape[1])
    offset = np.log(exposure) + np.log(counts.sum() / exposure.sum())
    for _ in range(50):
        mean = np.exp(np.clip(offset + design @ weights, -30.0, 30.0))
        gradient = design.T @ (counts - mean) - precision * weights
        hessian = (design * mean[:, None]).T @ design + np.diag(precision)
        step = np.linalg.solve(hessian, gradient)
        weights += step * min(1.0, 2.0 / (np.abs(step).max() + 1e-12))
        if learned.stop > learned.start:
            variance = np.diag(np.linalg.inv(hessian))[learned]
            # As many weights as the counts have a say in; over their sum of squares it is the precision.
            effective = max(float(np.sum(1.0 - precision[learned] * variance)), 1e-3)
            update = effective / max(float(np.sum(weights[learned] ** 2)), 1e-9)
            precision[learned] = np.clip(update, _FACTOR_SPREAD**-2, _FLAT)
        if np.abs(step).max() < 1e-8:
            break
    return weights
