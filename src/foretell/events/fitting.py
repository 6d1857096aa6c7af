"""Fit of the gap model: clock, anchor, then the ensemble's networks through the compiled loop."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from foretell.data.log import EventLog
from foretell.errors import EmptyLogError
from foretell.events.clock import OperationalClock
from foretell.events.gap_model import DropOut, GapNetwork, fit_anchor, gap_data
from foretell.events.history import FeatureScale, histories, standardised
from foretell.events.states import GapModel, log_features
from foretell.nn.networks import NetworkConfig
from foretell.nn.own import EventShape
from foretell.nn.training import (
    Bucket,
    Progress,
    TrainConfig,
    Trained,
    Trainer,
    bucket_lengths,
    bucketed,
    cut_runs,
    filled,
    side_by_side,
)

IntArray = npt.NDArray[np.int64]


def fit_gap_model(
    log: EventLog,
    network: NetworkConfig,
    training: TrainConfig,
    *,
    ensemble: int,
    seed: int,
    drop_out: DropOut = "mbg",
    seasonal: bool = True,
    progress: Callable[[Progress], None] | None = None,
) -> GapModel:
    """Fit the gap model to a log up to its as-of date."""
    if log.n_events == log.n_customers:
        raise EmptyLogError(
            f"none of the {log.n_customers:,} customers came back by {log.date(log.as_of)}: there is no gap "
            "to learn from; read a longer log, or events that are not merged (merge=None)"
        )
    clock = OperationalClock.fit(log) if seasonal else OperationalClock.flat(log.unit)
    history = histories(log, clock.table(log.start, log.as_of))
    raw = log_features(history, log)
    scale = FeatureScale.fit(np.asarray(raw, dtype=np.float64))
    data = gap_data(history, standardised(scale.arrays(), raw))
    network = network.resolved(EventShape(raw.shape[-1], training.max_steps))
    networks = [GapNetwork(network, raw.shape[-1], drop_out, seed + m) for m in range(ensemble)]
    longest = min(training.max_steps, networks[0].network.longest or training.max_steps)
    sets = [_hold_out(log.n_customers, training.validation_fraction, seed + m) for m in range(ensemble)]
    lengths = bucket_lengths(cut_runs(log.offsets, np.arange(log.n_customers), longest)[1])

    def buckets(chosen: list[IntArray]) -> list[tuple[Bucket, ...]]:
        runs = [bucketed(*cut_runs(log.offsets, c, longest), lengths) for c in chosen]
        # All members' buckets have the same shapes, so that they share one compiled program.
        rows = [max(len(r[k][0]) for r in runs) for k in range(len(lengths))]
        return [filled(r, rows) for r in runs]

    train = buckets([kept for kept, _ in sets])
    held_out = buckets([out for _, out in sets]) if len(sets[0][1]) else [None] * ensemble
    trainer = Trainer(
        networks[0].network.variables,
        networks[0].loss,
        training,
        lengths,
        len(sets[0][0]),
        networks[0].anchor_names,
        network.dropout,
    )
    with ThreadPoolExecutor(1) as other_core:
        compiled = other_core.submit(trainer.compile, data, train[0], held_out[0])
        anchor, _ = fit_anchor(history, network.components, drop_out)
        compiled.result()

    def job(m: int) -> Callable[[], Trained]:
        def report(epoch: int, loss: float, validation: float) -> None:
            if progress is not None:
                per = validation / max(len(sets[m][1]), 1)
                progress(Progress(m, epoch + 1, training.epochs, loss, per))

        initial = networks[m].initial(anchor)
        return lambda: trainer.train(initial, data, train[m], held_out[m], seed + m, report)

    trained = side_by_side([job(m) for m in range(ensemble)])
    first = log.offsets[:-1]
    return GapModel(
        network=networks[0],
        members=tuple(list(result.weights) for result in trained),
        clock=clock,
        scale=scale,
        new_marks=history.marks[first].mean(axis=0),
    )


def _hold_out(n: int, fraction: float, seed: int) -> tuple[IntArray, IntArray]:
    """Return the customers to train on, and those held out for early stopping."""
    order = np.random.default_rng(seed).permutation(n)
    held = min(round(n * fraction), n - 1) if n >= 10 else 0
    return np.sort(order[held:]), np.sort(order[:held])
