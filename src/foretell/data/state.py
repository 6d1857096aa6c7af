"""Logs and panels as values for JSON and plain arrays, and back: the data that a saved model keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from foretell.core.contracts import Arrays
from foretell.core.grid import Grid
from foretell.data.covariates import Covariates
from foretell.data.log import EventLog
from foretell.data.panel import Panel
from foretell.data.report import ReadReport
from foretell.errors import DataError

_NUMBERS = (
    pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.Float32, pl.Float64,
    pl.Boolean,
)  # fmt: skip
_COVARIATES = ("past", "future", "static", "ahead")

Described = dict[str, Any]


def column_state(values: pl.Series, name: str) -> tuple[Described, Arrays]:
    """Return a column without nulls as its type and plain arrays; categories become text.

    Examples
    --------
    >>> described, arrays = column_state(pl.Series(["ann", "bo"]), "ids")
    >>> described, arrays["ids.lengths"].tolist()
    ({'type': 'String'}, [3, 2])
    >>> column_from_state(described, arrays, "ids").to_list()
    ['ann', 'bo']
    """
    kind = values.dtype
    if kind in _NUMBERS:
        return {"type": str(kind)}, {name: values.to_numpy()}
    if isinstance(kind, (pl.Date, pl.Datetime)):
        described: Described = {"type": type(kind).__name__}
        if isinstance(kind, pl.Datetime):
            described |= {"time_unit": kind.time_unit, "time_zone": kind.time_zone}
        return described, {name: values.to_physical().to_numpy()}
    words = [word.encode() for word in values.cast(pl.String).to_list()]
    lengths = np.array([len(word) for word in words], dtype=np.int64)
    return {"type": "String"}, {
        f"{name}.lengths": lengths,
        f"{name}.text": np.frombuffer(b"".join(words), dtype=np.uint8),
    }


def column_from_state(described: Mapping[str, Any], arrays: Arrays, name: str) -> pl.Series:
    """Return the column that `column_state` described.

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


def log_state(log: EventLog) -> tuple[Described, Arrays]:
    """Return a log as values for JSON and arrays, whose names begin with ``log.``."""
    described, arrays = log_parts(log)
    described["ids"], ids = column_state(log.ids, "log.ids")
    arrays |= ids
    if log.group_names is not None:
        described["groups"], names = column_state(log.group_names, "log.group_names")
        arrays |= names
    return described, arrays


def log_from_state(described: Mapping[str, Any], arrays: Arrays) -> EventLog:
    """Return the log that `log_state` described."""
    ids = column_from_state(described["ids"], arrays, "log.ids")
    has_groups = "groups" in described
    names = column_from_state(described["groups"], arrays, "log.group_names") if has_groups else None
    return log_of_parts(described, arrays, ids, names)


def log_parts(log: EventLog) -> tuple[Described, Arrays]:
    """Return a log without its ids and names of groups, for who keeps these in a way of his own."""
    described: Described = {
        "unit": log.unit,
        "merge": log.merge,
        "mark_names": list(log.mark_names),
        "start": log.start,
        "as_of": log.as_of,
        "report": dataclasses.asdict(log.report),
    }
    arrays: Arrays = {"log.offsets": log.offsets, "log.times": log.times, "log.marks": log.marks}
    if log.groups is not None:
        arrays["log.groups"] = log.groups
    return described, arrays


def log_of_parts(
    described: Mapping[str, Any], arrays: Arrays, ids: pl.Series, group_names: pl.Series | None
) -> EventLog:
    """Return the log of which `log_parts` described all but the ids and the names of groups."""
    return EventLog(
        ids=ids,
        offsets=arrays["log.offsets"].astype(np.int64),
        times=arrays["log.times"].astype(np.int64),
        marks=arrays["log.marks"].astype(np.float64),
        mark_names=tuple(described["mark_names"]),
        groups=None if group_names is None else arrays["log.groups"].astype(np.int64),
        group_names=group_names,
        unit=described["unit"],
        merge=described["merge"],
        start=described["start"],
        as_of=described["as_of"],
        report=_report(described["report"]),
    )


def panel_state(panel: Panel) -> tuple[Described, Arrays]:
    """Return a panel as values for JSON and arrays, whose names begin with ``panel.``."""
    described, arrays = panel_parts(panel)
    described["ids"], ids = column_state(panel.ids, "panel.ids")
    return described, arrays | ids


def panel_from_state(described: Mapping[str, Any], arrays: Arrays) -> Panel:
    """Return the panel that `panel_state` described."""
    return panel_of_parts(described, arrays, column_from_state(described["ids"], arrays, "panel.ids"))


def panel_parts(panel: Panel) -> tuple[Described, Arrays]:
    """Return a panel without its ids, for who keeps these in a way of his own."""
    grid, parts = panel.grid, {name: getattr(panel, name) for name in _COVARIATES}
    described: Described = {
        "targets": list(panel.targets),
        "grid": {name: getattr(grid, name) for name in ("freq", "phase", "day", "clock")},
        "report": dataclasses.asdict(panel.report),
        "covariates": {
            name: {"names": part.names, "categories": part.categories} for name, part in parts.items()
        },
    }
    fields = ("offsets", "starts", "values", "ahead_offsets")
    arrays: Arrays = {f"panel.{name}": getattr(panel, name) for name in fields}
    arrays |= {f"panel.{name}": part.values for name, part in parts.items()}
    if grid.open_slots is not None:
        arrays["panel.open_slots"] = grid.open_slots
    return described, arrays


def panel_of_parts(described: Mapping[str, Any], arrays: Arrays, ids: pl.Series) -> Panel:
    """Return the panel of which `panel_parts` described all but the ids."""
    parts = {}
    for name, columns in described["covariates"].items():
        categories = {column: tuple(words) for column, words in columns["categories"].items()}
        values = arrays[f"panel.{name}"].astype(np.float64)
        parts[name] = Covariates(tuple(columns["names"]), values, categories)
    open_slots = arrays["panel.open_slots"].astype(bool) if "panel.open_slots" in arrays else None
    return Panel(
        ids=ids,
        targets=tuple(described["targets"]),
        grid=Grid(**described["grid"], open_slots=open_slots),
        report=_report(described["report"]),
        offsets=arrays["panel.offsets"].astype(np.int64),
        starts=arrays["panel.starts"].astype(np.int64),
        values=arrays["panel.values"].astype(np.float64),
        ahead_offsets=arrays["panel.ahead_offsets"].astype(np.int64),
        past=parts["past"],
        future=parts["future"],
        static=parts["static"],
        ahead=parts["ahead"],
    )


def _report(kept: Mapping[str, Any]) -> ReadReport:
    examples = {reason: tuple(shown) for reason, shown in kept["examples"].items()}
    # Models saved by version 0.1 counted the rows of a log as events, and the series of a panel.
    rows = kept["events"] if "events" in kept else kept["rows"]
    return ReadReport(
        kept["rows_read"], rows, kept["left_out"], examples, kept["adjusted"], kept.get("noted", {})
    )
