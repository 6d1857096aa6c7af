"""From what was sent to what models learn from: the first rows of a source, its columns, logs and panels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import polars as pl
import sqlalchemy as sa

from foretell.core.contracts import Kind
from foretell.core.time import UNIT_SECONDS
from foretell.data.events import read_events
from foretell.data.files import head_of_file
from foretell.data.series import read_series
from foretell.errors import DataError, EmptyLogError, ForetellError, ParameterError, SourceError
from foretell.serve.bodies import CompareAsk, DatabaseAsk, FitAsk, Reading
from foretell.serve.store import Source, Store

if TYPE_CHECKING:
    from foretell.data.log import EventLog
    from foretell.data.panel import Panel

HEAD: Final = 5  # rows
_SERVERS: Final = ("postgresql", "postgres", "mysql", "mariadb")
_OURS: Final = ("auto", "network", "prior")
_COMPARED: Final = {
    "events": ("prior", "pareto/nbd", "bg/nbd", "repeat rate", "mean gap"),
    "series": ("prior", "seasonal naive", "naive", "drift"),
}


def remember_database(store: Store, ask: DatabaseAsk) -> Source:
    """Keep a table of a database on a server; those that are files are sent as files.

    Raises
    ------
    SourceError
        It is no server's, or its address holds options, by which drivers can be made to read files.
    """
    try:
        url = sa.make_url(ask.url)
    except (sa.exc.ArgumentError, ValueError):
        raise SourceError(
            "the address cannot be parsed; expected one such as postgresql://user:password@host/database"
        ) from None
    if url.get_backend_name() not in _SERVERS or not url.host or url.host.startswith("/"):
        raise SourceError(
            f"{url.get_backend_name()} databases are not read here; expected one of {', '.join(_SERVERS)} "
            "on a host; send the rows of others as a file"
        )
    if url.query:
        raise SourceError(f"the address holds options ({', '.join(url.query)}); expected none")
    if (ask.table is None) == (ask.query is None):
        raise ParameterError("a database needs one of table= and query=")
    label = f"{ask.table or 'the query'} of {url.database} on {url.host}"
    return store.remember_database(ask.url, label, ask.table, ask.query)


def head(source: Source, sheet: str | None = None) -> pl.DataFrame:
    """Return the first rows of a source."""
    try:
        if source.how:
            from foretell.data.database import head_of_table  # noqa: PLC0415  # most sources are files

            return head_of_table(source.rows, HEAD, **source.how)
        return head_of_file(source.rows, HEAD, sheet)
    except ForetellError as error:
        raise type(error)(source.said(str(error))) from error


def read(source: Source, how: Reading, calendar: Source | None = None) -> EventLog | Panel:
    """Read a source, as a log of visits or as regular series."""
    if how.kind == "events":
        if how.id is None:
            raise ParameterError("id=None; expected the column of the customer")
        shared = _shared(source, how) | {"marks": how.marks, "group": how.group} | _calendar(calendar)
        return read_events(source.rows, id=how.id, time=how.time, **shared)
    if calendar is not None:
        raise ParameterError("calendar= is for visits; regular series have their covariates beside them")
    if not how.target:
        raise ParameterError("target=[]; expected the column to forecast")
    shared = _shared(source, how) | {"freq": how.freq}
    return read_series(source.rows, id=how.id, time=how.time, target=how.target, **shared)


def _shared(source: Source, how: Reading) -> dict[str, Any]:
    names = ("time_format", "time_zone", "as_of", "sheet", "static", "categorical")
    return {name: getattr(how, name) for name in names} | source.how


def _calendar(calendar: Source | None) -> dict[str, str]:
    """Return the calendar as the reader of visits takes it."""
    if calendar is not None and calendar.how:
        raise ParameterError(f"calendar={calendar.label!r} is a table of a database; expected a file")
    return {} if calendar is None else {"calendar": calendar.rows}


def read_later(
    source: Source, how: Reading, log: EventLog, as_of: str | None, calendar: Source | None = None
) -> EventLog:
    """Read what came after a log's end, with its own unit, merging, marks and rules."""
    if how.id is None:
        raise ParameterError("id=None; expected the column of the customer")
    end = as_of or how.as_of
    log.check_later(end)
    shared = _shared(source, how) | {"as_of": end} | log.own_reading | _calendar(calendar)
    shared["time_zone"] = shared["time_zone"] or log.time_zone
    try:
        return read_events(
            source.rows,
            id=how.id,
            time=how.time,
            group=how.group if log.groups is not None else None,
            start=log.date(log.as_of + 1),
            exclude=list(log.excluded) or None,
            **shared,
        )
    except EmptyLogError as error:
        if end is None:
            raise log.nothing_later(error) from error
        return log.quiet_until(log.last_tick(end))


def forecaster(ask: FitAsk, data: EventLog | Panel) -> Any:
    """Return the forecaster that a request asks for, unfitted."""
    model: Any = _build(ask.by, data.kind)
    settings: dict[str, object] = {"seed": ask.seed} if ask.by in _OURS else {}
    if data.kind == "series":
        if ask.horizon is None:
            raise ParameterError("horizon=None; expected how far to forecast, in steps or such as '4w'")
        settings["horizon"] = data.ticks_of(ask.horizon)
    elif ask.horizon is not None:
        raise ParameterError("horizon= is for regular series: a model of visits answers for any")
    return model.set_params(**settings)


def comparison(ask: CompareAsk, data: EventLog | Panel) -> tuple[object, int, list[Any]]:
    """Return the cut-off, the horizon and the models of a comparison: by default the last quarter."""
    names = ask.models or _COMPARED[data.kind]
    models: list[Any] = [_build(name, data.kind) for name in names]
    if data.kind == "series":
        panel = cast("Panel", data)
        shortest = int(panel.lengths.max())
        steps = max(min(shortest // 4, 28), 1) if ask.horizon is None else panel.ticks_of(ask.horizon)
        for model in models:
            model.set_params(horizon=steps)
        return None, steps, models
    log = cast("EventLog", data)
    day = UNIT_SECONDS["day"] // UNIT_SECONDS[log.unit]
    span = log.as_of - log.start
    ticks = min(max(span // 4, 1), 365 * day) if ask.horizon is None else log.ticks_of(ask.horizon)
    if ticks >= span:
        raise DataError(
            f"horizon={ask.horizon!r} is longer than the log; expected less than {span} {log.axis.ticks}"
        )
    return log.date(log.as_of - ticks), ticks, models


def _build(name: str, kind: Kind) -> Any:
    """Return a model by its name: one of ours, a statistic or a rule."""
    if name in _OURS and kind == "events":
        # Without the models of the other question, and the engine, which prior answers do without.
        from foretell.events.forecaster import EventForecaster  # noqa: PLC0415

        return EventForecaster(model=name)
    from foretell.evaluation.tasks import TASKS  # noqa: PLC0415

    task = TASKS[kind]
    if name in _OURS:
        return task.build("foretell").set_params(model=name)
    if name not in task.models:
        known = ", ".join([*_OURS, *task.models])
        raise ParameterError(f"there is no model {name!r}; expected one of {known}")
    return task.build(name)
