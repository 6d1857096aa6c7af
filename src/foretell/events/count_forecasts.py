"""What only the mixture can say: how many events follow the next one, and simulated futures."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence

import numpy as np
import polars as pl

from foretell.core import FloatArray, IntArray
from foretell.core.constraints import Maybe, Seed, Whole, check
from foretell.core.time import period_edges
from foretell.data.log import EventLog
from foretell.data.tables import Customers, named_horizons
from foretell.errors import DataError, ParameterError
from foretell.events.calendar import CalendarEffect, say_what_is_not_known
from foretell.events.customers import CustomerForecaster
from foretell.events.heads import as_head
from foretell.events.simulation import Expected, expected_events, simulate_paths
from foretell.events.states import States
from foretell.nn.streams import streams_of

_PULLS = np.array([0.1, 0.3, 1.0, 3.0, 10.0, 30.0])


@dataclasses.dataclass(frozen=True)
class Simulation:
    """Simulated futures; see `EventForecaster.simulate`.

    Attributes
    ----------
    log : EventLog
    horizon, paths : int
    customer, path, tick : int64 arrays, shape (n_simulated_events,)
    """

    log: EventLog
    horizon: int
    paths: int
    customer: IntArray
    path: IntArray
    tick: IntArray

    def to_polars(self) -> pl.DataFrame:
        """Return one row per simulated event: ``unique_id``, ``path``, ``ds``."""
        return pl.DataFrame(
            {
                "unique_id": self.log.ids.gather(self.customer),
                "path": self.path,
                "ds": self.log.time_of(self.tick),
            }
        )

    def counts(self) -> IntArray:
        """Return the number of events of each customer in each path, shape (n_customers, paths)."""
        flat = np.bincount(
            self.customer * self.paths + self.path, minlength=self.log.n_customers * self.paths
        )
        return flat.reshape(self.log.n_customers, self.paths)

    def cohort(self, period: str | int = "7d", levels: Sequence[int] = (80,)) -> pl.DataFrame:
        """Return totals of all customers by period: ``ds``, ``foretell`` (the mean), ``foretell-lo-80`` ….

        Intervals hold what chance does to a right model; `EventForecaster.predict_totals` adds the error of
        the model.
        """
        ends = period_edges(self.horizon, self.log.ticks_of(period))
        index = np.searchsorted(ends, self.tick - self.log.as_of)
        flat = np.bincount(index * self.paths + self.path, minlength=len(ends) * self.paths)
        totals = flat.reshape(len(ends), self.paths)
        starts = self.log.as_of + 1 + np.concatenate([[0], ends[:-1]])
        columns = {"ds": self.log.time_of(starts), "foretell": pl.Series(totals.mean(axis=1))}
        for level in levels:
            columns[f"foretell-lo-{level}"] = pl.Series(np.quantile(totals, 0.5 - level / 200, axis=1))
            columns[f"foretell-hi-{level}"] = pl.Series(np.quantile(totals, 0.5 + level / 200, axis=1))
        return pl.DataFrame(columns)


class CountForecasts(CustomerForecaster, abc.ABC):
    """Questions about the number of events."""

    @property
    @abc.abstractmethod
    def calendar_effect_(self) -> CalendarEffect | None:
        """How many more visits the days of the log's calendar bring."""

    @property
    def _counts(self) -> bool:
        """Whether the head knows what comes after the next event."""
        return self.model_.network.kind == "mixture"

    def _check_counts(self) -> None:
        if not self._counts:
            raise ParameterError(
                f"the head {self.model_.network.kind!r} knows the next event only, not how many follow it, "
                "nor whether a customer is lost; expected a forecaster with head='mixture'"
            )

    def simulate(self, horizon: str | int = "90d", paths: int = 500, seed: int | None = None) -> Simulation:
        """Simulate futures of every customer.

        Parameters
        ----------
        horizon : str or int
        paths : int
            Futures per customer.
        seed : int, optional
            By default the forecaster's own.
        """
        self._check_fitted("model_")
        self._check_counts()
        ticks = self.log_.ticks_of(horizon)
        check("paths", paths, Whole(1, 1_000_000))
        check("seed", seed, Maybe(Seed()))
        events = simulate_paths(
            self.model_,
            self.log_,
            self.states_,
            ticks,
            paths=paths,
            seed=int(self.seed if seed is None else seed),
        )
        return Simulation(self.log_, ticks, paths, events.customer, events.path, events.tick)

    def predict_cohort(self, horizon: str | int = "90d", period: str | int = "7d") -> pl.DataFrame:
        """Return the expected events of all customers by period: ``ds`` (its first tick), ``foretell``."""
        self._check_fitted("model_")
        self._check_counts()
        ticks, width = self.log_.ticks_of(horizon), self.log_.ticks_of(period)
        say_what_is_not_known(self.calendar_effect_, self.log_, ticks)
        ends = period_edges(ticks, width)
        expected = self._expected(self.log_, self.states_, [ticks], ends)
        starts = self.log_.as_of + 1 + np.concatenate([[0], ends[:-1]])
        return pl.DataFrame({"ds": self.log_.time_of(starts), "foretell": expected.cohort})

    def predict_groups(self, horizons: Sequence[str | int] = ("7d", "30d", "90d")) -> pl.DataFrame:
        """Return expected events by group, adding up to the total: ``group``, ``expected_events_7d`` …."""
        self._check_fitted("model_")
        self._check_counts()
        if self.log_.groups is None or self.log_.group_names is None:
            raise DataError("the log has no groups; read it with read_events(…, group='store_id')")
        named = named_horizons(self.log_, horizons)
        expected = self._expected(self.log_, self.states_, [ticks for _, ticks in named])
        totals = group_totals(self.log_, expected.counts)
        columns = {f"expected_events_{name}": totals[:, k] for k, (name, _) in enumerate(named)}
        return pl.DataFrame({"group": self.log_.group_names, **columns})

    def _expected(
        self,
        log: EventLog,
        states: States,
        edges: Sequence[int],
        periods: Sequence[int] | IntArray = (),
        customers: Customers | None = None,
    ) -> Expected:
        ids = log.ids if customers is None else customers.ids
        ours = expected_events(
            self.model_,
            log,
            states,
            edges,
            paths=as_head(self.head).paths,
            streams=streams_of(ids, self.seed),
            periods=list(periods),
        )
        if self.auto_ is None:
            return ours
        rows = None if customers is None else customers.places
        return self.auto_.expected(ours, log, edges, periods, rows)


