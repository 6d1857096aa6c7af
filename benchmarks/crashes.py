"""Kill processes that write models at random moments and load what is there: python -m benchmarks.crashes [n]

Real processes of ``foretell fit --out`` (to a new place, and over an older model), ``foretell update`` and
``save`` get SIGKILL: half of them at any moment of their lives, half while they write. At the place has to
be the old model or the new one, whole, or nothing where nothing was; and the next save has to leave nothing
else.
"""

from __future__ import annotations

import collections
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

import foretell as ft
from foretell.errors import StorageError

COMMANDS = ("fit, new", "fit, over", "update", "save")
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
    save = [sys.executable, "-m", "benchmarks.crashes", "--save", str(old), str(new), str(place)]
    return {
        "fit, new": Case(fit(place, 1), place, None, [second]),
        "fit, over": Case(fit(place, 1), place, old, [first, second]),
        "update": Case([word.format(place) for word in update], place, old, [first, third]),
        "save": Case(save, place, old, [first, second]),
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
        return "nothing" if nothing else f"FAULT: {error}"
    names = ["old", "new"][2 - len(case.answers) :]
    known = [name for name, table in zip(names, case.answers, strict=True) if table.equals(found)]
    return known[0] if known else "FAULT: another model"


def left_over(case: Case) -> list[str]:
    """Save once more and return what is there that is not the model's."""
    model = ft.load(case.place if case.place.exists() else case.before or case.place)
    model.save(case.place)
    listed = json.loads((case.place / "model.json").read_text(encoding="utf-8"))["files"].values()
    own = {"model.json", *(file["name"] for file in listed)}
    return sorted(entry.name for entry in case.place.iterdir() if entry.name not in own)


def run(case: Case, kills: int, seed: int, say: Callable[[str], object]) -> collections.Counter[str]:
    """Kill a command so many times and count what came of it."""
    rng, counts = np.random.default_rng(seed), collections.Counter[str]()
    begun = time.perf_counter()
    if "--save" not in case.words:  # one that goes on to its end says how long it lives
        prepare(case)
        subprocess.run(case.words, check=True, capture_output=True)
    lifetime = time.perf_counter() - begun
    for k in range(kills):
        prepare(case)
        alive = kill(case, rng, lifetime, writing=k % 2 == 0)
        result = verdict(case)
        counts[result.split(":")[0]] += 1
        counts["killed"] += alive
        if case.place.exists() and not result.startswith("FAULT"):
            counts["while it wrote"] += writes(case.place)
            counts["left over"] += bool(left_over(case))
        else:
            counts["while it wrote"] += writes(case.place)
        if result.startswith("FAULT"):
            say(result)
    return counts


def prepare(case: Case) -> None:
    """Put the older model, or nothing, at the place."""
    shutil.rmtree(case.place.parent, ignore_errors=True)
    case.place.parent.mkdir()
    if case.before is not None:
        shutil.copytree(case.before, case.place)


def main() -> None:
    """Kill each command and print what was at the place."""
    if sys.argv[1:2] == ["--save"]:
        save_for_ever(*map(Path, sys.argv[2:5]))
    kills = int(sys.argv[1]) if sys.argv[1:] else 200
    columns = ("killed", "while it wrote", "old", "new", "nothing", "FAULT", "left over")
    total: collections.Counter[str] = collections.Counter()
    print(f"{'command':10}" + "".join(f"{name:>16}" for name in columns))
    with tempfile.TemporaryDirectory() as work:
        for k, (name, case) in enumerate(cases(Path(work)).items()):
            counts = run(case, kills // len(COMMANDS), k, print)
            print(f"{name:10}" + "".join(f"{counts[column]:16}" for column in columns), flush=True)
            total += counts
    sys.exit(total["FAULT"] + total["left over"] > 0)


if __name__ == "__main__":
    main()
