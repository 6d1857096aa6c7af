"""What a model of events says about a held-back period: the common ground on which models are compared."""

from __future__ import annotations

import dataclasses
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from foretell.data.log import EventLog

FloatArray = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Outlook:
    """Answers for the ticks as_of + 1 … as_of + horizon, one row per customer of the log, in its order.

    What a model cannot know is None; the leaderboard then leaves the figure empty.

    Attributes
    ----------
    expected : array, shape (n_customers,)
        Expected number of events over the whole horizon.
    cohort : array, shape (n_periods,)
        Expected events of all customers together in each period (a week; the last one may be shorter).
    p_return : array, shape (n_customers,), or None
        Probability of at least one event within ``window`` ticks.
    p_active : array, shape (n_customers,), or None
        Score of still being active at the as-of date.
    interval : array, shape (n_customers, 2), or None
        First and last tick, both inclusive, between which the next event falls with probability 0.8,
        given that it falls within the horizon.
    """

    expected: FloatArray
    cohort: FloatArray
    p_return: FloatArray | None = None
    p_active: FloatArray | None = None
    interval: npt.NDArray[np.int64] | None = None


class EventModel(Protocol):
    """What the leaderboard asks of a model: a fit to a log, and an outlook from its end."""

    @property
    def name(self) -> str:
        """The model's name in tables."""

    def fit(self, log: EventLog) -> Self:
        """Fit to a log that ends at its as-of date."""

    def outlook(self, log: EventLog, horizon: int, *, period: int, window: int) -> Outlook:
        """Look ``horizon`` ticks ahead from the end of ``log``, by periods of ``period`` ticks."""
