"""All heads and all cells on two real logs: python -m benchmarks.heads [--logs LOG …] [--json FILE]

Next gap: as in benchmarks.next_gap, the last gap of customers with at least four visit days, learned from the
others. Calibration: the cut-date protocol of benchmarks.events. One network each.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from benchmarks.events import LOGS
from benchmarks.next_gap import LEAST_VISITS, N_BINS, without_last

import foretell as ft
from foretell.nn.cells import CELLS

HEADS = ("mixture", "hazard", "bins", "gap")
OTHER_CELLS = tuple(cell for cell in sorted(CELLS) if cell != "lstm")


def cdnow_sample() -> ft.EventLog:
    """Return CDNOW 1/10."""
    return ft.read_events(
        ft.datasets.load_cdnow(sample=True),
        id="customer_id",
        time="date",
        start="1997-01-01",
        as_of="1998-06-30",
    )


READ = {"cdnow 1/10": (cdnow_sample, "1997-09-30", "273d"), "grocery": LOGS["grocery"]}


def next_gap(log: ft.EventLog, head: str, cell: str) -> dict[str, float]:
    """Return errors of the forecast last gap."""
    seen = without_last(log)
    lengths = log.gaps().lengths
    last_gap = lengths[np.cumsum(log.counts - 1)[log.counts > 1] - 1]
    chosen = np.flatnonzero(seen.counts >= LEAST_VISITS - 1)
    truth = last_gap[chosen]
    bins = ft.prep.Bins.quantiles(seen.take(chosen).gaps().lengths, N_BINS)
    config = ft.HeadConfig(head, bins=tuple(bins.edges), censored=False, seasonal=False)
    network = ft.NetworkConfig(cell=cell)
    model = ft.EventForecaster(head=config, network=network, ensemble=1).fit(seen)
    forecast = model.predict_gap()["gap"].to_numpy()[chosen]
    if head == "gap":
        classes = bins.encode(np.maximum(forecast, 1))
    else:
        classes = ft.prep.from_one_hot(model.predict_bins(bins)[chosen].drop("unique_id").to_numpy())
    return {
        "mae": float(np.abs(truth - forecast).mean()),
        "rmse": float(np.sqrt(((truth - forecast) ** 2).mean())),
        "accuracy": float((classes == bins.encode(truth)).mean()),
    }


def measure(name: str, head: str, cell: str) -> dict[str, object] | None:
    """Return all figures of a head and a cell on a log; None where the log is not at hand."""
    read, cutoff, horizon = READ[name]
    log = read()
    if log is None:
        return None
    started = time.perf_counter()
    figures = next_gap(log, head, cell)
    seconds = time.perf_counter() - started
    model = ft.EventForecaster(head=head, network=ft.NetworkConfig(cell=cell), ensemble=1)
    row = ft.evaluate(log, cutoff, horizon, models=[model]).table().row(0, named=True)
    calibration = {key: row[key] for key in ("brier_30d", "ece_30d", "coverage_80")}
    return {
        "log": name,
        "head": head,
        "cell": cell,
        **figures,
        **calibration,
        "visits_rmse": row["rmse"],
        "fit_s": seconds,
    }


def main() -> None:
    """Run all heads with an LSTM, and all other cells with the hazard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", nargs="+", default=list(READ), choices=list(READ))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    pairs = [(head, "lstm") for head in HEADS] + [("hazard", cell) for cell in OTHER_CELLS]
    results = []
    for name in asked.logs:
        for head, cell in pairs:
            figures = measure(name, head, cell)
            shown = {k: round(v, 4) if isinstance(v, float) else v for k, v in (figures or {}).items()}
            print(shown or f"{name}: skipped, its data are not at hand", flush=True)
            results.append(figures)
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
