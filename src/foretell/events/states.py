"""Where every customer stands: recurrent states, the next gap's distribution, and the silence so far."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from foretell.core import FloatArray, IntArray
from foretell.core.time import interval_ticks
from foretell.data.calendar import Calendar
from foretell.data.log import EventLog
from foretell.data.tables import YEARS_AHEAD
from foretell.events.clock import ClockTable, OperationalClock
from foretell.events.distribution import NextGap
from foretell.events.heads.base import HistoryNetwork
from foretell.events.history import (
    N_PACE,
    FeatureScale,
    Histories,
    Steps,
    histories,
    origins,
    pace_features,
    standardised,
    step_features,
)
from foretell.events.horizon.effects import Effects
from foretell.nn.arrays import in_single, namespace, repeat
from foretell.nn.backend import Array, Weights, jitted, jnp, side_by_side
from foretell.nn.samplers import power_of_two
from foretell.prep.bins import Bins

Float32Array: TypeAlias = npt.NDArray[np.float32]
Numbers: TypeAlias = npt.NDArray[Any]  # of one type or another

BLOCK = 16_384  # customers whose histories are read, and whose futures are simulated, at a time
_CHUNK = 2_048  # of them are run together


@dataclasses.dataclass(frozen=True)
class GapModel:
    """A fitted gap model: everything that a forecast needs besides the customers' histories.

    Attributes
    ----------
    network : HistoryNetwork
    members : tuple of lists of arrays
        Trained weights of each member of the ensemble, in the order of the network's weights.
    clock : OperationalClock
    scale : FeatureScale
    new_marks : array, shape (n_marks + 2,)
        Mean log(1 + mark) of a first event, and of what is known of customers: what a new customer's is
        taken to be.
    residuals : array, shape (n_residuals,)
        Ascending quantiles of the errors for held-out customers, of a head that forecasts a point.
    known : Effects or None
        How what is known of customers is read: by its tilt.
    """

    network: HistoryNetwork
    members: tuple[list[Float32Array], ...]
    clock: OperationalClock
    scale: FeatureScale
    new_marks: FloatArray
    residuals: FloatArray = dataclasses.field(default_factory=lambda: np.zeros(0))
    known: Effects | None = None

    def moved(self, calendar: Calendar | None) -> GapModel:
        """Return the model on the days of another calendar, where there is one."""
        clock = self.clock.moved(calendar)
        return self if clock is self.clock else dataclasses.replace(self, clock=clock)


class States(NamedTuple):
    """Customers after their last event; the first axis of ``memory`` and ``packed`` is the member.

    Attributes
    ----------
    memory : tuple of arrays, each of shape (n_members, n_customers, width)
    packed : array, shape (n_members, n_customers, n_parameters)
        What the head says of the next gap, such as `foretell.nn.mixture.unpack` reads.
    last : int64 array, shape (n_customers,)
        Tick of the last event.
    count, age : array, shape (n_customers,)
    mean_marks : array, shape (n_customers, n_marks + 2)
    """

    memory: tuple[Float32Array, ...]
    packed: Float32Array
    last: IntArray
    count: FloatArray  # type: ignore[assignment]  # hides the method of tuples
    age: FloatArray
    mean_marks: npt.NDArray[np.floating]

    def _changed(self, change: Callable[[Numbers, int], Numbers]) -> States:
        """Return what a change makes of each part along its axis of customers."""
        memory, rest = (change(part, 1) for part in self.memory), (change(part, 0) for part in self[2:])
        return States(tuple(memory), change(self.packed, 1), *rest)

    def rows(self, chosen: slice) -> States:
        """Return the states of some customers in a row."""
        return self._changed(lambda part, axis: part[:, chosen] if axis else part[chosen])

    def select(self, positions: IntArray) -> States:
        """Return the states of some customers."""
        return self._changed(lambda part, axis: np.take(part, positions, axis=axis))

    def put(self, positions: IntArray, states: States) -> States:
        """Return the states with those of some customers in place of their own."""

        def change(values: Numbers, new: Numbers, axis: int) -> Numbers:
            changed = values.copy()
            np.moveaxis(changed, axis, 0)[positions] = np.moveaxis(new, axis, 0)
            return changed

        memory = tuple(change(a, b, 1) for a, b in zip(self.memory, states.memory, strict=True))
        rest = (change(a, b, 0) for a, b in zip(self[2:], states[2:], strict=True))
        return States(memory, change(self.packed, states.packed, 1), *rest)

    def followed_by(self, others: Sequence[States]) -> States:
        """Return the states of these customers and then of others."""
        memory, packed, *rest = zip(self, *others, strict=True)
        joined = tuple(np.concatenate(parts, axis=1) for parts in zip(*memory, strict=True))
        return States(joined, np.concatenate(packed, axis=1), *(np.concatenate(parts) for parts in rest))

    def spread(self, positions: IntArray, seen: IntArray) -> States:
        """Return the states at their positions among more customers; those with 0 ``seen`` start blank."""

        def change(values: Numbers, axis: int) -> Numbers:
            out = np.zeros((*values.shape[:axis], len(seen), *values.shape[axis + 1 :]), dtype=values.dtype)
            by_customer = np.moveaxis(out, axis, 0)
            by_customer[positions] = np.moveaxis(values, axis, 0)
            by_customer[seen == 0] = 0
            return out

        return self._changed(change)

    def take(self, positions: IntArray, blank: States) -> States:
        """Return the states of some customers; position -1 stands for the one customer of ``blank``."""

        def change(values: Numbers, extra: Numbers, axis: int) -> Numbers:
            # Not joined first: of very many customers a few are asked for.
            taken = np.take(values, positions, axis=axis)
            np.moveaxis(taken, axis, 0)[positions < 0] = np.moveaxis(extra, axis, 0)[0]
            return taken

        memory = tuple(change(a, b, 1) for a, b in zip(self.memory, blank.memory, strict=True))
        rest = (change(a, b, 0) for a, b in zip(self[2:], blank[2:], strict=True))
        return States(memory, change(self.packed, blank.packed, 1), *rest)


_features = jitted(1)(step_features)
_standardised = jitted()(standardised)


def log_features(history: Histories, log: EventLog, *, paced: bool = False, xp: Any = jnp) -> Array:
    """Return the raw features of every event of a log; those of the customer's pace come last."""
    steps = Steps(
        in_single(history.gap, xp),
        in_single(history.mean_gap, xp),
        in_single(history.count, xp),
        in_single(history.age, xp),
        xp.asarray(history.ticks.astype(np.int32)),
        in_single(history.marks, xp),
        in_single(history.mean_marks, xp),
    )
    features: Array = (step_features if xp is np else _features)(steps, log.unit)
    if paced:
        features = xp.concatenate([features, in_single(pace_features(history), xp)], axis=-1)
    return features


