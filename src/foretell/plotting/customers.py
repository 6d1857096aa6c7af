"""All customers together: visits week by week beside the forecasts, and who is still active."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import altair as alt
import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.data.log import EventLog
from foretell.errors import ParameterError
from foretell.evaluation.evaluation import Evaluation
from foretell.plotting.charts import (
    GREY,
    INK,
    PALETTE,
    WIDTH,
    Chart,
    apart,
    finish,
    moments,
    needs_forecaster,
    needs_mixture,
    ours_first,
    spelled,
)

if TYPE_CHECKING:
    from foretell.events.forecaster import EventForecaster

Numbers = npt.NDArray[np.float64] | npt.NDArray[np.int64]

_HEIGHT = 320
_PERIOD = "7d"
_Y_TITLE = "repeat visits per week"
# Lower edges of the rows of the map; customers with many visits are few, so that rows grow.
_EDGES = (1, 2, 3, 4, 5, 7, 10, 15, 25, 50, 100, 200, 500, 1000)
_COLUMNS = 10
_FEWEST = 0.004


@dataclasses.dataclass(frozen=True)
class _Tracks:
    """What is drawn: weekly values from the day after the as-of date, by name."""

    log: EventLog
    horizon: int
    actual: Numbers | None
    forecasts: dict[str, Numbers]
    band: pl.DataFrame | None


def plot_tracking(
    source: Evaluation | EventForecaster,
    *,
    models: Sequence[str] | None = None,
    horizon: str | int = "26w",
    band: pl.DataFrame | None = None,
) -> Chart:
    """Show the repeat visits of all customers, week by week, against the forecasts.

    Parameters
    ----------
    source : Evaluation or EventForecaster
        An evaluation shows what really happened after its last cut-off beside the forecasts; a model shows
        its forecast alone.
    models : sequence of str, optional
        Which of the evaluated models; by default the best of ours and the best other one.
    horizon : str or int
        How far ahead, for a model.
    band : polars.DataFrame, optional
        80 % band, with columns as `Simulation.cohort` has them. By default that of `predict_totals`, where
        the first shown model is one of ours: it holds chance and the model's own error.

    Raises
    ------
    ParameterError
        There is no model of that name, or it forecasts no numbers.

    Examples
    --------
    >>> evaluation = ft.evaluate(log, "1997-09-30", models=["mbg/nbd"])
    >>> plot_tracking(evaluation).to_dict()["title"]["text"]
    'Visits per week: forecast against actual'
    """
    if isinstance(source, Evaluation):
        tracks = _of_evaluation(source, models, band)
        title = "Visits per week: forecast against actual"
    else:
        cohort = _band(source, horizon) if band is None else band
        mean = {source.name: cohort["foretell"].to_numpy()}
        tracks = _Tracks(source.log_, source.log_.ticks_of(horizon), None, mean, cohort)
        title = "Visits per week: so far, and forecast"
    log = tracks.log
    subtitle = [f"Repeat visits of the {log.n_customers:,} customers seen by {spelled(log.as_of, log)}."]
    if tracks.band is not None:
        subtitle.append("Shaded: the 80% interval, by chance and by how far earlier forecasts were off.")
    return finish(_chart(tracks).properties(width=WIDTH - 90, height=_HEIGHT), title, subtitle)


def _of_evaluation(
    evaluation: Evaluation, models: Sequence[str] | None, band: pl.DataFrame | None
) -> _Tracks:
    if not evaluation.totals.width:
        raise ParameterError("only visits have totals by week; of series look at plot_forecast")
    totals = evaluation.totals.filter(pl.col("cutoff") == evaluation.cutoffs[-1])
    forecasts = {
        name: week["forecast"].to_numpy()
        for (name,), week in totals.drop_nulls("forecast").partition_by("model", as_dict=True).items()
    }
    evaluation.check_names(list(models or ()))
    names = list(models) if models else [name for name in ours_first(evaluation) if name in forecasts][:2]
    if missing := [name for name in names if name not in forecasts]:
        raise ParameterError(
            f"{', '.join(missing)}: its head forecasts no numbers of visits; name other models with "
            "models=[…]"
        )
    actual = totals.filter(pl.col("model") == evaluation.names[0])["y"].to_numpy()
    if band is None and names and names[0] in evaluation.ours:
        model = cast("EventForecaster", evaluation.models[names[0]])
        band = _band(model, evaluation.horizon)
    shown = {name: forecasts[name] for name in names}
    return _Tracks(evaluation.train, evaluation.horizon, actual, shown, band)


def _band(model: EventForecaster, horizon: str | int) -> pl.DataFrame:
    needs_forecaster(model)
    weeks = model.predict_totals(horizon, by="week")
    return weeks.rename(lambda name: name.replace("visits", "foretell"))


def _chart(tracks: _Tracks) -> Chart:
    log, width = tracks.log, tracks.log.ticks_of(_PERIOD)
    # A last week of fewer days would look like a fall.
    weeks = max(tracks.horizon // width, 1)
    starts = log.as_of + 1 + width * np.arange(weeks)
    past_starts, past = _history(log, width)
    y = alt.Y("visits:Q", title=_Y_TITLE, scale=alt.Scale(zero=True), axis=alt.Axis(format=",d"))
    axis = alt.Axis(grid=False, format="%b %Y", labelOverlap="greedy", labelSeparation=14)
    x = alt.X("week:T", title="week beginning", axis=axis)
    layers, ends = [], []
    if tracks.band is not None:
        band = tracks.band.head(weeks).select(
            week=pl.Series(moments(starts, log)), low="foretell-lo-80", high="foretell-hi-80"
        )
        layers.append(
            alt.Chart(band)
            .mark_area(color=PALETTE[0], opacity=0.2)
            .encode(x=x, y=alt.Y("low:Q", title=_Y_TITLE), y2="high:Q")
        )
    drawn: list[tuple[str, str, Numbers, Numbers]] = []
    if tracks.actual is not None:
        actual = np.concatenate([past, tracks.actual[:weeks]])
        drawn.append(("actual", INK, np.concatenate([past_starts, starts]), actual))
    elif len(past):
        drawn.append(("", INK, past_starts, past))
    drawn += [
        (name, PALETTE[k % len(PALETTE)], starts, values[:weeks])
        for k, (name, values) in enumerate(tracks.forecasts.items())
    ]
    for name, colour, ticks, values in drawn:
        data = pl.DataFrame({"week": moments(ticks, log), "visits": np.asarray(values, dtype=np.float64)})
        line = alt.Chart(data).mark_line(color=colour, strokeWidth=1.4 if colour == INK else 2.4)
        layers.append(line.encode(x=x, y=y, tooltip=["week:T", alt.Tooltip("visits:Q", format=",.0f")]))
        if name:
            ends.append((name, colour, int(ticks[-1]), float(values[-1])))
    top = max(float(np.max(values)) for *_, values in drawn)
    return alt.layer(*layers, *_end_labels(ends, top, log), *_cutoff(log))


def _history(log: EventLog, width: int) -> tuple[Numbers, Numbers]:
    """Return the first ticks of the whole weeks up to the as-of date, and the repeat visits in each."""
    weeks = (log.as_of - log.start + 1) // width
    repeat = np.ones(log.n_events, dtype=bool)
    repeat[log.offsets[:-1]] = False
    ago = (log.as_of - log.times[repeat]) // width
    counts = np.bincount(ago[ago < weeks], minlength=weeks)[::-1]
    return log.as_of + 1 - width * np.arange(weeks, 0, -1), counts


def _end_labels(ends: list[tuple[str, str, int, float]], top: float, log: EventLog) -> list[Chart]:
    """Return each line's name beside its end, apart enough to be read."""
    places = apart([value for *_, value in ends], 15 * top / _HEIGHT)
    return [
        alt.Chart(pl.DataFrame({"week": moments(tick, log), "visits": [place], "label": [name]}))
        .mark_text(align="left", dx=7, color=colour, fontSize=13, fontWeight="bold")
        .encode(x="week:T", y="visits:Q", text="label:N")
        for (name, colour, tick, _), place in zip(ends, places, strict=True)
    ]


