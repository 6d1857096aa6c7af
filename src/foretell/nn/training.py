"""How networks are trained: one compiled loop, whatever its steps read.

A sampler says what a step reads: runs of ragged histories, windows of series, or the runs of one of many
small models (`foretell.nn.samplers`). The loop does the rest: epochs, the learning rate's fall, dropout,
clipped gradients, an average of the weights, early stopping, and the best weights.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from foretell.core import IntArray
from foretell.core.journal import JOURNAL
from foretell.nn.arrays import to_device
from foretell.nn.backend import Array, Tree, Weights, jax, jitted, jnp, side_by_side
from foretell.nn.optimizer import Hyperparameters, Optimizer, dropping, program_of
from foretell.nn.samplers import Learner, ModelSampler, Runs
from foretell.nn.settings import TrainConfig

# A warm start begins at this share of the learning rate.
_WARM_RATE = 0.3


def gentle(training: TrainConfig, epochs: float) -> TrainConfig:
    """Return how training goes on from weights that are nearly right: a share of the epochs, on all data."""
    return dataclasses.replace(
        training,
        epochs=max(round(epochs * training.epochs), 1),
        learning_rate=_WARM_RATE * training.learning_rate,
        validation_fraction=0.0,
    )


class Progress(NamedTuple):
    """What a callback is called with after each epoch."""

    member: int
    epoch: int
    epochs: int
    loss: float
    validation_loss: float


Report: TypeAlias = Callable[[int, float, float], None]
"""(epoch from 0, loss, validation loss) → None."""


def reporter(
    progress: Callable[[Progress], None] | None, member: int, epochs: int, n_held_out: int = 1
) -> Report | None:
    """Return what tells a callback of a member's epochs; a summed validation loss is divided by a number."""
    if progress is None and not JOURNAL.isEnabledFor(logging.DEBUG):
        return None

    def report(epoch: int, loss: float, value: float) -> None:
        done = Progress(member, epoch + 1, epochs, loss, value / n_held_out)
        JOURNAL.debug("%s", done)
        if progress is not None:
            progress(done)

    return report


class Sampler(Protocol):
    """What steps read, and which loss they take. Equal samplers share their compiled programs."""

    @property
    def learner(self) -> Learner:
        """What is trained."""

    @property
    def n_steps(self) -> int:
        """Steps of an epoch."""

    def averaged(self, steps: Array) -> Array | float:
        """Return over about how many of the last of all steps the kept weights are an average."""

    def loss(self, weights: Sequence[Array], train: Tree, drawn: Tree) -> Array:
        """Return the mean loss of a step's batch."""

    def held_out_loss(self, weights: Sequence[Array], held_out: Tree) -> Array:
        """Return the loss by which training stops early."""

    def __hash__(self) -> int: ...


class BatchSampler(Sampler, Protocol):
    """A sampler whose batches are drawn epoch by epoch, by numpy."""

    def draw(self, rng: np.random.Generator, train: Tree) -> Tree:
        """Return what the steps of an epoch read, and what their dropout draws from; steps come first."""


class Trained(NamedTuple):
    """The outcome of a training; of many models trained together, all have a leading axis.

    Attributes
    ----------
    weights : list of float32 arrays
    epochs : int array, shape ()
        After which the weights were best; 0 where training did not help.
    loss : array, shape ()
        Mean loss of the last epoch.
    before, after : array, shape ()
        Held-out loss of the initial and of the kept weights; 0 where none is held out.
    """

    weights: list[npt.NDArray[np.float32]]
    epochs: IntArray
    loss: npt.NDArray[np.float32]
    before: npt.NDArray[np.float32]
    after: npt.NDArray[np.float32]


class Carry(NamedTuple):
    """What a step changes: packed weights, their running average, the optimizer's memory."""

    weights: list[Array]
    average: list[Array]
    slots: list[Array]


class State(NamedTuple):
    """A training so far; ``epoch`` is -1 before the initial weights are judged."""

    epoch: Array
    carry: Carry
    loss: Array
    before: Array
    value: Array
    best: Array
    best_epoch: Array
    best_weights: list[Array]


