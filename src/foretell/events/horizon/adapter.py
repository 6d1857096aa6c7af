"""`EventForecaster` where it answers of any horizon at once: ``model="prior"`` and ``head="horizon"``."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Collection, Sequence
from typing import Any, NoReturn, Self

import numpy as np
import polars as pl

from foretell.core import FloatArray, IntArray
from foretell.core.contracts import Outlook, State
from foretell.core.progress import Watch
from foretell.core.time import period_edges
from foretell.data.log import EventLog
from foretell.data.tables import named_horizons
from foretell.errors import DataError, ParameterError
from foretell.events.calendar import CalendarEffect, say_what_is_not_known
from foretell.events.calendar_words import effect_words
from foretell.events.count_forecasts import group_totals
from foretell.events.forecaster import EventForecaster
from foretell.events.heads import as_head
from foretell.events.horizon.forecaster import HorizonForecaster
from foretell.events.horizon.training import adapted


class HorizonEvents(EventForecaster):
    """See `EventForecaster`; what it answers is what its `HorizonForecaster` does.

    Attributes
    ----------
    horizon_ : HorizonForecaster
    """

    saved_as = "events-horizon"

    horizon_: HorizonForecaster

    @classmethod
    def _public_name(cls) -> str:
        return EventForecaster.__name__

    @property
    def model_(self) -> NoReturn:  # type: ignore[override]  # what only heads of the next gap have
        """There is none."""
        whose = "the prior" if self.model == "prior" else "the head 'horizon'"
        raise ParameterError(
            f"{whose} knows the number of visits in any horizon, and neither reasons, paths nor gaps nor "
            "networks of Keras; expected a forecaster with head='mixture' and model='network' or 'auto'"
        )

    @property
    def calendar_effect_(self) -> CalendarEffect | None:
        """How many more visits the days of the log's calendar bring; None where they bring no more."""
        return self._fitted.shop_.clock.effect

    def summary(self) -> str:
        """Return what days of a calendar bring, and who answers."""
        who = f"counts, chances and dates: {self.name}"
        return "\n".join([*effect_words(self.calendar_effect_), who])

    def fit(
        self,
        data: EventLog,
        *,
        as_of: object = None,
        warm_start: Self | None = None,
        progress: Watch[Any] = None,
    ) -> Self:
        """Summarise the shop by its log, up to a date; the head goes on to learn from earlier origins."""
        if not self.answers_any_horizon:  # its settings have been changed
            self.__class__ = EventForecaster  # type: ignore[assignment]
            return self.fit(data, as_of=as_of, warm_start=warm_start, progress=progress)
        self._check_parameters()
        model = HorizonForecaster().fit(data, as_of=as_of)
        if self.model != "prior":
            model.use(adapted(model.weights_, model.visits, seed=int(self.seed)))
        return self._take(model)

    def predict(  # type: ignore[override]  # there are no members that could disagree
        self,
        horizons: Sequence[str | int] = ("7d", "30d", "90d"),
        levels: Sequence[float] = (50, 80, 95),
        ids: Collection[object] | None = None,
    ) -> pl.DataFrame:
        """Answer for every customer, or for some; see `EventForecaster.predict`."""
        longest = max((ticks for _, ticks in named_horizons(self.log_, horizons)), default=0)
        say_what_is_not_known(self.calendar_effect_, self.log_, longest)
        return self._fitted.predict(horizons, levels, ids)

    def quantiles(self, levels: Sequence[float], ids: Collection[object] | None = None) -> pl.DataFrame:
        """Return quantiles of the next event's date given a return: ``unique_id``, ``q0.1`` …."""
        return self._fitted.quantiles(levels, ids)

    def predict_counts(
        self,
        horizon: str | int = "30d",
        levels: Sequence[float] = (80,),
        most: int = 3,
        ids: Collection[object] | None = None,
    ) -> pl.DataFrame:
        """Return the distribution of the number of visits; see `HorizonForecaster.predict_counts`."""
        return self._fitted.predict_counts(horizon, levels, most, ids)

    def predict_cohort(self, horizon: str | int = "90d", period: str | int = "7d") -> pl.DataFrame:
        """Return the expected events of all customers by period: ``ds`` (its first tick), ``foretell``."""
        model, log = self._fitted, self.log_
        ticks, width = log.ticks_of(horizon), log.ticks_of(period)
        say_what_is_not_known(self.calendar_effect_, log, ticks)
        starts = log.as_of + 1 + np.concatenate([[0], period_edges(ticks, width)[:-1]])
        cohort = model.outlook(log, ticks, period=width, window=ticks).cohort
        return pl.DataFrame({"ds": log.time_of(starts), "foretell": cohort})

    def predict_groups(self, horizons: Sequence[str | int] = ("7d", "30d", "90d")) -> pl.DataFrame:
        """Return expected events by group, adding up to the total: ``group``, ``expected_events_7d`` …."""
        model, log = self._fitted, self.log_
        if log.groups is None or log.group_names is None:
            raise DataError("the log has no groups; read it with read_events(…, group='store_id')")
        names = [f"expected_events_{name}" for name, _ in named_horizons(log, horizons)]
        answers = model.predict(horizons, levels=[80])
        expected = answers.select(names).to_numpy().reshape(answers.height, len(names))
        totals = group_totals(log, expected)
        return pl.DataFrame({"group": log.group_names} | dict(zip(names, totals.T, strict=True)))

    def return_chances(self, log: EventLog, ticks: Sequence[int] | IntArray) -> FloatArray | None:
        """Return P(an event within so many ticks after the log's end), shape (n_customers, n_ticks)."""
        return self._fitted.return_chances(log, ticks)

    def outlook(self, log: EventLog, horizon: int, *, period: int, window: int) -> Outlook:
        """Look ahead from the end of a log; see `Outlook`."""
        return self._fitted.outlook(log, horizon, period=period, window=window)

    def update(self, new_events: EventLog | None = None, *, as_of: object = None) -> Self:
        """Move to a later date; see `EventForecaster.update`."""
        return self._take(copy.copy(self._fitted).update(self._later(new_events, as_of)))

    def attach(self, data: EventLog) -> Self:
        """Take a log to answer about, read as the model's own was; nothing is learned from it."""
        return self._take(copy.copy(self._fitted).attach(data))

    def state(self) -> State:
        """Return what was learned, and the log, as plain values."""
        state = self._fitted.state()
        own = {"model": self.model, "head": as_head(self.head).kind, "seed": int(self.seed)}
        return dataclasses.replace(state, described={**state.described, "params": {}, "forecaster": own})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Return the fitted forecaster that `state` described."""
        model = cls(**state.described["forecaster"])
        return model._take(HorizonForecaster.from_state(state))

    def _take(self, model: HorizonForecaster) -> Self:
        self.horizon_ = model
        self._read_as = model.read_as
        kept: dict[str, Any] = vars(model)
        if "log_" in kept:
            self.log_ = model.log_
        return self

    @property
    def _fitted(self) -> HorizonForecaster:
        self._check_fitted("horizon_")
        return self.horizon_
