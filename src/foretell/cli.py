"""The command line: thin commands over the public interface.

stdout carries data and tables, stderr messages and progress. Exit codes: 0, 1 (it failed), 2 (wrong use).
The engine and the charts are imported inside the commands, so that help and mistakes answer at once.
"""

from __future__ import annotations

import enum
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from typer.core import TyperGroup

from foretell import cli_insight, terminal
from foretell._version import __version__
from foretell.errors import ForetellError, ParameterError, StorageError

if TYPE_CHECKING:
    from foretell.data.log import EventLog
    from foretell.events.forecaster import EventForecaster
    from foretell.series.forecaster import SeriesForecaster


class _Commands(TyperGroup):
    """Turns what foretell raises on purpose into one line and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ForetellError as error:
            terminal.say(f"foretell: {error}")
            raise typer.Exit(1) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            terminal.say(f"foretell: {error}")
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="When does each customer come next? What do regular series do next? Fit, forecast, compare, draw.",
)


class _Unit(enum.StrEnum):
    day = "day"
    hour = "hour"


class _Merge(enum.StrEnum):
    auto = "auto"
    none = "none"
    hour = "hour"
    day = "day"
    week = "week"


class _HeadName(enum.StrEnum):
    mixture = "mixture"
    bins = "bins"
    gap = "gap"
    hazard = "hazard"


class _Kind(enum.StrEnum):
    next = "next"
    tracking = "tracking"
    activity = "activity"
    reliability = "reliability"


_READ, _LEARN = "What to read", "How to learn"
_Source = Annotated[
    list[str],
    typer.Argument(
        help="CSV, TSV, NDJSON or Parquet files, or one database URL (with --query or --table).",
        metavar="SOURCE",
    ),
]
_Model = Annotated[Path, typer.Argument(help="A directory that fit wrote.", metavar="MODEL")]
_Id = Annotated[
    str,
    typer.Option(
        "--id", help="Column of the customer or series; empty for a single series.", rich_help_panel=_READ
    ),
]
_Time = Annotated[str, typer.Option("--time", help="Column of the time.", rich_help_panel=_READ)]
_Mark = Annotated[
    list[str] | None,
    typer.Option("--mark", help="Numeric column, such as the amount; repeatable.", rich_help_panel=_READ),
]
_Group = Annotated[
    str | None, typer.Option("--group", help="Column of the place (store).", rich_help_panel=_READ)
]
_Query = Annotated[
    str | None, typer.Option("--query", help="SELECT statement, for a database.", rich_help_panel=_READ)
]
_Table = Annotated[str | None, typer.Option("--table", help="Table of a database.", rich_help_panel=_READ)]
_UnitOption = Annotated[_Unit, typer.Option("--unit", help="The clock's tick.", rich_help_panel=_READ)]
_MergeOption = Annotated[
    _Merge,
    typer.Option(
        "--merge", help="One customer's events in the same period count as one.", rich_help_panel=_READ
    ),
]
_TimeFormat = Annotated[
    str | None,
    typer.Option(
        "--time-format", help="How times are written: strptime, or s, ms, us, ns.", rich_help_panel=_READ
    ),
]
_TimeZone = Annotated[
    str | None,
    typer.Option("--time-zone", help="Zone whose days count, such as Europe/Berlin.", rich_help_panel=_READ),
]
_Start = Annotated[
    str | None,
    typer.Option("--start", help="First observed day; by default the first event's.", rich_help_panel=_READ),
]
_AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", help="Last observed day, inclusive; by default the last event's.", rich_help_panel=_READ
    ),
]
_MinEvents = Annotated[
    int,
    typer.Option("--min-events", min=1, help="Leave out customers with fewer.", rich_help_panel=_READ),
]
_SERIES = "Regular series, with --target"
_Target = Annotated[
    list[str] | None,
    typer.Option("--target", help="Column to forecast; repeatable.", rich_help_panel=_SERIES),
]
_Steps = Annotated[int | None, typer.Option("--h", min=1, help="Steps to forecast.", rich_help_panel=_SERIES)]
_Past = Annotated[
    list[str] | None,
    typer.Option("--past", help="Covariate known up to now; repeatable.", rich_help_panel=_SERIES),
]
_Future = Annotated[
    list[str] | None,
    typer.Option("--future", help="Covariate known ahead; repeatable.", rich_help_panel=_SERIES),
]
_Static = Annotated[
    list[str] | None,
    typer.Option("--static", help="Covariate of a whole series; repeatable.", rich_help_panel=_SERIES),
]
_Freq = Annotated[
    str | None,
    typer.Option("--freq", help="Step, such as 1d, 1w, 15m; by default inferred.", rich_help_panel=_SERIES),
]
_Ensemble = Annotated[
    int, typer.Option("--ensemble", min=1, help="Networks that are averaged.", rich_help_panel=_LEARN)
]
_Seed = Annotated[int, typer.Option("--seed", help="Same seed, same answers.", rich_help_panel=_LEARN)]
_Epochs = Annotated[
    int | None,
    typer.Option("--epochs", min=1, help="Passes over the data at the most.", rich_help_panel=_LEARN),
]
_Seasonal = Annotated[
    bool,
    typer.Option(help="Run on the shop's own weekly and yearly rhythm.", rich_help_panel=_LEARN),
]


_HeadOption = Annotated[
    _HeadName,
    typer.Option("--head", help="What is learned of the next visit's time.", rich_help_panel=_LEARN),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        terminal.tell(f"foretell {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Directory for what it makes.")] = Path("demo-output"),
    sample: Annotated[bool, typer.Option("--sample", help="Use the 1/10 sample: faster.")] = False,
    ensemble: _Ensemble = 3,
    seed: _Seed = 0,
    epochs: _Epochs = None,
) -> None:
    """Forecast the customers of a real shop and the visits of real stores; compare models; draw it all."""
    from foretell.demo import CUTOFF, END, run_demo  # noqa: PLC0415

    with terminal.busy("fitting and comparing the models on CDNOW (a minute or two)"):
        made = run_demo(out, sample=sample, forecaster=_forecaster(ensemble, seed, epochs, seasonal=True))
    customers = made.board.holdout.train.n_customers
    terminal.show_table(
        made.board.table(), title=f"{customers:,} customers seen by {CUTOFF}, forecast to {END}; best first"
    )
    terminal.tell(str(made.board.verdict()))
    first = ["unique_id", "n_events", "last_event", "p_active", "next_event"]
    first += ["next_event-lo-80", "next_event-hi-80", "p_return_30d", "expected_events_90d", "overdue"]
    terminal.show_table(
        made.forecasts.sort("expected_events_90d", descending=True).select(first).head(8),
        title=f"Forecasts as of {CUTOFF}: the busiest customers",
    )
    from foretell import cli_series  # noqa: PLC0415
    from foretell.demo import DAYS, run_series_demo  # noqa: PLC0415

    with terminal.busy("forecasting the daily visits of a grocer's stores (a minute)"):
        stores = run_series_demo(out, forecaster=cli_series.build(DAYS, ensemble, seed, epochs))
    count = stores.board.train.n_series
    terminal.show_table(stores.board.table(), title=f"Daily visits of {count} stores, {DAYS} days held back")
    terminal.tell(str(stores.board.verdict()))
    terminal.tell("\n".join(["Made:", *[f"  {path}" for path in [*made.files, *stores.files]]]))


@app.command()
def fit(  # noqa: PLR0917  # typer names every option by a parameter
    source: _Source,
    out: Annotated[Path, typer.Option(help="Directory for the model.")],
    id: _Id = "unique_id",  # noqa: A002  # the option's name
    time: _Time = "ds",
    mark: _Mark = None,
    group: _Group = None,
    query: _Query = None,
    table: _Table = None,
    unit: _UnitOption = _Unit.day,
    merge: _MergeOption = _Merge.auto,
    time_format: _TimeFormat = None,
    time_zone: _TimeZone = None,
    start: _Start = None,
    as_of: _AsOf = None,
    min_events: _MinEvents = 1,
    ensemble: _Ensemble = 3,
    seed: _Seed = 0,
    epochs: _Epochs = None,
    seasonal: _Seasonal = True,
    head: _HeadOption = _HeadName.mixture,
    target: _Target = None,
    h: _Steps = None,
    past: _Past = None,
    future: _Future = None,
    static: _Static = None,
    freq: _Freq = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary as JSON.")] = False,
) -> None:
    """Learn from a log of visits, or with --target from regular series; write the model to a directory."""
    _check_place(out)
    if target and head is not _HeadName.mixture:
        raise typer.BadParameter("--head belongs to logs of visits; series, with --target, have none")
    if target:
        from foretell import cli_series  # noqa: PLC0415

        ours = cli_series.build(h, ensemble, seed, epochs)
        panel = cli_series.read_panel(
            source, id=id, time=time, target=target, past=past or (), future=future or (),
            static=static or (), freq=freq, query=query, table=table, time_format=time_format,
            time_zone=time_zone, start=start, as_of=as_of,
        )  # fmt: skip
        cli_series.fit(panel, ours, out, as_json=as_json)
        return
    log = _read(
        source, id, time, mark, group, query=query, table=table, unit=unit.value, merge=merge.value,
        time_format=time_format, time_zone=time_zone, start=start, as_of=as_of, min_events=min_events,
    )  # fmt: skip
    model = _forecaster(ensemble, seed, epochs, seasonal=seasonal).set_params(head=head.value)
    with terminal.training_progress() as progress:
        model.fit(log, progress=progress)
    _keep(model, out, as_json=as_json)


@app.command()
def update(  # noqa: PLR0917  # typer names every option by a parameter
    model: _Model,
    source: _Source,
    out: Annotated[
        Path | None, typer.Option(help="Directory for the updated model; by default in place.")
    ] = None,
    id: _Id = "unique_id",  # noqa: A002
    time: _Time = "ds",
    group: _Group = None,
    query: _Query = None,
    table: _Table = None,
    time_format: _TimeFormat = None,
    time_zone: _TimeZone = None,
    as_of: _AsOf = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary as JSON.")] = False,
) -> None:
    """Move a model forward by new visits, without learning anew.

    Unit, merging and marks are the model's; rows up to its as-of date are left out, so that a whole log
    may be passed again.
    """
    _check_place(out)
    fitted = _load(model)
    log = fitted.log_
    later = _read(
        source, id, time, list(log.mark_names), group, query=query, table=table, unit=log.unit,
        merge=log.merge or "none", time_format=time_format, time_zone=time_zone,
        start=log.date(log.as_of + 1), as_of=as_of, min_events=1,
    )  # fmt: skip
    fitted.update(later)
    _keep(fitted, out or model, as_json=as_json)


@app.command()
def predict(
    model: _Model,
    horizon: Annotated[
        list[str] | None, typer.Option(help="Such as 7d, 26w, 36h; repeatable; by default 7d 30d 90d.")
    ] = None,
    level: Annotated[
        list[int] | None,
        typer.Option(help="Per cent of an interval of the next visit; repeatable; by default 50 80 95."),
    ] = None,
    id: Annotated[  # noqa: A002
        list[str] | None, typer.Option("--id", help="Customer; repeatable; by default all.")
    ] = None,
    by_group: Annotated[
        bool, typer.Option("--by-group", help="Expected visits of each group (store) instead.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="File that ends in .csv, .parquet or .json; by default CSV on stdout.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout, instead of CSV.")] = False,
) -> None:
    """Forecast every customer's next visit, chance of a return, and number of visits; or the next steps."""
    if by_group and (id or level):
        raise typer.BadParameter("--by-group forecasts whole groups; it goes with neither --id nor --level")
    terminal.check_file(out, terminal.TABLE_FORMATS, "table")
    if _holds_series(model):
        from foretell import cli_series  # noqa: PLC0415

        cli_series.predict(_load_series(model), horizon, level, id, out, as_json=as_json)
        return
    fitted = _load(model)
    horizons = horizon or ["7d", "30d", "90d"]
    with terminal.busy("forecasting"):
        frame = (
            fitted.predict_groups(horizons)
            if by_group
            else fitted.predict(horizons, level or [50, 80, 95], _ids(fitted.log_, id))
        )
    terminal.write_table(frame, out, as_json=as_json)


