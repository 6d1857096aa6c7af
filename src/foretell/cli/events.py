"""What the commands do with visits: read the log, build, keep and draw."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretell.cli import terminal
from foretell.cli.pictures import draw_all
from foretell.errors import ParameterError

if TYPE_CHECKING:
    from foretell.data.log import EventLog
    from foretell.events.forecaster import EventForecaster


def read_log(
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


def build(ensemble: int, seed: int, epochs: int | None, *, seasonal: bool) -> EventForecaster:
    """Return an unfitted forecaster."""
    from foretell.events.forecaster import EventForecaster  # noqa: PLC0415
    from foretell.nn.training import TrainConfig  # noqa: PLC0415

    training = TrainConfig() if epochs is None else TrainConfig(epochs=epochs)
    return EventForecaster(ensemble=ensemble, seed=seed, training=training, seasonal=seasonal)


def keep(model: EventForecaster, out: Path, *, as_json: bool) -> None:
    """Save a fitted model and say what it was fitted to."""
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


def ids_of(log: EventLog, asked: list[str] | None, *, known: bool = False) -> list[Any] | None:
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


def draw_board(board: Any, place: Path) -> None:
    """Draw tracking and reliability of a leaderboard into a directory."""
    from foretell import plotting  # noqa: PLC0415

    charts = {
        "tracking": functools.partial(plotting.plot_tracking, board),
        "reliability": functools.partial(plotting.plot_reliability, board),
    }
    with terminal.busy("drawing"):
        draw_all(charts, place)
