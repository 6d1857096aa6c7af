"""The command line: thin commands over the public interface.

stdout carries data and tables, stderr messages and progress. The engine and the charts are imported inside
the commands, so that help and mistakes answer at once.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from foretell._version import __version__
from foretell.cli import terminal
from foretell.cli.entry import command, kind_of_model, kind_of_source
from foretell.cli.options import (
    EVENTS,
    SERIES,
    AskOptions,
    BacktestOptions,
    ClusterOptions,
    CompareOptions,
    EvaluateOptions,
    ModelDirectory,
    ModelOptions,
    ModelOut,
    PictureOptions,
    ReadOptions,
    RowOptions,
    SearchOptions,
    ShortlistOptions,
    SpendOptions,
    SummaryAsJson,
    TableOptions,
    TotalsOptions,
    TrainOptions,
    WhatIfOptions,
)
from foretell.cli.questions import QUESTIONS, Question, predict_groups, typed_ids
from foretell.cli.settings import build, compared, read_searched
from foretell.errors import DataError, MissingDependencyError, ParameterError

if TYPE_CHECKING:
    import polars as pl

    from foretell.cli.questions import Charts, Data, Model
    from foretell.data.panel import Panel
    from foretell.distributed import Scored
    from foretell.evaluation.evaluation import Evaluation
    from foretell.events.forecaster import EventForecaster
    from foretell.series.forecaster import SeriesForecaster

_SERVERS = ("fastapi", "jinja2", "python_multipart", "uvicorn")
_PICTURES = (".png", ".svg", ".html")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="When does each customer come next? What do regular series do next? Fit, forecast, compare, draw.",
)


def _print_version(asked: bool) -> None:
    if asked:
        terminal.tell(f"foretell {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@command(app)
def demo(
    learn: TrainOptions,
    out: Annotated[Path, typer.Option(help="Directory for what it makes.")] = Path("demo-output"),
    train: Annotated[
        bool, typer.Option("--train", help="Train networks on the data, too: it takes some minutes.")
    ] = False,
) -> None:
    """Forecast the customers of a real shop and the visits of real stores; compare models; draw it all."""
    from foretell.cli.demo import CUTOFF, DAYS, next_commands, run_events, run_series  # noqa: PLC0415

    trained = train or any(value is not None for value in dataclasses.asdict(learn).values())
    model = "foretell" if trained else "prior"
    with terminal.busy("fitting and comparing the models on a grocer's households"):
        forecaster = build(QUESTIONS["events"], learn, model)
        shop = run_events(out, cast("EventForecaster", forecaster))
    terminal.show_table(shop.evaluation.table(), title=f"{shop.evaluation.headline}; best first")
    terminal.tell(str(shop.evaluation.verdict()))
    columns = ["unique_id", "n_events", "last_event", "p_active", "next_event"]
    columns += ["next_event-lo-80", "next_event-hi-80", "p_return_30d", "expected_events_90d", "overdue"]
    busiest = shop.forecasts.sort("expected_events_90d", descending=True).select(columns).head(8)
    terminal.show_table(busiest, title=f"Forecasts as of {CUTOFF}: the busiest customers")
    with terminal.busy("forecasting the daily visits of the grocer's stores"):
        forecaster = build(QUESTIONS["series"], learn, model).set_params(horizon=DAYS)
        stores = run_series(out, cast("SeriesForecaster", forecaster))
    count = stores.evaluation.train.n_series
    terminal.show_table(
        stores.evaluation.table(), title=f"Daily visits of {count} stores, {DAYS} days held back"
    )
    terminal.tell(str(stores.evaluation.verdict()))
    terminal.tell("\n".join(["Made:", *[f"  {path}" for path in [*shop.files, *stores.files]]]))
    terminal.tell("\n".join(["What to try next:", *[f"  {words}" for words in next_commands(out)]]))


@command(app)
def new(
    source: Annotated[
        str | None, typer.Argument(help="File, folder or database; it is asked for otherwise.")
    ] = None,
) -> None:
    """Ask what is to be forecast, step by step; show the command that does it, and run it."""
    from foretell.cli.assistant import first_command  # noqa: PLC0415

    words = first_command(source)
    terminal.say(f"\nforetell {shlex.join(words)}\n")
    if typer.confirm("Run it now?", default=True, err=True):
        app(words, standalone_mode=False)


@command(app, kind_of_source)
def fit(
    question: Question,
    read: ReadOptions,
    learn: ModelOptions,
    out: ModelOut,
    model: Annotated[
        str, typer.Option(help="auto, network, prior, or a rule or statistic: pareto-nbd, ….")
    ] = "foretell",
    horizon: Annotated[
        str | None, typer.Option(help="How far to forecast: steps, or a duration such as 4w."), SERIES
    ] = None,
    as_json: SummaryAsJson = False,
) -> None:
    """Learn from a log of visits, or with --target or --every from regular series; write the model down."""
    question.check_horizon(horizon)
    _check_place(out)
    read.check_source()
    forecaster = build(question, learn, model)
    data = question.read(read)
    if horizon is not None:
        question.prepare(forecaster, question.horizon(horizon, data))
    forecaster.fit(data)  # type: ignore[arg-type]  # of one question
    _save(question, forecaster, out, as_json=as_json)


@command(app, kind_of_source)
def forecast(
    question: Question,
    read: ReadOptions,
    write: TableOptions,
    horizon: Annotated[
        str | None, typer.Option(help="How far: steps, or a duration such as 4w."), SERIES
    ] = None,
    level: Annotated[
        list[int] | None, typer.Option(help="Per cent of an interval; repeatable; by default 50 80 95.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Picture of the first series: .png, .svg or .html.")
    ] = None,
) -> None:
    """Forecast regular series at once, by the prior that comes with foretell: nothing is trained.

    What covariates that are known ahead (--future) add is told by a regression.
    """
    if not question.needs_horizon:
        raise ParameterError(
            "forecast answers for regular series: name a column with --target, or a step to count visits by "
            "with --every; what customers do needs a model first: "
            "foretell fit"
        )
    question.check_horizon(horizon)
    levels = level or [50, 80, 95]
    from foretell.core.constraints import as_levels  # noqa: PLC0415

    as_levels(levels)  # before the rows are read
    write.check()
    terminal.check_file(plot, _PICTURES, "picture")
    panel = cast("Panel", _read_single(question, read))
    steps = cast("int", question.horizon(str(horizon), panel))
    from foretell.data.tables import forecast_table, quantiles_for  # noqa: PLC0415
    from foretell.series.covariate_effect import CovariateEffect, prior_with  # noqa: PLC0415
    from foretell.series.covariates import AS_USUAL, say_what_is_not_given  # noqa: PLC0415
    from foretell.series.prior_forecast import first_season  # noqa: PLC0415  # they need no engine

    with terminal.busy("forecasting"):
        season = first_season(panel)
        effect = CovariateEffect.fit(panel, season)
        values = prior_with(effect, panel, steps, quantiles_for(levels), season)
    if effect is not None:
        say_what_is_not_given(panel, steps, AS_USUAL)
    write.write([forecast_table(panel, values, "foretell", levels)])
    if plot is not None:
        from foretell import plotting  # noqa: PLC0415
        from foretell.series.prior import Prior  # noqa: PLC0415

        with terminal.busy("drawing"):
            chart = plotting.plot_forecast(Prior(horizon=steps).fit(panel))  # type: ignore[arg-type]  # as ours
            plotting.save(chart, plot)
        terminal.say(f"{plot} written")


@command(app, kind_of_source)
def next_group(
    question: Question,
    read: ReadOptions,
    learn: TrainOptions,
    write: TableOptions,
    top: Annotated[int, typer.Option(min=1, help="Groups of each customer, the likeliest first.")] = 3,
    customer: Annotated[
        list[str] | None, typer.Option("--customer", help="Whom to forecast; repeatable; by default all.")
    ] = None,
) -> None:
    """Learn from visits with a --group in which order customers go where, and forecast where they go next."""
    write.check()
    if read.group is None or question.kind != "events":
        raise ParameterError("next-group takes visits with a --group: the store, category or kind of each")
    from foretell.next_group import NextGroup  # noqa: PLC0415
    from foretell.nn.settings import TrainConfig  # noqa: PLC0415

    training = None if learn.epochs is None else TrainConfig(epochs=learn.epochs)
    model = NextGroup(ensemble=learn.ensemble or 3, seed=learn.seed or 0, training=training)
    log = question.read(read)
    model.fit(log)
    chosen = None if customer is None else typed_ids(log.ids, customer)
    write.write([model.predict(top, chosen)], part=customer is not None)


def _read_single(question: Question, read: ReadOptions) -> Data:
    """Read rows; those without the column that ids stand in by default are of one series."""
    try:
        return question.read(read)
    except DataError:
        if read.id != ReadOptions.id or read.every is not None:
            raise
        return question.read(dataclasses.replace(read, id=""))


@command(app, kind_of_model)
def update(
    question: Question,
    model: ModelDirectory,
    rows: RowOptions,
    out: Annotated[
        Path | None, typer.Option(help="Directory for the new model; by default in place.")
    ] = None,
    as_json: SummaryAsJson = False,
) -> None:
    """Move a model forward by new visits, without learning anew.

    Unit, merging and marks are the model's; rows up to its as-of date are left out, so that a whole log
    may be passed again.
    """
    _check_place(out)
    fitted = _load(model)
    question.update(fitted, rows)
    _save(question, fitted, out or model, as_json=as_json)


@command(app, kind_of_model)
def predict(
    question: Question, model: ModelDirectory, ask: AskOptions, write: TableOptions, cluster: ClusterOptions
) -> None:
    """Forecast every customer's next visit, chance of a return, and number of visits; or the next steps."""
    if ask.by_group and (ask.id or ask.level):
        raise ParameterError("--by-group forecasts whole groups; it goes with neither --id nor --level")
    from foretell.core.constraints import as_levels  # noqa: PLC0415

    as_levels(ask.level or [])  # before the model is loaded
    from foretell.data.selection import Selection  # noqa: PLC0415

    chosen = Selection(ask.where or (), ask.sort, ask.top)
    cluster.check(write, ask)
    if cluster.on is not None:
        terminal.say(_predict_on(cluster, _load(model), write, ask))
        return
    write.check()
    fitted = _load(model)
    if ask.by_group:
        tables = iter([predict_groups(fitted, ask.horizon)])
    else:
        tables = question.predict(fitted, ask.horizon, ask.level or [50, 80, 95], ask.id)
    tables = chosen.of_all(terminal.each("forecasting", tables))
    write.write(tables, part=bool(ask.id or ask.where or ask.top))


