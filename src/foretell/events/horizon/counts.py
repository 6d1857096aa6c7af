"""The distribution of the number of visits within any horizon, from which every answer is read."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import special

from foretell.core import FloatArray, IntArray
from foretell.events.horizon.features import GRID

_LOG_GRID: Final = np.log2(GRID)


@dataclasses.dataclass(frozen=True)
class CountCurves:
    """For each of n customers, the number N(u) of visits in the next u days of the clock.

    There is none with the chance 1 − F(u). Given a return, one more than a negative binomial number of mean
    m(u) and shape r. F and m rise with u, which makes every P(N(u) ≥ k) rise: F is the distribution of the
    time to the next visit, and F(u) (1 + m(u)) the expected number of visits. Between the knots the log odds
    of F and log m are linear in log u. What comes after the last knot counts as no return.

    Attributes
    ----------
    log_odds, log_more : array, shape (n, n_knots)
        Of F, and the logarithm of m, at `GRID`; rising.
    log_shape : array, shape (n,)
        Logarithm of r.
    """

    log_odds: FloatArray
    log_more: FloatArray
    log_shape: FloatArray

    def take(self, rows: IntArray) -> CountCurves:
        """Return those of some customers."""
        return CountCurves(self.log_odds[rows], self.log_more[rows], self.log_shape[rows])

    def p_return(self, days: npt.ArrayLike) -> FloatArray:
        """Return F at some horizons, shape (n, n_horizons)."""
        u = np.asarray(days, dtype=np.float64)
        chance: FloatArray = special.expit(_between(self.log_odds, np.minimum(u, GRID[-1])))
        return np.where(u > 0, chance, 0.0)

    def more(self, days: npt.ArrayLike) -> FloatArray:
        """Return m, the visits after the first one to come, given that it comes, shape (n, n_horizons)."""
        return np.exp(np.minimum(_between(self.log_more, np.asarray(days, dtype=np.float64)), 16.0))

    def expected(self, days: npt.ArrayLike) -> FloatArray:
        """Return the expected number of visits, shape (n, n_horizons)."""
        return self.p_return(days) * (1.0 + self.more(days))

    def variance(self, days: npt.ArrayLike) -> FloatArray:
        """Return the variance of the number of visits, shape (n, n_horizons)."""
        returned, more = self.p_return(days), self.more(days)
        square = (1.0 + more) ** 2 + more + more**2 / np.exp(self.log_shape)[:, None]
        return returned * square - (returned * (1.0 + more)) ** 2

    @property
    def p_active(self) -> FloatArray:
        """The chance of any further visit, up to the last knot."""
        chance: FloatArray = special.expit(self.log_odds[:, -1])
        return chance

    def next_visit(self, levels: npt.ArrayLike, within: float | None = None) -> FloatArray:
        """Return quantiles of the days of the clock to the next visit given a return, (n_levels, n).

        Given a return within some days, where they are named.
        """
        rows = np.arange(len(self.log_odds))
        returns = self.p_active if within is None else self.p_return([within])[:, 0]
        quantiles = []
        for level in np.asarray(levels, dtype=np.float64):
            chance = np.clip(level * returns, 1e-12, 1 - 1e-12)
            wanted = np.log(chance) - np.log1p(-chance)
            k = (self.log_odds < wanted[:, None]).sum(axis=1) - 1
            k = np.clip(k, 0, len(GRID) - 2)
            low, high = self.log_odds[rows, k], self.log_odds[rows, k + 1]
            quantiles.append(_LOG_GRID[k] + (wanted - low) / np.maximum(high - low, 1e-9))
        days: FloatArray = np.exp2(np.minimum(np.stack(quantiles), _LOG_GRID[-1]))
        return days

    def at_least(self, days: float, k: npt.ArrayLike) -> FloatArray:
        """Return the chance of at least k visits; k has the shape (n,) or is a number."""
        returned, more = (part(np.array([days]))[:, 0] for part in (self.p_return, self.more))
        return at_least(returned, more, np.exp(self.log_shape), k)

    def quantile(self, days: float, level: float) -> IntArray:
        """Return the smallest k with P(N ≤ k) of at least the level, shape (n,)."""
        low = np.full(len(self.log_shape), -1, dtype=np.int64)
        high = np.zeros_like(low)
        while (open_ := 1 - self.at_least(days, high + 1) < level).any():
            low = np.where(open_, high, low)
            high = np.where(open_, 2 * high + 1, high)
        while (high - low > 1).any():
            middle = (low + high) // 2
            enough = 1 - self.at_least(days, middle + 1) >= level
            high, low = np.where(enough, middle, high), np.where(enough, low, middle)
        return high


def at_least(returned: FloatArray, more: FloatArray, shape: FloatArray, k: npt.ArrayLike) -> FloatArray:
    """Return the chance of at least k visits by that of a return, and mean and shape of those after it."""
    k = np.asarray(k, dtype=np.float64)
    # Of a negative binomial: P(N ≥ j) = I(m / (r + m); j, r).
    tail = special.betainc(np.maximum(k - 1, 1.0), shape, more / (shape + more))
    chance: FloatArray = np.where(k <= 0, 1.0, np.where(k <= 1, returned, returned * tail))
    return chance


def _between(knots: FloatArray, days: FloatArray) -> FloatArray:
    """Return values at horizons by those at the knots, linear in log u, and on beyond both ends."""
    at = np.log2(np.maximum(days, 1e-9))
    k = np.clip(np.floor(at).astype(np.int64), 0, len(GRID) - 2)
    share = at - k
    values: FloatArray = knots[:, k] * (1 - share) + knots[:, k + 1] * share
    return values
