"""Fit of the gap model: clock, anchor, then the ensemble's networks through the compiled loop."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from foretell.core import FloatArray, IntArray
from foretell.data.log import EventLog
from foretell.errors import EmptyLogError
from foretell.events.clock import OperationalClock
from foretell.events.heads import HeadConfig
from foretell.events.heads.base import HistoryNetwork, Settings, gap_data
from foretell.events.heads.grid import bins_grid, fine_steps, hazard_grid
from foretell.events.heads.networks import NETWORKS
from foretell.events.heads.point import PointNetwork, error_quantiles, gap_scale
from foretell.events.history import FeatureScale, Histories, histories, least_deviations, standardised
from foretell.events.horizon.effects import Effects
from foretell.events.horizon.features import effects_of
from foretell.events.states import Float32Array, GapModel, log_features
from foretell.nn.backend import Array, Weights, side_by_side
from foretell.nn.custom import EventShape
from foretell.nn.samplers import (
    Bucket,
    RunData,
    RunSampler,
    bucket_lengths,
    bucketed,
    cut_runs,
    filled,
    power_of_two,
)
from foretell.nn.settings import NetworkConfig, TrainConfig
from foretell.nn.training import Progress, Trained, Trainer, gentle, reporter
from foretell.prep.bins import Bins

# Larger logs are learned from by a sample of their customers.
MOST_CUSTOMERS, MOST_EVENTS = 40_000, 400_000
# The few shared numbers of a head's start are as well known from fewer still.
START_EVENTS = 60_000
# A warm start takes this share of the epochs.
_WARM_EPOCHS = 0.15


def learned_settings(head: HeadConfig, history: Histories, log: EventLog) -> Settings:
    """Return what a head's network is built with, learned from the closed gaps of a log."""
    censored = bool(head.censored)
    if head.kind == "mixture":
        return {"drop_out": head.drop_out, "censored": censored}
    if head.kind == "gap":
        location, width = gap_scale(head.scale, history)
        return {"scale": head.scale, "location": location, "width": width}
    if head.kind == "hazard":
        edges, knots = hazard_grid(history, log.min_gap)
        return {"edges": edges, "knots": knots, "hazard": True, "censored": censored}
    lengths = log.gaps().lengths
    bins = Bins.quantiles(lengths, head.bins) if isinstance(head.bins, int) else Bins(head.bins)
    edges, knots = bins_grid(bins, history, log.min_gap)
    fine, within = fine_steps(knots, history, censored=censored)
    grid = {"edges": edges, "knots": knots, "fine": fine, "within": within}
    return {**grid, "hazard": False, "censored": censored}


def fit_gap_model(
    log: EventLog,
    network: NetworkConfig,
    training: TrainConfig,
    *,
    head: HeadConfig,
    ensemble: int,
    seed: int,
    progress: Callable[[Progress], None] | None = None,
) -> GapModel:
    """Fit the gap model to a log up to its as-of date."""
    measured = _Measured.of(log, head)
    config = measured.resolved(network, training)
    networks = [measured.network(config, seed + m) for m in range(ensemble)]
    members = _Members(measured, networks[0], training, range(seed, seed + ensemble))
    with ThreadPoolExecutor(1) as other_core:
        compiled = other_core.submit(members.compile)
        anchor = measured.start(networks[0])
        compiled.result()
    return members.train([network.initial(anchor) for network in networks], progress)


def train_further(
    log: EventLog,
    start: GapModel,
    training: TrainConfig,
    *,
    head: HeadConfig,
    seed: int,
    progress: Callable[[Progress], None] | None = None,
) -> GapModel:
    """Train an earlier model's members further, gently, on a log that has gone on."""
    # The weights were learned with their own scale, and their own effects.
    measured = _Measured.of(log, head, start.scale, start.known)
    seeds = range(seed, seed + len(start.members))
    # Folds of a backtest go on from each other: few sizes let them share their compiled programs.
    room, training = functools.partial(power_of_two, least=64), gentle(training, _WARM_EPOCHS)
    members = _Members(measured, start.network, training, seeds, room)
    members.compile()
    return members.train(start.members, progress)


def untrained(
    log: EventLog, network: NetworkConfig, training: TrainConfig, *, head: HeadConfig, seed: int
) -> GapModel:
    """Return a model that has learned nothing: it forecasts its anchor."""
    measured = _Measured.of(log, head)
    blank = measured.network(measured.resolved(network, training), seed)
    return measured.model(blank, (blank.initial(measured.start(blank)),), np.zeros(0))


