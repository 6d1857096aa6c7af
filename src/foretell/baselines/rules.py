"""Rules that need no training: the last value, the value a season ago, the line through both ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import ndtri

from foretell.core.estimator import Estimator
from foretell.data.panel import Panel
from foretell.data.seasons import find_season
from foretell.data.tables import forecast_table, quantiles_for
from foretell.errors import ParameterError

FloatArray = npt.NDArray[np.float64]


class Line(NamedTuple):
    """Forecast of one series: mean and standard deviation by step, shape (h, n_targets)."""

    mean: FloatArray
    deviation: FloatArray


class Rule(Estimator):
    """What the rules share: normal quantiles about their forecast (Hyndman & Athanasopoulos, fpp3, 5.5)."""

    name: str

    def fit(self, panel: Panel) -> Self:
        """Keep the panel."""
        self.panel_ = panel
        return self

    def forecast(self, panel: Panel, h: int, quantiles: Sequence[float]) -> FloatArray:
        """Return quantiles, shape (n_series, h, n_targets, n_quantiles); NaN where nothing was observed.

        A series that is too short to tell how much it varies has quantiles without width.
        """
        self._check_fitted("panel_")
        if isinstance(h, bool) or not isinstance(h, (int, np.integer)) or h < 1:
            raise ParameterError(f"h={h!r}; expected a whole number of steps of at least 1")
        bounds = zip(panel.offsets[:-1], panel.offsets[1:], strict=True)
        lines = [self._line(panel.values[a:b], int(h)) for a, b in bounds]
        mean, deviation = (np.stack(part)[..., None] for part in zip(*lines, strict=True))
        found: FloatArray = mean + np.nan_to_num(deviation) * ndtri(np.asarray(quantiles))
        return found

    def predict(
        self, panel: Panel | None = None, *, h: int = 1, levels: Sequence[int] = (50, 80, 95)
    ) -> pl.DataFrame:
        """Return the forecasts as a table; see `SeriesForecaster.predict`."""
        self._check_fitted("panel_")
        panel = self.panel_ if panel is None else panel
        found = self.forecast(panel, h, quantiles_for(levels))
        return forecast_table(panel, found, self.name, levels)

    def _line(self, values: FloatArray, h: int) -> Line:
        raise NotImplementedError


class Naive(Rule):
    """The last observed value, for every step ahead.

    Examples
    --------
    >>> panel = Panel.from_arrays({"a": [1.0, 2.0, 4.0]})
    >>> Naive().fit(panel).predict(h=2)["naive"].to_list()
    [4.0, 4.0]
    """

    name = "naive"

    def _line(self, values: FloatArray, h: int) -> Line:
        growth = np.sqrt(np.arange(1, h + 1))[:, None]
        return Line(np.repeat(_last(values), h, axis=0), _spread(values[1:] - values[:-1]) * growth)


class SeasonalNaive(Rule):
    """The last observed value at the same place in the season.

    Parameters
    ----------
    season : int, optional
        Steps; by default found in the panel it is fitted to.

    Examples
    --------
    >>> panel = Panel.from_arrays({"a": [1.0, 2.0, 1.0, 2.0, 1.0]})
    >>> SeasonalNaive(season=2).fit(panel).predict(h=2)["seasonal naive"].to_list()
    [2.0, 1.0]
    """

    name = "seasonal naive"

    def __init__(self, season: int | None = None) -> None:
        self.season = season

    def fit(self, panel: Panel) -> Self:
        """Keep the panel, and find its season where none is given."""
        if self.season is not None and (isinstance(self.season, bool) or self.season < 1):
            raise ParameterError(f"season={self.season!r}; expected a whole number of steps of at least 1")
        self.season_ = find_season(panel) if self.season is None else int(self.season)
        return super().fit(panel)

    def _line(self, values: FloatArray, h: int) -> Line:
        season, n = self.season_, len(values)
        cycles = -(-n // season)
        padded = np.full((cycles * season, values.shape[1]), np.nan)
        padded[cycles * season - n :] = values
        folded = padded.reshape(cycles, season, -1)
        last = _last(values)
        anchor = np.broadcast_to(last, folded.shape[1:])
        for cycle in folded:
            anchor = np.where(np.isnan(cycle), anchor, cycle)
        seen = ~np.isnan(folded).all(axis=0)
        anchor = np.where(seen, anchor, last)
        steps = np.arange(h)
        deviation = (
            _spread(values[season:] - values[:-season]) if n > season else _spread(np.diff(values, axis=0))
        )
        return Line(anchor[steps % season], deviation * np.sqrt(steps // season + 1.0)[:, None])


class Drift(Rule):
    """The straight line through the first and the last observed value.

    Examples
    --------
    >>> panel = Panel.from_arrays({"a": [1.0, 2.0, 3.0]})
    >>> Drift().fit(panel).predict(h=2)["drift"].to_list()
    [4.0, 5.0]
    """

    name = "drift"

    def _line(self, values: FloatArray, h: int) -> Line:
        known = ~np.isnan(values)
        place = np.arange(len(values))[:, None]
        first = np.where(known, place, len(values)).min(axis=0)
        last = np.where(known, place, -1).max(axis=0)
        length = np.maximum(last - first, 1)
        columns = np.arange(values.shape[1])
        begin = values[np.minimum(first, len(values) - 1), columns]
        slope = np.where(last > first, (values[last, columns] - begin) / length, 0.0)
        steps = np.arange(1, h + 1)[:, None] + (len(values) - 1 - last)
        growth = np.sqrt(steps * (1.0 + steps / length))
        return Line(_last(values) + slope * steps, _spread(values[1:] - values[:-1] - slope) * growth)


def _last(values: FloatArray) -> FloatArray:
    """Return the last observed value, shape (1, n_targets)."""
    known = ~np.isnan(values)
    place = np.where(known, np.arange(len(values))[:, None], 0).max(axis=0)
    last: FloatArray = values[place, np.arange(values.shape[1])]
    return last[None]


def _spread(errors: FloatArray) -> FloatArray:
    """Return the root of the mean squared error, shape (1, n_targets); NaN without any."""
    known = ~np.isnan(errors)
    count = known.sum(axis=0)
    total = np.where(known, errors, 0.0) ** 2
    spread: FloatArray = np.where(count > 0, np.sqrt(total.sum(axis=0) / np.maximum(count, 1)), np.nan)
    return spread[None]
