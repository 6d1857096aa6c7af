"""What each customer's number of visits and silence say by themselves: the anchor of the horizon head.

A shop is a mixture of classes of customers. In a class, visits come at a rate that is gamma distributed
about the class' own, and after each visit, the first one included, a customer is lost with the class' own
chance: MBG/NBD with one drop-out chance. How many customers belong to each class is estimated by a few
steps of the EM algorithm from a vague start, which needs no optimiser, no start values, and takes
milliseconds; all that is asked of it is elementary functions.
"""

from __future__ import annotations

import dataclasses
from typing import Final, NamedTuple

import numpy as np

from foretell.core import FloatArray, IntArray

SHAPE: Final = 3.0
MEANS: Final = 2.0 ** np.arange(-11.0, 1.0)
"""Visits a day of the classes, on average."""
LOST: Final = np.array([0.003, 0.03, 0.1, 0.25, 0.5, 0.8])
"""Chances of having been lost after a visit."""
_SCALES: Final = SHAPE / MEANS
SCORES: Final[FloatArray] = np.stack(
    [part.ravel() for part in np.meshgrid(np.log(MEANS * 32), np.log(LOST / (1 - LOST)) + 2, indexing="ij")],
    axis=1,
)
"""Of each class: the log of its rate, and the log odds of being lost, about usual ones, (n_classes, 2)."""
_STEPS: Final = 25
STRENGTH: Final = 8.0  # customers that the vague start is worth
_SAMPLE: Final = 2000


class Histories(NamedTuple):
    """Sufficient statistics, each of shape (n,), in days of the clock.

    Attributes
    ----------
    repeats : array
        Visits after the first one.
    recency : array
        From the first to the last visit.
    age : array
        From the first visit to the as-of date.
    tilt : array, shape (n, 2), optional
        How what is known of a customer tilts the shares of the classes, see `effects.Effects`.
    """

    repeats: FloatArray
    recency: FloatArray
    age: FloatArray
    tilt: FloatArray | None = None

    def take(self, rows: IntArray) -> Histories:
        """Return those of some customers."""
        tilt = None if self.tilt is None else self.tilt[rows]
        return Histories(self.repeats[rows], self.recency[rows], self.age[rows], tilt)


class Curves(NamedTuple):
    """What is expected within each of some horizons, shape (n, n_horizons).

    Attributes
    ----------
    p_return : array
        The chance of a visit.
    expected : array
        Of visits.
    """

    p_return: FloatArray
    expected: FloatArray


@dataclasses.dataclass(frozen=True)
class RateClasses:
    """A fitted mixture of classes.

    Attributes
    ----------
    weights : array, shape (n_means, n_lost)
        Shares of the classes.
    """

    weights: FloatArray

    @classmethod
    def fit(cls, histories: Histories) -> RateClasses:
        """Estimate the shares of the classes, from a sample where there are many customers."""
        n = len(histories.age)
        if n > _SAMPLE:
            rows = np.random.default_rng(0).permutation(n)[:_SAMPLE]
            histories = histories.take(rows)
        likelihood = class_likelihoods(histories)
        start = vague_shares(histories)
        weights = start
        for _ in range(_STEPS):
            share = weights / (likelihood @ weights)[:, None] * likelihood
            weights = share.sum(axis=0) + STRENGTH * start
            weights /= weights.sum()
        return cls(weights.reshape(len(MEANS), len(LOST)))

    def curves(self, histories: Histories, horizons: FloatArray) -> Curves:
        """Return the chance of a visit and the expected visits within horizons, in days of the clock."""
        alive = self.alive(histories)
        shape, scale = _rates_now(histories)
        p_return = _chance_to_come(alive, histories, horizons)
        expected = np.zeros_like(p_return)
        for j, lost in enumerate(LOST):
            visits = -np.expm1(-shape * np.log1p(lost * horizons / scale)) / lost
            expected += np.einsum("nk,nkh->nh", alive[:, :, j], visits)
        return Curves(p_return, expected)

    def overdue(self, histories: Histories) -> FloatArray:
        """Return how far the silence reaches into the time to the next visit, as seen at the last one."""
        then = histories._replace(age=histories.recency)
        silence = (histories.age - histories.recency)[:, None, None]
        alive = self.alive(then)
        reached = _chance_to_come(alive, then, silence)[:, 0] / alive.sum(axis=(1, 2))
        overdue: FloatArray = np.clip(reached, 0.0, 1.0)
        return overdue

    def _shares(self, histories: Histories) -> FloatArray:
        if histories.tilt is None:
            return self.weights
        return tilted(self.weights, histories.tilt).reshape(-1, *self.weights.shape)

    def alive(self, histories: Histories) -> FloatArray:
        """Return the chance of being of each class, and not lost, shape (n, n_means, n_lost)."""
        alive, gone = _log_likelihoods(histories)
        top = np.maximum(alive, gone).max(axis=(1, 2), keepdims=True)
        shares = self._shares(histories)
        stays, left = (shares * np.exp(part - top) for part in (alive, gone))
        share: FloatArray = stays / (stays + left).sum(axis=(1, 2), keepdims=True)
        return share


