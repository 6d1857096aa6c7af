"""What the commands do differently for visits and for regular series: chosen once, at the way in."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, cast

from foretell.cli import terminal
from foretell.cli.options import (
    PictureOptions,
    ReadOptions,
    RowOptions,
    SpendOptions,
    TotalsOptions,
    WhatIfOptions,
)
from foretell.errors import EmptyLogError, ParameterError, StorageError

if TYPE_CHECKING:
    import polars as pl

    from foretell.baselines.statistic import EventStatistic, SeriesStatistic
    from foretell.contacts import WhatIf
    from foretell.core.contracts import Kind, Task
    from foretell.data.log import EventLog
    from foretell.data.panel import Panel
    from foretell.evaluation.evaluation import Evaluation
    from foretell.events.forecaster import EventForecaster
    from foretell.events.totals import By
    from foretell.plotting.charts import Chart
    from foretell.series.forecaster import SeriesForecaster

    Data: TypeAlias = EventLog | Panel
    Model: TypeAlias = EventForecaster | EventStatistic | SeriesForecaster | SeriesStatistic
    Charts: TypeAlias = dict[str, Callable[[], Chart]]


class _Question:
    """What the commands do for either question."""

    kind: ClassVar[Kind]
    needs_horizon: ClassVar[bool] = False

    @property
    def task(self) -> Task:
        """The models and the figures."""
        from foretell.evaluation.tasks import TASKS  # noqa: PLC0415

        return TASKS[self.kind]

    def update(self, model: Model, options: RowOptions) -> None:
        """Read what came after a model's as-of date, and move it forward."""
        del model, options
        raise ParameterError(
            "update takes a model of visits, and this is one of regular series: fit it again"
        )

    def shortlist(self, model: Model, top: int | None, horizon: str, how: Mapping[str, Any]) -> pl.DataFrame:
        """Return the customers worth writing to."""
        del model, top, horizon, how
        raise ParameterError("shortlist takes a model of visits, and this is one of regular series")

    def spend(self, model: Model, ask: SpendOptions) -> pl.DataFrame:
        """Return what customers will spend."""
        del model, ask
        raise ParameterError("spend takes a model of visits, and this is one of regular series")

    def effects(self, model: Model, horizon: str) -> pl.DataFrame:
        """Return the factors of what is known of customers."""
        del model, horizon
        raise ParameterError("effects takes a model of visits, and this is one of regular series")

    def what_if(self, model: Model, ask: WhatIfOptions) -> WhatIf:
        """Return what a contact would bring."""
        del model, ask
        raise ParameterError("what-if takes a model of visits, and this is one of regular series")

    def report(self, model: Model, out: Path, *, language: str, since: Path | None) -> None:
        """Write the page of a shop."""
        del model, out, language, since
        raise ParameterError("report takes a model of visits, and this is one of regular series")

    def check_horizon(self, text: str | None) -> None:
        """Refuse to do without a horizon where models have to know it."""
        if self.needs_horizon and text is None:
            raise ParameterError(
                "--target needs --horizon: how far to forecast, in steps or as a duration, such as "
                "--horizon 13 or --horizon 4w"
            )

    def horizon(self, text: str, data: Data, option: str = "--horizon") -> str | int:
        """Return a duration, or a number of ticks or steps, that can be counted on the data's time axis."""
        length = int(text) if text.isdecimal() else text
        try:
            ticks = data.ticks_of(length)
        except ParameterError as error:
            raise ParameterError(f"{option} {text}: {error}") from error
        return ticks if self.needs_horizon else length

    def prepare(self, model: Model, horizon: str | int) -> None:
        """Set the steps that a forecaster is trained for, where it has to know them."""
        if self.needs_horizon:
            model.set_params(horizon=horizon)


