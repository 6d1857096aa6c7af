"""What the statistics and rules share: they fit, forecast and are saved as our forecasters are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core import FloatArray, IntArray
from foretell.core.constraints import Constraint, Steps, as_quantiles, check, check_whole
from foretell.core.contracts import Kind, Outlook, State
from foretell.core.journal import JOURNAL
from foretell.core.progress import Watch
from foretell.data.log import EventLog, training_log
from foretell.data.panel import Panel, check_panel, training_panel
from foretell.data.state import log_from_state, log_state, panel_from_state, panel_state, with_data
from foretell.data.tables import (
    EventAnswers,
    SeriesBlocks,
    asked_customers,
    event_table,
    forecast_table,
    interval_tails,
    named_horizons,
    quantile_table,
    quantiles_for,
)
from foretell.errors import DataError, ParameterError
from foretell.spend.answers import Spending
from foretell.storage.forecaster import FittedTo, SavedForecaster


class Summary(NamedTuple):
    """The sufficient statistics of customers' histories.

    Attributes
    ----------
    repeats : array, shape (n,)
        Events after the first one (x).
    recency : array, shape (n,)
        Time from the first to the last event (t_x), 0 for one-time customers.
    age : array, shape (n,)
        Time from the first event to the as-of date (T).
    """

    repeats: FloatArray
    recency: FloatArray
    age: FloatArray


class Histories(NamedTuple):
    """What statistics read of customers' histories, in ticks.

    Attributes
    ----------
    summary : Summary
    usual_gap : array, shape (n,)
        The customer's own usual gap by a rule; NaN for one-time customers, and for models that read none.
    speed : array, shape (n,)
        How much faster the customer's time runs than the clock: the summary is in the customer's own.
    """

    summary: Summary
    usual_gap: FloatArray
    speed: FloatArray

    def at(self, places: IntArray) -> Histories:
        """Return the histories at some places; -1 is a customer whose first event falls on the as-of date."""
        columns = Summary(*(np.append(column, 0.0)[places] for column in self.summary))
        return Histories(
            columns, np.append(self.usual_gap, np.nan)[places], np.append(self.speed, 1.0)[places]
        )


def summarise(log: EventLog) -> Summary:
    """Return repeats, recency and age (in ticks) of every customer of a log, in its order."""
    return Summary(
        (log.counts - 1).astype(np.float64),
        (log.last - log.first).astype(np.float64),
        (log.as_of - log.first).astype(np.float64),
    )


def distinct(*columns: FloatArray) -> tuple[list[FloatArray], IntArray]:
    """Return the distinct rows of some columns, and for each row given its position among them.

    Customers with the same statistics have the same likelihood and the same forecast: most one-time
    customers share theirs with many others.
    """
    rows, inverse = np.unique(np.column_stack(columns), axis=0, return_inverse=True)
    return list(rows.T), inverse.reshape(-1)


class _Statistic(SavedForecaster):
    """What the statistics of both questions share."""

    kind: ClassVar[Kind]
    is_ours: ClassVar[bool] = False
    starts_warm: ClassVar[bool] = False
    name: ClassVar[str]
    shell_name: ClassVar[str]

    def __init_subclass__(cls, **options: object) -> None:
        if "name" in vars(cls) and "saved_as" not in vars(cls):
            # As the shell spells it, and as models are saved: "pareto-nbd".
            cls.shell_name = cls.saved_as = cls.name.lower().replace("/", "-").replace(" ", "-")
        super().__init_subclass__(**options)

    def _facts(self) -> dict[str, object]:
        learned: Any = vars(self).get("params_")
        return super()._facts() | (learned._asdict() if hasattr(learned, "_asdict") else {})

    def _described(self) -> tuple[bool, dict[str, object]]:
        """Return whether it has the data that it was fitted to, and what describes it."""
        has_data = self._data in vars(self)
        if not has_data and not hasattr(self, "_read_as"):
            self._check_fitted(self._data)
        return has_data, {"params": self.get_params(), "read_as": self._options}

    # Arguments are checked, and the data cut at a date, by the question's own rules.
    _training_data: ClassVar[Callable[..., Any]]

    def fit(
        self,
        data: Any,
        *,
        as_of: object = None,
        warm_start: None = None,
        progress: Watch[Any] = None,
    ) -> Self:
        """Fit to a log or a panel, up to a date of it; what comes later is not looked at.

        There is nothing to start warm from, and ``progress`` is not called: the fit takes a moment.
        """
        del progress
        if warm_start is not None:
            raise ParameterError(
                f"warm_start={warm_start!r}; expected None: {self.name} is fitted anew in a moment"
            )
        self._check_parameters()
        data = self._training_data(data, as_of)
        self._learn(data)
        JOURNAL.info("%s fitted to %r", self._public_name(), data)
        setattr(self, self._data, data)
        return self

    @abstractmethod
    def _learn(self, data: Any) -> None:
        """Learn the parameters."""


class Readable(Protocol):
    """What is read of customers' histories."""

    def at(self, places: IntArray) -> Self:
        """Return what was read at some places; -1 is a customer whose first event falls on the as-of date."""


