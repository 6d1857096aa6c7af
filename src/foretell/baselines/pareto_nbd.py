"""Pareto/NBD: exponential lifetimes beside Poisson purchases."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from foretell.baselines.buy_till_you_die import BuyTillYouDie
from foretell.baselines.power_integral import PowerIntegral, power_integral
from foretell.baselines.summary import Summary, distinct

FloatArray = npt.NDArray[np.float64]

_NEWTON_STEPS = 30


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
    >>> model.params_._fields
    ('r', 'alpha', 's', 'beta')
    >>> bool(model.p_active(2, 5, 39) < model.p_active(2, 30, 39))
    True
    """

    name: ClassVar[str] = "Pareto/NBD"
    _scales = (1, 3)
    _starts = ((0.5, 0.5, 0.5, 0.5),)

    params_: ParetoNBDParams

    @staticmethod
    def _pack(params: FloatArray) -> ParetoNBDParams:
        return ParetoNBDParams(*(float(value) for value in params))

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
        active: FloatArray = special.expit(-self._gone(np.array(self._fitted), columns)[1])[inverse]
        return active

    def _expected_if_active(self, x: FloatArray, T: FloatArray, t: FloatArray) -> FloatArray:
        r, alpha, s, beta = self._fitted
        # (1 − ((β + T) / (β + T + t))^{s − 1}) / (s − 1), regular at s = 1.
        log_growth = np.log1p(t / (beta + T))
        lifetime = (beta + T) * log_growth * special.exprel(-(s - 1) * log_growth)
        events: FloatArray = (r + x) / (alpha + T) * lifetime
        return events

    def _return_if_active(self, x: FloatArray, T: FloatArray, t: FloatArray | float) -> FloatArray:
        """Return P(an event within t | active), by quadrature of the density of the next event.

        The density at u is E[λ e^{−λu}] E[e^{−μu}] with λ ~ Gamma(r + x, α + T) and μ ~ Gamma(s, β + T).
        """
        r, alpha, s, beta = self._fitted
        x, T, t = np.broadcast_arrays(x, T, t)
        integral = power_integral(r + x + 1, s, alpha, beta, T, T + t)
        log_chance = np.log(r + x) + (r + x) * np.log(alpha + T) + s * np.log(beta + T) + integral.log_value
        chance: FloatArray = np.exp(np.minimum(log_chance, 0.0))
        return chance

    def _next_event_quantiles(
        self, x: FloatArray, T: FloatArray, horizon: float, levels: FloatArray
    ) -> FloatArray:
        r, alpha, s, beta = self._fitted
        x, T = np.broadcast_arrays(x, T)
        target = levels[:, None] * self._return_if_active(x, T, horizon)
        # The distribution function is concave: Newton's steps from the left end climb to the root and never
        # pass it. Those of a Lomax without drop-out start there.
        when: FloatArray = (alpha + T) * np.expm1(-np.log1p(-target) / (r + x))
        for _ in range(_NEWTON_STEPS):
            log_density = (
                np.log((r + x) / (alpha + T))
                - (r + x + 1) * np.log1p(when / (alpha + T))
                - s * np.log1p(when / (beta + T))
            )
            step = (target - self._return_if_active(x, T, when)) * np.exp(-log_density)
            when = np.minimum(when + step, horizon)
            if np.abs(step).max(initial=0.0) < 1e-6 * horizon:
                break
        return when

    def _gone(self, params: FloatArray, rows: Summary) -> tuple[PowerIntegral, FloatArray]:
        """Return the integral over the time of drop-out, and the log odds of having dropped out."""
        r, alpha, s, beta = params
        x, t_x, T = rows
        integral = power_integral(r + x, s + 1, alpha, beta, t_x, T)
        odds = np.log(s) + integral.log_value + (r + x) * np.log(alpha + T) + s * np.log(beta + T)
        return integral, odds


def _unique(rows: Summary) -> tuple[Summary, npt.NDArray[np.int64]]:
    columns, inverse = distinct(*rows)
    return Summary(*columns), inverse
