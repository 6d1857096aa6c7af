"""Features of a customer's own pace: what rules of thumb forecast from, handed to the network as numbers."""

from __future__ import annotations

import bisect

import numpy as np
import numpy.typing as npt

from foretell.events.history import Histories

FloatArray = npt.NDArray[np.float64]

N_PACE = 5


def running_median(values: FloatArray, first: npt.NDArray[np.bool_]) -> FloatArray:
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


def running_mean(values: FloatArray, count: FloatArray) -> FloatArray:
    """Return the mean of each customer's values so far, of which the first, at count 0, is left out."""
    first = np.flatnonzero(count == 0)
    sizes = np.diff(np.append(first, len(count)))
    total = np.cumsum(np.where(count == 0, 0.0, values))
    mean: FloatArray = (total - np.repeat(total[first], sizes)) / np.maximum(count, 1.0)
    return mean


def pace_features(history: Histories) -> FloatArray:
    """Return log(1 + ·) of the median gap so far, the mean log gap, its spread, and the two gaps before."""
    count, logs = history.count, np.log1p(history.gap)
    mean = running_mean(logs, count)
    spread = np.sqrt(np.maximum(running_mean(logs**2, count) - mean**2, 0.0))
    earlier = [np.where(count > k, np.roll(logs, k), mean) for k in (1, 2)]
    return np.column_stack([np.log1p(running_median(history.gap, count == 0)), mean, spread, *earlier])