class Loop:
    """An epoch of training and the judgement after it; equal loops share their compiled programs.

    Parameters
    ----------
    sampler : Sampler
    config : TrainConfig
    undecayed : sequence of str
        Names of weights that weight decay leaves alone.
    dropout : float
        Dropped fraction while training, where the network drops at all.
    joined : bool
        See `Optimizer`.
    """

    def __init__(
        self,
        sampler: Sampler,
        config: TrainConfig,
        *,
        undecayed: Sequence[str] = (),
        dropout: float = 0.0,
        joined: bool = False,
    ) -> None:
        self.sampler, self.config, self.undecayed = sampler, config, tuple(undecayed)
        self.optimizer = Optimizer(config, sampler.learner.variables, undecayed, joined=joined)
        self.rates = Hyperparameters.of(config, dropout, sampler.n_steps)

    def _program(self) -> tuple[object, ...]:
        return type(self), self.sampler, program_of(self.config), self.undecayed, self.optimizer.joined

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Loop) and self._program() == other._program()

    def __hash__(self) -> int:
        return hash(self._program())

    def start(self, vectors: Sequence[Array | npt.NDArray[np.float32]]) -> State:
        """Return the state before the first step, from packed weights."""
        weights, average, best = ([_copied(part) for part in vectors] for _ in range(3))
        carry = Carry(weights, average, [_copied(value) for value in self.optimizer.slots])
        loss, before, value, worst = (jnp.array(number, jnp.float32) for number in (0.0, 0.0, 0.0, np.inf))
        return State(jnp.array(-1), carry, loss, before, value, worst, jnp.array(0), best)

    def take_steps(
        self, carry: Carry, drawn: Tree, train: Tree, rates: Hyperparameters
    ) -> tuple[Carry, Array]:
        """Take the steps of an epoch; return what they have changed, and their mean loss."""
        keep = 1.0 - 1.0 / self.sampler.averaged(rates.steps)

        def loss(vectors: list[Array], drawn: Tree) -> Array:
            with dropping(rates.dropout):
                return self.sampler.loss(self.optimizer.unpack(vectors), train, drawn)

        def step(carry: Carry, drawn: Tree) -> tuple[Carry, Array]:
            value, gradients = jax.value_and_grad(loss)(carry.weights, drawn)
            weights, slots = self.optimizer.step(rates, carry.slots, gradients, carry.weights)
            average = [keep * a + (1.0 - keep) * w for a, w in zip(carry.average, weights, strict=True)]
            return Carry(weights, average, slots), value

        carry, losses = jax.lax.scan(step, carry, drawn)
        return carry, jnp.mean(losses)

    def epoch(
        self, now: State, drawn: Tree, train: Tree, held_out: Tree | None, rates: Hyperparameters
    ) -> State:
        """Train an epoch and judge the averaged weights; the first time, judge the initial weights only."""

        def trained(now: State) -> State:
            carry, loss = self.take_steps(now.carry, drawn, train, rates)
            return now._replace(carry=carry, loss=loss)

        now = jax.lax.cond(now.epoch >= 0, trained, lambda now: now, now)
        epoch, average = now.epoch + 1, now.carry.average
        if held_out is None:
            return now._replace(epoch=epoch, best_epoch=epoch, best_weights=average)
        value = jax.lax.cond(
            rates.judged > 0.0,
            lambda: self.sampler.held_out_loss(self.optimizer.unpack(average), held_out),
            lambda: -epoch.astype(jnp.float32),  # the last weights are the best
        )
        better = (value < now.best) | (epoch == 0)
        kept = [jnp.where(better, new, old) for new, old in zip(average, now.best_weights, strict=True)]
        return now._replace(
            epoch=epoch,
            before=jnp.where(epoch == 0, value, now.before),
            value=value,
            best=jnp.where(better, value, now.best),
            best_epoch=jnp.where(better, epoch, now.best_epoch),
            best_weights=kept,
        )

    def outcome(self, now: State, *, held_out: bool) -> Trained:
        """Return what is kept of a training, or of many on a leading axis."""
        # Of numpy's arrays parts are taken without a program for each.
        best: list[Any] = [np.asarray(part) for part in now.best_weights]
        weights = [np.asarray(part) for part in self.optimizer.unpack(best)]
        after = now.best if held_out else now.before
        return Trained(weights, *(np.asarray(part) for part in (now.best_epoch, now.loss, now.before, after)))


def _copied(values: Array | npt.NDArray[np.float32]) -> Array:
    return to_device(values) if isinstance(values, np.ndarray) else jnp.array(values)


