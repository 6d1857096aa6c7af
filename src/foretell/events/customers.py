"""A forecaster that keeps a log and where each of its customers stands."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np

from foretell.core import IntArray
from foretell.core.contracts import Kind, State
from foretell.data.log import EventLog, training_log
from foretell.data.tables import Customers, asked_customers
from foretell.errors import ParameterError
from foretell.events.heads import HeadConfig, as_head
from foretell.events.state import choice_of, forecaster_state, gap_model_of, log_and_states
from foretell.events.states import GapModel, States, encode, newcomer, remembered_states
from foretell.nn.forecaster import NetworkForecaster
from foretell.nn.settings import EVENTS, LEAST_CUSTOMERS, Defaults, as_config
from foretell.spend.answers import Spending
from foretell.storage.forecaster import FittedTo

if TYPE_CHECKING:
    from foretell.events.auto import EventChoice  # noqa: F401  # in the text of the base
    from foretell.nn.training import Progress

# So long nobody stays away: the date is mistyped.
_LONGEST: Final = "100y"


class CustomerForecaster(NetworkForecaster[EventLog, GapModel, "EventChoice"], Spending):
    """Fit, update, and where customers stand: what the answers of `EventForecaster` are read off."""

    kind: ClassVar[Kind] = "events"
    _data = "log_"
    defaults: ClassVar[Defaults] = EVENTS
    _least = (LEAST_CUSTOMERS, "customers", "the prior and the statistics")

    ensemble: int
    seed: int
    head: str | HeadConfig
    log_ = FittedTo[EventLog]()
    states_ = FittedTo[States]()

    @property
    def name(self) -> str:
        """The model's name in tables."""
        if self.model == "prior":
            return "foretell, prior"
        kind = as_head(self.head).kind
        return "foretell" if kind == "mixture" else f"foretell, {kind}"

    def _settings(self) -> dict[str, Any]:
        # How expected counts are simulated has no part in training.
        return super()._settings() | {"head": dataclasses.replace(as_head(self.head), paths=1)}

    def _training_data(self, data: EventLog, as_of: object) -> EventLog:
        return training_log(data, as_of)

    def _size(self, data: EventLog) -> int:
        return data.n_customers

    def _columns(self, data: EventLog) -> tuple[str, ...]:
        return (*data.mark_names, *data.static_names)

    def _fitted_data(self) -> EventLog:
        return self.log_

    def _fit_model(
        self,
        data: EventLog,
        *,
        start: GapModel | None,
        train: bool,
        progress: Callable[[Progress], None] | None,
    ) -> GapModel:
        from foretell.events.fitting import fit_gap_model, train_further, untrained  # noqa: PLC0415

        training, head = self.defaults.complete_training(self.training), as_head(self.head)
        seed = int(self.seed)
        if start is not None and train:
            return train_further(data, start, training, head=head, seed=seed, progress=progress)
        network = self.defaults.complete_network(as_config(self.network))
        if not train:
            return untrained(data, network, training, head=head, seed=seed)
        model = fit_gap_model(
            data, network, training, head=head, ensemble=self.ensemble, seed=seed, progress=progress
        )
        return self._tuned(model, data)

    def _tuned(self, model: GapModel, data: EventLog) -> GapModel:
        """Return the model as it is used: a subclass may train it on."""
        del data
        return model

    def _keep(self, data: EventLog, states: States | None = None) -> Self:
        self.log_ = data
        self.states_ = self._encode(data) if states is None else states
        return self

    def _encode(self, log: EventLog) -> States:
        """Return where the customers of a log stand."""
        return encode(self.model_, log)

    def _states_of(self, log: EventLog) -> States:
        """Return where the customers of any log stand, without moving to it: a query changes nothing."""
        if log is self.log_:
            return self.states_
        return remembered_states(self.model_, log, self._encode)

    def update(self, new_events: EventLog | None = None, *, as_of: object = None) -> Self:
        """Move every customer's state forward by new events, without refitting.

        Parameters
        ----------
        new_events : EventLog, optional
            Events after the present as-of date, read with the same options; its as-of date becomes the
            new one. New customers join. Without it nobody came: silence is news, too.
        as_of : date or str, optional
            The new as-of date where nobody came.
        """
        self._check_fitted("model_")
        merged, seen = self.log_.extended(self._later(new_events, as_of))
        self.model_ = self.model_.moved(merged.calendar)
        if self.auto_ is not None:
            self.auto_ = self.auto_.moved(merged)
        return self._keep(merged, encode(self.model_, merged, self._aligned(merged, seen), seen))

    def _later(self, new_events: EventLog | None, as_of: object) -> EventLog:
        """Return new events, or the silence up to a date."""
        if (new_events is None) == (as_of is None):
            raise ParameterError(
                f"update(new_events={new_events!r}, as_of={as_of!r}); expected one of them: new events, in a "
                "log with an as-of date of its own, or the date up to which nobody came"
            )
        if new_events is not None:
            return new_events
        log, until = self.log_, self.log_.last_tick(as_of)
        if not log.as_of < until <= log.as_of + log.ticks_of(_LONGEST):
            raise ParameterError(
                f"as_of={as_of!r}; expected a date after {log.date(log.as_of)}, by {_LONGEST} at most"
            )
        return log.quiet_until(until)

    def state(self) -> State:
        """Return what was learned, and the log with where each customer stands, as plain values."""
        self._check_fitted("model_")
        return forecaster_state(self, self._options)

    def _restored(self, state: State, n_models: int | None = None) -> Self:
        self._check_parameters()
        self.model_, self.auto_ = gap_model_of(state, n_models), choice_of(state)
        self._read_as = state.described["read_as"]
        return self if state.data is None else self._keep(*log_and_states(state, state.data, self.model_))

    def attach(self, data: EventLog) -> Self:
        """Take a log to answer about, read as the model's own was; nothing is learned from it."""
        self._check_fitted("model_")
        log = training_log(data).alike(self._options)
        self.model_ = self.model_.moved(log.calendar)
        if self.auto_ is not None:
            self.auto_ = self.auto_.with_calendar(log.calendar)
        return self._keep(log)

    def _aligned(self, merged: EventLog, seen: IntArray) -> States:
        """Return the states in the order of a log with more customers; those to be read anew start blank."""
        ids = self.log_.ids.cast(merged.ids.dtype)
        return self.states_.spread(np.asarray(merged.ids.search_sorted(ids).to_numpy()), seen)

    def _chosen(self, ids: Collection[object] | None) -> tuple[Customers, States]:
        """Return the asked customers and their states."""
        customers = asked_customers(self.log_, ids)
        if ids is None:
            return customers, self.states_
        return customers, self.states_.take(customers.places, newcomer(self.model_, customers.log))
