"""Many small models trained together: one compiled program trains each from start to end, all in turn.

A small network's step takes less time than the call that starts it. So nothing is called between steps: the
program draws a model's batches, trains, evaluates, stops early, and goes on to the next model, on a thread
for each core. All models share one build; they differ in their weights and in the rows of the data they read.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from foretell.nn.hyperparameters import Knobs, apply_gradients
from foretell.nn.settings import TrainConfig
from foretell.nn.training import Bucket, Loss, make_optimizer, side_by_side

Array = Any
IntArray = npt.NDArray[np.int64]

_AVERAGED_ROUNDS = 1.5  # of steps, as in training one model
_PARTS = 4  # of each thread's models: a thread that is done early takes over others' parts
_BATCH = 32
_HELD_OUT_BATCHES = 8  # a model's held-out runs are at most so many batches


class Runs(NamedTuple):
    """Runs of rows of the data, sorted by bucket and model, and which of them each model reads.

    Attributes
    ----------
    starts, lengths : int array, shape (n_runs + 1,)
        First row and length; the last run is empty.
    first, count : int array, shape (n_models, n_buckets)
        In each bucket the runs ``first … first + count − 1`` are the model's own.
    """

    starts: Array
    lengths: Array
    first: Array
    count: Array

    def taken(self, bucket: int, places: Array) -> Bucket:
        """Return one model's runs of a bucket by their places from 0; those past its last are empty."""
        rows = jnp.where(places < self.count[bucket], self.first[bucket] + places, len(self.starts) - 1)
        return Bucket(self.starts[rows], self.lengths[rows])


def share_runs(
    starts: IntArray, lengths: IntArray, model: IntArray, n_models: int, padded: Sequence[int]
) -> Runs:
    """Sort runs by bucket and model.

    Parameters
    ----------
    starts, lengths, model : int array, shape (n_runs,)
        First row, length, and the model that reads it.
    n_models : int
    padded : sequence of int
        Padded length of each bucket, ascending.
    """
    bucket = np.searchsorted(np.asarray(padded), lengths)
    cell = bucket * n_models + model
    order = np.argsort(cell, kind="stable")
    edges = np.searchsorted(cell[order], np.arange(len(padded) * n_models + 1))
    first, count = (
        part.reshape(len(padded), n_models).T.astype(np.int32) for part in (edges[:-1], np.diff(edges))
    )
    flat_starts, flat_lengths = (np.append(part[order], 0).astype(np.int32) for part in (starts, lengths))
    return Runs(flat_starts, flat_lengths, first, count)


@dataclasses.dataclass(frozen=True)
class TrainedMany:
    """The outcome of all models' training.

    Attributes
    ----------
    weights : list of arrays, shape (n_models, ...)
    rounds : int array, shape (n_models,)
        Rounds after which each model was best; 0 where training did not help.
    loss : array, shape (n_models,)
        Mean loss of a training run in the last round.
    before, after : array, shape (n_models,)
        Mean loss of a held-out run, of the initial and of the kept weights; 0 where none is held out.
    """

    weights: list[npt.NDArray[np.float32]]
    rounds: IntArray
    loss: npt.NDArray[np.float32]
    before: npt.NDArray[np.float32]
    after: npt.NDArray[np.float32]


class _Training(NamedTuple):
    """One model's training so far."""

    done: Array
    carry: tuple[list[Array], list[Array], list[Array]]  # weights, their average, the optimizer's slots
    loss: Array
    before: Array
    best: Array
    best_round: Array
    best_weights: list[Array]
    key: Array


