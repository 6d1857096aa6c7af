"""From a head's configuration to its network: what it has to learn of the log before it can be built."""

from __future__ import annotations

from collections.abc import Callable

from foretell.data.log import EventLog
from foretell.events.heads.base import HistoryNetwork, Settings
from foretell.events.heads.config import HeadConfig
from foretell.events.heads.grid import GridNetwork, bins_grid, fine_steps, hazard_grid
from foretell.events.heads.mixture import GapNetwork
from foretell.events.heads.point import PointNetwork, gap_scale
from foretell.events.history import Histories
from foretell.nn.settings import NetworkConfig
from foretell.prep.bins import Bins

Builder = Callable[[NetworkConfig, int, int], HistoryNetwork]
"""(configuration, number of features, seed) → network."""


def learned_settings(head: HeadConfig, history: Histories, log: EventLog) -> Settings:
    """Return what a head's network is built with, learned from the closed gaps of a log."""
    if head.kind == "mixture":
        return {"drop_out": head.drop_out, "censored": bool(head.censored)}
    if head.kind == "gap":
        location, width = gap_scale(head.scale, history)
        return {"scale": head.scale, "location": location, "width": width}
    if head.kind == "hazard":
        edges, knots = hazard_grid(history, log.min_gap)
    else:
        own = not isinstance(head.bins, int)
        bins = Bins(head.bins) if own else Bins.quantiles(log.gaps().lengths, int(head.bins))  # type: ignore[arg-type]
        edges, knots = bins_grid(bins, history, log.min_gap)
    settings = {
        "edges": edges.tolist(),
        "knots": knots.tolist(),
        "hazard": head.kind == "hazard",
        "censored": bool(head.censored),
    }
    if head.kind == "bins":
        fine, within = fine_steps(knots, history, censored=bool(head.censored))
        settings |= {"fine": fine.tolist(), "within": within.tolist()}
    return settings


def builder(kind: str, settings: Settings) -> Builder:
    """Return what builds networks of a head with given settings."""
    kinds: dict[str, type[HistoryNetwork]] = {"mixture": GapNetwork, "gap": PointNetwork}
    network = kinds.get(kind, GridNetwork)
    return lambda config, n_features, seed: network.from_settings(config, n_features, settings, seed)
