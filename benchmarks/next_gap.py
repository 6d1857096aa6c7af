"""The next gap on three real logs: python -m benchmarks.next_gap [--logs cdnow grocery journey] [--inner]

Customers with at least four visit days; their last gap is forecast from what came before it. The last visit
of everyone is taken out of the log before training, and no open gap is learned from: it would be a false one.
With --inner, the last visit of all is taken away first, so that the last but one gap is forecast: settings
are chosen there.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import polars as pl
from benchmarks.events import LOGS

import foretell as ft

LEAST_VISITS = 4
N_BINS = 5
ENSEMBLE = 3
SETTINGS: dict[str, object] = {}


def without_last(log: ft.EventLog) -> ft.EventLog:
    """Return a log without everyone's last visit; customers of one visit are gone."""
    last = np.zeros(log.n_events, dtype=bool)
    last[log.offsets[1:] - 1] = True
    rows = log.to_polars().filter(~pl.Series(last)).drop("group", strict=False)
    return ft.read_events(
        rows, marks=list(log.mark_names), start=log.date(log.start), as_of=log.date(log.as_of)
    )


def naive_rules(seen: ft.EventLog, chosen: np.ndarray) -> dict[str, np.ndarray]:
    """Return what rules of thumb forecast for some customers from the gaps that were seen."""
    gaps = seen.gaps().lengths
    own = [np.diff(seen.times[seen.offsets[i] : seen.offsets[i + 1]]) for i in chosen]
    return {
        "own mean": np.array([one.mean() for one in own]),
        "own median": np.array([np.median(one) for one in own]),
        "own last gap": np.array([one[-1] for one in own]),
        "median of all": np.full(len(chosen), np.median(gaps)),
    }


def forecaster(head: str, bins: ft.Bins) -> ft.EventForecaster:
    """Return a forecaster as it was chosen by --inner."""
    return ft.EventForecaster(
        head=ft.HeadConfig(head, bins=tuple(bins.edges), censored=False),
        training=ft.TrainConfig(**SETTINGS),
        seasonal=False,
        ensemble=ENSEMBLE,
    )


def measure(name: str, heads: list[str], *, inner: bool) -> dict[str, object] | None:
    """Return the figures of one log."""
    log = LOGS[name][0]()
    if log is None:
        return None
    log = without_last(log) if inner else log
    seen = without_last(log)
    lengths = log.gaps().lengths
    # The last gap of each customer who has any, in the order of the log without last visits.
    last_gap = lengths[np.cumsum(log.counts - 1)[log.counts > 1] - 1]
    chosen = np.flatnonzero(seen.counts >= LEAST_VISITS - 1)
    truth = last_gap[chosen]
    rules = naive_rules(seen, chosen)
    best = min(float(np.abs(truth - said).mean()) for said in rules.values())
    bins = ft.Bins.quantiles(seen.select(chosen).gaps().lengths, N_BINS)
    classes = bins.encode(truth)
    majority = float(np.bincount(classes).max() / len(classes))
    own = float((bins.encode(rules["own median"]) == classes).mean())
    print(f"\n## {name}: {len(chosen):,} customers, {bins}")
    for rule, said in rules.items():
        print(f"{rule:24s} MAE {np.abs(truth - said).mean():7.3f}")
    print(f"accuracy of the majority {majority:.3f}, of the own median's class {own:.3f}", flush=True)
    found: dict[str, object] = {"customers": len(chosen), "naive": best, "majority": majority, "own": own}
    for head in heads:
        started = time.perf_counter()
        model = forecaster(head, bins).fit(seen)
        said = model.predict_gap(levels=[80])[chosen]
        seconds = time.perf_counter() - started
        gap = said["gap"].to_numpy()
        mae = float(np.abs(truth - gap).mean())
        low, high = (said[f"gap-{end}-80"].to_numpy() for end in ("lo", "hi"))
        inside = float(((low <= truth) & (truth <= high)).mean())
        figures = {"mae": mae, "gain_pct": 100 * (1 - mae / best), "coverage_80": inside, "seconds": seconds}
        if head != "gap":
            chances = model.predict_bins(bins)[chosen].drop("unique_id").to_numpy()
            figures["accuracy"] = float((ft.from_one_hot(chances) == classes).mean())
        else:
            figures["accuracy"] = float((bins.encode(np.maximum(gap, 1)) == classes).mean())
        print(head, {key: round(float(value), 3) for key, value in figures.items()}, flush=True)
        found[head] = figures
    return found


def main() -> None:
    """Run the asked logs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", nargs="+", default=list(LOGS), choices=list(LOGS))
    parser.add_argument("--heads", nargs="+", default=["gap", "hazard", "bins"])
    parser.add_argument("--inner", action="store_true", help="forecast the last but one gap instead")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    results = {name: measure(name, asked.heads, inner=asked.inner) for name in asked.logs}
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