class ManyTrainer:
    """One compiled program for the training of all models.

    Parameters
    ----------
    variables : list of keras.Variable
        Give names and shapes of the weights to the optimizer.
    loss : Loss
        Summed over the runs it gets.
    config : TrainConfig
        Its epochs are rounds of ``n_steps`` steps; the batch size is that of one model, by default 32.
    padded : tuple of int
        Padded length of each bucket.
    train, held_out : Runs
        Of the same models; without held-out runs models train through all rounds.
    n_steps : int
        Steps of a round, the same for all models: those with few runs see them more often.
    undecayed : sequence of str
        Names of weights that weight decay leaves alone.
    """

    def __init__(
        self,
        variables: list[Any],
        loss: Loss,
        config: TrainConfig,
        padded: tuple[int, ...],
        *,
        train: Runs,
        held_out: Runs | None,
        n_steps: int,
        undecayed: Sequence[str] = (),
    ) -> None:
        self.loss, self.config, self.padded, self.n_steps = loss, config, padded, n_steps
        self.runs, self.held_out = train, held_out
        batch = config.batch_size or _BATCH
        # A batch is shared out to the buckets as the runs of all models are.
        shares = train.count.sum(axis=0) / max(train.count.sum(), 1)
        self.widths = [max(1, round(batch * float(share))) for share in shares]
        most = [] if held_out is None else held_out.count.max(axis=0).tolist()
        self.held_out_widths = [int(min(width, _HELD_OUT_BATCHES * batch)) for width in most]
        self.optimizer, self.undecayed = make_optimizer(config, variables), tuple(undecayed)
        self.knobs = Knobs.of(config, 0.0, n_steps)
        self.initial_slots = [np.asarray(variable.value) for variable in self.optimizer.variables]
        self._compiled: Any = None

    def train(
        self, initial: Sequence[Any], data: Any, seed: int, report: Callable[[int], None] | None = None
    ) -> TrainedMany:
        """Train all models from the same initial weights; each keeps its average at its best held-out loss.

        Parameters
        ----------
        initial : list of arrays
        data : pytree
            What the loss reads, on the device; the same for all models.
        seed : int
        report : callable, optional
            Hears how many models are done.
        """
        start = [jnp.asarray(np.asarray(value, dtype=np.float32)) for value in initial]
        n_models = len(self.runs.count)
        parts = _parts(n_models)
        keys = jax.random.split(jax.random.key(seed, impl="unsafe_rbg"), parts.size).reshape(parts.shape)
        done = 0

        def arguments(k: int) -> tuple[Any, ...]:
            chosen = [
                runs and runs._replace(first=runs.first[parts[k]], count=runs.count[parts[k]])
                for runs in (self.runs, self.held_out)
            ]
            return start, data, *chosen, keys[k]

        if self._compiled is None:
            self._compiled = jax.jit(self._train_all).lower(*arguments(0)).compile()

        def job(k: int) -> Any:
            nonlocal done
            outcome = jax.tree.map(np.asarray, self._compiled(*arguments(k)))
            done = min(done + parts.shape[1], n_models)
            if report is not None:
                report(done)
            return outcome

        outcomes = side_by_side([functools.partial(job, k) for k in range(len(parts))])
        joined = jax.tree.map(lambda *pieces: np.concatenate(pieces)[:n_models], *outcomes)
        return TrainedMany(list(joined[0]), *joined[1:])

    def _train_all(self, start: Any, data: Any, train: Runs, held_out: Runs | None, keys: Array) -> Any:
        def one(given: Any) -> Any:
            own, key = given
            of_train, of_held_out = own
            kept = held_out and held_out._replace(first=of_held_out[0], count=of_held_out[1])
            mine = train._replace(first=of_train[0], count=of_train[1])
            return self._train_one(start, data, mine, kept, key)

        shares = [runs and (runs.first, runs.count) for runs in (train, held_out)]
        return jax.lax.map(one, (shares, keys))

    def _train_one(self, start: Any, data: Any, train: Runs, held_out: Runs | None, key: Array) -> Any:
        keep = 1.0 - 1.0 / (_AVERAGED_ROUNDS * self.n_steps + 1.0)

        def evaluated(weights: Any) -> Array:
            return jnp.zeros(()) if held_out is None else self._held_out_loss(weights, data, held_out)

        def step(carry: Any, key: Array) -> Any:
            weights, average, slots = carry
            value, gradients = jax.value_and_grad(self._batch_loss)(weights, data, train, key)
            weights, slots = apply_gradients(
                self.optimizer, self.knobs, slots, gradients, weights, self.undecayed
            )
            average = [keep * a + (1.0 - keep) * w for a, w in zip(average, weights, strict=True)]
            return (weights, average, slots), value

        def trained(now: tuple[Any, Array]) -> Any:
            carry, key = now
            carry, losses = jax.lax.scan(step, carry, jax.random.split(key, self.n_steps))
            return carry, jnp.mean(losses)

        def one_round(now: _Training) -> _Training:
            # Evaluated first and trained then, so that the program holds each of the two only once.
            value = evaluated(now.carry[1])
            better = (held_out is None) | (value < now.best) | (now.done == 0)
            best = [jnp.where(better, a, b) for a, b in zip(now.carry[1], now.best_weights, strict=True)]
            key, coming = jax.random.split(now.key)
            carry, loss = jax.lax.cond(
                now.done < self.config.epochs, trained, lambda kept: (kept[0], now.loss), (now.carry, key)
            )
            return _Training(
                done=now.done + 1,
                carry=carry,
                loss=loss,
                before=jnp.where(now.done == 0, value, now.before),
                best=jnp.where(better, value, now.best),
                best_round=jnp.where(better, now.done, now.best_round),
                best_weights=best,
                key=coming,
            )

        def going_on(now: _Training) -> Array:
            return (now.done <= self.config.epochs) & (now.done - now.best_round <= self.config.patience)

        nothing, zero = jnp.zeros(()), jnp.zeros((), jnp.int32)
        carry = (start, start, [jnp.asarray(value) for value in self.initial_slots])
        begin = _Training(zero, carry, nothing, nothing, nothing, zero, start, key)
        end = jax.lax.while_loop(going_on, one_round, begin)
        return end.best_weights, end.best_round, end.loss, end.before, end.best

    def _batch_loss(self, weights: Any, data: Any, train: Runs, key: Array) -> Array:
        """Return an unbiased estimate of a model's mean loss of a run, from runs drawn from each bucket."""
        noise_key, *keys = jax.random.split(key, len(self.widths) + 1)
        noise = jax.random.bits(noise_key, (2,), jnp.uint32)
        total = jnp.zeros(())
        for b, (width, length) in enumerate(zip(self.widths, self.padded, strict=True)):
            count = train.count[b]
            bucket = train.taken(b, jax.random.randint(keys[b], (width,), 0, jnp.maximum(count, 1)))
            total += self.loss(weights, data, [bucket], (length,), noise) * (count / width)
        return total / jnp.maximum(jnp.sum(train.count), 1)

    def _held_out_loss(self, weights: Any, data: Any, held_out: Runs) -> Array:
        """Return the mean loss of a model's held-out runs; of those past a bucket's width it sees none."""
        widths = [max(width, 1) for width in self.held_out_widths]
        buckets = [held_out.taken(b, jnp.arange(width)) for b, width in enumerate(widths)]
        seen = jnp.sum(jnp.minimum(held_out.count, jnp.asarray(widths)))
        return self.loss(weights, data, buckets, self.padded, None) / jnp.maximum(seen, 1)


def _parts(n_models: int) -> IntArray:
    """Return which models are trained in turn by one call, shape (n_parts, n_models of a part).

    All parts have the same shape and so share one program; the last one is filled up with models from the
    start, whose second outcome is not looked at.
    """
    threads = os.cpu_count() or 1
    size = -(-n_models // (threads * _PARTS))
    n_parts = -(-n_models // size)
    return np.resize(np.arange(n_models), size * n_parts).reshape(n_parts, size)
