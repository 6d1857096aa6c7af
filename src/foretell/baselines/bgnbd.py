"""BG/NBD and MBG/NBD: geometric drop-out after a purchase."""

from __future__ import annotations

import functools
from typing import ClassVar, NamedTuple

import numpy as np
from scipy import special

from foretell.baselines.buy_till_you_die import BuyTillYouDie
from foretell.baselines.statistic import Summary
from foretell.core import FloatArray

_FLAT = 28.0  # e^−28: how far from its limit the integrand over logit p may be taken for it


class BGNBDParams(NamedTuple):
    """Parameters of BG/NBD and MBG/NBD.

    Attributes
    ----------
    r, alpha : float
        Shape and rate of the gamma distribution of purchase rates; ``alpha`` is a time.
    a, b : float
        Beta distribution of the drop-out probability.
    """

    r: float
    alpha: float
    a: float
    b: float

    def in_units_of(self, ticks: float) -> BGNBDParams:
        """Return the parameters with time in units of so many ticks (7: weeks, from days)."""
        return self._replace(alpha=self.alpha / ticks)


class BGNBD(BuyTillYouDie):
    """BG/NBD: purchases at a gamma-distributed rate, drop-out after a repeat purchase with a beta chance.

    One-time customers count as active for ever.

    Attributes
    ----------
    params_ : BGNBDParams
        Fitted parameters, ``alpha`` in ticks.
    log_likelihood_ : float

    References
    ----------
    Fader, Hardie, Lee (2005), "'Counting your customers' the easy way", Marketing Science 24(2): equations
    (6) and (10). Hardie (2008), "Computing P(alive) using the BG/NBD model".

    Examples
    --------
    >>> model = BGNBD().fit_summary(
    ...     repeats=[0, 0, 1, 3, 8], recency=[0, 0, 5, 20, 38], age=[39, 30, 35, 38, 39]
    ... )
    >>> model.params_._fields
    ('r', 'alpha', 'a', 'b')
    >>> bool(model.p_active(2, 5, 39) < model.p_active(2, 30, 39))
    True
    """

    name: ClassVar[str] = "BG/NBD"
    _params = BGNBDParams
    _scales = (1,)
    _starts = ((0.5, 0.5, 0.8, 2.5), (2.0, 0.3, 0.1, 5.0))
    # Whether the first purchase, too, can be the last: 0 under BG/NBD, 1 under MBG/NBD.
    _first: ClassVar[int] = 0

    params_: BGNBDParams

    def _log_odds_inactive(self, params: FloatArray | BGNBDParams, rows: Summary) -> FloatArray:
        """Return log P(dropped out at the last event) − log P(active), given the history."""
        r, alpha, a, b = params
        chances = rows.repeats + self._first
        can_drop = chances > 0
        # b + 0 stands in where no drop-out is possible, so that no logarithm of b − 1 is taken.
        stayed = np.where(can_drop, b + chances - 1, b)
        silence = np.log((alpha + rows.age) / (alpha + rows.recency))
        odds: FloatArray = np.log(a) - np.log(stayed) + (r + rows.repeats) * silence
        return np.where(can_drop, odds, -np.inf)

    def _log_likelihood(self, params: FloatArray, rows: Summary) -> tuple[FloatArray, FloatArray]:
        r, alpha, a, b = params
        x, t_x, T = rows
        chances = x + self._first
        odds = self._log_odds_inactive(params, rows)
        gone = special.expit(odds)
        value = (
            special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha)
            + special.betaln(a, b + chances) - special.betaln(a, b)
            - (r + x) * np.log(alpha + T) + np.logaddexp(0.0, odds)
        )  # fmt: skip
        stayed = np.where(chances > 0, b + chances - 1, 1.0)
        both = special.digamma(a + b) - special.digamma(a + b + chances)
        gradient = np.stack([
            special.digamma(r + x) - special.digamma(r) + np.log(alpha)
            - (1 - gone) * np.log(alpha + T) - gone * np.log(alpha + t_x),
            r / alpha - (r + x) * ((1 - gone) / (alpha + T) + gone / (alpha + t_x)),
            both + gone / a,
            both + special.digamma(b + chances) - special.digamma(b) - gone / stayed,
        ])  # fmt: skip
        return value, gradient

    def _p_active(self, rows: Summary) -> FloatArray:
        active: FloatArray = special.expit(-self._log_odds_inactive(self.params_, rows))
        return active

    def _expected_if_active(self, x: FloatArray, T: FloatArray, t: FloatArray) -> FloatArray:
        r, alpha, a, b = self.params_
        return expected_before_drop_out(r + x, alpha + T, a, b + x + self._first, t)

    def _return_if_active(self, x: FloatArray, T: FloatArray, t: FloatArray | float) -> FloatArray:
        r, alpha, _, _ = self.params_
        # The next gap of an active customer is Lomax.
        chance: FloatArray = -np.expm1(-(r + x) * np.log1p(t / (alpha + T)))
        return chance

    def _next_event_quantiles(
        self, x: FloatArray, T: FloatArray, horizon: FloatArray, levels: FloatArray
    ) -> FloatArray:
        r, alpha, _, _ = self.params_
        within = self._return_if_active(x, T, horizon)
        with np.errstate(over="ignore"):  # of who hardly ever comes: beyond all dates
            when: FloatArray = (alpha + T) * np.expm1(-np.log1p(-levels[:, None] * within) / (r + x))
        return when


