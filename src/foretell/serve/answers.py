"""What the service asks of models of either kind, and what it takes for an answer: tables."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import numpy as np
import polars as pl

from foretell.core.constraints import as_levels
from foretell.core.contracts import Kind
from foretell.core.ragged import Ragged
from foretell.core.time import UNIT_SECONDS
from foretell.data.events import read_events
from foretell.data.log import EventLog
from foretell.data.tables import asked_customers
from foretell.errors import EmptyLogError, ParameterError
from foretell.serve.bodies import (
    ExplainAsk,
    Horizon,
    Id,
    PredictAsk,
    ShortlistAsk,
    SpendAsk,
    TotalsAsk,
    ValueAsk,
    Visit,
)
from foretell.serve.settings import Limits

if TYPE_CHECKING:
    from foretell.data.panel import Panel
    from foretell.events.forecaster import EventForecaster
    from foretell.events.totals import By
    from foretell.explanations import Explanation
    from foretell.series.forecaster import SeriesForecaster

    Model: TypeAlias = EventForecaster | SeriesForecaster
    _Stretch: TypeAlias = PredictAsk | SpendAsk | ValueAsk

HORIZONS: Final[tuple[Horizon, ...]] = ("7d", "30d", "90d")


def data_of(model: Model) -> EventLog | Panel:
    """Return the log or panel that a model answers about."""
    return model.log_ if model.kind == "events" else model.panel_  # type: ignore[union-attr]  # by its kind


def check_reach(data: Ragged, horizons: Iterable[Horizon], limits: Limits) -> None:
    """Refuse to look further ahead than the service does."""
    per_day = UNIT_SECONDS["day"] / UNIT_SECONDS["hour"] if getattr(data, "unit", "day") == "hour" else 1
    for horizon in horizons:
        ticks = data.ticks_of(horizon)
        if ticks > limits.days * per_day:
            raise ParameterError(
                f"horizon={horizon!r} is {ticks:,} {data.axis.ticks} ahead; this service looks at most "
                f"{int(limits.days * per_day):,} ahead"
            )


def whole(levels: Iterable[float]) -> tuple[float, ...]:
    """Return levels as the names of columns have them: 80, not 80.0.

    Examples
    --------
    >>> whole([80.0, 97.5])
    (80, 97.5)
    """
    return as_levels([int(level) if level == int(level) else level for level in levels])


def predict(model: Model, ask: PredictAsk, limits: Limits) -> pl.DataFrame:
    """Answer for some customers or series, or for a stretch of all."""
    _check_rows(ask, limits)
    check_reach(data_of(model), ask.horizons or (), limits)
    return _PREDICT[model.kind](model, ask)


def _check_ids(ids: Sequence[Id] | None, limits: Limits) -> None:
    """Refuse more customers or series than the service looks up at once."""
    if ids is not None and len(ids) > limits.ids:
        raise ParameterError(f"{len(ids):,} ids at once; this service takes at most {limits.ids:,}")


def _check_rows(ask: _Stretch, limits: Limits) -> None:
    """Refuse more rows than the service answers with."""
    _check_ids(ask.ids, limits)
    if ask.limit > limits.rows:
        raise ParameterError(f"limit={ask.limit:,}; this service answers with at most {limits.rows:,} rows")


def _asked_for(model: EventForecaster, ask: _Stretch) -> list[Id]:
    """Return the customers of a question: those named, or a stretch of all."""
    if ask.ids is not None:
        return ask.ids
    if ask.offset >= model.log_.n_customers:
        raise ParameterError(
            f"offset={ask.offset}; expected less than the number of customers, {model.log_.n_customers}"
        )
    return model.log_.ids[ask.offset : ask.offset + ask.limit].to_list()


def _predict_events(model: EventForecaster, ask: PredictAsk) -> pl.DataFrame:
    ids = ask.ids
    if ask.visits is not None or ask.as_of is not None:
        asked = ids if ids is not None else list(dict.fromkeys(visit.id for visit in ask.visits or ()))
        if not asked:
            raise ParameterError("as_of= without visits= needs ids=: who was silent up to that date")
        model, ids = what_if(model, ask.visits or [], ask.as_of, asked), asked
    if ids is None:
        ids = _asked_for(model, ask)
    return model.predict(ask.horizons or HORIZONS, whole(ask.levels), ids)


def _predict_series(model: SeriesForecaster, ask: PredictAsk) -> pl.DataFrame:
    if ask.visits is not None or ask.as_of is not None:
        raise ParameterError("visits= and as_of= are for models of visits; this is one of regular series")
    if ask.horizons is not None and len(ask.horizons) > 1:
        raise ParameterError(f"horizons={ask.horizons!r}; expected one: all steps up to it come out")
    panel = model.panel_
    steps = None if ask.horizons is None else panel.ticks_of(ask.horizons[0])
    if ask.ids is not None:
        panel = panel.select(ask.ids)
    else:
        end = min(ask.offset + ask.limit, panel.n_series)
        if ask.offset >= end:
            raise ParameterError(f"offset={ask.offset}; expected less than the number of series, {end}")
        panel = panel.take(np.arange(ask.offset, end))
    return model.predict(panel, horizon=steps, levels=whole(ask.levels))


_PREDICT: Final[dict[Kind, Callable[..., pl.DataFrame]]] = {
    "events": _predict_events,
    "series": _predict_series,
}


def spend(model: Model, ask: SpendAsk, limits: Limits) -> pl.DataFrame:
    """Say what customers will spend."""
    _check_rows(ask, limits)
    check_reach(data_of(model), ask.horizons, limits)
    forecaster = _of_visits(model, "spend is that")
    return forecaster.predict_spend(
        ask.horizons, whole(ask.levels), _asked_for(forecaster, ask), mark=ask.mark
    )


def value(model: Model, ask: ValueAsk, limits: Limits) -> pl.DataFrame:
    """Say what customers' visits to come are worth today."""
    _check_rows(ask, limits)
    check_reach(data_of(model), [ask.horizon], limits)
    forecaster = _of_visits(model, "value is that")
    ids = _asked_for(forecaster, ask)
    return forecaster.predict_value(ask.horizon, discount=ask.discount, ids=ids, mark=ask.mark)


