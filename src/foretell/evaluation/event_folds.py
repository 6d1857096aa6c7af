"""Folds of an event log: every customer known by the cut-off is forecast and scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.data.log import EventLog, to_dates
from foretell.evaluation.folds import ascending, free_name, fresh, origins_back
from foretell.evaluation.holdout import Holdout, hold_out
from foretell.evaluation.registry import build_model, model_names

FloatArray = npt.NDArray[np.float64]

_WINDOW, _PERIOD, _GRID = "30d", "7d", 24


class EventFolds:
    """See `foretell.evaluation.folds.Folds`."""

    units: tuple[str, ...] = ("unique_id",)
    order = "rmse"
    root = True
    loss = (pl.col("forecast") - pl.col("y")) ** 2
    figures: ClassVar[dict[str, pl.Expr]] = {
        "n": pl.len(),
        "rmse": ((pl.col("forecast") - pl.col("y")) ** 2).mean().sqrt(),
        "mae": (pl.col("forecast") - pl.col("y")).abs().mean(),
        "bias_pct": 100 * (pl.col("forecast").sum() / pl.col("y").sum() - 1),
        "brier_30d": ((pl.col("p_return") - pl.col("returned")) ** 2).mean(),
        "crps": pl.col("crps").mean(),
        "coverage_80": pl.col("next_event").is_between("next_event-lo-80", "next_event-hi-80").mean(),
    }

    def __init__(
        self,
        log: EventLog,
        horizon: str | int,
        cutoffs: Sequence[Any] | None,
        n_folds: int,
        step: str | int | None,
    ) -> None:
        self.log, self.horizon = log, log.ticks_of(horizon)
        self.unit: str = log.unit
        self.period, self.window = log.ticks_of(_PERIOD), log.ticks_of(_WINDOW)
        if cutoffs is None:
            apart = self.horizon if step is None else log.ticks_of(step)
            last = log.as_of - self.horizon
            self.origins = origins_back(last, int(log.first.min()), n_folds, apart, f"{log.unit}s")
        else:
            self.origins = ascending([log.tick(one) for one in cutoffs], cutoffs)
        if self.origins[-1] + self.horizon > log.as_of:
            hold_out(log, self.origins[-1], self.horizon, self.period)  # refuses it, with the dates
        # The predictive distribution of the next event is looked at on a grid that is dense at the start.
        self.grid = np.unique(np.geomspace(1, self.horizon, _GRID).round().astype(np.int64))

    def label(self, fold: int) -> Any:
        """Return the date of a cut-off."""
        return to_dates([self.origins[fold]], self.log.unit)[0]

    def models(self, named: Sequence[Any] | None) -> dict[str, Any]:
        """Return the models by free names."""
        chosen: dict[str, Any] = {}
        for entry in model_names() if named is None else named:
            model = build_model(entry) if isinstance(entry, str) else fresh(entry)
            chosen[free_name(model.name, chosen)] = model
        return chosen

    def training(self, fold: int, *, sliding: bool) -> EventLog:
        """Return the log at the cut-off; sliding, of customers who first came as late as the window reaches.

        Cutting off the start of histories instead would make regulars of many years look like new customers.
        """
        seen = self.log.until(self.origins[fold])
        if not sliding:
            return seen
        window = self.origins[0] - int(self.log.first.min())
        return seen.select(seen.first >= self.origins[fold] - window)

    def answers(self, fold: int, name: str, model: Any) -> pl.DataFrame:
        """Return one row per customer known by the cut-off."""
        held = hold_out(self.log, self.origins[fold], self.horizon, self.period)
        log = held.train
        outlook = model.outlook(log, self.horizon, period=self.period, window=self.window)
        within = held.returned_within(self.window)
        came = held.next_event <= held.end
        n, unit = log.n_customers, log.unit
        columns: dict[str, Any] = {
            "cutoff": pl.repeat(self.label(fold), n, eager=True),
            "unique_id": log.ids,
            "model": pl.repeat(name, n, dtype=pl.String, eager=True),
            "y": held.count,
            "forecast": np.asarray(outlook.expected, dtype=np.float64),
            "returned": _or_null(within, n, pl.Boolean),
            "p_return": _or_null(outlook.p_return, n, pl.Float64),
            "p_active": _or_null(outlook.p_active, n, pl.Float64),
            "next_event": _where(came, to_dates(np.where(came, held.next_event, held.end), unit)),
        }
        for side, edge in enumerate(("lo", "hi")):
            dates = None if outlook.interval is None else to_dates(outlook.interval[:, side], unit)
            columns[f"next_event-{edge}-80"] = _or_null(dates, n, columns["next_event"].dtype)
        columns |= self._distribution(model, held, n)
        return pl.DataFrame(columns)

    def _distribution(self, model: Any, held: Holdout, n: int) -> dict[str, Any]:
        """Return how well the distribution of the next event's time did: CRPS, and where the truth fell."""
        chances = getattr(model, "return_chances", None)
        if chances is None:
            return {key: _or_null(None, n, pl.Float64) for key in ("crps", "pit_lo", "pit_hi")}
        found = np.concatenate([np.zeros((n, 1)), chances(held.train, self.grid)], axis=1)
        times = np.concatenate([[0], self.grid]).astype(np.float64)
        waited = np.minimum(held.next_event - held.cutoff, self.horizon + 1).astype(np.float64)
        # Given that the customer came, so that the distribution ends with the horizon.
        came = waited <= self.horizon
        places = [
            _at(times, found, when) / np.maximum(found[:, -1], 1e-12) for when in (waited - 1.0, waited)
        ]
        pit = [pl.Series(np.where(came, place, np.nan)).fill_nan(None) for place in places]
        return {"crps": censored_crps(times, found, waited), "pit_lo": pit[0], "pit_hi": pit[1]}


