"""The compiled training loop: one program an epoch, over ragged sequences in length buckets."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from foretell.nn.backend import keras
from foretell.nn.hyperparameters import Knobs, apply_gradients, dropping, program_of
from foretell.nn.settings import TrainConfig

Array = Any
Result = TypeVar("Result")

# The weights that are kept are an exponential average over about this many epochs of steps (Polyak & Juditsky
# 1992): steadier than the last step's, which matters where training stops early at a high learning rate.
_AVERAGED_EPOCHS = 1.5
IntArray = npt.NDArray[np.int64]


class Bucket(NamedTuple):
    """Runs of events of about one length: first rows and lengths, shape (n_runs + 1,).

    The last run has length 0: it fills up batches and costs nothing in the loss.
    """

    starts: Array
    lengths: Array


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
        out.append(Bucket(*[jnp.asarray(np.pad(part, pad).astype(np.int32)) for part in (starts, lengths)]))
    return tuple(out)


Loss = Callable[[list[Array], Any, Sequence[Bucket], tuple[int, ...], Array | None], Array]
"""(weights, data, runs of a batch by bucket, their padded lengths, noise) → summed loss.

The noise, two random uint32, is what dropout draws from; None evaluates without it.
"""


class Progress(NamedTuple):
    """What a callback hears after each epoch."""

    member: int
    epoch: int
    epochs: int
    loss: float
    validation_loss: float


@dataclasses.dataclass(frozen=True)
class Trained:
    """The outcome of one member's training."""

    weights: list[npt.NDArray[np.float32]]
    epochs: int
    validation_loss: float
    losses: tuple[float, ...]


