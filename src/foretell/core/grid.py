"""The regular grid that all series of a panel share: its frequency, steps ↔ times, seasons, calendar."""

from __future__ import annotations

import dataclasses
import re
from functools import cached_property
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core import BoolArray, FloatArray, IntArray
from foretell.core.constraints import is_whole
from foretell.core.time import TimeAxis
from foretell.errors import ParameterError

DAY_US: Final = 86_400_000_000
WEEK_US: Final = 7 * DAY_US
# How far holidays move the first or the last weekday of a month.
HOLIDAYS_US: Final = 4 * DAY_US
_UNITS: Final = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": DAY_US,
    "w": WEEK_US,
}
_MONTHS: Final = {"mo": 1, "q": 3, "y": 12}
_POLARS: Final = re.compile(r"(\d*)(us|ms|s|m|h|d|w|mo|q|y)")
_PANDAS: Final = re.compile(
    r"(\d*)(us|ms|S|s|min|T|H|h|D|B|W|B?(?:MS|ME|M|QS|QE|Q|YS|YE|Y|AS|A))(?:-([A-Z]{3}))?"
)
# What pandas calls a unit → what polars calls it.
_ALIASES: Final = {"S": "s", "min": "m", "T": "m", "H": "h", "D": "d", "B": "d", "W": "w"}
_WEEKDAYS: Final = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_MONTH_NAMES: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
LAST_DAY: Final = 31

Unit = Literal["number", "us", "month"]


@dataclasses.dataclass(frozen=True)
class Frequency:
    """The step of a grid.

    Attributes
    ----------
    unit : {"number", "us", "month"}
        What a step is counted in: whole numbers that mean no date, microseconds, or calendar months.
    size : int
        How many of them make a step.
    weekday, day, month : int or None
        Where the steps lie, as far as the text says so (``"W-SUN"``, ``"ME"``, ``"QS-FEB"``): the day of
        the week from Monday = 0, the day of the month (31 is its last), the month from January = 0.
    business : bool
        Saturdays and Sundays are no steps; months, quarters and years (``"BME"``, ``"BQS"``) begin or end
        with a weekday.
    """

    unit: Unit
    size: int
    weekday: int | None = None
    day: int | None = None
    month: int | None = None
    business: bool = False

    @classmethod
    def parse(cls, freq: str | int) -> Frequency:
        """Read a frequency such as ``"5m"``, ``"1mo"``, ``"W-SUN"``, or a whole number."""
        if is_whole(freq) and freq >= 1:
            return cls("number", int(freq))
        if isinstance(freq, str):
            if (match := _POLARS.fullmatch(freq)) and (count := int(match[1] or 1)):
                unit = match[2]
                return cls("month", count * _MONTHS[unit]) if unit in _MONTHS else _fixed(count, unit)
            if (match := _PANDAS.fullmatch(freq)) and (count := int(match[1] or 1)):
                frequency = _from_pandas(count, match[2], match[3])
                if frequency is not None:
                    return frequency
        raise ParameterError(
            f"freq={freq!r} is not a frequency; expected one such as '5m', '1h', '1d', '1w', '1mo', '1q' or "
            "'1y', an alias of pandas such as 'min', 'h', 'D', 'B', 'W', 'MS', 'ME' or 'BME', or a whole "
            "number for times that are whole numbers"
        )

    @property
    def size_in_years(self) -> bool:
        """Whether steps are whole years."""
        return self.unit == "month" and self.size % 12 == 0

    @property
    def first_month(self) -> int:
        """The month that the steps fall on; without a word about it, periods begin in January."""
        if self.month is not None:
            return self.month % self.size
        return self.size - 1 if self.day == LAST_DAY else 0

    @property
    def text(self) -> str | int:
        """The frequency as polars writes it; where it is one of business months, as pandas does."""
        if self.unit == "number":
            return self.size
        if self.unit == "month" and self.business:
            return f"{self.size if self.size > 1 else ''}B{'MS' if self.day == 1 else 'ME'}"
        units = _MONTHS if self.unit == "month" else _UNITS
        name, size = max((u for u in units.items() if self.size % u[1] == 0), key=lambda u: u[1])
        return f"{self.size // size}{name}"


def _fixed(count: int, unit: str) -> Frequency:
    return Frequency("us", count * _UNITS[unit])


