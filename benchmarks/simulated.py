"""Panels of simulated customers of whom everything is known: python -m benchmarks.simulated [model …]

Each customer buys on a clock that runs at the season's speed (a Poisson or a renewal process on operational
time, mapped to calendar days) until it drops out unseen. So the true season of every day, and who is still
active at the cut-off, are known: a model is asked how well it tells the active from the others, and whether
its weekly totals follow the season through the held-back period.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

import foretell as ft
from foretell.core.contracts import EventModel
from foretell.stats import metrics

FloatArray = npt.NDArray[np.float64]

START, CUTOFF, END = np.datetime64("2021-01-04"), np.datetime64("2022-12-31"), np.datetime64("2023-09-30")
TRAIN_DAYS = int((CUTOFF - START).astype(int)) + 1
DAYS = int((END - START).astype(int)) + 1
ACQUISITION_DAYS = 540


@dataclasses.dataclass(frozen=True, eq=False)
class SimulatedPanel:
    """A simulated log, and the truth behind it.

    Attributes
    ----------
    name : str
    events : polars.DataFrame
        ``unique_id``, ``ds`` (days from ``start`` to ``end``), sorted.
    active : bool array, shape (n_customers,)
        Whether each customer, in order of id, had not dropped out by the end of the cut-off day. Every
        customer's first event lies before it.
    season : array, shape (n_days,)
        Speed of the clock on each held-back day (the days after the cut-off), 1 on average over a year.
    start, cutoff, end : str
    """

    name: str
    events: pl.DataFrame
    active: npt.NDArray[np.bool_]
    season: FloatArray
    start: str = str(START)
    cutoff: str = str(CUTOFF)
    end: str = str(END)

    @property
    def horizon(self) -> int:
        """Held-back days."""
        return len(self.season)

    def log(self) -> ft.EventLog:
        """Return the whole log, held-back days included."""
        return ft.read_events(self.events, id="unique_id", time="ds", start=self.start, as_of=self.end)

    def weekly_season(self) -> FloatArray:
        """Return the mean season of each whole week after the cut-off."""
        whole = self.horizon // 7
        weeks: FloatArray = self.season[: 7 * whole].reshape(whole, 7).mean(axis=1)
        return weeks


# Draws (n,) operational gaps of customers given by their positions.
GapSampler = Callable[[npt.NDArray[np.int64]], FloatArray]


@dataclasses.dataclass(frozen=True)
class _Lives:
    """How customers leave: at a calendar time (days from the start), or by chance after each event."""

    until: FloatArray
    p_drop: FloatArray


def season_of(weekdays: Sequence[float], year: float, december: float, days: int = DAYS) -> FloatArray:
    """Return the clock's speed on each day from ``START``, 1 on average over the first year.

    Parameters
    ----------
    weekdays : sequence of 7 floats
        Factors of Monday to Sunday; 0 for closed days.
    year : float
        Amplitude, in logs, of a yearly wave that is highest in early June.
    december : float
        Height, in logs, of a bump of about three weeks before Christmas.
    """
    date = START + np.arange(days)
    day_of_year = (date - date.astype("datetime64[Y]").astype("datetime64[D]")).astype(float)
    wave = year * np.cos(2 * np.pi * (day_of_year - 155) / 365.25)
    bump = december * np.exp(-0.5 * ((day_of_year - 347) / 8) ** 2)
    speed: FloatArray = np.exp(wave + bump) * np.resize(np.asarray(weekdays, dtype=float), days)
    speed /= speed[:365].mean()
    return speed


def exponential_panel(n: int = 4_000, seed: int = 0) -> SimulatedPanel:
    """Return MBG/NBD customers on a clock with a weekly and a yearly season."""
    season = season_of([0.8, 0.8, 0.9, 1.0, 1.3, 1.5, 0.7], year=0.5, december=0.6)
    rng = np.random.default_rng([seed, 1])
    return _mbg_nbd_panel("exponential", season, rng, n, rate=(0.9, 1 / 25), leaving=(0.6, 5))


def lifetime_panel(n: int = 4_000, seed: int = 0) -> SimulatedPanel:
    """Return Pareto/NBD customers on a clock with a strong yearly season."""
    rng = np.random.default_rng([seed, 2])
    rate = rng.gamma(0.8, 1 / 20, n)
    lives = _Lives(rng.exponential(1 / rng.gamma(0.9, 1 / 500, n)), np.zeros(n))
    season = season_of([1.0] * 7, year=0.8, december=0.9)
    return _panel("lifetime", season, lambda who: rng.exponential(1 / rate[who]), lives, rng)


def rhythmic_panel(n: int = 4_000, seed: int = 0) -> SimulatedPanel:
    """Return shoppers with a rhythm of their own: half Erlang, half lognormal gaps; drop-out after events."""
    rng = np.random.default_rng([seed, 3])
    usual = np.exp(rng.normal(np.log(24), 0.7, n))
    erlang = rng.random(n) < 0.5
    lives = _Lives(np.full(n, np.inf), rng.beta(0.8, 14, n))
    season = season_of([0.9, 0.9, 0.9, 1.0, 1.2, 1.4, 0.7], year=0.4, december=0.4)

    def gaps(who: npt.NDArray[np.int64]) -> FloatArray:
        spread = np.where(erlang[who], rng.gamma(5, 1 / 5, len(who)), rng.lognormal(-0.06, 0.35, len(who)))
        return usual[who] * spread

    return _panel("rhythmic", season, gaps, lives, rng)


def closed_sundays_panel(n: int = 4_000, seed: int = 0) -> SimulatedPanel:
    """Return MBG/NBD customers of a shop that is closed on Sundays, with a yearly season."""
    season = season_of([0.9, 0.9, 1.0, 1.0, 1.3, 1.6, 0.0], year=0.45, december=0.5)
    rng = np.random.default_rng([seed, 4])
    return _mbg_nbd_panel("closed Sundays", season, rng, n, rate=(1.2, 1 / 18), leaving=(0.8, 9))


PANELS = (exponential_panel, lifetime_panel, rhythmic_panel, closed_sundays_panel)


def _mbg_nbd_panel(
    name: str,
    season: FloatArray,
    rng: np.random.Generator,
    n: int,
    *,
    rate: tuple[float, float],
    leaving: tuple[float, float],
) -> SimulatedPanel:
    """Return customers of gamma-distributed rates who leave after an event with beta-distributed chances."""
    rates = rng.gamma(*rate, n)
    lives = _Lives(np.full(n, np.inf), rng.beta(*leaving, n))
    return _panel(name, season, lambda who: rng.exponential(1 / rates[who]), lives, rng)


def _panel(
    name: str, season: FloatArray, gaps: GapSampler, lives: _Lives, rng: np.random.Generator
) -> SimulatedPanel:
    """Run every customer from its acquisition to the end of the held-back period."""
    n = len(lives.until)
    clock = np.concatenate([[0.0], np.cumsum(season)])
    # New customers come at the season's pace, too; at a uniform operational time, hence never on closed days.
    now = rng.uniform(0, clock[ACQUISITION_DAYS], n)
    first_day = _day(now, clock)
    until = first_day + lives.until
    who, owner, days = np.arange(n), [], []
    active = until > TRAIN_DAYS
    while len(who):
        day = _day(now[who], clock)
        who, day = who[(day < DAYS) & (day <= until[who])], day[(day < DAYS) & (day <= until[who])]
        owner.append(who)
        days.append(day)
        stays = rng.random(len(who)) >= lives.p_drop[who]
        active[who[~stays & (day < TRAIN_DAYS)]] = False
        who = who[stays]
        now[who] += gaps(who)
    events = pl.DataFrame({"unique_id": np.concatenate(owner), "day": np.concatenate(days).astype(np.int64)})
    return SimulatedPanel(
        name,
        events.unique().sort("unique_id", "day").select(
            "unique_id", ds=pl.lit(START.item()) + pl.duration(days="day")
        ),
        active,
        season[TRAIN_DAYS:],
    )  # fmt: skip


def _day(operational: FloatArray, clock: FloatArray) -> FloatArray:
    """Return the calendar day, counted from the start, in which an operational time falls."""
    return np.searchsorted(clock, operational, side="right").astype(np.float64) - 1


@dataclasses.dataclass(frozen=True)
class Figures:
    """How well a model does on a panel, against the truth behind it."""

    panel: str
    model: str
    auc_active: float | None
    season_correlation: float
    rmse: float
    bias_pct: float | None
    coverage_80: float | None
    fit_s: float


def measure(panel: SimulatedPanel, models: Sequence[EventModel | str] | None) -> list[Figures]:
    """Fit models to a panel up to its cut-off and compare what they say with the truth."""
    evaluation = ft.evaluate(panel.log(), panel.cutoff, panel.horizon, models)
    season, figures = panel.weekly_season(), []
    for row in evaluation.table().iter_rows(named=True):
        p_active = (
            evaluation.rows().filter(pl.col("model") == row["model"])["p_active"].drop_nulls().to_numpy()
        )
        weekly = evaluation.totals.filter(pl.col("model") == row["model"])["forecast"].to_numpy()
        figures.append(
            Figures(
                panel=panel.name,
                model=row["model"],
                auc_active=metrics.auc(panel.active, p_active) if len(p_active) else None,
                season_correlation=metrics.correlation(season, weekly[: len(season)]),
                **{name: row[name] for name in ("rmse", "bias_pct", "coverage_80", "fit_s")},
            )
        )
    return figures


def main(models: Sequence[str]) -> None:
    """Print the table of all panels."""
    with pl.Config(
        tbl_rows=100,
        tbl_cols=20,
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
        tbl_width_chars=160,
        float_precision=3,
    ):
        for make in PANELS:
            panel = make()
            truth = panel.log()
            actual = ft.evaluate(truth, panel.cutoff, panel.horizon, ["repeat rate"]).totals["y"].to_numpy()
            best = metrics.correlation(panel.weekly_season(), actual[: panel.horizon // 7])
            print(f"{panel.name}: {truth}, {panel.active.mean():.0%} active at the cut-off,")
            print(f"the actual weekly totals correlate {best:.3f} with the season")
            print(pl.DataFrame([dataclasses.asdict(f) for f in measure(panel, list(models) or None)]))


if __name__ == "__main__":
    main(sys.argv[1:])
