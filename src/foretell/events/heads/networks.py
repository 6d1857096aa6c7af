"""The networks of all heads by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from foretell.events.heads.base import HistoryNetwork
from foretell.events.heads.grid import GridNetwork
from foretell.events.heads.mixture import GapNetwork
from foretell.events.heads.point import PointNetwork

NETWORKS: Final[Mapping[str, type[HistoryNetwork]]] = {
    "mixture": GapNetwork,
    "bins": GridNetwork,
    "gap": PointNetwork,
    "hazard": GridNetwork,
}
"""The network of each head."""
