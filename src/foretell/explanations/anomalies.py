"""What lies outside of its forecast: customers whose silence is too long, values beyond their interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from foretell.core import FloatArray
from foretell.data.log import EventLog
from foretell.data.panel import Panel
from foretell.errors import DataError
from foretell.events.answers import gap_limits, standing
from foretell.events.states import encode

if TYPE_CHECKING:
    from foretell.events.forecaster import EventForecaster
    from foretell.series.forecaster import SeriesForecaster


_SCHEMA = {"what": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64, "score": pl.Float64}


def silent_customers(model: EventForecaster, log: EventLog | None, level: float) -> pl.DataFrame:
    """List the customers whose silence is beyond their gap of some percentage; see `foretell.anomalies`."""
    states = model.states_
    if log is None:
        log = model.log_
    elif log.as_of < model.log_.as_of:
        raise DataError(
            f"the log ends {log.date(log.as_of)}, before the model's date "
            f"{model.log_.date(model.log_.as_of)}; expected a log that goes on"
        )
    else:
        states = encode(model.model_, log)
    at = standing(model.model_, log, states)
    limits = gap_limits(at, level / 100)
    late = np.flatnonzero(log.as_of > limits)
    days = 24.0 if log.unit == "hour" else 1.0
    silent = (log.as_of - log.last[late]) / days
    limit = (limits[late] - log.last[late]) / days
    table = pl.DataFrame(
        {
            "unique_id": log.ids.gather(late),
            "ds": log.time_of(np.full(len(late), log.as_of)),
            "what": pl.Series(["silence"] * len(late), dtype=pl.String),
            "value": silent,
            "low": np.zeros(len(late)),
            "high": limit,
            "score": silent / np.maximum(limit, 1.0 / days),
        }
    )
    return table.sort("score", descending=True)


def unexpected_values(model: SeriesForecaster, panel: Panel | None, level: float) -> pl.DataFrame:
    """List the values outside of the interval that was forecast for them; see `foretell.anomalies`.

    Each fold of one horizon is forecast from what lies before it.
    """
    own = int(model.panel_.ends.max())
    if panel is None:
        panel, first = model.panel_, own - model.horizon + 1
    else:
        first = own + 1
    last = int(panel.ends.max())
    if last < first:
        raise DataError(
            f"no step comes after the model's last one, {panel.time_of([own])[0]}; expected a panel that "
            "goes on"
        )
    tails = (0.5 - level / 200, 0.5, 0.5 + level / 200)
    parts = []
    for begin in range(first, last + 1, model.horizon):
        h = min(model.horizon, last - begin + 1)
        before = panel.up_to(begin - 1)
        # A series whose last steps are missing is forecast from its last value on.
        missing = begin - 1 - before.ends
        for gap in np.unique(missing[missing < model.horizon]):
            part = before.take(missing == gap)
            parts.append(_fold(panel, part, model.forecast(part, int(h + gap), tails)[:, gap:], begin))
    table = pl.concat(parts) if parts else _empty(panel)
    return table.sort("score", descending=True)


def _fold(panel: Panel, before: Panel, quantiles: FloatArray, begin: int) -> pl.DataFrame:
    """Return the values of a fold that lie outside, quantiles of shape (n_series, h, n_targets, 3)."""
    n, h, n_targets = quantiles.shape[:3]
    truth = np.full((n, h, n_targets), np.nan)
    place = {key: i for i, key in enumerate(panel.ids.to_list())}
    rows = [place[key] for key in before.ids.to_list()]
    for i, row in enumerate(rows):
        start = panel.offsets[row] + begin - panel.starts[row]
        values = panel.values[start : min(start + h, panel.offsets[row + 1])]
        truth[i, : len(values)] = values
    low, middle, high = np.moveaxis(quantiles, -1, 0)
    with np.errstate(invalid="ignore"):
        side = np.where(truth > middle, high - middle, middle - low)
        outside = (truth < low) | (truth > high)
        score = np.abs(truth - middle) / np.maximum(side, 1e-12)
    series, step, target = np.nonzero(outside)
    return pl.DataFrame(
        {
            "unique_id": before.ids.gather(series),
            "ds": panel.time_of(begin + step),
            "what": pl.Series([panel.targets[k] for k in target], dtype=pl.String),
            "value": truth[outside],
            "low": low[outside],
            "high": high[outside],
            "score": score[outside],
        }
    )


def _empty(panel: Panel) -> pl.DataFrame:
    head = {"unique_id": panel.ids.head(0), "ds": panel.time_of(np.zeros(0, dtype=np.int64))}
    return pl.DataFrame(head).with_columns(
        **{name: pl.Series([], dtype=kind) for name, kind in _SCHEMA.items()}
    )
