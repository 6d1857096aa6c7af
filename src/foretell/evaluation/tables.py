"""Tables of figures as text and as HTML."""

from __future__ import annotations

import html
from collections.abc import Collection

import polars as pl


def shown(value: object) -> str:
    """Return a value as people read it; what is missing as a dash.

    Examples
    --------
    >>> shown(None), shown(0.00004), shown(3.14159), shown(1234567)
    ('–', '< 0.001', '3.142', '1,234,567')
    """
    if value is None:
        return "–"
    if isinstance(value, float):
        if 0.0 < abs(value) < 0.001:
            return "< 0.001" if value > 0 else "> −0.001"
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 100_000 else str(value)


def text_table(frame: pl.DataFrame) -> str:
    """Return a table as lines of text, numbers to the right."""
    table = [frame.columns, *([shown(value) for value in row] for row in frame.iter_rows())]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    left = [not dtype.is_numeric() for dtype in frame.dtypes]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if to_left else cell.rjust(width)
            for cell, width, to_left in zip(line, widths, left, strict=True)
        ).rstrip()
        for line in table
    )


def html_table(frame: pl.DataFrame, bold: Collection[str] = ()) -> str:
    """Return a table for a page; rows whose first cell is among some names in bold."""
    classes = ["" if dtype.is_numeric() else ' class="text"' for dtype in frame.dtypes]
    names = [html.escape(name.replace("_", " ")) for name in frame.columns]
    head = "".join(f"<th{kind}>{name}</th>" for kind, name in zip(classes, names, strict=True))
    rows = []
    for row in frame.iter_rows():
        cells = "".join(
            f"<td{kind}>{html.escape(shown(value))}</td>" for kind, value in zip(classes, row, strict=True)
        )
        kind = ' class="ours"' if row[0] in bold else ""
        rows.append(f"<tr{kind}>{cells}</tr>")
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )
