"""Expected visits of many customers together, with intervals that hold the error of the model."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Collection, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
import polars as pl
from scipy import stats

from foretell.core import FloatArray, IntArray
from foretell.core.constraints import OneOf, as_levels, check
from foretell.core.time import UNIT_SECONDS, period_edges
from foretell.data.log import EventLog
from foretell.data.tables import CountModel, asked_customers, expected_within
from foretell.errors import DataError, EmptyLogError
from foretell.events.calendar import CalendarEffect, as_if_told, say_what_is_not_known
from foretell.events.count_forecasts import group_totals
from foretell.events.horizon.forecaster import prior_counts
from foretell.events.intensity import TICKS_PER_DAY
from foretell.spend.amounts import Rates
from foretell.spend.forecasts import rates_of

By = Literal["week", "month", "group"]

_SAMPLE: Final = 8_000  # customers by whom the error of totals is measured
_COMPARED: Final = 2_000  # of them, by whom a model is compared with the prior
_PARTS: Final = (2, 3, 4, 6, 8, 12)  # origins lie such a part of the log before its end
_LEAST_AHEAD, _LEAST_SEEN = 7, 28  # days after and before an origin
# What is known of relative errors before any log is seen, by simulated shops; and how many origins that is
# worth. The six origins of a log look at the same last weeks, and are worth fewer than six.
_LEVEL, _WEEKLY, _SHARE = 0.22, 0.10, 0.10
_WORTH: Final = 2.0
_WORTH_WEEKS: Final = 4.0
_FORGETS: Final = 1000.0  # days after which the error of the level is correlated by 1 / e
_LARGEST: Final = 4.0  # squared relative errors beyond it say no more


@dataclasses.dataclass(frozen=True)
class TotalError:
    """By how much totals of many customers are missed, relative to them; see `predict_totals`.

    Attributes
    ----------
    level : float
        Standard deviation of the error of the level, which lasts for months.
    weekly : float
        Of what is left in a week of seven days.
    share : float
        Of what is left in a group's share.
    dispersion : float
        Variance of a customer's count beyond a Poisson's, over its squared mean.
    """

    level: float
    weekly: float
    share: float
    dispersion: float

    @classmethod
    def of(cls, log: EventLog) -> TotalError:
        """Measure it: how far the prior is off at the log's own earlier origins, drawn towards what is usual.

        Each origin forecasts up to the log's end; what chance does is taken off. The same log is measured
        once.
        """
        known = _MEASURED.get(log)
        if known is None:
            known = _MEASURED[log] = cls._measured(log)
        return known

    @classmethod
    def _measured(cls, log: EventLog) -> TotalError:
        if log.n_customers > _SAMPLE:
            log = log.take(np.sort(np.random.default_rng(0).permutation(log.n_customers)[:_SAMPLE]))
        day = UNIT_SECONDS["day"] // UNIT_SECONDS[log.unit]
        span = log.as_of - int(log.first.min())
        levels, weeks, shares = ([(usual**2, worth)] for usual, worth in (
            (_LEVEL, _WORTH), (_WEEKLY, _WORTH_WEEKS), (_SHARE, _WORTH)))  # fmt: skip
        for ahead in (span // part for part in _PARTS):
            if ahead < _LEAST_AHEAD * day or span - ahead < _LEAST_SEEN * day:
                continue
            origin = _Origin.of(log, log.as_of - ahead, ahead, day)
            if origin is not None:
                levels.append(origin.level())
                weeks.append(origin.weekly())
                shares.append(origin.share())
        try:
            dispersion = prior_counts(log, np.array([min(span, 90 * day)])).dispersion
        except EmptyLogError:
            dispersion = 1.0
        level, weekly, share = (_root_mean(part) for part in (levels, weeks, shares))
        return cls(level, weekly, share, dispersion)

    def covariance(self, lengths: FloatArray) -> FloatArray:
        """Return covariances of the relative errors of successive periods of some days."""
        middle = np.cumsum(lengths) - lengths / 2
        apart = np.abs(middle[:, None] - middle)
        own = self.weekly**2 * 7.0 / np.maximum(lengths, 1e-9)
        covariance: FloatArray = self.level**2 * np.exp(-apart / _FORGETS) + np.diag(own)
        return covariance


_MEASURED: weakref.WeakKeyDictionary[EventLog, TotalError] = weakref.WeakKeyDictionary()


@dataclasses.dataclass(frozen=True)
class _Origin:
    """What was forecast at an earlier origin for the weeks up to a log's end, and what came."""

    forecast: FloatArray  # (n_weeks,)
    chance: FloatArray  # variances of the totals of weeks, if the forecast is right
    actual: FloatArray
    group_forecast: FloatArray  # (n_groups,), of the groups known at the origin
    group_actual: FloatArray

    @classmethod
    def of(cls, log: EventLog, origin: int, ahead: int, day: int) -> _Origin | None:
        """Forecast at an origin; None where nobody had come back by then."""
        seen = log.up_to(origin)
        ends = period_edges(ahead, 7 * day)
        try:
            counts = prior_counts(seen, ends)
        except EmptyLogError:
            return None
        by_week = np.diff(counts.expected, axis=1, prepend=0.0)
        chance = by_week.sum(axis=0) + counts.dispersion * (by_week**2).sum(axis=0)
        known = log.ids.is_in(seen.ids.implode()).to_numpy()
        later = (log.times > origin) & known[log.owner]
        week = np.searchsorted(ends, log.times[later] - origin)
        actual = np.bincount(week, minlength=len(ends)).astype(np.float64)
        group_forecast = group_actual = np.zeros(0)
        if log.groups is not None and log.group_names is not None and seen.group_names is not None:
            group_forecast = group_totals(seen, counts.expected[:, -1:])[:, 0]
            by_group = np.bincount(log.groups[later], minlength=len(log.group_names))
            group_actual = by_group[log.group_names.is_in(seen.group_names.implode()).to_numpy()]
        return cls(by_week.sum(axis=0), chance, actual, group_forecast, group_actual)

    @property
    def _ratio(self) -> float:
        return float((self.actual.sum() + 0.5) / (self.forecast.sum() + 0.5))

    def level(self) -> tuple[float, float]:
        """Return the squared error of the whole without what chance does, and its weight."""
        chance = self.chance.sum() / max(self.forecast.sum(), 1.0) ** 2
        squared = min(float(np.log(self._ratio) ** 2), _LARGEST)
        # Where chance is large, an origin says little.
        return squared - chance, 1.0 / (1.0 + chance / _LEVEL**2) ** 2

    def weekly(self) -> tuple[float, float]:
        """Return the same of weeks, whose level is that of the whole."""
        due = self.forecast * self._ratio
        squares = np.minimum((self.actual - due) ** 2, _LARGEST * np.maximum(due, 1.0) ** 2)
        if len(due) < 2 or not due.sum():
            return 0.0, 0.0
        excess = squares.sum() * len(due) / (len(due) - 1) - (self.chance * self._ratio).sum()
        size = float((due**2).sum())
        return float(excess / size), len(due) / (1.0 + self.chance.sum() / (size * _WEEKLY**2)) ** 2

    def share(self) -> tuple[float, float]:
        """Return the same of groups."""
        due = self.group_forecast * self._ratio
        if len(due) < 2 or not due.sum():
            return 0.0, 0.0
        squares = np.minimum((self.group_actual - due) ** 2, _LARGEST * np.maximum(due, 1.0) ** 2)
        size = float((due**2).sum())
        chance = due.sum() * max(float(self.chance.sum() / max(self.forecast.sum(), 1e-9)), 1.0)
        return float((squares.sum() - chance) / size), 1.0 / (1.0 + chance / (size * _SHARE**2)) ** 2


