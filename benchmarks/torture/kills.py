"""Processes that are killed while they write: what stands there is the old model or the new one, whole.

Real processes of ``foretell fit --out`` (to a new place, and over an older model), ``foretell update``,
``save`` and ``foretell tune --storage`` get SIGKILL: half of them at any moment, half while they write. What
stands at the place has to be the old model or the new one, or nothing where nothing was; the next save has to
leave nothing else; a search goes on to its end when it is called again. Some processes read under a limit of
their memory instead: they end with a table, with one line of words, or are ended for want of memory.
"""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from benchmarks.torture.harness import FAULT
from benchmarks.torture.tables import pick

import foretell as ft
from foretell.errors import StorageError

# Seconds that a save takes, about.
WRITING = 0.03


class Case(NamedTuple):
    """A command to be killed.

    Attributes
    ----------
    words : list of str
        Of the process.
    place : Path
        Where it writes.
    before : Path or None
        A model that is copied there first.
    answers : list of frames
        What the models say that may be there afterwards.
    """

    words: list[str]
    place: Path
    before: Path | None
    answers: list[pl.DataFrame]


def answer(model: Any) -> pl.DataFrame:
    """Return what tells models apart."""
    table: pl.DataFrame = model.predict(horizons=["30d"], levels=[80])
    return table


def visits(n: int = 60) -> pl.DataFrame:
    """Return the visits of some customers over a year."""
    rng = np.random.default_rng(0)
    days = [np.cumsum(1 + rng.exponential(15.0, 12)).astype(int) for _ in range(n)]
    rows = [(who, int(day)) for who, own in enumerate(days) for day in own if day < 365]
    frame = pl.DataFrame(rows, schema=["unique_id", "day"], orient="row")
    return frame.select("unique_id", ds=pl.date(2023, 1, 1) + pl.duration(days="day"))


def command(*words: object) -> list[str]:
    """Return a command line of foretell."""
    return [sys.executable, "-m", "foretell.cli.commands", *map(str, words)]


def cases(work: Path) -> dict[str, Case]:
    """Return a case of each kind; what each may leave is found by running them to their ends."""
    rows, cut = visits(), pl.date(2023, 10, 1)
    rows.filter(pl.col("ds") < cut).write_csv(work / "visits.csv")
    rows.filter(pl.col("ds") >= cut).write_csv(work / "later.csv")

    def fit(place: Path, seed: int) -> list[str]:
        quick = ["--ensemble", 1, "--epochs", 1, "--set", "network.units=4", "--seed", seed]
        return command("fit", work / "visits.csv", "--as-of", "2023-09-30", *quick, "--out", place)

    old, new, updated = work / "old", work / "new", work / "updated"
    subprocess.run(fit(old, 0), check=True, capture_output=True)
    subprocess.run(fit(new, 1), check=True, capture_output=True)
    place = work / "place" / "model"
    update = command("update", "{}", work / "later.csv", "--as-of", "2023-12-31")
    shutil.copytree(old, updated)
    subprocess.run([word.format(updated) for word in update], check=True, capture_output=True)
    first, second, third = (answer(ft.load(model)) for model in (old, new, updated))
    save = [sys.executable, "-m", "benchmarks.torture.kills", "--save", str(old), str(new), str(place)]
    quick = ["--ensemble", 1, "--epochs", 1, "--set", "network.units=4", "--horizon", "60d"]
    space = ["--space", "training.learning_rate=1e-3,1e-2,1e-1", "--method", "grid"]
    search = command(
        "tune", work / "visits.csv", *quick, *space, "--storage", place.parent / "search.db", "--out", place
    )
    place.parent.mkdir()
    subprocess.run(search, check=True, capture_output=True)
    found = answer(ft.load(place))
    return {
        "fit, new": Case(fit(place, 1), place, None, [second]),
        "fit, over": Case(fit(place, 1), place, old, [first, second]),
        "update": Case([word.format(place) for word in update], place, old, [first, third]),
        "save": Case(save, place, old, [first, second]),
        "tune": Case(search, place, None, [found]),
    }


def save_for_ever(old: Path, new: Path, place: Path) -> None:
    """Save two models to one place in turn."""
    models = [ft.load(old), ft.load(new)]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        for model in models[::-1]:
            model.save(place)


def writes(place: Path) -> bool:
    """Return whether a process is writing to a place."""
    return any(
        entry.name.startswith(".foretell-")
        for parent in (place, place.parent)
        if parent.exists()
        for entry in parent.iterdir()
    )


