"""Synthetic series for the prior: named families of levels, seasons, errors and supports, mixed and composed.

Every family is a function of a generator and a size; `draw` picks one of each kind for every series. No real
series is among them, and none was looked at to set their ranges, which are wide on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from foretell.series.prior_features import Seasons

FloatArray: TypeAlias = npt.NDArray[np.float64]
Rng: TypeAlias = np.random.Generator
Family: TypeAlias = Callable[[Rng, int, int], FloatArray]

UP: Final = 0.68  # most of what has a trend grows
# Levels change more, beside the error, the more time a step holds: by the first season.
PACE: Final = {1: (2.0, 50.0), 4: (1.0, 15.0), 12: (0.6, 8.0), 52: (0.4, 4.0), 7: (0.15, 1.3), 5: (0.15, 1.3)}
OTHER_PACE: Final = (0.3, 1.5)
# What is recorded by the year mostly grows, and by a share of its level: how often a fall is turned over, and
# how often the parts multiply, by the first season.
TURNED: Final = {1: 0.5, 4: 0.15}
MULTIPLIED: Final = {1: 0.7}


def spread(rng: Rng, low: float, high: float, n: int) -> FloatArray:
    """Return draws between two sizes, uniform in the logarithm, shape (n, 1)."""
    return np.exp(rng.uniform(np.log(low), np.log(high), (n, 1)))


def chosen(rng: Rng, share: float, n: int) -> npt.NDArray[np.bool_]:
    """Return which of n series have something that a share has, shape (n, 1)."""
    return rng.random((n, 1)) < share


def sign(rng: Rng, n: int, up: float = 0.5) -> FloatArray:
    """Return −1 or 1, shape (n, 1)."""
    return np.where(chosen(rng, up, n), 1.0, -1.0)


def recursion(start: FloatArray, shocks: FloatArray, keep: FloatArray) -> FloatArray:
    """Return x_t = keep x_{t−1} + shock_t, shape (n, length)."""
    out, state = np.empty_like(shocks), start.copy()
    for t in range(shocks.shape[1]):
        state = keep[:, 0] * state + shocks[:, t]
        out[:, t] = state
    return out


# Levels: about 1 unit of change a step, or over the whole length; `draw` gives them their size.


def steady(rng: Rng, n: int, length: int) -> FloatArray:
    """A level that never changes."""
    del rng
    return np.zeros((n, length))


def wandering(rng: Rng, n: int, length: int) -> FloatArray:
    """A random walk, a part of them with a drift."""
    drift = sign(rng, n, UP) * spread(rng, 0.02, 1.0, n) * chosen(rng, 0.6, n)
    walk = np.cumsum(rng.standard_normal((n, length)) + drift, axis=1)
    return walk * spread(rng, 0.03, 1.0, n)


def damped(rng: Rng, n: int, length: int) -> FloatArray:
    """A local trend whose slope is forgotten by a factor φ each step: exponential smoothing's own series."""
    keep = 1.0 - spread(rng, 0.008, 0.4, n)
    keep = np.where(chosen(rng, 0.15, n), 1.0, keep)
    slope_size = spread(rng, 0.02, 0.5, n)
    shocks = rng.standard_normal((n, length)) * slope_size * np.sqrt(1.0 - np.minimum(keep, 0.995) ** 2)
    slopes = recursion(rng.standard_normal(n) * slope_size[:, 0] * 1.5, shocks, keep)
    drift = sign(rng, n, UP) * slope_size * spread(rng, 0.2, 2.0, n) * chosen(rng, 0.5, n)
    steps = rng.standard_normal((n, length)) * spread(rng, 0.02, 0.7, n)
    return np.cumsum(slopes + drift + steps, axis=1)


def straight(rng: Rng, n: int, length: int) -> FloatArray:
    """A straight line."""
    return sign(rng, n, UP) * spread(rng, 1.0, 60.0, n) * np.linspace(0.0, 1.0, length)


def bent(rng: Rng, n: int, length: int) -> FloatArray:
    """Straight pieces: a slope that changes a few times, often late, in some of them to nothing."""
    t = np.linspace(0.0, 1.0, length)
    out = straight(rng, n, length)
    for _ in range(3):
        knot = rng.uniform(0.05, 1.0, (n, 1))
        flat = chosen(rng, 0.3, n)
        slope = np.where(flat, -(out[:, -1:] - out[:, -2:-1]) * length, straight(rng, n, length)[:, -1:])
        out += slope * np.maximum(t - knot, 0.0) * chosen(rng, 0.5, n)
    return out


