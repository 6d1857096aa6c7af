"""Rules of thumb of visits and of series, and statsforecast's models."""

from __future__ import annotations

import importlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy.special import ndtri

from foretell.baselines.statistic import EventStatistic, Histories, SeriesStatistic, summarise
from foretell.core import FloatArray
from foretell.core.constraints import Constraint, Maybe, Steps, Whole
from foretell.core.contracts import Outlook
from foretell.core.time import period_edges
from foretell.data.log import EventLog
from foretell.data.panel import Panel
from foretell.data.periodicity import find_season
from foretell.errors import DataError, MissingDependencyError


class Seasonal(SeriesStatistic):
    """A statistic that knows a season, by default that of the panel it is fitted to."""

    _constraints: ClassVar[Mapping[str, Constraint]] = {
        "horizon": Steps(),
        "season": Maybe(Whole(1, of="steps")),
    }

    def __init__(self, season: int | None = None, *, horizon: int = 1) -> None:
        super().__init__(horizon)
        self.season = season

    def _learn(self, panel: Panel) -> None:
        self.season_ = find_season(panel) if self.season is None else int(self.season)


class Line(NamedTuple):
    """Forecast of one series: mean and standard deviation by step, shape (h, n_targets)."""

    mean: FloatArray
    deviation: FloatArray


class Rule(SeriesStatistic):
    """What the rules share: normal quantiles about their forecast (Hyndman & Athanasopoulos, fpp3, 5.5).

    Parameters
    ----------
    horizon : int
        Steps ahead that `predict` forecasts by default.
    """

    def _quantiles(self, panel: Panel, h: int, quantiles: Sequence[float]) -> FloatArray:
        bounds = zip(panel.offsets[:-1], panel.offsets[1:], strict=True)
        lines = [self._line(panel.values[a:b], h) for a, b in bounds]
        mean, deviation = (np.stack(part)[..., None] for part in zip(*lines, strict=True))
        values: FloatArray = mean + np.nan_to_num(deviation) * ndtri(np.asarray(quantiles))
        return values

    @abstractmethod
    def _line(self, values: FloatArray, h: int) -> Line:
        """Return the forecast of one series, from its values, shape (n_steps, n_targets)."""


class Naive(Rule):
    """The last observed value, for every step ahead.

    Examples
    --------
    >>> panel = Panel.from_arrays({"a": [1.0, 2.0, 4.0]})
    >>> Naive().fit(panel).predict(horizon=2)["naive"].to_list()
    [4.0, 4.0]
    """

    name: ClassVar[str] = "naive"

    def _line(self, values: FloatArray, h: int) -> Line:
        growth = np.sqrt(np.arange(1, h + 1))[:, None]
        return Line(np.repeat(_last(values), h, axis=0), _spread(values[1:] - values[:-1]) * growth)


