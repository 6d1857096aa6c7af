"""What held-out windows say: how far to trust the network over its anchor, how wide quantiles must be."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from foretell.core import FloatArray, IntArray
from foretell.nn.backend import Array
from foretell.series.quantiles import MIDDLE, QUANTILES
from foretell.series.windows import Windows
from foretell.stats.blending import surely_positive

# Fewer held-out values than this at a step of the horizon, and the steps are taken together.
_ENOUGH = 200
_WIDEST = 10.0
# From so many separate periods or series on they have a say in whether the network is better than the rule.
_FEWEST = 4


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
    """

    factors: FloatArray
    trust: float = 1.0

    @classmethod
    def none(cls, steps: int) -> Calibration:
        """Leave quantiles as they are."""
        return cls(np.ones((steps, len(QUANTILES))))

    @classmethod
    def fit(
        cls,
        truth: FloatArray,
        quantiles: FloatArray,
        anchor: FloatArray,
        clusters: Sequence[IntArray] = (),
    ) -> Calibration:
        """Find how far to trust the median, and the factors with which quantiles hold on held-out windows.

        The score of a value is its distance to the median in units of the quantile's distance on its side
        (Romano, Patterson and Candès 2019, scaled); the factor of a central interval is the score's own
        quantile. Both of its ends share it: which side the values of one last part lie on is an accident.

        Parameters
        ----------
        truth : array, shape (n, steps, n_targets)
            NaN where not observed.
        quantiles : array, shape (n, steps, n_targets, n_quantiles)
        anchor : array, shape (n, steps, n_targets)
        clusters : sequence of int array, shape (n, n_targets) each
            Which values err together, in one way or another, see `clusters_of`.
        """
        steps, middle = truth.shape[1], QUANTILES.index(0.5)
        observed = int((~np.isnan(truth)).sum())
        if observed < _ENOUGH // 4:
            return cls.none(steps)
        quantiles = np.sort(quantiles, axis=-1)
        trust = _trust(truth, quantiles[..., middle], anchor)
        if trust and not _surely_better(truth, quantiles[..., middle], anchor, trust, clusters):
            trust = 0.0
        quantiles = _trusted(quantiles, anchor, trust)
        median = quantiles[..., middle]
        least = 1e-3 * np.nanmean(np.abs(truth - median)) + 1e-9
        pooled = observed < _ENOUGH * steps
        factors = np.ones((steps, len(QUANTILES)))
        for k, level in enumerate(QUANTILES[:middle]):
            reach = [np.maximum(np.abs(quantiles[..., j] - median), least) for j in (k, -1 - k)]
            score = np.abs(truth - median) / np.where(truth < median, *reach)
            share = 1.0 - 2.0 * level
            by_step = np.moveaxis(score, 1, 0).reshape(1 if pooled else steps, -1)
            factors[:, k] = factors[:, -1 - k] = np.nanquantile(by_step, share, axis=1)
        return cls(np.clip(factors, 0.0, _WIDEST), trust)

    def apply(self, quantiles: FloatArray, anchor: FloatArray) -> FloatArray:
        """Return calibrated, sorted quantiles, shape (n, steps, n_targets, n_quantiles)."""
        middle = QUANTILES.index(0.5)
        quantiles = _trusted(np.sort(quantiles, axis=-1), anchor, self.trust)
        median = quantiles[..., middle : middle + 1]
        widened = median + (quantiles - median) * self.factors[None, :, None, :]
        return np.sort(widened, axis=-1)


def calibrated(quantiles: Array, anchor: Array, trust: Array | float, factors: Array) -> Array:
    """Return what `Calibration.apply` does, of sorted quantiles, inside of a compiled program."""
    middle = quantiles[..., MIDDLE : MIDDLE + 1]
    trusted = anchor[..., None] + trust * (middle - anchor[..., None])
    return jnp.sort(trusted + (quantiles - middle) * factors, axis=-1)


def _trusted(quantiles: FloatArray, anchor: FloatArray, trust: float) -> FloatArray:
    """Return the quantiles about a median that goes only a share of the way from the anchor."""
    median = quantiles[..., QUANTILES.index(0.5)]
    moved: FloatArray = quantiles - ((1.0 - trust) * (median - anchor))[..., None]
    return moved


def _trust(truth: FloatArray, median: FloatArray, anchor: FloatArray) -> float:
    """Return the share of the way from the anchor to the median that errs least.

    It is the smaller of those with the least mean absolute and mean squared error: a correction that
    helps most series a little and fails some badly is no help.
    """
    known = ~np.isnan(truth)
    if known.sum() < _ENOUGH // 4:
        return 1.0
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
