"""Reading from and writing to databases, streamed: seconds and peak memory.

    python -m benchmarks.databases                      # SQLite, 5 million visits of a million customers
    python -m benchmarks.databases --rows 500000 --url postgresql+psycopg://postgres@127.0.0.1/test

A table of visits is written block by block and read back; MBG/NBD is fitted and its
answers are written, then once more, in place of the first. Each part runs in a process of its own, whose peak
memory and CPU seconds it tells, the server's apart. The tables have names of their own and are dropped.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import sqlalchemy as sa

import foretell as ft
from foretell.baselines import MBGNBD

BLOCK = 100_000
COLUMNS = {"id": "customer_id", "time": "create_time", "marks": ["amount"]}


def visits(rows: int, seed: int = 0) -> Iterator[pl.DataFrame]:
    """Give the visits of a shop, five a customer, in blocks."""
    rng = np.random.default_rng(seed)
    for start in range(0, rows, BLOCK):
        n = min(BLOCK, rows - start)
        seconds = pl.Series(rng.integers(1_640_995_200, 1_704_067_200, n)) * 1_000_000
        yield pl.DataFrame(
            {
                "customer_id": rng.integers(1, rows // 5 + 2, n),
                "create_time": seconds.cast(pl.Datetime("us")),
                "amount": rng.gamma(2.0, 20.0, n).round(2),
            }
        )


def fill(url: str, table: str, rows: int) -> int:
    return ft.write_tables(visits(rows), url, table, if_exists="replace").rows


def read(url: str, table: str, rows: int) -> int:
    del rows
    return ft.read_events(url, table=table, **COLUMNS).report.rows_read


def score(url: str, table: str, rows: int) -> int:
    """Write the answers of all customers."""
    model = MBGNBD().fit(ft.read_events(pl.concat(visits(rows)), **COLUMNS))
    return ft.write_tables(model.predict_blocks(), url, f"{table}_scores").rows


def again(url: str, table: str, rows: int) -> int:
    """Write the same as-of date again; return how many rows there are then in all."""
    model = MBGNBD().fit(ft.read_events(pl.concat(visits(rows)), **COLUMNS))
    written = ft.write_tables(model.predict_blocks(), url, f"{table}_scores")
    if written.rows != written.replaced:
        raise SystemExit(f"{written.replaced:,} rows went for {written.rows:,} that came")
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        count = sa.select(sa.func.count()).select_from(sa.table(f"{table}_scores"))
        there = int(connection.scalar(count) or 0)
    engine.dispose()
    return there


def without(url: str, table: str, rows: int) -> int:
    """Read, fit and predict without a database: what is to be taken off `score`."""
    del url, table
    model = MBGNBD().fit(ft.read_events(pl.concat(visits(rows)), **COLUMNS))
    return sum(block.height for block in model.predict_blocks())


PARTS = {"fill": fill, "read": read, "without": without, "score": score, "again": again}
WORDS = {
    "fill": "write visits",
    "read": "read visits",
    "without": "(fit and predict, no database)",
    "score": "fit, predict, write",
    "again": "fit, predict, write again",
}


def run(part: str, url: str, table: str, rows: int) -> None:
    """Run a part and print what it took, as JSON."""
    before = time.perf_counter()
    done = PARTS[part](url, table, rows)
    seconds = time.perf_counter() - before
    used = resource.getrusage(resource.RUSAGE_SELF)
    took = {"rows": done, "seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime}
    print(json.dumps(took | {"peak_bytes": used.ru_maxrss * 1_024}))  # kilobytes on Linux


def measure(url: str, rows: int) -> dict[str, dict[str, float]]:
    """Run all parts, each in a process of its own; return what each took."""
    table = f"foretell_bench_{uuid.uuid4().hex[:8]}"
    results = {}
    try:
        for part in PARTS:
            command = [sys.executable, __file__, "--rows", str(rows), "--url", url, "--part", part, table]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            results[part] = json.loads(done.stdout)
            took = results[part]
            print(
                f"{WORDS[part]:<32} {took['rows']:>12,} rows {took['seconds']:>8.1f} s "
                f"{took['cpu_seconds']:>8.1f} CPU s {took['peak_bytes'] / 2**30:>6.2f} GiB",
                flush=True,
            )
    finally:
        engine = sa.create_engine(url)
        for name in (table, f"{table}_scores"):
            sa.Table(name, sa.MetaData()).drop(engine, checkfirst=True)
        engine.dispose()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--url", help="by default SQLite in a temporary folder")
    parser.add_argument("--part", nargs=2, metavar=("PART", "TABLE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        run(arguments.part[0], arguments.url, arguments.part[1], arguments.rows)
    elif arguments.url:
        measure(arguments.url, arguments.rows)
    else:
        with tempfile.TemporaryDirectory() as folder:
            measure(f"sqlite:///{Path(folder) / 'shop.db'}", arguments.rows)


if __name__ == "__main__":
    main()
