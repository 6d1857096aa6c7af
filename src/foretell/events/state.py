"""A forecaster of events, or of the stores' customers, as plain values, and back."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core.contracts import Described, State
from foretell.data.log import EventLog
from foretell.data.state import CUSTOMERS, log_from_state, log_state, refuse, with_data
from foretell.errors import DataError
from foretell.events.clock import OperationalClock
from foretell.events.heads import KINDS, SCALES, HeadConfig, as_head
from foretell.events.heads.base import Settings
from foretell.events.heads.networks import NETWORKS
from foretell.events.history import N_PACE, FeatureScale
from foretell.events.horizon.days import DayClock
from foretell.events.horizon.effects import WIDTH, Effects
from foretell.events.states import GapModel, States
from foretell.events.store_networks import StoreNetwork
from foretell.nn.settings import NetworkConfig, TrainConfig
from foretell.nn.state import member_arrays, members_of_arrays, network_of_state, network_state

if TYPE_CHECKING:
    from foretell.events.auto import EventChoice
    from foretell.events.customers import CustomerForecaster

# Parameters that are written in a way of their own.
_APART = ("network", "training", "head", "stores")
# No clock runs so much faster than at its mean, and no number of a model is so large.
_FASTEST, _LARGEST = 1e4, 1e30


def forecaster_state(model: CustomerForecaster, read_as: Described) -> State:
    """Return what a forecaster has learned, and its log, if it has one, with the state of every customer."""
    fitted, head = model.model_, as_head(model.head)
    described = {
        "params": {name: value for name, value in model.get_params().items() if name not in _APART},
        "head": {
            "config": dataclasses.asdict(head),
            "by_name": isinstance(model.head, str),
            "kind": fitted.network.kind,
            "settings": fitted.network.settings_by_name(),
        },
        "network": dataclasses.asdict(fitted.network.config),
        "network_given": network_state(model.network, fitted.network.config),
        "training": dataclasses.asdict(model.training) if model.training else None,
        "members": len(fitted.members),
        "n_features": fitted.network.n_features,
        "weights": [variable.path for variable in fitted.network.variables],
        "clock": {**vars(fitted.clock), "days": fitted.clock.days and fitted.clock.days.describe()},
        "known": fitted.known and fitted.known.describe(),
        "auto": model.auto_.describe() if model.auto_ else None,
        "read_as": read_as,
    }
    arrays = member_arrays(fitted.members) | {"new_marks": fitted.new_marks, "residuals": fitted.residuals}
    arrays |= {f"scale.{name}": part for name, part in vars(fitted.scale).items()}
    arrays |= model.auto_.arrays() if model.auto_ else {}
    has_log = "log_" in vars(model)
    return State(
        described, arrays, data=_with_states(log_state(model.log_), model.states_) if has_log else None
    )


def _with_states(log: State, states: States) -> State:
    """Return the state of a log with where each customer stands beside its visits."""
    columns = {"count": pl.Series(states.count), "age": pl.Series(states.age)}
    wide = {"mean_marks": states.mean_marks, "packed": _by_customer(states.packed)}
    wide |= {f"memory-{i}": _by_customer(part) for i, part in enumerate(states.memory)}
    columns |= {name: pl.Series(values) for name, values in wide.items() if values.shape[1]}
    # Not by an expression: a forked process has no threads of polars that would work it out.
    customers = log.tables[CUSTOMERS].hstack([values.alias(name) for name, values in columns.items()])
    return dataclasses.replace(log, tables={**log.tables, CUSTOMERS: customers})


def _by_customer(values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return numbers of members, customers and places as one row per customer."""
    by_member = np.asarray(values, dtype=np.float32)
    return np.ascontiguousarray(np.moveaxis(by_member, 0, 1)).reshape(by_member.shape[1], -1)


def choice_of(state: State) -> EventChoice | None:
    """Return what an inner backtest chose, if there was one."""
    described = state.described["auto"]
    if not described:
        return None
    from foretell.events.auto import EventChoice  # noqa: PLC0415  # a network alone needs no other models

    return EventChoice.from_description(described, state.arrays, state.described["read_as"]["unit"])


