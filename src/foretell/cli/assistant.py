"""The first command, asked for step by step: what file, which columns, what to forecast."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from foretell.cli import terminal
from foretell.data.rows import likely_columns

if TYPE_CHECKING:
    import polars as pl

_ROWS = 5
_VISITS, _SERIES = "visits", "series"


def first_command(source: str | None) -> list[str]:
    """Return the words of the command that learns from what somebody describes.

    Questions go to stderr, each with what is proposed: enter takes it.
    """
    rows = source or _ask("File, folder or database URL")
    words, head = _opened(rows)
    terminal.say("")
    terminal.show_table(head, title="The first rows")
    likely = likely_columns(head.columns)
    kind = _choice("Are these visits of customers, or values of regular series?", (_VISITS, _SERIES))
    if kind == _VISITS:
        options = {
            "--id": _column("Who came: the column of the customer", head, likely.get("id")),
            "--time": _column("When: the column of the time", head, likely.get("time")),
            "--mark": _column("What it was worth: an amount", head, likely.get("mark"), none=True),
            "--group": _column("Where: the store", head, likely.get("group"), none=True),
        }
    else:
        options = {
            "--id": _column("Which series: a column, if any", head, likely.get("id"), none=True),
            "--time": _column("When: the column of the time", head, likely.get("time")),
            "--target": _column("What to forecast: a column of numbers", head, likely.get("target")),
            "--horizon": _ask("How far ahead: steps, or a duration such as 4w", "28"),
        }
        if not options["--id"]:  # a single series says so
            words += ["--id", ""]
    answers = _choice("Train a network on them (a minute or more), or answer at once?", ("train", "at once"))
    words += [word for name, value in options.items() if value for word in (name, value)]
    words += [] if answers == "train" else ["--model", "prior"]
    return ["fit", *words, "--out", _free_place()]


def _opened(rows: str) -> tuple[list[str], pl.DataFrame]:
    """Return the words that name a source, and its first rows."""
    from foretell.data.sources import is_url  # noqa: PLC0415  # help does without tables

    if not is_url(rows):
        from foretell.data.files import head_of_file  # noqa: PLC0415

        return [rows], head_of_file(rows, _ROWS)
    from foretell.data.database import head_of_table  # noqa: PLC0415

    table = _ask("Which table")
    return [rows, "--table", table], head_of_table(rows, _ROWS, table=table)


def _ask(question: str, proposed: str | None = None) -> str:
    answer: str = typer.prompt(question, default=proposed, err=True)
    return answer.strip()


def _choice(question: str, known: Sequence[str]) -> str:
    """Ask until one of some answers is given; its first letters will do."""
    while True:
        answer = _ask(f"{question} ({' / '.join(known)})", known[0])
        found = [name for name in known if answer and name.startswith(answer.lower())]
        if found:
            return found[0]
        terminal.say(f"{answer!r} is none of {', '.join(known)}")


def _column(question: str, head: pl.DataFrame, likely: str | None, *, none: bool = False) -> str:
    """Ask until a column is named; where there may be none, - stands for it."""
    proposed = likely or ("-" if none else None)
    hint = f"{question} (- for none)" if none else question
    while True:
        answer = _ask(hint, proposed)
        if answer in head.columns:
            return answer
        if none and answer == "-":
            return ""
        terminal.say(f"there is no column {answer!r}; there are {', '.join(head.columns)}")


def _free_place() -> str:
    """Ask for the directory of the model; proposed is one that is not there yet."""
    names = ["model", *(f"model{k}" for k in range(2, 100))]
    return _ask("Where to write the model", next(name for name in names if not Path(name).exists()))
