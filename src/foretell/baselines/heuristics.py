"""Rules of thumb: what an analyst would do with a spreadsheet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from foretell.baselines.summary import summarise
from foretell.core.outlook import Outlook, period_edges
from foretell.data.log import EventLog
from foretell.errors import NotFittedError

FloatArray = npt.NDArray[np.float64]


class RepeatRate:
    """Everyone goes on at the rate seen so far: repeats / age × horizon.

    Nobody ever leaves by this rule, so it has no opinion on who is active; nor on when the next event comes.
    A customer whose first event is on the as-of date has no rate yet: 0.

    Examples
    --------
    >>> RepeatRate().name
    'repeat rate'
    """

    name: ClassVar[str] = "repeat rate"

    def __repr__(self) -> str:
        return "RepeatRate()"

    def fit(self, log: EventLog) -> Self:
        """Learn nothing: the rule has no parameters."""
        del log
        return self

    def outlook(self, log: EventLog, horizon: int, *, period: int, window: int) -> Outlook:
        """Look ahead from the end of a log; see `Outlook`."""
        del window
        history = summarise(log)
        rate = history.repeats / np.maximum(history.age, 1.0)
        lengths = np.diff(period_edges(horizon, period), prepend=0)
        return Outlook(expected=rate * horizon, cohort=rate.sum() * lengths)


class GapParams(NamedTuple):
    """What the gap rules learn.

    Attributes
    ----------
    gap : float
        The population's gap, in ticks; infinite where nobody has come twice.
    """

    gap: float


class _OwnGap(ABC):
    """The next event comes one usual gap after the last, and so on.

    See `MeanGap` for the rule in full.
    """

    name: ClassVar[str]
    params_: GapParams

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @staticmethod
    @abstractmethod
    def _own_gaps(log: EventLog) -> FloatArray:
        """Return each customer's usual gap; NaN for one-time customers."""

    @staticmethod
    @abstractmethod
    def _middle(gaps: FloatArray) -> float:
        """Return the usual gap of a population."""

    def fit(self, log: EventLog) -> Self:
        """Learn the population's gap."""
        gaps = log.gaps().lengths.astype(np.float64)
        self.params_ = GapParams(max(self._middle(gaps), 1.0) if len(gaps) else float("inf"))
        return self

    def outlook(self, log: EventLog, horizon: int, *, period: int, window: int) -> Outlook:
        """Look ahead from the end of a log; see `Outlook`."""
        del window
        if not hasattr(self, "params_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted: call fit(log) first")
        own = self._own_gaps(log)
        usual = np.where(np.isnan(own), self.params_.gap, np.maximum(own, 1.0))
        silence = (log.as_of - log.last).astype(np.float64)
        overdue = silence >= usual
        # Where nobody has come twice the usual gap is infinite: nothing falls due within the horizon.
        gap = np.minimum(np.where(overdue, silence, usual), 2.0 * (horizon + silence + 1.0))
        due = np.where(overdue, gap, gap - silence)
        edges = period_edges(horizon, period)
        cumulative = np.maximum(np.floor((edges - due[:, None]) / gap[:, None]) + 1, 0.0)
        return Outlook(
            expected=cumulative[:, -1],
            cohort=np.diff(cumulative.sum(axis=0), prepend=0.0),
            p_active=np.exp(-silence / usual),
        )


class MeanGap(_OwnGap):
    """The next event comes the customer's own mean gap after the last, and so on.

    One-time customers get the mean of all gaps. The silence of a customer who is overdue takes the place of
    the gap: the gap in progress is at least that long. So the customer is expected when the silence has
    doubled, and goes on at that pace: the rule knows no leaving. (Taking the overdue for due today, and
    then at their old pace, forecasts ten times too many visits on CDNOW.) Gaps are at least one tick. The
    rule gives dates, no probabilities; its score of being active is exp(−silence / usual gap).

    Attributes
    ----------
    params_ : GapParams

    Examples
    --------
    >>> MeanGap().name
    'mean gap'
    """

    name: ClassVar[str] = "mean gap"

    @staticmethod
    def _own_gaps(log: EventLog) -> FloatArray:
        history = summarise(log)
        own = np.full(log.n_customers, np.nan)
        np.divide(history.recency, history.repeats, out=own, where=history.repeats > 0)
        return own

    @staticmethod
    def _middle(gaps: FloatArray) -> float:
        return float(np.mean(gaps))


class MedianGap(_OwnGap):
    """The next event comes the customer's own median gap after the last, and so on; else as `MeanGap`.

    Attributes
    ----------
    params_ : GapParams

    Examples
    --------
    >>> MedianGap().name
    'median gap'
    """

    name: ClassVar[str] = "median gap"

    @staticmethod
    def _own_gaps(log: EventLog) -> FloatArray:
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