@command(app, kind_of_model)
def shortlist(
    question: Question, model: ModelDirectory, choose: ShortlistOptions, write: TableOptions
) -> None:
    """List the customers worth writing to now, by the visits that a contact may win, each with its reason."""
    write.check()
    fitted = _load(model)
    with terminal.busy("ranking"):
        table = question.shortlist(fitted, choose.top, choose.horizon, choose.how())
    write.write([table], part=True, shown=["unique_id", "reason"])


@command(app, kind_of_model)
def report(
    question: Question,
    model: ModelDirectory,
    out: Annotated[Path, typer.Option("--out", "-o", help="Page to write; ends in .html.")],
    language: Annotated[str, typer.Option(help="en or zh.")] = "en",
    since: Annotated[
        Path | None, typer.Option(help="An earlier report to compare with; by default the one at --out.")
    ] = None,
) -> None:
    """Write a page for the shop: what to expect, whom to write to, who is new, how good forecasts were."""
    terminal.check_file(out, (".htm", ".html"), "page")
    fitted = _load(model)
    with terminal.busy("writing the report"):
        question.report(fitted, out, language=language, since=since)
    terminal.say(f"{out} written")


@command(app, kind_of_model)
def totals(question: Question, model: ModelDirectory, ask: TotalsOptions, write: TableOptions) -> None:
    """Forecast the visits of all customers together, or sums of series and steps, and how sure that is."""
    from foretell.core.constraints import as_levels  # noqa: PLC0415

    levels = as_levels(ask.level or [80])  # before the model is loaded
    write.check()
    fitted = _load(model)
    with terminal.busy("forecasting"):
        table = question.totals(fitted, ask, levels)
    write.write([table])


