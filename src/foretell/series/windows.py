"""Windows over a panel: where they may end, and their values, gathered inside the compiled step."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from foretell.core import IntArray
from foretell.core.constraints import Constraint, Maybe, OneOf, Whole, check_fields
from foretell.core.ragged import flat_ranges
from foretell.data.panel import Panel
from foretell.nn.arrays import to_device
from foretell.nn.backend import Array
from foretell.series.support import SUPPORTS

Numbers: TypeAlias = npt.NDArray[np.int32]

NORMALISATIONS = ("window", "season", "last", "first", "standard", "minmax", "robust")
_RULES: Final[Mapping[str, Constraint]] = {
    **dict.fromkeys(("lookback", "patch", "season"), Maybe(Whole())),
    "normalise": Maybe(OneOf(NORMALISATIONS)),
    "method": OneOf(("direct", "recursive", "seq2seq")),
    "variables": OneOf(("shared", "joined", "branches")),
    "support": OneOf(("auto", *SUPPORTS)),
}


@dataclasses.dataclass(frozen=True)
class WindowConfig:
    """What a network reads of a series' past, and how it writes what follows.

    Parameters
    ----------
    lookback : int, optional
        Steps of history; rounded up to whole patches. By default several horizons and seasons, as far as the
        series are long enough.
    patch : int, optional
        Steps that the recurrent layers read at once; by default a season, or a small part of the lookback.
    season : int, optional
        Steps of the season whose last repetition is the anchor; 1 anchors at the last value. By default it is
        found in the data.
    normalise : {"window", "season", "last", "first", "standard", "minmax", "robust"}, optional
        Scale on which the network works: the window's own mean and spread; the mean of its last season
        and the mean change from season to season; its last value and mean absolute change; its first value,
        so that it reads relative changes; or the whole training series' mean and deviation, range, median and
        quartiles. By default "window" for seasonal series, else "last".
    log : bool
        Take log(1 + y) first; for values that are never negative.
    method : {"direct", "recursive", "seq2seq"}
        All steps at once; one step, fed back along sample paths; or written by a decoder patch by patch.
    variables : {"shared", "joined", "branches"}
        Several targets as series of one network; or all columns as one input; or a recurrent branch for each.
    support : {"auto", "real", "nonnegative", "counts", "shares"}
        What values there can be, which every quantile keeps to: any; none below 0; whole numbers, none below
        0; between 0 and 1. By default the narrowest that all values of the training period have.
    """

    lookback: int | None = None
    patch: int | None = None
    season: int | None = None
    normalise: str | None = None
    log: bool = False
    method: str = "direct"
    variables: str = "shared"
    support: str = "auto"

    def __post_init__(self) -> None:
        check_fields(self, _RULES)


class Windows(NamedTuple):
    """Windows by their place in flat arrays, shape (n_windows,) each.

    Attributes
    ----------
    end : int32 array
        First row after the window's history: the first step ahead.
    start, stop : int32 array
        First row of the window's series, and first row after it.
    series : int32 array
    """

    end: Array | Numbers
    start: Array | Numbers
    stop: Array | Numbers
    series: Array | Numbers

    def filled(self, size: int) -> Windows:
        """Return them on the device, filled up to some size with repetitions from the start."""
        return Windows(*(to_device(np.resize(part, size)) for part in self))

    def at(self, numbers: Array) -> Windows:
        """Return some of them."""
        return Windows(*(part[numbers] for part in self))


class Spans(NamedTuple):
    """Windows that end at any row of a span of each series, shape (n_series,) each; they are not written out.

    Attributes
    ----------
    before : int32 array
        Windows of the series before: they are numbered series by series.
    first : int32 array
        End of the first one.
    start, stop : int32 array
        As of `Windows`.
    n_windows : int
        Of all windows.
    """

    before: Array | Numbers
    first: Array | Numbers
    start: Array | Numbers
    stop: Array | Numbers
    n_windows: Array | int

    def filled(self, size: int) -> Spans:
        """Return them on the device, filled up to some number of series with such as have no window."""
        room = size - len(self.first)
        before = np.pad(self.before, (0, room), constant_values=np.iinfo(np.int32).max)
        first, start, stop = (
            to_device(np.pad(part, (0, room))) for part in (self.first, self.start, self.stop)
        )
        return Spans(to_device(before), first, start, stop, self.n_windows)

    def at(self, numbers: Array) -> Windows:
        """Return some windows by their numbers, inside of a compiled program."""
        series = jnp.searchsorted(self.before, numbers, side="right") - 1
        end = self.first[series] + numbers - self.before[series]
        return Windows(end, self.start[series], self.stop[series], series)


class Flat(NamedTuple):
    """A panel as flat arrays.

    Attributes
    ----------
    values : float32 array, shape (n_rows, n_targets)
        In units of their series, see `foretell.series.scale`; the last observed one where missing.
    mask : float32 array, shape (n_rows, n_targets)
        1 where observed.
    past : float32 array, shape (n_rows, n_past)
    known : float32 array, shape (n_rows, n_known)
        Calendar and future covariates; the rows reach as far beyond each series' end as a forecast.
    static : float32 array, shape (n_series, n_static)
    loc, scale : float32 array, shape (n_series, n_targets)
        Normalisation of the whole series, in its units, where windows are not normalised by themselves.
    """

    values: Array
    mask: Array
    past: Array
    known: Array
    static: Array
    loc: Array
    scale: Array


class Batch(Flat):
    """Gathered windows: histories of L steps and the h steps after them.

    Attributes
    ----------
    values, mask : array, shape (batch, L + h, n_targets)
    past : array, shape (batch, L, n_past)
    known : array, shape (batch, L + h, n_known)
    static : array, shape (batch, n_static)
    loc, scale : array, shape (batch, n_targets)
        Of the window's series.
    """


def gather(flat: Flat, windows: Windows, lookback: int, horizon: int) -> Batch:
    """Return the values of windows; rows outside of their series are masked and 0."""
    steps = jnp.arange(-lookback, horizon)
    rows = windows.end[:, None] + steps
    inside = ((rows >= windows.start[:, None]) & (rows < windows.stop[:, None]))[..., None]
    place = jnp.clip(rows, 0, flat.values.shape[0] - 1)
    history = place[:, :lookback]
    return Batch(
        values=flat.values[place] * inside,
        mask=flat.mask[place] * inside,
        past=flat.past[history] * inside[:, :lookback],
        known=flat.known[place] * inside,
        static=flat.static[windows.series],
        loc=flat.loc[windows.series],
        scale=flat.scale[windows.series],
    )


def roomy(size: int) -> int:
    """Return a size rounded up to one of few, at most a quarter more, so that programs are compiled for few.

    Examples
    --------
    >>> [roomy(size) for size in (3, 9, 100, 1000)]
    [64, 64, 112, 1024]
    """
    step = max(1 << max(size - 1, 1).bit_length() >> 3, 16)
    return max(-(-size // step) * step, 64)


def at_ends(starts: IntArray, lengths: IntArray, extra: int) -> Windows:
    """Return the window at each series' end, in flat arrays with ``extra`` rows after each series."""
    return Windows(*_numbers(starts + lengths, starts, starts + lengths + extra, np.arange(len(starts))))


