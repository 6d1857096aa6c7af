"""Pareto/NBD: exponential lifetimes beside Poisson purchases."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
from scipy import special

from foretell.baselines.buy_till_you_die import BuyTillYouDie
from foretell.baselines.statistic import Summary, distinct
from foretell.core import FloatArray, IntArray

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_NEGLIGIBLE = 36.0  # e^−36 of the integrand's start is below double precision
_NEWTON_STEPS = 100
_LATEST = 1e7  # ticks; a quantile beyond it is not looked for


class ParetoNBDParams(NamedTuple):
    """Parameters of Pareto/NBD.

    Attributes
    ----------
    r, alpha : float
        Shape and rate of the gamma distribution of purchase rates; ``alpha`` is a time.
    s, beta : float
        Shape and rate of the gamma distribution of drop-out rates; ``beta`` is a time.
    """

    r: float
    alpha: float
    s: float
    beta: float

    def in_units_of(self, ticks: float) -> ParetoNBDParams:
        """Return the parameters with time in units of so many ticks (7: weeks, from days)."""
        return self._replace(alpha=self.alpha / ticks, beta=self.beta / ticks)


class ParetoNBD(BuyTillYouDie):
    """Pareto/NBD: purchases and drop-out at gamma-distributed rates of each customer's own.

    The integral over the unknown time of drop-out is taken by quadrature on a logarithmic scale instead of
    as the usual difference of two hypergeometric functions: it has no cancellation, cannot overflow for busy
    customers, and its gradient comes with it.

    Attributes
    ----------
    params_ : ParetoNBDParams
        Fitted parameters, ``alpha`` and ``beta`` in ticks.
    log_likelihood_ : float

    References
    ----------
    Schmittlein, Morrison, Colombo (1987), "Counting your customers: who are they and what will they do
    next?", Management Science 33(1). Fader, Hardie (2005), "A note on deriving the Pareto/NBD model and
    related expressions".

    Examples
    --------
    >>> model = ParetoNBD().fit_summary(
    ...     repeats=[0, 0, 1, 3, 8], recency=[0, 0, 5, 20, 38], age=[39, 30, 35, 38, 39]
    ... )
    >>> bool(model.p_active(2, 5, 39) < model.p_active(2, 30, 39))
    True
    """

    name: ClassVar[str] = "Pareto/NBD"
    _params = ParetoNBDParams
    _scales = (1, 3)
    _starts = ((0.5, 0.5, 0.5, 0.5),)

    params_: ParetoNBDParams

    def _log_likelihood(self, params: FloatArray, rows: Summary) -> tuple[FloatArray, FloatArray]:
        r, alpha, s, beta = params
        x, _, T = rows
        gone, odds = self._gone(params, rows)
        value = (
            special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha) + s * np.log(beta)
            - (r + x) * np.log(alpha + T) - s * np.log(beta + T) + np.logaddexp(0.0, odds)
        )  # fmt: skip
        p_gone = special.expit(odds)
        p_active = 1 - p_gone
        gradient = np.stack([
            special.digamma(r + x) - special.digamma(r) + np.log(alpha)
            - p_active * np.log(alpha + T) - p_gone * gone.mean_log_a,
            r / alpha - (r + x) * (p_active / (alpha + T) + p_gone * gone.mean_inverse_a),
            np.log(beta) - p_active * np.log(beta + T) + p_gone * (1 / s - gone.mean_log_b),
            s / beta - p_active * s / (beta + T) - p_gone * (s + 1) * gone.mean_inverse_b,
        ])  # fmt: skip
        return value, gradient

    def _p_active(self, rows: Summary) -> FloatArray:
        columns, inverse = _unique(rows)
        active: FloatArray = special.expit(-self._gone(np.array(self.params_), columns)[1])[inverse]
        return active

    def _expected_if_active(self, x: FloatArray, T: FloatArray, t: FloatArray) -> FloatArray:
        r, alpha, s, beta = self.params_
        # (1 − ((β + T) / (β + T + t))^{s − 1}) / (s − 1), regular at s = 1.
        log_growth = np.log1p(t / (beta + T))
        lifetime = (beta + T) * log_growth * special.exprel(-(s - 1) * log_growth)
        events: FloatArray = (r + x) / (alpha + T) * lifetime
        return events

    def _return_if_active(self, x: FloatArray, T: FloatArray, t: FloatArray | float) -> FloatArray:
        """Return P(an event within t | active), by quadrature of the density of the next event.

        The density at u is E[λ e^{−λu}] E[e^{−μu}] with λ ~ Gamma(r + x, α + T) and μ ~ Gamma(s, β + T).
        """
        r, alpha, s, beta = self.params_
        x, T, t = np.broadcast_arrays(x, T, t)
        integral = power_integral(r + x + 1, s, alpha, beta, T, T + t)
        log_chance = np.log(r + x) + (r + x) * np.log(alpha + T) + s * np.log(beta + T) + integral.log_value
        chance: FloatArray = np.exp(np.minimum(log_chance, 0.0))
        return chance

    def _next_event_quantiles(
        self, x: FloatArray, T: FloatArray, horizon: FloatArray, levels: FloatArray
    ) -> FloatArray:
        r, alpha, s, beta = self.params_
        x, T = np.broadcast_arrays(x, T)
        target = levels[:, None] * self._return_if_active(x, T, horizon)
        # The distribution function is concave: Newton's steps from the left end climb to the root and never
        # pass it. Those of a Lomax without drop-out start there.
        latest = np.minimum(horizon, _LATEST)
        with np.errstate(over="ignore"):  # where the tail is long
            start = (alpha + T) * np.expm1(-np.log1p(-target) / (r + x))
        when: FloatArray = np.minimum(start, latest)
        for _ in range(_NEWTON_STEPS):
            log_density = (
                np.log((r + x) / (alpha + T))
                - (r + x + 1) * np.log1p(when / (alpha + T))
                - s * np.log1p(when / (beta + T))
            )
            step = (target - self._return_if_active(x, T, when)) * np.exp(-log_density)
            later = np.minimum(when + step, latest)
            moved, when = np.abs(later - when), later
            if np.all(moved < 1e-6 * np.where(np.isfinite(horizon), horizon, 1.0 + when)):
                break
        return when

    def _gone(self, params: FloatArray, rows: Summary) -> tuple[PowerIntegral, FloatArray]:
        """Return the integral over the time of drop-out, and the log odds of having dropped out."""
        r, alpha, s, beta = params
        x, t_x, T = rows
        integral = power_integral(r + x, s + 1, alpha, beta, t_x, T)
        odds = np.log(s) + integral.log_value + (r + x) * np.log(alpha + T) + s * np.log(beta + T)
        return integral, odds


def _unique(rows: Summary) -> tuple[Summary, IntArray]:
    columns, inverse = distinct(*rows)
    return Summary(*columns), inverse


class PowerIntegral(NamedTuple):
    """The integral's logarithm, and means under the normalised integrand (its gradient).

    Attributes
    ----------
    log_value : array
        −inf over an empty range.
    mean_log_a, mean_log_b : array
        Means of log(a + τ) and log(b + τ).
    mean_inverse_a, mean_inverse_b : array
        Means of 1 / (a + τ) and 1 / (b + τ).
    """

    log_value: FloatArray
    mean_log_a: FloatArray
    mean_log_b: FloatArray
    mean_inverse_a: FloatArray
    mean_inverse_b: FloatArray


def power_integral(
    p: FloatArray, q: FloatArray | float, a: float, b: float, lower: FloatArray, upper: FloatArray
) -> PowerIntegral:
    """Integrate (a + τ)^−p (b + τ)^−q over lower ≤ τ ≤ upper, by Gauss-Legendre on log(min(a, b) + τ).

    On that scale the integrand varies smoothly whatever the scales a and b; the part in which it has fallen
    to nothing is cut off, so that large powers are resolved as well as small ones.

    Parameters
    ----------
    p, q : array or float
        Powers, above 0; at least one of p, q is 1 or more.
    a, b : float
        Above 0.
    lower, upper : array
        Range, 0 ≤ lower ≤ upper; broadcasts with p.
    """
    p, lower, upper = np.broadcast_arrays(p, lower, upper)
    shift = min(a, b)
    # One factor 1 / (shift + τ) is taken up by the scale.
    fall_a, fall_b = (p - 1, q) if a <= b else (p, np.asarray(q) - 1)
    span = np.minimum(
        np.log((shift + upper) / (shift + lower)),
        np.minimum(
            _span_until_negligible(fall_a, a, shift, lower), _span_until_negligible(fall_b, b, shift, lower)
        ),
    )
    position = span[..., None] * (1 + _NODES) / 2
    # τ − lower, exact also where it is small beside lower.
    passed = (shift + lower)[..., None] * np.expm1(position)
    log_a, log_b = np.log1p(passed / (a + lower)[..., None]), np.log1p(passed / (b + lower)[..., None])
    height = np.exp(position - p[..., None] * log_a - q * log_b) * _WEIGHTS
    total = height.sum(axis=-1)
    share = height / total[..., None]
    with np.errstate(divide="ignore"):
        log_value = (
            np.log(total * span / 2)
            + np.log(shift + lower) - p * np.log(a + lower) - q * np.log(b + lower)
        )  # fmt: skip
    tau = passed + lower[..., None]
    return PowerIntegral(
        log_value,
        (share * log_a).sum(axis=-1) + np.log(a + lower),
        (share * log_b).sum(axis=-1) + np.log(b + lower),
        (share / (a + tau)).sum(axis=-1),
        (share / (b + tau)).sum(axis=-1),
    )


def _span_until_negligible(
    fall: FloatArray | float, scale: float, shift: float, lower: FloatArray
) -> FloatArray:
    """Return how far, in log(shift + τ), until (scale + τ)^−fall alone is negligible."""
    steps = np.minimum(_NEGLIGIBLE / np.maximum(fall, 1e-3), 200.0)
    passed = (scale + lower) * np.expm1(steps)
    span: FloatArray = np.log1p(passed / (shift + lower))
    return span
