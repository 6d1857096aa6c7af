"""The main job on real data: the CDNOW customers, forecast as of September 1997, and judged by what came."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from foretell.data.events import read_events
from foretell.datasets import load_cdnow
from foretell.errors import StorageError
from foretell.evaluation.leaderboard import Leaderboard, evaluate
from foretell.events.forecaster import EventForecaster

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from foretell.data.log import EventLog

CUTOFF, END, HORIZON = "1997-09-30", "1998-06-30", "273d"


class Demo(NamedTuple):
    """What the demo made.

    Attributes
    ----------
    board : Leaderboard
    forecasts : polars.DataFrame
        One row per customer, as of the cut-off.
    files : tuple of Path
    """

    board: Leaderboard
    forecasts: pl.DataFrame
    files: tuple[Path, ...]


def run_demo(
    out: str | Path,
    *,
    sample: bool = False,
    models: Sequence[str] | None = None,
    forecaster: EventForecaster | None = None,
) -> Demo:
    """Forecast CDNOW's customers, compare the models on the 39 weeks that follow, and draw it all.

    Parameters
    ----------
    out : str or Path
        Directory for the files: the log, the forecasts, the leaderboard, the model and four pictures.
    sample : bool
        Use the 1/10 sample of the customers.
    models : sequence of str, optional
        Names of the models to compare ours with; by default all of the others.
    forecaster : EventForecaster, optional
        Ours; by default with its default settings.
    """
    from foretell import plotting  # noqa: PLC0415  # altair is slow to import; the other commands do without
    from foretell.evaluation.registry import model_names  # noqa: PLC0415

    place = Path(out)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write to {place}: {error.strerror}") from error
    rows = load_cdnow(sample=sample)
    log = read_events(rows, id="customer_id", time="date", marks=["amount"], as_of=END)
    others = [name for name in model_names() if name != "foretell"] if models is None else list(models)
    board = evaluate(log, CUTOFF, HORIZON, models=[forecaster or EventForecaster(), *others])
    ours = cast("EventForecaster", board.models["foretell"])
    forecasts = ours.predict()

    files = [
        place / name
        for name in ("cdnow.csv", "forecasts.csv", "leaderboard.json", "leaderboard.txt", "model")
    ]
    rows.write_csv(files[0])
    forecasts.write_csv(files[1])
    board.save_json(files[2])
    files[3].write_text(f"{board}\n", encoding="utf-8")
    ours.save(files[4])
    customer = _regular(ours.log_)
    came = int(board.holdout.next_event[customer])
    pictures = {
        "next_event": plotting.plot_next_event(
            ours,
            ours.log_.ids[customer],
            actual=str(ours.log_.date(came)) if came <= board.holdout.end else None,
        ),
        "tracking": plotting.plot_tracking(board),
        "reliability": plotting.plot_reliability(board),
        "activity": plotting.plot_activity(ours),
    }
    files += [plotting.save(chart, place / f"{name}.png") for name, chart in pictures.items()]
    return Demo(board, forecasts, tuple(files))


def _regular(log: EventLog) -> int:
    """Return the position of a customer worth a picture: of those with a dozen visits, the most regular."""
    fair = np.flatnonzero((log.counts >= 10) & (log.counts <= 16))
    gaps = [np.diff(log.times[log.offsets[i] : log.offsets[i + 1]]) for i in fair]
    return int(fair[np.argmin([gap.std() / max(gap.mean(), 1.0) for gap in gaps])])
