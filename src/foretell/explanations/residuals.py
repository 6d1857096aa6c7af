"""Values outside of their forecast interval, fold by fold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.data.panel import Panel
from foretell.errors import DataError

if TYPE_CHECKING:
    from foretell.series.forecaster import SeriesForecaster

FloatArray = npt.NDArray[np.float64]

_SCHEMA = {"what": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64, "score": pl.Float64}


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
    found = []
    for begin in range(first, last + 1, model.horizon):
        h = min(model.horizon, last - begin + 1)
        before = panel.up_to(begin - 1)
        # A series whose last steps are missing is forecast from its last value on.
        missing = begin - 1 - before.ends
        for gap in np.unique(missing[missing < model.horizon]):
            part = before.take(missing == gap)
            found.append(_fold(panel, part, model.forecast(part, int(h + gap), tails)[:, gap:], begin))
    table = pl.concat(found) if found else _empty(panel)
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