Read = TypeVar("Read", bound=Readable)


class EventFormulas(_Statistic, Spending, ABC, Generic[Read]):
    """A forecaster of events by formulas: a subclass gives these, this class the verbs and the table.

    A formula that a model does not have returns None, and the columns that it would fill are null.

    Attributes
    ----------
    log_ : EventLog
        The log up to the as-of date.
    """

    kind = "events"
    _data = "log_"
    _training_data = staticmethod(training_log)
    # What `fit` learns, as a named tuple; None for a rule without parameters.
    _params: ClassVar[Callable[..., Any] | None] = None

    log_ = FittedTo[EventLog]()
    params_: Any

    def predict(
        self,
        horizons: Sequence[str | int] = ("7d", "30d", "90d"),
        levels: Sequence[float] = (50, 80, 95),
        ids: Collection[object] | None = None,
    ) -> pl.DataFrame:
        """Answer for every customer, or for some.

        What is asked and the table are those of `EventForecaster.predict`; what the model cannot know is
        null, see its class.
        """
        self._check_fitted("log_")
        named, tails = named_horizons(self.log_, horizons), interval_tails(levels)
        customers = asked_customers(self.log_, ids)
        answers = self.answers(self.log_, [ticks for _, ticks in named], customers.places)
        moments = self._next_event(self._read(self.log_, customers.places), np.array([0.5, *tails]))
        if moments is not None:
            intervals = moments[1:].reshape(len(levels), 2, len(customers.ids))
            answers = answers._replace(next_event=moments[0], intervals=intervals)
        return event_table(customers, answers, horizons=named, levels=levels)

    def answers(self, log: EventLog, ticks: npt.ArrayLike, places: IntArray) -> EventAnswers:
        """Return what is read at the end of a log of the customers at some places; -1 is a new one."""
        histories, ends = self._read(log, places), np.asarray(ticks, dtype=np.float64)
        return EventAnswers(
            p_active=self._further_event(histories),
            p_return=self._chances(histories, ends) if len(ends) else None,
            expected=self._expected(histories, ends),
            overdue=self._overdue(histories),
        )

    def quantiles(self, levels: Sequence[float], ids: Collection[object] | None = None) -> pl.DataFrame:
        """Return quantiles of the next event's date given a return: ``unique_id``, ``q0.1`` …."""
        self._check_fitted("log_")
        as_quantiles(levels)
        customers = asked_customers(self.log_, ids)
        moments = self._next_event(self._read(self.log_, customers.places), np.array(levels))
        unknown = np.full((len(levels), len(customers.ids)), np.nan)
        return quantile_table(customers, unknown if moments is None else moments, levels)

    def update(self, new_events: EventLog) -> Self:
        """Move every customer's history forward by new events, without refitting.

        They come after the present as-of date and are read with the same options; their as-of date becomes
        the new one. New customers join.
        """
        self._check_fitted("log_")
        self.log_, _ = self.log_.extended(new_events)
        return self

    def return_chances(
        self, log: EventLog, ticks: npt.ArrayLike, places: IntArray | None = None
    ) -> FloatArray | None:
        """Return P(an event within so many ticks after the log's end), shape (n, n_ticks).

        Of all customers of the log, or of those at some places. None of a model that forecasts no
        probabilities.
        """
        return self._chances(self._read(log, places), np.asarray(ticks, dtype=np.float64))

    def counts_within(
        self, log: EventLog, ticks: npt.ArrayLike, places: IntArray | None = None
    ) -> FloatArray:
        """Return the expected number of events within so many ticks, of the same customers, (n, n_ticks)."""
        return self._expected(self._read(log, places), np.asarray(ticks, dtype=np.float64))

    @abstractmethod
    def outlook(self, log: EventLog, horizon: int, *, period: int, window: int) -> Outlook:
        """Look ahead from the end of a log whose clock is that of the fit; see `Outlook`.

        ``horizon``, ``period`` of the cohort and ``window`` of ``p_return`` are in ticks.
        """

    def state(self) -> State:
        """Return the log and what was learned from it, as plain values."""
        has_log, described = self._described()
        learned = self._params is not None
        arrays = {"params": np.array(self.params_, dtype=np.float64)} if learned else {}
        return State(described, arrays, data=log_state(self.log_) if has_log else None)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Return the fitted model that `state` described."""
        state = with_data(state)
        model = cls(**state.described["params"])
        model._read_as = state.described["read_as"]
        model._keep(state.arrays.get("params", np.zeros(0)))
        if state.data is not None:
            model.log_ = log_from_state(state.data).alike(model._read_as)
        return model

    @classmethod
    def of_params(cls, params: Sequence[float] | None) -> Self:
        """Return a model with parameters that were learned before; it has no log."""
        model = cls()
        model._keep(np.array(params or (), dtype=np.float64))
        return model

    def attach(self, data: EventLog) -> Self:
        """Take a log to answer about, read as the model's own was; nothing is learned from it."""
        self.log_ = training_log(data).alike(self._options)
        return self

    def _keep(self, params: FloatArray) -> None:
        """Keep what was learned, under its names."""
        if self._params is not None:
            if params.dtype.kind != "f" or not len(params) or not (params > 0).all():
                raise DataError(f"{self.name} has parameters {params}; expected numbers above 0")
            self.params_ = self._params(*params.tolist())

    @abstractmethod
    def _learn(self, log: EventLog) -> None:
        """Learn the parameters."""

    def _read(self, log: EventLog, places: IntArray | None = None) -> Read:
        """Return what is read of the customers at some places, by default of all of the log."""
        return self._histories(log).at(np.arange(log.n_customers) if places is None else places)

    @abstractmethod
    def _histories(self, log: EventLog) -> Read:
        """Return what the formulas read of the customers of a log, in its order."""

    @abstractmethod
    def _expected(self, histories: Read, ticks: FloatArray) -> FloatArray:
        """Return the expected number of events within each horizon, shape (n, n_horizons)."""

    def _further_event(self, histories: Read) -> FloatArray | None:
        """Return the chance of any further event."""
        del histories
        return None

    def _chances(self, histories: Read, ticks: FloatArray) -> FloatArray | None:
        """Return the chance of an event within each horizon, shape (n, n_horizons)."""
        del histories, ticks
        return None

    def _next_event(self, histories: Read, levels: FloatArray) -> FloatArray | None:
        """Return quantiles of the time to the next event given a return, in ticks, shape (n_levels, n)."""
        del histories, levels
        return None

    def _overdue(self, histories: Read) -> FloatArray | None:
        """Return how far the silence reaches into the distribution of gaps of a customer who returns."""
        del histories
        return None


