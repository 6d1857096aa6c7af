"""Both questions on real data: when CDNOW's customers come next, and how many visit a grocer's stores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import polars as pl

from foretell.data.events import read_events
from foretell.data.series import read_series
from foretell.datasets import load_cdnow, load_complete_journey
from foretell.errors import StorageError
from foretell.evaluation.backtest import evaluate
from foretell.evaluation.evaluation import Evaluation
from foretell.evaluation.tasks import EVENTS
from foretell.events.forecaster import EventForecaster
from foretell.series.forecaster import SeriesForecaster

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foretell.data.log import EventLog

CUTOFF, END, HORIZON = "1997-09-30", "1998-06-30", "273d"
STORES, DAYS = 12, 28


class Demo(NamedTuple):
    """What the demo made.

    Attributes
    ----------
    board : Evaluation
    forecasts : polars.DataFrame
        One row per customer, as of the cut-off.
    files : tuple of Path
    """

    board: Evaluation
    forecasts: pl.DataFrame
    files: tuple[Path, ...]


class SeriesDemo(NamedTuple):
    """What the second part of the demo made.

    Attributes
    ----------
    board : Evaluation
    files : tuple of Path
    """

    board: Evaluation
    files: tuple[Path, ...]


def run_series_demo(out: str | Path, *, forecaster: SeriesForecaster | None = None) -> SeriesDemo:
    """Forecast the daily visits of Complete Journey's largest stores, and compare on the last four weeks.

    Parameters
    ----------
    out : str or Path
        Directory for the files: the series, the forecasts, the leaderboard, the model and two pictures.
    forecaster : SeriesForecaster, optional
        Ours, for 28 steps; by default with its default settings.
    """
    from foretell import plotting  # noqa: PLC0415

    place = _directory(out)
    frame = store_visits()
    panel = read_series(frame, id="store_id", time="day", target="visits")
    ours = forecaster or SeriesForecaster(horizon=DAYS)
    board = evaluate(panel, horizon=DAYS, models=[ours, "seasonal naive", "naive", "drift"], season=7)
    fitted = cast("SeriesForecaster", board.models["foretell"])
    names = ("stores.csv", "store_forecasts.csv", "series_leaderboard.json", "series_model")
    files = [place / name for name in names]
    frame.write_csv(files[0])
    fitted.predict().write_csv(files[1])
    board.save_json(files[2])
    fitted.save(files[3])
    rows = board.rows().filter(pl.col("model") == "foretell")
    largest = rows.group_by("unique_id").agg(pl.col("y").sum()).sort("y")["unique_id"][-1]
    charts = {
        "forecast": plotting.plot_forecast(board, largest),
        "error_by_step": plotting.plot_error_by_step(board),
    }
    files += [plotting.save(chart, place / f"{name}.png") for name, chart in charts.items()]
    return SeriesDemo(board, tuple(files))


def store_visits() -> pl.DataFrame:
    """Return the daily visits of Complete Journey's largest stores: ``store_id``, ``day``, ``visits``."""
    rows = load_complete_journey().with_columns(day=pl.col("timestamp").dt.date())
    rows = rows.filter(pl.col("day").dt.year() == 2017)
    largest = rows["store_id"].value_counts(sort=True).head(STORES)["store_id"]
    daily = rows.filter(pl.col("store_id").is_in(largest.implode())).group_by("store_id", "day")
    return daily.agg(visits=pl.len()).sort("store_id", "day")


def _directory(out: str | Path) -> Path:
    place = Path(out)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write to {place}: {error.strerror}") from error
    return place


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

    place = _directory(out)
    rows = load_cdnow(sample=sample)
    log = read_events(rows, id="customer_id", time="date", marks=["amount"], as_of=END)
    others = [name for name in EVENTS.defaults if name != "foretell"] if models is None else list(models)
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
    rows = board.rows().filter(pl.col("model") == "foretell")
    returned = rows.filter(pl.col("unique_id") == ours.log_.ids[customer])["next_event"].item()
    pictures = {
        "next_event": plotting.plot_next_event(
            ours,
            ours.log_.ids[customer],
            actual=None if returned is None else str(returned),
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
