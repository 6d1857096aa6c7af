"""What the commands do differently for visits and for regular series: chosen once, at the way in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from foretell.cli import terminal
from foretell.cli.options import Picture, ReadOptions, RowOptions, TrainOptions
from foretell.cli.settings import configured
from foretell.core.constraints import OneOf, did_you_mean
from foretell.errors import EmptyLogError, ParameterError, StorageError

if TYPE_CHECKING:
    import polars as pl

    from foretell.core.contracts import Kind, Task
    from foretell.data.log import EventLog
    from foretell.data.panel import Panel
    from foretell.evaluation.evaluation import Evaluation

Charts = dict[str, Callable[[], Any]]

_OURS = {"foretell", "network", "auto"}


class Events:
    """Logs of visits: when each customer comes next."""

    kind: ClassVar[Kind] = "events"
    needs_cutoff: ClassVar[bool] = True

    @property
    def task(self) -> Task:
        """The models and the figures."""
        from foretell.evaluation.tasks import EVENTS  # noqa: PLC0415

        return EVENTS

    def read(self, options: ReadOptions) -> EventLog:
        """Read a log of visits."""
        return self._read(
            options,
            marks=options.mark or (),
            unit=options.unit.value,
            merge=None if options.merge == "none" else options.merge.value,
            start=options.start,
            min_events=options.min_events,
        )

    def read_later(self, model: Any, options: RowOptions) -> EventLog:
        """Read what came after a model's as-of date, with its own unit, merging and marks."""
        log: EventLog = model.log_
        start = log.date(log.as_of + 1)
        try:
            return self._read(options, marks=log.mark_names, unit=log.unit, merge=log.merge, start=start)
        except EmptyLogError:
            if options.as_of is None:
                raise
        terminal.say(f"no visits from {start} to {options.as_of}")
        return log.quiet_until(log.last_tick(options.as_of))

    @staticmethod
    def _read(options: RowOptions, **given: Any) -> EventLog:
        from foretell.data.events import read_events  # noqa: PLC0415

        given |= options.shared() | {"id": options.id, "time": options.time, "group": options.group}
        with terminal.busy("reading"):
            log = read_events(_source(options), **given)
        terminal.say(log.report)
        last = log.date(log.as_of)
        terminal.say(f"{log.n_customers:,} customers, observed from {log.date(log.start)} to {last}")
        return log

    def check_horizon(self, text: str | None) -> None:
        """Do nothing: what is not given has a default."""

    def horizon(self, text: str, data: EventLog, option: str = "--horizon") -> str | int:
        """Return a duration, or a number of ticks of the log's clock."""
        return _length(text, option, data.ticks_of)

    def prepare(self, model: Any, horizon: str | int) -> None:
        """Do nothing: models of visits answer for any horizon."""

    def summary(self, model: Any) -> tuple[str, dict[str, Any]]:
        """Return customers, events and dates."""
        log = self.data(model)
        words = f"model of {log.n_customers:,} customers as of {log.date(log.as_of)}"
        return words, {
            "customers": log.n_customers,
            "events": log.n_events,
            "start": str(log.date(log.start)),
            "as_of": str(log.date(log.as_of)),
            **log.report.counts(),
        }

    def data(self, model: Any) -> EventLog:
        """Return the log."""
        log: EventLog = model.log_
        return log

    def predict(
        self, model: Any, horizons: Sequence[str] | None, levels: Sequence[int], ids: Sequence[str] | None
    ) -> pl.DataFrame:
        """Return one row per customer; ids that the log does not know are new customers."""
        log = self.data(model)
        chosen = typed_ids(log.ids, ids) if ids else None
        known = set(log.ids.to_list())
        strangers = [str(customer) for customer in chosen or () if customer not in known]
        if strangers:
            terminal.say(f"not in the log, forecast as new customers: {', '.join(strangers)}")
        table: pl.DataFrame = model.predict(self._horizons(horizons, log), levels, chosen)
        return table

    def predict_groups(self, model: Any, horizons: Sequence[str] | None) -> pl.DataFrame:
        """Return the expected visits of each group."""
        if not hasattr(model, "predict_groups"):
            raise ParameterError(f"--by-group: {model.name} knows no groups; expected a model of ours")
        table: pl.DataFrame = model.predict_groups(self._horizons(horizons, self.data(model)))
        return table

    def _horizons(self, asked: Sequence[str] | None, log: EventLog) -> list[str | int]:
        return [self.horizon(text, log) for text in asked or ("7d", "30d", "90d")]

    def check_picture(self, kind: Picture, customer: str | None) -> None:
        """Refuse a picture of one customer without the customer."""
        if kind is Picture.next and customer is None:
            raise ParameterError("the kind next shows one customer: name it with --id")

    def comparison(self, evaluation: Evaluation) -> Charts:
        """Draw the weekly totals, and how probabilities came true."""
        from foretell import plotting  # noqa: PLC0415

        return {
            "tracking": functools.partial(plotting.plot_tracking, evaluation),
            "reliability": functools.partial(plotting.plot_reliability, evaluation),
        }

    def picture(
        self,
        model: Any,
        kind: Picture,
        customer: str | None,
        *,
        actual: str | None,
        horizon: str,
    ) -> Any:
        """Draw a customer's next visit, the weekly visits of all, or who is active."""
        from foretell import plotting  # noqa: PLC0415

        log = self.data(model)
        if kind is Picture.next:
            return plotting.plot_next_event(model, typed_ids(log.ids, [str(customer)])[0], actual=actual)
        if kind is Picture.tracking:
            return plotting.plot_tracking(model, horizon=self.horizon(horizon, log))
        return plotting.plot_activity(model)


