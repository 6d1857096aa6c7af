"""What a visit is worth to come: a Gamma-Gamma model that learns from what came later, and forgets slowly.

Two things differ from `foretell.spend.gamma_gamma`. The parameters are those under which amounts that came
later were likely given those before, not under which all amounts of a customer are alike: tastes drift, and
what the past says of the future is less than it says of itself. And amounts long ago count for less: one
made n visits ago counts exp(-n / memory). All customers count alike, however many visits they made.
"""

from __future__ import annotations

import dataclasses
import weakref
from typing import Final, NamedTuple

import numpy as np
from scipy import optimize
from scipy.special import gammaln

from foretell.core import FloatArray, IntArray
from foretell.data.log import EventLog
from foretell.errors import EmptyLogError
from foretell.spend.gamma_gamma import mark_of

_MEMORIES: Final = (30.0, 100.0, np.inf)  # visits
_AHEAD: Final = "90d"  # within which a later amount is looked at
_PAIRS: Final = 4  # of each customer
_MOST: Final = 20_000  # pairs
_MONTH: Final = "30d"
_DISPERSION: Final = (0.05, 0.5)  # the least and the most
_START: Final = (2.0, 3.0, 2.0)  # p, q, γ in units of the median
_BOUND: Final = 12.0


class Rates(NamedTuple):
    """What is known of customers' amounts: those of one are gamma(shape, ν), its ν is gamma(q, γ).

    Attributes
    ----------
    shape : float
    q, gamma : array, shape (n,)
    paid : float
        Share of visits with an amount above 0.
    dispersion : float
        Variance of a customer's number of visits beyond a Poisson's, over its squared mean.
    """

    shape: float
    q: FloatArray
    gamma: FloatArray
    paid: float
    dispersion: float

    @property
    def mean(self) -> FloatArray:
        """The mean of an amount above 0."""
        mean: FloatArray = self.shape * self.gamma / np.maximum(self.q - 1.0, 1e-3)
        return mean

    @property
    def square(self) -> FloatArray:
        """The mean square of an amount above 0."""
        below = np.maximum((self.q - 1.0) * (self.q - 2.0), 1e-3)
        square: FloatArray = self.shape * (self.shape + 1.0) * self.gamma**2 / below
        return square

    @property
    def per_visit(self) -> FloatArray:
        """The mean amount of a visit, whether anything is paid or not."""
        return self.paid * self.mean

    def take(self, places: IntArray) -> Rates:
        """Return the rates of some customers."""
        return self._replace(q=self.q[places], gamma=self.gamma[places])


@dataclasses.dataclass(frozen=True)
class AmountModel:
    """A fitted model of amounts.

    Attributes
    ----------
    shape, q, gamma : float
        Of the Gamma-Gamma model.
    memory : float
        Visits after which an amount counts for 1 / e.
    paid : float
        Share of visits with an amount above 0.
    dispersion : float
        Of customers' numbers of visits, see `Rates`.
    """

    shape: float
    q: float
    gamma: float
    memory: float
    paid: float
    dispersion: float

    @classmethod
    def of(cls, log: EventLog, mark: str) -> AmountModel:
        """Fit it to the amounts of a log; the same log is fitted once."""
        known = _FITTED.setdefault(log, {})
        if mark not in known:
            known[mark] = cls._fitted(log, mark_of(log, mark))
        return known[mark]

    @classmethod
    def _fitted(cls, log: EventLog, values: FloatArray) -> AmountModel:
        paid = values > 0
        if not paid.any():
            raise EmptyLogError("no visit has an amount above 0: there is nothing to learn from")
        share = float(paid.sum() / (~np.isnan(values)).sum())
        unit = float(np.median(values[paid]))
        scaled = np.where(paid, values, 0.0) / unit
        before, after = _pairs(log, paid)
        best, found = np.inf, (*_START, np.inf)
        for memory in _MEMORIES if len(before) else ():
            sums = discounted(np.column_stack([scaled, paid]), log.offsets, memory)[before]
            end = optimize.minimize(
                lambda logs, sums=sums: -_log_density(np.exp(logs), sums, scaled[after]).mean(),
                np.log(_START),
                method="L-BFGS-B",
                bounds=[(-_BOUND, _BOUND)] * 3,
            )
            if end.fun < best:
                best, found = float(end.fun), (*np.exp(end.x).tolist(), memory)
        if not len(before):  # nobody came twice: only the mean of all is known
            found = (_START[0], _START[1], (_START[1] - 1.0) / _START[0] * float(scaled[paid].mean()), np.inf)
        shape, q, gamma, memory = found
        return cls(shape, q, gamma * unit, memory, share, _dispersion(log))

    def keep_for(self, log: EventLog, mark: str) -> None:
        """Let a log be answered for by this model, and not by one of its own: it holds a few customers."""
        _FITTED.setdefault(log, {})[mark] = self

    def rates(self, log: EventLog, mark: str) -> Rates:
        """Return what a log says of its customers' amounts."""
        values = mark_of(log, mark)
        paid = values > 0
        sums = discounted(np.column_stack([np.where(paid, values, 0.0), paid]), log.offsets, self.memory)
        last = sums[log.offsets[1:] - 1]
        return Rates(
            self.shape, self.q + self.shape * last[:, 1], self.gamma + last[:, 0], self.paid, self.dispersion
        )


