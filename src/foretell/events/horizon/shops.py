"""Simulated shops of named families, from which the prior for customers learns; no real log is among them.

A shop is made by a few families drawn at random, each a short function that changes one thing: how fast
customers come, when they stop, what the calendar does. What has happened up to `Shop.today` is what a
forecaster sees; what comes after it is the truth.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from foretell.core import FloatArray, IntArray

_NEVER: Final = 10**6
_YEAR: Final = 365.25


@dataclasses.dataclass
class Shop:
    """What the families change, before visits are drawn.

    Attributes
    ----------
    rng : numpy.random.Generator
    start : int
        First day, in days since 1970-01-01.
    days, today : int
        Length of the simulation, and how many of its days have been seen.
    first : array, shape (n,)
        Day of each customer's first visit.
    rate : array, shape (n,)
        Visits a day at the shop's usual speed.
    shape : array, shape (n,)
        Of the gamma distribution of gaps: 1 is chance alone, 30 is a regular buyer.
    swing : array, shape (n,)
        Gaps are by turns longer and shorter by this share.
    first_gap : array, shape (n,)
        By what the first gap is longer than others.
    lost : array, shape (n,)
        The chance that a visit was the last.
    end : array, shape (n,)
        The day on which a customer leaves unseen.
    speed : array, shape (days,)
        The calendar: how much busier than usual a day is.
    pace : float32 array, shape (n, days)
        How much faster than usual a customer comes on a day.
    dated : array, shape (days,)
        The day under which a visit is written down.
    """

    rng: np.random.Generator
    start: int
    days: int
    today: int
    first: IntArray
    rate: FloatArray
    shape: FloatArray
    swing: FloatArray
    first_gap: FloatArray
    lost: FloatArray
    end: FloatArray
    speed: FloatArray
    pace: npt.NDArray[np.float32]
    dated: IntArray

    @property
    def n(self) -> int:
        """Customers."""
        return len(self.first)

    def chance(self, probability: float) -> bool:
        """Toss a coin."""
        return bool(self.rng.random() < probability)

    def between(self, low: float, high: float) -> float:
        """Draw a number whose logarithm is uniform."""
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def each_between(self, low: float, high: float, size: int | None = None) -> FloatArray:
        """Draw a number for each customer, or so many, whose logarithms are uniform."""
        return np.exp(self.rng.uniform(np.log(low), np.log(high), self.n if size is None else size))

    @property
    def age(self) -> FloatArray:
        """Days since each customer's first visit, shape (n, days)."""
        return (np.arange(self.days)[None] - self.first[:, None]).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Visits:
    """Visit days of a shop's customers: what has been seen, and the truth.

    Attributes
    ----------
    owner, day : int64 arrays, shape (n_visits,)
        In order of customer and day; days since 1970-01-01.
    n : int
    start, today, end : int
        First day, first day that has not been seen, first day after the simulation.
    families : tuple of str
    """

    owner: IntArray
    day: IntArray
    n: int
    start: int
    today: int
    end: int
    families: tuple[str, ...]

    def seen(self) -> tuple[IntArray, IntArray]:
        """Return owner and day of the visits before today."""
        past = self.day < self.today
        return self.owner[past], self.day[past]

    def counts(self, horizons: IntArray) -> IntArray:
        """Return the visit days of each customer within each horizon, shape (n, n_horizons)."""
        later = self.day >= self.today
        owner, ahead = self.owner[later], self.day[later] - self.today + 1
        counts = [np.bincount(owner[ahead <= h], minlength=self.n) for h in horizons]
        return np.stack(counts, axis=1).astype(np.int64)


Family: TypeAlias = Callable[[Shop], None]


# How fast customers come.


def busy_and_quiet(shop: Shop) -> None:
    """Let rates differ by more than a gamma distribution says: by a lognormal factor on top."""
    shop.rate *= np.exp(shop.rng.normal(0, shop.rng.uniform(0.2, 1.0), shop.n))


def two_kinds(shop: Shop) -> None:
    """Let a part of the customers, regulars, come many times as often as the rest."""
    regular = shop.rng.random(shop.n) < shop.rng.uniform(0.05, 0.5)
    shop.rate[regular] *= shop.between(2.5, 12.0)


