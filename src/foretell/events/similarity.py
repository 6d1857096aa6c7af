"""How alike the gaps of two stores are, and which stores are alike enough to share a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from foretell.core import FloatArray, IntArray
from foretell.errors import ParameterError

_LEVELS = np.arange(1, 100) / 100


@dataclasses.dataclass(frozen=True)
class Similarity:
    """How alike the gaps of two stores have to be to share a model: all four at once.

    Parameters
    ----------
    statistic : float
        Largest two-sample Kolmogorov-Smirnov statistic: the largest distance between the two distribution
        functions, from 0 to 1.
    slope : float
        Largest slope of the line through the Q-Q points, or of its inverse: 1 where the gaps spread alike.
    intercept : float
        Largest distance of the line's intercept from 0, in standard deviations of the quantiles.
    error : float
        Largest root mean square distance of the points from the line, in standard deviations of the
        quantiles: 0 where one distribution is the other stretched and moved.
    """

    statistic: float = 0.1
    slope: float = 1.5
    intercept: float = 0.5
    error: float = 0.3

    def __post_init__(self) -> None:
        for name, least in (("statistic", 0.0), ("slope", 1.0), ("intercept", 0.0), ("error", 0.0)):
            value = getattr(self, name)
            if not value >= least:
                raise ParameterError(f"{name}={value!r}; expected a number of at least {least:g}")


class Comparison(NamedTuple):
    """Two samples side by side.

    Attributes
    ----------
    statistic, p_value : float
        Of the two-sample Kolmogorov-Smirnov test. With thousands of gaps the tiniest difference has a small
        p-value; the statistic says how large it is.
    slope, intercept : float
        Of the line through the Q-Q points: second ≈ slope · first + intercept. The reduced major axis: the
        line is the same whichever sample comes first.
    error : float
        Root mean square distance of the points from the line, in standard deviations of the second sample's
        quantiles.
    """

    statistic: float
    p_value: float
    slope: float
    intercept: float
    error: float


def quantile_points(values: npt.ArrayLike) -> FloatArray:
    """Return the percentiles 1 … 99 of a sample, shape (99,)."""
    points: FloatArray = np.quantile(np.asarray(values, dtype=np.float64), _LEVELS)
    return points


def compare_gaps(first: npt.ArrayLike, second: npt.ArrayLike) -> Comparison:
    """Compare the gaps of two stores.

    References
    ----------
    Wilk, Gnanadesikan (1968), "Probability plotting methods for the analysis of data", Biometrika 55(1).

    Examples
    --------
    >>> from foretell.events.similarity import compare_gaps
    >>> comparison = compare_gaps([1, 2, 3, 4], [2, 4, 6, 8])
    >>> comparison.statistic, round(comparison.slope, 6), round(comparison.error, 6)
    (0.5, 2.0, 0.0)
    """
    for name, values in (("first", first), ("second", second)):
        if np.size(values) < 2:
            raise ParameterError(f"{name} holds {np.size(values)} gaps; expected at least 2")
    from scipy.stats import ks_2samp  # noqa: PLC0415  # slow to import, seldom needed

    test = ks_2samp(first, second, method="asymp")
    slope, intercept, error = _lines(np.stack([quantile_points(first), quantile_points(second)]))
    line = (float(part[0, 1]) for part in (slope, intercept, error))
    return Comparison(float(test.statistic), float(test.pvalue), *line)


def _lines(points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return slope, intercept and error of the Q-Q lines of all pairs, shape (n, n), second axis on first."""
    mean, deviation = points.mean(axis=1), np.maximum(points.std(axis=1), 1e-9)
    slope = deviation[None, :] / deviation[:, None]
    intercept = mean[None, :] - slope * mean[:, None]
    scaled = (points - mean[:, None]) / deviation[:, None]
    correlation = np.clip(scaled @ scaled.T / points.shape[1], -1.0, 1.0)
    return slope, intercept, np.sqrt(2.0 * (1.0 - correlation))


def _statistics(samples: Sequence[IntArray]) -> FloatArray:
    """Return the Kolmogorov-Smirnov statistics of all pairs of samples, shape (n, n)."""
    values = np.unique(np.concatenate(samples))
    below = np.stack([np.searchsorted(np.sort(s), values, side="right") / len(s) for s in samples])
    return np.stack([np.abs(below - row).max(axis=1) for row in below])


def similar_groups(samples: Sequence[npt.ArrayLike], limits: Similarity | None = None) -> IntArray:
    """Part stores into groups, within which every pair is alike.

    Groups grow by joining the two whose least similar members differ least (complete linkage), as long as
    every pair stays within the limits. They are numbered from 0 in the order in which they first appear.

    Examples
    --------
    >>> from foretell.events.similarity import similar_groups
    >>> similar_groups([[7, 7, 14, 7], [30, 31, 29, 60], [7, 7, 14, 7]])
    array([0, 1, 0])
    """
    limits = limits or Similarity()
    arrays = [np.asarray(sample) for sample in samples]
    short = [k for k, array in enumerate(arrays) if array.size < 2]
    if short:
        raise ParameterError(f"samples {short[:3]} hold fewer than 2 gaps; leave these stores out")
    if len(arrays) < 2:
        return np.zeros(len(arrays), dtype=np.int64)
    statistic = _statistics(arrays)
    slope, intercept, error = _lines(np.stack([quantile_points(array) for array in arrays]))
    deviation = np.array([quantile_points(array).std() for array in arrays])
    offset = np.abs(intercept) / np.maximum(deviation[None, :], 1e-9)
    alike = (
        (statistic <= limits.statistic)
        & (np.maximum(slope, slope.T) <= limits.slope)
        & (np.maximum(offset, offset.T) <= limits.intercept)
        & (error <= limits.error)
    )
    # The statistic is at most 1: pairs that are not alike lie further apart than any that are.
    distance = np.where(alike, statistic, 2.0 + statistic)
    np.fill_diagonal(distance, 0.0)
    from scipy.cluster import hierarchy  # noqa: PLC0415  # slow to import, seldom needed
    from scipy.spatial.distance import squareform  # noqa: PLC0415

    tree = hierarchy.linkage(squareform(distance, checks=False), method="complete")
    clusters = hierarchy.fcluster(tree, t=1.5, criterion="distance")
    _, first, number = np.unique(clusters, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return np.asarray(rank[number], dtype=np.int64)
