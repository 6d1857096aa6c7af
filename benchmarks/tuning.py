"""Search, speed: python -m benchmarks.tuning

16 trials of one shape (seeds, learning rates, dropout rates), each way in a process of its own:

together     as `foretell.tune` does: side by side, through one compiled program
in turn      one after the other, through one compiled program
each anew    one after the other, each compiling its own program, as where rates are constants of it
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

WAYS = ("together", "in turn", "each anew")

_TRIALS = """
import sys, time
import jax, numpy as np
import foretell as ft
question, way = sys.argv[1:]
space = {"training.learning_rate": [1e-3, 2e-3, 4e-3, 8e-3], "network.dropout": [0.1, 0.2], "seed": [0, 1]}
if question == "series":
    rng, steps = np.random.default_rng(0), np.arange(400)
    data = ft.Panel.from_arrays(
        {f"s{i}": 10 + np.sin(2 * np.pi * (steps + i) / 12) + 0.3 * rng.normal(size=400) for i in range(40)}
    )
    network = ft.NetworkConfig(units=16, dense=16, dropout=0.1)
    training = ft.TrainConfig(epochs=4, refit=False)
    model = ft.SeriesForecaster(12, model="network", ensemble=1, network=network, training=training)
else:
    rows = ft.datasets.load_cdnow(sample=True)
    data = ft.read_events(rows, id="customer_id", time="date", as_of="1997-09-30")
    model = ft.EventForecaster(model="network", ensemble=1, training=ft.TrainConfig(epochs=12, patience=12))
together = 16 if way == "together" else 1
search = ft.SearchConfig(method="grid", together=together, prune=False)
forget = (lambda news: jax.clear_caches()) if way == "each anew" else None
began, processor = time.perf_counter(), time.process_time()
result = ft.tune(data, space, model=model, search=search, progress=forget)
print(time.perf_counter() - began, time.process_time() - processor, result.value)
"""


def main() -> None:
    """Time the ways in turn, so that other load meets them alike: seconds by the clock, and of processors."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--questions", nargs="+", default=["series", "events"])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    asked = parser.parse_args()
    for question in asked.questions:
        taken: dict[str, list[tuple[float, float]]] = {way: [] for way in asked.ways}
        for _ in range(asked.runs):
            for way in asked.ways:
                command = [sys.executable, "-c", _TRIALS, question, way]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                wall, processor, value = (float(word) for word in done.stdout.split())
                taken[way].append((wall, processor))
                print(
                    f"# {question}, {way}: {wall:.1f} s, best figure {value:.4f}", file=sys.stderr, flush=True
                )
        for way, pairs in taken.items():
            wall, processor = (statistics.median(column) for column in zip(*pairs, strict=True))
            print(f"| {question} | {way} | {wall:.1f} s | {processor:.1f} s |", flush=True)


if __name__ == "__main__":
    main()
