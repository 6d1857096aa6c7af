"""Speed: python -m benchmarks.speed

CDNOW fit + predict beside lifetimes' Pareto/NBD in the same run (an environment of its own, made once);
growth of the time with the customers; seconds to import.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from benchmarks.peers.environment import run_peer

import foretell as ft

CUTOFF, HORIZON = "1997-09-30", 273

_OURS = """
import json, sys, time
import foretell as ft
log = ft.read_events(sys.argv[1], id="customer_id", time="date", as_of="1998-06-30")
model = ft.EventForecaster()
began = time.perf_counter()
model.fit(log, as_of=sys.argv[2])
fitted = time.perf_counter()
model.predict(horizons=["7d", "30d", "90d", sys.argv[3] + "d"])
print(json.dumps({"fit_s": fitted - began, "predict_s": time.perf_counter() - fitted}))
"""


def beside_lifetimes(runs: int) -> None:
    """Time both in turn, each in a fresh process, compilation included."""
    ratios, ours_s, theirs_s = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.csv"
        ft.datasets.load_cdnow().select("customer_id", "date").write_csv(path)
        for _ in range(runs):
            command = [sys.executable, "-c", _OURS, str(path), CUTOFF, str(HORIZON)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            ours = json.loads(done.stdout)
            theirs = run_peer("lifetimes", "lifetimes_pareto.py", path, CUTOFF, HORIZON)
            ours_s.append(ours["fit_s"] + ours["predict_s"])
            theirs_s.append(float(theirs["fit_s"]) + float(theirs["predict_s"]))
            ratios.append(ours_s[-1] / theirs_s[-1])
            print(
                f"foretell {ours_s[-1]:.1f} s {ours}, lifetimes {theirs_s[-1]:.1f} s, ratio {ratios[-1]:.2f}"
            )
    print(f"median ratio {statistics.median(ratios):.2f} ({statistics.median(ours_s):.1f} s beside "
          f"{statistics.median(theirs_s):.1f} s)")  # fmt: skip


def growth(runs: int) -> None:
    """Time half of CDNOW's customers and all of them."""
    log = ft.read_events(ft.datasets.load_cdnow(), id="customer_id", time="date", as_of="1998-06-30")
    half = log.take(np.arange(0, log.n_customers, 2))
    ratios = []
    for _ in range(runs):
        seconds = []
        for part in (half, log):
            began = time.perf_counter()
            ft.EventForecaster().fit(part, as_of=CUTOFF).predict()
            seconds.append(time.perf_counter() - began)
        ratios.append(seconds[1] / seconds[0])
        print(f"half {seconds[0]:.1f} s, all {seconds[1]:.1f} s, ratio {ratios[-1]:.2f}")
    print(f"median ratio for twice the customers: {statistics.median(ratios):.2f}")


def imports(runs: int) -> None:
    """Time `import foretell` in fresh processes, less a bare start of Python."""
    code = "import time; t = time.perf_counter(); import foretell; print(time.perf_counter() - t)"
    seconds = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(runs)
    ]
    print(f"import foretell: median {statistics.median(seconds):.3f} s")


if __name__ == "__main__":
    imports(9)
    beside_lifetimes(3)
    growth(3)
