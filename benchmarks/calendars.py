"""What a calendar is worth: python -m benchmarks.calendars [--models prior auto] [--seeds 4] [--shops …]

Simulated shops whose visitors follow promotions or a price that are known ahead. At each of some origins the
weekly totals of the next twelve weeks are forecast with the calendar and without it; what counts is the error
of the weeks, Σ|forecast − actual| / Σ actual. In one of the shops visits come from later weeks, in one the
calendar has nothing to do with them.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

import foretell as ft

FloatArray = npt.NDArray[np.float64]

START, DAYS, AHEAD = np.datetime64("2022-01-03"), 588, 84
ORIGINS = (280, 380, 500)
_WEEK = np.array([0.8, 0.8, 0.9, 1.0, 1.3, 1.5, 0.7])


@dataclasses.dataclass(frozen=True)
class Shop:
    """Visits, and what was known of each day.

    Attributes
    ----------
    visits : polars.DataFrame
        ``unique_id``, ``ds``.
    calendar : polars.DataFrame
        ``ds`` and a column.
    """

    visits: pl.DataFrame
    calendar: pl.DataFrame

    def log(self, *, known: bool) -> ft.EventLog:
        """Return the log, with the calendar or without it."""
        ends = {"start": str(START), "as_of": str(START + DAYS - 1)}
        return ft.read_events(self.visits, **ends, calendar=self.calendar if known else None)


def promotions(rng: np.random.Generator) -> Shop:
    """Return a shop with a promotion every few weeks, each of which doubles the visits, more or less."""
    on, factor = _promoted(rng, every=38, sizes=(0.75, 0.1))
    return _shop(rng, factor, "promotion", on)


def rare(rng: np.random.Generator) -> Shop:
    """Return the same with a promotion every fourth month."""
    on, factor = _promoted(rng, every=110, sizes=(0.75, 0.1))
    return _shop(rng, factor, "promotion", on)


def pulled_forward(rng: np.random.Generator) -> Shop:
    """Return a shop whose promotions bring half of the visits that were to come in the two weeks after."""
    on, factor = _promoted(rng, every=45, sizes=(0.3, 0.1))
    return _shop(rng, factor, "promotion", on, pulled=0.5)


def prices(rng: np.random.Generator) -> Shop:
    """Return a shop whose price changes from week to week; a tenth more keeps a fifth of the visits away."""
    price = np.repeat(np.exp(rng.normal(0, 0.15, DAYS // 7 + 1)), 7)[:DAYS]
    return _shop(rng, price**-2.0, "price", price.round(2))


def nothing(rng: np.random.Generator) -> Shop:
    """Return a shop whose calendar says nothing of its visits."""
    return _shop(rng, np.ones(DAYS), "moon", _promoted(rng, every=38, sizes=(0.0, 0.0))[0])


SHOPS: dict[str, Callable[[np.random.Generator], Shop]] = {
    make.__name__: make for make in (promotions, rare, pulled_forward, prices, nothing)
}


def _promoted(
    rng: np.random.Generator, every: int, sizes: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Return days of promotions of four to ten days, and their factors."""
    on, factor, day = np.zeros(DAYS), np.ones(DAYS), int(rng.integers(10, 30))
    while day < DAYS:
        length = int(rng.integers(4, 11))
        on[day : day + length] = 1.0
        factor[day : day + length] = np.exp(rng.normal(*sizes))
        day += length + int(rng.integers(every // 2, every * 3 // 2))
    return on, factor


def _shop(
    rng: np.random.Generator, factor: FloatArray, name: str, column: FloatArray, pulled: float = 0.0
) -> Shop:
    """Draw the visits of gamma rates and exponential lifetimes on days of some factors."""
    n = 4_000
    joined = rng.integers(0, 420, n)
    rate = np.minimum(rng.gamma(0.8, 1 / 20, n), 0.7)
    left = joined + rng.exponential(500, n)
    level = np.repeat(_drift(rng, DAYS // 7 + 1), 7)[:DAYS]
    speed = np.resize(_WEEK, DAYS) * factor * np.exp(level)
    days = np.arange(DAYS)
    there = (days > joined[:, None]) & (days < left[:, None])
    came = there & (rng.random((n, DAYS)) < -np.expm1(-rate[:, None] * speed))
    came[np.arange(n), joined] = True
    for end in np.flatnonzero(np.diff(column, append=0.0) < 0) if pulled else ():
        begin = end - np.argmin(column[end::-1] > 0) + 1
        who, after = np.nonzero(came[:, end + 1 : end + 15])
        early = (rng.random(len(who)) < pulled) & (joined[who] < begin)
        came[who[early], end + 1 + after[early]] = False
        came[who[early], rng.integers(begin, end + 1, early.sum())] = True
    owner, day = np.nonzero(came)
    date = pl.lit(START.item()) + pl.duration(days="day")
    visits = pl.DataFrame({"unique_id": owner, "day": day}).select("unique_id", ds=date)
    return Shop(visits, pl.DataFrame({"day": days, name: column}).select(pl.col(name), ds=date))


def _drift(rng: np.random.Generator, n: int) -> FloatArray:
    """Return logs of a level that wanders by some per cent from week to week."""
    level = np.zeros(n)
    for week in range(1, n):
        level[week] = 0.8 * level[week - 1] + rng.normal(0, 0.03)
    return level


def weekly_error(log: ft.EventLog, origin: int, model: str) -> float:
    """Return the summed error of the weeks after an origin, relative to all visits in them."""
    cutoff = log.start + origin
    seen = log.up_to(cutoff)
    fitted = ft.EventForecaster(model=model).fit(seen, progress=False)
    forecast = fitted.predict_cohort(AHEAD, 7)["foretell"].to_numpy()
    later = (log.times > cutoff) & (log.times <= cutoff + AHEAD) & (log.first[log.owner] <= cutoff)
    actual = np.bincount((log.times[later] - cutoff - 1) // 7, minlength=AHEAD // 7)
    return float(np.abs(forecast - actual).sum() / actual.sum())


def main(models: Sequence[str], seeds: int, names: Sequence[str]) -> None:
    """Print the errors of all shops."""
    print("| shop | model | without | with the calendar | ratio | worst ratio |\n|---|---|---|---|---|---|")
    for name in names:
        for model in models:
            errors = []
            for seed in range(seeds):
                shop = SHOPS[name](np.random.default_rng((7, seed)))
                logs = [shop.log(known=known) for known in (False, True)]
                errors += [[weekly_error(log, origin, model) for log in logs] for origin in ORIGINS]
            without, known = np.array(errors).T
            print(
                f"| {name} | {model} | {without.mean():.3f} | {known.mean():.3f} | "
                f"{known.mean() / without.mean():.2f} | {(known / without).max():.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["prior", "auto"])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--shops", nargs="+", default=list(SHOPS), choices=list(SHOPS))
    asked = parser.parse_args()
    main(asked.models, asked.seeds, asked.shops)