class Events(_Question):
    """Logs of visits: when each customer comes next."""

    kind = "events"

    def read(self, options: ReadOptions) -> EventLog:
        """Read a log of visits."""
        return self.log(options, options.mark or ())

    def log(self, options: ReadOptions, marks: Sequence[str]) -> EventLog:
        """Read a log of visits with some marks."""
        return self._read(
            options,
            marks=marks,
            unit=options.unit,
            merge=None if options.merge == "none" else options.merge,
            start=options.start,
            min_events=options.min_events,
            refunds=options.refunds or "net",
            duplicates=options.duplicates or "drop",
            holidays=options.holidays,
            static=options.static or (),
            categorical=options.categorical or (),
        )

    def update(self, model: Model, options: RowOptions) -> None:
        """Read what came after a model's as-of date, with its own unit, merging, marks and rules."""
        log = self.data(model)
        log.check_later(options.as_of)
        start = log.date(log.as_of + 1)
        options = dataclasses.replace(
            options,
            time_zone=options.time_zone or log.time_zone,
            exclude=options.exclude or [str(customer) for customer in log.excluded],
        )
        try:
            later = self._read(options, start=start, **log.own_reading)
        except EmptyLogError as error:
            if options.as_of is None:
                raise log.nothing_later(error) from error
            terminal.say(f"no visits from {start} to {options.as_of}: {error}")
            later = log.quiet_until(log.last_tick(options.as_of))
        cast("EventForecaster", model).update(later)

    @staticmethod
    def _read(options: RowOptions, **how: object) -> EventLog:
        from foretell.data.events import read_events  # noqa: PLC0415

        names = ("id", "time", "group", "customers", "calendar")
        how |= options.shared() | {name: getattr(options, name) for name in names}
        with terminal.busy("reading"):
            log = read_events(options.rows, **how)  # type: ignore[arg-type]  # options of the same types
        terminal.say(log.report)
        last = log.date(log.as_of)
        terminal.say(f"{log.n_customers:,} customers, observed from {log.date(log.start)} to {last}")
        return log

    def data(self, model: Model) -> EventLog:
        """Return the log."""
        return cast("EventForecaster", model).log_

    def summary(self, model: Model) -> tuple[str, dict[str, object]]:
        """Return customers, events and dates."""
        log = self.data(model)
        as_of = log.date(log.as_of)
        return f"model of {log.n_customers:,} customers as of {as_of}", {
            "customers": log.n_customers,
            "events": log.n_events,
            "start": str(log.date(log.start)),
            "as_of": str(as_of),
            **log.report.counts(),
        }

    def predict(
        self, model: Model, horizons: Sequence[str] | None, levels: Sequence[int], ids: Sequence[str] | None
    ) -> Iterator[pl.DataFrame]:
        """Return one row per customer; ids that the log does not know are new customers."""
        log = self.data(model)
        chosen = typed_ids(log.ids, ids) if ids else None
        known = set(log.ids.to_list())
        strangers = [str(customer) for customer in chosen or () if customer not in known]
        if strangers:
            terminal.say(f"not in the log, forecast as new customers: {', '.join(strangers)}")
        return cast("EventForecaster", model).predict_blocks(self.horizons(horizons, log), levels, chosen)

    def shortlist(self, model: Model, top: int | None, horizon: str, how: Mapping[str, Any]) -> pl.DataFrame:
        """Return the customers worth writing to, the best first."""
        length = self.horizon(horizon, self.data(model))
        return cast("EventForecaster", model).shortlist(top or 200, length, **how)

    def effects(self, model: Model, horizon: str) -> pl.DataFrame:
        """Return the factors of what is known of customers."""
        length = self.horizon(horizon, self.data(model))
        return cast("EventForecaster", model).customer_effects(length)

    def report(self, model: Model, out: Path, *, language: str, since: Path | None) -> None:
        """Write the page of a shop."""
        from foretell.report import write_report  # noqa: PLC0415

        write_report(cast("EventForecaster", model), out, language=language, since=since)

    def totals(self, model: Model, ask: TotalsOptions, levels: Sequence[float]) -> pl.DataFrame:
        """Return the expected visits, or the spend, of many customers together."""
        from foretell.events.totals import predict_totals  # noqa: PLC0415

        by = ask.by or []
        if len(by) > 1:
            raise ParameterError(f"--by {' --by '.join(by)}; expected one of week, month, group")
        log = self.data(model)
        chosen, split = typed_ids(log.ids, ask.id) if ask.id else None, cast("By", by[0]) if by else None
        forecaster = cast("EventForecaster", model)
        horizon = self.horizon(ask.horizon or "1mo", log)
        if ask.newcomers:
            from foretell.acquisition import predict_shop  # noqa: PLC0415

            if chosen is not None or split == "group":
                raise ParameterError("--newcomers are those of the whole shop: without --id and --by group")
            return predict_shop(forecaster, horizon, split, levels, mark=ask.of)
        return predict_totals(forecaster, horizon, split, levels, chosen, ask.of)

    def spend(self, model: Model, ask: SpendOptions) -> pl.DataFrame:
        """Return what each customer will spend, or what their visits to come are worth today."""
        forecaster, log = cast("EventForecaster", model), self.data(model)
        chosen = typed_ids(log.ids, ask.id) if ask.id else None
        if ask.discount is None:
            horizons = [self.horizon(text, log) for text in ask.horizon or ("30d", "90d")]
            return forecaster.predict_spend(horizons, ask.level or [80], chosen, mark=ask.mark)
        horizons = [self.horizon(text, log) for text in ask.horizon or ("1y",)]
        if len(horizons) > 1 or ask.level:
            raise ParameterError("--discount gives the value up to one --horizon, without intervals")
        return forecaster.predict_value(horizons[0], discount=ask.discount, ids=chosen, mark=ask.mark)

    def what_if(self, model: Model, ask: WhatIfOptions) -> WhatIf:
        """Return what a contact would bring, by earlier ones."""
        from foretell.contacts import read_contacts, what_if  # noqa: PLC0415  # seldom wanted

        log = self.data(model)
        sent = read_contacts(ask.contacts, id=ask.contact_id, time=ask.contact_time, kind=ask.contact_kind)
        chosen = typed_ids(log.ids, ask.id) if ask.id else None
        horizon = self.horizon(ask.horizon, log)
        forecaster = cast("EventForecaster", model)
        return what_if(forecaster, sent, ask.on, chosen, horizon=horizon, within=ask.within, kind=ask.kind)

    def horizons(self, given: Sequence[str] | None, log: EventLog) -> list[str | int]:
        """Return the horizons of a forecast."""
        return [self.horizon(text, log) for text in given or ("7d", "30d", "90d")]

    def comparison(self, evaluation: Evaluation) -> Charts:
        """Draw the weekly totals, and how probabilities came true."""
        from foretell import plotting  # noqa: PLC0415

        return {
            "tracking": functools.partial(plotting.plot_tracking, evaluation),
            "reliability": functools.partial(plotting.plot_reliability, evaluation),
        }

    def check_picture(self, ask: PictureOptions) -> None:
        """Refuse a picture of one customer without the customer, and what goes with other kinds."""
        if ask.kind in {"next", "spend"} and ask.id is None:
            raise ParameterError(f"the kind {ask.kind} shows one customer: name it with --id")
        if (ask.newcomers or ask.by != "week") and ask.kind != "totals":
            raise ParameterError("--by and --newcomers go with --kind totals")
        if ask.of is not None and ask.kind not in {"totals", "spend", "value"}:
            raise ParameterError("--of goes with the kinds totals, spend and value")
        if ask.newcomers and ask.by == "group":
            raise ParameterError("--newcomers are those of the whole shop: without --by group")

    def picture(self, model: Model, ask: PictureOptions) -> Chart:
        """Draw one customer, all of them together, what they are worth, or what was learned."""
        from foretell import plotting  # noqa: PLC0415

        log, forecaster, mark = self.data(model), cast("EventForecaster", model), ask.of or "amount"
        key = None if ask.id is None else typed_ids(log.ids, [ask.id])[0]
        ahead = None if ask.horizon is None else self.horizon(ask.horizon, log)
        totals: dict[str, Any] = {"by": ask.by, "mark": ask.of, "newcomers": ask.newcomers}
        pictures: Charts = {
            "next": lambda: plotting.plot_next_event(forecaster, key, actual=ask.actual),
            "spend": lambda: plotting.plot_spend(forecaster, key, horizon=ahead or "26w", mark=mark),
            "value": lambda: plotting.plot_value(forecaster, ahead or "1y", mark=mark),
            "totals": lambda: plotting.plot_totals(forecaster, ahead, **totals),
            "tracking": lambda: plotting.plot_tracking(forecaster, horizon=ahead or "26w"),
            "effects": lambda: plotting.plot_customer_effects(forecaster, ahead or "90d"),
            "shop": lambda: plotting.plot_shop(forecaster),
            "activity": lambda: plotting.plot_activity(forecaster),
        }
        return pictures[ask.kind]()


