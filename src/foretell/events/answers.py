"""The answer table: everything read off one distribution per customer, so that the answers agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.special

from foretell.data.log import EventLog, to_dates
from foretell.evaluation.outlook import interval_ticks
from foretell.events.clock import ClockTable
from foretell.events.history import on_device, origins
from foretell.events.states import GapModel, States, ensemble_mixture, silence
from foretell.nn import mixture as mix
from foretell.nn.mixture import GapMixture

FloatArray = npt.NDArray[np.float64]

_YEARS_AHEAD = 100  # a date further away than this says "not in your lifetime" and is shown as such


class Standing(NamedTuple):
    """Customers at the as-of date.

    Attributes
    ----------
    mixture : GapMixture
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

    mixture: GapMixture
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
        mixture=ensemble_mixture(states),
        silence=silence(model, log, states),
        table=table,
        origin=origins(states.last, table, log.min_gap),
        as_of=log.as_of,
        per_year=per_year,
    )


def _single(mixture: GapMixture) -> GapMixture:
    """Return the mixture on the device."""
    return GapMixture(*(on_device(part) for part in mixture))


@jax.jit
def _quantiles(mixture: GapMixture, elapsed: Any, levels: Any) -> Any:
    return jax.lax.map(lambda level: mix.quantile(mixture, elapsed, level), levels)


def p_return(at: Standing, ticks: int) -> FloatArray:
    """Return P(an event within ``ticks`` after the as-of date | silent so far) = 1 − S(e + N) / S(e)."""
    until = at.table.at(at.as_of + ticks) - at.origin
    later, now = (mix.survival(at.mixture, gap) for gap in (until, at.silence))
    chance: FloatArray = np.clip(1.0 - later / now, 0.0, 1.0)
    return chance


def activity(at: Standing) -> tuple[FloatArray, FloatArray]:
    """Return p_active = 1 − π / S(e), and overdue = 1 − S(e | returns), both in [0, 1]."""
    logit_cure, _ = mix.posterior_log_weight(at.mixture, at.silence)
    overdue = 1.0 - mix.returning_survival(at.mixture, at.silence)
    return scipy.special.expit(-logit_cure), np.clip(overdue, 0.0, 1.0)


def gap_limits(at: Standing, level: float) -> FloatArray:
    """Return the time by which the next event had come with some probability, given a return, in ticks.

    As it stood just after the last event; a moment on the log's own time axis.
    """
    never = np.zeros_like(at.silence)
    gaps = _quantiles(_single(at.mixture), on_device(never), on_device([level]))[0]
    return at.table.invert(at.origin + np.asarray(gaps, dtype=np.float64))


def next_event_moments(at: Standing, levels: npt.ArrayLike) -> FloatArray:
    """Return quantiles of the next event's time given a return, in ticks after as_of, shape (n_levels, n)."""
    gaps = _quantiles(_single(at.mixture), on_device(at.silence), on_device(np.atleast_1d(levels)))
    moments = at.table.invert(at.origin + np.asarray(gaps, dtype=np.float64)) - at.as_of
    return np.clip(moments, 0.0, _YEARS_AHEAD * at.per_year)


def within_horizon(at: Standing, horizon: int, coverage: float = 0.8) -> npt.NDArray[np.int64]:
    """Return the interval of the next event given that it falls within the horizon, in ticks, (n, 2)."""
    active, _ = activity(at)
    inside = np.clip(p_return(at, horizon) / np.maximum(active, 1e-9), 1e-6, 1.0)
    edges = []
    for tail in ((1.0 - coverage) / 2.0, (1.0 + coverage) / 2.0):
        gaps = _quantile_at(_single(at.mixture), on_device(at.silence), on_device(inside * tail))
        edges.append(at.table.invert(at.origin + np.asarray(gaps, dtype=np.float64)) - at.as_of)
    low, high = (np.clip(edge, 0.0, float(horizon)) for edge in edges)
    return interval_ticks(low, high, at.as_of)


@jax.jit
def _quantile_at(mixture: GapMixture, elapsed: Any, level: Any) -> Any:
    return mix.quantile(mixture, elapsed, level)


def answer_table(
    model: GapModel,
    log: EventLog,
    states: States,
    ids: pl.Series,
    known: npt.NDArray[np.bool_],
    *,
    horizons: Sequence[tuple[str, int]],
    levels: Sequence[int],
    expected: FloatArray,
) -> pl.DataFrame:
    """Return one row per customer; see `EventForecaster.predict` for the columns."""
    at = standing(model, log, states)
    active, overdue = activity(at)
    tails = [0.5] + [tail for level in levels for tail in (0.5 - level / 200, 0.5 + level / 200)]
    moments = next_event_moments(at, tails)
    columns: dict[str, pl.Series] = {
        "unique_id": ids,
        "as_of": to_dates(np.full(len(ids), log.as_of), log.unit),
        "n_events": pl.Series(np.where(known, states.count + 1, 0).astype(np.int64)),
        "last_event": _where(known, to_dates(states.last, log.unit)),
        "p_active": pl.Series(active),
        "next_event": to_dates(log.as_of + np.maximum(np.ceil(moments[0]), 1), log.unit),
    }
    for k, level in enumerate(levels):
        ticks = interval_ticks(moments[1 + 2 * k], moments[2 + 2 * k], log.as_of)
        columns[f"next_event-lo-{level}"] = to_dates(ticks[:, 0], log.unit)
        columns[f"next_event-hi-{level}"] = to_dates(ticks[:, 1], log.unit)
    for name, ticks_ahead in horizons:
        columns[f"p_return_{name}"] = pl.Series(p_return(at, ticks_ahead))
    for k, (name, _) in enumerate(horizons):
        columns[f"expected_events_{name}"] = pl.Series(expected[:, k])
    columns["overdue"] = _where(known, pl.Series(overdue))
    return pl.DataFrame(columns)


def _where(known: npt.NDArray[np.bool_], values: pl.Series) -> pl.Series:
    """Return values, null where the customer is not known."""
    return (
        values
        if known.all()
        else values.zip_with(pl.Series(known), pl.Series([None] * len(values), dtype=values.dtype))
    )
