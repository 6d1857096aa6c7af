"""Networks of the named cells as formulas: a step is the same in numpy and in compiled programs.

Of Keras' own cells the formulas are Keras'; of the others they are what the Keras layers in
`foretell.nn.cells` run, too. A user's own cell or network has none.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from foretell.core import FloatArray
from foretell.nn.arrays import ACTIVATIONS, Array, log_sigmoid, namespace, product, sigmoid
from foretell.nn.backend import jax, jnp
from foretell.nn.settings import NetworkConfig

Shape: TypeAlias = tuple[int, ...]
Shapes: TypeAlias = dict[str, Shape]
Parts: TypeAlias = Mapping[str, Array]
"""Weights of a layer by Keras' names."""
Step: TypeAlias = tuple[Array, list[Array]]
"""Output and memory after a step."""
Activation: TypeAlias = Callable[[Array], Array]


def glorot_uniform(seed: int, shape: Shape) -> FloatArray:
    """Return numbers between ±√(6 / (n_in + n_out)) (Glorot & Bengio 2010)."""
    limit = np.sqrt(6.0 / (shape[-2] + shape[-1]))
    return np.random.default_rng(seed).uniform(-limit, limit, shape)


def orthogonal(seed: int, shape: Shape) -> FloatArray:
    """Return orthonormal rows, or columns where they are fewer (Saxe, McClelland & Ganguli 2013)."""
    tall = (max(shape), min(shape))
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=tall))
    drawn: FloatArray = q * np.sign(np.diag(r))
    return drawn if tall == tuple(shape) else drawn.T


class PlainWeight(NamedTuple):
    """A trainable weight: its name in its layer, its name in the network, its shape."""

    name: str
    path: str
    shape: Shape


def _gate_sums(parts: Parts, inputs: Array, h: Array) -> list[Array]:
    """Return W x + R h + b of the gates of an LSTM, in Keras' order: input, forget, candidate, output."""
    sums = product(inputs, parts["kernel"]) + product(h, parts["recurrent_kernel"]) + parts["bias"]
    gates: list[Array] = namespace(sums).split(sums, 4, axis=-1)
    return gates


def lstm(parts: Parts, inputs: Array, memory: Sequence[Array], act: Activation, gate: Activation) -> Step:
    """Return h, and [h, c], of Keras' LSTM."""
    h, c = memory
    s_i, s_f, s_z, s_o = _gate_sums(parts, inputs, h)
    c = gate(s_f) * c + gate(s_i) * act(s_z)
    h = gate(s_o) * act(c)
    return h, [h, c]


def gru(parts: Parts, inputs: Array, memory: Sequence[Array], act: Activation, gate: Activation) -> Step:
    """Return h, and [h], of Keras' GRU."""
    (h,) = memory
    xp = namespace(inputs)
    x_z, x_r, x_h = xp.split(product(inputs, parts["kernel"]) + parts["bias"][0], 3, axis=-1)
    h_z, h_r, h_h = xp.split(product(h, parts["recurrent_kernel"]) + parts["bias"][1], 3, axis=-1)
    z = gate(x_z + h_z)
    h = z * h + (1.0 - z) * act(x_h + gate(x_r + h_r) * h_h)
    return h, [h]


def rnn(parts: Parts, inputs: Array, memory: Sequence[Array], act: Activation, gate: Activation) -> Step:
    """Return h, and [h], of Keras' simple RNN."""
    del gate
    (h,) = memory
    h = act(product(inputs, parts["kernel"]) + parts["bias"] + product(h, parts["recurrent_kernel"]))
    return h, [h]


def peephole(
    parts: Parts,
    inputs: Array,
    memory: Sequence[Array],
    act: Activation,
    gate: Activation,
    from_below: Array | float = 0.0,
) -> Step:
    """Return h, and [h, c], of an LSTM whose gates see the memory."""
    h, before = memory
    s_i, s_f, s_z, s_o = _gate_sums(parts, inputs, h)
    p_i, p_f, p_o = (parts["peephole"][k] for k in range(3))
    i, f = gate(s_i + p_i * before), gate(s_f + p_f * before)
    c = f * before + i * act(s_z) + from_below
    h = gate(s_o + p_o * c) * act(c)
    return h, [h, c]


