"""What the steps of training read: runs of ragged histories, windows, or the runs of many small models."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple, Protocol, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from foretell.core import IntArray
from foretell.nn.arrays import to_device
from foretell.nn.backend import Array, Tree, Weight, jax, jnp

Noise = Array | npt.NDArray[np.uint32]


class Learner(Protocol):
    """What is trained. Equal learners share their compiled programs."""

    @property
    def variables(self) -> Sequence[Weight]:
        """Trainable variables: names and shapes of the weights, for the optimizer."""

    def __hash__(self) -> int: ...


class Bucket(NamedTuple):
    """Runs of events of about one length: first rows and lengths, shape (n_runs + 1,).

    The last run has length 0: it fills up batches and costs nothing in the loss.
    """

    starts: Array
    lengths: Array


class RunLearner(Learner, Protocol):
    """What is trained on runs of rows."""

    def loss(
        self,
        weights: Sequence[Array],
        data: Tree,
        runs: Sequence[Bucket],
        lengths: tuple[int, ...],
        noise: Array | None,
    ) -> Array:
        """Return the summed loss of some runs, by bucket; the lengths are those to which they are padded.

        The noise, two random uint32, is what dropout draws from; None evaluates without it.
        """


class WindowLearner(Learner, Protocol):
    """What is trained on windows."""

    def loss(
        self, weights: Sequence[Array], data: Tree, chosen: Array, noise: Array | None
    ) -> tuple[Array, Array]:
        """Return the summed loss of some windows, by their numbers, and how many values it sums.

        The noise, two random uint32, is what dropout draws from; None evaluates without it.
        """


RunData: TypeAlias = tuple[Tree, tuple[Bucket, ...]]


def draw_noise(rng: np.random.Generator, n_steps: int) -> npt.NDArray[np.uint32]:
    """Return what the dropout of each step draws from."""
    return rng.integers(0, 2**32, (n_steps, 2), dtype=np.uint32)


def cut_runs(offsets: IntArray, sequences: IntArray, max_steps: int) -> tuple[IntArray, IntArray]:
    """Return first rows and lengths of runs of at most ``max_steps`` events that cover some sequences."""
    first, length = offsets[sequences], offsets[sequences + 1] - offsets[sequences]
    pieces = -(-length // max_steps)
    owner = np.repeat(np.arange(len(sequences)), pieces)
    piece = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    # The short piece comes first, so that the last one, which holds the open gap, has the full context.
    short = length - (pieces - 1) * max_steps
    begin = np.where(piece == 0, 0, short[owner] + (piece - 1) * max_steps)
    return first[owner] + begin, np.where(piece == 0, short[owner], max_steps)


def power_of_two(size: int, least: int = 1) -> int:
    """Return a size rounded up to a power of two, at least ``least``: few sizes, few compilations."""
    return max(1 << max(size - 1, 0).bit_length(), least)


def bucket_lengths(lengths: IntArray, most: int = 5, waste: float = 1.7) -> tuple[int, ...]:
    """Return padded lengths, powers of two, for runs of some lengths.

    Each length costs compilation, padding costs arithmetic: the cheapest merges are made until at most
    ``most`` are left, and further as long as all runs padded take less than ``waste`` times their true size.
    """
    padded = 2 ** np.ceil(np.log2(np.maximum(lengths, 1))).astype(np.int64)
    sizes, counts = (part.tolist() for part in np.unique(padded, return_counts=True))
    total, true = sum(s * c for s, c in zip(sizes, counts, strict=True)), int(np.maximum(lengths, 1).sum())
    while len(sizes) > 1:
        added = [(sizes[i + 1] - sizes[i]) * counts[i] for i in range(len(sizes) - 1)]
        i = int(np.argmin(added))
        if len(sizes) <= most and total + added[i] > waste * true:
            break
        total += added[i]
        counts[i + 1] += counts[i]
        del sizes[i], counts[i]
    return tuple(sizes)


def bucketed(starts: IntArray, lengths: IntArray, sizes: Sequence[int]) -> list[tuple[IntArray, IntArray]]:
    """Sort runs into buckets of the given padded lengths."""
    bucket = np.searchsorted(np.asarray(sizes), lengths)
    return [(starts[bucket == k], lengths[bucket == k]) for k in range(len(sizes))]


def filled(buckets: Sequence[tuple[IntArray, IntArray]], rows: Sequence[int]) -> tuple[Bucket, ...]:
    """Put buckets on the device, filled up with empty runs to the given numbers of rows (and one more)."""
    out = []
    for (starts, lengths), size in zip(buckets, rows, strict=True):
        pad = (0, size + 1 - len(starts))
        out.append(Bucket(*[to_device(np.pad(part, pad).astype(np.int32)) for part in (starts, lengths)]))
    return tuple(out)


def shuffled(rng: np.random.Generator, n_runs: int, n_steps: int) -> npt.NDArray[np.int32]:
    """Return the runs of each step, shape (n_steps, ceil(n_runs / n_steps)); the filler is run n_runs."""
    width = -(-n_runs // n_steps)
    order = np.full(width * n_steps, n_runs, dtype=np.int32)
    order[:n_runs] = rng.permutation(n_runs)
    return order.reshape(width, n_steps).T


@dataclasses.dataclass(frozen=True)
class RunSampler:
    """Every run of some ragged histories once an epoch, in random order; a batch holds runs of all buckets.

    What is read is ``(data, buckets)``.

    Parameters
    ----------
    learner : RunLearner
    lengths : tuple of int
        Padded length of each bucket.
    n_sequences : int
        By which the loss is divided, to train on.
    batch_size : int, optional
        By default a thirty-second of the sequences, but from 64 to 512.
    """

    learner: RunLearner
    lengths: tuple[int, ...]
    n_sequences: int
    batch_size: int | None = None

    @property
    def n_steps(self) -> int:
        """Steps of an epoch."""
        batch = self.batch_size or min(max(self.n_sequences // 32, 64), 512)
        return max(1, round(self.n_sequences / batch))

    def averaged(self, steps: Array) -> float:
        """Return over about how many of the last steps the kept weights are an average: 1.5 epochs."""
        del steps
        return 1.5 * self.n_steps + 1.0

    def draw(self, rng: np.random.Generator, train: RunData) -> tuple[list[npt.NDArray[np.int32]], Noise]:
        """Return the runs of each step, by bucket, and its noise."""
        order = [shuffled(rng, len(bucket.starts) - 1, self.n_steps) for bucket in train[1]]
        return order, draw_noise(rng, self.n_steps)

    def loss(
        self,
        weights: Sequence[Array],
        train: RunData,
        drawn: tuple[list[Array], Array],
    ) -> Array:
        """Return the loss of a step, scaled to the mean of a sequence's."""
        (data, buckets), (chosen, noise) = train, drawn
        runs = [Bucket(b.starts[i], b.lengths[i]) for b, i in zip(buckets, chosen, strict=True)]
        scale = self.n_steps / self.n_sequences
        return scale * self.learner.loss(weights, data, runs, self.lengths, noise)

    def held_out_loss(self, weights: Sequence[Array], held_out: RunData) -> Array:
        """Return the summed loss of held-out runs."""
        data, buckets = held_out
        return self.learner.loss(weights, data, buckets, self.lengths, None)


