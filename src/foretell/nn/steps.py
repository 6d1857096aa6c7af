"""The compiled training loop over windows drawn at random: one program for a round of steps."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from foretell.nn.hyperparameters import Knobs, apply_gradients, dropping, program_of
from foretell.nn.settings import TrainConfig
from foretell.nn.training import Trained, make_optimizer

Array = Any
Carry = tuple[list[Array], list[Array], list[Array]]

# Windows that are evaluated at once.
_CHUNK = 256
# The weights that are kept are an average over about this many of the last steps.
_AVERAGED_STEPS = 100


class Learner(Protocol):
    """What is trained on windows. Equal learners share their compiled programs."""

    @property
    def variables(self) -> list[Any]:
        """Trainable variables: names and shapes of the weights, for the optimizer."""

    def loss(
        self, weights: list[Array], data: Any, chosen: Array, noise: Array | None
    ) -> tuple[Array, Array]:
        """Return the summed loss of some windows, and how many values it sums.

        The noise, two random uint32, is what dropout draws from; None evaluates without it.
        """

    def __hash__(self) -> int: ...


@dataclasses.dataclass(frozen=True, eq=False)
class StepTrainer:
    """Rounds of steps on windows drawn at random; equal trainers share their compiled programs.

    Parameters
    ----------
    learner : Learner
    config : TrainConfig
        Its epochs are rounds of ``n_steps`` steps.
    batch_size, n_steps : int
    dropout : float
        Dropped fraction while training, where the learner drops at all.
    """

    learner: Learner
    config: TrainConfig
    batch_size: int
    n_steps: int
    dropout: float = 0.0

    def _work(self) -> tuple[object, ...]:
        return self.learner, program_of(self.config), self.batch_size, self.n_steps

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StepTrainer) and self._work() == other._work()

    def __hash__(self) -> int:
        return hash(self._work())

    @property
    def knobs(self) -> Knobs:
        """Return what the compiled step takes as inputs."""
        return Knobs.of(self.config, self.dropout, self.n_steps)

    @functools.cached_property
    def optimizer(self) -> Any:
        """The optimizer, built for the learner's weights."""
        return make_optimizer(self.config, self.learner.variables)

    def start(self, initial: list[Any]) -> Carry:
        """Return the state before the first step: weights, their running average, the optimizer's slots."""
        weights, average = ([jnp.array(np.asarray(value)) for value in initial] for _ in range(2))
        return weights, average, [jnp.array(slot.value) for slot in self.optimizer.variables]

    def round(self, carry: Carry, drawn: tuple[Array, Array], data: Any) -> tuple[Carry, Array]:
        """Take a round of steps; return the state after it (the one before is given up) and the mean loss.

        Parameters
        ----------
        carry : tuple
        drawn : (int32 array (n_steps, batch_size), uint32 array (n_steps, 2))
            Numbers of the windows, and noise.
        data : pytree
        """
        after: tuple[Carry, Array] = _run_round(self, carry, drawn, self.knobs, data)
        return after

    def train(
        self,
        initial: list[Any],
        data: Any,
        n_windows: int,
        seed: int,
        *,
        held_out: tuple[Any, int] | None = None,
        rounds: int | None = None,
        report: Callable[[int, float, float], None] | None = None,
    ) -> Trained:
        """Train one member from its initial weights.

        Parameters
        ----------
        initial : list of array
        data : pytree
            What the loss reads, on the device.
        n_windows : int
            Windows to draw from.
        seed : int
        held_out : (data, n_windows), optional
            Windows by which to stop early; the best weights are kept.
        rounds : int, optional
            Stop after so many; by default after all epochs of the configuration.
        report : callable, optional
            Hears round, loss and validation loss.
        """
        carry = self.start(initial)
        rng = np.random.default_rng(seed)
        best, best_round, best_weights = np.inf, 0, [np.asarray(weight) for weight in carry[1]]
        losses: list[float] = []
        if held_out is not None:
            size = -(-held_out[1] // _CHUNK) * _CHUNK
            # Filled up with repetitions from the start.
            chunks = jnp.asarray(np.resize(np.arange(held_out[1]), size).reshape(-1, _CHUNK).astype(np.int32))
            best = float(_mean_loss(self.learner, carry[1], held_out[0], chunks))
        for done in range(rounds or self.config.epochs):
            drawn = rng.integers(0, n_windows, (self.n_steps, self.batch_size), dtype=np.int32)
            noise = rng.integers(0, 2**32, (self.n_steps, 2), dtype=np.uint32)
            carry, loss = self.round(carry, (drawn, noise), data)
            value = float(loss)
            if held_out is not None:
                value = float(_mean_loss(self.learner, carry[1], held_out[0], chunks))
            losses.append(value)
            if report is not None:
                report(done, float(loss), value)
            if held_out is None or value < best:
                best, best_round = value, done + 1
                best_weights = [np.asarray(weight) for weight in carry[1]]
            elif done + 1 - best_round >= self.config.patience:
                break
        return Trained(best_weights, best_round, best, tuple(losses))


@functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
def _run_round(trainer: StepTrainer, carry: Any, order: Any, knobs: Knobs, data: Any) -> Any:
    keep = 1.0 - 1.0 / jnp.minimum(float(_AVERAGED_STEPS), knobs.steps / 4 + 1)

    def total(weights: Any, chosen: Any, noise: Any) -> Any:
        with dropping(knobs.dropout):
            value, count = trainer.learner.loss(weights, data, chosen, noise)
        return value / jnp.maximum(count, 1.0)

    def step(carry: Any, drawn: Any) -> Any:
        weights, average, slots = carry
        value, gradients = jax.value_and_grad(total)(weights, *drawn)
        weights, slots = apply_gradients(trainer.optimizer, knobs, slots, gradients, weights)
        average = [keep * a + (1.0 - keep) * w for a, w in zip(average, weights, strict=True)]
        return (weights, average, slots), value

    carry, losses = jax.lax.scan(step, carry, order)
    return carry, jnp.mean(losses)


@functools.partial(jax.jit, static_argnums=0)
def _mean_loss(learner: Learner, weights: Any, data: Any, chunks: Any) -> Any:
    values, counts = jax.lax.map(lambda chosen: learner.loss(weights, data, chosen, None), chunks)
    return jnp.sum(values) / jnp.maximum(jnp.sum(counts), 1.0)
