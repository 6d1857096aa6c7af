"""What customers spend: ours beside Pareto/NBD × Gamma-Gamma: python -m benchmarks.spend [--quick]

CDNOW over 39 weeks and Complete Journey over 13, from the ends of the training periods that the other tables
have. The prior needs no training; the default learns from the log.
"""

from __future__ import annotations

import argparse

import polars as pl

import foretell as ft
from foretell.evaluation.spend import evaluate_spend


def main() -> None:
    """Print a table in Markdown for each log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="without the default, which takes longest")
    quick = parser.parse_args().quick
    cdnow, journey = ft.datasets.load_cdnow(), ft.datasets.load_complete_journey()
    marks = ["amount"]
    logs = {
        "CDNOW, 39 weeks": (
            ft.read_events(cdnow, id="customer_id", time="date", marks=marks, as_of="1998-06-30"),
            "1997-09-30", "273d",
        ),
        "Complete Journey, 13 weeks": (
            ft.read_events(journey, id="household_id", time="timestamp", marks=marks), "2017-09-30", "91d",
        ),
    }  # fmt: skip
    for name, (log, cutoff, horizon) in logs.items():
        models = [ft.baselines.ParetoNBD(), ft.EventForecaster(model="prior")]
        if not quick:
            models.append(ft.EventForecaster())
        table = evaluate_spend(log, cutoff, horizon, models)
        reference = table.filter(pl.col("model") == "Pareto/NBD × Gamma-Gamma")["rmse"][0]
        table = table.with_columns(against=pl.col("rmse") / reference)
        print(f"\n{name}\n\n| {' | '.join(table.columns)} |\n|{'---|' * table.width}")
        for row in table.iter_rows():
            print("| " + " | ".join(_shown(value) for value in row) + " |")


def _shown(value: object) -> str:
    return "–" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