def log_and_states(state: State, data: State, model: GapModel) -> tuple[EventLog, States]:
    """Return the log of a forecaster's data, and where its customers stand."""
    log = log_from_state(data).alike(state.described["read_as"])
    return log, _states(data, log, model)


def settings(described: Described) -> Described:
    """Return the arguments of a forecaster, but for the stores."""
    training, head = described["training"], described["head"]
    return {
        **described["params"],
        "head": head["kind"] if head["by_name"] else HeadConfig(**head["config"]),
        "network": network_of_state(described["network_given"]),
        "training": None if training is None else TrainConfig(**training),
    }


def gap_model_of(state: State, n_models: int | None = None) -> GapModel:
    """Return the model that `forecaster_state` described; of stores with all models, the global one, too."""
    described, arrays = state.described, state.arrays
    head, config = described["head"], NetworkConfig(**described["network"])
    settings = _checked_settings(head["kind"], head["settings"])
    network = NETWORKS[head["kind"]].from_settings(config, described["n_features"], settings)
    hash(network)  # compiled programs are known by it
    shapes = [tuple(variable.shape) for variable in network.variables]
    if n_models is not None:
        shapes = [(n_models, *shape) for shape in shapes]
        network = StoreNetwork(network)
    clock = described["clock"]
    model = GapModel(
        network=network,
        members=members_of_arrays(arrays, described["members"], shapes),
        clock=OperationalClock(
            clock["unit"],
            tuple(clock["cycle"]),
            tuple(clock["year"]),
            None if clock.get("days") is None else DayClock.from_description(clock["days"]),
        ),
        scale=FeatureScale(*(arrays[f"scale.{field.name}"] for field in dataclasses.fields(FeatureScale))),
        new_marks=arrays["new_marks"],
        residuals=arrays.get("residuals", np.zeros(0)),
        known=None if described.get("known") is None else Effects.from_description(described["known"]),
    )
    _check_model(model, described)
    return model


def _checked_settings(kind: str, given: Described) -> Settings:
    """Return the settings of a head as it was built with; refuse what it cannot be built with."""
    settings = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    faults = {
        f"an unknown {name}": name in settings and settings[name] not in known
        for name, known in (("drop_out", ("mbg", "bg")), ("scale", SCALES), ("censored", (True, False)))
    }
    faults["an unknown kind"] = kind not in KINDS or settings.get("hazard", kind == "hazard") != (
        kind == "hazard"
    )
    for name in ("edges", "knots", "fine", "within"):
        values = np.array(settings.get(name, ()), dtype=np.float64)
        ordered = name == "within" or (np.diff(values) > 0).all()
        faults[f"{name} that do not follow each other"] = not ((values >= 0).all() and ordered)
    within = len(settings.get("within", ()))
    faults["steps without a share"] = within > 0 and within != len(settings["fine"]) - 1
    numbers = np.array([settings.get("location", 0.0), settings.get("width", 1.0)], dtype=np.float64)
    faults["another scale"] = not np.isfinite(numbers).all() or numbers[1] <= 0
    refuse("head", faults)
    return settings


def _check_model(model: GapModel, described: Described) -> None:
    """Refuse a model whose parts do not fit each other."""
    options, clock, n_features = described["read_as"], model.clock, described["n_features"]
    n_columns = 0 if model.known is None else WIDTH
    n_marks, hourly = len(options["mark_names"]) + n_columns, options["unit"] == "hour"
    speeds = np.array([*clock.cycle, *clock.year], dtype=np.float64)
    numbers = np.concatenate([*vars(model.scale).values(), model.new_marks, model.residuals, speeds])
    faults = {
        "no members": not model.members,
        "another clock": clock.unit != options["unit"]
        or speeds.shape != ((168 if hourly else 7) + 53,)
        or not ((speeds > 1.0 / _FASTEST) & (speeds < _FASTEST)).all(),
        "other features": n_features != 12 + 4 * hourly + 2 * n_marks + N_PACE * model.network.paced,
        "another scale": any(part.shape != (n_features,) for part in vars(model.scale).values())
        or (model.scale.deviation <= 0).any(),
        "other marks": model.new_marks.shape != (n_marks,),
        "other knowledge of customers": model.known is not None
        and list(model.known.design.names) != options.get("static"),
        "no ascending residuals": (np.diff(model.residuals) < 0).any()
        or (model.network.kind == "gap" and not len(model.residuals)),
        "numbers that are not finite": not (np.abs(numbers) < _LARGEST).all(),
    }
    refuse("model", faults)


