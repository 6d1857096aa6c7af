"""statsforecast's automatic models, one series at a time, to compare with (extra ``benchmark``)."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from foretell.core.estimator import Estimator
from foretell.data.panel import Panel
from foretell.errors import DataError, ParameterError

FloatArray = npt.NDArray[np.float64]


class _Classical(Estimator):
    """A statsforecast model of one target.

    Parameters
    ----------
    season : int
        Steps of the season.
    """

    name: str
    _class: str

    def __init__(self, season: int = 1) -> None:
        self.season = season

    def fit(self, panel: Panel) -> Self:
        """Keep the panel; each series is fitted when it is forecast."""
        self._model()
        self.panel_ = panel
        return self

    def forecast(self, panel: Panel, h: int, quantiles: Sequence[float]) -> FloatArray:
        """Return quantiles, shape (n_series, h, n_targets, n_quantiles)."""
        self._check_fitted("panel_")
        n_missing = int(np.isnan(panel.values).sum())
        if n_missing:
            raise DataError(
                f"{self.name} knows no missing values, and the panel has {n_missing:,}; "
                "fill them, or leave this model out"
            )
        levels = sorted({round(abs(200 * q - 100), 6) for q in quantiles} - {0.0})
        out = np.zeros((panel.n_series, h, len(panel.targets), len(quantiles)))
        for i, (a, b) in enumerate(zip(panel.offsets[:-1], panel.offsets[1:], strict=True)):
            for k in range(len(panel.targets)):
                found = self._model().forecast(y=panel.values[a:b, k], h=h, level=levels)
                for j, q in enumerate(quantiles):
                    out[i, :, k, j] = _quantile(found, q)
        return np.sort(out, axis=-1)

    def _model(self) -> Any:
        try:
            models = importlib.import_module("statsforecast.models")
        except ImportError as error:
            raise ParameterError(
                f"{self.name} needs statsforecast; install it with: pip install 'foretell[benchmark]'"
            ) from error
        return getattr(models, self._class)(season_length=self.season)


def _quantile(found: dict[str, Any], q: float) -> Any:
    """Return a quantile from the mean and the central intervals."""
    level = round(abs(200 * q - 100), 6)
    return found["mean"] if level == 0.0 else found[f"{'lo' if q < 0.5 else 'hi'}-{level}"]


class AutoETS(_Classical):
    """Exponential smoothing, its form chosen by AICc."""

    name, _class = "AutoETS", "AutoETS"


class AutoARIMA(_Classical):
    """Seasonal ARIMA, its orders chosen by AICc."""

    name, _class = "AutoARIMA", "AutoARIMA"


class AutoTheta(_Classical):
    """The best of the theta methods."""

    name, _class = "AutoTheta", "AutoTheta"
