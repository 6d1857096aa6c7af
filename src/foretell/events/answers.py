"""The answer table: everything read off one distribution per customer, so that the answers agree."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core.time import interval_ticks
from foretell.data.log import EventLog
from foretell.data.tables import YEARS_AHEAD, Customers, EventAnswers, event_table, interval_tails
from foretell.events.clock import ClockTable
from foretell.events.distribution import NextGap
from foretell.events.history import origins
from foretell.events.states import GapModel, States, next_gaps, silence
from foretell.prep.bins import Bins

FloatArray = npt.NDArray[np.float64]


class Standing(NamedTuple):
    """Customers at the as-of date.

    Attributes
    ----------
    gap : NextGap
        The ensemble's distribution of the gap since the last event, one row per customer.
    silence : array, shape (n_customers,)
        Reading since the last event at the end of the as-of tick.
    table : ClockTable
        The clock from the log's start to two years after the as-of date.
    origin : array, shape (n_customers,)
        Reading from which the gap is measured.
    as_of : int
    per_year : float
        Ticks of a year.
    """

    gap: NextGap
    silence: FloatArray
    table: ClockTable
    origin: FloatArray
    as_of: int
    per_year: float


def standing(model: GapModel, log: EventLog, states: States) -> Standing:
    """Return where customers stand at the end of a log."""
    per_year = 365.25 * (24 if log.unit == "hour" else 1)
    table = model.clock.table(log.start, log.as_of + int(2 * per_year))
    return Standing(
        gap=next_gaps(model, states),
        silence=silence(model, log, states),
        table=table,
        origin=origins(states.last, table, log.min_gap),
        as_of=log.as_of,
        per_year=per_year,
    )


def p_return(at: Standing, ticks: int) -> FloatArray | None:
    """Return P(an event within ``ticks`` after the as-of date | silent so far), None if not known."""
    return at.gap.p_return(at.silence, at.table.at(at.as_of + ticks) - at.origin)


def activity(at: Standing) -> tuple[FloatArray | None, FloatArray | None]:
    """Return p_active and overdue, both in [0, 1]; None where the head cannot say."""
    return at.gap.p_active(at.silence), at.gap.overdue(at.silence)


def gap_limits(at: Standing, level: float) -> FloatArray:
    """Return the time by which the next event had come with some probability, given a return, in ticks.

    As it stood just after the last event; a moment on the log's own time axis.
    """
    gaps = at.gap.quantiles(np.zeros_like(at.silence), np.array([level]))[0]
    return at.table.invert(at.origin + gaps)


def next_event_moments(at: Standing, levels: npt.ArrayLike) -> FloatArray:
    """Return quantiles of the next event's time given a return, in ticks after as_of, shape (n_levels, n).

    NaN stands for a customer of whom the head knows nothing more: silent for longer than any gap ever seen.
    """
    gaps = at.gap.quantiles(at.silence, np.atleast_1d(np.asarray(levels, dtype=np.float64)))
    moments = at.table.invert(at.origin + gaps) - at.as_of
    return np.clip(moments, 0.0, YEARS_AHEAD * at.per_year)


def gap_lengths(at: Standing, last: npt.NDArray[np.int64], levels: npt.ArrayLike) -> FloatArray:
    """Return quantiles of the gap as it was seen at each customer's last event, in whole ticks."""
    at_event = np.zeros(len(at.silence))
    gaps = at.gap.quantiles(at_event, np.atleast_1d(np.asarray(levels, dtype=np.float64)))
    lengths = np.ceil(np.round(at.table.invert(at.origin + gaps) - last, 6))
    return np.clip(lengths, 0.0, YEARS_AHEAD * at.per_year)


def class_chances(at: Standing, last: npt.NDArray[np.int64], bins: Bins) -> list[FloatArray] | None:
    """Return the chance of each class of the gap as seen at the last event; None if the head can't say."""
    # A gap of g ticks ends in the tick last + g; a class holds its lower edge and not its upper one.
    ends = np.where(np.isfinite(bins.edges), np.ceil(bins.edges) - 1.0, np.inf)
    left = []
    for end in ends:
        reading = at.table.at(last + int(end)) - at.origin if np.isfinite(end) else np.full(len(last), np.inf)
        left.append(at.gap.survival(np.maximum(reading, 0.0)))
    if left[0] is None:
        return None
    return [np.asarray(low) - np.asarray(high) for low, high in itertools.pairwise(left)]


def within_horizon(at: Standing, horizon: int, coverage: float = 0.8) -> npt.NDArray[np.int64]:
    """Return the interval of the next event given that it falls within the horizon, in ticks, (n, 2).

    Customers of whom the head knows nothing get the whole horizon.
    """
    inside = np.clip(at.gap.within(at.silence, at.table.at(at.as_of + horizon) - at.origin), 1e-6, 1.0)
    tails = np.array([[(1.0 - coverage) / 2.0], [(1.0 + coverage) / 2.0]])
    gaps = at.gap.quantiles(at.silence, tails * np.nan_to_num(inside, nan=1.0))
    low, high = np.clip(at.table.invert(at.origin + gaps) - at.as_of, 0.0, float(horizon))
    low, high = np.nan_to_num(low, nan=0.0), np.nan_to_num(high, nan=float(horizon))
    return interval_ticks(low, high, at.as_of)


def disagreement(
    model: GapModel, log: EventLog, states: States, horizons: Sequence[tuple[str, int]]
) -> pl.DataFrame:
    """Return how far the members of an ensemble differ: what another seed might have said.

    Returns
    -------
    polars.DataFrame
        One row per customer, standard deviations over the members: ``p_active-sd``, ``next_event-sd`` (of the
        median, in ticks), ``p_return_30d-sd`` …; 0 of one member. What the head cannot say is left out.
    """
    by_answer: dict[str, list[FloatArray]] = {}
    packed = np.asarray(states.packed)
    for member in range(len(packed)):
        at = standing(model, log, states._replace(packed=packed[member : member + 1]))
        answers = {"p_active": activity(at)[0], "next_event": next_event_moments(at, [0.5])[0]}
        answers |= {f"p_return_{name}": p_return(at, ticks) for name, ticks in horizons}
        for name, values in answers.items():
            if values is not None:
                by_answer.setdefault(name, []).append(values)
    return pl.DataFrame({f"{name}-sd": np.std(parts, axis=0) for name, parts in by_answer.items()})


def answer_table(
    model: GapModel,
    customers: Customers,
    states: States,
    *,
    horizons: Sequence[tuple[str, int]],
    levels: Sequence[float],
    expected: FloatArray | None,
) -> pl.DataFrame:
    """Return one row per customer; see `EventForecaster.predict` for the columns."""
    at = standing(model, customers.log, states)
    active, overdue = activity(at)
    moments = next_event_moments(at, [0.5, *interval_tails(levels)])
    chances = [p_return(at, ticks) for _, ticks in horizons]
    known = [chance for chance in chances if chance is not None]
    answers = EventAnswers(
        next_event=moments[0],
        intervals=moments[1:].reshape(len(levels), 2, len(moments[0])),
        p_active=active,
        p_return=np.stack(known, axis=1) if known else None,
        expected=expected,
        overdue=overdue,
    )
    return event_table(customers, answers, horizons=horizons, levels=levels)
