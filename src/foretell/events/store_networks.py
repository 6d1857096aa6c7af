"""Many gap networks as one: every customer carries the number of the model that answers for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from foretell.core import FloatArray, IntArray
from foretell.data.log import EventLog
from foretell.events.distribution import NextGap
from foretell.events.heads.base import GapData, HistoryNetwork, gap_data
from foretell.events.history import Histories, histories, standardised
from foretell.events.states import GapModel, States, encode, log_features
from foretell.nn.backend import Array, Layer, Weight, Weights, jax, jnp
from foretell.nn.samplers import ModelSampler, Runs, bucket_lengths, cut_runs
from foretell.nn.settings import TrainConfig

if TYPE_CHECKING:
    from foretell.nn.networks import RecurrentNetwork
    from foretell.nn.training import Trained

_MOST_STEPS, _BATCH = 32, 32  # steps of an epoch, runs of a step


class StoreNetwork(HistoryNetwork):
    """A gap network whose weights have a leading axis of models; the last part of the memory picks one.

    Forecasts and simulations of all stores run together, on one build of the network.
    """

    def __init__(self, network: HistoryNetwork) -> None:
        self.inner = network
        self.kind, self.paced, self.packed_width = network.kind, network.paced, network.packed_width
        self.config, self.n_features, self.censored = network.config, network.n_features, network.censored

    @property
    def network(self) -> RecurrentNetwork:
        """The shared build."""
        return self.inner.network

    @property
    def longest(self) -> int | None:
        """Events that the shared build can read as one sequence."""
        return self.inner.longest

    @property
    def variables(self) -> Sequence[Weight]:
        """Of one model."""
        return self.inner.variables

    def namespace_for(self, customers: int) -> Any:
        """Return jax.numpy: each row has weights of its own."""
        del customers
        return jnp

    def layer(self) -> Layer:
        """Return the head as a layer of Keras."""
        return self.inner.layer()

    def says(self, raw: Array, state: Array, weights: Sequence[Array]) -> Array:
        """Return the packed distribution."""
        return self.inner.says(raw, state, weights)

    def __reduce__(self) -> tuple[type, tuple[HistoryNetwork]]:
        return StoreNetwork, (self.inner,)

    @property
    def memory_widths(self) -> list[int]:
        """Of the recurrent layers, and of the number of the model."""
        return [*self.inner.memory_widths, 1]

    def settings_by_name(self) -> dict[str, Hashable]:
        """Return what the shared build was made with."""
        return self.inner.settings_by_name()

    def state(self, history: Histories) -> FloatArray:
        """Return what the head starts from at each event."""
        return self.inner.state(history)

    def start(self, history: Histories) -> Sequence[npt.ArrayLike]:
        """Return the head's weights of each model, fitted without the network."""
        return self.inner.start(history)

    def terms(self, packed: Array, rows: GapData) -> Array:
        """Return the log-likelihood of each event's next gap."""
        return self.inner.terms(packed, rows)

    def next_gap(self, packed: FloatArray, residuals: FloatArray) -> NextGap:
        """Return the ensemble's distributions."""
        return self.inner.next_gap(packed, residuals)

    def step(
        self, weights: Weights, features: Array, state: Array, memory: Sequence[Array]
    ) -> tuple[Array, list[Array]]:
        """Return the packed mixture after one event, and the memory; each row by its own model."""
        *inner, number = memory
        by_row = [jnp.asarray(weight)[number[:, 0].astype(jnp.int32)] for weight in weights]

        def step_of_row(
            weights: Weights, features: Array, state: Array, inner: Sequence[Array]
        ) -> tuple[Array, list[Array]]:
            output, after = self.inner.step(
                weights, features[None], state[None], [part[None] for part in inner]
            )
            return output[0], [part[0] for part in after]

        output, after = jax.vmap(step_of_row)(by_row, features, state, inner)
        return output, [*after, number]


def encode_stores(model: GapModel, log: EventLog, numbers: IntArray) -> States:
    """Run every customer's history through its model: of a `StoreNetwork`, by the number of each customer."""
    n, n_members = log.n_customers, len(model.members)
    memory = [np.zeros((n_members, n, width), dtype=np.float32) for width in model.network.memory_widths]
    memory[-1][:] = numbers[:, None]
    zeros = np.zeros(n)
    packed = np.zeros((n_members, n, model.network.packed_width), dtype=np.float32)
    blank = States(tuple(memory), packed, log.last, zeros, zeros, np.zeros((n, len(model.new_marks))))
    return encode(model, log, blank, np.zeros(n, dtype=np.int64))


def fit_stores(
    model: GapModel, log: EventLog, numbers: IntArray, n_models: int, training: TrainConfig, seed: int
) -> tuple[GapModel, list[Trained]]:
    """Train the global model on for each store's customers.

    Every customer has the number of a model, from 1 to ``n_models``; 0 stays with the global one. Each weight
    of the returned model has a leading axis of 1 + n_models. The outcomes of training are returned by member
    of the ensemble; there are none where there is nothing to train.
    """
    trained = _train(model, log, numbers, n_models, training, seed) if n_models else []
    members = []
    for m, weights in enumerate(model.members):
        by_store = trained[m].weights if trained else [weight[None][:0] for weight in weights]
        members.append([np.concatenate([w[None], s]) for w, s in zip(weights, by_store, strict=True)])
    return dataclasses.replace(model, network=StoreNetwork(model.network), members=tuple(members)), trained


def _train(
    model: GapModel, log: EventLog, numbers: IntArray, n_models: int, training: TrainConfig, seed: int
) -> list[Trained]:
    history = histories(log, model.clock.table(log.start, log.as_of), model.known)
    data = gap_data(history, standardised(model.scale.arrays(), log_features(history, log)))
    longest = training.max_steps
    learners, judges = _split(numbers, training.validation_fraction, seed)
    padded = bucket_lengths(cut_runs(log.offsets, learners, longest)[1], most=2)

    def runs(customers: IntArray) -> Runs:
        pieces = -(-log.counts[customers] // longest)
        readers = np.repeat(numbers[customers] - 1, pieces)
        return Runs.share(cut_runs(log.offsets, customers, longest), readers, n_models, padded)

    train, held_out = runs(learners), runs(judges) if len(judges) else None
    batch = training.batch_size or _BATCH
    per_model = float(train.n_runs.sum()) / n_models / batch
    n_steps = int(np.clip(round(per_model), 1, _MOST_STEPS))
    network = model.network
    sampler = ModelSampler.of(network, padded, (train, held_out), batch, n_steps)
    from foretell.nn.training import ModelTrainer  # noqa: PLC0415  # it needs JAX, forecasts may do without

    trainer = ModelTrainer(sampler, training, undecayed=network.anchor_names, dropout=network.config.dropout)
    judged = None if held_out is None else (data, held_out)
    return [
        trainer.train(weights, (data, train), judged, seed=seed + m)
        for m, weights in enumerate(model.members)
    ]


def _split(numbers: IntArray, fraction: float, seed: int) -> tuple[IntArray, IntArray]:
    """Return customers who have a model of their own, in random order: to train on, and those held out."""
    order = np.random.default_rng(seed).permutation(len(numbers))
    order = order[numbers[order] > 0]
    order = order[np.argsort(numbers[order], kind="stable")]
    _, first, count = np.unique(numbers[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(first, count)
    held_out = rank < np.repeat(np.round(fraction * count), count)
    return order[~held_out], order[held_out]
