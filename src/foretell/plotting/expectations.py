"""Charts of the shop's report: weeks behind and ahead, newcomers by month, forecasts of before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import altair as alt
import polars as pl

from foretell.i18n import Translator
from foretell.plotting.charts import (
    BLUE,
    FEW_WEEKS,
    GREY,
    INK,
    ORANGE,
    VERMILION,
    WIDTH,
    Chart,
    finish,
    months_axis,
)

_HEIGHT: Final = 240


def plot_periods(
    past: pl.DataFrame,
    ahead: pl.DataFrame,
    say: Translator,
    *,
    mark: str | None = None,
    by: Literal["week", "month"] = "week",
) -> Chart:
    """Draw the visits of weeks or months, and those to come: of newcomers upon those of today's customers.

    Both have ``ds``, ``end`` and ``visits``; ahead they are split into ``known`` and ``new`` (null where it
    cannot be told), with ``visits-lo-80`` and ``visits-hi-80``. Of a mark it is ``spend`` in place of visits.
    """
    chart = layered_periods(past, ahead, say, mark=mark, by=by)
    return _finished(chart, period_title(say, mark=mark, by=by))


def period_title(say: Translator, *, mark: str | None, by: Literal["week", "month"]) -> str:
    """Return what is drawn of periods, in words."""
    if mark is None:
        return (
            say("Visits per week: so far, and forecast")
            if by == "week"
            else say("Visits per month: so far, and forecast")
        )
    if by == "week":
        return say("Sum of {mark} per week: so far, and forecast", mark=mark)
    return say("Sum of {mark} per month: so far, and forecast", mark=mark)


def layered_periods(
    past: pl.DataFrame,
    ahead: pl.DataFrame,
    say: Translator,
    *,
    mark: str | None,
    by: Literal["week", "month"],
) -> alt.LayerChart:
    """Draw the same without title; see `plot_periods`."""
    what = "visits" if mark is None else "spend"
    past = _timed(past.rename({what: "total"}))
    ahead = _timed(ahead.rename({what: "total", f"{what}-lo-80": "low", f"{what}-hi-80": "high"}))
    title = _unit(say, mark, by)
    axis = alt.Axis(format=",d") if mark is None else alt.Axis()
    monthly = by == "month" or len(past) + len(ahead) > FEW_WEEKS
    x = alt.X("middle:T", title=None, axis=_dates(say, monthly=monthly))
    y = alt.Y("total:Q", title=title, scale=alt.Scale(zero=True), axis=axis)
    starts = say("week from") if by == "week" else say("month from")
    one = say("visits") if mark is None else mark
    tips = [_day(say, starts), alt.Tooltip("total:Q", format=",.0f", title=one)]
    bounds = [
        alt.Tooltip(f"{name}:Q", format=",.0f", title=words)
        for name, words in (("low", say("at least (90 % sure)")), ("high", say("at most (90 % sure)")))
    ]
    base = alt.Chart(ahead)
    layers = [
        _stacked(ahead, title, say),
        base.mark_rule(color=INK, strokeWidth=1.2).encode(x=x, y=alt.Y("low:Q", title=title), y2="high:Q"),
        alt.Chart(past).mark_line(color=INK, strokeWidth=1.6).encode(x=x, y=y, tooltip=tips),
        base.mark_point(color=INK, filled=True, size=40, opacity=1).encode(
            x=x, y=y, tooltip=[*tips, *bounds]
        ),
        _rule(ahead["ds"][:1]),
    ]
    return alt.layer(*layers)


def _timed(table: pl.DataFrame) -> pl.DataFrame:
    """Return periods with the moment at which they are over, and their middle."""
    tick = pl.duration(days=1) if table.schema["ds"] == pl.Date else pl.duration(hours=1)
    starts, until = pl.col("ds").cast(pl.Datetime), (pl.col("end") + tick).cast(pl.Datetime)
    return table.with_columns(until=until, middle=starts + (until - starts) / 2)


def _stacked(ahead: pl.DataFrame, title: str, say: Translator) -> alt.Chart:
    """Draw a bar for each period: what newcomers make upon what today's customers make."""
    known = ahead.select("ds", "until", who=pl.lit(say("today's customers")), low=0.0, high="known")
    new = ahead.select(
        "ds", "until", who=pl.lit(say("customers to come")), low="known", high=pl.col("known") + pl.col("new")
    )
    parts = pl.concat([known, new]).drop_nulls("high")
    names = parts["who"].unique(maintain_order=True).to_list()
    scale = alt.Scale(domain=names, range=[BLUE, ORANGE][: len(names)])
    bars = alt.Chart(parts).mark_rect(opacity=0.55, stroke="white", strokeWidth=0.7)
    return bars.encode(
        x="ds:T",
        x2="until:T",
        y=alt.Y("low:Q", title=title),
        y2="high:Q",
        color=alt.Color("who:N", title=None, scale=scale, legend=alt.Legend(orient="top")),
    )