class Series:
    """Regular series: what comes next."""

    kind: ClassVar[Kind] = "series"
    needs_cutoff: ClassVar[bool] = False

    @property
    def task(self) -> Task:
        """The models and the figures."""
        from foretell.evaluation.tasks import SERIES  # noqa: PLC0415

        return SERIES

    def read(self, options: ReadOptions) -> Panel:
        """Read a panel, of one series if the id is empty."""
        from foretell.data.series import read_series  # noqa: PLC0415

        names = ("target", "past", "future", "static", "categorical")
        given: dict[str, Any] = {name: getattr(options, name) or () for name in names}
        given |= options.shared() | {
            "id": options.id or None,
            "time": options.time,
            "freq": options.freq,
            "closed": options.closed.value,
            "duplicates": options.duplicates.value,
            "start": options.start,
        }
        with terminal.busy("reading"):
            panel = read_series(_source(options), **given)
        terminal.say(panel.report)
        terminal.say(repr(panel))
        return panel

    def read_later(self, model: Any, options: RowOptions) -> Panel:
        """Refuse: models of series are not updated."""
        del model, options
        raise ParameterError(
            "update takes a model of visits, and this is one of regular series: fit it again"
        )

    def check_horizon(self, text: str | None) -> None:
        """Refuse to do without."""
        if text is None:
            raise ParameterError(
                "--target needs --horizon: how far to forecast, in steps or as a duration, such as "
                "--horizon 13 or --horizon 4w"
            )

    def horizon(self, text: str, data: Panel, option: str = "--horizon") -> int:
        """Return a number of steps, or a duration turned into steps."""
        end = int(data.ends.max())
        count = functools.partial(data.ticks_of, from_=end)
        return count(_length(text, option, count))

    def prepare(self, model: Any, horizon: str | int) -> None:
        """Set the steps that a forecaster is trained for."""
        model.set_params(horizon=horizon)

    def summary(self, model: Any) -> tuple[str, dict[str, Any]]:
        """Return series, rows, step and targets; of a network also its window."""
        panel = self.data(model)
        summary: dict[str, Any] = {
            "series": panel.n_series,
            "rows": panel.n_rows,
            "freq": panel.grid.freq,
            "targets": panel.targets,
            "horizon": model.horizon,
            **panel.report.counts(),
        }
        if hasattr(model, "model_"):
            shape = model.model_.network.shape
            summary |= {name: getattr(shape, name) for name in ("season", "lookback", "patch")}
        return f"model of {panel.n_series:,} series", summary

    def data(self, model: Any) -> Panel:
        """Return the panel."""
        panel: Panel = model.panel_
        return panel

    def predict(
        self, model: Any, horizons: Sequence[str] | None, levels: Sequence[int], ids: Sequence[str] | None
    ) -> pl.DataFrame:
        """Return one row per series and step."""
        if horizons is not None and len(horizons) > 1:
            raise ParameterError(
                f"--horizon {' --horizon '.join(horizons)}; expected one: all steps up to it come out"
            )
        panel = self.data(model)
        steps = None if horizons is None else self.horizon(horizons[0], panel)
        if ids:
            panel = panel.select(typed_ids(panel.ids, ids))
        table: pl.DataFrame = model.predict(panel, horizon=steps, levels=levels)
        return table

    def comparison(self, evaluation: Evaluation) -> Charts:
        """Draw the error by step, and of ours a forecast beside what came."""
        from foretell import plotting  # noqa: PLC0415

        charts: Charts = {"error_by_step": functools.partial(plotting.plot_error_by_step, evaluation)}
        if evaluation.ours:
            charts["forecast"] = functools.partial(plotting.plot_forecast, evaluation)
        return charts

    def predict_groups(self, model: Any, horizons: Sequence[str] | None) -> pl.DataFrame:
        """Refuse: series have no groups."""
        del model, horizons
        raise ParameterError("--by-group belongs to logs of visits, and these are regular series")

    def check_picture(self, kind: Picture, customer: str | None) -> None:
        """Refuse the pictures that visits alone have."""
        del customer
        if kind is not Picture.next:
            raise ParameterError(
                f"--kind {kind.value} belongs to logs of visits; of series expected --kind next"
            )

    def picture(
        self,
        model: Any,
        kind: Picture,
        customer: str | None,
        *,
        actual: str | None,
        horizon: str,
    ) -> Any:
        """Draw one series with its forecast."""
        from foretell import plotting  # noqa: PLC0415

        del kind, actual, horizon
        return plotting.plot_forecast(
            model, None if customer is None else typed_ids(self.data(model).ids, [customer])[0]
        )


