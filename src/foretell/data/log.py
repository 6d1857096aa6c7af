"""The event log: ragged arrays of whole clock units, one run of events per customer."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core import BoolArray, FloatArray, IntArray
from foretell.core.constraints import Instance, check
from foretell.core.contracts import Kind
from foretell.core.grid import Grid
from foretell.core.notebook import card
from foretell.core.ragged import Positions, Ragged, to_offsets
from foretell.core.time import UNIT_SECONDS, Clock, Unit
from foretell.data.covariates import Covariates, same_words, seen_only
from foretell.data.refunds import Owed, Refunds, Rows, net
from foretell.data.report import ReadReport
from foretell.errors import DataError, EmptyLogError, ParameterError

if TYPE_CHECKING:  # a calendar is read as logs are
    from foretell.data.calendar import Calendar

Merge = Literal["hour", "day", "week"]
RefundRule = Literal["drop", "keep", "net"]
RepeatRule = Literal["drop", "keep", "sum"]


class Gaps(NamedTuple):
    """Gaps between successive events of the same customer, ordered by customer and time.

    Attributes
    ----------
    lengths : int64 array, shape (n_gaps,)
        In ticks of the log's clock.
    customers : int64 array, shape (n_gaps,)
        Position of the customer in the log's ``ids``.
    ends : int64 array, shape (n_gaps,)
        Tick of the event that ends each gap.
    """

    lengths: IntArray
    customers: IntArray
    ends: IntArray


@dataclasses.dataclass(frozen=True, eq=False)
class EventLog(Ragged):
    """Events of many customers as ragged arrays.

    The events of customer ``i`` are ``times[offsets[i]:offsets[i + 1]]``, ascending; every customer has
    at least one. Times are whole clock units (days or hours) since 1970-01-01.

    Attributes
    ----------
    ids : polars.Series, shape (n_customers,)
        Customer ids, sorted, unique.
    offsets : int64 array, shape (n_customers + 1,)
    times : int64 array, shape (n_events,)
    marks : float64 array, shape (n_events, n_marks)
        Numeric marks, NaN where missing; those of merged events are summed.
    mark_names : tuple of str
    groups : int64 array, shape (n_events,), or None
        Index into ``group_names`` (the store of each event).
    group_names : polars.Series or None
    unit : {"day", "hour"}
        What one tick of the clock is.
    merge : {"hour", "day", "week"} or None
        Events of one customer in the same period count as one; None keeps all.
    start, as_of : int
        First and last observed tick, both inclusive: silence after ``as_of`` is not observed.
    report : ReadReport
    holidays : str or None
        Country whose public holidays the shop may be closed on.
    time_zone : str or None
        Zone whose days count, where one was named.
    refunds : {"net", "drop", "keep"}
        What became of rows with a negative mark.
    duplicates : {"drop", "keep", "sum"}
        What became of identical rows.
    refunded : Refunds
        What marks were before refunds.
    owed : Owed
        Refunds of more than this log knows to have been bought, for an older one that it continues.
    excluded : tuple
        Ids that were left out.
    calendar : Calendar or None
        What is known of each day, of those after the as-of date too.
    static : Covariates or None
        What is known of the customers whenever they come, a row for each.
    """

    kind: ClassVar[Kind] = "events"
    holder, entity = "log", "customer"

    ids: pl.Series
    offsets: IntArray
    times: IntArray
    marks: FloatArray
    mark_names: tuple[str, ...]
    groups: IntArray | None
    group_names: pl.Series | None
    unit: Unit
    merge: Merge | None
    start: int
    as_of: int
    report: ReadReport
    holidays: str | None = None
    time_zone: str | None = None
    refunds: RefundRule = "net"
    duplicates: RepeatRule = "drop"
    refunded: Refunds = dataclasses.field(default_factory=Refunds.none)
    owed: Owed = dataclasses.field(default_factory=Owed.none)
    excluded: tuple[object, ...] = ()
    calendar: Calendar | None = None
    static: Covariates | None = None

    def __repr__(self) -> str:
        return (
            f"EventLog({self.n_customers:,} customers, {self.n_events:,} events, "
            f"{self.date(self.start)} to {self.date(self.as_of)}, unit={self.unit!r}, merge={self.merge!r})"
        )

    def _repr_html_(self) -> str:
        """Show it in a notebook."""
        shown = {
            "customers": self.n_customers,
            "events": self.n_events,
            "observed": f"{self.date(self.start)} to {self.date(self.as_of)}",
            "clock": f"{self.unit}s" + (f"; events of one {self.merge} are one" if self.merge else ""),
            "marks": ", ".join(self.mark_names) or None,
            "groups": None if self.group_names is None else len(self.group_names),
            "calendar": None if self.calendar is None else ", ".join(self.calendar.columns.names),
            "known of customers": ", ".join(self.static_names) or None,
            "rows": f"{self.report.rows_read:,} read; {self.report.in_short() or 'all kept'}",
        }
        return card("EventLog", shown)

    @property
    def n_customers(self) -> int:
        """Number of customers."""
        return len(self.offsets) - 1

    @property
    def static_names(self) -> tuple[str, ...]:
        """Names of what is known of the customers."""
        return () if self.static is None else self.static.names

    @property
    def static_categories(self) -> tuple[str, ...]:
        """Those of them that hold names."""
        return () if self.static is None else tuple(self.static.categories)

    @property
    def n_events(self) -> int:
        """Number of events."""
        return len(self.times)

    @property
    def counts(self) -> IntArray:
        """Events of each customer, shape (n_customers,)."""
        return self.lengths

    @property
    def first(self) -> IntArray:
        """First event of each customer, in ticks."""
        return self.times[self.offsets[:-1]]

    @property
    def last(self) -> IntArray:
        """Last event of each customer, in ticks."""
        return self.times[self.offsets[1:] - 1]

    def gaps(self) -> Gaps:
        """Return the gaps between the successive events of each customer.

        Examples
        --------
        >>> import foretell as ft
        >>> import polars as pl
        >>> rows = {"unique_id": ["a", "a", "b", "b"], "ds": ["2024-01-01", "2024-01-08"] * 2}
        >>> ft.read_events(pl.DataFrame(rows)).gaps().lengths
        array([7, 7])
        """
        owner = self.owner
        same = owner[1:] == owner[:-1]
        return Gaps(np.diff(self.times)[same], owner[1:][same], self.times[1:][same])

    @property
    def min_gap(self) -> int:
        """Smallest gap that the merge rule leaves possible, in ticks: 1 where it spans the unit, else 0."""
        return int(self.merge is not None and UNIT_SECONDS[self.merge] >= UNIT_SECONDS[self.unit])

    def date(self, tick: int) -> np.datetime64:
        """Return the date (or the hour) of a tick."""
        return np.datetime64(tick, "D" if self.unit == "day" else "h")

    def tick(self, when: object) -> int:
        """Return the tick of a date, of a month or a year the last one: the other way round of `date`.

        Examples
        --------
        >>> import foretell as ft
        >>> import polars as pl
        >>> log = ft.read_events(pl.DataFrame({"unique_id": [1, 2], "ds": ["2024-01-01", "2024-03-01"]}))
        >>> str(log.date(log.tick("20240215"))), str(log.date(log.tick("2024-02")))
        ('2024-02-15', '2024-02-29')
        """
        return self.last_tick(when)

    def dates(self, ticks: npt.ArrayLike) -> npt.NDArray[np.datetime64]:
        """Return the dates (or hours) of an array of ticks."""
        code = "D" if self.unit == "day" else "h"
        return np.asarray(ticks, dtype=np.int64).astype(f"datetime64[{code}]")

    @property
    def axis(self) -> Clock:
        """The clock."""
        return Clock(self.unit)

    @property
    def last_observed(self) -> int:
        """The as-of date."""
        return self.as_of

    @property
    def read_as(self) -> dict[str, object]:
        """Unit, merging, marks, whether there are groups, and what is known of customers."""
        options = {"unit": self.unit, "merge": self.merge, "mark_names": list(self.mark_names)}
        return options | {"groups": self.groups is not None, "static": list(self.static_names)}

    @property
    def own_reading(self) -> dict[str, Any]:
        """Arguments of `foretell.read_events` for what continues this log, id and group apart."""
        names = ("unit", "merge", "refunds", "duplicates")
        own = {name: getattr(self, name) for name in names} | {"marks": self.mark_names}
        return own | {"static": self.static_names, "categorical": self.static_categories}

    def check_later(self, as_of: object) -> None:
        """Refuse a date up to which all is known already."""
        if as_of is not None and self.last_tick(as_of) <= self.as_of:
            raise ParameterError(
                f"as_of={as_of!r}: the model has seen everything up to {self.date(self.as_of)}; expected a "
                "later date"
            )

    def nothing_later(self, error: EmptyLogError) -> EmptyLogError:
        """Say that nothing continues this log in what was read, and up to when it knows all."""
        why = str(error).replace("the polars frame", "the request")  # what visits of a request came in
        return EmptyLogError(
            f"no visit comes after {self.date(self.as_of)}, up to which the model has seen everything: {why}"
        )

    def up_to(self, tick: int) -> EventLog:
        """Return the log as it stood at the end of a tick; later customers and groups are not in it."""
        return self._keep(self.times <= tick, tick)

    def take(self, positions: Positions) -> EventLog:
        """Return the log of some customers (positions or a mask), in ascending position."""
        if isinstance(positions, range) and positions.step == 1:
            begin, end = positions.start, positions.stop
            if 0 <= begin < end <= self.n_customers:  # in a row: nothing else is looked at
                offsets = self.offsets[begin : end + 1]
                rows = slice(int(offsets[0]), int(offsets[-1]))
                return self._part(slice(begin, end), offsets - offsets[0], rows, self.as_of)
        return self._keep(np.repeat(self.chosen(positions), self.counts), self.as_of)

    def _keep(self, events: BoolArray, as_of: int) -> EventLog:
        counts = np.bincount(self.owner[events], minlength=self.n_customers)
        present = counts > 0
        if not present.any():
            raise EmptyLogError(
                f"no events are left up to {self.date(as_of)}: the log runs from {self.date(self.start)} "
                f"to {self.date(self.as_of)}; choose a later date"
            )
        return self._part(present, to_offsets(counts[present]), events, as_of)

    def _part(
        self, customers: BoolArray | slice, offsets: IntArray, events: BoolArray | slice, as_of: int
    ) -> EventLog:
        ids = self.ids[customers] if isinstance(customers, slice) else self.ids.filter(pl.Series(customers))
        groups, names = self.groups, self.group_names
        if groups is not None and names is not None:
            # A group that is first seen later is not known yet.
            seen, groups = np.unique(groups[events], return_inverse=True)
            names = names.gather(seen)
        return dataclasses.replace(
            self,
            ids=ids,
            offsets=offsets,
            times=self.times[events],
            marks=self.refunded.undone(self.marks, as_of)[events],
            groups=groups,
            group_names=names,
            as_of=as_of,
            refunded=self.refunded.part(events, self.n_events, as_of),
            owed=Owed.none(),
            static=None if self.static is None else seen_only(self.static.take(customers))[0],
        )

    def with_calendar(self, calendar: object) -> EventLog:
        """Return the log with another calendar: what was planned otherwise, or is known by now.

        Parameters
        ----------
        calendar : path or frame
            One row a day; see `foretell.read_events`.

        Examples
        --------
        >>> import foretell as ft
        >>> import polars as pl
        >>> log = ft.read_events(pl.DataFrame({"unique_id": [1, 2], "ds": ["2024-01-01", "2024-01-05"]}))
        >>> days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 1, 31), eager=True)
        >>> log.with_calendar({"ds": days, "promotion": days.dt.day() > 20}).calendar
        Calendar(promotion: 2024-01-01 to 2024-01-31)
        """
        from foretell.data.calendar import read_calendar  # noqa: PLC0415  # it is read as logs are

        return dataclasses.replace(self, calendar=read_calendar(calendar))

    def quiet_until(self, as_of: int) -> EventLog:
        """Return a log that goes on from this one to a later tick, without an event."""
        return dataclasses.replace(
            self,
            ids=self.ids.head(0),
            offsets=self.offsets[:1],
            times=self.times[:0],
            marks=self.marks[:0],
            groups=None if self.groups is None else self.groups[:0],
            start=self.as_of + 1,
            as_of=as_of,
            refunded=Refunds.none(),
            owed=Owed.none(),
            static=None if self.static is None else self.static.take(slice(0)),
        )

    def extended(self, later: EventLog) -> tuple[EventLog, IntArray]:
        """Return this log continued by later events, and how many events of each customer stand as they were.

        Parameters
        ----------
        later : EventLog
            Events after this log's as-of date, read with the same options.

        Returns
        -------
        log : EventLog
            As if everything had been read at once, up to the later as-of date.
        kept : int64 array, shape (n_customers,)
            Leading events of each customer that are unchanged: 0 for new customers.
        """
        check("new_events", later, Instance(EventLog))
        self._check_continues(later)
        names = joined_names(self.ids, later.ids, "ids")
        ids = pl.concat(names).unique().sort()
        parts = [
            (log, ids.search_sorted(own).to_numpy()) for log, own in zip((self, later), names, strict=True)
        ]
        owner = np.concatenate([np.asarray(place)[log.owner] for log, place in parts])
        netted, returned = self._less(later.owed)
        times, marks = np.concatenate([self.times, later.times]), np.concatenate([netted, later.marks])
        groups, group_names = self._joined_groups(later)
        order = np.lexsort([times, owner])
        owner, times, marks = owner[order], times[order], marks[order]
        groups = None if groups is None else groups[order]
        first = first_of_period(owner, self.axis.numbers_of(times), self.merge)
        run = np.cumsum(first) - 1
        place = np.empty(len(order), dtype=np.int64)
        place[order] = run
        refunded = self.refunded.followed_by(returned).moved(place[: self.n_events])
        refunded = refunded.followed_by(later.refunded.moved(place[self.n_events :]))
        counts = np.bincount(owner[first], minlength=len(ids))
        kept = np.zeros(len(ids), dtype=np.int64)
        kept[parts[0][1]] = self.counts
        kept[parts[0][1][self.owner[returned.events]]] = 0
        # An event merged into an earlier one changes that one's marks: the customer is read anew.
        kept[np.unique(owner[~first])] = 0
        merged = dataclasses.replace(
            self,
            ids=ids,
            offsets=to_offsets(counts),
            times=times[first],
            marks=summed(marks, np.flatnonzero(first)),
            groups=None if groups is None else groups[first],
            group_names=group_names,
            as_of=later.as_of,
            report=later.report,
            refunded=refunded,
            owed=Owed.none(),
            calendar=self._known_of(later),
            static=self._joined_static(later, parts[0][1], parts[1][1], len(ids)),
        )
        return merged, kept

    def _known_of(self, later: EventLog) -> Calendar | None:
        """Return the calendar with what a later log knows of its own days and of those to come."""
        if self.calendar is None or later.calendar is None or later.calendar is self.calendar:
            return self.calendar or later.calendar
        day = UNIT_SECONDS["day"] // UNIT_SECONDS[self.unit]
        return self.calendar.followed_by(later.calendar, since=self.as_of // day + 1)

    def _less(self, owed: Owed) -> tuple[FloatArray, Refunds]:
        """Return the marks less what later refunds take from them, and what they were before."""
        if not len(owed.ids) or not self.marks.shape[1]:
            return self.marks, Refunds.none()
        known, whose = joined_names(self.ids, owed.ids, "ids")
        places = known.to_frame("id").with_row_index("place").with_columns(pl.col("place").cast(pl.Int64))
        place = whose.to_frame("id").join(places, on="id", how="left", maintain_order="left")["place"]
        rows = np.flatnonzero(place.is_not_null().to_numpy())
        owner = place.drop_nulls().to_numpy()
        order = np.lexsort([owed.ticks[rows], owner])
        rows, owner = rows[order], owner[order]
        returned = Rows(owner, owed.ticks[rows], owed.marks[rows])
        marks, refunds, _ = net(Rows(self.owner, self.times, self.marks), returned, owed.ticks[rows])
        return marks, refunds

    def _check_continues(self, later: EventLog) -> None:
        mine = (self.unit, self.merge, self.mark_names, self.static_names, self.groups is None)
        theirs = (later.unit, later.merge, later.mark_names, later.static_names, later.groups is None)
        if mine != theirs:
            raise ParameterError(
                f"the new events were read with unit, merge, marks, static = {theirs[:4]}, the log with "
                f"{mine[:4]}, or only one of them has groups; read both with the same options"
            )
        early = later.times <= self.as_of
        if early.any():
            first = self.date(int(later.times.min()))
            raise ParameterError(
                f"{int(early.sum())} of the new events lie on or before the as-of date "
                f"{self.date(self.as_of)} of the log (the first on {first}); pass only events after it, for "
                "example by read_events(…, start=…)"
            )
        if self.time_zone is not None and later.time_zone != self.time_zone and later.n_events:
            raise ParameterError(
                f"the new events were read with time_zone={later.time_zone!r}, the log with "
                f"{self.time_zone!r}: those near midnight would be lost; read both with the same zone"
            )

    def _joined_static(
        self, later: EventLog, mine: IntArray, theirs: IntArray, n_customers: int
    ) -> Covariates | None:
        """Return what is known of the customers of both; where both know something, this log's counts."""
        if self.static is None or later.static is None:
            return None
        known, added = same_words(self.static, later.static)
        values = np.full((n_customers, len(known.names)), np.nan)
        values[theirs] = added.values
        values[mine] = np.where(np.isnan(known.values), values[mine], known.values)
        return dataclasses.replace(known, values=values)

    def _joined_groups(self, later: EventLog) -> tuple[IntArray | None, pl.Series | None]:
        if (
            self.groups is None
            or later.groups is None
            or self.group_names is None
            or later.group_names is None
        ):
            return None, None
        both = joined_names(self.group_names, later.group_names, "groups")
        names = pl.concat(both).unique().sort()
        codes = [
            names.search_sorted(own).to_numpy()[groups]
            for own, groups in zip(both, (self.groups, later.groups), strict=True)
        ]
        return np.concatenate(codes).astype(np.int64), names

    def to_polars(self) -> pl.DataFrame:
        """Return one row per event: ``unique_id``, ``ds``, the marks, and ``group`` where there is one.

        Then what is known of the customer. What is missing is null.
        """
        columns: dict[str, object] = {
            "unique_id": self.ids.gather(self.owner),
            "ds": self.time_of(self.times),
        }
        marks = (pl.Series(mark, nan_to_null=True) for mark in self.marks.T)
        columns |= dict(zip(self.mark_names, marks, strict=True))
        if self.groups is not None and self.group_names is not None:
            columns["group"] = self.group_names.gather(self.groups)
        if self.static is not None:
            columns |= {name: self.static.column(name).gather(self.owner) for name in self.static.names}
        return pl.DataFrame(columns)


