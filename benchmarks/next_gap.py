"""The next gap on three real logs: python -m benchmarks.next_gap [--logs cdnow grocery journey] [--inner]

Customers with at least four visit days; their last gap is forecast from what came before it. The last visit
of everyone is taken out of the log before training, and no open gap is learned from: it would be a false one.
With --inner, the last visit of all is taken away first, so that the last but one gap is forecast: settings
are chosen there.

A customer's last gap is longer than the ones before: more visits would have followed a short one. "Set
right": the forecast of the last but one gap, learned from still earlier ones, shows by how much; the quantile
and the weights of the classes that would have been right there are taken here.
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
LEVELS = (10, 20, 30, 40)
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
        "own mean": np.array([lengths.mean() for lengths in own]),
        "own median": np.array([np.median(lengths) for lengths in own]),
        "own last gap": np.array([lengths[-1] for lengths in own]),
        "median of all": np.full(len(chosen), np.median(gaps)),
        "median of theirs": np.full(len(chosen), np.median(seen.take(chosen).gaps().lengths)),
    }


def forecaster(head: str, bins: ft.prep.Bins) -> ft.EventForecaster:
    """Return a forecaster as it was chosen by --inner."""
    return ft.EventForecaster(
        head=ft.HeadConfig(head, bins=tuple(bins.edges), censored=False, seasonal=False),
        training=ft.TrainConfig(**SETTINGS),
        ensemble=ENSEMBLE,
    )


class Task:
    """The last gap of customers with enough visits, and what was seen before it."""

    def __init__(self, log: ft.EventLog) -> None:
        self.seen = without_last(log)
        lengths = log.gaps().lengths
        # The last gap of each customer who has any, in the order of the log without last visits.
        last_gap = lengths[np.cumsum(log.counts - 1)[log.counts > 1] - 1]
        self.chosen = np.flatnonzero(self.seen.counts >= LEAST_VISITS - 1)
        self.truth = last_gap[self.chosen]

    def forecast(self, head: str, bins: ft.prep.Bins) -> tuple[pl.DataFrame, np.ndarray | None]:
        """Return quantiles of the gap, and the probabilities of the classes where the head gives them."""
        model = forecaster(head, bins).fit(self.seen)
        gaps = model.predict_gap(levels=[*LEVELS, 80])[self.chosen]
        if head == "gap":
            return gaps, None
        return gaps, model.predict_bins(bins)[self.chosen].drop("unique_id").to_numpy()


def bias_corrected_rules(task: Task, before: Task) -> dict[str, float]:
    """Return errors of the rules of thumb, each times the factor that was right for the last but one gap."""
    now, earlier = (naive_rules(part.seen, part.chosen) for part in (task, before))
    errors = {}
    for rule, forecast in earlier.items():
        factor = min(
            np.linspace(0.5, 2.5, 81), key=lambda f: float(np.abs(before.truth - f * forecast).mean())
        )
        errors[rule] = float(np.abs(task.truth - factor * now[rule]).mean())
    return errors


def best_column(gaps: pl.DataFrame, truth: np.ndarray) -> str:
    """Return the quantile that is nearest to the truth."""
    columns = ["gap", *(f"gap-{end}-{level}" for level in LEVELS for end in ("lo", "hi"))]
    return min(columns, key=lambda name: float(np.abs(truth - gaps[name].to_numpy()).mean()))


def class_weights(chances: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return weights of the classes with which their mean probabilities are how often they came."""
    share = np.bincount(classes, minlength=chances.shape[1]) / len(classes)
    weights = np.ones(chances.shape[1])
    for _ in range(100):
        weighted = chances * weights
        mean = (weighted / weighted.sum(axis=1, keepdims=True)).mean(axis=0)
        weights *= np.where(mean > 0, share / np.maximum(mean, 1e-12), 0.0)
    return weights


def score(head: str, task: Task, before: Task, bins: ft.prep.Bins, best: float) -> dict[str, float]:
    """Return a head's figures: as it is, and bias-corrected by what it forecast of the last but one gap."""
    started = time.perf_counter()
    gaps, chances = task.forecast(head, bins)
    seconds = time.perf_counter() - started
    earlier, earlier_chances = before.forecast(head, bins)
    column = best_column(earlier, before.truth)
    truth, classes = task.truth, bins.encode(task.truth)

    def mae(name: str) -> float:
        return float(np.abs(truth - gaps[name].to_numpy()).mean())

    low, high = (gaps[f"gap-{end}-80"].to_numpy() for end in ("lo", "hi"))
    figures = {
        "mae": mae("gap"),
        "gain_pct": 100 * (1 - mae("gap") / best),
        "bias_corrected_mae": mae(column),
        "bias_corrected_gain_pct": 100 * (1 - mae(column) / best),
        "coverage_80": float(((low <= truth) & (truth <= high)).mean()),
        "seconds": seconds,
    }
    if chances is not None and earlier_chances is not None:
        weights = class_weights(earlier_chances, bins.encode(before.truth))
        figures["accuracy"] = float((ft.prep.from_one_hot(chances) == classes).mean())
        figures["bias_corrected_accuracy"] = float(
            (ft.prep.from_one_hot(chances * weights) == classes).mean()
        )
    return figures


def measure(name: str, heads: list[str], *, inner: bool) -> dict[str, object] | None:
    """Return the figures of one log."""
    log = LOGS[name][0]()
    if log is None:
        return None
    log = without_last(log) if inner else log
    task = Task(log)
    before = Task(task.seen)
    rules = naive_rules(task.seen, task.chosen)
    best = min(float(np.abs(task.truth - forecast).mean()) for forecast in rules.values())
    corrected = bias_corrected_rules(task, before)
    bins = ft.prep.Bins.quantiles(task.seen.take(task.chosen).gaps().lengths, N_BINS)
    classes = bins.encode(task.truth)
    majority = float(np.bincount(classes).max() / len(classes))
    own = float((bins.encode(rules["own median"]) == classes).mean())
    print(f"\n## {name}: {len(task.chosen):,} customers, {bins}")
    for rule, forecast in rules.items():
        mae = np.abs(task.truth - forecast).mean()
        print(f"{rule:24s} MAE {mae:7.3f}, bias-corrected {corrected[rule]:7.3f}")
    print(f"accuracy of the majority {majority:.3f}, of the own median's class {own:.3f}", flush=True)
    results: dict[str, object] = {
        "naive": best,
        "naive_bias_corrected": min(corrected.values()),
        "majority": majority,
        "own": own,
    }
    for head in heads:
        figures = score(head, task, before, bins, best)
        print(head, {key: round(value, 3) for key, value in figures.items()}, flush=True)
        results[head] = figures
    return results


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
