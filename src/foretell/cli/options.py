"""The options of the commands, each declared once, with the question that it belongs to.

A command takes instances of these classes; `foretell.cli.entry` makes its options of their fields.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer.models import OptionInfo

from foretell.cli import terminal
from foretell.errors import ParameterError

if TYPE_CHECKING:
    import polars as pl

    from foretell.data.sinks import Sink


@dataclasses.dataclass(frozen=True)
class Belongs:
    """Marks an option that one of the two questions has alone.

    Attributes
    ----------
    kind : {"events", "series", "steps"}
        ``"steps"``: visits that are counted by step, and then are regular series.
    """

    kind: Literal["events", "series", "steps"]


EVENTS, SERIES, STEPS = Belongs("events"), Belongs("series"), Belongs("steps")


# What the readers, the heads and the pictures take by name.
Unit = Literal["day", "hour"]
Merge = Literal["auto", "none", "hour", "day", "week"]
Closed = Literal["infer", "keep"]
Duplicates = Literal["drop", "keep", "sum", "error", "mean", "last"]
Refunds = Literal["net", "drop", "keep"]
Strays = Literal["keep", "missing"]
HeadName = Literal["mixture", "bins", "gap", "hazard"]
Picture = Literal[
    "next", "totals", "spend", "value", "tracking", "activity", "shop", "effects", "reliability"
]
IfExists = Literal["append", "replace", "fail"]


def _of(panel: str) -> Callable[..., OptionInfo]:
    """Return a maker of options that stand together in the help."""
    return functools.partial(typer.Option, rich_help_panel=panel)


_read, _visits, _series = _of("What to read"), _of("Visits"), _of("Regular series, with --target")
_steps = _of("Visits by step, as regular series")
_learn, _show = _of("How to learn"), _of("What to write")
_Names = list[str] | None

ModelDirectory = Annotated[Path, typer.Argument(help="A directory that fit wrote.", metavar="MODEL")]
ModelOut = Annotated[Path, typer.Option(help="Directory for the model.")]
SummaryAsJson = Annotated[bool, typer.Option("--json", help="Print a summary as JSON.")]


@dataclasses.dataclass(frozen=True)
class RowOptions:
    """Where the rows are, and how they are written."""

    source: Annotated[
        list[str],
        typer.Argument(
            help="CSV, TSV, NDJSON, Parquet or spreadsheet files, also in .gz or .zip, a folder of them, or "
            "one database: a URL or a SQLite file (with --query or --table).",
            metavar="SOURCE",
        ),
    ]
    id: Annotated[str, _read("--id", help="Column of the customer or series; empty for a single series.")] = (
        "unique_id"
    )
    time: Annotated[str, _read("--time", help="Column of the time.")] = "ds"
    query: Annotated[str | None, _read("--query", help="SELECT statement, for a database.")] = None
    table: Annotated[str | None, _read("--table", help="Table of a database.")] = None
    time_format: Annotated[
        str | None, _read("--time-format", help="How times are written: strptime, or s, ms, us, ns.")
    ] = None
    time_zone: Annotated[
        str | None, _read("--time-zone", help="Zone whose days count, such as Europe/Berlin.")
    ] = None
    as_of: Annotated[str | None, _read("--as-of", help="Last observed day; by default the last event's.")] = (
        None
    )
    exclude: Annotated[
        _Names, _read("--exclude", help="Customer or series to leave out, such as guests; repeatable.")
    ] = None
    strays: Annotated[
        Strays, _read("--strays", help="Values 1,000 times as large as all others: keep, or missing.")
    ] = "keep"
    encoding: Annotated[
        str | None, _read("--encoding", help="Of text files, such as cp1252; by default it is guessed.")
    ] = None
    sheet: Annotated[str | None, _read("--sheet", help="Sheet of a spreadsheet; by default the first.")] = (
        None
    )
    chunk_rows: Annotated[
        int, _read("--chunk-rows", min=1, help="Rows that a database delivers at once.")
    ] = 100_000
    calendar: Annotated[
        Path | None,
        _visits("--calendar", help="File of what is known of each day, of days to come too."),
        EVENTS,
    ] = None
    group: Annotated[
        str | None,
        _visits("--group", help="Column of the place (store); with --every a series each."),
        EVENTS,
        STEPS,
    ] = None
    customers: Annotated[
        str | None, _visits("--customers", help="Table of customers with the columns of --static."), EVENTS
    ] = None

    @property
    def rows(self) -> str | list[str]:
        """The source as the readers take it."""
        return self.source[0] if len(self.source) == 1 else self.source

    def check_source(self) -> None:
        """Refuse files that are not there, before a model is built for them."""
        from foretell.data.files import find_files  # noqa: PLC0415  # help does without tables
        from foretell.data.sources import is_url  # noqa: PLC0415

        if not any(map(is_url, self.source)):
            find_files(self.rows)

    def shared(self) -> dict[str, object]:
        """Return the arguments that the readers of both questions take, the columns apart."""
        names = ("query", "table", "time_format", "time_zone", "as_of", "strays", "encoding", "sheet")
        given = {name: getattr(self, name) for name in (*names, "chunk_rows")}
        return given | {"exclude": self.exclude or None}


@dataclasses.dataclass(frozen=True)
class ReadOptions(RowOptions):
    """What to read, of visits or of regular series."""

    start: Annotated[
        str | None, _read("--start", help="First observed day; by default the first event's.")
    ] = None
    mark: Annotated[
        _Names, _visits("--mark", help="Numeric column, such as the amount; repeatable."), EVENTS
    ] = None
    unit: Annotated[Unit, _visits("--unit", help="The clock's tick."), EVENTS, STEPS] = "day"
    merge: Annotated[
        Merge,
        _visits("--merge", help="One customer's events in the same period count as one."),
        EVENTS,
        STEPS,
    ] = "auto"
    min_events: Annotated[
        int, _visits("--min-events", min=1, help="Leave out customers with fewer."), EVENTS, STEPS
    ] = 1
    holidays: Annotated[
        str | None, _visits("--holidays", help="Country whose holidays may be closed: DE, US-CA."), EVENTS
    ] = None
    target: Annotated[_Names, _series("--target", help="Column to forecast; repeatable."), SERIES] = None
    past: Annotated[_Names, _series("--past", help="Covariate known up to now; repeatable."), SERIES] = None
    future: Annotated[_Names, _series("--future", help="Covariate known ahead; repeatable."), SERIES] = None
    static: Annotated[
        _Names,
        _read("--static", help="What is known of a customer or series, such as the channel; repeatable."),
    ] = None
    categorical: Annotated[
        _Names, _read("--categorical", help="Covariate whose numbers are names; repeatable.")
    ] = None
    freq: Annotated[
        str | None, _series("--freq", help="Step, such as 1d, 1w, 15m; by default inferred."), SERIES
    ] = None
    closed: Annotated[
        Closed, _series("--closed", help="Slots of the week that never occur: none, or missing."), SERIES
    ] = "infer"
    duplicates: Annotated[
        Duplicates | None,
        _read(
            "--duplicates",
            help="Identical rows of visits: drop (the default), sum or keep; rows of the same series and "
            "time: error (the default), mean, sum or last.",
        ),
    ] = None
    refunds: Annotated[
        Refunds | None,
        _read(
            "--refunds",
            help="Rows with a negative mark: netted with what was bought before (the default), or not; "
            "with a negative target: kept (the default), left out, or taken from their step.",
        ),
    ] = None
    every: Annotated[
        str | None,
        _steps("--every", help="Make regular series of visits, with a step such as 1d, 1w, 1mo."),
        STEPS,
    ] = None
    sum: Annotated[_Names, _steps("--sum", help="Numeric column to add up; repeatable."), STEPS] = None
    count: Annotated[
        bool, _steps("--count", help="Count visits, by default where nothing is added up."), STEPS
    ] = False


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """How long to learn; what is not given is the forecaster's own default."""

    ensemble: Annotated[
        int | None, _learn("--ensemble", min=1, help="Networks that are averaged; by default 3.")
    ] = None
    seed: Annotated[int | None, _learn("--seed", min=0, help="Same seed, same answers; by default 0.")] = None
    epochs: Annotated[int | None, _learn("--epochs", min=1, help="Passes over the data at the most.")] = None


