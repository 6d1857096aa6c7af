"""One self-contained page about a comparison: verdict, leaderboard, pictures, whom to write to."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from foretell import plotting
from foretell.errors import ParameterError, StorageError
from foretell.evaluation.leaderboard import Leaderboard
from foretell.evaluation.series_leaderboard import SeriesLeaderboard

_MOST_OVERDUE = 20
# Customers who have surely left are not worth a letter.
_LEAST_ACTIVE = 0.2

_STYLE = """
body { font: 15px/1.5 "Helvetica Neue", Helvetica, Arial, "DejaVu Sans", sans-serif; color: #222;
       max-width: 880px; margin: 2.5em auto; padding: 0 1em; background: #fff; }
h1 { font-size: 1.6em; margin-bottom: 0.2em; } h2 { font-size: 1.15em; margin: 2.2em 0 0.4em; }
p.verdict { font-size: 1.15em; border-left: 4px solid #0072B2; padding: 0.4em 0.9em; background: #f3f8fb; }
p.about, figcaption { color: #555; } figure { margin: 1em 0; } svg { max-width: 100%; height: auto; }
div.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.83em; }
th, td { padding: 0.3em 0.5em; text-align: right; border-bottom: 1px solid #e5e5e5; white-space: nowrap; }
th { color: #555; font-weight: normal; border-bottom: 1px solid #aaa; } th.text, td.text { text-align: left; }
tr.ours td { font-weight: bold; }
"""


def write_report(
    board: Leaderboard | SeriesLeaderboard, path: str | Path, *, seeds: pl.DataFrame | None = None
) -> Path:
    """Write a comparison as one HTML file that needs nothing else: no network, no scripts.

    Parameters
    ----------
    board : Leaderboard or SeriesLeaderboard
        See `foretell.evaluate`.
    path : str or Path
        Ends in ``.html``.
    seeds : polars.DataFrame, optional
        Figures of the same model from other seeds, a row each.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ParameterError
        The name does not end in .html.
    StorageError
        The file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import foretell as ft
    >>> panel = ft.Panel.from_arrays({"a": [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 4]})
    >>> board = ft.evaluate(panel, horizon=3, models=["naive", "drift"], season=3)
    >>> with tempfile.TemporaryDirectory() as place:
    ...     write_report(board, f"{place}/report.html").name
    'report.html'
    """
    target = Path(path)
    if target.suffix.lower() not in {".html", ".htm"}:
        raise ParameterError(
            f"{target.name!r} is not the name of a web page; expected one that ends in .html"
        )
    page = report_html(board, seeds=seeds)
    try:
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def report_html(board: Leaderboard | SeriesLeaderboard, *, seeds: pl.DataFrame | None = None) -> str:
    """Return the page of `write_report`."""
    if isinstance(board, SeriesLeaderboard):
        title = "What next: how good are the forecasts?"
        about = (
            f"{board.train.n_series:,} series; the last {board.h:,} steps, to {board.end}, were held back "
            "from all models."
        )
        sections = _of_series(board)
    else:
        title = "When next: how good are the forecasts?"
        about = (
            f"{board.holdout.train.n_customers:,} customers seen by {board.cutoff}; the models forecast to "
            f"{board.end}: {int(board.holdout.count.sum()):,} visits came."
        )
        sections = _of_visits(board)
    if seeds is not None:
        note = "The same model from other random starts: differences as small as these mean nothing."
        sections.append(("Spread over seeds", _table(seeds) + _note(note)))
    leaders = _table(board.table(), ours=board.rows[0].model if board.rows else None)
    body = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="about">{html.escape(about)}</p>',
        f'<p class="verdict">{html.escape(_verdict(board))}</p>',
        f"<h2>Leaderboard</h2>{leaders}{_note('The best first. A dash: the model does not tell.')}",
        *(f"<h2>{html.escape(heading)}</h2>{content}" for heading, content in sections),
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _verdict(board: Any) -> str:
    """Return the board's own sentence, or who is first."""
    if hasattr(board, "verdict"):
        return str(board.verdict())
    return f"{board.rows[0].model} errs least here: RMSE {board.rows[0].rmse:.4g}."


def _of_visits(board: Leaderboard) -> list[tuple[str, str]]:
    sections = [
        ("Visits by week", _picture("tracking", plotting.plot_tracking, board)),
        ("Does 20 % mean 20 %?", _picture("reliability", plotting.plot_reliability, board)),
    ]
    ours = [model for model in board.models.values() if hasattr(model, "predict")]
    if ours:
        customers: pl.DataFrame = ours[0].predict(horizons=["30d"], levels=[80])
        late = customers.filter(pl.col("p_active") >= _LEAST_ACTIVE).sort("overdue", descending=True)
        shown = ["unique_id", "n_events", "last_event", "overdue", "p_active", "p_return_30d", "next_event"]
        note = (
            f"As of {board.cutoff}: whose silence reaches farthest into their own gaps (1: longer than any), "
            f"among those who are still active with a probability of at least {_LEAST_ACTIVE:.0%}."
        )
        sections.append(("Overdue", _table(late.select(shown).head(_MOST_OVERDUE)) + _note(note)))
    return sections


def _of_series(board: SeriesLeaderboard) -> list[tuple[str, str]]:
    sections = [("Error by step ahead", _picture("error", plotting.plot_error_by_step, board))]
    sections.append(("Do the intervals hold?", _picture("quantiles", plotting.plot_quantiles, board)))
    if any(name.startswith("foretell") for name in board.models):
        sections.insert(1, ("One of the series", _picture("forecast", plotting.plot_forecast, board)))
    return sections


def _picture(name: str, draw: Callable[[Any], Any], board: Any) -> str:
    """Return a chart as inline SVG; where the data cannot show it, the reason."""
    try:
        chart = draw(board)
    except ParameterError as error:
        return _note(str(error))
    drawn = io.StringIO()
    chart.save(drawn, format="svg")
    svg = drawn.getvalue()
    # Marks of several pictures in one page must not go by the same name.
    for before in ('id="', "url(#", 'href="#'):
        svg = svg.replace(before, f"{before}{name}-")
    return f"<figure>{re.sub(r'<[?!][^>]*>', '', svg)}</figure>"


def _table(frame: pl.DataFrame, ours: str | None = None) -> str:
    """Return a table; numbers to the right, the row of the best model in bold."""
    text = [not dtype.is_numeric() for dtype in frame.dtypes]
    kinds = [' class="text"' if left else "" for left in text]
    names = [html.escape(name.replace("_", " ")) for name in frame.columns]
    head = "".join(f"<th{kind}>{name}</th>" for kind, name in zip(kinds, names, strict=True))
    rows = []
    for row in frame.iter_rows():
        cells = "".join(
            f"<td{kind}>{html.escape(_shown(value))}</td>" for kind, value in zip(kinds, row, strict=True)
        )
        best = ' class="ours"' if ours is not None and row[0] == ours else ""
        rows.append(f"<tr{best}>{cells}</tr>")
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _note(text: str) -> str:
    return f'<p class="about">{html.escape(text)}</p>'


def _shown(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        if 0.0 < abs(value) < 0.001:
            return "< 0.001" if value > 0 else "> −0.001"
        return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 100_000 else str(value)
