"""Counts of future events: simulated paths, with exact expectations wherever they have a closed form.

Lanes of fixed number work through a queue of (customer, member) tasks: a lane whose path has left the horizon
takes the next task, so that one compiled program of one shape serves any log and no lane idles.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from foretell.data.log import EventLog
from foretell.events.history import FeatureScale, step_features
from foretell.events.states import GapModel, States, silence
from foretell.nn import mixture as mix
from foretell.nn.mixture import Array, GapMixture

FloatArray = npt.NDArray[np.float64]

LANES = 8_192


class Start(NamedTuple):
    """Customers at the as-of date, on the device; readings are relative to its end."""

    memory: tuple[Array, ...]
    packed: Array
    origin: Array  # (n,) reading of the last event's origin, at most 0
    count: Array
    age: Array
    mean_marks: Array


class Horizon(NamedTuple):
    """The clock ahead: readings at the end of ticks 0 … H after the as-of date, and the tick of reading 0."""

    readings: Array
    as_of: Array


class _Lanes(NamedTuple):
    customer: Array
    reading: Array  # of the coming event, within the horizon
    origin: Array
    count: Array
    age: Array
    memory: tuple[Array, ...]
    live: Array


def ahead(model: GapModel, log: EventLog, horizon: int) -> Horizon:
    """Return the clock over the horizon."""
    table = model.clock.table(log.as_of + 1, log.as_of + horizon)
    return Horizon(jnp.asarray(table.readings, dtype=jnp.float32), jnp.asarray(log.as_of, dtype=jnp.int32))


def starting_points(model: GapModel, log: EventLog, states: States, member: int) -> Start:
    """Return one member's view of the customers."""
    as_float = functools.partial(jnp.asarray, dtype=jnp.float32)
    return Start(
        tuple(as_float(part[member]) for part in states.memory),
        as_float(states.packed[member]),
        as_float(-silence(model, log, states)),
        as_float(states.count),
        as_float(states.age),
        as_float(states.mean_marks),
    )


def _draw(mixture: GapMixture, elapsed: Array, limit: Array, key: Array) -> Array:
    """Return a gap in (elapsed, limit] of the returning customer's distribution, by closed-form inverse."""
    pick, place = jax.random.split(key)
    base = mix.component_log_survival(mixture, elapsed)
    left = jnp.exp(mix.component_log_survival(mixture, limit) - base)  # S_k(limit) / S_k(elapsed)
    mass = mixture.log_weight + base + jnp.log(jnp.maximum(1.0 - left, mix.TINY))
    component = jax.random.categorical(pick, mass, axis=-1)
    floor = jnp.take_along_axis(left, component[..., None], axis=-1)[..., 0]
    uniform = floor + (1.0 - floor) * (1.0 - jax.random.uniform(place, floor.shape))
    return jnp.clip(mix.truncated_inverse(mixture, component, elapsed, uniform), elapsed, limit)


class Emission(NamedTuple):
    """Simulated events of one round of the lanes: task and tick; ``live`` says which lanes had one."""

    task: Array
    tick: Array
    live: Array


def _round(
    network: Any,
    scale: FeatureScale,
    unit: Any,
    min_gap: int,
    weights: Any,
    start: Start,
    horizon: Horizon,
    lanes: _Lanes,
    key: Array,
) -> tuple[_Lanes, Array, GapMixture]:
    """Let every live lane's coming event happen, and draw the one after it.

    Returns the lanes, the ticks of the events that happened, and the distribution of the gaps after them.
    """
    readings = horizon.readings
    tick = jnp.clip(jnp.searchsorted(readings, lanes.reading), 1, readings.shape[0] - 1).astype(jnp.int32)
    origin = readings[tick - 1 + min_gap]
    count = lanes.count + 1.0
    gap = jnp.maximum(origin - lanes.origin, 0.0)
    age = lanes.age + gap
    marks = start.mean_marks[lanes.customer]
    features = scale(step_features(gap, age / count, count, age, tick + horizon.as_of, marks, marks, unit))
    packed, memory = network.step(weights, features, jnp.stack([count, age], axis=-1), lanes.memory)
    mixture = mix.unpack(packed)
    cured, drawn = jax.random.split(key)
    returns = jnp.log(jax.random.uniform(cured, count.shape)) < mixture.log_return
    endless = jnp.full_like(gap, 1e9)
    reading = origin + _draw(mixture, jnp.zeros_like(gap), endless, drawn)
    live = lanes.live & returns & (reading <= readings[-1])
    return _Lanes(lanes.customer, reading, origin, count, age, tuple(memory), live), tick, mixture


