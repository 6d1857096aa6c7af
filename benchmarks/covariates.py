"""Covariates that are known ahead, on simulated panels: python -m benchmarks.covariates [panel …]

Sixty series of 308 days and 28 held back, with what drives them known. "Marked" are held-back steps with a
promotion, or another price than the usual one.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

import foretell as ft
from foretell.stats.metrics import naive_scale

FloatArray = npt.NDArray[np.float64]
N, DAYS, H = 60, 336, 28
LEVELS = [0.1, 0.5, 0.9]


class Simulated(NamedTuple):
    """Values, covariates by name, and which steps are marked, shape (N, DAYS) each."""

    values: FloatArray
    covariates: dict[str, FloatArray]
    marked: npt.NDArray[np.bool_]


def usual(rng: np.random.Generator, shock: float = 0.15) -> FloatArray:
    """Return sales of a week's profile about a level that wanders."""
    level = np.exp(rng.normal(3, 1, (N, 1)) + rng.normal(0, 0.02, (N, DAYS)).cumsum(axis=1))
    week = np.exp(rng.normal(0, 0.3, (N, 7)))[:, np.arange(DAYS) % 7]
    values: FloatArray = level * week * np.exp(rng.normal(0, shock, (N, DAYS)))
    return values


def runs(rng: np.random.Generator, starts: float, longest: int) -> npt.NDArray[np.bool_]:
    """Return promotions of one day up to the longest."""
    marked = np.zeros((N, DAYS), dtype=np.bool_)
    for i, t in np.argwhere(rng.random((N, DAYS)) < starts):
        marked[i, t : t + rng.integers(1, longest + 1)] = True
    return marked


def promotions(rng: np.random.Generator) -> Simulated:
    """Promotions double sales."""
    marked = runs(rng, 0.05, 3)
    return Simulated(usual(rng) * 2.0**marked, {"promo": marked * 1.0}, marked)


def own_promotions(rng: np.random.Generator) -> Simulated:
    """Promotions multiply the sales of each series by another factor, 1.65 in the middle."""
    marked = runs(rng, 0.05, 3)
    lift = np.exp(rng.normal(0.5, 0.5, (N, 1)))
    return Simulated(usual(rng) * lift**marked, {"promo": marked * 1.0}, marked)


def counts(rng: np.random.Generator) -> Simulated:
    """Promotions double demand of two a day on average, beside a column of noise."""
    marked = runs(rng, 0.05, 3)
    mean = usual(rng, 0.0)
    mean *= 2.0 / mean.mean(axis=1, keepdims=True) * 2.0**marked
    return Simulated(
        rng.poisson(mean).astype(float), {"promo": marked * 1.0, "noise": rng.normal(size=(N, DAYS))}, marked
    )


def prices(rng: np.random.Generator) -> Simulated:
    """Prices that stay for weeks, an elasticity of -2."""
    share = np.ones((N, DAYS))
    for i in range(N):
        t = 0
        while t < DAYS:
            stay = rng.integers(5, 30)
            share[i, t : t + stay] = rng.choice([1.0, 1.0, 0.9, 0.8, 0.7])
            t += stay
    return Simulated(usual(rng) * share**-2, {"price": 4.99 * share}, share < 1.0)


def weather(rng: np.random.Generator) -> Simulated:
    """Weather of the town and of the shop, persistent, that has nothing to do with sales."""
    town, shop = rng.normal(size=(1, DAYS)), rng.normal(size=(N, DAYS))
    for column in (town, shop):
        for t in range(1, DAYS):
            column[:, t] += 0.8 * column[:, t - 1]
    columns = {"town": np.tile(town, (N, 1)), "shop": shop}
    return Simulated(usual(rng), columns, np.zeros((N, DAYS), dtype=np.bool_))


PANELS: dict[str, Callable[[np.random.Generator], Simulated]] = {
    "promotions": promotions,
    "own promotions": own_promotions,
    "counts": counts,
    "prices": prices,
    "weather": weather,
}


def panel_of(simulated: Simulated, known: int, *, alone: bool = False) -> ft.Panel:
    """Return what is known before the last horizon, with covariates of so many steps after."""
    columns = {} if alone else simulated.covariates
    future = {name: list(column[:, : DAYS - H + known]) for name, column in columns.items()}
    return ft.Panel.from_arrays(simulated.values[:, :-H], freq="1d", start="2024-01-01", future=future)


def scores(simulated: Simulated, quantiles: FloatArray) -> str:
    """Return MASE of all and of marked steps, and the coverage of 80 % intervals."""
    truth, marked = simulated.values[:, -H:], simulated.marked[:, -H:]
    scale = np.array([naive_scale(row[:-H, None], 7) for row in simulated.values])
    errors = np.abs(quantiles[:, :, 0, 1] - truth) / scale
    inside = (truth >= quantiles[:, :, 0, 0]) & (truth <= quantiles[:, :, 0, 2])
    of_marked = (f"{errors[marked].mean():.3f}", f"{inside[marked].mean():.2f}") if marked.any() else ("", "")
    return f"{errors.mean():.3f} | {inside.mean():.2f} | {of_marked[0]} | {of_marked[1]}"


def main(names: list[str]) -> None:
    """Print a table."""
    warnings.simplefilter("ignore")  # that steps are not given is what is asked
    print("| panel | model | MASE | coverage | MASE, marked | coverage, marked |\n|---|---|---|---|---|---|")
    for name in names or list(PANELS):
        simulated = PANELS[name](np.random.default_rng(0))
        given, unknown = panel_of(simulated, H), panel_of(simulated, 0)
        for model in ("prior", "network", "auto"):
            if model == "prior":
                alone = panel_of(simulated, H, alone=True)
                quantiles = ft.SeriesForecaster(H, model="prior").fit(alone).forecast(alone, H, LEVELS)
                print(f"| {name} | prior, the series alone | {scores(simulated, quantiles)} |", flush=True)
            fitted = ft.SeriesForecaster(H, model=model).fit(given)
            for words, asked in ((model, given), (f"{model}, not given", unknown)):
                answer = fitted.forecast(asked, H, LEVELS)
                print(f"| {name} | {words} | {scores(simulated, answer)} |", flush=True)
            if fitted.auto_ is not None and model == "auto":
                print(f"  {fitted.auto_.weights}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
