"""What the prior reads of a series: its classical forecasts, how they have done, and its last cycles.

Everything is written in units of the series' own error one step ahead, about its last cycle's mean, so that a
network sees neither level nor unit. Seasons are given, never learned.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from foretell.core import BoolArray, FloatArray, IntArray
from foretell.series.smoothing import FAMILIES, LONGEST_RATIO, Singles, smooth

TOKENS, _FINE = 72, 24  # a recurrent step each: the last values, and before them cycles or more values
_PER_CYCLE = 12  # tokens of a cycle, at most
_CYCLES, _LONG_CYCLES = 3, 2  # whose values at the same place are read, of the first and the second season
_SIMPLE: Final = ("last", "season ago", "long ago", "profile", "change")
ANCHORS: Final = (*FAMILIES, *(f"log {name}" for name in FAMILIES), *_SIMPLE)
_LEVEL = FAMILIES.index("level")
_MOST_STEPS, _LEAST_AHEAD, _MOST_AHEAD = 4096, 18, 60
# A forecast leaves the range of the history by at most so many times that range.
_REACH = 3.0
# Before anything is known of how a series varies: as a share of its level, halved with every value.
_SHARE = 0.3
_TINY, _WHOLE = 1e-30, 1e15  # larger numbers are whole, whatever they count


class Reading(NamedTuple):
    """Series as the prior reads them.

    Attributes
    ----------
    tokens : float32 array, shape (n, TOKENS, features)
        Oldest first.
    static : float32 array, shape (n, features)
    steps : float32 array, shape (n, h, features)
    anchors : float32 array, shape (n, h, len(ANCHORS))
        Classical forecasts, in units of ``scale`` about ``base``.
    base, scale : float64 array, shape (n,)
    usual : float64 array, shape (n,)
        Mean absolute change over a season, in units of ``scale``.
    """

    tokens: Singles
    static: Singles
    steps: Singles
    anchors: Singles
    base: FloatArray
    scale: FloatArray
    usual: FloatArray


class Seasons(NamedTuple):
    """Two seasons in steps; 1 where there is none. The second is a multiple of the first.

    Examples
    --------
    >>> Seasons(24, 168).smoothed, Seasons(7, 364).smoothed, Seasons(1, 1).smoothed
    ((24, 168), (7,), ())
    """

    first: int
    second: int = 1

    @classmethod
    def fitting(cls, first: int, second: int) -> Seasons:
        """Return seasons without those that are too long to be read twice."""
        second = second if 2 * second <= _MOST_STEPS else 1
        return cls(first, second) if 2 * first <= _MOST_STEPS else cls(1)

    @property
    def ahead(self) -> int:
        """Steps ahead that are forecast in one pass, for which the network was trained."""
        return _MOST_AHEAD if self.second > 1 else int(np.clip(3 * self.first, _LEAST_AHEAD, _MOST_AHEAD))

    @property
    def smoothed(self) -> tuple[int, ...]:
        """The seasons that are smoothed value by value; of a long one there are too few repetitions."""
        long = self.second if self.second <= LONGEST_RATIO * self.first else 1
        return tuple(season for season in (self.first, long) if season > 1)

    @property
    def patches(self) -> tuple[int, int]:
        """Steps of an early and of a late token."""
        fine = max(self.first // _PER_CYCLE, 1)
        return (self.first if self.second > 1 else fine), fine

    @property
    def context(self) -> int:
        """Steps that are read of a long series."""
        if self.second == 1:
            steps = max(6 * self.first, min(20 * self.first, 240)) + self.first
        else:
            steps = (2 if self.second > self.smoothed[-1] else 6) * self.second + self.first
        return min(max(steps, 120), _MOST_STEPS)


def read(values: FloatArray, seasons: Seasons, h: int) -> Reading:
    """Read series, shape (n, L), the last value last, NaN where missing; each has a value."""
    values = np.pad(values, ((0, 0), (max(2 - values.shape[1], 0), 0)), constant_values=np.nan)
    known = np.isfinite(values)
    centre, spread, floor = _standard(values, known)
    plain = _scaled(values, known, centre, spread)
    held_out = tuple(min(steps, values.shape[1] - 1) for steps in (h, max(h // 3, 1)))
    anchors, earlier, errors, innovations = _anchors(
        values, plain, known, (centre, spread), seasons, h, held_out
    )
    base = _last_cycle(plain, known, seasons.first)
    naive = [_difference(plain, known, lag) for lag in (1, seasons.first)]
    naive[1] = np.where(np.isnan(naive[1]), naive[0], naive[1])
    naive_error = np.nan_to_num(naive[1])
    count = known.sum(axis=1)
    best = errors[:, 1:4].min(axis=1)
    scale = np.sqrt((count * best**2 + 4.0 * naive_error**2) / (count + 4.0))
    scale = np.maximum(np.maximum(scale, 0.05 * naive_error), np.maximum(floor, 1e-6))

    def relative(numbers: FloatArray) -> FloatArray:
        shape = (-1,) + (1,) * (numbers.ndim - 1)
        away: FloatArray = (numbers - base.reshape(shape)) / scale.reshape(shape)
        return away

    def size(numbers: FloatArray) -> FloatArray:
        return np.asarray(np.clip(np.log(numbers / scale[:, None] + 1e-4), -8.0, 8.0))

    ratio = [size(np.nan_to_num(part)[:, None]) for part in (*naive, np.ones_like(scale))]
    shape = np.where(known, relative(plain), 0.0)
    misses = innovations / scale[:, None]
    static = [
        size(errors),
        *(_held_out_errors(plain, known, part, scale) for part in earlier),
        *ratio,
        _described(values, known, shape, misses),
        np.repeat([_about(seasons, h)], len(values), axis=0),
    ]
    scaled = relative(anchors)
    return Reading(
        _tokens(shape, known, misses, seasons),
        np.concatenate(static, axis=1).astype(np.float32),
        _steps(relative(plain), known, scaled, seasons, h),
        scaled.astype(np.float32),
        centre + base * spread,
        scale * spread,
        naive_error / scale,
    )


def _standard(values: FloatArray, known: BoolArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mean, spread and the least scale in units of the spread, shape (n,) each."""
    count = np.maximum(known.sum(axis=1), 1)
    largest = np.maximum(np.where(known, np.abs(values), 0.0).max(axis=1), _TINY)
    shares = np.where(known, values, 0.0) / largest[:, None]
    centre = shares.sum(axis=1) / count
    variance = (np.where(known, shares - centre[:, None], 0.0) ** 2).sum(axis=1) / count
    least = _SHARE * np.exp2(-np.minimum(count, 40.0)) * np.abs(centre)
    spread = np.sqrt(variance + least**2) + 1e-12
    return centre * largest, spread * largest, least / spread


