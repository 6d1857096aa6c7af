"""What held-out windows say: how far to trust the network over its anchor, how wide quantiles must be."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from foretell.core import BoolArray, FloatArray, IntArray
from foretell.nn.arrays import to_device
from foretell.nn.backend import Array
from foretell.series.quantiles import MIDDLE, QUANTILES
from foretell.series.windows import Windows
from foretell.stats.blending import surely_positive

# Fewer held-out values than this at a step of the horizon, and the steps are taken together.
_ENOUGH = 200
# With fewer there is no telling whether the network is better than the rule.
_FEW = 12
# A quantile's distance to the median is multiplied by no more; what is lacking then is added.
_WIDEST = 2.0
# From so many separate periods or series on they have a say in whether the network is better than the rule.
_FEWEST = 4
# The rule's own errors count as much as so many separate held-out horizons.
_RULE_COUNTS = 4.0
_REACHED = np.array([abs(1.0 - 2.0 * level) for level in QUANTILES])


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What held-out windows say of a network.

    Attributes
    ----------
    factors : float64 array, shape (steps, n_quantiles)
        By which each quantile's distance to the median is multiplied.
    trust : float
        Share of the way from the anchor to the network's median that is gone: 0 where the simple rule errs
        less, 1 where the network has learned what the rule cannot know.
    added : float64 array, shape (steps, n_quantiles)
        What is added to each quantile, in scales of the window: below 0 under the median, above 0 over it.
    """

    factors: FloatArray
    trust: float
    added: FloatArray

    @classmethod
    def none(cls, steps: int) -> Calibration:
        """Leave quantiles as they are."""
        return cls(np.ones((steps, len(QUANTILES))), 1.0, np.zeros((steps, len(QUANTILES))))

    @classmethod
    def fit(
        cls,
        truth: FloatArray,
        quantiles: FloatArray,
        anchor: FloatArray,
        clusters: Sequence[IntArray] = (),
        rule: FloatArray | None = None,
    ) -> Calibration:
        """Find how far to trust the median, and how wide quantiles have to be to hold on held-out windows.

        The score of a value is its distance to the median in units of the quantile's distance on its side
        (Romano, Patterson and Candès 2019, scaled); the factor of a central interval is the score's own
        quantile. Both of its ends share it: which side the values of one last part lie on is an accident.
        Where a factor would have to be large, since the network sees no uncertainty at all, the rest is
        added. The less was held out that far ahead, the more counts how the rule has erred over the whole
        history, and nothing else where nothing was.

        Parameters
        ----------
        truth : array, shape (n, steps, n_targets)
            NaN where not observed.
        quantiles : array, shape (n, steps, n_targets, n_quantiles)
        anchor : array, shape (n, steps, n_targets)
        clusters : sequence of int array, shape (n, n_targets) each
            Which values err together, in one way or another, see `clusters_of`.
        rule : array, shape (steps, n_quantiles), optional
            Distances to the median that have held for the rule, see `reach_of_rule`.
        """
        steps, known = truth.shape[1], ~np.isnan(truth)
        quantiles = np.sort(quantiles, axis=-1)
        trust = _trust(truth, quantiles[..., MIDDLE], anchor)
        if trust and not _surely_better(truth, quantiles[..., MIDDLE], anchor, trust, clusters):
            trust = 0.0
        quantiles = _trusted(quantiles, anchor, trust)
        factors, added = (np.zeros((steps, len(QUANTILES))) for _ in range(2))
        pooled = known.sum(axis=(0, 2)).min() < _ENOUGH
        distance = np.abs(truth - quantiles[..., MIDDLE])
        for k in range(MIDDLE if known.any() else 0):
            low, high = (np.abs(quantiles[..., j] - quantiles[..., MIDDLE]) for j in (k, -1 - k))
            reach = np.where(truth < quantiles[..., MIDDLE], low, high)

            def held(scores: FloatArray, share: float) -> FloatArray:
                by_step = np.moveaxis(scores, 1, 0).reshape(1 if pooled else steps, -1)
                return np.nanquantile(by_step, share, axis=1)

            # Beyond the widest factor a score only has to be large.
            score = np.zeros_like(distance)
            np.divide(distance, np.maximum(reach, distance / (2 * _WIDEST)), out=score, where=distance != 0)
            factor = np.clip(held(score, _REACHED[k]), 0.0, _WIDEST)
            lacking = distance - np.broadcast_to(factor, steps)[:, None] * reach
            rest = np.where(factor < _WIDEST, 0.0, np.maximum(held(lacking, _REACHED[k]), 0.0))
            factors[:, k] = factors[:, -1 - k] = factor
            added[:, k], added[:, -1 - k] = -rest, rest
        if rule is not None:
            share = _RULE_COUNTS / (_RULE_COUNTS + _separate(known, clusters))[:, None]
            factors, added = factors * (1.0 - share), added * (1.0 - share) + rule * share
        return cls(factors, trust, added)

    def apply(self, quantiles: FloatArray, anchor: FloatArray) -> FloatArray:
        """Return calibrated, sorted quantiles, shape (n, steps, n_targets, n_quantiles)."""
        quantiles = np.sort(quantiles, axis=-1)
        middle = quantiles[..., MIDDLE : MIDDLE + 1]
        trusted = anchor[..., None] + self.trust * (middle - anchor[..., None])
        factors, added = self.factors[:, None], self.added[:, None]
        return np.sort(trusted + (quantiles - middle) * factors + added, axis=-1)

    def on_device(self, steps: int | None = None) -> tuple[Array, Array, Array]:
        """Return trust, factors and what is added, of the first steps, for `calibrated`."""
        parts = (self.factors[:steps, None], self.added[:steps, None])
        return jnp.float32(self.trust), *(to_device(part.astype(np.float32)) for part in parts)


