"""Our Pareto/NBD beside that of lifetimes on the full CDNOW log: python -m benchmarks.peers.pareto"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.peers.environment import run_peer

import foretell as ft
from foretell.datasets import load_cdnow

CUTOFF, HORIZON = "1997-09-30", 273


def compare() -> list[dict[str, float | str]]:
    """Return fit and predict seconds and the error of both; ours also forecasts weeks and next events."""
    events = load_cdnow()
    log = ft.read_events(events, id="customer_id", time="date", as_of="1998-06-30")
    row = ft.evaluate(log, CUTOFF, HORIZON, ["pareto/nbd"]).figures("Pareto/NBD")
    ours: dict[str, float | str] = {
        "model": "foretell Pareto/NBD",
        **{name: row[name] or 0.0 for name in ("fit_s", "predict_s", "rmse", "bias_pct")},
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.csv"
        events.select("customer_id", "date").write_csv(path)
        theirs = run_peer("lifetimes", "lifetimes_pareto.py", path, CUTOFF, HORIZON)
    return [ours, {name: theirs[name] for name in ours}]


if __name__ == "__main__":
    for line in compare():
        print(json.dumps(line))
