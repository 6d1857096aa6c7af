"""A real browser, and a proxy that writes down what it asks for."""

from __future__ import annotations

import http.server
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import ClassVar

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--hide-scrollbars",
]  # fmt: skip


class Proxy(http.server.BaseHTTPRequestHandler):
    """Writes down what is asked of it, and hands out nothing."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_error(404)

    do_CONNECT = do_POST = do_GET  # noqa: N815  # the server's names

    def log_message(self, *_: object) -> None:
        pass


def browse(page: Path, profile: Path, *flags: str) -> tuple[str, set[str]]:
    """Return the page as a browser shows it, and what it asked the network for on the page's behalf."""
    Proxy.asked.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        network = [f"--proxy-server=127.0.0.1:{server.server_port}", f"--user-data-dir={profile}"]
        command = [str(CHROMIUM), *FLAGS, *network, *flags, page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        server.shutdown()
    # The browser looks for updates of its own accord.
    own = r"\b(google|googleapis|gvt1)\.com\b"
    return done.stdout, {url for url in Proxy.asked if not re.search(own, url)}
