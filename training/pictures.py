"""Draw what the priors were trained on, family by family: python -m training.pictures [--out docs/images].

`shop_families.png`: shops in which one family of `foretell.events.horizon.shops` alone is at work.
`series_families.png`: levels, seasons and errors of `training.series_families`, and series composed of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import altair as alt
import numpy as np
import polars as pl
from training import series_families as families

from foretell import plotting
from foretell.events.horizon import shops
from foretell.plotting.charts import BLUE, GREY, VERMILION, Chart, finish
from foretell.series.prior_features import Seasons

COLUMNS, WIDTH, HEIGHT = 6, 118, 58
SHOWN, DAYS = 12, 400  # customers and days of a shop whose visits are drawn one by one
MANY, LONG, WEEKS = (
    3000,
    730,
    8,
)  # customers whose visits are added up; days; weeks in which days are told apart
BY_DAY: Final = ("weekdays", "closed_weekdays")
LENGTH, SEASON = 120, 12


def dots(name: str) -> pl.DataFrame:
    """Return the visits of a few customers: ``x`` (day), ``y`` (customer)."""
    rng = np.random.default_rng(7)
    shop = shops.blank_shop(rng, SHOWN, DAYS, 1)
    shop.rate = rng.gamma(4.0, 1 / 4.0, SHOWN) / 16
    shop.first = rng.integers(0, 30, SHOWN)
    visits = shops.composed(shop, [shops.FAMILIES[name]])
    return pl.DataFrame({"x": visits.day - visits.start, "y": visits.owner}).cast(pl.Float64)


def sums(name: str) -> pl.DataFrame:
    """Return the visits of many customers by week, or by day: ``x`` (day), ``y`` (visits)."""
    rng = np.random.default_rng(3)
    shop = shops.blank_shop(rng, MANY, LONG, 1)
    shop.rate = rng.gamma(2.0, 1 / 2.0, MANY) / 20
    shop.first = np.zeros(MANY, dtype=np.int64)
    visits = shops.composed(shop, [shops.FAMILIES[name]])
    width = 1 if name in BY_DAY else 7
    periods = (WEEKS * 7 if name in BY_DAY else LONG) // width
    day = visits.day - visits.start - 1  # the first visits are no news
    counts = np.bincount(day[day >= 0] // width, minlength=periods)[1:periods]
    return pl.DataFrame({"x": width * np.arange(1, periods), "y": counts}).cast(pl.Float64)


def small(table: pl.DataFrame, name: str, colour: str, *, dotted: bool = False) -> alt.Chart:
    """Return one small picture without axes."""
    mark = {"filled": True, "size": 7, "opacity": 0.9} if dotted else {"strokeWidth": 1.0}
    base = alt.Chart(table)
    drawn = base.mark_point(color=colour, **mark) if dotted else base.mark_line(color=colour, **mark)
    low = min(0.0, float(table["y"].min()))  # type: ignore[arg-type]
    scale = alt.Scale(domain=[low, float(table["y"].max())], nice=False)  # type: ignore[arg-type]
    title = alt.TitleParams(
        name.replace("_", " "), anchor="start", fontSize=11, fontWeight="normal", offset=3
    )
    return drawn.encode(
        x=alt.X("x:Q", axis=None, scale=alt.Scale(nice=False)), y=alt.Y("y:Q", axis=None, scale=scale)
    ).properties(width=WIDTH, height=HEIGHT, title=title)


def grid(title: str, parts: list[alt.Chart]) -> alt.ConcatChart:
    """Return small pictures in rows, under what they have in common."""
    heading = alt.TitleParams(title, anchor="start", fontSize=13, fontWeight="bold", color=GREY)
    return alt.concat(*parts, columns=COLUMNS, spacing={"row": 12, "column": 14}).properties(title=heading)


def shop_families() -> Chart:
    """Draw a shop for each family of the prior of visits."""
    habits = [small(dots(f.__name__), f.__name__, BLUE, dotted=True) for f, _ in shops.HABITS]
    others = [f.__name__ for f, _ in (*shops.CALENDAR, *shops.JOINING)]
    chart = alt.vconcat(
        grid(f"Habits: a row is a customer, a dot a visit, over {DAYS} days", habits),
        grid(
            "Calendar: visits a week over two years, of weekdays a day over eight weeks",
            [small(sums(name), name, VERMILION) for name in others[: len(shops.CALENDAR)]],
        ),
        grid(
            "How customers join: visits a week over two years",
            [small(sums(name), name, VERMILION) for name in others[len(shops.CALENDAR) :]],
        ),
        spacing=18,
    )
    return finish(chart, "What the prior of visits was trained on", ["Each family alone; shops mix them."])


def _lines(rows: np.ndarray, names: list[str], colour: str) -> list[alt.Chart]:
    x = np.arange(rows.shape[1], dtype=np.float64)
    return [
        small(pl.DataFrame({"x": x, "y": y - y.min()}), name, colour)
        for y, name in zip(rows, names, strict=True)
    ]


def _one_each(kind: dict[families.Family, float], length: int) -> Iterator[tuple[str, np.ndarray]]:
    for family in kind:
        drawn = [family(np.random.default_rng(seed), 1, length)[0] for seed in range(11, 14)]
        yield (
            family.__name__,
            max(drawn, key=lambda one: np.unique(one).size),
        )  # one in which something happens


def series_families() -> Chart:
    """Draw the families of the prior of series, and what comes of them."""
    rows = []
    for title, kind, length in (
        ("Levels", families.LEVELS, LENGTH),
        ("Seasons: one cycle of each kind, three times", families.PROFILES, SEASON),
        ("Errors", families.ERRORS, LENGTH),
    ):
        names, drawn = zip(*_one_each(dict(kind), length), strict=True)
        values = np.stack([np.tile(one, 3) if length == SEASON else one for one in drawn])
        rows.append(grid(title, _lines(values, list(names), BLUE)))
    mixed = []
    for first, second in ((1, 1), (4, 1), (12, 1), (7, 364), (24, 168)):
        drawn = families.draw(np.random.default_rng(5), 3, LENGTH, Seasons(first, second))
        season = f"season {first}" if second == 1 else f"seasons {first} and {second}"
        mixed += _lines(drawn, [season if first > 1 else "no season"] * 3, VERMILION)
    rows.append(grid("Series that are drawn of them, brought to a support such as counts or shares", mixed))
    chart = alt.vconcat(*rows, spacing=18)
    return finish(chart, "What the prior of series was trained on", ["Families alone, then composed."])


def main() -> None:
    """Write both pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    out = parser.parse_args().out
    for draw in (shop_families, series_families):
        print(plotting.save(draw(), out / f"{draw.__name__}.png", scale=1.0))


if __name__ == "__main__":
    main()
