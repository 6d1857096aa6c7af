"""Folds of an event log: every customer known by the cut-off is forecast and scored."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import polars as pl

from foretell.core import FloatArray
from foretell.core.contracts import EventModel, Outlook
from foretell.core.time import period_edges
from foretell.data.holdout import Holdout, ascending, hold_out, origins_back
from foretell.data.log import EventLog
from foretell.errors import ParameterError
from foretell.stats.metrics import censored_crps

_WINDOW, _PERIOD, _GRID = "30d", "7d", 24
_HORIZON = "273d"


class EventFolds:
    """See `foretell.core.contracts.Folds`."""

    def __init__(
        self,
        log: EventLog,
        horizon: str | int | None,
        cutoffs: Sequence[object] | int | None,
        *,
        step: str | int | None = None,
        season: int | None = None,
    ) -> None:
        del season  # visits have none to be named
        self.log, duration = log, _HORIZON if horizon is None else horizon
        self.unit: str = log.unit
        self.period, self.window = log.ticks_of(_PERIOD), log.ticks_of(_WINDOW)
        if cutoffs is None:
            raise ParameterError(
                "evaluate needs a cutoff for visits: the last day that the models see, such as 1997-09-30"
            )
        if isinstance(cutoffs, int):
            last = last_origin(log, duration)
            apart = log.ticks_of(duration if step is None else step, last)
            self.origins = origins_back(last, int(log.first.min()), cutoffs, apart, f"{log.unit}s")
        else:
            self.origins = ascending([log.last_tick(cutoff) for cutoff in cutoffs], cutoffs)
        # Months and years are counted from each cut-off.
        self.horizons = [log.ticks_of(duration, origin) for origin in self.origins]
        self.horizon = self.horizons[-1]
        if self.origins[-1] + self.horizon > log.as_of:
            hold_out(log, self.origins[-1], self.horizon, self.period)  # refuses it, with the dates
        self._held_back: tuple[int, Holdout] | None = None

    def label(self, fold: int) -> object:
        """Return the date of a cut-off."""
        return self.log.time_of([self.origins[fold]])[0]

    def model_settings(self) -> dict[str, object]:
        """Models of visits know all from the log."""
        return {}

    def held_back(self, fold: int) -> Holdout:
        """Return what came after a cut-off; of the last one asked for it is kept."""
        if self._held_back is None or self._held_back[0] != fold:
            self._held_back = fold, hold_out(self.log, self.origins[fold], self.horizons[fold], self.period)
        return self._held_back[1]

    def seen(self, fold: int) -> EventLog:
        """Return the log as it stood at the cut-off."""
        return self.held_back(fold).train

    def training(self, fold: int, *, sliding: bool) -> EventLog:
        """Return the log at the cut-off; sliding, of customers who first came as late as the window reaches.

        Cutting off the start of histories instead would make regulars of many years look like new customers.
        """
        seen = self.seen(fold)
        if not sliding:
            return seen
        window = self.origins[0] - int(self.log.first.min())
        return seen.take(seen.first >= self.origins[fold] - window)

    def ask(self, fold: int, model: EventModel) -> Outlook:
        """Return a fitted model's outlook on the customers known by the cut-off."""
        return model.outlook(self.seen(fold), self.horizons[fold], period=self.period, window=self.window)

    def rows(self, fold: int, model: EventModel, forecast: Outlook) -> pl.DataFrame:
        """Return one row per customer known by the cut-off."""
        truth = self.held_back(fold)
        log = truth.train
        returned = truth.next_event <= truth.end
        n = log.n_customers
        next_event = log.time_of(np.where(returned, truth.next_event, truth.end))
        columns: dict[str, pl.Series] = {
            "unique_id": log.ids,
            "y": pl.Series(truth.count),
            "forecast": _or_null(forecast.expected, n, pl.Float64),
            "returned": _or_null(truth.returned_within(self.window), n, pl.Boolean),
            "p_return": _or_null(forecast.p_return, n, pl.Float64),
            "p_active": _or_null(forecast.p_active, n, pl.Float64),
            "next_event": next_event.set(pl.Series(~returned), None),
        }
        for side, edge in enumerate(("lo", "hi")):
            dates = None if forecast.interval is None else log.time_of(forecast.interval[:, side])
            columns[f"next_event-{edge}-80"] = _or_null(dates, n, columns["next_event"].dtype)
        columns |= self._distribution(model, truth, n)
        return pl.DataFrame(columns)

    def totals(self, fold: int, forecast: Outlook) -> pl.DataFrame:
        """Return the events of all together by week: ``period`` (its last day), ``y``, ``forecast``."""
        truth = self.held_back(fold)
        edges = truth.cutoff + period_edges(self.horizons[fold], self.period)
        totals = {
            "period": self.log.time_of(edges),
            "y": pl.Series(truth.cohort),
            "forecast": _or_null(forecast.cohort, len(edges), pl.Float64),
        }
        return pl.DataFrame(totals)

    def summary(self) -> dict[str, object]:
        """Return the number of customers, and the dates of the last fold."""
        truth = self.held_back(len(self.origins) - 1)
        dates = {"cutoff": truth.cutoff, "end": truth.end}
        sizes = {"n_customers": truth.train.n_customers, "n_events": int(truth.count.sum())}
        return sizes | {name: str(self.log.date(tick)) for name, tick in dates.items()}

    def headline(self) -> str:
        """Return who is forecast in the last fold."""
        what = self.summary()
        return (
            f"{what['n_customers']:,} customers seen by {what['cutoff']}, forecast to {what['end']}: "
            f"{what['n_events']:,} events"
        )

    def _distribution(self, model: EventModel, truth: Holdout, n: int) -> dict[str, pl.Series]:
        """Return how well the distribution of the next event's time did: CRPS and PIT."""
        horizon = truth.end - truth.cutoff
        # The predictive distribution of the next event is looked at on a grid that is dense at the start.
        grid = np.unique(np.geomspace(1, horizon, _GRID).round().astype(np.int64))
        ask = getattr(model, "return_chances", None)  # a model of the user's own need not have it
        chances = None if ask is None else ask(truth.train, grid)
        if chances is None:
            return {key: _or_null(None, n, pl.Float64) for key in ("crps", "pit_lo", "pit_hi")}
        by_time = np.concatenate([np.zeros((n, 1)), chances], axis=1)
        times = np.concatenate([[0], grid]).astype(np.float64)
        waited = np.minimum(truth.next_event - truth.cutoff, horizon + 1).astype(np.float64)
        # Given that the customer came, so that the distribution ends with the horizon.
        returned = waited <= horizon
        pits = [
            _at(times, by_time, when) / np.maximum(by_time[:, -1], 1e-12) for when in (waited - 1.0, waited)
        ]
        pit = [pl.Series(np.where(returned, value, np.nan)).fill_nan(None) for value in pits]
        crps = pl.Series(censored_crps(times, by_time, waited))
        return {"crps": crps, "pit_lo": pit[0], "pit_hi": pit[1]}


