"""Settings that compiled steps take as inputs: trainings that differ in these only share one program."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from foretell.nn.backend import keras

if TYPE_CHECKING:
    from foretell.nn.settings import TrainConfig

Array = Any


class Knobs(NamedTuple):
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
    def of(cls, config: TrainConfig, dropout: float, n_steps: int) -> Knobs:
        """Return the knobs of a configuration whose epochs have ``n_steps`` steps."""
        decay = config.weight_decay if config.optimizer == "adamw" else 0.0
        values = (config.learning_rate, decay, dropout, config.epochs * n_steps)
        return cls(*(np.float32(value) for value in values))


_INPUTS = {"learning_rate", "weight_decay", "epochs", "patience"}


def program_of(config: TrainConfig) -> tuple[object, ...]:
    """Return what of a configuration the compiled program depends on: equal ones share it."""
    names = [field.name for field in dataclasses.fields(config) if field.name not in _INPUTS]
    return tuple((name, getattr(config, name)) for name in names)


_DROPOUT: contextvars.ContextVar[Any] = contextvars.ContextVar("dropout", default=None)


@contextlib.contextmanager
def dropping(rate: Array) -> Iterator[None]:
    """Let the dropouts that are traced within take this rate, an input of the program, for their own."""
    token = _DROPOUT.set(rate)
    try:
        yield
    finally:
        _DROPOUT.reset(token)


def make_dropout(rate: float, seed: int, name: str) -> Any:
    """Return Keras' dropout, whose rate may be an input of the compiled step (see `dropping`).

    The layer stays Keras' own, so that Keras alone reads the architecture.
    """
    layer = keras.layers.Dropout(rate, seed=seed, name=name)
    by_keras = layer.call

    def call(inputs: Any, training: bool = False) -> Any:  # noqa: FBT001, FBT002  # as Keras calls it
        given = _DROPOUT.get()
        if not training or given is None:
            return by_keras(inputs, training=training)
        key = jax.random.wrap_key_data(jnp.asarray(layer.seed_generator.next(), dtype=jnp.uint32))
        kept = jax.random.bernoulli(key, 1.0 - given, inputs.shape)
        return jnp.where(kept, inputs / (1.0 - given), 0.0)

    layer.call = call
    return layer


def apply_gradients(
    optimizer: Any,
    knobs: Knobs,
    slots: Sequence[Array],
    gradients: Sequence[Array],
    weights: Sequence[Array],
    undecayed: Sequence[str] = ("undecayed",),
) -> tuple[list[Array], list[Array]]:
    """Take a step of a Keras optimizer (see `foretell.nn.training.make_optimizer`) at the knobs' rates.

    The learning rate of step t of T is that of the knobs times (1 + cos(π t / T)) / 2 (Loshchilov and Hutter
    2017), the weight decay decoupled from the gradient (Loshchilov and Hutter 2019); ``undecayed`` names the
    variables that it leaves alone.
    """
    places = {variable.name: i for i, variable in enumerate(optimizer.variables)}
    done = jnp.minimum(slots[places["iteration"]].astype(jnp.float32) / knobs.steps, 1.0)
    rate = knobs.learning_rate * 0.5 * (1.0 + jnp.cos(jnp.pi * done))
    names = [variable.name for variable in optimizer._trainable_variables]  # noqa: SLF001  # not told else
    shrunk = [
        w if name in undecayed else w * (1.0 - knobs.weight_decay * rate)
        for w, name in zip(weights, names, strict=True)
    ]
    placed = list(slots)
    placed[places["learning_rate"]] = rate
    after: tuple[list[Array], list[Array]] = optimizer.stateless_apply(placed, gradients, shrunk)
    return after
