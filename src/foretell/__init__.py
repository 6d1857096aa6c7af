"""Forecast when next (visits of customers) and what next (regular series) with recurrent networks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from foretell._version import __version__

if TYPE_CHECKING:
    from foretell import datasets, errors, plotting
    from foretell.baselines.automatic import AutoARIMA, AutoETS, AutoTheta
    from foretell.baselines.rules import Drift, Naive, SeasonalNaive
    from foretell.data.events import read_events
    from foretell.data.log import EventLog
    from foretell.data.panel import Panel
    from foretell.data.series import read_series
    from foretell.evaluation.backtest import Backtest, backtest
    from foretell.evaluation.comparison import evaluate
    from foretell.evaluation.leaderboard import Leaderboard
    from foretell.evaluation.search_space import Between
    from foretell.evaluation.series_leaderboard import SeriesLeaderboard
    from foretell.evaluation.tuning import SearchConfig, SearchResult, tune
    from foretell.events.forecaster import EventForecaster
    from foretell.events.heads.config import HeadConfig
    from foretell.events.stores.forecaster import StoreForecaster
    from foretell.events.stores.plan import StoreConfig
    from foretell.events.stores.similarity import Similarity
    from foretell.explanations.verbs import anomalies, explain
    from foretell.nn.networks import NetworkConfig
    from foretell.nn.training import TrainConfig
    from foretell.prep.bins import Bins, from_one_hot, one_hot
    from foretell.prep.gaps import day_gaps, make_windows
    from foretell.prep.outliers import remove_outliers
    from foretell.prep.scalers import MinMaxScaler, RelativeScaler, RobustScaler, StandardScaler
    from foretell.prep.splits import split_by_time, split_random
    from foretell.report.page import write_report
    from foretell.series.forecaster import SeriesForecaster
    from foretell.series.windows import WindowConfig
    from foretell.storage.directory import load, load_keras

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
    "AutoARIMA": "foretell.baselines.automatic",
    "AutoETS": "foretell.baselines.automatic",
    "AutoTheta": "foretell.baselines.automatic",
    "Backtest": "foretell.evaluation.backtest",
    "Between": "foretell.evaluation.search_space",
    "Bins": "foretell.prep.bins",
    "Drift": "foretell.baselines.rules",
    "EventForecaster": "foretell.events.forecaster",
    "EventLog": "foretell.data.log",
    "HeadConfig": "foretell.events.heads.config",
    "Leaderboard": "foretell.evaluation.leaderboard",
    "MinMaxScaler": "foretell.prep.scalers",
    "Naive": "foretell.baselines.rules",
    "NetworkConfig": "foretell.nn.networks",
    "Panel": "foretell.data.panel",
    "RelativeScaler": "foretell.prep.scalers",
    "RobustScaler": "foretell.prep.scalers",
    "SearchConfig": "foretell.evaluation.tuning",
    "SearchResult": "foretell.evaluation.tuning",
    "SeasonalNaive": "foretell.baselines.rules",
    "SeriesForecaster": "foretell.series.forecaster",
    "SeriesLeaderboard": "foretell.evaluation.series_leaderboard",
    "Similarity": "foretell.events.stores.similarity",
    "StandardScaler": "foretell.prep.scalers",
    "StoreConfig": "foretell.events.stores.plan",
    "StoreForecaster": "foretell.events.stores.forecaster",
    "TrainConfig": "foretell.nn.training",
    "WindowConfig": "foretell.series.windows",
    "backtest": "foretell.evaluation.backtest",
    "anomalies": "foretell.explanations.verbs",
    "datasets": "",
    "day_gaps": "foretell.prep.gaps",
    "errors": "",
    "evaluate": "foretell.evaluation.comparison",
    "explain": "foretell.explanations.verbs",
    "from_one_hot": "foretell.prep.bins",
    "load": "foretell.storage.directory",
    "load_keras": "foretell.storage.directory",
    "make_windows": "foretell.prep.gaps",
    "one_hot": "foretell.prep.bins",
    "plotting": "",
    "read_events": "foretell.data.events",
    "read_series": "foretell.data.series",
    "remove_outliers": "foretell.prep.outliers",
    "split_by_time": "foretell.prep.splits",
    "split_random": "foretell.prep.splits",
    "tune": "foretell.evaluation.tuning",
    "write_report": "foretell.report.page",
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
