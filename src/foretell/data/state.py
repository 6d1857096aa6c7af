"""Logs and panels as tables, a row for each customer or series, and back: the data of a saved model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from foretell.core import FloatArray, IntArray
from foretell.core.constraints import plain
from foretell.core.contracts import Arrays, Described, State
from foretell.core.grid import Grid
from foretell.core.ragged import to_offsets
from foretell.data.calendar import Calendar
from foretell.data.covariates import Covariates
from foretell.data.log import EventLog
from foretell.data.panel import Panel
from foretell.data.refunds import Refunds
from foretell.data.report import ReadReport
from foretell.errors import DataError

CUSTOMERS, SERIES = "customers", "series"
_Number = TypeVar("_Number", np.int64, np.float64)
_PAST, _FUTURE, _STATIC, _AHEAD = _COVARIATES = ("past", "future", "static", "ahead")
# A clock is read tick by tick: so many are 1,000 years of hours.
_MOST_TICKS = 9_000_000


def ragged_column(values: npt.NDArray[np.generic], offsets: IntArray) -> pl.Series:
    """Return runs of values as a column of lists.

    Examples
    --------
    >>> ragged_column(np.array([5, 6, 7]), np.array([0, 1, 3])).to_list()
    [[5], [6, 7]]
    """
    # By way of polars: pyarrow imports pandas to look at numpy's arrays.
    parts = (pl.Series(part).to_arrow() for part in (offsets, values))
    column = pl.from_arrow(pa.LargeListArray.from_arrays(*parts))
    assert isinstance(column, pl.Series)  # noqa: S101  # an array comes back as a column
    return column


def lengths_of(column: pl.Series) -> IntArray:
    """Return the lengths of the lists of a column."""
    return column.list.len().to_numpy().astype(np.int64)


def values_of(column: pl.Series, kind: type[_Number]) -> npt.NDArray[_Number]:
    """Return the values of the lists of a column, one after the other."""
    return column.filter(column.list.len() > 0).explode().to_numpy().astype(kind, copy=False)


def log_state(log: EventLog) -> State:
    """Return a log as values for JSON and a table ``customers`` with lists of visits."""
    described = log.read_as | {
        "start": int(log.start),
        "as_of": int(log.as_of),
        "report": dataclasses.asdict(log.report),
        "holidays": log.holidays,
        "time_zone": log.time_zone,
        "refunds": log.refunds,
        "duplicates": log.duplicates,
        "excluded": [
            key if isinstance(key, (int, float, str)) else str(key) for key in map(plain, log.excluded)
        ],
        "calendar": None if log.calendar is None else calendar_state(log.calendar),
    }
    columns = {"unique_id": log.ids, "times": ragged_column(log.times, log.offsets)}
    columns |= {f"mark-{k}": ragged_column(mark, log.offsets) for k, mark in enumerate(log.marks.T)}
    tables = {}
    if log.groups is not None and log.group_names is not None:
        columns["groups"] = ragged_column(log.groups, log.offsets)
        tables["groups"] = pl.DataFrame({"group": log.group_names})
    if log.static is not None:
        described["static_categories"] = dict(log.static.categories)
        columns |= _static_columns(log.static)
    if len(log.refunded.events):
        tables["refunds"] = pl.DataFrame(vars(log.refunded))
    return State(described, tables={CUSTOMERS: pl.DataFrame(columns)} | tables)


def log_from_state(state: State) -> EventLog:
    """Return the log that `log_state` described; parts that do not fit each other are a DataError."""
    described, customers = state.described, state.tables[CUSTOMERS]
    names, times = tuple(described["mark_names"]), customers["times"]
    columns = [customers[f"mark-{k}"] for k in range(len(names))]
    if described["groups"]:
        columns.append(customers["groups"])
    lengths = lengths_of(times)
    if any((lengths_of(column) != lengths).any() for column in columns):
        raise DataError("the visits of the log's customers have marks or groups of other visits")
    marks = [values_of(column, np.float64) for column in columns[: len(names)]]
    log = EventLog(
        ids=customers["unique_id"],
        offsets=to_offsets(lengths),
        times=values_of(times, np.int64),
        marks=np.stack(marks, axis=1) if marks else np.zeros((int(lengths.sum()), 0)),
        mark_names=names,
        groups=values_of(customers["groups"], np.int64) if described["groups"] else None,
        group_names=state.tables["groups"]["group"] if described["groups"] else None,
        unit=described["unit"],
        merge=described["merge"],
        start=described["start"],
        as_of=described["as_of"],
        report=report_of_state(described["report"]),
        holidays=described.get("holidays"),
        time_zone=described.get("time_zone"),
        # Logs of the first versions kept all rows.
        refunds=described.get("refunds", "keep"),
        duplicates=described.get("duplicates", "keep"),
        excluded=tuple(described.get("excluded", ())),
        calendar=calendar_from_state(described.get("calendar")),
        refunded=_refunds(state.tables.get("refunds")),
        static=_static(described, customers),
    )
    _check_log(log)
    return log


def calendar_state(calendar: Calendar) -> dict[str, object]:
    """Return what JSON keeps of a calendar."""
    columns = calendar.columns
    return {
        "start": calendar.start,
        "names": list(columns.names),
        "categories": {name: list(words) for name, words in columns.categories.items()},
        "values": columns.values.tolist(),
    }


def calendar_from_state(described: Described | None) -> Calendar | None:
    """Return the calendar that `calendar_state` described, if there is one; refuse one of another shape."""
    if described is None:
        return None
    start, names = described["start"], tuple(described["names"])
    categories = {name: tuple(map(str, words)) for name, words in described["categories"].items()}
    values = np.array(described["values"], dtype=np.float64)
    dated = type(start) is int and abs(start) < _MOST_TICKS
    if not dated or values.ndim != 2 or not 0 < len(values) < _MOST_TICKS:
        raise DataError("the calendar has another shape than this version reads")
    check_names(names, values.shape[1])
    codes = {name: values[:, names.index(name)] for name in categories if name in names}
    faults: dict[str, bool | np.bool_] = {
        "infinite values": np.isinf(values).any(),
        "categories of no column": not set(categories) <= set(names),
        "codes without a category": any(
            ((known < 0) | (known >= len(categories[name]))).any() for name, known in codes.items()
        ),
    }
    refuse("calendar", faults)
    return Calendar(start, Covariates(names, values, categories))


def _static(described: Described, customers: pl.DataFrame) -> Covariates | None:
    names = tuple(described.get(_STATIC, ()))
    if not names:
        return None
    columns = [customers[f"{_STATIC}-{k}"].to_numpy().astype(np.float64) for k in range(len(names))]
    words = described["static_categories"].items()
    return Covariates(
        names, np.stack(columns, axis=1), {name: tuple(map(str, known)) for name, known in words}
    )


def _refunds(table: pl.DataFrame | None) -> Refunds:
    if table is None:
        return Refunds.none()
    events, columns, ticks = (
        table[name].to_numpy().astype(np.int64) for name in ("events", "columns", "ticks")
    )
    return Refunds(events, columns, ticks, table["before"].to_numpy().astype(np.float64))


def _fits(refunded: Refunds, log: EventLog) -> bool:
    """Tell whether refunds are of marks that a log has."""
    return bool(
        ((refunded.events >= 0) & (refunded.events < log.n_events)).all()
        and ((refunded.columns >= 0) & (refunded.columns < len(log.mark_names))).all()
        and (np.isfinite(refunded.before) & (refunded.before >= 0)).all()
    )


def _check_log(log: EventLog) -> None:
    """Refuse a log whose parts do not fit each other."""
    _check_ids(log.ids)
    check_names(log.mark_names, log.marks.shape[1])
    if not all(type(tick) is int for tick in (log.start, log.as_of)) or (
        not 0 <= log.as_of - log.start < _MOST_TICKS
    ):
        raise DataError(f"the log runs from {log.start} to {log.as_of}: a period of another length")
    same = log.owner[1:] == log.owner[:-1]
    groups = np.zeros(1) if log.groups is None else log.groups
    faults: dict[str, bool | np.bool_] = {
        "customers without visits": (log.counts < 1).any(),
        "an unknown clock": log.unit not in {"day", "hour"} or log.merge not in {"hour", "day", "week", None},
        "visits out of order": (np.diff(log.times)[same] < 0).any(),
        "visits out of the period": ((log.times < log.start) | (log.times > log.as_of)).any(),
        "marks that are infinite or below 0": (np.isinf(log.marks) | (log.marks < 0)).any(),
        "unknown rules of reading": log.refunds not in {"net", "drop", "keep"}
        or log.duplicates not in {"drop", "keep", "sum"},
        "refunds of other visits": not _fits(log.refunded, log),
        "groups without a name": ((groups < 0) | (groups >= max(len(_or_none(log.group_names)), 1))).any(),
    }
    if log.static is not None:
        faults |= _covariate_faults(_STATIC, log.static)
    refuse("log", faults)


def _or_none(names: pl.Series | None) -> pl.Series:
    return pl.Series([]) if names is None else names


def check_names(names: Sequence[object], n_columns: int) -> None:
    """Refuse names that are none, or not those of so many columns."""
    texts = {name for name in names if isinstance(name, str)}
    if len(texts) != len(names) or len(names) != n_columns:
        raise DataError(f"{list(names)} are no names of {n_columns} columns")


def _check_ids(ids: pl.Series) -> None:
    sorted_ids = ids.sort() if ids.dtype != pl.Null else ids
    if ids.null_count() or ids.n_unique() != len(ids) or not ids.equals(sorted_ids):
        raise DataError("ids are missing, double or not in order")


def refuse(what: str, faults: Mapping[str, bool | np.bool_]) -> None:
    """Refuse something that has any of some faults."""
    wrong = [fault for fault, there in faults.items() if there]
    if wrong:
        raise DataError(f"the {what} has {', '.join(wrong)}")


def panel_state(panel: Panel) -> State:
    """Return a panel as values for JSON and a table ``series`` with lists of values."""
    grid = panel.grid
    described = panel.read_as | {
        "grid": {name: getattr(grid, name) for name in ("freq", "phase", "day", "clock")},
        "report": dataclasses.asdict(panel.report),
        "categories": {name: getattr(panel, name).categories for name in _COVARIATES},
    }
    columns = {"unique_id": panel.ids, "start": pl.Series(panel.starts)}
    columns |= _ragged("value", panel.values, panel.offsets)
    for name in (_PAST, _FUTURE):
        columns |= _ragged(name, getattr(panel, name).values, panel.offsets)
    columns |= _ragged(_AHEAD, panel.ahead.values, panel.ahead_offsets)
    columns |= _static_columns(panel.static)
    tables = {SERIES: pl.DataFrame(columns)}
    if grid.open_slots is not None:
        tables["week"] = pl.DataFrame({"open": grid.open_slots})
    return State(described, tables=tables)


def _static_columns(static: Covariates) -> dict[str, pl.Series]:
    return {f"{_STATIC}-{k}": pl.Series(column) for k, column in enumerate(static.values.T)}


def _ragged(name: str, values: FloatArray, offsets: IntArray) -> dict[str, pl.Series]:
    return {f"{name}-{k}": ragged_column(column, offsets) for k, column in enumerate(values.T)}


def panel_from_state(state: State) -> Panel:
    """Return the panel that `panel_state` described; parts that do not fit each other are a DataError."""
    described, series = state.described, state.tables[SERIES]
    targets = tuple(described["targets"])
    lengths = lengths_of(series["value-0"])
    values = _stacked(series, "value", len(targets), lengths)
    n_future = len(described[_FUTURE])
    n_ahead = lengths_of(series[f"{_AHEAD}-0"]) if n_future else np.zeros(len(lengths), dtype=np.int64)
    known = {
        _PAST: _stacked(series, _PAST, len(described[_PAST]), lengths),
        _FUTURE: _stacked(series, _FUTURE, n_future, lengths),
        _AHEAD: _stacked(series, _AHEAD, n_future, n_ahead),
        _STATIC: _columns(
            [series[f"{_STATIC}-{k}"].to_numpy() for k in range(len(described[_STATIC]))], len(lengths)
        ),
    }
    parts = {
        name: Covariates(
            tuple(described[_FUTURE if name == _AHEAD else name]),
            values,
            {column: tuple(map(str, words)) for column, words in described["categories"][name].items()},
        )
        for name, values in known.items()
    }
    panel = Panel(
        ids=series["unique_id"],
        targets=targets,
        grid=Grid(
            **described["grid"],
            open_slots=state.tables["week"]["open"].to_numpy() if "week" in state.tables else None,
        ),
        report=report_of_state(described["report"]),
        offsets=to_offsets(lengths),
        starts=series["start"].to_numpy().astype(np.int64),
        values=values,
        ahead_offsets=to_offsets(n_ahead),
        past=parts[_PAST],
        future=parts[_FUTURE],
        static=parts[_STATIC],
        ahead=parts[_AHEAD],
    )
    _check_panel(panel)
    return panel


def _stacked(series: pl.DataFrame, name: str, n_columns: int, lengths: IntArray) -> FloatArray:
    """Return the lists of some columns as the columns of an array."""
    columns = [series[f"{name}-{k}"] for k in range(n_columns)]
    if any((lengths_of(column) != lengths).any() for column in columns):
        raise DataError(f"the {name}s of the panel's series have other lengths than their values")
    return _columns([values_of(column, np.float64) for column in columns], int(lengths.sum()))


def _columns(columns: list[FloatArray], n_rows: int) -> FloatArray:
    return np.stack(columns, axis=1) if columns else np.zeros((n_rows, 0))


def _check_panel(panel: Panel) -> None:
    """Refuse a panel whose parts do not fit each other."""
    _check_ids(panel.ids)
    check_names(panel.targets, panel.values.shape[1])
    faults: dict[str, bool | np.bool_] = {
        "series without a step": (panel.lengths < 1).any(),
        "infinite values": np.isinf(panel.values).any(),
        "another grid": any(type(getattr(panel.grid, name)) is not int for name in ("phase", "day", "clock")),
        "other categories ahead": panel.future.categories != panel.ahead.categories,
    }
    for name in _COVARIATES:
        faults |= _covariate_faults(name, getattr(panel, name))
    refuse("panel", faults)


def _covariate_faults(name: str, part: Covariates) -> dict[str, bool | np.bool_]:
    check_names(part.names, part.values.shape[1])
    faults: dict[str, bool | np.bool_] = {
        f"categories of no {name} column": not set(part.categories) <= set(part.names)
    }
    for k, column in enumerate(part.names):
        codes = part.values[:, k]
        if column in part.categories:
            known = codes[~np.isnan(codes)]
            n_words = len(part.categories[column])
            faults[f"{column}: codes without a category"] = (
                (known < 0) | (known >= n_words) | (known % 1 != 0)
            ).any()
        else:
            faults[f"{column}: infinite values"] = np.isinf(codes).any()
    return faults


def report_of_state(kept: Described) -> ReadReport:
    """Return the report that JSON describes."""
    examples = {reason: tuple(shown) for reason, shown in kept["examples"].items()}
    return ReadReport(**dict(kept) | {"examples": examples})


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
