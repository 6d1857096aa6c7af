"""How far apart the steps of a grid are: written as polars and pandas do, or found in the data."""

from __future__ import annotations

import dataclasses
import re
from typing import Final, Literal

from foretell.errors import ParameterError

DAY_US: Final = 86_400_000_000
WEEK_US: Final = 7 * DAY_US
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
_PANDAS: Final = re.compile(r"(\d*)(us|ms|S|s|min|T|H|h|D|B|W|MS|ME|M|QS|QE|Q|YS|YE|Y|AS|A)(?:-([A-Z]{3}))?")
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
        Saturdays and Sundays are no steps.
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
        if isinstance(freq, int) and not isinstance(freq, bool) and freq >= 1:
            return cls("number", int(freq))
        if isinstance(freq, str):
            if (match := _POLARS.fullmatch(freq)) and (count := int(match[1] or 1)):
                unit = match[2]
                return cls("month", count * _MONTHS[unit]) if unit in _MONTHS else _fixed(count, unit)
            if (match := _PANDAS.fullmatch(freq)) and (count := int(match[1] or 1)):
                found = _from_pandas(count, match[2], match[3])
                if found is not None:
                    return found
        raise ParameterError(
            f"freq={freq!r} is not a frequency; expected one such as '5m', '1h', '1d', '1w', '1mo', '1q' or "
            "'1y', an alias of pandas such as 'min', 'h', 'D', 'B', 'W', 'MS' or 'ME', or a whole number for "
            "times that are whole numbers"
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
        """The frequency as polars writes it."""
        if self.unit == "number":
            return self.size
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
    months = {"M": 1, "Q": 3, "Y": 12, "A": 12}[unit[0]]
    first = unit.endswith("S")
    if anchor is not None and (anchor not in _MONTH_NAMES or months == 1):
        return None
    month = None if anchor is None else _MONTH_NAMES.index(anchor) % months
    return Frequency("month", count * months, day=1 if first else LAST_DAY, month=month)