@command(app, kind_of_model)
def spend(question: Question, model: ModelDirectory, ask: SpendOptions, write: TableOptions) -> None:
    """Forecast what customers will spend, or with --discount what their visits to come are worth today."""
    from foretell.core.constraints import as_levels  # noqa: PLC0415
    from foretell.data.selection import Selection  # noqa: PLC0415

    as_levels(ask.level or [])  # before the model is loaded
    chosen = Selection(ask.where or (), ask.sort, ask.top)
    write.check()
    fitted = _load(model)
    with terminal.busy("forecasting"):
        table = question.spend(fitted, ask)
    write.write([chosen.of(table)], part=bool(ask.id or ask.where or ask.top))


@command(app, kind_of_model)
def effects(
    question: Question,
    model: ModelDirectory,
    write: TableOptions,
    horizon: Annotated[str, typer.Option(help="Of a newcomer's expected visits, such as 90d.")] = "90d",
) -> None:
    """Show what is known of customers (--static), and how many more visits it makes one expect."""
    write.check()
    write.write([question.effects(_load(model), horizon)])


@command(app, kind_of_model)
def what_if(question: Question, model: ModelDirectory, ask: WhatIfOptions, write: TableOptions) -> None:
    """Say what to expect of customers with a contact on some day, and without, as earlier ones went."""
    write.check()
    fitted = _load(model)
    with terminal.busy("comparing"):
        answer = question.what_if(fitted, ask)
    terminal.say(answer)
    write.write([answer.table], part=True)


