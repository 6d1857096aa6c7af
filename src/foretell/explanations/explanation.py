"""What moved a forecast away from its anchor: the common form for customers and series."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import polars as pl


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """A forecast as a sum: the anchor, what all have in common, and what is the one's own.

    Attributes
    ----------
    id : value
        The customer or series.
    quantity : str
        What is forecast.
    anchor : float
        The classical forecast from which the network starts.
    forecast : float
        What the model says.
    parts : tuple of (what, value, contribution)
        What it comes from, its value in words, and by how much it moved the forecast; together they are the
        way from the anchor to the forecast.
    words : tuple of str
        The same in sentences, the most important first.
    share : bool
        The quantity is a probability.
    """

    id: object
    quantity: str
    anchor: float
    forecast: float
    parts: tuple[tuple[str, str, float], ...]
    words: tuple[str, ...]
    share: bool = False

    def __str__(self) -> str:
        return "\n".join(self.words)

    def table(self) -> pl.DataFrame:
        """Return ``what``, ``value``, ``contribution``: anchor and parts, and the forecast, their sum."""
        rows = [("anchor", "", self.anchor), *self.parts, ("forecast", "", self.forecast)]
        return pl.DataFrame(rows, schema=["what", "value", "contribution"], orient="row")


def ranked(parts: Sequence[tuple[str, str, float]], least: float) -> list[tuple[str, str, float]]:
    """Return the parts that moved the forecast by at least so much, the largest first.

    Examples
    --------
    >>> ranked([("gap", "8 days", 0.1), ("mark", "20", 0.001), ("pace", "", -0.2)], 0.01)
    [('pace', '', -0.2), ('gap', '8 days', 0.1)]
    """
    return sorted((part for part in parts if abs(part[2]) >= least), key=lambda part: -abs(part[2]))


def listed(texts: Sequence[str]) -> str:
    """Return texts joined as in a sentence.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else "".join(texts)
