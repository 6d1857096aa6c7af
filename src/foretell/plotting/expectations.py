"""Charts of the shop's report: weeks behind and ahead, newcomers by month, forecasts of before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import altair as alt
import polars as pl

from foretell.i18n import Translator
from foretell.plotting.charts import BLUE, GREY, INK, ORANGE, VERMILION, WIDTH, Chart, finish

_HEIGHT: Final = 240


def plot_weeks(past: pl.DataFrame, ahead: pl.DataFrame, say: Translator, mark: str | None = None) -> Chart:
    """Draw the visits of weeks, and those to come: of newcomers upon those of today's customers.

    Of the past ``ds`` and ``visits``; ahead ``ds``, ``known``, ``new`` (null where it cannot be told), and of
    the sum ``visits``, ``visits-lo-80`` and ``visits-hi-80``. Of a mark it is ``spend`` in place of visits.
    """
    what = "visits" if mark is None else "spend"
    past = past.rename({what: "total"})
    ahead = ahead.rename({what: "total", f"{what}-lo-80": "low", f"{what}-hi-80": "high"})
    one = say("visits") if mark is None else mark
    named = {"known": say("today's customers"), "new": say("customers to come")}
    parts = ahead.unpivot(list(named), index="ds", variable_name="who", value_name="count").drop_nulls()
    parts = parts.with_columns(pl.col("who").replace(named), place=(pl.col("who") == "new").cast(pl.Int8))
    title = say("visits per week") if mark is None else say("{mark} per week", mark=mark)
    axis = alt.Axis(format=",d") if mark is None else alt.Axis()
    x = alt.X("ds:T", title=None, axis=_dates(say))
    y = alt.Y("total:Q", title=title, scale=alt.Scale(zero=True), axis=axis)
    tips = [_day(say, say("week from")), alt.Tooltip("total:Q", format=",.0f", title=one)]
    bounds = [
        alt.Tooltip(f"{name}:Q", format=",.0f", title=what)
        for name, what in (("low", say("at least (90 % sure)")), ("high", say("at most (90 % sure)")))
    ]
    scale = alt.Scale(domain=[*named.values()], range=[BLUE, ORANGE])
    areas = alt.Chart(parts).mark_area(opacity=0.55)
    areas = areas.encode(
        x=x,
        y=alt.Y("count:Q", title=title, stack=True),
        color=alt.Color("who:N", title=None, scale=scale, legend=alt.Legend(orient="top")),
        order="place:Q",
    )
    base = alt.Chart(ahead)
    layers = [
        areas,
        base.mark_rule(color=INK, strokeWidth=1.2).encode(x=x, y=alt.Y("low:Q", title=title), y2="high:Q"),
        alt.Chart(past).mark_line(color=INK, strokeWidth=1.6).encode(x=x, y=y, tooltip=tips),
        base.mark_point(color=INK, filled=True, size=40).encode(x=x, y=y, tooltip=[*tips, *bounds]),
        _rule(ahead["ds"][:1]),
    ]
    heading = say("Visits per week: so far, and forecast")
    if mark is not None:
        heading = say("Sum of {mark} per week: so far, and forecast", mark=mark)
    return _finished(alt.layer(*layers), heading)


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


def _dates(say: Translator) -> alt.Axis:
    return alt.Axis(grid=False, format=say("%b %Y"), labelOverlap="greedy", labelSeparation=14)


def _day(say: Translator, title: str) -> alt.Tooltip:
    return alt.Tooltip("ds:T", format=say("%d %b %Y"), title=title)


def _rule(moment: Sequence[object] | pl.Series) -> alt.Chart:
    rule = alt.Chart(pl.DataFrame({"ds": moment})).mark_rule(color=GREY, strokeDash=[5, 3])
    return rule.encode(x="ds:T")
