"""Seconds from the start of the service to the first picture, and pictures of the page:
python -m benchmarks.page [--out docs/images] [--shots FOLDER]

The full CDNOW is dropped on the page in a headless Chromium, fitted to without training, and looked at.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.service import CUTOFF, Service
from playwright.sync_api import Page, sync_playwright

import foretell as ft
from foretell.cli.demo import store_visits

CUSTOMER = 4406
_SEEN = ".picture[data-ready] svg"


def look(tab: Page, address: str, file: Path) -> None:
    """Drop a file, fit, and wait for the first picture; print the seconds of each step."""
    began = time.perf_counter()
    tab.goto(address)
    tab.get_by_label("Drop a file here").set_input_files(file)
    tab.get_by_role("button", name="Look at it").first.click()
    tab.get_by_label("Last observed day").fill(CUTOFF)
    print(f"read and shown: {time.perf_counter() - began:.1f} s", flush=True)
    tab.get_by_role("button", name="Fit the model").click()
    tab.wait_for_selector(_SEEN, timeout=120_000)
    print(f"fitted, and the first picture drawn: {time.perf_counter() - began:.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--shots", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ft.datasets.load_cdnow().write_csv(folder / "cdnow.csv")
        panel = ft.read_series(store_visits(), id="store_id", time="day", target="visits")
        ft.SeriesForecaster(horizon=28, model="prior").fit(panel).save(folder / "shop")
        began = time.perf_counter()
        service = Service(folder, [])
        print(f"the service answers: {time.perf_counter() - began:.1f} s", flush=True)
        address = f"http://127.0.0.1:{service.port}"
        paths = {
            "home": "/page",
            "expect": "/page/models/cdnow",
            "learned": "/page/models/cdnow/shop",
            "shortlist": "/page/models/cdnow/shortlist",
            "customer": f"/page/models/cdnow/customer?id={CUSTOMER}&visit=1997-10-02",
            "downloads": "/page/models/cdnow/downloads",
            "series": "/page/models/shop/series?id=367",
        }
        try:
            with sync_playwright() as driver:
                chromium = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
                tab = chromium.new_page(viewport={"width": 900, "height": 760})
                look(tab, address, folder / "cdnow.csv")
                if given.out is not None:
                    for what, height in (("expect", 760), ("customer", 960)):
                        tab.set_viewport_size({"width": 900, "height": height})
                        tab.goto(address + paths[what])
                        tab.wait_for_selector(_SEEN)
                        tab.screenshot(path=given.out / f"page_{what}.png")
                for scheme, width, language in (("light", 1000, "en-US"), ("dark", 400, "zh-CN")):
                    if given.shots is None:
                        break
                    tab = chromium.new_page(
                        viewport={"width": width, "height": 800}, color_scheme=scheme, locale=language
                    )
                    for what, path in paths.items():
                        tab.goto(address + path)
                        if tab.locator(".picture").count():
                            tab.wait_for_selector(_SEEN)
                        tab.screenshot(path=given.shots / f"{scheme}_{what}.png", full_page=True)
                chromium.close()
        finally:
            service.end()


if __name__ == "__main__":
    main()
