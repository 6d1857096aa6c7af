"""When next, on three real logs: python -m benchmarks.events [--logs cdnow grocery journey] [--json FILE]

Cut-date protocol: models learn from events up to the cut-off day, inclusive; all customers seen by then are
scored on the held-back period; events of one customer on one day are one visit.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl

import foretell as ft

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def cdnow() -> ft.EventLog:
    """Return the full CDNOW log: 23,570 customers, January 1997 to June 1998."""
    return ft.read_events(
        ft.datasets.load_cdnow(),
        id="customer_id",
        time="date",
        marks=["amount", "quantity"],
        start="1997-01-01",
        as_of="1998-06-30",
    )


def grocery() -> ft.EventLog | None:
    """Return the grocery log: 1,525 customers, 2006 and 2007; None where it is not at hand."""
    path = SHARED / "grocery_elog.csv"
    if not path.exists():
        return None
    return ft.read_events(path, id="customer_id", time="date", start="2006-01-01", as_of="2007-12-30")


def journey() -> ft.EventLog:
    """Return Complete Journey: 2,469 households, 2017."""
    return ft.read_events(
        ft.datasets.load_complete_journey(),
        id="household_id",
        time="timestamp",
        marks=["amount"],
        group="store_id",
        start="2017-01-01",
        as_of="2017-12-30",
    )


LOGS: dict[str, tuple[Callable[[], ft.EventLog | None], str, str]] = {
    "cdnow": (cdnow, "1997-09-30", "273d"),
    "grocery": (grocery, "2006-12-31", "364d"),
    "journey": (journey, "2017-09-30", "91d"),
}
STATISTICS = ["bg/nbd", "mbg/nbd", "pareto/nbd"]


def measure(name: str) -> dict[str, object] | None:
    """Run one log through the forecaster and all statistics; None where the log is not at hand."""
    read, cutoff, horizon = LOGS[name]
    log = read()
    if log is None:
        return None
    board = ft.evaluate(log, cutoff, horizon)
    print(f"\n## {name}: {board}\n", flush=True)
    rmse = {name.lower(): board.figures(name)["rmse"] for name in board.names}
    best = min(rmse[model] for model in STATISTICS)
    print(
        f"{name}: foretell's RMSE is {100 * (1 - rmse['foretell'] / best):.1f} % below the best statistic's"
    )
    return json.loads(board.to_json()) | {"gain_pct": 100 * (1 - rmse["foretell"] / best)}


def main() -> None:
    """Run the asked logs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", nargs="+", default=list(LOGS), choices=list(LOGS))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    results = {name: measure(name) for name in asked.logs}
    for name in [name for name, result in results.items() if result is None]:
        print(f"{name}: skipped, its data are not at hand")
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    with pl.Config(tbl_rows=20, tbl_cols=20, tbl_width_chars=160):
        main()
