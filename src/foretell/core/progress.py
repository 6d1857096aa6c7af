"""Bars for those who wait: on a terminal and in a notebook, and nowhere else."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from foretell.errors import ParameterError

if TYPE_CHECKING:
    import rich.progress

Step = TypeVar("Step")
Told = TypeVar("Told", bound=Callable[..., None])
_Watched: TypeAlias = Told | bool | None
Watch: TypeAlias = Callable[[Step], None] | bool | None
"""What ``progress=`` takes: a function that is called after each step, False, or None for a bar."""

Fitting: TypeAlias = Callable[[int, int, str], None]
"""What is called before each fit of a backtest: with the fold, the number of folds, and the model's name."""

WatchFits: TypeAlias = Fitting | bool | None


class Epoch(Protocol):
    """What is said after an epoch of a member."""

    @property
    def member(self) -> int:
        """Which network, from 0."""

    @property
    def epoch(self) -> int:
        """How many are done."""

    @property
    def epochs(self) -> int:
        """How many there may be."""

    @property
    def validation_loss(self) -> float:
        """Of the part that is held out."""


class Trial(Protocol):
    """What is said after a trial of a search."""

    @property
    def done(self) -> int:
        """How many are done."""

    @property
    def trials(self) -> int:
        """How many are planned."""

    @property
    def best(self) -> float | None:
        """The best figure so far."""


AnEpoch = TypeVar("AnEpoch", bound=Epoch)
ATrial = TypeVar("ATrial", bound=Trial)


def is_watched() -> bool:
    """Return whether somebody sees a bar: stderr is a terminal, or this is a notebook."""
    if sys.stderr is not None and sys.stderr.isatty():
        return True
    if "IPython" not in sys.modules:
        return False
    from rich.console import Console  # noqa: PLC0415  # only a terminal or a notebook needs it

    return Console().is_jupyter


@contextlib.contextmanager
def bars(before: Sequence[str], after: Sequence[str]) -> Iterator[rich.progress.Progress]:
    """Give bars, with texts before and after, that vanish at the end."""
    from rich import progress  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    columns: list[str | progress.ProgressColumn] = [*before, progress.BarColumn(), *after]
    with progress.Progress(
        *columns, progress.TimeElapsedColumn(), console=Console(stderr=True), transient=True
    ) as drawn:
        yield drawn


def watch_training(watch: Watch[AnEpoch]) -> AbstractContextManager[Callable[[AnEpoch], None] | None]:
    """Give what is called after each epoch: by default a bar for each member, where somebody watches."""
    return _watched(watch, _EpochBars)


def watch_search(watch: Watch[ATrial]) -> AbstractContextManager[Callable[[ATrial], None] | None]:
    """Give what is called after each trial: by default a bar, where somebody watches."""
    return _watched(watch, _TrialBar)


def watch_backtest(watch: WatchFits) -> AbstractContextManager[Fitting | None]:
    """Give what is called before each fit: by default a bar of the folds, where somebody watches."""
    return _watched(watch, _FoldBar)


@contextlib.contextmanager
def _watched(watch: _Watched[Told], drawing: Callable[[contextlib.ExitStack], Told]) -> Iterator[Told | None]:
    if watch is None or isinstance(watch, bool):
        with contextlib.ExitStack() as stack:
            yield drawing(stack) if watch or (watch is None and is_watched()) else None
    elif callable(watch):
        yield watch
    else:
        raise ParameterError(
            f"progress={watch!r}; expected a function that is called after each step, or False for no bar"
        )


class _EpochBars:
    """A bar for each member, drawn from the first epoch on: who trains nothing sees none."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack, self._lock = stack, threading.Lock()
        self._bars: rich.progress.Progress | None = None
        self._tasks: dict[int, rich.progress.TaskID] = {}

    def __call__(self, epoch: Epoch) -> None:
        with self._lock:  # members train side by side
            if self._bars is None:
                epochs = "{task.completed:.0f} passes over the data"
                self._bars = self._stack.enter_context(
                    bars(["{task.description}"], [epochs, "{task.fields[loss]}"])
                )
            if epoch.member not in self._tasks:
                label = f"network {epoch.member + 1}"
                self._tasks[epoch.member] = self._bars.add_task(label, total=epoch.epochs, loss="")
            loss = f"loss {epoch.validation_loss:.4f}"
            self._bars.update(self._tasks[epoch.member], completed=epoch.epoch, total=epoch.epochs, loss=loss)


class _TrialBar:
    """A bar for a search."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._bars = stack.enter_context(
            bars([], ["trial {task.completed:.0f} of {task.total:.0f}", "{task.fields[best]}"])
        )
        self._task = self._bars.add_task("search", total=1, best="")

    def __call__(self, search: Trial) -> None:
        best = "" if search.best is None else f"best {search.best:.4g}"
        self._bars.update(self._task, completed=search.done, total=search.trials, best=best)


class _FoldBar:
    """A bar of the cut-offs of a backtest, beside the model that is fitted."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._bars = stack.enter_context(
            bars([], ["cut-off {task.completed:.0f} of {task.total:.0f}", "{task.fields[model]}"])
        )
        self._task = self._bars.add_task("backtest", total=1, model="")

    def __call__(self, fold: int, folds: int, model: str) -> None:
        self._bars.update(self._task, completed=fold + 1, total=folds, model=model)