def kill(case: Case, rng: np.random.Generator, lifetime: float, *, writing: bool) -> bool:
    """Run a command and kill it, while it writes or at any moment; return whether it was still alive."""
    process = subprocess.Popen(case.words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    if "--save" in case.words:
        process.stdout.readline()
        writing, lifetime = False, 4 * WRITING
    if writing:
        while process.poll() is None and not writes(case.place):
            time.sleep(0.0005)
        time.sleep(float(rng.uniform(0.0, WRITING)))
    else:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(float(rng.uniform(0.0, lifetime)))
    alive = process.poll() is None
    process.kill()
    process.communicate()
    return alive


def verdict(case: Case) -> str:
    """Return what is at the place: which of the models, nothing, or a fault."""
    try:
        found = answer(ft.load(case.place))
    except StorageError as error:
        nothing = case.before is None and not case.place.exists()
        return "nothing" if nothing else f"{FAULT}: {error}"
    names = ["old", "new"][2 - len(case.answers) :]
    known = [name for name, table in zip(names, case.answers, strict=True) if table.equals(found)]
    return known[0] if known else f"{FAULT}: another model"


def left_over(case: Case) -> list[str]:
    """Save once more and return what is there that is not the model's."""
    model = ft.load(case.place if case.place.exists() else case.before or case.place)
    model.save(case.place)
    listed = json.loads((case.place / "model.json").read_text(encoding="utf-8"))["files"].values()
    own = {"model.json", *(file["name"] for file in listed)}
    return sorted(entry.name for entry in case.place.iterdir() if entry.name not in own)


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


@functools.cache
def _cases() -> dict[str, Case]:
    return cases(Path(_folder().name))


@functools.cache
def _lifetime(name: str) -> float:
    """Return how long a command takes that goes on to its end."""
    case, begun = _cases()[name], time.perf_counter()
    prepare(case)
    subprocess.run(case.words, check=True, capture_output=True)
    return time.perf_counter() - begun


def trial(rng: np.random.Generator, place: Path) -> str:
    """Kill a command, or let one read with little memory."""
    name = str(pick(rng, (*_cases(), "memory")))
    if name == "memory":
        return with_little_memory(rng, place)
    case = _cases()[name]
    lifetime = 0.0 if name == "save" else _lifetime(name)
    prepare(case)
    kill(case, rng, lifetime, writing=bool(rng.integers(2)))
    found = verdict(case)
    if found.startswith(FAULT):
        return f"{found}; {name}"
    if name == "tune":  # it goes on where it was killed, and comes to the same
        done = subprocess.run(case.words, check=False, capture_output=True, text=True)
        if done.returncode or verdict(case) != "new":
            return f"{FAULT}: the search does not go on, {done.stderr[-300:]!r}"
    elif case.place.exists() and (left := left_over(case)):
        return f"{FAULT}: left over: {left}; {name}"
    return f"{found} ({name})"


READER = """
import resource, sys
import foretell as ft, polars as pl
ft.read_events(pl.DataFrame({"unique_id": ["a", "b"], "ds": ["2024-01-01", "2024-01-02"]}))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    log = ft.read_events(sys.argv[1], marks=["amount"])
except (ft.errors.ForetellError, MemoryError) as error:
    sys.exit(f"refused: {error}")
print(log.n_events)
"""


@functools.cache
def _large() -> Path:
    """Return a file of a million visits."""
    rng, n = np.random.default_rng(0), 1_000_000
    days = pl.Series(rng.integers(18_000, 19_500, n).astype(np.int32)).cast(pl.Date)
    rows = pl.DataFrame(
        {"unique_id": rng.integers(0, 200_000, n), "ds": days, "amount": rng.gamma(2.0, 9.0, n)}
    )
    path = Path(_folder().name) / "large.csv"
    rows.write_csv(path)
    return path


def with_little_memory(rng: np.random.Generator, place: Path) -> str:
    """Read many rows with little memory, in a process of its own."""
    del place
    limit = int(rng.choice([2**20, 2**24, 2**26, 2**28, 2**30]))
    words = [sys.executable, "-c", READER, str(_large()), str(limit)]
    try:
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=100)
    except subprocess.TimeoutExpired:  # seen once, on a busy machine; ten runs alone did not show why
        return "held up (memory)"
    if done.returncode == 0:
        return "read (memory)" if done.stdout.strip().isdigit() else f"{FAULT}: {done.stdout!r}"
    said = (done.stderr.strip().splitlines() or [""])[-1]
    if said.startswith("refused"):
        return "refused (memory)"
    ended = done.returncode < 0 or "memory" in said.lower()  # the libraries below end the process themselves
    return "ended (memory)" if ended else f"{FAULT}: {said!r}, limit {limit:,}"


def prepare(case: Case) -> None:
    """Put the older model, or nothing, at the place."""
    shutil.rmtree(case.place.parent, ignore_errors=True)
    case.place.parent.mkdir()
    if case.before is not None:
        shutil.copytree(case.before, case.place)


if __name__ == "__main__":  # the process that saves
    save_for_ever(*map(Path, sys.argv[2:5]))