def _of_visits(model: Model, what: str) -> EventForecaster:
    """Return a model of visits; refuse others, which know of no customers."""
    if model.kind != "events":
        raise ParameterError(f"{what} of customers; this is a model of regular series")
    return cast("EventForecaster", model)


def totals(model: Model, ask: TotalsAsk, limits: Limits) -> pl.DataFrame:
    """Answer for many together."""
    _check_ids(ask.ids, limits)
    check_reach(data_of(model), [] if ask.horizon is None else [ask.horizon], limits)
    if model.kind == "series":
        if ask.mark is not None or ask.newcomers:
            raise ParameterError(
                "mark= and newcomers= are for models of visits; this is one of regular series"
            )
        from foretell.series.totals import totals_of  # noqa: PLC0415  # the other question's

        series = cast("SeriesForecaster", model)
        steps = series.horizon if ask.horizon is None else series.panel_.ticks_of(ask.horizon)
        return totals_of(series, int(steps), ask.by, whole(ask.levels), ask.ids)
    from foretell.events.totals import predict_totals  # noqa: PLC0415  # the other question's

    if len(ask.by) > 1:
        raise ParameterError(f"by={ask.by!r}; expected one of week, month, group")
    by = cast("By", ask.by[0]) if ask.by else None
    forecaster, horizon = cast("EventForecaster", model), ask.horizon or "1mo"
    if ask.newcomers:
        from foretell.acquisition import predict_shop  # noqa: PLC0415  # needs series, too

        if ask.ids is not None or by == "group":
            raise ParameterError("newcomers= are those of the whole shop: without ids= and by=['group']")
        return predict_shop(forecaster, horizon, by, whole(ask.levels), mark=ask.mark)
    return predict_totals(forecaster, horizon, by, whole(ask.levels), ask.ids, ask.mark)


