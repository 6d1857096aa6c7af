"""Recurrent networks as Keras models, in two views of the same weights: whole sequences, and one step."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from foretell.errors import ParameterError
from foretell.nn.backend import Array, Cell, Layer, Model, Tensor, Variable, Weights, keras, make_model
from foretell.nn.causal import CausalRun, CausalStep, check_causal
from foretell.nn.cells import CELLS, DepthGatedLSTMCell, over_sequences, state_sizes, state_width
from foretell.nn.custom import OwnNetwork, generators, is_cell
from foretell.nn.layers import Initializers, make_dropout
from foretell.nn.settings import CELL_SETTINGS, NetworkConfig


class Recurrent(Protocol):
    """The recurrent part of a network, in two views."""

    @property
    def width(self) -> int:
        """Of a state."""

    @property
    def memory(self) -> list[int]:
        """Width of each part of what a step needs of the past."""

    @property
    def longest(self) -> int | None:
        """Steps that it can read as one sequence, where there is a limit."""

    def over(self, sequence: Tensor) -> Tensor:
        """Return all states of sequences: (batch, steps, features) → (batch, steps, width)."""

    def step(self, inputs: Tensor, memory: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the state after one more step, and the memory: (batch, features) → (batch, width)."""


@dataclasses.dataclass(frozen=True)
class Stack:
    """Layers of cells; a layer's output is added to its input where it lies above the first of its width.

    Attributes
    ----------
    cells : tuple
    layers : tuple
        Each runs one of the cells over whole sequences.
    """

    cells: tuple[Cell, ...]
    layers: tuple[Layer, ...]
    longest: int | None = None

    @property
    def width(self) -> int:
        """Of a state of the top layer."""
        return state_width(self.cells[-1])

    @property
    def memory(self) -> list[int]:
        """Widths of the memories of all layers."""
        return [size for cell in self.cells for size in state_sizes(cell)]

    def over(self, sequence: Tensor) -> Tensor:
        """Return the states of the top layer."""
        return self._climb(sequence, lambda k, inputs: self.layers[k](inputs))

    def step(self, inputs: Tensor, memory: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the state of the top layer, and the memories of all."""
        left = list(memory)
        after: list[Tensor] = []

        def run(k: int, inputs: Tensor) -> Tensor:
            n_parts = len(state_sizes(self.cells[k]))
            output, new = self.cells[k](inputs, left[:n_parts])
            del left[:n_parts]
            after.extend(new if isinstance(new, (list, tuple)) else [new])
            return output

        return self._climb(inputs, run), after

    def _climb(self, inputs: Tensor, run: Callable[[int, Tensor], Tensor]) -> Tensor:
        """Go from layer to layer; ``run(k, inputs)`` runs the k-th."""
        state, from_below = inputs, None
        for k, cell in enumerate(self.cells):
            read = state if from_below is None else keras.layers.Concatenate()([state, from_below])
            output = run(k, read)
            if isinstance(cell, DepthGatedLSTMCell):
                output, from_below = output[..., : cell.units], output[..., cell.units :]
            residual = k > 0 and state_width(cell) == state_width(self.cells[k - 1])
            state = keras.layers.Add()([state, output]) if residual else output
        return state


@dataclasses.dataclass(frozen=True)
class Trunk:
    """A causal model that a user brought; its memory is the features of the last events."""

    run: CausalRun
    one: CausalStep
    n_features: int

    @property
    def longest(self) -> int:
        """The largest power of two that it holds: padded lengths of sequences are powers of two."""
        return 1 << (self.run.steps.bit_length() - 1)

    @property
    def width(self) -> int:
        """Of a state."""
        return self.run.width

    @property
    def memory(self) -> list[int]:
        """Width of the kept features, and of their number."""
        return [self.run.steps * self.n_features, 1]

    def over(self, sequence: Tensor) -> Tensor:
        """Return all states."""
        states: Tensor = self.run(sequence)
        return states

    def step(self, inputs: Tensor, memory: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the state after one more event, and the memory."""
        state, *after = self.one([inputs, *memory])
        return state, after


def make_cell(config: NetworkConfig, layer: int, init: Initializers, name: str | None = None) -> Cell:
    """Return the cell of a layer, with initial weights of its own."""
    if isinstance(config.cell, OwnNetwork):
        own = config.cell.build(init.seed())
        if not is_cell(own):
            raise ParameterError(
                f"cell={type(own).__name__}; expected a recurrent cell: a whole network cannot write a "
                "horizon step by step, take method='direct'"
            )
        return own
    kind = str(config.cell)
    settings = {
        setting: getattr(config, setting) for setting in CELL_SETTINGS[kind] if getattr(config, setting)
    }
    if config.cell == "depth_gated":
        settings["linked"] = layer > 0
    initializers = {"kernel_initializer": init("kernel"), "recurrent_initializer": init("recurrent")}
    return CELLS[kind](config.widths[layer], name=name, **initializers, **settings)


def make_recurrent(
    config: NetworkConfig, n_features: int, init: Initializers, name: str = "recurrent"
) -> Recurrent | None:
    """Build the recurrent part of a network; None where it has no layers.

    Parameters
    ----------
    config : NetworkConfig
    n_features : int
        Of one step.
    init : Initializers
    name : str
        Layers are called ``name_0``, ``name_1`` ….
    """
    if isinstance(config.cell, OwnNetwork):
        own = config.cell.build(init.seed())
        if not is_cell(own):
            model = cast("Model", own)
            steps = check_causal(model, n_features)
            return Trunk(CausalRun(model, steps, name=name), CausalStep(model, steps), n_features)
        check_cell(own, n_features)
    if not config.layers:
        return None
    kind = config.cell if isinstance(config.cell, str) else "cell"
    cells = tuple(make_cell(config, k, init, f"{kind}_{k}") for k in range(config.layers))
    return Stack(cells, tuple(over_sequences(cell, f"{name}_{k}") for k, cell in enumerate(cells)))


def check_cell(cell: Cell, n_features: int) -> None:
    """Refuse a cell of which one step does not fit: ``(inputs, memory) → (state, memory)``."""
    sizes = state_sizes(cell)
    memory = [keras.ops.zeros((2, size)) for size in sizes]
    expected = f"call(inputs, states) to return a state (batch, units) and a memory of widths {sizes}"
    try:
        state, after = cell(keras.ops.zeros((2, n_features)), memory)
    except (TypeError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise ParameterError(
            f"one step of {type(cell).__name__} failed: {first} Expected {expected}"
        ) from error
    shapes = [tuple(part.shape) for part in (after if isinstance(after, (list, tuple)) else [after])]
    if shapes != [(2, size) for size in sizes] or tuple(state.shape) != (2, state_width(cell)):
        raise ParameterError(
            f"one step of {type(cell).__name__} on a batch of 2 gave a state {tuple(state.shape)} and a "
            f"memory {shapes}; expected {expected}, as its state_size says"
        )


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

    trunk: Model | None
    head: Model
    stepper: Model
    join: Callable[[], Model]
    longest: int | None = None

    @functools.cached_property
    def whole(self) -> Model:
        """``[features (B, L, F), anchor inputs (B, L, A)] → output (B, L, P)``: trunk and head as one."""
        return self.join()

    @property
    def variables(self) -> list[Variable]:
        """Trainable variables, those of the trunk first."""
        return [*(self.trunk.trainable_variables if self.trunk else []), *self.head.trainable_variables]

    def sequence(self, weights: Weights, features: Array, noise: Array | None = None) -> Array:
        """Run the recurrent layers over whole sequences; without any, the states have width 0.

        ``noise`` (two random uint32) is what recurrent dropout draws from; without it nothing is dropped.
        """
        if self.trunk is None:
            return features[..., :0]
        fixed, training = generators(self.trunk, noise), noise is not None
        count = len(self.trunk.trainable_variables)
        states: Array = self.trunk.stateless_call(weights[:count], fixed, features, training=training)[0]
        return states

    def output(
        self, weights: Weights, states: Array, features: Array, anchor: Array, noise: Array | None = None
    ) -> Array:
        """Run the dense layers and the head on states and features, shapes (N, …).

        ``noise`` (two random uint32) is the state of the dropout's generator; without it nothing is dropped.
        """
        fixed, training = generators(self.head, noise), noise is not None
        count = len(self.head.trainable_variables)
        inputs = [states, features, anchor] if self.trunk is not None else [features, anchor]
        output: Array = self.head.stateless_call(weights[-count:], fixed, inputs, training=training)[0]
        return output

    def step(
        self, weights: Weights, features: Array, anchor: Array, memory: Sequence[Array]
    ) -> tuple[Array, list[Array]]:
        """Return the output after one event, and the recurrent memory."""
        place = {id(variable): i for i, variable in enumerate(self.variables)}
        ordered = [weights[place[id(variable)]] for variable in self.stepper.trainable_variables]
        fixed = [variable.value for variable in self.stepper.non_trainable_variables]
        outputs = self.stepper.stateless_call(ordered, fixed, [features, anchor, *memory], training=False)[0]
        # Keras hands out a single output bare.
        output, *after = outputs if isinstance(outputs, list) else [outputs]
        return output, after

    @property
    def memory_widths(self) -> list[int]:
        """Width of each part of the recurrent memory."""
        return [int(tensor.shape[-1] or 0) for tensor in self.stepper.inputs[2:]]


def build_network(
    config: NetworkConfig, n_features: int, n_anchor: int, n_raw: int, head: Layer, seed: int
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
    init = Initializers(seed)
    recurrent = make_recurrent(config, n_features, init)
    top = _top(config, n_raw, head, init, seed)

    def inputs(*lead: int | None) -> tuple[Tensor, Tensor]:
        return (
            keras.Input((*lead, n_features), name="features"),
            keras.Input((*lead, n_anchor), name="anchor_state"),
        )

    def whole() -> Model:
        features, anchor = inputs(None)
        states = recurrent.over(features) if recurrent else None
        return make_model([features, anchor], top(states, features, anchor), "network")

    trunk = None
    if recurrent:
        features = keras.Input((None, n_features), name="features")
        trunk = make_model(features, recurrent.over(features), "recurrent")

    one, anchor = inputs()
    before = keras.Input((recurrent.width,), name="state") if recurrent else None
    read = [one, anchor] if before is None else [before, one, anchor]
    dense_head = make_model(read, top(before, one, anchor), "head")

    memory = [keras.Input((width,)) for width in recurrent.memory] if recurrent else []
    state, after = recurrent.step(one, memory) if recurrent else (None, [])
    stepper = make_model([one, anchor, *memory], [top(state, one, anchor), *after], "step")
    return RecurrentNetwork(trunk, dense_head, stepper, whole, recurrent.longest if recurrent else None)


def _top(
    config: NetworkConfig, n_raw: int, head: Layer, init: Initializers, seed: int
) -> Callable[[Tensor | None, Tensor, Tensor], Tensor]:
    """Return what follows the recurrent layers: ``(state or None, features, anchor inputs) → output``."""
    layers = keras.layers
    join, skip = layers.Concatenate(name="join"), layers.Concatenate(name="skip")
    drop = make_dropout(config.dropout, seed, "dropout") if config.dropout else None
    dense = dense_layers(config, init)
    # The output reads the dense layers and, by a linear skip, the features themselves.
    out = layers.Dense(n_raw, config.output_activation, kernel_initializer="zeros", name="correction")

    def top(state: Tensor | None, features: Tensor, anchor: Tensor) -> Tensor:
        joined = join([state, features]) if state is not None else features
        if drop is not None:
            joined = drop(joined)
        for layer in dense:
            joined = layer(joined)
        if dense:
            joined = skip([joined, features])
        return head([out(joined), anchor])

    return top


def dense_layers(config: NetworkConfig, init: Initializers) -> list[Layer]:
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