# Weeks begin on Monday.
_PERIODS: Final = {"hour": Grid("1h"), "day": Grid("1d"), "week": Grid("1w")}


def joined_names(mine: pl.Series, theirs: pl.Series, what: str) -> tuple[pl.Series, pl.Series]:
    """Return the ids or groups of a log and of later events in one type, in which no two become one.

    Whole numbers among text are text; narrow numbers become wide enough.

    Raises
    ------
    ParameterError
        There is no such type: text among numbers, or 7.5 among whole numbers.
    """
    text = (pl.String, pl.Categorical, pl.Enum)
    if mine.dtype == theirs.dtype and mine.dtype not in (pl.Categorical, pl.Enum):
        return mine, theirs
    if mine.dtype in text and (theirs.dtype in text or theirs.dtype.is_integer()):
        return mine.cast(pl.String), theirs.cast(pl.String)
    for dtype in (mine.dtype, pl.Int64, pl.UInt64) if mine.dtype.is_integer() else (mine.dtype,):
        both = tuple(names.cast(dtype, strict=False) for names in (mine, theirs))
        if (
            mine.dtype.is_numeric()
            and theirs.dtype.is_numeric()
            and all(
                cast.null_count() == 0 and (cast.cast(names.dtype, strict=False) == names).all()
                for cast, names in zip(both, (mine, theirs), strict=True)
            )
        ):
            return both[0], both[1]
    raise ParameterError(
        f"the new events' {what} are {theirs.dtype}, such as {theirs.head(2).to_list()}, and the log's "
        f"{mine.dtype}: some would be taken for others; read both as the same kind"
    )


