"""Recurrent networks as Keras models, in two views of the same weights: whole sequences, and one step."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from foretell.errors import ParameterError
from foretell.nn.backend import keras
from foretell.nn.knobs import Dropout

CELLS = {
    "lstm": keras.layers.LSTMCell,
    "gru": keras.layers.GRUCell,
    "rnn": keras.layers.SimpleRNNCell,
}


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """The shape of a recurrent network.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}
        Recurrent cell.
    layers : int
        Recurrent layers; those above the first are residual.
    units : int
        Width of a recurrent layer.
    dense : int
        Width of the dense layer between the recurrent state and the output; 0 leaves it out.
    dense_activation : str
        Any Keras activation by name.
    dropout : float
        Dropped fraction of the dense layer's inputs while training.
    components : int
        Lognormal components K of the gap mixture (rhythms).
    """

    cell: str = "lstm"
    layers: int = 1
    units: int = 32
    dense: int = 32
    dense_activation: str = "tanh"
    dropout: float = 0.0
    components: int = 3

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise ParameterError(f"cell={self.cell!r} is unknown; expected one of {sorted(CELLS)}")
        for name, low, high in [
            ("layers", 0, 8),
            ("units", 1, 4096),
            ("dense", 0, 65536),
            ("components", 0, 32),
        ]:
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise ParameterError(f"{name}={value!r}; expected a whole number from {low} to {high}")
        if not 0.0 <= self.dropout < 1.0:
            raise ParameterError(
                f"dropout={self.dropout!r}; expected a number from 0 up to, not including, 1"
            )

    @property
    def program(self) -> NetworkConfig:
        """What compiled programs depend on: a dropped fraction, other than 0, is their input."""
        return dataclasses.replace(self, dropout=0.5) if self.dropout else self


@dataclasses.dataclass(frozen=True)
class RecurrentNetwork:
    """Three Keras models on one set of weights.

    Attributes
    ----------
    trunk : keras.Model or None
        ``features (B, L, F) → states (B, L, H)``: the recurrent layers; None where there are none.
    head : keras.Model
        ``[states (N, H), features (N, F), anchor inputs (N, A)] → output (N, P)``.
    stepper : keras.Model
        ``[features (B, F), anchor inputs (B, A), *memory] → [output (B, P), *memory]``: one step of both.
    """

    trunk: Any
    head: Any
    stepper: Any

    @property
    def variables(self) -> list[Any]:
        """Trainable variables, those of the trunk first."""
        return [*(self.trunk.trainable_variables if self.trunk else []), *self.head.trainable_variables]

    def sequence(self, weights: list[Any], features: Any) -> Any:
        """Run the recurrent layers over whole sequences; without any, the states have width 0."""
        if self.trunk is None:
            return features[..., :0]
        fixed = [variable.value for variable in self.trunk.non_trainable_variables]
        count = len(self.trunk.trainable_variables)
        return self.trunk.stateless_call(weights[:count], fixed, features, training=False)[0]

    def output(self, weights: list[Any], states: Any, features: Any, anchor: Any, noise: Any = None) -> Any:
        """Run the dense layers and the head on states and features, shapes (N, …).

        ``noise`` (two random uint32) is the state of the dropout's generator; without it nothing is dropped.
        """
        fixed = [variable.value for variable in self.head.non_trainable_variables]
        if noise is not None:
            fixed = [noise for _ in fixed]  # the generator's state is all that is not trained
        count = len(self.head.trainable_variables)
        inputs = [states, features, anchor] if self.trunk is not None else [features, anchor]
        return self.head.stateless_call(weights[-count:], fixed, inputs, training=noise is not None)[0]

    def step(
        self, weights: list[Any], features: Any, anchor: Any, memory: Sequence[Any]
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
    """Build recurrent layers, a dense layer, and a linear output that starts at zero.

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
    seeds = keras.random.SeedGenerator(seed)

    def init(kind: str) -> Any:
        spread = {"kernel": keras.initializers.GlorotUniform, "recurrent": keras.initializers.Orthogonal}
        return spread[kind](seed=int(keras.random.randint((), 0, 2**31 - 1, seed=seeds)))

    cells = [
        CELLS[config.cell](
            config.units,
            kernel_initializer=init("kernel"),
            recurrent_initializer=init("recurrent"),
            name=f"{config.cell}_{i}",
        )
        for i in range(config.layers)
    ]
    layers = [
        keras.layers.RNN(cell, return_sequences=True, name=f"recurrent_{i}") for i, cell in enumerate(cells)
    ]
    join, skip = keras.layers.Concatenate(name="join"), keras.layers.Concatenate(name="skip")
    drop = Dropout(config.dropout, seed=seed, name="dropout") if config.dropout else None
    dense = (
        keras.layers.Dense(
            config.dense, config.dense_activation, kernel_initializer=init("kernel"), name="dense"
        )
        if config.dense
        else None
    )
    # The output reads the dense layer and, by a linear skip, the features themselves.
    out = keras.layers.Dense(n_raw, kernel_initializer="zeros", name="correction")

    def head_of(state: Any, features: Any, anchor: Any) -> Any:
        joined = join([state, features]) if state is not None else features
        if drop is not None:
            joined = drop(joined)
        if dense is not None:
            joined = skip([dense(joined), features])
        return head([out(joined), anchor])

    trunk = None
    if layers:
        features = keras.Input((None, n_features), name="features")
        trunk = keras.Model(features, _stack(layers, features), name="recurrent")

    one = keras.Input((n_features,), name="features")
    one_anchor = keras.Input((n_anchor,), name="anchor_state")
    given = keras.Input((config.units,), name="state") if cells else None
    inputs = [one, one_anchor] if given is None else [given, one, one_anchor]
    dense_head = keras.Model(inputs, head_of(given, one, one_anchor), name="head")

    before = [[keras.Input((width,)) for width in state_sizes(cell)] for cell in cells]
    after: list[Any] = []
    state = None
    for cell, memory in zip(cells, before, strict=True):
        fresh, new = cell(one if state is None else state, memory)
        state = fresh if state is None else keras.layers.Add()([state, fresh])
        after += list(new)
    flat_before = [tensor for memory in before for tensor in memory]
    outputs = [head_of(state, one, one_anchor), *after]
    stepper = keras.Model([one, one_anchor, *flat_before], outputs, name="step")
    return RecurrentNetwork(trunk, dense_head, stepper)


def _stack(layers: list[Any], features: Any) -> Any:
    state = layers[0](features)
    for layer in layers[1:]:
        state = keras.layers.Add()([state, layer(state)])
    return state


def state_sizes(cell: Any) -> list[int]:
    """Return the width of each part of a cell's memory."""
    sizes = cell.state_size
    return [int(size) for size in (sizes if isinstance(sizes, (list, tuple)) else [sizes])]
