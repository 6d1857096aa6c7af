"""What the command line shows: progress on a terminal, messages on stderr, data and tables on stdout."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from foretell.errors import ParameterError, StorageError

if TYPE_CHECKING:
    import polars as pl
    import rich.progress

    from foretell.evaluation.tuning import SearchProgress
    from foretell.nn.training import Progress
    from foretell.plotting.charts import Chart

T = TypeVar("T")


def say(message: object) -> None:
    """Write a message for the reader to stderr."""
    sys.stderr.write(f"{message}\n")


def tell(data: str) -> None:
    """Write data to stdout."""
    sys.stdout.write(data if data.endswith("\n") else data + "\n")


@contextlib.contextmanager
def _bars(before: Sequence[str], after: Sequence[str]) -> Iterator[rich.progress.Progress | None]:
    """Give bars, with texts before and after, that vanish at the end; None where stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich import progress  # noqa: PLC0415  # only a terminal needs it
    from rich.console import Console  # noqa: PLC0415

    columns: list[str | progress.ProgressColumn] = [*before, progress.BarColumn(), *after]
    with progress.Progress(
        *columns, progress.TimeElapsedColumn(), console=Console(stderr=True), transient=True
    ) as bars:
        yield bars


@contextlib.contextmanager
def training_progress() -> Iterator[Callable[[Progress], None] | None]:
    """Give a callback for ``fit`` that draws a bar for each member; None where stderr is not a terminal."""
    epochs = "epoch {task.completed:.0f} of at most {task.total:.0f}"
    with _bars(["{task.description}"], [epochs, "{task.fields[loss]}"]) as bars:
        if bars is None:
            yield None
            return
        tasks: dict[int, rich.progress.TaskID] = {}

        def show(epoch: Progress) -> None:
            # Members train side by side: each has a bar.
            if epoch.member not in tasks:
                label = f"network {epoch.member + 1}"
                tasks[epoch.member] = bars.add_task(label, total=epoch.epochs, loss="")
            loss = f"loss {epoch.validation_loss:.4f}"
            bars.update(tasks[epoch.member], completed=epoch.epoch + 1, loss=loss)

        yield show


@contextlib.contextmanager
def search_progress() -> Iterator[Callable[[SearchProgress], None] | None]:
    """Give a callback for `foretell.tune` that draws a bar; None where stderr is not a terminal."""
    with _bars([], ["trial {task.completed:.0f} of {task.total:.0f}", "{task.fields[best]}"]) as bars:
        if bars is None:
            yield None
            return
        task = bars.add_task("search", total=1, best="")

        def show(search: SearchProgress) -> None:
            best = "" if search.best is None else f"best {search.best:.4g}"
            bars.update(task, completed=search.done, total=search.trials, best=best)

        yield show


@contextlib.contextmanager
def partition_progress() -> Iterator[Callable[[int, int], None]]:
    """Give a callback that draws a bar; where stderr is not a terminal, a line for each tenth."""
    with _bars([], ["partition {task.completed:.0f} of {task.total:.0f}"]) as bars:
        task = None if bars is None else bars.add_task("partitions", total=1)

        def show(done: int, total: int) -> None:
            if bars is not None and task is not None:
                bars.update(task, completed=done, total=total)
            elif done * 10 // total > (done - 1) * 10 // total:
                say(f"{done:,} of {total:,} partitions")

        yield show


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
    show_table(seen)
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
    """Write a small table for people to stdout."""
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