class MBGNBD(BGNBD):
    """MBG/NBD: as `BGNBD`, but the first purchase, too, can be a customer's last.

    References
    ----------
    Batislam, Denizel, Filiztekin (2007), "Empirical validation and comparison of models for customer base
    analysis", International Journal of Research in Marketing 24(3).

    Examples
    --------
    >>> model = MBGNBD().fit_summary(
    ...     repeats=[0, 0, 1, 3, 8], recency=[0, 0, 5, 20, 38], age=[39, 30, 35, 38, 39]
    ... )
    >>> bool(model.p_active(0, 0, 39) < 1)
    True
    """

    name: ClassVar[str] = "MBG/NBD"
    _first = 1


def expected_before_drop_out(
    shape: FloatArray, rate: FloatArray, a: float, b: FloatArray, t: FloatArray
) -> FloatArray:
    """Return the expected events within ``t`` of customers who may drop out after each.

    The purchase rate is Gamma(shape, rate), the drop-out probability p is Beta(a, b):

        E[(1 − (1 + p t / rate)^{−shape}) / p]
        = (a + b − 1) / (a − 1) · [1 − (1 − z)^{a − 1} 2F1(a − 1, a + b − 1 − shape; a + b − 1; z)]

    with z = t / (rate + t): equation (10) of Fader, Hardie, Lee (2005) after Euler's transformation, in which
    no argument but the last grows with the number of purchases, so that busy customers don't overflow it.
    """
    shape, rate, b, t = np.broadcast_arrays(shape, rate, b, t)
    z = np.asarray(t / (rate + t))
    # At a = 1 the form above is 0 / 0; beyond the other limits scipy's hyp2f1 turns to transformations that
    # overflow.
    tame = (abs(a - 1) > 1e-5) & (a < 20) & (z < 0.9) & (np.abs(a + b - 1 - shape) < 50)
    value = np.empty(z.shape)
    c, near = a - 1 + b[tame], 1 - z[tame]
    series = special.hyp2f1(a - 1, c - shape[tame], c, z[tame])
    value[tame] = c / (a - 1) * (1 - near ** (a - 1) * series)
    value[~tame] = _expected_by_quadrature(shape[~tame], (t / rate)[~tame], a, b[~tame])
    return value


def _expected_by_quadrature(shape: FloatArray, time: FloatArray, a: float, b: FloatArray) -> FloatArray:
    """Return E[(1 − (1 + p time)^{−shape}) / p] by Gauss-Legendre on logit p, for arrays of one axis.

    On that scale the integrand is smooth for all parameters. Where p is so small that the function is flat,
    or so near 1, the rest of the beta distribution is added in closed form.
    """
    nodes, weights = _legendre()
    low, high = _logit_support(a, b)
    high = np.minimum(high, _FLAT)
    low = np.minimum(np.maximum(low, -_FLAT - np.log1p(shape * time)), high)
    logit = low[:, None] + (high - low)[:, None] * nodes
    p = special.expit(logit)
    log_density = a * special.log_expit(logit) + b[:, None] * special.log_expit(-logit)
    none = -np.expm1(-shape[:, None] * np.log1p(p * time[:, None]))
    density = np.exp(log_density - special.betaln(a, b)[:, None])
    # Not a matrix product, whose sums differ in the last bit with the number of rows.
    middle = np.einsum("ij,j->i", density * none / p, weights) * (high - low)
    below = special.betainc(a, b, special.expit(low)) * shape * time
    above = special.betainc(b, a, special.expit(-high)) * -np.expm1(-shape * np.log1p(time))
    value: FloatArray = middle + below + above
    return value


def _logit_support(a: float, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return between which logits the beta density is not negligible, by bisection on either side."""

    def log_density(logit: FloatArray) -> FloatArray:
        value: FloatArray = a * special.log_expit(logit) + b * special.log_expit(-logit)
        return value

    peak = np.log(a / b)
    edges = []
    for far in (peak - 40 / a - 40, peak + 40 / b + 40):
        inside, outside = peak, far
        for _ in range(30):
            middle = (inside + outside) / 2
            negligible = log_density(middle) < log_density(peak) - 40
            inside, outside = np.where(negligible, inside, middle), np.where(negligible, middle, outside)
        edges.append(outside)
    return edges[0], edges[1]


@functools.cache
def _legendre() -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    return (1 + nodes) / 2, weights / 2