# Windows that are evaluated at once.
_CHUNK = 256


def evaluated(n_windows: int) -> Array:
    """Return the numbers of all windows in chunks, filled up with repetitions from the start."""
    size = -(-n_windows // _CHUNK) * _CHUNK
    numbers: Array = to_device(np.resize(np.arange(n_windows), size).reshape(-1, _CHUNK).astype(np.int32))
    return numbers


@dataclasses.dataclass(frozen=True)
class WindowSampler:
    """Windows drawn at random; an epoch is some number of steps.

    What is trained on is ``(data, number of windows)``, what is held out ``(data, evaluated(number))``.

    Parameters
    ----------
    learner : WindowLearner
    batch_size, n_steps : int
    """

    learner: WindowLearner
    batch_size: int
    n_steps: int

    def averaged(self, steps: Array) -> Array:
        """Return over about how many of the last steps the kept weights are an average: 100, if there are."""
        return jnp.minimum(100.0, steps / 4 + 1)

    def draw(self, rng: np.random.Generator, train: tuple[Tree, int]) -> tuple[npt.NDArray[np.int32], Noise]:
        """Return the windows of each step, and its noise."""
        chosen = rng.integers(0, train[1], (self.n_steps, self.batch_size), dtype=np.int32)
        return chosen, draw_noise(rng, self.n_steps)

    def loss(self, weights: Sequence[Array], train: tuple[Tree, int], drawn: tuple[Array, Array]) -> Array:
        """Return the mean loss of a step's windows."""
        value, count = self.learner.loss(weights, train[0], *drawn)
        return value / jnp.maximum(count, 1.0)

    def held_out_loss(self, weights: Sequence[Array], held_out: tuple[Tree, Array]) -> Array:
        """Return the mean loss of held-out windows."""
        data, chunks = held_out
        values, counts = jax.lax.map(lambda chosen: self.learner.loss(weights, data, chosen, None), chunks)
        return jnp.sum(values) / jnp.maximum(jnp.sum(counts), 1.0)


class Runs(NamedTuple):
    """Runs of rows of the data, sorted by bucket and model, and which of them each model reads.

    Attributes
    ----------
    starts, lengths : int array, shape (n_runs + 1,)
        First row and length; the last run is empty.
    first, n_runs : int array, shape (n_models, n_buckets), or (n_buckets,) of one model
        In each bucket the runs ``first … first + n_runs − 1`` are the model's own.
    """

    starts: Array
    lengths: Array
    first: Array
    n_runs: Array

    @classmethod
    def share(
        cls, runs: tuple[IntArray, IntArray], model: IntArray, n_models: int, padded: Sequence[int]
    ) -> Self:
        """Sort runs by bucket and model.

        Parameters
        ----------
        runs : (int array, int array), shape (n_runs,)
            First rows and lengths.
        model : int array, shape (n_runs,)
            That reads each.
        n_models : int
        padded : sequence of int
            Padded length of each bucket, ascending.
        """
        bucket = np.searchsorted(np.asarray(padded), runs[1])
        cell = bucket * n_models + model
        order = np.argsort(cell, kind="stable")
        edges = np.searchsorted(cell[order], np.arange(len(padded) * n_models + 1))
        first, n_runs = (
            part.reshape(len(padded), n_models).T.astype(np.int32) for part in (edges[:-1], np.diff(edges))
        )
        starts, lengths = (np.append(part[order], 0).astype(np.int32) for part in runs)
        return cls(*(to_device(part) for part in (starts, lengths, first, n_runs)))

    def of(self, model: Array) -> Runs:
        """Return the runs of one model."""
        return self._replace(first=self.first[model], n_runs=self.n_runs[model])

    def taken(self, bucket: int, places: Array) -> Bucket:
        """Return one model's runs of a bucket by their places from 0; those past its last are empty."""
        rows = jnp.where(places < self.n_runs[bucket], self.first[bucket] + places, len(self.starts) - 1)
        return Bucket(self.starts[rows], self.lengths[rows])


_HELD_OUT_BATCHES = 8  # a model's held-out runs are at most so many batches


@dataclasses.dataclass(frozen=True)
class ModelSampler:
    """The runs of one of many small models, drawn at random inside the compiled program.

    What is read is ``(data, runs of one model)``.

    Parameters
    ----------
    learner : RunLearner
    lengths : tuple of int
        Padded length of each bucket.
    widths, held_out_widths : tuple of int
        Runs of each bucket in a batch, and at the most in the held-out loss.
    n_steps : int
        Of an epoch, the same for all models: those with few runs see them more often.
    """

    learner: RunLearner
    lengths: tuple[int, ...]
    widths: tuple[int, ...]
    held_out_widths: tuple[int, ...]
    n_steps: int

    @classmethod
    def of(
        cls,
        learner: RunLearner,
        lengths: tuple[int, ...],
        runs: tuple[Runs, Runs | None],
        batch_size: int,
        n_steps: int,
    ) -> Self:
        """Share a batch out to the buckets as the runs of all models are: those to train on and held out."""
        train = np.asarray(runs[0].n_runs)
        widths = [max(1, round(batch_size * float(n / max(train.sum(), 1)))) for n in train.sum(axis=0)]
        most = [] if runs[1] is None else np.asarray(runs[1].n_runs).max(axis=0).tolist()
        held_out_widths = tuple(max(min(width, _HELD_OUT_BATCHES * batch_size), 1) for width in most)
        return cls(learner, lengths, tuple(widths), held_out_widths, n_steps)

    def averaged(self, steps: Array) -> float:
        """Return over about how many of the last steps the kept weights are an average: 1.5 epochs."""
        del steps
        return 1.5 * self.n_steps + 1.0

    def draw(self, key: Array) -> tuple[Array, Array]:
        """Return the key of each step, and that of the next epoch."""
        now, coming = jax.random.split(key)
        return jax.random.split(now, self.n_steps), coming

    def loss(self, weights: Sequence[Array], train: tuple[Tree, Runs], drawn: Array) -> Array:
        """Return an unbiased estimate of the mean loss of a run, from runs drawn from each bucket."""
        data, runs = train
        noise_key, *keys = jax.random.split(drawn, len(self.widths) + 1)
        noise = jax.random.bits(noise_key, (2,), jnp.uint32)
        total = jnp.zeros(())
        for b, (width, length) in enumerate(zip(self.widths, self.lengths, strict=True)):
            count = runs.n_runs[b]
            bucket = runs.taken(b, jax.random.randint(keys[b], (width,), 0, jnp.maximum(count, 1)))
            total += self.learner.loss(weights, data, [bucket], (length,), noise) * (count / width)
        return total / jnp.maximum(jnp.sum(runs.n_runs), 1)

    def held_out_loss(self, weights: Sequence[Array], held_out: tuple[Tree, Runs]) -> Array:
        """Return the mean loss of held-out runs; of those past a bucket's width it sees none."""
        data, runs = held_out
        buckets = [runs.taken(b, jnp.arange(width)) for b, width in enumerate(self.held_out_widths)]
        seen = jnp.sum(jnp.minimum(runs.n_runs, jnp.asarray(self.held_out_widths)))
        return self.learner.loss(weights, data, buckets, self.lengths, None) / jnp.maximum(seen, 1)
