"""What next, on four data sets: python -m benchmarks.series [--sets m4 ett exchange bank] [--json FILE]

Settings are chosen on the training part; the test part is scored once. Missing data files are skipped.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from benchmarks.series_data import (
    M4_HORIZON,
    M4_SEASON,
    SHARED,
    bank_calls,
    ett_hourly,
    exchange_rates,
    m4_hourly,
)

import foretell as ft
from foretell.nn.settings import SERIES

FloatArray = npt.NDArray[np.float64]


def m4() -> dict[str, Any]:
    """M4-Hourly: 414 series, the published test part of 48 hours, season 24."""
    window = ft.WindowConfig(season=M4_SEASON, log=True)
    ours = ft.SeriesForecaster(horizon=M4_HORIZON, model="network", window=window)
    board = ft.evaluate(m4_hourly(), horizon=M4_HORIZON, models=[ours, "seasonal naive"], season=M4_SEASON)
    print(board)
    return json.loads(board.to_json())


def ett() -> dict[str, Any]:
    """ETTh1: 7 channels, 12/4/4 months, standardised on the training part, all windows of the test part."""
    frame = ett_hourly()
    values = frame.drop("date").to_numpy().astype(float)
    month = 30 * 24
    return _rolling(values, frame["date"][0], "1h", (12 * month, 16 * month, 20 * month), 96, season=24)


def exchange() -> dict[str, Any]:
    """Daily exchange rates of 8 countries, 7:1:2, standardised on the training part."""
    values = exchange_rates()
    n = len(values)
    return _rolling(values, 0, 1, (int(0.7 * n), n - int(0.2 * n), n), 96, season=1)


def _rolling(
    values: FloatArray, start: Any, freq: Any, cuts: tuple[int, int, int], h: int, *, season: int
) -> dict[str, Any]:
    """Fit on all before the test part, its validation part held out; score all windows of the test part."""
    train_end, val_end, end = cuts
    scaled = (values - values[:train_end].mean(axis=0)) / values[:train_end].std(axis=0)
    names = [f"y{k}" for k in range(values.shape[1])]
    panel = ft.Panel.from_arrays({"all": scaled[:val_end]}, freq=freq, start=start, targets=names)
    share = 1 - train_end / val_end
    training = ft.TrainConfig(
        epochs=40, learning_rate=1e-3, patience=6, validation_fraction=share, refit=False
    )
    window = ft.WindowConfig(season=season, lookback=336 if season > 1 else 96)
    began = time.perf_counter()
    ours = ft.SeriesForecaster(horizon=h, model="network", window=window, training=training, ensemble=5)
    model = ours.fit(panel)
    fit_s = time.perf_counter() - began
    lookback = model.model_.network.shape.lookback
    origins = np.arange(val_end, end - h + 1)
    times = panel.grid.time_of(panel.starts[0] + origins - lookback).to_list()
    histories = {i: scaled[origin - lookback : origin] for i, origin in enumerate(origins)}
    windows = ft.Panel.from_arrays(histories, freq=panel.grid, start=times, targets=names)
    quantiles = model.forecast(windows, h, [0.1, 0.5, 0.9])
    truth = np.stack([scaled[origin : origin + h] for origin in origins])
    last = np.stack([scaled[origin - 1] for origin in origins])[:, None]
    error = truth - quantiles[..., 1]
    figures = {
        "mse": float((error**2).mean()),
        "mae": float(np.abs(error).mean()),
        "coverage_80": float(((truth >= quantiles[..., 0]) & (truth <= quantiles[..., 2])).mean()),
        "mse_last_value": float(((truth - last) ** 2).mean()),
        "n_windows": len(origins),
        "fit_s": fit_s,
    }
    print(figures)
    return figures


def bank() -> dict[str, Any]:
    """Calls to a bank in 5-minute steps, the last week held back, day and week as seasons."""
    panel = bank_calls()
    week = panel.grid.season_lengths()[-1]
    day = panel.grid.season_lengths()[0]
    window = ft.WindowConfig(season=week, patch=day, lookback=2 * week)
    training = dataclasses.replace(SERIES.training, epochs=15)
    ours = ft.SeriesForecaster(horizon=day, model="network", window=window, training=training)
    board = ft.evaluate(panel, horizon=week, models=[ours, "seasonal naive"], season=week)
    print(board)
    rows = dict(board.table().select("model", "mase").rows())
    print(f"MASE {rows['foretell'] / rows['seasonal naive']:.3f} times the weekly seasonal naive's")
    return json.loads(board.to_json())


SETS: dict[str, Callable[[], dict[str, Any]]] = {"m4": m4, "ett": ett, "exchange": exchange, "bank": bank}


def main() -> None:
    """Run the asked sets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--json", type=Path, help="write the figures here")
    given = parser.parse_args()
    results: dict[str, Any] = {}
    for name in given.sets:
        print(f"\n## {name}", flush=True)
        if not SHARED.exists():
            print(f"{SHARED} is not here: skipped")
            continue
        results[name] = SETS[name]()
    if given.json:
        given.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