@dataclasses.dataclass(frozen=True)
class ModelOptions(TrainOptions):
    """All settings of a forecaster."""

    head: Annotated[
        HeadName | None, _learn("--head", help="What is learned of the next visit's time."), EVENTS
    ] = None
    seasonal: Annotated[
        bool | None,
        _learn("--seasonal/--no-seasonal", help="Run on the shop's own weekly and yearly rhythm."),
        EVENTS,
    ] = None
    assignments: Annotated[
        _Names, _learn("--set", metavar="NAME=VALUE", help="A setting: network.units=64; repeatable.")
    ] = None
    config: Annotated[
        Path | None, _learn("--config", help="TOML file of settings; --set and options go before it.")
    ] = None


@dataclasses.dataclass(frozen=True)
class CompareOptions:
    """Which models are compared, and where the figures go."""

    model: Annotated[
        _Names, typer.Option(help="foretell, pareto-nbd, seasonal-naive, …; repeatable; by default all.")
    ] = None
    seeds: Annotated[
        int, typer.Option(min=1, help="Fit ours with so many seeds; show how far the figures differ.")
    ] = 1
    json_path: Annotated[
        str | None, _show("--json", metavar="FILE", help="Write the figures; - for stdout.")
    ] = None
    pictures: Annotated[Path | None, _show("--pictures", help="Directory for pictures.")] = None

    @property
    def json_file(self) -> Path | None:
        """The file for the figures, if they go to one."""
        return None if self.json_path in {None, "-"} else Path(str(self.json_path))


