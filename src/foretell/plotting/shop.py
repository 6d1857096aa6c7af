"""What a fit has learned about the shop as a whole: its level, its year, its week, and who comes back."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import altair as alt
import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core import IntArray
from foretell.core.time import UNIT_SECONDS
from foretell.data.log import EventLog
from foretell.events.customer_effects import shop_of
from foretell.plotting.charts import (
    BLUE,
    FEW_WEEKS,
    GREY,
    VERMILION,
    WIDTH,
    Chart,
    finish,
    moments,
    months_axis,
    needs_forecaster,
    spelled,
)

if TYPE_CHECKING:
    from foretell.events.clock import OperationalClock
    from foretell.events.forecaster import EventForecaster
    from foretell.events.horizon.adapter import HorizonEvents
    from foretell.events.horizon.days import DayClock
    from foretell.events.horizon.features import ShopSummary

_NETWORK, _PRIOR = "network", "prior"
_WHO: Final = [_NETWORK, _PRIOR]
_COLOURS: Final = alt.Scale(domain=_WHO, range=[BLUE, VERMILION])
_DASHES: Final = alt.Scale(domain=_WHO, range=[[1, 0], [6, 3]])  # where they agree both are to be seen
_FOUR_YEARS: Final = 4 * 365 + 1
_WEEKS: Final = 52
_FLAT = 0.02  # a year whose weeks differ by less was not learned
_MONDAY, _NEW_YEAR = np.datetime64("2024-01-01"), np.datetime64("2023-01-01")
_DAYS: Final = np.unique(np.geomspace(1, 365, 40).astype(np.int64))
_VISITS: Final = (1, 2, 3, 5, 10, 20)
_SAMPLE: Final = 20_000  # customers whose returns are averaged
_WIDTH, _HEIGHT, _GAP = WIDTH - 110, 150, 40
_HORIZONS: Final = [0, 30, 60, 90, 120, 180, 270, 365]


class _Learned(NamedTuple):
    """What answers know of a shop: clocks by whose they are, and the prior's summary."""

    clocks: dict[str, OperationalClock | DayClock]
    summary: ShopSummary | None
    by_month: bool


def plot_shop(model: EventForecaster) -> Chart:
    """Show what a fit has learned about the shop: level, season, week, and the chance of a return.

    What a model does not know has no part in the picture: the level is the prior's, the season of the year
    the network's, who learns it from more than 1.2 years of visits. The default knows both.

    Parameters
    ----------
    model : EventForecaster
        Fitted, of any kind and head.

    Raises
    ------
    ParameterError
        It is another model, such as a statistic.

    Examples
    --------
    >>> prior = ft.EventForecaster(model="prior").fit(log, as_of="1997-09-30")
    >>> plot_shop(prior).to_dict()["title"]["text"]
    'What was learned of the shop'
    """
    needs_forecaster(model)
    log, learned = model.log_, _learned(model)
    parts: list[alt.Chart | alt.LayerChart | alt.HConcatChart] = []
    if learned.summary is not None:
        parts.append(_level(learned.summary, log))
    calendar = [part for part in (_season(learned, log), _week(learned, log)) if part is not None]
    if calendar:
        width = (_WIDTH - (_GAP + 40) * (len(calendar) - 1)) // len(calendar)
        side_by_side = alt.hconcat(*(part.properties(width=width) for part in calendar), spacing=_GAP)
        parts.append(side_by_side.resolve_scale(color="independent"))
    returns = _returns(model)
    if returns is not None:
        parts.append(returns)
    subtitle = [f"{log.n_customers:,} customers, {log.n_events:,} visits up to {spelled(log.as_of, log)}."]
    chart = alt.vconcat(*parts, spacing=24).resolve_scale(color="independent")
    return finish(chart, "What was learned of the shop", subtitle)