@app.command()
def evaluate(  # noqa: PLR0917  # typer names every option by a parameter
    source: _Source,
    cutoff: Annotated[
        str | None, typer.Option(help="Last day that the models see; of series, --h alone will do.")
    ] = None,
    horizon: Annotated[str, typer.Option(help="Length of the held-back period.")] = "273d",
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="foretell, pareto/nbd, bg/nbd, mbg/nbd, repeat rate, mean gap or median gap; by default all."
        ),
    ] = None,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the figures; - for stdout.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Directory for tracking.png and reliability.png.")
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Fit ours with so many seeds; tell how far the figures differ.")
    ] = 1,
    report: Annotated[
        Path | None, typer.Option(help="One HTML page with all of it, which needs no network.")
    ] = None,
    id: _Id = "unique_id",  # noqa: A002
    time: _Time = "ds",
    mark: _Mark = None,
    group: _Group = None,
    query: _Query = None,
    table: _Table = None,
    unit: _UnitOption = _Unit.day,
    merge: _MergeOption = _Merge.auto,
    time_format: _TimeFormat = None,
    time_zone: _TimeZone = None,
    start: _Start = None,
    as_of: _AsOf = None,
    min_events: _MinEvents = 1,
    ensemble: _Ensemble = 3,
    seed: _Seed = 0,
    epochs: _Epochs = None,
    seasonal: _Seasonal = True,
    target: _Target = None,
    h: _Steps = None,
    past: _Past = None,
    future: _Future = None,
    static: _Static = None,
    freq: _Freq = None,
) -> None:
    """Compare models on a period that is held back from them."""
    figures = None if json_path in {None, "-"} else Path(str(json_path))
    terminal.check_file(figures, (), "file")
    terminal.check_file(report, (".htm", ".html"), "page")
    if target:
        from foretell import cli_series  # noqa: PLC0415

        network = cli_series.build(h, ensemble, seed, epochs)
        panel = cli_series.read_panel(
            source, id=id, time=time, target=target, past=past or (), future=future or (),
            static=static or (), freq=freq, query=query, table=table, time_format=time_format,
            time_zone=time_zone, start=start, as_of=as_of,
        )  # fmt: skip
        cli_series.evaluate(panel, cutoff, network, model, json_path, pictures, report, seeds=seeds)
        return
    if cutoff is None:
        raise typer.BadParameter("name the last day that the models see with --cutoff")
    log = _read(
        source, id, time, mark, group, query=query, table=table, unit=unit.value, merge=merge.value,
        time_format=time_format, time_zone=time_zone, start=start, as_of=as_of, min_events=min_events,
    )  # fmt: skip
    from foretell.evaluation.leaderboard import evaluate as compare  # noqa: PLC0415
    from foretell.evaluation.registry import model_names  # noqa: PLC0415

    ours = _forecaster(ensemble, seed, epochs, seasonal=seasonal)
    chosen = [ours if name.lower() == "foretell" else name for name in model or model_names()]
    with terminal.busy(f"fitting and comparing {len(chosen)} models"):
        board = compare(log, cutoff, horizon, models=chosen, seeds=seeds)
    if json_path == "-":
        terminal.tell(board.to_json())
    else:
        count = board.holdout.train.n_customers
        title = f"{count:,} customers seen by {board.cutoff}, forecast to {board.end}; best first"
        terminal.show_table(board.table(), title=title)
        terminal.tell(str(board.verdict()))
        if seeds > 1:
            terminal.show_table(board.seed_spread(), title=f"Ours with {seeds} seeds")
        if figures is not None:
            board.save_json(figures)
            terminal.say(f"{figures} written")
    if pictures is not None:
        _draw_board(board, pictures)
    if report is not None:
        cli_insight.write_page(board, report)


