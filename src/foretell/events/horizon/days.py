"""The clock of days on which horizons are measured: it stands still on days without visits."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
import numpy.typing as npt

from foretell.core import BoolArray, FloatArray, IntArray
from foretell.core.contracts import Described
from foretell.core.holidays import public_holidays
from foretell.core.time import UNIT_SECONDS, Unit
from foretell.data.calendar import Calendar
from foretell.errors import DataError
from foretell.events.calendar import CalendarEffect, DayCounts

_PULL: Final = 20.0  # visits that a day of the week needs before it counts as much as the usual day
_CLOSED: Final = 8.0  # so many visits expected, and next to none seen: closed
_NEXT_TO_NONE: Final = 0.01
_DAYS_AHEAD: Final = 5 * 365  # of which public holidays are known
_SPAN: Final = np.arange(4 * 365 + 1)


@dataclasses.dataclass(frozen=True)
class DayClock:
    """How much of a usual day each day counts: by day of the week, and none where the shop is closed.

    Attributes
    ----------
    unit : {"day", "hour"}
        What a tick is.
    week : tuple of float, length 7
        Factors from Thursday, the first day of 1970; 0 is closed.
    months : tuple of float, length 12
        1, or 0 for a month in which nobody ever comes.
    monthly : bool
        All visits are dated on the first of a month.
    shut : tuple of int
        Public holidays on which nobody comes, those of some years to come among them: days since 1970-01-01.
    effect : CalendarEffect or None
        How many more visits promotions and the like bring.

    Examples
    --------
    >>> clock = DayClock("day", (1.0,) * 7, (1.0,) * 12)
    >>> clock.ahead(0, np.array([7, 30])).tolist()
    [7.0, 30.0]
    """

    unit: Unit = "day"
    week: tuple[float, ...] = (1.0,) * 7
    months: tuple[float, ...] = (1.0,) * 12
    monthly: bool = False
    shut: tuple[int, ...] = ()
    effect: CalendarEffect | None = None

    @classmethod
    def fit(
        cls,
        repeats: IntArray,
        first: IntArray,
        until: int,
        unit: Unit = "day",
        country: str | None = None,
        calendar: Calendar | None = None,
    ) -> DayClock:
        """Learn from the ticks of repeat visits, of customers who joined at some ticks, up to ``until``.

        A day of the week, a month, or all days but the first of a month on which next to nobody came, though
        many were to be expected, are closed; so are all public holidays of a country, taken together. Seasons
        are no part of it; what a calendar knows of the days is.
        """
        per_day = _ticks_a_day(unit)
        begin, end = int(first.min()) // per_day, until // per_day + 1
        days = np.arange(begin, end)
        joined = np.cumsum(np.bincount(first // per_day - begin, minlength=len(days)))
        came = np.bincount(repeats // per_day - begin, minlength=len(days)).astype(np.float64)
        expected = joined * (came.sum() / max(joined.sum(), 1))

        def factors(classes: IntArray, n: int) -> tuple[FloatArray, BoolArray]:
            seen, due = (np.bincount(classes, values, minlength=n) for values in (came, expected))
            return (seen + _PULL) / (due + _PULL), (due > _CLOSED) & (seen <= _NEXT_TO_NONE * due)

        others_closed = factors(_is_first(days).astype(np.int64), 2)[1][0]
        if others_closed:
            return cls(unit, monthly=True)
        week, closed = factors(days % 7, 7)
        months = np.where(factors(_month(days), 12)[1], 0.0, 1.0)
        shut: tuple[int, ...] = ()
        if country is not None:
            known = public_holidays(country, begin, end + _DAYS_AHEAD)
            if factors(np.isin(days, known).astype(np.int64), 2)[1][1]:
                shut = tuple(known.tolist())
        open_week = tuple(np.where(closed, 0.0, week).tolist())
        clock = cls(unit, open_week, tuple(months.tolist()), shut=shut)
        before = joined - np.bincount(first // per_day - begin, minlength=len(days))
        seen = clock.is_open(days) & (before > 0)
        if calendar is None or not seen.any():
            return clock
        effect = CalendarEffect.fit(
            calendar, DayCounts(days[seen], came[seen], before[seen].astype(np.float64))
        )
        if effect is None or not effect.shows:
            return clock
        expected = joined * effect.factor(days)
        expected *= came.sum() / expected.sum()
        week = np.where(closed, 0.0, factors(days % 7, 7)[0])
        return dataclasses.replace(clock, week=tuple(week.tolist()), effect=effect)

    @property
    def closes(self) -> bool:
        """Whether there are days on which nobody ever comes."""
        return self.monthly or bool(self.shut) or 0.0 in self.week or 0.0 in self.months

    def is_open(self, days: IntArray) -> BoolArray:
        """Return on which days since 1970-01-01 somebody may come."""
        return self._raw(days) > 0

    def speed(self, days: IntArray) -> FloatArray:
        """Return how much of a usual day each day since 1970-01-01 counts."""
        speed: FloatArray = self._raw(days) / self._raw(_SPAN).mean()
        return speed * self.busy(days)

    def busy(self, days: IntArray) -> FloatArray:
        """Return how many times as many visits days bring by what the calendar knows of them."""
        return np.ones(np.shape(days)) if self.effect is None else self.effect.factor(days)

    def moved(self, calendar: Calendar | None) -> DayClock:
        """Return the clock of the days of another calendar, where there is one."""
        effect = None if self.effect is None else self.effect.moved(calendar)
        return self if effect is self.effect else dataclasses.replace(self, effect=effect)

    def readings(self, start: int, ticks: npt.ArrayLike) -> FloatArray:
        """Return the days of the clock from the beginning of the tick ``start`` to the end of others."""
        ticks = np.asarray(ticks, dtype=np.int64)
        per_day = _ticks_a_day(self.unit)
        low, high = min(int(ticks.min(initial=start)), start), int(ticks.max(initial=start))
        all_ticks = np.arange(low, high + 1)
        passed = np.cumsum(self.speed(all_ticks // per_day)) / per_day
        total: FloatArray = passed[ticks - low] - (passed[start - low - 1] if start > low else 0.0)
        return total

    def ahead(self, as_of: int, ticks: npt.ArrayLike) -> FloatArray:
        """Return the days of the clock in the so many ticks after a tick."""
        return self.readings(as_of + 1, np.asarray(ticks) + as_of)

    def to_array(self) -> FloatArray:
        """Return what was learned as numbers."""
        return np.array([*self.week, *self.months, float(self.monthly), *self.shut])

    @classmethod
    def of_array(
        cls, numbers: npt.NDArray[np.floating], unit: str, calendar: Described | None = None
    ) -> DayClock:
        """Return the clock that `to_array` described, with the effect of a calendar as JSON keeps it."""
        values = numbers.tolist()
        shut = tuple(int(day) for day in values[20:])
        tick: Unit = "hour" if unit == "hour" else "day"
        effect = CalendarEffect.from_description(calendar)
        return cls(tick, tuple(values[:7]), tuple(values[7:19]), bool(values[19]), shut, effect)

    @property
    def described_effect(self) -> Described | None:
        """What JSON keeps of the effect of a calendar."""
        return None if self.effect is None else self.effect.describe()

    def describe(self) -> dict[str, object]:
        """Return what JSON keeps of it."""
        return {"unit": self.unit, "numbers": self.to_array().tolist(), "calendar": self.described_effect}

    @classmethod
    def from_description(cls, described: Described) -> DayClock:
        """Return the clock that `describe` described; refuse one of another shape."""
        numbers = np.array(described["numbers"], dtype=np.float64)
        if numbers.ndim != 1 or len(numbers) < 20 or not (numbers >= 0).all():
            raise DataError("the days on which nobody comes are of another shape than this version reads")
        return cls.of_array(numbers, described["unit"], described.get("calendar"))

    def _raw(self, days: IntArray) -> FloatArray:
        if self.monthly:
            return _is_first(days).astype(np.float64)
        speed: FloatArray = np.array(self.week)[days % 7] * np.array(self.months)[_month(days)]
        return np.where(np.isin(days, self.shut), 0.0, speed) if self.shut else speed


def _ticks_a_day(unit: Unit) -> int:
    return UNIT_SECONDS["day"] // UNIT_SECONDS[unit]


def _month(days: IntArray) -> IntArray:
    months: IntArray = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    return months


def _is_first(days: IntArray) -> BoolArray:
    dates = days.astype("datetime64[D]")
    first: BoolArray = dates == dates.astype("datetime64[M]").astype("datetime64[D]")
    return first
