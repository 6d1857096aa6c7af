"""Time and memory by the number of customers: python -m benchmarks.scale [customers …] [--picture FILE]

Simulated shops with rhythms, amounts and seasons, of two years and some ten visits a customer: reading a
Parquet file, fitting with the default settings, predicting 7, 30 and 90 days ahead in blocks that are written
one by one, and updating by a quiet week; every size in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import altair as alt
import numpy as np
import polars as pl

import foretell as ft

SIZES = (10_000, 100_000, 1_000_000)
DAYS, AS_OF = 730, "2022-12-31"
STAGES = ("read", "fit", "predict and write", "update")


def shop(n_customers: int, seed: int = 0) -> pl.DataFrame:
    """Return the visits of a shop: gamma rates, every third customer regular, a week, a year, drop-out."""
    rng = np.random.default_rng(seed)
    days = np.arange(DAYS)
    speed = np.array([1.1, 0.9, 0.9, 1.0, 1.2, 1.5, 0.4])[days % 7] * (
        1 + 0.4 * np.sin(2 * np.pi * days / 365)
    )
    clock = np.concatenate([[0.0], np.cumsum(speed / speed.mean())])
    first = clock[rng.integers(0, DAYS - 30, n_customers)]
    until = np.minimum(first + rng.exponential(700.0, n_customers), clock[-1])
    rate = rng.gamma(0.9, 1 / 26.0, n_customers) + 1e-3
    count = 1 + rng.poisson(rate * (until - first))
    owner = np.repeat(np.arange(n_customers), count)
    regular = (np.arange(n_customers) % 3 == 0)[owner]
    position = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    even = (position + rng.normal(0, 0.1, len(owner))) / count[owner]
    place = np.where(regular, np.clip(even, 0, 0.999), rng.random(len(owner)))
    place[np.cumsum(count) - count] = 0.0
    reading = first[owner] + place * (until - first)[owner]
    day = np.clip(np.searchsorted(clock, reading, side="right") - 1, 0, DAYS - 1)
    amount = np.round(rng.lognormal(3.0, 0.6, len(owner)), 2)
    start = np.datetime64("2021-01-01")
    return pl.DataFrame({"customer": owner, "date": start + day, "amount": amount}).sort("date")


def measure(path: Path) -> dict[str, float]:
    """Return the seconds of each stage, wall and CPU, and the process's peak of memory after it, in GB."""
    figures: dict[str, float] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        began, worked = time.perf_counter(), time.process_time()
        yield
        figures[name] = time.perf_counter() - began
        figures[f"{name} CPU"] = time.process_time() - worked
        figures[f"{name} GB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

    with stage("read"):
        log = ft.read_events(path, id="customer", time="date", marks=["amount"], as_of=AS_OF)
    with stage("fit"):
        model = ft.EventForecaster().fit(log)
    with stage("predict and write"):
        ft.write_tables(
            model.predict_blocks(horizons=["7d", "30d", "90d"]), path.with_suffix(".scores.parquet")
        )
    with stage("update"):
        model.update(as_of="2023-01-07")
    return {"customers": log.n_customers, "events": log.n_events, **figures}


def picture(rows: Sequence[dict[str, float]], path: Path) -> None:
    """Draw CPU seconds and the peak of memory by the number of customers."""
    from foretell.plotting.charts import save  # noqa: PLC0415

    table = pl.DataFrame(
        [
            {"customers": row["customers"], "stage": name, "CPU seconds": max(row[f"{name} CPU"], 0.01)}
            for row in rows
            for name in STAGES
        ]
    )
    x = alt.X("customers:Q").scale(type="log")
    chart = alt.Chart(table).mark_line(point=True)
    save(chart.encode(x, alt.Y("CPU seconds:Q").scale(type="log"), alt.Color("stage:N", sort=STAGES)), path)


def main() -> None:
    """Run every size, print a table in Markdown, and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("customers", nargs="*", type=int, default=SIZES)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure is not None:
        print(json.dumps(measure(given.measure)))
        return
    print("| customers | events | " + " | ".join(f"{name}, CPU s / s" for name in STAGES) + " | peak GB |")
    print("|" + "---|" * (len(STAGES) + 3))
    rows = []
    for size in given.customers:
        path = given.folder / f"shop-{size}.parquet"
        if not path.exists():
            shop(size).write_parquet(path)
        command = [sys.executable, "-m", "benchmarks.scale", "--measure", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        row = json.loads(done.stdout)
        rows.append(row)
        peak = max(value for name, value in row.items() if name.endswith("GB"))
        cells = [f"{row['customers']:,}", f"{row['events']:,}"]
        cells += [f"{row[f'{name} CPU']:.1f} / {row[name]:.1f}" for name in STAGES]
        print("| " + " | ".join([*cells, f"{peak:.2f}"]) + " |", flush=True)
    if given.picture is not None:
        picture(rows, given.picture)


if __name__ == "__main__":
    main()
