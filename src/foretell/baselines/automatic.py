"""statsforecast's automatic models, one series at a time (extra ``benchmark``)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from foretell.baselines.statistic import SeriesStatistic
from foretell.core import FloatArray
from foretell.core.constraints import Constraint, Maybe, Whole
from foretell.data.panel import Panel
from foretell.data.seasons import find_season
from foretell.errors import DataError, MissingDependencyError


class _Automatic(SeriesStatistic):
    """A statsforecast model of each target of each series, which it fits whenever it forecasts.

    Parameters
    ----------
    season : int, optional
        Steps; by default found in the panel it is fitted to.
    horizon : int
        Steps ahead that `predict` forecasts by default.
    """

    _constraints: ClassVar[Mapping[str, Constraint]] = {
        "horizon": Whole(1, of="steps"),
        "season": Maybe(Whole(1, of="steps")),
    }

    def __init__(self, season: int | None = None, *, horizon: int = 1) -> None:
        super().__init__(horizon)
        self.season = season

    def _learn(self, panel: Panel) -> None:
        self.season_ = find_season(panel) if self.season is None else int(self.season)
        self._model()

    def _quantiles(self, panel: Panel, h: int, quantiles: Sequence[float]) -> FloatArray:
        n_missing = int(np.isnan(panel.values).sum())
        if n_missing:
            raise DataError(
                f"{self.name} knows no missing values, and the panel has {n_missing:,}; "
                "fill them, or leave this model out"
            )
        levels = sorted({_level(q) for q in quantiles} - {0.0})
        out = np.zeros((panel.n_series, h, len(panel.targets), len(quantiles)))
        for i, (a, b) in enumerate(zip(panel.offsets[:-1], panel.offsets[1:], strict=True)):
            for k in range(len(panel.targets)):
                forecast = self._model().forecast(y=panel.values[a:b, k], h=h, level=levels)
                for j, q in enumerate(quantiles):
                    out[i, :, k, j] = _quantile(forecast, q)
        return np.sort(out, axis=-1)

    def _model(self) -> Any:
        try:
            models = importlib.import_module("statsforecast.models")
        except ImportError as error:
            raise MissingDependencyError(
                f"{self.name} needs statsforecast; install it with: pip install 'foretell[benchmark]'"
            ) from error
        return getattr(models, self.name)(season_length=self.season_)


def _level(q: float) -> float:
    """Return the central interval, in percent, that ends at a quantile."""
    return round(abs(200 * q - 100), 6)


def _quantile(forecast: Mapping[str, FloatArray], q: float) -> FloatArray:
    """Return a quantile from the mean and the central intervals."""
    level = _level(q)
    return forecast["mean"] if level == 0.0 else forecast[f"{'lo' if q < 0.5 else 'hi'}-{level}"]


class AutoETS(_Automatic):
    """Exponential smoothing, its form chosen by AICc.

    Parameters
    ----------
    season : int, optional
        Steps; by default found in the panel it is fitted to.
    horizon : int
        Steps ahead that `predict` forecasts by default.
    """

    name: ClassVar[str] = "AutoETS"
    shell_name: ClassVar[str] = "autoets"
    saved_as: ClassVar[str] = "autoets"


class AutoARIMA(_Automatic):
    """Seasonal ARIMA, its orders chosen by AICc.

    Parameters
    ----------
    season : int, optional
        Steps; by default found in the panel it is fitted to.
    horizon : int
        Steps ahead that `predict` forecasts by default.
    """

    name: ClassVar[str] = "AutoARIMA"
    shell_name: ClassVar[str] = "autoarima"
    saved_as: ClassVar[str] = "autoarima"


class AutoTheta(_Automatic):
    """The best of the theta methods.

    Parameters
    ----------
    season : int, optional
        Steps; by default found in the panel it is fitted to.
    horizon : int
        Steps ahead that `predict` forecasts by default.
    """

    name: ClassVar[str] = "AutoTheta"
    shell_name: ClassVar[str] = "autotheta"
    saved_as: ClassVar[str] = "autotheta"
