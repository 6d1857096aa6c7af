"""From a global gap model to one for each store, all trained on together."""

from __future__ import annotations

import dataclasses
from typing import cast

import numpy as np
import numpy.typing as npt

from foretell.data.log import EventLog
from foretell.events.heads.base import HistoryNetwork, gap_data
from foretell.events.history import histories, standardised
from foretell.events.states import GapModel, log_features
from foretell.events.stores.network import StoreNetwork
from foretell.nn.samplers import ModelSampler, Runs, bucket_lengths, cut_runs
from foretell.nn.settings import TrainConfig
from foretell.nn.training import ModelTrainer, Trained

IntArray = npt.NDArray[np.int64]

_MOST_STEPS, _BATCH = 32, 32  # steps of an epoch, runs of a step


def fit_stores(
    model: GapModel, log: EventLog, numbers: IntArray, n_models: int, training: TrainConfig, seed: int
) -> tuple[GapModel, list[Trained]]:
    """Train the global model on for each store's customers.

    Parameters
    ----------
    model : GapModel
        The global one.
    log : EventLog
    numbers : int64 array, shape (n_customers,)
        The model of each customer; 0 stays with the global one.
    n_models : int
        Besides the global one.
    training : TrainConfig
    seed : int

    Returns
    -------
    model : GapModel
        Of a `StoreNetwork`: every weight has a leading axis of 1 + n_models.
    trained : list of Trained
        One for each member of the ensemble; empty where there is nothing to train.
    """
    trained: list[Trained] = []
    if n_models:
        trained = _train(model, log, numbers, n_models, training, seed)
    members = []
    for m, weights in enumerate(model.members):
        own = trained[m].weights if trained else [weight[None][:0] for weight in weights]
        members.append([np.concatenate([w[None], o]) for w, o in zip(weights, own, strict=True)])
    network = cast("HistoryNetwork", StoreNetwork(model.network))
    return dataclasses.replace(model, network=network, members=tuple(members)), trained


def _train(
    model: GapModel, log: EventLog, numbers: IntArray, n_models: int, training: TrainConfig, seed: int
) -> list[Trained]:
    history = histories(log, model.clock.table(log.start, log.as_of))
    data = gap_data(history, standardised(model.scale.arrays(), log_features(history, log)))
    longest = training.max_steps
    kept, held = _hold_out(numbers, training.validation_fraction, seed)
    padded = bucket_lengths(cut_runs(log.offsets, kept, longest)[1], most=2)

    def runs(customers: IntArray) -> Runs:
        pieces = -(-log.counts[customers] // longest)
        readers = np.repeat(numbers[customers] - 1, pieces)
        return Runs.share(cut_runs(log.offsets, customers, longest), readers, n_models, padded)

    train, held_out, batch = runs(kept), runs(held) if len(held) else None, training.batch_size or _BATCH
    per_model = float(train.n_runs.sum()) / n_models / batch
    n_steps = int(np.clip(round(per_model), 1, _MOST_STEPS))
    network = model.network
    sampler = ModelSampler.of(network, padded, (train, held_out), batch, n_steps)
    trainer = ModelTrainer(sampler, training, undecayed=network.anchor_names, dropout=network.config.dropout)
    judged = None if held_out is None else (data, held_out)
    return [
        trainer.train(weights, (data, train), judged, seed=seed + m)
        for m, weights in enumerate(model.members)
    ]


def _hold_out(numbers: IntArray, fraction: float, seed: int) -> tuple[IntArray, IntArray]:
    """Return customers who have a model of their own, in random order: to train on, and those held out."""
    order = np.random.default_rng(seed).permutation(len(numbers))
    order = order[numbers[order] > 0]
    order = order[np.argsort(numbers[order], kind="stable")]
    _, first, count = np.unique(numbers[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(first, count)
    held = rank < np.repeat(np.round(fraction * count), count)
    return order[~held], order[held]
