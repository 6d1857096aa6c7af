"""Counts of future events: simulated paths, with exact expectations wherever they have a closed form.

Lanes of fixed number work through a queue of (customer, member) tasks: a lane whose path has left the horizon
takes the next task, so that one compiled program of one shape serves any log and no lane idles.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from foretell.core import BoolArray, FloatArray, IntArray
from foretell.core.ragged import flat_ranges
from foretell.core.time import Unit
from foretell.data.log import EventLog
from foretell.events.heads.base import HistoryNetwork
from foretell.events.history import Steps, standardised, step_features
from foretell.events.states import GapModel, States, block_slices, silence
from foretell.nn import mixture as mix
from foretell.nn.arrays import added_at, in_single, namespace, repeat_while
from foretell.nn.backend import Array, Weights, jax, jitted, side_by_side
from foretell.nn.mixture import GapMixture
from foretell.nn.samplers import power_of_two
from foretell.nn.streams import Streams, places, streams_of, uniforms

# One width and few sizes: one program serves any number of customers, and each is answered as if alone.
LANES = 1_024
_ROUNDS = 16  # between two looks at whether paths are left
_ENDLESS = 1e9


class Start(NamedTuple):
    """Customers at the as-of date, on the device; readings are relative to its end."""

    memory: tuple[Array, ...]
    origin: Array  # (n,) reading of the last event's origin, at most 0
    repeats: Array
    age: Array
    mean_marks: Array


class Horizon(NamedTuple):
    """The clock ahead, relative to the end of the as-of tick.

    Attributes
    ----------
    readings : array, shape (a power of two,)
        At the end of ticks 0 … H; the rest is filled up, so that few programs are compiled.
    last : scalar
        Reading at the end of tick H.
    as_of : scalar
        The tick of reading 0.
    """

    readings: Array
    last: Array
    as_of: Array


class _Lanes(NamedTuple):
    task: Array
    step: Array  # events of the path so far
    customer: Array
    reading: Array  # of the coming event, within the horizon
    origin: Array
    repeats: Array
    age: Array
    memory: tuple[Array, ...]
    live: Array


_Queue: TypeAlias = tuple[Array, _Lanes]
"""The next task, and the lanes that work at those before it."""


class _Setting(NamedTuple):
    """What stays the same from round to round; hashable, so that programs are shared between fits."""

    network: HistoryNetwork
    unit: Unit
    min_gap: int


class _World(NamedTuple):
    """Arrays that a round reads."""

    weights: Weights
    scale: tuple[Array, ...]
    start: Start
    horizon: Horizon
    tasks: Array  # (size,) customer of each task
    streams: Array  # (size,) random stream, path and place of each task
    paths: Array
    places: Array
    first: Array  # (size,) reading of each task's next event
    n_tasks: Array


def ahead(model: GapModel, log: EventLog, horizon: int, xp: Any) -> Horizon:
    """Return the clock over the horizon."""
    readings = model.clock.table(log.as_of + 1, log.as_of + horizon).readings
    size = len(readings) if xp is np else power_of_two(horizon + 1, least=512)
    padded = np.pad(readings, (0, size - len(readings)), constant_values=_ENDLESS)
    return Horizon(in_single(padded, xp), in_single(readings[-1], xp), xp.asarray(np.int32(log.as_of)))


def starting_points(states: States, silent: FloatArray, member: int, xp: Any) -> Start:
    """Return one member's view of the customers, filled up to a size that repeats where it is compiled."""
    size = len(silent) if xp is np else power_of_two(len(silent), least=LANES)

    def sized(values: npt.ArrayLike) -> Array:
        given = np.asarray(values)
        single: Array = in_single(np.pad(given, [(0, size - len(given))] + [(0, 0)] * (given.ndim - 1)), xp)
        return single

    memory = tuple(sized(part[member]) for part in states.memory)
    return Start(memory, *(sized(part) for part in (-silent, states.count, states.age, states.mean_marks)))


class Tasks(NamedTuple):
    """Paths to simulate: the customer of each, its random stream, and the path's number."""

    customer: IntArray
    stream: Streams
    path: Streams
    place: Streams  # see `foretell.nn.streams.places`

    def rows(self, chosen: BoolArray) -> Tasks:
        """Return some paths."""
        return Tasks(self.customer[chosen], self.stream[chosen], self.path[chosen], self.place[chosen])


