"""Folds of a panel: every series known by the cut-off is forecast step by step and scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.data.panel import Panel, flat_ranges, to_offsets
from foretell.data.seasons import find_season
from foretell.errors import ParameterError
from foretell.evaluation.folds import ascending, free_name, fresh, origins_back
from foretell.evaluation.series_leaderboard import DEFAULT_MODELS, LEVELS, build_series_model, scales

FloatArray = npt.NDArray[np.float64]


def quantile_column(level: float) -> str:
    """Return the table's column of a quantile; the outer and the middle ones have names of their own."""
    return {0.1: "forecast-lo-80", 0.5: "forecast", 0.9: "forecast-hi-80"}.get(level, f"q{level:g}")


def _pinball(level: float) -> pl.Expr:
    error = pl.col("y") - pl.col(quantile_column(level))
    return pl.max_horizontal(level * error, (level - 1.0) * error)


class SeriesFolds:
    """See `foretell.evaluation.folds.Folds`."""

    unit = "step"
    order = "mase"
    root = False
    loss = (pl.col("forecast") - pl.col("y")).abs() / pl.col("scale")
    figures: ClassVar[dict[str, pl.Expr]] = {
        "n": pl.col("y").count(),
        "mase": ((pl.col("forecast") - pl.col("y")).abs() / pl.col("scale")).mean(),
        "mae": (pl.col("forecast") - pl.col("y")).abs().mean(),
        "rmse": ((pl.col("forecast") - pl.col("y")) ** 2).mean().sqrt(),
        "bias_pct": 100 * ((pl.col("forecast") - pl.col("y")).sum() / pl.col("y").abs().sum()),
        "crps": 2 * pl.mean_horizontal([_pinball(level) for level in LEVELS]).mean(),
        "coverage_80": pl.col("y").is_between("forecast-lo-80", "forecast-hi-80").mean(),
    }

    def __init__(
        self,
        panel: Panel,
        horizon: int,
        cutoffs: Sequence[Any] | None,
        n_folds: int,
        step: int | None,
        season: int | None = None,
    ) -> None:
        if isinstance(horizon, bool) or not isinstance(horizon, (int, np.integer)) or horizon < 1:
            raise ParameterError(f"horizon={horizon!r}; expected a whole number of steps for series")
        self.panel, self.horizon = panel, int(horizon)
        last = int(panel.ends.max()) - self.horizon
        if cutoffs is None:
            apart = self.horizon if step is None else step
            self.origins = origins_back(last, int(panel.starts.min()) + 1, n_folds, apart, "steps")
        else:
            self.origins = ascending([panel.grid.last_until(one) for one in cutoffs], cutoffs)
        if self.origins[-1] > last:
            latest = panel.time_of(last)[0]
            raise ParameterError(
                f"the last cut-off, {panel.time_of(self.origins[-1])[0]}, leaves less than the horizon of "
                f"{horizon} steps after it; choose cut-offs up to {latest}, or a shorter horizon"
            )
        first = panel.up_to(self.origins[0])
        self.season = find_season(first) if season is None else season
        self.units: tuple[str, ...] = ("unique_id", "target") if len(panel.targets) > 1 else ("unique_id",)

    def label(self, fold: int) -> Any:
        """Return the time of a cut-off."""
        return self.panel.time_of([self.origins[fold]])[0]

    def models(self, named: Sequence[Any] | None) -> dict[str, Any]:
        """Return the models by free names."""
        chosen: dict[str, Any] = {}
        for entry in DEFAULT_MODELS if named is None else named:
            built = isinstance(entry, str)
            model = build_series_model(entry, self.horizon, self.season) if built else fresh(entry)
            chosen[free_name(model.name, chosen)] = model
        return chosen

    def training(self, fold: int, *, sliding: bool) -> Panel:
        """Return the panel at the cut-off; sliding, as many steps as the first fold has."""
        seen = self.panel.up_to(self.origins[fold])
        if not sliding:
            return seen
        window = self.origins[0] + 1 - int(self.panel.starts.min())
        return last_steps(seen, self.origins[fold] + 1 - window)

    def answers(self, fold: int, name: str, model: Any) -> pl.DataFrame:
        """Return one row per series, target and step after the cut-off.

        Series that were last observed more than a horizon before the cut-off are not forecast.
        """
        origin, h = self.origins[fold], self.horizon
        seen = self.panel.up_to(origin)
        seen = seen.take(origin - seen.ends < h) if (origin - seen.ends < h).any() else seen
        lag = np.minimum(origin - seen.ends, h - 1)
        found = np.asarray(model.forecast(seen, h + int(lag.max()), LEVELS))
        steps = lag[:, None] + np.arange(h)
        found = np.take_along_axis(found, steps[:, :, None, None], axis=1)
        truth, scale = self._truth(seen, origin), scales(seen, self.season)
        n = seen.n_series
        times = self.panel.time_of(np.tile(np.arange(origin + 1, origin + 1 + h), n))
        parts = []
        for k, target in enumerate(self.panel.targets):
            columns: dict[str, Any] = {
                "cutoff": pl.repeat(self.label(fold), n * h, eager=True),
                "unique_id": seen.ids.gather(np.repeat(np.arange(n), h)),
                "ds": times,
            }
            if len(self.panel.targets) > 1:
                columns["target"] = pl.repeat(target, n * h, eager=True)
            columns["model"] = pl.repeat(name, n * h, dtype=pl.String, eager=True)
            columns["y"] = pl.Series(truth[:, :, k].ravel()).fill_nan(None)
            for j, level in enumerate(LEVELS):
                columns[quantile_column(level)] = pl.Series(found[:, :, k, j].ravel()).fill_nan(None)
            columns["scale"] = pl.Series(np.repeat(scale[:, k], h)).fill_nan(None)
            parts.append(pl.DataFrame(columns))
        return pl.concat(parts)

    def _truth(self, seen: Panel, origin: int) -> FloatArray:
        """Return what came, shape (n_series, h, n_targets); NaN where nothing was observed."""
        panel = self.panel
        place = np.asarray(panel.ids.search_sorted(seen.ids).to_numpy())
        steps = np.arange(origin + 1, origin + 1 + self.horizon)
        inside = steps <= panel.ends[place][:, None]
        rows = panel.offsets[place][:, None] + steps - panel.starts[place][:, None]
        values = panel.values[np.where(inside, rows, 0)]
        truth: FloatArray = np.where(inside[..., None], values, np.nan)
        return truth


def last_steps(panel: Panel, first: int) -> Panel:
    """Return each series from a step of the grid on; those that end before it keep their last step."""
    starts = np.minimum(np.maximum(panel.starts, first), panel.ends)
    lengths = panel.ends - starts + 1
    rows = flat_ranges(panel.offsets[1:] - lengths, lengths)
    return dataclasses.replace(
        panel,
        offsets=to_offsets(lengths),
        starts=starts,
        values=panel.values[rows],
        past=panel.past.take(rows),
        future=panel.future.take(rows),
    )
