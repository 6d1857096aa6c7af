"""How the page calls what stands in tables."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from typing import Final

from foretell.i18n import Translator

_PLAIN: Final = {
    "unique_id": "customer",
    "as_of": "as of",
    "n_events": "visits so far",
    "last_event": "last visit",
    "p_active": "chance of any further visit",
    "next_event": "next visit, if there is one",
    "overdue": "how late, from 0 to 1",
    "reason": "why",
    "column": "what",
    "given": "if it is",
    "against": "in place of",
    "times": "times as many visits",
    "week_after": "in the week after",
    "second_week": "in the second week",
    "visits_to_win": "visits to win",
    "value_per_visit": "value per visit",
    "value_to_win": "value to win",
    "spend": "sum of what visits are worth",
    "spend_per_visit": "worth of a visit",
    "value": "worth of the visits of a year",
    "visits": "visits",
    "foretell": "forecast",
    "ds": "date",
    "end": "up to",
    "target": "what",
    "model": "model",
    "rmse": "root mean squared error",
    "mae": "mean absolute error",
    "bias_pct": "total too high, %",
    "coverage_80": "within the 80 % interval",
    "mase": "mean absolute error, of the naive rule's",
    "smape": "mean absolute error, %",
}
FIGURES: Final = ("model", "rmse", "mase", "mae", "smape", "bias_pct", "coverage_80")
"""What a comparison shows first."""
_TIMED: Final = (
    (re.compile(r"p_return_(\w+)"), "chance of a visit within {time}"),
    (re.compile(r"expected_events_(\w+)"), "visits to expect within {time}"),
    (re.compile(r"expected_spend_(\w+)"), "worth of the visits within {time}"),
)
_LEVEL: Final = re.compile(r"(?P<of>.*?)-?(?P<side>lo|hi)-(?P<level>[\d.]+)")
_UNITS: Final = {"d": "{count} days", "w": "{count} weeks", "h": "{count} hours"}


def headings(columns: Iterable[str], say: Translator) -> list[str]:
    """Return how columns are called in the reader's language.

    Examples
    --------
    >>> headings(["next_event-lo-80", "p_return_30d", "town"], Translator("en"))
    ['next visit, if there is one: at least (90 % sure)', 'chance of a visit within 30 days', 'town']
    """
    return [_heading(column, say) for column in columns]


def _heading(column: str, say: Translator) -> str:
    level = _LEVEL.fullmatch(column)
    if level is not None:
        sure = f"{50 + float(level['level']) / 2:g}"
        side = "at least" if level["side"] == "lo" else "at most"
        edge = say(f"{side} ({sure} % sure)")
        return f"{_heading(level['of'], say)}: {edge}" if level["of"] else edge
    for pattern, words in _TIMED:
        found = pattern.fullmatch(column)
        if found is not None:
            return say(words, time=duration(found[1], say))
    return say(_PLAIN[column]) if column in _PLAIN else column


def duration(text: str, say: Translator) -> str:
    """Return a duration in words.

    Examples
    --------
    >>> duration("30d", Translator("en")), duration("1y", Translator("en"))
    ('30 days', '1y')
    """
    count, unit = text[:-1], text[-1:]
    return say(_UNITS[unit], count=count) if unit in _UNITS and count.isdecimal() else text


def steps(count: int, say: Translator) -> str:
    """Return a number of steps in words."""
    return say("the next {count} steps", count=count)


def spelled(value: object, column: str = "") -> str:
    """Return a value of a table for people: short, chances in per cent, and a dash for what is not known.

    Examples
    --------
    >>> spelled(0.1234), spelled(1234.5), spelled(None), spelled(dt.datetime(2024, 1, 31))
    ('0.12', '1,234', '–', '2024-01-31')
    >>> spelled(0.1234, "p_return_30d")
    '12 %'
    """
    if value is None:
        return "–"
    if isinstance(value, float):
        if column.startswith("p_"):
            return f"{100 * value:.0f} %"
        whole = abs(value) >= 100 or value.is_integer()
        return f"{value:,.0f}" if whole else f"{value:.2f}"
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    return (
        f"{value:,}"
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10_000
        else str(value)
    )