class Trainer:
    """Compiled epochs for one network, loss and set of bucket shapes; members share the program.

    Parameters
    ----------
    variables : list of keras.Variable
        Give names and shapes of the weights to the optimizer.
    loss : Loss
    config : TrainConfig
    lengths : tuple of int
        Padded length of each bucket.
    n_train : int
        Training sequences.
    undecayed : sequence of str
        Names of weights that weight decay leaves alone.
    dropout : float
        Dropped fraction while training, where the network drops at all.
    """

    def __init__(
        self,
        variables: list[Any],
        loss: Loss,
        config: TrainConfig,
        lengths: tuple[int, ...],
        n_train: int,
        undecayed: Sequence[str] = (),
        dropout: float = 0.0,
    ) -> None:
        self.loss, self.config, self.lengths, self.n_train = loss, config, lengths, n_train
        batch = config.batch_size or min(max(n_train // 32, 64), 512)
        self.n_steps = max(1, round(n_train / batch))
        self.flat = Flat(variables, undecayed)
        self.optimizer = make_optimizer(config, self.flat.variables())
        self.knobs = Knobs.of(config, dropout, self.n_steps)
        self.initial_slots = [np.asarray(variable.value) for variable in self.optimizer.variables]

    # Trainers that do the same share their compiled programs, which are looked up by equality.
    def _work(self) -> tuple[object, ...]:
        loss = (getattr(self.loss, "__func__", self.loss), getattr(self.loss, "__self__", None))
        return *loss, program_of(self.config), self.lengths, self.n_train

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trainer) and self._work() == other._work()

    def __hash__(self) -> int:
        return hash(self._work())

    @functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
    def _run_epoch(self, carry: Any, order: Any, knobs: Knobs, data: Any, buckets: tuple[Bucket, ...]) -> Any:
        keep = 1.0 - 1.0 / (_AVERAGED_EPOCHS * self.n_steps + 1.0)
        scale = self.n_steps / self.n_train

        def total(weights: Any, batch: Any) -> Any:
            chosen, noise = batch
            runs = [Bucket(b.starts[i], b.lengths[i]) for b, i in zip(buckets, chosen, strict=True)]
            with dropping(knobs.dropout):
                return scale * self.loss(self.flat.parts(weights), data, runs, self.lengths, noise)

        def step(carry: Any, chosen: Any) -> Any:
            weights, average, slots = carry
            value, gradients = jax.value_and_grad(total)(weights, chosen)
            weights, slots = apply_gradients(self.optimizer, knobs, slots, gradients, weights)
            average = [keep * a + (1.0 - keep) * w for a, w in zip(average, weights, strict=True)]
            return (weights, average, slots), value

        carry, losses = jax.lax.scan(step, carry, order)
        return carry, jnp.mean(losses)

    @functools.partial(jax.jit, static_argnums=0)
    def _total_loss(self, weights: Any, data: Any, buckets: tuple[Bucket, ...]) -> Any:
        return self.loss(self.flat.parts(weights), data, buckets, self.lengths, None)

    def compile(self, data: Any, train: tuple[Bucket, ...], validation: tuple[Bucket, ...] | None) -> None:
        """Compile the programs, in this thread; members that then run side by side find them ready."""
        blank = self.flat.join([np.zeros(shape, np.float32) for shape in self.flat.shapes])
        if validation is not None:
            self._total_loss(blank, data, validation)
        order = self._draw(np.random.default_rng(0), train)
        self._run_epoch(self._start(blank), order, self.knobs, data, train)

    def _start(self, vectors: list[Any]) -> Any:
        """Return what a step changes: weights, their average, the optimizer's memory."""
        weights, average = ([jnp.array(part) for part in vectors] for _ in range(2))
        return weights, average, [jnp.array(value) for value in self.initial_slots]

    def _draw(self, rng: np.random.Generator, train: tuple[Bucket, ...]) -> tuple[Any, Any]:
        """Return an epoch's order of the runs, and what its dropout draws from."""
        order = [shuffled(rng, len(bucket.starts) - 1, self.n_steps) for bucket in train]
        return order, rng.integers(0, 2**32, (self.n_steps, 2), dtype=np.uint32)

    def train(
        self,
        initial: list[Any],
        data: Any,
        train: tuple[Bucket, ...],
        validation: tuple[Bucket, ...] | None,
        seed: int,
        report: Callable[[int, float, float], None] | None = None,
    ) -> Trained:
        """Train one member from its initial weights; keep the average at the best validation loss."""
        carry = self._start(self.flat.join(initial))
        rng = np.random.default_rng(seed)
        best, best_epoch, best_weights = np.inf, 0, [np.asarray(part) for part in carry[1]]
        losses: list[float] = []
        if validation is not None:
            best = float(self._total_loss(carry[1], data, validation))
        for epoch in range(self.config.epochs):
            carry, loss = self._run_epoch(carry, self._draw(rng, train), self.knobs, data, train)
            value = float(loss)
            if validation is not None:
                value = float(self._total_loss(carry[1], data, validation))
            losses.append(value)
            if report is not None:
                report(epoch, float(loss), value)
            if validation is None or value < best:
                best, best_epoch = value, epoch + 1
                best_weights = [np.asarray(part) for part in carry[1]]
            elif epoch + 1 - best_epoch >= self.config.patience:
                break
        best_weights = [np.asarray(part) for part in self.flat.parts(best_weights)]
        return Trained(best_weights, best_epoch, best, tuple(losses))


class Flat:
    """All weights as two vectors, those that decay and those that do not.

    An optimizer then has two variables to update, however many layers there are: smaller programs, which are
    compiled and run in less time.

    Parameters
    ----------
    variables : list of keras.Variable
    undecayed : sequence of str
        Names of weights that weight decay leaves alone.
    """

    def __init__(self, variables: list[Any], undecayed: Sequence[str] = ()) -> None:
        self.shapes = [tuple(variable.shape) for variable in variables]
        self.kept = [variable.name in undecayed for variable in variables]

    def variables(self) -> list[Any]:
        """Return the vectors as variables for an optimizer."""
        sizes = [0, 0]
        for shape, kept in zip(self.shapes, self.kept, strict=True):
            sizes[kept] += math.prod(shape)
        names = ("decayed", "undecayed")
        return [
            keras.Variable(np.zeros(n, np.float32), name=name) for n, name in zip(sizes, names, strict=True)
        ]

    def join(self, weights: Sequence[Any]) -> list[npt.NDArray[np.float32]]:
        """Return weights as the two vectors."""
        parts: tuple[list[Any], list[Any]] = ([np.zeros(0)], [np.zeros(0)])
        for weight, kept in zip(weights, self.kept, strict=True):
            parts[kept].append(np.ravel(weight))
        return [np.concatenate(part).astype(np.float32) for part in parts]

    def parts(self, vectors: Sequence[Array]) -> list[Array]:
        """Return the weights that two vectors hold."""
        out, at = [], [0, 0]
        for shape, kept in zip(self.shapes, self.kept, strict=True):
            begin, at[kept] = at[kept], at[kept] + math.prod(shape)
            out.append(vectors[kept][begin : at[kept]].reshape(shape))
        return out


def side_by_side(jobs: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run the members' jobs in threads, one a core: compiled programs let go of Python's lock."""
    with ThreadPoolExecutor(max_workers=max(1, min(os.cpu_count() or 1, len(jobs)))) as pool:
        return [future.result() for future in [pool.submit(job) for job in jobs]]


def shuffled(rng: np.random.Generator, n_runs: int, n_steps: int) -> npt.NDArray[np.int32]:
    """Return the runs of each step, shape (n_steps, ceil(n_runs / n_steps)); the filler is run n_runs."""
    width = -(-n_runs // n_steps)
    order = np.full(width * n_steps, n_runs, dtype=np.int32)
    order[:n_runs] = rng.permutation(n_runs)
    return order.reshape(width, n_steps).T


def make_optimizer(config: TrainConfig, variables: list[Any]) -> Any:
    """Return the configured Keras optimizer, built for some weights; `apply_gradients` takes its steps.

    Learning rate and weight decay are no part of it: they are inputs of the compiled step.
    """
    spec = {"learning_rate": 1.0, "clipnorm": None, "global_clipnorm": config.clip_norm}
    if config.optimizer == "adamw":
        spec["weight_decay"] = 0.0
    optimizer = keras.optimizers.get({"class_name": config.optimizer, "config": spec})
    optimizer.build(variables)
    return optimizer