def depth_gated(
    parts: Parts, inputs: Array, memory: Sequence[Array], act: Activation, gate: Activation
) -> Step:
    """Return [h, c] as one array, and [h, c], of a peephole LSTM with a gate from the memory below.

    The memory of the layer below comes as the last columns of the inputs.
    """
    before, from_below = memory[1], 0.0
    if "depth_kernel" in parts:
        units = before.shape[-1]
        inputs, below = inputs[..., :-units], inputs[..., -units:]
        w_c, w_b = parts["depth_links"][0], parts["depth_links"][1]
        sums = product(inputs, parts["depth_kernel"]) + w_c * before + w_b * below + parts["depth_bias"]
        from_below = gate(sums) * below
    _, after = peephole(parts, inputs, memory, act, gate, from_below)
    return namespace(before).concatenate(after, axis=-1), after


PERIODS: Final = (1, 2, 4, 8)


def unit_periods(units: int, periods: Sequence[int] = PERIODS) -> np.ndarray:
    """Return the period of each unit of a clockwork, fast ones first, as float32."""
    n_modules = min(len(periods), units)
    return np.array([periods[k * n_modules // units] for k in range(units)], dtype=np.float32)


def clockwork(parts: Parts, inputs: Array, memory: Sequence[Array], act: Activation, period: Array) -> Step:
    """Return h, and [h, t], of a simple RNN of which those units are updated whose period divides t.

    The memory is what is read of h, which dropout may have thinned out, and [h, t].
    """
    read, before, t = memory
    xp = namespace(inputs)
    reads = (period[:, None] >= period).astype(period.dtype)  # from (row), to (column)
    h = act(
        product(inputs, parts["kernel"]) + product(read, parts["recurrent_kernel"] * reads) + parts["bias"]
    )
    h = xp.where(xp.floor(t / period) * period == t, h, before)
    return h, [h, t + 1.0]


def _clockwork(
    parts: Parts, inputs: Array, memory: Sequence[Array], act: Activation, gate: Activation
) -> Step:
    del gate
    return clockwork(parts, inputs, [memory[0], *memory], act, unit_periods(memory[0].shape[-1]))


def slstm(parts: Parts, inputs: Array, memory: Sequence[Array], act: Activation, gate: Activation) -> Step:
    """Return h, and [h, c, n, m], of an LSTM with exponential gates."""
    h, c, n, m = memory
    log_i, s_f, s_z, s_o = _gate_sums(parts, inputs, h)
    xp = namespace(inputs)
    log_f = log_sigmoid(s_f) + m
    m = xp.where(n == 0.0, log_i, xp.maximum(log_f, log_i))
    i = xp.exp(log_i - m)
    f = xp.exp(xp.where(n == 0.0, -1.0, log_f - m))  # at the first step it multiplies zeros
    c = f * c + i * act(s_z)
    n = f * n + i
    h = gate(s_o) * c / n
    return h, [h, c, n, m]


def minlstm_gates(parts: Parts, inputs: Array) -> tuple[Array, Array]:
    """Return the kept share of the memory, and what is added to it: (..., features) → (..., units)."""
    sums = product(inputs, parts["kernel"]) + parts["bias"]
    f, i, candidate = namespace(sums).split(sums, 3, axis=-1)
    odds = log_sigmoid(f) - log_sigmoid(i)  # f / (f + i) = sigmoid(log f − log i)
    return sigmoid(odds), sigmoid(-odds) * candidate


def minlstm(parts: Parts, inputs: Array, memory: Sequence[Array], *_: Activation) -> Step:
    """Return h, and [h], of an LSTM whose gates read the input alone."""
    keep, add = minlstm_gates(parts, inputs)
    h = keep * memory[0] + add
    return h, [h]


class _Cell(NamedTuple):
    """A cell: its step, how many gates its weights hold, and how wide its memory is in units."""

    step: Callable[[Parts, Array, Sequence[Array], Activation, Activation], Step]
    gates: int
    memory: int


_CELLS: Final = {
    "lstm": _Cell(lstm, 4, 2),
    "gru": _Cell(gru, 3, 1),
    "rnn": _Cell(rnn, 1, 1),
    "peephole": _Cell(peephole, 4, 2),
    "depth_gated": _Cell(depth_gated, 4, 2),
    "clockwork": _Cell(_clockwork, 1, 1),
    "slstm": _Cell(slstm, 4, 4),
    "minlstm": _Cell(minlstm, 3, 1),
}


def _shapes(kind: str, inputs: int, units: int, *, linked: bool) -> Shapes:
    """Return the shapes of a layer's weights by Keras' names, in Keras' order."""
    wide = _CELLS[kind].gates * units
    shapes: Shapes = {"kernel": (inputs, wide)}
    if kind != "minlstm":
        shapes["recurrent_kernel"] = (units, wide)
    shapes["bias"] = (2, wide) if kind == "gru" else (wide,)
    if kind in ("peephole", "depth_gated"):
        shapes["peephole"] = (3, units)
    if linked:
        shapes |= {"depth_kernel": (inputs, units), "depth_links": (2, units), "depth_bias": (units,)}
    return shapes


@dataclasses.dataclass(frozen=True)
class PlainNetwork:
    """Recurrent layers, dense layers and a head, by formulas.

    Parameters
    ----------
    config : NetworkConfig
        One that `of` takes.
    n_features : int
        Of one step.
    n_raw : int
        Outputs of the network, the corrections to the head's anchor.
    head : tuple of (str, shape)
        The head's weights.
    """

    config: NetworkConfig
    n_features: int
    n_raw: int
    head: tuple[tuple[str, Shape], ...]

    @classmethod
    def of(
        cls, config: NetworkConfig, n_features: int, n_raw: int, head: Sequence[tuple[str, Shape]]
    ) -> PlainNetwork | None:
        """Return the network; None with a cell or an activation that has no formula here."""
        names = (config.activation, config.recurrent_activation, config.dense_activation)
        known = all(name in ACTIVATIONS for name in (*names, config.output_activation))
        plain = isinstance(config.cell, str) and known
        return cls(config, n_features, n_raw, tuple(head)) if plain else None

    @functools.cached_property
    def weights(self) -> list[PlainWeight]:
        """The trainable weights, in the order of those of the Keras models."""
        weights = []
        for layer, shapes in self._layers:
            weights += [PlainWeight(name, f"{layer}/{name}", shape) for name, shape in shapes.items()]
        return weights

    @functools.cached_property
    def _layers(self) -> list[tuple[str, Shapes]]:
        config, kind = self.config, str(self.config.cell)
        layers = []
        width = self.n_features
        for k, units in enumerate(config.widths):
            shapes = _shapes(kind, width, units, linked=kind == "depth_gated" and k > 0)
            layers.append((f"recurrent_{k}/{kind}_{k}", shapes))
            width = units
        width = (width if config.layers else 0) + self.n_features
        for k, units in enumerate(config.dense_widths):
            layers.append((f"dense_{k}" if k else "dense", {"kernel": (width, units), "bias": (units,)}))
            width = units
        width += self.n_features if config.dense_widths else 0
        layers.append(("correction", {"kernel": (width, self.n_raw), "bias": (self.n_raw,)}))
        return [*layers, ("anchor", dict(self.head))]

    @property
    def memory_widths(self) -> list[int]:
        """Width of each part of the recurrent memory."""
        kind = str(self.config.cell)
        return [
            width
            for units in self.config.widths
            for width in ([units, 1] if kind == "clockwork" else [units] * _CELLS[kind].memory)
        ]

    @property
    def trains(self) -> bool:
        """Whether it is trained by these formulas: dropout and a parallel scan are Keras' layers."""
        config = self.config
        return not config.dropout and not config.recurrent_dropout and config.cell != "minlstm"

    @property
    def longest(self) -> None:
        """It reads sequences of any length."""
        return

    def initial(self, seed: int) -> list[npt.NDArray[np.float32]]:
        """Return what the Keras models' weights are at first; those of the head are 0."""
        seeds = np.random.default_rng(seed)
        weights: list[npt.NDArray[np.float32]] = []
        for layer, shapes in self._layers:
            recurrent = layer.startswith("recurrent")
            n_drawn = 2 if recurrent else int(layer.startswith("dense"))
            drawn = [int(seeds.integers(2**31 - 1)) for _ in range(n_drawn)]
            for name, shape in shapes.items():
                values = np.zeros(shape)
                if drawn and name in ("kernel", "depth_kernel"):
                    values = glorot_uniform(drawn[0], shape)
                elif name == "recurrent_kernel":
                    values = orthogonal(drawn[1], shape)
                elif recurrent and name == "bias":
                    values[..., self._remembering(shape[-1])] = 1.0
                weights.append(values.astype(np.float32))
        return weights

    def _remembering(self, width: int) -> slice:
        """Return the places of a bias that start at 1: those of a forget gate."""
        kind, units = str(self.config.cell), width // _CELLS[str(self.config.cell)].gates
        if kind == "minlstm":
            return slice(0, units)
        return slice(units, 2 * units) if _CELLS[kind].gates == 4 else slice(0)

    def sequence(self, weights: Sequence[Array], features: Array, noise: Array | None = None) -> Array:
        """Run the recurrent layers over whole sequences, (batch, steps, …); without any, of width 0."""
        del noise
        if not self.config.layers:
            return features[..., :0]
        layers = list(self._parts(weights))

        def step(memory: list[Array], inputs: Array) -> tuple[list[Array], Array]:
            state, after = self._climb(iter(layers), inputs, memory)
            return after, state

        blank = [jnp.zeros((features.shape[0], width), features.dtype) for width in self.memory_widths]
        states: Array = jax.lax.scan(step, blank, jnp.moveaxis(features, 1, 0))[1]
        return jnp.moveaxis(states, 0, 1)

    def corrections(
        self, weights: Sequence[Array], states: Array, features: Array
    ) -> tuple[Array, list[Array]]:
        """Return the corrections, and the head's weights, from states and features, shapes (N, …)."""
        return self._top(itertools.islice(self._parts(weights), self.config.layers, None), states, features)

    def step(
        self, weights: Sequence[Array], features: Array, memory: Sequence[Array]
    ) -> tuple[Array, list[Array], list[Array]]:
        """Return the corrections after one step, the head's weights, and the memory: (batch, …) each."""
        layers = self._parts(weights)
        state, after = self._climb(layers, features, memory)
        return *self._top(layers, state, features), after

    def _climb(
        self, layers: Iterator[Parts], features: Array, memory: Sequence[Array]
    ) -> tuple[Array, list[Array]]:
        """Run one step of the recurrent layers; return the top one's state, and the memory."""
        config, cell, left = self.config, _CELLS[str(self.config.cell)], list(memory)
        act = ACTIVATIONS[config.activation or "tanh"]
        gate = ACTIVATIONS[config.recurrent_activation or "sigmoid"]
        state, from_below = features, None
        after: list[Array] = []
        for k, units in enumerate(config.widths):
            n_parts = 2 if config.cell == "clockwork" else cell.memory
            read = state
            if from_below is not None:
                read = namespace(state).concatenate([state, from_below], axis=-1)
            output, new = cell.step(next(layers), read, left[:n_parts], act, gate)
            del left[:n_parts]
            after += new
            if config.cell == "depth_gated":
                output, from_below = output[..., :units], output[..., units:]
            state = state + output if k and units == config.widths[k - 1] else output
        return state, after

    def _top(self, layers: Iterator[Parts], state: Array, features: Array) -> tuple[Array, list[Array]]:
        """Run the dense layers; return the corrections, and the head's weights."""
        xp, config = namespace(features), self.config
        joined = xp.concatenate([state, features], axis=-1) if config.layers else features
        for _ in config.dense_widths:
            parts = next(layers)
            joined = ACTIVATIONS[config.dense_activation](product(joined, parts["kernel"]) + parts["bias"])
        if config.dense_widths:
            joined = xp.concatenate([joined, features], axis=-1)
        parts = next(layers)
        raw = ACTIVATIONS[config.output_activation](product(joined, parts["kernel"]) + parts["bias"])
        return raw, list(next(layers).values())

    def _parts(self, weights: Sequence[Array]) -> Iterator[Parts]:
        """Give the weights of each layer by name."""
        given = iter(weights)
        for _, shapes in self._layers:
            yield {name: next(given) for name in shapes}
