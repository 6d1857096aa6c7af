"""What the command line shows: progress on a terminal, messages on stderr, data and tables on stdout."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretell.errors import ParameterError, StorageError

if TYPE_CHECKING:
    import polars as pl

    from foretell.evaluation.tuning import SearchProgress
    from foretell.nn.training import Progress

TABLE_FORMATS = (".csv", ".parquet", ".json")


def say(message: object) -> None:
    """Write a message for the reader to stderr."""
    sys.stderr.write(f"{message}\n")


def tell(data: str) -> None:
    """Write data to stdout."""
    sys.stdout.write(data if data.endswith("\n") else data + "\n")


@contextlib.contextmanager
def training_progress() -> Iterator[Callable[[Progress], None] | None]:
    """Give a callback for `EventForecaster.fit` that draws bars; None where stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich import progress  # noqa: PLC0415  # only a terminal needs it
    from rich.console import Console  # noqa: PLC0415

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TextColumn("epoch {task.completed:.0f} of at most {task.total:.0f}"),
        progress.TextColumn("{task.fields[loss]}"),
        progress.TimeElapsedColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[int, progress.TaskID] = {}

        def heard(news: Progress) -> None:
            # Members train side by side: each has a bar.
            if news.member not in tasks:
                label = f"network {news.member + 1}"
                tasks[news.member] = bars.add_task(label, total=news.epochs, loss="")
            loss = f"loss {news.validation_loss:.4f}"
            bars.update(tasks[news.member], completed=news.epoch + 1, loss=loss)

        yield heard


@contextlib.contextmanager
def search_progress() -> Iterator[Callable[[SearchProgress], None] | None]:
    """Give a callback for `foretell.tune` that draws a bar; None where stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich import progress  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    columns = (
        progress.BarColumn(),
        progress.TextColumn("trial {task.completed:.0f} of {task.total:.0f}"),
        progress.TextColumn("{task.fields[best]}"),
        progress.TimeElapsedColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("search", total=1, best="")

        def heard(news: SearchProgress) -> None:
            best = "" if news.best is None else f"best {news.best:.4g}"
            bars.update(task, completed=news.done, total=news.trials, best=best)

        yield heard


@contextlib.contextmanager
def busy(what: str) -> Iterator[None]:
    """Say what goes on, with a spinner on a terminal and not at all elsewhere."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # noqa: PLC0415

    with Console(stderr=True).status(f"{what} …"):
        yield


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


def draw_all(charts: Mapping[str, Callable[[], Any]], place: Path) -> None:
    """Make the directory, then draw each chart into it as a PNG of its name, and say so."""
    from foretell import plotting  # noqa: PLC0415

    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write to {place}: {error.strerror}") from error
    with busy("drawing"):
        for name, draw in charts.items():
            say(f"{plotting.save(draw(), place / f'{name}.png')} written")


def write_table(frame: pl.DataFrame, path: Path | None, *, as_json: bool = False) -> None:
    """Write a table to a file by its ending, or to stdout as CSV or JSON."""
    if path is None:
        tell(frame.write_json() if as_json else frame.write_csv())
        return
    writers: dict[str, Callable[[Path], Any]] = {
        ".csv": frame.write_csv,
        ".parquet": frame.write_parquet,
        ".json": frame.write_json,
    }
    try:
        writers[path.suffix.lower()](path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
    say(f"{frame.height:,} rows written to {path}")


def show_table(frame: pl.DataFrame, *, title: str = "") -> None:
    """Write a small table for people to stdout."""
    from rich import box  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name, dtype in frame.schema.items():
        table.add_column(name.replace("_", " "), justify="right" if dtype.is_numeric() else "left")
    for row in frame.iter_rows():
        table.add_row(*[_shown(value) for value in row])
    # A pipe has no width: nothing is cut or wrapped there.
    width = None if sys.stdout.isatty() else 400
    Console(file=sys.stdout, width=width, highlight=False, markup=False).print(table)


def _shown(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        if 0.0 < abs(value) < 0.0005:
            return "< 0.001"
        return f"{value:.4g}" if abs(value) < 100 else f"{value:,.0f}"
    return str(value)