def group_totals(log: EventLog, expected: FloatArray) -> FloatArray:
    """Return the expected events of each group; they add up to all customers' total.

    A customer's next event falls to group g with probability (n_g + κ q_g) / (n + κ): own events in each
    group, drawn towards the log's shares q. κ is chosen by how well it predicts each customer's last group
    from the events before it. Shape (n_customers, n_horizons) becomes (n_groups, n_horizons).
    """
    assert log.groups is not None and log.group_names is not None  # noqa: S101, PT018  # the caller has checked
    n_groups = len(log.group_names)
    overall = np.bincount(log.groups, minlength=n_groups) / log.n_events
    pull = _best_pull(log, overall)
    counts = log.counts.astype(float)
    by_event = expected / (counts + pull)[:, None]
    totals = np.zeros((n_groups, expected.shape[1]))
    np.add.at(totals, log.groups, by_event[log.owner])
    shared: FloatArray = totals + overall[:, None] * (pull * by_event.sum(axis=0))
    return shared


def _best_pull(log: EventLog, overall: FloatArray) -> float:
    """Return κ with the highest likelihood of the customers' last groups."""
    assert log.groups is not None  # noqa: S101
    last = log.offsets[1:] - 1
    returning = log.counts > 1
    final = log.groups[last]
    same = (log.groups == final[log.owner]).astype(float)
    same[last] = 0.0
    before = np.add.reduceat(same, log.offsets[:-1])[returning]
    n = log.counts[returning] - 1.0
    share = overall[final[returning]]
    if not len(n):
        return float(_PULLS[-1])
    scores = [np.log((before + k * share) / (n + k) + 1e-12).mean() for k in _PULLS]
    return float(_PULLS[int(np.argmax(scores))])
