"""Histories on the operational clock, and the features that the network reads of each event."""

from __future__ import annotations

import bisect
import dataclasses
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from foretell.core import BoolArray, FloatArray, IntArray
from foretell.core.time import Unit
from foretell.data.log import EventLog
from foretell.events.clock import ClockTable
from foretell.events.horizon.effects import WIDTH, Effects
from foretell.nn.arrays import in_single, namespace
from foretell.nn.backend import Array, jnp

N_PACE = 5
_LEAST_TILT = 0.3


@dataclasses.dataclass(frozen=True)
class Histories:
    """One row per event, flat over customers, in clock units.

    An event in tick t lies somewhere in that tick. Its origin, from which the next gap is measured, is the
    tick's end where the merge rule allows one event a tick (so that gap g has reading (g − 1, g]), and the
    tick's beginning where several are possible.

    Attributes
    ----------
    ticks : int64 array, shape (n_events,)
    gap, mean_gap : array, shape (n_events,)
        From the event before (0 at the first), and their mean so far.
    count : array, shape (n_events,)
        Repeats so far: 0 at the first event.
    age : array, shape (n_events,)
        Since the customer's first event.
    lower, upper : array, shape (n_events,)
        Interval of the next gap; at the last event both are the silence up to the as-of date.
    last : bool array, shape (n_events,)
        The next gap is still open.
    remaining : array, shape (n_events,)
        To the as-of date: no longer gap can have been seen to end.
    marks, mean_marks : array, shape (n_events, n_marks + 2)
        log(1 + mark), and their mean over the customer's events so far; NaN where missing. Then the tilt
        by what is known of the customer, the same in both.
    """

    ticks: IntArray
    gap: FloatArray
    mean_gap: FloatArray
    count: FloatArray
    age: FloatArray
    lower: FloatArray
    upper: FloatArray
    last: BoolArray
    remaining: FloatArray
    marks: FloatArray
    mean_marks: FloatArray

    def filled(self, size: int) -> Histories:
        """Return the histories filled up with first events to some number of rows."""
        more = size - len(self.ticks)
        columns = {name: np.pad(v, [(0, more)] + [(0, 0)] * (v.ndim - 1)) for name, v in vars(self).items()}
        return Histories(**columns)


def on_device(values: npt.ArrayLike) -> Array:
    """Put numbers on the device as float32."""
    device: Array = in_single(values, jnp)
    return device


def origins(ticks: npt.ArrayLike, table: ClockTable, min_gap: int) -> FloatArray:
    """Return the reading from which the gap after an event in each tick is measured."""
    return table.at(np.asarray(ticks, dtype=np.int64) - 1 + min_gap)


def histories(log: EventLog, table: ClockTable, known: Effects | None = None) -> Histories:
    """Measure a log on a clock; the tilt by what is known of customers stands beside the marks."""
    starts, counts = log.offsets[:-1], log.counts
    first = np.repeat(starts, counts)
    position = np.arange(log.n_events)
    last = np.zeros(log.n_events, dtype=bool)
    last[log.offsets[1:] - 1] = True
    origin = origins(log.times, table, log.min_gap)
    count = (position - first).astype(float)
    age = origin - origin[first]
    gap = np.where(count > 0, origin - np.roll(origin, 1), 0.0)
    following = np.roll(log.times, -1)
    silence = table.at(log.as_of) - origin
    lower = np.where(last, silence, table.at(following - 1) - origin)
    upper = np.where(last, silence, table.at(following) - origin)
    marks = np.log1p(log.marks)
    means = _mean_marks(marks, starts, counts, count)
    if known is not None:
        tilt = known.tilt(log.static, log.n_customers)[log.owner]
        marks, means = (np.concatenate([part, tilt], axis=1) for part in (marks, means))
    return Histories(
        ticks=log.times,
        gap=gap,
        mean_gap=age / np.maximum(count, 1.0),
        count=count,
        age=age,
        lower=np.maximum(lower, 0.0),
        upper=np.maximum(upper, 0.0),
        last=last,
        remaining=np.maximum(silence, 0.0),
        marks=marks,
        mean_marks=means,
    )


def least_deviations(n_features: int, n_marks: int, unit: Unit) -> FloatArray:
    """Return how far features have to differ at least to count as far apart, where customers are tilted.

    A tilt by what tells next to nothing stays next to nothing.
    """
    least = np.full(n_features, 1e-6)
    first = (16 if unit == "hour" else 12) + n_marks
    for begin in (first, first + n_marks + WIDTH):
        least[begin : begin + WIDTH] = _LEAST_TILT
    return least


def _mean_marks(marks: FloatArray, starts: IntArray, counts: IntArray, count: FloatArray) -> FloatArray:
    """Return the means of the marks so far, NaN where none is known."""
    given = ~np.isnan(marks)
    if given.all():
        return running_sum(marks, starts, counts) / (count + 1.0)[:, None]
    known = running_sum(given.astype(float), starts, counts)
    total = running_sum(np.where(given, marks, 0.0), starts, counts)
    return np.where(known > 0, total / np.maximum(known, 1.0), np.nan)


class Steps(NamedTuple):
    """What the features of events are made of, see `Histories`; any leading shape."""

    gap: Array
    mean_gap: Array
    repeats: Array
    age: Array
    ticks: Array
    marks: Array
    mean_marks: Array