def _scaled(values: FloatArray, known: BoolArray, centre: FloatArray, spread: FloatArray) -> FloatArray:
    """Return values less their centre, in units of their spread; 0 where missing."""
    numbers = np.where(known, values, centre[:, None])
    return (numbers - centre[:, None]) / spread[:, None]


def _anchors(
    values: FloatArray,
    plain: FloatArray,
    known: BoolArray,
    standard: tuple[FloatArray, FloatArray],
    seasons: Seasons,
    h: int,
    held_out: tuple[int, ...],
) -> tuple[FloatArray, list[FloatArray], FloatArray, FloatArray]:
    """Return forecasts (n, h, anchors), those of the held-out ends, errors one step ahead, innovations."""
    n, length = values.shape
    centre, spread = standard
    positive = np.where(known, values, 1.0).min(axis=1) > 0
    logs = np.log(np.where(known & positive[:, None], values, 1.0))
    middle, width, _ = _standard(np.where(known, logs, np.nan), known)
    rows = np.concatenate([plain, np.where(positive[:, None], _scaled(logs, known, middle, width), plain)])
    both = np.concatenate([known, known])
    smoothed = smooth(rows.astype(np.float32), both, seasons.smoothed, h, held_out)
    low, high = plain.min(axis=1)[:, None, None], plain.max(axis=1)[:, None, None]
    reach = _REACH * (high - low) + 1.0

    def together(forecasts: Singles, end: int) -> FloatArray:
        plainly, logged = forecasts[:n].astype(np.float64), forecasts[n:].astype(np.float64)
        grown = np.exp(np.minimum(middle[:, None, None] + width[:, None, None] * logged, 700.0))
        logged = np.where(
            positive[:, None, None], (grown - centre[:, None, None]) / spread[:, None, None], logged
        )
        simple = _simple(plain[:, :end], known[:, :end], plainly[:, _LEVEL], seasons)
        steps = np.concatenate([plainly, logged, simple], axis=1)
        return np.moveaxis(np.clip(steps, low - reach, high + reach), 1, 2)

    errors = smoothed.errors.astype(np.float64)
    per_unit = np.where(positive, width * np.abs(centre) / spread, 1.0)
    one_step = np.concatenate([errors[:n], errors[n:] * per_unit[:, None]], axis=1)
    earlier = [together(part, length - steps) for part, steps in zip(smoothed.earlier, held_out, strict=True)]
    innovations = smoothed.innovations[:n].astype(np.float64)
    return together(smoothed.forecasts, length), earlier, one_step, innovations


