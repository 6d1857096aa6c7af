"""Forecast when next (visits of customers) and what next (regular series) with recurrent networks.

The steps of the tutorial are in `foretell.prep`, statistics and rules in `foretell.baselines`, pictures in
`foretell.plotting`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from foretell._version import __version__

if TYPE_CHECKING:
    from foretell import baselines, datasets, errors, plotting, prep
    from foretell.data.aggregation import aggregate
    from foretell.data.events import read_events
    from foretell.data.log import EventLog
    from foretell.data.panel import Panel
    from foretell.data.series import read_series
    from foretell.data.sinks import write_tables
    from foretell.evaluation.backtest import BacktestConfig, backtest, evaluate
    from foretell.evaluation.search_space import Between
    from foretell.evaluation.tuning import SearchConfig, tune
    from foretell.events.forecaster import EventForecaster
    from foretell.events.heads import HeadConfig
    from foretell.events.stores import StoreConfig, StoreForecaster
    from foretell.explanations import anomalies, explain
    from foretell.forecasters import load
    from foretell.nn.settings import NetworkConfig, TrainConfig
    from foretell.report import write_report
    from foretell.series.forecaster import SeriesForecaster
    from foretell.series.windows import WindowConfig

__all__ = [
    "BacktestConfig",
    "Between",
    "EventForecaster",
    "EventLog",
    "HeadConfig",
    "NetworkConfig",
    "Panel",
    "SearchConfig",
    "SeriesForecaster",
    "StoreConfig",
    "StoreForecaster",
    "TrainConfig",
    "WindowConfig",
    "__version__",
    "aggregate",
    "anomalies",
    "backtest",
    "baselines",
    "datasets",
    "errors",
    "evaluate",
    "explain",
    "load",
    "plotting",
    "prep",
    "read_events",
    "read_series",
    "tune",
    "write_report",
    "write_tables",
]

# Where each name lives; imported on first use, so that `import foretell` stays cheap (PEP 562).
_ROOMS = {
    "foretell": ("baselines", "datasets", "errors", "plotting", "prep"),
    "foretell.data.aggregation": ("aggregate",),
    "foretell.data.events": ("read_events",),
    "foretell.data.log": ("EventLog",),
    "foretell.data.panel": ("Panel",),
    "foretell.data.series": ("read_series",),
    "foretell.data.sinks": ("write_tables",),
    "foretell.evaluation.backtest": ("BacktestConfig", "backtest", "evaluate"),
    "foretell.evaluation.search_space": ("Between",),
    "foretell.evaluation.tuning": ("SearchConfig", "tune"),
    "foretell.events.forecaster": ("EventForecaster",),
    "foretell.events.heads": ("HeadConfig",),
    "foretell.events.stores": ("StoreConfig", "StoreForecaster"),
    "foretell.explanations": ("anomalies", "explain"),
    "foretell.nn.settings": ("NetworkConfig", "TrainConfig"),
    "foretell.report": ("write_report",),
    "foretell.series.forecaster": ("SeriesForecaster",),
    "foretell.series.windows": ("WindowConfig",),
    "foretell.forecasters": ("load",),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'foretell' has no attribute {name!r}")
    if _HOMES[name] == "foretell":
        value: Any = importlib.import_module(f"foretell.{name}")
    else:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
