"""Recurrent cells by name: Keras' own, their historical variants, and their modern descendants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from foretell.nn import plain
from foretell.nn.backend import Cell, Config, Layer, Tensor, jnp, keras, register

ops = keras.ops
Step: TypeAlias = tuple[Tensor, list[Tensor]]
"""Output and memory after a step."""


class _LSTMVariant(keras.layers.LSTMCell):  # type: ignore[misc]
    """What variants of the LSTM share with Keras' cell: weights, activations, settings."""

    def __init__(self, units: int, **kwargs: object) -> None:
        super().__init__(units, **kwargs)
        self.dropout_mask_count = None  # one mask for all gates

    def _dropped(self, inputs: Tensor, h: Tensor, *, training: bool) -> tuple[Tensor, Tensor]:
        """Return inputs and state with what recurrent dropout leaves of them."""
        if training and self.dropout:
            inputs = inputs * self.get_dropout_mask(inputs)
        if training and self.recurrent_dropout:
            h = h * self.get_recurrent_dropout_mask(h)
        return inputs, h


def parts_of(layer: keras.layers.Layer) -> plain.Parts:
    """Return a layer's weights by name, as the formulas take them."""
    return {"bias": 0.0} | {weight.name: jnp.asarray(weight.value) for weight in layer.trainable_variables}


@register
class PeepholeLSTMCell(_LSTMVariant):
    """LSTM whose gates see the memory itself (Gers & Schmidhuber 2000, "Recurrent nets that time and count").

    With one weight p for each unit and gate, σ the recurrent activation and φ the activation::

        i = σ(W_i x + R_i h' + p_i ⊙ c' + b_i)
        f = σ(W_f x + R_f h' + p_f ⊙ c' + b_f)
        c = f ⊙ c' + i ⊙ φ(W_z x + R_z h' + b_z)
        o = σ(W_o x + R_o h' + p_o ⊙ c + b_o)
        h = o ⊙ φ(c)

    The peepholes start at zero: an LSTM before training. Settings are those of `keras.layers.LSTMCell`.

    Parameters
    ----------
    units : int

    Examples
    --------
    >>> import numpy as np
    >>> layer = keras.layers.RNN(PeepholeLSTMCell(4))
    >>> layer(np.zeros((2, 5, 3))).shape
    (2, 4)
    """

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Create the weights."""
        super().build(input_shape)
        self.peephole = self.add_weight(shape=(3, self.units), initializer="zeros", name="peephole")

    def call(self, inputs: Tensor, states: Sequence[Tensor], training: bool = False) -> Step:  # noqa: FBT001, FBT002
        """Return h, and [h, c]."""
        inputs, h = self._dropped(inputs, states[0], training=training)
        memory = [h, states[1]]
        return plain.peephole(parts_of(self), inputs, memory, self.activation, self.recurrent_activation)


@register
class DepthGatedLSTMCell(PeepholeLSTMCell):
    """LSTM with a gate from the memory of the layer below to its own (Yao et al. 2015, "Depth-gated LSTM").

    A peephole LSTM whose memory takes in the memory c₋ of the layer below, at the same step, through a gate::

        d = σ(W_d x + w_c ⊙ c' + w_b ⊙ c₋ + b_d)
        c = d ⊙ c₋ + f ⊙ c' + i ⊙ φ(W_z x + R_z h' + b_z)

    What the cell gives is [h, c], so that the layer above can read both.

    Parameters
    ----------
    units : int
    linked : bool
        There is a layer below: its memory comes as the last ``units`` columns of the inputs.
    """

    def __init__(self, units: int, linked: bool = False, **kwargs: object) -> None:  # noqa: FBT001, FBT002
        super().__init__(units, **kwargs)
        self.linked = linked
        self.output_size = 2 * units

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Create the weights."""
        width = input_shape[-1] - (self.units if self.linked else 0)
        super().build((*input_shape[:-1], width))
        if self.linked:
            self.depth_kernel = self.add_weight(
                shape=(width, self.units), initializer=self.kernel_initializer, name="depth_kernel"
            )
            self.depth_links = self.add_weight(shape=(2, self.units), initializer="zeros", name="depth_links")
            self.depth_bias = self.add_weight(shape=(self.units,), initializer="zeros", name="depth_bias")

    def call(self, inputs: Tensor, states: Sequence[Tensor], training: bool = False) -> Step:  # noqa: FBT001, FBT002
        """Return [h, c] as one array, and [h, c]."""
        below = inputs[..., inputs.shape[-1] - self.units * self.linked :]
        inputs, h = self._dropped(
            inputs[..., : inputs.shape[-1] - below.shape[-1]], states[0], training=training
        )
        inputs, memory = jnp.concatenate([inputs, below], axis=-1), [h, states[1]]
        return plain.depth_gated(parts_of(self), inputs, memory, self.activation, self.recurrent_activation)

    def get_config(self) -> Config:
        """Return what rebuilds the cell."""
        return {**super().get_config(), "linked": self.linked}


