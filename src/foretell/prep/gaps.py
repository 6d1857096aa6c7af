"""Gaps between visits, and the windows of them that a network learns from."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core import IntArray
from foretell.core.constraints import Whole, check
from foretell.data.times import TimeReader
from foretell.errors import DataError, ParameterError


def day_gaps(times: Any) -> IntArray:
    """Return the days between the successive visits of one customer.

    Days are those of the calendar: two visits on the same day are 0 apart, one before and one after midnight
    are 1 apart.

    Parameters
    ----------
    times : sequence of str, date, datetime or numpy datetime, shape (n_visits,)
        In order of time; text in any format that `foretell.read_events` reads.

    Returns
    -------
    int64 array, shape (n_visits - 1,)

    Raises
    ------
    DataError
        A time cannot be read, or the times are not in order.

    Examples
    --------
    >>> import foretell as ft
    >>> ft.prep.day_gaps(["2015-05-15 14:03:51", "2015-05-15 15:32:46", "2015-06-28 18:00:17"])
    array([ 0, 44])
    """
    if isinstance(times, np.ndarray) and times.dtype.kind == "M":
        times = times.astype("datetime64[us]")
    given = pl.Series("times", times)
    if len(given) == 0:
        return np.zeros(0, dtype=np.int64)
    read = TimeReader("times").read(given)
    if read.null_count():
        rows = read.is_null().arg_true().to_list()
        raise DataError(
            f"{len(rows)} of the {len(given)} times cannot be read, such as {given[rows[0]]!r} at place "
            f"{rows[0]}; leave them out, or write them as the others"
        )
    days = read.dt.date().cast(pl.Int32).to_numpy().astype(np.int64)
    gaps = np.diff(days)
    back = np.flatnonzero(gaps < 0)
    if len(back):
        place = int(back[0])
        raise DataError(
            f"the times are not in order: {given[place + 1]} at place {place + 1} comes before "
            f"{given[place]}; sort them, or read logs of many customers by foretell.read_events"
        )
    return gaps


class Windowed(NamedTuple):
    """Windows and what follows them.

    Attributes
    ----------
    inputs : array, shape (n_windows, length, ...)
        Values in order of time; the further axes are those of the values.
    targets : array, shape (n_windows, ahead, ...)
        The values that follow.
    customers : array, shape (n_windows,)
        Whose each window is; all 0 where no customers were given.
    """

    inputs: npt.NDArray[Any]
    targets: npt.NDArray[Any]
    customers: npt.NDArray[Any]


def make_windows(
    values: npt.ArrayLike, length: int, *, ahead: int = 1, customers: npt.ArrayLike | None = None
) -> Windowed:
    """Cut a series into windows of some length with the values that follow each.

    Successive windows overlap: each starts one value later.

    Parameters
    ----------
    values : array-like, shape (n,) or (n, n_variables)
        In order of time. Any type: windows of dates say when each value was.
    length : int
        Values in a window.
    ahead : int
        Values that follow: 1 for the next one, more for several steps.
    customers : array-like, shape (n,), optional
        Whose each value is; rows of one customer lie together. No window reaches from one to another.

    Returns
    -------
    Windowed
        ``inputs``, ``targets``, ``customers``. Those with fewer than length + ahead values give no window.

    Examples
    --------
    >>> import foretell as ft
    >>> inputs, targets, _ = ft.prep.make_windows([0, 44, 18, 0, 54], 3)
    >>> inputs
    array([[ 0, 44, 18],
           [44, 18,  0]])
    >>> targets
    array([[ 0],
           [54]])
    """
    array = np.asarray(values)
    for name, value in (("length", length), ("ahead", ahead)):
        check(name, value, Whole())
    if array.ndim < 1:
        raise ParameterError(f"values is the single number {values!r}; expected a series of them")
    whose = np.zeros(len(array), dtype=np.int64) if customers is None else np.asarray(customers)
    if whose.shape != (len(array),):
        raise ParameterError(
            f"customers is of shape {whose.shape} beside {len(array)} values; expected one for each value"
        )
    begins = np.ones(len(array), dtype=bool)
    begins[1:] = whose[1:] != whose[:-1]
    firsts = np.flatnonzero(begins)
    if len(np.unique(whose[firsts])) < len(firsts):
        raise ParameterError(
            "the rows of some customers are torn apart by others'; sort values and customers by customer, "
            "then by time"
        )
    run = np.diff(np.append(firsts, len(array)))
    counts = np.maximum(run - (length + ahead) + 1, 0)
    skipped = np.cumsum(counts) - counts
    starts = np.arange(counts.sum()) - np.repeat(skipped - firsts, counts)
    rows = starts[:, None] + np.arange(length + ahead)
    cut = array[rows]
    return Windowed(cut[:, :length], cut[:, length:], whose[starts])
