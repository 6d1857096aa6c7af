"""Fit of the gap model: clock, anchor, then the ensemble's networks through the compiled loop."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from foretell.data.log import EventLog
from foretell.errors import EmptyLogError
from foretell.events.clock import OperationalClock
from foretell.events.heads.base import GapData, HistoryNetwork, filled_up, gap_data
from foretell.events.heads.config import HeadConfig
from foretell.events.heads.networks import builder, learned_settings
from foretell.events.heads.point import PointNetwork, error_quantiles
from foretell.events.history import FeatureScale, histories, standardised
from foretell.events.states import GapModel, log_features
from foretell.nn.custom import EventShape
from foretell.nn.samplers import (
    Bucket,
    RunSampler,
    bucket_lengths,
    bucketed,
    cut_runs,
    filled,
    power_of_two,
)
from foretell.nn.settings import NetworkConfig, TrainConfig
from foretell.nn.training import Progress, Trained, Trainer, reporter, side_by_side

IntArray = npt.NDArray[np.int64]

# A warm start takes this share of the epochs, from this share of the learning rate on.
WARM_EPOCHS, WARM_RATE = 0.15, 0.3


def warmed(training: TrainConfig) -> TrainConfig:
    """Return how training goes on from weights that are nearly right: a few epochs, gently, on everything."""
    return dataclasses.replace(
        training,
        epochs=max(round(WARM_EPOCHS * training.epochs), 1),
        learning_rate=WARM_RATE * training.learning_rate,
        validation_fraction=0.0,
    )


def fit_gap_model(
    log: EventLog,
    network: NetworkConfig,
    training: TrainConfig,
    *,
    ensemble: int,
    seed: int,
    head: HeadConfig | None = None,
    start: GapModel | None = None,
    train: bool = True,
    progress: Callable[[Progress], None] | None = None,
) -> GapModel:
    """Fit the gap model to a log up to its as-of date.

    With ``start`` training goes on from an earlier model's weights; without ``train`` it stays at the anchor.
    """
    head = head or HeadConfig()
    if log.n_events == log.n_customers:
        raise EmptyLogError(
            f"none of the {log.n_customers:,} customers came back by {log.date(log.as_of)}: there is no gap "
            "to learn from; read a longer log, or events that are not merged (merge=None)"
        )
    clock = OperationalClock.fit(log) if head.seasonal else OperationalClock.flat(log.unit)
    history = histories(log, clock.table(log.start, log.as_of))
    build = builder(head.kind, learned_settings(head, history, log))
    raw = log_features(history, log, paced=head.kind != "mixture")
    # The weights were learned with their own scale of the features.
    scale = FeatureScale.fit(np.asarray(raw, dtype=np.float64)) if start is None else start.scale
    network = network.resolved(EventShape(raw.shape[-1], training.max_steps))
    new_marks = history.marks[log.offsets[:-1]].mean(axis=0)
    if start is not None:
        networks = [start.network]
    else:
        networks = [build(network, raw.shape[-1], seed + m) for m in range(ensemble if train else 1)]
    if not train:
        blank = list(networks[0].initial(networks[0].start(history)))
        return GapModel(networks[0], (blank,), clock, scale, new_marks)
    data = gap_data(history, standardised(scale.arrays(), raw), networks[0].state(history))
    longest = min(training.max_steps, networks[0].network.longest or training.max_steps)
    sets = [_hold_out(log.n_customers, training.validation_fraction, seed + m) for m in range(ensemble)]
    lengths = bucket_lengths(cut_runs(log.offsets, np.arange(log.n_customers), longest)[1])

    # Folds of a backtest go on from each other: few sizes let them share their compiled programs.
    room = int if start is None else functools.partial(power_of_two, least=64)
    if start is not None:
        data = filled_up(data, room(log.n_events))

    def buckets(chosen: list[IntArray]) -> list[tuple[Bucket, ...]]:
        runs = [bucketed(*cut_runs(log.offsets, c, longest), lengths) for c in chosen]
        # All members' buckets have the same shapes, so that they share one compiled program.
        rows = [room(max(len(r[k][0]) for r in runs)) for k in range(len(lengths))]
        return [filled(r, rows) for r in runs]

    to_train = buckets([kept for kept, _ in sets])
    held_out = buckets([out for _, out in sets]) if len(sets[0][1]) else [None] * ensemble
    sampler = RunSampler(networks[0], lengths, room(len(sets[0][0])), training.batch_size)
    trainer = Trainer(
        sampler, training, undecayed=networks[0].anchor_names, dropout=network.dropout, joined=True
    )
    read = [(data, runs) for runs in to_train]
    judged = [None if runs is None else (data, runs) for runs in held_out]
    if start is None:
        with ThreadPoolExecutor(1) as other_core:
            compiled = other_core.submit(trainer.compile, read[0], judged[0])
            begin = networks[0].start(history)
            compiled.result()
        initial = [list(one.initial(begin)) for one in networks]
    else:
        trainer.compile(read[0], judged[0])
        initial = [list(weights) for weights in start.members]

    def job(m: int) -> Callable[[], Trained]:
        report = reporter(progress, m, training.epochs, max(len(sets[m][1]), 1))
        return lambda: trainer.train(initial[m], read[m], judged[m], seed=seed + m, report=report)

    trained = side_by_side([job(m) for m in range(ensemble)])
    return GapModel(
        network=networks[0],
        members=tuple(list(result.weights) for result in trained),
        clock=clock,
        scale=scale,
        new_marks=new_marks,
        residuals=_residuals(
            networks[0], trained, data, [h or t for h, t in zip(held_out, to_train, strict=True)], lengths
        ),
    )


def _residuals(
    network: HistoryNetwork,
    trained: list[Trained],
    data: GapData,
    runs: list[tuple[Bucket, ...]],
    lengths: tuple[int, ...],
) -> npt.NDArray[np.float64]:
    """Return quantiles of the errors of a point forecast for each member's held-out customers."""
    if not isinstance(network, PointNetwork):
        return np.zeros(0)
    errors = [network.errors(t.weights, data, r, lengths) for t, r in zip(trained, runs, strict=True)]
    return error_quantiles(np.concatenate(errors))


def _hold_out(n: int, fraction: float, seed: int) -> tuple[IntArray, IntArray]:
    """Return the customers to train on, and those held out for early stopping."""
    order = np.random.default_rng(seed).permutation(n)
    held = min(round(n * fraction), n - 1) if n >= 10 else 0
    return np.sort(order[held:]), np.sort(order[:held])