def _unit(say: Translator, mark: str | None, by: Literal["week", "month"]) -> str:
    if mark is None:
        return say("visits per week") if by == "week" else say("visits per month")
    return say("{mark} per week", mark=mark) if by == "week" else say("{mark} per month", mark=mark)


def plot_newcomers(months: pl.DataFrame, say: Translator) -> Chart:
    """Draw how many customers came first in each month: ``month`` and ``customers``."""
    bars = alt.Chart(months).mark_bar(color=BLUE, width=alt.RelativeBandSize(0.75))
    bars = bars.encode(
        x=alt.X("yearmonth(month):T", title=None, axis=_dates(say)),
        y=alt.Y("customers:Q", title=say("new customers"), axis=alt.Axis(format=",d")),
        tooltip=[
            alt.Tooltip("month:T", format=say("%b %Y"), title=say("month")),
            alt.Tooltip("customers:Q", format=",d", title=say("new customers")),
        ],
    )
    return _finished(alt.layer(bars), say("New customers by month"))


def plot_earlier(origins: pl.DataFrame, say: Translator) -> Chart:
    """Draw what was forecast at earlier days, and what came: ``ds``, ``visits``, bounds and ``actual``."""
    table = origins.rename({"visits-lo-80": "low", "visits-hi-80": "high"})
    named = {"visits": say("forecast"), "actual": say("actual")}
    points = table.unpivot(["visits", "actual"], index="ds", variable_name="what", value_name="count")
    points = points.with_columns(pl.col("what").replace(named))
    moments = [
        alt.DateTime(year=day.year, month=day.month, date=day.day) for day in table["ds"].cast(pl.Date)
    ]
    axis = alt.Axis(grid=False, format=say("%d %b"), values=moments)
    x = alt.X("ds:T", title=say("forecast on"), axis=axis, scale=alt.Scale(padding=20))
    y = alt.Y("count:Q", title=say("visits"), scale=alt.Scale(zero=False), axis=alt.Axis(format=",d"))
    colour = alt.Color(
        "what:N",
        title=None,
        scale=alt.Scale(domain=[*named.values()], range=[BLUE, VERMILION]),
        legend=alt.Legend(orient="top"),
    )
    shape = alt.Shape(
        "what:N", scale=alt.Scale(domain=[*named.values()], range=["circle", "diamond"]), legend=None
    )
    tips = [
        alt.Tooltip("what:N", title=" "),
        _day(say, say("forecast on")),
        alt.Tooltip("count:Q", format=",.0f", title=say("visits")),
    ]
    bars = alt.Chart(table).mark_rule(color=BLUE, strokeWidth=9, opacity=0.25)
    dots = alt.Chart(points).mark_point(filled=True, size=90, opacity=1)
    layers = [
        bars.encode(x=x, y=alt.Y("low:Q", title=say("visits")), y2="high:Q"),
        dots.encode(x=x, y=y, color=colour, shape=shape, tooltip=tips),
    ]
    return _finished(alt.layer(*layers), say("Earlier forecasts and what came"))


def _finished(chart: alt.LayerChart, title: str) -> Chart:
    return finish(chart.properties(width=WIDTH, height=_HEIGHT), title)


def _dates(say: Translator, *, monthly: bool = True) -> alt.Axis:
    return months_axis(say("%b %Y") if monthly else say("%d %b %Y"), monthly=monthly)


def _day(say: Translator, title: str) -> alt.Tooltip:
    return alt.Tooltip("ds:T", format=say("%d %b %Y"), title=title)


def _rule(moment: Sequence[object] | pl.Series) -> alt.Chart:
    rule = alt.Chart(pl.DataFrame({"ds": moment})).mark_rule(color=GREY, strokeDash=[5, 3])
    return rule.encode(x="ds:T")
