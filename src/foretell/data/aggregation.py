"""From visits to series: how many came in each step, and the sums of their marks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import polars as pl

from foretell.core import FloatArray, IntArray
from foretell.core.constraints import Flag, Instance, Maybe, OneOf, as_names, check
from foretell.core.grid import Grid
from foretell.core.ragged import to_offsets
from foretell.core.time import UNIT_SECONDS
from foretell.data.covariates import Covariates
from foretell.data.log import EventLog
from foretell.data.panel import Panel
from foretell.data.report import ReadReport
from foretell.data.rows import listed
from foretell.errors import DataError, ParameterError

VISITS: Final = "visits"


def aggregate(
    log: EventLog,
    every: str = "1d",
    *,
    sum: str | Sequence[str] = (),  # noqa: A002  # the word of data frames and of SQL for it
    count: bool | None = None,
    by: Literal["group"] | None = None,
) -> Panel:
    """Make series of a log: the visits in each day, week or month, and the sums of marks.

    A step in which nobody came is 0, since it was observed. Steps of which only a part was observed, at the
    beginning and the end of the log, are left out; the report counts their visits.

    Parameters
    ----------
    log : EventLog
    every : str
        The step: ``"1h"``, ``"1d"``, ``"1w"`` (from Monday), ``"1mo"``, ``"1q"``, ``"1y"`` or a multiple.
    sum : str or sequence of str
        Marks to add up, each a target of its own. Visits without a number add nothing; a step whose visits
        have none at all is missing.
    count : bool, optional
        Count the visits, as the target ``visits``; by default where nothing is added up. What one visit is,
        ``merge`` of :func:`foretell.read_events` says.
    by : {"group"}, optional
        One series for each group, from its first visit on; by default one for all.

    Returns
    -------
    Panel

    Raises
    ------
    ParameterError
        The log has no such mark, no groups, or a clock coarser than ``every``.
    DataError
        The log covers no whole step.

    Examples
    --------
    >>> import polars as pl
    >>> import foretell as ft
    >>> days = ["2024-01-01", "2024-01-04", "2024-01-04"]
    >>> rows = pl.DataFrame({"unique_id": ["a", "a", "b"], "ds": days, "paid": [5, 3, 4]})
    >>> log = ft.read_events(rows, marks="paid")
    >>> panel = ft.aggregate(log, every="1d", sum="paid", count=True)
    >>> panel.targets, panel.values.tolist()
    (('visits', 'paid'), [[1.0, 5.0], [0.0, 0.0], [0.0, 0.0], [2.0, 7.0]])
    """
    check("log", log, Instance(EventLog))
    check("count", count, Maybe(Flag()))
    check("by", by, Maybe(OneOf(("group",))))
    marks = as_names(sum, "sum")
    counted = not marks if count is None else count
    _check_marks(log, marks, counted=counted)
    grid = _grid(log, every)
    owner, names = _owners(log, marks, counted=counted, by=by)
    begin, end = (int(log.axis.numbers_of(tick)) for tick in (log.start, log.as_of + 1))
    first, last = int(grid.last_step(begin)), int(grid.last_step(end - 1))
    first += int(grid.numbers_of(first) < begin)
    last -= int(grid.numbers_of(last + 1) > end)
    steps = grid.last_step(log.axis.numbers_of(log.times))
    partial = (steps < first) | (steps > last)
    inside = ~partial & (owner >= 0)
    if not inside.any():
        raise DataError(
            f"the log runs from {log.date(log.start)} to {log.date(log.as_of)}, and no visit falls in a step "
            f"of {every!r} that lies within it; choose a shorter step"
        )
    steps, owner = steps[inside], owner[inside]
    starts = np.full(len(names), first)
    if by is not None:
        starts[:] = last + 1
        np.minimum.at(starts, owner, steps)
    present = starts <= last
    place = np.cumsum(present) - 1
    offsets = to_offsets(last + 1 - starts[present])
    rows = offsets[place[owner]] + steps - starts[owner]
    n_rows = int(offsets[-1])
    visits = np.bincount(rows, minlength=n_rows).astype(float)
    sums = [_sums(log.marks[inside, log.mark_names.index(name)], rows, visits) for name in marks]
    left_out = {
        "in a first or last step of which only a part was observed": int(partial.sum()),
        "without a group": int((~partial).sum()) - int(inside.sum()),
    }
    return Panel(
        ids=names.filter(pl.Series(present)),
        offsets=offsets,
        starts=starts[present],
        targets=(*([VISITS] if counted else []), *marks),
        values=np.stack([*([visits] if counted else []), *sums], axis=1),
        past=Covariates.none(n_rows),
        future=Covariates.none(n_rows),
        static=Covariates.none(int(present.sum())),
        ahead=Covariates.none(0),
        ahead_offsets=np.zeros(int(present.sum()) + 1, dtype=np.int64),
        grid=grid,
        report=ReadReport(
            log.n_events,
            int(inside.sum()),
            {reason: n for reason, n in left_out.items() if n},
            noted={"steps without a visit": int((visits == 0).sum())},
        ),
    )


def _check_marks(log: EventLog, marks: tuple[str, ...], *, counted: bool) -> None:
    unknown = [name for name in marks if name not in log.mark_names]
    if unknown:
        raise ParameterError(
            f"sum names {unknown[0]!r}, and the log's marks are {listed(log.mark_names)}; name it by "
            "marks= of read_events, too"
        )
    if len(set(marks)) < len(marks) or (counted and VISITS in marks):
        raise ParameterError(f"sum={list(marks)} names a target twice; name each mark once")
    if not marks and not counted:
        raise ParameterError("count=False and sum is empty: nothing is left to forecast; name a mark by sum=")


def _grid(log: EventLog, every: str) -> Grid:
    """Return the grid of the steps; refuse steps that divide a tick, and such as end rather than begin."""
    grid = Grid(every)
    frequency, tick = grid.frequency, UNIT_SECONDS[log.unit] * 1_000_000
    if frequency.unit == "number" or frequency.business or grid.day != 1:
        raise ParameterError(
            f"every={every!r} is no step of visits; expected one such as '1d', '1w' or '1mo'"
        )
    if frequency.unit == "us" and frequency.size % tick:
        finer = "; read the log with unit='hour'" if log.unit == "day" else ""
        raise ParameterError(f"every={every!r} is no whole number of {log.unit}s, the log's clock{finer}")
    return grid


def _owners(
    log: EventLog, marks: tuple[str, ...], *, counted: bool, by: str | None
) -> tuple[IntArray, pl.Series]:
    """Return the series of each visit, -1 for none, and their names."""
    if by is None:
        targets = (*([VISITS] if counted else []), *marks)
        return np.zeros(log.n_events, dtype=np.int64), pl.Series(
            [targets[0] if len(targets) == 1 else "series"]
        )
    if log.groups is None or log.group_names is None:
        raise ParameterError(
            "by='group', and the log has no groups; name their column by group= of read_events"
        )
    known = log.group_names.is_not_null().to_numpy()
    names = log.group_names.filter(pl.Series(known))
    if names.is_empty():
        raise DataError("no visit has a group; leave out by=")
    return np.where(known, np.cumsum(known) - 1, -1)[log.groups], names


def _sums(marks: FloatArray, rows: IntArray, visits: FloatArray) -> FloatArray:
    known = ~np.isnan(marks)
    total = np.bincount(rows, weights=np.where(known, marks, 0.0), minlength=len(visits))
    given = np.bincount(rows, weights=known, minlength=len(visits))
    return np.where((given > 0) | (visits == 0), total, np.nan)