@register
class ClockworkRNNCell(keras.layers.SimpleRNNCell):  # type: ignore[misc]
    """Simple RNN in modules that run at different speeds (Koutník et al. 2014, "A clockwork RNN").

    The units are split into modules of about one size; module g is updated at the steps t = 0, 1, … that its
    period T_g divides, and otherwise keeps its value. A module reads itself and the slower ones::

        h_g = φ(W_g x + Σ_{T_k ≥ T_g} R_gk h'_k + b_g)   if t mod T_g = 0,  else h'_g

    The memory is [h, t].

    Parameters
    ----------
    units : int
    periods : sequence of int
        Of the modules; those for which there is no unit are left out.
    """

    def __init__(self, units: int, periods: Sequence[int] = (1, 2, 4, 8), **kwargs: object) -> None:
        super().__init__(units, **kwargs)
        self.periods = tuple(sorted(periods))
        self.state_size = [units, 1]

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Create the weights."""
        super().build(input_shape)
        self.period = plain.unit_periods(self.units, self.periods)

    def call(self, inputs: Tensor, states: Sequence[Tensor], training: bool = False) -> Step:  # noqa: FBT001, FBT002
        """Return h, and [h, t]."""
        if training and self.dropout:
            inputs = inputs * self.get_dropout_mask(inputs)
        read = states[0]
        if training and self.recurrent_dropout:
            read = read * self.get_recurrent_dropout_mask(read)
        return plain.clockwork(parts_of(self), inputs, [read, *states], self.activation, self.period)

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        """Return the memory before the first step."""
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in self.state_size]

    def get_config(self) -> Config:
        """Return what rebuilds the cell."""
        return {**super().get_config(), "periods": list(self.periods)}


@register
class SLSTMCell(_LSTMVariant):
    """sLSTM: exponential gates, a normaliser and a stabiliser (Beck et al. 2024, "xLSTM", equations 8 to 17).

    With the sums z̃, ĩ, f̃, õ of the LSTM::

        i = exp(ĩ),  f = sigmoid(f̃),  o = σ(õ)
        c = f c' + i φ(z̃)
        n = f n' + i
        h = o ⊙ c / n

    so that a gate can overrule all that was stored. The stabiliser m = max(log f + m', ĩ) is subtracted from
    both exponents, which changes nothing of h and keeps all numbers finite. The memory is [h, c, n, m]; at
    the first step, where n is 0, there is nothing to compare with and m is ĩ.

    Parameters
    ----------
    units : int
    """

    def __init__(self, units: int, **kwargs: object) -> None:
        super().__init__(units, **kwargs)
        self.state_size = [units] * 4

    def call(self, inputs: Tensor, states: Sequence[Tensor], training: bool = False) -> Step:  # noqa: FBT001, FBT002
        """Return h, and [h, c, n, m]."""
        inputs, h = self._dropped(inputs, states[0], training=training)
        memory = [h, *states[1:]]
        return plain.slstm(parts_of(self), inputs, memory, self.activation, self.recurrent_activation)


@register
class MinLSTMCell(keras.layers.Layer):  # type: ignore[misc]
    """LSTM whose gates read the input alone (Feng et al. 2024, "Were RNNs all we needed?").

    ::

        f = sigmoid(W_f x + b_f),  i = sigmoid(W_i x + b_i)
        h = f / (f + i) ⊙ h' + i / (f + i) ⊙ (W_h x + b_h)

    Nothing but h itself depends on h', so that a whole sequence is one parallel scan: see `MinLSTM`.

    Parameters
    ----------
    units : int
    kernel_initializer, recurrent_initializer : initializers
        There are no recurrent weights: the second is kept so that all cells take the same arguments.
    """

    def __init__(
        self,
        units: int,
        kernel_initializer: object = "glorot_uniform",
        recurrent_initializer: object = "orthogonal",
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.units = self.state_size = self.output_size = units
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Create the weights; the forget gate's bias starts at one."""
        self.kernel = self.add_weight(
            shape=(input_shape[-1], 3 * self.units), initializer=self.kernel_initializer, name="kernel"
        )
        start = [1.0] * self.units + [0.0] * (2 * self.units)
        self.bias = self.add_weight(
            shape=(3 * self.units,), initializer=lambda *_, **__: ops.convert_to_tensor(start), name="bias"
        )

    def gates(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the kept share of the memory, and what is added to it: (..., features) → (..., units)."""
        return plain.minlstm_gates(parts_of(self), inputs)

    def call(self, inputs: Tensor, states: Tensor | list[Tensor] | tuple[Tensor, ...]) -> Step:
        """Return h, and [h]."""
        memory = states if isinstance(states, (list, tuple)) else [states]
        return plain.minlstm(parts_of(self), inputs, memory)

    def get_config(self) -> Config:
        """Return what rebuilds the cell."""
        named = ("kernel_initializer", "recurrent_initializer")
        kept = {name: keras.initializers.serialize(getattr(self, name)) for name in named}
        return {**super().get_config(), "units": self.units, **kept}


@register
class MinLSTM(keras.layers.RNN):  # type: ignore[misc]
    """A layer of minLSTM over whole sequences, by a parallel associative scan.

    A step maps h to a ⊙ h + b; two steps after one another are such a map again, (a₁ a₂, a₂ b₁ + b₂), so that
    all L states take a depth of log₂ L instead of L steps.

    Parameters
    ----------
    cell : MinLSTMCell
    """

    def call(
        self,
        sequences: Tensor,
        initial_state: Tensor | list[Tensor] | tuple[Tensor, ...] | None = None,
        mask: Tensor | None = None,
        training: bool = False,  # noqa: FBT001, FBT002
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Return what `keras.layers.RNN` would: (batch, steps, features) → (batch, steps, units)."""
        if mask is not None:
            masked: Tensor = super().call(sequences, initial_state, mask=mask, training=training)
            return masked
        keep, add = self.cell.gates(sequences)  # (batch, steps, units)
        kept, states = ops.associative_scan(_after, (keep, add), axis=1)
        if initial_state is not None:
            start = initial_state[0] if isinstance(initial_state, (list, tuple)) else initial_state
            states = states + kept * start[:, None]
        output = states if self.return_sequences else states[:, -1]
        return (output, states[:, -1]) if self.return_state else output


def _after(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    (keep_1, add_1), (keep_2, add_2) = first, second
    return keep_1 * keep_2, keep_2 * add_1 + add_2


CELLS: Final[dict[str, Callable[..., Cell]]] = {
    "lstm": keras.layers.LSTMCell,
    "gru": keras.layers.GRUCell,
    "rnn": keras.layers.SimpleRNNCell,
    "peephole": PeepholeLSTMCell,
    "depth_gated": DepthGatedLSTMCell,
    "clockwork": ClockworkRNNCell,
    "slstm": SLSTMCell,
    "minlstm": MinLSTMCell,
}


def state_sizes(cell: Cell) -> list[int]:
    """Return the width of each part of a cell's memory.

    Examples
    --------
    >>> state_sizes(SLSTMCell(4)), state_sizes(ClockworkRNNCell(4)), state_sizes(MinLSTMCell(4))
    ([4, 4, 4, 4], [4, 1], [4])
    """
    sizes = cell.state_size
    return [int(size) for size in (sizes if isinstance(sizes, (list, tuple)) else [sizes])]


def free_memory(cell: Cell) -> int:
    """Return how many of the first parts of a memory can start from any values.

    The others, such as a step's number or a normaliser, start from zero.
    """
    fixed = isinstance(cell, (ClockworkRNNCell, SLSTMCell))
    return 1 if fixed else len(state_sizes(cell))


def state_width(cell: Cell) -> int:
    """Return the width of a cell's state, as the layer above sees it."""
    if isinstance(cell, DepthGatedLSTMCell):
        return int(cell.units)
    return int(getattr(cell, "output_size", None) or state_sizes(cell)[0])


def over_sequences(cell: Cell, name: str) -> Layer:
    """Return the Keras layer that runs a cell over whole sequences and gives all steps."""
    layer = MinLSTM if isinstance(cell, MinLSTMCell) else keras.layers.RNN
    made: Layer = layer(cell, return_sequences=True, name=name)
    return made