Question: TypeAlias = Events | Series
QUESTIONS: Mapping[Kind, Question] = {"events": Events(), "series": Series()}


def kind_of_directory(place: Path) -> Kind | None:
    """Return the question that a kept model answers, without the engine; None if there is no model."""
    from foretell.storage.files import read_manifest  # noqa: PLC0415

    try:
        kind: Kind = read_manifest(place)["kind"]
    except StorageError:
        return None
    return kind


def build(question: Question, learn: TrainOptions, name: str = "network") -> Any:
    """Return the forecaster that the options describe: ours, or a statistic or rule by its name."""
    name = known_model(question, name)
    model = question.task.build("foretell" if name in _OURS else name)
    return configured(model.set_params(model="auto") if name == "auto" else model, learn)


def known_model(question: Question, name: str) -> str:
    """Return a model's name in small letters; refuse one that answers no such question."""
    models, name = question.task.models, name.lower()
    if name not in {*_OURS, *models}:
        spelled = [known for known in models if not {"/", " "} & set(known)]
        known = list(dict.fromkeys(["network", "auto", *spelled]))
        raise ParameterError(
            f"--model {name}: there is no such model{did_you_mean(name, known)}; "
            f"expected {OneOf(tuple(known)).expected}"
        )
    return name


def compared(question: Question, asked: Sequence[str] | None, learn: TrainOptions) -> list[Any]:
    """Return the models of a comparison: ours with the options of the command line, others by name."""
    names = [known_model(question, name) for name in asked or question.task.defaults]
    return [build(question, learn, name) if name in _OURS else name for name in names]


def typed_ids(ids: pl.Series, asked: Sequence[str]) -> list[Any]:
    """Return ids from the command line in the type of the model's own."""
    if not ids.dtype.is_integer():
        return list(asked)
    try:
        return [int(text) for text in asked]
    except ValueError as error:
        raise ParameterError(f"--id {', '.join(asked)}: the ids of this model are whole numbers") from error


def _length(text: str, option: str, count: Callable[[str | int], int]) -> str | int:
    """Return a duration, or a number of ticks or steps, that can be counted on the data's clock or grid."""
    length = int(text) if text.isdecimal() else text
    try:
        count(length)
    except ParameterError as error:
        raise ParameterError(f"{option} {text}: {error}") from error
    return length


def _source(options: RowOptions) -> str | list[str]:
    return options.source[0] if len(options.source) == 1 else options.source