def censored_crps(times: FloatArray, chances: FloatArray, waited: FloatArray) -> FloatArray:
    """Return ∫ (F(t) − 1{T ≤ t})² dt from now to the horizon, in ticks; who did not come is censored there.

    Parameters
    ----------
    times : array, shape (n_times,)
        Ascending, from 0 to the horizon.
    chances : array, shape (n, n_times)
        F, the probability of an event by each time; straight lines between.
    waited : array, shape (n,)
        T, the time of the next event; beyond the horizon it only counts that it did not come.

    References
    ----------
    Gneiting, Ranjan (2011), "Comparing density forecasts using threshold- and quantile-weighted scoring
    rules", JBES 29(3): the score weighted to the time before the horizon is proper.

    Examples
    --------
    >>> censored_crps(np.array([0.0, 10.0]), np.array([[0.0, 0.0]]), np.array([4.0]))
    array([6.])
    """
    width = np.diff(times)
    left, right = chances[:, :-1], chances[:, 1:]
    # ∫ F² and ∫ (1 − F)² over an interval in which F goes straight from left to right.
    before = width * (left**2 + left * right + right**2) / 3.0
    a, b = 1.0 - left, 1.0 - right
    after = width * (a**2 + a * b + b**2) / 3.0
    share = np.clip((waited[:, None] - times[:-1]) / width, 0.0, 1.0)  # of the interval that is before T
    # The interval that holds T is parted there.
    at = left + share * (right - left)
    split_before = share * width * (left**2 + left * at + at**2) / 3.0
    c = 1.0 - at
    split_after = (1.0 - share) * width * (c**2 + c * b + b**2) / 3.0
    parted = split_before + split_after
    total: FloatArray = np.where(share >= 1.0, before, np.where(share <= 0.0, after, parted)).sum(axis=1)
    return total


def _at(times: FloatArray, chances: FloatArray, when: FloatArray) -> FloatArray:
    """Return each customer's chance at a time of its own."""
    k = np.clip(np.searchsorted(times, when, side="right") - 1, 0, len(times) - 2)
    share = np.clip((when - times[k]) / (times[k + 1] - times[k]), 0.0, 1.0)
    rows = np.arange(len(when))
    found: FloatArray = chances[rows, k] * (1.0 - share) + chances[rows, k + 1] * share
    return found


def _or_null(values: Any, n: int, dtype: Any) -> pl.Series:
    """Return values, or nulls where a model does not tell."""
    return pl.repeat(None, n, dtype=dtype, eager=True) if values is None else pl.Series(values, dtype=dtype)


def _where(known: npt.NDArray[np.bool_], values: pl.Series) -> pl.Series:
    return values.set(pl.Series(~known), None)