def _members(mass: FloatArray, tasks: Tasks) -> IntArray:
    """Return whose next event each path begins with, drawn by the members' mass, shape (n_members, n).

    The number of members stands for none, where the mass does not add up to 1.
    """
    pick = uniforms(tasks.stream, tasks.path, 0, tasks.place)[0]
    member: IntArray = (pick >= np.cumsum(mass, axis=0)[:, tasks.customer]).sum(axis=0)
    return member


def _first_readings(members: GapMixture, elapsed: FloatArray, last: float, tasks: Tasks) -> FloatArray:
    """Return readings of next events that fall within the horizon, one for each task.

    The gap is drawn by closed-form inverse from the returning customer's distribution between the silence so
    far and the end of the horizon.
    """
    silent = elapsed[tasks.customer]
    mixture = GapMixture(*(part[tasks.customer] for part in members))
    base = mix.component_log_survival(mixture, silent)
    left = np.exp(mix.component_log_survival(mixture, silent + last) - base)  # S_k(limit) / S_k(elapsed)
    mass = mixture.log_weight + base + np.log(np.maximum(1.0 - left, mix.TINY))
    component, place = mix.draw_component(mass, uniforms(tasks.stream, tasks.path, 0, tasks.place)[1])
    floor = np.take_along_axis(left, component[:, None], axis=-1)[:, 0]
    gap = mix.truncated_inverse(mixture, component, silent, floor + (1.0 - floor) * (1.0 - place))
    readings: FloatArray = np.clip(gap - silent, 1e-6, last)
    return readings


class _Events(NamedTuple):
    """Events that happened in a round, one in each live lane."""

    task: Array
    tick: Array
    live: Array
    fresh: Array  # the path's first
    after: GapMixture  # distribution of the gaps after them, measured from the lanes' new origin


def _round(setting: _Setting, world: _World, queue: _Queue) -> tuple[_Queue, _Events]:
    """Hand new tasks to idle lanes, let every live lane's coming event happen, and draw the one after it."""
    head, lanes = queue
    start, readings = world.start, world.horizon.readings
    xp = namespace(readings)
    rank = head + xp.cumsum(~lanes.live, dtype=np.int32) - 1
    fresh = ~lanes.live & (rank < world.n_tasks)
    task = xp.minimum(rank, world.n_tasks - 1)
    lanes = _choose(fresh, _load(world, task, fresh), lanes)
    head = head + fresh.sum()

    tick = xp.clip(xp.searchsorted(readings, lanes.reading), 1, readings.shape[0] - 1).astype(np.int32)
    origin = readings[tick - 1 + setting.min_gap]
    count = lanes.repeats + 1.0
    gap = xp.maximum(origin - lanes.origin, 0.0)
    age = lanes.age + gap
    marks = start.mean_marks[lanes.customer]
    features = standardised(
        world.scale,
        step_features(
            Steps(gap, age / count, count, age, tick + world.horizon.as_of, marks, marks), setting.unit
        ),
    )
    state = xp.stack([count, age], axis=-1)
    packed, memory = setting.network.step(world.weights, features, state, lanes.memory)
    after = mix.unpack(packed)
    step = lanes.step + np.uint32(1)
    stream, path, place = (part[lanes.task] for part in (world.streams, world.paths, world.places))
    # One number says whether there is a further event, of which component, and when.
    uniform = uniforms(stream, path, step, place, kind=np.float32)[0]
    returns = xp.exp(after.log_return)
    component, place = mix.draw_component(after.log_weight, uniform / xp.maximum(returns, mix.TINY))
    next_gap = mix.truncated_inverse(after, component, xp.zeros_like(gap), 1.0 - place)
    # However short the gap, it is no gap of zero: that event would fall into this one's tick.
    reading = xp.maximum(origin + next_gap, xp.nextafter(origin, np.inf))
    events = _Events(lanes.task, tick, lanes.live, fresh, after)
    live = lanes.live & (uniform < returns) & (reading <= world.horizon.last)
    lanes = _Lanes(lanes.task, step, lanes.customer, reading, origin, count, age, tuple(memory), live)
    return (head, lanes), events


