"""Figures of merit of forecasts: pure functions of arrays.

A figure that is not defined for the data (no customer returned, all of one kind, …) is NaN; what was not
observed (NaN) is not scored.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from foretell.core import FloatArray, IntArray

_BINS = 10


class Reliability(NamedTuple):
    """How often it happened where a probability was forecast: points of the reliability diagram.

    Attributes
    ----------
    forecast : array, shape (n_bins,)
        Mean forecast probability of each bin, ascending.
    observed : array, shape (n_bins,)
        Share of the bin in which it happened.
    size : array, shape (n_bins,)
        Forecasts in the bin.
    """

    forecast: FloatArray
    observed: FloatArray
    size: IntArray


def rmse(actual: npt.ArrayLike, forecast: npt.ArrayLike) -> float:
    """Return the root of the mean squared error.

    Examples
    --------
    >>> rmse([0, 2], [1, 3])
    1.0
    """
    return float(np.sqrt(np.mean(_errors(actual, forecast) ** 2)))


def brier(happened: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """Return the Brier score: the mean squared distance of the probabilities to 0 or 1.

    Examples
    --------
    >>> brier([True, False], [0.5, 0.5])
    0.25
    """
    return float(np.mean(_errors(happened, probability) ** 2))


def reliability(happened: npt.ArrayLike, probability: npt.ArrayLike, bins: int = _BINS) -> Reliability:
    """Return observed against forecast frequencies, in bins of about equally many forecasts.

    Equal forecasts may part over two bins; the order in which they came decides, not what happened.

    Parameters
    ----------
    happened : array-like of bool, shape (n,)
    probability : array-like, shape (n,)
    bins : int
        Fewer are returned for fewer forecasts.

    Examples
    --------
    >>> reliability([False, True, True, True], [0.1, 0.3, 0.8, 0.8], bins=2)
    Reliability(forecast=array([0.2, 0.8]), observed=array([0.5, 1. ]), size=array([2, 2]))
    """
    truth, chance = _array(happened), _array(probability)
    order = np.argsort(chance, kind="stable")
    edges = np.linspace(0, len(order), min(bins, len(order)) + 1).round().astype(np.int64)
    size, starts = np.diff(edges), edges[:-1]
    return Reliability(
        np.add.reduceat(chance[order], starts) / size, np.add.reduceat(truth[order], starts) / size, size
    )


def expected_calibration_error(
    happened: npt.ArrayLike, probability: npt.ArrayLike, bins: int = _BINS
) -> float:
    """Return the mean distance between forecast and observed frequency over equal-count bins.

    References
    ----------
    Naeini, Cooper, Hauskrecht (2015), "Obtaining well calibrated probabilities using Bayesian binning", AAAI;
    here with bins of equal counts.

    Examples
    --------
    >>> round(expected_calibration_error([0, 1, 1, 1], [0.1, 0.3, 0.8, 0.8], bins=2), 6)
    0.25
    """
    table = reliability(happened, probability, bins)
    return float(np.average(np.abs(table.forecast - table.observed), weights=table.size))


def auc(happened: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Return the chance that a case where it happened has the higher score; ties count half.

    References
    ----------
    Hanley, McNeil (1982), "The meaning and use of the area under a receiver operating characteristic (ROC)
    curve", Radiology 143(1): the Mann-Whitney statistic.

    Examples
    --------
    >>> auc([False, True, True], [0.2, 0.2, 0.9])
    0.75
    """
    truth = np.asarray(happened, dtype=bool)
    _, inverse, count = np.unique(_array(score), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[inverse]
    positive, negative = int(truth.sum()), int((~truth).sum())
    if not positive or not negative:
        return float("nan")
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))


def correlation(actual: npt.ArrayLike, forecast: npt.ArrayLike) -> float:
    """Return Pearson's correlation.

    Examples
    --------
    >>> round(correlation([1, 2, 3], [2, 4, 6]), 6)
    1.0
    """
    truth, guess = _array(actual), _array(forecast)
    if len(truth) < 2 or np.ptp(truth) == 0 or np.ptp(guess) == 0:
        return float("nan")
    return float(np.corrcoef(truth, guess)[0, 1])


def censored_crps(times: FloatArray, chances: FloatArray, waited: FloatArray) -> FloatArray:
    """Return ∫ (F(t) − 1{T ≤ t})² dt from now to the horizon, in ticks; who did not come is censored there.

    Parameters
    ----------
    times : array, shape (n_times,)
        Ascending, from 0 to the horizon.
    chances : array, shape (n, n_times)
        F, the probability of an event by each time; straight lines between.
    waited : array, shape (n,)
        T, the time of the next event; beyond the horizon it only counts that it did not come.

    References
    ----------
    Gneiting, Ranjan (2011), "Comparing density forecasts using threshold- and quantile-weighted scoring
    rules", JBES 29(3): the score weighted to the time before the horizon is proper.

    Examples
    --------
    >>> censored_crps(np.array([0.0, 10.0]), np.array([[0.0, 0.0]]), np.array([4.0]))
    array([6.])
    """
    width = np.diff(times)
    left, right = chances[:, :-1], chances[:, 1:]
    # ∫ F² and ∫ (1 − F)² over an interval in which F goes straight from left to right.
    before = width * (left**2 + left * right + right**2) / 3.0
    a, b = 1.0 - left, 1.0 - right
    after = width * (a**2 + a * b + b**2) / 3.0
    share = np.clip((waited[:, None] - times[:-1]) / width, 0.0, 1.0)  # of the interval that is before T
    # The interval that holds T is parted there.
    at = left + share * (right - left)
    split_before = share * width * (left**2 + left * at + at**2) / 3.0
    c = 1.0 - at
    split_after = (1.0 - share) * width * (c**2 + c * b + b**2) / 3.0
    parted = split_before + split_after
    total: FloatArray = np.where(share >= 1.0, before, np.where(share <= 0.0, after, parted)).sum(axis=1)
    return total


def _errors(actual: npt.ArrayLike, forecast: npt.ArrayLike) -> FloatArray:
    return _array(forecast) - _array(actual)


def _array(values: npt.ArrayLike) -> FloatArray:
    return np.asarray(values, dtype=np.float64)


def naive_scale(history: FloatArray, season: int) -> FloatArray:
    """Return the mean |y_t − y_{t−season}| of one series, shape (n_targets,): what MASE divides by.

    A series shorter than the season, or one that repeats itself exactly, is scaled by its steps; NaN where
    nothing is known.
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

    Shapes are (n_series, h, n_targets), and (n_series, n_targets) of the scale; see `naive_scale`.
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


def uniform_distance(values: npt.ArrayLike) -> float:
    """Return the Kolmogorov-Smirnov distance of values in [0, 1] from the uniform distribution.

    Examples
    --------
    >>> uniform_distance([0.125, 0.375, 0.625, 0.875]), uniform_distance([1.0, 1.0])
    (0.125, 1.0)
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    below, above = np.arange(n) / n, np.arange(1, n + 1) / n
    return float(np.maximum(above - ordered, ordered - below).max())