def _simple(plain: FloatArray, known: BoolArray, level: FloatArray, seasons: Seasons) -> FloatArray:
    """Return forecasts that repeat what was seen, shape (n, 5, h).

    The last value; that of a season ago; that of the long season ago, brought to today's level; what followed
    the last few seasons, from today's level on; the value of a season ago with the change since then.
    """
    steps = np.arange(level.shape[1])
    look = _Look(plain, known)
    last = np.repeat(_last(plain, known)[:, None], len(steps), axis=1)
    first, second = seasons
    ago = last
    for c in range(_CYCLES, 0, -1):
        value, seen = look(steps % first - c * first)
        ago = np.where(seen, value, ago)
    if first == 1:
        drifts = [_drift(plain, known, values) for values in (5, plain.shape[1])]
        return np.stack([last, last, last, *(last + drift * (steps + 1.0) for drift in drifts)], axis=1)

    def followed(period: int, cycles: int) -> FloatArray:
        """Return today's level and what came after that of whole periods ago."""
        now, present = look.mean(np.array([first // 2 - first]), first)
        total, weight = np.zeros_like(last), np.zeros_like(last)
        for c in range(1, cycles + 1):
            before, also = look.mean(np.array([first // 2 - first - c * period]), first)
            value, seen = look(steps % period - c * period)
            use = seen & also & present
            total += use * (now + value - before)
            weight += use
        return np.where(weight > 0, total / np.maximum(weight, 1.0), ago)

    period = seasons.smoothed[-1]
    profile = followed(period, _CYCLES)
    value, seen = look(steps % period - period)
    one, also = look(steps % first - period - first)
    both = seen & also
    if period > first:
        long_ago, change = followed(period, 1), np.where(both, ago + value - one, ago)
    else:
        now, present = look.mean(np.array([first // 2 - first]), first)
        before, too = look.mean(np.array([first // 2 - 2 * first]), first)
        long_ago, change = ago, np.where(present & too, ago + now - before, ago)
    if second > period:
        then, seen = look.mean(steps % second - second, first)
        now, also = look.mean(np.full(len(steps), -1 - second), first)
        long_ago = np.where(seen & also, level + then - now, long_ago)
    return np.stack([last, ago, long_ago, profile, change], axis=1)


def _last(plain: FloatArray, known: BoolArray) -> FloatArray:
    """Return the last value that is known."""
    place = np.where(known, np.arange(plain.shape[1]), 0).max(axis=1)
    last: FloatArray = plain[np.arange(len(plain)), place]
    return last


def _drift(plain: FloatArray, known: BoolArray, steps: int) -> FloatArray:
    """Return the mean change a step over the last steps, between known values, shape (n, 1)."""
    recent, seen = plain[:, -steps:], known[:, -steps:]
    begin = seen.argmax(axis=1)
    end = seen.shape[1] - 1 - seen[:, ::-1].argmax(axis=1)
    rows = np.arange(len(plain))
    change: FloatArray = (recent[rows, end] - recent[rows, begin]) / np.maximum(end - begin, 1)
    return change[:, None]


class _Look:
    """Values by their place before the end of series, 0 where there is none."""

    def __init__(self, plain: FloatArray, known: BoolArray) -> None:
        self.plain, self.known = plain, known
        self.sums: tuple[FloatArray, FloatArray] | None = None

    def __call__(self, offsets: IntArray) -> tuple[FloatArray, BoolArray]:
        """Return values at ``offsets`` below 0, and where they are known."""
        place = self.plain.shape[1] + offsets
        inside = np.clip(place, 0, None)
        seen = self.known[:, inside] & (place >= 0)
        return np.where(seen, self.plain[:, inside], 0.0), seen

    def mean(self, offsets: IntArray, width: int) -> tuple[FloatArray, BoolArray]:
        """Return means of about ``width`` values around ``offsets``, and where there are any."""
        if self.sums is None:
            start = np.zeros((len(self.plain), 1))
            parts = (np.where(self.known, self.plain, 0.0), self.known.astype(float))
            sums = [np.concatenate([start, np.cumsum(part, axis=1)], axis=1) for part in parts]
            self.sums = sums[0], sums[1]
        length = self.plain.shape[1]
        first = length + offsets - width // 2
        begin, end = np.clip(first, 0, length), np.clip(first + width, 0, length)
        total, count = (part[:, end] - part[:, begin] for part in self.sums)
        seen = count > 0
        return np.where(seen, total / np.maximum(count, 1.0), 0.0), seen


def _last_cycle(plain: FloatArray, known: BoolArray, season: int) -> FloatArray:
    """Return the mean of the last cycle, from the last value on back."""
    mean, _ = _Look(plain, known).mean(np.array([-season + season // 2]), season)
    last = _last(plain, known)
    seen = known[:, -season:].any(axis=1) if plain.shape[1] >= season else np.zeros(len(plain), bool)
    return np.asarray(np.where(seen, mean[:, 0], last)) if season > 1 else last


def _difference(plain: FloatArray, known: BoolArray, lag: int) -> FloatArray:
    """Return the mean absolute difference at a lag, NaN where none is known."""
    if plain.shape[1] <= lag:
        return np.full(len(plain), np.nan)
    both = known[:, lag:] & known[:, :-lag]
    total = (np.abs(plain[:, lag:] - plain[:, :-lag]) * both).sum(axis=1)
    count = both.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _held_out_errors(
    plain: FloatArray, known: BoolArray, forecasts: FloatArray, scale: FloatArray
) -> FloatArray:
    """Return the log of each anchor's error on the held-out end, and whether there was one."""
    steps = forecasts.shape[1]
    seen = known[:, -steps:] & (known[:, :-steps].sum(axis=1, keepdims=True) >= 2)
    miss = np.abs(forecasts - plain[:, -steps:, None]) * seen[..., None]
    count = seen.sum(axis=1)[:, None]
    size = np.log(miss.sum(axis=1) / np.maximum(count, 1) / scale[:, None] + 1e-3)
    return np.concatenate([np.where(count > 0, np.clip(size, -7.0, 7.0), 0.0), count > 0], axis=1)


def _described(values: FloatArray, known: BoolArray, shape: FloatArray, misses: FloatArray) -> FloatArray:
    """Return what is known of a series as a whole, shape (n, features)."""
    count = known.sum(axis=1)
    first = known.argmax(axis=1)
    span = values.shape[1] - first
    third = np.maximum(span // 3, 1)
    late = np.arange(values.shape[1]) >= (values.shape[1] - third)[:, None]

    def mean(numbers: FloatArray, where: BoolArray) -> FloatArray:
        return np.asarray((numbers * where).sum(axis=1) / np.maximum(where.sum(axis=1), 1))

    size = np.abs(misses)
    overall, recent = mean(size, known), mean(size, known & late)
    products = mean(misses[:, 1:] * misses[:, :-1], known[:, 1:] & known[:, :-1])
    given = np.where(known, values, 0.0)
    since = np.minimum(np.argmax(known[:, ::-1], axis=1), 50)
    columns = [
        np.log(count) / 3.0,
        np.minimum(count, 8) / 8.0,
        np.log(span) / 3.0,
        count / span,
        np.log1p(since),
        (given >= 0).all(axis=1),
        ((given == np.round(given)) & (np.abs(given) < _WHOLE)).all(axis=1),
        mean(given == 0, known),
        np.log((recent + 1e-3) / (overall + 1e-3)),
        products / np.maximum(mean(misses**2, known), 1e-9),
        np.clip(np.log((mean(misses**2, known) + 1e-9) / (overall**2 + 1e-9)), -3.0, 6.0),
        np.arcsinh(np.abs(mean(shape, known))),
        np.arcsinh(mean(np.abs(shape), known & late)),
        *np.arcsinh(np.pad(misses, ((0, 0), (2, 0)))[:, -3:].T),
        *np.arcsinh(np.pad(shape, ((0, 0), (2, 0)))[:, -3:].T),
    ]
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)


def _about(seasons: Seasons, h: int) -> list[float]:
    first, second = seasons
    return [float(first > 1), np.log(first) / 3.0, float(second > 1), np.log(second) / 5.0, np.log(h) / 3.0]


def _tokens(shape: FloatArray, known: BoolArray, misses: FloatArray, seasons: Seasons) -> Singles:
    """Return what the recurrent layer reads, shape (n, TOKENS, features), each token a mean over a patch."""
    early, late = seasons.patches
    n, season = len(shape), seasons.first
    reach = (TOKENS - _FINE) * early + _FINE * late
    extra = max(reach + season - shape.shape[1], 0)

    def tail(numbers: FloatArray) -> FloatArray:
        return np.pad(numbers, ((0, 0), (extra, 0)))[:, -(reach + season) :]

    shape, misses, seen = tail(shape), tail(misses), tail(known.astype(np.float64))
    sums, counts = np.cumsum(shape, axis=1), np.cumsum(seen, axis=1)
    cycle = (sums[:, season:] - sums[:, :-season]) / np.maximum(counts[:, season:] - counts[:, :-season], 1.0)
    both = seen[:, season:] * seen[:, :-season]
    change = (shape[:, season:] - shape[:, :-season]) * both
    parts = [shape[:, season:], misses[:, season:], np.abs(misses[:, season:]), cycle, change]
    weights = seen[:, season:]

    def patches(numbers: FloatArray) -> FloatArray:
        cut = (TOKENS - _FINE) * early
        before = numbers[:, :cut].reshape(n, -1, early).mean(axis=2)
        return np.concatenate([before, numbers[:, cut:].reshape(n, -1, late).mean(axis=2)], axis=1)

    share = patches(weights)
    means = [np.arcsinh(patches(part * weights) / np.maximum(share, 1e-9)) for part in parts]
    fine = np.repeat([np.arange(TOKENS) >= TOKENS - _FINE], n, axis=0)
    return np.stack([*means, share, fine], axis=2).astype(np.float32)


def _steps(relative: FloatArray, known: BoolArray, anchors: FloatArray, seasons: Seasons, h: int) -> Singles:
    """Return what is known of each step ahead, shape (n, h, features)."""
    n = len(relative)
    steps = np.arange(h)
    look = _Look(relative, known)
    columns: list[FloatArray] = []
    for season, cycles in ((seasons.first, _CYCLES), (seasons.second, _LONG_CYCLES)):
        for c in range(cycles):
            value, seen = look(steps % season - (c + 1) * season)
            columns += [np.arcsinh(value), seen.astype(float)]
    ahead = steps + 1.0
    count = known.sum(axis=1, keepdims=True)
    columns += [
        np.repeat([np.log(ahead) / 3.0], n, axis=0),
        np.repeat([np.arcsinh(ahead / seasons.first) / 3.0], n, axis=0),
        np.log(ahead / count),
        np.log(anchors.std(axis=2) + 1e-3),
    ]
    return np.concatenate([np.arcsinh(anchors), np.stack(columns, axis=2)], axis=2).astype(np.float32)