def _learned(model: EventForecaster) -> _Learned:
    if model.answers_any_horizon:
        prior = cast("HorizonEvents", model).horizon_
        return _Learned({_PRIOR: prior.shop_.clock}, prior.shop_, prior.shop_.clock.monthly)
    clock = model.model_.clock
    clocks: dict[str, OperationalClock | DayClock] = {_NETWORK: clock}
    by_month = clock.days is not None and clock.days.monthly
    summary = shop_of(model)
    if summary is None:
        return _Learned(clocks, None, by_month)
    return _Learned({**clocks, _PRIOR: summary.clock}, summary, by_month or summary.clock.monthly)


def _level(summary: ShopSummary, log: EventLog) -> alt.LayerChart:
    """Draw how busy each week was, given how many customers there were and how long they had been so."""
    whole = (log.as_of + 1 - int(log.first.min())) // log.ticks_of(
        "7d"
    )  # the first week may be a part of one
    begins = log.as_of + 1 - log.ticks_of("7d") * np.arange(whole, 0, -1)
    busy = np.exp(summary.weeks[len(summary.weeks) - whole :])
    table = pl.DataFrame({"week": moments(begins, log), "busy": busy})
    x = alt.X("week:T", title=None, axis=months_axis("%b %Y", monthly=whole > FEW_WEEKS))
    base = alt.Chart(table).encode(x=x)
    line = base.mark_line(color=VERMILION, strokeWidth=1.8).encode(
        y=alt.Y("busy:Q", title="times the usual"), tooltip=["week:T", alt.Tooltip("busy:Q", format=".2f")]
    )
    title = "Level (prior): visits of each week, as a multiple of what customers of their age usually make"
    return alt.layer(_usual("busy"), line).properties(width=_WIDTH, height=_HEIGHT, title=_heading(title))


