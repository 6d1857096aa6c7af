"""Where data are cut, and what really happened after a cut-off to customers who were known by then."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from foretell.core import BoolArray, IntArray
from foretell.core.constraints import Whole, check
from foretell.core.time import period_edges
from foretell.data.log import EventLog
from foretell.errors import ParameterError

_NEVER = np.iinfo(np.int64).max


@dataclasses.dataclass(frozen=True, eq=False)
class Holdout:
    """The ticks cutoff + 1 … end, held back from the models.

    Attributes
    ----------
    train : EventLog
        The log as it stood at the end of the cut-off tick.
    cutoff, end : int
        Last tick of the training period, last tick of the held-back one.
    count : array, shape (n_customers,)
        Events of each customer of ``train`` in the held-back period.
    cohort : array, shape (n_periods,)
        Their events together in each period.
    next_event : array, shape (n_customers,)
        Tick of the first event after the cut-off; where there is none by the end of the log, a tick that
        never comes.
    seen : int
        Last tick up to which next events are known.
    """

    train: EventLog
    cutoff: int
    end: int
    count: IntArray
    cohort: IntArray
    next_event: IntArray
    seen: int

    def returned_within(self, window: int) -> BoolArray | None:
        """Return who had an event within so many ticks; None where the log ends before."""
        if self.cutoff + window > self.seen:
            return None
        return self.next_event <= self.cutoff + window


def hold_out(log: EventLog, cutoff: int, horizon: int, period: int) -> Holdout:
    """Part a log at a cut-off tick; it has to reach from there to the end of the horizon."""
    end = cutoff + horizon
    if end > log.as_of:
        raise ParameterError(
            f"the log ends {log.date(log.as_of)}, but the cut-off {log.date(cutoff)} and the horizon of "
            f"{horizon} {log.unit}s ask for events up to {log.date(end)}: choose a cut-off not later than "
            f"{log.date(log.as_of - horizon)}, or a shorter horizon"
        )
    known = log.first <= cutoff
    after = log.times > cutoff
    held_back = after & (log.times <= end) & known[log.owner]
    first_after = np.full(log.n_customers, _NEVER, dtype=np.int64)
    np.minimum.at(first_after, log.owner[after], log.times[after])
    n_periods = len(period_edges(horizon, period))
    return Holdout(
        train=log.up_to(cutoff),
        cutoff=cutoff,
        end=end,
        count=np.bincount(log.owner[held_back], minlength=log.n_customers)[known],
        cohort=np.bincount((log.times[held_back] - cutoff - 1) // period, minlength=n_periods),
        next_event=first_after[known],
        seen=log.as_of,
    )


def origins_back(last: int, first: int, n_folds: int, step: int, unit: str) -> tuple[int, ...]:
    """Return ``n_folds`` origins, ``step`` apart, the last one at ``last``.

    Examples
    --------
    >>> origins_back(100, 0, 3, 10, "days")
    (80, 90, 100)
    """
    check("cutoffs", n_folds, Whole(1))
    check("step", step, Whole(1))
    if last - step * (n_folds - 1) < first:
        most = max((last - first) // step + 1, 0)
        raise ParameterError(
            f"{n_folds} folds, {step} {unit} apart, reach back before the data begin: {most} would fit; ask "
            "for fewer folds, a smaller step or a shorter horizon"
        )
    return tuple(last - step * back for back in range(n_folds - 1, -1, -1))


def ascending(origins: Sequence[int], shown: Sequence[object]) -> tuple[int, ...]:
    """Refuse cut-offs that do not go forward."""
    if not origins:
        raise ParameterError("cutoffs is empty; name at least one date, or how many folds there are to be")
    if list(origins) != sorted(set(origins)):
        raise ParameterError(
            f"cutoffs={list(shown)!r}; expected dates that go forward, each of them once: sort them"
        )
    return tuple(origins)
