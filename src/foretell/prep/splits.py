"""Training and test windows: at random, or by time."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from foretell.core import BoolArray, IntArray
from foretell.core.constraints import Number, check
from foretell.errors import LeakageWarning, ParameterError


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
        warnings.warn(
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


def split_by_time(times: npt.ArrayLike, *, cutoff: Any = None, share: float = 0.2) -> Split:
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


def _moments(values: Any, name: str, kind: np.dtype[Any] | None = None) -> npt.NDArray[Any]:
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
