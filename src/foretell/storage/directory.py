"""Model directories: JSON and plain arrays; a crash leaves the old model or the new one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import polars as pl

from foretell._version import __version__
from foretell.baselines import EVENT_BASELINES, SERIES_BASELINES
from foretell.baselines.statistic import EventStatistic, SeriesStatistic
from foretell.errors import ParameterError, StorageError
from foretell.storage.files import (
    ARRAYS,
    Contents,
    check_place,
    contents_of,
    read_arrays,
    read_manifest,
    write_version,
)

if TYPE_CHECKING:  # the engine is imported when a model is loaded, not with this module
    from foretell.events.forecaster import EventForecaster
    from foretell.series.forecaster import SeriesForecaster

    Saved: TypeAlias = EventForecaster | SeriesForecaster | EventStatistic | SeriesStatistic

FORMAT = 2


def save(model: Saved, path: str | Path, *, weights: str = "arrays") -> Path:
    """Write a fitted forecaster to a directory; an older model of the same place is replaced.

    Parameters
    ----------
    model : EventForecaster, SeriesForecaster, or a model of `foretell.baselines`
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
    try:
        check_place(target)
        write_version(target, lambda place: _write(model, place, weights))
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"cannot write the model to {target}: {error.strerror or error}") from error
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
    described = read_manifest(source)
    if described["format"] > FORMAT:
        raise StorageError(
            f"{source} was written by foretell {described.get('version')}, in a newer format than this "
            f"version, {__version__}, knows; upgrade foretell"
        )
    with _damage(f"the model in {source} is damaged", "save it again"):
        try:
            return _read(described, contents_of(source, described))
        except ParameterError as error:
            raise StorageError(f"the model in {source} cannot be built, or is damaged: {error}") from error


@contextlib.contextmanager
def _damage(what: str, mend: str) -> Iterator[None]:
    """Say in one way that files are damaged, wherever it shows; polars' panics are no Exception."""
    try:
        yield
    except StorageError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:
        raise StorageError(f"{what} ({error}); {mend}") from error


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
    import foretell.events.heads.networks  # noqa: F401, PLC0415  # registers their layers with Keras
    from foretell.nn.keras_files import ARCHITECTURE, read_member, weights_name  # noqa: PLC0415

    place = Path(path)
    source = contents_of(place, read_manifest(place))
    members = 0
    while (source / weights_name(members)).is_file():
        members += 1
    if not members or not (source / ARCHITECTURE).is_file():
        raise StorageError(
            f"no Keras files in {place}: expected {ARCHITECTURE} and {weights_name(0)}, which save_keras "
            "writes"
        )
    with _damage(f"the Keras files in {place} are damaged", "save them again"):
        return [read_member(source, m) for m in range(members)]


def _write(model: Saved, place: Path, weights: str) -> dict[str, Any]:
    """Write the model's files and return its manifest; the engine that knows its kind describes it."""
    from foretell.events.forecaster import EventForecaster  # noqa: PLC0415
    from foretell.storage.events import write_events  # noqa: PLC0415

    head: dict[str, Any] = {"format": FORMAT, "version": __version__}
    if isinstance(model, (EventStatistic, SeriesStatistic)):
        kind, (described, arrays) = model.kind, model.state()
        described |= {"model": model.shell_name}
    elif isinstance(model, EventForecaster):
        kind, (described, arrays) = "events", write_events(model, place)
    else:
        from foretell.storage.series import write_series  # noqa: PLC0415

        kind, (described, arrays) = "series", write_series(model, place)
    if weights == "keras":
        from foretell.nn.keras_files import write_members  # noqa: PLC0415

        fitted = cast("EventForecaster | SeriesForecaster", model).model_
        order = write_members(fitted.network.whole, fitted.network.variables, fitted.members, place)
        described["keras_order"] = order
        arrays = {name: values for name, values in arrays.items() if not name.startswith("member")}
    np.savez(place / ARRAYS, allow_pickle=False, **cast("dict[str, Any]", arrays))
    return head | {"kind": kind} | described


def _read(described: dict[str, Any], place: Contents) -> EventForecaster | SeriesForecaster:
    arrays = read_arrays(place / ARRAYS)
    if "keras_order" in described:
        import foretell.events.heads.networks  # noqa: F401, PLC0415  # registers their layers with Keras
        from foretell.nn.keras_files import read_weights  # noqa: PLC0415

        arrays |= read_weights(place, described["members"], described["keras_order"])
    if "model" in described:
        known: Mapping[str, type[Any]] = {**EVENT_BASELINES, **SERIES_BASELINES}
        return cast(
            "EventForecaster | SeriesForecaster", known[described["model"]].from_state(described, arrays)
        )
    if described["kind"] == "events":
        from foretell.storage.events import read_event_model  # noqa: PLC0415

        return read_event_model(described, arrays, place)
    from foretell.storage.series import read_series_model  # noqa: PLC0415

    return read_series_model(described, arrays, place)