class Series(_Question):
    """Regular series: what comes next."""

    kind = "series"
    needs_horizon = True

    def read(self, options: ReadOptions) -> Panel:
        """Read a panel, of one series if the id is empty; with a step to count by, of visits."""
        if options.every is not None:
            return self._counted(options, options.every)
        from foretell.data.series import read_series  # noqa: PLC0415

        names = ("target", "past", "future", "static", "categorical")
        how: dict[str, object] = {name: getattr(options, name) or () for name in names}
        how |= options.shared() | {
            "id": options.id or None,
            "time": options.time,
            "freq": options.freq,
            "closed": options.closed,
            "duplicates": options.duplicates or "error",
            "refunds": options.refunds or "keep",
            "start": options.start,
        }
        with terminal.busy("reading"):
            panel = read_series(options.rows, **how)  # type: ignore[arg-type]  # options of the same types
        terminal.say(panel.report)
        terminal.say(repr(panel))
        return panel

    @staticmethod
    def _counted(options: ReadOptions, every: str) -> Panel:
        """Read a log of visits, and make series of it: of each group where groups are named."""
        for name in ("target", "past", "future", "static", "categorical", "freq"):
            if getattr(options, name):
                raise ParameterError(
                    f"--{name} is for rows that are series, not for visits with --every: leave it out"
                )
        log = Events().log(options, options.sum or ())
        from foretell.data.aggregation import aggregate  # noqa: PLC0415

        by: Literal["group"] | None = None if options.group is None else "group"
        count = True if options.count else None
        panel = aggregate(log, every, sum=options.sum or (), count=count, by=by)
        terminal.say(panel.report)
        terminal.say(repr(panel))
        return panel

    def data(self, model: Model) -> Panel:
        """Return the panel."""
        return cast("SeriesForecaster", model).panel_

    def summary(self, model: Model) -> tuple[str, dict[str, object]]:
        """Return series, rows, step and targets; of a network also its window."""
        panel, forecaster = self.data(model), cast("SeriesForecaster", model)
        summary: dict[str, object] = {
            "series": panel.n_series,
            "rows": panel.n_rows,
            "freq": panel.grid.freq,
            "targets": panel.targets,
            **panel.report.counts(),
            "horizon": forecaster.horizon,
        }
        if hasattr(model, "model_"):
            shape = forecaster.model_.network.shape
            summary |= {name: getattr(shape, name) for name in ("season", "lookback", "patch")}
        return f"model of {panel.n_series:,} series", summary

    def predict(
        self, model: Model, horizons: Sequence[str] | None, levels: Sequence[int], ids: Sequence[str] | None
    ) -> Iterator[pl.DataFrame]:
        """Return one row per series and step."""
        if horizons is not None and len(horizons) > 1:
            raise ParameterError(
                f"--horizon {' --horizon '.join(horizons)}; expected one: all steps up to it come out"
            )
        panel = self.data(model)
        steps = None if horizons is None else cast("int", self.horizon(horizons[0], panel))
        if ids:
            panel = panel.select(typed_ids(panel.ids, ids))
        return cast("SeriesForecaster", model).predict_blocks(panel, horizon=steps, levels=levels)

    def totals(self, model: Model, ask: TotalsOptions, levels: Sequence[float]) -> pl.DataFrame:
        """Return sums over series and steps."""
        from foretell.series.totals import totals_of  # noqa: PLC0415

        panel, forecaster = self.data(model), cast("SeriesForecaster", model)
        steps = forecaster.horizon if ask.horizon is None else cast("int", self.horizon(ask.horizon, panel))
        chosen = typed_ids(panel.ids, ask.id) if ask.id else None
        return totals_of(forecaster, steps, ask.by or [], levels, chosen)

    def comparison(self, evaluation: Evaluation) -> Charts:
        """Draw the error by step, and of ours a forecast beside what came."""
        from foretell import plotting  # noqa: PLC0415

        charts: Charts = {"error_by_step": functools.partial(plotting.plot_error_by_step, evaluation)}
        if evaluation.ours:
            charts["forecast"] = functools.partial(plotting.plot_forecast, evaluation)
        return charts

    def check_picture(self, ask: PictureOptions) -> None:
        """Refuse the pictures that visits alone have."""
        if ask.kind not in {"next", "totals"}:
            raise ParameterError(
                f"--kind {ask.kind} belongs to logs of visits; of series expected --kind next or totals"
            )

    def picture(self, model: Model, ask: PictureOptions) -> Chart:
        """Draw one series with its forecast, or the sum of all."""
        from foretell import plotting  # noqa: PLC0415

        panel, forecaster = self.data(model), cast("SeriesForecaster", model)
        steps = None if ask.horizon is None else cast("int", self.horizon(ask.horizon, panel))
        if ask.kind == "totals":
            return plotting.plot_totals(forecaster, steps)
        series = None if ask.id is None else typed_ids(panel.ids, [ask.id])[0]
        return plotting.plot_forecast(forecaster, series, horizon=steps)


Question: TypeAlias = Events | Series
QUESTIONS: Mapping[Kind, Question] = {"events": Events(), "series": Series()}


def predict_groups(model: Model, horizons: Sequence[str] | None) -> pl.DataFrame:
    """Return the expected visits of each group."""
    if not hasattr(model, "predict_groups"):
        raise ParameterError(f"--by-group: {model.name} knows no groups; expected a model of ours")
    forecaster = cast("EventForecaster", model)
    return forecaster.predict_groups(Events().horizons(horizons, forecaster.log_))


def kind_of_directory(place: Path) -> Kind | None:
    """Return the question that a saved model answers, without the engine; None if there is no model."""
    from foretell.storage.files import read_manifest  # noqa: PLC0415

    try:
        kind: Kind = read_manifest(place)["kind"]
    except StorageError:
        return None
    return kind


def typed_ids(ids: pl.Series, given: Sequence[str]) -> Sequence[str | float]:
    """Return ids from the command line in the type of the model's own."""
    from foretell.data.tables import typed_ids as typed  # noqa: PLC0415  # brings numpy

    return typed(ids, given)