def bursts(shop: Shop) -> None:
    """Let visits come in bunches."""
    shop.shape *= shop.rng.uniform(0.4, 0.9)


def regular_gaps(shop: Shop) -> None:
    """Let all customers come more evenly than by chance, each in its own measure."""
    shop.shape *= shop.each_between(1.0, 4.0) * shop.between(1.0, 3.0)


def rhythms(shop: Shop) -> None:
    """Let a part of the customers come every week, fortnight, or month, almost to the day."""
    some = shop.rng.random(shop.n) < shop.rng.uniform(0.1, 0.8)
    periods = np.array([7.0, 14.0, 28.0, 30.4])
    shop.rate[some] = 1 / periods[shop.rng.choice(4, some.sum(), p=shop.rng.dirichlet(np.ones(4)))]
    shop.shape[some] = shop.between(8.0, 120.0)


def by_turns(shop: Shop) -> None:
    """Let a part of the customers alternate: a short gap, a long one, a short one."""
    some = shop.rng.random(shop.n) < shop.rng.uniform(0.1, 0.7)
    shop.swing[some] = shop.rng.uniform(0.2, 0.7)
    shop.shape[some] = np.maximum(shop.shape[some], shop.between(4.0, 60.0))


# When customers stop, and whether they come back.


def lost_after_a_visit(shop: Shop) -> None:
    """Let each visit be the last with a chance of each customer's own (beta-geometric)."""
    a, b = shop.between(0.4, 4.0), shop.between(0.6, 20.0)
    shop.lost = shop.rng.beta(a, b, shop.n) * shop.rng.uniform(0.1, 1.0)


def lifetimes(shop: Shop) -> None:
    """End lifetimes unseen: exponential ones, of rates that differ by a gamma distribution."""
    spread = shop.between(0.4, 5.0)
    typical = shop.between(25.0, 2500.0)
    rates = np.maximum(shop.rng.gamma(spread, 1 / spread, shop.n), 1e-3)
    shop.end = np.minimum(shop.end, shop.first + 1 + typical * shop.rng.exponential(1.0, shop.n) / rates)


def fading(shop: Shop) -> None:
    """Let each customer come more and more seldom."""
    half = shop.between(60.0, 1500.0) * shop.each_between(0.4, 2.5)
    shop.pace *= np.exp2(-np.maximum(shop.age, 0) / half[:, None].astype(np.float32))


def only_once(shop: Shop) -> None:
    """Let a share of the customers never come again."""
    once = shop.rng.random(shop.n) < shop.rng.uniform(0.1, 0.8)
    shop.end[once] = shop.first[once] + 1


def late_second_visit(shop: Shop) -> None:
    """Let a part of the customers wait with the second visit many times as long as later on."""
    some = shop.rng.random(shop.n) < shop.rng.uniform(0.2, 1.0)
    shop.first_gap[some] = shop.each_between(1.5, 10.0, int(some.sum()))


def second_thoughts(shop: Shop) -> None:
    """Let a part of the customers return only after half a year or more, and then be as others are."""
    some = shop.rng.random(shop.n) < shop.rng.uniform(0.1, 0.5)
    away = shop.between(60.0, 500.0) * shop.each_between(0.6, 1.6, int(some.sum()))
    shop.pace[some] *= shop.age[some] > away[:, None]


def hibernation(shop: Shop) -> None:
    """Let customers stay away for half a year, and come back at their old pace."""
    here, away = shop.between(30.0, 400.0), shop.between(60.0, 400.0)
    spells = [shop.rng.exponential(here if k % 2 == 0 else away, shop.n) for k in range(10)]
    turns = np.cumsum(np.stack(spells, axis=1), axis=1)
    asleep = np.zeros(shop.pace.shape, dtype=bool)
    for k in range(0, 10, 2):
        asleep |= (shop.age >= turns[:, k, None]) & (shop.age < turns[:, k + 1, None])
    sleepers = shop.rng.random(shop.n) < shop.rng.uniform(0.3, 1.0)
    shop.pace[asleep & sleepers[:, None]] *= shop.rng.uniform(0.0, 0.12)


