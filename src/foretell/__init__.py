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
    from foretell.evaluation.leaderboard import Leaderboard, evaluate
    from foretell.events.forecaster import EventForecaster
    from foretell.nn.networks import NetworkConfig
    from foretell.nn.training import TrainConfig
    from foretell.storage import load

__all__ = [
    "EventForecaster",
    "EventLog",
    "Leaderboard",
    "NetworkConfig",
    "Panel",
    "TrainConfig",
    "__version__",
    "datasets",
    "errors",
    "evaluate",
    "load",
    "plotting",
    "read_events",
    "read_series",
]

# Name → the module that holds it; imported on first use, so that `import foretell` stays cheap.
_HOMES = {
    "EventForecaster": "foretell.events.forecaster",
    "EventLog": "foretell.data.log",
    "Leaderboard": "foretell.evaluation.leaderboard",
    "NetworkConfig": "foretell.nn.networks",
    "Panel": "foretell.data.panel",
    "TrainConfig": "foretell.nn.training",
    "datasets": "",
    "errors": "",
    "evaluate": "foretell.evaluation.leaderboard",
    "load": "foretell.storage",
    "plotting": "",
    "read_events": "foretell.data.events",
    "read_series": "foretell.data.series",
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
