"""What every forecaster and both questions agree on: the rows, the verbs, the figures.

Models share rows and verbs, not mathematics: one table of forecasts and actual values, on which figures
are declared once, and which evaluation, referee, report, pictures and command line read.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

import polars as pl

from foretell.core import FloatArray, IntArray
from foretell.core.progress import Watch
from foretell.errors import ParameterError

if TYPE_CHECKING:  # the contract speaks of logs, and needs none
    from foretell.data.log import EventLog

from typing import TypeAlias

import numpy.typing as npt

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]

Described: TypeAlias = Mapping[str, Any]
"""Values that JSON can hold, by name: of a file it is known only when they are read what they are."""


@dataclasses.dataclass(frozen=True)
class State:
    """A fitted forecaster, or the data that it was fitted to, as plain values.

    Attributes
    ----------
    described : mapping
        For JSON; numbers may be infinite or NaN.
    arrays : mapping of str to array
        Numbers.
    tables : mapping of str to polars.DataFrame
    data : State or None
        The log or panel that it was fitted to and where its customers stand: what a model can be handed on
        without.
    """

    described: Described
    arrays: Arrays = dataclasses.field(default_factory=dict)
    tables: Mapping[str, pl.DataFrame] = dataclasses.field(default_factory=dict)
    data: State | None = None


Kind = Literal["events", "series"]


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure of merit, declared once.

    Attributes
    ----------
    name : str
        The column's, such as ``"rmse"``.
    expression : polars.Expr
        An aggregation of evaluation rows; null or not finite where they cannot say.
    label : str
        In words, for people who read a report.
    better : {"lower", "higher", "nearer"}
        Which way is better; ``"nearer"`` to ``ideal``.
    ideal : float
        The value of a perfect forecast.
    of_totals : bool
        It aggregates the totals of all customers by period instead of the rows.
    """

    name: str
    expression: pl.Expr
    label: str
    better: Literal["lower", "higher", "nearer"] = "lower"
    ideal: float = 0.0
    of_totals: bool = False

    def loss(self, value: float | None) -> float:
        """Return what a search minimises: infinite where the figure is missing.

        Examples
        --------
        >>> coverage = Figure("coverage_80", pl.col("covered").mean(), "coverage", "nearer", 0.8)
        >>> round(coverage.loss(0.75), 2), coverage.loss(None)
        (0.05, inf)
        """
        if value is None or not math.isfinite(value):
            return math.inf
        return {"lower": value, "higher": -value, "nearer": abs(value - self.ideal)}[self.better]


