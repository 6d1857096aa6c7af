"""How errors grow with the step ahead in each of the three methods: python -m benchmarks.series_methods [PNG]

Every sixth series of M4-Hourly, the last 48 hours held back, one network each, the same training.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
from benchmarks.series_data import M4_HORIZON, M4_SEASON, SHARED, m4_hourly

import foretell as ft
from foretell import plotting
from foretell.evaluation import Evaluation

WINDOW = ft.WindowConfig(season=M4_SEASON, log=True)
METHODS = ("direct", "seq2seq", "recursive")


def compare() -> Evaluation:
    """Return the leaderboard of the three methods and the seasonal naive rule."""
    panel = m4_hourly()
    models: list[object] = ["seasonal naive"]
    for method in METHODS:
        model = ft.SeriesForecaster(
            M4_HORIZON, model="network", window=dataclasses.replace(WINDOW, method=method), ensemble=1
        )
        model.name = f"foretell, {method}"
        models.append(model)
    chosen = panel.take(np.arange(0, panel.n_series, 6))
    return ft.evaluate(chosen, horizon=M4_HORIZON, models=models, season=M4_SEASON)


def main() -> None:
    """Print MASE by half-days and draw it by step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, help="write the picture here")
    given = parser.parse_args()
    if not SHARED.exists():
        print(f"{SHARED} is not here: skipped")
        return
    board = compare()
    print(board)
    by_step = board.error_by_step().with_columns(hours=(pl.col("step") - 1) // 12 * 12 + 12)
    table = by_step.pivot("hours", index="model", values="mase", aggregate_function="mean")
    with pl.Config(float_precision=3, tbl_hide_dataframe_shape=True):
        print(table)
    if given.out:
        print(plotting.save(plotting.plot_error_by_step(board), given.out))


if __name__ == "__main__":
    main()
