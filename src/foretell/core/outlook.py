"""What a model of events says about a held-back period: the common ground on which models are compared."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
import numpy.typing as npt

from foretell.core import FloatArray, IntArray
from foretell.errors import ParameterError

if TYPE_CHECKING:  # the contract speaks of logs, and needs none
    from foretell.data.log import EventLog


@dataclasses.dataclass(frozen=True)
class Outlook:
    """Answers for the ticks as_of + 1 … as_of + horizon, one row per customer of the log, in its order.

    What a model cannot know is None; the leaderboard then leaves the figure empty.

    Attributes
    ----------
    expected : array, shape (n_customers,), or None
        Expected number of events over the whole horizon.
    cohort : array, shape (n_periods,), or None
        Expected events of all customers together in each period (a week; the last one may be shorter).
    p_return : array, shape (n_customers,), or None
        Probability of at least one event within ``window`` ticks.
    p_active : array, shape (n_customers,), or None
        Score of still being active at the as-of date.
    interval : array, shape (n_customers, 2), or None
        First and last tick, both inclusive, between which the next event falls with probability 0.8,
        given that it falls within the horizon.
    """

    expected: FloatArray | None = None
    cohort: FloatArray | None = None
    p_return: FloatArray | None = None
    p_active: FloatArray | None = None
    interval: IntArray | None = None

    @property
    def counts(self) -> FloatArray:
        """The expected numbers, of a model that tells them."""
        if self.expected is None:
            raise ParameterError("the model tells when the next event comes, not how many; take the mixture")
        return self.expected


class EventModel(Protocol):
    """What the leaderboard asks of a model: a fit to a log, and an outlook from its end."""

    @property
    def name(self) -> str:
        """The model's name in tables."""

    def fit(self, log: EventLog) -> Self:
        """Fit to a log that ends at its as-of date."""

    def outlook(self, log: EventLog, horizon: int, *, period: int, window: int) -> Outlook:
        """Look ``horizon`` ticks ahead from the end of ``log``, by periods of ``period`` ticks."""


def period_edges(horizon: int, period: int) -> IntArray:
    """Return the ends of the periods of a horizon, in ticks after the as-of date.

    Parameters
    ----------
    horizon, period : int
        Ticks, at least 1.

    Returns
    -------
    int64 array, shape (n_periods,)
        Period k covers the ticks ``edges[k - 1] + 1 … edges[k]``; the last one ends with the horizon.

    Examples
    --------
    >>> period_edges(30, 7)
    array([ 7, 14, 21, 28, 30])
    """
    return np.minimum(np.arange(period, horizon + period, period, dtype=np.int64), horizon)


def interval_ticks(lower: npt.ArrayLike, upper: npt.ArrayLike, as_of: int) -> IntArray:
    """Return the whole ticks that a continuous interval of the next event's time stands for.

    Time is measured from the end of the as-of tick, so that tick ``as_of + j`` covers (j − 1, j]. Both edges
    go to the nearest whole tick: widening them outwards instead would add about one tick to every interval
    and let short ones cover far more than they claim.

    Parameters
    ----------
    lower, upper : array-like, shape (n,)
        Edges in ticks after the as-of tick, ``0 <= lower <= upper``.
    as_of : int
        The last observed tick.

    Returns
    -------
    int64 array, shape (n, 2)
        First and last tick of the interval, both inclusive: at least one tick.

    Examples
    --------
    >>> interval_ticks([0.2, 3.6], [0.4, 9.5], as_of=100)
    array([[101, 101],
           [105, 110]])
    """
    first = np.rint(np.asarray(lower, dtype=np.float64)).astype(np.int64)
    last = np.rint(np.asarray(upper, dtype=np.float64)).astype(np.int64)
    return as_of + np.stack([first + 1, np.maximum(last, first + 1)], axis=-1)
