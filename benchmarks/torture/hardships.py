"""Full disks, places that may not be read or written, interrupts, threads, forks, two writers at one place.

What fails is one StorageError or SourceError; what stood there before stands there still, whole.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from benchmarks.torture.arguments import World, world
from benchmarks.torture.harness import FAULT, raised
from benchmarks.torture.tables import pick

import foretell as ft
from foretell import distributed, plotting
from foretell.errors import ForetellError

NOBODY = 65_534


def writers(w: World) -> dict[str, Callable[[Path], object]]:
    """Return what writes to a place, by the name of the place."""
    return {
        "model": w.gaps.save,
        "table.csv": lambda place: ft.write_tables(w.visits, place),
        "table.parquet": lambda place: ft.write_tables(w.visits, place),
        "table.ndjson": lambda place: ft.write_tables(w.visits, place),
        "table.xlsx": lambda place: ft.write_tables(w.visits, place),
        "table.db": lambda place: ft.write_tables(
            w.visits, f"sqlite:///{place}", "visits", if_exists="replace"
        ),
        "page.html": lambda place: ft.write_report(w.evaluation, place),
        "board.json": w.evaluation.save_json,
        "picture.svg": lambda place: plotting.save(plotting.plot_shop(w.prior), place),
    }


# Whole or not at all, whatever happens while they are written; the others are pages that can be drawn anew.
KEPT = ("model", "table.csv", "table.parquet", "table.ndjson", "table.xlsx", "table.db")


def content(place: Path) -> object:
    """Return what stands at a place: the rows of a database, which may keep them in other bytes."""
    if place.suffix == ".db":
        rows = ft.read_events(place, table="visits", id="who", time="day", marks=["amount"], merge=None)
        return rows.to_polars().rows()
    files = sorted(place.rglob("*")) if place.is_dir() else [place] * place.exists()
    return {str(file): file.read_bytes() for file in files if file.is_file()}


@contextlib.contextmanager
def full_disk(n_bytes: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Have the rights of nobody for a while, where the process has all."""
    own = os.geteuid()
    if own == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(own)


class _Interrupt(KeyboardInterrupt):
    """Somebody pressed the keys."""


