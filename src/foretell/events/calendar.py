"""How many more visits a promotion, a price or a holiday brings: factors of the days, learned from a log."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import weakref
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from foretell.core import BoolArray, FloatArray, IntArray
from foretell.core.contracts import Described
from foretell.core.journal import warn
from foretell.data.calendar import Calendar
from foretell.data.covariates import Covariates, seen_only
from foretell.data.log import EventLog
from foretell.data.state import calendar_from_state, calendar_state, refuse
from foretell.errors import CovariateWarning
from foretell.events.intensity import TICKS_PER_DAY, Design, Learned, Weights, poisson_map

_AFTER: Final = (7, 14)  # days up to which a day may still show: who came early does not come later
_WIDEST: Final = 1.0  # standard deviation of a log factor, by standard deviation of a column's numbers
_LARGEST: Final = 3.0  # a log factor, at most
_LEAST: Final = 0.005  # factors that spread less are none
_LEAST_DAYS, _LEAST_VISITS = 21, 50
_TIMES: Final = 1 + len(_AFTER)  # on the day, and after it
_WEEK: Final = 7
_ROUNDS: Final = 2


class DayCounts(NamedTuple):
    """What a log says of the days on which somebody could come.

    Attributes
    ----------
    days : int64 array, shape (n_days,)
        Since 1970-01-01, in order.
    visits : array, shape (n_days,)
        Of customers who had been there before.
    customers : array, shape (n_days,)
        How many had been there before; more than none.
    """

    days: IntArray
    visits: FloatArray
    customers: FloatArray


@dataclasses.dataclass(frozen=True, eq=False)
class DayCode:
    """The columns of a calendar as numbers about 0; each word is a column of zeros and ones.

    Attributes
    ----------
    centre, scale, low, high : array, shape (n_codes,)
        Numbers beyond the lowest and the highest that were seen count as these.
    """

    centre: FloatArray
    scale: FloatArray
    low: FloatArray
    high: FloatArray

    @classmethod
    def fit(cls, seen: Covariates) -> DayCode:
        """Learn from the days that were seen."""
        values = _as_numbers(seen)
        given = ~np.isnan(values)
        n = np.maximum(given.sum(axis=0), 1)
        centre = np.where(given, values, 0.0).sum(axis=0) / n
        deviation = np.sqrt((np.where(given, values - centre, 0.0) ** 2).sum(axis=0) / n)
        named = np.array([name in seen.categories for name in code_names(seen)])
        scale = np.where(named | (deviation < 1e-12), 1.0, deviation)
        usual = np.where(given, values, centre)
        return cls(centre, scale, usual.min(axis=0), usual.max(axis=0))

    def encode(self, known: Covariates) -> FloatArray:
        """Return numbers, shape (n_days, n_codes), NaN where nothing is known."""
        coded: FloatArray = (np.clip(_as_numbers(known), self.low, self.high) - self.centre) / self.scale
        return coded


@dataclasses.dataclass(frozen=True, eq=False)
class CalendarEffect:
    """Factors of days by what a calendar knows of them, 1 on average over the days that were seen.

    A column acts on its day and, by its means over the last week and the one before, on the days after.
    Numbers beyond those that were seen count as the nearest seen; what is not known, and words never seen,
    count as the average of what was seen.

    Attributes
    ----------
    calendar : Calendar
        With the words that were seen.
    code : DayCode
    weights : array, shape (3 n_codes,)
        Log factors of the codes: on the day, in the week after it, in the next one.
    covariance : array, shape (3 n_codes, 3 n_codes)
    usual : array, shape (3 n_columns,)
        Log factors that count where a column is not known, at the same times. Their sum is that of an average
        day, and counts as 0.
    pull : array, shape (3 n_codes,)
        How that of an average day changes with each weight.
    spread : float
        Standard deviation of the mean factors of the weeks that were seen.
    """

    calendar: Calendar
    code: DayCode
    weights: FloatArray
    covariance: FloatArray
    usual: FloatArray
    pull: FloatArray
    spread: float

    @classmethod
    def fit(cls, calendar: Calendar, seen: DayCounts) -> CalendarEffect | None:
        """Learn how many more visits days bring, beside trend, weekday and season; None of too few days.

        Visits of a day vary as much more than a Poisson's as the days and weeks of the log show. What a
        column says shrinks towards nothing by the spread under which the visits are most likely, each column
        by its own.
        """
        if len(seen.days) < _LEAST_DAYS or seen.visits.sum() < _LEAST_VISITS:
            return None
        known = dataclasses.replace(calendar.columns, values=calendar.at(seen.days))
        calendar = calendar.with_words(seen_only(known)[0].categories)
        code = DayCode.fit(dataclasses.replace(calendar.columns, values=calendar.at(seen.days)))
        width = _TIMES * len(code.centre)
        zero = np.zeros(width)
        usual = np.zeros(_TIMES * len(calendar.columns.names))
        blank = cls(calendar, code, zero, np.zeros((width, width)), usual, zero, 0.0)
        weights, covariance = _regression(seen, np.nan_to_num(blank.features(seen.days)), blank.column_of)
        return dataclasses.replace(blank, weights=weights, covariance=covariance).centred(seen.days)

    def centred(self, days: IntArray) -> CalendarEffect:
        """Return the same effect, with factors that are 1 on average over some days."""
        parts = self._parts(days)
        given = ~np.isnan(parts)
        usual = np.log(np.where(given, np.exp(parts), 1.0).sum(axis=0) / len(parts))
        log_factors = np.where(given, parts, usual).sum(axis=1)
        usual += (np.log(np.exp(log_factors).mean()) - usual.sum()) / len(usual)
        factors = np.exp(log_factors - usual.sum())
        weeks = (days - days[0]) // _WEEK
        by_week = np.bincount(weeks, factors) / np.maximum(np.bincount(weeks), 1)
        pull = factors @ np.nan_to_num(self.features(days)) / factors.sum()
        return dataclasses.replace(self, usual=usual, pull=pull, spread=float(by_week[by_week > 0].std()))

    def moved(self, calendar: Calendar | None) -> CalendarEffect:
        """Return the same effect of the days of another calendar, where there is one."""
        if calendar is None:
            return self
        calendar = self.calendar.alike(calendar).with_words(self.calendar.columns.categories)
        return dataclasses.replace(self, calendar=calendar)

    @property
    def shows(self) -> bool:
        """Whether days differ."""
        return self.spread > _LEAST

    def factor(self, days: IntArray) -> FloatArray:
        """Return how many times as many visits as on an average day."""
        place = np.asarray(days) - self.calendar.start
        inside = (place >= 0) & (place < len(self._factors))
        return np.where(inside, self._factors[np.clip(place, 0, len(self._factors) - 1)], 1.0)

    def unknown(self, days: IntArray) -> BoolArray:
        """Return on which days a column is not known whose days differ."""
        n = len(self.calendar.columns.names)  # what is not known of the days before says little
        width = len(self.code.scale)
        reach = np.abs(self.weights[:width]) * (self.code.high - self.code.low) / self.code.scale
        differ = np.bincount(self.column_of[:width], reach > _LEAST, n) > 0
        missing = np.isnan(self._parts(np.asarray(days))[:, :n]) & differ
        return np.asarray(missing.any(axis=1))

    def covariance_of(self, days: IntArray, period: IntArray, n_periods: int) -> FloatArray:
        """Return covariances of the relative errors of periods' totals: of what was learned, and not known.

        Parameters
        ----------
        days, period : int64 arrays, shape (n_days,)
            Days, and the period of each.
        n_periods : int
        """
        factors = self.factor(days)
        total = np.maximum(np.bincount(period, factors, n_periods), 1e-9)
        features = np.nan_to_num(self.features(days)) - self.pull
        slopes = np.zeros((n_periods, features.shape[1]))
        np.add.at(slopes, period, factors[:, None] * features)
        slopes /= total[:, None]
        n = np.maximum(np.bincount(period, minlength=n_periods), 1)
        unknown = np.bincount(period, self.unknown(days), n_periods) / n
        alone = np.diag(self.spread**2 * unknown * _WEEK / np.maximum(n, _WEEK))
        covariance: FloatArray = slopes @ self.covariance @ slopes.T + alone
        return covariance

    def features(self, days: IntArray) -> FloatArray:
        """Return the codes of days, and their means over the week before, NaN where nothing is known."""
        place = np.asarray(days) - self.calendar.start
        inside = (place >= 0) & (place < len(self._features))
        features = self._features[np.clip(place, 0, len(self._features) - 1)]
        return np.where(inside[:, None], features, np.nan)

    @functools.cached_property
    def column_of(self) -> IntArray:
        """To which column each weight belongs; those of the days after come as columns of their own."""
        names = self.calendar.columns.names
        columns = np.array([names.index(name) for name in code_names(self.calendar.columns)], dtype=np.int64)
        return np.concatenate([columns + k * len(names) for k in range(_TIMES)])

    @functools.cached_property
    def _features(self) -> FloatArray:
        coded = self.code.encode(self.calendar.columns)
        coded = np.pad(coded, ((0, _AFTER[-1]), (0, 0)), constant_values=np.nan)
        given = ~np.isnan(coded)
        known = np.where(given, coded, 0.0), given.astype(np.float64)
        features = [coded]
        for begin, end in itertools.pairwise((0, *_AFTER)):
            sums, counts = (_before(part, begin, end) for part in known)
            features.append(np.where(counts > 0, sums / np.maximum(counts, 1.0), np.nan))
        return np.concatenate(features, axis=1)

    @functools.cached_property
    def _factors(self) -> FloatArray:
        days = self.calendar.start + np.arange(len(self._features))
        parts = self._parts(days)
        log_factors = np.where(np.isnan(parts), self.usual, parts).sum(axis=1) - self.usual.sum()
        factors: FloatArray = np.exp(np.clip(log_factors, -_LARGEST, _LARGEST))
        return factors

    def _parts(self, days: IntArray) -> FloatArray:
        """Return the log factors of each column, NaN where it is not known."""
        weighted = self.features(days) * self.weights
        parts = np.zeros((len(weighted), len(self.usual)))
        np.add.at(parts.T, self.column_of, weighted.T)
        return parts

    def describe(self) -> dict[str, object]:
        """Return what JSON keeps of it."""
        numbers = {name: getattr(self, name).tolist() for name in _NUMBERS}
        code = {name: values.tolist() for name, values in vars(self.code).items()}
        return {"calendar": calendar_state(self.calendar), "code": code, "spread": self.spread, **numbers}

    @classmethod
    def from_description(cls, described: Described | None) -> CalendarEffect | None:
        """Return the effect that `describe` described, if there is one; refuse one of another shape."""
        calendar = None if described is None else calendar_from_state(described["calendar"])
        if described is None or calendar is None:
            return None
        parts = {name: np.array(described[name], dtype=np.float64) for name in _NUMBERS}
        code = DayCode(
            *(np.array(described["code"][f.name], dtype=np.float64) for f in dataclasses.fields(DayCode))
        )
        spread = float(described["spread"])
        n = len(code_names(calendar.columns))
        width = _TIMES * n
        shapes = {"weights": (width,), "covariance": (width, width), "pull": (width,)}
        shapes["usual"] = (_TIMES * len(calendar.columns.names),)
        numbers = [*parts.values(), *vars(code).values(), np.array(spread)]
        faults = {
            "another shape": any(parts[name].shape != shape for name, shape in shapes.items())
            or any(part.shape != (n,) for part in vars(code).values()),
            "numbers that are not finite": not all((np.abs(part) < _FINITE).all() for part in numbers),
            "another scale": (code.scale <= 0).any() or spread < 0,
        }
        refuse("effect of the calendar", faults)
        return cls(calendar, code, **parts, spread=spread)


# Logs of which it was said.
_TOLD: weakref.WeakSet[EventLog] = weakref.WeakSet()


def say_what_is_not_known(effect: CalendarEffect | None, log: EventLog, ticks: int) -> None:
    """Warn, once for a log, where a calendar that shows is not known for days that are forecast."""
    if effect is None or log in _TOLD:
        return
    per_day = TICKS_PER_DAY[log.unit]
    days = np.arange((log.as_of + 1) // per_day, (log.as_of + max(ticks, 1)) // per_day + 1)
    unknown = effect.unknown(days)
    if unknown.any():
        _TOLD.add(log)
        first = np.datetime64(int(days[unknown.argmax()]), "D")
        warn(
            f"{', '.join(effect.calendar.columns.names)}: not known for {int(unknown.sum()):,} of the "
            f"{len(days):,} days that are forecast, the first of them {first}: they count as average days, "
            "and intervals of totals are wider; give the calendar rows for them",
            CovariateWarning,
            stacklevel=3,
        )


@contextlib.contextmanager
def as_if_told(log: EventLog) -> Iterator[None]:
    """Say nothing of a log's days for a while: of a question that nobody asked."""
    told = log in _TOLD
    _TOLD.add(log)
    try:
        yield
    finally:
        if not told:
            _TOLD.discard(log)


