"""Causal networks that users bring: checked for their shapes, run over whole sequences and event by event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from foretell.errors import ParameterError
from foretell.nn.backend import Config, Model, Shape, Tensor, keras, register
from foretell.nn.custom import check_variables

ops = keras.ops

# Events over which a network of the user's looks back that does not say it by its input's shape.
_LOOK_BACK = 32


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
