"""What the "buy till you die" models share: fit to a log, outlook from its end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from foretell.baselines.likelihood import maximise
from foretell.baselines.summary import Summary, distinct, summarise
from foretell.core.outlook import Outlook, interval_ticks, period_edges
from foretell.data.log import EventLog
from foretell.errors import NotFittedError, ParameterError

FloatArray = npt.NDArray[np.float64]


class BuyTillYouDie(ABC):
    """A customer buys at a rate of its own until it drops out unseen; both differ from customer to customer.

    Subclasses give the likelihood of (repeats, recency, age), and what an active customer does next. That
    depends on repeats and age alone: recency only tells whether the customer is still active.

    Attributes
    ----------
    params_ : named tuple
        The fitted parameters; time scales in ticks of the log.
    log_likelihood_ : float
        At the fitted parameters, with time in ticks.
    """

    name: ClassVar[str]
    # Parameters that are times, by their position: they change with the unit of time.
    _scales: ClassVar[tuple[int, ...]]
    _starts: ClassVar[tuple[tuple[float, ...], ...]]

    params_: Any
    log_likelihood_: float

    def __repr__(self) -> str:
        fitted = getattr(self, "params_", None)
        return f"{type(self).__name__}()" + (f" fitted: {fitted}" if fitted is not None else "")

    def fit(self, log: EventLog) -> Self:
        """Fit the parameters by maximum likelihood.

        Parameters
        ----------
        log : EventLog
            Events up to its as-of date.
        """
        self.fit_summary(*summarise(log))
        return self

    def fit_summary(
        self, repeats: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike, counts: npt.ArrayLike = 1.0
    ) -> Self:
        """Fit to sufficient statistics, in any unit of time; the parameters come in that unit.

        Parameters
        ----------
        repeats, recency, age : array-like, shape (n,)
            Repeat events, time from first to last event, time from the first event to the as-of date.
        counts : array-like
            How many customers each row stands for.
        """
        x, t_x, T, times = np.broadcast_arrays(
            *(np.asarray(values, dtype=np.float64) for values in (repeats, recency, age, counts))
        )
        if np.any(t_x > T) or np.any(t_x < 0) or np.any(x < 0):
            raise ParameterError(
                "repeats, recency and age do not fit together: expected repeats >= 0 and "
                f"0 <= recency <= age, and {int(((t_x > T) | (t_x < 0) | (x < 0)).sum())} rows differ"
            )
        # On the scale of the typical age the parameters are of order one, whatever the clock's unit.
        scale = max(float(np.average(T, weights=times)), 1e-9)
        rows, inverse = distinct(x, t_x / scale, T / scale)
        weights = np.bincount(inverse, weights=times).astype(np.float64)
        best = maximise(lambda params: self._log_likelihood(params, Summary(*rows)), self._starts, weights)
        params = best.params.copy()
        params[list(self._scales)] *= scale
        self.params_ = self._pack(params)
        self.log_likelihood_ = best.log_likelihood - float(times @ x) * float(np.log(scale))
        return self

    def outlook(self, log: EventLog, horizon: int, *, period: int, window: int) -> Outlook:
        """Look ahead from the end of a log.

        Parameters
        ----------
        log : EventLog
            The customers and their events; its clock has to be the one of the fit.
        horizon, period, window : int
            How far to look, the length of the cohort's periods, and of the window of ``p_return``, in ticks.
        """
        summary = summarise(log)
        active = self.p_active(*summary)
        (x, T), inverse = distinct(summary.repeats, summary.age)
        edges = period_edges(horizon, period).astype(np.float64)
        per_period = self._expected_if_active(x[:, None], T[:, None], edges)
        cumulative = np.bincount(inverse, weights=active, minlength=len(x)) @ per_period
        lower, upper = self._next_event_quantiles(x, T, float(horizon), np.array([0.1, 0.9]))
        return Outlook(
            expected=active * per_period[inverse, -1],
            cohort=np.diff(cumulative, prepend=0.0),
            p_return=active * self._return_if_active(x, T, float(window))[inverse],
            p_active=active,
            interval=interval_ticks(lower, upper, log.as_of)[inverse],
        )

    def return_chances(self, log: EventLog, ticks: npt.ArrayLike) -> FloatArray:
        """Return P(an event within so many ticks after the log's end), shape (n_customers, n_ticks)."""
        summary = summarise(log)
        (x, T), inverse = distinct(summary.repeats, summary.age)
        chances = [self._return_if_active(x, T, float(one))[inverse] for one in np.asarray(ticks)]
        found: FloatArray = self.p_active(*summary)[:, None] * np.stack(chances, axis=1)
        return found

    def p_active(self, repeats: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike) -> FloatArray:
        """Return the probability that customers with these histories are still active.

        Parameters
        ----------
        repeats, recency, age : array-like
            In the unit of time of the fit; they broadcast.
        """
        x, t_x, T = np.broadcast_arrays(
            *(np.asarray(values, dtype=np.float64) for values in (repeats, recency, age))
        )
        shape = x.shape
        return self._p_active(Summary(x.ravel(), t_x.ravel(), T.ravel())).reshape(shape)

    def expected_events(
        self, repeats: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike, horizon: npt.ArrayLike
    ) -> FloatArray:
        """Return the expected number of events in the ``horizon`` after the as-of date.

        Parameters
        ----------
        repeats, recency, age, horizon : array-like
            In the unit of time of the fit; they broadcast.
        """
        x, T, t = (np.asarray(values, dtype=np.float64) for values in (repeats, age, horizon))
        return self.p_active(repeats, recency, age) * self._expected_if_active(x, T, t)

    def p_return(
        self, repeats: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike, window: npt.ArrayLike
    ) -> FloatArray:
        """Return the probability of at least one event in the ``window`` after the as-of date.

        Parameters
        ----------
        repeats, recency, age, window : array-like
            In the unit of time of the fit; they broadcast.
        """
        x, T, t = (np.asarray(values, dtype=np.float64) for values in (repeats, age, window))
        return self.p_active(repeats, recency, age) * self._return_if_active(x, T, t)

    @property
    def _fitted(self) -> Any:
        try:
            return self.params_
        except AttributeError:
            raise NotFittedError(
                f"this {type(self).__name__} has no parameters yet: call fit(log) first"
            ) from None

    @staticmethod
    @abstractmethod
    def _pack(params: FloatArray) -> NamedTuple:
        """Return parameters under their names."""

    @abstractmethod
    def _log_likelihood(self, params: FloatArray, rows: Summary) -> tuple[FloatArray, FloatArray]:
        """Return each row's log-likelihood, and its gradient in the parameters, shape (4, n)."""

    @abstractmethod
    def _p_active(self, rows: Summary) -> FloatArray:
        """Return P(active | history)."""

    @abstractmethod
    def _expected_if_active(self, x: FloatArray, T: FloatArray, t: FloatArray) -> FloatArray:
        """Return the expected events within t of a customer that is active now."""

    @abstractmethod
    def _return_if_active(self, x: FloatArray, T: FloatArray, t: FloatArray | float) -> FloatArray:
        """Return P(an event within t | active now)."""

    @abstractmethod
    def _next_event_quantiles(
        self, x: FloatArray, T: FloatArray, horizon: float, levels: FloatArray
    ) -> FloatArray:
        """Return quantiles of the next event's time given that it falls within the horizon, (levels, n)."""