def last_origin(log: EventLog, duration: object) -> int:
    """Return the latest cut-off from which a duration, counted from it, ends within the log."""
    # Counted from another day, months are longer or shorter by at most four days.
    latest = log.as_of - log.ticks_of(duration) + log.ticks_of("4d")
    candidates = itertools.count(latest, -1)
    return next(o for o in candidates if o + log.ticks_of(duration, o) <= log.as_of)


def _at(times: FloatArray, chances: FloatArray, when: FloatArray) -> FloatArray:
    """Return each customer's chance at a time of its own."""
    k = np.clip(np.searchsorted(times, when, side="right") - 1, 0, len(times) - 2)
    share = np.clip((when - times[k]) / (times[k + 1] - times[k]), 0.0, 1.0)
    rows = np.arange(len(when))
    chance: FloatArray = chances[rows, k] * (1.0 - share) + chances[rows, k + 1] * share
    return chance


def _or_null(values: object, n: int, dtype: pl.DataType | type[pl.DataType]) -> pl.Series:
    """Return values, or nulls where a model does not know them."""
    if values is None:
        return pl.repeat(None, n, dtype=dtype, eager=True)
    column = pl.Series(values, dtype=dtype)  # type: ignore[arg-type]
    return column.fill_nan(None) if column.dtype.is_float() else column