def saturating(rng: Rng, n: int, length: int) -> FloatArray:
    """Growth or decline that comes to an end: a logistic curve."""
    t = np.linspace(0.0, 1.0, length)
    middle, width = rng.uniform(-0.3, 1.1, (n, 1)), spread(rng, 0.03, 0.5, n)
    curve = 1.0 / (1.0 + np.exp(np.clip(-(t - middle) / width, -50.0, 50.0)))
    return sign(rng, n, UP) * spread(rng, 1.0, 80.0, n) * curve


def growing(rng: Rng, n: int, length: int) -> FloatArray:
    """Growth by a factor each step, or a decay towards a floor."""
    t = np.linspace(0.0, 1.0, length)
    rate = rng.uniform(-6.0, 4.0, (n, 1))
    curve = np.exp(rate * t - np.maximum(rate, 0.0))
    return sign(rng, n, UP) * spread(rng, 1.0, 80.0, n) * curve


def returning(rng: Rng, n: int, length: int) -> FloatArray:
    """A level that returns to its mean."""
    keep = 1.0 - spread(rng, 0.004, 0.5, n)
    shocks = rng.standard_normal((n, length)) * np.sqrt(1.0 - keep**2)
    return recursion(rng.standard_normal(n), shocks, keep) * spread(rng, 0.3, 5.0, n)


def cycling(rng: Rng, n: int, length: int) -> FloatArray:
    """A cycle of no fixed length: an autoregression of order two with complex roots."""
    period, keep = spread(rng, 5.0, max(length, 10.0), n), 1.0 - spread(rng, 0.003, 0.15, n)
    first, second = 2.0 * keep * np.cos(2 * np.pi / period), -(keep**2)
    out = np.zeros((n, length))
    one, two = rng.standard_normal(n), rng.standard_normal(n)
    shocks = rng.standard_normal((n, length))
    for t in range(length):
        one, two = first[:, 0] * one + second[:, 0] * two + shocks[:, t], one
        out[:, t] = one
    return out / (out.std(axis=1, keepdims=True) + 1e-9) * spread(rng, 0.3, 8.0, n)


def smooth(rng: Rng, n: int, length: int) -> FloatArray:
    """A smooth curve: waves of random lengths, longer ones larger."""
    t = np.linspace(0.0, 1.0, length)
    power, out = rng.uniform(0.7, 2.0, (n, 1)), np.zeros((n, length))
    for k in range(1, 7):
        angle = 2 * np.pi * (rng.uniform(0.3, 0.7, (n, 1)) * k * t + rng.random((n, 1)))
        out += rng.standard_normal((n, 1)) * np.sin(angle) / k**power
    return out * spread(rng, 0.5, 15.0, n)


def stepping(rng: Rng, n: int, length: int) -> FloatArray:
    """A price: constant for a while, then another, in some of them back to the old one."""
    rate = spread(rng, 2.0 / length, 0.2, n)
    jumps = (rng.random((n, length)) < rate) * rng.standard_normal((n, length)) * spread(rng, 0.5, 6.0, n)
    keep = np.where(chosen(rng, 0.4, n), 0.0, 1.0)
    changed = np.maximum.accumulate(np.where(jumps != 0, np.arange(length), 0), axis=1)
    return np.where(keep > 0, np.cumsum(jumps, axis=1), np.take_along_axis(jumps, changed, axis=1))


def switching(rng: Rng, n: int, length: int) -> FloatArray:
    """Two regimes that take turns at random times."""
    rate = spread(rng, 1.0 / length, 0.1, n)
    turns = np.cumsum(rng.random((n, length)) < rate, axis=1) % 2
    return turns * sign(rng, n) * spread(rng, 0.7, 6.0, n)


