"""Rules of thumb: what an analyst would do with a spreadsheet."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np

from foretell.baselines.statistic import EventStatistic, Histories, summarise
from foretell.core import FloatArray
from foretell.core.contracts import Outlook
from foretell.core.time import period_edges
from foretell.data.log import EventLog


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
        return Histories(summarise(log), self._usual_gaps(log))

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
