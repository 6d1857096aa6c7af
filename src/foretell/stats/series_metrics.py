"""Errors of forecasts of regular series; what was not observed (NaN) is not scored."""

from __future__ import annotations

import numpy as np

from foretell.core import FloatArray


def naive_scale(history: FloatArray, season: int) -> FloatArray:
    """Return the mean |y_t − y_{t−season}| of one series, shape (n_targets,): what MASE divides by.

    A series shorter than the season, or one that repeats itself exactly, is scaled by its steps; NaN where
    nothing can be told.
    """
    by_season, by_step = (_mean_change(history, lag) for lag in (season, 1))
    scale: FloatArray = np.where(by_season > 0, by_season, by_step)
    return np.where(scale > 0, scale, np.nan)


def _mean_change(history: FloatArray, lag: int) -> FloatArray:
    change = np.abs(history[lag:] - history[:-lag])
    known = ~np.isnan(change)
    total, count = np.where(known, change, 0.0).sum(axis=0), known.sum(axis=0)
    mean: FloatArray = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean


def mase(truth: FloatArray, forecast: FloatArray, scale: FloatArray) -> float:
    """Return the mean absolute scaled error (Hyndman and Koehler 2006), averaged over the series.

    Parameters
    ----------
    truth, forecast : array, shape (n_series, h, n_targets)
    scale : array, shape (n_series, n_targets)
        See `naive_scale`.
    """
    return _mean_of_series(np.abs(truth - forecast) / scale[:, None])


def mean_of_steps(values: FloatArray) -> FloatArray:
    """Return the mean over what is observed of the second axis; NaN where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    mean: FloatArray = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean


def _mean_of_series(values: FloatArray) -> float:
    """Return the mean over the series of each one's mean; series without any value are left out."""
    means = mean_of_steps(values)
    known = ~np.isnan(means)
    return float(means[known].mean()) if known.any() else float("nan")
