"""What the command line shows: progress on a terminal, messages on stderr, data and tables on stdout."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from foretell.errors import ParameterError, StorageError

if TYPE_CHECKING:
    import polars as pl

    from foretell.plotting.charts import Chart

T = TypeVar("T")


def say(message: object) -> None:
    """Write a message for the reader to stderr, and to the library's logger."""
    logging.getLogger("foretell").info("%s", message)
    sys.stderr.write(f"{message}\n")


def tell(data: str) -> None:
    """Write data to stdout."""
    sys.stdout.write(data if data.endswith("\n") else data + "\n")


@contextlib.contextmanager
def partition_progress() -> Iterator[Callable[[int, int], None]]:
    """Give a callback that draws a bar; where stderr is not a terminal, a line for each tenth."""
    from foretell.core.progress import bars, is_watched  # noqa: PLC0415  # numpy comes with it

    if not is_watched():
        yield _say_tenths
        return
    with bars([], ["partition {task.completed:.0f} of {task.total:.0f}"]) as drawn:
        task = drawn.add_task("partitions", total=1)
        yield lambda done, total: drawn.update(task, completed=done, total=total)


def _say_tenths(done: int, total: int) -> None:
    if done * 10 // total > (done - 1) * 10 // total:
        say(f"{done:,} of {total:,} partitions")


@contextlib.contextmanager
def busy(what: str) -> Iterator[None]:
    """Say what goes on, with a spinner on a terminal and not at all elsewhere."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # noqa: PLC0415

    with Console(stderr=True).status(f"{what} …"):
        yield


def each(what: str, parts: Iterable[T]) -> Iterator[T]:
    """Give the parts one after the other; say what goes on while each is made."""
    iterator = iter(parts)
    while True:
        with busy(what):
            part = next(iterator, None)
        if part is None:
            return
        yield part


def check_file(path: Path | None, endings: tuple[str, ...], what: str) -> None:
    """Refuse a file name before any work is done for it; without endings any will do."""
    if path is None:
        return
    if endings and path.suffix.lower() not in endings:
        raise ParameterError(
            f"{path.name!r} does not say which kind of {what} it is; expected a name that ends in "
            f"{', '.join(endings[:-1])} or {endings[-1]}"
        )
    if not path.absolute().parent.is_dir():
        raise StorageError(f"cannot write {path}: the directory {path.parent} is not there")


def make_directory(place: Path) -> Path:
    """Return a directory that is there."""
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write to {place}: {error.strerror}") from error
    return place


def draw_all(charts: Mapping[str, Callable[[], Chart]], place: Path) -> None:
    """Make the directory, then draw each chart into it as a PNG of its name, and say so."""
    from foretell import plotting  # noqa: PLC0415

    make_directory(place)
    with busy("drawing"):
        for name, draw in charts.items():
            say(f"{plotting.save(draw(), place / f'{name}.png')} written")


def show_rows(tables: Iterable[pl.DataFrame], columns: Sequence[str] = (), most: int = 40) -> None:
    """Write the first rows of tables for people to stdout, rounded, and say what is left out.

    Of the columns those named, by default as many as the terminal is wide.
    """
    first: pl.DataFrame | None = None
    rows = 0
    for table in tables:
        rows += table.height
        if first is None or first.height < most:
            first = table.head(most) if first is None else first.vstack(table.head(most - first.height))
    if first is None or not first.height:
        say("no rows")
        return
    seen = first.select(columns or _fitting(first, shutil.get_terminal_size().columns))
    _draw(seen)
    if rows > seen.height or first.width > seen.width:
        say(
            f"{seen.height} of {rows:,} rows and {seen.width} of {first.width} columns; all of them with "
            "--out FILE or through a pipe"
        )


def _fitting(table: pl.DataFrame, width: int) -> list[str]:
    """Return the names of the first columns that fit in a width."""
    from foretell.evaluation.evaluation import shown  # noqa: PLC0415

    widths = [3 + max(map(len, [*name.split("_"), *map(shown, table[name])])) for name in table.columns]
    fitting = [name for name, end in zip(table.columns, accumulate(widths), strict=True) if end <= width]
    return fitting or table.columns[:1]


def show_table(frame: pl.DataFrame, *, title: str = "") -> None:
    """Write a small table for people to stdout; on a terminal as many columns as it is wide."""
    columns = _fitting(frame, shutil.get_terminal_size().columns) if sys.stdout.isatty() else frame.columns
    _draw(frame.select(columns), title)
    left_out = [name.replace("_", " ") for name in frame.columns[len(columns) :]]
    if left_out:
        say(f"not shown, for want of room: {', '.join(left_out)}")


def _draw(frame: pl.DataFrame, title: str = "") -> None:
    from rich import box  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from foretell.evaluation.evaluation import shown  # noqa: PLC0415

    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name, dtype in frame.schema.items():
        table.add_column(name.replace("_", " "), justify="right" if dtype.is_numeric() else "left")
    for row in frame.iter_rows():
        table.add_row(*[shown(value) for value in row])
    # A pipe has no width: nothing is cut or wrapped there.
    width = None if sys.stdout.isatty() else 400
    Console(file=sys.stdout, width=width, highlight=False, markup=False).print(table)