def _load(start: Start, customer: Array, reading: Array, live: Array) -> _Lanes:
    memory = tuple(part[customer] for part in start.memory)
    return _Lanes(
        customer, reading, start.origin[customer], start.count[customer], start.age[customer], memory, live
    )


def _merge(refill: Array, new: _Lanes, old: _Lanes) -> _Lanes:
    def choose(fresh: Array, kept: Array) -> Array:
        return jnp.where(refill.reshape(refill.shape + (1,) * (fresh.ndim - 1)), fresh, kept)

    return jax.tree.map(choose, new, old)


class Expectation(NamedTuple):
    """Sums over the paths of one member, beyond each customer's next event.

    Attributes
    ----------
    counts : array, shape (n_customers, n_edges)
        Expected events after the next one, up to each edge, summed over the customer's paths.
    cohort : array, shape (n_customers?, n_ticks + 1)
        Weighted events after the next one in each tick of the horizon.
    """

    counts: Array
    cohort: Array


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def _expect(
    network: Any,
    unit: Any,
    min_gap: int,
    lanes_count: int,
    n_edges: int,
    scale: Any,
    weights: Any,
    start: Start,
    horizon: Horizon,
    edges: Array,
    tasks: Array,
    task_weight: Array,
    n_tasks: Array,
    key: Array,
) -> Expectation:
    scaler = FeatureScale(*scale)
    last = horizon.readings[-1]
    n = start.count.shape[0]

    def body(carry: Any) -> Any:
        head, lanes, sums, cohort, key = carry
        key, first, later = jax.random.split(key, 3)
        refill = ~lanes.live
        rank = jnp.cumsum(refill) - 1 + head
        has = refill & (rank < n_tasks)
        customer = tasks[jnp.minimum(rank, n_tasks - 1)]
        mixture = mix.unpack(start.packed[customer])
        elapsed = -start.origin[customer]
        gap = _draw(mixture, elapsed, elapsed + last, first)
        reading = jnp.clip(start.origin[customer] + gap, 1e-6, last)
        lanes = _merge(refill, _load(start, customer, reading, has), lanes)
        head = head + jnp.sum(refill)
        owner, live, is_first = lanes.customer, lanes.live, has
        lanes, tick, after = _round(network, scaler, unit, min_gap, weights, start, horizon, lanes, later)
        weight = jnp.where(live, task_weight[owner], 0.0)
        remaining = edges[None, :] - lanes.origin[:, None]
        wide = jax.tree.map(lambda x: x[:, None], after)
        chance = jnp.where(remaining > 0, 1.0 - mix.survival(wide, jnp.maximum(remaining, 0.0)), 0.0)
        sums = sums.at[owner].add(weight[:, None] * chance)
        cohort = cohort.at[tick].add(jnp.where(is_first, 0.0, weight))
        return head, lanes, sums, cohort, key

    def busy(carry: Any) -> Any:
        head, lanes, *_ = carry
        return (head < n_tasks) | jnp.any(lanes.live)

    idle = jnp.zeros((lanes_count,), dtype=bool)
    nobody = jnp.zeros((lanes_count,), dtype=jnp.int32)
    lanes = _load(start, nobody, jnp.zeros((lanes_count,), jnp.float32), idle)
    sums = jnp.zeros((n, n_edges), jnp.float32)
    cohort = jnp.zeros(horizon.readings.shape, jnp.float32)
    carry = (jnp.zeros((), jnp.int32), lanes, sums, cohort, key)
    carry = jax.lax.while_loop(busy, body, carry)
    return Expectation(carry[2], carry[3])


