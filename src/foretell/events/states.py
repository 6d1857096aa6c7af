"""Where every customer stands: recurrent states and the next gap's distribution after the last event."""

from __future__ import annotations

import dataclasses
import functools
import weakref
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from foretell.data.log import EventLog
from foretell.events.clock import OperationalClock
from foretell.events.distribution import NextGap
from foretell.events.gap_features import N_PACE, pace_features
from foretell.events.heads.base import HistoryNetwork
from foretell.events.history import (
    FeatureScale,
    Histories,
    Steps,
    histories,
    on_device,
    origins,
    standardised,
    step_features,
)
from foretell.nn.backend import Weights
from foretell.nn.mixture import Array
from foretell.nn.training import side_by_side

IntArray = npt.NDArray[np.int64]

_CHUNK = 2_048  # customers that are run together


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
    new_marks : array, shape (n_marks,)
        Mean log(1 + mark) of a first event: what a new customer's is taken to be.
    residuals : array, shape (n_residuals,)
        Ascending quantiles of the errors for held-out customers, of a head that forecasts a point.
    """

    network: HistoryNetwork
    members: tuple[list[npt.NDArray[np.float32]], ...]
    clock: OperationalClock
    scale: FeatureScale
    new_marks: npt.NDArray[np.float64]
    residuals: npt.NDArray[np.float64] = dataclasses.field(default_factory=lambda: np.zeros(0))


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
    mean_marks : array, shape (n_customers, n_marks)
    """

    memory: tuple[Array, ...]
    packed: Array
    last: IntArray
    count: Array
    age: Array
    mean_marks: Array

    def rows(self, chosen: slice) -> States:
        """Return the states of some customers in a row."""
        memory = tuple(np.asarray(part)[:, chosen] for part in self.memory)
        return States(memory, np.asarray(self.packed)[:, chosen], *(part[chosen] for part in self[2:]))

    def spread(self, positions: IntArray, seen: IntArray) -> States:
        """Return the states at their positions among more customers; those with 0 ``seen`` start blank."""

        def change(values: Array, axis: int) -> Array:
            out = np.zeros((*values.shape[:axis], len(seen), *values.shape[axis + 1 :]), dtype=values.dtype)
            by_customer = np.moveaxis(out, axis, 0)
            by_customer[positions] = np.moveaxis(values, axis, 0)
            by_customer[seen == 0] = 0
            return out

        memory = tuple(change(np.asarray(part), 1) for part in self.memory)
        rest = [change(np.asarray(part), 0) for part in self[2:]]
        return States(memory, change(np.asarray(self.packed), 1), *rest)

    def take(self, positions: IntArray, blank: States) -> States:
        """Return the states of some customers; position -1 stands for the one customer of ``blank``."""

        def change(values: Array, extra: Array, axis: int) -> Array:
            return np.take(np.concatenate([values, extra], axis=axis), positions, axis=axis)

        memory = tuple(change(a, b, 1) for a, b in zip(self.memory, blank.memory, strict=True))
        rest = [change(a, b, 0) for a, b in zip(self[2:], blank[2:], strict=True)]
        return States(memory, change(self.packed, blank.packed, 1), *rest)


def log_features(history: Histories, log: EventLog, *, paced: bool = False) -> Array:
    """Return the raw features of every event of a log; those of the customer's pace come last."""
    steps = Steps(
        on_device(history.gap),
        on_device(history.mean_gap),
        on_device(history.count),
        on_device(history.age),
        jnp.asarray(history.ticks.astype(np.int32)),
        on_device(history.marks),
        on_device(history.mean_marks),
    )
    features: Array = _features(steps, log.unit)
    if not paced:
        return features
    return jnp.concatenate([features, on_device(pace_features(history))], axis=-1)


_features = jax.jit(step_features, static_argnums=1)


def _scaled(scale: FeatureScale, features: Array) -> Array:
    return _scale(scale.arrays(), features)


_scale = jax.jit(standardised)