def _load(world: _World, task: Array, live: Array) -> _Lanes:
    """Start paths at their next events, which fall within the horizon."""
    start, customer = world.start, world.tasks[task]
    memory = tuple(part[customer] for part in start.memory)
    return _Lanes(
        task,
        task.astype(np.uint32) * np.uint32(0),
        customer,
        world.first[task],
        start.origin[customer],
        start.repeats[customer],
        start.age[customer],
        memory,
        live,
    )


def _choose(fresh: Array, new: _Lanes, old: _Lanes) -> _Lanes:
    def pick(a: Any, b: Any) -> Any:
        if isinstance(a, tuple):
            return tuple(map(pick, a, b))
        return namespace(fresh).where(fresh.reshape(fresh.shape + (1,) * (a.ndim - 1)), a, b)

    return _Lanes(*map(pick, new, old))


def _idle(world: _World) -> _Queue:
    """Return the queue before its first task, and lanes without any."""
    xp = namespace(world.first)
    n = LANES if xp is not np else min(len(world.first), LANES)
    nobody, nothing = xp.zeros((n,), np.int32), xp.zeros((n,), np.float32)
    memory = tuple(xp.zeros((n, part.shape[-1]), part.dtype) for part in world.start.memory)
    live = xp.zeros((n,), dtype=bool)
    step = nobody.astype(np.uint32)
    lanes = _Lanes(nobody, step, nobody, nothing, nothing, nothing, nothing, memory, live)
    return xp.zeros((), np.int32), lanes


def expect(setting: _Setting, world: _World, edges: Array, task_weight: Array) -> tuple[Array, Array]:
    """Sum over each path what comes after its first event.

    Returns the expected events up to each edge, shape (n_tasks, n_edges), in closed form given the path up to
    its last event; and simulated events by tick of the horizon, weighted and summed over all paths.
    """
    xp = namespace(edges)

    def body(carry: tuple[_Queue, Array, Array]) -> tuple[_Queue, Array, Array]:
        queue, sums, cohort = carry
        queue, events = _round(setting, world, queue)
        weight = xp.where(events.live, task_weight[events.task], 0.0)
        remaining = edges[None, :] - queue[1].origin[:, None]
        wide = GapMixture(*(part[:, None] for part in events.after))
        chance = xp.where(remaining > 0, 1.0 - mix.survival(wide, xp.maximum(remaining, 0.0)), 0.0)
        sums = added_at(sums, events.task, weight[:, None] * chance)
        cohort = added_at(cohort, events.tick, xp.where(events.fresh, 0.0, weight))
        return queue, sums, cohort

    def busy(carry: tuple[_Queue, Array, Array]) -> Array:
        head, lanes = carry[0]
        return (head < world.n_tasks) | lanes.live.any()

    sums = xp.zeros((task_weight.shape[0], edges.shape[0]), np.float32)
    cohort = xp.zeros(world.horizon.readings.shape, np.float32)
    _, sums, cohort = repeat_while(busy, body, (_idle(world), sums, cohort))
    return sums, cohort


_expect = jitted(0)(expect)


@jitted(0)
def _emit(setting: _Setting, world: _World, queue: _Queue) -> tuple[_Queue, tuple[Array, Array, Array]]:
    """Run some rounds; return task, tick and liveness of the events that happened in them, too."""

    def body(queue: _Queue, _: None) -> tuple[_Queue, tuple[Array, Array, Array]]:
        queue, events = _round(setting, world, queue)
        return queue, (events.task, events.tick, events.live)

    emitted: tuple[_Queue, tuple[Array, Array, Array]] = jax.lax.scan(body, queue, None, length=_ROUNDS)
    return emitted


class _Block(NamedTuple):
    """Customers that are simulated together."""

    model: GapModel
    log: EventLog
    states: States
    silent: FloatArray  # reading since each customer's last event
    streams: Streams
    horizon: Horizon

    @property
    def xp(self) -> Any:
        """The module of the arrays that the horizon's are of."""
        return namespace(self.horizon.readings)


def _blocks(
    model: GapModel, log: EventLog, states: States, streams: Streams, ticks: int
) -> list[tuple[int, _Block]]:
    """Return blocks of customers with the place of their first, to be looked ahead so many ticks."""
    horizon = ahead(model, log, ticks, model.network.namespace_for(len(streams)))
    silent = silence(model, log, states)
    return [
        (rows.start, _Block(model, log, states.rows(rows), silent[rows], streams[rows], horizon))
        for rows in block_slices(len(streams))
    ]