@dataclasses.dataclass(frozen=True)
class EvaluateOptions(CompareOptions):
    """What is held back from the models."""

    cutoff: Annotated[
        str | None, typer.Option(help="Last day that the models see; by default the end is held back.")
    ] = None
    horizon: Annotated[
        str | None,
        typer.Option(
            help="What is held back; of visits by default 273d after --cutoff, without it a quarter of the "
            "log, 90d at most."
        ),
    ] = None
    report: Annotated[Path | None, _show("--report", help="One HTML page with all of it.")] = None


@dataclasses.dataclass(frozen=True)
class BacktestOptions(CompareOptions):
    """How a backtest goes from fold to fold."""

    horizon: Annotated[str | None, typer.Option(help="Of each fold; of visits by default 90d.")] = None
    cutoff: Annotated[_Names, typer.Option(help="Last day that the models see; repeatable.")] = None
    folds: Annotated[int, typer.Option(min=1, help="Cut-offs, counted back from the end.")] = 4
    step: Annotated[str | None, typer.Option(help="Between cut-offs; by default the horizon.")] = None
    refit: Annotated[str, typer.Option(help="always, never, warm, or k for every k-th cut-off.")] = "always"
    training: Annotated[str, typer.Option(help="expanding or sliding.")] = "expanding"
    out: Annotated[Path | None, _show("--out", help="Directory for the rows of each cut-off.")] = None


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """Which settings are searched, and how."""

    space: Annotated[
        list[str],
        typer.Option(help="network.units=16,32 or training.learning_rate=1e-4..1e-2:log; repeatable."),
    ]
    method: Annotated[str, typer.Option(help="tpe, random or grid.")] = "tpe"
    trials: Annotated[int | None, typer.Option(min=1, help="By default 20, of a grid all.")] = None
    seconds: Annotated[float | None, typer.Option(help="Begin no trial after so long.")] = None
    objective: Annotated[str | None, typer.Option(help="A figure of the comparison.")] = None
    storage: Annotated[Path | None, typer.Option(help="SQLite file, to go on after a break.")] = None


@dataclasses.dataclass(frozen=True)
class ChosenOptions:
    """Which rows of a forecast are shown."""

    top: Annotated[int | None, typer.Option(min=1, help="No more rows than that.")] = None
    where: Annotated[
        _Names,
        typer.Option(help="Condition on a column: 'n_events>=3', group=north; repeatable, all hold."),
    ] = None


@dataclasses.dataclass(frozen=True)
class ShortlistOptions(ChosenOptions):
    """Whom to write to, and why."""

    horizon: Annotated[str, typer.Option(help="Time in which a contact works, such as 30d.")] = "30d"
    min_chance: Annotated[
        float, typer.Option(min=0, max=1, help="Leave out whose chance to come back at all is smaller.")
    ] = 0.0
    value: Annotated[
        str | None,
        typer.Option(help="Mark that a visit is worth; by default amount if there; visits ranks without it."),
    ] = None
    language: Annotated[str, typer.Option(help="Of the reasons: en or zh.")] = "en"

    def how(self) -> dict[str, object]:
        """Return the options as arguments of the library."""
        names = ("where", "min_chance", "value", "language")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


@dataclasses.dataclass(frozen=True)
class SortedOptions(ChosenOptions):
    """Which rows of a forecast are shown, and in which order."""

    sort: Annotated[
        str | None,
        typer.Option(help="Column to sort by, the largest first; with - before it the smallest."),
    ] = None


