"""The season of a panel: found by how much better the value a season ago foretells than the last one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foretell.data.panel import Panel

# Natural seasons to try where the grid's steps are bare numbers.
_USUAL = (4, 7, 12, 24, 52, 168)


def find_season(panel: Panel, seasons: Sequence[int] = (), *, most_series: int = 500) -> int:
    """Return the season whose naive forecast errs least over most of the series; 1 where none helps.

    The error of "as a season ago" is compared with that of "as one step ago" at the *season's* distance, so
    that a slow drift is not taken for a season: the mean |y_t − y_{t−s}| has to be smaller than the mean
    |y_t − y_{t−k}| at the distances k around s/2.

    Examples
    --------
    >>> wave = np.sin(2 * np.pi * np.arange(200) / 12)
    >>> find_season(Panel.from_arrays([wave]))
    12
    """
    candidates = [s for s in (seasons or panel.grid.season_lengths() or _USUAL) if s > 1]
    step = max(panel.n_series // most_series, 1)
    scores = np.array([[_gain(panel, i, s) for s in candidates] for i in range(0, panel.n_series, step)])
    if not scores.size or np.isnan(scores).all():
        return 1
    known = (~np.isnan(scores)).sum(axis=0)
    typical = np.where(
        known * 2 >= known.max(), np.nanmedian(np.where(known > 0, scores, 2.0), axis=0), np.inf
    )
    best = int(np.argmin(typical))
    # A shorter season that does nearly as well keeps the lookback short.
    near = [k for k in range(len(candidates)) if typical[k] <= typical[best] + 0.03]
    return int(candidates[near[0]]) if typical[best] < 0.9 else 1


def _gain(panel: Panel, series: int, season: int) -> float:
    """Return the error of the value a season ago over that of the value half a season ago; NaN if unknown."""
    values = panel.values[panel.offsets[series] : panel.offsets[series + 1], 0]
    if len(values) < 2 * season + 2:
        return np.nan
    half = max(season // 2, 1)
    errors = [np.abs(values[k:] - values[:-k]) for k in (season, half)]
    if any(np.isnan(error).all() for error in errors):
        return np.nan
    own, other = (float(np.nanmean(error)) for error in errors)
    return own / other if other > 0 else np.nan
