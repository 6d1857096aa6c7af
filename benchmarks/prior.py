"""The prior on panels that it never saw: python -m benchmarks.prior [--inner] [--statistics FILE]

MASE is scaled by the in-sample seasonal naive and averaged over series; --inner scores the last horizon of
the training part, by which settings are chosen. --statistics adds statsforecast's models and keeps what they
reached in a file, since they take minutes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from benchmarks.series_data import SHARED, m4_hourly

import foretell as ft
from foretell.series.prior_forecast import prior_quantiles
from foretell.series.quantiles import QUANTILES

FloatArray = npt.NDArray[np.float64]
STATISTICS = ("SeasonalNaive", "AutoETS", "DynamicOptimizedTheta")


class Set(NamedTuple):
    """A panel: its step, season and horizon; histories, and what came."""

    name: str
    freq: str
    season: int
    h: int
    before: list[FloatArray]
    after: FloatArray


def sets(place: Path, *, inner: bool) -> Iterator[Set]:
    """Read the panels that are there."""
    known = {
        "tourism-monthly": ("1mo", 12, 24),
        "tourism-yearly": ("1y", 1, 4),
        "M3-quarterly": ("3mo", 4, 8),
        "M3-yearly": ("1y", 1, 6),
        "nn5-daily": ("1d", 7, 56),
        "M4-Hourly": ("1h", 24, 48),
    }
    for name, (freq, season, h) in known.items():
        if name == "M4-Hourly":
            panel = m4_hourly()
            values = np.split(panel.values[:, 0], panel.offsets[1:-1])
        elif (file := place / f"{name}.csv.gz").exists():
            groups = pl.read_csv(file).group_by("unique_id", maintain_order=True)
            values = [group["y"].to_numpy() for _, group in groups]
        else:
            continue
        values = [series[:-h] for series in values] if inner else values
        values = [series for series in values if len(series) - h > season]
        yield Set(name, freq, season, h, [v[:-h] for v in values], np.stack([v[-h:] for v in values]))


def mase(panel: Set, median: FloatArray) -> float:
    """Return the mean over series of the scaled error; constant histories are left out."""
    changes = [series[panel.season :] - series[: -panel.season] for series in panel.before]
    scale = np.array([np.nanmean(np.abs(change)) for change in changes])
    scale[scale == 0] = np.nan
    return float(np.nanmean(np.nanmean(np.abs(median - panel.after), axis=1) / scale))


def coverage(panel: Set, quantiles: FloatArray, level: float) -> float:
    """Return how often the truth lay inside of the central interval."""
    low, high = (QUANTILES.index(round(0.5 + side * level / 2, 3)) for side in (-1, 1))
    inside = (panel.after >= quantiles[..., low]) & (panel.after <= quantiles[..., high])
    return float(inside[~np.isnan(panel.after)].mean())


def statistics(panel: Set) -> dict[str, float]:
    """Return the MASE of statsforecast's models; missing values are filled with the last."""
    from statsforecast import models  # noqa: PLC0415  # an extra

    filled = [pl.Series(series).fill_nan(None).forward_fill().backward_fill() for series in panel.before]
    return {
        name: mase(panel, np.stack([model.forecast(series.to_numpy(), panel.h)["mean"] for series in filled]))
        for name in STATISTICS
        for model in [getattr(models, name)(season_length=panel.season)]
    }


def main() -> None:
    """Print a line for each panel."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inner", action="store_true")
    parser.add_argument("--statistics", type=Path, help="JSON file of what the statistics reached")
    parser.add_argument("--data", type=Path, default=SHARED)
    options = parser.parse_args()
    kept = options.statistics
    known = json.loads(kept.read_text()) if kept is not None and kept.exists() else {}
    for panel in sets(options.data, inner=options.inner):
        began = time.process_time()
        data = ft.Panel.from_arrays(panel.before, freq=panel.freq, start="1700-01-01")
        quantiles = prior_quantiles(data, panel.h, QUANTILES, panel.season)[:, :, 0]
        figures = {"prior": mase(panel, quantiles[..., QUANTILES.index(0.5)])}
        figures |= {f"coverage {level:.0%}": coverage(panel, quantiles, level) for level in (0.8, 0.95)}
        figures["CPU seconds"] = time.process_time() - began
        if kept is not None:
            key = f"{panel.name}{' inner' if options.inner else ''}"
            known[key] = known.get(key) or statistics(panel)
            kept.write_text(json.dumps(known, indent=1))
            figures |= known[key]
        print(panel.name, {name: round(value, 3) for name, value in figures.items()}, flush=True)


if __name__ == "__main__":
    main()