def _predict_on(options: ClusterOptions, model: Model, write: TableOptions, ask: AskOptions) -> Scored:
    from foretell.distributed import Cluster, Partitions  # noqa: PLC0415
    from foretell.distributed import predict as run  # noqa: PLC0415

    horizons = [int(text) if text.isdecimal() else text for text in ask.horizon or ("7d", "30d", "90d")]
    with terminal.partition_progress() as progress:
        return run(
            cast("EventForecaster", model),
            write.to_url or cast("Path", write.out),
            write.to_table,
            visits=options.partitions if options.visits is None else Partitions.open(options.visits),
            horizons=horizons,
            levels=ask.level or [50, 80, 95],
            cluster=Cluster(options.workers, progress),
        )


@command(app, kind_of_source)
def evaluate(question: Question, read: ReadOptions, learn: ModelOptions, plan: EvaluateOptions) -> None:
    """Compare models on a period that is held back from them."""
    question.check_horizon(plan.horizon)
    terminal.check_file(plan.json_file, (), "file")
    terminal.check_file(plan.report, (".htm", ".html"), "page")
    read.check_source()
    models = compared(question, plan.model, learn)
    data = question.read(read)
    length = None if plan.horizon is None else _prepare(question, models, plan.horizon, data)
    from foretell.evaluation.backtest import evaluate as run  # noqa: PLC0415

    evaluation = run(data, plan.cutoff, length, models, seeds=plan.seeds)
    tables = {f"{evaluation.headline}; best first": evaluation.table()}
    _show_comparison(evaluation, plan, tables, question.comparison(evaluation))
    if plan.report is not None:
        from foretell.report import write_report  # noqa: PLC0415

        with terminal.busy("writing the report"):
            write_report(evaluation, plan.report)
        terminal.say(f"{plan.report} written")


@command(app, kind_of_source)
def backtest(question: Question, read: ReadOptions, learn: ModelOptions, plan: BacktestOptions) -> None:
    """Compare models at several cut-offs, one after the other, as they would have been used."""
    question.check_horizon(plan.horizon)
    terminal.check_file(plan.json_file, (), "file")
    read.check_source()
    models = compared(question, plan.model, learn)
    from foretell.evaluation.backtest import BacktestConfig  # noqa: PLC0415
    from foretell.evaluation.backtest import backtest as run  # noqa: PLC0415

    refit = int(plan.refit) if plan.refit.isdecimal() else plan.refit
    config = BacktestConfig(refit=refit, training=plan.training, seeds=plan.seeds)  # type: ignore[arg-type]
    data = question.read(read)
    length = _prepare(question, models, plan.horizon or "90d", data)
    if plan.step is not None:
        config = dataclasses.replace(config, step=question.horizon(plan.step, data, "--step"))
    cutoffs = plan.cutoff or plan.folds
    evaluation = run(data, models, horizon=length, cutoffs=cutoffs, config=config, out=plan.out)
    first, last = evaluation.cutoffs[0], evaluation.cutoffs[-1]
    title = f"{len(evaluation.cutoffs)} cut-offs, {first} to {last}, together; best first"
    tables = {title: evaluation.table(), "Cut-off by cut-off": evaluation.scores()}
    _show_comparison(evaluation, plan, tables, _calibration(evaluation))
    if plan.out is not None:
        terminal.say(f"the rows of each cut-off are in {plan.out}")


