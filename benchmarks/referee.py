"""The referee, measured: python -m benchmarks.referee [--parts PART …] [--json FILE], of these parts.

visits   model="auto" on three real logs, by the cut-date protocol, beside the network and all other models
series   the same on M4-Hourly, ETTh1 and the calls to a bank, beside the network and each rule
true     logs whose true model is known: simulated BG/NBD customers, and shoppers of a fixed rhythm
recalibration   coverage of the 80 % interval, calibration of P(return <= 30 d), with what earlier folds teach
warm     eight folds: each fitted anew, and from the last fold's weights
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from benchmarks.events import LOGS
from benchmarks.parts import run_parts
from benchmarks.series_data import M4_HORIZON, M4_SEASON, bank_calls, ett_hourly, m4_hourly

import foretell as ft
from foretell.baselines.rules import Drift, Naive, SeasonalNaive
from foretell.data.log import EventLog
from foretell.evaluation.calibration import (
    ConformalRecalibration,
    IsotonicRecalibration,
    PITRecalibration,
    mass_within,
    recalibration_on_last_fold,
)
from foretell.evaluation.folds import scales
from foretell.nn.settings import SERIES
from foretell.stats import metrics

DAY = np.datetime64("2021-01-01")
QUANTILES = [0.1, 0.5, 0.9]


def compare(losses: dict[str, float], weights: dict[str, Any]) -> dict[str, Any]:
    """Return how far ``auto`` is from the best of the others, in percent: above 0 it is worse."""
    best = min((name for name in losses if name != "auto"), key=losses.__getitem__)
    return {
        "losses": losses,
        "best": best,
        "worse_pct": 100 * (losses["auto"] / losses[best] - 1),
        "weights": weights,
    }


def visits(log: EventLog, cutoff: str, horizon: str, ensemble: int = 3) -> dict[str, Any]:
    """RMSE of visits: the automatic model, the network inside it by itself, and all others."""
    names = ["pareto/nbd", "bg/nbd", "mbg/nbd", "mean gap", "median gap", "repeat rate"]
    auto = ft.EventForecaster(model="auto", ensemble=ensemble)
    board = ft.evaluate(log, cutoff, horizon, [auto, *names])
    losses = dict(board.table().select("model", "rmse").drop_nulls().rows())
    losses["auto"] = losses.pop("foretell")
    chosen: Any = board.models["foretell"]
    alone = copy.copy(chosen)
    alone.auto_ = None
    ahead = log.ticks_of(horizon)
    forecast = alone.outlook(board.train, ahead, period=7, window=30).expected
    losses["network"] = metrics.rmse(board.fold(0).filter(pl.col("model") == "foretell")["y"], forecast)
    return compare(losses, chosen.auto_.counts)


def real_logs() -> dict[str, Any]:
    """The three logs of `benchmarks.events`."""
    results = {}
    for name, (read, cutoff, horizon) in LOGS.items():
        log = read()
        if log is not None:
            results[name] = visits(log, cutoff, horizon)
            print(name, results[name], flush=True)
    return results


def bg_nbd_log(n: int = 4_000, seed: int = 0) -> EventLog:
    """Return customers who are BG/NBD customers, over two years; all come in the first."""
    rng = np.random.default_rng(seed)
    rate, dropout = rng.gamma(0.8, 1 / 25, n), rng.beta(0.8, 4, n)
    return _simulated(rng, n, lambda who: rng.exponential(1 / rate[who]), lambda who: dropout[who])


def rhythm_log(n: int = 4_000, seed: int = 0) -> EventLog:
    """Return shoppers who come every so many days, almost to the day, and never leave."""
    rng = np.random.default_rng(seed)
    usual = rng.lognormal(np.log(20), 0.6, n)
    return _simulated(rng, n, lambda who: usual[who] * rng.lognormal(0, 0.1, len(who)), lambda who: 0 * who)


def _simulated(rng: Any, n: int, gap: Callable[[Any], Any], dropout: Callable[[Any], Any]) -> EventLog:
    who, now = np.arange(n), rng.uniform(0, 365, n)
    owners, times = [], []
    while len(who):
        owners.append(who)
        times.append(now[who])
        who = who[rng.random(len(who)) >= dropout(who)]
        now[who] += gap(who)
        who = who[now[who] < 730]
    days = DAY + np.floor(np.concatenate(times)).astype(np.int64)
    rows = pl.DataFrame({"unique_id": np.concatenate(owners), "ds": days})
    return ft.read_events(rows, start=str(DAY), as_of=str(DAY + 729))


def true_models() -> dict[str, Any]:
    """RMSE beside the model that made the log: BG/NBD as fitted; of a rhythm the customers' own mean gap."""
    cutoff = str(DAY + 546)
    results = {}
    for name, log, truth in [
        ("BG/NBD", bg_nbd_log(), "BG/NBD"),
        ("fixed rhythm", rhythm_log(), "mean gap"),
    ]:
        figures = visits(log, cutoff, "182d")
        losses = figures["losses"]
        figures["worse_than_true_pct"] = 100 * (losses["auto"] / losses[truth] - 1)
        print(name, figures, flush=True)
        results[name] = figures
    return results


