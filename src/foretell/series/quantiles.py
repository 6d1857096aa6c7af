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


def means(trained: FloatArray, panel: Panel, support: Support) -> FloatArray:
    """Return the means of distributions of which quantiles are given, shape (n_series, h, n_targets).

    Between the quantiles they rise evenly. Demand once in a hundred days is beyond all quantiles, though: of
    what is intermittent, that is what the series' history was on average beyond them, and the mean is brought
    in proportion to the history's own, found in both ways.

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
            history = history[~np.isnan(history)]
            if history.any():
                own = history.mean() / mean_of(np.quantile(history, QUANTILES), history)
                mean[i, :, k] = own * mean_of(trained[i, :, k], history)
    return mean
