"""Model directories: JSON and plain arrays, written aside and renamed, so that a crash leaves the old one."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from foretell._version import __version__
from foretell.data.log import EventLog, ReadReport
from foretell.errors import ParameterError, StorageError

if TYPE_CHECKING:  # the engine is imported when a model is loaded, not with this module
    from foretell.events.forecaster import EventForecaster
    from foretell.series.forecaster import SeriesForecaster

FORMAT = 1
_DAMAGE = (
    OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile, pl.exceptions.PolarsError
)  # fmt: skip
_MODEL, _ARRAYS, _IDS, _GROUPS = "model.json", "arrays.npz", "ids.parquet", "groups.parquet"


def save(model: EventForecaster | SeriesForecaster, path: str | Path, *, weights: str = "arrays") -> Path:
    """Write a fitted forecaster to a directory; an older model of the same place is replaced.

    Parameters
    ----------
    model : EventForecaster or SeriesForecaster
    path : str or Path
        The directory. One that exists and holds no model is refused.
    weights : {"arrays", "keras"}
        With the other arrays; or as Keras keeps them: ``architecture.json``, and ``member0.weights.h5`` … for
        each member of the ensemble.

    Raises
    ------
    StorageError
        The place cannot be written, or holds something else.
    """
    target = Path(path)
    if target.exists() and not (target / _MODEL).is_file() and (target.is_file() or any(target.iterdir())):
        raise StorageError(
            f"{target} exists and is not a foretell model; choose another directory, or remove it"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise StorageError(f"cannot write to {target.parent}: {error.strerror}") from error
    try:
        _write(model, aside, weights)
        old = aside.with_name(aside.name + "-old")
        if target.exists():
            target.rename(old)
        try:
            aside.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"cannot write the model to {target}: {error.strerror}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return target


def load(path: str | Path) -> EventForecaster | SeriesForecaster:
    """Read a forecaster back from its directory.

    Parameters
    ----------
    path : str or Path
        A directory written by ``save``.

    Raises
    ------
    StorageError
        No model is there, it is damaged, or a newer foretell wrote it.
    """
    source = Path(path)
    try:
        described = json.loads((source / _MODEL).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StorageError(
            f"no model in {source}: {_MODEL} is not there; expected a directory that save wrote"
        ) from error
    except (OSError, ValueError) as error:
        raise StorageError(
            f"{source / _MODEL} cannot be read as JSON; the model is damaged: save it again"
        ) from error
    if not isinstance(described, dict) or not isinstance(described.get("format"), int):
        raise StorageError(
            f"{source / _MODEL} does not describe a model; it is damaged: save the model again"
        )
    if described["format"] > FORMAT:
        raise StorageError(
            f"{source} was written by foretell {described.get('version')}, in a newer format than this "
            f"version, {__version__}, knows; upgrade foretell"
        )
    try:
        return _read(described, source)
    except ParameterError as error:
        raise StorageError(f"the model in {source} cannot be built, or is damaged: {error}") from error
    except _DAMAGE as error:
        raise StorageError(f"the model in {source} is damaged ({error}); save it again") from error


def load_keras(path: str | Path) -> list[Any]:
    """Read the members of an ensemble as plain Keras models, from what ``save_keras`` wrote.

    Keras alone can do the same, with ``keras.models.model_from_json`` and ``load_weights``.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    list of keras.Model

    Raises
    ------
    StorageError
        The directory holds no such files, or they are damaged.
    """
    import foretell.events.gap_model  # noqa: F401, PLC0415  # registers its layer with Keras
    from foretell.nn.keras_files import ARCHITECTURE, read_member, weights_name  # noqa: PLC0415

    source = Path(path)
    members = 0
    while (source / weights_name(members)).is_file():
        members += 1
    if not members or not (source / ARCHITECTURE).is_file():
        raise StorageError(
            f"no Keras files in {source}: expected {ARCHITECTURE} and {weights_name(0)}, which save_keras "
            "writes"
        )
    try:
        return [read_member(source, m) for m in range(members)]
    except _DAMAGE as error:
        raise StorageError(f"the Keras files in {source} are damaged ({error}); save them again") from error


def _write(model: EventForecaster | SeriesForecaster, place: Path, weights: str) -> None:
    """Write the model's files; the engine that knows its kind describes it."""
    from foretell.events.forecaster import EventForecaster  # noqa: PLC0415

    head: dict[str, Any] = {"format": FORMAT, "version": __version__}
    if isinstance(model, EventForecaster):
        kind, (described, arrays) = "events", _write_events(model, place)
    else:
        from foretell.series.stored import write_series  # noqa: PLC0415

        kind, (described, arrays) = "series", write_series(model, place)
    if weights == "keras":
        from foretell.nn.keras_files import write_members  # noqa: PLC0415

        fitted = model.model_
        order = write_members(fitted.network.whole, fitted.network.variables, fitted.members, place)
        described["keras_order"] = order
        arrays = {name: values for name, values in arrays.items() if not name.startswith("member")}
    np.savez(place / _ARRAYS, **arrays)
    text = json.dumps(head | {"kind": kind} | described, indent=1, ensure_ascii=False)
    (place / _MODEL).write_text(text, encoding="utf-8")
    os.chmod(place, 0o755)  # noqa: PTH101, S103  # a temporary directory is private; a model is as open as others


