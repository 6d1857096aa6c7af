"""The default beside the prior and statistics on six panels: python -m benchmarks.panels [--sets NAME …]

The test part is scored once, with default settings; statsforecast's models run beside it (not with
--without-statistics: they take longer than all the rest). MASE is scaled by the in-sample seasonal naive and
averaged over series. --cut N keeps the last N values of each history: what is left of the default where
histories are short; series that are shorter stay out.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
from benchmarks.prior import STATISTICS, FloatArray, Set, coverage, mase, sets, statistics
from benchmarks.series_data import SHARED

import foretell as ft
from foretell.series.prior_forecast import prior_quantiles
from foretell.series.quantiles import MIDDLE, QUANTILES

# Levels of the weighted quantile loss, as M4 and pretrained models are judged by.
_LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def smape(panel: Set, median: FloatArray) -> float:
    """Return the symmetric mean absolute percentage error of M4, in percent."""
    error = np.abs(median - panel.after) / (np.abs(median) + np.abs(panel.after))
    return float(200 * np.nanmean(error))


def quantile_loss(panel: Set, quantiles: FloatArray) -> float:
    """Return the weighted quantile loss, mean of nine levels: twice the pinball loss by the sum of values."""
    error = panel.after[..., None] - quantiles
    loss = np.nansum(np.maximum(np.multiply(_LEVELS, error), np.subtract(_LEVELS, 1) * error), axis=(0, 1))
    return float((2 * loss / np.nansum(np.abs(panel.after))).mean())


def cut(panel: Set, length: int) -> Set:
    """Return the last so many values of each history; shorter histories are left out."""
    long = [k for k, series in enumerate(panel.before) if len(series) >= length]
    return panel._replace(before=[panel.before[k][-length:] for k in long], after=panel.after[long])


def figures(panel: Set, *, model: str) -> dict[str, object]:
    """Fit and score one configuration, in CPU seconds."""
    began = time.process_time()
    data = ft.Panel.from_arrays(panel.before, freq=panel.freq, start="1700-01-01")
    if model == "prior":
        quantiles = prior_quantiles(data, panel.h, QUANTILES)
        took: dict[str, float] = {}
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ft.errors.SmallDataWarning)
            fitted = ft.SeriesForecaster(horizon=panel.h, model=model).fit(data)
        quantiles = fitted.forecast(data, panel.h, QUANTILES)
        took = {} if fitted.auto_ is None else fitted.auto_.weights
    nine = np.stack([quantiles[:, :, 0, QUANTILES.index(level)] for level in _LEVELS], axis=-1)
    return {
        "mase": mase(panel, quantiles[:, :, 0, MIDDLE]),
        "smape": smape(panel, quantiles[:, :, 0, MIDDLE]),
        "wql": quantile_loss(panel, nine),
        **{f"coverage_{level:.0%}": coverage(panel, quantiles[:, :, 0], level) for level in (0.8, 0.95)},
        "cpu_s": time.process_time() - began,
        "weights": {name: round(share, 2) for name, share in took.items()},
    }


def main() -> None:
    """Print a line for each panel and model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", help="names of panels, by default all that are there")
    parser.add_argument(
        "--models", nargs="+", default=["auto", "prior"], choices=["auto", "prior", "network"]
    )
    parser.add_argument("--inner", action="store_true", help="score the last horizon of the training parts")
    parser.add_argument("--cut", type=int, help="values that are left of each history")
    parser.add_argument("--without-statistics", action="store_true")
    parser.add_argument("--data", type=Path, default=SHARED)
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    results: dict[str, dict[str, object]] = {}
    for whole in sets(options.data, inner=options.inner):
        if options.sets and whole.name not in options.sets:
            continue
        panel = cut(whole, options.cut) if options.cut else whole
        if not panel.before:
            continue
        found: dict[str, object] = {model: figures(panel, model=model) for model in options.models}
        if not options.without_statistics:
            found |= dict(zip(STATISTICS, map(statistics(panel).get, STATISTICS), strict=True))
        results[panel.name] = found
        for name, figure in found.items():
            print(panel.name, len(panel.before), name, _rounded(figure), flush=True)
        if options.json is not None:
            options.json.write_text(json.dumps(results, indent=1))


def _rounded(figure: object) -> object:
    if isinstance(figure, dict):
        return {name: _rounded(value) for name, value in figure.items()}
    return round(figure, 4) if isinstance(figure, float) else figure


if __name__ == "__main__":
    main()