def shortlist(model: Model, ask: ShortlistAsk, limits: Limits) -> pl.DataFrame:
    """Say whom to write to."""
    check_reach(data_of(model), [ask.horizon], limits)
    return _of_visits(model, "a shortlist is one").shortlist(**ask.model_dump())


def explain(model: Model, ask: ExplainAsk, limits: Limits) -> Explanation:
    """Say why one forecast is what it is."""
    from foretell.explanations import explain as run  # noqa: PLC0415  # brings JAX

    check_reach(data_of(model), [ask.horizon] if model.kind == "events" else [], limits)
    return run(model, ask.id, horizon=ask.horizon, target=ask.target, language=ask.language)


def read_visits(model: EventForecaster, visits: Sequence[Visit], as_of: str | None) -> EventLog:
    """Read visits that a model has not seen, with its own unit, merging, marks and rules.

    Those up to its as-of date are left out, so that visits may be sent twice.
    """
    log = model.log_
    unknown = sorted({mark for visit in visits for mark in visit.marks} - set(log.mark_names))
    if unknown:
        raise ParameterError(f"marks={unknown!r} are not the model's, which are {list(log.mark_names)!r}")
    strange = sorted({name for visit in visits for name in visit.static} - set(log.static_names))
    if strange:
        raise ParameterError(
            f"static={strange!r} is not what the model knows of customers: {list(log.static_names)!r}"
        )
    ids = [visit.id for visit in visits]
    try:
        names = pl.Series("id", ids, dtype=log.ids.dtype if log.ids.dtype.is_integer() else pl.String)
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise ParameterError(f"ids are {log.ids.dtype} in this model; got {ids[:3]!r}") from error
    log.check_later(as_of)
    columns: dict[str, object] = {"id": names, "time": [visit.time for visit in visits]}
    for mark in log.mark_names:
        columns[mark] = pl.Series([visit.marks.get(mark) for visit in visits], dtype=pl.Float64)
    if log.groups is not None:
        columns["group"] = [None if visit.group is None else str(visit.group) for visit in visits]
    for name in log.static_names:
        given = [visit.static.get(name) for visit in visits]
        columns[name] = _known(name, given, named=name in log.static_categories)
    start = log.date(log.as_of + 1)
    try:
        later = read_events(
            pl.DataFrame(columns),
            id="id",
            time="time",
            group="group" if log.groups is not None else None,
            time_zone=log.time_zone,
            ids=list(dict.fromkeys(names.to_list())),
            start=start,
            as_of=as_of,
            **log.own_reading,
        )
    except EmptyLogError as error:
        if as_of is None:
            raise log.nothing_later(error) from error
        return log.quiet_until(log.last_tick(as_of))
    return later


def _known(name: str, given: Sequence[float | str | None], *, named: bool) -> pl.Series:
    """Return what is known of the customers of visits; refuse words where the model knows numbers."""
    if named:
        return pl.Series([None if value is None else str(value) for value in given], dtype=pl.String)
    words = [value for value in given if isinstance(value, str)]
    if words:
        raise ParameterError(f"static {name!r} is {words[0]!r}; expected a number")
    return pl.Series(given, dtype=pl.Float64)


def what_if(
    model: EventForecaster, visits: Sequence[Visit], as_of: str | None, ids: Sequence[object]
) -> EventForecaster:
    """Return the model as it would stand for some customers after further visits; nothing is kept of it.

    The shop's own level and season stay as the model knows them: they do not move by a few visits.
    """
    log = model.log_
    later = read_visits(model, visits, as_of) if visits else log.quiet_until(log.last_tick(as_of))
    known = asked_customers(log, list(itertools.chain(ids, later.ids.to_list()))).places
    known = np.unique(known[known >= 0])
    if len(known):
        merged = log.take(known).extended(later)[0]
    elif later.n_customers:
        merged = dataclasses.replace(later, start=log.start)
    else:
        raise ParameterError(f"none of ids={list(ids)[:3]!r} is in the log, and nobody is said to have come")
    return copy.copy(model).attach(merged)