@command(app, kind_of_source)
def tune(
    question: Question,
    read: ReadOptions,
    learn: ModelOptions,
    search: SearchOptions,
    out: ModelOut,
    horizon: Annotated[str | None, typer.Option(help="Length of the inner held-back part.")] = None,
) -> None:
    """Search settings on a held-back part of the data; write the best model, fitted to all of them."""
    question.check_horizon(horizon)
    _check_place(out)
    read.check_source()
    forecaster = build(question, learn)
    space = dict(read_searched(text) for text in search.space)
    from foretell.evaluation.tuning import SearchConfig  # noqa: PLC0415
    from foretell.evaluation.tuning import tune as run  # noqa: PLC0415

    seed = 0 if learn.seed is None else learn.seed
    config = SearchConfig(
        method=search.method, trials=search.trials, seconds=search.seconds, seed=seed, storage=search.storage
    )
    data = question.read(read)
    length = None if horizon is None else _prepare(question, [forecaster], horizon, data)
    result = run(
        data,
        space,
        model=forecaster,  # type: ignore[arg-type]  # without --model it is one of ours
        horizon=length,
        objective=search.objective,
        search=config,
    )
    terminal.show_table(result.table(), title="Trials, the best first")
    terminal.tell(str(result))
    result.model.save(out)
    terminal.say(f"the best model, fitted to all data, written to {out}")


@command(app, kind_of_model)
def explain(
    question: Question,
    model: ModelDirectory,
    id: Annotated[str, typer.Option("--id", help="Customer or series.")],  # noqa: A002
    horizon: Annotated[str, typer.Option(help="A return within it is explained."), EVENTS] = "30d",
    target: Annotated[str | None, typer.Option(help="By default the first."), SERIES] = None,
    picture: Annotated[Path | None, typer.Option(help="File that ends in .png, .svg or .html.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Table and words as JSON.")] = False,
) -> None:
    """Say what a forecast of one customer or series comes from, in words and numbers."""
    terminal.check_file(picture, _PICTURES, "picture")
    fitted = _load(model)
    from foretell.explanations import explain as run  # noqa: PLC0415

    with terminal.busy("explaining"):
        customer = typed_ids(question.data(fitted).ids, [id])[0]
        explanation = run(fitted, customer, horizon=horizon, target=target)  # type: ignore[arg-type]  # or refuses
    if as_json:
        content = {
            "id": explanation.id,
            "quantity": explanation.quantity,
            "words": explanation.words,
            "parts": explanation.table().to_dicts(),
        }
        terminal.tell(json.dumps(content, indent=2, ensure_ascii=False, default=str))
    else:
        terminal.tell(str(explanation))
        terminal.show_table(explanation.table(), title=explanation.quantity)
    if picture is not None:
        from foretell import plotting  # noqa: PLC0415

        terminal.say(f"{plotting.save(plotting.plot_explanation(explanation), picture)} written")


@command(app, kind_of_model)
def anomalies(
    question: Question,
    model: ModelDirectory,
    write: TableOptions,
    level: Annotated[float, typer.Option(help="Per cent of the gaps or of the interval.")] = 99,
) -> None:
    """List customers who are silent beyond their gaps, or values of series outside of their interval."""
    del question
    write.check()
    fitted = _load(model)
    from foretell.explanations import anomalies as run  # noqa: PLC0415

    with terminal.busy("looking"):
        table = run(fitted, level=level)  # type: ignore[arg-type]  # or refuses
    write.write([table])


@command(app, kind_of_model)
def plot(
    question: Question,
    model: ModelDirectory,
    out: Annotated[Path, typer.Option(help="File that ends in .png, .svg or .html.")],
    ask: PictureOptions,
) -> None:
    """Draw the next visit of a customer or the next steps of a series, sums of all, money, or the shop."""
    # The endings are plotting.FORMATS; altair takes a second to import, a wrong name should not.
    terminal.check_file(out, _PICTURES, "picture")
    if ask.kind == "reliability":
        raise ParameterError(
            "--kind reliability needs a period that was held back: use foretell evaluate with --pictures"
        )
    question.check_picture(ask)
    fitted = _load(model)
    from foretell import plotting  # noqa: PLC0415

    with terminal.busy("drawing"):
        plotting.save(question.picture(fitted, ask), out)
    terminal.say(f"{out} written")


