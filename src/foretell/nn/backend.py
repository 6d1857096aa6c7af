"""Keras on JAX: chosen before Keras is first imported, and typed here, for Keras itself says no types."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import jax
import numpy as np
import numpy.typing as npt

from foretell.errors import BackendError
from foretell.nn.programs import keep_programs

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
keep_programs()
