"""Pareto/NBD by lifetimes 0.11.3, on the same log; run by the interpreter of its own environment.

    .peers/lifetimes/bin/python benchmarks/peers/lifetimes_pareto.py events.csv 1997-09-30 273

reads a CSV of customer_id and date, and prints one JSON object: seconds of fit and prediction, the error,
parameters.
"""

import json
import sys
import time
import warnings

import numpy as np
import pandas as pd
from lifetimes import ParetoNBDFitter
from lifetimes.utils import summary_data_from_transaction_data

warnings.simplefilter("ignore")  # lifetimes 0.11.3 is older than the pandas and scipy it runs on


def main(path: str, cutoff: str, horizon: int) -> None:
    events = pd.read_csv(path, parse_dates=["date"]).drop_duplicates()
    end = pd.Timestamp(cutoff)
    seen = events[events["date"] <= end]
    after = events[(events["date"] > end) & (events["date"] <= end + pd.Timedelta(days=horizon))]
    summary = summary_data_from_transaction_data(
        seen, "customer_id", "date", observation_period_end=end, freq="D"
    )

    frequency, recency, age = summary["frequency"], summary["recency"], summary["T"]
    cpu = time.process_time()
    started = time.perf_counter()
    model = ParetoNBDFitter().fit(frequency, recency, age)
    fit_s = time.perf_counter() - started

    started = time.perf_counter()
    expected = model.conditional_expected_number_of_purchases_up_to_time(horizon, frequency, recency, age)
    p_active = model.conditional_probability_alive(frequency, recency, age)
    predict_s = time.perf_counter() - started
    cpu_s = time.process_time() - cpu

    actual = after.groupby("customer_id").size().reindex(summary.index, fill_value=0)
    print(
        json.dumps(
            {
                "model": "lifetimes ParetoNBDFitter",
                "fit_s": fit_s,
                "predict_s": predict_s,
                "cpu_s": cpu_s,
                "rmse": float(np.sqrt(np.mean((expected - actual) ** 2))),
                "bias_pct": float(100 * (expected.sum() / actual.sum() - 1)),
                "mean_p_active": float(np.mean(p_active)),
                "n_customers": len(summary),
                "params_days": {name: float(value) for name, value in model.params_.items()},
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