def _cutoff(log: EventLog) -> list[Chart]:
    data = alt.Chart(
        pl.DataFrame({"week": moments(log.as_of + 1, log), "label": ["forecast from here on →"]})
    )
    return [
        data.mark_rule(color=GREY, strokeDash=[5, 3]).encode(x="week:T"),
        data.mark_text(align="left", dx=6, color=GREY, fontSize=12).encode(
            x="week:T", y=alt.value(4), text="label:N"
        ),
    ]


def plot_activity(model: EventForecaster) -> Chart:
    """Show the mean probability of being active by number of visits and weeks of silence.

    A cell stands for real customers of the log, and says how many they are; cells without any stay empty.

    Examples
    --------
    >>> model = ft.load("model/")  # doctest: +SKIP
    >>> plot_activity(model)  # doctest: +SKIP
    """
    log = model.log_
    needs_mixture(model)
    cells, rows, columns = _cells(model)
    x = alt.X("silence:O", sort=columns, title="weeks since the last visit", axis=alt.Axis(labelAngle=0))
    y = alt.Y("visits:O", sort=rows[::-1], title="visits so far")
    base = alt.Chart(cells).encode(x=x, y=y)
    ink = alt.when(alt.datum.p_active > 0.55).then(alt.value("white")).otherwise(alt.value("#222222"))
    height = 44 * len(rows)
    chart = alt.layer(
        base.mark_rect(stroke="white", strokeWidth=2).encode(
            color=alt.Color("p_active:Q", scale=alt.Scale(scheme="blues", domain=[0, 1]), legend=None),
            tooltip=[alt.Tooltip("p_active:Q", format=".1%"), "customers:Q"],
        ),
        base.mark_text(fontSize=13, fontWeight="bold", dy=-6).encode(
            text=alt.Text("p_active:Q", format=".0%"), color=ink
        ),
        base.mark_text(fontSize=10, dy=9, opacity=0.85).encode(
            text=alt.Text("customers:Q", format=","), color=ink
        ),
    ).properties(width=WIDTH, height=height)
    lines = ["Mean P(active) of the customers in each cell; below it, in small figures, how many they are."]
    lines.append(f"{log.n_customers:,} customers as of {spelled(log.as_of, log)}.")
    return finish(chart, "Who is still active?", lines)


