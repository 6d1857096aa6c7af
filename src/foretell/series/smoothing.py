"""Exponential smoothing of many series at once: the classical forecasts that the prior weighs and corrects.

Each family is a small grid of smoothing constants; its forecast is their mean, weighted by how well each has
forecast one step ahead. Every constant runs beside the others in one pass over time, with up to two additive
seasons; on the logarithms of positive series the same pass gives the multiplicative forms.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from foretell.core import BoolArray, FloatArray

Singles: TypeAlias = npt.NDArray[np.float32]

# Smoothing constants of level, trend (as a share of the level's), damping, and seasons, by family.
_SEASONAL: Final = (0.04, 0.3)
_GRID: Final = {
    "mean": [(0.03, 0.0, 0.0, 0.03)],
    "level": [(alpha, 0.0, 0.0, gamma) for alpha in (0.1, 0.3, 0.6, 0.95) for gamma in _SEASONAL],
    "damped": [
        (alpha, beta, phi, gamma)
        for alpha, beta, phi in (
            (0.1, 0.02, 0.98),
            (0.4, 0.02, 0.98),
            (0.7, 0.1, 0.95),
            (0.95, 0.05, 0.95),
            (0.9, 0.3, 0.85),
        )
        for gamma in _SEASONAL
    ],
    "trend": [
        (alpha, beta, 1.0, gamma)
        for alpha, beta in ((0.1, 0.005), (0.3, 0.02), (0.6, 0.05), (0.95, 0.01), (0.9, 0.2))
        for gamma in _SEASONAL
    ],
}
FAMILIES: Final = (*_GRID, "theta")
_CONSTANTS = np.array([each for members in _GRID.values() for each in members], dtype=np.float32)
_ALPHA, _BETA, _PHI, _GAMMA = _CONSTANTS.T
_ENDS = np.cumsum([len(members) for members in _GRID.values()])
_MEMBERS = {
    name: slice(int(end) - len(_GRID[name]), int(end)) for name, end in zip(_GRID, _ENDS, strict=True)
}
_REFERENCE = _MEMBERS["damped"].start + 2  # whose errors are the innovations
# A second season is smoothed only if it is at most so many of the first: a week of days, not a year of days.
LONGEST_RATIO: Final = 7
# Values of a series without a season, and cycles of one with, from which smoothing starts.
_FIRST_VALUES, _FIRST_CYCLES = 8, 3
_TINY = np.float32(1e-12)


class Smoothed(NamedTuple):
    """What smoothing says of each series.

    Attributes
    ----------
    forecasts : float32 array, shape (n, families, h)
    errors : float32 array, shape (n, families)
        Mean absolute error one step ahead.
    earlier : list of float32 array, shape (n, families, steps)
        Forecasts of the last steps from before them, for each number of steps held out.
    innovations : float32 array, shape (n, L)
        Errors one step ahead of one damped trend; 0 where nothing was observed.
    """

    forecasts: Singles
    errors: Singles
    earlier: list[Singles]
    innovations: Singles


class _State(NamedTuple):
    level: Singles
    trend: Singles
    seasons: list[Singles]
    error: Singles
    observed: Singles


def smooth(
    values: Singles, known: BoolArray, seasons: tuple[int, ...], h: int, held_out: tuple[int, ...] = ()
) -> Smoothed:
    """Smooth series and forecast them.

    Additive errors, damped trend and seasons (Hyndman et al. 2008, "Forecasting with exponential smoothing",
    table 2.2; two seasons as in Taylor 2003)::

        e = y − (l + φ b + s)
        l ← l + φ b + α e,   b ← φ b + α β e,   s ← s + γ e

    Theta is the level's forecast with half the slope of a straight line through all values (Hyndman and
    Billah 2003).

    Parameters
    ----------
    values : float32 array, shape (n, L)
        Of about unit scale, the last value last; what is not known is any number.
    known : bool array, shape (n, L)
    seasons : tuple of int
        Lengths above 1, at most two.
    h : int
    held_out : tuple of int
        Steps at the end that are forecast from before them, too.
    """
    n, length = values.shape
    first = np.where(known.any(axis=1), known.argmax(axis=1), length)
    begin = _start(values, known, first, seasons)
    state = _State(*begin, np.zeros((n, len(_ALPHA)), np.float32), np.zeros((n, 1), np.float32))
    columns = np.ascontiguousarray(values.T)[..., None]
    observed = np.ascontiguousarray(known.T.astype(np.float32))[..., None]
    live = np.ascontiguousarray((np.arange(length) >= first[:, None]).T.astype(np.float32))[..., None]
    gap = bool((live - observed).any() or not live.all())
    innovations = np.zeros((length, n), np.float32)
    alpha, beta, phi, gamma = _ALPHA, _ALPHA * _BETA, _PHI, _GAMMA
    level, trend, tables, error, count = state
    earlier: dict[int, Singles] = {}
    for t in range(length):
        if length - t in held_out:
            now = _State(level, trend, tables, error, count)
            slope = _slope(values[:, :t], known[:, :t])
            earlier[length - t] = _forecasts(now, t, length - t, slope)
        ahead = phi * trend
        if gap:
            ahead *= live[t]
        expected = level + ahead
        miss = columns[t] - expected
        for table in tables:
            miss -= table[t % len(table)]
        if gap:
            miss *= observed[t]
        innovations[t] = miss[:, _REFERENCE]
        level = expected + alpha * miss
        trend = (ahead if not gap else np.where(live[t] > 0, ahead, trend)) + beta * miss
        for table in tables:
            table[t % len(table)] += gamma * miss
        error = error + np.abs(miss)
        count = count + observed[t]
    last = _State(level, trend, tables, error, count)
    forecasts = _forecasts(last, length, h, _slope(values, known))
    each = np.asarray(error / np.maximum(count, 1.0), dtype=np.float32)
    errors = _by_family(each[..., None], _weights(last))[..., 0]
    return Smoothed(
        forecasts,
        np.concatenate([errors, errors[:, 1:2]], axis=1),
        [earlier[steps] for steps in held_out],
        np.ascontiguousarray(innovations.T),
    )


def _forecasts(state: _State, t: int, h: int, slope: Singles) -> Singles:
    """Return each family's forecasts of ``h`` steps from ``t`` on, shape (n, families, h)."""
    steps = np.arange(h)
    reach = np.cumsum(_PHI[:, None] ** (steps + 1), axis=1).astype(np.float32)
    values = state.level[..., None] + state.trend[..., None] * reach
    for table in state.seasons:
        values += np.moveaxis(table[(t + steps) % len(table)], 0, -1)
    weights = _weights(state)
    means = _by_family(values, weights)
    level = _MEMBERS["level"]
    delay = (weights[:, level] / _ALPHA[level]).sum(axis=1, keepdims=True)
    line = 0.5 * slope[:, None] * (steps + np.minimum(delay, np.maximum(state.observed, 1.0)))
    return np.concatenate([means, (means[:, 1] + line)[:, None]], axis=1)