def _states(data: State, log: EventLog, model: GapModel) -> States:
    """Return where the customers of a log stand; both have to fit."""
    customers, n, n_members = data.tables[CUSTOMERS], log.n_customers, len(model.members)

    def wide(name: str, width: int, unknown: npt.ArrayLike = 0) -> npt.NDArray[np.floating]:
        values = customers[name].to_numpy() if width else np.zeros((n, 0))
        known = np.abs(values) < _LARGEST
        if values.shape != (n, width) or not np.where(unknown, np.isnan(values), known).all():
            raise DataError(f"the states of the log's customers have no {name} of {width} numbers")
        return values

    def by_member(name: str, width: int) -> npt.NDArray[np.float32]:
        values = wide(name, n_members * width).astype(np.float32, copy=False)
        return np.ascontiguousarray(np.moveaxis(values.reshape(n, n_members, width), 1, 0))

    widths = model.network.memory_widths
    unknown = np.logical_and.reduceat(np.isnan(log.marks), log.offsets[:-1])
    unknown = np.pad(unknown, [(0, 0), (0, len(model.new_marks) - unknown.shape[1])])
    states = States(
        tuple(by_member(f"memory-{i}", width) for i, width in enumerate(widths)),
        by_member("packed", model.network.packed_width),
        log.last,
        customers["count"].to_numpy(),
        customers["age"].to_numpy(),
        wide("mean_marks", unknown.shape[1], unknown),
    )
    ages = np.asarray(states.age, dtype=np.float64)
    wrong = (states.count != log.counts - 1) | ~np.isfinite(ages) | (ages < 0)
    if wrong.any():
        raise DataError(f"the states of {int(wrong.sum()):,} customers are not those of their visits")
    return states


def of_today(state: State) -> State:
    """Return a state of today of one of the first formats: its log was arrays, its open edges null."""
    described, arrays = state.described, state.arrays
    if "log" not in described:
        return state
    state = with_data(state)
    assert state.data is not None  # noqa: S101  # the description holds a log
    # Models of the first versions have the mixture, and say nothing of it.
    head = described.get("head") or {
        "kind": "mixture", "settings": {"drop_out": described["params"]["drop_out"]}, "by_name": True,
    }  # fmt: skip
    params = dict(described["params"])
    started = {name: params.pop(name) for name in ("drop_out", "seasonal", "paths") if name in params}
    config = {"kind": head["kind"], **_endless(head.get("config", {})), **started}
    by_name = head["by_name"] and HeadConfig(**config) == HeadConfig(head["kind"])
    head = {**head, "config": config, "settings": _endless(head["settings"]), "by_name": by_name}
    states = States(
        tuple(arrays[f"memory.{i}"] for i in range(sum(name.startswith("memory.") for name in arrays))),
        arrays["states.packed"],
        *[arrays[f"states.{name}"] for name in States._fields[2:]],
    )
    described = {
        **state.described,
        "params": params,
        "head": head,
        "auto": described.get("auto"),
        "network_given": described["network"],
    }
    return dataclasses.replace(state, described=described, data=_with_states(state.data, states))


def _endless(settings: Described) -> Described:
    """Return settings with an infinite number for each that the first formats left empty in a list."""
    return {
        name: tuple(np.inf if edge is None else edge for edge in value) if isinstance(value, list) else value
        for name, value in settings.items()
    }