def encode(
    model: GapModel, log: EventLog, since: States | None = None, seen: IntArray | None = None
) -> States:
    """Run the network over the histories of a log.

    Parameters
    ----------
    model : GapModel
    log : EventLog
        Whole histories.
    since : States, optional
        States of the same customers after their first ``seen`` events: only later events are run.
    seen : int array, shape (n_customers,), optional
    """
    history = histories(log, model.clock.table(log.start, log.as_of))
    features = _scaled(model.scale, log_features(history, log, paced=model.network.paced))
    state = on_device(model.network.state(history))
    n, n_members = log.n_customers, len(model.members)
    seen = np.zeros(n, dtype=np.int64) if seen is None else seen
    starts, lengths = log.offsets[:-1] + seen, log.counts - seen
    if since is None:
        widths = model.network.network.memory_widths
        memory = [np.zeros((n_members, n, width), dtype=np.float32) for width in widths]
        packed = np.zeros((n_members, n, model.network.packed_width), dtype=np.float32)
    else:
        memory, packed = [np.array(part) for part in since.memory], np.array(since.packed)
    # Customers with histories of about one length go together; the program takes any length.
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    chunks = [order[i : i + _CHUNK] for i in range(0, len(order), _CHUNK)]

    def advance(m: int) -> None:
        for chunk in chunks:
            rows = np.resize(chunk, _CHUNK)
            after, output = _advance(
                model.network,
                model.members[m],
                [part[m, rows] for part in memory],
                features,
                state,
                starts[rows].astype(np.int32),
                lengths[rows].astype(np.int32),
            )
            for part, values in zip(memory, after, strict=True):
                part[m, chunk] = np.asarray(values)[: len(chunk)]
            packed[m, chunk] = np.asarray(output)[: len(chunk)]

    side_by_side([functools.partial(advance, m) for m in range(n_members)])
    final = log.offsets[1:] - 1
    return States(
        tuple(memory), packed, log.last, history.count[final], history.age[final], history.mean_marks[final]
    )


@functools.partial(jax.jit, static_argnums=0)
def _advance(
    network: HistoryNetwork,
    weights: Weights,
    memory: Sequence[Array],
    features: Array,
    state: Array,
    starts: Array,
    lengths: Array,
) -> tuple[list[Array], Array]:
    """Run ``lengths`` events of each customer through the network, from row ``starts``."""

    def one(position: Array, carry: tuple[list[Array], Array]) -> tuple[list[Array], Array]:
        memory, packed = carry
        rows = jnp.minimum(starts + position, features.shape[0] - 1)
        output, after = network.step(weights, features[rows], state[rows], memory)
        live = (position < lengths)[:, None]
        kept = [jnp.where(live, new, old) for new, old in zip(after, memory, strict=True)]
        return kept, jnp.where(live, output, packed)

    empty = jnp.zeros((starts.shape[0], network.packed_width), dtype=features.dtype)
    result: tuple[list[Array], Array] = jax.lax.fori_loop(0, jnp.max(lengths), one, (memory, empty))
    return result


def newcomer(model: GapModel, log: EventLog, copies: int) -> States:
    """Return the states of customers whose first event would fall on the as-of date."""
    zero = jnp.zeros((copies,), jnp.float32)
    marks = jnp.broadcast_to(jnp.asarray(model.new_marks, jnp.float32), (copies, len(model.new_marks)))
    ticks = jnp.full((copies,), log.as_of, dtype=jnp.int32)
    features = step_features(Steps(zero, zero, zero, zero, ticks, marks, marks), log.unit)
    if model.network.paced:
        features = jnp.concatenate([features, jnp.zeros((copies, N_PACE), jnp.float32)], axis=-1)
    features = _scaled(model.scale, features)
    state = jnp.zeros((copies, 2), jnp.float32)
    memory, packed = [], []
    for weights in model.members:
        blank = [jnp.zeros((copies, width), jnp.float32) for width in model.network.network.memory_widths]
        output, after = model.network.step(weights, features, state, blank)
        memory.append(after)
        packed.append(output)
    return States(
        tuple(np.stack([np.asarray(m[i]) for m in memory]) for i in range(len(memory[0]))),
        np.stack([np.asarray(p) for p in packed]),
        np.full(copies, log.as_of),
        np.zeros(copies),
        np.zeros(copies),
        np.asarray(marks),
    )


def silence(model: GapModel, log: EventLog, states: States) -> npt.NDArray[np.float64]:
    """Return the reading since each customer's last event, at the end of the as-of tick."""
    table = model.clock.table(log.start, log.as_of)
    return np.maximum(table.at(log.as_of) - origins(states.last, table, log.min_gap), 0.0)


def next_gaps(model: GapModel, states: States) -> NextGap:
    """Return the ensemble's distribution of each customer's gap since the last event, in double precision."""
    return model.network.next_gap(np.asarray(states.packed, dtype=np.float64), model.residuals)


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