def novelty(shop: Shop) -> None:
    """Let newcomers come often, and settle to a slower pace."""
    settled = shop.rng.uniform(0.1, 0.9)
    falls = np.exp(-np.maximum(shop.age, 0) / shop.between(7.0, 300.0))
    shop.pace *= (settled + (1 - settled) * falls).astype(np.float32)


def habit(shop: Shop) -> None:
    """Let customers come to like the shop: from a slow start to a faster pace."""
    slow = shop.rng.uniform(0.3, 0.9)
    rises = 1 - np.exp(-np.maximum(shop.age, 0) / shop.between(20.0, 300.0))
    shop.pace *= (slow + (1 - slow) * rises).astype(np.float32)


def changing_pace(shop: Shop) -> None:
    """Let each customer's pace wander by itself, and return."""
    quarters = shop.days // 45 + 2
    keeps, spread = shop.rng.uniform(0.5, 0.95), shop.rng.uniform(0.15, 0.9)
    walk = np.zeros((shop.n, quarters))
    walk[:, 0] = shop.rng.normal(0, spread, shop.n)
    for k in range(1, quarters):
        walk[:, k] = keeps * walk[:, k - 1] + shop.rng.normal(0, spread * np.sqrt(1 - keeps**2), shop.n)
    shop.pace *= np.exp(walk - spread**2 / 2).astype(np.float32)[:, np.arange(shop.days) // 45]


# What the calendar does.


def weekdays(shop: Shop) -> None:
    """Make some days of the week busier."""
    factors = np.exp(shop.rng.normal(0, shop.rng.uniform(0.1, 0.6), 7))
    shop.speed *= factors[(shop.start + np.arange(shop.days)) % 7]


def closed_weekdays(shop: Shop) -> None:
    """Close the shop on one day of the week, or on two."""
    closed = shop.rng.choice(7, shop.rng.integers(1, 3), replace=False)
    shop.speed[np.isin((shop.start + np.arange(shop.days)) % 7, closed)] = 0.0


def closed_month(shop: Shop) -> None:
    """Close the shop in one month of each year."""
    months = (shop.start + np.arange(shop.days)).astype("datetime64[D]").astype("datetime64[M]")
    shop.speed[months.astype(np.int64) % 12 == shop.rng.integers(12)] = 0.0


def season(shop: Shop) -> None:
    """Give the year its season: three waves."""
    strength, day = shop.between(0.05, 0.55), np.arange(shop.days)
    for k in (1, 2, 3):
        wave = np.sin(2 * np.pi * k * day / _YEAR + shop.rng.uniform(0, 2 * np.pi))
        shop.speed *= np.exp(strength / k * shop.rng.normal() * wave)


def holidays(shop: Shop) -> None:
    """Give some weeks of each year up to three times the visits."""
    _bump(shop, float(shop.rng.integers(365)), shop.between(0.3, 2.2), shop.rng.uniform(6, 25))


def slump(shop: Shop) -> None:
    """Make some weeks of each year quiet; then all is as before."""
    _bump(shop, float(shop.rng.integers(365)), -shop.rng.uniform(0.2, 0.75), shop.rng.uniform(15, 45))


def just_after_the_peak(shop: Shop) -> None:
    """Let the forecast begin shortly after the year's peak, or its slump."""
    height = shop.between(0.4, 2.5) if shop.chance(0.65) else -shop.rng.uniform(0.3, 0.8)
    _bump(shop, shop.today - int(shop.rng.uniform(5, 50)), height, shop.rng.uniform(10, 35))


def _bump(shop: Shop, centre: float, height: float, width: float) -> None:
    away = (np.arange(shop.days) - centre + _YEAR / 2) % _YEAR - _YEAR / 2
    shop.speed *= 1 + height * np.exp(-0.5 * (away / width) ** 2)


def wandering_level(shop: Shop) -> None:
    """Let business be better or worse from week to week, and return to what is usual."""
    keeps, spread = shop.rng.uniform(0.3, 0.98), shop.between(0.03, 0.35)
    weeks = shop.days // 7 + 2
    level, shocks = np.zeros(weeks), shop.rng.normal(0, spread * np.sqrt(1 - keeps**2), weeks)
    for k in range(1, weeks):
        level[k] = keeps * level[k - 1] + shocks[k]
    shop.speed *= np.exp(level)[np.arange(shop.days) // 7]


def growth(shop: Shop) -> None:
    """Let business grow, or shrink, all the time."""
    a_year = shop.rng.normal(0, 0.35)
    shop.speed *= np.exp(a_year * (np.arange(shop.days) - shop.today) / _YEAR)


def step_change(shop: Shop) -> None:
    """Make business better or worse for good from one day on."""
    when = shop.rng.integers(shop.today // 4, shop.today)
    shop.speed[when:] *= np.exp(shop.rng.normal(0, 0.35))


def promotions(shop: Shop) -> None:
    """Let a promotion now and then bring many at once, who then stay away for a while."""
    for begin in shop.rng.integers(0, shop.days, shop.rng.integers(1, 2 + shop.days // 60)):
        lasts, after = shop.rng.integers(3, 15), shop.rng.integers(10, 45)
        gain = shop.between(0.5, 4.0)
        shop.speed[begin : begin + lasts] *= 1 + gain
        shop.speed[begin + lasts : begin + lasts + after] *= max(1 - gain * float(lasts) / float(after), 0.15)


def by_month(shop: Shop) -> None:
    """Write visits down under the first of their month."""
    dates = (shop.start + np.arange(shop.days)).astype("datetime64[D]")
    firsts = dates.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - shop.start
    shop.dated = np.maximum(firsts, 0)


# How customers are acquired.


def all_at_first(shop: Shop) -> None:
    """Let all customers join in the first weeks."""
    shop.first = shop.rng.integers(0, max(int(shop.today * shop.rng.uniform(0.05, 0.4)), 2), shop.n)


def an_old_panel(shop: Shop) -> None:
    """Begin the log when customers are old: their first visit in it is one like any other."""
    wait = shop.rng.exponential(1.0, shop.n) / np.maximum(shop.rate, 1e-4)
    shop.first = np.minimum(wait, shop.today - 1).astype(np.int64)


def growing_base(shop: Shop) -> None:
    """Let more customers join each month than in the last one, or fewer."""
    power = shop.between(0.35, 2.5)
    shop.first = (shop.rng.random(shop.n) ** power * (shop.today - 1)).astype(np.int64)


JOINING: Final[tuple[tuple[Family, float], ...]] = (
    (all_at_first, 0.35),
    (an_old_panel, 0.2),
    (growing_base, 0.45),
)

# Each with the chance that a shop has it.
HABITS: Final[tuple[tuple[Family, float], ...]] = (
    (busy_and_quiet, 0.25),
    (two_kinds, 0.2),
    (bursts, 0.15),
    (regular_gaps, 0.4),
    (rhythms, 0.12),
    (by_turns, 0.1),
    (lost_after_a_visit, 0.4),
    (lifetimes, 0.35),
    (fading, 0.15),
    (only_once, 0.25),
    (late_second_visit, 0.2),
    (second_thoughts, 0.1),
    (hibernation, 0.2),
    (novelty, 0.3),
    (habit, 0.15),
    (changing_pace, 0.35),
)

CALENDAR: Final[tuple[tuple[Family, float], ...]] = (
    (weekdays, 0.6),
    (season, 0.5),
    (holidays, 0.25),
    (slump, 0.2),
    (just_after_the_peak, 0.15),
    (wandering_level, 0.7),
    (growth, 0.3),
    (step_change, 0.08),
    (promotions, 0.15),
    (closed_weekdays, 0.15),
    (closed_month, 0.05),
    (by_month, 0.05),
)

FAMILIES: Final[dict[str, Family]] = {f.__name__: f for f, _ in (*JOINING, *HABITS, *CALENDAR)}
"""All families by name."""


def blank_shop(rng: np.random.Generator, n: int, today: int, horizon: int) -> Shop:
    """Return a shop whose customers come by chance alone, at rates of a gamma distribution, for ever."""
    days = today + horizon
    spread = np.exp(rng.uniform(np.log(0.3), np.log(5.0)))
    typical = np.exp(rng.uniform(np.log(3.0), np.log(min(300.0, 0.8 * today))))
    return Shop(
        rng,
        start=int(rng.integers(7_000, 20_000)),
        days=days,
        today=today,
        first=rng.integers(0, max(today - 1, 1), n),
        rate=np.minimum(rng.gamma(spread, 1 / spread, n) / typical, 1.5),
        shape=np.ones(n),
        swing=np.zeros(n),
        first_gap=np.ones(n),
        lost=np.zeros(n),
        end=np.full(n, float(_NEVER)),
        speed=np.ones(days),
        pace=np.ones((n, days), dtype=np.float32),
        dated=np.arange(days),
    )


def random_shop(rng: np.random.Generator) -> Visits:
    """Draw a shop of random families; one in which somebody came twice."""
    while True:
        today = int(np.exp(rng.uniform(np.log(56), np.log(1100))))
        if rng.random() < 0.2:  # one year of history
            today = int(rng.uniform(330, 430))
        horizon = int(np.clip(np.exp(rng.uniform(np.log(0.1), np.log(1.4))) * today, 14, 500))
        sizes = (20, 100) if rng.random() < 0.2 else (100, 400) if rng.random() < 0.8 else (1000, 3000)
        shop = blank_shop(rng, int(np.exp(rng.uniform(*np.log(sizes)))), today, horizon)
        joining = JOINING[rng.choice(len(JOINING), p=[p for _, p in JOINING])][0]
        drawn = [family for family, p in (*HABITS, *CALENDAR) if rng.random() < p]
        # Habits count from the first visit, which is drawn when the rates are known.
        rates = [f for f in drawn if f in (busy_and_quiet, two_kinds, rhythms)]
        visits = composed(shop, [*rates, joining, *(f for f in drawn if f not in rates)])
        if len(visits.seen()[1]) >= 1.1 * visits.n:
            return visits


def composed(shop: Shop, families: list[Family]) -> Visits:
    """Return the visits of a shop after families have changed it in turn."""
    for family in families:
        family(shop)
    owner, day = _drawn(shop)
    key = np.unique(owner * shop.days + shop.dated[day])
    owner, day = key // shop.days, key % shop.days
    known = np.zeros(shop.n, dtype=bool)
    known[owner[day < shop.today]] = True  # who is first dated later is no customer yet
    keep = known[owner]
    number = np.cumsum(known) - 1
    return Visits(
        number[owner[keep]],
        day[keep] + shop.start,
        int(known.sum()),
        shop.start,
        shop.start + shop.today,
        shop.start + shop.days,
        tuple(family.__name__ for family in families),
    )


def _drawn(shop: Shop) -> tuple[IntArray, IntArray]:
    """Return owner and day of all visits, the first ones included."""
    rng, n = shop.rng, shop.n
    day = np.arange(shop.days)
    rate = shop.pace * (shop.rate[:, None] * (shop.speed / shop.speed.mean())[None]).astype(np.float32)
    rate[day[None] <= shop.first[:, None]] = 0.0
    passed = np.cumsum(rate, axis=1, dtype=np.float64)  # operational time of each customer
    total = passed[:, -1]
    draws = np.ceil(total * 1.15 + 5 * np.sqrt(total / shop.shape) + 3).astype(np.int64)
    owner = np.repeat(np.arange(n), draws)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(draws) - draws, draws)
    gap = rng.standard_gamma(shop.shape[owner]) / shop.shape[owner]
    gap *= 1 + shop.swing[owner] * np.where((place + owner) % 2, 1.0, -1.0)
    gap[place == 0] *= shop.first_gap
    before = np.cumsum(gap)
    at = before - np.repeat(before[np.cumsum(draws) - draws] - gap[place == 0], draws)
    visits = rng.geometric(np.maximum(shop.lost, 1e-9)) if shop.lost.any() else np.full(n, _NEVER)
    keep = (at < total[owner]) & (place < visits[owner] - 1)
    owner, at = owner[keep], at[keep]
    # All customers are looked up at once: each one's time goes on from the last one's.
    shift = np.cumsum(total + 1.0) - total - 1.0
    found = np.searchsorted((passed + shift[:, None]).ravel(), at + shift[owner], side="right")
    when = found - owner * shop.days
    keep = (when < shop.days) & (when < shop.end[owner])
    return np.concatenate([np.arange(n), owner[keep]]), np.concatenate([shop.first, when[keep]])
