"""Files of saved models, damaged: refused by one StorageError, or answering without a NaN.

Of each fixture in tests/fixtures, in the format of its time and in today's, copies are harmed: bits are
flipped, a file is cut, lengthened, overwritten, swapped with another one, values of the JSON are changed. Of
those of today's format with other files or JSON half are sealed again, as one who wants to deceive would do:
their sums are right.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from benchmarks.torture.harms import HARMS
from benchmarks.torture.harness import FAULT, raised
from benchmarks.torture.tables import pick

import foretell as ft
from foretell.errors import StorageError

FIXTURES = Path(__file__).parents[2] / "tests" / "fixtures"
NAMES = tuple(sorted(str(place.parent.relative_to(FIXTURES)) for place in FIXTURES.glob("v*/*/model")))
STRANGE = (None, True, -1, 0, 2**40, -(2**70), 1e308, "", "nan", "\ud83d", [], {}, [[1]], "x" * 10_000)

Damage = Callable[[np.random.Generator, Path], None]


def swap(rng: np.random.Generator, place: Path) -> None:
    """Put one file in the place of another, of the same model or of another one."""
    file = some_file(rng, place)
    others = sorted(other for other in FIXTURES.glob("v*/*/model/*") if other.suffix == file.suffix)
    other = some_file(rng, place) if rng.random() < 0.5 else others[int(rng.integers(len(others)))]
    file.write_bytes(other.read_bytes())


def edit(rng: np.random.Generator, place: Path) -> None:
    """Change, remove or add values of the manifest."""
    path = place / "model.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    for _ in range(int(rng.integers(1, 3))):
        holder, key = _any_value(rng, described)
        value = holder[key]
        way = rng.integers(4)
        if way == 0:
            del holder[key]
        elif way == 1 and isinstance(value, (int, float)):
            holder[key] = value * float(rng.choice([-1, 0, 0.5, 1.5, 2, 1e6])) + int(rng.integers(-1, 2))
        else:
            holder[key] = STRANGE[int(rng.integers(len(STRANGE)))]
    path.write_text(json.dumps(described), encoding="utf-8")


def _any_value(rng: np.random.Generator, described: dict) -> tuple[list | dict, object]:
    """Return what holds some value, and its key there: deep ones are as likely as those at the top."""
    places = []
    waiting: list[list | dict] = [described]
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        places += [(holder, key) for key in keys[:20]]
        waiting += [holder[key] for key in keys if isinstance(holder[key], (dict, list))]
    return places[int(rng.integers(len(places)))] if places else ({"": None}, "")


def some_file(rng: np.random.Generator, place: Path) -> Path:
    """Return one of a model's files that hold anything."""
    files = sorted(file for file in place.iterdir() if file.stat().st_size)
    return files[int(rng.integers(len(files)))]


def _bytes(rng: np.random.Generator, place: Path) -> None:
    """Harm the bytes of a file."""
    file = some_file(rng, place)
    file.write_bytes(pick(rng, HARMS)(rng, file.read_bytes()))


# The bytes as often as everything else.
DAMAGES: tuple[Damage, ...] = (_bytes, _bytes, swap, edit)


def seal(place: Path) -> None:
    """Write the lengths and sums of what is there into the manifest, as far as it can be read."""
    path = place / "model.json"
    with contextlib.suppress(Exception):
        described = json.loads(path.read_text(encoding="utf-8"))
        for file in described["files"].values():
            if (place / file["name"]).is_file():
                content = (place / file["name"]).read_bytes()
                file |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        rest = {name: value for name, value in described.items() if name != "sha256"}
        described["sha256"] = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
        path.write_text(json.dumps(described), encoding="utf-8")


def damaged(rng: np.random.Generator, model: Path, place: Path) -> str:
    """Copy a model and damage the copy; return in which way."""
    shutil.copytree(model, place)
    damage = pick(rng, DAMAGES)
    damage(rng, place)
    sealable = json.loads((model / "model.json").read_text(encoding="utf-8"))["format"] > 2
    if damage is _bytes or not sealable or rng.random() < 0.5:
        return damage.__name__
    seal(place)
    return f"{damage.__name__}, sealed"


def outcome(place: Path) -> str:
    """Return what reading a directory, and asking it, comes to."""
    try:
        model = ft.load(place)
    except StorageError:
        return "refused"
    except BaseException as error:  # noqa: BLE001  # panics of polars are no Exception
        return f"{FAULT}: load, {raised(error)}"
    try:
        table = model.predict()
    except BaseException as error:  # noqa: BLE001
        return f"{FAULT}: predict, {raised(error)}"
    numbers = table.select(pl.selectors.float()).drop_nulls()
    return f"{FAULT}: NaN" if not np.isfinite(numbers.to_numpy()).all() else "answered"


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


@functools.cache
def saved(name: str, *, today: bool) -> Path:
    """Return the directory of a fixture, in the format of its time or in today's."""
    model = FIXTURES / name / "model"
    return ft.load(model).save(Path(_folder().name) / name) if today else model


def trial(rng: np.random.Generator, place: Path) -> str:
    """Damage a model and read it."""
    name, today = str(pick(rng, NAMES)), bool(rng.integers(2))
    way = damaged(rng, saved(name, today=today), place / "copy")
    result = outcome(place / "copy")
    return f"{result}; {name}, today={today}, {way}" if result.startswith(FAULT) else result
