"""Forecast when next (visits of customers) and what next (regular series) with recurrent networks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from foretell._version import __version__

if TYPE_CHECKING:
    from foretell import datasets, errors, plotting
    from foretell.data.bins import Bins, from_one_hot, one_hot
    from foretell.data.events import read_events
    from foretell.data.gaps import day_gaps, make_windows
    from foretell.data.log import EventLog
    from foretell.data.outliers import remove_outliers
    from foretell.data.panel import Panel
    from foretell.data.scalers import MinMaxScaler, RelativeScaler, RobustScaler, StandardScaler
    from foretell.data.series import read_series
    from foretell.data.splits import split_by_time, split_random
    from foretell.evaluation.backtest import Backtest, backtest
    from foretell.evaluation.comparison import evaluate
    from foretell.evaluation.leaderboard import Leaderboard
    from foretell.evaluation.series_leaderboard import SeriesLeaderboard
    from foretell.events.forecaster import EventForecaster
    from foretell.events.heads import HeadConfig
    from foretell.events.similarity import Similarity
    from foretell.events.store_plan import StoreConfig
    from foretell.events.stores import StoreForecaster
    from foretell.insight import anomalies, explain
    from foretell.nn.networks import NetworkConfig
    from foretell.nn.training import TrainConfig
    from foretell.report import write_report
    from foretell.search_space import Between
    from foretell.series.baselines import Drift, Naive, SeasonalNaive
    from foretell.series.classical import AutoARIMA, AutoETS, AutoTheta
    from foretell.series.forecaster import SeriesForecaster
    from foretell.series.windows import WindowConfig
    from foretell.storage import load, load_keras
    from foretell.tuning import SearchConfig, SearchResult, tune

__all__ = [
    "AutoARIMA",
    "AutoETS",
    "AutoTheta",
    "Backtest",
    "Between",
    "Bins",
    "Drift",
    "EventForecaster",
    "EventLog",
    "HeadConfig",
    "Leaderboard",
    "MinMaxScaler",
    "Naive",
    "NetworkConfig",
    "Panel",
    "RelativeScaler",
    "RobustScaler",
    "SearchConfig",
    "SearchResult",
    "SeasonalNaive",
    "SeriesForecaster",
    "SeriesLeaderboard",
    "Similarity",
    "StandardScaler",
    "StoreConfig",
    "StoreForecaster",
    "TrainConfig",
    "WindowConfig",
    "__version__",
    "anomalies",
    "backtest",
    "datasets",
    "day_gaps",
    "errors",
    "evaluate",
    "explain",
    "from_one_hot",
    "load",
    "load_keras",
    "make_windows",
    "one_hot",
    "plotting",
    "read_events",
    "read_series",
    "remove_outliers",
    "split_by_time",
    "split_random",
    "tune",
    "write_report",
]

# Name → the module that holds it; imported on first use, so that `import foretell` stays cheap.
_HOMES = {
    "AutoARIMA": "foretell.series.classical",
    "AutoETS": "foretell.series.classical",
    "AutoTheta": "foretell.series.classical",
    "Backtest": "foretell.evaluation.backtest",
    "Between": "foretell.search_space",
    "Bins": "foretell.data.bins",
    "Drift": "foretell.series.baselines",
    "EventForecaster": "foretell.events.forecaster",
    "EventLog": "foretell.data.log",
    "HeadConfig": "foretell.events.heads",
    "Leaderboard": "foretell.evaluation.leaderboard",
    "MinMaxScaler": "foretell.data.scalers",
    "Naive": "foretell.series.baselines",
    "NetworkConfig": "foretell.nn.networks",
    "Panel": "foretell.data.panel",
    "RelativeScaler": "foretell.data.scalers",
    "RobustScaler": "foretell.data.scalers",
    "SearchConfig": "foretell.tuning",
    "SearchResult": "foretell.tuning",
    "SeasonalNaive": "foretell.series.baselines",
    "SeriesForecaster": "foretell.series.forecaster",
    "SeriesLeaderboard": "foretell.evaluation.series_leaderboard",
    "Similarity": "foretell.events.similarity",
    "StandardScaler": "foretell.data.scalers",
    "StoreConfig": "foretell.events.store_plan",
    "StoreForecaster": "foretell.events.stores",
    "TrainConfig": "foretell.nn.training",
    "WindowConfig": "foretell.series.windows",
    "backtest": "foretell.evaluation.backtest",
    "anomalies": "foretell.insight",
    "datasets": "",
    "day_gaps": "foretell.data.gaps",
    "errors": "",
    "evaluate": "foretell.evaluation.comparison",
    "explain": "foretell.insight",
    "from_one_hot": "foretell.data.bins",
    "load": "foretell.storage",
    "load_keras": "foretell.storage",
    "make_windows": "foretell.data.gaps",
    "one_hot": "foretell.data.bins",
    "plotting": "",
    "read_events": "foretell.data.events",
    "read_series": "foretell.data.series",
    "remove_outliers": "foretell.data.outliers",
    "split_by_time": "foretell.data.splits",
    "split_random": "foretell.data.splits",
    "tune": "foretell.tuning",
    "write_report": "foretell.report",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'foretell' has no attribute {name!r}")
    home = _HOMES[name]
    value = (
        getattr(importlib.import_module(home), name) if home else importlib.import_module(f"foretell.{name}")
    )
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
