"""The figures of a shop's report: what to expect, who is new, and how good earlier forecasts were."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Final, Protocol, cast

import numpy as np
import polars as pl

from foretell.acquisition import predict_shop, shop_so_far
from foretell.baselines.statistic import EventStatistic
from foretell.core import FloatArray, IntArray
from foretell.data.log import EventLog
from foretell.data.tables import CountModel, expected_within
from foretell.errors import DataError, EmptyLogError
from foretell.events.forecaster import EventForecaster
from foretell.events.totals import By, predict_totals
from foretell.spend.gamma_gamma import mark_of

_WEEK, _MONTH = 7, 30  # days
_PAST_WEEKS, _WEEKS = 52, 13  # shown
_MONTHS: Final = 12
_ORIGINS: Final = 6  # months before the as-of date, at whose ends is looked how good the forecast was
_LEAST: Final = 60  # days of visits before such an origin


class ShopModel(CountModel, Protocol):
    """A fitted forecaster of events that ranks its customers."""

    def shortlist(self, top: int | None, horizon: str | int, **how: object) -> pl.DataFrame:
        """See `EventForecaster.shortlist`."""


@dataclasses.dataclass(frozen=True)
class Expectation:
    """The visits of the next days, or what they are worth, and of as many days before.

    Attributes
    ----------
    mark : str or None
        The mark that is added up; None of visits.
    days : int
    total, low, high : float
        Expected, and the 80 % interval.
    new : float or None
        What customers make of it who come for the first time in these days; None where the log is too
        short to tell, and only today's customers are expected.
    before : float
        In as many days before the as-of date.
    year_ago : float or None
        In the same days a year ago; None where the log does not reach so far.
    """

    mark: str | None
    days: int
    total: float
    low: float
    high: float
    new: float | None
    before: float
    year_ago: float | None


def expectations(model: CountModel, mark: str | None = None) -> list[Expectation]:
    """Return what to expect in the next week and the next thirty days: visits, or the sum of a mark."""
    log, per_day = model.log_, model.log_.ticks_of("1d")
    made, what = _made(log, mark), _what(mark)
    found = []
    for days in (_WEEK, _MONTH):
        row = _ahead(model, days * per_day, None, mark).row(0, named=True)
        end = log.as_of - (365 - days) * per_day
        known = log.start <= end - days * per_day
        before, year_ago = (
            float(made[(log.times > last - days * per_day) & (log.times <= last)].sum())
            for last in (log.as_of, end)
        )
        bounds = (row[f"{what}-lo-80"], row[f"{what}-hi-80"])
        year = year_ago if known else None
        found.append(Expectation(mark, days, row[what], *bounds, row["new"], before, year))
    return found


def _what(mark: str | None) -> str:
    """Return the column of totals that holds the sums of a mark."""
    return "visits" if mark is None else "spend"


def _made(log: EventLog, mark: str | None) -> FloatArray:
    """Return what each visit counts for: one, or a mark; one that is missing nothing."""
    return np.ones(log.n_events) if mark is None else np.nan_to_num(mark_of(log, mark))


def _ahead(model: CountModel, ticks: int, by: By | None, mark: str | None) -> pl.DataFrame:
    """Return the table of `predict_shop`; where newcomers cannot be told, ``new`` is null."""
    try:
        return predict_shop(model, ticks, by, mark=mark)
    except DataError:
        known = predict_totals(model, ticks, by, mark=mark)
        blank = pl.lit(None, dtype=pl.Float64)
        return known.with_columns(newcomers=blank, known=_what(mark), new=blank)


def weeks(model: CountModel, mark: str | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the visits of whole weeks up to the as-of date, and of those to come.

    As `shop_so_far` and `predict_shop` have them; ``new`` is null where newcomers cannot be told. With a
    mark both hold its sums, ``spend``.
    """
    ahead = _ahead(model, _WEEKS * _WEEK * model.log_.ticks_of("1d"), "week", mark)
    return shop_so_far(model.log_, mark=mark).tail(_PAST_WEEKS), ahead


