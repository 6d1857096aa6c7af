"""One worker against two: python -m benchmarks.distributed [customers] [--partitions N]

A simulated shop of `benchmarks.scale`, a network fitted to one partition: seconds and CPU seconds of scoring
all partitions with one worker and with two, one after the other on this machine, each keeping to one core.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import polars as pl
import psutil
from benchmarks.scale import AS_OF, shop

import foretell as ft
from foretell import distributed


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of all that it started and that still run."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("customers", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--partitions", type=int, default=40)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        began = time.perf_counter()
        visits = distributed.partition(
            shop(given.customers), place / "visits", partitions=given.partitions, id="customer", time="date",
            marks=["amount"], as_of=AS_OF,
        )  # fmt: skip
        print(f"partition: {time.perf_counter() - began:.1f} s\n")
        sample = visits.log(0)
        assert sample is not None
        model = ft.EventForecaster(model="network", training=ft.TrainConfig(epochs=2)).fit(sample)
        print("| workers | seconds | CPU seconds | customers |\n|---|---|---|---|")
        seconds = {}
        for workers in (1, 2):
            cluster = distributed.Cluster(workers)
            with cluster.connected():
                # The engine is started, and programs are compiled, before the clock is.
                few = {"visits": visits, "cluster": cluster}
                distributed.predict(model, place / f"warm{workers}", horizons=["1d"], levels=[50], **few)
                began, spent = time.perf_counter(), cpu_seconds()
                done = distributed.predict(model, place / f"scores{workers}", **few)
                seconds[workers] = time.perf_counter() - began
                cpu = cpu_seconds() - spent
            print(f"| {workers} | {seconds[workers]:.1f} | {cpu:.1f} | {done.rows:,} |", flush=True)
        one, two = (pl.read_parquet(place / f"scores{k}" / "*.parquet").sort("unique_id") for k in (1, 2))
        assert one.equals(two)
        print(f"\nTwo workers are {seconds[1] / seconds[2]:.2f} times as fast as one, with the same answers.")


if __name__ == "__main__":
    main()
