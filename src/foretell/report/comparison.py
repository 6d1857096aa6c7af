"""One self-contained page about a comparison: verdict, leaderboard, pictures, whom to write to."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import polars as pl

from foretell import plotting
from foretell.errors import ParameterError
from foretell.evaluation.evaluation import Evaluation, html_table
from foretell.plotting.charts import Chart
from foretell.report.pages import note, page, svg

if TYPE_CHECKING:
    from foretell.events.forecaster import EventForecaster

_MOST_OVERDUE = 20
_LATE = 0.5  # of the way through one's own distribution of gaps: later than usual


def report_html(evaluation: Evaluation) -> str:
    """Return the page of a comparison: verdict, leaderboard, pictures, whom to write to."""
    title = f"{evaluation.task.question}: how good are the forecasts?"
    table = evaluation.table()
    labels = {figure.name: figure.label for figure in evaluation.task.figures.values()}
    missing = "The best first. A dash: the model does not forecast that, or the data cannot show it."
    legend = "".join(f"<dt>{name}</dt><dd>{html.escape(label)}</dd>" for name, label in labels.items())
    leaders = html_table(table, table["model"].to_list()[:1]) + note(missing)
    sections = [
        ("Leaderboard", f"{leaders}<details><summary>The figures</summary><dl>{legend}</dl></details>"),
        *_pictures(evaluation),
    ]
    if evaluation.other_seeds is not None:
        hint = "The same model from other random starts: differences as small as these mean nothing."
        sections.append(("Spread over seeds", html_table(evaluation.seed_spread()) + note(hint)))
    body = [
        f"<h1>{html.escape(title)}</h1>",
        note(evaluation.headline + "."),
        f'<p class="verdict">{html.escape(str(evaluation.verdict()))}</p>',
        *(f"<h2>{html.escape(heading)}</h2>{content}" for heading, content in sections),
    ]
    return page(title, body)


# What can be drawn of rows that have a column.
_PICTURES: tuple[tuple[str, str, Callable[[Evaluation], Chart]], ...] = (
    ("Visits by week", "p_return", plotting.plot_tracking),
    ("Does 20 % mean 20 %?", "p_return", plotting.plot_reliability),
    ("Error by step ahead", "step", plotting.plot_error_by_step),
    ("One of the series", "step", plotting.plot_forecast),
    ("Do the intervals hold?", "q0.2", plotting.plot_quantiles),
)


def _pictures(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Return headings and contents of what this evaluation can show."""
    columns = evaluation.columns
    sections = [
        (heading, _picture(draw.__name__, draw, evaluation))
        for heading, needed, draw in _PICTURES
        if needed in columns and (draw is not plotting.plot_forecast or evaluation.ours)
    ]
    if evaluation.ours and "p_active" in columns:
        sections += _overdue(evaluation)
    return sections


def _overdue(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Return the customers who are later than usual, the likeliest to return first, of our first model."""
    model = cast("EventForecaster", evaluation.models[evaluation.ours[0]])
    customers = model.predict(horizons=["30d", "90d"], levels=[80])
    shown = ["unique_id", "n_events", "last_event", "overdue", "p_return_30d", "p_return_90d", "next_event"]
    if not {"p_return_90d", "overdue"} <= set(customers.columns):
        return []
    late = customers.filter(pl.col("overdue") >= _LATE).sort("p_return_90d", descending=True, nulls_last=True)
    hint = (
        f"As of {evaluation.cutoff}: those whose silence is longer than half of their own gaps (overdue of "
        f"at least {_LATE:g}; 1 is longer than any), the likeliest to return within 90 days first."
    )
    return [("Overdue", html_table(late.select(shown).head(_MOST_OVERDUE)) + note(hint))]


def _picture(name: str, draw: Callable[[Evaluation], Chart], evaluation: Evaluation) -> str:
    """Return a chart as inline SVG; where the data cannot show it, the reason."""
    try:
        chart = draw(evaluation)
    except ParameterError as error:
        return note(str(error))
    return f"<figure>{svg(chart, name)}</figure>"