class SeasonalNaive(Rule, Seasonal):
    """The last observed value at the same place in the season.

    Parameters
    ----------
    season : int, optional
        Steps; by default found in the panel it is fitted to.
    horizon : int
        Steps ahead that `predict` forecasts by default.

    Examples
    --------
    >>> panel = Panel.from_arrays({"a": [1.0, 2.0, 1.0, 2.0, 1.0]})
    >>> SeasonalNaive(season=2).fit(panel).predict(horizon=2)["seasonal naive"].to_list()
    [2.0, 1.0]
    """

    name: ClassVar[str] = "seasonal naive"

    def _line(self, values: FloatArray, h: int) -> Line:
        season, n = self.season_, len(values)
        cycles = -(-n // season)
        padded = np.full((cycles * season, values.shape[1]), np.nan)
        padded[cycles * season - n :] = values
        folded = padded.reshape(cycles, season, -1)
        last = _last(values)
        anchor = np.broadcast_to(last, folded.shape[1:])
        for cycle in folded:
            anchor = np.where(np.isnan(cycle), anchor, cycle)
        seen = ~np.isnan(folded).all(axis=0)
        anchor = np.where(seen, anchor, last)
        steps = np.arange(h)
        deviation = (
            _spread(values[season:] - values[:-season]) if n > season else _spread(np.diff(values, axis=0))
        )
        return Line(anchor[steps % season], deviation * np.sqrt(steps // season + 1.0)[:, None])


class Drift(Rule):
    """The straight line through the first and the last observed value.

    Examples
    --------
    >>> Drift(horizon=2).fit(Panel.from_arrays([[1.0, 2.0, 3.0]])).predict()["drift"].to_list()
    [4.0, 5.0]
    """

    name: ClassVar[str] = "drift"

    def _line(self, values: FloatArray, h: int) -> Line:
        known = ~np.isnan(values)
        place = np.arange(len(values))[:, None]
        first = np.where(known, place, len(values)).min(axis=0)
        last = np.where(known, place, -1).max(axis=0)
        length = np.maximum(last - first, 1)
        columns = np.arange(values.shape[1])
        begin = values[np.minimum(first, len(values) - 1), columns]
        slope = np.where(last > first, (values[last, columns] - begin) / length, 0.0)
        steps = np.arange(1, h + 1)[:, None] + (len(values) - 1 - last)
        growth = np.sqrt(steps * (1.0 + steps / length))
        return Line(_last(values) + slope * steps, _spread(values[1:] - values[:-1] - slope) * growth)


def _last(values: FloatArray) -> FloatArray:
    """Return the last observed value, shape (1, n_targets)."""
    known = ~np.isnan(values)
    place = np.where(known, np.arange(len(values))[:, None], 0).max(axis=0)
    last: FloatArray = values[place, np.arange(values.shape[1])]
    return last[None]


def _spread(errors: FloatArray) -> FloatArray:
    """Return the root of the mean squared error, shape (1, n_targets); NaN without any."""
    known = ~np.isnan(errors)
    count = known.sum(axis=0)
    total = np.where(known, errors, 0.0) ** 2
    spread: FloatArray = np.where(count > 0, np.sqrt(total.sum(axis=0) / np.maximum(count, 1)), np.nan)
    return spread[None]


class _Automatic(Seasonal):
    """A statsforecast model of each target of each series, which it fits whenever it forecasts."""

    def _learn(self, panel: Panel) -> None:
        super()._learn(panel)
        self._model()

    def _quantiles(self, panel: Panel, h: int, quantiles: Sequence[float]) -> FloatArray:
        n_missing = int(np.isnan(panel.values).sum())
        if n_missing:
            raise DataError(
                f"{self.name} knows no missing values, and the panel has {n_missing:,}; "
                "fill them, or leave this model out"
            )
        levels = sorted({_level(q) for q in quantiles} - {0.0})
        out = np.zeros((panel.n_series, h, len(panel.targets), len(quantiles)))
        for i, (a, b) in enumerate(zip(panel.offsets[:-1], panel.offsets[1:], strict=True)):
            for k in range(len(panel.targets)):
                try:
                    forecast = self._model().forecast(y=panel.values[a:b, k], h=h, level=levels)
                except (ArithmeticError, LookupError, NotImplementedError, TypeError, ValueError) as error:
                    raise DataError(
                        f"{self.name} cannot be fitted to the {b - a} values of {panel.ids[i]!r}: {error}; "
                        "read longer series, or leave this model out"
                    ) from error
                for j, q in enumerate(quantiles):
                    out[i, :, k, j] = _quantile(forecast, q)
        return np.sort(out, axis=-1)

    def _model(self) -> Any:
        try:
            models = importlib.import_module("statsforecast.models")
        except ImportError as error:
            raise MissingDependencyError(
                f"{self.name} needs statsforecast; install it with: pip install 'foretell[benchmark]'"
            ) from error
        return getattr(models, self.name)(season_length=self.season_)


def _level(q: float) -> float:
    """Return the central interval, in percent, that ends at a quantile."""
    return round(abs(200 * q - 100), 6)


def _quantile(forecast: Mapping[str, FloatArray], q: float) -> FloatArray:
    """Return a quantile from the mean and the central intervals."""
    level = _level(q)
    return forecast["mean"] if level == 0.0 else forecast[f"{'lo' if q < 0.5 else 'hi'}-{level}"]


class AutoETS(_Automatic):
    """Exponential smoothing, its form chosen by AICc; ``season`` and ``horizon`` as for `SeasonalNaive`."""

    name: ClassVar[str] = "AutoETS"


class AutoARIMA(_Automatic):
    """Seasonal ARIMA, its orders chosen by AICc; ``season`` and ``horizon`` as for `SeasonalNaive`."""

    name: ClassVar[str] = "AutoARIMA"


class AutoTheta(_Automatic):
    """The best of the theta methods; ``season`` and ``horizon`` as for `SeasonalNaive`."""

    name: ClassVar[str] = "AutoTheta"


class RepeatRate(EventStatistic):
    """Everyone goes on at the rate seen so far: repeats / age × horizon.

    Nobody ever leaves by this rule, so it has no opinion on who is active; nor on when the next event comes:
    of the columns of `predict` it fills ``expected_events_…`` alone. A customer whose first event is on the
    as-of date has no rate yet: 0.
    """

    name: ClassVar[str] = "repeat rate"

    def outlook(self, log: EventLog, horizon: int, *, period: int, window: int) -> Outlook:
        """Look ahead from the end of a log; see `Outlook`."""
        del window
        expected = self._expected(self._histories(log), np.array([1.0, horizon]))
        lengths = np.diff(period_edges(horizon, period), prepend=0)
        return Outlook(expected=expected[:, 1], cohort=expected[:, 0].sum() * lengths)

    def _learn(self, log: EventLog) -> None:
        """Learn nothing: the rule has no parameters."""

    def _expected(self, histories: Histories, ticks: FloatArray) -> FloatArray:
        rate: FloatArray = histories.summary.repeats / np.maximum(histories.summary.age, 1.0)
        return rate[:, None] * ticks


class GapParams(NamedTuple):
    """What the gap rules learn.

    Attributes
    ----------
    gap : float
        The population's gap, in ticks; infinite where nobody has come twice.
    """

    gap: float


class _UsualGap(EventStatistic):
    """The next event comes one usual gap after the last, and so on.

    See `MeanGap` for the rule in full.
    """

    _params = GapParams

    params_: GapParams

    @staticmethod
    @abstractmethod
    def _usual_gaps(log: EventLog) -> FloatArray:
        """Return each customer's usual gap; NaN for one-time customers."""

    @staticmethod
    @abstractmethod
    def _middle(gaps: FloatArray) -> float:
        """Return the usual gap of a population."""

    def outlook(self, log: EventLog, horizon: int, *, period: int, window: int) -> Outlook:
        """Look ahead from the end of a log; see `Outlook`."""
        del window
        self._check_fitted("params_")
        histories = self._histories(log)
        cumulative = self._expected(histories, period_edges(horizon, period).astype(np.float64))
        _, silence, usual = self._due(histories)
        return Outlook(
            expected=cumulative[:, -1],
            cohort=np.diff(cumulative.sum(axis=0), prepend=0.0),
            p_active=np.exp(-silence / usual),
        )

    def _learn(self, log: EventLog) -> None:
        gaps = log.gaps().lengths.astype(np.float64)
        self.params_ = GapParams(max(self._middle(gaps), 1.0) if len(gaps) else float("inf"))

    def _histories(self, log: EventLog) -> Histories:
        return Histories(summarise(log), self._usual_gaps(log), np.ones(log.n_customers))

    def _due(self, histories: Histories) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return how far ahead the next event is due, the silence so far, and the usual gap."""
        silence = histories.summary.age - histories.summary.recency
        own = histories.usual_gap
        usual = np.where(np.isnan(own), self.params_.gap, np.maximum(own, 1.0))
        # Where nobody has come twice the usual gap is infinite: nothing ever falls due.
        return np.where(silence >= usual, silence, usual - silence), silence, usual

    def _expected(self, histories: Histories, ticks: FloatArray) -> FloatArray:
        due, silence, usual = self._due(histories)
        gap = np.maximum(usual, silence)[:, None]
        # Before it is due there is nothing to divide by the gap, which may be infinite.
        after = ticks - due[:, None]
        gaps = np.divide(after, gap, out=np.full(after.shape, -1.0), where=np.isfinite(gap))
        counts: FloatArray = np.maximum(np.floor(gaps) + 1.0, 0.0)
        return counts

    def _next_event(self, histories: Histories, levels: FloatArray) -> FloatArray:
        due = self._due(histories)[0]
        date = np.where(np.isfinite(due), due, np.nan)
        return np.where(levels[:, None] == 0.5, date, np.nan)  # the rule knows no others


class MeanGap(_UsualGap):
    """The next event comes the customer's own mean gap after the last, and so on.

    One-time customers get the mean of all gaps. The silence of a customer who is overdue takes the place of
    the gap: the gap in progress is at least that long. So the customer is expected when the silence has
    doubled, and goes on at that pace: the rule knows no leaving. (Taking the overdue for due today, and
    then at their old pace, forecasts ten times too many visits on CDNOW.) Gaps are at least one tick.

    The rule gives dates, no probabilities: of the columns of `predict` it fills ``next_event`` and
    ``expected_events_…``. (On the leaderboard its score of being active is exp(−silence / usual gap), which
    sorts customers and is no probability.) Where nobody has come twice, there is no date either.

    Attributes
    ----------
    params_ : GapParams
    """

    name: ClassVar[str] = "mean gap"

    @staticmethod
    def _usual_gaps(log: EventLog) -> FloatArray:
        history = summarise(log)
        own = np.full(log.n_customers, np.nan)
        np.divide(history.recency, history.repeats, out=own, where=history.repeats > 0)
        return own

    @staticmethod
    def _middle(gaps: FloatArray) -> float:
        return float(np.mean(gaps))


class MedianGap(_UsualGap):
    """The next event comes the customer's own median gap after the last, and so on; else as `MeanGap`.

    Attributes
    ----------
    params_ : GapParams
    """

    name: ClassVar[str] = "median gap"

    @staticmethod
    def _usual_gaps(log: EventLog) -> FloatArray:
        gaps, owner, _ = log.gaps()
        ordered = gaps[np.lexsort((gaps, owner))].astype(np.float64)
        count = log.counts - 1
        start = np.cumsum(count) - count
        own = np.full(log.n_customers, np.nan)
        some = count > 0
        low, high = start[some] + (count[some] - 1) // 2, start[some] + count[some] // 2
        own[some] = (ordered[low] + ordered[high]) / 2
        return own

    @staticmethod
    def _middle(gaps: FloatArray) -> float:
        return float(np.median(gaps))
