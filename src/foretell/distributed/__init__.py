"""Beyond one machine: customers in partitions, which workers of Ray score, update and test side by side."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foretell.distributed.cluster import Cluster
    from foretell.distributed.evaluation import backtest
    from foretell.distributed.partitions import Partitions, partition
    from foretell.distributed.scoring import Scored, predict, update

__all__ = ["Cluster", "Partitions", "Scored", "backtest", "partition", "predict", "update"]

# Imported on first use: a worker that scores by a statistic needs no engine.
_ROOMS = {
    "evaluation": ("backtest",),
    "cluster": ("Cluster",),
    "partitions": ("Partitions", "partition"),
    "scoring": ("Scored", "predict", "update"),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'foretell.distributed' has no attribute {name!r}")
    return getattr(importlib.import_module(f"foretell.distributed.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