@contextlib.contextmanager
def interrupted(seconds: float) -> Iterator[None]:
    """Raise a KeyboardInterrupt after a while."""

    def stop(*_: object) -> None:
        raise _Interrupt

    before = signal.signal(signal.SIGINT, stop)
    timer = threading.Timer(seconds, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        signal.signal(signal.SIGINT, before)


def _written_under(rng: np.random.Generator, place: Path, trouble: contextlib.AbstractContextManager) -> str:
    """Write over what stands there while there is trouble."""
    w = world()
    known = writers(w)
    name = str(pick(rng, tuple(known)))
    target = place / name
    known[name](target)
    before, there = content(target), sorted(place.iterdir())
    result = "written"
    try:
        with trouble:
            known[name](target)
    except ForetellError:
        result = "refused"
    except _Interrupt:
        result = "interrupted"
    except BaseException as error:  # noqa: BLE001  # panics of polars are no Exception
        return f"{raised(error)}; {name}"
    if sorted(place.iterdir()) != there:
        return f"{FAULT}: {name} leaves {sorted(place.iterdir())}"
    if result != "written" and name in KEPT and name != "model" and content(target) != before:
        return f"{FAULT}: {name} is not what it was, though it was {result}"
    if name == "model" and not ft.load(target).predict().equals(w.gaps.predict()):
        return f"{FAULT}: another model answers"
    return result


def fills(rng: np.random.Generator, place: Path) -> str:
    """Write while the disk is full."""
    with unheard():
        return _written_under(rng, place, full_disk(int(rng.choice([0, 10, 1_000, 4_096, 20_000]))))


@contextlib.contextmanager
def unheard() -> Iterator[None]:
    """Say nothing of what cannot be closed: zip files of a full disk, results of a lost session."""
    before = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        yield
        gc.collect()
    finally:
        sys.unraisablehook = before


def interrupts(rng: np.random.Generator, place: Path) -> str:
    """Write and press the keys."""
    return _written_under(rng, place, interrupted(float(rng.uniform(0.0, 0.03))))


def forbids(rng: np.random.Generator, place: Path) -> str:
    """Write to, and read from, what belongs to somebody else."""
    w = world()
    writes = writers(w)
    name = str(pick(rng, tuple(writes)))
    for folder in (place, place.parent):  # nobody may pass
        folder.chmod(0o755)
    writes[name](place / name)
    for path in place.rglob("*"):
        path.chmod(0o500 if path.is_dir() else 0o400)
    reads: dict[str, Callable[[], object]] = {
        "model": lambda: ft.load(place / "model"),
        **{
            f"table.{ending}": lambda ending=ending: ft.read_events(
                place / f"table.{ending}",
                id="who",
                time="day",
                **({"table": "visits"} if ending == "db" else {}),
            )
            for ending in ("csv", "parquet", "ndjson", "xlsx", "db")
        },
        "other.csv": lambda: distributed.partition(w.visits, place / "parts", id="who", time="day"),
    }
    reading = bool(rng.integers(2)) and name in reads
    try:
        with as_nobody():
            reads[name]() if reading else writes[name](place / name)
    except ForetellError:
        return "refused"
    except BaseException as error:  # noqa: BLE001
        return f"{raised(error)}; {name}, reading={reading}"
    return f"{FAULT}: {name} is open to nobody, reading={reading}" if os.geteuid() == 0 else "allowed"


def threads(rng: np.random.Generator, place: Path) -> str:
    """Ask one model from eight threads at once."""
    del place
    w = world()
    asks = (
        w.buyers.predict,
        w.prior.predict,
        w.network.predict,
        w.ahead.predict,
        lambda: w.prior.predict_totals("30d"),
    )
    ask = pick(rng, asks)
    alone = ask()
    with ThreadPoolExecutor(8) as pool:
        answers = [future.result() for future in [pool.submit(ask) for _ in range(8)]]
    return (
        "alike" if all(answer.equals(alone) for answer in answers) else f"{FAULT}: threads answer otherwise"
    )


def _answer(model: object, told: multiprocessing.connection.Connection) -> None:
    told.send(model.predict())


def forks(rng: np.random.Generator, place: Path) -> str:
    """Ask a model in a process that was forked."""
    del place
    w = world()
    model = pick(rng, (w.gaps, w.buyers))  # series need threads of polars, which a fork has not
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(model, there), daemon=True)
    child.start()
    there.close()
    try:
        answer = here.recv() if here.poll(15) else None
    except EOFError:
        answer = None
    finally:
        child.kill()
        child.join()
    return (
        "alike"
        if answer is not None and answer.equals(model.predict())
        else f"{FAULT}: {model.name} in a fork"
    )


def two_writers(rng: np.random.Generator, place: Path) -> str:
    """Save two models to one place at once, and load what is there meanwhile."""
    del rng
    w = world()
    models = (w.gaps, w.buyers)
    known = [model.predict() for model in models]
    target = models[0].save(place / "model")
    with ThreadPoolExecutor(3) as pool:
        saves = [pool.submit(model.save, target) for _ in range(3) for model in models]
        loads = [pool.submit(lambda: ft.load(target).predict()) for _ in range(4)]
        for done in saves:
            with contextlib.suppress(ForetellError):  # one of two may be told that the other is there
                done.result()
        try:
            answers = [done.result() for done in loads]
        except ForetellError as error:
            return f"{FAULT}: {error}"
    models[0].save(target)
    held = sorted(path.name for path in target.iterdir())
    if len(held) != len(list(w.place.joinpath("model").iterdir())) or list(place.iterdir()) != [target]:
        return f"{FAULT}: left over: {held}, {list(place.iterdir())}"
    return "whole" if all(any(a.equals(one) for one in known) for a in answers) else f"{FAULT}: another model"


HARDSHIPS = (fills, interrupts, forbids, threads, forks, two_writers)


def trial(rng: np.random.Generator, place: Path) -> str:
    """Go through one hardship."""
    hardship = pick(rng, HARDSHIPS)
    try:
        outcome = hardship(rng, place)
    finally:
        shutil.rmtree(place / "parts", ignore_errors=True)
    return (
        f"{outcome}; {hardship.__name__}" if outcome.startswith(FAULT) else f"{outcome} ({hardship.__name__})"
    )
