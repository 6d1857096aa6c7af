"""The quantiles that networks of series are trained for, and others from them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Final

import numpy as np

from foretell.core import FloatArray
from foretell.data.panel import Panel
from foretell.series.support import Support

QUANTILES: Final = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
MIDDLE: Final = QUANTILES.index(0.5)


def at_levels(trained: FloatArray, quantiles: Sequence[float]) -> FloatArray:
    """Return the quantiles at other levels: between the trained ones by the normal distribution's scale.

    Examples
    --------
    >>> at_levels(np.arange(13.0), [0.5, 0.95]).tolist()
    [6.0, 11.0]
    """
    given = [NormalDist().inv_cdf(level) for level in QUANTILES]
    out = []
    for level in quantiles:
        if level in QUANTILES:
            out.append(trained[..., QUANTILES.index(level)])
            continue
        z = NormalDist().inv_cdf(level)
        k = int(np.clip(np.searchsorted(given, z), 1, len(given) - 1))
        share = (z - given[k - 1]) / (given[k] - given[k - 1])
        out.append(trained[..., k - 1] * (1.0 - share) + trained[..., k] * share)
    return np.stack(out, axis=-1)


_SURE: Final = 3.0  # standard deviations by which demands have become fewer


def means(trained: FloatArray, panel: Panel, support: Support) -> FloatArray:
    """Return the means of distributions of which quantiles are given, shape (n_series, h, n_targets).

    Between the quantiles they rise evenly. Demand once in a hundred days is beyond all quantiles, though: of
    what is intermittent, that is what the series' history was on average beyond them, and the mean is brought
    in proportion to the history's own, found in both ways. The history is that of late: demand that has died
    away is not forecast to come again.

    Parameters
    ----------
    trained : array, shape (n_series, h, n_targets, n_trained)
        At `QUANTILES`.
    panel : Panel
        The histories.
    support : Support
        Of the targets; only intermittent ones have values that are beyond all quantiles for long.
    """
    trained = support.within(trained)
    levels = np.array(QUANTILES)
    shares = np.diff(np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]]))

    def mean_of(quantiles: FloatArray, history: FloatArray) -> FloatArray:
        beyond = np.maximum(history - quantiles[..., -1:], 0.0)
        found: FloatArray = quantiles @ shares + beyond.mean(axis=-1)
        return found

    mean: FloatArray = trained @ shares
    for k in np.flatnonzero(support.intermittent):
        for i, (a, b) in enumerate(zip(panel.offsets[:-1], panel.offsets[1:], strict=True)):
            history = panel.values[a:b, k]
            history = _of_late(history[~np.isnan(history)])
            if history.any():
                own = history.mean() / mean_of(np.quantile(history, QUANTILES), history)
                mean[i, :, k] = own * mean_of(trained[i, :, k], history)
    return mean


def _of_late(history: FloatArray) -> FloatArray:
    """Return the end of an intermittent history in which demands are as frequent as they are now.

    As long as the second half has fewer of them than chance lets it have, the first half is left out.

    Examples
    --------
    >>> died_away = np.append(np.full(12, 5.0), np.zeros(66))
    >>> len(_of_late(died_away)), len(_of_late(np.tile([0.0, 0.0, 7.0], 90)))
    (39, 270)
    """
    while True:
        first, second = (np.count_nonzero(half) for half in np.array_split(history, 2))
        if first - second <= _SURE * np.sqrt(first + second):
            return history
        history = history[len(history) // 2 + len(history) % 2 :]
