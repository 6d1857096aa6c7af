"""Steps of an optimizer whose rates are inputs of the compiled program."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from foretell.nn.backend import Array, KerasOptimizer, Weight, Weights, jnp, keras

if TYPE_CHECKING:
    from foretell.nn.settings import TrainConfig


class Hyperparameters(NamedTuple):
    """What may differ between trainings that run one program, float32 scalars.

    Attributes
    ----------
    learning_rate : scalar
        At the first step; it falls to zero by a cosine.
    weight_decay : scalar
    dropout : scalar
        Dropped fraction, in networks that have a dropout at all.
    steps : scalar
        Steps over which the learning rate falls.
    judged : scalar
        1 where held-out data say which weights are kept, 0 where the last ones are.
    """

    learning_rate: Array
    weight_decay: Array
    dropout: Array
    steps: Array
    judged: Array

    @classmethod
    def of(cls, config: TrainConfig, dropout: float, n_steps: int) -> Hyperparameters:
        """Return those of a configuration whose epochs have ``n_steps`` steps."""
        decay = config.weight_decay if config.optimizer == "adamw" else 0.0
        values = (config.learning_rate, decay, dropout, config.epochs * n_steps, 1.0)
        return cls(*(jnp.float32(value) for value in values))


DROPOUT: Final[contextvars.ContextVar[Array | None]] = contextvars.ContextVar("dropout", default=None)
"""The rate in use while a program is traced, see `dropping`."""


@contextlib.contextmanager
def dropping(rate: Array) -> Iterator[None]:
    """Let the dropouts that are traced within take this rate, an input of the program, for their own."""
    token = DROPOUT.set(rate)
    try:
        yield
    finally:
        DROPOUT.reset(token)


Stepped: TypeAlias = tuple[list[Array], list[Array]]
"""Weights and memory after a step."""

_INPUTS = {"learning_rate", "weight_decay", "epochs", "patience"}


def program_of(config: TrainConfig) -> tuple[object, ...]:
    """Return what of a configuration the compiled program depends on: equal ones share it."""
    names = [field.name for field in dataclasses.fields(config) if field.name not in _INPUTS]
    return tuple((name, getattr(config, name)) for name in names)


class _Adam:
    """Adam (Kingma and Ba 2015) with the norm of all gradients clipped, by Keras' formulas, without Keras.

    Its memory is the number of steps, and the averages of gradients and of their squares.
    """

    def __init__(self, clip_norm: float, weights: Sequence[npt.NDArray[np.float32]]) -> None:
        self.clip_norm = clip_norm
        self.slots = [np.zeros((), np.int32), *(np.zeros_like(weight) for weight in (*weights, *weights))]
        self.iteration = 0

    def apply(
        self, rate: Array, slots: Sequence[Array], gradients: Sequence[Array], weights: Sequence[Array]
    ) -> Stepped:
        count, n = slots[0] + 1, len(weights)
        norm = jnp.sqrt(sum(jnp.sum(jnp.square(gradient)) for gradient in gradients))
        scale = self.clip_norm * jnp.minimum(1.0 / norm, 1.0 / self.clip_norm)
        step = count.astype(jnp.float32)
        rate = rate * jnp.sqrt(1.0 - 0.999**step) / (1.0 - 0.9**step)
        clipped = [gradient * scale for gradient in gradients]
        means = [m + 0.1 * (g - m) for m, g in zip(slots[1 : n + 1], clipped, strict=True)]
        squares = [v + 0.001 * (g * g - v) for v, g in zip(slots[n + 1 :], clipped, strict=True)]
        moved = [w - rate * m / (jnp.sqrt(v) + 1e-7) for w, m, v in zip(weights, means, squares, strict=True)]
        return moved, [count, *means, *squares]


class _ByKeras:
    """Any other optimizer of Keras."""

    def __init__(self, name: str, clip_norm: float, weights: Sequence[npt.NDArray[np.float32]]) -> None:
        spec = {"learning_rate": 1.0, "clipnorm": None, "global_clipnorm": clip_norm}
        self.keras: KerasOptimizer = keras.optimizers.get({"class_name": name, "config": spec})
        self.keras.build([keras.Variable(weight) for weight in weights])
        self.slots = [np.asarray(variable.value) for variable in self.keras.variables]
        places = {variable.name: i for i, variable in enumerate(self.keras.variables)}
        self.iteration, self.rate = places["iteration"], places["learning_rate"]

    def apply(
        self, rate: Array, slots: Sequence[Array], gradients: Sequence[Array], weights: Sequence[Array]
    ) -> Stepped:
        placed = list(slots)
        placed[self.rate] = rate
        return self.keras.stateless_apply(placed, gradients, weights)


class Optimizer:
    """An optimizer for some weights, whose rates are inputs of its compiled steps.

    Parameters
    ----------
    config : TrainConfig
    variables : sequence
        Give names and shapes of the weights.
    undecayed : sequence of str
        Names of weights that weight decay leaves alone.
    joined : bool
        Keep the weights as two vectors, those that decay and those that do not: a smaller program, which is
        compiled and run in less time where layers are many and sequences long.
    """

    def __init__(
        self,
        config: TrainConfig,
        variables: Sequence[Weight],
        undecayed: Sequence[str] = (),
        *,
        joined: bool = False,
    ) -> None:
        self.shapes = [tuple(variable.shape) for variable in variables]
        decays = [variable.name not in undecayed for variable in variables]
        everyone = range(len(decays))
        self.joined, self.decays = joined, [True, False] if joined else decays
        self.places = (
            [[k for k in everyone if decays[k] == one] for one in (True, False)]
            if joined
            else [[k] for k in everyone]
        )
        packed = self.pack(self.zeros())
        adam = config.optimizer in ("adam", "adamw")
        self.rule = (
            _Adam(config.clip_norm, packed) if adam else _ByKeras(config.optimizer, config.clip_norm, packed)
        )
        self.slots = self.rule.slots

    def zeros(self) -> list[npt.NDArray[np.float32]]:
        """Return weights that are all 0."""
        return [np.zeros(shape, np.float32) for shape in self.shapes]

    def pack(self, weights: Weights) -> list[npt.NDArray[np.float32]]:
        """Return weights as the steps take them."""
        arrays = [np.asarray(weight, dtype=np.float32) for weight in weights]
        if not self.joined:
            return arrays
        empty = np.zeros(0, np.float32)
        return [np.concatenate([empty, *(np.ravel(arrays[k]) for k in group)]) for group in self.places]

    def unpack(self, packed: Sequence[Array]) -> list[Array]:
        """Return the weights, from how the steps take them."""
        if not self.joined:
            return list(packed)
        weights = {}
        for vector, group in zip(packed, self.places, strict=True):
            begin = 0
            for k in group:
                end = begin + math.prod(self.shapes[k])
                weights[k] = vector[begin:end].reshape(self.shapes[k])
                begin = end
        return [weights[k] for k in range(len(self.shapes))]

    def step(
        self,
        rates: Hyperparameters,
        slots: Sequence[Array],
        gradients: Sequence[Array],
        weights: Sequence[Array],
    ) -> tuple[list[Array], list[Array]]:
        """Return packed weights and the optimizer's memory after a step at the rates.

        The learning rate of step t of T is the first one times (1 + cos(π t / T)) / 2 (Loshchilov and Hutter
        2017), the weight decay decoupled from the gradient (Loshchilov and Hutter 2019).
        """
        done = jnp.minimum(slots[self.rule.iteration].astype(jnp.float32) / rates.steps, 1.0)
        rate = rates.learning_rate * 0.5 * (1.0 + jnp.cos(jnp.pi * done))
        shrunk = [
            w * (1.0 - rates.weight_decay * rate) if decays else w
            for w, decays in zip(weights, self.decays, strict=True)
        ]
        return self.rule.apply(rate, slots, gradients, shrunk)
