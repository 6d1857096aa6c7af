"""The commands' second question: what they do where ``--target`` names regular series."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from foretell.cli import terminal
from foretell.cli.pictures import draw_all
from foretell.errors import ParameterError

if TYPE_CHECKING:
    from foretell.data.panel import Panel
    from foretell.series.forecaster import SeriesForecaster


def read_panel(source: list[str], *, id: str, **options: Any) -> Panel:  # noqa: A002  # the option's name
    """Read the panel, of one series if the id is empty; say on stderr what was read and what was left out."""
    from foretell.data.series import read_series  # noqa: PLC0415

    with terminal.busy("reading"):
        panel = read_series(source[0] if len(source) == 1 else source, id=id or None, **options)
    terminal.say(panel.report)
    terminal.say(repr(panel))
    return panel


def build(horizon: int | None, ensemble: int, seed: int, epochs: int | None) -> SeriesForecaster:
    """Return the forecaster that the options describe."""
    import dataclasses  # noqa: PLC0415

    from foretell.series.forecaster import DEFAULT_TRAINING, SeriesForecaster  # noqa: PLC0415

    if horizon is None:
        raise typer.BadParameter("--target needs --h: the number of steps to forecast, such as --h 13")
    training = DEFAULT_TRAINING if epochs is None else dataclasses.replace(DEFAULT_TRAINING, epochs=epochs)
    return SeriesForecaster(horizon, ensemble=ensemble, seed=seed, training=training)


def fit(panel: Panel, model: SeriesForecaster, out: Path, *, as_json: bool) -> None:
    """Train and save."""
    with terminal.training_progress() as progress:
        model.fit(panel, progress=progress)
    model.save(out)
    terminal.say(f"model of {panel.n_series:,} series written to {out}")
    if as_json:
        shape = model.model_.network.shape
        summary = {
            "model": str(out),
            "series": panel.n_series,
            "rows": panel.n_rows,
            "freq": panel.grid.freq,
            "targets": panel.targets,
            "horizon": shape.horizon,
            "season": shape.season,
            "lookback": shape.lookback,
            "patch": shape.patch,
        }
        terminal.tell(json.dumps(summary, indent=2, ensure_ascii=False))


def predict(
    model: SeriesForecaster,
    horizon: list[str] | None,
    level: list[int] | None,
    ids: list[str] | None,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Forecast and write the table."""
    if horizon is not None and (len(horizon) > 1 or not horizon[0].isdigit()):
        raise typer.BadParameter(
            f"--horizon {' '.join(horizon)}: for series it is one whole number of steps, such as --horizon 13"
        )
    panel = model.panel_
    if ids:
        panel = panel.select(_typed(panel, ids))
    with terminal.busy("forecasting"):
        table = model.predict(panel, h=int(horizon[0]) if horizon else None, levels=level or [50, 80, 95])
    terminal.write_table(table, out, as_json=as_json)


def evaluate(
    panel: Panel,
    cutoff: str | None,
    ours: SeriesForecaster,
    models: list[str] | None,
    json_path: str | None,
    pictures: Path | None,
    report: Path | None = None,
    *,
    seeds: int = 1,
) -> None:
    """Compare models on the last steps, and write table, figures and pictures."""
    from foretell.evaluation.backtest import evaluate as compare  # noqa: PLC0415

    named: list[Any] = models or ["foretell", "seasonal naive", "naive", "drift"]
    chosen = [ours if name == "foretell" else name for name in named]
    with terminal.busy("fitting and comparing the models"):
        board = compare(panel, cutoff, ours.horizon, chosen, seeds=seeds)
    if json_path == "-":
        terminal.tell(board.to_json())
    else:
        title = f"{board.headline}; best first"
        terminal.show_table(board.table(), title=title)
        terminal.tell(str(board.verdict()))
        if seeds > 1:
            terminal.show_table(board.seed_spread(), title=f"Ours with {seeds} seeds")
    if json_path not in {None, "-"}:
        board.save_json(Path(str(json_path)))
        terminal.say(f"{json_path} written")
    if pictures is not None:
        draw_board(board, pictures)
    if report is not None:
        from foretell.cli import explain as cli_insight  # noqa: PLC0415

        cli_insight.write_page(board, report)


def draw_board(board: Any, place: Path) -> None:
    """Draw a forecast beside the truth, and the error by step."""
    from foretell import plotting  # noqa: PLC0415

    charts = {"error_by_step": functools.partial(plotting.plot_error_by_step, board)}
    if board.ours:
        charts["forecast"] = functools.partial(plotting.plot_forecast, board)
    draw_all(charts, place)


def plot(model: SeriesForecaster, ids: list[str] | None, out: Path) -> None:
    """Draw one series with its forecast."""
    from foretell import plotting  # noqa: PLC0415

    chosen = _typed(model.panel_, ids)[0] if ids else None
    with terminal.busy("drawing"):
        plotting.save(plotting.plot_forecast(model, chosen), out)
    terminal.say(f"{out} written")


def _typed(panel: Panel, asked: list[str]) -> list[Any]:
    """Return ids from the command line in the panel's own type."""
    if not panel.ids.dtype.is_integer():
        return list(asked)
    try:
        return [int(text) for text in asked]
    except ValueError as error:
        raise ParameterError(f"--id {', '.join(asked)}: the ids of this model are whole numbers") from error