_FINITE: Final = 1e9  # no number of an effect is so large
_NUMBERS: Final = ("weights", "covariance", "usual", "pull")


def _regression(seen: DayCounts, features: FloatArray, column_of: IntArray) -> Weights:
    """Return the weights of features beside trend, weekday and season."""
    design = Design.of(seen.days, "day", int(seen.days[-1] - seen.days[0]) + 1)
    order = np.argsort(column_of, kind="stable")
    columns = np.hstack([design.columns, features[:, order]])
    begin = design.columns.shape[1]
    ends = begin + np.cumsum(np.bincount(column_of))
    parts = [slice(int(a), int(b)) for a, b in zip([begin, *ends[:-1]], ends, strict=True)]
    learned = [Learned(design.year), *(Learned(part, _WIDEST) for part in parts)]
    dispersion = 1.0
    for _ in range(_ROUNDS):
        visits, exposure = seen.visits / dispersion, seen.customers / dispersion
        found = poisson_map(columns, design.cycle.start, visits, exposure, learned)
        rate = seen.customers * np.exp(columns @ found.mean) * (seen.visits.sum() / seen.customers.sum())
        dispersion = _dispersion(seen, rate, columns.shape[1])
    back = begin + np.argsort(order)
    return Weights(found.mean[back], found.covariance[np.ix_(back, back)])


