"""Steps of a Keras optimizer whose rates are inputs of the compiled program."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

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
    """

    learning_rate: Array
    weight_decay: Array
    dropout: Array
    steps: Array

    @classmethod
    def of(cls, config: TrainConfig, dropout: float, n_steps: int) -> Hyperparameters:
        """Return those of a configuration whose epochs have ``n_steps`` steps."""
        decay = config.weight_decay if config.optimizer == "adamw" else 0.0
        values = (config.learning_rate, decay, dropout, config.epochs * n_steps)
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


_INPUTS = {"learning_rate", "weight_decay", "epochs", "patience"}


def program_of(config: TrainConfig) -> tuple[object, ...]:
    """Return what of a configuration the compiled program depends on: equal ones share it."""
    names = [field.name for field in dataclasses.fields(config) if field.name not in _INPUTS]
    return tuple((name, getattr(config, name)) for name in names)


class Optimizer:
    """A Keras optimizer for some weights, whose rates are inputs of its compiled steps.

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
        spec = {"learning_rate": 1.0, "clipnorm": None, "global_clipnorm": config.clip_norm}
        if config.optimizer == "adamw":
            spec["weight_decay"] = 0.0
        self.keras: KerasOptimizer = keras.optimizers.get({"class_name": config.optimizer, "config": spec})
        self.keras.build([keras.Variable(part) for part in self.pack(self.zeros())])
        self.slots = [np.asarray(variable.value) for variable in self.keras.variables]

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
        places = {variable.name: i for i, variable in enumerate(self.keras.variables)}
        done = jnp.minimum(slots[places["iteration"]].astype(jnp.float32) / rates.steps, 1.0)
        rate = rates.learning_rate * 0.5 * (1.0 + jnp.cos(jnp.pi * done))
        shrunk = [
            w * (1.0 - rates.weight_decay * rate) if decays else w
            for w, decays in zip(weights, self.decays, strict=True)
        ]
        placed = list(slots)
        placed[places["learning_rate"]] = rate
        return self.keras.stateless_apply(placed, gradients, shrunk)