def _season(learned: _Learned, log: EventLog) -> alt.LayerChart | None:
    """Draw how busy the weeks of the year are; None where nobody knows."""

    def week_of_year(ticks: IntArray) -> IntArray:
        dates = (ticks // _ticks_a_day(log)).astype("datetime64[D]")
        weeks: IntArray = (dates - dates.astype("datetime64[Y]")).astype(np.int64) // 7
        return weeks

    if learned.by_month:
        return None
    table = _factors(learned, log, week_of_year, _NEW_YEAR + 7 * np.arange(_WEEKS) + 3)
    spread = pl.col("busy").max() - pl.col("busy").min()
    table = table.filter((spread > _FLAT).over("who"))
    return _calendar(table, "%b", "Season of the year") if len(table) else None


def _week(learned: _Learned, log: EventLog) -> alt.LayerChart | None:
    """Draw how busy the days of the week are, of hourly logs the hours."""
    n = 7 * _ticks_a_day(log)
    steps = np.arange(n) * np.timedelta64(24 // _ticks_a_day(log), "h")

    def place(ticks: IntArray) -> IntArray:
        return (ticks + 3 * _ticks_a_day(log)) % n  # 1970-01-01 was a Thursday

    if learned.by_month:
        return None
    table = _factors(learned, log, place, _MONDAY.astype("datetime64[h]") + steps)
    return _calendar(table, "%a", "Week", point=log.unit == "day")


def _factors(
    learned: _Learned, log: EventLog, place: Callable[[IntArray], IntArray], at: npt.NDArray[np.datetime64]
) -> pl.DataFrame:
    """Return the mean speed of each clock over some years, by place in a cycle: ``who``, ``at``, ``busy``."""
    ticks = np.arange(_FOUR_YEARS * _ticks_a_day(log))
    places, tables = place(ticks), []
    for who, clock in learned.clocks.items():
        # The prior's clock is one of days, the network's of ticks.
        speed = clock.speed(ticks if who == _NETWORK else ticks // _ticks_a_day(log))
        mean = (np.bincount(places, speed) / np.bincount(places))[: len(at)]
        columns = {"at": at.astype("datetime64[us]").tolist(), "busy": mean / mean.mean()}
        tables.append(pl.DataFrame(columns).select(pl.lit(who).alias("who"), pl.all()))
    return pl.concat(tables)


def _calendar(table: pl.DataFrame, labels: str, title: str, *, point: bool = False) -> alt.LayerChart:
    ticks = "month" if labels == "%b" else "day"
    axis = alt.Axis(grid=False, format=labels, tickCount=alt.TickCount(ticks), labelOverlap="parity")
    known = table["who"].unique(maintain_order=True).to_list()
    legend = alt.Legend(title=None) if len(known) > 1 else None
    lines = alt.Chart(table).mark_line(strokeWidth=1.8, point=point)
    lines = lines.encode(
        x=alt.X("at:T", title=None, axis=axis, scale=alt.Scale(padding=8 if point else 0)),
        y=alt.Y("busy:Q", title="times the usual"),
        color=alt.Color("who:N", scale=_COLOURS, legend=legend),
        strokeDash=alt.StrokeDash("who:N", scale=_DASHES, legend=None),
        tooltip=["who:N", alt.Tooltip("at:T", format=labels), alt.Tooltip("busy:Q", format=".2f")],
    )
    whose = f"{title} ({', '.join(known)})"
    return alt.layer(_usual("busy"), lines).properties(height=_HEIGHT, title=_heading(whose))


def _returns(model: EventForecaster) -> alt.Chart | None:
    """Draw the mean chance of a return within so many days by the number of visits so far."""
    log = model.log_
    if log.n_customers > _SAMPLE:
        log = log.take(np.sort(np.random.default_rng(0).permutation(log.n_customers)[:_SAMPLE]))
    chances = model.return_chances(log, _DAYS * _ticks_a_day(log))
    if chances is None:  # a head that knows none
        return None
    edges = [edge for edge in _VISITS if (log.counts >= edge).any()]
    group = np.searchsorted(edges, log.counts, side="right") - 1
    names = [_span(low, high - 1) for low, high in itertools.pairwise(edges)]
    names.append(f"{edges[-1]} or more" if edges[-1] > 1 else "1 or more")
    tables = [
        pl.DataFrame({"days": _DAYS, "chance": chances[group == k].mean(axis=0)}).with_columns(
            visits=pl.lit(name)
        )
        for k, name in enumerate(names)
        if (group == k).any()
    ]
    drawn = [table["visits"][0] for table in tables]
    legend = alt.Legend(title="visits so far")
    days = alt.X(
        "days:Q",
        title="days after the as-of date",
        axis=alt.Axis(grid=False, values=_HORIZONS, labelOverlap=False),
        scale=alt.Scale(domain=[0, 365], nice=False),
    )
    lines = alt.Chart(pl.concat(tables)).mark_line(strokeWidth=2.0)
    lines = lines.encode(
        x=days,
        y=alt.Y(
            "chance:Q", title="chance of a visit", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])
        ),
        color=alt.Color("visits:O", sort=drawn, scale=alt.Scale(scheme="viridis"), legend=legend),
        tooltip=["visits:O", "days:Q", alt.Tooltip("chance:Q", format=".1%")],
    )
    title = f"Who comes back ({model.name}): mean chance of a return, all silences together"
    return lines.properties(width=_WIDTH, height=_HEIGHT + 30, title=_heading(title))


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


def _usual(field: str) -> alt.Chart:
    rule = alt.Chart(pl.DataFrame({field: [1.0]})).mark_rule(color=GREY, strokeDash=[5, 3])
    return rule.encode(y=f"{field}:Q")


def _heading(text: str) -> alt.TitleParams:
    return alt.TitleParams(
        text, anchor="start", frame="group", fontSize=13, fontWeight="normal", color="#555555"
    )


def _ticks_a_day(log: EventLog) -> int:
    return UNIT_SECONDS["day"] // UNIT_SECONDS[log.unit]
