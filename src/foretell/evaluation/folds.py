"""Folds: what models see up to a cut-off, and what came after it, of a log and of a panel."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core import FloatArray, IntArray
from foretell.core.constraints import Steps, check, check_whole
from foretell.core.contracts import EventModel, Outlook
from foretell.core.ragged import flat_ranges
from foretell.core.time import period_edges
from foretell.data.holdout import Holdout, ascending, hold_out, origins_back
from foretell.data.log import EventLog
from foretell.data.panel import Panel
from foretell.data.periodicity import find_season
from foretell.errors import ParameterError
from foretell.stats.metrics import censored_crps, naive_scale

_WINDOW, _PERIOD, _GRID = "30d", "7d", 24
_HORIZON = "273d"
_CHOSEN, _PART = "90d", 4  # what is held back where nothing is asked for: so long, or such a part of the log
# The distribution of numbers of events is summed in steps, up to a number that is as rare.
_STEP, _MOST_EVENTS, _RARE = 32, 1024, 1e-3


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
        if horizon is None:
            horizon = _quarter(log) if cutoffs is None else _HORIZON
        self.log, duration = log, horizon
        self.unit: str = log.unit
        self.period, self.window = log.ticks_of(_PERIOD), log.ticks_of(_WINDOW)
        if cutoffs is None:
            cutoffs = 1
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
        columns |= _of_counts(forecast, truth.count)
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


def _of_counts(forecast: Outlook, y: IntArray) -> dict[str, pl.Series]:
    """Return how well the distribution of the number of events did: its randomised PIT and its CRPS."""
    n, at_least = len(y), forecast.at_least
    if at_least is None:
        return {name: _or_null(None, n, pl.Float64) for name in ("count_pit", "count_crps")}
    reached = at_least(np.stack([y, y + 1]))
    drawn = np.random.default_rng(0).random(n)
    crps, step = np.zeros(n), 0
    # ∫ (F(k) − 1{y ≤ k})² over the numbers k = step …, until hardly anybody comes so often.
    while step < _MOST_EVENTS:
        k = np.arange(step, step + _STEP)[:, None]
        beyond = at_least(k + 1)
        crps += ((beyond - (y > k)) ** 2).sum(axis=0)
        step += _STEP
        if step > y.max(initial=0) and beyond[-1].max(initial=0.0) < _RARE:
            break
    pit = 1.0 - reached[0] + drawn * (reached[0] - reached[1])
    return {"count_pit": pl.Series(pit), "count_crps": pl.Series(crps)}


def _quarter(log: EventLog) -> int:
    """Return how many ticks are held back where nobody says: a quarter of the log, 90 days at the most."""
    return max(min((log.as_of - int(log.first.min())) // _PART, log.ticks_of(_CHOSEN)), 1)


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


LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def quantile_column(level: float) -> str:
    """Return the table's column of a quantile; the outer and the middle ones have names of their own."""
    return {0.1: "forecast-lo-80", 0.5: "forecast", 0.9: "forecast-hi-80"}.get(level, f"q{level:g}")


class SeriesModel(Protocol):
    """What a fold of series asks of a fitted model."""

    def forecast(self, panel: Panel, horizon: int, levels: Sequence[float]) -> npt.ArrayLike:
        """Return quantiles of the next steps, shape (n_series, horizon, n_targets, n_levels)."""


