"""What a notebook shows of an object: its name, and a small table of facts about it."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Final

_LONGEST: Final = 200  # characters of a fact
_CELL: Final = "text-align: left; vertical-align: top"


def card(title: str, facts: Mapping[str, object]) -> str:
    """Return a piece of HTML, escaped, without scripts; facts that are None are left out.

    Examples
    --------
    >>> card("A <b>", {"n": 1234, "none": None}).count("&lt;b&gt;")
    1
    """
    rows = "".join(
        f'<tr><th style="{_CELL}">{html.escape(name)}</th><td style="{_CELL}">{_shown(value)}</td></tr>'
        for name, value in facts.items()
        if value is not None
    )
    return f"<div><strong>{html.escape(title)}</strong><table>{rows}</table></div>"


def _shown(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return html.escape(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…").replace("\n", "<br>")
