"""`EventForecaster`: fit on a log of events, answer when each customer comes next."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl

from foretell.core.constraints import Constraint, Instance, Maybe, OneOf, Whole, as_levels
from foretell.core.contracts import Outlook
from foretell.core.state import State
from foretell.core.time import period_edges
from foretell.data.log import EventLog
from foretell.data.tables import named_horizons
from foretell.errors import ParameterError
from foretell.events.answers import activity, answer_table, p_return, standing, within_horizon
from foretell.events.answers import disagreement as members_disagree
from foretell.events.count_forecasts import CountForecasts
from foretell.events.gap_forecasts import GapForecasts
from foretell.events.heads.config import HeadConfig, as_head
from foretell.events.state import of_today, settings
from foretell.nn.settings import NetworkConfig, TrainConfig, check_network


class EventForecaster(GapForecasts, CountForecasts):
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
        What the network says of the next gap, and what it starts from; only the mixture knows everything,
        see the page on heads.
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

    _constraints: ClassVar[Mapping[str, Constraint]] = {
        "ensemble": Whole(),
        "seed": Whole(0),
        "training": Maybe(Instance(TrainConfig)),
        "model": OneOf(("network", "auto")),
    }
    _configurations: ClassVar[Mapping[str, type]] = {
        "network": NetworkConfig,
        "training": TrainConfig,
        "head": HeadConfig,
    }

    saved_as = "events-network"

    def __init__(
        self,
        *,
        ensemble: int = 3,
        seed: int = 0,
        network: Any = None,
        training: TrainConfig | None = None,
        head: str | HeadConfig = "mixture",
        model: str = "network",
    ) -> None:
        self.ensemble = ensemble
        self.head = head
        self.seed = seed
        self.network = network
        self.training = training
        self.model = model

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
            counts = self._expected(log, states, edges, customers=customers).counts
        table = answer_table(self.model_, customers, states, horizons=named, levels=levels, expected=counts)
        if self.auto_ is not None:
            table = self.auto_.table(table, log, named, rows)
        if disagreement:
            table = table.hstack(members_disagree(self.model_, log, states, named))
        return table

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

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Return the fitted forecaster that `state` described."""
        state = of_today(state)
        model = cls(**settings(state.described))
        return model._restored(state)
