"""The prior: a network in the package, trained on synthetic series alone, that forecasts series it never saw.

It runs on NumPy alone: no training, no compilation, no engine to import.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from foretell.core import FloatArray, IntArray
from foretell.data.panel import Panel
from foretell.data.periodicity import find_season
from foretell.nn.arrays import one_thread
from foretell.series.prior_features import ANCHORS, Reading, Seasons, read
from foretell.series.prior_network import Weights, forecast
from foretell.series.quantiles import MIDDLE, QUANTILES, at_levels

WEIGHTS: Final = Path(__file__).with_name("prior.npz")
# Series that the network answers for at once; lengths are rounded up to multiples.
_BATCH, _ROOM = 64, 16
# Series by the month and coarser are short, and their trends differ from those of synthetic ones: there the
# location lies half-way to the mean of trended forecasts. Chosen on the last two horizons of training parts.
_COMBINED: Final = 0.5
_LONGEST_COMBINED: Final = 12
_TRENDED: Final = [
    ANCHORS.index(name)
    for name in ("damped", "trend", "theta", "log damped", "log trend", "log theta", "change")
]
# What bare numbers may be, by their season: days of weeks and years; hours, half and quarter hours of days.
_PAIRS: Final = ((7, 364), (24, 168), (48, 336), (96, 672))


def prior_quantiles(
    panel: Panel, h: int, quantiles: Sequence[float], season: int | None = None
) -> FloatArray:
    """Return quantiles of the steps after each series' end, shape (n_series, h, n_targets, n_quantiles).

    They are sorted, and NaN for a series without any observed value.

    Parameters
    ----------
    panel : Panel
    h : int
    quantiles : sequence of float
    season : int, optional
        The shorter of two seasons; by default the natural one of the panel's step, or what is found.
    """
    seasons = seasons_of(panel, first_season(panel) if season is None else season)
    with one_thread():
        columns = [
            _quantiles_of(column, panel.offsets, seasons, h)
            for column in np.ascontiguousarray(panel.values.T)
        ]
    return np.sort(at_levels(np.stack(columns, axis=2), quantiles), axis=-1)


def first_season(panel: Panel) -> int:
    """Return the shortest natural season, or of bare numbers the one that is found; 1 where there is none."""
    if panel.grid.frequency.unit == "number":
        return find_season(panel)
    return min(panel.grid.season_lengths(), default=1)


def seasons_of(panel: Panel, season: int) -> Seasons:
    """Return a season with the one that goes with it: natural of the step, or usual of bare numbers.

    Examples
    --------
    >>> seasons_of(Panel.from_arrays([[1, 2]], freq="1d"), 7), seasons_of(Panel.from_arrays([[1, 2]]), 168)
    (Seasons(first=7, second=364), Seasons(first=24, second=168))
    """
    natural = panel.grid.season_lengths()
    for pair in [natural] if natural else _PAIRS:
        if len(pair) == 2 and season in pair:
            return Seasons.fitting(pair[0], pair[1] // pair[0] * pair[0])
    return Seasons.fitting(season, 1)


@functools.cache
def prior_weights() -> Weights:
    """Return the weights that come with the package, in single precision."""
    with np.load(WEIGHTS) as kept:
        return {name: kept[name].astype(np.float32) for name in kept.files}


def _quantiles_of(column: FloatArray, offsets: IntArray, seasons: Seasons, h: int) -> FloatArray:
    """Return quantiles of one target, shape (n, h, len(QUANTILES)); NaN for a series without a value."""
    n = len(offsets) - 1
    place = np.where(np.isfinite(column), np.arange(len(column)), -1)
    last = np.maximum.reduceat(place, offsets[:-1]) if len(column) else np.zeros(0, np.int64)
    ends = np.where(last >= offsets[:-1], last + 1, offsets[:-1])
    late = offsets[1:] - ends  # steps since the last value, which are forecast, too
    lengths = np.minimum(ends - offsets[:-1], seasons.context)
    out = np.full((n, h, len(QUANTILES)), np.nan)
    for rows, room, since in _batches(lengths, late):
        steps = np.arange(-room, 0)
        inside = steps >= -lengths[rows, None]
        values = np.where(inside, column[np.maximum(ends[rows, None] + steps, 0)], np.nan)
        out[rows] = _rolled(values, seasons, h + since)[:, since:]
    return out


def _batches(lengths: IntArray, late: IntArray) -> Iterator[tuple[IntArray, int, int]]:
    """Return series that are read alike: some at a time, in how many steps, and how late they are.

    What a series is read with depends on itself alone, to the last bit.
    """
    rooms = -(-lengths // _ROOM) * _ROOM
    order = np.lexsort([late, rooms])
    order = order[lengths[order] > 0]
    alike = np.stack([rooms, late], axis=1)[order]
    cuts = np.flatnonzero((alike[1:] != alike[:-1]).any(axis=1)) + 1
    for group in np.split(order, cuts) if len(order) else ():
        for begin in range(0, len(group), _BATCH):
            yield group[begin : begin + _BATCH], int(rooms[group[0]]), int(late[group[0]])


def _scaled_quantiles(reading: Reading, seasons: Seasons) -> FloatArray:
    """Return what the network says.

    Of steps without a second season, months and coarser ones, the median moves towards the mean of classical
    forecasts that follow a trend, and all quantiles with it.
    """
    parts = reading.tokens, reading.static, reading.steps, reading.anchors
    answer: FloatArray = forecast(prior_weights(), parts)
    if seasons.second > 1 or seasons.first > _LONGEST_COMBINED:
        return answer
    combined = reading.anchors[..., _TRENDED].mean(axis=-1)
    answer += _COMBINED * (combined - answer[..., MIDDLE])[..., None]
    return answer


def _rolled(values: FloatArray, seasons: Seasons, h: int) -> FloatArray:
    """Return quantiles of ``h`` steps; beyond those of one pass, from the medians of the steps before.

    Distances from the median grow by those at the end of the pass before, in quadrature. What was never below
    0, or always 0, stays there.
    """
    floor = np.where(np.nanmin(values, axis=1) >= 0, 0.0, -np.inf)[:, None, None]
    ceiling = np.where(np.nanmax(np.abs(values), axis=1) > 0, np.inf, 0.0)[:, None, None]
    blocks: list[FloatArray] = []
    spread: FloatArray | float = 0.0
    reached = 0
    while reached < h:
        steps = min(seasons.ahead, h - reached)
        reading = read(values, seasons, steps)
        scaled = _scaled_quantiles(reading, seasons)
        block = reading.base[:, None, None] + scaled * reading.scale[:, None, None]
        median = np.clip(block[..., MIDDLE : MIDDLE + 1], floor, ceiling)
        reach = np.sign(block - median) * np.hypot(block - median, spread)
        blocks.append(np.clip(median + reach, floor, ceiling))
        spread = np.abs(reach[:, -1:])
        values = np.concatenate([values, median[..., 0]], axis=1)[:, -seasons.context :]
        reached += steps
    return np.concatenate(blocks, axis=1)
