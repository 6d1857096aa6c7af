"""What the horizon head reads: a customer's last gaps and silence, its anchor, and a summary of the shop."""

from __future__ import annotations

import dataclasses
import functools
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from foretell.core import FloatArray, IntArray
from foretell.core.ragged import flat_ranges
from foretell.core.time import Unit
from foretell.data.calendar import Calendar
from foretell.data.covariates import Covariates
from foretell.data.log import EventLog
from foretell.events.horizon.days import DayClock
from foretell.events.horizon.effects import Effects, fit_effects
from foretell.events.horizon.rates import Curves, Histories, RateClasses

Float32Array = npt.NDArray[np.float32]

GAPS: Final = 32
"""The last gaps that are read."""
GRID: Final[FloatArray] = np.exp2(np.arange(11.0))
"""Horizons, in days of the clock, at which the curves of an answer have their knots."""
_YEAR: Final = 52  # weeks
_AGES: Final = np.array([0, 1, 2, 4, 8, 16, 32, 64, 128, 10**6])  # weeks since the first visit
_RECENT: Final = (1, 2, 4, 8, 13, 26)  # weeks before the as-of date
_EARLIER: Final = (0.5, 0.75)  # shares of the log at which the anchor is held against what came


class Inputs(NamedTuple):
    """What the network reads of n customers.

    Attributes
    ----------
    steps : float32 array, shape (n, GAPS + 1, n_features)
        A step for each gap, the last one at the end, and then the silence; zeros before the first gap.
    n_steps : int64 array, shape (n,)
        Steps at the end that are none of zeros.
    context : float32 array, shape (n, n_context)
        Of the customer, and of the shop.
    anchor : Curves
        On the grid of horizons.
    """

    steps: Float32Array
    n_steps: IntArray
    context: Float32Array
    anchor: Curves


@dataclasses.dataclass(frozen=True)
class Visits:
    """Visits of n customers in order of customer and time, up to an as-of date.

    Attributes
    ----------
    owner, time : int64 arrays, shape (n_visits,)
        The time in ticks.
    as_of : int
        The last tick that has been seen.
    unit : {"day", "hour"}
    holidays : str or None
        Country whose public holidays the shop may be closed on.
    calendar : Calendar or None
        What is known of each day.
    static : Covariates or None
        What is known of the customers, a row for each.
    """

    owner: IntArray
    time: IntArray
    as_of: int
    unit: Unit = "day"
    holidays: str | None = None
    calendar: Calendar | None = None
    static: Covariates | None = None

    @classmethod
    def of(cls, log: EventLog) -> Visits:
        """Return the visits of a log."""
        return cls(log.owner, log.times, log.as_of, log.unit, log.holidays, log.calendar, log.static)

    @functools.cached_property
    def count(self) -> IntArray:
        """Visits of each customer."""
        return np.bincount(self.owner)

    @functools.cached_property
    def last_row(self) -> IntArray:
        """Where each customer's last visit stands."""
        return np.cumsum(self.count) - 1

    @functools.cached_property
    def is_first(self) -> npt.NDArray[np.bool_]:
        """Which visits are the first of their customer."""
        first = np.zeros(len(self.owner), dtype=bool)
        first[self.last_row - self.count + 1] = True
        return first

    @property
    def first(self) -> IntArray:
        """First visit of each customer."""
        return self.time[self.is_first]

    def until(self, as_of: int) -> Visits:
        """Return what had been seen at an earlier date; customers are numbered anew."""
        kept = self.time <= as_of
        customers, owner = np.unique(self.owner[kept], return_inverse=True)
        static = None if self.static is None else self.static.take(customers)
        return dataclasses.replace(self, owner=owner, time=self.time[kept], as_of=as_of, static=static)

    def take(self, customers: IntArray) -> Visits:
        """Return the visits of some customers, in their order."""
        counts = self.count[customers]
        starts = self.last_row[customers] + 1 - counts
        owner = np.repeat(np.arange(len(customers)), counts)
        time = self.time[flat_ranges(starts, counts)]
        static = None if self.static is None else self.static.take(customers)
        return dataclasses.replace(self, owner=owner, time=time, static=static)


