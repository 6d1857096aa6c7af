"""The sum of an unknown number of amounts: visits as a forecaster expects them, gamma amounts.

Given n amounts and the rate, their sum is gamma(n p, ν); with ν gamma(q, γ) the sum over γ is beta-prime
(n p, q): its distribution is an incomplete beta function. What is left is to average over n: of customers who
come back the first visit is sure, and those after it are negative binomial.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from scipy.special import betainc, betaincinv

from foretell.core import FloatArray
from foretell.spend.amounts import Rates

_EXACT: Final = 8  # numbers of visits of which each has its own chance
_NODES: Final = 16  # numbers beyond them, of equal chance
_HALVINGS: Final = 50
_CLOSE: Final = 1e-6  # shares that are one to a halving
_BLOCK: Final = 4_096  # customers at a time


class Numbers(NamedTuple):
    """Numbers of visits and their chances, each of shape (n_numbers, n)."""

    values: FloatArray
    weights: FloatArray


class Spend(NamedTuple):
    """What n customers spend within a time.

    Attributes
    ----------
    counts : array, shape (n,)
        Expected visits at which something is paid.
    none : array, shape (n,)
        Chance that there is none.
    rates : Rates
    """

    counts: FloatArray
    none: FloatArray
    rates: Rates

    @classmethod
    def of(cls, expected: FloatArray, p_return: FloatArray, rates: Rates) -> Spend:
        """Take expected visits and the chance of any; a share of visits is free.

        Examples
        --------
        >>> rates = Rates(2.0, np.array([3.0]), np.array([10.0]), paid=0.5, dispersion=0.1)
        >>> spend = Spend.of(np.array([4.0]), np.array([0.8]), rates)
        >>> spend.mean.tolist(), round(float(spend.none[0]), 3)
        ([20.0], 0.265)
        """
        p_return = np.clip(p_return, 1e-12, 1.0)
        further = np.maximum(expected / p_return - 1.0, 0.0)
        free = (1.0 - rates.paid) * (1.0 + further * rates.paid * rates.dispersion) ** (
            -1.0 / rates.dispersion
        )
        return cls(rates.paid * expected, 1.0 - p_return * (1.0 - free), rates)

    @property
    def mean(self) -> FloatArray:
        """The expected sum."""
        mean: FloatArray = self.counts * self.rates.mean
        return mean

    def cdf(self, amount: FloatArray) -> FloatArray:
        """Return the chance that no more than so much is spent, shape (n,)."""
        sums = np.maximum(np.asarray(amount, dtype=np.float64), 0.0)
        some = self.mixed(self.numbers(), sums / (sums + self.rates.gamma))
        chance: FloatArray = self.none + (1.0 - self.none) * some
        return chance

    def quantile(self, levels: FloatArray) -> FloatArray:
        """Return quantiles of the sum, shape (n_levels, n)."""
        quantiles = np.zeros((len(levels), len(self.counts)))
        for begin in range(0, len(self.counts), _BLOCK):
            places = np.arange(begin, min(begin + _BLOCK, len(self.counts)))
            part = Spend(self.counts[places], self.none[places], self.rates.take(places))
            mixture = part.numbers()
            for k, level in enumerate(levels):
                quantiles[k, places] = part.inverse(mixture, float(level))
        return quantiles

    def numbers(self) -> Numbers:
        """Return how many visits are paid, given that there is one."""
        from scipy import stats  # noqa: PLC0415  # slow to load, and only intervals need it

        further = np.maximum(self.counts / np.maximum(1.0 - self.none, 1e-12) - 1.0, 1e-9)
        shape = 1.0 / self.rates.dispersion
        count = stats.nbinom(shape, shape / (shape + further))
        few = np.arange(_EXACT)[:, None]
        exact = count.pmf(few)
        beyond = np.maximum(count.sf(_EXACT - 1), 0.0)
        within = (np.arange(_NODES)[:, None] + 0.5) / _NODES
        many = np.maximum(count.ppf(1.0 - beyond * (1.0 - within)), _EXACT)
        values = np.concatenate([np.broadcast_to(few, exact.shape), many]) + 1.0
        return Numbers(values, np.concatenate([exact, np.broadcast_to(beyond / _NODES, many.shape)]))

    def mixed(self, numbers: Numbers, share: FloatArray) -> FloatArray:
        """Return the chance of no more than a sum, given that there is one; ``share`` is sum / (sum + γ)."""
        below = betainc(numbers.values * self.rates.shape, self.rates.q, share)
        chance: FloatArray = (numbers.weights * below).sum(axis=0)
        return chance

    def inverse(self, numbers: Numbers, level: float) -> FloatArray:
        """Return a quantile, by halving between what the fewest and the most visits would give."""
        given = np.clip((level - self.none) / np.maximum(1.0 - self.none, 1e-12), 0.0, 1.0 - 1e-12)
        ends = (numbers.values.min(axis=0), numbers.values.max(axis=0))
        low, high = (betaincinv(end * self.rates.shape, self.rates.q, given) for end in ends)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            below = self.mixed(numbers, middle) < given
            low, high = np.where(below, middle, low), np.where(below, high, middle)
            if np.max(high - low) < _CLOSE:
                break
        share = (low + high) / 2
        quantile: FloatArray = np.where(level <= self.none, 0.0, self.rates.gamma * share / (1.0 - share))
        return quantile
