"""`EventForecaster`: fit on a log of events, answer when each customer comes next."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import polars as pl

from foretell.core import FloatArray, IntArray
from foretell.core.constraints import (
    Constraint,
    Flag,
    Instance,
    Maybe,
    OneOf,
    Seed,
    Whole,
    as_levels,
    as_quantiles,
    check,
)
from foretell.core.contracts import Outlook, State
from foretell.core.progress import Watch
from foretell.core.time import period_edges
from foretell.data.log import EventLog
from foretell.data.tables import (
    EventAnswers,
    event_table,
    interval_tails,
    named_horizons,
    null_unless,
    quantile_table,
    quantiles_for,
)
from foretell.errors import ParameterError
from foretell.events.calendar import CalendarEffect, say_what_is_not_known
from foretell.events.count_forecasts import CountForecasts
from foretell.events.heads import HORIZON, HeadConfig, as_head
from foretell.events.heads.grid import GridNetwork
from foretell.events.state import of_today, settings
from foretell.events.states import GapModel, States, standing
from foretell.nn.settings import NetworkConfig, TrainConfig, check_network
from foretell.prep.bins import Bins

if TYPE_CHECKING:
    from foretell.events.auto import EventChoice
    from foretell.events.totals import By
    from foretell.nn.export import Program
    from foretell.nn.training import Progress


class EventForecaster(CountForecasts):
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
    head : {"mixture", "bins", "gap", "hazard", "horizon"} or HeadConfig
        What the network says of the next gap, and what it starts from; only the mixture knows everything,
        see the page on heads. ``"horizon"`` says of any horizon how many visits there will be; it starts from
        the prior for customers and has one network of a shape of its own.
    model : {"auto", "network", "prior"}
        ``"auto"`` gives the prior and the network equal shares in counts, chances and dates, and a part of
        them to buy-till-you-die statistics and rules of thumb where these would have made the prior better at
        earlier origins of the log; simulated futures stay the network's. With fewer than 200 customers it
        warns, and prior and statistics answer alone. ``"network"`` is the trained network alone, as it is
        with other heads than the mixture. ``"prior"`` answers at once, without training, by a network that
        has learned from simulated shops.

    Attributes
    ----------
    log_ : EventLog
        The log up to the as-of date.
    model_ : GapModel
    states_ : States
        Where each customer stands.
    auto_ : EventChoice or None
        With ``model="auto"``: the weights, the losses they came from, and whether there was too little data;
        `summary` says it in words.

    Examples
    --------
    >>> import foretell as ft
    >>> log = ft.read_events(ft.datasets.load_cdnow(sample=True), id="customer_id", time="date")
    >>> model = ft.EventForecaster(model="prior").fit(log, as_of="1997-09-30")  # without training
    >>> model.predict(horizons=["30d"]).columns[:6]
    ['unique_id', 'as_of', 'n_events', 'last_event', 'p_active', 'next_event']
    """

    _constraints: ClassVar[Mapping[str, Constraint]] = {
        "ensemble": Whole(),
        "seed": Seed(),
        "training": Maybe(Instance(TrainConfig)),
        "model": OneOf(("network", "auto", "prior")),
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
        network: object = None,
        training: TrainConfig | None = None,
        head: str | HeadConfig = "mixture",
        model: str = "auto",
    ) -> None:
        self.ensemble = ensemble
        self.head = head
        self.seed = seed
        self.network = network
        self.training = training
        self.model = model

    def fit(
        self,
        data: EventLog,
        *,
        as_of: object = None,
        warm_start: Self | None = None,
        progress: Watch[Progress] = None,
    ) -> Self:
        """Fit to a log; see `NetworkForecaster.fit`."""
        self._check_parameters()
        if self.answers_any_horizon:
            from foretell.events.horizon.adapter import HorizonEvents  # noqa: PLC0415  # it is one of these

            self.__class__ = HorizonEvents  # type: ignore[assignment]  # of the same parameters
            return self.fit(data, as_of=as_of, warm_start=warm_start, progress=progress)
        return super().fit(data, as_of=as_of, warm_start=warm_start, progress=progress)

    @property
    def answers_any_horizon(self) -> bool:
        """Whether it goes by the horizon head, or by its prior, in place of a head of the next gap."""
        return self.model == "prior" or as_head(self.head).kind == HORIZON

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_network(self.network)
        as_head(self.head)
        if self.training is not None and self.training.loss is not None:
            raise ParameterError(
                f"loss={self.training.loss!r}; expected None: the next gap is trained by its likelihood"
            )

    @property
    def _by(self) -> str:
        # Counts are blended, and other heads know none.
        return self.model if as_head(self.head).kind == "mixture" else "network"

    def _learn(
        self,
        data: EventLog,
        *,
        earlier: Self | None,
        train: bool,
        progress: Callable[[Progress], None] | None,
    ) -> tuple[GapModel, EventChoice | None]:
        start, chosen = (None, None) if earlier is None else (earlier.model_, earlier.auto_)
        model = self._fit_model(data, start=start, train=train, progress=progress)
        if self._by == "network":
            return model, None
        from foretell.events.auto import choose  # noqa: PLC0415  # a network alone needs no other models

        return model, choose(data, with_network=train) if chosen is None else chosen.refitted(data)

    @property
    def calendar_effect_(self) -> CalendarEffect | None:
        """How many more visits the days of the log's calendar bring; None where they bring no more."""
        self._check_fitted("model_")
        days = self.model_.clock.days
        known = None if days is None else days.effect
        return known if known is not None or self.auto_ is None else self.auto_.calendar_effect

    def calendar_table(self, levels: Sequence[float] = (80,)) -> pl.DataFrame:
        """Return how many times as many visits the days of the log's calendar bring.

        Parameters
        ----------
        levels : sequence of float
            Percentages of the central intervals.

        Returns
        -------
        polars.DataFrame
            ``column``; ``value``, the highest number that was seen, or a word; ``against``, the lowest one,
            or no word; ``times`` as many visits, with ``times-lo-80``, ``times-hi-80`` …; ``week_after`` and
            ``second_week``, times as many in the two weeks after each such day. No row where the days of the
            log show nothing, or it has no calendar.
        """
        from foretell.events.calendar_words import effect_table  # noqa: PLC0415  # seldom wanted

        return effect_table(self.calendar_effect_, levels)

    def summary(self) -> str:
        """Return who answers, what days of a calendar bring, settings, and Keras' summary of the network."""
        from foretell.events.calendar_words import effect_words  # noqa: PLC0415  # seldom wanted

        return "\n".join([*effect_words(self.calendar_effect_), super().summary()])

    def predict(
        self,
        horizons: Sequence[str | int] = ("7d", "30d", "90d"),
        levels: Sequence[float] = (50, 80, 95),
        ids: Collection[object] | None = None,
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
            - ``p_active``: probability that there will be a further event at all, which visits cannot tell:
              models that fit equally well differ by a factor of two and more; rank by ``p_return_…``;
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
        say_what_is_not_known(self.calendar_effect_, self.log_, max((t for _, t in named), default=0))
        customers, states = self._chosen(ids)
        log, rows, model = customers.log, customers.places, self.model_
        at = standing(model, log, states)
        tails = [0.5, *interval_tails(levels)]
        moments = at.next_events(tails)
        if self.auto_ is not None:
            moments = self.auto_.next_events(moments, at.p_returns, log, tails, rows)
        ticks = [ticks for _, ticks in named]
        expected = np.zeros((len(rows), 0)) if self._counts else None
        if named and self._counts:
            expected = self._expected(log, states, ticks, customers=customers).counts
        answers = EventAnswers(
            next_event=moments[0],
            intervals=moments[1:].reshape(len(levels), 2, len(rows)),
            p_active=at.p_active,
            p_return=at.p_returns(ticks),
            expected=expected,
            overdue=at.overdue,
        )
        if self.auto_ is not None:
            answers = self.auto_.table(answers, log, ticks, rows)
        table = event_table(customers, answers, horizons=named, levels=levels)
        check("disagreement", disagreement, Flag())
        return table.hstack(_deviations(model, log, states, named)) if disagreement else table

    def quantiles(self, levels: Sequence[float], ids: Collection[object] | None = None) -> pl.DataFrame:
        """Return quantiles of the next event's date given a return: ``unique_id``, ``q0.1`` …."""
        self._check_fitted("model_")
        as_quantiles(levels)
        customers, states = self._chosen(ids)
        at = standing(self.model_, customers.log, states)
        moments = at.next_events(levels)
        if self.auto_ is not None:
            moments = self.auto_.next_events(moments, at.p_returns, customers.log, levels, customers.places)
        return quantile_table(customers, moments, levels)

    def predict_totals(
        self,
        horizon: str | int = "1mo",
        by: By | None = None,
        levels: Sequence[float] = (80,),
        ids: Collection[object] | None = None,
        mark: str | None = None,
    ) -> pl.DataFrame:
        """Forecast the visits of many customers together, or what they spend, and how sure that is.

        They are the visits of customers known by the as-of date; who comes for the first time is not among
        them. The intervals hold chance, and the error of the model: how far forecasts at earlier origins of
        the log were off, for the level (which lasts for months), for single weeks and for the groups' shares;
        a short log's are drawn towards what is usual in simulated shops.

        Parameters
        ----------
        horizon : str or int
        by : {None, "week", "month", "group"}
            Rows: one of the whole horizon, of weeks after the as-of date, of calendar months, or of groups.
            The visits of weeks, months or groups add up to those of the whole.
        levels : sequence of float
            Percentages of the central intervals.
        ids : collection, optional
            The customers who count; by default all.
        mark : str, optional
            Mark that is an amount: what is spent in place of visits, see `predict_spend`.

        Returns
        -------
        polars.DataFrame
            ``ds`` and ``end``, the first and the last tick; ``visits`` (expected), ``visits-lo-80``,
            ``visits-hi-80`` …, or ``spend`` and so on; by group ``group`` comes first.

        Raises
        ------
        DataError
            The log has no groups.
        ParameterError
            The head does not know how many events follow the next one.

        Examples
        --------
        >>> import foretell as ft
        >>> log = ft.read_events(ft.datasets.load_cdnow(sample=True), id="customer_id", time="date")
        >>> model = ft.EventForecaster(model="prior").fit(log, as_of="1997-09-30")
        >>> model.predict_totals("3mo", by="month").columns
        ['ds', 'end', 'visits', 'visits-lo-80', 'visits-hi-80']
        """
        from foretell.events.totals import predict_totals  # noqa: PLC0415  # the prior is one of these

        self._check_fitted("log_")
        return predict_totals(self, horizon, by, levels, ids, mark)

    def customer_effects(self, horizon: str | int = "90d") -> pl.DataFrame:
        """Return what is known of customers, and how many visits of a newcomer it makes one expect.

        What the log shows is association: customers of a channel may differ in much else.

        Parameters
        ----------
        horizon : str or int

        Returns
        -------
        polars.DataFrame
            A row for each category, of numbers for their quartiles: ``covariate``, ``value``, ``customers``,
            ``newcomer_90d`` (expected visits of somebody whose first one falls on the as-of date), and
            ``factor``, in relation to a newcomer of whom nothing is known.

        Raises
        ------
        ParameterError
            Nothing is known of the customers, or the model has no prior.

        Examples
        --------
        >>> import foretell as ft
        >>> visits = ft.datasets.load_cdnow(sample=True)
        >>> import polars as pl
        >>> visits = visits.with_columns(channel=pl.when(pl.col("customer_id") % 3 == 0).then(pl.lit("web")))
        >>> visits = visits.with_columns(pl.col("channel").fill_null("shop"))
        >>> log = ft.read_events(visits, id="customer_id", time="date", static=["channel"])
        >>> ft.EventForecaster(model="prior").fit(log).customer_effects()["value"].to_list()
        ['shop', 'web']
        """
        from foretell.events.customer_effects import customer_effects  # noqa: PLC0415  # seldom wanted

        self._check_fitted("log_")
        return customer_effects(self, horizon)

    def predict_gap(
        self, levels: Sequence[float] = (80,), ids: Collection[object] | None = None
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
        lengths = standing(self.model_, log, states).gap_lengths([0.5, *interval_tails(levels)])
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
        self, bins: Bins | Sequence[float] | None = None, ids: Collection[object] | None = None
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
        if bins is None:
            bins = network.grid.edges if isinstance(network, GridNetwork) else ()
        bins = bins if isinstance(bins, Bins) else Bins(bins)
        customers, states = self._chosen(ids)
        chances = standing(self.model_, customers.log, states).class_chances(bins)
        if chances is None:
            raise ParameterError(
                "the head 'gap' forecasts a point, and gives no probabilities; expected head='bins', "
                "'hazard' or 'mixture'"
            )
        labels = [f"[{low:g}, {high:g})" for low, high in itertools.pairwise(bins.edges)]
        return pl.DataFrame({"unique_id": customers.ids} | dict(zip(labels, chances, strict=True)))

    def return_chances(self, log: EventLog, ticks: Sequence[int] | IntArray) -> FloatArray | None:
        """Return P(an event within so many ticks after the log's end), shape (n_customers, n_ticks).

        None of a head that forecasts no probabilities.
        """
        self._check_fitted("model_")
        ours = standing(self.model_, log, self._states_of(log)).p_returns(ticks)
        return ours if ours is None or self.auto_ is None else self.auto_.p_return(ours, log, ticks)

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
            p_return=at.p_return(window),
            p_active=at.p_active,
            interval=at.within(horizon),
        )
        return ours if self.auto_ is None else self.auto_.outlook(ours, at.p_returns, log, horizon, window)

    def _program(self, levels: Sequence[float], horizons: Sequence[str | int]) -> Program:
        from foretell.events.export import gap_program  # noqa: PLC0415  # seldom wanted

        return gap_program(
            self.model_, self.log_, quantiles_for(levels), dict(named_horizons(self.log_, horizons))
        )

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Return the fitted forecaster that `state` described."""
        state = of_today(state)
        model = cls(
            **{"model": "network", **settings(state.described)}
        )  # the first formats say nothing of it
        return model._restored(state)


def _deviations(
    model: GapModel, log: EventLog, states: States, horizons: Sequence[tuple[str, int]]
) -> pl.DataFrame:
    """Return by how much the members of an ensemble differ: what another seed might have answered.

    Standard deviations; 0 of one member. What the head cannot know is left out.
    """
    by_answer: dict[str, list[FloatArray]] = {}
    for member in range(len(states.packed)):
        at = standing(model, log, states._replace(packed=states.packed[member : member + 1]))
        answers = {"p_active": at.p_active, "next_event": at.next_events([0.5])[0]}
        answers |= {f"p_return_{name}": at.p_return(ticks) for name, ticks in horizons}
        for name, values in answers.items():
            if values is not None:
                by_answer.setdefault(name, []).append(values)
    return pl.DataFrame({f"{name}-sd": np.std(parts, axis=0) for name, parts in by_answer.items()})
