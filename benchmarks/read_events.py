"""Rows per second and peak memory of ``read_events`` on a generated CSV file.

    python benchmarks/read_events.py            # 10 million rows
    python benchmarks/read_events.py 1000000    # another number of rows

The file is written to a temporary folder, read once in a fresh process, and deleted.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

import foretell as ft


def write(path: Path, rows: int, seed: int = 0) -> None:
    """Write rows of a shop: id, second of the visit, amount, a comment that nobody asks for."""
    rng = np.random.default_rng(seed)
    with path.open("wb") as file:
        for start in range(0, rows, 1_000_000):
            n = min(1_000_000, rows - start)
            seconds = pl.Series(rng.integers(1_640_995_200, 1_704_067_200, n)) * 1_000_000
            pl.DataFrame(
                {
                    "customer_id": rng.integers(1, rows // 10 + 2, n),
                    "create_time": seconds.cast(pl.Datetime("us")),
                    "amount": rng.gamma(2.0, 20.0, n).round(2),
                    "comment": pl.repeat("as ordered", n, eager=True),
                }
            ).write_csv(file, include_header=start == 0, datetime_format="%Y-%m-%d %H:%M:%S")


def read(path: str) -> None:
    """Read the file and print what it took, as JSON."""
    before = time.perf_counter()
    log = ft.read_events(path, id="customer_id", time="create_time", marks=["amount"])
    seconds = time.perf_counter() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024  # kilobytes on Linux
    rows = log.report.rows_read
    print(json.dumps({"rows": rows, "events": log.n_events, "seconds": seconds, "peak_bytes": peak}))


def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "visits.csv"
        write(path, rows)
        size = path.stat().st_size
        # A process of its own: the peak of this one would hold the writing too.
        run = subprocess.run(
            [sys.executable, __file__, "--read", str(path)], check=True, capture_output=True, text=True
        )
    result = json.loads(run.stdout)
    print(f"rows            {result['rows']:>14,}   ({size / 2**20:,.0f} MiB of CSV)")
    print(f"events          {result['events']:>14,}")
    print(f"seconds         {result['seconds']:>14.2f}")
    print(f"rows per second {result['rows'] / result['seconds']:>14,.0f}")
    print(f"peak memory     {result['peak_bytes'] / 2**30:>14.2f} GiB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        read(sys.argv[2])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