def _tasks() -> dict[str, tuple[ft.Panel, int, ft.SeriesForecaster, int]]:
    """Panel, held-back steps, forecaster as in `benchmarks.series`, and season of MASE."""
    calls = bank_calls()
    day, week = calls.grid.season_lengths()[0], calls.grid.season_lengths()[-1]
    long = ft.WindowConfig(season=week, patch=day, lookback=2 * week)
    short = dataclasses.replace(SERIES.training, epochs=15)
    hours = ft.WindowConfig(season=M4_SEASON, log=True)
    return {
        "bank": (calls, week, ft.SeriesForecaster(day, model="network", window=long, training=short), week),
        "m4": (
            m4_hourly(),
            M4_HORIZON,
            ft.SeriesForecaster(M4_HORIZON, model="network", window=hours),
            M4_SEASON,
        ),
    }


def series() -> dict[str, Any]:
    """MASE of M4-Hourly and the calls to a bank; mean absolute error of ETTh1."""
    results = {}
    for name, (panel, h, model, season) in _tasks().items():
        before, after = panel.tail_split(h)
        model.set_params(model="auto").fit(before)
        truth = after.values.reshape(before.n_series, h, -1)
        scale = scales(before, season)
        losses = {
            kind: metrics.mase(truth, member.forecast(before, h, [0.5])[..., 0], scale)
            for kind, member in _members(model, before, season).items()
        }
        results[name] = compare(losses, model.auto_.weights if model.auto_ else {})
        print(name, results[name], flush=True)
    results["ett"] = ett()
    print("ett", results["ett"], flush=True)
    return results


def _members(model: Any, panel: ft.Panel, season: int) -> dict[str, Any]:
    alone = copy.copy(model)
    alone.auto_ = None
    rules = {"seasonal naive": SeasonalNaive(season=season), "naive": Naive(), "drift": Drift()}
    return {"auto": model, "network": alone} | {name: rule.fit(panel) for name, rule in rules.items()}


def ett() -> dict[str, Any]:
    """Every eighth window of the standard test part; each month recalibrated by the two before."""
    values, month = ett_hourly().drop("date").to_numpy().astype(float), 30 * 24
    train_end, val_end, end = 12 * month, 16 * month, 20 * month
    scaled = (values - values[:train_end].mean(axis=0)) / values[:train_end].std(axis=0)
    panel = ft.Panel.from_arrays(
        {"all": scaled[:val_end]}, freq="1h", targets=[f"y{k}" for k in range(values.shape[1])]
    )
    training = ft.TrainConfig(
        epochs=40, learning_rate=1e-3, patience=6, validation_fraction=1 - train_end / val_end, refit=False
    )
    model = ft.SeriesForecaster(
        96,
        window=ft.WindowConfig(season=24, lookback=336),
        training=training,
        ensemble=3,
        model="auto",
    ).fit(panel)
    losses, forecasts = {}, {}
    for kind, member in _members(model, panel, 24).items():
        forecast, truth = _windows(member, panel, scaled, range(val_end, end - 95, 8))
        losses[kind] = float(np.abs(truth - forecast[..., 1]).mean())
        forecasts[kind] = forecast
    results = compare(losses, model.auto_.weights if model.auto_ else {})
    results["coverage_as_forecast"] = _inside(truth, forecasts["auto"])
    results["coverage_recalibrated"] = _inside(
        truth, _monthly(model, panel, scaled, val_end, forecasts["auto"])
    )
    return results


def _monthly(model: Any, panel: ft.Panel, values: Any, begin: int, forecast: Any) -> Any:
    """Return the test part's quantiles, each month's recalibrated by the two months before it."""
    month = 30 * 24
    origins = np.arange(begin - 2 * month, len(values) - 95, 8)
    origins = origins[origins < begin + 8 * len(forecast)]
    earlier, truth = _windows(model, panel, values, range(origins[0], origins[-1] + 1, 8))
    recalibrated = forecast.copy()
    now = np.arange(begin, begin + 8 * len(forecast), 8)
    for start in range(begin, int(now[-1]) + 1, month):
        seen = (origins >= start - 2 * month) & (origins + 96 <= start)
        recalibration = ConformalRecalibration.fit(
            truth[seen].ravel(), earlier[seen].reshape(-1, 3), QUANTILES
        )
        chosen = (now >= start) & (now < start + month)
        recalibrated[chosen] = recalibration.apply(forecast[chosen])
    return recalibrated