class Split(NamedTuple):
    """Windows to train on, and later ones to stop and calibrate by."""

    train: Spans
    held_out: Windows


def split(panel: Panel, horizon: int, fraction: float, at_most: int = 2048) -> Split:
    """Cut the windows of a panel at the start of each series' held-out last part.

    No training window reaches into the held-out part, which is a share of the series and at least one
    horizon, or a third of a series that is shorter than three; held-out windows begin in it.

    Parameters
    ----------
    panel : Panel
    horizon : int
    fraction : float
        Share of each series that is held out.
    at_most : int
        Held-out windows, and so series that they are of.
    """
    lengths, starts = panel.lengths, panel.offsets[:-1]
    n_held_out = np.maximum(np.round(fraction * lengths).astype(np.int64), horizon)
    n_held_out = np.where(lengths - n_held_out >= 2 * horizon, n_held_out, lengths // 3) * (fraction > 0)
    cut = lengths - n_held_out
    # A training window has at least one step before it and one step ahead; short series give what they can.
    first = np.minimum(np.maximum(horizon // 2, 1), np.maximum(cut - 1, 1))
    counts = np.maximum(cut - horizon, first) - first + 1
    before = np.cumsum(counts) - counts
    number, end, start, stop = _numbers(before, starts + first, starts, starts + cut)
    train = Spans(number, end, start, stop, int(counts.sum()))
    # Where not even one horizon is held out, windows may end within it.
    room = np.where(n_held_out < horizon, n_held_out - 1, n_held_out - horizon)
    return Split(train, _spread(panel, cut, cut + room, at_most))


def all_windows(panel: Panel, horizon: int, season: int, at_most: int = 2048) -> Windows:
    """Return windows over each series after its first third or season, for rules that learn nothing.

    They end a horizon before the series does, or with it where it is shorter than three.
    """
    lengths = panel.lengths
    first = np.maximum(lengths // 3, np.where(season < lengths, season, 1))
    last = np.where(lengths < 3 * horizon, lengths - 1, lengths - horizon)
    return _spread(panel, first, last, at_most)


def _spread(panel: Panel, first: IntArray, last: IntArray, at_most: int) -> Windows:
    """Return windows that end before the steps first … last of each series: no more than some in all."""
    chosen = np.flatnonzero(last >= first)
    chosen = chosen[:: max(-(-len(chosen) // at_most), 1)]
    room = (last - first)[chosen]
    stride = -(-(room + 1) // max(at_most // max(len(chosen), 1), 1))
    counts = room // stride + 1
    owner, start = np.repeat(chosen, counts), panel.offsets[:-1]
    step = flat_ranges(np.zeros_like(counts), counts) * np.repeat(stride, counts) + first[owner]
    return Windows(*_numbers(start[owner] + step, start[owner], panel.offsets[1:][owner], owner))


def _numbers(*parts: IntArray) -> tuple[Numbers, ...]:
    return tuple(part.astype(np.int32) for part in parts)
