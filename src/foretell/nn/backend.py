"""Keras on JAX: chosen before Keras is first imported, and typed here, for Keras itself says no types.

Compiled programs are kept in the user's cache folder: the next process finds them instead of compiling.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import jax
import numpy as np
import numpy.typing as npt
import platformdirs

from foretell.errors import BackendError

Array: TypeAlias = jax.Array
Tensor: TypeAlias = jax.Array  # or, while a model is built, its symbol, with the same operations
Weights: TypeAlias = Sequence[Array | npt.NDArray[np.float32]]
Tree: TypeAlias = Any  # nested tuples, lists and dictionaries of arrays, as JAX takes them
Shape: TypeAlias = tuple[int | None, ...]
Config: TypeAlias = dict[str, object]  # what JSON keeps of a layer


class Named(Protocol):
    """An input of a `keras.Model`."""

    name: str
    shape: tuple[int | None, ...]


class Variable(Protocol):
    """A `keras.Variable`."""

    name: str
    path: str
    shape: tuple[int, ...]
    dtype: str
    value: Array

    def assign(self, value: npt.ArrayLike) -> None: ...


class Layer(Protocol):
    """A `keras.layers.Layer`."""

    name: str

    def __call__(
        self, inputs: Tensor | Sequence[Tensor], *, initial_state: Sequence[Tensor] | None = None
    ) -> Tensor: ...


class Model(Protocol):
    """A `keras.Model` of one output."""

    inputs: list[Named]
    outputs: list[Tensor]
    output_shape: tuple[int | None, ...]
    trainable_variables: list[Variable]
    non_trainable_variables: list[Variable]

    @property
    def input(self) -> Tensor | list[Tensor] | dict[str, Tensor]: ...

    def __call__(
        self, inputs: npt.ArrayLike | Sequence[Tensor] | Mapping[str, Tensor], *, training: bool = False
    ) -> Tensor: ...

    def stateless_call(
        self, weights: Weights, fixed: Sequence[Array], inputs: Array | Sequence[Array], *, training: bool
    ) -> tuple[Tree, list[Array]]: ...

    def to_json(self, *, indent: int) -> str: ...

    def save_weights(self, path: Path) -> None: ...

    def load_weights(self, path: Path) -> None: ...


class Cell(Protocol):
    """A recurrent cell of Keras: one step of a layer."""

    units: int
    state_size: int | list[int] | tuple[int, ...]

    def __call__(self, inputs: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, Tensor | list[Tensor]]: ...


class KerasOptimizer(Protocol):
    """A `keras.optimizers.Optimizer`."""

    variables: list[Variable]

    def build(self, variables: Sequence[Variable]) -> None: ...

    def stateless_apply(
        self, slots: Sequence[Array], gradients: Sequence[Array], weights: Sequence[Array]
    ) -> tuple[list[Array], list[Array]]: ...


Initializer: TypeAlias = Callable[..., npt.NDArray[np.float32]]


def _import_keras() -> Any:
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "jax"
    import keras  # noqa: PLC0415  # the backend has to be chosen first

    if keras.config.backend() != "jax":
        raise BackendError(
            f"Keras is already loaded on the {keras.config.backend()!r} backend; foretell needs 'jax'. "
            "Set KERAS_BACKEND=jax in the environment, or import foretell's forecasters before Keras."
        )
    return keras


keras = _import_keras()


def make_model(inputs: Tensor | Sequence[Tensor], outputs: Tensor | Sequence[Tensor], name: str) -> Model:
    """Return the `keras.Model` from some symbols to others."""
    model: Model = keras.Model(inputs, outputs, name=name)
    return model


register = keras.saving.register_keras_serializable("foretell")

FOLDER_VARIABLE: Final = "FORETELL_CACHE"
"""Environment variable: another folder, or ``off``."""

# The least recently used programs are deleted beyond this; a fit and its forecasts take some 10 MB.
_MOST_BYTES = 512 * 2**20


def keep_programs() -> Path | None:
    """Let JAX keep what it compiles, unless a folder is set for it already; return the folder, if any.

    Processes share the folder under a lock. Where it cannot be written, nothing is kept.
    """
    config: Any = jax.config  # JAX gives its settings no types
    if config.jax_compilation_cache_dir is not None:
        return None
    folder = programs_folder()
    if folder is None:
        return None
    config.update("jax_compilation_cache_max_size", _MOST_BYTES)
    config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    config.update("jax_compilation_cache_dir", str(folder))
    return folder


def programs_folder() -> Path | None:
    """Return the folder of this machine's programs; None where it is switched off or cannot be written."""
    chosen = os.environ.get(FOLDER_VARIABLE, "").strip()
    if chosen.lower() in {"off", "0", "false", "no"}:
        return None
    folder = Path(chosen or platformdirs.user_cache_dir("foretell")) / f"programs-{_processor()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.R_OK | os.W_OK | os.X_OK) else None


def _processor() -> str:
    """Return a name for what programs are compiled for: processors may differ that share a home folder."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = [platform.processor()]
    features = next((line for line in lines if line.startswith(("flags", "Features"))), lines[0])
    return f"{platform.machine()}-{hashlib.sha256(features.encode()).hexdigest()[:12]}"


keep_programs()
