"""What next as one pure function of arrays: windows of values and covariates in, quantiles out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from foretell.core import FloatArray
from foretell.data.panel import Panel
from foretell.errors import ParameterError
from foretell.nn.backend import Array
from foretell.nn.export import Dimensions, Program
from foretell.series.calibration import calibrated
from foretell.series.covariates import CovariateCode
from foretell.series.fitting import SeriesModel
from foretell.series.scale import last_observed
from foretell.series.support import Support
from foretell.series.windows import Batch

# How long after the panel's end a program can be asked: it holds the calendar.
_USE: Final = "10y"
# Normalisations by what training has learned of each series.
_OF_SERIES: Final = ("standard", "minmax", "robust")


def series_program(
    model: SeriesModel, panel: Panel, quantiles: Sequence[float], levels: FloatArray, support: Support
) -> Program:
    """Return the program that forecasts as many steps as the network was trained for.

    Parameters
    ----------
    model : SeriesModel
    panel : Panel
        That it was fitted to: its columns, its grid.
    quantiles : sequence of float
    levels : array, shape (n_trained, n_quantiles)
        From the trained quantiles to those that are asked for.
    support : Support
    """
    network, reading = model.network, model.reading
    shape = network.shape
    if shape.method == "recursive":
        raise ParameterError(
            "a forecaster with method='recursive' cannot be exported: it draws sample paths; expected "
            "'direct' or 'seq2seq'"
        )
    members = [[jnp.asarray(weight) for weight in weights] for weights in model.members]
    calendar = _Calendar(panel, reading.cycles, shape.steps)
    of_series = shape.normalise in _OF_SERIES
    scales = [
        jnp.asarray(np.where(np.isnan(own), typical, own), jnp.float32)
        for own, typical in zip((reading.loc, reading.scale), reading.typical, strict=True)
    ]
    position = jnp.arange(shape.lookback + shape.steps)

    def answer(
        values: Array,
        lengths: Array,
        last: Array | None = None,
        series: Array | None = None,
        past: Array | None = None,
        future: Array | None = None,
        static: Array | None = None,
    ) -> dict[str, Array]:
        if shape.log:
            values = jnp.log1p(values)
        inside = (position >= shape.lookback - lengths[:, None]).astype(jnp.float32)[..., None]
        history = inside[:, : shape.lookback]
        mask = history * (1.0 - jnp.isnan(values).astype(jnp.float32))
        nothing = values[..., :0]
        known = [] if last is None else [calendar.at(last, position - shape.lookback)]
        known += [] if future is None else [_coded(reading.future, future)]
        base, unit = _units(jnp.where(mask > 0, values, 0.0), mask, about_zero=shape.normalise == "first")
        whole = (base, unit) if series is None else (part[jnp.maximum(series, 0)] for part in scales)
        level, spread = whole
        batch = Batch(
            values=jnp.where(mask > 0, (values - base[:, None]) / unit[:, None], 0.0),
            mask=mask,
            past=nothing if past is None else _coded(reading.past, past) * history,
            known=jnp.concatenate(known, axis=-1) * inside if known else nothing,
            static=nothing[:, 0] if static is None else _coded(reading.static, static),
            loc=(level - base) / unit,
            scale=spread / unit,
        )
        parts = [network.quantiles(weights, batch) for weights in members]
        _, loc, scale, anchor = parts[0]
        mean = jnp.mean(jnp.stack([jnp.sort(part[0], axis=-1) for part in parts]), axis=0)
        forecast = calibrated(mean, anchor, model.calibration.on_device())
        forecast = forecast * scale[..., None] + loc[..., None]
        forecast = forecast * unit[:, None, :, None] + base[:, None, :, None]
        forecast = jnp.expm1(forecast) if shape.log else forecast
        forecast = jnp.sort(forecast @ jnp.asarray(levels, jnp.float32), axis=-1)
        forecast = jnp.clip(forecast, *(jnp.asarray(limit, jnp.float32) for limit in support.limits))
        forecast = jnp.where(jnp.asarray(support.whole) > 0, jnp.round(forecast), forecast)
        covered = lengths > 0
        if last is not None:
            covered &= calendar.covers(last)
        if series is not None:
            covered &= (series >= 0) & (series < len(reading.ids))
        return {"quantiles": jnp.where(covered[:, None, None, None], forecast, jnp.nan)}

    n, ahead = "series", shape.lookback + shape.steps
    inputs: dict[str, tuple[Dimensions, npt.DTypeLike]] = {
        "values": ((n, shape.lookback, shape.n_targets), np.float32),
        "lengths": ((n,), np.int32),
    }
    if calendar.used:
        inputs["last"] = ((n,), np.int32)
    if of_series:
        inputs["series"] = ((n,), np.int32)
    names = {"past": (n, shape.lookback), "future": (n, ahead), "static": (n,)}
    codes = {name: getattr(reading, name) for name in names}
    inputs |= {
        name: ((*lead, len(codes[name].names)), np.float32)
        for name, lead in names.items()
        if codes[name].names
    }
    about = {
        "freq": panel.grid.freq,
        "first": calendar.first,
        "last": calendar.until,
        "targets": list(panel.targets),
        "quantiles": list(quantiles),
        "covariates": {name: list(code.names) for name, code in codes.items()},
        "categories": {name: code.categories for name, code in codes.items()},
        "series": [str(key) for key in reading.ids] if of_series else [],
    }
    return Program(answer, inputs, about)


def _units(values: Array, mask: Array, *, about_zero: bool) -> tuple[Array, Array]:
    """Return units as of `Units`, of windows alone: their last value, and the mean distance to it."""
    loc = last_observed(values, mask)
    loc = loc * 0.0 if about_zero else loc
    distance = jnp.sum(jnp.abs(values - loc) * mask, axis=1) / jnp.maximum(jnp.sum(mask, axis=1), 1.0)
    return loc[:, 0], jnp.where(distance > 0, distance, 1.0)


class _Calendar:
    """The calendar's columns of the steps of a grid, from a panel's start to years after its end."""

    def __init__(self, panel: Panel, cycles: Sequence[float], steps: int) -> None:
        seen = np.array(cycles, dtype=float)
        self.used = bool(seen.any())
        end = int(panel.ends.max())
        self.first, self.until = int(panel.starts.min()), end
        if panel.grid.frequency.unit != "number":
            self.until += panel.grid.ticks_of(_USE, end)
        rows = np.arange(self.first, self.until + steps + 1) if self.used else np.zeros(1, dtype=np.int64)
        self.columns = jnp.asarray(panel.grid.calendar(rows) * seen, jnp.float32)

    def at(self, last: Array, steps: Array) -> Array:
        """Return the columns of steps around the ones after some windows' last: (n, n_steps, n_columns)."""
        place = last[:, None] + 1 + steps - self.first
        return self.columns[jnp.clip(place, 0, len(self.columns) - 1)]

    def covers(self, last: Array) -> Array:
        """Return whether the last step of a window is one of the table's."""
        return (last >= self.first) & (last <= self.until)


def _coded(code: CovariateCode, values: Array) -> Array:
    """Return what `CovariateCode.encode` does, of columns on the last axis whose categories are numbered."""
    columns = []
    for k, name in enumerate(code.names):
        column = values[..., k : k + 1]
        if name in code.categories:
            columns.append((column == jnp.arange(len(code.categories[name]))).astype(jnp.float32))
        else:
            columns.append(
                (jnp.where(jnp.isnan(column), code.mean[k], column) - code.mean[k]) / code.deviation[k]
            )
    return jnp.concatenate(columns, axis=-1)
