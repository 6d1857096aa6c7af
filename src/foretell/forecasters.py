"""All forecasters, and how they are read back from their directories."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretell.core.paths import as_path
from foretell.errors import StorageError
from foretell.storage.directory import Stored, damage, read
from foretell.storage.files import contents_of, read_manifest
from foretell.storage.forecaster import FORECASTERS, SavedForecaster

if TYPE_CHECKING:
    from foretell.core.contracts import State
    from foretell.data.log import EventLog
    from foretell.data.panel import Panel

__all__ = ["load", "load_keras"]


def load(path: str | Path, *, data: EventLog | Panel | None = None) -> Any:
    """Read a forecaster back from its directory.

    Parameters
    ----------
    path : str or Path
        A directory written by ``save``.
    data : EventLog or Panel, optional
        What the model is to answer about, in place of what it was fitted to; read with the same options. A
        model that was saved without its data has none.

    Returns
    -------
    EventForecaster, StoreForecaster, SeriesForecaster, or a model of `foretell.baselines`

    Raises
    ------
    StorageError
        No model is there, it is damaged, or a newer foretell wrote it.
    """
    stored = read(path)
    kind = _class_of(stored, Path(path))
    with damage(Path(path)):
        model = kind.from_state(_with_weights(stored))
    return model if data is None else model.attach(data)


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
    import foretell.events.heads.layers  # noqa: F401, PLC0415  # registers their layers with Keras
    from foretell.nn.state import ARCHITECTURE, read_member, weights_name  # noqa: PLC0415

    place = as_path(path)
    contents = contents_of(place, read_manifest(place))
    members = 0
    while weights_name(members) in contents:
        members += 1
    if not members or ARCHITECTURE not in contents:
        raise StorageError(
            f"no Keras files in {place}: expected {ARCHITECTURE} and {weights_name(0)}, which save_keras "
            "writes"
        )
    with damage(place, "what Keras wrote"):
        contents.check()
        return [read_member(contents, m) for m in range(members)]


def _with_weights(stored: Stored) -> State:
    """Return the state with the weights that the first formats kept in Keras' files alone."""
    state, described = stored.state, stored.state.described
    if "keras_order" not in described:
        return state
    import foretell.events.heads.layers  # noqa: F401, PLC0415  # registers their layers with Keras
    from foretell.nn.state import read_weights  # noqa: PLC0415

    weights = read_weights(stored.contents, described["members"], described["keras_order"])
    return dataclasses.replace(state, arrays=state.arrays | weights)


def _class_of(stored: Stored, place: Path) -> type[SavedForecaster]:
    for _ in _rooms():
        if stored.forecaster in FORECASTERS:
            return FORECASTERS[stored.forecaster]
    raise StorageError(
        f"{place} holds a model of the class {stored.forecaster!r}, which is not known; import the module "
        "that defines it, or upgrade foretell"
    )


def _rooms() -> Iterator[None]:
    """Import the rooms of the forecasters, one after the other: what a model needs is not known before."""
    yield
    import foretell.events.stores  # noqa: PLC0415

    yield
    import foretell.events.horizon.adapter  # noqa: PLC0415

    yield
    import foretell.baselines  # noqa: PLC0415
    import foretell.series.prior  # noqa: PLC0415

    yield
    import foretell.series.forecaster  # noqa: F401, PLC0415

    yield