@app.command()
def tune(  # noqa: PLR0917  # typer names every option by a parameter
    source: _Source,
    knob: Annotated[
        list[str],
        typer.Option(help="network.units=16,32 or training.learning_rate=1e-4..1e-2:log; repeatable."),
    ],
    out: Annotated[Path, typer.Option(help="Directory for the best model.")],
    method: Annotated[str, typer.Option(help="tpe, random or grid.")] = "tpe",
    trials: Annotated[int | None, typer.Option(min=1, help="By default 20, of a grid all.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Begin no trial after so long.")] = None,
    objective: Annotated[str | None, typer.Option(help="A figure of the leaderboard.")] = None,
    horizon: Annotated[str | None, typer.Option(help="Length of the inner held-back part.")] = None,
    storage: Annotated[Path | None, typer.Option(help="SQLite file, to go on after a break.")] = None,
    id: _Id = "unique_id",  # noqa: A002
    time: _Time = "ds",
    mark: _Mark = None,
    group: _Group = None,
    unit: _UnitOption = _Unit.day,
    merge: _MergeOption = _Merge.auto,
    as_of: _AsOf = None,
    ensemble: _Ensemble = 3,
    seed: _Seed = 0,
    epochs: _Epochs = None,
    target: _Target = None,
    h: _Steps = None,
    past: _Past = None,
    future: _Future = None,
    static: _Static = None,
    freq: _Freq = None,
) -> None:
    """Search settings on a held-back part of the data; write the best model, fitted to all of them."""
    _check_place(out)
    data: Any
    model: Any
    if target:
        from foretell import cli_series  # noqa: PLC0415

        model = cli_series.build(h, ensemble, seed, epochs)
        data = cli_series.read_panel(
            source, id=id, time=time, target=target, past=past or (), future=future or (),
            static=static or (), freq=freq, as_of=as_of,
        )  # fmt: skip
    else:
        data = _read(source, id, time, mark, group, unit=unit.value, merge=merge.value, as_of=as_of)
        model = _forecaster(ensemble, seed, epochs, seasonal=True)
    search = {"method": method, "trials": trials, "seconds": seconds, "seed": seed}
    cli_insight.tune(data, model, knob, out, search, horizon=horizon, objective=objective, storage=storage)