def calibrated(quantiles: Array, anchor: Array, calibration: tuple[Array, Array, Array]) -> Array:
    """Return what `Calibration.apply` does, of sorted quantiles, inside of a compiled program."""
    trust, factors, added = calibration
    middle = quantiles[..., MIDDLE : MIDDLE + 1]
    trusted = anchor[..., None] + trust * (middle - anchor[..., None])
    return jnp.sort(trusted + (quantiles - middle) * factors + added, axis=-1)


def reach_of_rule(errors: FloatArray, season: int) -> FloatArray:
    """Return quantiles of the rule's errors about 0 at each step ahead, shape (steps, n_quantiles).

    Steps with few errors share those of all steps, which grow by a power of the seasons ahead: the power is
    found in the errors, and is that of a random walk where they say nothing.

    Parameters
    ----------
    errors : array, shape (n, steps, n_targets)
        What came less what the rule said, in scales of the window; NaN where nothing came.
    season : int
        Steps.
    """
    steps = errors.shape[1]
    sizes = np.abs(np.moveaxis(errors, 1, 0).reshape(steps, -1))
    known = ~np.isnan(sizes)
    counts, ahead = known.sum(axis=1), np.log(np.arange(steps) // season + 1.0)
    mean = np.where(known, sizes, 0.0).sum(axis=1) / np.maximum(counts, 1)
    weights = np.where(mean > 0, counts, 0.0)
    power = 0.5
    if weights.sum():
        centred = ahead - np.average(ahead, weights=weights)
        spread = float(np.sum(weights * centred**2))
        if spread > 0:
            slope = np.sum(weights * centred * np.log(np.where(mean > 0, mean, 1.0))) / spread
            power = float(np.clip(slope, 0.0, 1.0))
    growth = np.exp(power * ahead)[:, None]
    out = np.zeros((steps, len(QUANTILES)))
    if known.any():
        out = growth * np.nanquantile(sizes / growth, _REACHED)
    for k in np.flatnonzero(counts >= _ENOUGH):
        out[k] = np.nanquantile(sizes[k], _REACHED)
    return out * np.sign(np.arange(len(QUANTILES)) - MIDDLE)


def _separate(known: BoolArray, clusters: Sequence[IntArray]) -> FloatArray:
    """Return how many series and periods have values at each step."""
    pair = np.ravel_multi_index(tuple(clusters), tuple(int(part.max()) + 1 for part in clusters))
    steps = range(known.shape[1])
    return np.array([len(np.unique(pair[known[:, k]])) for k in steps], dtype=np.float64)


def _trusted(quantiles: FloatArray, anchor: FloatArray, trust: float) -> FloatArray:
    """Return the quantiles about a median that goes only a share of the way from the anchor."""
    median = quantiles[..., MIDDLE]
    moved: FloatArray = quantiles - ((1.0 - trust) * (median - anchor))[..., None]
    return moved


def _trust(truth: FloatArray, median: FloatArray, anchor: FloatArray) -> float:
    """Return the share of the way from the anchor to the median that errs least.

    It is the smaller of those with the least mean absolute and mean squared error: a correction that
    helps most series a little and fails some badly is no help.
    """
    known = ~np.isnan(truth)
    if known.sum() < _FEW:
        return 0.0
    error, correction = (truth - anchor)[known], (median - anchor)[known]
    shares = np.linspace(0.0, 1.0, 11)
    left = np.abs(error - shares[:, None] * correction)
    return float(min(shares[int(np.argmin((left**power).mean(axis=1)))] for power in (1, 2)))


def clusters_of(windows: Windows, steps: int, n_targets: int) -> tuple[IntArray, IntArray]:
    """Return which windows err together: those of one series and target, and those of one period.

    Periods are one horizon long and counted back from the series' end: windows that begin in one of them
    share most of their values, and so do series that move together.
    """
    end, _, stop, number = (np.asarray(part, dtype=np.int64) for part in windows)
    series: IntArray = number[:, None] * n_targets + np.arange(n_targets)
    period = (stop - end) // steps
    return series, np.repeat(period[:, None], n_targets, axis=1)


def _surely_better(
    truth: FloatArray, median: FloatArray, anchor: FloatArray, trust: float, clusters: Sequence[IntArray]
) -> bool:
    """Return whether the median errs less than the anchor by more than chance, whichever way they cluster."""
    gain = np.abs(truth - anchor) - np.abs(truth - anchor - trust * (median - anchor))
    known = ~np.isnan(gain)
    total, count = np.where(known, gain, 0.0).sum(axis=1), known.sum(axis=1)
    for cluster in clusters:
        _, place = np.unique(cluster, return_inverse=True)
        size = np.bincount(place.ravel(), weights=count.ravel())
        mean = (np.bincount(place.ravel(), weights=total.ravel()) / np.maximum(size, 1))[size > 0]
        if len(mean) >= _FEWEST and not surely_positive(mean):
            return False
    return True