def vague_shares(histories: Histories) -> FloatArray:
    """Return where the shares start, (n_classes,): rates of the shop's own order, any drop-out."""
    overall = (histories.repeats.sum() + 0.5) / (histories.age.sum() + 30.0)
    vague = np.exp(-0.5 * (np.log(MEANS / overall) / 1.5) ** 2)[:, None] * np.ones(len(LOST))
    shares: FloatArray = (vague / vague.sum()).ravel()
    return shares


def class_likelihoods(histories: Histories) -> FloatArray:
    """Return how likely histories are in each class, up to a factor, shape (n, n_classes)."""
    alive, gone = _log_likelihoods(histories)
    both = np.logaddexp(alive, gone).reshape(len(histories.age), -1)
    likelihood: FloatArray = np.exp(both - both.max(axis=1, keepdims=True))
    return likelihood


def tilted(weights: FloatArray, tilt: FloatArray) -> FloatArray:
    """Return the shares of the classes by which customers are described, shape (n, n_classes)."""
    log_shares = np.log(np.maximum(weights.ravel(), 1e-300)) + tilt @ SCORES.T
    shares = np.exp(log_shares - log_shares.max(axis=1, keepdims=True))
    normalised: FloatArray = shares / shares.sum(axis=1, keepdims=True)
    return normalised


def _rates_now(histories: Histories) -> tuple[FloatArray, FloatArray]:
    """Return shape and scale of the rates of each class that is still active, (n, n_means, 1)."""
    return SHAPE + histories.repeats[:, None, None], _SCALES[None, :, None] + histories.age[:, None, None]


def _chance_to_come(alive: FloatArray, histories: Histories, horizons: FloatArray) -> FloatArray:
    shape, scale = _rates_now(histories)
    came = -np.expm1(-shape * np.log1p(horizons / scale))
    chance: FloatArray = np.einsum("nk,nkh->nh", alive.sum(axis=2), came)
    return chance


def _log_likelihoods(histories: Histories) -> tuple[FloatArray, FloatArray]:
    """Return the log-likelihood of being of each class and not lost, and lost, (n, n_means, n_lost)."""
    from scipy import special  # noqa: PLC0415  # a network that was saved answers without it

    x = histories.repeats[:, None, None]
    shape, scale = SHAPE + x, _SCALES[None, :, None]
    common = special.gammaln(shape) - special.gammaln(SHAPE) + SHAPE * np.log(scale)
    stayed, lost = np.log1p(-LOST), np.log(LOST)
    alive = common - shape * np.log(scale + histories.age[:, None, None]) + (x + 1) * stayed
    gone = common - shape * np.log(scale + histories.recency[:, None, None]) + x * stayed + lost
    return alive, gone