@dataclasses.dataclass(frozen=True)
class AskOptions(SortedOptions):
    """What is forecast."""

    horizon: Annotated[
        _Names,
        typer.Option(
            help="Such as 7d, 26w, 36h, repeatable, by default 7d 30d 90d; of series once, or steps."
        ),
    ] = None
    level: Annotated[
        list[int] | None, typer.Option(help="Per cent of an interval; repeatable; by default 50 80 95.")
    ] = None
    id: Annotated[_Names, typer.Option("--id", help="Customer or series; repeatable; by default all.")] = None
    by_group: Annotated[
        bool, typer.Option("--by-group", help="Expected visits of each group (store) instead."), EVENTS
    ] = False


@dataclasses.dataclass(frozen=True)
class SpendOptions(SortedOptions):
    """What is asked about money."""

    horizon: Annotated[
        _Names, typer.Option(help="Such as 90d; repeatable; by default 30d 90d, with --discount 1y.")
    ] = None
    level: Annotated[
        list[int] | None, typer.Option(help="Per cent of an interval; repeatable; by default 80.")
    ] = None
    id: Annotated[_Names, typer.Option("--id", help="Customer; repeatable; by default all.")] = None
    mark: Annotated[str, typer.Option(help="Mark that is an amount, read with --mark.")] = "amount"
    discount: Annotated[
        float | None,
        typer.Option(min=0, help="Interest of a year, such as 0.1: the value today of all visits to come."),
    ] = None


@dataclasses.dataclass(frozen=True)
class WhatIfOptions:
    """Who would be contacted when, and what earlier contacts were."""

    contacts: Annotated[
        str, typer.Option("--contacts", help="Earlier contacts, a row each: a file, as those of visits.")
    ]
    on: Annotated[str, typer.Option("--on", help="Day of the contact, from the as-of date on.")]
    id: Annotated[_Names, typer.Option("--id", help="Customer; repeatable; by default all.")] = None
    kind: Annotated[str | None, typer.Option(help="Which kind of contact, of those in --contact-kind.")] = (
        None
    )
    horizon: Annotated[str, typer.Option(help="Time in which visits are counted.")] = "14d"
    within: Annotated[str, typer.Option(help="How long a contact is looked at, in whole days.")] = "7d"
    contact_id: Annotated[str, _read("--contact-id", help="Column of the customer, in the contacts.")] = (
        "unique_id"
    )
    contact_time: Annotated[str, _read("--contact-time", help="Column of the day.")] = "ds"
    contact_kind: Annotated[
        str | None, _read("--contact-kind", help="Column of the kind: mailing, coupon.")
    ] = None


@dataclasses.dataclass(frozen=True)
class TotalsOptions:
    """What is added up."""

    horizon: Annotated[
        str | None,
        typer.Option(
            help="How far ahead, such as 13w; by default 1mo, or the steps that series trained for."
        ),
    ] = None
    by: Annotated[
        _Names,
        typer.Option(
            help="A row for each week, month or group of visits; of series for each step, series or value of "
            "a static column, repeatable. By default one for the whole."
        ),
    ] = None
    level: Annotated[
        list[int] | None, typer.Option(help="Per cent of an interval; repeatable; by default 80.")
    ] = None
    id: Annotated[
        _Names, typer.Option("--id", help="Customer or series that counts; repeatable; by default all.")
    ] = None
    of: Annotated[
        str | None, typer.Option("--of", help="Mark that is an amount: what is spent, not visits."), EVENTS
    ] = None
    newcomers: Annotated[
        bool,
        typer.Option("--newcomers", help="With the customers who will come for the first time."),
        EVENTS,
    ] = False


@dataclasses.dataclass(frozen=True)
class PictureOptions:
    """What is drawn."""

    kind: Annotated[Picture, typer.Option(help="What to draw.")] = "next"
    id: Annotated[
        str | None, typer.Option("--id", help="Customer or series, for the kinds next and spend.")
    ] = None
    actual: Annotated[
        str | None, typer.Option(help="When that customer really came next, if known."), EVENTS
    ] = None
    horizon: Annotated[
        str | None,
        typer.Option(help="How far ahead, for the kinds totals, spend, value and tracking, such as 26w."),
    ] = None
    by: Annotated[
        Literal["week", "month", "group"],
        typer.Option(help="What totals are split by; of series each step is one."),
        EVENTS,
    ] = "week"
    of: Annotated[
        str | None, typer.Option("--of", help="Mark that is an amount; of totals by default visits."), EVENTS
    ] = None
    newcomers: Annotated[
        bool, typer.Option("--newcomers", help="Totals with the customers to come."), EVENTS
    ] = False


