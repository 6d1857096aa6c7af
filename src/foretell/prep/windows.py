"""Gaps between visits, the windows of them that a network learns from, and their split for a test."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core import BoolArray, FloatArray, IntArray
from foretell.core.constraints import Number, Whole, check
from foretell.core.journal import warn
from foretell.data.times import TimeReader
from foretell.errors import DataError, LeakageWarning, ParameterError


def day_gaps(times: Iterable[object]) -> IntArray:
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

    inputs: npt.NDArray[np.generic]
    targets: npt.NDArray[np.generic]
    customers: npt.NDArray[np.generic]


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


class Split(NamedTuple):
    """Rows of windows, ascending; each window is in one of the three.

    Attributes
    ----------
    train, test : int64 array
    left_out : int64 array
        Windows of several steps ahead that reach over the cut-off.
    """

    train: IntArray
    test: IntArray
    left_out: IntArray


def split_random(customers: npt.ArrayLike, *, share: float = 0.2, seed: int = 0) -> Split:
    """Split windows at random, four to one.

    Overlapping windows of one customer share values. So where there are several customers, whole customers
    are drawn: all windows of one go to the same side. Windows of a single customer are drawn one by one, with
    a warning, since a network is then tested on values that it was trained on.

    Parameters
    ----------
    customers : array-like, shape (n_windows,)
        Whose each window is, as `foretell.prep.make_windows` gives it.
    share : float
        Part of the customers (of the windows, where there is one customer) to test on; at least one.
    seed : int

    Returns
    -------
    Split
        ``train``, ``test``; nothing is left out.

    Warns
    -----
    LeakageWarning
        All windows are of one customer.

    Examples
    --------
    >>> import foretell as ft
    >>> train, test, _ = ft.prep.split_random(["a", "a", "b", "b", "b", "c", "d", "e"])
    >>> len(train), len(test)
    (7, 1)
    """
    whose = np.asarray(customers)
    names, member = np.unique(whose, return_inverse=True)
    _check(share, len(whose), "windows")
    rng = np.random.default_rng(seed)
    if len(names) == 1:
        warn(
            f"all {len(whose)} windows are of one customer: overlapping windows share values, so that the "
            "test shows numbers which the network was trained on; split_by_time does not",
            LeakageWarning,
            stacklevel=2,
        )
        member = np.arange(len(whose))
    units = int(member.max()) + 1
    tested = np.zeros(units, dtype=bool)
    tested[rng.permutation(units)[: min(max(round(share * units), 1), units - 1)]] = True
    return _sides(tested[member], ~tested[member])


def split_by_time(times: npt.ArrayLike, *, cutoff: object = None, share: float = 0.2) -> Split:
    """Split windows by when their targets fall: what comes after the cut-off is for the test.

    Parameters
    ----------
    times : array-like, shape (n_windows,) or (n_windows, ahead)
        When each target fell: dates or numbers, such as the targets of windows of dates. A window trains if
        all of its targets fall on or before the cut-off, and tests if all fall after it.
    cutoff : date, str or number, optional
        Last time to train on, inclusive; by default the one that leaves about ``share`` of the windows after
        it.
    share : float

    Returns
    -------
    Split
        ``train``, ``test``, ``left_out``: windows of several steps that reach over the cut-off.

    Raises
    ------
    ParameterError
        One of the sides is empty.

    Examples
    --------
    >>> import numpy as np
    >>> import foretell as ft
    >>> days = np.arange("2024-01-01", "2024-01-11", dtype="datetime64[D]")
    >>> ft.prep.split_by_time(days, cutoff="2024-01-07").test
    array([7, 8, 9])
    """
    array = _moments(times, "times")
    array = array[:, None] if array.ndim == 1 else array.reshape(len(array), -1)
    first, last = array.min(axis=1), array.max(axis=1)
    _check(share, len(array), "windows")
    if cutoff is None:
        limit = np.sort(last)[min(max(len(last) - 1 - round(share * len(last)), 0), len(last) - 1)]
    else:
        limit = _moments(cutoff, "cutoff", array.dtype)[()]
    train, test = last <= limit, first > limit
    if not train.any() or not test.any():
        raise ParameterError(
            f"cutoff={limit} leaves {int(train.sum())} windows to train on and {int(test.sum())} to test on: "
            f"their targets fall from {first.min()} to {last.max()}; choose a cut-off between"
        )
    return _sides(test, train)


def _moments(values: object, name: str, kind: np.dtype[Any] | None = None) -> npt.NDArray[np.generic]:
    """Return times as numbers or numpy dates, of a kind where one is given."""
    try:
        array = np.asarray(values, dtype=kind)
        return array.astype("datetime64[us]") if array.dtype.kind in "OU" else array
    except (TypeError, ValueError) as error:
        expected = f"{kind}, as the times are" if kind else "numbers, dates, or ISO texts"
        raise ParameterError(f"{name}={values!r} cannot be read: {error}; expected {expected}") from error


def _check(share: float, n: int, what: str) -> None:
    check("share", share, Number(0.0, 1.0, "()"))
    if n < 2:
        raise ParameterError(f"there are {n} {what}; expected at least two to split")


def _sides(test: BoolArray, train: BoolArray) -> Split:
    return Split(np.flatnonzero(train), np.flatnonzero(test), np.flatnonzero(~(test | train)))


class WithoutOutliers(NamedTuple):
    """Values without their outliers.

    Attributes
    ----------
    values : array, shape (n_kept,)
        Those that are left, in their order.
    kept : bool array, shape (n,)
        Which are left: to take the same rows of other arrays.
    n_removed : int
    low, high : float
        Bounds, inclusive, to apply to new values too.
    """

    values: FloatArray
    kept: BoolArray
    n_removed: int
    low: float
    high: float


def remove_outliers(values: npt.ArrayLike, factor: float = 1.5) -> WithoutOutliers:
    """Remove values further than 1.5 interquartile ranges below the first or above the third quartile.

    Gaps between visits are skewed: among them the rule removes long ones only, of customers who really came
    so seldom. Look at ``n_removed`` before you do without them.

    Parameters
    ----------
    values : array-like, shape (n,)
        NaN is kept out of the quartiles and removed.
    factor : float
        Interquartile ranges.

    Returns
    -------
    WithoutOutliers
        ``values``, ``kept``, ``n_removed``, ``low``, ``high``.

    References
    ----------
    Tukey (1977), "Exploratory Data Analysis".

    Examples
    --------
    >>> import foretell as ft
    >>> cleaned = ft.prep.remove_outliers([7, 6, 8, 7, 95, 7, 9])
    >>> cleaned.values, cleaned.n_removed
    (array([7., 6., 8., 7., 7., 9.]), 1)
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or np.isnan(array).all():
        raise ParameterError(
            f"values is of shape {array.shape} with {int((~np.isnan(array)).sum())} numbers; expected one "
            "axis with at least one number"
        )
    check("factor", factor, Number(0.0))
    first, third = np.nanquantile(array, [0.25, 0.75])
    low, high = first - factor * (third - first), third + factor * (third - first)
    kept = (array >= low) & (array <= high)
    return WithoutOutliers(array[kept], kept, int((~kept).sum()), float(low), float(high))