def _weights(state: _State) -> Singles:
    """Return the weight of each constant in its family: the likelihood of its errors, taken for Laplace's."""
    each = np.log(state.error / np.maximum(state.observed, 1.0) + _TINY)
    weights = np.empty_like(each)
    for members in _MEMBERS.values():
        best = each[:, members].min(axis=1, keepdims=True)
        likelihood = np.exp(-np.minimum(state.observed, 100.0) * (each[:, members] - best))
        weights[:, members] = likelihood / likelihood.sum(axis=1, keepdims=True)
    return np.asarray(weights, np.float32)


def _by_family(values: Singles, weights: Singles) -> Singles:
    """Return weighted means over the constants of each family, (n, constants, h) to (n, families, h)."""
    parts = [
        np.einsum("nah,na->nh", values[:, members], weights[:, members]) for members in _MEMBERS.values()
    ]
    return np.stack(parts, axis=1)


def _start(
    values: Singles, known: BoolArray, first: FloatArray, seasons: tuple[int, ...]
) -> tuple[Singles, Singles, list[Singles]]:
    """Return the level, trend and seasons before the first value, from a line through the first values."""
    n, length = values.shape
    reach = max(_FIRST_VALUES, _FIRST_CYCLES * max(seasons, default=1))
    steps = np.arange(length, dtype=np.float32)
    used = (known & (steps < first[:, None] + reach)).astype(np.float32)
    middle, mean, slope = _line(values, used, steps)
    # A slope through few values says little.
    slope *= np.clip((used.sum(axis=1) - 2.0) / 6.0, 0.0, 1.0)
    rest = (values - mean[:, None] - slope[:, None] * (steps - middle[:, None])) * used
    tables = []
    for season in seasons:
        padding = -length % season
        folded = np.pad(rest, ((0, 0), (0, padding))).reshape(n, -1, season).sum(axis=1)
        count = np.pad(used, ((0, 0), (0, padding))).reshape(n, -1, season).sum(axis=1)
        profile = folded / (count + 0.5)
        rest = (rest - np.tile(profile, -(-length // season))[:, :length]) * used
        tables.append(np.repeat(profile.T[..., None], len(_ALPHA), axis=2))
    at_start = mean - slope * (middle - first + 1.0)
    trended = _BETA > 0
    level = np.where(trended, at_start[:, None], mean[:, None])
    return level.astype(np.float32), np.where(trended, slope[:, None], 0.0).astype(np.float32), tables


def _slope(values: Singles, known: BoolArray) -> Singles:
    """Return the slope of a line through all values."""
    steps = np.arange(values.shape[1], dtype=np.float32)
    return _line(values, known.astype(np.float32), steps)[2]


def _line(values: Singles, used: Singles, steps: Singles) -> tuple[Singles, Singles, Singles]:
    """Return mean step, mean value and slope of least squares, shape (n,) each."""
    count = np.maximum(used.sum(axis=1), 1.0)
    middle = (used * steps).sum(axis=1) / count
    mean = (values * used).sum(axis=1) / count
    away = (steps - middle[:, None]) * used
    slope = (away * (values - mean[:, None])).sum(axis=1) / np.maximum((away * away).sum(axis=1), 1e-9)
    return middle, mean, slope.astype(np.float32)
