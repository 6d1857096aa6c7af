"""The shop's total with the customers to come: who comes for the first time, and how often they come again.

Newcomers are a regular series, which the series half forecasts; what a newcomer does is the event half's
answer about a customer whose first visit is today. Their product is added to the visits of today's customers.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import polars as pl

from foretell.core import FloatArray, IntArray
from foretell.core.constraints import OneOf, as_levels, check
from foretell.data.log import EventLog
from foretell.data.panel import Panel
from foretell.data.tables import CountModel, expected_within
from foretell.errors import DataError
from foretell.events.calendar import CalendarEffect, DayCounts
from foretell.events.totals import By, count_quantile, period_ends, predict_totals, sum_quantile
from foretell.series.forecaster import SeriesForecaster
from foretell.spend.forecasts import rates_of
from foretell.spend.gamma_gamma import mark_of

__all__ = ["Newcomers", "predict_shop", "shop_so_far"]

_SPREAD: Final = 2.5631  # standard deviations that an 80 % interval is wide
_WEEK: Final = 7  # days
_LEAST: Final = 8  # steps of a series of newcomers
_WEEKLY: Final = 26  # weeks of history from which newcomers are counted by week, before by day
_KNOTS: Final = 26  # horizons at which a newcomer is asked about
_RELATIVE: Final = 0.15  # error of what newcomers do, as that of the level of totals


def predict_shop(
    model: CountModel,
    horizon: str | int = "1mo",
    by: By | None = None,
    levels: Sequence[float] = (80,),
    *,
    mark: str | None = None,
) -> pl.DataFrame:
    """Forecast all visits to the shop, or all takings: of today's customers, and of those to come.

    Parameters
    ----------
    model : forecaster of events
        Fitted; it says how many visits to expect.
    horizon : str or int
    by : {None, "week", "month"}
        Rows: one of the whole horizon, of weeks after the as-of date, or of calendar months.
    levels : sequence of float
        Percentages of the central intervals.
    mark : str, optional
        Mark that is an amount: what is spent in place of visits.

    Returns
    -------
    polars.DataFrame
        ``ds`` and ``end``, the first and the last tick; ``newcomers``, the customers to come for the first
        time; ``known``, the visits (or spend) of today's customers, and ``new``, those of the newcomers,
        their first ones among them; ``visits`` (or ``spend``), the sum, with ``visits-lo-80``,
        ``visits-hi-80`` ….

    Raises
    ------
    DataError
        The log is too short to tell how many come for the first time.
    ParameterError
        The model says no numbers of visits.

    Examples
    --------
    >>> import foretell as ft
    >>> from foretell.acquisition import predict_shop
    >>> log = ft.read_events(ft.datasets.load_cdnow(sample=True), id="customer_id", time="date")
    >>> model = ft.EventForecaster(model="prior").fit(log, as_of="1997-03-15")
    >>> predict_shop(model, "4w", by="week").columns
    ['ds', 'end', 'newcomers', 'known', 'new', 'visits', 'visits-lo-80', 'visits-hi-80']
    """
    check("by", by, OneOf((None, "week", "month")))
    as_levels(levels)
    log = model.log_
    what = "visits" if mark is None else "spend"
    ticks = log.ticks_of(horizon)
    ends = period_ends(log, ticks, by)
    known = predict_totals(model, ticks, by, [80], None, mark)
    coming = Newcomers.forecast(log, ticks)
    visits = _visits_of_newcomers(model, coming.daily, ticks)
    worth = 1.0 if mark is None else float(rates_of(log, mark).per_visit[-1])
    new = np.diff(worth * np.append(0.0, np.cumsum(visits))[np.append(0, ends)])
    newcomers = np.diff(np.append(0.0, np.cumsum(coming.daily))[np.append(0, ends)])
    total = known[what].to_numpy() + new
    spread = (known[f"{what}-hi-80"] - known[f"{what}-lo-80"]).to_numpy() / _SPREAD
    variance = spread**2 + new * worth + new**2 * (coming.relative**2 + _RELATIVE**2)
    columns = known.select("ds", "end").with_columns(
        newcomers=newcomers, known=known[what], new=new, **{what: total}
    )
    quantile = count_quantile if mark is None else sum_quantile
    return columns.with_columns(
        pl.Series(f"{what}-{side}-{level:g}", quantile(total, variance, 0.5 + sign * level / 200))
        for level in levels
        for side, sign in (("lo", -1), ("hi", 1))
    )


def shop_so_far(
    log: EventLog, by: Literal["week", "month"] = "week", *, mark: str | None = None
) -> pl.DataFrame:
    """Return all visits to the shop so far, or all takings, by whole weeks or months.

    Parameters
    ----------
    log : EventLog
    by : {"week", "month"}
        Weeks that end with the as-of date, or calendar months.
    mark : str, optional
        Mark that is an amount: what was spent in place of visits; one that is missing counts as nothing.

    Returns
    -------
    polars.DataFrame
        ``ds`` and ``end``, the first and the last tick, and ``visits`` (or ``spend``): what `predict_shop`
        goes on from.

    Examples
    --------
    >>> import foretell as ft
    >>> from foretell.acquisition import shop_so_far
    >>> log = ft.read_events(ft.datasets.load_cdnow(sample=True), id="customer_id", time="date")
    >>> shop_so_far(log.until("1997-03-31"), "month")["visits"].to_list()
    [873.0, 1155.0, 1141.0]
    """
    check("by", by, OneOf(("week", "month")))
    what, made = ("visits", np.ones(log.n_events))
    if mark is not None:
        what, made = "spend", np.nan_to_num(mark_of(log, mark))
    edges = _weeks_so_far(log) if by == "week" else _months_so_far(log)
    place = np.searchsorted(edges, log.times, side="right")
    sums = np.bincount(place, made, len(edges) + 1).astype(np.float64)[1:-1]
    columns = {"ds": log.time_of(edges[:-1]), "end": log.time_of(edges[1:] - 1), what: pl.Series(sums)}
    return pl.DataFrame(columns)


def _weeks_so_far(log: EventLog) -> IntArray:
    """Return the first ticks of the whole weeks up to the as-of date, and of what follows."""
    width = _WEEK * log.ticks_of("1d")
    return log.as_of + 1 - width * np.arange((log.as_of - log.start + 1) // width, -1, -1)


def _months_so_far(log: EventLog) -> IntArray:
    """Return the first ticks of the whole calendar months, and of what follows."""
    ticks = np.arange(log.start - 1, log.as_of + 2)
    months = log.dates(ticks).astype("datetime64[M]").astype(np.int64)
    first: IntArray = ticks[1:][np.diff(months) > 0]
    return first


@dataclasses.dataclass(frozen=True)
class Newcomers:
    """Customers who will come for the first time.

    Attributes
    ----------
    daily : array, shape (n_ticks,)
        Expected in each tick after the as-of date.
    relative : float
        Standard deviation of their sum, relative to it.
    """

    daily: FloatArray
    relative: float

    @classmethod
    def forecast(cls, log: EventLog, ticks: int) -> Newcomers:
        """Forecast them from those of the past, by the network that needs no training.

        Of a day on which more come by what the log's calendar knows, they count as much less in the past, and
        as much more in the forecast. Those of the same log are forecast once, whatever is asked of their
        visits.
        """
        known = _FORECAST.setdefault(log, {})
        if ticks not in known:
            known[ticks] = cls._forecast(log, ticks)
        return known[ticks]

    @classmethod
    def _forecast(cls, log: EventLog, ticks: int) -> Newcomers:
        per_day = log.ticks_of("1d")
        days = (log.as_of + 1 - log.start) // per_day
        step = per_day * (_WEEK if days >= _WEEKLY * _WEEK else 1)
        count = (log.as_of + 1 - log.start) // step
        if count < _LEAST:
            raise DataError(
                f"the log covers {days} days; expected at least {_LEAST}, from which it can be told how many "
                "customers come for the first time"
            )
        ago = (log.as_of - log.first) // step
        kept, effect = (ago >= 0) & (ago < count), _effect_on_newcomers(log)
        worth = np.ones(len(ago)) if effect is None else 1.0 / effect.factor(log.first // per_day)
        past = np.bincount(ago[kept], worth[kept], count)[::-1].astype(np.float64)
        steps = -(-ticks // step)
        panel = Panel.from_arrays({"newcomers": past})
        model = SeriesForecaster(horizon=steps, model="prior").fit(panel)
        expected = np.maximum(model.predict_totals(by="step")[model.name].to_numpy(), 0.0)
        whole = model.predict_totals(levels=[80]).row(0, named=True)
        total = max(float(expected.sum()), 1e-9)
        spread = float(whole[f"{model.name}-hi-80"] - whole[f"{model.name}-lo-80"]) / _SPREAD
        daily = np.repeat(expected / step, step)[:ticks]
        if effect is not None:
            daily = daily * effect.factor((log.as_of + 1 + np.arange(ticks)) // per_day)
        return cls(daily, spread / total)


_FORECAST: weakref.WeakKeyDictionary[EventLog, dict[int, Newcomers]] = weakref.WeakKeyDictionary()


def _effect_on_newcomers(log: EventLog) -> CalendarEffect | None:
    """Return how many more customers come for the first time on the days of a calendar."""
    if log.calendar is None:
        return None
    per_day = log.ticks_of("1d")
    begin, end = log.start // per_day, log.as_of // per_day + 1
    came = np.bincount(log.first // per_day - begin, minlength=end - begin).astype(np.float64)
    effect = CalendarEffect.fit(log.calendar, DayCounts(np.arange(begin, end), came, np.ones(len(came))))
    return effect if effect is not None and effect.shows else None


def _visits_of_newcomers(model: CountModel, daily: FloatArray, ticks: int) -> FloatArray:
    """Return the expected visits in each tick of who comes for the first time in it or before."""
    again = np.diff(_visits_after_the_first(model, ticks), prepend=0.0)  # in the k-th tick after the first
    visits: FloatArray = daily + np.convolve(daily, np.append(0.0, again))[:ticks]
    return visits


def _visits_after_the_first(model: CountModel, ticks: int) -> FloatArray:
    """Return how many visits a customer makes within 1, 2 … ticks after the first one."""
    knots: IntArray = np.unique(np.geomspace(1, ticks, _KNOTS).astype(np.int64))
    (answers,) = model.predict_blocks([int(knot) for knot in knots], [], [_stranger(model.log_.ids)])
    reached = np.append(0.0, expected_within(model, answers, knots.tolist())[0])
    within: FloatArray = np.interp(np.arange(1, ticks + 1), np.append(0, knots), reached)
    return within


def _stranger(ids: pl.Series) -> object:
    """Return an id that is not among some, of their kind."""
    if ids.dtype.is_integer():  # the smallest number that is free, which every width of numbers has room for
        return int(np.setdiff1d(np.arange(len(ids) + 1), ids.to_numpy())[0])
    if ids.dtype.is_float():
        return float(np.nextafter(ids.to_numpy().max(), np.inf))
    return str(ids.cast(pl.String).max()) + "+"
