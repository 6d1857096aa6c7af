"""Networks that users bring: kept as their architecture, built anew for each member of an ensemble."""

from __future__ import annotations

import dataclasses
import json
from typing import TypeGuard

import numpy as np

from foretell.errors import ParameterError
from foretell.nn.backend import Array, Cell, Config, Model, Variable, is_layer, keras


@dataclasses.dataclass(frozen=True)
class EventShape:
    """What a builder of a network for events is called with.

    Attributes
    ----------
    n_features : int
        Of one event.
    steps : int
        Events that are trained on as one sequence; a network may look back over fewer.
    """

    n_features: int
    steps: int


@dataclasses.dataclass(frozen=True)
class OwnNetwork:
    """A Keras model or cell that a user brought, by its architecture: it can be compared and kept in JSON.

    Weights are not kept: each member of an ensemble starts from its own, drawn by the initializers that the
    layers name.

    Parameters
    ----------
    architecture : str
        JSON, as `keras.saving.serialize_keras_object` describes the object.

    Examples
    --------
    >>> own = OwnNetwork.of(keras.layers.GRUCell(4))
    >>> own.build(seed=1).units, own == OwnNetwork(own.architecture)
    (4, True)
    """

    architecture: str

    @classmethod
    def of(cls, built: object) -> OwnNetwork:
        """Describe a Keras model or cell.

        Raises
        ------
        ParameterError
            It cannot be described, or not be rebuilt from its description.
        """
        try:
            described = keras.saving.serialize_keras_object(built)
            if not isinstance(built, keras.Model):
                described.pop("build_config", None)  # a cell is built anew, for each layer's inputs
            own = cls(json.dumps(described, sort_keys=True))
            own.build(0)
        except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
            raise ParameterError(
                f"the network {type(built).__name__} cannot be rebuilt from its description; expected layers "
                "of Keras, or own classes with get_config(), registered by "
                f"@keras.saving.register_keras_serializable('my_package'). Keras said: {_first_line(error)}"
            ) from error
        return own

    @classmethod
    def for_shape(cls, network: object, shape: object) -> OwnNetwork:
        """Describe a Keras model or cell, or what a builder returns that is called with a shape."""
        if is_layer(network) or not callable(network):
            return network if isinstance(network, OwnNetwork) else cls.of(network)
        built = network(shape)
        if not isinstance(built, (keras.Model, OwnNetwork)) and not is_cell(built):
            raise ParameterError(
                f"the builder returned {type(built).__name__}; expected a keras.Model or a recurrent cell"
            )
        return built if isinstance(built, OwnNetwork) else cls.of(built)

    def build(self, seed: int) -> Model | Cell:
        """Return a fresh model or cell whose initial weights are settled by the seed."""
        described: Config = json.loads(self.architecture)
        reseeded = _reseeded(described, np.random.default_rng(seed))
        try:
            built: Model | Cell = keras.saving.deserialize_keras_object(reseeded)
        except (TypeError, ValueError) as error:
            raise ParameterError(
                f"the network of class {described.get('class_name')!r} cannot be built: {_first_line(error)} "
                "Import the module that registers its classes with Keras first"
            ) from error
        return built


def _reseeded(described: object, rng: np.random.Generator) -> object:
    """Return a description in which every initializer and dropout has a seed of its own."""
    if isinstance(described, list):
        return [_reseeded(part, rng) for part in described]
    if not isinstance(described, dict):
        return described
    return {
        name: int(rng.integers(2**31 - 1)) if name == "seed" else _reseeded(part, rng)
        for name, part in described.items()
    }


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def is_cell(layer: object) -> TypeGuard[Cell]:
    """Return whether a Keras layer is a recurrent cell."""
    return is_layer(layer) and hasattr(layer, "state_size")


def check_variables(model: Model) -> None:
    """Refuse variables that gradients do not train: they would be lost."""
    strays = [v.path for v in model.non_trainable_variables if not is_generator(v)]
    if strays:
        raise ParameterError(
            f"the network holds variables that are not trained by gradients: {strays[:3]}; expected none. "
            "Take LayerNormalization for BatchNormalization, and leave layers trainable"
        )


def is_generator(variable: Variable) -> bool:
    """Return whether a variable is the state of a random generator (of a dropout)."""
    return str(variable.dtype) == "uint32"


def generators(model: Model, noise: Array | None) -> list[Array]:
    """Return values of what is not trained: each random generator starts from its own share of the noise."""
    fixed = model.non_trainable_variables
    if noise is None:
        return [variable.value for variable in fixed]
    shift = np.array([0, 1], dtype=np.uint32)
    return [noise + np.uint32(i) * shift for i in range(len(fixed))]
