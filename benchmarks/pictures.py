"""Draw the pictures of the pages: python -m benchmarks.pictures [NAME …] [--out docs/images].

Data are those of `foretell.datasets`, or simulated; `python -m training.pictures` draws what the priors have
learned from.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final

import altair as alt
import numpy as np
import polars as pl

import foretell as ft
from foretell import plotting
from foretell.core import FloatArray
from foretell.events.horizon import shops
from foretell.events.horizon.forecaster import prior_counts
from foretell.events.totals import count_quantile
from foretell.plotting.charts import BLUE, GREY, INK, VERMILION, WIDTH, Chart, finish

CUTOFF, END = "1997-09-30", "1998-06-30"
HORIZON = 273
SIZES: Final = (10, 30, 100, 300, 1000, 3000, 10_000)
SERIES = 200  # of each kind on which the prior fails
UPPER = 0.9  # the upper end of an 80 % interval


def shop() -> Chart:
    """Draw what the default has learned about Complete Journey's stores."""
    rows = ft.datasets.load_complete_journey()
    log = ft.read_events(rows, id="household_id", time="timestamp", group="store_id")
    return plotting.plot_shop(ft.EventForecaster().fit(log, as_of="2017-09-30"))


def shop_season() -> Chart:
    """Draw what the default has learned about a simulated shop of two and a half years, closed on Sundays."""
    rng = np.random.default_rng(2)
    made = shops.blank_shop(rng, 2000, 900, 1)
    made.start = 17_532  # 2018-01-01
    made.rate = np.minimum(rng.gamma(1.2, 1 / 1.2, made.n) / 25, 0.8)
    shops.growing_base(made)
    made.end = made.first + rng.exponential(400.0, made.n)
    days = made.start + np.arange(made.days)
    made.speed = np.where((days + 3) % 7 == 6, 0.0, 1.0 + 0.5 * ((days + 3) % 7 == 5))
    day_of_year = (days - 17_532) % 365.25
    made.speed *= 1.0 + 0.3 * np.sin(2 * np.pi * (day_of_year - 100) / 365.25)  # busiest in July
    made.speed *= 1.0 + 1.2 * np.exp(-0.5 * ((day_of_year - 350) / 8) ** 2)  # and before Christmas
    visits = shops.composed(made, [])
    frame = pl.DataFrame({"unique_id": visits.owner, "day": visits.day})
    frame = frame.select("unique_id", ds=pl.date(1970, 1, 1) + pl.duration(days="day"))
    return plotting.plot_shop(ft.EventForecaster().fit(ft.read_events(frame)))


def customers() -> Chart:
    """Draw what a simulated shop makes of the channel and the age of its customers."""
    rng = np.random.default_rng(4)
    n = 3000
    channel = rng.choice(["shop", "web", "catalogue"], n, p=[0.5, 0.35, 0.15])
    age = rng.integers(18, 85, n)
    factor = np.select([channel == "web", channel == "catalogue"], [1.8, 0.7], 1.0)
    rate = rng.gamma(1.5, 1 / 90, n) * factor * np.exp(0.012 * (age - 50))
    first = rng.integers(0, 540, n)
    stays = np.minimum(first + rng.exponential(500.0, n), 600)
    counts = rng.poisson(rate * (stays - first))
    owner = np.repeat(np.arange(n), counts)
    later = first[owner] + 1 + rng.random(len(owner)) * (stays - first)[owner]
    whose, day = np.append(np.arange(n), owner), np.append(first, later).astype(np.int64)
    frame = pl.DataFrame({"unique_id": whose, "day": day})
    frame = frame.select("unique_id", ds=pl.date(2023, 1, 1) + pl.duration(days="day"))
    known = pl.DataFrame({"unique_id": np.arange(n), "channel": channel, "age": age})
    log = ft.read_events(frame, static=["channel", "age"], customers=known, as_of="2024-08-22")
    return plotting.plot_customer_effects(ft.EventForecaster(model="prior").fit(log))