def encode(
    model: GapModel, log: EventLog, since: States | None = None, seen: IntArray | None = None
) -> States:
    """Run the network over the whole histories of a log.

    With the states of the same customers after their first ``seen`` events, only later events are run.
    """
    if since is not None and seen is not None:
        touched = np.flatnonzero(log.counts > seen)
        if len(touched) < log.n_customers:
            if not len(touched):
                return since
            after = encode(model, log.take(touched), since.select(touched), seen[touched])
            return since.put(touched, after)
    seen = np.zeros(log.n_customers, dtype=np.int64) if seen is None else seen
    blocks = []
    for rows in block_slices(log.n_customers):
        earlier = None if since is None else since.rows(rows)
        part = log.take(range(rows.start, min(rows.stop, log.n_customers)))
        blocks.append(_encode_block(model, part, earlier, seen[rows]))
    return blocks[0] if len(blocks) == 1 else blocks[0].followed_by(blocks[1:])


def block_slices(n: int) -> list[slice]:
    """Return the blocks of customers that are run one after the other, so that memory is bounded."""
    width = -(-n // max(-(-n // BLOCK), 1))  # of about one size, so that they share their programs
    return [slice(begin, begin + width) for begin in range(0, n, max(width, 1))]


def _encode_block(model: GapModel, log: EventLog, since: States | None, seen: IntArray) -> States:
    history = histories(log, model.clock.table(log.start, log.as_of), model.known)
    xp = model.network.namespace_for(int(((log.counts - seen) > 0).sum()))
    if xp is not np:  # few sizes, few compilations
        history = history.filled(power_of_two(log.n_events, least=_CHUNK))
    raw = log_features(history, log, paced=model.network.paced, xp=xp)
    scaled = (standardised if xp is np else _standardised)(model.scale.arrays(xp), raw)
    inputs = scaled, in_single(model.network.state(history), xp)
    n, n_members = log.n_customers, len(model.members)
    starts, lengths = log.offsets[:-1] + seen, log.counts - seen
    if since is None:
        memory = [np.zeros((n_members, n, width), dtype=np.float32) for width in model.network.memory_widths]
        packed = np.zeros((n_members, n, model.network.packed_width), dtype=np.float32)
    else:
        memory, packed = [np.array(part) for part in since.memory], np.array(since.packed)
    # Customers with histories of about one length go together; the program takes any length.
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    chunks = [order[i : i + _CHUNK] for i in range(0, len(order), _CHUNK)]

    def advance(m: int) -> None:
        for chunk in chunks:
            rows = chunk if xp is np else np.resize(chunk, _CHUNK)
            before = [part[m, rows] for part in memory]
            first, count = starts[rows].astype(np.int32), lengths[rows].astype(np.int32)
            run = run_events if xp is np else _run_events
            after, output = run(model.network, model.members[m], before, inputs, first, count)
            for part, values in zip(memory, after, strict=True):
                part[m, chunk] = np.asarray(values)[: len(chunk)]
            packed[m, chunk] = np.asarray(output)[: len(chunk)]

    side_by_side([functools.partial(advance, m) for m in range(n_members)])
    final = log.offsets[1:] - 1
    return States(
        tuple(memory), packed, log.last, history.count[final], history.age[final], history.mean_marks[final]
    )


Carry: TypeAlias = tuple[Sequence[Array], Array]  # memory, and what the head says


def run_events(
    network: HistoryNetwork,
    weights: Weights,
    memory: Sequence[Array],
    inputs: tuple[Array, Array],
    starts: Numbers,
    lengths: Numbers,
) -> Carry:
    """Run ``lengths`` events, at least 1, of each customer through the network, from row ``starts`` on."""
    features, state = inputs
    xp = namespace(starts)

    last = lengths - 1

    def advance(position: Array, memory: Sequence[Array]) -> Sequence[Array]:
        # What the head says before the last event is not asked for: compilers leave it out.
        _, after = event(position, memory)
        live = (position < last)[:, None]
        return [xp.where(live, new, old) for new, old in zip(after, memory, strict=True)]

    def event(position: Array, memory: Sequence[Array]) -> tuple[Array, Sequence[Array]]:
        rows = xp.minimum(starts + position, features.shape[0] - 1)
        return network.step(weights, features[rows], state[rows], memory)

    output, memory = event(xp.asarray(last), repeat(last.max(), advance, memory, xp))
    return memory, output


_run_events = jitted(0)(run_events)


def newcomer(model: GapModel, log: EventLog) -> States:
    """Return the state of a customer whose first event would fall on the as-of date."""
    xp = model.network.namespace_for(1)
    zero, marks = xp.zeros((1,), np.float32), in_single(model.new_marks, xp)[None]
    ticks = xp.full((1,), log.as_of, dtype=np.int32)
    features = step_features(Steps(zero, zero, zero, zero, ticks, marks, marks), log.unit)
    if model.network.paced:
        features = xp.concatenate([features, xp.zeros((1, N_PACE), np.float32)], axis=-1)
    features = standardised(model.scale.arrays(xp), features)
    memory, packed = [], []
    for weights in model.members:
        blank = [xp.zeros((1, width), np.float32) for width in model.network.memory_widths]
        output, after = model.network.step(weights, features, xp.zeros((1, 2), np.float32), blank)
        memory.append(after)
        packed.append(output)
    return States(
        tuple(np.stack([np.asarray(part) for part in parts]) for parts in zip(*memory, strict=True)),
        np.stack([np.asarray(part) for part in packed]),
        np.full(1, log.as_of),
        np.zeros(1),
        np.zeros(1),
        np.asarray(marks),
    )


def silence(model: GapModel, log: EventLog, states: States) -> FloatArray:
    """Return the reading since each customer's last event, at the end of the as-of tick."""
    table = model.clock.table(log.start, log.as_of)
    return np.maximum(table.at(log.as_of) - origins(states.last, table, log.min_gap), 0.0)


@dataclasses.dataclass(frozen=True)
class Standing:
    """Customers at the as-of date: all answers about their next events are read off it.

    Attributes
    ----------
    gap : NextGap
        The ensemble's distribution of the gap since the last event, one row per customer.
    silence : array, shape (n_customers,)
        Reading since the last event at the end of the as-of tick.
    table : ClockTable
        The clock from the log's start to two years after the as-of date.
    last : int64 array, shape (n_customers,)
        Tick of the last event.
    origin : array, shape (n_customers,)
        Reading from which the gap is measured.
    as_of : int
    per_year : float
        Ticks of a year.
    """

    gap: NextGap
    silence: FloatArray
    table: ClockTable
    last: IntArray
    origin: FloatArray
    as_of: int
    per_year: float

    @property
    def p_active(self) -> FloatArray | None:
        """Probability of any further event; None where the head cannot say."""
        return self.gap.p_active(self.silence)

    @property
    def overdue(self) -> FloatArray | None:
        """How far the silence reaches into the distribution of gaps, in [0, 1]; None if not known."""
        return self.gap.overdue(self.silence)

    def p_return(self, ticks: int) -> FloatArray | None:
        """Return P(an event within ``ticks`` after the as-of date | silent so far), None if not known."""
        return self.gap.p_return(self.silence, self.table.at(self.as_of + ticks) - self.origin)

    def p_returns(self, ticks: Iterable[int]) -> FloatArray | None:
        """Return P(an event within so many ticks after the as-of date), (n, n_ticks); None if not known."""
        chances = [chance for length in ticks if (chance := self.p_return(int(length))) is not None]
        return np.stack(chances, axis=1) if chances else None

    def limits(self, level: float) -> FloatArray:
        """Return the moment by which the next event had come with some probability, given a return.

        As it stood just after the last event; on the log's own time axis, in ticks.
        """
        gaps = self.gap.quantiles(np.zeros_like(self.silence), np.array([level]))[0]
        return self.table.invert(self.origin + gaps)

    def next_events(self, levels: Sequence[float]) -> FloatArray:
        """Return quantiles of the next event's time given a return, in ticks after as_of, (n_levels, n).

        NaN stands for a customer of whom the head knows nothing more: silent for longer than any gap ever
        seen.
        """
        gaps = self.gap.quantiles(self.silence, np.asarray(levels, dtype=np.float64))
        moments = self.table.invert(self.origin + gaps) - self.as_of
        return np.clip(moments, 0.0, YEARS_AHEAD * self.per_year)

    def gap_lengths(self, levels: Sequence[float]) -> FloatArray:
        """Return quantiles of the gap as it was seen at each customer's last event, in whole ticks."""
        gaps = self.gap.quantiles(np.zeros_like(self.silence), np.asarray(levels, dtype=np.float64))
        lengths = np.ceil(np.round(self.table.invert(self.origin + gaps) - self.last, 6))
        return np.clip(lengths, 0.0, YEARS_AHEAD * self.per_year)

    def class_chances(self, bins: Bins) -> list[FloatArray] | None:
        """Return the chance of each class of the gap as seen at the last event, None if not known."""
        # A gap of g ticks ends in the tick last + g; a class holds its lower edge and not its upper one.
        survivals = []
        for edge in bins.edges:
            end = np.full(len(self.last), np.inf)
            if np.isfinite(edge):
                end = self.table.at(self.last + int(np.ceil(edge) - 1.0)) - self.origin
            survival = self.gap.survival(np.maximum(end, 0.0))
            if survival is None:
                return None
            survivals.append(np.asarray(survival))
        return [low - high for low, high in itertools.pairwise(survivals)]

    def within(self, horizon: int, coverage: float = 0.8) -> IntArray:
        """Return the interval of the next event given that it falls within the horizon, in ticks, (n, 2).

        Customers of whom the head knows nothing get the whole horizon.
        """
        reading = self.table.at(self.as_of + horizon) - self.origin
        inside = np.clip(self.gap.within(self.silence, reading), 1e-6, 1.0)
        tails = np.array([[(1.0 - coverage) / 2.0], [(1.0 + coverage) / 2.0]])
        gaps = self.gap.quantiles(self.silence, tails * np.nan_to_num(inside, nan=1.0))
        low, high = np.clip(self.table.invert(self.origin + gaps) - self.as_of, 0.0, float(horizon))
        low, high = np.nan_to_num(low, nan=0.0), np.nan_to_num(high, nan=float(horizon))
        return interval_ticks(low, high, self.as_of)


def standing(model: GapModel, log: EventLog, states: States) -> Standing:
    """Return where customers stand at the end of a log."""
    per_year = 365.25 * (24 if log.unit == "hour" else 1)
    table = model.clock.table(log.start, log.as_of + int(2 * per_year))
    return Standing(
        gap=model.network.next_gap(np.asarray(states.packed, dtype=np.float64), model.residuals),
        silence=silence(model, log, states),
        table=table,
        last=states.last,
        origin=origins(states.last, table, log.min_gap),
        as_of=log.as_of,
        per_year=per_year,
    )


# States of a log that is asked about more than once, such as a fold of a backtest; they go with the log.
_REMEMBERED: weakref.WeakKeyDictionary[EventLog, tuple[weakref.ref[GapModel], States]] = (
    weakref.WeakKeyDictionary()
)


def remembered_states(model: GapModel, log: EventLog, read: Callable[[EventLog], States]) -> States:
    """Return the states of a log's customers, read once for each log and model."""
    known = _REMEMBERED.get(log)
    if known is not None and known[0]() is model:
        return known[1]
    states = read(log)
    _REMEMBERED[log] = (weakref.ref(model), states)
    return states
