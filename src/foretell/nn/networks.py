"""Recurrent networks as Keras models, in two views of the same weights: whole sequences, and one step."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

from foretell.errors import ParameterError
from foretell.nn.backend import Weights, keras
from foretell.nn.custom import generators
from foretell.nn.layers import Initializers, make_dropout
from foretell.nn.recurrent import make_recurrent
from foretell.nn.settings import NetworkConfig

__all__ = ["NetworkConfig", "RecurrentNetwork", "build_network"]


@dataclasses.dataclass(frozen=True)
class RecurrentNetwork:
    """Keras models on one set of weights.

    Attributes
    ----------
    trunk : keras.Model or None
        ``features (B, L, F) → states (B, L, H)``: the recurrent layers; None where there are none.
    head : keras.Model
        ``[states (N, H), features (N, F), anchor inputs (N, A)] → output (N, P)``.
    stepper : keras.Model
        ``[features (B, F), anchor inputs (B, A), *memory] → [output (B, P), *memory]``: one step of both.
    join : callable
        Makes `whole`.
    longest : int or None
        Events that it can read as one sequence, where there is a limit.
    """

    trunk: Any
    head: Any
    stepper: Any
    join: Callable[[], Any]
    longest: int | None = None

    @functools.cached_property
    def whole(self) -> Any:
        """``[features (B, L, F), anchor inputs (B, L, A)] → output (B, L, P)``: trunk and head as one."""
        return self.join()

    @property
    def variables(self) -> list[Any]:
        """Trainable variables, those of the trunk first."""
        return [*(self.trunk.trainable_variables if self.trunk else []), *self.head.trainable_variables]

    def sequence(self, weights: Weights, features: Any, noise: Any = None) -> Any:
        """Run the recurrent layers over whole sequences; without any, the states have width 0.

        ``noise`` (two random uint32) is what recurrent dropout draws from; without it nothing is dropped.
        """
        if self.trunk is None:
            return features[..., :0]
        fixed, training = generators(self.trunk, noise), noise is not None
        count = len(self.trunk.trainable_variables)
        return self.trunk.stateless_call(weights[:count], fixed, features, training=training)[0]

    def output(self, weights: Weights, states: Any, features: Any, anchor: Any, noise: Any = None) -> Any:
        """Run the dense layers and the head on states and features, shapes (N, …).

        ``noise`` (two random uint32) is the state of the dropout's generator; without it nothing is dropped.
        """
        fixed, training = generators(self.head, noise), noise is not None
        count = len(self.head.trainable_variables)
        inputs = [states, features, anchor] if self.trunk is not None else [features, anchor]
        return self.head.stateless_call(weights[-count:], fixed, inputs, training=training)[0]

    def step(
        self, weights: Weights, features: Any, anchor: Any, memory: Sequence[Any]
    ) -> tuple[Any, list[Any]]:
        """Return the output after one event, and the recurrent memory."""
        place = {id(variable): i for i, variable in enumerate(self.variables)}
        ordered = [weights[place[id(variable)]] for variable in self.stepper.trainable_variables]
        fixed = [variable.value for variable in self.stepper.non_trainable_variables]
        outputs = self.stepper.stateless_call(ordered, fixed, [features, anchor, *memory], training=False)[0]
        if not memory:  # Keras hands out a single output bare
            return outputs if not isinstance(outputs, list) else outputs[0], []
        output, *after = outputs
        return output, after

    @property
    def memory_widths(self) -> list[int]:
        """Width of each part of the recurrent memory."""
        return [int(tensor.shape[-1]) for tensor in self.stepper.inputs[2:]]


def build_network(
    config: NetworkConfig, n_features: int, n_anchor: int, n_raw: int, head: Any, seed: int
) -> RecurrentNetwork:
    """Build recurrent layers, dense layers, and a linear output that starts at zero.

    Parameters
    ----------
    config : NetworkConfig
    n_features : int
        Features of one step.
    n_anchor : int
        Further inputs that go to the head only.
    n_raw : int
        Outputs of the network, the corrections to the anchor.
    head : keras.layers.Layer
        ``head([raw, anchor inputs])`` gives the model's output.
    seed : int
    """
    if config.bidirectional:
        raise ParameterError(
            "bidirectional=True; expected False: an event's state must not see the events after it. Windows "
            "of series, which lie in the past as a whole, can be read in both directions"
        )
    init = Initializers(seed)
    recurrent = make_recurrent(config, n_features, init)
    top = _top(config, n_raw, head, init, seed)

    def inputs(*lead: int | None) -> list[Any]:
        named = (("features", n_features), ("anchor_state", n_anchor))
        return [keras.Input((*lead, width), name=name) for name, width in named]

    def whole() -> Any:
        features, anchor = inputs(None)
        states = recurrent.over(features) if recurrent else None
        return keras.Model([features, anchor], top(states, features, anchor), name="network")

    trunk = None
    if recurrent:
        features = keras.Input((None, n_features), name="features")
        trunk = keras.Model(features, recurrent.over(features), name="recurrent")

    one, anchor = inputs()
    given = keras.Input((recurrent.width,), name="state") if recurrent else None
    read = [one, anchor] if given is None else [given, one, anchor]
    dense_head = keras.Model(read, top(given, one, anchor), name="head")

    memory = [keras.Input((width,)) for width in recurrent.memory] if recurrent else []
    state, after = recurrent.step(one, memory) if recurrent else (None, [])
    stepper = keras.Model([one, anchor, *memory], [top(state, one, anchor), *after], name="step")
    longest = recurrent.longest if recurrent else None
    return RecurrentNetwork(trunk, dense_head, stepper, whole, longest)


def _top(config: NetworkConfig, n_raw: int, head: Any, init: Any, seed: int) -> Callable[..., Any]:
    """Return what follows the recurrent layers: ``(state or None, features, anchor inputs) → output``."""
    layers = keras.layers
    join, skip = layers.Concatenate(name="join"), layers.Concatenate(name="skip")
    drop = make_dropout(config.dropout, seed, "dropout") if config.dropout else None
    dense = dense_layers(config, init)
    # The output reads the dense layers and, by a linear skip, the features themselves.
    out = layers.Dense(n_raw, config.output_activation, kernel_initializer="zeros", name="correction")

    def top(state: Any, features: Any, anchor: Any) -> Any:
        joined = join([state, features]) if state is not None else features
        if drop is not None:
            joined = drop(joined)
        for layer in dense:
            joined = layer(joined)
        if dense:
            joined = skip([joined, features])
        return head([out(joined), anchor])

    return top


def dense_layers(config: NetworkConfig, init: Any) -> list[Any]:
    """Return the dense layers between the recurrent state and the output."""
    return [
        keras.layers.Dense(
            width,
            config.dense_activation,
            kernel_initializer=init("kernel"),
            name=f"dense_{k}" if k else "dense",
        )
        for k, width in enumerate(config.dense_widths)
    ]
