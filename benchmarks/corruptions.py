"""Damage the files of saved models at random and read them: python -m benchmarks.corruptions [copies]

Of each fixture in tests/fixtures, in the format of its time and in today's, copies are harmed:
bits are flipped, a file is cut, lengthened, overwritten, swapped with another one, or values of the JSON are
changed. Of those of today's format with other files or JSON half are sealed again, as one who wants to
deceive would do: their sums are right. What is read has to be refused by one StorageError, or to forecast
without a NaN.
"""

from __future__ import annotations

import collections
import contextlib
import faulthandler
import hashlib
import json
import resource
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

import foretell as ft
from foretell.errors import StorageError

FIXTURES = Path(__file__).parent.parent / "tests" / "fixtures"
# Where a copy stays that comes to anything else.
KEPT = Path(tempfile.gettempdir()) / "corruptions"
# A process that takes longer over one copy hangs: it is ended, and says where it stood.
SECONDS = 120
STRANGE = (None, True, -1, 0, 2**40, -(2**70), 1e308, "", "nan", "\ud83d", [], {}, [[1]], "x" * 10_000)

Harm = Callable[[np.random.Generator, Path], None]


def flip(rng: np.random.Generator, place: Path) -> None:
    """Flip up to three bits of a file."""
    file = some_file(rng, place)
    content = bytearray(file.read_bytes())
    for _ in range(int(rng.integers(1, 4))):
        content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    file.write_bytes(content)


def cut(rng: np.random.Generator, place: Path) -> None:
    """Cut a file anywhere."""
    file = some_file(rng, place)
    file.write_bytes(file.read_bytes()[: int(rng.integers(file.stat().st_size))])


def lengthen(rng: np.random.Generator, place: Path) -> None:
    """Repeat a part of a file in its middle."""
    file = some_file(rng, place)
    content = file.read_bytes()
    where, length = int(rng.integers(len(content))), int(rng.integers(1, 200))
    file.write_bytes(content[:where] + content[:length] + content[where:])


def overwrite(rng: np.random.Generator, place: Path) -> None:
    """Write random bytes over a part of a file."""
    file = some_file(rng, place)
    content = bytearray(file.read_bytes())
    where, length = int(rng.integers(len(content))), int(rng.integers(1, 200))
    content[where : where + length] = rng.bytes(len(content[where : where + length]))
    file.write_bytes(content)


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


HARMS: dict[str, Harm] = {harm.__name__: harm for harm in (flip, cut, lengthen, overwrite, swap, edit)}


def some_file(rng: np.random.Generator, place: Path) -> Path:
    """Return one of a model's files that hold anything."""
    files = sorted(file for file in place.iterdir() if file.stat().st_size)
    return files[int(rng.integers(len(files)))]


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


def outcome(place: Path) -> str:
    """Return what reading a directory, and asking it, comes to."""
    try:
        model = ft.load(place)
    except StorageError:
        return "refused"
    except BaseException as error:  # noqa: BLE001  # panics of polars are no Exception
        return f"FAULT, load: {type(error).__name__}: {str(error)[:120]}"
    try:
        table = model.predict()
    except BaseException as error:  # noqa: BLE001
        return f"FAULT, predict: {type(error).__name__}: {str(error)[:120]}"
    numbers = table.select(pl.selectors.float()).drop_nulls()
    return "FAULT, NaN" if not np.isfinite(numbers.to_numpy()).all() else "answers"


def corrupted(
    model: Path, rng: np.random.Generator, n: int, work: Path
) -> Iterator[tuple[str, str, bool, int, Path]]:
    """Harm a model ``n`` times: the way, the outcome, whether it was sealed again, its number, its place."""
    sealable = json.loads((model / "model.json").read_text(encoding="utf-8"))["format"] > 2
    for k in range(n):
        place = work / "copy"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(model, place)
        name = list(HARMS)[k % len(HARMS)]
        HARMS[name](rng, place)
        sealed = sealable and name in {"edit", "swap"} and bool(rng.random() < 0.5)
        if sealed:
            seal(place)
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        yield name, outcome(place), sealed, k, place
        faulthandler.cancel_dump_traceback_later()


def main() -> None:
    """Harm every fixture in both formats, and print what came of it."""
    warnings.simplefilter("ignore")
    n = int(sys.argv[1]) if sys.argv[1:] else 2_000
    names = sys.argv[2:] or sorted(
        str(place.parent.relative_to(FIXTURES)) for place in FIXTURES.glob("v*/*/model")
    )
    total: collections.Counter[str] = collections.Counter()
    print(f"{'fixture':26} format      n refused answers faults  seconds     MB")
    for name in names:
        for fmt in ("its own", "today's"):
            with tempfile.TemporaryDirectory() as work:
                model = FIXTURES / name / "model"
                if fmt == "today's":
                    model = ft.load(model).save(Path(work) / "model")
                ft.load(model).predict()
                before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
                counts: collections.Counter[str] = collections.Counter()
                seed = int.from_bytes(hashlib.sha256(f"{name} {fmt}".encode()).digest()[:4], "big")
                for way, result, sealed, k, place in corrupted(
                    model, np.random.default_rng(seed), n, Path(work)
                ):
                    counts[result.split(",")[0]] += 1
                    if result.startswith("FAULT"):
                        kept = KEPT / f"{name.replace('/', '-')}-{fmt[:5]}-{k}"
                        shutil.rmtree(kept, ignore_errors=True)
                        shutil.copytree(place, kept)
                        print(f"  {way}, sealed={sealed}, {kept}: {result}", flush=True)
                grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
                print(
                    f"{name:26} {fmt:>6} {n:6} {counts['refused']:7} {counts['answers']:7} "
                    f"{counts['FAULT']:6} {time.perf_counter() - begun:8.0f} {grown:6.0f}",
                    flush=True,
                )
                total += counts
    print(f"in all: {dict(total)}")
    sys.exit(total["FAULT"] > 0)


if __name__ == "__main__":
    main()
