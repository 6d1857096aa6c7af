"""Both questions on real data: when CDNOW's customers come next, and how many visit a grocer's stores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import polars as pl

from foretell import plotting
from foretell.cli.terminal import make_directory
from foretell.data.events import read_events
from foretell.data.series import read_series
from foretell.datasets import load_cdnow, load_complete_journey
from foretell.evaluation.backtest import evaluate
from foretell.evaluation.evaluation import Evaluation
from foretell.evaluation.tasks import EVENTS, SERIES
from foretell.plotting.charts import Chart

if TYPE_CHECKING:
    from foretell.data.log import EventLog
    from foretell.events.forecaster import EventForecaster
    from foretell.series.forecaster import SeriesForecaster

CUTOFF, END, HORIZON = "1997-09-30", "1998-06-30", "273d"
STORES, DAYS = 12, 28


class Demo(NamedTuple):
    """What a part of the demo made."""

    evaluation: Evaluation
    forecasts: pl.DataFrame
    files: list[Path]


def run_events(out: Path, forecaster: EventForecaster, *, sample: bool = False) -> Demo:
    """Forecast CDNOW's customers, compare the models on the 39 weeks that follow, and draw it all.

    Parameters
    ----------
    out : Path
        Directory for the log, the forecasts, the leaderboard, the model and five pictures.
    forecaster : EventForecaster
    sample : bool
        Use the 1/10 sample of the customers.
    """
    place = make_directory(out)
    rows = load_cdnow(sample=sample)
    log = read_events(rows, id="customer_id", time="date", marks=["amount"], as_of=END)
    others = [name for name in EVENTS.defaults if name != "foretell"]
    evaluation = evaluate(log, CUTOFF, HORIZON, models=[forecaster, *others], progress=False)
    ours = cast("EventForecaster", evaluation.models["foretell"])
    forecasts = ours.predict()
    names = ("cdnow.csv", "forecasts.csv", "leaderboard.json", "leaderboard.txt", "model")
    files = [place / name for name in names]
    rows.write_csv(files[0])
    forecasts.write_csv(files[1])
    evaluation.save_json(files[2])
    files[3].write_text(f"{evaluation}\n", encoding="utf-8")
    ours.save(files[4])
    customer = ours.log_.ids[_regular(ours.log_)]
    row = pl.col("model").eq("foretell") & pl.col("unique_id").eq(customer)
    actual = evaluation.rows().filter(row)["next_event"].item()
    charts = {
        "next_event": plotting.plot_next_event(ours, customer, actual=actual and str(actual)),
        "tracking": plotting.plot_tracking(evaluation),
        "reliability": plotting.plot_reliability(evaluation),
        "activity": plotting.plot_activity(ours),
        "shop": plotting.plot_shop(ours),
    }
    return Demo(evaluation, forecasts, files + _drawn(charts, place))


def run_series(out: Path, forecaster: SeriesForecaster) -> Demo:
    """Forecast the daily visits of Complete Journey's largest stores, and compare on the last four weeks.

    Parameters
    ----------
    out : Path
        Directory for the series, the forecasts, the leaderboard, the model and two pictures.
    forecaster : SeriesForecaster
        For 28 steps.
    """
    place = make_directory(out)
    visits = store_visits()
    panel = read_series(visits, id="store_id", time="day", target="visits")
    others = [name for name in SERIES.defaults if name != "foretell"]
    evaluation = evaluate(panel, horizon=DAYS, models=[forecaster, *others], season=7, progress=False)
    ours = cast("SeriesForecaster", evaluation.models["foretell"])
    forecasts = ours.predict()
    names = ("stores.csv", "store_forecasts.csv", "series_leaderboard.json", "series_model")
    files = [place / name for name in names]
    visits.write_csv(files[0])
    forecasts.write_csv(files[1])
    evaluation.save_json(files[2])
    ours.save(files[3])
    totals = evaluation.rows().filter(pl.col("model").eq("foretell")).group_by("unique_id").agg(pl.sum("y"))
    charts = {
        "forecast": plotting.plot_forecast(evaluation, totals.sort("y")["unique_id"][-1]),
        "error_by_step": plotting.plot_error_by_step(evaluation),
    }
    return Demo(evaluation, forecasts, files + _drawn(charts, place))


def next_commands(out: Path) -> list[str]:
    """Return commands that go on from what the demo left."""
    model, stores = out / "model", out / "series_model"
    return [
        f"foretell shortlist {model} --top 20              whom to write to, and why",
        f"foretell report {model} -o shop.html             a page for the shop",
        f"foretell totals {model} --horizon 3mo --by month how many visits to expect",
        f"foretell spend {model} --horizon 90d             what they are worth",
        f"foretell predict {stores} --level 80             the stores' next days",
        f"foretell serve {model} {stores}                  all of it in the browser",
        "foretell new visits.csv                          the same for a file of yours",
    ]


def store_visits() -> pl.DataFrame:
    """Return the daily visits of Complete Journey's largest stores: ``store_id``, ``day``, ``visits``."""
    rows = load_complete_journey().with_columns(day=pl.col("timestamp").dt.date())
    rows = rows.filter(pl.col("day").dt.year() == 2017)
    largest = rows["store_id"].value_counts(sort=True).head(STORES)["store_id"]
    daily = rows.filter(pl.col("store_id").is_in(largest.implode())).group_by("store_id", "day")
    return daily.agg(visits=pl.len()).sort("store_id", "day")


def _drawn(charts: Mapping[str, Chart], place: Path) -> list[Path]:
    return [plotting.save(chart, place / f"{name}.png") for name, chart in charts.items()]


def _regular(log: EventLog) -> int:
    """Return the position of a customer worth a picture: of those with a dozen visits, the most regular."""
    fair = np.flatnonzero((log.counts >= 10) & (log.counts <= 16))
    gaps = [np.diff(log.times[log.offsets[i] : log.offsets[i + 1]]) for i in fair]
    return int(fair[np.argmin([gap.std() / max(gap.mean(), 1.0) for gap in gaps])])