app.command()(cli_insight.explain)
app.command()(cli_insight.anomalies)


@app.command()
def backtest(  # noqa: PLR0917  # typer names every option by a parameter
    source: _Source,
    horizon: Annotated[str, typer.Option(help="What is forecast at each cut-off, of visits.")] = "90d",
    cutoff: Annotated[
        list[str] | None, typer.Option(help="Last day that the models see; repeatable; instead of --folds.")
    ] = None,
    folds: Annotated[int, typer.Option(min=1, help="Cut-offs, counted back from the end.")] = 4,
    step: Annotated[
        str | None,
        typer.Option(help="Between cut-offs: 30d; of series 13; by default the horizon."),
    ] = None,
    refit: Annotated[str, typer.Option(help="always, never, warm, or k for every k-th cut-off.")] = "always",
    training: Annotated[str, typer.Option(help="expanding or sliding.")] = "expanding",
    model: Annotated[
        list[str] | None, typer.Option(help="As for evaluate; repeatable; by default all.")
    ] = None,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the figures; - for stdout.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory for the rows of each cut-off, as Parquet files.")
    ] = None,
    pictures: Annotated[Path | None, typer.Option(help="Directory for coverage, PIT and repair.")] = None,
    id: _Id = "unique_id",  # noqa: A002
    time: _Time = "ds",
    mark: _Mark = None,
    group: _Group = None,
    query: _Query = None,
    table: _Table = None,
    unit: _UnitOption = _Unit.day,
    merge: _MergeOption = _Merge.auto,
    time_format: _TimeFormat = None,
    time_zone: _TimeZone = None,
    start: _Start = None,
    as_of: _AsOf = None,
    min_events: _MinEvents = 1,
    ensemble: _Ensemble = 3,
    seed: _Seed = 0,
    epochs: _Epochs = None,
    seasonal: _Seasonal = True,
    target: _Target = None,
    h: _Steps = None,
    past: _Past = None,
    future: _Future = None,
    static: _Static = None,
    freq: _Freq = None,
) -> None:
    """Compare models at several cut-offs, one after the other, as they would have been used."""
    from foretell import cli_backtest  # noqa: PLC0415

    plan = cli_backtest.Plan(
        cutoffs=cutoff, folds=folds, step=step, refit=refit, training=training, models=model,
        json_path=json_path, out=out, pictures=pictures,
    )  # fmt: skip
    if target:
        from foretell import cli_series  # noqa: PLC0415

        network = cli_series.build(h, ensemble, seed, epochs)
        panel = cli_series.read_panel(
            source, id=id, time=time, target=target, past=past or (), future=future or (),
            static=static or (), freq=freq, query=query, table=table, time_format=time_format,
            time_zone=time_zone, start=start, as_of=as_of,
        )  # fmt: skip
        cli_backtest.run(panel, network, network.horizon, plan)
        return
    log = _read(
        source, id, time, mark, group, query=query, table=table, unit=unit.value, merge=merge.value,
        time_format=time_format, time_zone=time_zone, start=start, as_of=as_of, min_events=min_events,
    )  # fmt: skip
    cli_backtest.run(log, _forecaster(ensemble, seed, epochs, seasonal=seasonal), horizon, plan)