def _cells(model: EventForecaster) -> tuple[pl.DataFrame, list[str], list[str]]:
    """Return one row per cell, and the labels of rows and columns in order."""
    log = model.log_
    active = model.predict(horizons=[], levels=[])["p_active"].to_numpy()
    silence = (log.as_of - log.last) // log.ticks_of("7d")
    width = max(1, math.ceil((int(silence.max()) + 1) / _COLUMNS))
    column = silence // width
    edges = [edge for edge in _EDGES if edge == 1 or np.mean(log.counts >= edge) >= _FEWEST]
    row = np.searchsorted(edges, log.counts, side="right") - 1
    rows = [_span(low, high - 1) for low, high in itertools.pairwise(edges)] + [f"{edges[-1]}+"]
    columns = [_span(k * width, (k + 1) * width - 1) for k in range(int(column.max()) + 1)]
    cells = (
        pl.DataFrame({"row": row, "column": column, "p_active": active})
        .group_by("row", "column")
        .agg(pl.col("p_active").mean(), customers=pl.len())
        .sort("row", "column")
        .with_columns(
            visits=pl.col("row").replace_strict(dict(enumerate(rows)), return_dtype=pl.String),
            silence=pl.col("column").replace_strict(dict(enumerate(columns)), return_dtype=pl.String),
        )
        .drop("row", "column")
    )
    return cells, rows, columns


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}–{high}"