class Forecaster(Protocol):
    """What every model of either question can do, ours and the statistics and rules alike.

    Attributes
    ----------
    name : str
        In tables.
    kind : {"events", "series"}
        The question that it answers; `foretell.evaluation.tasks` holds what goes with it.
    is_ours : bool
        Whether it is a network of ours, which the referee holds against the rest.
    starts_warm : bool
        Whether ``fit`` takes ``warm_start``.
    """

    is_ours: ClassVar[bool]
    starts_warm: ClassVar[bool]

    @property
    def kind(self) -> Kind:
        """The question."""

    @property
    def name(self) -> str:
        """The model's name in tables."""

    def fit(
        self,
        data: Any,
        *,
        as_of: object = None,
        warm_start: Any = None,
        progress: Watch[Any] = None,
    ) -> Self:
        """Learn from a log or a panel, up to a date; return the forecaster."""

    def predict(self, *args: Any, **options: Any) -> pl.DataFrame:
        """Return the answers as a table; never changes the forecaster."""

    def state(self) -> State:
        """Return what `from_state` needs, as plain values."""

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Return the fitted forecaster that `state` described."""


@dataclasses.dataclass(frozen=True)
class Outlook:
    """Answers for the ticks as_of + 1 … as_of + horizon, one row per customer of the log, in its order.

    What a model cannot know is None; the leaderboard then leaves the figure empty.

    Attributes
    ----------
    expected : array, shape (n_customers,), or None
        Expected number of events over the whole horizon.
    cohort : array, shape (n_periods,), or None
        Expected events of all customers together in each period (a week; the last one may be shorter).
    p_return : array, shape (n_customers,), or None
        Probability of at least one event within ``window`` ticks.
    p_active : array, shape (n_customers,), or None
        Score of still being active at the as-of date.
    interval : array, shape (n_customers, 2), or None
        First and last tick, both inclusive, between which the next event falls with probability 0.8,
        given that it falls within the horizon.
    at_least : callable, or None
        Returns each customer's chance of at least k events within the horizon; k is a number, or an array of
        shape (n_customers,) or (n_k, n_customers).
    """

    expected: FloatArray | None = None
    cohort: FloatArray | None = None
    p_return: FloatArray | None = None
    p_active: FloatArray | None = None
    interval: IntArray | None = None
    at_least: Callable[[npt.ArrayLike], FloatArray] | None = None

    @property
    def counts(self) -> FloatArray:
        """The expected numbers, of a model that knows them."""
        if self.expected is None:
            raise ParameterError("the model knows when the next event comes, not how many; take the mixture")
        return self.expected


class EventModel(Forecaster, Protocol):
    """A forecaster of events: it also looks ahead from the end of any log, on which models are compared."""

    def outlook(self, log: EventLog, horizon: int, *, period: int, window: int) -> Outlook:
        """Look ``horizon`` ticks ahead from the end of ``log``, by periods of ``period`` ticks."""


class Folds(Protocol):
    """How one kind of data is cut at some dates, shown to models, asked and scored.

    Attributes
    ----------
    origins : tuple of int
        Last tick or step that the models see in each fold, ascending.
    horizon : int
        Ticks or steps that are forecast.
    unit : str
        What a tick is.
    """

    origins: tuple[int, ...]
    horizon: int
    unit: str

    def label(self, fold: int) -> object:
        """Return the time of a cut-off."""

    def model_settings(self) -> dict[str, Any]:
        """Return what a model has to know when it is built by its name."""

    def seen(self, fold: int) -> Any:
        """Return the data as they stood at a cut-off."""

    def training(self, fold: int, *, sliding: bool) -> Any:
        """Return what a model is fitted to."""

    def ask(self, fold: int, model: Any) -> Any:
        """Return what a fitted model forecasts at the cut-off."""

    def rows(self, fold: int, model: Any, forecast: Any) -> pl.DataFrame:
        """Return forecasts beside the actual values, a row each; missing values are null."""

    def totals(self, fold: int, forecast: Any) -> pl.DataFrame | None:
        """Return totals of all by period: ``y`` and ``forecast``; None where there are none."""

    def summary(self) -> dict[str, object]:
        """Return what the last fold holds, for JSON: sizes and dates."""

    def headline(self) -> str:
        """Return what the last fold holds, in a sentence."""


@dataclasses.dataclass(frozen=True)
class Task:
    """One of the two questions: how its data are cut, and by which figures models are judged.

    Attributes
    ----------
    kind : {"events", "series"}
    question, entity : str
        In words: ``"When next"``; ``"customer"``.
    figures : mapping of str to Figure
    rank : tuple of str
        The figures by which models are ranked, the first that is known.
    loss : polars.Expr
        What the referee compares, of one row.
    root : bool
        Whether losses are compared by the root of their mean.
    units : tuple of str
        Columns that name what the referee resamples: the customer; the series.
    part : polars.Expr or None
        Which part of a fold a row belongs to, resampled where there are few units.
    models : mapping of str to class
        Forecasters by name.
    defaults : tuple of str
        The models that are compared where none is named.
    cut : callable
        Returns the `Folds` of data, a horizon, and dates.
    inner_cut : callable
        Returns the cut-off and the horizon by which settings of a model are searched.
    """

    kind: Kind
    question: str
    entity: str
    figures: Mapping[str, Figure]
    rank: tuple[str, ...]
    loss: pl.Expr
    root: bool
    units: tuple[str, ...]
    part: pl.Expr | None
    models: Mapping[str, Any]
    defaults: tuple[str, ...]
    cut: Callable[..., Folds]
    inner_cut: Callable[..., tuple[object, int]]

    def build(self, name: str, **settings: Any) -> Any:
        """Return a new model by its name in any case, with those of the settings that it takes."""
        if name.lower() not in self.models:
            # Some have two spellings.
            names = {model: repr(known) for known, model in reversed(list(self.models.items()))}
            raise ParameterError(
                f"there is no model {name!r} for {self.kind}; expected one of "
                f"{', '.join(reversed(list(names.values())))}, or a forecaster"
            )
        model = self.models[name.lower()]
        return model(**{key: settings[key] for key in inspect.signature(model).parameters if key in settings})
