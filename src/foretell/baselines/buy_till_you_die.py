"""What the "buy till you die" models share: fit to a log, outlook from its end."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from foretell.baselines.speeds import PRECISION, Speeds
from foretell.baselines.statistic import EventStatistic, Histories, Summary, distinct, summarise
from foretell.core import FloatArray, IntArray
from foretell.core.contracts import Described, Outlook, State
from foretell.core.time import interval_ticks, period_edges
from foretell.data.design import Design
from foretell.data.log import EventLog
from foretell.errors import DataError, ParameterError

# Takes log parameters, and coefficients of what is known of customers; returns each row's log-likelihood and
# its gradient, (n_values, n_rows).
LogLikelihood = Callable[[FloatArray], tuple[FloatArray, FloatArray]]

_BOUND = 9.0  # on |log parameter|, on a time scale of the typical age: beyond it the surface is flat


class Optimum(NamedTuple):
    """Where a likelihood is highest."""

    params: FloatArray
    coefficients: FloatArray
    log_likelihood: float


def maximise(
    function: LogLikelihood, starts: tuple[tuple[float, ...], ...], weights: FloatArray, n_columns: int = 0
) -> Optimum:
    """Maximise a log-likelihood over positive parameters, weighted by how many customers a row stands for.

    The search begins at each start; the best end counts. Coefficients of so many columns begin at 0, and
    have a normal prior about it.
    """
    import scipy.optimize  # noqa: PLC0415  # a fit needs it, a forecast does not

    total = weights.sum()
    precision = np.append(np.zeros(len(starts[0])), np.full(n_columns, PRECISION))

    def objective(values: FloatArray) -> tuple[float, FloatArray]:
        rows, gradient = function(values)
        penalty = 0.5 * float(precision @ values**2)
        return -(float(weights @ rows) - penalty) / total, -(gradient @ weights - precision * values) / total

    ends = [
        scipy.optimize.minimize(
            objective,
            np.append(np.log(start), np.zeros(n_columns)),
            jac=True,
            method="L-BFGS-B",
            bounds=[(-_BOUND, _BOUND)] * (len(start) + n_columns),
            options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-7, "maxcor": 20},
        )
        for start in starts
    ]
    best = min(ends, key=lambda end: float(end.fun))
    n_params = len(starts[0])
    return Optimum(np.exp(best.x[:n_params]), best.x[n_params:], -float(best.fun) * float(total))


class BuyTillYouDie(EventStatistic):
    """A customer buys at a rate of its own until it drops out unseen; both differ from customer to customer.

    Subclasses give the likelihood of (repeats, recency, age), and what an active customer does next. That
    depends on repeats and age alone: recency only tells whether the customer is still active.

    These models fill every column of `predict`. ``p_active`` is the chance of any further event, as with
    every model: for Pareto/NBD, in which a customer may drop out between events, less than the chance of
    being active now, which the method `p_active` gives.

    What is known of customers (``static`` of `foretell.read_events`) lets the time of each run faster or
    slower by a factor exp(γ · z): of BG/NBD and MBG/NBD these are the covariates of the rate of purchases of
    Fader and Hardie (2007), of Pareto/NBD they speed up drop-out alike. γ has a standard normal prior.

    Attributes
    ----------
    params_ : named tuple
        The fitted parameters; time scales in ticks of the log.
    log_likelihood_ : float
        At the fitted parameters, with time in ticks.
    speeds_ : Speeds or None
        Factors on the time of customers of whom something is known.

    References
    ----------
    Fader, Hardie (2007), "Incorporating time-invariant covariates into the Pareto/NBD and BG/NBD models".
    """

    # Parameters that are times, by their position: they change with the unit of time.
    _scales: ClassVar[tuple[int, ...]]
    _starts: ClassVar[tuple[tuple[float, ...], ...]]

    log_likelihood_: float
    speeds_: Speeds | None = None

    def state(self) -> State:
        """Return the log and what was learned from it, as plain values."""
        state = super().state()
        likelihood = {"log_likelihood": np.array([self.log_likelihood_])}
        described = dict(state.described)
        if self.speeds_ is not None:
            described["speeds"] = self.speeds_.describe()
        return dataclasses.replace(state, described=described, arrays=state.arrays | likelihood)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Return the fitted model that `state` described."""
        model = super().from_state(state)
        model.log_likelihood_ = float(state.arrays["log_likelihood"].item())
        model.recall_speeds(state.described.get("speeds"))
        return model

    def recall_speeds(self, described: Described | None) -> None:
        """Take factors on the time of customers that were described, if there are any."""
        self.speeds_ = None if described is None else Speeds.from_description(described)

    def _learn(self, log: EventLog) -> None:
        summary = summarise(log)
        design = None if log.static is None else Design.fit(log.static)
        columns = np.zeros((log.n_customers, 0))
        if design is not None and log.static is not None:
            columns = design.matrix(log.static)
        coefficients = self._fit(summary, np.ones(log.n_customers), columns)
        self.speeds_ = None if design is None else Speeds(design, coefficients)

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

        Raises
        ------
        DataError
            There are no rows, or values that are not finite.
        ParameterError
            The statistics contradict each other.
        """
        x, t_x, T, times = np.broadcast_arrays(
            *(np.asarray(values, dtype=np.float64) for values in (repeats, recency, age, counts))
        )
        _check_rows(x, t_x, T, times)
        if np.any(t_x > T) or np.any(t_x < 0) or np.any(x < 0):
            raise ParameterError(
                "repeats, recency and age do not fit together: expected repeats >= 0 and "
                f"0 <= recency <= age, and {int(((t_x > T) | (t_x < 0) | (x < 0)).sum())} rows differ"
            )
        self._fit(Summary(x, t_x, T), times, np.zeros((len(x), 0)))
        self.speeds_ = None
        return self

    def _fit(self, summary: Summary, times: FloatArray, columns: FloatArray) -> FloatArray:
        """Keep the best parameters, and return the coefficients of what is known of each row's customers."""
        x, t_x, T = summary
        # On the scale of the typical age the parameters are of order one, whatever the clock's unit.
        scale = max(float(np.average(T, weights=times)), 1e-9)
        (x, t_x, T, *known), inverse = distinct(x, t_x / scale, T / scale, *columns.T)
        weights = np.bincount(inverse, weights=times).astype(np.float64)
        z = np.array(known).reshape(-1, len(x))
        n_params, scales = len(self._starts[0]), list(self._scales)

        def likelihood(values: FloatArray) -> tuple[FloatArray, FloatArray]:
            params, log_speed = np.exp(values[:n_params]), values[n_params:] @ z
            speed = np.exp(log_speed)
            value, gradient = self._log_likelihood(params, Summary(x, t_x * speed, T * speed))
            gradient *= params[:, None]
            # A faster time is as good as shorter scales of time.
            by_speed = -gradient[scales].sum(axis=0)
            return value + x * log_speed, np.concatenate([gradient, by_speed * z])

        best = maximise(likelihood, self._starts, weights, len(z))
        params = best.params.copy()
        params[scales] *= scale
        self._keep(params)
        self.log_likelihood_ = best.log_likelihood - float(weights @ x) * float(np.log(scale))
        return best.coefficients

    def outlook(self, log: EventLog, horizon: int, *, period: int, window: int) -> Outlook:
        """Look ahead from the end of a log; see `Outlook`."""
        histories = self._histories(log)
        active = self.p_active(*histories.summary)
        (x, T, speed), inverse = _futures(histories)
        edges = period_edges(horizon, period).astype(np.float64)
        per_period = self._expected_if_active(x[:, None], T[:, None], edges * speed[:, None])
        cumulative = np.bincount(inverse, weights=active, minlength=len(x)) @ per_period
        ends = self._next_event_quantiles(x, T, horizon * speed, np.array([0.1, 0.9])) / speed
        return Outlook(
            expected=active * per_period[inverse, -1],
            cohort=np.diff(cumulative, prepend=0.0),
            p_return=active * self._return_if_active(x, T, window * speed)[inverse],
            p_active=active,
            interval=interval_ticks(ends[0], ends[1], log.as_of)[inverse],
        )

    def _histories(self, log: EventLog) -> Histories:
        histories = super()._histories(log)
        if self.speeds_ is None:
            return histories
        speed = self.speeds_.of(log)
        x, t_x, T = histories.summary
        return histories._replace(summary=Summary(x, t_x * speed, T * speed), speed=speed)

    def p_active(self, repeats: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike) -> FloatArray:
        """Return the probability that customers with these histories are still active.

        The histories are in the unit of time of the fit, and broadcast.
        """
        self._check_fitted("params_")
        x, t_x, T = np.broadcast_arrays(
            *(np.asarray(values, dtype=np.float64) for values in (repeats, recency, age))
        )
        shape = x.shape
        return self._p_active(Summary(x.ravel(), t_x.ravel(), T.ravel())).reshape(shape)

    def expected_events(
        self, repeats: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike, horizon: npt.ArrayLike
    ) -> FloatArray:
        """Return the expected number of events in the ``horizon`` after the as-of date.

        All are in the unit of time of the fit, and broadcast.
        """
        x, T, t = (np.asarray(values, dtype=np.float64) for values in (repeats, age, horizon))
        return self.p_active(repeats, recency, age) * self._expected_if_active(x, T, t)

    def p_return(
        self, repeats: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike, window: npt.ArrayLike
    ) -> FloatArray:
        """Return the probability of at least one event in the ``window``; see `expected_events`."""
        x, T, t = (np.asarray(values, dtype=np.float64) for values in (repeats, age, window))
        return self.p_active(repeats, recency, age) * self._return_if_active(x, T, t)

    def _further_event(self, histories: Histories) -> FloatArray:
        return self._chances(histories, np.array([np.inf]))[:, 0]

    def _chances(self, histories: Histories, ticks: FloatArray) -> FloatArray:
        (x, T, speed), inverse = _futures(histories)
        chances = [self._return_if_active(x, T, length * speed)[inverse] for length in ticks]
        active: FloatArray = self.p_active(*histories.summary)[:, None] * np.stack(chances, axis=1)
        return active

    def _expected(self, histories: Histories, ticks: FloatArray) -> FloatArray:
        (x, T, speed), inverse = _futures(histories)
        events = self._expected_if_active(x[:, None], T[:, None], ticks * speed[:, None])
        expected: FloatArray = self.p_active(*histories.summary)[:, None] * events[inverse]
        return expected

    def _next_event(self, histories: Histories, levels: FloatArray) -> FloatArray:
        (x, T, speed), inverse = _futures(histories)
        own = self._next_event_quantiles(x, T, np.full(len(x), np.inf), levels)
        times: FloatArray = (own / speed)[:, inverse]
        return times

    def _overdue(self, histories: Histories) -> FloatArray:
        # As it stood at the last event, when the age was the recency.
        (x, t_x, T), inverse = distinct(*histories.summary)
        reached = self._return_if_active(x, t_x, T - t_x) / self._return_if_active(x, t_x, np.inf)
        overdue: FloatArray = np.clip(reached, 0.0, 1.0)[inverse]
        return overdue

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
        self, x: FloatArray, T: FloatArray, horizon: FloatArray, levels: FloatArray
    ) -> FloatArray:
        """Return quantiles of the next event's time given that it falls within the horizon, (levels, n)."""


def _futures(histories: Histories) -> tuple[list[FloatArray], IntArray]:
    """Return repeats, age and speed of customers who have the same future, and for each its place."""
    return distinct(histories.summary.repeats, histories.summary.age, histories.speed)


def _check_rows(x: FloatArray, t_x: FloatArray, T: FloatArray, times: FloatArray) -> None:
    """Refuse rows of sufficient statistics from which nothing can be learned."""
    if not np.sum(times) > 0 and not np.isnan(times).any():
        raise DataError(
            f"{len(x)} rows stand for no customers at all; expected at least one customer: repeats, recency "
            "and age of length 1 or more"
        )
    strange = np.flatnonzero(~np.isfinite(np.stack([x, t_x, T, times])).all(axis=0) | (times < 0))
    if len(strange):
        raise DataError(
            f"{len(strange):,} of {len(x):,} rows hold missing, infinite or (in counts) negative values, "
            f"the first at row {strange[0]}; expected finite repeats, recency, age and counts: leave those "
            "rows out"
        )
