"""Classes of gaps: which bin a value lies in, and which values (or dates) a class stands for."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from foretell.core import FloatArray, IntArray
from foretell.core.constraints import Whole, check
from foretell.core.time import to_moment
from foretell.errors import ParameterError


class Bins:
    """Intervals that follow each other, numbered from 0: the classes of a target.

    A bin holds its lower edge and not its upper one, but the last bin holds both. Outer edges may be
    infinite.

    Parameters
    ----------
    edges : array-like, shape (n_bins + 1,)
        Ascending.

    Examples
    --------
    >>> import foretell as ft
    >>> bins = ft.prep.Bins.equal_width(0, 100, 5)
    >>> bins
    Bins([0, 20), [20, 40), [40, 60), [60, 80), [80, 100])
    >>> bins.encode([0, 18, 54, 100])
    array([0, 0, 2, 4])
    >>> bins.decode([2])
    array([[40., 60.]])
    """

    def __init__(self, edges: npt.ArrayLike) -> None:
        try:
            array = np.asarray(edges, dtype=np.float64)
        except (TypeError, ValueError):  # what is no number is no edge
            array = np.zeros(0)
        if array.ndim != 1 or len(array) < 2 or not (np.diff(array) > 0).all():
            raise ParameterError(
                f"edges={edges!r}; expected at least two numbers, each greater than the one before, such as "
                "[0, 7, 14, 28, inf]"
            )
        self.edges: FloatArray = array

    @classmethod
    def equal_width(cls, low: float, high: float, n: int) -> Bins:
        """Return n bins of equal width between two edges."""
        check("n", n, Whole(of="bins"))
        if not (low < high and np.isfinite([low, high]).all()):
            raise ParameterError(f"low={low!r}, high={high!r}; expected two finite numbers, low < high")
        return cls(np.linspace(low, high, n + 1))

    @classmethod
    def quantiles(cls, values: npt.ArrayLike, n: int, *, low: float = 0.0, high: float = np.inf) -> Bins:
        """Return n bins that hold about equally many of some values.

        Parameters
        ----------
        values : array-like
            Training values, such as gaps. NaN is left out.
        n : int
        low, high : float
            Outer edges: beyond the training values, so that new ones find their bin, too.

        Raises
        ------
        ParameterError
            Many values are equal, so that edges fall together.

        Examples
        --------
        >>> import foretell as ft
        >>> ft.prep.Bins.quantiles([1, 2, 4, 7, 9, 30], 3)
        Bins([0, 3.33333), [3.33333, 7.66667), [7.66667, inf])
        """
        array = np.asarray(values, dtype=np.float64)
        array = array[~np.isnan(array)]
        check("n", n, Whole(of="bins"))
        if not len(array):
            raise ParameterError("values holds no number; expected at least one")
        inner = np.quantile(array, np.arange(1, n) / n)
        edges = np.concatenate([[low], inner, [high]])
        if not (np.diff(edges) > 0).all():
            common, times = np.unique(array, return_counts=True)
            most = f"{common[np.argmax(times)]:g} alone makes up {times.max() / len(array):.0%} of the values"
            raise ParameterError(
                f"{n} quantiles of the values, between {low:g} and {high:g}, are {inner.tolist()}: some fall "
                f"together or outside ({most}); ask for fewer bins, or give own edges by Bins([...])"
            )
        return cls(edges)

    def __len__(self) -> int:
        return len(self.edges) - 1

    def __repr__(self) -> str:
        shown = [f"[{low:g}, {high:g})" for low, high in zip(self.edges[:-1], self.edges[1:], strict=True)]
        return f"Bins({', '.join(shown)[:-1]}])"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bins) and np.array_equal(self.edges, other.edges)

    def __hash__(self) -> int:
        return hash(self.edges.tobytes())

    def encode(self, values: npt.ArrayLike) -> IntArray:
        """Return the number of each value's bin, from 0.

        Raises
        ------
        ParameterError
            A value lies in none of the bins.
        """
        array = np.asarray(values, dtype=np.float64)
        outside = ~((array >= self.edges[0]) & (array <= self.edges[-1]))
        if outside.any():
            raise ParameterError(
                f"{int(outside.sum())} of {array.size} values lie outside of the bins, which reach from "
                f"{self.edges[0]:g} to {self.edges[-1]:g}, such as {array[outside][0]:g}; take wider outer "
                "edges (inf is one), or np.clip the values first"
            )
        numbers = np.searchsorted(self.edges, array, side="right") - 1
        return np.minimum(numbers, len(self) - 1).astype(np.int64)

    def decode(self, classes: npt.ArrayLike) -> FloatArray:
        """Return lower and upper edge of classes, shape (..., 2)."""
        number = self._checked(classes)
        return np.stack([self.edges[number], self.edges[number + 1]], axis=-1)

    def decode_dates(self, classes: npt.ArrayLike, since: object) -> npt.NDArray[np.datetime64]:
        """Return the first and the last day that classes of day gaps stand for.

        Parameters
        ----------
        classes : array-like of int, shape (n,)
        since : date, datetime or str, or a sequence of them
            The day from which the gap counts, the last visit: one for all, or one for each.

        Returns
        -------
        datetime64[D] array, shape (n, 2)
            Both days inclusive; NaT where the bin has no end. A bin without a whole day in it ends before it
            begins.

        Examples
        --------
        >>> import foretell as ft
        >>> ft.prep.Bins.equal_width(0, 100, 5).decode_dates([2], "2015-09-08")
        array([['2015-10-18', '2015-11-06']], dtype='datetime64[D]')
        """
        number = self._checked(classes)
        dates = since if isinstance(since, Iterable) and not isinstance(since, str) else [since]
        days = np.array([to_moment(date).astype("datetime64[D]") for date in dates])
        edges = self.decode(number)
        first = np.ceil(edges[..., 0])
        # The upper edge itself belongs to the last bin only.
        last = np.where(number == len(self) - 1, np.floor(edges[..., 1]), np.ceil(edges[..., 1]) - 1)
        out = np.full((*number.shape, 2), np.datetime64("NaT"), dtype="datetime64[D]")
        for k, offset in enumerate((first, last)):
            finite = np.isfinite(offset)
            moved = days + np.where(finite, offset, 0).astype(np.int64)
            out[..., k] = np.where(finite, moved, np.datetime64("NaT"))
        return out

    def _checked(self, classes: npt.ArrayLike) -> IntArray:
        return checked_classes(classes, len(self))


def one_hot(classes: npt.ArrayLike, n: int) -> npt.NDArray[np.float32]:
    """Return a row for each class, 1 in its place and 0 elsewhere, shape (..., n).

    Examples
    --------
    >>> import foretell as ft
    >>> ft.prep.one_hot([2, 0], 5)
    array([[0., 0., 1., 0., 0.],
           [1., 0., 0., 0., 0.]], dtype=float32)
    """
    return np.eye(n, dtype=np.float32)[checked_classes(classes, n)]


def from_one_hot(rows: npt.ArrayLike) -> IntArray:
    """Return the class of each row: the place of its greatest value, so it also takes probabilities.

    Parameters
    ----------
    rows : array-like, shape (..., n)

    Examples
    --------
    >>> import foretell as ft
    >>> ft.prep.from_one_hot([[0, 0, 1, 0, 0], [0.7, 0.1, 0.1, 0.1, 0.0]])
    array([2, 0])
    """
    array = np.asarray(rows, dtype=np.float64)
    if array.ndim < 1 or array.shape[-1] < 1:
        raise ParameterError(f"rows is of shape {array.shape}; expected (..., n_classes)")
    classes: IntArray = np.argmax(array, axis=-1).astype(np.int64)
    return classes


def checked_classes(classes: npt.ArrayLike, n: int) -> IntArray:
    """Return classes as whole numbers from 0 to n − 1; anything else is refused."""
    array = np.asarray(classes)
    whole = array.astype(np.int64) if array.dtype.kind in "iub" or not array.size else None
    if whole is None or ((whole < 0) | (whole >= n)).any():
        raise ParameterError(
            f"classes holds {array.ravel()[:3].tolist()} …; expected whole numbers from 0 to "
            f"{n - 1}, one for each of the {n} bins"
        )
    return whole
