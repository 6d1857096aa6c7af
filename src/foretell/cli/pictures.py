"""What the commands do with pictures: draw some into a directory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from foretell.cli import terminal
from foretell.errors import StorageError


def draw_all(charts: Mapping[str, Callable[[], Any]], place: Path) -> None:
    """Make the directory, then draw each chart into it as a PNG of its name, and say so."""
    from foretell import plotting  # noqa: PLC0415

    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write to {place}: {error.strerror}") from error
    for name, draw in charts.items():
        terminal.say(f"{plotting.save(draw(), place / f'{name}.png')} written")
