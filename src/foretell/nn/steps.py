"""The compiled training loop over windows drawn at random: one program for a round of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from foretell.nn.training import TrainConfig, Trained, make_optimizer

Array = Any

# Windows that are evaluated at once.
_CHUNK = 256
# The weights that are kept are an average over about this many of the last steps.
_AVERAGED_STEPS = 100

WindowLoss = Callable[[list[Array], Any, Array, "Array | None"], tuple[Array, Array]]
"""(weights, data, numbers of the windows, noise) → summed loss, and how many values it sums.

The noise, two random uint32, is what dropout draws from; None evaluates without it.
"""


class StepTrainer:
    """Compiled rounds of steps for one network and loss; members share the program.

    Parameters
    ----------
    variables : list of keras.Variable
        Give names and shapes of the weights to the optimizer.
    loss : WindowLoss
    config : TrainConfig
        Its epochs are rounds of ``n_steps`` steps.
    batch_size, n_steps : int
    """

    def __init__(
        self, variables: list[Any], loss: WindowLoss, config: TrainConfig, batch_size: int, n_steps: int
    ) -> None:
        self.loss, self.config, self.batch_size, self.n_steps = loss, config, batch_size, n_steps
        self.optimizer = make_optimizer(config, n_steps, variables)
        self.initial_slots = [np.asarray(variable.value) for variable in self.optimizer.variables]
        self._round = jax.jit(self._run_round, donate_argnums=0)
        self._evaluate = jax.jit(self._mean_loss)

    def _run_round(self, carry: Any, order: Any, data: Any) -> Any:
        keep = 1.0 - 1.0 / min(_AVERAGED_STEPS, self.n_steps * self.config.epochs / 4 + 1)

        def total(weights: Any, chosen: Any, noise: Any) -> Any:
            value, count = self.loss(weights, data, chosen, noise)
            return value / jnp.maximum(count, 1.0)

        def step(carry: Any, drawn: Any) -> Any:
            weights, average, slots = carry
            value, gradients = jax.value_and_grad(total)(weights, *drawn)
            weights, slots = self.optimizer.stateless_apply(slots, gradients, weights)
            average = [keep * a + (1.0 - keep) * w for a, w in zip(average, weights, strict=True)]
            return (weights, average, slots), value

        carry, losses = jax.lax.scan(step, carry, order)
        return carry, jnp.mean(losses)

    def _mean_loss(self, weights: Any, data: Any, chunks: Any) -> Any:
        values, counts = jax.lax.map(lambda chosen: self.loss(weights, data, chosen, None), chunks)
        return jnp.sum(values) / jnp.maximum(jnp.sum(counts), 1.0)

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
        weights, average = ([jnp.array(np.asarray(value)) for value in initial] for _ in range(2))
        carry = (weights, average, [jnp.array(value) for value in self.initial_slots])
        rng = np.random.default_rng(seed)
        best, best_round, best_weights = np.inf, 0, [np.asarray(weight) for weight in average]
        losses: list[float] = []
        if held_out is not None:
            size = -(-held_out[1] // _CHUNK) * _CHUNK
            # Filled up with repetitions from the start.
            chunks = jnp.asarray(np.resize(np.arange(held_out[1]), size).reshape(-1, _CHUNK).astype(np.int32))
            best = float(self._evaluate(average, held_out[0], chunks))
        for done in range(rounds or self.config.epochs):
            drawn = rng.integers(0, n_windows, (self.n_steps, self.batch_size), dtype=np.int32)
            noise = rng.integers(0, 2**32, (self.n_steps, 2), dtype=np.uint32)
            carry, loss = self._round(carry, (drawn, noise), data)
            value = float(loss)
            if held_out is not None:
                value = float(self._evaluate(carry[1], held_out[0], chunks))
            losses.append(value)
            if report is not None:
                report(done, float(loss), value)
            if held_out is None or value < best:
                best, best_round = value, done + 1
                best_weights = [np.asarray(weight) for weight in carry[1]]
            elif done + 1 - best_round >= self.config.patience:
                break
        return Trained(best_weights, best_round, best, tuple(losses))
