"""neuralforecast's LSTM on a panel of series: python neuralforecast_lstm.py SERIES HORIZON SEASON FORECASTS

Reads a Parquet file with unique_id, ds, y; writes the forecasts to another and prints the seconds as JSON.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import tempfile
import time

import pandas as pd


def main(path: str, horizon: int, season: int, out: str) -> None:
    """Fit 1,000 steps of an LSTM of 64 units that reads 14 seasons, and forecast."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    os.chdir(tempfile.mkdtemp())  # Lightning leaves a folder of logs where it runs
    with contextlib.redirect_stdout(sys.stderr):
        from neuralforecast import NeuralForecast  # noqa: PLC0415  # prints on import
        from neuralforecast.models import LSTM  # noqa: PLC0415

        frame = pd.read_parquet(path)
        model = LSTM(
            h=horizon, input_size=14 * season, encoder_hidden_size=64, max_steps=1000, random_seed=0,
            enable_progress_bar=False, logger=False,
        )  # fmt: skip
        forecaster = NeuralForecast(models=[model], freq=1)
        started = time.perf_counter()
        forecaster.fit(frame)
        fit_s = time.perf_counter() - started
        started = time.perf_counter()
        forecasts = forecaster.predict()
        predict_s = time.perf_counter() - started
    forecasts.reset_index()[["unique_id", "ds", "LSTM"]].to_parquet(out)
    print(json.dumps({"model": "neuralforecast LSTM", "fit_s": fit_s, "predict_s": predict_s}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
