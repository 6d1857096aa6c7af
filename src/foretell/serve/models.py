"""Models that are kept in memory: read when they are first asked, and again when a newer version is there."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from foretell.forecasters import load
from foretell.serve.bodies import ModelAbout
from foretell.serve.store import NotThereError, Store
from foretell.spend.gamma_gamma import worth_of
from foretell.storage.files import MANIFEST

if TYPE_CHECKING:
    from foretell.serve.answers import Model
    from foretell.serve.bodies import Asked

MOST_LOADED: Final = 16  # models in memory

Version: TypeAlias = tuple[int, int, int]


@dataclasses.dataclass(frozen=True, eq=False)
class Loaded:
    """One version of a model, in memory; nobody changes it.

    Attributes
    ----------
    name : str
    model : EventForecaster, SeriesForecaster or another
    version : tuple
        What tells its files from those of another version.
    about : ModelAbout
    asked : dict
        Ways of asking about a customer, by the query that was read.
    answers : dict
        Rows that were answered, the last ones last. They go with the version.
    shown : dict
        What pages show of the whole, by their name and language.
    """

    name: str
    model: Model
    version: Version
    about: ModelAbout
    asked: dict[bytes, Asked] = dataclasses.field(default_factory=dict)
    answers: OrderedDict[tuple[Asked, object], bytes] = dataclasses.field(default_factory=OrderedDict)
    shown: dict[tuple[str, str], dict[str, Any]] = dataclasses.field(default_factory=dict)


class ModelShelf:
    """The models of a service.

    Parameters
    ----------
    store : Store
        Where those are that it fits.
    places : mapping of str to Path
        Those that it was started with, by name.
    """

    def __init__(self, store: Store, places: Mapping[str, Path]) -> None:
        self._store, self._places = store, dict(places)
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()
        self._abouts: dict[str, tuple[Version, ModelAbout]] = {}
        self._files: dict[str, str] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Return the names of all models."""
        return sorted({*self._places, *self._store.model_names()})

    def is_own(self, name: str) -> bool:
        """Tell whether a name is free for models that the service fits."""
        return name not in self._places

    def place(self, name: str) -> Path:
        """Return the directory of a model."""
        place = self._places.get(name)
        return self._store.model_place(name) if place is None else place

    def ready(self, name: str) -> Loaded | None:
        """Return the newest version of a model if it is in memory; this takes no time."""
        loaded = self._loaded.get(name)
        if loaded is None or loaded.version != self._version(name):
            return None
        with contextlib.suppress(KeyError):  # another thread may have let go of it
            self._loaded.move_to_end(name)
        return loaded

    def about(self, name: str) -> ModelAbout:
        """Say what a model is; one that was read before need not be in memory.

        Raises
        ------
        NotThereError
            There is no such model.
        """
        known = self._abouts.get(name)
        return known[1] if known is not None and known[0] == self._version(name) else self.get(name).about

    def get(self, name: str) -> Loaded:
        """Return the newest version of a model, which is read first if it is not in memory.

        Raises
        ------
        NotThereError
            There is no such model.
        """
        loaded = self.ready(name)
        if loaded is not None:
            return loaded
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            loaded = self.ready(name)
            if loaded is None:
                version = self._version(name)
                model = load(self.place(name))
                about = describe(name, model, own=self.is_own(name))
                loaded = self._loaded[name] = Loaded(name, model, version, about)
                self._abouts[name] = version, about
            while len(self._loaded) > MOST_LOADED:
                self._loaded.popitem(last=False)
            return loaded

    def forget(self, name: str) -> None:
        """Let go of a model that is gone."""
        self._loaded.pop(name, None)
        self._abouts.pop(name, None)
        self._files.pop(name, None)

    def _version(self, name: str) -> Version:
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = str(self.place(name) / MANIFEST)
        try:
            stat = os.stat(file)  # noqa: PTH116  # it is asked at each request, and paths are slow to make
        except OSError as error:
            self.forget(name)
            raise NotThereError(f"there is no model {name!r}{self._hint()}") from error
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    def _hint(self) -> str:
        names = self.names()
        return f"; there are {', '.join(names[:5])}" if names else "; fit one first"


def describe(name: str, model: Model, *, own: bool) -> ModelAbout:
    """Say what a model is and what it was fitted to."""
    if model.kind == "events":
        log = model.log_  # type: ignore[union-attr]  # by its kind
        size, columns, worth = log.n_customers, list(log.mark_names), worth_of(log)
        start, as_of = log.date(log.start), log.date(log.as_of)
    else:
        panel = model.panel_  # type: ignore[union-attr]  # by its kind
        size, columns, worth = panel.n_series, list(panel.targets), None
        start, as_of = panel.time_of(panel.starts.min())[0], panel.time_of(panel.ends.max())[0]
    return ModelAbout(
        name=name,
        kind=model.kind,
        fitted=model.name,
        size=size,
        columns=columns,
        worth=worth,
        start=str(start),
        as_of=str(as_of),
        own=own,
    )
