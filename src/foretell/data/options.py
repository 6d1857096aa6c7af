"""How data are to be read: declared and validated in one place."""

from __future__ import annotations

import abc
import dataclasses
import datetime as dt
from collections.abc import Collection
from typing import Any, Literal

import polars as pl

from foretell.core.constraints import OneOf, Whole, as_ids, check, did_you_mean
from foretell.core.grid import Frequency
from foretell.core.time import Clock, Unit, begin_us, end_us, is_count, to_moment
from foretell.data.log import Merge
from foretell.errors import ParameterError

Closed = Literal["infer", "keep"]
Duplicates = Literal["error", "mean", "sum", "last"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadOptions(abc.ABC):
    """What any way in can be told, next to the columns."""

    time_format: str | None = None
    time_zone: str | None = None
    start: Any = None
    as_of: Any = None
    ids: Collection[Any] | None = None
    chunk_rows: int = 100_000

    def __post_init__(self) -> None:
        check("chunk_rows", self.chunk_rows, Whole())
        as_ids(self.ids)
        if self.time_zone is not None:
            _check_zone(self.time_zone)
        if self.begin is not None and self.end is not None and self.begin >= self.end:
            raise ParameterError(f"start={self.start!r} comes after as_of={self.as_of!r}; exchange them")

    @property
    @abc.abstractmethod
    def begin(self) -> int | None:
        """First time to read: microseconds since 1970 on the wall clock."""

    @property
    @abc.abstractmethod
    def end(self) -> int | None:
        """First time after those to read."""

    @property
    def delivered_end(self) -> int | None:
        """First time after those that a source has to deliver."""
        return self.end

    @property
    def whole_numbers(self) -> bool:
        """Whether times are whole numbers that mean no date; ``begin`` and ``end`` are such, then."""
        return False

    @property
    def narrowed(self) -> bool:
        """Whether a part of the source is asked for."""
        return any(limit is not None for limit in (self.ids, self.start, self.as_of))

    def wall_clock(self, when: object) -> object:
        """Return the wall-clock time of an aware datetime; anything else as it is."""
        if not isinstance(when, dt.datetime) or when.tzinfo is None:
            return when
        if self.time_zone is None:
            raise ParameterError(
                f"{when.isoformat()} carries a time zone and the data's one is not known; give a date "
                "without a zone, or name the data's zone by time_zone="
            )
        moment = pl.Series([when]).dt.convert_time_zone(self.time_zone).dt.replace_time_zone(None)
        return moment.item()


@dataclasses.dataclass(frozen=True, kw_only=True)
class EventOptions(ReadOptions):
    """The settings of :func:`foretell.read_events` that are not columns; see there."""

    unit: Unit = "day"
    merge: Merge | Literal["auto"] | None = "auto"
    min_events: int = 1

    def __post_init__(self) -> None:
        check("unit", self.unit, OneOf(("day", "hour")))
        check("merge", self.merge, OneOf(("auto", "hour", "day", "week", None)))
        check("min_events", self.min_events, Whole())
        super().__post_init__()

    @property
    def merge_rule(self) -> Merge | None:
        """The merge rule with ``"auto"`` resolved."""
        return self.unit if self.merge == "auto" else self.merge

    @property
    def clock(self) -> Clock:
        """The clock on which events are counted."""
        return Clock(self.unit)

    @property
    def first(self) -> int | None:
        """First tick to read; a plain date on an hourly clock is its first hour."""
        return (
            None
            if self.start is None
            else int(self.clock.last_step(begin_us(to_moment(self.wall_clock(self.start)))))
        )

    @property
    def last(self) -> int | None:
        """Last tick to read; a plain date on an hourly clock is its last hour."""
        return None if self.as_of is None else self.clock.last_until(self.wall_clock(self.as_of))

    @property
    def begin(self) -> int | None:
        """First time to read: microseconds since 1970 on the wall clock."""
        return None if self.first is None else int(self.clock.numbers_of(self.first))

    @property
    def end(self) -> int | None:
        """First time after those to read."""
        return None if self.last is None else int(self.clock.numbers_of(self.last + 1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeriesOptions(ReadOptions):
    """The settings of :func:`foretell.read_series` that are not columns; see there."""

    freq: str | int | None = None
    closed: Closed = "infer"
    duplicates: Duplicates = "error"
    reads_ahead: bool = False

    def __post_init__(self) -> None:
        if self.freq is not None:
            Frequency.parse(self.freq)
        check("closed", self.closed, OneOf(("infer", "keep")))
        check("duplicates", self.duplicates, OneOf(("error", "mean", "sum", "last")))
        limits = [when for when in (self.start, self.as_of) if when is not None]
        if any(is_count(when) != self.whole_numbers for when in limits):
            raise ParameterError(
                f"start={self.start!r}, as_of={self.as_of!r} and freq={self.freq!r} do not go together; "
                "expected dates, or whole numbers for times that are whole numbers"
            )
        super().__post_init__()

    @property
    def whole_numbers(self) -> bool:
        """Whether times are whole numbers that mean no date, as far as the settings say so."""
        return any(map(is_count, (self.freq, self.start, self.as_of)))

    @property
    def begin(self) -> int | None:
        """First time to read: microseconds since 1970 on the wall clock, or a whole number."""
        if self.start is None or self.whole_numbers:
            return None if self.start is None else int(self.start)
        return begin_us(to_moment(self.wall_clock(self.start)))

    @property
    def end(self) -> int | None:
        """First time after the observed ones; of a day, month or year, the first after all of it."""
        if self.as_of is None or self.whole_numbers:
            return None if self.as_of is None else int(self.as_of) + 1
        return end_us(to_moment(self.wall_clock(self.as_of)))

    @property
    def delivered_end(self) -> int | None:
        """First time after those that a source has to deliver: what is known ahead lies beyond the end."""
        return None if self.reads_ahead else self.end


def _check_zone(zone: object) -> None:
    """Raise unless polars knows the zone: it carries its own zone data, which the machine may not."""
    try:
        pl.Series([dt.datetime(2000, 1, 1, tzinfo=dt.UTC)]).dt.convert_time_zone(zone)  # type: ignore[arg-type]
    except Exception as error:
        import zoneinfo  # noqa: PLC0415  # needed for the hint only

        raise ParameterError(
            f"time_zone={zone!r} is not a known zone; expected a name such as 'Europe/Berlin' or 'UTC'"
            + did_you_mean(str(zone), zoneinfo.available_timezones())
        ) from error