def totals() -> Chart:
    """Draw CDNOW's weeks after a date with their bands, and how wide bands are by the number of customers."""
    rows = ft.datasets.load_cdnow()
    log = ft.read_events(rows, id="customer_id", time="date", as_of=END)
    model = ft.EventForecaster(model="prior").fit(log, as_of=CUTOFF)
    seen = model.log_
    weeks = model.predict_totals(HORIZON, by="week")
    counts = prior_counts(seen, 7 * np.arange(1, len(weeks) + 1))
    by_week = np.diff(counts.expected, axis=1, prepend=0.0)
    chance = by_week.sum(axis=0) + counts.dispersion * (by_week**2).sum(axis=0)
    later = (log.times > seen.as_of) & log.ids.is_in(seen.ids.implode()).to_numpy()[log.owner]
    came = np.bincount((log.times[later] - seen.as_of - 1) // 7, minlength=len(weeks))
    table = weeks.select("ds", "visits", low="visits-lo-80", high="visits-hi-80").with_columns(
        inner_low=pl.Series(count_quantile(by_week.sum(axis=0), chance, 1 - UPPER)),
        inner_high=pl.Series(count_quantile(by_week.sum(axis=0), chance, UPPER)),
        actual=pl.Series(came),
    )
    chart = alt.vconcat(_weeks(table), _widths(model), spacing=24)
    held = [int(((table["actual"] >= table[a]) & (table["actual"] <= table[b])).sum())
            for a, b in (("low", "high"), ("inner_low", "inner_high"))]  # fmt: skip
    subtitle = [
        f"CDNOW, {seen.n_customers:,} customers as of {CUTOFF}, by the prior. 80% bands.",
        f"Of {len(weeks)} weeks the wide band holds {held[0]}, that of chance alone {held[1]}.",
    ]
    return finish(chart, "How sure to be of a total", subtitle)


def _weeks(table: pl.DataFrame) -> alt.LayerChart:
    base = alt.Chart(table).encode(
        x=alt.X("ds:T", title="week beginning", axis=alt.Axis(grid=False, format="%b %Y"))
    )
    title = "visits per week"
    band = base.mark_area(color=BLUE, opacity=0.2).encode(y=alt.Y("low:Q", title=title), y2="high:Q")
    inner = base.mark_area(color=BLUE, opacity=0.35).encode(y="inner_low:Q", y2="inner_high:Q")
    expected = base.mark_line(color=BLUE, strokeWidth=2.0).encode(y="visits:Q")
    actual = base.mark_line(color=INK, strokeWidth=1.4).encode(y="actual:Q")
    what = "Black: what came. Blue: expected; band of chance alone (dark), with the model's error (pale)"
    return alt.layer(band, inner, expected, actual).properties(width=WIDTH, height=230, title=_heading(what))


def _widths(model: ft.EventForecaster) -> alt.LayerChart:
    """Draw half the width of the band, relative to the total, of so many customers' visits in 90 days."""
    log, rows = model.log_, []
    order = np.random.default_rng(0).permutation(log.n_customers)
    for size in (*SIZES, log.n_customers):
        places = np.sort(order[:size])
        ids = log.ids.gather(places).to_list()
        table = model.predict_totals("90d", ids=ids)
        counts = prior_counts(log, np.array([90]))
        expected = counts.expected[places, 0]
        variance = np.array([expected.sum() + counts.dispersion * (expected**2).sum()])
        ends = [
            count_quantile(np.array([expected.sum()]), variance, level)[0] for level in (1 - UPPER, UPPER)
        ]
        for what, low, high in (
            ("with the error of the model", table["visits-lo-80"][0], table["visits-hi-80"][0]),
            ("chance alone", *ends),
        ):
            half = float(high - low) / 2 / float(expected.sum())
            rows.append({"customers": size, "half": half, "what": what})
    data = pl.DataFrame(rows)
    base = alt.Chart(data).encode(
        x=alt.X(
            "customers:Q",
            title="customers",
            scale=alt.Scale(type="log", nice=False),
            axis=alt.Axis(format=",d", values=[10, 100, 1000, 10_000]),
        ),
        y=alt.Y("half:Q", title="± share of the total", axis=alt.Axis(format="%")),
        color=alt.Color(
            "what:N",
            title=None,
            scale=alt.Scale(range=[GREY, VERMILION]),
            legend=alt.Legend(orient="top-right", labelLimit=300),
        ),
    )
    what = "Half the width of the band of 90 days: chance evens out, the model's error does not"
    return alt.layer(base.mark_line(strokeWidth=2.0, point=True)).properties(
        width=WIDTH, height=170, title=_heading(what)
    )


def _growing(rng: np.random.Generator, n: int) -> FloatArray:
    rate = rng.uniform(0.06, 0.18, (n, 1))
    return 100 * np.exp(rate * np.arange(14) + 0.02 * rng.standard_normal((n, 14)))


def _days(rng: np.random.Generator, n: int, level: FloatArray) -> FloatArray:
    week = rng.permuted(np.tile([0.75, 0.85, 0.9, 0.95, 1.0, 1.2, 1.4], (n, 1)), axis=1)
    day = np.arange(level.shape[1])
    return 200 * level * week[:, day % 7] * np.exp(0.05 * rng.standard_normal((n, len(day))))


def _shifted(rng: np.random.Generator, n: int, ago: int = 0) -> FloatArray:
    """Return 200 days and 28 more, whose level changed so many days before the 200 were over."""
    after = np.exp(rng.choice([-1, 1], (n, 1)) * rng.uniform(0.2, 0.5, (n, 1)))
    return _days(rng, n, np.where(np.arange(228) < 200 - ago, 1.0, after))


def _yearly(rng: np.random.Generator, n: int, seen: int = 200) -> FloatArray:
    """Return so many days of a year that rises and falls by 40 %, and 90 more."""
    angle = 2 * np.pi * (np.arange(seen + 90) / 365.25 + rng.random((n, 1)))
    return _days(rng, n, 1.0 + 0.4 * np.sin(angle))


def _forecast(values: FloatArray, seen: int, freq: str) -> pl.DataFrame:
    """Return the prior's forecast of what follows the values that have been seen, beside what came, ``y``."""
    panel = ft.Panel.from_arrays(dict(enumerate(values[:, :seen])), freq=freq, start="2016-01-01")
    model = ft.SeriesForecaster(horizon=values.shape[1] - seen, model="prior").fit(panel)
    return model.predict(levels=[80]).with_columns(y=pl.Series(values[:, seen:].ravel()))


def _judged(table: pl.DataFrame) -> str:
    """Return how often 80 % intervals held, and the mean error, in words."""
    held = (pl.col("y") >= pl.col("foretell-lo-80")) & (pl.col("y") <= pl.col("foretell-hi-80"))
    error = (pl.col("foretell") - pl.col("y")).abs() / pl.col("y")
    shares = table.select(held=held.mean(), error=error.mean()).row(0)
    return f"80% intervals held {shares[0]:.0%}, mean error {shares[1]:.0%} ({SERIES} series)"


def prior_failures() -> Chart:
    """Draw three series on which the prior of series fails, and say how often its intervals held."""
    parts = []
    for name, make, seen, freq, shown in (
        ("Eight years of growth by a share", _growing, 8, "1y", 0),
        ("A level that changes after the last value", _shifted, 200, "1d", 0),
        ("A year of which 200 days are known", _yearly, 200, "1d", 1),
    ):
        values = make(np.random.default_rng(1), SERIES)
        table = _forecast(values, seen, freq)
        own = table.filter(pl.col("unique_id") == shown)
        parts.append(_fan(values[shown, :seen], own, freq, f"{name}: {_judged(table)}"))
    for days in (365, 450):
        values = _yearly(np.random.default_rng(1), SERIES, days)
        print(f"a year of which {days} days are known:", _judged(_forecast(values, days, "1d")))
    for ago in (3, 7):
        values = _shifted(np.random.default_rng(1), SERIES, ago)
        print(f"a level that changed {ago} days ago:", _judged(_forecast(values, 200, "1d")))
    subtitle = ["Black: what came. Blue: median and 80% interval of the prior, from the dashed line on."]
    return finish(alt.vconcat(*parts, spacing=22), "Where the prior of series fails", subtitle)


def _fan(seen: FloatArray, ahead: pl.DataFrame, freq: str, title: str) -> alt.LayerChart:
    first, back = ahead["ds"].first(), pl.int_range(-len(seen), 0, eager=True)
    dates = pl.select(ds=pl.lit(first).dt.offset_by(pl.format("{}" + freq[-1:], back)))["ds"]
    past = pl.DataFrame({"ds": dates, "y": seen})
    x = alt.X("ds:T", title=None, axis=alt.Axis(grid=False, format="%b %Y", tickCount=8))
    base = alt.Chart(ahead).encode(x=x)
    actual = alt.Chart(pl.concat([past, ahead.select("ds", "y")])).mark_line(color=INK, strokeWidth=1.2)
    return alt.layer(
        base.mark_area(color=BLUE, opacity=0.25).encode(
            y=alt.Y("foretell-lo-80:Q", title=None), y2="foretell-hi-80:Q"
        ),
        actual.encode(x=x, y="y:Q"),
        base.mark_line(color=BLUE, strokeWidth=2.0).encode(y="foretell:Q"),
        alt.Chart(ahead.head(1)).mark_rule(color=GREY, strokeDash=[5, 3]).encode(x=x),
    ).properties(width=WIDTH, height=130, title=_heading(title))


def _heading(text: str) -> alt.TitleParams:
    return alt.TitleParams(text, anchor="start", fontSize=13, fontWeight="normal", color="#555555")


PICTURES: Final[dict[str, Callable[[], Chart]]] = {
    "shop": shop, "shop_season": shop_season, "customers": customers, "totals": totals,
    "prior_failures": prior_failures,
}  # fmt: skip


def main() -> None:
    """Write the pictures that are asked for, by default all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=list(PICTURES), choices=[*PICTURES, []], metavar="NAME")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    asked = parser.parse_args()
    for name in asked.names:
        print(plotting.save(PICTURES[name](), asked.out / f"{name}.png", scale=1.0))


if __name__ == "__main__":
    main()