@dataclasses.dataclass(frozen=True)
class ShopSummary:
    """What a shop's visits say of all its customers: the fit that needs no training.

    Attributes
    ----------
    clock : DayClock
    rates : RateClasses
    facts : float32 array, shape (n_facts,)
        What the network reads of the shop.
    origin : int
        First tick of the log.
    mean_log_gap : float
    weeks : array, shape (n_weeks,)
        Logarithm of how busy each week before the as-of date was; the last one ends there.
    effects : Effects or None
        Of what is known of customers.
    """

    clock: DayClock
    rates: RateClasses
    facts: Float32Array
    origin: int
    mean_log_gap: float
    weeks: FloatArray
    effects: Effects | None = None

    @classmethod
    def of(cls, visits: Visits) -> ShopSummary:
        """Summarise a shop by all of its visits."""
        clock = clock_of(visits)
        origin = int(visits.first.min())
        at = clock.readings(origin, visits.time)
        histories = histories_of(visits, clock, origin)
        rates, effects = RateClasses.fit(histories), None
        gaps = np.diff(at, prepend=0.0)[~visits.is_first]
        log_gaps = np.log(np.maximum(gaps, 0.25)) if len(gaps) else np.full(1, np.log(30.0))
        by_age, weeks = _ages_and_weeks(visits, origin, clock)
        parts = [
            _sizes(visits, histories, origin),
            _gap_facts(visits, log_gaps),
            by_age,
            _week_facts(weeks),
            _silences(histories),
            _earlier_errors(visits, clock),
            _class_facts(rates),
        ]
        facts = np.concatenate(parts).astype(np.float32)
        if visits.static is not None:
            rates, effects = fit_effects(histories, visits.static)
        return cls(clock, rates, facts, origin, float(log_gaps.mean()), weeks, effects)

    def histories(self, visits: Visits) -> Histories:
        """Return what the anchor reads of customers of the shop."""
        histories = histories_of(visits, self.clock, self.origin)
        if self.effects is None:
            return histories
        return histories._replace(tilt=self.effects.tilt(visits.static, len(histories.age)))


def clock_of(visits: Visits) -> DayClock:
    """Return the clock of a shop."""
    repeats, first = visits.time[~visits.is_first], visits.first
    return DayClock.fit(repeats, first, visits.as_of, visits.unit, visits.holidays, visits.calendar)


def effects_of(log: EventLog) -> Effects | None:
    """Return the effects of what is known of the customers of a log, if something is."""
    if log.static is None:
        return None
    visits = Visits.of(log)
    return fit_effects(histories_of(visits, clock_of(visits), int(visits.first.min())), log.static)[1]


def histories_of(visits: Visits, clock: DayClock, origin: int) -> Histories:
    """Return the sufficient statistics of each customer, in days of the clock since a first tick."""
    now = clock.readings(origin, [visits.as_of])[0]
    first, last = (clock.readings(origin, ticks) for ticks in (visits.first, visits.time[visits.last_row]))
    repeats = (visits.count - 1).astype(np.float64)
    return Histories(repeats, last - first, np.maximum(now - first, 0.0))


def inputs(visits: Visits, shop: ShopSummary, anchor: Curves | None = None) -> Inputs:
    """Return what the network reads of customers of a shop."""
    histories = shop.histories(visits)
    if anchor is None:
        anchor = shop.rates.curves(histories, GRID)
    steps, n_steps, mean_gap = _steps(visits, shop, histories)
    own = _customer_facts(histories, anchor, shop, mean_gap)
    facts = np.concatenate([shop.facts, _year_ago(shop.weeks)]).astype(np.float32)
    context = np.concatenate([own, np.broadcast_to(facts, (len(own), len(facts)))], axis=1)
    return Inputs(steps, n_steps, context.astype(np.float32), anchor)


def _steps(
    visits: Visits, shop: ShopSummary, histories: Histories
) -> tuple[Float32Array, IntArray, FloatArray]:
    n, count = len(visits.count), visits.count
    back = np.repeat(visits.last_row, count) - np.arange(len(visits.time))  # 0 is the last visit
    kept = (back < GAPS) & ~visits.is_first
    at = shop.clock.readings(shop.origin, visits.time)
    gap = np.maximum(np.diff(at, prepend=0.0), 0.25)[kept]
    owner, first = visits.owner[kept], at[visits.is_first]
    position = (count[visits.owner] - 1 - back)[kept]
    silence = np.maximum(histories.age - histories.recency, 0.25)
    log_gap = np.log(gap)
    n_gaps = np.bincount(owner, minlength=n)
    mean_gap = np.bincount(owner, log_gap, minlength=n) / np.maximum(n_gaps, 1)
    mean_gap = np.where(n_gaps > 0, mean_gap, shop.mean_log_gap)
    busy = _level_at(visits.time[kept], visits, shop)
    rows = [
        log_gap / 3 - 1, log_gap - shop.mean_log_gap, log_gap - mean_gap[owner], busy,
        np.log1p(position) / 3, np.log1p(at[kept] - first[owner]) / 3 - 1, np.zeros(len(gap)),
    ]  # fmt: skip
    log_silence = np.log(silence)
    last = [
        log_silence / 3 - 1, log_silence - shop.mean_log_gap, log_silence - mean_gap,
        np.full(n, shop.weeks[-4:].mean()), np.log1p(count - 1) / 3, np.log1p(histories.age) / 3 - 1,
        np.ones(n),
    ]  # fmt: skip
    steps = np.zeros((n, GAPS + 1, len(rows)), dtype=np.float32)
    steps[owner, GAPS - 1 - back[kept]] = np.stack(rows, axis=1)
    steps[:, GAPS] = np.stack(last, axis=1)
    return steps, n_gaps + 1, mean_gap


