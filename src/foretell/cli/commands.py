"""The command line: thin commands over the public interface.

stdout carries data and tables, stderr messages and progress. Exit codes: 0, 1 (it failed), 2 (wrong use).
The engine and the charts are imported inside the commands, so that help and mistakes answer at once.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from typer.core import TyperGroup

from foretell._version import __version__
from foretell.cli import events as cli_events
from foretell.cli import explain as cli_insight
from foretell.cli import terminal
from foretell.cli.options import (
    AsOf,
    Ensemble,
    Epochs,
    Freq,
    Future,
    Group,
    HeadName,
    HeadOption,
    Id,
    Kind,
    Mark,
    Merge,
    MergeOption,
    MinEvents,
    Model,
    Past,
    Query,
    Seasonal,
    Seed,
    Source,
    Start,
    Static,
    Steps,
    Table,
    Target,
    Time,
    TimeFormat,
    TimeZone,
    Unit,
    UnitOption,
)
from foretell.errors import ForetellError, ParameterError, StorageError

if TYPE_CHECKING:
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
    ensemble: Ensemble = 3,
    seed: Seed = 0,
    epochs: Epochs = None,
) -> None:
    """Forecast the customers of a real shop and the visits of real stores; compare models; draw it all."""
    from foretell.cli.demo import CUTOFF, run_demo  # noqa: PLC0415

    with terminal.busy("fitting and comparing the models on CDNOW (a minute or two)"):
        made = run_demo(
            out, sample=sample, forecaster=cli_events.build(ensemble, seed, epochs, seasonal=True)
        )
    terminal.show_table(made.board.table(), title=f"{made.board.headline}; best first")
    terminal.tell(str(made.board.verdict()))
    first = ["unique_id", "n_events", "last_event", "p_active", "next_event"]
    first += ["next_event-lo-80", "next_event-hi-80", "p_return_30d", "expected_events_90d", "overdue"]
    terminal.show_table(
        made.forecasts.sort("expected_events_90d", descending=True).select(first).head(8),
        title=f"Forecasts as of {CUTOFF}: the busiest customers",
    )
    from foretell.cli import series as cli_series  # noqa: PLC0415
    from foretell.cli.demo import DAYS, run_series_demo  # noqa: PLC0415

    with terminal.busy("forecasting the daily visits of a grocer's stores (a minute)"):
        stores = run_series_demo(out, forecaster=cli_series.build(DAYS, ensemble, seed, epochs))
    count = stores.board.train.n_series
    terminal.show_table(stores.board.table(), title=f"Daily visits of {count} stores, {DAYS} days held back")
    terminal.tell(str(stores.board.verdict()))
    terminal.tell("\n".join(["Made:", *[f"  {path}" for path in [*made.files, *stores.files]]]))


@app.command()
def fit(  # noqa: PLR0917  # typer names every option by a parameter
    source: Source,
    out: Annotated[Path, typer.Option(help="Directory for the model.")],
    id: Id = "unique_id",  # noqa: A002  # the option's name
    time: Time = "ds",
    mark: Mark = None,
    group: Group = None,
    query: Query = None,
    table: Table = None,
    unit: UnitOption = Unit.day,
    merge: MergeOption = Merge.auto,
    time_format: TimeFormat = None,
    time_zone: TimeZone = None,
    start: Start = None,
    as_of: AsOf = None,
    min_events: MinEvents = 1,
    ensemble: Ensemble = 3,
    seed: Seed = 0,
    epochs: Epochs = None,
    seasonal: Seasonal = True,
    head: HeadOption = HeadName.mixture,
    target: Target = None,
    h: Steps = None,
    past: Past = None,
    future: Future = None,
    static: Static = None,
    freq: Freq = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary as JSON.")] = False,
) -> None:
    """Learn from a log of visits, or with --target from regular series; write the model to a directory."""
    _check_place(out)
    if target and head is not HeadName.mixture:
        raise typer.BadParameter("--head belongs to logs of visits; series, with --target, have none")
    if target:
        from foretell.cli import series as cli_series  # noqa: PLC0415

        ours = cli_series.build(h, ensemble, seed, epochs)
        panel = cli_series.read_panel(
            source, id=id, time=time, target=target, past=past or (), future=future or (),
            static=static or (), freq=freq, query=query, table=table, time_format=time_format,
            time_zone=time_zone, start=start, as_of=as_of,
        )  # fmt: skip
        cli_series.fit(panel, ours, out, as_json=as_json)
        return
    log = cli_events.read_log(
        source, id, time, mark, group, query=query, table=table, unit=unit.value, merge=merge.value,
        time_format=time_format, time_zone=time_zone, start=start, as_of=as_of, min_events=min_events,
    )  # fmt: skip
    model = cli_events.build(ensemble, seed, epochs, seasonal=seasonal).set_params(head=head.value)
    with terminal.training_progress() as progress:
        model.fit(log, progress=progress)
    cli_events.keep(model, out, as_json=as_json)


@app.command()
def update(  # noqa: PLR0917  # typer names every option by a parameter
    model: Model,
    source: Source,
    out: Annotated[
        Path | None, typer.Option(help="Directory for the updated model; by default in place.")
    ] = None,
    id: Id = "unique_id",  # noqa: A002
    time: Time = "ds",
    group: Group = None,
    query: Query = None,
    table: Table = None,
    time_format: TimeFormat = None,
    time_zone: TimeZone = None,
    as_of: AsOf = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary as JSON.")] = False,
) -> None:
    """Move a model forward by new visits, without learning anew.

    Unit, merging and marks are the model's; rows up to its as-of date are left out, so that a whole log
    may be passed again.
    """
    _check_place(out)
    fitted = _load(model)
    log = fitted.log_
    later = cli_events.read_log(
        source, id, time, list(log.mark_names), group, query=query, table=table, unit=log.unit,
        merge=log.merge or "none", time_format=time_format, time_zone=time_zone,
        start=log.date(log.as_of + 1), as_of=as_of, min_events=1,
    )  # fmt: skip
    fitted.update(later)
    cli_events.keep(fitted, out or model, as_json=as_json)


@app.command()
def predict(
    model: Model,
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
        from foretell.cli import series as cli_series  # noqa: PLC0415

        cli_series.predict(_load_series(model), horizon, level, id, out, as_json=as_json)
        return
    fitted = _load(model)
    horizons = horizon or ["7d", "30d", "90d"]
    with terminal.busy("forecasting"):
        frame = (
            fitted.predict_groups(horizons)
            if by_group
            else fitted.predict(horizons, level or [50, 80, 95], cli_events.ids_of(fitted.log_, id))
        )
    terminal.write_table(frame, out, as_json=as_json)


@app.command()
def evaluate(  # noqa: PLR0917  # typer names every option by a parameter
    source: Source,
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
    id: Id = "unique_id",  # noqa: A002
    time: Time = "ds",
    mark: Mark = None,
    group: Group = None,
    query: Query = None,
    table: Table = None,
    unit: UnitOption = Unit.day,
    merge: MergeOption = Merge.auto,
    time_format: TimeFormat = None,
    time_zone: TimeZone = None,
    start: Start = None,
    as_of: AsOf = None,
    min_events: MinEvents = 1,
    ensemble: Ensemble = 3,
    seed: Seed = 0,
    epochs: Epochs = None,
    seasonal: Seasonal = True,
    target: Target = None,
    h: Steps = None,
    past: Past = None,
    future: Future = None,
    static: Static = None,
    freq: Freq = None,
) -> None:
    """Compare models on a period that is held back from them."""
    figures = None if json_path in {None, "-"} else Path(str(json_path))
    terminal.check_file(figures, (), "file")
    terminal.check_file(report, (".htm", ".html"), "page")
    if target:
        from foretell.cli import series as cli_series  # noqa: PLC0415

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
    log = cli_events.read_log(
        source, id, time, mark, group, query=query, table=table, unit=unit.value, merge=merge.value,
        time_format=time_format, time_zone=time_zone, start=start, as_of=as_of, min_events=min_events,
    )  # fmt: skip
    from foretell.evaluation.backtest import evaluate as compare  # noqa: PLC0415
    from foretell.evaluation.tasks import EVENTS  # noqa: PLC0415

    ours = cli_events.build(ensemble, seed, epochs, seasonal=seasonal)
    chosen = [ours if name.lower() == "foretell" else name for name in model or EVENTS.defaults]
    with terminal.busy(f"fitting and comparing {len(chosen)} models"):
        board = compare(log, cutoff, horizon, models=chosen, seeds=seeds)
    if json_path == "-":
        terminal.tell(board.to_json())
    else:
        title = f"{board.headline}; best first"
        terminal.show_table(board.table(), title=title)
        terminal.tell(str(board.verdict()))
        if seeds > 1:
            terminal.show_table(board.seed_spread(), title=f"Ours with {seeds} seeds")
        if figures is not None:
            board.save_json(figures)
            terminal.say(f"{figures} written")
    if pictures is not None:
        cli_events.draw_board(board, pictures)
    if report is not None:
        cli_insight.write_page(board, report)


@app.command()
def tune(  # noqa: PLR0917  # typer names every option by a parameter
    source: Source,
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
    id: Id = "unique_id",  # noqa: A002
    time: Time = "ds",
    mark: Mark = None,
    group: Group = None,
    unit: UnitOption = Unit.day,
    merge: MergeOption = Merge.auto,
    as_of: AsOf = None,
    ensemble: Ensemble = 3,
    seed: Seed = 0,
    epochs: Epochs = None,
    target: Target = None,
    h: Steps = None,
    past: Past = None,
    future: Future = None,
    static: Static = None,
    freq: Freq = None,
) -> None:
    """Search settings on a held-back part of the data; write the best model, fitted to all of them."""
    _check_place(out)
    data: Any
    model: Any
    if target:
        from foretell.cli import series as cli_series  # noqa: PLC0415

        model = cli_series.build(h, ensemble, seed, epochs)
        data = cli_series.read_panel(
            source, id=id, time=time, target=target, past=past or (), future=future or (),
            static=static or (), freq=freq, as_of=as_of,
        )  # fmt: skip
    else:
        data = cli_events.read_log(
            source, id, time, mark, group, unit=unit.value, merge=merge.value, as_of=as_of
        )
        model = cli_events.build(ensemble, seed, epochs, seasonal=True)
    search = {"method": method, "trials": trials, "seconds": seconds, "seed": seed}
    cli_insight.tune(data, model, knob, out, search, horizon=horizon, objective=objective, storage=storage)


app.command()(cli_insight.explain)
app.command()(cli_insight.anomalies)


@app.command()
def backtest(  # noqa: PLR0917  # typer names every option by a parameter
    source: Source,
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
    pictures: Annotated[Path | None, typer.Option(help="Directory for coverage, PIT, recalibration.")] = None,
    id: Id = "unique_id",  # noqa: A002
    time: Time = "ds",
    mark: Mark = None,
    group: Group = None,
    query: Query = None,
    table: Table = None,
    unit: UnitOption = Unit.day,
    merge: MergeOption = Merge.auto,
    time_format: TimeFormat = None,
    time_zone: TimeZone = None,
    start: Start = None,
    as_of: AsOf = None,
    min_events: MinEvents = 1,
    ensemble: Ensemble = 3,
    seed: Seed = 0,
    epochs: Epochs = None,
    seasonal: Seasonal = True,
    target: Target = None,
    h: Steps = None,
    past: Past = None,
    future: Future = None,
    static: Static = None,
    freq: Freq = None,
) -> None:
    """Compare models at several cut-offs, one after the other, as they would have been used."""
    from foretell.cli import backtest as cli_backtest  # noqa: PLC0415

    plan = cli_backtest.Plan(
        cutoffs=cutoff, folds=folds, step=step, refit=refit, training=training, models=model,
        json_path=json_path, out=out, pictures=pictures,
    )  # fmt: skip
    if target:
        from foretell.cli import series as cli_series  # noqa: PLC0415

        network = cli_series.build(h, ensemble, seed, epochs)
        panel = cli_series.read_panel(
            source, id=id, time=time, target=target, past=past or (), future=future or (),
            static=static or (), freq=freq, query=query, table=table, time_format=time_format,
            time_zone=time_zone, start=start, as_of=as_of,
        )  # fmt: skip
        cli_backtest.run(panel, network, network.horizon, plan)
        return
    log = cli_events.read_log(
        source, id, time, mark, group, query=query, table=table, unit=unit.value, merge=merge.value,
        time_format=time_format, time_zone=time_zone, start=start, as_of=as_of, min_events=min_events,
    )  # fmt: skip
    cli_backtest.run(log, cli_events.build(ensemble, seed, epochs, seasonal=seasonal), horizon, plan)


@app.command()
def plot(
    model: Model,
    out: Annotated[Path, typer.Option(help="File that ends in .png, .svg or .html.")],
    kind: Annotated[Kind, typer.Option(help="What to draw.")] = Kind.next,
    id: Annotated[str | None, typer.Option("--id", help="Customer, for the kind next.")] = None,  # noqa: A002
    actual: Annotated[str | None, typer.Option(help="When that customer really came next, if known.")] = None,
    horizon: Annotated[str, typer.Option(help="How far ahead, for the kind tracking.")] = "26w",
) -> None:
    """Draw a customer's next visit, the weekly visits of all, who is active, or a series' next steps."""
    # The endings are plotting.FORMATS; altair takes a second to import, a wrong name should not.
    terminal.check_file(out, (".png", ".svg", ".html"), "picture")
    if kind is Kind.reliability:
        raise typer.BadParameter(
            "reliability needs a period that was held back: use foretell evaluate … --pictures DIRECTORY"
        )
    if _holds_series(model):
        from foretell.cli import series as cli_series  # noqa: PLC0415

        cli_series.plot(_load_series(model), [id] if id else None, out)
        return
    if kind is Kind.next and id is None:
        raise typer.BadParameter("the kind next shows one customer: name it with --id")
    fitted = _load(model)
    from foretell import plotting  # noqa: PLC0415

    with terminal.busy("drawing"):
        if kind is Kind.next:
            chosen = cli_events.ids_of(fitted.log_, [str(id)], known=True) or []
            chart = plotting.plot_next_event(fitted, chosen[0], actual=actual)
        elif kind is Kind.tracking:
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


def _load_any(place: Path) -> EventForecaster | SeriesForecaster:
    from foretell.storage.directory import load  # noqa: PLC0415

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


if __name__ == "__main__":
    main()
