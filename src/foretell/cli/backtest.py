"""The backtest command, for both questions."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretell.cli import terminal
from foretell.cli.pictures import draw_all
from foretell.errors import ParameterError

if TYPE_CHECKING:
    from foretell.data.log import EventLog
    from foretell.data.panel import Panel
    from foretell.evaluation.evaluation import Evaluation


@dataclasses.dataclass(frozen=True)
class Plan:
    """What was asked for.

    Attributes
    ----------
    cutoffs : list of str or None
    folds : int
    step : str or None
    refit, training : str
    models : list of str or None
    json_path : str or None
    out, pictures : Path or None
    """

    cutoffs: list[str] | None
    folds: int
    step: str | None
    refit: str
    training: str
    models: list[str] | None
    json_path: str | None
    out: Path | None
    pictures: Path | None


def run(data: EventLog | Panel, ours: Any, horizon: str | int, plan: Plan) -> None:
    """Run the backtest, show the figures, write what was asked for."""
    from foretell.data.panel import Panel  # noqa: PLC0415
    from foretell.evaluation.backtest import backtest  # noqa: PLC0415
    from foretell.evaluation.folds import BacktestConfig  # noqa: PLC0415

    step: str | int | None = plan.step
    if isinstance(data, Panel) and plan.step is not None:
        if not plan.step.isdigit():
            raise ParameterError(f"--step {plan.step}: for series it is a whole number of steps, such as 13")
        step = int(plan.step)
    with terminal.busy("fitting and comparing the models, cut-off by cut-off"):
        found = backtest(
            data,
            _models(data, ours, plan.models),
            horizon=horizon,
            cutoffs=plan.cutoffs or plan.folds,
            config=BacktestConfig(
                step=step,
                refit=int(plan.refit) if plan.refit.isdigit() else plan.refit,  # type: ignore[arg-type]
                training=plan.training,  # type: ignore[arg-type]
            ),
            out=plan.out,
        )
    _show(found, plan)


def _models(data: EventLog | Panel, ours: Any, asked: list[str] | None) -> list[Any]:
    """Return the models, ours with the options of the command line."""
    from foretell.evaluation.tasks import task_of  # noqa: PLC0415

    return [ours if name.lower() == "foretell" else name for name in asked or task_of(data).defaults]


def _show(found: Evaluation, plan: Plan) -> None:
    if plan.json_path == "-":
        terminal.tell(found.to_json())
    else:
        first, last = found.cutoffs[0], found.cutoffs[-1]
        title = f"{len(found.cutoffs)} cut-offs, {first} to {last}, together; best first"
        terminal.show_table(found.table(), title=title)
        terminal.show_table(found.scores(), title="Cut-off by cut-off")
        terminal.tell(str(found.verdict()))
    if plan.json_path not in {None, "-"}:
        found.save_json(Path(str(plan.json_path)))
        terminal.say(f"{plan.json_path} written")
    if plan.out is not None:
        terminal.say(f"the rows of each cut-off are in {plan.out}")
    if plan.pictures is not None:
        _draw(found, plan.pictures)


def _draw(found: Evaluation, place: Path) -> None:
    """Draw coverage of all models, and of ours the PIT histogram and what recalibration brings."""
    from foretell import plotting  # noqa: PLC0415

    charts = {"coverage": functools.partial(plotting.plot_coverage, found)}
    for name in found.ours[:1]:
        charts["pit"] = functools.partial(plotting.plot_pit, found, name)
        if len(found.cutoffs) > 1:
            charts["recalibration"] = functools.partial(plotting.plot_recalibration, found, name)
    draw_all(charts, place)