def _root_mean(parts: Sequence[tuple[float, float]]) -> float:
    """Return the root of the weighted mean of squares."""
    squares, weights = np.array(parts).T
    return float(np.sqrt(max((squares * weights).sum() / weights.sum(), 1e-4)))


def predict_totals(
    model: CountModel,
    horizon: str | int = "1mo",
    by: By | None = None,
    levels: Sequence[float] = (80,),
    ids: Collection[object] | None = None,
    mark: str | None = None,
) -> pl.DataFrame:
    """Return expected visits or spend of many customers together; see `EventForecaster.predict_totals`."""
    log = model.log_
    rates = None if mark is None else rates_of(log, mark)
    check("by", by, OneOf((None, "week", "month", "group")))
    as_levels(levels)
    ticks = log.ticks_of(horizon)
    ends = period_ends(log, ticks, by)
    if by == "group" and log.groups is None:
        raise DataError("the log has no groups; read it with read_events(…, group='store_id')")
    # Errors are those of weeks: longer periods are made of them.
    fine = np.union1d(ends, period_edges(ticks, 7 * UNIT_SECONDS["day"] // UNIT_SECONDS[log.unit]))
    sums = _sums(model, fine, ids, rates)
    expected = sums.expected
    with as_if_told(log):
        error = _with_disagreement(TotalError.of(log), model)
    days = np.diff(fine, prepend=0) * (UNIT_SECONDS[log.unit] / UNIT_SECONDS["day"])
    relative = error.covariance(days) + _calendar_covariance(model, fine)
    covariance = relative * np.outer(expected, expected)
    period = np.searchsorted(ends, fine)
    totals: FloatArray = np.bincount(period, expected, len(ends)).astype(np.float64)
    beyond = error.dispersion * np.bincount(period, np.sqrt(sums.squares), len(ends)) ** 2
    chance = np.bincount(period, sums.chance, len(ends)) + beyond
    inside = (period == np.arange(len(ends))[:, None]).astype(np.float64)
    variance = chance + np.einsum("pi,ij,pj->p", inside, covariance, inside)
    starts = log.as_of + 1 + np.concatenate([[0], ends[:-1]])
    columns = {"ds": log.time_of(starts), "end": log.time_of(log.as_of + ends)}
    if by == "group":
        unit = float(sums.chance.sum()) / max(totals[0], 1e-9)
        of_all = (variance[0] - unit * totals[0]) / max(totals[0], 1e-9) ** 2 + error.share**2
        totals = _by_group(log, sums.whole, ids)
        variance = unit * totals + of_all * totals**2
        names = pl.Series("group", log.group_names)
        columns = {"group": names} | {k: pl.repeat(v[0], len(names), eager=True) for k, v in columns.items()}
    what, quantile = ("visits", count_quantile) if mark is None else ("spend", sum_quantile)
    columns[what] = pl.Series(totals)
    for level in levels:
        for side, sign in (("lo", -1), ("hi", 1)):
            columns[f"{what}-{side}-{level:g}"] = pl.Series(
                quantile(totals, variance, 0.5 + sign * level / 200)
            )
    return pl.DataFrame(columns)


def _calendar_covariance(model: CountModel, ends: IntArray) -> FloatArray:
    """Return covariances of the relative errors of periods that the days' calendar is the reason for."""
    effect: CalendarEffect | None = getattr(model, "calendar_effect_", None)  # statistics know none
    if effect is None:
        return np.zeros((len(ends), len(ends)))
    log = model.log_
    say_what_is_not_known(effect, log, int(ends[-1]))
    ticks = np.arange(1, ends[-1] + 1)
    day = (log.as_of + ticks) // TICKS_PER_DAY[log.unit]
    return effect.covariance_of(day, np.searchsorted(ends, ticks), len(ends))


def _with_disagreement(error: TotalError, model: CountModel) -> TotalError:
    """Return the error with half of how far a model and the prior lie apart for the next three months."""
    log = model.log_
    rows = np.sort(np.random.default_rng(1).permutation(log.n_customers)[:_COMPARED])
    ticks = np.array(
        [min(log.as_of - int(log.first.min()), 90 * UNIT_SECONDS["day"] // UNIT_SECONDS[log.unit])]
    )
    if ticks[0] < 1:
        return error
    theirs = _prior_total(log, rows, ticks)
    if theirs is None:
        return error
    ours = _sums(model, ticks, log.ids.gather(rows).to_list()).expected.sum()
    apart = np.clip(np.log((ours + 1.0) / (theirs + 1.0)), -1.0, 1.0)
    return dataclasses.replace(error, level=float(np.hypot(error.level, apart / 2)))


def _prior_total(log: EventLog, rows: IntArray, ticks: IntArray) -> float | None:
    """Return what the prior expects of some customers, once for each log; None where nobody has come back."""
    if log not in _OF_PRIOR:
        try:
            _OF_PRIOR[log] = float(prior_counts(log.take(rows), ticks).expected.sum())
        except EmptyLogError:
            _OF_PRIOR[log] = None
    return _OF_PRIOR[log]


_OF_PRIOR: weakref.WeakKeyDictionary[EventLog, float | None] = weakref.WeakKeyDictionary()


def count_quantile(mean: FloatArray, variance: FloatArray, level: float) -> FloatArray:
    """Return quantiles of negative binomial counts of a mean and a variance, of no less than a Poisson's.

    Examples
    --------
    >>> count_quantile(np.array([0.0, 100.0]), np.array([0.0, 500.0]), 0.9).tolist()
    [0.0, 129.0]
    """
    mean = np.maximum(mean, 1e-9)
    beyond = np.maximum(variance - mean, 1e-6 * mean)
    shape = mean**2 / beyond
    quantile: FloatArray = stats.nbinom.ppf(level, shape, shape / (shape + mean))
    return np.maximum(quantile, 0.0)


def sum_quantile(mean: FloatArray, variance: FloatArray, level: float) -> FloatArray:
    """Return quantiles of sums of money of a mean and a variance: gamma, which is never below 0.

    Examples
    --------
    >>> sum_quantile(np.array([0.0, 100.0]), np.array([0.0, 100.0]), 0.5).round(2).tolist()
    [0.0, 99.67]
    """
    mean, variance = np.maximum(mean, 1e-9), np.maximum(variance, 1e-18)
    quantile = stats.gamma.ppf(level, mean**2 / variance, scale=variance / mean)
    return np.where(quantile < 1e-6 * mean, 0.0, quantile)


def period_ends(log: EventLog, ticks: int, by: By | None) -> IntArray:
    """Return the ends of the periods asked for, in ticks after the as-of date."""
    if by == "week":
        return period_edges(ticks, 7 * UNIT_SECONDS["day"] // UNIT_SECONDS[log.unit])
    if by == "month":
        months = log.dates(log.as_of + 1 + np.arange(ticks)).astype("datetime64[M]").astype(np.int64)
        return np.append(np.flatnonzero(np.diff(months)) + 1, ticks)
    return np.array([ticks])


class _Sums(NamedTuple):
    """What customers make together in each period, and each of them in the whole.

    Attributes
    ----------
    expected : array, shape (n_periods,)
    chance : array, shape (n_periods,)
        Variances, if visits are a Poisson's.
    squares : array, shape (n_periods,)
        Sums of customers' squared expectations: what visits vary more than a Poisson's grows with them.
    whole : array, shape (n_customers,)
    """

    expected: FloatArray
    chance: FloatArray
    squares: FloatArray
    whole: FloatArray


def _sums(
    model: CountModel, ends: IntArray, ids: Collection[object] | None, rates: Rates | None = None
) -> _Sums:
    """Return customers' expected visits, or with the rates of their amounts what they spend."""
    expected, chance, squares = (np.zeros(len(ends)) for _ in range(3))
    whole: list[FloatArray] = []
    for table in model.predict_blocks([int(end) for end in ends], [], ids):
        by_period = np.diff(expected_within(model, table, ends.tolist()), axis=1, prepend=0.0)
        mean = square = np.ones((len(table), 1))
        if rates is not None:
            own = rates.take(asked_customers(model.log_, table["unique_id"]).places)
            mean, square = own.per_visit[:, None], own.paid * own.square[:, None]
        expected += (by_period * mean).sum(axis=0)
        chance += (by_period * square).sum(axis=0)
        squares += ((by_period * mean) ** 2).sum(axis=0)
        whole.append((by_period * mean).sum(axis=1))
    return _Sums(expected, chance, squares, np.concatenate(whole) if whole else np.zeros(0))


def _by_group(log: EventLog, whole: FloatArray, ids: Collection[object] | None) -> FloatArray:
    """Return the visits of each group that customers' expected visits make."""
    places = asked_customers(log, ids).places
    assert log.groups is not None  # noqa: S101  # the caller has checked
    expected = np.bincount(places[places >= 0], whole[places >= 0], log.n_customers).astype(np.float64)
    totals = group_totals(log, expected[:, None])[:, 0]
    new = whole[places < 0].sum()  # who has no groups of one's own goes where all go
    shared: FloatArray = totals + new * np.bincount(log.groups, minlength=len(totals)) / log.n_events
    return shared
