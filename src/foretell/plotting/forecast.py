"""Regular series: what was observed and the fan of the forecast, and how errors grow with the step ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import polars as pl

from foretell.data.panel import Panel
from foretell.errors import ParameterError
from foretell.evaluation.evaluation import Evaluation
from foretell.plotting.look import GREY, INK, PALETTE, WIDTH, apart, finish

if TYPE_CHECKING:
    from foretell.series.forecaster import SeriesForecaster

_HEIGHT = 320
_LEVELS = (50, 80, 95)


def plot_forecast(
    source: SeriesForecaster | Evaluation,
    id: Any = None,  # noqa: A002  # the option's name everywhere
    *,
    horizon: int | None = None,
    target: str | None = None,
    history: int | None = None,
    panel: Panel | None = None,
) -> Any:
    """Show one series: its last steps, and the forecast with its 50, 80 and 95 % intervals.

    Parameters
    ----------
    source : SeriesForecaster or Evaluation
        An evaluation shows our model's forecast beside what really happened.
    id : optional
        The series; by default the first.
    horizon : int, optional
        Steps ahead, by default the trained horizon.
    target : str, optional
        By default the first.
    history : int, optional
        Steps to show before the forecast; by default four horizons.
    panel : Panel, optional
        Histories to forecast from, by default those the model was fitted to.

    Returns
    -------
    altair.LayerChart

    Raises
    ------
    ParameterError
        There is no such series or target, or no model of ours in the evaluation.
    """
    actual = None
    if isinstance(source, Evaluation):
        if not source.ours:
            raise ParameterError(
                f"the evaluation has no model of ours, but {', '.join(source.names)}; add foretell"
            )
        model: Any = source.models[source.ours[0]]
        panel, h = source.train, source.horizon
        actual = source.fold(len(source.cutoffs) - 1).filter(pl.col("model") == source.ours[0])
    else:
        model = source
        panel = source.panel_ if panel is None else panel
    one = panel.select([panel.ids[0] if id is None else id])
    if target is not None and target not in panel.targets:
        raise ParameterError(f"there is no target {target!r}; expected one of {', '.join(panel.targets)}")
    k = panel.targets.index(target or panel.targets[0])
    h = model.horizon if horizon is None else horizon
    table = model.predict(one, horizon=horizon, levels=_LEVELS)
    if len(panel.targets) > 1:
        table = table.filter(pl.col("target") == panel.targets[k])
    shown = min(one.n_rows, history or max(4 * h, 24))
    past = pl.DataFrame(
        {"ds": one.time_of(one.index[-shown:]), "y": one.values[-shown:, k], "what": "actual"}
    )
    ahead = table.select("ds", y=model.name, what=pl.lit(model.name))
    lines = [(past, INK, 1.4), (ahead, PALETTE[0], 2.4)]
    if actual is not None:
        truth = actual.filter(pl.col("unique_id") == one.ids[0])
        if "target" in truth.columns:
            truth = truth.filter(pl.col("target") == panel.targets[k])
        truth = truth.drop_nulls("y").select("ds", "y", what=pl.lit("actual"))
        lines[0] = (pl.concat([past, truth]), INK, 1.4)
    kind = "T" if one.grid.frequency.unit != "number" else "Q"
    x = alt.X(f"ds:{kind}", title=None, axis=alt.Axis(grid=False, labelOverlap="greedy"))
    y = alt.Y("y:Q", title=panel.targets[k], scale=alt.Scale(zero=False))
    layers = []
    for level in sorted(_LEVELS, reverse=True):
        fan = table.select("ds", low=f"{model.name}-lo-{level}", high=f"{model.name}-hi-{level}")
        area = alt.Chart(fan).mark_area(color=PALETTE[0], opacity=0.16)
        layers.append(area.encode(x=x, y=alt.Y("low:Q", title=panel.targets[k]), y2="high:Q"))
    for data, colour, width in lines:
        drawn = alt.Chart(data.filter(pl.col("y").is_finite())).mark_line(color=colour, strokeWidth=width)
        layers.append(drawn.encode(x=x, y=y, tooltip=[f"ds:{kind}", alt.Tooltip("y:Q", format=",.4~g")]))
    cut = alt.Chart(table.head(1).select("ds")).mark_rule(color=GREY, strokeDash=[5, 3])
    layers.append(cut.encode(x=x))
    subtitle = [f"Blue: {model.name}'s median and 50, 80, 95% intervals. Black: observed."]
    chart = alt.layer(*layers).properties(width=WIDTH, height=_HEIGHT)
    return finish(chart, f"{one.ids[0]}: the next {h} steps", subtitle)


def plot_error_by_step(evaluation: Evaluation) -> Any:
    """Show how each model's scaled error grows with the step ahead.

    Parameters
    ----------
    evaluation : Evaluation
        Of series.

    Returns
    -------
    altair.LayerChart

    Examples
    --------
    >>> import foretell as ft
    >>> panel = ft.Panel.from_arrays({"a": [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 4]})
    >>> evaluation = ft.evaluate(panel, horizon=3, models=["naive", "drift"], season=3)
    >>> plot_error_by_step(evaluation).to_dict()["title"]["text"]
    'Error by step ahead'
    """
    data = evaluation.error_by_step().filter(pl.col("mase").is_finite())
    names = evaluation.table()["model"].to_list()
    colours = alt.Scale(domain=names, range=[PALETTE[k % len(PALETTE)] for k in range(len(names))])
    x = alt.X("step:Q", title="steps ahead", axis=alt.Axis(grid=False, tickMinStep=1))
    y = alt.Y("mase:Q", title="mean absolute scaled error", scale=alt.Scale(zero=True))
    lines = alt.Chart(data).mark_line(strokeWidth=2.2, point=evaluation.horizon == 1)
    lines = lines.encode(x=x, y=y, color=alt.Color("model:N", scale=colours, legend=None))
    ends = data.group_by("model", maintain_order=True).last()
    places = apart(ends["mase"].to_list(), 16 * float(np.max(data["mase"].to_numpy())) / _HEIGHT)
    labels = alt.Chart(ends.with_columns(place=pl.Series(places)))
    labels = labels.mark_text(align="left", dx=7, fontSize=13, fontWeight="bold").encode(
        x=x, y="place:Q", text="model:N", color=alt.Color("model:N", scale=colours, legend=None)
    )
    subtitle = [f"{evaluation.headline}."]
    chart = alt.layer(lines, labels).properties(width=WIDTH - 90, height=_HEIGHT)
    return finish(chart, "Error by step ahead", subtitle)