def _world(block: _Block, member: int, tasks: Tasks, room: int) -> tuple[_Setting, _World]:
    """Collect what the simulation of one member reads; task queues come in few lengths, so few programs."""
    n_tasks, xp = len(tasks.customer), block.xp
    size = n_tasks if xp is np else power_of_two(room, least=LANES)
    members = mix.unpack(np.asarray(block.states.packed[member], dtype=np.float64))
    first = _first_readings(members, block.silent, float(block.horizon.last), tasks)
    world = _World(
        weights=list(block.model.members[member]),
        scale=block.model.scale.arrays(xp),
        start=starting_points(block.states, block.silent, member, xp),
        horizon=block.horizon,
        tasks=xp.asarray(np.resize(tasks.customer, size).astype(np.int32)),
        streams=xp.asarray(np.resize(tasks.stream, size)),
        paths=xp.asarray(np.resize(tasks.path, size)),
        places=xp.asarray(np.resize(tasks.place, size)),
        first=in_single(np.resize(first, size), xp),
        n_tasks=xp.asarray(np.int32(n_tasks)),
    )
    return _Setting(block.model.network, block.log.unit, block.log.min_gap), world


class Expected(NamedTuple):
    """Expected numbers of events.

    Attributes
    ----------
    counts : array, shape (n_customers, n_edges)
        Up to each of the asked ticks.
    cohort : array, shape (n_periods,)
        Of all customers together, in each of the asked periods.
    """

    counts: FloatArray
    cohort: FloatArray


class _Next(NamedTuple):
    """The next event, by member."""

    share: FloatArray  # (n_members, n_customers): what the silence says of the member
    chance: FloatArray  # (n_members, n_readings, n_customers): P(event by each reading)


def _next_event(block: _Block, readings: FloatArray) -> _Next:
    """Return the chances of the next event by some readings after the as-of date."""
    elapsed = block.silent
    members = mix.unpack(np.asarray(block.states.packed, dtype=np.float64))
    silent = mix.survival(members, np.broadcast_to(elapsed, members.logit_cure.shape))
    survive = [mix.survival(members, np.broadcast_to(elapsed + r, silent.shape)) for r in readings]
    chance = 1.0 - np.stack(survive, axis=1) / silent[:, None]
    return _Next(silent / silent.sum(axis=0), np.clip(chance, 0.0, 1.0))


def expected_events(
    model: GapModel,
    log: EventLog,
    states: States,
    edges: Sequence[int],
    *,
    paths: int,
    streams: Streams,
    periods: Sequence[int] = (),
) -> Expected:
    """Return expected numbers of events up to each of ``edges`` ticks after the as-of date.

    The next event's contribution is exact, P(return ≤ edge). A path starts with a next event drawn *within*
    the longest horizon and carries its probability as a weight; after each simulated event the chance of one
    more up to each edge enters in closed form, so that the last event of a path is never left to chance.

    Parameters
    ----------
    model, log, states
        As given by the fit and by `foretell.events.states.encode`.
    edges : sequence of int
        Ticks after the as-of date.
    paths : int
        Paths of a customer who is sure to return, about; others get fewer.
    streams : uint32 array, shape (n_customers,)
        The customers' random streams, see `foretell.nn.streams`.
    periods : sequence of int
        Ends of periods, in ticks, up to the longest edge: cohort totals are asked for.
    """
    blocks = [
        _expected_of_block(block, edges, paths, periods)
        for _, block in _blocks(model, log, states, streams, max(edges))
    ]
    counts, cohorts = zip(*blocks, strict=True)
    return Expected(np.concatenate(counts), np.sum(cohorts, axis=0))