@command(app)
def serve(
    models: Annotated[
        list[Path] | None,
        typer.Argument(help="Directories that fit wrote, served by their names.", metavar="[MODEL]..."),
    ] = None,
    store: Annotated[
        Path, typer.Option(help="Folder for files that are sent, models that are fitted, and jobs.")
    ] = Path("foretell-store"),
    host: Annotated[str, typer.Option(help="Where to listen; others than this machine need a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="0 takes one that is free.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the token; by default the environment's FORETELL_TOKEN.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer.")] = 1,
) -> None:
    """Answer over HTTP, and show a page in the browser, on one port."""
    token = os.environ.get("FORETELL_TOKEN") or None
    if token_file is not None:
        try:
            token = token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ParameterError(f"--token-file {token_file}: {error.strerror}") from error
    missing = [name for name in _SERVERS if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"serving needs {', '.join(missing)}, which is not installed: pip install 'foretell[serve]'"
        )
    from foretell.serve.server import serve as run  # noqa: PLC0415  # an extra
    from foretell.serve.settings import ServeConfig  # noqa: PLC0415

    places = tuple(models or ())
    run(ServeConfig(places, store, host, port, token, workers), terminal.say)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except BrokenPipeError:
        # The reader of a pipe (head, less) has had enough; what Python still holds has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _prepare(question: Question, models: Sequence[Model | str], horizon: str, data: Data) -> str | int:
    """Return a horizon as the library takes it; models that have to know it are set to it."""
    length = question.horizon(horizon, data)
    for model in models:
        if not isinstance(model, str):
            question.prepare(model, length)
    return length


def _show_comparison(
    evaluation: Evaluation, options: CompareOptions, tables: Mapping[str, pl.DataFrame], charts: Charts
) -> None:
    """Write figures and pictures where they were asked for, and show tables and verdict."""
    if options.json_path == "-":
        terminal.tell(evaluation.to_json())
    else:
        for title, table in tables.items():
            terminal.show_table(table, title=title)
        terminal.tell(str(evaluation.verdict()))
        if options.seeds > 1:
            terminal.show_table(evaluation.seed_spread(), title=f"Ours with {options.seeds} seeds")
    if options.json_file is not None:
        evaluation.save_json(options.json_file)
        terminal.say(f"{options.json_file} written")
    if options.pictures is not None:
        terminal.draw_all(charts, options.pictures)


def _calibration(evaluation: Evaluation) -> Charts:
    """Return pictures of the coverage of all models, and of ours the PIT histogram and recalibration."""
    from foretell import plotting  # noqa: PLC0415

    charts: Charts = {"coverage": functools.partial(plotting.plot_coverage, evaluation)}
    for name in evaluation.ours[:1]:
        charts["pit"] = functools.partial(plotting.plot_pit, evaluation, name)
        if len(evaluation.cutoffs) > 1:
            charts["recalibration"] = functools.partial(plotting.plot_recalibration, evaluation, name)
    return charts


def _load(place: Path) -> Model:
    from foretell.forecasters import load  # noqa: PLC0415

    with terminal.busy("loading the model"):
        model: Model = load(place)
    return model


def _save(question: Question, model: Model, out: Path, *, as_json: bool) -> None:
    """Save a fitted model and say what it was fitted to."""
    model.save(out)
    words, summary = question.summary(model)
    terminal.say(f"{words} written to {out}")
    support = getattr(model, "support_", None)
    if support is not None and set(support.kinds) != {"real"}:
        terminal.say(
            f"values are {support}, which forecasts keep to (--set window.support=real: any numbers)"
        )
    if as_json:
        terminal.tell(json.dumps({"model": str(out)} | summary, indent=2, ensure_ascii=False))


def _check_place(out: Path | None) -> None:
    """Refuse a directory that holds something else before minutes of training, not after them."""
    if out is None:
        return
    from foretell.storage.files import check_place  # noqa: PLC0415

    check_place(out)


if __name__ == "__main__":
    main()
