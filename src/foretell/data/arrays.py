"""From arrays to a panel, without a table between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core import FloatArray, IntArray
from foretell.core.constraints import as_names, is_list, is_whole
from foretell.core.grid import Frequency, Grid
from foretell.core.ragged import flat_ranges, to_offsets
from foretell.core.time import begin_us, to_moment
from foretell.data.covariates import Covariates, seen_only
from foretell.data.panel import Panel, Values
from foretell.data.periodicity import fit_grid
from foretell.data.report import ReadReport
from foretell.errors import ParameterError


def panel_of_arrays(
    series: Mapping[Any, npt.ArrayLike] | Sequence[npt.ArrayLike],
    freq: str | int | Grid,
    start: object,
    targets: Sequence[str] | None,
    past: Mapping[str, Sequence[Values]],
    future: Mapping[str, Sequence[Values]],
    static: Mapping[str, Sequence[object]],
) -> Panel:
    """Return the panel; see :meth:`foretell.Panel.from_arrays`."""
    if not isinstance(series, Mapping):
        if not is_list(series) and not getattr(series, "ndim", 0) > 1:
            raise ParameterError(
                f"series={series!r}; expected arrays by id, such as {{'a': [1, 2, 3]}}, or a list"
            )
        series = dict(enumerate(series))
    if not series:
        raise ParameterError("series is empty; expected at least one array")
    keys = _keys(list(series))
    order = keys.arg_sort().to_numpy()
    arrays = [_steps(key, value) for key, value in series.items()]
    arrays = [arrays[k] for k in order]
    widths = {array.shape[1] for array in arrays}
    if len(widths) > 1:
        raise ParameterError(f"the series have {sorted(widths)} targets; expected as many in each")
    n_targets = widths.pop()
    given = () if targets is None else as_names(targets, "targets")
    names = tuple(given or (["y"] if n_targets == 1 else [f"y{k + 1}" for k in range(n_targets)]))
    if len(names) != n_targets:
        raise ParameterError(f"targets names {len(names)} columns, the arrays have {n_targets}; name each")
    lengths = np.array([len(array) for array in arrays])
    grid, starts = _grid(freq, start, order)
    known, n_known = _ragged(future, order, lengths, "future")
    n_ahead = n_known - lengths if future else np.zeros(len(lengths), dtype=np.int64)
    begins = to_offsets(n_known)[:-1]
    rows, rows_ahead = flat_ranges(begins, lengths), flat_ranges(begins + lengths, n_ahead)
    history, ahead = seen_only(known.take(rows), known.take(rows_ahead))
    return Panel(
        ids=keys.gather(order),
        offsets=to_offsets(lengths),
        starts=starts,
        targets=names,
        values=np.concatenate(arrays),
        past=_ragged(past, order, lengths, "past", exact=True)[0],
        future=history,
        static=_static(static, order),
        ahead=ahead,
        ahead_offsets=to_offsets(n_ahead),
        grid=grid,
        report=ReadReport(int(lengths.sum()), int(lengths.sum())),
    )


def _keys(ids: list[object]) -> pl.Series:
    try:
        return pl.Series("unique_id", ids)
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise ParameterError(
            f"the ids are of several types, such as {ids[:3]}; expected all numbers or all text"
        ) from error


def _steps(key: object, values: npt.ArrayLike) -> FloatArray:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"series {key!r} cannot be read as numbers: {error}") from error
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or not array.size:
        raise ParameterError(
            f"series {key!r} is of shape {np.shape(values)}; expected (n_steps,) or (n_steps, n_targets)"
        )
    array[np.isinf(array)] = np.nan
    return array


def _grid(freq: str | int | Grid, start: object, order: IntArray) -> tuple[Grid, IntArray]:
    """Return the grid, and the step that each series starts with."""
    starts = list(start) if is_list(start) else [start] * len(order)
    if len(starts) != len(order):
        raise ParameterError(f"start has {len(starts)} times for {len(order)} series; expected as many")
    whole = (freq.frequency if isinstance(freq, Grid) else Frequency.parse(freq)).unit == "number"
    if whole:
        if not all(map(is_whole, starts)):
            raise ParameterError(
                f"start={start!r} with steps of {freq!r}; expected whole numbers, or freq='1d'"
            )
        numbers = np.array(starts, dtype=np.int64)
    else:
        # Without a time, any will do.
        moments = [to_moment("2000-01-01" if is_whole(when) and when == 0 else when) for when in starts]
        numbers = np.array([begin_us(moment) for moment in moments], dtype=np.int64)
    numbers = numbers[order]
    if not isinstance(freq, Grid):
        freq = fit_grid(np.arange(len(numbers)), numbers, freq, "keep", whole_numbers=whole)
    steps, on_grid = freq.locate(numbers)
    if not on_grid.all():
        raise ParameterError(f"start: {freq.describe_off(int(numbers[int(np.argmin(on_grid))]))}")
    return freq, steps


def _ragged(
    columns: Mapping[str, Sequence[Values]],
    order: IntArray,
    lengths: IntArray,
    kind: str,
    *,
    exact: bool = False,
) -> tuple[Covariates, IntArray]:
    """Return columns given series by series, and how many rows each series has."""
    _check_columns(columns, kind)
    if not columns:
        return Covariates.none(int(lengths.sum())), lengths
    expected, flat = lengths if exact else None, {}
    for name, parts in columns.items():
        if len(parts) != len(order):
            raise ParameterError(f"{kind} {name!r} has {len(parts)} arrays for {len(order)} series")
        counts = np.array([len(parts[k]) for k in order])
        expected = counts if expected is None else expected
        if (counts != expected).any() or (counts < lengths).any():
            more = "" if exact else ", or more: as many in each column"
            raise ParameterError(f"{kind} {name!r} has {counts[0]} … steps; expected {lengths[0]} …{more}")
        flat[name] = _joined(name, [parts[k] for k in order])
    return Covariates.of(flat), lengths if expected is None else expected


def _check_columns(columns: object, kind: str) -> None:
    if not isinstance(columns, Mapping) or not all(map(is_list, columns.values())):
        raise ParameterError(f"{kind}={columns!r}; expected lists by the names of columns: {{'x': [...]}}")


def _static(columns: Mapping[str, Sequence[object]], order: IntArray) -> Covariates:
    _check_columns(columns, "static")
    for name, values in columns.items():
        if len(values) != len(order):
            raise ParameterError(f"static {name!r} has {len(values)} values for {len(order)} series")
    if not columns:
        return Covariates.none(len(order))
    return Covariates.of({name: _column(name, [v[k] for k in order]) for name, v in columns.items()})


def _joined(name: str, parts: list[Values]) -> pl.Series:
    arrays = [part for part in parts if isinstance(part, np.ndarray) and part.dtype.kind in "iuf"]
    if len(arrays) == len(parts):
        return pl.Series(name, np.concatenate(arrays).astype(np.float64))
    return _column(name, [value for part in parts for value in part])


def _column(name: str, values: list[object]) -> pl.Series:
    if any(isinstance(value, (str, bool, np.bool_)) for value in values):
        return pl.Series(name, [None if v is None else str(v) for v in values], dtype=pl.String)
    try:
        return pl.Series(name, np.array(values, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise ParameterError(f"covariate {name!r} cannot be read as numbers or text: {error}") from error
