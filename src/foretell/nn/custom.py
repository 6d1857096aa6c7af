"""Networks that users bring: kept as their architecture, checked for their shapes, run in both views."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Self, TypeGuard

import numpy as np

from foretell.errors import ParameterError
from foretell.nn.backend import Array, Cell, Config, Model, Shape, Tensor, Variable, keras, register

ops = keras.ops

# Events over which a network of the user's looks back that does not say it by its input's shape.
_LOOK_BACK = 32


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
        if isinstance(network, keras.layers.Layer) or not callable(network):
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
    return isinstance(layer, keras.layers.Layer) and hasattr(layer, "state_size")


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


class _Causal(keras.layers.Layer):  # type: ignore[misc]
    """A causal model of some number of steps.

    Parameters
    ----------
    model : keras.Model
        ``(batch, steps, features) → (batch, steps, units)``.
    steps : int
    """

    def __init__(self, model: Model, steps: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.model, self.steps = model, steps
        self.width = int(model.outputs[0].shape[-1])

    def get_config(self) -> Config:
        """Return what rebuilds the layer."""
        model = keras.saving.serialize_keras_object(self.model)
        return {**super().get_config(), "model": model, "steps": self.steps}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Return the layer of a configuration."""
        model = keras.saving.deserialize_keras_object(config["model"])
        return cls(**config | {"model": model})  # type: ignore[arg-type]  # as `get_config` says


@register
class CausalRun(_Causal):
    """Run a causal model over runs of events that are as long as it or shorter.

    Runs are filled up at their end, where nothing looks.
    """

    def call(self, sequence: Tensor, training: bool = False) -> Tensor:  # noqa: FBT001, FBT002
        """Return the states: (batch, length, features) → (batch, length, units)."""
        length = sequence.shape[1]
        filled = ops.pad(sequence, [[0, 0], [0, self.steps - length], [0, 0]])
        return self.model(filled, training=training)[:, :length]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, length, units)."""
        return (*input_shape[:-1], self.width)


@register
class CausalStep(_Causal):
    """Run a causal model for one further event, from a memory of the last events' features.

    The memory is [features of the last ``steps`` events, how many there are]; where it is full, the oldest
    event is dropped.
    """

    def call(self, inputs: Sequence[Tensor], training: bool = False) -> tuple[Tensor, Tensor, Tensor]:  # noqa: FBT001, FBT002
        """Return the state and the memory after the event: (batch, units), (batch, steps·F), (batch, 1)."""
        event, kept, count = inputs
        kept = ops.reshape(kept, (-1, self.steps, event.shape[-1]))
        full = (count >= self.steps)[..., None]
        kept = ops.where(full, ops.pad(kept[:, 1:], [[0, 0], [0, 1], [0, 0]]), kept)
        place = ops.minimum(count, float(self.steps - 1))  # (batch, 1)
        here = ops.cast(ops.arange(self.steps) == ops.cast(place, "int32"), kept.dtype)[..., None]
        kept = kept + here * event[:, None]
        state = ops.sum(self.model(kept, training=training) * here, axis=1)
        return state, ops.reshape(kept, (-1, self.steps * event.shape[-1])), count + 1.0

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> list[Shape]:
        """Return the shapes of the state and of the memory."""
        event, *memory = input_shape
        return [(event[0], self.width), *memory]


def check_causal(model: Model, n_features: int) -> int:
    """Check a trunk for events, and return over how many steps it looks back.

    Raises
    ------
    ParameterError
        Its inputs or outputs do not fit, or what comes later changes what it says earlier.
    """
    expected = f"(batch, steps, {n_features}) → (batch, steps, units), causal"
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ParameterError(
            f"the network has {len(model.inputs)} inputs and {len(model.outputs)} outputs; expected one of "
            f"each: {expected}"
        )
    given, out = tuple(model.inputs[0].shape), tuple(model.outputs[0].shape)
    if len(given) != 3 or given[2] != n_features:
        raise ParameterError(
            f"the network reads {given}; expected {expected}: build it with "
            f"keras.Input((shape.steps, shape.n_features))"
        )
    if len(out) != 3 or out[1] != given[1]:
        raise ParameterError(
            f"the network gives {out} for {given}; expected {expected}: a state for every event "
            "(return_sequences=True in the last recurrent layer)"
        )
    steps = int(given[1] or _LOOK_BACK)
    check_variables(model)
    rng = np.random.default_rng(0)
    before = rng.normal(size=(2, steps, n_features)).astype(np.float32)
    after = before.copy()
    after[:, -1] += 1.0
    states = [np.asarray(model(part, training=False))[:, :-1] for part in (before, after)]
    if not np.allclose(states[0], states[1], atol=1e-6):
        raise ParameterError(
            "the network is not causal: another last event changed what it says of earlier ones; expected "
            "forward recurrent layers, Conv1D(padding='causal') or masked attention, not Bidirectional"
        )
    return steps
