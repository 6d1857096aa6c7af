"""Recurrent layers one above the other: over whole sequences, and one step at a time, by the same weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from foretell.errors import ParameterError
from foretell.nn.backend import keras
from foretell.nn.cells import CELLS, SETTINGS, DepthGatedLSTMCell, over_sequences, state_sizes, state_width
from foretell.nn.custom import CausalRun, CausalStep, OwnNetwork, check_causal, is_cell
from foretell.nn.settings import NetworkConfig

Tensor = Any

Initializers = Callable[[str], Any]
"""``"kernel"`` or ``"recurrent"`` → an initializer with a seed of its own."""


class Recurrent(Protocol):
    """The recurrent part of a network, in two views.

    Attributes
    ----------
    width : int
        Of a state.
    memory : list of int
        Width of each part of what a step needs of the past.
    longest : int or None
        Steps that it can read as one sequence, where there is a limit.
    """

    @property
    def width(self) -> int:
        """Of a state."""

    @property
    def memory(self) -> list[int]:
        """Widths of the parts of the memory."""

    @property
    def longest(self) -> int | None:
        """Steps of one sequence at the most, or None."""

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

    cells: tuple[Any, ...]
    layers: tuple[Any, ...]
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
            given = state if from_below is None else keras.layers.Concatenate()([state, from_below])
            output = run(k, given)
            if isinstance(cell, DepthGatedLSTMCell):
                output, from_below = output[..., : cell.units], output[..., cell.units :]
            residual = k > 0 and state_width(cell) == state_width(self.cells[k - 1])
            state = keras.layers.Add()([state, output]) if residual else output
        return state


@dataclasses.dataclass(frozen=True)
class Trunk:
    """A causal model that a user brought; its memory is the features of the last events."""

    run: Any
    one: Any
    n_features: int

    @property
    def longest(self) -> int:
        """The largest power of two that it holds: padded lengths of sequences are powers of two."""
        return 1 << (int(self.run.steps).bit_length() - 1)

    @property
    def width(self) -> int:
        """Of a state."""
        return int(self.run.width)

    @property
    def memory(self) -> list[int]:
        """Width of the kept features, and of their number."""
        return [int(self.run.steps) * self.n_features, 1]

    def over(self, sequence: Tensor) -> Tensor:
        """Return all states."""
        return self.run(sequence)

    def step(self, inputs: Tensor, memory: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the state after one more event, and the memory."""
        state, *after = self.one([inputs, *memory])
        return state, after


def make_cell(config: NetworkConfig, layer: int, init: Initializers, name: str | None = None) -> Any:
    """Return the cell of a layer, with initial weights of its own."""
    if isinstance(config.cell, OwnNetwork):
        own = config.cell.build(init("kernel").seed)
        if not is_cell(own):
            raise ParameterError(
                f"cell={type(own).__name__}; expected a recurrent cell: a whole network cannot write a "
                "horizon step by step, take method='direct'"
            )
        return own
    settings: dict[str, Any] = {
        setting: getattr(config, setting) for setting in SETTINGS[config.cell] if getattr(config, setting)
    }
    if config.cell == "depth_gated":
        settings["linked"] = layer > 0
    return CELLS[config.cell](
        config.widths[layer],
        kernel_initializer=init("kernel"),
        recurrent_initializer=init("recurrent"),
        name=name,
        **settings,
    )


def make_recurrent(
    config: NetworkConfig, n_features: int, init: Initializers, name: str = "recurrent"
) -> Recurrent | None:
    """Build the recurrent part of a network; None where it has no layers.

    Parameters
    ----------
    config : NetworkConfig
    n_features : int
        Of one step.
    init : callable
    name : str
        Layers are called ``name_0``, ``name_1`` ….
    """
    if isinstance(config.cell, OwnNetwork):
        own = config.cell.build(init("kernel").seed)
        if not is_cell(own):
            steps = check_causal(own, n_features)
            return Trunk(CausalRun(own, steps, name=name), CausalStep(own, steps), n_features)
        check_cell(own, n_features)
    if not config.layers:
        return None
    kind = config.cell if isinstance(config.cell, str) else "cell"
    cells = tuple(make_cell(config, k, init, f"{kind}_{k}") for k in range(config.layers))
    return Stack(cells, tuple(over_sequences(cell, f"{name}_{k}") for k, cell in enumerate(cells)))


def check_cell(cell: Any, n_features: int) -> None:
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
    found = [tuple(part.shape) for part in (after if isinstance(after, (list, tuple)) else [after])]
    if found != [(2, size) for size in sizes] or tuple(state.shape) != (2, state_width(cell)):
        raise ParameterError(
            f"one step of {type(cell).__name__} on a batch of 2 gave a state {tuple(state.shape)} and a "
            f"memory {found}; expected {expected}, as its state_size says"
        )
