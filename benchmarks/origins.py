"""When next, at any origin: python -m benchmarks.origins [--logs …] [--json FILE] [--picture FILE]

Rolling origins: one half, two thirds and five sixths of the training period, each forecast as far ahead as it
is from the cut-off, and the cut-off itself. Choices are made on the first three, the fourth is for reporting.
RMSE of counts is a ratio to the best of BG/NBD, MBG/NBD and Pareto/NBD fitted at the same origin. Three real
logs, and simulated shops whose truth is known; no shop of these seeds is among those that the prior has seen.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import polars as pl
from benchmarks.events import LOGS as REAL

import foretell as ft
from foretell import baselines
from foretell.events.horizon import shops
from foretell.stats.metrics import expected_calibration_error, uniform_distance

STATISTICS: dict[str, Callable[[], Any]] = {
    "BG/NBD": baselines.BGNBD,
    "MBG/NBD": baselines.MBGNBD,
    "Pareto/NBD": baselines.ParetoNBD,
}
MODELS: dict[str, Callable[[], Any]] = {
    "prior": lambda: ft.EventForecaster(model="prior"),
    "horizon": lambda: ft.EventForecaster(head="horizon"),
    "mixture": lambda: ft.EventForecaster(ensemble=1, model="network"),
    "auto": lambda: ft.EventForecaster(model="auto"),
}
WINDOWS = (7, 30, 90)


class Simulated(NamedTuple):
    """A shop by its families, with days of history and of truth."""

    families: tuple[str, ...]
    n: int
    today: int
    ahead: int

    def log(self, seed: int) -> ft.EventLog:
        """Return its log, the truth included."""
        rng = np.random.default_rng((2_000_000, seed))
        shop = shops.blank_shop(rng, self.n, self.today, self.ahead)
        shop.rate[:] = np.minimum(rng.gamma(1.2, 1 / 1.2, self.n) / 25, 0.8)
        visits = shops.composed(shop, [shops.FAMILIES[name] for name in self.families])
        frame = pl.DataFrame({"unique_id": visits.owner, "day": visits.day})
        frame = frame.select("unique_id", ds=pl.lit("1970-01-01").str.to_date() + pl.duration(days="day"))
        dates = np.array([visits.start, visits.end - 1]).astype("datetime64[D]").astype(str)
        return ft.read_events(frame, start=dates[0], as_of=dates[1])


SIMULATED = {
    "after the peak": Simulated(
        ("growing_base", "lost_after_a_visit", "just_after_the_peak"), 1500, 380, 300
    ),
    "growing": Simulated(("growing_base", "growth", "habit"), 1500, 700, 300),
    "hibernating": Simulated(("growing_base", "hibernation"), 1500, 700, 300),
    "promotions": Simulated(("growing_base", "lifetimes", "promotions"), 1500, 500, 200),
    "sixty customers": Simulated(("all_at_first",), 60, 365, 365),
    "by month": Simulated(("growing_base", "lifetimes", "by_month"), 1500, 700, 300),
    "closed in summer": Simulated(("growing_base", "closed_month", "closed_weekdays"), 1500, 1000, 300),
    "one-timers": Simulated(("growing_base", "only_once", "second_thoughts"), 1500, 600, 300),
}


def logs(names: list[str]) -> Iterator[tuple[str, ft.EventLog, int, int]]:
    """Yield name, log, cut-off and horizon."""
    for name in names:
        if name in SIMULATED:
            log = SIMULATED[name].log(list(SIMULATED).index(name))
            cutoff = log.start + SIMULATED[name].today - 1
            yield name, log, cutoff, log.as_of - cutoff
            continue
        read, date, horizon = REAL[name]
        found = read()
        if found is None:
            print(f"{name}: skipped, its data are not at hand")
            continue
        cutoff = found.until(date).as_of
        yield name, found, cutoff, min(found.ticks_of(horizon, cutoff), found.as_of - cutoff)


def origins(log: ft.EventLog, cutoff: int, horizon: int) -> list[tuple[int, int]]:
    """Return the four origins and how far ahead each looks."""
    span = cutoff - int(log.first.min())
    return [*((cutoff - span // part, span // part) for part in (2, 3, 6)), (cutoff, horizon)]


def measured(
    name: str, log: ft.EventLog, origin: int, horizon: int, models: list[str]
) -> list[dict[str, Any]]:
    """Return the figures of all models at one origin."""
    seen = log.up_to(origin)
    known = log.ids.is_in(seen.ids.implode()).to_numpy()

    def visits(ticks: int) -> np.ndarray:
        ahead = (log.times > origin) & (log.times <= origin + ticks)
        return np.bincount(log.owner[ahead], minlength=log.n_customers)[known]

    y, once, rows = visits(horizon), seen.counts == 1, []
    for label, make in {**STATISTICS, **{name: MODELS[name] for name in models}}.items():
        model = make().fit(seen)
        expected = model.outlook(seen, horizon, period=7, window=30).expected
        chances = model.return_chances(seen, np.array(WINDOWS))
        rows.append({
            "log": name, "origin": str(log.date(origin)), "days": horizon, "model": label,
            "rmse": float(np.sqrt(np.mean((expected - y) ** 2))),
            "total_pct": 100 * (expected.sum() / max(y.sum(), 1) - 1),
            "once": float(y[once].sum() / max(expected[once].sum(), 1e-9)),
            "ks": _ks(model, seen, horizon, y),
            **_inside(model, horizon, log.times[(log.times > origin) & known[log.owner]] - origin),
            **{
                f"cal_{days}": expected_calibration_error(visits(days) > 0, chances[:, k])
                for k, days in enumerate(WINDOWS) if origin + days <= log.as_of
            },
        })  # fmt: skip
    best = min(row["rmse"] for row in rows[: len(STATISTICS)])
    return [row | {"ratio": row["rmse"] / best} for row in rows]


def _ks(model: Any, seen: ft.EventLog, horizon: int, y: np.ndarray) -> float | None:
    """Return the distance of the randomised PIT of counts from uniform; None of a model without one."""
    at_least = model.outlook(seen, horizon, period=horizon, window=horizon).at_least
    if at_least is None:
        return None
    reached = at_least(np.stack([y, y + 1]))
    return uniform_distance(
        1 - reached[0] + np.random.default_rng(0).random(len(y)) * (reached[0] - reached[1])
    )


def _inside(model: Any, horizon: int, came: np.ndarray) -> dict[str, float | None]:
    """Return whether the 80 % interval of the total held it, and in how many weeks; None of statistics."""
    if not hasattr(model, "predict_totals"):
        return {"held": None, "held_weeks": None}
    held = []
    for by, width in ((None, horizon), ("week", 7)):
        table = model.predict_totals(horizon, by=by)
        visits = np.bincount((came[came <= horizon] - 1) // width, minlength=len(table))
        low, high = (table[f"visits-{side}-80"].to_numpy() for side in ("lo", "hi"))
        held.append(float(np.mean((low <= visits) & (visits <= high))))
    return {"held": held[0], "held_weeks": held[1]}


def summary(table: pl.DataFrame) -> pl.DataFrame:
    """Return one row per model and kind of log: what counts is the mean, and the worst origin."""
    calibration = pl.mean_horizontal(f"cal_{days}" for days in WINDOWS).mean()
    return table.group_by("real", "model", maintain_order=True).agg(
        ratio=pl.col("ratio").log().mean().exp(),
        worst=pl.col("ratio").max(),
        total_pct=pl.col("total_pct").abs().mean(),
        once=pl.col("once").mean(),
        ks=pl.col("ks").mean(),
        calibration=calibration,
        held=pl.col("held").mean(),
        held_weeks=pl.col("held_weeks").mean(),
    )


def picture(table: pl.DataFrame) -> alt.Chart:
    """Draw the error of the total and the RMSE ratio of each model at each origin."""
    order = table["log"].unique(maintain_order=True).to_list()
    base = alt.Chart(table).encode(
        x=alt.X("origin:O", title=None, axis=alt.Axis(labelAngle=-40)),
        color=alt.Color("model:N", title=None),
        shape=alt.Shape("model:N", title=None),
    )
    panels = [
        base.mark_point(filled=True, size=45)
        .encode(y=alt.Y(f"{column}:Q", title=title, scale=alt.Scale(zero=False)))
        .properties(width=130, height=110)
        .facet(column=alt.Column("log:N", title=None, sort=order))
        .resolve_scale(x="independent", y="independent")
        for column, title in (("ratio", "RMSE ratio"), ("total_pct", "error of the total, %"))
    ]  # fmt: skip
    return alt.vconcat(*panels)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [*REAL, *SIMULATED]
    parser.add_argument("--logs", nargs="+", default=names, choices=names)
    parser.add_argument("--models", nargs="+", default=["prior", "horizon"], choices=list(MODELS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name, log, cutoff, horizon in logs(asked.logs):
        for number, (origin, ahead) in enumerate(origins(log, cutoff, horizon)):
            found = measured(name, log, origin, ahead, asked.models)
            rows += [row | {"real": name in REAL, "reported": number == 3} for row in found]
        print(pl.DataFrame(rows[-4 * len(found) :]).drop("real", "rmse", "reported"), flush=True)
    table = pl.DataFrame(rows)
    for reported, label in ((False, "the first three origins"), (True, "the cut-offs")):
        print(label, summary(table.filter(pl.col("reported") == reported)), sep="\n")
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1))
    if asked.picture:
        picture(table).save(asked.picture)


if __name__ == "__main__":
    with pl.Config(
        tbl_rows=60, tbl_cols=20, tbl_width_chars=150, float_precision=3, tbl_formatting="ASCII_MARKDOWN",
        tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True,
    ):  # fmt: skip
        main()
