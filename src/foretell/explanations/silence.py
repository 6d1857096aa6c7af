"""Customers whose silence is longer than their gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from foretell.data.log import EventLog, to_dates
from foretell.errors import DataError
from foretell.events.answers import gap_limits, standing
from foretell.events.states import encode

if TYPE_CHECKING:
    from foretell.events.forecaster import EventForecaster


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
            "ds": to_dates(np.full(len(late), log.as_of), log.unit),
            "what": pl.Series(["silence"] * len(late), dtype=pl.String),
            "value": silent,
            "low": np.zeros(len(late)),
            "high": limit,
            "score": silent / np.maximum(limit, 1.0 / days),
        }
    )
    return table.sort("score", descending=True)
