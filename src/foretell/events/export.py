"""When next as one pure function of arrays: visits in, quantiles and chances out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from foretell.core.time import Unit
from foretell.data.log import EventLog
from foretell.data.tables import YEARS_AHEAD
from foretell.errors import ParameterError
from foretell.events.clock import OperationalClock
from foretell.events.distribution import MixtureGap
from foretell.events.heads.base import HistoryNetwork
from foretell.events.heads.point import PointNetwork
from foretell.events.history import Steps, standardised, step_features
from foretell.events.states import GapModel
from foretell.nn.backend import Array, Weights, jax, jnp
from foretell.nn.export import Dimensions, Program
from foretell.nn.mixture import GapMixture, quantile

# How long after the fit's as-of date a program can be asked: it holds the readings of its clock.
_YEARS_OF_USE = 10
_YEARS_OF_SEASONS = 2  # after the as-of date; then the clock runs at its mean speed


def gap_program(
    model: GapModel, log: EventLog, quantiles: Sequence[float], horizons: dict[str, int]
) -> Program:
    """Return the program that answers for customers by their visits.

    Parameters
    ----------
    model : GapModel
    log : EventLog
        That it was fitted to: its unit, its rule of merging, its dates.
    quantiles : sequence of float
        Ascending, of the next event's moment.
    horizons : dict
        Names and ticks.
    """
    if model.known is not None:
        raise ParameterError(
            f"the model reads what is known of customers ({', '.join(model.known.design.names)}), which an "
            "exported file does not take; export one that was fitted without static="
        )
    per_year = 365.25 * (24 if log.unit == "hour" else 1)
    until = log.as_of + int(_YEARS_OF_USE * per_year)
    clock = _Clock.of(model.clock, log.start, until, int(_YEARS_OF_SEASONS * per_year))
    members = [[jnp.asarray(weight) for weight in weights] for weights in model.members]
    levels = jnp.asarray(quantiles, dtype=jnp.float32)

    def answer(visits: Array, lengths: Array, as_of: Array, marks: Array | None = None) -> dict[str, Array]:
        known = (visits[:, 0] >= log.start) & (as_of <= until) | (lengths == 0)
        history = _history(clock, log.min_gap, visits, lengths, as_of)
        features, state = _inputs(model, log.unit, history, marks)
        packed = jnp.stack([_read(model.network, weights, features, state, history) for weights in members])
        # Its methods take JAX's arrays as they take numpy's.
        gap: Any = model.network.next_gap(packed, model.residuals)  # type: ignore[arg-type]
        since = clock.between(history.origin, as_of, as_of)
        silence = jnp.maximum(since, 0.0)
        moments = clock.moments(as_of, _quantiles(gap, silence, levels) - since[:, None])
        answers = {
            "next_event": jnp.clip(moments, 0.0, YEARS_AHEAD * per_year),
            "p_active": gap.p_active(silence),
            "overdue": gap.overdue(silence),
        }
        chances = [gap.p_return(silence, since + clock.ahead(as_of, h)) for h in horizons.values()]
        if chances and chances[0] is not None:
            answers["p_return"] = jnp.stack(chances, axis=1)
        return {
            name: jnp.where(known.reshape(-1, *[1] * (part.ndim - 1)), part, jnp.nan)
            for name, part in answers.items()
            if part is not None
        }

    inputs: dict[str, tuple[Dimensions, npt.DTypeLike]] = {
        "visits": (("customers", "visits"), np.int32),
        "lengths": (("customers",), np.int32),
        "as_of": (("customers",), np.int32),
    }
    if log.mark_names:
        inputs["marks"] = (("customers", "visits", len(log.mark_names)), np.float32)
    about = {
        "unit": log.unit,
        "first": log.start,
        "last": until,
        "marks": list(log.mark_names),
        "quantiles": list(quantiles),
        "horizons": horizons,
    }
    return Program(answer, inputs, about)


class _Clock(NamedTuple):
    """Readings of a clock, in which single precision suffices: those of short gaps keep their digits.

    Attributes
    ----------
    start : int
        First tick.
    whole, rest : array, shape (n_ticks + 1,)
        Whole units of the readings at the end of the ticks ``start - 1`` …, and what is left of them.
    seasons : int
        Ticks after an as-of date from which on the clock runs at its mean speed.
    """

    start: int
    whole: Array
    rest: Array
    seasons: int

    @classmethod
    def of(cls, clock: OperationalClock, start: int, until: int, seasons: int) -> _Clock:
        """Tabulate a clock for as-of dates up to a tick."""
        readings = clock.table(start, until + seasons).readings
        whole = np.round(readings)
        rest = (readings - whole).astype(np.float32)
        return cls(start, jnp.asarray(whole.astype(np.int32)), jnp.asarray(rest), seasons)

    def between(self, first: Array, second: Array, season_until: Array) -> Array:
        """Return the reading from the end of one tick to that of another."""
        (whole_1, rest_1), (whole_2, rest_2) = (self._at(part, season_until) for part in (first, second))
        return (whole_2 - whole_1).astype(jnp.float32) + (rest_2 - rest_1)

    def _at(self, ticks: Array, season_until: Array) -> tuple[Array, Array]:
        beyond = jnp.maximum(ticks - season_until, 0)
        place = jnp.clip(ticks - beyond - (self.start - 1), 0, len(self.rest) - 1)
        return self.whole[place] + beyond, self.rest[place]

    def ahead(self, as_of: Array, ticks: int) -> Array:
        """Return the reading of so many ticks after the as-of date."""
        return self.between(as_of, as_of + ticks, as_of + self.seasons)

    def moments(self, as_of: Array, readings: Array) -> Array:
        """Return the ticks after the as-of date, (n,), at which the clock has run on so far, (n, k)."""
        as_of = as_of[:, None]

        def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = bounds
            middle = jnp.floor(0.5 * (low + high + 1.0))
            ticks = as_of + middle.astype(jnp.int32)
            reached = self.between(as_of, ticks, ticks) <= readings
            return jnp.where(reached, middle, low), jnp.where(reached, high, middle - 1.0)

        low = jnp.zeros_like(readings)
        bounds = (low, jnp.full_like(low, self.seasons))
        low, _ = jax.lax.fori_loop(0, self.seasons.bit_length(), halve, bounds)
        ticks = as_of + low.astype(jnp.int32)
        begun = self.between(as_of, ticks, ticks)
        length = self.between(ticks, ticks + 1, as_of + self.seasons)
        moments: Array = low + (readings - begun) / length
        return moments


class _History(NamedTuple):
    """Visits on the clock; what lies behind a customer's last visit repeats it.

    Attributes
    ----------
    ticks, gap, age : array, shape (customers, visits)
    repeats : array, shape (visits,)
    lengths : array, shape (customers,)
        Visits; at least 1.
    new : array, shape (customers,)
        Nobody has seen the customer: the first visit is taken to fall on the as-of date.
    origin : array, shape (customers,)
        At the end of which tick the next gap begins.
    """

    ticks: Array
    gap: Array
    age: Array
    repeats: Array
    lengths: Array
    new: Array
    origin: Array


def _history(clock: _Clock, min_gap: int, visits: Array, lengths: Array, as_of: Array) -> _History:
    new = lengths == 0
    position, lengths = jnp.arange(visits.shape[1], dtype=jnp.int32), jnp.maximum(lengths, 1)
    visits = jnp.where(new[:, None], as_of[:, None], visits)
    last = jnp.take_along_axis(visits, lengths[:, None] - 1, axis=1)
    ticks = jnp.where(position < lengths[:, None], visits, last)
    origin, until = ticks - 1 + min_gap, as_of[:, None]
    before = jnp.concatenate([origin[:, :1], origin[:, :-1]], axis=1)
    return _History(
        ticks=ticks,
        gap=clock.between(before, origin, until),
        age=clock.between(origin[:, :1], origin, until),
        repeats=position.astype(jnp.float32),
        lengths=lengths,
        new=new,
        origin=last[:, 0] - 1 + min_gap,
    )


def _inputs(model: GapModel, unit: Unit, history: _History, marks: Array | None) -> tuple[Array, Array]:
    """Return what the network reads of each visit: features, and what its head starts from."""
    gap, age = history.gap, history.age
    count = jnp.broadcast_to(history.repeats, gap.shape)
    mean_gap = age / jnp.maximum(count, 1.0)
    if marks is None:
        marks = mean_marks = gap[..., None][..., :0]
    else:
        new_marks = jnp.asarray(model.new_marks, jnp.float32)
        marks = jnp.where(history.new[:, None, None], new_marks, jnp.log1p(marks))
        known = ~jnp.isnan(marks)
        total, given = (jnp.cumsum(part, axis=1) for part in (jnp.where(known, marks, 0.0), known))
        mean_marks = jnp.where(given > 0, total / jnp.maximum(given, 1), jnp.nan)
    features = step_features(Steps(gap, mean_gap, count, age, history.ticks, marks, mean_marks), unit)
    network, second = model.network, age
    if network.paced:
        paces, mean_log = _paces(history)
        features = jnp.concatenate([features, paces], axis=-1)
        second = mean_log
        if isinstance(network, PointNetwork):
            log = network.scale == "log"
            second = network.scaled(jnp.expm1(mean_log) if log else mean_gap)
    return standardised(model.scale.arrays(), features), jnp.stack([count, second], axis=-1)


def _paces(history: _History) -> tuple[Array, Array]:
    """Return `foretell.events.history.pace_features` of each visit, and the mean log gap among them."""
    gap, logs = history.gap, jnp.log1p(history.gap)
    n, longest = gap.shape
    places = jnp.arange(longest, dtype=jnp.float32)

    def visit(carry: tuple[Array, Array, Array], inputs: tuple[Array, Array, Array]) -> tuple[Any, Array]:
        (ordered, mean, squares), (new, log, count) = carry, inputs
        # In its place among the gaps before it; the first visit has none.
        rank = jnp.sum((ordered < new[:, None]).astype(jnp.float32), axis=1, keepdims=True)
        moved = jnp.concatenate([ordered[:, :1], ordered[:, :-1]], axis=1)
        inserted = jnp.where(places < rank, ordered, jnp.where(places == rank, new[:, None], moved))
        ordered = jnp.where(count > 0, inserted, ordered)
        middles = [jnp.floor((count - 1.0 + k) / 2.0) for k in (0, 1)]
        median = sum(0.5 * jnp.sum(jnp.where(places == k, ordered, 0.0), axis=1) for k in middles)
        median = jnp.where(count > 0, median, 0.0)
        # Welford's: of equal gaps the spread is 0.
        change = log - mean
        mean = mean + jnp.where(count > 0, change / jnp.maximum(count, 1.0), 0.0)
        squares = squares + jnp.where(count > 0, change * (log - mean), 0.0)
        spread = jnp.sqrt(squares / jnp.maximum(count, 1.0))
        return (ordered, mean, squares), jnp.stack([jnp.log1p(median), mean, spread], axis=-1)

    zero = jnp.zeros((n,), jnp.float32)
    start = (jnp.full((n, longest), jnp.inf, jnp.float32), zero, zero)
    runs = (jnp.moveaxis(gap, 1, 0), jnp.moveaxis(logs, 1, 0), history.repeats)
    summaries = jnp.moveaxis(jax.lax.scan(visit, start, runs)[1], 0, 1)
    mean = summaries[..., 1]
    earlier, shifted = [], logs
    for k in (1, 2):
        shifted = jnp.concatenate([zero[:, None], shifted[:, :-1]], axis=1)
        earlier.append(jnp.where(history.repeats > k, shifted, mean))
    return jnp.concatenate([summaries, jnp.stack(earlier, axis=-1)], axis=-1), mean


def _read(
    network: HistoryNetwork, weights: Weights, features: Array, state: Array, history: _History
) -> Array:
    """Return what the head says after each customer's last visit."""
    n = features.shape[0]
    blank = [jnp.zeros((n, width), jnp.float32) for width in network.memory_widths]

    def visit(
        carry: tuple[list[Array], Array], inputs: tuple[Array, Array, Array]
    ) -> tuple[tuple[list[Array], Array], None]:
        (memory, packed), (features, state, position) = carry, inputs
        output, after = network.step(weights, features, state, memory)
        live = (position < history.lengths)[:, None]
        kept = [jnp.where(live, new, old) for new, old in zip(after, memory, strict=True)]
        return (kept, jnp.where(live, output, packed)), None

    start = (blank, jnp.zeros((n, network.packed_width), jnp.float32))
    runs = (jnp.moveaxis(features, 1, 0), jnp.moveaxis(state, 1, 0), history.repeats.astype(jnp.int32))
    (_, packed), _ = jax.lax.scan(visit, start, runs)
    return packed


def _quantiles(gap: Any, silence: Array, levels: Array) -> Array:
    """Return quantiles of the gap given the silence so far and a return, shape (n, n_levels)."""
    if isinstance(gap, MixtureGap):
        each = GapMixture(*(part[:, None] for part in gap.mixture))
        quantiles: Array = quantile(each, silence[:, None] + jnp.zeros_like(levels), levels)
        return quantiles
    return jnp.stack(list(gap.quantiles(silence, levels)), axis=1)
