"""Folds of a panel: every series known by the cut-off is forecast step by step and scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core import FloatArray
from foretell.core.constraints import check_whole
from foretell.core.ragged import flat_ranges
from foretell.data.holdout import ascending, origins_back
from foretell.data.panel import Panel
from foretell.data.periodicity import find_season
from foretell.errors import ParameterError
from foretell.stats.metrics import naive_scale

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
        return check_whole("horizon", horizon, of="steps")
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
