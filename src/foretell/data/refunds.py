"""Refunds: amounts below zero, taken from what the same customer bought before."""

from __future__ import annotations

import dataclasses
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from foretell.core import BoolArray, FloatArray, IntArray

_ROUNDING: Final = 1e-9  # of a refund: so little of it is none


@dataclasses.dataclass(frozen=True)
class Refunds:
    """What marks of a log's events were before refunds: a log as of an earlier date has them so.

    In the order of time for each event.

    Attributes
    ----------
    events, columns : int64 array, shape (n,)
        Which mark of which event was refunded, whole or in part.
    ticks : int64 array, shape (n,)
        When.
    before : float64 array, shape (n,)
        What the mark was until then.
    """

    events: IntArray
    columns: IntArray
    ticks: IntArray
    before: FloatArray

    def part(self, chosen: BoolArray | slice, n_events: int, until: int) -> Refunds:
        """Return the refunds of some of the events, up to a tick."""
        if not len(self.events):  # in most logs: of those with many customers many parts are taken
            return self
        if isinstance(chosen, slice):
            begin, end, _ = chosen.indices(n_events)
            events, kept = self.events - begin, (self.events >= begin) & (self.events < end)
        else:
            events, kept = (np.cumsum(chosen) - 1)[self.events], chosen[self.events]
        kept &= self.ticks <= until
        return Refunds(events[kept], self.columns[kept], self.ticks[kept], self.before[kept])

    def undone(self, marks: FloatArray, until: int) -> FloatArray:
        """Return the marks of the events as they were at the end of a tick."""
        later = np.flatnonzero(self.ticks > until)[::-1]
        if not len(later):
            return marks
        whole = marks.copy()
        # Of several refunds of an event the first, which comes last here, says what it was.
        whole[self.events[later], self.columns[later]] = self.before[later]
        return whole

    def moved(self, places: IntArray) -> Refunds:
        """Return the refunds of the same events at other positions."""
        return dataclasses.replace(self, events=places[self.events])

    def followed_by(self, later: Refunds) -> Refunds:
        """Return these refunds and later ones."""
        parts = zip(vars(self).values(), vars(later).values(), strict=True)
        return Refunds(*(np.concatenate(pair) for pair in parts))

    @classmethod
    def none(cls) -> Refunds:
        """Return no refunds."""
        nothing = np.zeros(0, dtype=np.int64)
        return cls(nothing, nothing, nothing, np.zeros(0))


class Rows(NamedTuple):
    """Events, or refunds with amounts of 0 or less, in the order of customer and time.

    Attributes
    ----------
    owner : int64 array, shape (n,)
    periods : int64 array, shape (n,)
        When, in whatever counts as the same time.
    marks : float64 array, shape (n, n_marks)
    """

    owner: IntArray
    periods: IntArray
    marks: FloatArray


@dataclasses.dataclass(frozen=True)
class Owed:
    """Refunds of more than is known to have been bought: an older log, which goes on, may know of it.

    Attributes
    ----------
    ids : polars.Series, shape (n,)
        Whose refunds they are; they need not have bought anything.
    ticks : int64 array, shape (n,)
    marks : float64 array, shape (n, n_marks)
        What could not be netted, 0 or less.
    """

    ids: pl.Series
    ticks: IntArray
    marks: FloatArray

    @classmethod
    def none(cls) -> Owed:
        """Return no refunds."""
        return cls(pl.Series([], dtype=pl.Null), np.zeros(0, dtype=np.int64), np.zeros((0, 0)))


def net(bought: Rows, returned: Rows, ticks: IntArray) -> tuple[FloatArray, Refunds, FloatArray]:
    """Take refunds from what the same customer bought before, the latest first, as far as it goes.

    Parameters
    ----------
    bought, returned : Rows
        What is bought and returned at the same time is bought first.
    ticks : int64 array, shape (n_refunds,)
        When the refunds were, on the log's clock.

    Returns
    -------
    marks : float64 array, shape (n_events, n_marks)
    refunds : Refunds
    left : float64 array, shape (n_refunds, n_marks)
        What was returned and is not known to have been bought, 0 or less.

    Examples
    --------
    >>> bought = Rows(np.array([0, 0]), np.array([1, 5]), np.array([[10.0], [20.0]]))
    >>> marks, _, left = net(bought, Rows(np.array([0]), np.array([7]), np.array([[-35.0]])), np.array([7]))
    >>> marks.ravel().tolist(), left.ravel().tolist()
    ([0.0, 0.0], [-5.0])
    """
    marks = bought.marks.copy()
    begin, end = (np.searchsorted(bought.owner, returned.owner, side) for side in ("left", "right"))
    unmet = np.zeros_like(returned.marks)
    parts: list[tuple[int, int, int, float]] = []
    for column in range(marks.shape[1]):
        left: list[int] = []  # events that something can be taken from, the latest last
        customer, at = -1, 0
        for k in np.flatnonzero(returned.marks[:, column] < 0):
            if returned.owner[k] != customer:
                customer, at, left = int(returned.owner[k]), int(begin[k]), []
            while at < end[k] and bought.periods[at] <= returned.periods[k]:
                if marks[at, column] > 0:
                    left.append(at)
                at += 1
            due = -float(returned.marks[k, column])
            enough = _ROUNDING * due
            while due > enough and left:
                had = float(marks[left[-1], column])
                parts.append((left[-1], column, int(ticks[k]), had))
                marks[left[-1], column] = max(had - due, 0.0)
                due -= had
                if due >= 0:
                    left.pop()
            unmet[k, column] = -due if due > enough else 0.0
    if not parts:
        return marks, Refunds.none(), unmet
    events, columns, when, before = (np.array(part) for part in zip(*parts, strict=True))
    return marks, Refunds(events, columns, when, before), unmet
