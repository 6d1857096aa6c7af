"""The leaderboard of regular series: models side by side on steps that are held back from them."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, Self, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.data.panel import Panel, flat_ranges
from foretell.errors import ParameterError
from foretell.evaluation.folds import free_name
from foretell.evaluation.referee import FEW, Verdict, judge
from foretell.evaluation.seeds import other_seeds, spread_line, spread_table
from foretell.stats import series_metrics as metrics

FloatArray = npt.NDArray[np.float64]

LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]

# Name → "module:class". Text, resolved when asked for: models import the evaluation, never the reverse.
_HOMES = {
    "foretell": "foretell.series.forecaster:SeriesForecaster",
    "naive": "foretell.baselines.rules:Naive",
    "seasonal naive": "foretell.baselines.rules:SeasonalNaive",
    "drift": "foretell.baselines.rules:Drift",
    "autoets": "foretell.baselines.automatic:AutoETS",
    "autoarima": "foretell.baselines.automatic:AutoARIMA",
    "autotheta": "foretell.baselines.automatic:AutoTheta",
}
DEFAULT_MODELS = ("foretell", "seasonal naive", "naive", "drift")
# Parts into which the held-back steps of few series are cut, to be resampled by the referee.
_PARTS = 8


class SeriesModel(Protocol):
    """What the leaderboard asks of a model."""

    name: str

    def fit(self, panel: Panel) -> Self:
        """Fit to a panel."""

    def forecast(self, panel: Panel, h: int, quantiles: Sequence[float]) -> FloatArray:
        """Return quantiles of the steps after each series' end.

        Shape (n_series, h, n_targets, n_quantiles), sorted along the quantiles.
        """


@dataclasses.dataclass(frozen=True)
class SeriesRow:
    """One model's figures; None where they cannot be told.

    Attributes
    ----------
    model : str
    mase, smape : float
        Averaged over the series, as in the M4 competition.
    mae, rmse : float
        Over all values.
    wql : float
        Weighted quantile loss over the quantiles 0.1 … 0.9.
    coverage_80 : float
        Share of the values within their 80 % interval.
    fit_s, predict_s : float
        Seconds.
    """

    model: str
    mase: float | None
    smape: float | None
    mae: float | None
    rmse: float | None
    wql: float | None
    coverage_80: float | None
    fit_s: float
    predict_s: float


@dataclasses.dataclass(frozen=True, eq=False)
class SeriesLeaderboard:
    """Models side by side on the same held-back steps.

    Attributes
    ----------
    rows : tuple of SeriesRow
        The best first: by MASE.
    train : Panel
        What the models saw.
    truth : float64 array, shape (n_series, h, n_targets)
        NaN where nothing was observed.
    quantiles : dict of str to array, shape (n_series, h, n_targets, 9)
        What each model said, at the quantiles 0.1 … 0.9.
    models : dict of str to SeriesModel
        The fitted models, by name.
    season : int
        Season by which MASE is scaled.
    n_left_out : int
        Series that had nothing before the held-back steps.
    seed_rows : tuple of SeriesRow
        Our models' figures with other seeds, where these were asked for.
    """

    rows: tuple[SeriesRow, ...]
    train: Panel
    truth: FloatArray
    quantiles: dict[str, FloatArray]
    models: dict[str, SeriesModel]
    season: int
    n_left_out: int
    seed_rows: tuple[SeriesRow, ...] = ()

    def __str__(self) -> str:
        head = f"{self.train.n_series:,} series, the last {self.h} steps held back, to {self.end}"
        left = f"; {self.n_left_out:,} too short" if self.n_left_out else ""
        with pl.Config(tbl_rows=-1, tbl_cols=-1, float_precision=4, tbl_hide_dataframe_shape=True):
            seeds = spread_line(self.seed_spread(), "mase")
            lines = [f"{head}{left}", str(self.table()), str(self.verdict()), *filter(None, [seeds])]
            return "\n".join(lines)

    @property
    def h(self) -> int:
        """Held-back steps."""
        return int(self.truth.shape[1])

    @property
    def cutoff(self) -> str:
        """Time of the last step that the models saw, of the series that ends last."""
        return str(self.train.time_of(self.train.ends.max())[0])

    @property
    def end(self) -> str:
        """Time of the last held-back step."""
        return str(self.train.time_of(self.train.ends.max() + self.h)[0])

    def losses(self) -> dict[str, FloatArray]:
        """Return each model's mean scaled error by series and target; of few series, by part of the steps."""
        scale = scales(self.train, self.season)[:, None]
        parts = 1 if self.truth.shape[0] * self.truth.shape[2] >= FEW else min(_PARTS, self.h)
        block = np.arange(self.h) * parts // self.h
        out = {}
        for name, found in self.quantiles.items():
            error = np.abs(self.truth - found[..., LEVELS.index(0.5)]) / scale
            means = [metrics.mean_of_steps(error[:, block == k]) for k in range(parts)]
            out[name] = np.concatenate(means, axis=0).ravel()
        return out

    def verdict(self) -> Verdict:
        """Say which model to use, and how sure that is; see `foretell.evaluation.referee.judge`."""
        return judge(self.losses(), root=False)

    def seed_spread(self) -> pl.DataFrame:
        """Return how far figures differ with the seed; see `foretell.evaluation.seeds.spread_table`."""
        return spread_table(self.rows, self.seed_rows)

    def table(self) -> pl.DataFrame:
        """Return one row per model, the best first."""
        names = [field.name for field in dataclasses.fields(SeriesRow)]
        schema = {name: pl.String if name == "model" else pl.Float64 for name in names}
        return pl.DataFrame([dataclasses.asdict(row) for row in self.rows], schema=schema)

    def error_by_step(self) -> pl.DataFrame:
        """Return each model's mean scaled error by step ahead: ``model``, ``step``, ``mase``."""
        scale = scales(self.train, self.season)[:, None]
        parts = []
        for name, found in self.quantiles.items():
            error = metrics.mean_by_step(np.abs(self.truth - found[..., LEVELS.index(0.5)]) / scale)
            parts.append(pl.DataFrame({"model": name, "step": np.arange(1, self.h + 1), "mase": error}))
        return pl.concat(parts)

    def forecasts(self) -> pl.DataFrame:
        """Return all forecasts with the truth, one row per series and step.

        Columns ``unique_id``, ``ds``, ``y``, and per model its name, ``…-lo-80``, ``…-hi-80``, as
        utilsforecast's ``evaluate`` and ``plot_series`` take them; with several targets also ``target``.
        """
        n, h, n_targets = self.truth.shape
        owner = np.repeat(np.arange(n), h)
        times = self.train.time_of(flat_ranges(self.train.ends + 1, np.full(n, h)))
        parts = []
        for k in range(n_targets):
            columns: dict[str, Any] = {"unique_id": self.train.ids.gather(owner), "ds": times}
            if n_targets > 1:
                columns["target"] = pl.repeat(self.train.targets[k], n * h, eager=True)
            columns["y"] = self.truth[:, :, k].ravel()
            for name, found in self.quantiles.items():
                for suffix, level in (("", 0.5), ("-lo-80", 0.1), ("-hi-80", 0.9)):
                    columns[name + suffix] = found[:, :, k, LEVELS.index(level)].ravel()
            parts.append(pl.DataFrame(columns))
        return pl.concat(parts)

    def to_json(self) -> str:
        """Return ``{"rows": […], "n_series", "h", "cutoff", "end", "verdict"}``; missing figures are null."""
        content: dict[str, Any] = {
            "rows": [dataclasses.asdict(row) for row in self.rows],
            "n_series": self.train.n_series,
            "n_left_out": self.n_left_out,
            "h": self.h,
            "season": self.season,
            "cutoff": self.cutoff,
            "end": self.end,
            "verdict": str(self.verdict()),
        }
        if self.seed_rows:
            content["seeds"] = self.seed_spread().to_dicts()
        return json.dumps(content, indent=2, ensure_ascii=False)

    def save_json(self, path: str | Path) -> None:
        """Write `to_json` to a file."""
        Path(path).write_text(self.to_json() + "\n", encoding="utf-8")