@dataclasses.dataclass(frozen=True)
class _Measured:
    """A log on its operational clock, and the features of its events."""

    log: EventLog
    head: HeadConfig
    clock: OperationalClock
    history: Histories
    features: Array
    scale: FeatureScale
    known: Effects | None

    @classmethod
    def of(
        cls,
        log: EventLog,
        head: HeadConfig,
        scale: FeatureScale | None = None,
        known: Effects | None = None,
    ) -> _Measured:
        if log.n_events == log.n_customers:
            raise EmptyLogError(
                f"none of the {log.n_customers:,} customers came back by {log.date(log.as_of)}: there is no "
                "gap to learn from; read a longer log, or events that are not merged (merge=None)"
            )
        clock = OperationalClock.fit(log) if head.seasonal else OperationalClock.flat(log.unit)
        log = sampled(log)  # the clock has seen all events; the rest costs no more than the sample
        if scale is None:
            known = effects_of(log)
        history = histories(log, clock.table(log.start, log.as_of), known)
        raw = log_features(history, log, paced=NETWORKS[head.kind].paced)
        if scale is None:
            least: FloatArray = np.full(raw.shape[-1], 1e-6)
            if known is not None:
                least = least_deviations(raw.shape[-1], len(log.mark_names), log.unit)
            scale = FeatureScale.fit(np.asarray(raw, dtype=np.float64), least)
        return cls(log, head, clock, history, raw, scale, known)

    def start(self, network: HistoryNetwork) -> Sequence[npt.ArrayLike]:
        """Return where the head's weights start."""
        log = sampled(self.log, START_EVENTS)
        some = log is not self.log
        table = self.clock.table(log.start, log.as_of)
        return network.start(histories(log, table, self.known) if some else self.history)

    @functools.cached_property
    def _settings(self) -> Settings:
        return learned_settings(self.head, self.history, self.log)

    def resolved(self, network: NetworkConfig, training: TrainConfig) -> NetworkConfig:
        return network.resolved(EventShape(self.features.shape[-1], training.max_steps))

    def network(self, network: NetworkConfig, seed: int) -> HistoryNetwork:
        n_features = self.features.shape[-1]
        return NETWORKS[self.head.kind].from_settings(network, n_features, self._settings, seed)

    def model(
        self, network: HistoryNetwork, members: tuple[list[Float32Array], ...], residuals: FloatArray
    ) -> GapModel:
        firsts = self.history.marks[self.log.offsets[:-1]]
        known = ~np.isnan(firsts)
        new_marks = np.where(known, firsts, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        return GapModel(network, members, self.clock, self.scale, new_marks, residuals, self.known)


class _Members:
    """Trains the members of an ensemble side by side, on one build; each holds out customers of its own.

    Data are filled up to the size that `room` gives for theirs.
    """

    def __init__(
        self,
        measured: _Measured,
        network: HistoryNetwork,
        training: TrainConfig,
        seeds: range,
        room: Callable[[int], int] = int,
    ) -> None:
        log = measured.log
        self.measured, self.network, self.training, self.seeds = measured, network, training, seeds
        features = standardised(measured.scale.arrays(), measured.features)
        data = gap_data(measured.history, features, network.state(measured.history))
        if room is not int:  # filled up with the last row, which no run of events reads
            data = data.take(np.minimum(np.arange(room(log.n_events)), log.n_events - 1))
        self.data = data
        longest = min(training.max_steps, network.longest or training.max_steps)
        sets = [_hold_out(log.n_customers, training.validation_fraction, seed) for seed in seeds]
        self.n_held_out = len(sets[0][1])
        self.lengths = bucket_lengths(cut_runs(log.offsets, np.arange(log.n_customers), longest)[1])

        def buckets(chosen: list[IntArray]) -> list[tuple[Bucket, ...]]:
            runs = [bucketed(*cut_runs(log.offsets, c, longest), self.lengths) for c in chosen]
            # All members' buckets have the same shapes, so that they share one compiled program.
            rows = [room(max(len(r[k][0]) for r in runs)) for k in range(len(self.lengths))]
            return [filled(r, rows) for r in runs]

        self.train_runs = buckets([train for train, _ in sets])
        self.held_out_runs = buckets([held_out for _, held_out in sets]) if self.n_held_out else []
        sampler = RunSampler(network, self.lengths, room(len(sets[0][0])), training.batch_size)
        self.trainer = Trainer(
            sampler, training, undecayed=network.anchor_names, dropout=network.config.dropout, joined=True
        )

    def _read(self, m: int) -> tuple[RunData, RunData | None]:
        """Return what a member is trained on, and judged by."""
        held_out = (self.data, self.held_out_runs[m]) if self.n_held_out else None
        return (self.data, self.train_runs[m]), held_out

    def compile(self) -> None:
        self.trainer.compile(*self._read(0))

    def train(self, initial: Sequence[Weights], progress: Callable[[Progress], None] | None) -> GapModel:
        def job(m: int) -> Trained:
            report = reporter(progress, m, self.training.epochs, max(self.n_held_out, 1))
            return self.trainer.train(initial[m], *self._read(m), seed=self.seeds[m], report=report)

        trained = side_by_side([functools.partial(job, m) for m in range(len(initial))])
        members = tuple(list(result.weights) for result in trained)
        return self.measured.model(self.network, members, self._residuals(members))

    def _residuals(self, members: Sequence[Weights]) -> FloatArray:
        """Return quantiles of the errors of a point forecast for each member's held-out customers."""
        if not isinstance(self.network, PointNetwork):
            return np.zeros(0)
        runs = self.held_out_runs or self.train_runs
        pairs = zip(members, runs, strict=True)
        errors = [self.network.errors(weights, self.data, r, self.lengths) for weights, r in pairs]
        return error_quantiles(np.concatenate(errors))


def sampled(log: EventLog, most_events: int = MOST_EVENTS) -> EventLog:
    """Return the log of as many customers, drawn at random, as there is something to learn from.

    A network of some ten thousand weights, trained for tens of epochs, learns no more from further customers.
    """
    if log.n_customers <= MOST_CUSTOMERS and log.n_events <= most_events:
        return log
    order = np.random.default_rng(0).permutation(log.n_customers)
    within = int(np.searchsorted(np.cumsum(log.counts[order]), most_events))
    return log.take(np.sort(order[: max(min(within, MOST_CUSTOMERS), 1)]))


def _hold_out(n: int, fraction: float, seed: int) -> tuple[IntArray, IntArray]:
    """Return the customers to train on, and those held out for early stopping."""
    order = np.random.default_rng(seed).permutation(n)
    n_held_out = min(round(n * fraction), n - 1) if n >= 10 else 0
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])
