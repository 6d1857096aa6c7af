"""What all parts of the torture share: seeded trials within a budget, and what came of them."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import faulthandler
import shutil
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from foretell.errors import ForetellError

FAULT = "FAULT"
# A trial that takes so many seconds hangs: it is ended; one that cannot be says where it stood.
HANGS = 30
# One experiment in a folder of its own; returns what came of it in a word, or FAULT and what was wrong.
Trial = Callable[[np.random.Generator, Path], str]


@dataclasses.dataclass(frozen=True)
class Budget:
    """How many trials, for how long at most, from which seed, and which is the first."""

    count: int
    seconds: float = float("inf")
    seed: int = 0
    first: int = 0


@dataclasses.dataclass
class Result:
    """What came of a part: how often which outcome, and the faults in words, by the number of the trial."""

    part: str
    counts: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    faults: dict[int, str] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0

    @property
    def tried(self) -> int:
        return self.counts.total()

    def row(self) -> str:
        """Return a row of the table."""
        others = ", ".join(f"{n:,} {what}" for what, n in sorted(self.counts.items()) if what != FAULT)
        return f"| {self.part} | {self.tried:,} | {len(self.faults):,} | {others} | {self.seconds:.0f} |"


HEADER = "| part | trials | faults | what came of the others | seconds |\n|---|---|---|---|---|"


def torture(part: str, trial: Trial, budget: Budget, hangs: int = HANGS) -> Result:
    """Run trials; the same number under the same seed is the same trial."""
    result, begun = Result(part), time.perf_counter()
    with tempfile.TemporaryDirectory() as work, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        place = Path(work) / "trial"
        for k in _within(budget):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            try:
                with _watched(hangs), contextlib.chdir(place):  # a name alone is a file there
                    outcome = trial(np.random.default_rng([budget.seed, k]), place)
            except _Hangs:
                outcome = f"{FAULT}: hangs"
            what, _, words = outcome.partition(": ")
            result.counts[what] += 1
            if what == FAULT:
                result.faults[k] = words
    result.seconds = time.perf_counter() - begun
    return result


class _Hangs(BaseException):
    """A trial does not end."""


@contextlib.contextmanager
def _watched(seconds: int) -> Iterator[None]:
    """End what hangs."""

    def end(*_: object) -> None:
        raise _Hangs

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    faulthandler.dump_traceback_later(4 * seconds, exit=True)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()


def _within(budget: Budget) -> Iterator[int]:
    end = time.perf_counter() + budget.seconds
    for k in range(budget.first, budget.first + budget.count):
        if time.perf_counter() > end:
            return
        yield k


def raised(error: BaseException) -> str:
    """Return the outcome of an error: refused, where foretell raises it on purpose, else a fault."""
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
        raise error
    if isinstance(error, ForetellError):
        return "refused"
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{FAULT}: {type(error).__name__}: {str(error)[:200]!r} ({where.filename}:{where.lineno})"
