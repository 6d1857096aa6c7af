"""Logs and panels as the first two formats kept them: in arrays, ids beside them."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core import IntArray
from foretell.core.grid import Grid
from foretell.core.state import Arrays, Described, State
from foretell.data.log import EventLog
from foretell.data.panel import Covariates, Panel
from foretell.data.report import ReadReport
from foretell.data.state import check_names, log_state, panel_state, report_of_state
from foretell.errors import DataError

_NUMBERS = (
    pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.Float32, pl.Float64,
    pl.Boolean,
)  # fmt: skip
_COVARIATES = ("past", "future", "static", "ahead")


def with_data(state: State) -> State:
    """Return a state of today of one that describes a log or a panel among the rest; others as they are."""
    if "log" in state.described:
        log = _log(state)
        read_as, data = log.read_as, log_state(log)
    elif "panel" in state.described:
        panel = _panel(state)
        read_as, data = panel.read_as, panel_state(panel)
    else:
        return state
    return dataclasses.replace(state, described={**state.described, "read_as": read_as}, data=data)


def _log(state: State) -> EventLog:
    described, arrays = state.described["log"], state.arrays
    has_groups = "log.groups" in arrays
    check_names(described["mark_names"], arrays["log.marks"].shape[1])
    groups = _column(state, described.get("groups"), "groups", "group") if has_groups else None
    return EventLog(
        ids=_column(state, described.get("ids"), "ids", "unique_id"),
        offsets=_offsets(arrays["log.offsets"], len(arrays["log.times"])),
        times=arrays["log.times"].astype(np.int64),
        marks=arrays["log.marks"].astype(np.float64),
        mark_names=tuple(described["mark_names"]),
        groups=arrays["log.groups"].astype(np.int64) if has_groups else None,
        group_names=groups,
        unit=described["unit"],
        merge=described["merge"],
        start=described["start"],
        as_of=described["as_of"],
        report=_report(described["report"]),
    )


def _panel(state: State) -> Panel:
    described, arrays = state.described["panel"], state.arrays
    check_names(described["targets"], arrays["panel.values"].shape[1])
    parts = {}
    for name, columns in described["covariates"].items():
        categories = {column: tuple(map(str, words)) for column, words in columns["categories"].items()}
        values = arrays[f"panel.{name}"].astype(np.float64)
        check_names(columns["names"], values.shape[1])
        parts[name] = Covariates(tuple(columns["names"]), values, categories)
    open_slots = arrays["panel.open_slots"].astype(bool) if "panel.open_slots" in arrays else None
    return Panel(
        ids=_column(state, described.get("ids"), "ids", "unique_id", "panel"),
        targets=tuple(described["targets"]),
        grid=Grid(**described["grid"], open_slots=open_slots),
        report=_report(described["report"]),
        offsets=_offsets(arrays["panel.offsets"], len(arrays["panel.values"])),
        starts=arrays["panel.starts"].astype(np.int64),
        values=arrays["panel.values"].astype(np.float64),
        ahead_offsets=_offsets(arrays["panel.ahead_offsets"], len(parts["ahead"])),
        past=parts["past"],
        future=parts["future"],
        static=parts["static"],
        ahead=parts["ahead"],
    )


def _offsets(offsets: npt.NDArray[np.generic], n_rows: int) -> IntArray:
    """Return offsets that divide so many rows."""
    whole = offsets.astype(np.int64)
    if (
        whole.ndim != 1
        or not len(whole)
        or whole[0] != 0
        or whole[-1] != n_rows
        or (np.diff(whole) < 0).any()
    ):
        raise DataError(f"offsets do not divide {n_rows:,} rows")
    return whole


def _column(
    state: State, described: Described | None, table: str, column: str, holder: str = "log"
) -> pl.Series:
    """Return ids or names: networks had them in tables, statistics in arrays."""
    if described is None:
        return state.tables[table][column]
    name = f"{holder}.{'group_names' if table == 'groups' else table}"
    return column_of_arrays(described, state.arrays, name)


def column_of_arrays(described: Described, arrays: Arrays, name: str) -> pl.Series:
    """Return a column that is described by its type, its text in one array.

    Raises
    ------
    DataError
        The arrays do not fit the description.
    """
    kind = described["type"]
    if kind == "String":
        text, lengths = arrays[f"{name}.text"], arrays[f"{name}.lengths"].astype(np.int64)
        if (lengths < 0).any() or int(lengths.sum()) != len(text):
            raise DataError(f"{name}: the lengths of its texts add up to {lengths.sum()}, not to {len(text)}")
        ends = np.cumsum(lengths)
        whole = text.astype(np.uint8).tobytes()
        words = [whole[end - length : end].decode() for end, length in zip(ends, lengths, strict=True)]
        return pl.Series(words, dtype=pl.String)
    if kind in ("Date", "Datetime"):
        unit = {key: described[key] for key in ("time_unit", "time_zone") if key in described}
        physical = pl.Series(arrays[name])
        return physical.cast(pl.Date if kind == "Date" else pl.Datetime(**unit))
    types = {str(number): number for number in _NUMBERS}
    if kind not in types:
        raise DataError(f"{name}: a column of type {kind!r}; expected one of {', '.join(types)}")
    return pl.Series(arrays[name], dtype=types[kind])


def _report(kept: Described) -> ReadReport:
    """Return a report; the first version counted the rows of a log as events, and the series of a panel."""
    names = ("rows_read", "left_out", "examples", "adjusted")
    rows = kept["events"] if "events" in kept else kept["rows"]
    rest = {"rows": rows, "noted": kept.get("noted", {})}
    return report_of_state({name: kept[name] for name in names} | rest)
