"""All customers or series together: what came in each period, and what to expect with bands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, cast

import altair as alt
import numpy as np
import polars as pl

from foretell.core.constraints import OneOf, check
from foretell.errors import ParameterError
from foretell.i18n import Translator
from foretell.plotting.charts import BLUE, INK, ORANGE, WIDTH, Chart, finish, spelled
from foretell.plotting.expectations import layered_periods, period_title
from foretell.plotting.forecast import LEVELS, fan

if TYPE_CHECKING:
    from foretell.data.log import EventLog
    from foretell.data.tables import CountModel
    from foretell.events.forecaster import EventForecaster
    from foretell.series.forecaster import SeriesForecaster

Period = Literal["week", "month", "group"]
_HEIGHT: Final = 320
_SHOWN: Final = {"week": 52, "month": 24}  # periods of the past
_AHEAD: Final = {"week": "13w", "month": "6mo", "group": "30d"}
_MOST_GROUPS: Final = 20


def plot_totals(
    model: EventForecaster | SeriesForecaster,
    horizon: str | int | None = None,
    *,
    by: Period = "week",
    mark: str | None = None,
    newcomers: bool = False,
) -> Chart:
    """Show all customers together, or all series: what came in each period, and what to expect.

    Parameters
    ----------
    model : forecaster
        Fitted; of visits one that says how many to expect, or of series.
    horizon : str or int, optional
        How far ahead; by default 13 weeks, six months, of groups 30 days, of series the trained horizon.
    by : {"week", "month", "group"}
        Periods of visits, or the groups that have most of them. Of series each step is one.
    mark : str, optional
        Mark that is an amount: its sums in place of visits.
    newcomers : bool
        Add the customers to come upon those of today.

    Raises
    ------
    DataError
        The log has no such mark, no groups, or is too short to tell how many newcomers come.
    ParameterError
        The model says no numbers of visits, or what is asked for does not go together.

    Examples
    --------
    >>> model = ft.baselines.ParetoNBD().fit(log, as_of="1997-09-30")
    >>> plot_totals(model, "8w").to_dict()["title"]["text"]
    'Visits per week: so far, and forecast'
    """
    check("by", by, OneOf(("week", "month", "group")))
    if model.kind == "series":
        if mark is not None or newcomers or by != "week":
            raise ParameterError("by=, mark= and newcomers= are for models of visits; this is one of series")
        return _of_series(cast("SeriesForecaster", model), horizon)
    shop, ahead = cast("CountModel", model), _AHEAD[by] if horizon is None else horizon
    if by == "group":
        if newcomers:
            raise ParameterError("newcomers= are those of the whole shop; expected by='week' or by='month'")
        return _of_groups(shop, ahead, mark)
    return _of_periods(shop, ahead, by, mark, newcomers=newcomers)


def _of_periods(
    model: CountModel,
    horizon: str | int,
    by: Literal["week", "month"],
    mark: str | None,
    *,
    newcomers: bool,
) -> Chart:
    from foretell.acquisition import predict_shop, shop_so_far  # noqa: PLC0415  # brings the other question

    log, say = model.log_, Translator()
    past = shop_so_far(log, by, mark=mark).tail(_SHOWN[by])
    if newcomers:
        ahead = predict_shop(model, horizon, by, mark=mark)
        whose = f"the {log.n_customers:,} customers known by then, and of those to come"
    else:
        ahead = _totals(model, horizon, by, mark)
        ahead = ahead.with_columns(known="visits" if mark is None else "spend", new=pl.lit(None, pl.Float64))
        whose = f"the {log.n_customers:,} customers known by then"
    chart = layered_periods(past, ahead, say, mark=mark, by=by).properties(width=WIDTH, height=_HEIGHT)
    lines = [
        f"Black line: all customers so far, up to {spelled(log.as_of, log)}.",
        f"Bars: to expect of {whose}, with 80% intervals.",
    ]
    return finish(chart, period_title(say, mark=mark, by=by), lines)


def _of_groups(model: CountModel, horizon: str | int, mark: str | None) -> Chart:
    log, what = model.log_, "visits" if mark is None else "spend"
    table = _totals(model, horizon, "group", mark)
    before = _before(log, log.ticks_of(horizon), mark)
    table = table.rename({what: "total", f"{what}-lo-80": "low", f"{what}-hi-80": "high"})
    table = table.join(before, on="group", how="left", maintain_order="left")
    shown = table.top_k(_MOST_GROUPS, by="total").with_columns(pl.col("group").cast(pl.String))
    unit = "visits" if mark is None else mark
    first, last = spelled(log.as_of + 1, log), spelled(log.as_of + log.ticks_of(horizon), log)
    y = alt.Y("group:N", sort=None, title=None, axis=alt.Axis(labelLimit=220))
    base = alt.Chart(shown).encode(y=y)
    tips = [alt.Tooltip("group:N")] + [
        alt.Tooltip(f"{name}:Q", format=",.0f", title=title)
        for name, title in (("total", "expected"), ("low", "at least (90 % sure)"),
                            ("high", "at most (90 % sure)"), ("before", "as many days before"))
    ]  # fmt: skip
    title = f"{unit}, {first} to {last}"
    x = alt.X("total:Q", title=title)
    chart = alt.layer(
        base.mark_bar(color=BLUE, opacity=0.55, height={"band": 0.7}).encode(x=x, tooltip=tips),
        base.mark_rule(color=INK, strokeWidth=1.6).encode(x=alt.X("low:Q", title=title), x2="high:Q"),
        base.mark_point(color=INK, filled=True, size=40, opacity=1).encode(x=x, tooltip=tips),
        base.mark_tick(color=ORANGE, thickness=4, height={"band": 0.7}).encode(x="before:Q", tooltip=tips),
    ).properties(width=WIDTH - 60, height=26 * len(shown) + 10)
    lines = [
        f"Of the {log.n_customers:,} customers known by {spelled(log.as_of, log)}, with 80% intervals.",
        "Orange: in as many days before.",
    ]
    if len(shown) < len(table):
        lines[0] = f"The {len(shown)} largest of {len(table)}. {lines[0]}"
    return finish(chart, f"{'Visits' if mark is None else f'Sum of {mark}'} by group", lines)


def _totals(model: CountModel, horizon: str | int, by: Period, mark: str | None) -> pl.DataFrame:
    from foretell.events.totals import predict_totals  # noqa: PLC0415  # its distributions are slow to load

    return predict_totals(model, horizon, by, mark=mark)


def _before(log: EventLog, ticks: int, mark: str | None) -> pl.DataFrame:
    """Return the sums of groups in some ticks up to the as-of date."""
    from foretell.spend.gamma_gamma import mark_of  # noqa: PLC0415

    assert log.groups is not None  # noqa: S101  # totals by group have asked
    assert log.group_names is not None  # noqa: S101
    late = log.times > log.as_of - ticks
    made = None if mark is None else np.nan_to_num(mark_of(log, mark))[late]
    sums = np.bincount(log.groups[late], made, len(log.group_names)).astype(np.float64)
    return pl.DataFrame({"group": log.group_names, "before": sums})


def _of_series(model: SeriesForecaster, horizon: str | int | None) -> Chart:
    panel = model.panel_
    steps = model.horizon if horizon is None else int(panel.ticks_of(horizon))
    table = model.predict_totals(steps, "step", LEVELS)
    target = panel.targets[0]
    if "target" in table.columns:
        table = table.filter(pl.col("target") == target)
    rows = pl.DataFrame({"ds": panel.time_of(panel.index), "y": panel.values[:, 0]}).filter(
        pl.col("y").is_finite()
    )
    observed = rows.group_by("ds").agg(pl.col("y").sum()).sort("ds").tail(max(4 * steps, 24))
    last = str(observed["ds"].last()).removesuffix(" 00:00:00")
    dated = panel.grid.frequency.unit != "number"
    chart = fan(table, model.name, observed, target, dated=dated)
    count = f"{panel.n_series:,} series" if panel.n_series > 1 else "One series"
    lines = [
        f"Blue: {model.name}'s mean and 50, 80, 95% intervals of the sum. Black: observed, up to {last}.",
    ]
    return finish(chart, f"{count} together, {target}: the next {steps} steps", lines)