def _level_at(ticks: IntArray, visits: Visits, shop: ShopSummary) -> FloatArray:
    weeks_back = (visits.as_of - ticks) // (7 * _ticks_a_day(visits))
    level: FloatArray = shop.weeks[np.maximum(len(shop.weeks) - 1 - weeks_back, 0)]
    return level


def _customer_facts(
    histories: Histories, anchor: Curves, shop: ShopSummary, mean_gap: FloatArray
) -> FloatArray:
    x, recency, age, _ = histories
    silence = np.maximum(age - recency, 0.25)
    rate = np.log((x + 1.0) / (age + 30.0))
    chosen = [2, 5, 7, 9]
    return np.concatenate(
        [
            np.stack([
                np.log1p(x) / 2, x == 0, x == 1, np.log1p(age) / 3 - 1, np.log(silence) / 3 - 1,
                np.clip(np.log(silence) - mean_gap, -4, 6) / 2, recency / np.maximum(age, 1.0),
                rate / 2 + 2, np.clip(np.log(silence) + rate, -8, 8) / 2, mean_gap - shop.mean_log_gap,
            ], axis=1),
            log_odds(anchor.p_return[:, chosen]) / 4,
            np.log(anchor.expected[:, chosen] + 1e-4) / 4,
        ],
        axis=1,
    )  # fmt: skip


def log_odds(p: FloatArray) -> FloatArray:
    """Return the logarithm of odds, of probabilities within e^±14."""
    q = np.clip(p, 1e-6, 1 - 1e-6)
    odds: FloatArray = np.log(q) - np.log1p(-q)
    return odds


def _sizes(visits: Visits, histories: Histories, origin: int) -> FloatArray:
    x = histories.repeats
    days = (visits.as_of - origin + 1) / _ticks_a_day(visits)
    joined = np.quantile((visits.first - origin) / (visits.as_of - origin + 1), [0.1, 0.5, 0.9])
    return np.array([
        np.log(days) / 3 - 2, np.log(len(x)) / 5 - 1, np.log(x.sum() + 1) / 5 - 1, np.mean(x == 0),
        np.mean(x == 1), np.log1p(x).mean(), np.log1p(x).std(),
        np.log((x.sum() + 1) / (histories.age.sum() + 30)) / 2 + 2, *joined,
    ])  # fmt: skip


def _gap_facts(visits: Visits, log_gaps: FloatArray) -> FloatArray:
    """Return quantiles of gaps, and how much the gaps of one customer differ."""
    owner = visits.owner[~visits.is_first] if (~visits.is_first).any() else np.zeros(1, dtype=np.int64)
    n = np.bincount(owner)
    mean = np.bincount(owner, log_gaps) / np.maximum(n, 1)
    often = n[owner] > 2
    within = np.sqrt(((log_gaps - mean[owner])[often] ** 2).sum() + 2.0) / np.sqrt(often.sum() + 2.0)
    return np.array([within, log_gaps.std(), *(np.quantile(log_gaps, [0.05, 0.25, 0.5, 0.75, 0.95]) / 3 - 1)])


