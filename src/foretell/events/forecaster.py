"""`EventForecaster`: fit on a log of events, answer when each customer comes next."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core.constraints import (
    Constraint,
    Instance,
    Maybe,
    OneOf,
    Whole,
    as_levels,
    as_quantiles,
    check,
)
from foretell.core.contracts import Kind, Outlook
from foretell.core.state import State
from foretell.core.time import as_durations, period_edges
from foretell.data.log import EventLog, training_log
from foretell.data.state import log_alike, log_options
from foretell.data.tables import (
    Customers,
    asked_customers,
    interval_tails,
    named_horizons,
    null_unless,
    quantile_table,
)
from foretell.errors import DataError, ParameterError, SmallDataWarning
from foretell.events.answers import (
    activity,
    answer_table,
    class_chances,
    gap_lengths,
    next_event_moments,
    p_return,
    standing,
    within_horizon,
)
from foretell.events.auto import LEAST_CUSTOMERS, EventChoice, choose
from foretell.events.disagreement import disagreement as members_disagreement
from foretell.events.fitting import fit_gap_model, warmed
from foretell.events.futures import Simulation
from foretell.events.groups import group_totals
from foretell.events.heads.config import HeadConfig, as_head
from foretell.events.heads.grid import GridNetwork
from foretell.events.simulation import Expected, expected_events, simulate_paths
from foretell.events.state import (
    choice_of,
    forecaster_state,
    gap_model_of,
    head_of,
    log_and_states,
    of_today,
    settings,
)
from foretell.events.states import GapModel, States, encode, newcomer, remembered_states
from foretell.nn.custom import check_network
from foretell.nn.forecaster import NetworkForecaster
from foretell.nn.settings import EVENTS, NetworkConfig, TrainConfig, as_config
from foretell.nn.training import Progress
from foretell.prep.bins import Bins
from foretell.storage.forecaster import FittedTo

FloatArray = npt.NDArray[np.float64]


class EventForecaster(NetworkForecaster):
    """Forecast each customer's next event, its uncertainty, and the number of events to come.

    An ensemble of recurrent networks reads every customer's history and corrects the closed-form forecast of
    MBG/NBD, on a clock that runs at the shop's own seasonal speed. All answers are read off one distribution
    of the next gap, so that they agree with each other.

    Parameters
    ----------
    ensemble : int
        Networks that are averaged; more cost time and steady the answers.
    seed : int
        Same seed, same machine, same answers.
    network : NetworkConfig, keras cell, keras.Model or callable, optional
        Cell, layers, widths; or a cell of your own, or a causal network ``(batch, steps, features) → (batch,
        steps, units)``, or a function that builds one for a shape: it replaces the recurrent layers.
    training : TrainConfig, optional
        Epochs, batch size, learning rate, early stopping.
    head : {"mixture", "bins", "gap", "hazard"} or HeadConfig
        What the network says of the next gap; only the mixture knows everything, see the page on heads.
    drop_out : {"mbg", "bg"}
        Anchor of the mixture: MBG/NBD (customers may be lost after their first event) or BG/NBD.
    seasonal : bool
        Estimate the operational clock from the log; False runs on plain days.
    paths : int
        Simulated paths of an average customer, for expected counts.
    model : {"network", "auto"}
        ``"auto"`` holds back the last quarter of the log once, and by it chooses or blends the network, the
        buy-till-you-die statistics and the rules of thumb, for counts and for probabilities; dates and
        simulated futures stay the network's. With fewer than 200 customers it warns and falls back on the
        statistics.

    Attributes
    ----------
    log_ : EventLog
        The log up to the as-of date.
    model_ : GapModel
    states_ : States
        Where each customer stands.
    auto_ : EventChoice or None
        With ``model="auto"``: the weights, the losses they came from, and whether there was too little data.

    Examples
    --------
    >>> import foretell as ft
    >>> log = ft.read_events(ft.datasets.load_cdnow(sample=True), id="customer_id", time="date")
    >>> quick = ft.EventForecaster(ensemble=1, training=ft.TrainConfig(epochs=1))
    >>> table = quick.fit(log, as_of="1997-09-30").predict(horizons=["30d"])
    >>> table.columns[:6]
    ['unique_id', 'as_of', 'n_events', 'last_event', 'p_active', 'next_event']
    """

    kind: ClassVar[Kind] = "events"
    starts_warm = True
    _constraints: ClassVar[Mapping[str, Constraint]] = {
        "ensemble": Whole(),
        "paths": Whole(),
        "seed": Whole(0),
        "training": Maybe(Instance(TrainConfig)),
        "model": OneOf(("network", "auto")),
        "drop_out": OneOf(("mbg", "bg")),
    }
    _configurations: ClassVar[Mapping[str, type]] = {
        "network": NetworkConfig,
        "training": TrainConfig,
        "head": HeadConfig,
    }

    saved_as = "events-network"
    auto_: EventChoice | None = None
    log_ = FittedTo[EventLog]()
    states_ = FittedTo[States]()

    def __init__(
        self,
        *,
        ensemble: int = 3,
        seed: int = 0,
        network: Any = None,
        training: TrainConfig | None = None,
        head: str | HeadConfig = "mixture",
        drop_out: str = "mbg",
        seasonal: bool = True,
        paths: int = 20,
        model: str = "network",
    ) -> None:
        self.ensemble = ensemble
        self.head = head
        self.seed = seed
        self.network = network
        self.training = training
        self.drop_out = drop_out
        self.seasonal = seasonal
        self.paths = paths
        self.model = model

    @property
    def name(self) -> str:
        """The model's name in tables."""
        kind = as_head(self.head).kind
        return "foretell" if kind == "mixture" else f"foretell, {kind}"

    def fit(
        self,
        log: EventLog,
        *,
        as_of: Any = None,
        warm_start: EventForecaster | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Self:
        """Fit to a log.

        Parameters
        ----------
        log : EventLog
            See `foretell.read_events`.
        as_of : date or str, optional
            Last day to learn from, inclusive; by default the log's own. Later events are not looked at.
        warm_start : EventForecaster, optional
            A fitted one of the same settings: training goes on from its weights, with few epochs.
        progress : callable, optional
            Hears a `Progress` after each epoch of each member.
        """
        self._check_parameters()
        log = training_log(log, as_of)
        self.auto_ = None
        small = self.model == "auto" and log.n_customers < LEAST_CUSTOMERS
        if small:
            warnings.warn(
                f"{log.n_customers} customers are too few for the network to learn from (fewer than "
                f"{LEAST_CUSTOMERS}): model='auto' falls back on the statistics",
                SmallDataWarning,
                stacklevel=2,
            )
        start = None if warm_start is None else self._start(warm_start, log)
        self.model_: GapModel = self._fit_model(log, self.network, progress, start=start, train=not small)
        self._stand(log)
        if self.model == "auto":
            earlier = None if warm_start is None else warm_start.auto_
            plain = None if small else type(self)(**self.get_params() | {"model": "network"})
            self.auto_ = choose(log, plain) if earlier is None else earlier.refitted(log)
        return self

    def _fit_model(
        self,
        log: EventLog,
        network: Any,
        progress: Callable[[Progress], None] | None,
        *,
        start: GapModel | None = None,
        train: bool = True,
    ) -> GapModel:
        training = EVENTS.complete_training(self.training)
        return fit_gap_model(
            log,
            as_config(network),
            training if start is None else warmed(training),
            ensemble=self.ensemble,
            seed=int(self.seed),
            head=as_head(self.head),
            drop_out="bg" if self.drop_out == "bg" else "mbg",
            seasonal=self.seasonal,
            start=start,
            train=train,
            progress=progress,
        )

    def _start(self, other: EventForecaster, log: EventLog) -> GapModel:
        """Return a fitted model to go on from, if it is built as this one would be."""
        if not self.starts_warm or type(other) is not type(self):
            raise ParameterError(
                f"warm_start={other!r}; expected a fitted EventForecaster for an EventForecaster; models of "
                "other kinds are fitted without warm_start"
            )
        other._check_fitted("model_")
        # The head in one spelling: "bins" and HeadConfig("bins") are the same.
        mine, theirs = (one.get_params() | {"head": as_head(one.head)} for one in (self, other))
        free = {"seed", "training", "paths", "model"}
        differ = [name for name in mine if name not in free and mine[name] != theirs[name]]
        if differ or log.mark_names != other.log_.mark_names:
            raise ParameterError(
                f"warm_start differs in {', '.join(differ) or 'the marks of its log'}; expected a forecaster "
                "of the same settings, fitted to a log with the same marks: fit without warm_start"
            )
        return other.model_

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_network(self.network)
        as_head(self.head)
        if self.training is not None and self.training.loss is not None:
            raise ParameterError(
                f"loss={self.training.loss!r}; expected None: the next gap is trained by its likelihood"
            )
        if self.model == "auto" and as_head(self.head).kind != "mixture":
            raise ParameterError(
                f"model='auto' with head={as_head(self.head).kind!r}; expected head='mixture': counts "
                "are blended, and other heads know none"
            )

    def _stand(self, log: EventLog, states: States | None = None) -> Self:
        self.log_ = log
        self.states_ = self._encode(log) if states is None else states
        return self

    def _encode(self, log: EventLog) -> States:
        """Return where the customers of a log stand."""
        return encode(self.model_, log)

    def _states_of(self, log: EventLog) -> States:
        """Return where the customers of any log stand, without moving to it: a query changes nothing."""
        if log is self.log_:
            return self.states_
        return remembered_states(self.model_, log, self._encode)

    def predict(
        self,
        horizons: Sequence[str | int] = ("7d", "30d", "90d"),
        levels: Sequence[float] = (50, 80, 95),
        ids: Collection[Any] | None = None,
        *,
        disagreement: bool = False,
    ) -> pl.DataFrame:
        """Answer for every customer, or for some.

        Parameters
        ----------
        horizons : sequence of str or int
            Such as ``"7d"``, ``"26w"``, ``"36h"``, or ticks of the clock.
        levels : sequence of int
            Percentages of the intervals of the next event.
        ids : collection, optional
            Customers, in this order. One that the log has never seen gets the forecast of a customer whose
            first event falls on the as-of date, with ``n_events`` 0.
        disagreement : bool
            Add how far the networks of the ensemble differ: standard deviations in columns ``p_active-sd``,
            ``next_event-sd`` (in ticks), ``p_return_7d-sd`` ….

        Returns
        -------
        polars.DataFrame
            One row per customer:

            - ``unique_id``, ``as_of``, ``n_events``, ``last_event``;
            - ``p_active``: probability that there will be a further event at all;
            - ``next_event``, ``next_event-lo-80``, ``next_event-hi-80`` …: median and central intervals of
              the next event's date *given that the customer returns*; ``p_active`` says how likely that is.
              Dates more than 100 years ahead are shown as 100 years ahead;
            - ``p_return_7d`` …: probability of at least one event within the horizon;
            - ``expected_events_7d`` …: expected number of events within the horizon;
            - ``overdue``: how far the present silence reaches into the customer's own distribution of gaps,
              from 0 (just been here) to 1 (longer than any expected gap).

            Other heads than the mixture leave some columns null, see the page on heads.
        """
        self._check_fitted("model_")
        named = named_horizons(self.log_, horizons)
        as_levels(levels)
        customers, states = self._chosen(ids)
        log, rows = customers.log, customers.places
        counts = np.zeros((len(rows), 0)) if self._counts else None
        if named and self._counts:
            edges = [ticks for _, ticks in named]
            counts = self._expected(log, states, edges, rows=rows).counts
        table = answer_table(self.model_, customers, states, horizons=named, levels=levels, expected=counts)
        if self.auto_ is not None:
            table = self.auto_.table(table, log, named, rows)
        if disagreement:
            table = table.hstack(members_disagreement(self.model_, log, states, named))
        return table

    def quantiles(self, levels: Sequence[float], ids: Collection[Any] | None = None) -> pl.DataFrame:
        """Return quantiles of the next event's date given a return: ``unique_id``, ``q0.1`` …."""
        self._check_fitted("model_")
        as_quantiles(levels)
        customers, states = self._chosen(ids)
        moments = next_event_moments(standing(self.model_, customers.log, states), list(levels))
        return quantile_table(customers, moments, levels)

    def predict_gap(
        self, levels: Sequence[float] = (80,), ids: Collection[Any] | None = None
    ) -> pl.DataFrame:
        """Forecast the gap after each customer's last event as it was seen at that event.

        Unlike `predict` it does not look at the silence since then: it is the forecast to hold against a gap
        whose end is known.

        Parameters
        ----------
        levels : sequence of int
            Percentages of the intervals.
        ids : collection, optional

        Returns
        -------
        polars.DataFrame
            ``unique_id``, ``last_event``, ``gap`` (the median in ticks, given a return), ``gap-lo-80`` ….
        """
        self._check_fitted("model_")
        customers, states = self._chosen(ids)
        log = customers.log
        lengths = gap_lengths(standing(self.model_, log, states), states.last, [0.5, *interval_tails(levels)])
        columns = {
            "unique_id": customers.ids,
            "last_event": null_unless(customers.known, log.time_of(states.last)),
            "gap": pl.Series(lengths[0]),
        }
        for k, level in enumerate(levels):
            columns[f"gap-lo-{level}"] = pl.Series(lengths[1 + 2 * k])
            columns[f"gap-hi-{level}"] = pl.Series(lengths[2 + 2 * k])
        return pl.DataFrame(columns)

    def predict_bins(
        self, bins: Bins | Sequence[float] | None = None, ids: Collection[Any] | None = None
    ) -> pl.DataFrame:
        """Return the probability of each class of the gap after a customer's last event.

        As in `predict_gap`, it is seen at the last event, not after the silence since then.

        Parameters
        ----------
        bins : Bins or sequence of float, optional
            Classes of gaps in ticks; by default those of the head ``"bins"``.
        ids : collection, optional

        Returns
        -------
        polars.DataFrame
            ``unique_id``, and a column for each class, such as ``[7, 14)``; of no return within the outer
            edges is what is missing to 1.
        """
        self._check_fitted("model_")
        network = self.model_.network
        if bins is None and network.kind != "bins":
            raise ParameterError(
                "bins=None; expected classes such as [0, 7, 14, 28, inf]: only the head 'bins' has its own"
            )
        own = network.edges if isinstance(network, GridNetwork) else ()
        given = own if bins is None else bins
        chosen = given if isinstance(given, Bins) else Bins(given)
        customers, states = self._chosen(ids)
        found = class_chances(standing(self.model_, customers.log, states), states.last, chosen)
        if found is None:
            raise ParameterError(
                "the head 'gap' forecasts a point, and gives no probabilities; expected head='bins', "
                "'hazard' or 'mixture'"
            )
        labels = [f"[{low:g}, {high:g})" for low, high in itertools.pairwise(chosen.edges)]
        return pl.DataFrame({"unique_id": customers.ids} | dict(zip(labels, found, strict=True)))

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
        check("paths", paths, Whole())
        found = simulate_paths(
            self.model_,
            self.log_,
            self.states_,
            ticks,
            paths=paths,
            seed=self.seed if seed is None else seed,
        )
        return Simulation(self.log_, ticks, paths, found.customer, found.path, found.tick)

    def predict_cohort(self, horizon: str | int = "90d", period: str | int = "7d") -> pl.DataFrame:
        """Return the expected events of all customers by period: ``ds`` (its first tick), ``foretell``."""
        self._check_fitted("model_")
        self._check_counts()
        ticks, width = self.log_.ticks_of(horizon), self.log_.ticks_of(period)
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
        edges = [self.log_.ticks_of(h) for h in as_durations(horizons)]
        expected = self._expected(self.log_, self.states_, edges)
        totals = group_totals(self.log_, expected.counts)
        columns: dict[str, Any] = {"group": self.log_.group_names}
        columns |= {f"expected_events_{h}": totals[:, k] for k, h in enumerate(as_durations(horizons))}
        return pl.DataFrame(columns)

    def outlook(self, log: EventLog, horizon: int, *, period: int, window: int) -> Outlook:
        """Look ahead from the end of the log it was fitted to (for `foretell.evaluate`)."""
        self._check_fitted("model_")
        states = self._states_of(log)
        at = standing(self.model_, log, states)
        edges = period_edges(horizon, period)
        expected = self._expected(log, states, [horizon], edges) if self._counts else None
        ours = Outlook(
            expected=None if expected is None else expected.counts[:, 0],
            cohort=None if expected is None else expected.cohort,
            p_return=p_return(at, window),
            p_active=activity(at)[0],
            interval=within_horizon(at, horizon),
        )
        return ours if self.auto_ is None else self.auto_.outlook(ours, log, window)

    def return_chances(
        self, log: EventLog, ticks: Sequence[int] | npt.NDArray[np.int64]
    ) -> FloatArray | None:
        """Return P(an event within so many ticks after the log's end), shape (n_customers, n_ticks).

        None of a head that forecasts no probabilities.
        """
        self._check_fitted("model_")
        at = standing(self.model_, log, self._states_of(log))
        chances = [chance for length in ticks if (chance := p_return(at, int(length))) is not None]
        if not chances:
            return None
        ours = np.stack(chances, axis=1)
        return ours if self.auto_ is None else self.auto_.p_return(ours, log, ticks)

    def update(self, new_events: EventLog) -> Self:
        """Move every customer's state forward by new events, without refitting.

        Parameters
        ----------
        new_events : EventLog
            Events after the present as-of date, read with the same options; its as-of date becomes the
            new one. New customers join.
        """
        self._check_fitted("model_")
        merged, seen = self.log_.extended(new_events)
        return self._stand(merged, encode(self.model_, merged, self._aligned(merged, seen), seen))

    def _expected(
        self,
        log: EventLog,
        states: States,
        edges: Sequence[int],
        periods: Sequence[int] | npt.NDArray[np.int64] = (),
        rows: npt.NDArray[np.int64] | None = None,
    ) -> Expected:
        ours = expected_events(
            self.model_, log, states, edges, paths=self.paths, seed=self.seed, periods=list(periods)
        )
        return ours if self.auto_ is None else self.auto_.expected(ours, log, edges, periods, rows)

    def state(self) -> State:
        """Return what was learned, and the log with where each customer stands, as plain values."""
        self._check_fitted("model_")
        return forecaster_state(self, self._log_options)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Return the fitted forecaster that `state` described."""
        state = of_today(state)
        model = cls(**settings(state.described), head=head_of(state.described))
        return model._restored(state)

    def _restored(self, state: State, n_models: int | None = None) -> Self:
        self._check_parameters()
        self.model_, self.auto_ = gap_model_of(state, n_models), choice_of(state)
        self._read_as = state.described["log_options"]
        return self if state.data is None else self._stand(*log_and_states(state.data, self.model_))

    def attach(self, data: EventLog) -> Self:
        """Take a log to answer about, read as the model's own was; nothing is learned from it."""
        self._check_fitted("model_")
        return self._stand(log_alike(data, self._log_options))

    @property
    def _log_options(self) -> Mapping[str, object]:
        return log_options(self.log_) if "log_" in vars(self) else self._read_as

    def _aligned(self, merged: EventLog, seen: npt.NDArray[np.int64]) -> States:
        """Return the states in the order of a log with more customers; those to be read anew start blank."""
        place = np.asarray(merged.ids.search_sorted(self.log_.ids).to_numpy())
        n = merged.n_customers

        def spread(values: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
            shape = list(values.shape)
            shape[axis] = n
            out = np.zeros(shape, dtype=values.dtype)
            out[(slice(None),) * axis + (place,)] = values
            out[(slice(None),) * axis + (seen == 0,)] = 0
            return out

        s = self.states_
        return States(
            tuple(spread(np.asarray(part), 1) for part in s.memory),
            spread(np.asarray(s.packed), 1),
            *[spread(np.asarray(part), 0) for part in s[2:]],
        )

    def _chosen(self, ids: Collection[Any] | None) -> tuple[Customers, States]:
        """Return the asked customers and their states."""
        customers, states = asked_customers(self.log_, ids), self.states_
        if ids is None:
            return customers, states
        blank = newcomer(self.model_, customers.log, 1)

        def take(values: npt.NDArray[Any], extra: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
            # Row -1, the newcomer, is the last one.
            return np.take(np.concatenate([values, extra], axis=axis), customers.places, axis=axis)

        memory = tuple(
            take(np.asarray(a), np.asarray(b), 1) for a, b in zip(states.memory, blank.memory, strict=True)
        )
        packed = take(np.asarray(states.packed), np.asarray(blank.packed), 1)
        rest = [take(np.asarray(a), np.asarray(b), 0) for a, b in zip(states[2:], blank[2:], strict=True)]
        return customers, States(memory, packed, *rest)
