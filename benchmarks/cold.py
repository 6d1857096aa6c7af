"""CPU seconds of commands in fresh processes: python -m benchmarks.cold [row …] [--runs 3]

Each row is run some times; the median counts. With a cold cache the folder of compiled programs is empty,
else an earlier run has filled it. Rows: help predict update plot fit demo lifetimes; by default all.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import polars as pl
from benchmarks.peers.environment import run_peer

import foretell as ft

CUTOFF, CUSTOMER = "1997-09-30", "4406"
_COLUMNS = ["--id", "customer_id", "--time", "date"]
_OURS = """
import json, sys, time
import foretell as ft
log = ft.read_events(sys.argv[1], id="customer_id", time="date", as_of="1998-06-30")
cpu = time.process_time()
ft.EventForecaster().fit(log, as_of=sys.argv[2]).predict(horizons=["7d", "30d", "90d", "273d"])
print(json.dumps({"cpu_s": time.process_time() - cpu}))
"""


def measured(command: list[str], environment: Mapping[str, str]) -> tuple[float, float, str]:
    """Return CPU seconds, seconds by the clock, and what was printed."""
    began, before = time.perf_counter(), os.times()
    done = subprocess.run(
        command,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        text=True,
    )
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, time.perf_counter() - began, done.stdout


def row(
    name: str, command: list[str], environment: Mapping[str, str], runs: int, *, cold: bool = False
) -> None:
    """Print the medians of a command."""
    seconds = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as empty:
            given = dict(environment) | ({"FORETELL_CACHE": empty} if cold else {})
            seconds.append(measured(command, given)[:2])
    cpu, clock = (statistics.median(part) for part in zip(*seconds, strict=True))
    print(f"| {name} | {cpu:.2f} | {clock:.2f} |", flush=True)


def beside_lifetimes(visits: Path, environment: Mapping[str, str], runs: int) -> None:
    """Print fit and predict of CDNOW, without imports, as a ratio to lifetimes' Pareto/NBD."""
    for kind in ("cold", "warm"):
        ratios = []
        for _ in range(runs):
            with tempfile.TemporaryDirectory() as empty:
                given = dict(environment) | ({"FORETELL_CACHE": empty} if kind == "cold" else {})
                command = [sys.executable, "-c", _OURS, str(visits), CUTOFF]
                ours = json.loads(measured(command, given)[2])
            theirs = run_peer("lifetimes", "lifetimes_pareto.py", visits, CUTOFF, 273)
            ratios.append(ours["cpu_s"] / theirs["cpu_s"])
        print(
            f"| CDNOW, fit + predict beside lifetimes, {kind} cache | {statistics.median(ratios):.2f} × | |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    names = ["help", "predict", "update", "plot", "fit", "demo", "lifetimes"]
    parser.add_argument("rows", nargs="*", metavar="row")
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    wanted, runs = chosen.rows or names, chosen.runs
    foretell = str(Path(sys.executable).with_name("foretell"))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        rows = ft.datasets.load_cdnow().select("customer_id", "date")
        visits, few, new = (folder / f"{name}.csv" for name in ("visits", "few", "new"))
        rows.write_csv(visits)
        ids = rows["customer_id"].unique().sort().gather_every(58).head(400)
        rows.filter(pl.col("customer_id").is_in(ids.implode())).write_csv(few)
        day = pl.col("date")
        rows.filter((day > pl.date(1997, 9, 30)) & (day <= pl.date(1997, 10, 5))).write_csv(new)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment |= {
            "FORETELL_CACHE": str(folder / "cache"), "PYTHONPYCACHEPREFIX": str(folder / "bytecode")
        }  # fmt: skip
        fit = [*_COLUMNS, "--as-of", CUTOFF]
        commands = {
            "help": ["--help"],
            "predict": ["predict", str(folder / "model"), "--id", CUSTOMER],
            "update": ["update", str(folder / "model"), str(new), *_COLUMNS, "--as-of", "1997-10-05", "--out",
                       str(folder / "moved")],
            "plot": ["plot", str(folder / "model"), "--id", CUSTOMER, "--out", str(folder / "next.png")],
            "fit": ["fit", str(few), *fit, "--out", str(folder / "few-model")],
            "demo": ["demo", "--out", str(folder / "demo")],
        }  # fmt: skip
        if {"predict", "update", "plot"} & set(wanted):
            measured([foretell, "fit", str(visits), *fit, "--out", str(folder / "model")], environment)
        print("| command | CPU seconds | by the clock |\n|---|---|---|")
        for name, arguments in commands.items():
            if name in wanted and name in ("fit", "demo"):
                row(f"{name}, cold cache", [foretell, *arguments], environment, runs, cold=True)
            if name in wanted:
                measured([foretell, *arguments], environment)  # bytecode, and compiled programs
                row(name, [foretell, *arguments], environment, runs)
        if "lifetimes" in wanted:
            beside_lifetimes(visits, environment, runs)


if __name__ == "__main__":
    main()
