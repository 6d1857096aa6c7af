"""The panel: regular series as flat arrays on one grid, one run of steps per series, and their covariates."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core import BoolArray, FloatArray, IntArray
from foretell.core.constraints import Maybe, OneOf, Steps, check
from foretell.core.contracts import Kind
from foretell.core.grid import Grid
from foretell.core.notebook import card
from foretell.core.ragged import Positions, Ragged, flat_ranges, to_offsets
from foretell.data.covariates import Covariates, seen_only
from foretell.data.report import ReadReport
from foretell.errors import DataError, EmptyLogError, ParameterError

Values = Sequence[object] | npt.NDArray[np.generic]


@dataclasses.dataclass(frozen=True, eq=False)
class Panel(Ragged):
    """Regular series as flat arrays.

    The steps of series ``i`` are the rows ``offsets[i]`` to ``offsets[i + 1]``, one for each step of the
    grid from ``starts[i]`` on. What is missing is NaN, never filled.

    Attributes
    ----------
    ids : polars.Series, shape (n_series,)
        Ids, sorted, unique.
    offsets : int64 array, shape (n_series + 1,)
    starts : int64 array, shape (n_series,)
        Step of the grid that each series begins with.
    targets : tuple of str
    values : float64 array, shape (n_rows, n_targets)
    past, future : Covariates, n_rows rows
        Known up to a step, and known ahead of it.
    static : Covariates, n_series rows
    ahead : Covariates
        The columns of ``future`` for the steps after each series' last one, without a hole.
    ahead_offsets : int64 array, shape (n_series + 1,)
    grid : Grid
    report : ReadReport
    """

    kind: ClassVar[Kind] = "series"
    holder, entity = "panel", "series"

    ids: pl.Series
    offsets: IntArray
    starts: IntArray
    targets: tuple[str, ...]
    values: FloatArray
    past: Covariates
    future: Covariates
    static: Covariates
    ahead: Covariates
    ahead_offsets: IntArray
    grid: Grid
    report: ReadReport

    @classmethod
    def from_arrays(
        cls,
        series: Mapping[Any, npt.ArrayLike] | Sequence[npt.ArrayLike],
        *,
        freq: str | int | Grid = 1,
        start: object = 0,
        targets: Sequence[str] | None = None,
        past: Mapping[str, Sequence[Values]] | None = None,
        future: Mapping[str, Sequence[Values]] | None = None,
        static: Mapping[str, Sequence[object]] | None = None,
    ) -> Panel:
        """Make a panel of arrays, as they are.

        Parameters
        ----------
        series : mapping of id to array, or sequence of arrays
            Shape (n_steps,) or (n_steps, n_targets) each; of a sequence the ids are 0, 1, 2 …
        freq : str, int or Grid
        start : date, str or int, or a sequence of one for each series
            Time of the first step; by default 0, or 2000-01-01 for steps that are dates.
        targets : sequence of str, optional
            By default ``y``, or ``y1``, ``y2`` …
        past, future : mapping of name to sequence
            For each series, in the order of ``series``, an array of numbers or texts of as many steps;
            ``future`` of as many more as are known ahead.
        static : mapping of name to sequence
            One number or text for each series.

        Examples
        --------
        >>> Panel.from_arrays({"a": [1, 2, 3], "b": [4, 5]}, freq="1d", start="2024-01-01")
        Panel(2 series, 5 rows, 2024-01-01 to 2024-01-03, freq='1d')
        """
        from foretell.data.arrays import panel_of_arrays  # noqa: PLC0415  # it needs this class

        return panel_of_arrays(
            series,
            freq,
            start,
            targets,
            {} if past is None else past,
            {} if future is None else future,
            {} if static is None else static,
        )

    def __repr__(self) -> str:
        period = f"{self._period()}, freq={self.grid.freq!r}"
        return f"Panel({self.n_series:,} series, {self.n_rows:,} rows, {period})"

    def _repr_html_(self) -> str:
        """Show it in a notebook."""
        covariates = {"past": self.past, "future": self.future, "static": self.static}
        shown = {
            "series": self.n_series,
            "rows": self.n_rows,
            "observed": self._period(),
            "step": self.grid.freq,
            "targets": ", ".join(self.targets),
            **{what: ", ".join(columns.names) or None for what, columns in covariates.items()},
            "missing": int(np.isnan(self.values).any(axis=1).sum()) or None,
            "read": f"{self.report.rows_read:,} rows; {self.report.in_short() or 'all kept'}",
        }
        return card("Panel", shown)

    def _period(self) -> str:
        first, last = self.grid.time_of([self.starts.min(), self.ends.max()])
        return f"{first} to {last}"

    @property
    def n_series(self) -> int:
        """Number of series."""
        return len(self.starts)

    @property
    def n_rows(self) -> int:
        """Number of steps of all series together."""
        return len(self.values)

    @property
    def ends(self) -> IntArray:
        """Step of the grid that each series ends with, shape (n_series,)."""
        return self.starts + self.lengths - 1

    def target_index(self, target: str | None) -> int:
        """Return the column of a target, by default of the first."""
        check("target", target, Maybe(OneOf(self.targets)))
        return 0 if target is None else self.targets.index(target)

    @property
    def index(self) -> IntArray:
        """Step of the grid of each row, shape (n_rows,)."""
        return flat_ranges(self.starts, self.lengths)

    @property
    def axis(self) -> Grid:
        """The grid."""
        return self.grid

    @property
    def last_observed(self) -> int:
        """Last step of all series."""
        return int(self.ends.max())

    @property
    def read_as(self) -> dict[str, object]:
        """Targets, step, and covariates."""
        covariates = {"past": self.past, "future": self.future, "static": self.static}
        options: dict[str, object] = {"targets": list(self.targets), "freq": self.grid.freq}
        return options | {kind: list(columns.names) for kind, columns in covariates.items()}

    def up_to(self, tick: int) -> Panel:
        """Return the panel as it stood after a step of the grid: nothing later is in it.

        Each series ends with its last observed step by then; series that begin later are not in it, nor are
        categories that were first seen later. Future covariates were known then: those of later steps
        become ``ahead``. The grid stays as it is.

        Examples
        --------
        >>> panel = Panel.from_arrays({"a": [1, 2, 3], "b": [4, 5]}, freq="1d", start="2024-01-01")
        >>> panel.until("2024-01-02").lengths.tolist()
        [2, 2]
        """
        lengths = np.clip(tick + 1 - self.starts, 0, self.lengths)
        lengths = lengths_with_values(self.values, self.offsets[:-1], lengths)
        if not (lengths > 0).any():
            first = self.time_of(self.starts.min())[0]
            raise EmptyLogError(
                f"no series has a value up to {self.time_of(tick)[0]}: the first begins at {first}; choose a "
                "later date"
            )
        return self._first(lengths, "series that begin after the as-of date, not in the panel")

    def tail_split(self, h: int) -> tuple[Panel, Panel]:
        """Hold back the last ``h`` steps of every series.

        Returns
        -------
        before, after : Panel
            The same series in both: all but the last ``h`` steps, which may end in missing ones, and the
            last ``h``. Series with nothing before them are in neither; both reports count them.

        Examples
        --------
        >>> before, after = Panel.from_arrays({"a": [1, 2, 3], "b": [4, 5]}).tail_split(1)
        >>> before.values.ravel(), after.values.ravel()
        (array([1., 2., 4.]), array([3., 5.]))
        """
        check("h", h, Steps())
        lengths = self.lengths - int(h)
        observed = lengths_with_values(self.values, self.offsets[:-1], np.maximum(lengths, 0))
        lengths[observed == 0] = 0
        long = lengths > 0
        if not long.any():
            raise ParameterError(
                f"no series has more than {h} steps with a value before them: the longest has "
                f"{int(self.lengths.max())}; hold back fewer"
            )
        reason = f"series without a value before their last {h} steps, kept out of the split"
        before = self._first(lengths, reason)
        after = self.stretch(self.lengths - int(h), np.where(long, int(h), 0))
        return before, dataclasses.replace(after, report=before.report)

    def take(self, positions: Positions) -> Panel:
        """Return the panel of some series (positions or a mask), in ascending position."""
        return self.stretch(np.zeros_like(self.starts), np.where(self.chosen(positions), self.lengths, 0))

    def stretch(self, skipped: IntArray, lengths: IntArray) -> Panel:
        """Return so many steps of each series after the first ``skipped``; series without any fall out."""
        present = lengths > 0
        rows = flat_ranges((self.offsets[:-1] + skipped)[present], lengths[present])
        n_ahead = np.diff(self.ahead_offsets)[present]
        return dataclasses.replace(
            self,
            ids=self.ids.filter(pl.Series(present)),
            offsets=to_offsets(lengths[present]),
            starts=(self.starts + skipped)[present],
            values=self.values[rows],
            past=self.past.take(rows),
            future=self.future.take(rows),
            static=self.static.take(present),
            ahead=self.ahead.take(flat_ranges(self.ahead_offsets[:-1][present], n_ahead)),
            ahead_offsets=to_offsets(n_ahead),
        )

    def to_frame(self) -> pl.DataFrame:
        """Return one row per step: ``unique_id``, ``ds``, the targets and the covariates.

        Steps that are known ahead only come last of each series, without targets; reading the table gives
        the panel back.
        """
        n_ahead = np.diff(self.ahead_offsets)
        owner = np.concatenate([self.owner, np.repeat(np.arange(self.n_series), n_ahead)])
        index = np.concatenate([self.index, flat_ranges(self.ends + 1, n_ahead)])
        nothing = pl.repeat(None, len(self.ahead), dtype=pl.Float64, eager=True)
        columns = {"unique_id": self.ids.gather(owner), "ds": self.time_of(index)}
        for k, name in enumerate(self.targets):
            columns[name] = pl.concat([pl.Series(self.values[:, k]).fill_nan(None), nothing])
        for name in self.past.names:
            known = self.past.column(name)
            columns[name] = pl.concat([known, nothing.cast(known.dtype)])
        for name in self.future.names:
            columns[name] = pl.concat([self.future.column(name), self.ahead.column(name)])
        for name in self.static.names:
            columns[name] = self.static.column(name).gather(owner)
        return pl.DataFrame(columns)[np.lexsort([index, owner])]

    def _first(self, lengths: IntArray, reason: str) -> Panel:
        """Return the first steps of each series; without any, it is left out and counted."""
        present = lengths > 0
        part = self.stretch(np.zeros_like(lengths), lengths)
        ahead, n_ahead = part.ahead, np.zeros_like(part.starts)
        if self.future:
            ahead, n_ahead = self._known_after(lengths, present)
        future, ahead = seen_only(part.future, ahead)
        noted, examples = dict(self.report.noted), dict(self.report.examples)
        if not present.all():
            noted[reason] = int((~present).sum())
            examples[reason] = tuple(map(str, self.ids.filter(pl.Series(~present)).head(3)))
        return dataclasses.replace(
            part,
            past=seen_only(part.past)[0],
            future=future,
            static=seen_only(part.static)[0],
            ahead=ahead,
            ahead_offsets=to_offsets(n_ahead),
            report=dataclasses.replace(self.report, noted=noted, examples=examples),
        )

    def _known_after(self, lengths: IntArray, present: BoolArray) -> tuple[Covariates, IntArray]:
        """Return the future covariates of the steps after the first ``lengths``, and of how many steps.

        They end where something is known: that a series goes on is not.
        """
        both = np.concatenate([self.future.values, self.ahead.values])
        starts = np.stack([self.offsets[:-1] + lengths, self.n_rows + self.ahead_offsets[:-1]], axis=1)
        counts = np.stack([self.lengths - lengths, np.diff(self.ahead_offsets)], axis=1)
        known = both[flat_ranges(starts[present].ravel(), counts[present].ravel())]
        n_known = counts[present].sum(axis=1)
        begins = to_offsets(n_known)[:-1]
        kept = lengths_with_values(known, begins, n_known)
        return dataclasses.replace(self.future, values=known[flat_ranges(begins, kept)]), kept


def lengths_with_values(values: FloatArray, begins: IntArray, lengths: IntArray) -> IntArray:
    """Return the lengths of runs of rows, cut back to the last row that is not all NaN."""
    if not len(values):
        return np.zeros(len(lengths), dtype=np.int64)
    given = np.any(~np.isnan(values), axis=1)
    last = np.maximum.accumulate(np.where(given, np.arange(len(values)), -1))
    ends = last[np.maximum(begins + lengths - 1, 0)]
    return np.where(lengths > 0, np.maximum(ends + 1 - begins, 0), 0)


def training_panel(panel: object, as_of: object = None) -> Panel:
    """Return the panel that a model is fitted to, up to a date; refuse what is none."""
    return check_panel(panel).reaching(as_of)


def check_panel(panel: object) -> Panel:
    """Return a panel; refuse what is none."""
    if not isinstance(panel, Panel):
        raise DataError(
            f"expected a Panel, got {type(panel).__name__}; read one with "
            "foretell.read_series(frame_or_path, id=…, time=…, target=…)"
        )
    return panel
