"""Tests lie where the sources lie, and go by their names."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent
SOURCES = TESTS.parent / "src" / "foretell"
# What has no room of its own in the sources: all forecasters at once, published figures, saved models, the
# harnesses of benchmarks/, what trains the weights that ship.
ROOMS = {"contract", "golden", "fixtures", "benchmarks", "training"}
# The pages of the docs, the public door, models that were saved before, and this file.
FILES = {"pages", "public", "fixtures", "names"}


def modules(room):
    return {path.stem for path in room.iterdir() if path.suffix == ".py" or path.is_dir()} - {"__init__"}


def names_one_of(test, known):
    """Return whether ``series_times`` is about ``series``, or about ``series_times``."""
    words = test.split("_")
    return any("_".join(words[: k + 1]) in known for k in range(len(words)))


def test_every_test_names_the_module_or_the_room_that_it_is_about():
    files = [path.relative_to(TESTS) for path in TESTS.rglob("test_*.py")]
    assert len(files) > 50
    for path in files:
        room, name = path.parent, path.stem.removeprefix("test_")
        if room.parts and room.parts[0] in ROOMS:
            continue
        known = modules(SOURCES / room) | (set() if room.parts else FILES)
        assert names_one_of(name, known), f"tests/{path} names none of {sorted(known)}"


def test_every_room_of_tests_is_a_room_of_the_sources():
    rooms = {path.name for path in TESTS.iterdir() if path.is_dir() and list(path.glob("*.py"))}
    assert rooms - ROOMS <= modules(SOURCES)
    assert rooms >= ROOMS