def newcomers(model: CountModel) -> pl.DataFrame:
    """Return who came first in each of the last months, and how they develop.

    ``month``, ``customers``; ``back_30d`` and ``back_90d``, the share who came again within so many days
    of their first visit, of those whom that is known of (null for none); ``expected_90d``, the visits to
    expect of one of them in the next 90 days.
    """
    log, per_day = model.log_, model.log_.ticks_of("1d")
    customer = pl.DataFrame({"place": np.arange(log.n_customers), "month": log.time_of(log.first)})
    second = np.full(log.n_customers, np.iinfo(np.int64).max)
    again = log.counts > 1
    second[again] = log.times[log.offsets[:-1][again] + 1]
    columns = {}
    for days in (30, 90):
        # Who has been here for less long can still come.
        seen = log.first + days * per_day <= log.as_of
        back = (second - log.first <= days * per_day).astype(np.float64)
        columns[f"back_{days}d"] = pl.Series(np.where(seen, back, np.nan)).fill_nan(None)
    customer = customer.with_columns(pl.col("month").dt.truncate("1mo").cast(pl.Date), **columns)
    recent = customer["month"].unique().sort().tail(_MONTHS)
    customer = customer.filter(pl.col("month").is_in(recent.implode()))
    expected = _expected(model, customer["place"].to_numpy(), 90 * per_day)
    return (
        customer.with_columns(expected_90d=expected)
        .group_by("month")
        .agg(pl.len().alias("customers"), pl.col("back_30d", "back_90d", "expected_90d").mean())
        .sort("month")
    )


def earlier_forecasts(model: CountModel) -> pl.DataFrame:
    """Return what would have been forecast at the ends of earlier months, and what came.

    ``ds``, ``visits`` with its 80 % interval for the next thirty days, ``actual``. A statistic is fitted
    anew at each origin; of ours the prior answers, which takes a moment.
    """
    log, per_day = model.log_, model.log_.ticks_of("1d")
    rows: list[dict[str, object]] = []
    for months in range(_ORIGINS, 0, -1):
        origin = log.as_of - months * _MONTH * per_day
        if origin - log.start < _LEAST * per_day:
            continue
        seen = log.up_to(origin)
        try:
            then = _again(model).fit(seen)
            table = predict_totals(cast("CountModel", then), _MONTH * per_day)
        except EmptyLogError:
            continue
        known = log.ids.is_in(seen.ids.implode()).to_numpy()
        later = (log.times > origin) & (log.times <= origin + _MONTH * per_day) & known[log.owner]
        rows.append(table.drop("end").row(0, named=True) | {"actual": int(later.sum())})
    return pl.DataFrame(rows)


def _again(model: CountModel) -> EventForecaster | EventStatistic:
    """Return an unfitted forecaster that answers like a model, within a moment."""
    if isinstance(model, EventStatistic):
        return type(model)(**model.get_params())
    return EventForecaster(model="prior")


def changes(model: CountModel, earlier: Mapping[str, object]) -> dict[str, object] | None:
    """Return what came since an earlier report, beside what it forecast; None if it is not earlier.

    ``since``, ``days``, ``visits`` of its customers, ``expected`` by it (None where it did not look so
    far), ``new`` customers, ``returned`` of how many ``listed`` as worth writing to.
    """
    log, per_day = model.log_, model.log_.ticks_of("1d")
    try:
        then = log.last_tick(str(earlier["as_of"]))
        listed = {str(name) for name in cast("list[object]", earlier["shortlist"])}
        by_week = [float(count) for count in cast("list[float]", earlier["weeks"])]
    except (KeyError, TypeError, ValueError):
        return None
    if not log.start <= then < log.as_of:
        return None
    known = log.first <= then
    later = (log.times > then) & known[log.owner]
    came = np.zeros(log.n_customers, dtype=bool)
    came[log.owner[later]] = True
    names = log.ids.cast(pl.String).is_in(list(listed)).to_numpy()
    days = (log.as_of - then) / per_day
    reach = len(by_week) * _WEEK
    edges = np.arange(len(by_week) + 1) * float(_WEEK)
    expected = float(np.interp(days, edges, np.cumsum([0.0, *by_week]))) if days <= reach else None
    return {
        "since": str(earlier["as_of"]),
        "days": days,
        "visits": int(later.sum()),
        "expected": expected,
        "new": int((~known).sum()),
        "returned": int((came & names).sum()),
        "listed": int(names.sum()),
    }


def _expected(model: CountModel, places: IntArray, ticks: int) -> pl.Series:
    ids = model.log_.ids.gather(places)
    blocks: Iterator[pl.DataFrame] = model.predict_blocks([ticks], [], ids.to_list())
    return pl.Series(np.concatenate([expected_within(model, table, [ticks])[:, 0] for table in blocks]))