def _write_events(model: EventForecaster, place: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    log, fitted, states = model.log_, model.model_, model.states_
    params = model.get_params()
    described: dict[str, Any] = {
        "params": {k: v for k, v in params.items() if k not in {"network", "training"}},
        "network": dataclasses.asdict(fitted.network.config),
        "training": dataclasses.asdict(model.training) if model.training else None,
        "members": len(fitted.members),
        "n_features": fitted.network.n_features,
        "weights": [variable.path for variable in fitted.network.network.variables],
        "clock": dataclasses.asdict(fitted.clock),
        "log": {
            "unit": log.unit,
            "merge": log.merge,
            "mark_names": log.mark_names,
            "start": log.start,
            "as_of": log.as_of,
            "report": dataclasses.asdict(log.report),
        },
    }
    arrays: dict[str, Any] = {
        "log.offsets": log.offsets,
        "log.times": log.times,
        "log.marks": log.marks,
        "new_marks": fitted.new_marks,
        "states.packed": np.asarray(states.packed),
    }
    if log.groups is not None and log.group_names is not None:
        arrays["log.groups"] = log.groups
        pl.DataFrame({"group": log.group_names}).write_parquet(place / _GROUPS)
    for field in dataclasses.fields(fitted.scale):
        arrays[f"scale.{field.name}"] = getattr(fitted.scale, field.name)
    for m, weights in enumerate(fitted.members):
        arrays |= {f"member{m}.{i}": weight for i, weight in enumerate(weights)}
    arrays |= {f"memory.{i}": np.asarray(part) for i, part in enumerate(states.memory)}
    arrays |= {f"states.{name}": np.asarray(getattr(states, name)) for name in states._fields[2:]}
    pl.DataFrame({"unique_id": log.ids}).write_parquet(place / _IDS)
    return described, arrays


def _read(described: dict[str, Any], place: Path) -> EventForecaster | SeriesForecaster:
    with (place / _ARRAYS).open("rb") as file, np.load(file, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    if "keras_order" in described:
        import foretell.events.gap_model  # noqa: F401, PLC0415  # registers its layer with Keras
        from foretell.nn.keras_files import read_arrays  # noqa: PLC0415

        arrays |= read_arrays(place, described["members"], described["keras_order"])
    if described["kind"] == "events":
        return _read_events(described, arrays, place)
    from foretell.series.stored import read_series_model  # noqa: PLC0415

    return read_series_model(described, arrays, place)


def _read_events(described: dict[str, Any], arrays: dict[str, Any], place: Path) -> EventForecaster:
    from foretell.events.clock import OperationalClock  # noqa: PLC0415
    from foretell.events.forecaster import EventForecaster  # noqa: PLC0415
    from foretell.events.gap_model import GapNetwork  # noqa: PLC0415
    from foretell.events.history import FeatureScale  # noqa: PLC0415
    from foretell.events.states import GapModel, States  # noqa: PLC0415
    from foretell.nn.networks import NetworkConfig  # noqa: PLC0415
    from foretell.nn.training import TrainConfig  # noqa: PLC0415

    kept, clock = described["log"], described["clock"]
    has_groups = "log.groups" in arrays
    report = kept["report"]
    report["examples"] = {reason: tuple(shown) for reason, shown in report["examples"].items()}
    log = EventLog(
        ids=pl.read_parquet(place / _IDS)["unique_id"],
        offsets=arrays["log.offsets"],
        times=arrays["log.times"],
        marks=arrays["log.marks"],
        mark_names=tuple(kept["mark_names"]),
        groups=arrays["log.groups"] if has_groups else None,
        group_names=pl.read_parquet(place / _GROUPS)["group"] if has_groups else None,
        unit=kept["unit"],
        merge=kept["merge"],
        start=kept["start"],
        as_of=kept["as_of"],
        report=ReadReport(**report),
    )
    network = GapNetwork(
        NetworkConfig(**described["network"]), described["n_features"], described["params"]["drop_out"]
    )
    n_weights, n_members = len(described["weights"]), described["members"]
    fitted = GapModel(
        network=network,
        members=tuple([arrays[f"member{m}.{i}"] for i in range(n_weights)] for m in range(n_members)),
        clock=OperationalClock(clock["unit"], tuple(clock["cycle"]), tuple(clock["year"])),
        scale=FeatureScale(*[arrays[f"scale.{field.name}"] for field in dataclasses.fields(FeatureScale)]),
        new_marks=arrays["new_marks"],
    )
    n_memory = sum(name.startswith("memory.") for name in arrays)
    states = States(
        tuple(arrays[f"memory.{i}"] for i in range(n_memory)),
        arrays["states.packed"],
        *[arrays[f"states.{name}"] for name in States._fields[2:]],
    )
    training = TrainConfig(**described["training"]) if described["training"] else None
    model = EventForecaster(
        **described["params"], network=NetworkConfig(**described["network"]), training=training
    )
    model.model_, model.log_, model.states_ = fitted, log, states
    return model