@app.command()
def plot(
    model: _Model,
    out: Annotated[Path, typer.Option(help="File that ends in .png, .svg or .html.")],
    kind: Annotated[_Kind, typer.Option(help="What to draw.")] = _Kind.next,
    id: Annotated[str | None, typer.Option("--id", help="Customer, for the kind next.")] = None,  # noqa: A002
    actual: Annotated[str | None, typer.Option(help="When that customer really came next, if known.")] = None,
    horizon: Annotated[str, typer.Option(help="How far ahead, for the kind tracking.")] = "26w",
) -> None:
    """Draw a customer's next visit, the weekly visits of all, who is active, or a series' next steps."""
    # The endings are plotting.FORMATS; altair takes a second to import, a wrong name should not.
    terminal.check_file(out, (".png", ".svg", ".html"), "picture")
    if kind is _Kind.reliability:
        raise typer.BadParameter(
            "reliability needs a period that was held back: use foretell evaluate … --pictures DIRECTORY"
        )
    if _holds_series(model):
        from foretell import cli_series  # noqa: PLC0415

        cli_series.plot(_load_series(model), [id] if id else None, out)
        return
    if kind is _Kind.next and id is None:
        raise typer.BadParameter("the kind next shows one customer: name it with --id")
    fitted = _load(model)
    from foretell import plotting  # noqa: PLC0415

    with terminal.busy("drawing"):
        if kind is _Kind.next:
            chosen = _ids(fitted.log_, [str(id)], known=True) or []
            chart = plotting.plot_next_event(fitted, chosen[0], actual=actual)
        elif kind is _Kind.tracking:
            chart = plotting.plot_tracking(fitted, horizon=horizon)
        else:
            chart = plotting.plot_activity(fitted)
        plotting.save(chart, out)
    terminal.say(f"{out} written")