LEVELS: Final[Mapping[Family, float]] = {
    steady: 0.12,
    wandering: 0.14,
    damped: 0.22,
    straight: 0.1,
    bent: 0.1,
    saturating: 0.07,
    growing: 0.06,
    returning: 0.09,
    cycling: 0.04,
    smooth: 0.04,
    stepping: 0.02,
    switching: 0.02,
}
# Of steps that hold much time: levels that go somewhere.
SLOW_LEVELS: Final[Mapping[Family, float]] = {
    wandering: 0.18,
    damped: 0.4,
    straight: 0.08,
    bent: 0.14,
    saturating: 0.07,
    growing: 0.09,
    smooth: 0.04,
}
SLOW: Final = {1: 0.85, 4: 0.6, 12: 0.4}  # how often, by the first season


# Seasons: profiles of one cycle, of unit spread.


def waves(rng: Rng, n: int, season: int) -> FloatArray:
    """A sum of waves, the longer ones larger."""
    t = 2 * np.pi * np.arange(season) / season
    power, out = rng.uniform(0.2, 2.0, (n, 1)), np.zeros((n, season))
    for k in range(1, min(max(season // 2, 1), 8) + 1):
        weights = rng.standard_normal((n, 2)) / k**power
        out += weights[:, :1] * np.sin(k * t) + weights[:, 1:] * np.cos(k * t)
    return out


def dummies(rng: Rng, n: int, season: int) -> FloatArray:
    """A value of its own for every place."""
    return rng.standard_normal((n, season))


def peaks(rng: Rng, n: int, season: int) -> FloatArray:
    """A few places that stand out."""
    share = np.maximum(rng.uniform(0.0, 0.4, (n, 1)), 1.0 / season)
    return np.abs(rng.standard_normal((n, season))) * (rng.random((n, season)) < share) * sign(rng, n)


def plateau(rng: Rng, n: int, season: int) -> FloatArray:
    """A stretch that is high, the rest low: opening hours, weekends, a high season."""
    begin, width = rng.integers(0, season, (n, 1)), rng.uniform(0.1, 0.8, (n, 1)) * season
    place = (np.arange(season) - begin) % season
    edge = spread(rng, 0.01, 0.15, n) * season
    rise = 1.0 / (1.0 + np.exp(np.clip(-place / edge, -50, 50)))
    fall = 1.0 / (1.0 + np.exp(np.clip((place - width) / edge, -50, 50)))
    return rise * fall


PROFILES: Final[Mapping[Family, float]] = {waves: 0.45, dummies: 0.25, peaks: 0.12, plateau: 0.18}


def mixed(rng: Rng, families: Mapping[Family, float], n: int, length: int) -> FloatArray:
    """Return series each of a family of its own, drawn by the families' shares."""
    shares = np.array(list(families.values()))
    owner = rng.choice(len(shares), n, p=shares / shares.sum())
    out = np.empty((n, length))
    for k, family in enumerate(families):
        rows = np.flatnonzero(owner == k)
        if len(rows):
            out[rows] = family(rng, len(rows), length)
    return out


def profile(rng: Rng, n: int, season: int) -> FloatArray:
    """Return the cycle of a season, of mean 0 and unit spread."""
    one = mixed(rng, PROFILES, n, season)
    one -= one.mean(axis=1, keepdims=True)
    return one / (one.std(axis=1, keepdims=True) + 1e-9)


def repeated(rng: Rng, cycle: FloatArray, length: int) -> FloatArray:
    """Return a season over time, from a random place on; in a part of the series its profile moves slowly."""
    n, season = cycle.shape
    moving = chosen(rng, 0.35, n)
    place = np.arange(length) + int(rng.integers(season))
    turns = place // season
    if not moving.any():
        return cycle[:, place % season]
    pace = spread(rng, 0.01, 0.3, n) * moving
    walks = np.cumsum(rng.standard_normal((n, int(turns[-1]) + 1, season)) * pace[..., None], axis=1)
    return cycle[:, place % season] + walks[:, turns, place % season]


def seasonal(rng: Rng, n: int, length: int, seasons: Seasons) -> FloatArray:
    """Return the seasons of series: the first, the second, both, or one that shapes the other."""
    first, second = seasons
    if first == 1:
        return np.zeros((n, length))
    most = 6.0 if len(seasons.smoothed) == 1 else 15.0
    own = repeated(rng, profile(rng, n, first), length) * spread(rng, 0.15, most, n) * chosen(rng, 0.85, n)
    # The season's size changes with time in some.
    own *= 1.0 + chosen(rng, 0.15, n) * rng.uniform(-0.8, 1.5, (n, 1)) * np.linspace(0.0, 1.0, length)
    if second == 1:
        return own
    if len(seasons.smoothed) == 1:  # a year of days
        year = waves(rng, n, second) * spread(rng, 0.2, 2.0, n)
        year += peaks(rng, n, second) * chosen(rng, 0.4, n) * (rng.random((n, 1)) < 0.3)
        place = np.arange(length) + int(rng.integers(second))
        return own + year[:, place % second] * chosen(rng, 0.6, n)
    blocks = second // first
    place = np.arange(length) + int(rng.integers(second))
    days = profile(rng, n, blocks)[:, place % second // first]
    whole = repeated(rng, profile(rng, n, second), length) * spread(rng, 0.05, 1.0, n)
    strength = spread(rng, 0.1, 1.0, n) * chosen(rng, 0.7, n)
    shaped = own * np.clip(1.0 + strength * days * chosen(rng, 0.6, n), 0.0, None)
    return shaped + days * strength * spread(rng, 0.2, 3.0, n) + whole * chosen(rng, 0.3, n)


# Errors, of about unit spread.


def normal(rng: Rng, n: int, length: int) -> FloatArray:
    """Normal errors."""
    return rng.standard_normal((n, length))


def heavy(rng: Rng, n: int, length: int) -> FloatArray:
    """Errors with heavy tails: Student's t with 2.5 to 6 degrees of freedom."""
    freedom = rng.uniform(2.5, 6.0, (n, 1))
    return rng.standard_t(freedom, (n, length)) / np.sqrt(freedom / (freedom - 2.0))


def skewed(rng: Rng, n: int, length: int) -> FloatArray:
    """Errors with one long tail."""
    shape = rng.uniform(0.5, 6.0, (n, 1))
    return sign(rng, n) * (rng.gamma(shape, 1.0, (n, length)) - shape) / np.sqrt(shape)


def persistent(rng: Rng, n: int, length: int) -> FloatArray:
    """Errors that depend on the one before."""
    keep = rng.uniform(-0.6, 0.9, (n, 1))
    return recursion(rng.standard_normal(n), normal(rng, n, length) * np.sqrt(1.0 - keep**2), keep)


def clustered(rng: Rng, n: int, length: int) -> FloatArray:
    """Errors whose size wanders: quiet times and loud times."""
    keep = 1.0 - spread(rng, 0.01, 0.2, n)
    size = recursion(rng.standard_normal(n), normal(rng, n, length) * np.sqrt(1.0 - keep**2), keep)
    return normal(rng, n, length) * np.exp(0.6 * size - 0.3)


ERRORS: Final[Mapping[Family, float]] = {
    normal: 0.4,
    heavy: 0.17,
    skewed: 0.1,
    persistent: 0.23,
    clustered: 0.1,
}


def events(rng: Rng, n: int, length: int) -> FloatArray:
    """Shifts of the level, most of them late; passing effects; single outliers."""
    t = np.arange(length)
    when = rng.uniform(0.0, 1.0, (n, 1)) ** 0.7 * length
    shift = rng.standard_normal((n, 1)) * spread(rng, 1.0, 6.0, n)
    fade = np.where(chosen(rng, 0.5, n), 1.0, np.exp(-np.maximum(t - when, 0.0) / spread(rng, 1.0, 30.0, n)))
    out = chosen(rng, 0.15, n) * shift * (t > when) * fade
    single = (rng.random((n, length)) < 0.008) & chosen(rng, 0.2, n)
    return out + single * rng.standard_normal((n, length)) * 6.0


def draw(rng: Rng, n: int, length: int, seasons: Seasons) -> FloatArray:
    """Draw series of any level, season, error and support.

    Parameters
    ----------
    rng : numpy.random.Generator
    n, length : int
    seasons : Seasons

    Returns
    -------
    array, shape (n, length)
    """
    slow = rng.random() < SLOW.get(seasons.first, 0.0)
    level = mixed(rng, SLOW_LEVELS if slow else LEVELS, n, length)
    level += chosen(rng, 0.3, n) * mixed(rng, LEVELS, n, length) * rng.uniform(0.1, 1.0, (n, 1))
    level *= spread(rng, *PACE.get(seasons.first, OTHER_PACE), n)
    falls = level[:, -1:] < level[:, :1]
    level *= np.where(falls & chosen(rng, TURNED.get(seasons.first, 0.0), n), -1.0, 1.0)
    season = seasonal(rng, n, length, seasons)
    error = mixed(rng, ERRORS, n, length)
    late = np.arange(length) > rng.uniform(0.3, 1.0, (n, 1)) * length
    error *= np.where(late & chosen(rng, 0.12, n), spread(rng, 0.3, 4.0, n), 1.0)
    size = spread(rng, 0.2, 2.0, n)
    size = np.where(chosen(rng, 0.06, n), spread(rng, 1e-6, 0.05, n), size)  # next to certain
    changes = events(rng, n, length)
    sums = level + season + size * (error + changes)
    reach = spread(rng, 2.0, 30.0, n)  # units of the error that make up the level
    reach = np.maximum(reach, np.ptp(level, axis=1, keepdims=True) / spread(rng, 0.3, 5.0, n))
    factors = np.exp(np.clip((level + size * changes) / reach, -4.0, 4.0))
    factors *= np.maximum(1.0 + season / reach, 0.02) * np.exp(np.clip(size * error / reach, -3.0, 3.0))
    offset = np.where(chosen(rng, 0.8, n), np.abs(sums.min(axis=1, keepdims=True)), 0.0)
    added = sums + offset * rng.uniform(0.8, 1.2, (n, 1)) + spread(rng, 0.3, 60.0, n)
    values = np.where(chosen(rng, MULTIPLIED.get(seasons.first, 0.5), n), factors * 10.0, added)
    return supported(rng, values)


def supported(rng: Rng, values: FloatArray) -> FloatArray:
    """Bring series to a support, such as counts, rare counts, shares, rounded values; and to a unit."""
    n, length = values.shape
    largest = np.abs(values).max(axis=1, keepdims=True) + 1e-9
    mean = np.maximum(values, 0.0) / (np.mean(np.maximum(values, 0.0), axis=1, keepdims=True) + 1e-9)
    kind = rng.choice(6, (n, 1), p=[0.74, 0.1, 0.05, 0.03, 0.04, 0.04])
    rate = np.minimum(mean * spread(rng, 0.3, 200.0, n), 1e6)
    rate = np.where(chosen(rng, 0.5, n), rate * rng.gamma(4.0, 0.25, (n, length)), rate)
    counts = rng.poisson(rate)
    busy = rng.random((n, length)) < np.clip(mean * rng.uniform(0.05, 0.5, (n, 1)), 0.0, 1.0)
    sizes = 1 + rng.poisson(np.minimum(mean, 50.0) * spread(rng, 0.05, 10.0, n))
    centred = (values - values.mean(axis=1, keepdims=True)) / (values.std(axis=1, keepdims=True) + 1e-9)
    share = 1.0 / (1.0 + np.exp(-centred * rng.uniform(0.3, 1.5, (n, 1)) - rng.uniform(-2, 2, (n, 1))))
    cap = np.quantile(values, 0.8, axis=1, keepdims=True) + rng.uniform(0, 0.3, (n, 1)) * largest
    grain = largest * spread(rng, 0.001, 0.1, n)
    unit = spread(rng, 0.01, 1e4, n)
    scaled = [values, counts, busy * sizes, share, np.minimum(values, cap), np.round(values / grain)]
    out = np.choose(kind, scaled)
    return out * np.where((kind == 1) | (kind == 2), 1.0, unit)


def missing(rng: Rng, values: FloatArray) -> FloatArray:
    """Return series with holes: single values, or runs of them; the first and the last value stay."""
    n, length = values.shape
    gone = rng.random((n, length)) < rng.uniform(0.0, 0.3, (n, 1)) * chosen(rng, 0.6, n)
    begin = rng.integers(0, length, (n, 1))
    run = (np.arange(length) >= begin) & (np.arange(length) < begin + spread(rng, 1.0, length / 3 + 1, n))
    gone |= run & chosen(rng, 0.4, n)
    gone[:, [0, -1]] = False
    return np.where(gone, np.nan, values)
