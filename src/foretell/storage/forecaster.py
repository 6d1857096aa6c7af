"""What the forecasters share that can be written to a directory, and under which names they are known."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, Self, TypeVar, overload

from foretell.core.constraints import Flag, check
from foretell.core.contracts import Described, Kind, State
from foretell.core.estimator import Estimator
from foretell.errors import NotFittedError
from foretell.storage.directory import write

FORECASTERS: Final[dict[str, type[SavedForecaster]]] = {}
"""The classes that have been imported, by the names under which their models are saved."""


class SavedForecaster(Estimator, ABC):
    """A forecaster that can be written to a directory.

    A class says by ``saved_as`` under which name its models are saved: it is theirs for good, whatever the
    class is called. A class that says none has its models read back as its parent's.
    """

    kind: ClassVar[Kind]
    saved_as: ClassVar[str]

    # The attribute with the data that it was fitted to, and how they were read, of one that was read back.
    _data: ClassVar[str]
    _read_as: Described

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "saved_as" in vars(cls):
            FORECASTERS[cls.saved_as] = cls

    @abstractmethod
    def state(self) -> State:
        """Return what was learned, and the data that it was learned from, as plain values."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: State) -> Self:
        """Return the fitted forecaster that `state` described."""

    @abstractmethod
    def attach(self, data: Any) -> Self:
        """Take a log or panel to answer about, read as the model's own was; nothing is learned from it."""

    def save(self, path: str | Path, *, data: bool = True) -> Path:
        """Write the model to a directory; see `foretell.load`.

        Parameters
        ----------
        path : str or Path
            The directory; an older model there is replaced, anything else is refused.
        data : bool
            With the log or panel that it was fitted to. False leaves it out, so that the model can be handed
            on without anybody's visits: ``foretell.load(path, data=log)`` gives it a log again.
        """
        return self._save(path, data=data)

    def _save(self, path: str | Path, *, data: bool, export: Callable[[Path], None] | None = None) -> Path:
        check("data", data, Flag())
        state = self.state()
        if not data:
            state = dataclasses.replace(state, data=None)
        return write(state, path, kind=self.kind, forecaster=self.saved_as, export=export)

    @property
    def _options(self) -> Described:
        """How the data were read that it was fitted to."""
        data = vars(self).get(self._data)
        return self._read_as if data is None else data.read_as

    def _facts(self) -> dict[str, object]:
        facts = super()._facts()
        if self.__sklearn_is_fitted__():
            facts["fitted to"] = vars(self).get(self._data, "data that were not saved with it")
        return facts

    def _check_fitted(self, attribute: str) -> None:
        if not hasattr(self, attribute) and self.__sklearn_is_fitted__():
            raise NotFittedError(_without_data(self))
        super()._check_fitted(attribute)


T = TypeVar("T")


class FittedTo(Generic[T]):
    """Data that a model was fitted to, and what follows from them: one that was saved without has none."""

    @overload
    def __get__(self, model: None, owner: type) -> Self: ...

    @overload
    def __get__(self, model: object, owner: type) -> T: ...

    def __get__(self, model: object | None, owner: type) -> Self | T:
        # Asked only where the model has no attribute of that name of its own.
        if model is None:
            return self
        raise NotFittedError(_without_data(model))


def _without_data(model: object) -> str:
    return (
        f"this {type(model).__name__} is not fitted yet, or was saved without its data; call fit, or give it "
        "data: foretell.load(path, data=…)"
    )