def _inside(truth: Any, quantiles: Any) -> float:
    return float(((quantiles[..., 0] <= truth) & (truth <= quantiles[..., -1])).mean())


def _windows(model: Any, panel: ft.Panel, values: Any, origins: range) -> tuple[Any, Any]:
    histories = {i: values[origin - 336 : origin] for i, origin in enumerate(origins)}
    times = panel.grid.time_of(panel.starts[0] + np.array(origins) - 336).to_list()
    windows = ft.Panel.from_arrays(histories, freq=panel.grid, start=times, targets=list(panel.targets))
    return model.forecast(windows, 96, QUANTILES), np.stack([values[o : o + 96] for o in origins])


def recalibration() -> dict[str, Any]:
    """Figures as forecast, and recalibrated by what earlier folds showed."""
    results: dict[str, Any] = {}
    for name, (read, cutoff, horizon) in LOGS.items():
        log = read()
        if log is not None:
            results[name] = _recalibrated_visits(log, cutoff, horizon)
            print(name, results[name], flush=True)
    for name, (panel, h, forecaster, season) in _tasks().items():
        test = ft.backtest(
            panel, [forecaster], horizon=h, cutoffs=5, config=ft.BacktestConfig(refit="warm", season=season)
        )
        last = recalibration_on_last_fold(test, forecaster.name).filter(
            (pl.col("claimed") - 0.8).abs() < 1e-6
        )
        results[name] = dict(zip(last["kind"], last["observed"], strict=True))
        print(name, results[name], flush=True)
    return results


def _recalibrated_visits(log: EventLog, cutoff: str, horizon: str) -> dict[str, float]:
    """The cut-date protocol; learned from four folds of 30 days before the cut-off."""
    last, name = log.last_tick(cutoff), "foretell"
    test = ft.backtest(log, [ft.EventForecaster()], horizon=horizon, cutoffs=[cutoff]).rows()
    cutoffs = [log.date(last - back) for back in (120, 90, 60, 30)]
    folds = ft.backtest(
        log, [ft.EventForecaster()], horizon="30d", cutoffs=cutoffs, config=ft.BacktestConfig(refit="warm")
    )
    chance, returned = test["p_return"].to_numpy(), test["returned"].to_numpy()
    low, high = (test[column].drop_nulls().to_numpy() for column in ("pit_lo", "pit_hi"))
    wanted = [0.1, 0.9]
    asked = PITRecalibration.of(folds, name).levels(wanted)
    recalibrated = IsotonicRecalibration.of(folds, name).apply(chance)
    return {
        "ece": metrics.expected_calibration_error(returned, chance),
        "ece_recalibrated": metrics.expected_calibration_error(returned, recalibrated),
        "coverage": float(mass_within(low, high, *wanted).mean()),
        "coverage_recalibrated": float(mass_within(low, high, *asked).mean()),
    }


def warm() -> dict[str, Any]:
    """Eight folds a month apart on the grocery log, and eight on some series of M4: seconds and errors."""
    results: dict[str, Any] = {}
    log = LOGS["grocery"][0]()
    panel = m4_hourly().take(np.arange(0, 414, 6))
    tasks: dict[str, tuple[Any, Any, dict[str, Any]]] = {
        "visits": (log, ft.EventForecaster(ensemble=1), {"horizon": "30d"}),
        "series": (
            panel,
            ft.SeriesForecaster(
                24, model="network", ensemble=1, window=ft.WindowConfig(season=M4_SEASON, log=True)
            ),
            {"horizon": 24},
        ),
    }
    for name, (data, model, options) in tasks.items():
        if data is None:
            continue
        season = M4_SEASON if name == "series" else None
        ft.backtest(data, [model], cutoffs=1, **options)  # compiles what both ways need
        figures: dict[str, Any] = {}
        for refit in ("always", "warm"):
            test = ft.backtest(
                data, [model], cutoffs=8, **options, config=ft.BacktestConfig(refit=refit, season=season)
            )
            scores = test.table()
            error = scores["rmse" if name == "visits" else "mase"][0]
            figures[refit] = {"seconds": scores["fit_s"][0] + scores["predict_s"][0], "error": error}
        figures["time"] = figures["warm"]["seconds"] / figures["always"]["seconds"]
        figures["error_pct"] = 100 * (figures["warm"]["error"] / figures["always"]["error"] - 1)
        print(name, figures, flush=True)
        results[name] = figures
    return results


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "visits": real_logs,
    "series": series,
    "true": true_models,
    "recalibration": recalibration,
    "warm": warm,
}


if __name__ == "__main__":
    run_parts(PARTS, __doc__)