def main() -> None:
    """Run the command line."""
    try:
        app()
    except BrokenPipeError:
        # The reader of a pipe (head, less) has had enough; what Python still holds has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _read(
    source: list[str],
    id: str,  # noqa: A002
    time: str,
    mark: list[str] | None,
    group: str | None,
    *,
    merge: str,
    **options: Any,
) -> EventLog:
    """Read the log and say on stderr what was read and what was left out."""
    from foretell.data.events import read_events  # noqa: PLC0415

    with terminal.busy("reading"):
        log = read_events(
            source[0] if len(source) == 1 else source,
            id=id,
            time=time,
            marks=mark or (),
            group=group,
            merge=None if merge == "none" else merge,  # type: ignore[arg-type]
            **options,
        )
    terminal.say(log.report)
    last = log.date(log.as_of)
    terminal.say(f"{log.n_customers:,} customers, observed from {log.date(log.start)} to {last}")
    return log


def _forecaster(ensemble: int, seed: int, epochs: int | None, *, seasonal: bool) -> EventForecaster:
    from foretell.events.forecaster import EventForecaster  # noqa: PLC0415
    from foretell.nn.training import TrainConfig  # noqa: PLC0415

    training = TrainConfig() if epochs is None else TrainConfig(epochs=epochs)
    return EventForecaster(ensemble=ensemble, seed=seed, training=training, seasonal=seasonal)