class EventStatistic(EventFormulas[Histories], ABC):
    """A statistic or rule of events, which reads sufficient statistics of the histories."""

    def _histories(self, log: EventLog) -> Histories:
        n = log.n_customers
        return Histories(summarise(log), np.full(n, np.nan), np.ones(n))


class SeriesStatistic(_Statistic, SeriesBlocks, ABC):
    """A statistic or rule of series: a subclass gives its quantiles, this class the verbs and the table.

    Parameters
    ----------
    horizon : int
        Steps ahead that `predict` forecasts by default.

    Attributes
    ----------
    panel_ : Panel
        The panel it was fitted to.
    """

    kind = "series"
    _data = "panel_"
    _training_data = staticmethod(training_panel)
    _constraints: ClassVar[Mapping[str, Constraint]] = {"horizon": Steps()}

    panel_ = FittedTo[Panel]()
    season_: int

    def __init__(self, horizon: int = 1) -> None:
        self.horizon = horizon

    def predict(
        self,
        panel: Panel | None = None,
        *,
        horizon: int | None = None,
        levels: Sequence[float] = (50, 80, 95),
    ) -> pl.DataFrame:
        """Forecast the steps after each series' end, of the panel it was fitted to or of others.

        What is asked and the table are those of `SeriesForecaster.predict`, with the model's own name in the
        columns; null for a series without any observed value.
        """
        self._check_fitted("panel_")
        panel = self.panel_ if panel is None else panel
        values = self.forecast(panel, self.horizon if horizon is None else horizon, quantiles_for(levels))
        return forecast_table(panel, values, self.name, levels)

    def forecast(self, panel: Panel, h: int, quantiles: Sequence[float]) -> FloatArray:
        """Return quantiles as an array, shape (n_series, h, n_targets, n_quantiles), sorted.

        They are NaN for a series without any observed value, and without width where a series is too short
        to tell how much it varies.
        """
        self._check_fitted("panel_")
        check_panel(panel)
        check("horizon", h, Steps())
        return self._quantiles(panel, int(h), quantiles)

    def state(self) -> State:
        """Return the panel and what was learned from it, as plain values."""
        has_panel, described = self._described()
        described["season"] = vars(self).get("season_")
        return State(described, data=panel_state(self.panel_) if has_panel else None)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Return the fitted model that `state` described."""
        state = with_data(state)
        model = cls(**state.described["params"])
        model._read_as = state.described["read_as"]
        model._check_parameters()
        season = state.described.get("season")
        if season is not None:
            model.season_ = check_whole("season", season)
        if state.data is not None:
            model.panel_ = panel_from_state(state.data).alike(model._read_as)
            if "season" not in state.described:  # the first formats kept no season
                model._learn(model.panel_)
        return model

    def attach(self, data: Panel) -> Self:
        """Take a panel to answer about, read as the model's own was; nothing is learned from it."""
        self.panel_ = check_panel(data).alike(self._options)
        return self

    def _learn(self, panel: Panel) -> None:
        """Learn what the model knows of the panel before it forecasts: by default nothing."""

    @abstractmethod
    def _quantiles(self, panel: Panel, h: int, quantiles: Sequence[float]) -> FloatArray:
        """Return quantiles, shape (n_series, h, n_targets, n_quantiles)."""