class SeriesFolds:
    """See `foretell.core.contracts.Folds`.

    Without cut-offs there is one fold, in which the last ``horizon`` steps of each series are held back,
    wherever the series ends.
    """

    unit = "step"

    def __init__(
        self,
        panel: Panel,
        horizon: int | None,
        cutoffs: Sequence[object] | int | None,
        *,
        step: str | int | None = None,
        season: int | None = None,
    ) -> None:
        self.panel, self.own_ends = panel, cutoffs is None
        self.horizon = _horizon(panel, horizon, cutoffs)
        last = int(panel.ends.max()) - self.horizon
        if cutoffs is None:
            self.origins: tuple[int, ...] = (last,)
        elif isinstance(cutoffs, int):
            apart = self.horizon if step is None else check_whole("step", step, of="steps")
            self.origins = origins_back(last, int(panel.starts.min()) + 1, cutoffs, apart, "steps")
        else:
            self.origins = ascending([panel.last_tick(cutoff) for cutoff in cutoffs], cutoffs)
        if self.origins[-1] > last:
            latest = panel.time_of(last)[0]
            raise ParameterError(
                f"the last cut-off, {panel.time_of(self.origins[-1])[0]}, leaves less than the horizon of "
                f"{self.horizon} steps after it; choose cut-offs up to {latest}, or a shorter horizon"
            )
        self._seen: tuple[int, Panel] | None = None
        self.season = find_season(self._up_to(0)) if season is None else season

    def label(self, fold: int) -> object:
        """Return the time of a cut-off."""
        return self.panel.time_of([self.origins[fold]])[0]

    def model_settings(self) -> dict[str, object]:
        """Return the horizon and the season."""
        return {"horizon": self.horizon, "season": self.season}

    def _up_to(self, fold: int) -> Panel:
        """Return the panel up to a cut-off; of the last one asked for it is kept."""
        if self._seen is None or self._seen[0] != fold:
            panel, origin = self.panel, self.origins[fold]
            self._seen = fold, panel.tail_split(self.horizon)[0] if self.own_ends else panel.up_to(origin)
        return self._seen[1]

    def seen(self, fold: int) -> Panel:
        """Return the series that are forecast, up to the cut-off.

        Series that were last observed more than a horizon before the cut-off are not.
        """
        seen = self._up_to(fold)
        late = self.origins[fold] - seen.ends >= self.horizon
        return seen if self.own_ends or not late.any() else seen.take(~late)

    def training(self, fold: int, *, sliding: bool) -> Panel:
        """Return the panel at the cut-off; sliding, as many steps as the first fold has."""
        seen = self._up_to(fold)
        if not sliding:
            return seen
        window = self.origins[0] + 1 - int(self.panel.starts.min())
        return last_steps(seen, self.origins[fold] + 1 - window)

    def ask(self, fold: int, model: SeriesModel) -> FloatArray:
        """Return quantiles of the steps after the cut-off, shape (n_series, horizon, n_targets, n_levels)."""
        seen = self.seen(fold)
        late = self._late(fold, seen)
        quantiles = np.asarray(model.forecast(seen, self.horizon + int(late.max()), LEVELS))
        if not late.any():
            return quantiles
        return np.take_along_axis(
            quantiles, (late[:, None] + np.arange(self.horizon))[..., None, None], axis=1
        )

    def rows(self, fold: int, model: object, forecast: FloatArray) -> pl.DataFrame:  # noqa: ARG002
        """Return one row per series, target and step after the cut-off."""
        h, seen = self.horizon, self.seen(fold)
        n, targets = seen.n_series, self.panel.targets
        truth, scale = self._truth(fold, seen), scales(seen, self.season)
        ends = seen.ends + self._late(fold, seen)
        common: dict[str, pl.Series] = {
            "unique_id": seen.ids.gather(np.repeat(np.arange(n), h)),
            "ds": self.panel.time_of(flat_ranges(ends + 1, np.full(n, h))),
            "step": pl.Series(np.tile(np.arange(1, h + 1), n)),
        }
        parts = []
        for k, target in enumerate(targets):
            columns = dict(common)
            if len(targets) > 1:
                columns["target"] = pl.repeat(target, n * h, eager=True)
            columns["y"] = _nullable(truth[:, :, k])
            for j, level in enumerate(LEVELS):
                columns[quantile_column(level)] = _nullable(forecast[:, :, k, j])
            columns["scale"] = _nullable(np.repeat(scale[:, k], h))
            # Each series counts as one, however many of its steps were observed.
            known = (~np.isnan(truth[:, :, k] + forecast[:, :, k, LEVELS.index(0.5)])).sum(axis=1)
            columns["weight"] = pl.Series(np.repeat(1.0 / np.maximum(known, 1), h))
            parts.append(pl.DataFrame(columns))
        return pl.concat(parts)

    def totals(self, fold: int, forecast: object) -> None:
        """Totals of different series mean nothing."""

    def summary(self) -> dict[str, object]:
        """Return the number of series, horizon, season, and the times of the last fold."""
        fold = len(self.origins) - 1
        seen, cutoff = self.seen(fold), self.origins[fold]
        dates = {"cutoff": cutoff, "end": cutoff + self.horizon}
        sizes = {"n_series": seen.n_series, "n_left_out": self.panel.n_series - seen.n_series}
        sizes |= {"h": self.horizon, "season": self.season}
        return sizes | {name: str(self.panel.time_of([step])[0]) for name, step in dates.items()}

    def headline(self) -> str:
        """Return what is forecast in the last fold."""
        what = self.summary()
        short = f"; {what['n_left_out']:,} too short" if what["n_left_out"] else ""
        return f"{what['n_series']:,} series, the last {what['h']} steps held back, to {what['end']}{short}"

    def _late(self, fold: int, seen: Panel) -> npt.NDArray[np.int64]:
        """Return how many steps before the cut-off each series was last observed."""
        if self.own_ends:
            return np.zeros(seen.n_series, dtype=np.int64)
        return self.origins[fold] - seen.ends

    def _truth(self, fold: int, seen: Panel) -> FloatArray:
        """Return what came, shape (n_series, h, n_targets); NaN where nothing was observed."""
        panel = self.panel
        position = np.asarray(panel.ids.search_sorted(seen.ids).to_numpy())
        steps = (seen.ends + self._late(fold, seen))[:, None] + np.arange(1, self.horizon + 1)
        inside = steps <= panel.ends[position][:, None]
        rows = panel.offsets[position][:, None] + steps - panel.starts[position][:, None]
        values = panel.values[np.where(inside, rows, 0)]
        truth: FloatArray = np.where(inside[..., None], values, np.nan)
        return truth


def _horizon(panel: Panel, horizon: object, cutoffs: Sequence[object] | int | None) -> int:
    """Return the steps to forecast: by default as many as come after the only cut-off."""
    if horizon is not None:
        check("horizon", horizon, Steps())
        return int(horizon)  # type: ignore[call-overload, no-any-return]
    if cutoffs is None or isinstance(cutoffs, int) or len(cutoffs) != 1:
        raise ParameterError("series need a cutoff or a horizon: the number of steps to hold back")
    after = int(panel.ends.max()) - panel.last_tick(cutoffs[0])
    if after < 1:
        raise ParameterError(f"cutoff={cutoffs[0]!r}: no series goes on after it; choose an earlier date")
    return after


def scales(panel: Panel, season: int) -> FloatArray:
    """Return each series' scale for MASE, shape (n_series, n_targets)."""
    bounds = zip(panel.offsets[:-1], panel.offsets[1:], strict=True)
    return np.stack([naive_scale(panel.values[a:b], season) for a, b in bounds])


def _nullable(values: FloatArray) -> pl.Series:
    return pl.Series(values.ravel()).fill_nan(None)


def last_steps(panel: Panel, first: int) -> Panel:
    """Return each series from a step of the grid on; those that end before it keep their last step."""
    skipped = np.clip(first - panel.starts, 0, panel.lengths - 1)
    return panel.stretch(skipped, panel.lengths - skipped)