def first_of_period(owner: IntArray, moments: IntArray, merge: Merge | None) -> BoolArray:
    """Tell which events, in order, are the first of their customer in a period; moments are microseconds."""
    first = np.ones(len(owner), dtype=bool)
    if merge is not None:
        period = period_of(moments, merge)
        first[1:] = (owner[1:] != owner[:-1]) | (period[1:] != period[:-1])
    return first


def period_of(moments: IntArray, merge: Merge | None) -> IntArray:
    """Return numbers that are the same for events in the same period, of which one customer's are merged."""
    return moments if merge is None else _PERIODS[merge].last_step(moments)


def summed(marks: FloatArray, heads: IntArray) -> FloatArray:
    """Return the sums of the marks of runs of events, NaN where none of a run has one.

    Examples
    --------
    >>> summed(np.array([[1.0], [np.nan], [2.0], [np.nan]]), np.array([0, 3])).ravel().tolist()
    [3.0, nan]
    """
    if len(heads) == len(marks):
        return marks
    given = ~np.isnan(marks)
    if given.all():
        total: FloatArray = np.add.reduceat(marks, heads)
        return total
    any_given = np.logical_or.reduceat(given, heads)
    return np.where(any_given, np.add.reduceat(np.where(given, marks, 0.0), heads), np.nan)


def training_log(log: object, as_of: object = None) -> EventLog:
    """Return the log that a model is fitted to, up to a date; refuse what is none."""
    if not isinstance(log, EventLog):
        raise DataError(
            f"fit takes an EventLog, got {type(log).__name__}; read one with "
            "foretell.read_events(frame_or_path, id=…, time=…)"
        )
    return log.reaching(as_of)