def _from_pandas(count: int, alias: str, anchor: str | None) -> Frequency | None:
    """Return what an alias of pandas means; None for an anchor that does not go with it."""
    unit = _ALIASES.get(alias, alias)
    if unit == "w":
        if anchor is not None and anchor not in _WEEKDAYS:
            return None
        return dataclasses.replace(
            _fixed(count, unit), weekday=None if anchor is None else _WEEKDAYS.index(anchor)
        )
    if unit in _UNITS:
        if anchor is not None or (alias == "B" and count != 1):
            return None
        return dataclasses.replace(_fixed(count, unit), business=alias == "B")
    business = unit[0] == "B"
    months = {"M": 1, "Q": 3, "Y": 12, "A": 12}[unit[business]]
    first = unit.endswith("S")
    if anchor is not None and (anchor not in _MONTH_NAMES or months == 1):
        return None
    month = None if anchor is None else _MONTH_NAMES.index(anchor) % months
    if business and months > 1 and month is None:
        month = 0 if first else months - 1
    return Frequency("month", count * months, day=1 if first else LAST_DAY, month=month, business=business)


# 1969-12-29: steps of a fixed length are counted from a Monday.
_MONDAY: Final = -3 * DAY_US
_YEAR_DAYS: Final = 365.25


@dataclasses.dataclass(frozen=True, eq=False)
class Grid(TimeAxis):
    """Regular steps in time, counted by whole numbers that do not depend on where any series begins.

    Attributes
    ----------
    freq : str or int
        The step: ``"5m"``, ``"1h"``, ``"1d"``, ``"1w"``, ``"1mo"``, ``"1q"``, ``"1y"`` and their multiples
        (aliases of pandas are understood, too), or a whole number for times that are whole numbers.
    phase : int
        Where the steps lie: microseconds after Monday 1969-12-29, months after January 1970, or the
        smallest time that is a step, of whole numbers; less than one step.
    day : int
        Day of the month that monthly steps and their multiples fall on; in shorter months the last, so
        that 31 means month ends.
    clock : int
        Their time of day, in microseconds.
    open_slots : bool array, shape (steps of a week,), or None
        Which steps of the week, from Monday on, there are: closed ones are left out, so that the step
        after Friday's is Monday's. None: all.

    Examples
    --------
    >>> Grid("1mo", day=31).time_of([649, 650]).to_list()
    [datetime.date(2024, 2, 29), datetime.date(2024, 3, 31)]
    >>> Grid("B").season_lengths()
    (5, 261)
    """

    freq: str | int
    phase: int = 0
    day: int = 1
    clock: int = 0
    open_slots: BoolArray | None = None

    def __post_init__(self) -> None:
        frequency = Frequency.parse(self.freq)
        object.__setattr__(self, "freq", frequency.text)
        if frequency.weekday is not None:
            object.__setattr__(self, "phase", frequency.weekday * DAY_US)
        if frequency.day is not None:
            if frequency.month is not None or not frequency.business:
                object.__setattr__(self, "phase", frequency.first_month)
            object.__setattr__(self, "day", frequency.day)
        if frequency.unit == "us" and frequency.business and self.open_slots is None:
            object.__setattr__(self, "open_slots", np.arange(7) < 5)
        if self.open_slots is None:
            return
        slots = np.asarray(self.open_slots, dtype=bool)
        if frequency.unit != "us" or DAY_US % frequency.size or len(slots) != WEEK_US // frequency.size:
            raise ParameterError(
                f"open_slots has {len(slots)} values for steps of {self.freq!r}; expected one for each step "
                "of a week, and steps that divide a day"
            )
        if not slots.any():
            raise ParameterError("open_slots leaves no step of the week; expected at least one that is open")
        object.__setattr__(self, "open_slots", None if slots.all() else slots)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        return self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        closed = "" if self.open_slots is None else f", {self._n_open} of {len(self.open_slots)} slots open"
        return f"Grid({self.freq!r}{closed})"

    @property
    def _key(self) -> tuple[object, ...]:
        slots = None if self.open_slots is None else self.open_slots.tobytes()
        return self.freq, self.phase, self.day, self.clock, slots

    @cached_property
    def frequency(self) -> Frequency:
        """The step, taken apart."""
        return Frequency.parse(self.freq)

    @property
    def has_dates(self) -> bool:
        """Whether each step is a whole day or longer, and is named by a date without a time of day."""
        unit, size = self.frequency.unit, self.frequency.size
        if unit == "month":
            return self.clock == 0
        return unit == "us" and size % DAY_US == 0 and self.phase % DAY_US == 0

    # Steps ↔ times, in whole numbers: microseconds since 1970, or the times themselves.

    def numbers_of(self, index: npt.ArrayLike) -> IntArray:
        """Return the times of steps as whole numbers."""
        steps = np.asarray(index, dtype=np.int64)
        unit, size = self.frequency.unit, self.frequency.size
        if unit == "month":
            return self._month_times(steps)
        if unit == "number":
            return steps * size + self.phase
        if self.open_slots is not None:
            week, rank = np.divmod(steps, self._n_open)
            steps = week * len(self.open_slots) + np.flatnonzero(self.open_slots)[rank]
        return steps * size + (self.phase + _MONDAY)

    def last_step(self, numbers: npt.ArrayLike) -> IntArray:
        """Return the last step at or before each time, given as whole numbers."""
        times: IntArray = np.asarray(numbers, dtype=np.int64)
        unit, size = self.frequency.unit, self.frequency.size
        steps: IntArray
        if unit == "month":
            months = times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
            steps = (months - self.phase) // size
            return steps - (self._month_times(steps) > times).astype(np.int64)
        if unit == "number":
            steps = (times - self.phase) // size
            return steps
        steps = (times - (self.phase + _MONDAY)) // size
        if self.open_slots is None:
            return steps
        week, slot = np.divmod(steps, len(self.open_slots))
        opened = np.cumsum(self.open_slots, dtype=np.int64)[slot]
        return week * self._n_open + opened - 1

    def locate(self, numbers: npt.ArrayLike) -> tuple[IntArray, BoolArray]:
        """Return the last step at or before each time, and whether the time is that step's own.

        Business months have the step of their month, a few days from its first or last weekday, too: those
        may be holidays.
        """
        times = np.asarray(numbers, dtype=np.int64)
        if self.frequency.unit == "month" and self.frequency.business:
            steps = self.last_step(self._month_end(times))
            return steps, np.abs(self.numbers_of(steps) - times) <= HOLIDAYS_US
        steps = self.last_step(times)
        return steps, self.numbers_of(steps) == times

    @staticmethod
    def _month_end(times: IntArray) -> IntArray:
        """Return the last moment of each time's month."""
        months = times.astype("datetime64[us]").astype("datetime64[M]")
        return (months + 1).astype("datetime64[us]").astype(np.int64) - 1

    def _month_times(self, steps: IntArray) -> IntArray:
        month = (steps * self.frequency.size + self.phase).astype("datetime64[M]")
        first = month.astype("datetime64[D]").astype(np.int64)
        length = (month + 1).astype("datetime64[D]").astype(np.int64) - first
        day = first + np.minimum(self.day, length) - 1
        if self.frequency.business:
            # 1970-01-01 was a Thursday.
            late = np.maximum((day + 3) % 7 - 4, 0)
            day = np.where(late > 0, day + 3 - late if self.day == 1 else day - late, day)
        times: IntArray = day * DAY_US + self.clock
        return times

    @property
    def _n_open(self) -> int:
        return 0 if self.open_slots is None else int(self.open_slots.sum())

    # Steps ↔ times, as users name them.

    @property
    def tick(self) -> str:
        """What a tick is, for messages."""
        return f"step of {self.freq!r}"

    @property
    def ticks(self) -> str:
        """What several are."""
        return "steps"

    def time_of(self, ticks: npt.ArrayLike) -> pl.Series:
        """Return the times of steps: dates, date-times, or whole numbers."""
        if self.frequency.unit == "number":
            return pl.Series("ds", self.numbers_of(np.atleast_1d(np.asarray(ticks, dtype=np.int64))))
        return super().time_of(ticks)

    def last_until(self, when: object) -> int:
        """Return the last step that is over by ``when``: a day, month or year is meant whole."""
        if self.frequency.unit != "number":
            return super().last_until(when)
        if not is_whole(when):
            raise ParameterError(f"{when!r} is no time of this grid; expected a whole number")
        return int(self.last_step(when))

    def ticks_of(self, duration: object, from_: int = 0) -> int:
        """Return how many whole steps after the step ``from_`` are within a duration, at least 1.

        Examples
        --------
        >>> Grid("1d").ticks_of("2w"), Grid("1mo").ticks_of("1y"), Grid("B").ticks_of("1w")
        (14, 12, 5)
        """
        if self.frequency.unit == "number" and not is_whole(duration):
            raise ParameterError(f"{duration!r}: times are whole numbers; expected a number of steps")
        return super().ticks_of(duration, from_)

    def describe_off(self, number: int) -> str:
        """Say of a time off the grid between which steps it lies."""
        before = int(self.last_step(number))
        around = [self._written(value) for value in self.numbers_of([before, before + 1])]
        return (
            f"{self._written(number)} is not on the grid of {self.freq!r}, whose steps around it are "
            f"{around[0]} and {around[1]}"
        )

    def _written(self, number: int) -> str:
        if self.frequency.unit == "number":
            return str(number)
        return str(pl.Series([number]).cast(pl.Datetime("us")).item()).removesuffix(" 00:00:00")

    # What the grid knows about seasons.

    def season_lengths(self) -> tuple[int, ...]:
        """Return the natural seasons in steps, ascending: (24, 168) for hours, (12,) for months.

        Steps of less than a day have the day and the week, of a day the week and the year, longer ones
        the year, where a season is more than one step. Closed slots shorten a season.
        """
        unit, size = self.frequency.unit, self.frequency.size
        if unit == "number":
            return ()
        if unit == "month":
            return (12 // size,) if 12 % size == 0 and size < 12 else ()
        lengths = set()
        if size < DAY_US and DAY_US % size == 0:
            lengths |= self._daily(DAY_US // size)
        if size < WEEK_US and WEEK_US % size == 0:
            lengths.add(self._n_open or WEEK_US // size)
        if size >= DAY_US:
            share = 1.0 if self.open_slots is None else self._n_open / len(self.open_slots)
            lengths.add(round(_YEAR_DAYS * DAY_US / size * share))
        return tuple(sorted(length for length in lengths if length > 1))

    def _daily(self, slots: int) -> set[int]:
        """Return the steps of a day, where all days that are open at all have as many."""
        if self.open_slots is None:
            return {slots}
        counts = self.open_slots.reshape(7, slots).sum(axis=1)
        counts = np.unique(counts[counts > 0])
        return {int(counts[0])} if len(counts) == 1 else set()

    @property
    def calendar_names(self) -> tuple[str, ...]:
        """Names of the columns of :meth:`calendar`."""
        return tuple(f"{part}_of_{cycle}" for cycle in self._cycles for part in ("sin", "cos"))

    @property
    def _cycles(self) -> tuple[str, ...]:
        """The cycles in which a step's position varies."""
        unit, size = self.frequency.unit, self.frequency.size
        if unit == "number":
            return ()
        if unit == "month":
            return ("year",) if size % 12 else ()
        cycles = (("day", size % DAY_US != 0), ("week", size % WEEK_US != 0), ("year", True))
        return tuple(name for name, varies in cycles if varies)

    def calendar(self, index: npt.ArrayLike) -> FloatArray:
        """Return where steps lie in the day, the week and the year, as sine and cosine of the position.

        The columns are those of ``calendar_names``: the day for steps that do not fill days, the week for
        those that do not fill weeks, the year for all but yearly steps and whole numbers.
        """
        numbers = self.numbers_of(np.atleast_1d(np.asarray(index, dtype=np.int64)))
        columns = []
        for cycle in self._cycles:
            angle = 2 * np.pi * self._position(numbers, cycle)
            columns += [np.sin(angle), np.cos(angle)]
        return np.stack(columns, axis=1) if columns else np.zeros((len(numbers), 0))

    def _position(self, numbers: IntArray, cycle: str) -> FloatArray:
        """Return the share of the cycle that is over at each time, 0 to 1."""
        if cycle != "year":
            length = DAY_US if cycle == "day" else WEEK_US
            return ((numbers - _MONDAY) % length) / length
        times = numbers.astype("datetime64[us]")
        year = times.astype("datetime64[Y]")
        if self.frequency.unit == "month":
            return (times.astype("datetime64[M]").astype(np.int64) - 12 * year.astype(np.int64)) / 12
        first, following = (bound.astype("datetime64[us]").astype(np.int64) for bound in (year, year + 1))
        share: FloatArray = (numbers - first) / (following - first)
        return share