_FITTED: weakref.WeakKeyDictionary[EventLog, dict[str, AmountModel]] = weakref.WeakKeyDictionary()


def discounted(values: FloatArray, offsets: IntArray, memory: float) -> FloatArray:
    """Return each customer's running sums, in which what lies n events back counts exp(-n / memory).

    Examples
    --------
    >>> sums = discounted(np.array([[1.0], [1.0], [5.0]]), np.array([0, 2, 3]), 1.0)
    >>> sums.ravel().round(3).tolist()
    [1.0, 1.368, 5.0]
    """
    sums = np.array(values, dtype=np.float64)
    keeps = np.exp(-1.0 / memory)
    counts = np.diff(offsets)
    order = np.argsort(-counts, kind="stable")
    starts, lengths = offsets[:-1][order], -counts[order]
    for k in range(1, int(counts.max(initial=0))):
        at = starts[: np.searchsorted(lengths, -k)] + k  # of customers with more than k events
        sums[at] += keeps * sums[at - 1]
    return sums


def _pairs(log: EventLog, paid: np.ndarray) -> tuple[IntArray, IntArray]:
    """Return events, and of each a later one of the same customer within some days at which was paid.

    A few of each customer, drawn by the same lot every time.
    """
    rng = np.random.default_rng(0)
    ahead = log.ticks_of(_AHEAD)
    span = int(log.times.max() - log.times.min()) + ahead + 1
    keys = log.owner * span + (log.times - log.times.min())
    event = np.arange(log.n_events)
    ahead_of = np.searchsorted(keys, keys + ahead, side="right") - 1 - event
    before = event[ahead_of > 0]
    lot = rng.random(len(before))
    order = np.lexsort((lot, log.owner[before]))
    owner = log.owner[before][order]
    rank = np.arange(len(owner)) - np.searchsorted(owner, owner)
    before = np.sort(before[order][rank < _PAIRS])
    after = before + 1 + (rng.random(len(before)) * ahead_of[before]).astype(np.int64)
    kept = paid[after]
    before, after = before[kept], after[kept]
    if len(before) > _MOST:
        some = np.sort(rng.permutation(len(before))[:_MOST])
        before, after = before[some], after[some]
    return before, after


def _dispersion(log: EventLog) -> float:
    """Return how much more customers' visits vary from month to month than chance makes them.

    Of those who were there for three months; by the products of two months, whose mean is that of the
    squared rate.
    """
    month = log.ticks_of(_MONTH)
    ago = (log.as_of - log.times) // month
    there = log.first <= log.as_of - 3 * month
    last, before = (
        np.bincount(log.owner[ago == k], minlength=log.n_customers)[there].astype(np.float64) for k in (0, 1)
    )
    product = float((last * before).sum())
    if not product:
        return _DISPERSION[0]
    beyond = float(((last - before) ** 2 - last - before).sum()) / 2
    return float(np.clip(beyond / product, *_DISPERSION))


def _log_density(params: FloatArray, sums: FloatArray, amount: FloatArray) -> FloatArray:
    """Return the log-density of an amount, given the sum and the number of those before (discounted)."""
    shape, q, gamma = params
    total, rate = q + shape * sums[:, 1], gamma + sums[:, 0]
    density: FloatArray = (
        gammaln(shape + total) - gammaln(shape) - gammaln(total)
        + total * np.log(rate) + (shape - 1.0) * np.log(amount) - (shape + total) * np.log(rate + amount)
    )  # fmt: skip
    return density