def _dispersion(seen: DayCounts, expected: FloatArray, n_weights: int) -> float:
    """Return how many times the variance of a Poisson's days, or weeks, have: at least 1."""
    weeks = (seen.days - seen.days[0]) // _WEEK
    left = max(1.0 - n_weights / len(seen.days), 0.5)  # of the days, those that no weight has its say in
    found = 1.0
    for place in (np.arange(len(weeks)), weeks):
        came, due = np.bincount(place, seen.visits), np.bincount(place, expected)
        some = due > 0
        found = max(found, float(((came - due)[some] ** 2 / due[some]).mean() / left))
    return found


def _before(values: FloatArray, begin: int, end: int) -> FloatArray:
    """Return the sums over the days before each, those that lie between two distances."""
    total = np.cumsum(np.pad(values, ((end + 1, 0), (0, 0))), axis=0)
    n = len(values)
    sums: FloatArray = total[end - begin : end - begin + n] - total[:n]
    return sums


def code_names(columns: Covariates) -> list[str]:
    """Return of which column each code is."""
    names = columns.names
    return [name for name in names for _ in range(len(columns.categories.get(name, ("",))))]


def _as_numbers(columns: Covariates) -> FloatArray:
    """Return columns of numbers as they are, and one of zeros and ones for each word."""
    coded = []
    for k, name in enumerate(columns.names):
        column = columns.values[:, k, None]
        if name in columns.categories:
            words = np.arange(len(columns.categories[name]))
            column = np.where(np.isnan(column), np.nan, column == words)
        coded.append(column)
    return np.concatenate(coded, axis=1)