def _expected_of_block(block: _Block, edges: Sequence[int], paths: int, periods: Sequence[int]) -> Expected:
    states, streams, n_members = block.states, block.streams, len(block.model.members)
    readings = np.asarray(block.horizon.readings)
    asked = np.concatenate([np.asarray(edges), np.asarray(periods, dtype=int)]).astype(int)
    share, chance = _next_event(block, readings[asked])
    n_edges = len(edges)
    padded = np.resize(readings[list(edges)], -(-n_edges // 4) * 4)
    exact = np.einsum("mn,mkn->kn", share, chance)
    counts = exact[:n_edges].T.copy()
    cohort = np.diff(exact[n_edges:].sum(axis=1), prepend=0.0)
    at_longest = int(np.argmax(edges))
    returns = exact[at_longest]
    rate = states.count / (states.age + block.silent + 1.0) * max(edges)
    n_paths = _paths(returns, paths)
    # The longest paths go first, so that none is left over when the others are done.
    busiest = np.argsort(-rate, kind="stable")
    customer = np.repeat(busiest, n_paths[busiest])
    number = flat_ranges(np.zeros_like(busiest), n_paths[busiest])
    one = np.zeros(len(customer), dtype=np.uint32)
    tasks = Tasks(customer, streams[customer], one, places(number, n_paths[customer]))
    mass = share * chance[:, at_longest] / np.maximum(returns, mix.TINY)
    member = np.minimum(_members(mass, tasks), n_members - 1)
    room = int(np.bincount(member).max())
    ends = np.asarray(periods, dtype=int)

    def run(m: int) -> tuple[FloatArray, FloatArray]:
        own = tasks.rows(member == m)
        setting, world = _world(block, m, own, room)
        weight = (returns / n_paths)[own.customer]
        sized = in_single(np.resize(weight, len(world.tasks)), block.xp)
        simulated = expect if block.xp is np else _expect
        sums, by_tick = simulated(setting, world, in_single(padded, block.xp), sized)
        by_path = np.asarray(sums, dtype=np.float64)[: len(weight), :n_edges]
        later = [np.bincount(own.customer, part, len(streams)) for part in by_path.T]
        return np.stack(later, axis=1), np.asarray(by_tick, dtype=np.float64)

    for later, by_tick in side_by_side([functools.partial(run, m) for m in np.unique(member)]):
        counts += later
        cohort += np.diff(np.cumsum(by_tick)[ends], prepend=0.0)
    return Expected(counts, cohort)


class Paths(NamedTuple):
    """Simulated events, one row per event: customer index, path, and tick."""

    customer: IntArray
    path: IntArray
    tick: IntArray


def simulate_paths(
    model: GapModel, log: EventLog, states: States, horizon_ticks: int, *, paths: int, seed: int
) -> Paths:
    """Simulate ``paths`` futures of every customer, each by a member drawn by what the silence says of it."""
    streams = streams_of(log.ids, seed)
    parts = []
    for first, block in _blocks(model, log, states, streams, horizon_ticks):
        part = _paths_of_block(block, paths)
        parts.append(part._replace(customer=part.customer + first))
    return Paths(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _paths_of_block(block: _Block, paths: int) -> Paths:
    share, chance = _next_event(block, np.asarray(block.horizon.last)[None])
    customer = np.repeat(np.arange(len(block.streams)), paths)
    number = np.resize(np.arange(paths, dtype=np.uint32), len(customer))
    tasks = Tasks(customer, block.streams[customer], number, np.zeros_like(number))
    member = _members(share * chance[:, 0], tasks)
    customers, numbers, ticks = [], [], []
    for m in range(len(block.model.members)):
        own = tasks.rows(member == m)
        if not len(own.customer):
            continue
        setting, world = _world(block, m, own, len(own.customer))
        queue = _idle(world)
        while int(queue[0]) < len(own.customer) or bool(queue[1].live.any()):
            queue, events = (_round if block.xp is np else _emit)(setting, world, queue)
            task, tick, live = (np.asarray(part).ravel() for part in events[:3])
            customers.append(own.customer[task[live]])
            numbers.append(own.path[task[live]].astype(np.int64))
            ticks.append(tick[live].astype(np.int64) + block.log.as_of)
    if not customers:
        return Paths(*[np.zeros(0, dtype=np.int64)] * 3)
    order = np.lexsort([np.concatenate(part) for part in (ticks, numbers, customers)])
    return Paths(*[np.concatenate(part)[order] for part in (customers, numbers, ticks)])


def _paths(chance: FloatArray, paths: int) -> IntArray:
    """Return how many paths a customer gets, a power of two, by its chance of any event.

    Busy customers' counts spread more, but their paths cost as much more: the error of all is least, for what
    it costs, where both get as many.
    """
    return np.asarray(2 ** np.round(np.log2(np.maximum(paths * chance, 1.0))), dtype=np.int64)