_cluster = _of("Beyond one machine")


@dataclasses.dataclass(frozen=True)
class ClusterOptions:
    """Where a forecast is made."""

    on: Annotated[
        Literal["ray"] | None,
        _cluster("--on", help="ray: by partitions of customers, each a file in the directory --out."),
        EVENTS,
    ] = None
    workers: Annotated[
        int | None, _cluster("--workers", min=1, help="Partitions at once; by default the cores."), EVENTS
    ] = None
    partitions: Annotated[
        int | None, _cluster("--partitions", min=1, help="Of the model's own customers."), EVENTS
    ] = None
    visits: Annotated[
        Path | None,
        _cluster("--visits", help="Directory of foretell.distributed.partition: whom to forecast."),
        EVENTS,
    ] = None

    def check(self, write: TableOptions, ask: AskOptions) -> None:
        """Refuse what does not go together."""
        write.check_places()
        if self.on is None and (self.workers or self.partitions or self.visits):
            raise ParameterError("--workers, --partitions and --visits go with --on ray")
        if self.on is not None and write.out is None and write.to_url is None:
            raise ParameterError("--on ray needs --out, a directory, or --to-url and --to-table")
        some = ask.id or ask.by_group or ask.top or ask.where or ask.sort
        if self.on is not None and (some or write.as_json or write.if_exists):
            raise ParameterError(
                "--on ray goes with none of --id, --by-group, --top, --where, --sort, --json and --if-exists"
            )
        if self.partitions and self.visits:
            raise ParameterError("--visits are in partitions already; leave --partitions out")


@dataclasses.dataclass(frozen=True)
class TableOptions:
    """Where a table goes."""

    out: Annotated[
        Path | None,
        _show(
            "--out",
            help="File: .csv, .parquet, .json, .ndjson or .xlsx; by default CSV on stdout, on a terminal a "
            "table of the first rows.",
        ),
    ] = None
    as_json: Annotated[bool, _show("--json", help="JSON on stdout, instead of CSV.")] = False
    to_url: Annotated[
        str | None, _show("--to-url", help="Database, such as sqlite:///scores.db, with --to-table.")
    ] = None
    to_table: Annotated[str | None, _show("--to-table", help="Table of the database.")] = None
    if_exists: Annotated[
        IfExists | None,
        _show(
            "--if-exists",
            help="What to do where it is there: append, of a table the default, replaces the rows of the "
            "same as-of date.",
        ),
    ] = None

    def check_places(self) -> None:
        """Refuse two places, and half of one."""
        if self.out is not None and self.to_url is not None:
            raise ParameterError("--out and --to-url are two places; name one of them")
        if (self.to_url is None) != (self.to_table is None):
            raise ParameterError("--to-url and --to-table go together: the database, and its table")
        if self.if_exists is not None and self.out is None and self.to_url is None:
            raise ParameterError(f"--if-exists {self.if_exists} goes with --out or --to-url")

    def check(self) -> None:
        """Refuse what cannot be written to, before any work is done for it."""
        self.check_places()
        sink = self._sink()
        if sink is not None:
            sink.check()

    def write(self, tables: Iterable[pl.DataFrame], *, part: bool = False, shown: Sequence[str] = ()) -> None:
        """Write tables one after the other; ``part`` says that they are those of some customers only.

        A terminal shows the columns of ``shown``, by default as many as fit.
        """
        from foretell.data import sinks  # noqa: PLC0415

        sink = self._sink(part=part)
        if sink is not None:
            terminal.say(sink.write(sinks.alike(tables)))
            return
        if sys.stdout.isatty() and not self.as_json:
            terminal.show_rows(sinks.alike(tables), shown)
            return
        sys.stdout.flush()
        write = sinks.write_json if self.as_json else sinks.write_csv
        write(sinks.alike(tables), sys.stdout.buffer)
        if self.as_json:
            sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()

    def _sink(self, *, part: bool = False) -> Sink | None:
        """Return what writes to the file or table, None where the tables go to stdout."""
        target = self.out if self.to_url is None else self.to_url
        if target is None:
            return None
        from foretell.data.sinks import sink  # noqa: PLC0415  # help does without tables

        return sink(target, self.to_table, if_exists=self.if_exists, part=part)
