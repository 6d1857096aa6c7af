"""Forecast when next (visits of customers) and what next (regular series) with recurrent networks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from foretell._version import __version__

if TYPE_CHECKING:
    from foretell import datasets, errors, plotting
    from foretell.data.events import read_events
    from foretell.data.log import EventLog
    from foretell.data.panel import Panel
    from foretell.data.series import read_series
    from foretell.evaluation.comparison import evaluate
    from foretell.evaluation.leaderboard import Leaderboard
    from foretell.evaluation.series_leaderboard import SeriesLeaderboard
    from foretell.events.forecaster import EventForecaster
    from foretell.insight import anomalies, explain
    from foretell.nn.networks import NetworkConfig
    from foretell.nn.training import TrainConfig
    from foretell.search_space import Between
    from foretell.series.baselines import Drift, Naive, SeasonalNaive
    from foretell.series.classical import AutoARIMA, AutoETS, AutoTheta
    from foretell.series.forecaster import SeriesForecaster
    from foretell.series.windows import WindowConfig
    from foretell.report import write_report
    from foretell.storage import load
    from foretell.tuning import SearchConfig, SearchResult, tune

__all__ = [
    "AutoARIMA",
    "AutoETS",
    "AutoTheta",
    "Between",
    "Drift",
    "EventForecaster",
    "EventLog",
    "Leaderboard",
    "Naive",
    "NetworkConfig",
    "Panel",
    "SearchConfig",
    "SearchResult",
    "SeasonalNaive",
    "SeriesForecaster",
    "SeriesLeaderboard",
    "TrainConfig",
    "WindowConfig",
    "__version__",
    "anomalies",
    "datasets",
    "errors",
    "evaluate",
    "explain",
    "load",
    "plotting",
    "read_events",
    "read_series",
    "tune",
    "write_report",
]

# Name → the module that holds it; imported on first use, so that `import foretell` stays cheap.
_HOMES = {
    "AutoARIMA": "foretell.series.classical",
    "AutoETS": "foretell.series.classical",
    "AutoTheta": "foretell.series.classical",
    "Between": "foretell.search_space",
    "Drift": "foretell.series.baselines",
    "EventForecaster": "foretell.events.forecaster",
    "EventLog": "foretell.data.log",
    "Leaderboard": "foretell.evaluation.leaderboard",
    "Naive": "foretell.series.baselines",
    "NetworkConfig": "foretell.nn.networks",
    "Panel": "foretell.data.panel",
    "SearchConfig": "foretell.tuning",
    "SearchResult": "foretell.tuning",
    "SeasonalNaive": "foretell.series.baselines",
    "SeriesForecaster": "foretell.series.forecaster",
    "SeriesLeaderboard": "foretell.evaluation.series_leaderboard",
    "TrainConfig": "foretell.nn.training",
    "WindowConfig": "foretell.series.windows",
    "anomalies": "foretell.insight",
    "datasets": "",
    "errors": "",
    "evaluate": "foretell.evaluation.comparison",
    "explain": "foretell.insight",
    "load": "foretell.storage",
    "plotting": "",
    "read_events": "foretell.data.events",
    "read_series": "foretell.data.series",
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
