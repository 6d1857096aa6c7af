"""Both questions on real data: when a grocer's households come next, and how many visit each store."""

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

CUTOFF, END, HORIZON = "2017-09-30", "2017-12-30", "91d"
STORES, DAYS = 12, 28


class Demo(NamedTuple):
    """What a part of the demo made."""

    evaluation: Evaluation
    forecasts: pl.DataFrame
    files: list[Path]


def run_events(out: Path, forecaster: EventForecaster) -> Demo:
    """Forecast the visits of Complete Journey's households, compare the models on 13 weeks, and draw it all.

    Parameters
    ----------
    out : Path
        Directory for the log, the forecasts, the leaderboard, the model and the pictures; the log of CDNOW,
        which the README's tour reads, is left there, too.
    forecaster : EventForecaster
    """
    place = make_directory(out)
    rows = load_complete_journey().select("household_id", "store_id", "timestamp", "amount")
    log = read_events(
        rows, id="household_id", time="timestamp", marks=["amount"], group="store_id", as_of=END
    )
    others = [name for name in EVENTS.defaults if name != "foretell"]
    evaluation = evaluate(log, CUTOFF, HORIZON, models=[forecaster, *others], progress=False)
    ours = cast("EventForecaster", evaluation.models[evaluation.ours[0]])
    forecasts = ours.predict()
    names = ("visits.csv", "cdnow.csv", "forecasts.csv", "leaderboard.json", "leaderboard.txt", "model")
    files = [place / name for name in names]
    rows.write_csv(files[0])
    load_cdnow().write_csv(files[1])
    forecasts.write_csv(files[2])
    evaluation.save_json(files[3])
    files[4].write_text(f"{evaluation}\n", encoding="utf-8")
    ours.save(files[5])
    customer = ours.log_.ids[_regular(ours.log_)]
    row = pl.col("model").eq(ours.name) & pl.col("unique_id").eq(customer)
    actual = evaluation.rows().filter(row)["next_event"].item()
    charts = {
        "next_event": plotting.plot_next_event(ours, customer, actual=actual and str(actual)),
        "tracking": plotting.plot_tracking(evaluation),
        "reliability": plotting.plot_reliability(evaluation),
        "shop": plotting.plot_shop(ours),
    }
    if not ours.answers_any_horizon:  # the prior does not say who is still active
        charts["activity"] = plotting.plot_activity(ours)
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
    ours = cast("SeriesForecaster", evaluation.models[evaluation.ours[0]])
    forecasts = ours.predict()
    names = ("stores.csv", "store_forecasts.csv", "series_leaderboard.json", "series_model")
    files = [place / name for name in names]
    visits.write_csv(files[0])
    forecasts.write_csv(files[1])
    evaluation.save_json(files[2])
    ours.save(files[3])
    totals = evaluation.rows().filter(pl.col("model").eq(ours.name)).group_by("unique_id").agg(pl.sum("y"))
    charts = {
        "forecast": plotting.plot_forecast(evaluation, totals.sort("y")["unique_id"][-1]),
        "error_by_step": plotting.plot_error_by_step(evaluation),
    }
    return Demo(evaluation, forecasts, files + _drawn(charts, place))


def next_commands(out: Path) -> list[str]:
    """Return commands that go on from what the demo left."""
    model, stores = out / "model", out / "series_model"
    commands = {
        f"foretell shortlist {model} --top 20": "whom to write to, and why",
        f"foretell report {model} -o shop.html": "a page for the shop",
        f"foretell totals {model} --horizon 3mo --by month": "how many visits to expect",
        f"foretell spend {model} --horizon 90d": "what they are worth",
        f"foretell predict {stores} --level 80": "the stores' next days",
        f"foretell serve {model} {stores}": "all of it in the browser",
        "foretell new visits.csv": "the same for a file of yours",
        "foretell demo --train": "with networks that are trained on these data, in some minutes",
    }
    width = max(map(len, commands))
    return [f"{words:{width}}  {what}" for words, what in commands.items()]


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
