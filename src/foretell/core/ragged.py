"""Runs of rows of unequal length, one for each id: what logs and panels have in common."""

from __future__ import annotations

import abc
import zlib
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core import BoolArray, IntArray
from foretell.core.constraints import Maybe, Whole, as_ids, check, did_you_mean
from foretell.core.time import TimeAxis
from foretell.errors import ParameterError

_FAR: Final = 2**40  # ticks
Positions = Sequence[int] | range | npt.NDArray[np.integer] | BoolArray


class Ragged(abc.ABC):
    """Rows of many customers or series, one after the other.

    The rows of ``ids[i]`` are ``offsets[i]`` to ``offsets[i + 1]``. A part of them is taken by the same verbs
    of both: :meth:`select` by ids, :meth:`take` by positions, :meth:`until` by a date, :meth:`up_to` by a
    tick.

    Attributes
    ----------
    ids : polars.Series, shape (n,)
    offsets : int64 array, shape (n + 1,)
    """

    # What holds the rows, and what an id names, for messages.
    holder: ClassVar[str]
    entity: ClassVar[str]

    ids: pl.Series
    offsets: IntArray

    @property
    def lengths(self) -> IntArray:
        """Rows of each id, shape (n,)."""
        return np.diff(self.offsets)

    @property
    def owner(self) -> IntArray:
        """Position of the id of each row, shape (n_rows,)."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.lengths)

    @abc.abstractmethod
    def take(self, positions: Positions) -> Self:
        """Return a part by positions or a mask, in ascending position."""

    @abc.abstractmethod
    def up_to(self, tick: int) -> Self:
        """Return the state at the end of a tick; see :meth:`until`."""

    @property
    @abc.abstractmethod
    def axis(self) -> TimeAxis:
        """What ticks mean: the clock of a log, the grid of a panel."""

    @property
    @abc.abstractmethod
    def last_observed(self) -> int:
        """Last tick of all."""

    def last_tick(self, when: object) -> int:
        """Return the last tick that is over by ``when``: a day, month or year is meant whole."""
        return self.axis.last_until(when)

    def time_of(self, ticks: npt.ArrayLike) -> pl.Series:
        """Return when ticks begin: dates or date-times."""
        return self.axis.time_of(ticks)

    def ticks_of(self, duration: object, from_: int | None = None) -> int:
        """Return a duration in ticks: ``"36h"``, ``"7d"``, ``"26w"``, ``"3mo"``, ``"1y"``, or a timedelta.

        Months and years are counted from the tick ``from_``, by default from the last of all.
        """
        check("from_", from_, Maybe(Whole(-_FAR, _FAR)))
        return self.axis.ticks_of(duration, self.last_observed if from_ is None else from_)

    def select(self, ids: Collection[object]) -> Self:
        """Return a part by ids, in ascending position.

        Raises
        ------
        ParameterError
            There is no such id; the closest one is suggested.
        """
        wanted, known = set(as_ids(ids) or ()), self.ids.to_list()
        unknown = list(wanted.difference(known))
        if unknown:
            hint = did_you_mean(str(unknown[0]), map(str, known))
            raise ParameterError(f"the {self.holder} has no {self.entity} {unknown[0]!r}{hint}")
        return self.take(np.array([key in wanted for key in known], dtype=bool))

    def until(self, when: object) -> Self:
        """Return the state at the end of a date: nothing later is in it.

        A day, month or year is meant whole. Those that begin later are not in it.
        """
        return self.up_to(self.last_tick(when))

    @property
    @abc.abstractmethod
    def read_as(self) -> dict[str, object]:
        """How the data were read: what others have to agree with that a saved model is given."""

    def alike(self, read_as: Mapping[str, object]) -> Self:
        """Return the data; refuse them where they were read in another way.

        Raises
        ------
        ParameterError
            Names the options that differ.
        """
        differ = [
            f"{name}={value!r}, not {read_as.get(name, [])!r}"
            for name, value in self.read_as.items()
            if value != read_as.get(name, [])  # models of the first versions do not know all options
        ]
        if differ:
            raise ParameterError(
                f"the data were read with {'; '.join(differ)} as those that the model was fitted to: read "
                "them with the same options"
            )
        return self

    def reaching(self, as_of: object) -> Self:
        """Return the state at the end of a date that the data have to reach; as they are without one.

        Raises
        ------
        ParameterError
            The date lies after their end.
        """
        if as_of is None:
            return self
        tick = self.last_tick(as_of)
        if tick > self.last_observed:
            raise ParameterError(
                f"as_of={as_of!r} lies after the end of the {self.holder}, "
                f"{self.time_of(self.last_observed)[0]}: what came in between is not known; if it does reach "
                "that far, read it with as_of=…"
            )
        return self.up_to(tick)

    def chosen(self, positions: Positions) -> BoolArray:
        """Return positions, or a mask, as a mask that holds at least one."""
        n = len(self.offsets) - 1
        mask, given = np.zeros(n, dtype=bool), np.asarray(positions)
        try:
            mask[given if given.size else given.astype(np.int64)] = True
        except IndexError as error:
            raise ParameterError(
                f"positions={positions!r}; expected positions from 0 to {n - 1}, or a mask of {n}; "
                "ids are for select(ids)"
            ) from error
        if not mask.any():
            raise ParameterError(f"no {self.entity} is chosen; name at least one")
        return mask


def id_codes(ids: pl.Series) -> npt.NDArray[np.uint32]:
    """Return a hash of each id, the same whether it is written as a number or as text.

    Examples
    --------
    >>> bool((id_codes(pl.Series([7, 8])) == id_codes(pl.Series(["7", "8"]))).all())
    True
    """
    names = ids.cast(pl.String).fill_null("").to_list()
    return np.array([zlib.crc32(name.encode()) for name in names], dtype=np.uint32)


def flat_ranges(starts: npt.NDArray[np.integer], lengths: npt.NDArray[np.integer]) -> IntArray:
    """Return ``starts[i], starts[i] + 1, …`` of each length, one after the other.

    Examples
    --------
    >>> flat_ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    before = np.cumsum(lengths) - lengths
    ranges: IntArray = np.arange(int(lengths.sum()), dtype=np.int64) + np.repeat(starts - before, lengths)
    return ranges


def to_offsets(lengths: npt.NDArray[np.integer]) -> IntArray:
    """Return where runs of these lengths begin and end.

    Examples
    --------
    >>> to_offsets(np.array([2, 3])).tolist()
    [0, 2, 5]
    """
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
