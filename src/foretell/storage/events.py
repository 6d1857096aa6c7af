"""A forecaster of events, or of the stores' customers, as JSON and plain arrays, and back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl

from foretell.data.log import EventLog
from foretell.data.state import log_of_parts, log_parts
from foretell.events.auto import EventChoice
from foretell.events.clock import OperationalClock
from foretell.events.forecaster import EventForecaster
from foretell.events.heads.base import HistoryNetwork
from foretell.events.heads.config import HeadConfig, as_head
from foretell.events.heads.networks import builder
from foretell.events.history import FeatureScale
from foretell.events.states import GapModel, States
from foretell.events.stores.forecaster import StoreForecaster
from foretell.events.stores.network import StoreNetwork
from foretell.events.stores.plan import StoreConfig
from foretell.events.stores.similarity import Similarity
from foretell.nn.settings import NetworkConfig, TrainConfig
from foretell.storage.files import Contents

_IDS, _GROUPS, _STORES = "ids.parquet", "groups.parquet", "stores.parquet"
# Parameters that are written in a way of their own.
_APART = ("network", "training", "head", "stores")


def write_events(model: EventForecaster, place: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what JSON describes and the arrays; ids, groups and stores are written to the directory."""
    log, fitted, states = model.log_, model.model_, model.states_
    head = as_head(model.head)
    log_described, arrays = log_parts(log)
    described: dict[str, Any] = {
        "params": {name: value for name, value in model.get_params().items() if name not in _APART},
        "head": {
            "config": _plain(dataclasses.asdict(head)),
            "by_name": isinstance(model.head, str),
            "kind": fitted.network.kind,
            "settings": _plain(_shared(fitted).settings_by_name()),
        },
        "network": dataclasses.asdict(fitted.network.config),
        "training": dataclasses.asdict(model.training) if model.training else None,
        "members": len(fitted.members),
        "n_features": _shared(fitted).n_features,
        "weights": [variable.path for variable in fitted.network.network.variables],
        "clock": dataclasses.asdict(fitted.clock),
        "auto": model.auto_.describe() if model.auto_ else None,
        "log": log_described,
    }
    if isinstance(model, StoreForecaster):
        model.stores_.write_parquet(place / _STORES)
        described["stores"] = dataclasses.asdict(model.stores) if model.stores else None
    arrays |= {
        "new_marks": fitted.new_marks,
        "states.packed": np.asarray(states.packed),
        "residuals": fitted.residuals,
    }
    if log.group_names is not None:
        pl.DataFrame({"group": log.group_names}).write_parquet(place / _GROUPS)
    for field in dataclasses.fields(fitted.scale):
        arrays[f"scale.{field.name}"] = getattr(fitted.scale, field.name)
    for m, weights in enumerate(fitted.members):
        arrays |= {f"member{m}.{i}": weight for i, weight in enumerate(weights)}
    arrays |= {f"memory.{i}": np.asarray(part) for i, part in enumerate(states.memory)}
    arrays |= {f"states.{name}": np.asarray(getattr(states, name)) for name in states._fields[2:]}
    pl.DataFrame({"unique_id": log.ids}).write_parquet(place / _IDS)
    return described, arrays


def read_event_model(described: dict[str, Any], arrays: dict[str, Any], place: Contents) -> EventForecaster:
    """Return the forecaster that `write_events` described."""
    clock = described["clock"]
    # Models of the first versions have the mixture, and say nothing of it.
    head = described.get("head") or {
        "kind": "mixture", "settings": {"drop_out": described["params"]["drop_out"]}, "by_name": True,
    }  # fmt: skip
    build = builder(head["kind"], _endless(head["settings"]))
    network = build(NetworkConfig(**described["network"]), described["n_features"], 0)
    n_weights, n_members = len(described["weights"]), described["members"]
    if "stores" in described:
        network = cast("HistoryNetwork", StoreNetwork(network))
    fitted = GapModel(
        network=network,
        members=tuple([arrays[f"member{m}.{i}"] for i in range(n_weights)] for m in range(n_members)),
        clock=OperationalClock(clock["unit"], tuple(clock["cycle"]), tuple(clock["year"])),
        scale=FeatureScale(*[arrays[f"scale.{field.name}"] for field in dataclasses.fields(FeatureScale)]),
        new_marks=arrays["new_marks"],
        residuals=arrays.get("residuals", np.zeros(0)),
    )
    n_memory = sum(name.startswith("memory.") for name in arrays)
    states = States(
        tuple(arrays[f"memory.{i}"] for i in range(n_memory)),
        arrays["states.packed"],
        *[arrays[f"states.{name}"] for name in States._fields[2:]],
    )
    shared = described["params"] | {
        "network": NetworkConfig(**described["network"]),
        "training": TrainConfig(**described["training"]) if described["training"] else None,
    }
    model: EventForecaster
    if "stores" in described:
        model = _read_stores(described["stores"], shared, place)
    else:
        by_name = head["kind"] if head["by_name"] else HeadConfig(**_endless(head["config"]))
        model = EventForecaster(**shared, head=by_name)
    model.model_, model.log_, model.states_ = fitted, _log(described["log"], arrays, place), states
    if described.get("auto"):
        model.auto_ = EventChoice.from_description(described["auto"])
    return model


def _log(kept: dict[str, Any], arrays: dict[str, Any], place: Contents) -> EventLog:
    ids = pl.read_parquet(place / _IDS)["unique_id"]
    has_groups = "log.groups" in arrays
    return log_of_parts(kept, arrays, ids, pl.read_parquet(place / _GROUPS)["group"] if has_groups else None)


def _shared(fitted: GapModel) -> HistoryNetwork:
    """Return the network that all stores' models are builds of, or the only one."""
    network: Any = fitted.network
    return network.inner if isinstance(network, StoreNetwork) else network


def _read_stores(kept: dict[str, Any] | None, params: dict[str, Any], place: Contents) -> StoreForecaster:
    config = None
    if kept is not None:
        apart = {"similarity": Similarity(**kept["similarity"]), "training": TrainConfig(**kept["training"])}
        config = StoreConfig(**kept | apart)
    model = StoreForecaster(**params, stores=config)
    model.stores_ = pl.read_parquet(place / _STORES)
    return model


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings as JSON can hold them: it has no infinite numbers."""
    return {
        name: [None if edge == float("inf") else edge for edge in value]
        if isinstance(value, tuple)
        else value
        for name, value in settings.items()
    }


def _endless(settings: dict[str, Any]) -> dict[str, Any]:
    """Undo `_plain`."""
    return {
        name: tuple(float("inf") if edge is None else edge for edge in value)
        if isinstance(value, list)
        else value
        for name, value in settings.items()
    }