def _load_any(place: Path) -> EventForecaster | SeriesForecaster:
    from foretell.storage import load  # noqa: PLC0415

    with terminal.busy("loading the model"):
        return load(place)


def _holds_series(place: Path) -> bool:
    """Look into a model's description, without the engine."""
    try:
        return bool(json.loads((place / "model.json").read_text(encoding="utf-8"))["kind"] == "series")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _load_series(place: Path) -> SeriesForecaster:
    return cast("SeriesForecaster", _load_any(place))


def _load(place: Path) -> EventForecaster:
    """Load a model of visits."""
    if _holds_series(place):
        raise ParameterError(f"{place} is a model of regular series; this command takes a model of visits")
    return cast("EventForecaster", _load_any(place))


def _check_place(out: Path | None) -> None:
    """Refuse a directory that holds something else before minutes of training, not after them."""
    if out is None:
        return
    is_model = (out / "model.json").is_file()
    if out.is_file() or (out.is_dir() and not is_model and any(out.iterdir())):
        raise StorageError(
            f"{out} exists and is not a foretell model; choose another directory, or remove it"
        )


def _keep(model: EventForecaster, out: Path, *, as_json: bool) -> None:
    model.save(out)
    log = model.log_
    terminal.say(f"model of {log.n_customers:,} customers as of {log.date(log.as_of)} written to {out}")
    if as_json:
        summary = {
            "model": str(out),
            "customers": log.n_customers,
            "events": log.n_events,
            "start": str(log.date(log.start)),
            "as_of": str(log.date(log.as_of)),
            "rows_read": log.report.rows_read,
            "left_out": log.report.left_out,
            "adjusted": log.report.adjusted,
        }
        terminal.tell(json.dumps(summary, indent=2, ensure_ascii=False))


def _ids(log: EventLog, asked: list[str] | None, *, known: bool = False) -> list[Any] | None:
    """Return ids from the command line in the log's own type; say which of them the log does not know."""
    if not asked:
        return None
    whole = log.ids.dtype.is_integer()
    try:
        ids = [int(text) if whole else text for text in asked]
    except ValueError as error:
        raise ParameterError(f"--id {', '.join(asked)}: the ids of this model are whole numbers") from error
    customers = set(log.ids.to_list())
    strangers = [str(one) for one in ids if one not in customers]
    if strangers and not known:
        terminal.say(f"not in the log, forecast as new customers: {', '.join(strangers)}")
    return ids


def _draw_board(board: Any, place: Path) -> None:
    from foretell import plotting  # noqa: PLC0415

    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write to {place}: {error.strerror}") from error
    with terminal.busy("drawing"):
        for name, draw in (("tracking", plotting.plot_tracking), ("reliability", plotting.plot_reliability)):
            terminal.say(f"{plotting.save(draw(board), place / f'{name}.png')} written")


if __name__ == "__main__":
    main()
