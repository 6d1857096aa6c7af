"""Photograph the pages that foretell writes: python -m benchmarks.screens [--out docs/images]

By a real browser, chromium, of Complete Journey's households.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

import foretell as ft

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=4000"]


def photograph(page: Path, picture: Path, width: int, height: int) -> None:
    """Draw the upper part of a page as a PNG."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        raise SystemExit("no chromium here: install Debian's package of that name")
    size = f"--window-size={width},{height}"
    command = [browser, *FLAGS, size, f"--screenshot={picture}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def main() -> None:
    """Write the pictures of the pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    out = parser.parse_args().out
    rows = ft.datasets.load_complete_journey()
    log = ft.read_events(rows, id="household_id", time="timestamp", group="store_id")
    model = ft.EventForecaster(model="prior").fit(log, as_of="2017-09-30")
    with tempfile.TemporaryDirectory() as place:
        page = ft.write_report(model, Path(place) / "shop.html")
        photograph(page, (out / "shop_report.png").absolute(), 960, 1180)


if __name__ == "__main__":
    main()
