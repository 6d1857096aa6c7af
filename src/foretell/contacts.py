"""Mailings, coupons, calls: how much more often customers come after them, and what if some were sent."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
import polars as pl

from foretell.core import IntArray
from foretell.core.constraints import OneOf, as_levels, check
from foretell.core.time import UNIT_SECONDS, begin_us, to_moment
from foretell.data.contacts import Contacts, read_contacts
from foretell.data.log import EventLog
from foretell.data.tables import CountModel, asked_customers, expected_within
from foretell.errors import ParameterError
from foretell.events.contacts import ContactEffects

__all__ = ["Contacts", "WhatIf", "contact_effects", "read_contacts", "what_if"]

_DAY_US: Final = 86_400_000_000
_MOST_DAYS: Final = 90  # that an effect may last
_LEVEL: Final = 80  # per cent of intervals
_CHANGE: Final = ("difference", f"difference-lo-{_LEVEL}", f"difference-hi-{_LEVEL}")
_CHOSEN: Final = 1.2  # times as often before a contact, or as seldom: people are contacted for what they do


def contact_effects(
    log: EventLog, contacts: Contacts, within: str | int = "7d", levels: Sequence[float] = (80,)
) -> pl.DataFrame:
    """Return how many times as often customers come in the days after a contact, by kind of contact.

    Parameters
    ----------
    log : EventLog
    contacts : Contacts
        Those after the log's end, and those of customers that it does not know, say nothing.
    within : str or int
        How long a contact is looked at, in whole days.
    levels : sequence of float
        Percentages of the central intervals.

    Returns
    -------
    polars.DataFrame
        ``kind``; ``contacts`` and ``customers`` that were compared, ``visits`` in the days after a contact;
        ``times`` as many visits as in the time after that, up to four times as long after a contact, drawn
        towards 1 where there is little to tell by; ``before``, the same of the days before a contact and its
        own day: far from 1 where people are contacted for what they do. With intervals, ``times-lo-80``,
        ``times-hi-80`` ….

    Raises
    ------
    DataError
        No customer has been contacted who came back.

    Examples
    --------
    >>> import foretell as ft
    >>> import polars as pl
    >>> from foretell.contacts import contact_effects, read_contacts
    >>> log = ft.read_events(ft.datasets.load_cdnow(sample=True), id="customer_id", time="date")
    >>> mailed = read_contacts(pl.DataFrame({"unique_id": log.ids, "ds": "1997-06-06"}))
    >>> contact_effects(log, mailed)["customers"].to_list()
    [2357]
    """
    as_levels(levels)
    return ContactEffects.fit(log, _contacts(contacts), _days(log, within)).table(levels)


@dataclasses.dataclass(frozen=True, eq=False)
class WhatIf:
    """What a contact would bring, as far as earlier ones tell.

    Attributes
    ----------
    table : polars.DataFrame
        One row a customer: ``unique_id``; ``visits``, expected without the contact; ``contacted``, with it;
        ``difference``, and its interval by that of the effect: ``difference-lo-80``, ``difference-hi-80``.
        The interval of many customers' difference is the sum of theirs.
    effect : polars.DataFrame
        The kind's row of `contact_effects`.
    on : str
        The day of the contact.
    horizon : str
    days : int
        After the contact in which it is looked at.
    """

    table: pl.DataFrame
    effect: pl.DataFrame
    on: str
    horizon: str
    days: int

    def __str__(self) -> str:
        names = ("visits", "contacted", *_CHANGE)
        row = self.effect.row(0, named=True)
        sums = self.table.select(pl.col(names).sum())
        usual, contacted, change, less, more = sums.row(0)
        many = self.table.height != 1
        found = (
            f"In the {self.days} days after a contact ({row['kind']}) customers came {row['times']:.2f} "
            f"times as often as later on (80 %: {row['times-lo-80']:.2f} to {row['times-hi-80']:.2f}; "
            f"{row['contacts']:,} contacts of {row['customers']:,} customers, {row['visits']:,} visits)."
        )
        answer = (
            f"If {self.table.height:,} customer{'s are' if many else ' is'} contacted on {self.on}, expect "
            f"{contacted:,.1f} visits within {self.horizon} in place of {usual:,.1f}: {change:+,.1f} "
            f"({less:+,.1f} to {more:+,.1f})."
        )
        chosen = (
            f"In the days before a contact they came {row['before']:.2f} times as often: people seem to be "
            "contacted for what they do."
        )
        as_usual = 1 / _CHOSEN < row["before"] < _CHOSEN
        return "\n".join([found, answer, *([] if as_usual else [chosen]), _WARNING])


_WARNING: Final = (
    "This is an association, not an effect: they may have been contacted when they were about to come. To "
    "know, contact a part of them that is drawn at random, and compare."
)


def what_if(
    model: CountModel,
    contacts: Contacts,
    on: object,
    ids: Collection[object] | None = None,
    *,
    horizon: str | int = "14d",
    within: str | int = "7d",
    kind: str | None = None,
) -> WhatIf:
    """Say what to expect of customers with a contact on some day and without: what if we mail them on Friday.

    Parameters
    ----------
    model : forecaster of events
        Fitted; it says how many visits to expect without the contact, as often as such contacts have been.
    contacts : Contacts
        Earlier ones, of which it is learned how many more visits follow; see `contact_effects`.
    on : date or str
        Day of the contact, from the model's as-of date on.
    ids : collection, optional
        Who would be contacted; by default all.
    horizon : str or int
        Time after the as-of date in which visits are counted.
    within : str or int
        How long a contact is looked at, in whole days.
    kind : str, optional
        Kind of the contact; it can be left out where there is one.

    Returns
    -------
    WhatIf
        With the table, whose intervals hold how unsure the effect is, and not chance; printed, it says what
        was found, and how far to trust it.

    Raises
    ------
    ParameterError
        The day lies outside of the horizon, or there is no such kind.
    DataError
        No customer has been contacted who came back.

    Examples
    --------
    >>> import foretell as ft
    >>> import polars as pl
    >>> from foretell.contacts import read_contacts, what_if
    >>> log = ft.read_events(ft.datasets.load_cdnow(sample=True), id="customer_id", time="date")
    >>> model = ft.EventForecaster(model="prior").fit(log, as_of="1997-09-30")
    >>> mailed = read_contacts(pl.DataFrame({"unique_id": log.ids, "ds": "1997-06-06"}))
    >>> answer = what_if(model, mailed, on="1997-10-03", ids=[111, 1516])
    >>> answer.table.columns
    ['unique_id', 'visits', 'contacted', 'difference', 'difference-lo-80', 'difference-hi-80']
    """
    log = model.log_
    days, ticks, code = _days(log, within), log.ticks_of(horizon), _kind(_contacts(contacts), kind)
    per_day = UNIT_SECONDS["day"] // UNIT_SECONDS[log.unit]
    day = int(begin_us(to_moment(on)) // _DAY_US)
    # Ticks after the as-of date at which the day of the contact ends, and each of those after it.
    ends = np.minimum((day + 1 + np.arange(days + 1)) * per_day - 1 - log.as_of, ticks)
    if not 0 <= ends[0] < ticks:
        raise ParameterError(
            f"on={on!r}; expected a day from {log.date(log.as_of)} on, and within the horizon of {horizon!r}"
        )
    effects = ContactEffects.fit(log, contacts, days)
    places = asked_customers(log, ids).places
    known = np.append(_first_day(contacts, log, code, day, days), 0)[places]  # nobody knows of strangers
    edges = np.unique(np.append(ends[ends > 0], ticks)).tolist()
    parts = [
        np.pad(expected_within(model, table, edges), ((0, 0), (1, 0)))
        for table in model.predict_blocks(edges, [], ids)
    ]
    expected = np.concatenate(parts)
    at = np.searchsorted([0, *edges], ends)
    inside = expected[:, at[-1]] - expected[np.arange(len(places)), at[known]]
    low, middle, high = effects.times(_LEVEL)[:, code] - 1.0
    table = pl.DataFrame({"unique_id": asked_customers(log, ids).ids, "visits": expected[:, -1]})
    table = table.with_columns(
        contacted=pl.col("visits") + middle * inside,
        **{name: by * inside for name, by in zip(_CHANGE, (middle, low, high), strict=True)},
    )
    row = effects.table([_LEVEL]).slice(code, 1)
    return WhatIf(table, row, str(np.datetime64(day, "D")), str(horizon), days)


def _contacts(contacts: object) -> Contacts:
    if not isinstance(contacts, Contacts):
        raise ParameterError(
            f"contacts={contacts!r}; expected what read_contacts(frame_or_path, id=…, time=…) of "
            "foretell.contacts returns"
        )
    return contacts


def _kind(contacts: Contacts, kind: str | None) -> int:
    if kind is None and len(contacts.kinds) == 1:
        return 0
    check("kind", kind, OneOf(contacts.kinds))
    return contacts.kinds.index(str(kind))


def _days(log: EventLog, within: str | int) -> int:
    """Return how many whole days a duration has."""
    per_day = UNIT_SECONDS["day"] // UNIT_SECONDS[log.unit]
    ticks = log.ticks_of(within)
    if ticks % per_day or not 1 <= ticks // per_day <= _MOST_DAYS:
        raise ParameterError(f"within={within!r}; expected 1 to {_MOST_DAYS} whole days, such as '7d'")
    return ticks // per_day


def _first_day(contacts: Contacts, log: EventLog, kind: int, day: int, days: int) -> IntArray:
    """Return by customer how many days after a contact on a day an earlier one of its kind still counts."""
    place = contacts.of(log)
    same = (place >= 0) & (contacts.kind == kind) & (contacts.day <= day)
    last = np.full(log.n_customers, day - days)
    np.maximum.at(last, place[same], contacts.day[same])
    still: IntArray = np.clip(last + days - day, 0, days)
    return still
