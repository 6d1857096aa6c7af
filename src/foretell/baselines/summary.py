"""Repeats, recency and age: all that the (B)TYD family reads of a customer's history."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from foretell.data.log import EventLog

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Summary(NamedTuple):
    """The sufficient statistics of customers' histories.

    Attributes
    ----------
    repeats : array, shape (n,)
        Events after the first one (x).
    recency : array, shape (n,)
        Time from the first to the last event (t_x), 0 for one-time customers.
    age : array, shape (n,)
        Time from the first event to the as-of date (T).
    """

    repeats: FloatArray
    recency: FloatArray
    age: FloatArray


def summarise(log: EventLog) -> Summary:
    """Return repeats, recency and age (in ticks) of every customer of a log, in its order."""
    return Summary(
        (log.counts - 1).astype(np.float64),
        (log.last - log.first).astype(np.float64),
        (log.as_of - log.first).astype(np.float64),
    )


def distinct(*columns: FloatArray) -> tuple[list[FloatArray], IntArray]:
    """Return the distinct rows of some columns, and for each row given its position among them.

    Customers with the same statistics have the same likelihood and the same forecast: most one-time
    customers share theirs with many others.
    """
    rows, inverse = np.unique(np.column_stack(columns), axis=0, return_inverse=True)
    return list(rows.T), inverse.reshape(-1)
