"""How many times as often customers come after a contact, each compared with itself.

The days after a contact are compared with those that follow, of the same customer, so that how often a
customer comes by nature plays no part: a self-controlled case series. The days before a contact are left out,
since people are contacted for what they did; how far they differ is said apart.

References
----------
Farrington (1995), "Relative incidence estimation from case series for vaccine safety evaluation", Biometrics
51(1). Whitaker et al. (2006), "Tutorial in biostatistics: the self-controlled case series method", Statistics
in Medicine 25(10); of events that decide on exposure: section 4.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from scipy import special

from foretell.core import BoolArray, FloatArray, IntArray
from foretell.core.time import UNIT_SECONDS
from foretell.data.contacts import Contacts
from foretell.data.log import EventLog
from foretell.errors import DataError
from foretell.events.horizon.days import DayClock

_ABOUT: Final = 4  # times as long as an effect customers are looked at after a contact
_USUAL: Final = 0.5  # standard deviation of the log factor of a kind of contacts, before any is seen
_STEPS: Final = 50
_BLOCK: Final = 50_000  # contacts that are looked at at once
_COUNTED: Final = ("contacts", "customers", "visits")


class Strata(NamedTuple):
    """Days of customers after contacts, put together where they are alike.

    Attributes
    ----------
    customer : int64 array, shape (n,)
        In order.
    pattern : int64 array, shape (n,)
        Bit k: soon after a contact of kind k.
    exposure, visits : array, shape (n,)
        Days of the shop's clock, and the visits in them.
    """

    customer: IntArray
    pattern: IntArray
    exposure: FloatArray
    visits: FloatArray


@dataclasses.dataclass(frozen=True, eq=False)
class ContactEffects:
    """How many times as often customers come in the days after a contact, by kind.

    Attributes
    ----------
    kinds : tuple of str
    days : int
        After a contact.
    after, before : array, shape (2, n_kinds)
        Log factors of the days after a contact, and of those before it and its own, with standard deviations.
    contacts, customers, visits : int64 array, shape (n_kinds,)
        Contacts and customers that were compared, and visits in the days after.
    """

    kinds: tuple[str, ...]
    days: int
    after: FloatArray
    before: FloatArray
    contacts: IntArray
    customers: IntArray
    visits: IntArray

    @classmethod
    def fit(cls, log: EventLog, contacts: Contacts, days: int) -> ContactEffects:
        """Compare each customer's days after contacts with the days that follow.

        Weekdays and what a calendar knows of the days are taken into account.

        Raises
        ------
        DataError
            No customer has been contacted who came back.
        """
        seen = _Seen.of(log, contacts, days)
        kinds = range(len(contacts.kinds))
        after = seen.strata(range(1, _ABOUT * days + 1))
        came = [int(after.visits[after.pattern >> kind & 1 == 1].sum()) for kind in kinds]
        if not len(after.customer):
            raise DataError(
                f"{contacts!r} and {log!r} have nobody in common who was contacted and came back by "
                f"{log.date(log.as_of)}: there is nothing to compare; are the ids the same in both?"
            )
        before = seen.strata((*range(-days, 1), *range(days + 1, _ABOUT * days + 1)), before=True)
        known = [contacts.kind[seen.used] == kind for kind in kinds]
        whose = [seen.place[seen.used][own] for own in known]
        return cls(
            contacts.kinds,
            days,
            _conditional_poisson(after, len(kinds)),
            _conditional_poisson(before, len(kinds)),
            contacts=np.array([len(own) for own in whose]),
            customers=np.array([len(np.unique(own)) for own in whose]),
            visits=np.array(came),
        )

    def times(self, level: float, *, before: bool = False) -> FloatArray:
        """Return how many times as often customers come: lower end, itself, upper end, shape (3, n_kinds)."""
        mean, deviation = self.before if before else self.after
        out = special.ndtri(0.5 + level / 200)
        times: FloatArray = np.exp(mean + np.array([[-out], [0.0], [out]]) * deviation)
        return times

    def table(self, levels: Collection[float]) -> pl.DataFrame:
        """Return a row for each kind."""
        columns: dict[str, object] = {name: getattr(self, name) for name in _COUNTED}
        for name, before in (("times", False), ("before", True)):
            columns[name] = self.times(0, before=before)[1]
            for level in levels:
                low, _, high = self.times(level, before=before)
                columns |= {f"{name}-lo-{level:g}": low, f"{name}-hi-{level:g}": high}
        return pl.DataFrame({"kind": pl.Series(self.kinds, dtype=pl.String)} | columns)


@dataclasses.dataclass(frozen=True, eq=False)
class _Seen:
    """Contacts and visits by customer and day, as numbers that can be searched.

    Attributes
    ----------
    contacts : Contacts
    place : int64 array, shape (n_contacts,)
        In the log.
    used : bool array, shape (n_contacts,)
        Which contacts have a day after them that was seen.
    days : int
    first : int64 array, shape (n_customers,)
        Day of the first visit.
    begin : int
        The day before all others.
    speed : array, shape (n_days,)
        Of the shop's clock, from that day to the last one seen.
    visits : int64 array, shape (n_visits,)
        Keys of the visits after the first one, in order.
    """

    contacts: Contacts
    place: IntArray
    used: BoolArray
    days: int
    first: IntArray
    begin: int
    speed: FloatArray
    visits: IntArray

    @classmethod
    def of(cls, log: EventLog, contacts: Contacts, days: int) -> _Seen:
        per_day = UNIT_SECONDS["day"] // UNIT_SECONDS[log.unit]
        place = contacts.of(log)
        first, last = log.first // per_day, log.as_of // per_day
        used = (place >= 0) & (contacts.day < last)
        used &= contacts.day + days > first[place]
        repeats = np.ones(log.n_events, dtype=bool)
        repeats[log.offsets[:-1]] = False
        clock = DayClock.fit(log.times[repeats], log.first, log.as_of, log.unit, log.holidays, log.calendar)
        begin = min(int(first.min()), int(contacts.day.min(initial=last))) - _ABOUT * days
        speed = clock.speed(np.arange(begin, last + 1))
        visits = log.owner[repeats] * len(speed) + log.times[repeats] // per_day - begin
        return cls(contacts, place, used, days, first, begin, speed, visits)

    def strata(self, offsets: Collection[int], *, before: bool = False) -> Strata:
        """Return the days at some distances of contacts, by which contacts they come soon after.

        Or by which contacts they come before, of those alone whose distances they have.
        """
        rows = np.flatnonzero(self.used)
        rows = rows[np.argsort(self.place[rows], kind="stable")]
        ends = np.append(np.flatnonzero(np.diff(self.place[rows])) + 1, len(rows))
        cuts = np.unique(ends[np.searchsorted(ends, np.arange(_BLOCK, len(rows), _BLOCK))])
        parts = [self._of(block, np.array(offsets), before=before) for block in np.split(rows, cuts)]
        return Strata(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def _of(self, rows: IntArray, offsets: IntArray, *, before: bool) -> Strata:
        """Return the strata of some contacts: all of their customers'."""
        n_days, n_kinds = len(self.speed), len(self.contacts.kinds)
        contact, offset = np.repeat(rows, len(offsets)), np.tile(offsets, len(rows))
        customer, day = self.place[contact], self.contacts.day[contact] + offset
        seen = (day > self.first[customer]) & (day < self.begin + n_days)
        key, place = np.unique((customer * n_days + day - self.begin)[seen], return_inverse=True)
        pattern = np.zeros(len(key), dtype=np.int64) if before else self._after(key)
        if before:
            np.bitwise_or.at(pattern, place, ((offset <= 0) << self.contacts.kind[contact])[seen])
        came = np.searchsorted(self.visits, key, "right") - np.searchsorted(self.visits, key)
        alike, row = np.unique(key // n_days << n_kinds | pattern, return_inverse=True)
        exposure, visits = (
            np.bincount(row, part, len(alike)).astype(np.float64) for part in (self.speed[key % n_days], came)
        )
        open_ = exposure > 0  # nobody comes on closed days
        whose, pattern = alike[open_] >> n_kinds, alike[open_] & (1 << n_kinds) - 1
        exposure, visits = exposure[open_], visits[open_]
        # Who did not come, or has no days to compare, says nothing.
        told = (np.bincount(whose, visits)[whose] > 0) & (np.bincount(whose)[whose] > 1)
        return Strata(whose[told], pattern[told], exposure[told], visits[told])

    def _after(self, key: IntArray) -> IntArray:
        """Return soon after which kinds of contacts days come."""
        contacts, n_days = self.contacts, len(self.speed)
        pattern = np.zeros(len(key), dtype=np.int64)
        for kind in range(len(contacts.kinds)):
            own = (self.place >= 0) & (contacts.kind == kind)
            known = np.sort(self.place[own] * n_days + contacts.day[own] - self.begin)
            before = np.searchsorted(known, key) - 1
            gap = key - known[np.maximum(before, 0)] if len(known) else key
            pattern |= ((before >= 0) & (gap <= self.days)).astype(np.int64) << kind
        return pattern


def _conditional_poisson(strata: Strata, n_kinds: int) -> FloatArray:
    """Return log factors of the kinds and their standard deviations, given the visits about each contact.

    The factors have normal priors about 0. The deviations hold that visits of one customer hang together.
    """
    weights = np.zeros(n_kinds)
    if not len(strata.customer):
        return np.stack([weights, np.full(n_kinds, _USUAL)])
    starts = np.flatnonzero(np.diff(strata.customer, prepend=-1))
    owner = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(strata.customer))))
    features = ((strata.pattern[:, None] >> np.arange(n_kinds)) & 1).astype(np.float64)
    came = np.add.reduceat(strata.visits, starts)
    precision = np.eye(n_kinds) * _USUAL**-2
    for _ in range(_STEPS):
        due = strata.exposure * np.exp(features @ weights)
        share = due / np.add.reduceat(due, starts)[owner]
        expected = came[owner] * share
        mean = np.add.reduceat(share[:, None] * features, starts)
        hessian = (features * expected[:, None]).T @ features - (mean * came[:, None]).T @ mean + precision
        scores = np.add.reduceat((strata.visits - expected)[:, None] * features, starts)
        step = np.linalg.solve(hessian, scores.sum(axis=0) - precision @ weights)
        weights += step * min(1.0, 1.0 / (np.abs(step).max() + 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    inverse = np.linalg.inv(hessian)
    together = inverse @ (scores.T @ scores + precision) @ inverse
    return np.stack([weights, np.sqrt(np.maximum(np.diag(together), np.diag(inverse)))])