class Trainer(Loop):
    """The loop epoch by epoch: what is read is drawn in between, and a callback called."""

    sampler: BatchSampler

    @jitted(0, donate=(1,))
    def _run_epoch(
        self, now: State, drawn: Tree, train: Tree, held_out: Tree | None, rates: Hyperparameters
    ) -> State:
        return self.epoch(now, drawn, train, held_out, rates)

    def compile(self, train: Tree, held_out: Tree | None) -> None:
        """Compile the program, in this thread; members that then run side by side find it ready."""
        self._judged(self.optimizer.zeros(), train, held_out, self.rates)

    def _judged(self, initial: Weights, train: Tree, held_out: Tree | None, rates: Hyperparameters) -> State:
        """Return the state in which the initial weights are judged; what is drawn for it is not used."""
        now, unused = self.start(self.optimizer.pack(initial)), np.random.default_rng(0)
        judged: State = self._run_epoch(now, self.sampler.draw(unused, train), train, held_out, rates)
        return judged

    def train(
        self,
        initial: Weights,
        train: Tree,
        held_out: Tree | None = None,
        *,
        seed: int,
        epochs: int | None = None,
        report: Report | None = None,
    ) -> Trained:
        """Train a network from its initial weights; keep the average at the best held-out loss.

        Parameters
        ----------
        initial : list of array
        train, held_out : pytree
            What the sampler reads, on the device; without held-out data all epochs are trained.
        seed : int
        epochs : int, optional
            Train so many, whatever held-out data say: they are not looked at, and only let the compiled
            program be that of a training that they stop. By default all of the configuration.
        report : callable, optional
        """
        judged = epochs is None and held_out is not None
        rates = self.rates._replace(judged=jnp.float32(judged))
        now = self._judged(initial, train, held_out, rates)
        rng = np.random.default_rng(seed)
        for epoch in range(epochs or self.config.epochs):
            now = self._run_epoch(now, self.sampler.draw(rng, train), train, held_out, rates)
            best, loss, value = (
                part.item() for part in jax.device_get((now.best_epoch, now.loss, now.value))
            )
            if report is not None:
                report(epoch, loss, value if judged else loss)
            if epoch + 1 - best >= self.config.patience:
                break
        return self.outcome(now, held_out=judged)


_PARTS = 4  # of each thread's models: a thread that is done early takes over others' parts


class ModelTrainer(Loop):
    """The loop of many small models, which differ in their weights and in the runs that they read.

    A small network's step takes less time than the call that starts it. So nothing is called between steps:
    one compiled program draws a model's batches, trains, judges, stops early, and goes on to the next model,
    on a thread for each core.
    """

    sampler: ModelSampler

    def train(
        self,
        initial: Weights,
        train: tuple[Tree, Runs],
        held_out: tuple[Tree, Runs] | None = None,
        *,
        seed: int,
        report: Callable[[int], None] | None = None,
    ) -> Trained:
        """Train all models from the same initial weights; each keeps its average at its best held-out loss.

        Parameters
        ----------
        initial : list of array
        train, held_out : (data, Runs)
            Data on the device, and which runs of them each model reads.
        seed : int
        report : callable, optional
            Is called with how many models are done.
        """
        vectors = [to_device(part) for part in self.optimizer.pack(initial)]
        n_models = len(train[1].n_runs)
        parts = _parts(n_models)
        keys = jax.random.split(jax.random.key(seed, impl="unsafe_rbg"), parts.size).reshape(parts.shape)
        done = 0

        def run(k: int, epochs: int) -> State:
            limits = jnp.array([epochs, self.config.patience])
            state: State = self._run_models(
                vectors, (parts[k], keys[k]), train, held_out, (limits, self.rates)
            )
            return state

        def job(k: int) -> State:
            nonlocal done
            state: State = jax.tree.map(np.asarray, run(k, self.config.epochs))
            done = min(done + parts.shape[1], n_models)
            if report is not None:
                report(done)
            return state

        run(0, -1)  # compiles: the threads then find the program ready
        states = side_by_side([functools.partial(job, k) for k in range(len(parts))])
        joined = jax.tree.map(lambda *pieces: np.concatenate(pieces)[:n_models], *states)
        return self.outcome(joined, held_out=held_out is not None)

    @jitted(0)
    def _run_models(
        self,
        vectors: list[Array],
        models: tuple[Array, Array],
        train: tuple[Tree, Runs],
        held_out: tuple[Tree, Runs] | None,
        settings: tuple[Array, Hyperparameters],
    ) -> State:
        """Train some models in turn, each with its key."""
        (epochs, patience), rates = settings

        def one(model: tuple[Array, Array]) -> State:
            number, key = model
            own_train = train[0], train[1].of(number)
            own_held_out = None if held_out is None else (held_out[0], held_out[1].of(number))

            def epoch(state: tuple[State, Array]) -> tuple[State, Array]:
                now, key = state
                drawn, coming = self.sampler.draw(key)
                # The first time nothing is trained, and so nothing drawn.
                key = jnp.where(now.epoch >= 0, coming, key)
                return self.epoch(now, drawn, own_train, own_held_out, rates), key

            def goes_on(state: tuple[State, Array]) -> Array:
                now = state[0]
                return jnp.logical_and(now.epoch < epochs, now.epoch - now.best_epoch < patience)

            end = jax.lax.while_loop(goes_on, epoch, (self.start(vectors), key))[0]
            return end._replace(carry=Carry([], [], []))

        states: State = jax.lax.map(one, models)
        return states


def _parts(n_models: int) -> IntArray:
    """Return which models are trained in turn by one call, shape (n_parts, n_models of a part).

    All parts have the same shape and so share one program; the last one is filled up with models from the
    start, whose second outcome is not looked at.
    """
    threads = os.cpu_count() or 1
    size = -(-n_models // (threads * _PARTS))
    n_parts = -(-n_models // size)
    return np.resize(np.arange(n_models), size * n_parts).reshape(n_parts, size)
