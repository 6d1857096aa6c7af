"""The shop's total with the customers to come, of growing shops: python -m benchmarks.growth [shops]

Simulated shops of CDNOW-like customers (Pareto/NBD of its parameters), who come at a rate that grows by the
day, wanders, and is higher at weekends. At three origins of each shop the next 90 days are forecast; how
often the 80 % band holds what came, and how far off the total is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable

import numpy as np
import polars as pl

import foretell as ft
from foretell.acquisition import predict_shop

START = np.datetime64("2022-01-03")
DAYS, AHEAD, FIRST = 600, 90, 240
PER_DAY, GROWTH = 4.0, 0.0025


def growing_shop(seed: int) -> ft.EventLog:
    """Return the log of one shop."""
    rng = np.random.default_rng(seed)
    days = np.arange(DAYS)
    level = PER_DAY * np.exp(GROWTH * days + 0.0075 * np.cumsum(rng.normal(size=DAYS)))
    first = np.repeat(days, rng.poisson(level * (1 + 0.3 * (days % 7 >= 5))))
    rate = rng.gamma(0.553, 1 / (7 * 10.578), len(first))
    life = rng.exponential(1 / np.maximum(rng.gamma(0.606, 1 / (7 * 11.669), len(first)), 1e-9))
    end = np.minimum(first + life, DAYS)
    counts = rng.poisson(rate * (end - first))
    owner = np.repeat(np.arange(len(first)), counts)
    later = first[owner] + rng.random(len(owner)) * (end - first)[owner]
    customer, day = np.append(np.arange(len(first)), owner), np.append(first, later).astype(np.int64)
    frame = pl.DataFrame({"unique_id": customer, "day": day})
    frame = frame.select("unique_id", ds=pl.lit(START.item()) + pl.duration(days="day"))
    return ft.read_events(frame, as_of=str(START + DAYS - 1))


def held(seeds: Iterable[int], model: Callable[[], ft.EventForecaster]) -> tuple[list[bool], list[float]]:
    """Return whether the bands held what came, and the relative errors of the totals."""
    inside, off = [], []
    for seed in seeds:
        log = growing_shop(seed)
        for origin in range(log.start + FIRST, log.as_of - AHEAD + 1, AHEAD):
            row = predict_shop(model().fit(log.up_to(origin)), AHEAD).row(0, named=True)
            came = int(((log.times > origin) & (log.times <= origin + AHEAD)).sum())
            inside.append(row["visits-lo-80"] <= came <= row["visits-hi-80"])
            off.append(row["visits"] / came - 1)
    return inside, off


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shops", nargs="?", type=int, default=7)
    shops = parser.parse_args().shops
    print("| model | origins | 80 % band holds | mean error | mean absolute error |\n|---|---|---|---|---|")
    models = {"prior": lambda: ft.EventForecaster(model="prior"), "Pareto/NBD": ft.baselines.ParetoNBD}
    for name, model in models.items():
        inside, off = held(range(shops), model)
        mean, absolute = np.mean(off), np.mean(np.abs(off))
        print(f"| {name} | {len(inside)} | {np.mean(inside):.0%} | {mean:+.1%} | {absolute:.1%} |")


if __name__ == "__main__":
    main()
