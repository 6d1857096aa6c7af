"""What was read, what was left out and why: counted while reading."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import polars as pl

from foretell.core.notebook import card
from foretell.errors import EmptyLogError


@dataclasses.dataclass(frozen=True)
class ReadReport:
    """What was read and what was left out, and why: of a log and of a panel alike.

    Attributes
    ----------
    rows_read : int
        Rows that the source delivered.
    rows : int
        Events of the log, or rows of the panel, future ones among them: ``rows_read`` less what ``left_out``
        counts.
    left_out : dict of str to int
        Reason → rows left out for it, merged ones among them; reasons without rows are absent.
    examples : dict of str to tuple of str
        Reason → the first few offending values, customers or series, to look them up.
    adjusted : dict of str to int
        What was changed → rows that were kept with it; ``left_out`` does not count them.
    noted : dict of str to int
        What is as it came and good to know → steps or series of that kind.
    """

    rows_read: int
    rows: int
    left_out: dict[str, int] = dataclasses.field(default_factory=dict)
    examples: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    adjusted: dict[str, int] = dataclasses.field(default_factory=dict)
    noted: dict[str, int] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        counts = self.left_out | self.adjusted | self.noted
        return "\n".join(
            [f"{self.rows_read:,} rows read, {self.rows:,} kept", *reason_lines(counts, self.examples)]
        )

    def _repr_html_(self) -> str:
        """Show the same in a notebook."""
        facts: dict[str, object] = {"rows read": self.rows_read, "kept": self.rows}
        for reason, rows in (self.left_out | self.adjusted | self.noted).items():
            shown = self.examples.get(reason, ())
            facts[reason] = f"{rows:,}" + (f", for example {', '.join(shown)}" if shown else "")
        return card("What was read", facts)

    def in_short(self) -> str:
        """Return on one line what was left out or changed, without examples."""
        counts = self.left_out | self.adjusted | self.noted
        return "; ".join(f"{rows:,} {reason}" for reason, rows in counts.items())

    def counts(self) -> dict[str, object]:
        """Return what was counted, for JSON."""
        return {name: getattr(self, name) for name in ("rows_read", "left_out", "adjusted", "noted")}


def reason_lines(counts: Mapping[str, int], examples: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return one line for each reason: how many, and a few to look up."""
    lines = []
    for reason, rows in counts.items():
        shown = examples.get(reason, ())
        lines.append(f"  {rows:,} {reason}" + (f" (for example {', '.join(shown)})" if shown else ""))
    return lines


class Tally:
    """Rows left out or adjusted, and why."""

    def __init__(self, origin: str, rows: int) -> None:
        self.origin, self.rows = origin, rows
        self.left_out: dict[str, int] = {}
        self.adjusted: dict[str, int] = {}
        self.noted: dict[str, int] = {}
        self.examples: dict[str, tuple[str, ...]] = {}

    def leave_out(self, reason: str, rows: int, examples: Iterable[object]) -> None:
        """Count rows that are left out."""
        self._count(self.left_out, reason, rows, examples)

    def note(self, what: str, count: int, examples: Iterable[object] = ()) -> None:
        """Count what stays as it came."""
        self._count(self.noted, what, count, examples)

    def drop(
        self,
        frame: pl.DataFrame,
        mask: pl.Series,
        reason: str,
        shown: pl.Series,
        rows: pl.Series | None = None,
    ) -> pl.DataFrame:
        """Return the frame without the rows of the mask.

        ``shown`` holds what names each row; ``rows`` its number in the source, where that helps to find it.
        """
        if not mask.any():
            return frame
        self.leave_out(reason, int(mask.sum()), _examples(mask, shown, rows))
        left = frame.filter(~mask)
        if left.is_empty():
            raise self.nothing_left()
        return left

    def adjust(self, reason: str, mask: pl.Series, shown: pl.Series, rows: pl.Series | None = None) -> None:
        """Count rows that stay with a value changed."""
        if mask.any():
            self._count(self.adjusted, reason, int(mask.sum()), _examples(mask, shown, rows))

    def report(self, rows: int) -> ReadReport:
        """Return the report of a source of which so many rows are kept."""
        return ReadReport(self.rows, rows, self.left_out, self.examples, self.adjusted, self.noted)

    def nothing_left(self) -> EmptyLogError:
        """Return the error for a source of which no row is left."""
        lines = reason_lines(self.left_out | self.adjusted, self.examples)
        reasons = "; ".join(line.strip() for line in lines)
        return EmptyLogError(f"none of the {self.rows:,} rows of {self.origin} can be used: {reasons}")

    def _count(self, counts: dict[str, int], reason: str, rows: int, examples: Iterable[object]) -> None:
        if rows:
            counts[reason] = rows
            shown = tuple(map(brief, examples))
            if shown:
                self.examples[reason] = shown


def _examples(mask: pl.Series, shown: pl.Series, rows: pl.Series | None) -> list[object]:
    """Return the first few values of the rows of a mask, and where each was found first."""
    table = pl.DataFrame({"shown": shown, "row": mask if rows is None else rows}, strict=False).filter(mask)
    few = table.head(1_000).unique("shown", keep="first", maintain_order=True).head(3)
    if rows is None:
        return few["shown"].to_list()
    return [f"{brief(value)} in row {row:,}" for value, row in few.iter_rows()]


_LONGEST = 40


def brief(value: object) -> str:
    r"""Return a value for a message, on one line and of no more than 40 characters.

    Examples
    --------
    >>> brief("a field with a line\nbreak that goes on and on and on")
    'a field with a line break that goes on …'
    """
    text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1].rstrip()} …"


def in_rows(values: pl.Series, rows: pl.Series) -> str:
    """Return the first few different values for a message, each with the row where it was found first.

    Examples
    --------
    >>> in_rows(pl.Series(["free", "free", "n.a."]), pl.Series([3, 4, 9]))
    "'free' in row 3, 'n.a.' in row 9"
    """
    few = (
        pl.DataFrame({"value": values, "row": rows})
        .unique("value", keep="first", maintain_order=True)
        .head(3)
    )
    return ", ".join(f"{brief(value)!r} in row {row:,}" for value, row in few.iter_rows())