def evaluate_series(
    panel: Panel,
    h: int,
    models: Sequence[SeriesModel | str] | None = None,
    *,
    season: int,
    seeds: int = 1,
) -> SeriesLeaderboard:
    """Compare models on the last ``h`` steps of every series; see `foretell.evaluate`."""
    before, after = panel.tail_split(h)
    truth = after.values.reshape(before.n_series, h, len(panel.targets))
    scale = scales(before, season)
    rows: list[SeriesRow] = []
    again: list[SeriesRow] = []
    said: dict[str, FloatArray] = {}
    fitted: dict[str, SeriesModel] = {}

    def run(name: str, model: SeriesModel) -> tuple[SeriesRow, FloatArray]:
        started = time.perf_counter()
        model.fit(before)
        fit_s = time.perf_counter() - started
        started = time.perf_counter()
        found = model.forecast(before, h, LEVELS)
        return _score(name, truth, found, scale, (fit_s, time.perf_counter() - started)), found

    for entry in DEFAULT_MODELS if models is None else models:
        model = build_series_model(entry, h, season) if isinstance(entry, str) else copy.copy(entry)
        name = free_name(model.name, said)
        again += [run(name, other)[0] for other in other_seeds(model, seeds)]
        row, said[name] = run(name, model)
        rows.append(row)
        fitted[name] = model
    ordered = sorted(rows, key=lambda row: math.inf if row.mase is None else row.mase)
    left_out = panel.n_series - before.n_series
    return SeriesLeaderboard(tuple(ordered), before, truth, said, fitted, season, left_out, tuple(again))


def build_series_model(name: str, h: int, season: int) -> SeriesModel:
    """Return a new model with its default settings."""
    try:
        module, attribute = _HOMES[name.lower()].split(":")
    except KeyError:
        raise ParameterError(
            f"there is no model {name!r} for series; expected one of {', '.join(map(repr, _HOMES))}, or an "
            "object with fit and forecast"
        ) from None
    found = getattr(importlib.import_module(module), attribute)
    if attribute == "SeriesForecaster":
        return cast("SeriesModel", found(horizon=h))
    return cast("SeriesModel", found() if attribute in {"Naive", "Drift"} else found(season=season))


def _score(
    name: str, truth: FloatArray, found: FloatArray, scale: FloatArray, seconds: tuple[float, float]
) -> SeriesRow:
    median = found[..., LEVELS.index(0.5)]
    low, high = found[..., LEVELS.index(0.1)], found[..., LEVELS.index(0.9)]
    figures = {
        "mase": metrics.mase(truth, median, scale),
        "smape": metrics.smape(truth, median),
        "mae": metrics.mae(truth, median),
        "rmse": metrics.rmse(truth, median),
        "wql": metrics.wql(truth, found, LEVELS),
        "coverage_80": metrics.coverage(truth, low, high),
    }
    told = {key: value if math.isfinite(value) else None for key, value in figures.items()}
    return SeriesRow(model=name, fit_s=seconds[0], predict_s=seconds[1], **told)


def scales(panel: Panel, season: int) -> FloatArray:
    """Return each series' scale for MASE, shape (n_series, n_targets)."""
    bounds = zip(panel.offsets[:-1], panel.offsets[1:], strict=True)
    return np.stack([metrics.naive_scale(panel.values[a:b], season) for a, b in bounds])
