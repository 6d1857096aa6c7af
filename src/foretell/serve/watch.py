"""What a service tells about itself: counters for Prometheus, and a line of JSON for each request."""

from __future__ import annotations

import bisect
import contextlib
import datetime as dt
import json
import logging
import os
import sys
import threading
import time
import traceback
from collections import defaultdict, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TextIO

from foretell.data.sinks import beside

LOG: Final = logging.getLogger("foretell.serve")
_TOGETHER: Final = 0.05  # seconds in which lines are gathered
_MOST_LINES: Final = 100_000  # that wait; of more the oldest are lost
_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)  # seconds


class JsonLines(logging.Formatter):
    """Records as lines of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        line: dict[str, object] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


class Lines(logging.Handler):
    """Writes lines a moment later, all that have come together: requests do not wait for who reads them.

    Parameters
    ----------
    stream : TextIO
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._waiting: deque[str] = deque(maxlen=_MOST_LINES)
        self._some, self._writing = threading.Event(), threading.Lock()
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        self._waiting.append(self.format(record))
        if not self._some.is_set():
            self._some.set()

    def flush(self) -> None:
        """Write what waits, now."""
        # A lock of its own: that of the handler is held by who brings a line, and would wait here.
        with self._writing, contextlib.suppress(OSError, ValueError):  # nobody reads any more
            lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if lines:
                self._stream.write("\n".join([*lines, ""]))
                self._stream.flush()

    def _write(self) -> None:
        while True:
            self._some.wait()
            time.sleep(_TOGETHER)
            self._some.clear()
            self.flush()


def log_in_json() -> None:
    """Write what this service and its server log to stderr, as lines of JSON."""
    handler = Lines(sys.stderr)
    handler.setFormatter(JsonLines())
    # What no line says need not be looked for at each request.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for name in ("foretell.serve", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)


class Counters:
    """What one worker has counted since it began; those of all workers are added up when they are asked for.

    Parameters
    ----------
    folder : Path
        Where workers leave their counts for each other.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / f"{os.getpid()}.json"
        self._folder = folder
        self._requests: dict[tuple[str, str, int], int] = defaultdict(int)
        self._seconds: dict[str, float] = defaultdict(float)
        self._buckets: dict[str, list[int]] = defaultdict(lambda: [0] * (len(_BOUNDS) + 1))

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests[method, route, status] += 1
        self._seconds[route] += seconds
        self._buckets[route][bisect.bisect_left(_BOUNDS, seconds)] += 1

    def leave(self) -> None:
        """Leave the counts for the other workers."""
        requests = [[*key, count] for key, count in self._requests.items()]
        with beside(self._file) as file:
            counts = {"requests": requests, "seconds": self._seconds, "buckets": self._buckets}
            file.write(json.dumps(counts).encode())

    def text(self, gauges: Mapping[str, Mapping[str, float]]) -> str:
        """Return all counts in the text format of Prometheus.

        Parameters
        ----------
        gauges : mapping of str to mapping of str to float
            Further figures: name → labels → value.
        """
        self.leave()
        requests: dict[tuple[str, str, int], int] = defaultdict(int)
        seconds: dict[str, float] = defaultdict(float)
        buckets: dict[str, list[int]] = {}
        for file in sorted(self._folder.glob("*.json")):
            counts = json.loads(file.read_text(encoding="utf-8"))
            for method, route, status, count in counts["requests"]:
                requests[method, route, status] += count
            for route, total in counts["seconds"].items():
                seconds[route] += total
                known = buckets.get(route, [0] * (len(_BOUNDS) + 1))
                buckets[route] = [a + b for a, b in zip(known, counts["buckets"][route], strict=True)]
        lines = ["# HELP foretell_requests_total Requests.", "# TYPE foretell_requests_total counter"]
        for (method, route, status), count in sorted(requests.items()):
            labels = f'method="{method}",route="{_escaped(route)}",status="{status}"'
            lines.append(f"foretell_requests_total{{{labels}}} {count}")
        lines += [
            "# HELP foretell_request_seconds How long requests took.",
            "# TYPE foretell_request_seconds histogram",
        ]
        for route, counted in sorted(buckets.items()):
            name, total = f'route="{_escaped(route)}"', 0
            for bound, count in zip((*_BOUNDS, "+Inf"), counted, strict=True):
                total += count
                lines.append(f'foretell_request_seconds_bucket{{{name},le="{bound}"}} {total}')
            lines.append(f"foretell_request_seconds_sum{{{name}}} {seconds[route]:.6f}")
            lines.append(f"foretell_request_seconds_count{{{name}}} {total}")
        for gauge, values in gauges.items():
            lines.append(f"# TYPE {gauge} gauge")
            lines += [f"{gauge}{{{labels}}} {value:g}" for labels, value in values.items()]
        return "\n".join(lines) + "\n"


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