def step_features(steps: Steps, unit: Unit) -> Array:
    """Return the features of events, shape (..., 12 + 2 n_marks), or 4 more on an hourly clock.

    The same function serves whole logs and simulated events, so that both see the same numbers.
    """
    xp = namespace(steps.gap)
    gap, mean_gap, repeats = steps.gap, steps.mean_gap, steps.repeats
    columns = [
        xp.log1p(gap),
        xp.log1p(mean_gap),
        xp.log((gap + 0.5) / (mean_gap + 0.5)),
        xp.log1p(repeats),
        xp.log1p(steps.age),
        (repeats == 0).astype(gap.dtype),
    ]
    days = steps.ticks if unit == "day" else _whole(steps.ticks, 24)
    weekday = days + 3 - 7 * _whole(days + 3, 7)
    columns += [(weekday == k).astype(gap.dtype) for k in range(6)]
    if unit == "hour":
        angle = 2.0 * xp.pi * (steps.ticks - 24 * days) / 24.0
        columns += [xp.sin(angle), xp.cos(angle), xp.sin(2.0 * angle), xp.cos(2.0 * angle)]
    features: Array = xp.concatenate([xp.stack(columns, axis=-1), steps.marks, steps.mean_marks], axis=-1)
    return features


def _whole(ticks: Array, period: int) -> Array:
    """Return ``ticks // period``, exact below 2²⁴ ticks; ONNX has no remainders of arrays of any size."""
    whole: Array = namespace(ticks).floor(ticks / period).astype(ticks.dtype)
    return whole


@dataclasses.dataclass(frozen=True)
class FeatureScale:
    """Standardisation learned on the training log; values outside of its range are brought to the edge.

    The network reads a silence longer or a history richer than any seen in training as the longest or richest
    seen; the anchor itself always gets the true numbers.
    """

    mean: FloatArray
    deviation: FloatArray
    low: FloatArray
    high: FloatArray

    @classmethod
    def fit(cls, features: FloatArray, least: npt.ArrayLike = 1e-6) -> FeatureScale:
        """Learn from the features of all training events, shape (n_events, n_features), NaN where missing.

        Deviations are at least of some size: of a feature, or of all.
        """
        missing = np.isnan(features)
        if missing.any():
            # Of a feature that is never known nothing is learned.
            features = np.where(missing.all(axis=0), 0.0, features)
            mean, spread, lowest, highest = np.nanmean, np.nanstd, np.nanmin, np.nanmax
        else:
            mean, spread, lowest, highest = np.mean, np.std, np.min, np.max
        deviation = spread(features, axis=0)
        return cls(
            mean(features, axis=0),
            np.where(deviation > 1e-6, np.maximum(deviation, least), 1.0),
            lowest(features, axis=0),
            highest(features, axis=0),
        )

    def arrays(self, xp: Any = jnp) -> tuple[Array, ...]:
        """Return mean, deviation, lowest and highest value, by default on the device."""
        return tuple(in_single(part, xp) for part in (self.mean, self.deviation, self.low, self.high))


def standardised(scale: tuple[Array, ...], features: Array) -> Array:
    """Return features on the scale of `FeatureScale.arrays`; what is missing is the mean of training."""
    mean, deviation, low, high = scale
    xp = namespace(features)
    scaled = (xp.clip(features, low, high) - mean) / deviation
    known: Array = xp.where(xp.isnan(scaled), xp.zeros_like(scaled), scaled)
    return known


def running_median(values: FloatArray, first: BoolArray) -> FloatArray:
    """Return the median of each customer's values so far, the first of them left out (0 at the first).

    Examples
    --------
    >>> running_median(np.array([0.0, 7, 1, 4, 0, 9]), np.array([True, False, False, False, True, False]))
    array([0., 7., 4., 4., 0., 9.])
    """
    out = np.zeros(len(values))
    ordered: list[float] = []
    for i, (value, is_first) in enumerate(zip(values.tolist(), first.tolist(), strict=True)):
        if is_first:
            ordered = []
            continue
        bisect.insort(ordered, value)
        n = len(ordered)
        out[i] = 0.5 * (ordered[(n - 1) // 2] + ordered[n // 2])
    return out


def running_sum(values: FloatArray, starts: IntArray, counts: IntArray) -> FloatArray:
    """Return the sum of each customer's values so far, to the last bit whoever stands beside it.

    Parameters
    ----------
    values : array, shape (n_events, ...)
    starts, counts : array, shape (n_customers,)
        The customers' first rows, and how many they have.

    Examples
    --------
    >>> running_sum(np.array([1.0, 2, 3, 10, 20]), np.array([0, 3]), np.array([3, 2]))
    array([ 1.,  3.,  6., 10., 30.])
    """
    total = np.array(values)
    order = np.argsort(-counts, kind="stable")
    starts, longest = starts[order], counts[order]
    for position in range(1, int(longest[0]) if len(longest) else 0):
        rows = starts[: np.searchsorted(-longest, -position)] + position
        total[rows] += total[rows - 1]
    return total


def running_mean(values: FloatArray, count: FloatArray) -> FloatArray:
    """Return the mean of each customer's values so far, of which the first, at count 0, is left out."""
    first = np.flatnonzero(count == 0)
    sizes = np.diff(np.append(first, len(count)))
    mean: FloatArray = running_sum(np.where(count == 0, 0.0, values), first, sizes) / np.maximum(count, 1.0)
    return mean


def pace_features(history: Histories) -> FloatArray:
    """Return features of a customer's gaps so far, from which rules of thumb forecast.

    They are log(1 + ·) of the median gap so far, the mean log gap, its spread, and the two gaps before.
    """
    count, logs = history.count, np.log1p(history.gap)
    mean = running_mean(logs, count)
    spread = np.sqrt(np.maximum(running_mean(logs**2, count) - mean**2, 0.0))
    earlier = [np.where(count > k, np.roll(logs, k), mean) for k in (1, 2)]
    return np.column_stack([np.log1p(running_median(history.gap, count == 0)), mean, spread, *earlier])