def _ages_and_weeks(visits: Visits, origin: int, clock: DayClock) -> tuple[FloatArray, FloatArray]:
    """Return how often customers come by weeks since their first visit, and how busy each week was.

    Weeks are counted back from the as-of date. What a week was to bring follows from how old its customers
    were, so that a shop whose newcomers soon leave is not taken for one that had a season. Visits of a day on
    which a calendar lets more come count as much less.
    """
    week = 7 * _ticks_a_day(visits)
    n_weeks = (visits.as_of - origin) // week + 1
    joined = n_weeks - 1 - (visits.as_of - visits.first) // week
    repeats = visits.time[~visits.is_first]
    worth = 1.0 / clock.busy(repeats // _ticks_a_day(visits))
    came = n_weeks - 1 - (visits.as_of - repeats) // week
    acquired = np.bincount(joined, minlength=n_weeks).astype(np.float64)
    age = came - joined[visits.owner[~visits.is_first]]
    visits_by_age = np.bincount(age, worth, minlength=n_weeks).astype(np.float64)
    exposed = np.cumsum(acquired)[::-1]  # customers who reached each age
    bins = np.searchsorted(_AGES, np.arange(n_weeks), side="right") - 1
    n_bins = len(_AGES) - 1
    visited, seen = (np.bincount(bins, part, minlength=n_bins) for part in (visits_by_age, exposed))
    overall = (visits_by_age.sum() + 1.0) / (exposed.sum() + 1.0)
    by_age = (visited + 5.0 * 1.0) / (seen * overall + 5.0)
    expected = np.convolve(acquired, by_age[bins] * overall)[:n_weeks]
    busy = np.bincount(came, worth, minlength=n_weeks).astype(np.float64)
    weeks = np.log((busy + 3.0) / (expected + 3.0))
    return np.concatenate([np.log(by_age), np.log1p(seen * overall) / 8]), weeks


def _week_facts(weeks: FloatArray) -> FloatArray:
    """Return how busy the shop was: in the last weeks, over the whole log, and how much weeks differ."""
    eighths = [part.mean() if len(part) else 0.0 for part in np.array_split(weeks, 8)]
    recent = [weeks[-k:].mean() for k in _RECENT]
    change = np.diff(weeks) if len(weeks) > 1 else np.zeros(1)
    return np.array([*eighths, *recent, weeks.std(), change.std(), weeks[-1]])


def _year_ago(weeks: FloatArray) -> FloatArray:
    """Return how busy the shop was a year before each stretch between the knots of the grid, and if known.

    Beside the mean of the year before the as-of date; 0 where the log does not reach back so far.
    """
    ends = np.ceil(GRID / 7).astype(np.int64)
    starts = np.concatenate([[0], ends[:-1]])
    place = len(weeks) - _YEAR
    usual = weeks[-_YEAR:].mean()
    level, known = np.zeros(len(GRID)), np.zeros(len(GRID))
    for k, (low, high) in enumerate(zip(starts, np.maximum(ends, starts + 1), strict=True)):
        stretch = weeks[max(place + low, 0) : max(min(place + high, len(weeks)), 0)]
        if len(stretch) >= 0.6 * (high - low) and place + low > 3:
            level[k], known[k] = stretch.mean() - usual, 1.0
    return np.concatenate([level, known])


def _silences(histories: Histories) -> FloatArray:
    silence = histories.age - histories.recency
    return np.array([np.mean(silence <= days) for days in (7, 14, 30, 60, 120, 240)])


def _earlier_errors(visits: Visits, clock: DayClock) -> FloatArray:
    """Return how far the anchor was off at earlier origins, of one-time customers and of the others."""
    origin, facts = int(visits.first.min()), []
    for share in _EARLIER:
        as_of = origin + int((visits.as_of - origin) * share)
        past = visits.until(as_of)
        later = visits.time > as_of
        known = np.unique(visits.owner[visits.time <= as_of])
        actual = np.bincount(visits.owner[later], minlength=len(visits.count))[known]
        histories = histories_of(past, clock, origin)
        horizon = clock.ahead(as_of, np.array([visits.as_of - as_of]))
        expected = RateClasses.fit(histories).curves(histories, horizon).expected[:, 0]
        once = histories.repeats == 0
        silent = histories.age - histories.recency > histories.age / 3
        for group in (once, ~once & silent, ~once & ~silent):
            came, due = actual[group].sum(), expected[group].sum()
            facts += [np.log((came + 3.0) / (due + 3.0)), np.log1p(due) / 8]
    return np.array(facts)


def _class_facts(rates: RateClasses) -> FloatArray:
    by_rate, by_lost = rates.weights.sum(axis=1), rates.weights.sum(axis=0)
    return np.concatenate([by_rate.reshape(4, 3).sum(axis=1), by_lost])


def _ticks_a_day(visits: Visits) -> int:
    return 24 if visits.unit == "hour" else 1