class Expected(NamedTuple):
    """Expected numbers of events.

    Attributes
    ----------
    counts : array, shape (n_customers, n_edges)
        Up to each of the asked ticks.
    cohort : array, shape (horizon,)
        Of all customers together, tick by tick.
    """

    counts: FloatArray
    cohort: FloatArray


def expected_events(
    model: GapModel, log: EventLog, states: States, edges: list[int], paths: int, seed: int
) -> Expected:
    """Return expected numbers of events up to each of ``edges`` ticks after the as-of date.

    The next event's contribution is exact, P(return ≤ edge). A path starts with a next event drawn *within*
    the longest horizon and carries its probability as a weight; after each simulated event the chance of one
    more up to each edge enters in closed form, so that the last event of a path is never left to chance.
    """
    longest = max(edges)
    horizon = ahead(model, log, longest)
    edge_readings = jnp.asarray(np.asarray(horizon.readings)[edges])
    n, n_members = len(states.last), len(model.members)
    elapsed = jnp.asarray(silence(model, log, states), dtype=jnp.float32)
    members = mix.unpack(jnp.asarray(states.packed))
    silent = mix.survival(members, jnp.broadcast_to(elapsed, members.logit_cure.shape))
    share = silent / jnp.sum(silent, axis=0)  # what the silence says of each member
    counts = np.zeros((n, len(edges)))
    cohort = np.zeros(longest + 1)
    guess = _paths(model, log, states, elapsed, members, longest, paths)
    scale = (model.scale.mean, model.scale.deviation, model.scale.low, model.scale.high)
    tasks = np.repeat(np.arange(n), guess)
    size = int(2 ** np.ceil(np.log2(max(len(tasks), 1))))
    padded = jnp.asarray(np.resize(tasks, size), dtype=jnp.int32)
    for m, weights in enumerate(model.members):
        mixture = jax.tree.map(lambda x, m=m: x[m], members)
        survive = jax.vmap(lambda edge, mixture=mixture: mix.survival(mixture, elapsed + edge))
        first = 1.0 - survive(horizon.readings[1:]) / silent[m]
        weight = share[m] * first[-1] / jnp.asarray(guess, dtype=jnp.float32)
        start = starting_points(model, log, states, m)
        total = _expect(
            model.network,
            log.unit,
            log.min_gap,
            min(LANES, size),
            len(edges),
            scale,
            weights,
            start,
            horizon,
            edge_readings,
            padded,
            weight,
            jnp.asarray(len(tasks)),
            jax.random.key(seed + 7919 * m),
        )
        exact = np.asarray(share[m] * first[np.asarray(edges) - 1]).T
        counts += exact + np.asarray(total.counts)
        by_tick = np.asarray(jnp.sum(share[m] * jnp.diff(first, axis=0, prepend=0.0), axis=1))
        cohort += np.asarray(total.cohort) + np.concatenate([[0.0], by_tick])
    return Expected(counts, cohort[1:])


def _paths(
    model: GapModel,
    log: EventLog,
    states: States,
    elapsed: Array,
    members: GapMixture,
    horizon: int,
    paths: int,
) -> npt.NDArray[np.int64]:
    """Return how many paths of each member a customer gets: busy customers, whose counts vary, get more."""
    age = states.age + np.asarray(elapsed) + 1.0
    rate = states.count / age * horizon
    share = np.sqrt(0.05 + rate)
    per_member = paths / len(model.members)
    return np.clip(np.round(per_member * share / max(share.mean(), 1e-9)), 4, 16 * per_member).astype(
        np.int64
    )
