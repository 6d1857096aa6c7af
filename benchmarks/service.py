"""A service under load: python -m benchmarks.service [--model prior] [--seconds 10] [--kill]

200 clients of one CDNOW model, each asking about one customer after the other over a connection of its own,
on 127.0.0.1 alone: as fast as answers come, and at a pace; then the same while a fit runs. Every answer is
compared with the library's. With --kill the service is killed under load while a job runs, and started again.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

import foretell as ft

CLIENTS, CUSTOMERS = 200, 5_000
CUTOFF = "1997-09-30"
_SHOWN = "| what | answers | wrong | per second | p50 ms | p99 ms | worst ms |"


class Clients:
    """Clients who ask about customers, and hold the answers against those of the library.

    Parameters
    ----------
    port : int
    expected : dict of int to dict
        Each customer's row.
    """

    def __init__(self, port: int, expected: dict[int, dict[str, object]]) -> None:
        self.port, self.expected = port, expected
        self.milliseconds: list[float] = []
        self.wrong, self.lost = 0, 0

    def run(self, seconds: float, pause: float = 0.0) -> None:
        """Ask for so long; each client rests between its questions."""
        asyncio.run(self._run(seconds, pause))

    async def _run(self, seconds: float, pause: float) -> None:
        # All are connected and know whom to ask about before the first asks: the service is measured.
        streams = await asyncio.gather(*(self._connected() for _ in range(CLIENTS)))
        orders = [np.random.default_rng(n).permutation(list(self.expected)).tolist() for n in range(CLIENTS)]
        until = time.monotonic() + seconds
        await asyncio.gather(
            *(
                self._client(stream, order, until, pause)
                for stream, order in zip(streams, orders, strict=True)
                if stream is not None
            )
        )

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        try:
            return await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            self.lost += 1
            return None

    async def _client(
        self,
        stream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        customers: list[int],
        until: float,
        pause: float,
    ) -> None:
        rng, (reader, writer) = np.random.default_rng(customers[0]), stream
        await asyncio.sleep(pause * rng.random())
        for customer in itertools.cycle(customers):
            if time.monotonic() > until:
                break
            began = time.perf_counter()
            path = f"/v1/models/shop/customers/{customer}?horizon=30d&level=80"
            writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                body = await reader.readexactly(length)
            except (asyncio.IncompleteReadError, OSError):
                self.lost += 1
                return
            self.milliseconds.append(1000 * (time.perf_counter() - began))
            self.wrong += json.loads(body) != self.expected[customer]
            if pause:
                await asyncio.sleep(pause * (0.5 + rng.random()))
        writer.close()

    def row(self, what: str, seconds: float) -> str:
        """Return a line of the table."""
        taken = np.array(self.milliseconds)
        p50, p99 = np.quantile(taken, [0.5, 0.99])
        times = f"{p50:.0f} | {p99:.0f} | {taken.max():.0f}"
        return f"| {what} | {len(taken):,} | {self.wrong} | {len(taken) / seconds:,.0f} | {times} |"


class Service:
    """A service in processes of its own."""

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        self.command = [sys.executable, "-m", "foretell.cli.commands", "serve", str(folder / "shop")]
        self.command += ["--store", str(folder / "store"), "--port", "0", *options]
        self.log = (folder / "log").open("ab")
        self.start()

    def start(self) -> None:
        """Start, and wait until it answers."""
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, start_new_session=True)
        assert self.process.stderr is not None
        self.port = int(self.process.stderr.readline().rsplit(b":", 1)[1])
        # What it logs goes on to a file: a pipe that nobody reads would stop it.
        subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=self.log)
        self.ask("models")

    def ask(self, path: str, body: object = None, raw: bytes | None = None) -> dict[str, object]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        data = raw if body is None else json.dumps(body).encode()
        kind = "application/json" if raw is None else "application/octet-stream"
        connection.request("GET" if data is None else "POST", f"/v1/{path}", data, {"Content-Type": kind})
        return json.load(connection.getresponse())

    def fit(self, rows: bytes) -> str:
        """Begin a fit of the default to CDNOW; return its job."""
        source = self.ask("sources?name=cdnow.csv", raw=rows)["source"]
        read = {"id": "customer_id", "time": "date", "marks": ["amount"], "as_of": CUTOFF}
        return str(self.ask("fits", {"model": "fitted", "source": source, "read": read})["job"])

    def wait(self, job: str, *states: str) -> dict[str, object]:
        while (found := self.ask(f"jobs/{job}"))["state"] not in states:
            time.sleep(0.2)
        return found

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if how is signal.SIGKILL:
            os.killpg(self.process.pid, how)  # its workers, too; the job's process has to end by itself
        else:
            self.process.send_signal(how)
        self.process.wait(30)


def expected_of(model: ft.EventForecaster) -> dict[int, dict[str, object]]:
    """Return the answers of the library, as JSON has them."""
    ids = model.log_.ids.sample(CUSTOMERS, seed=0).to_list()
    answers: dict[int, dict[str, object]] = {}
    for begin in range(0, len(ids), 64):
        table = model.predict(["30d"], [80], ids[begin : begin + 64])
        rows = [json.loads(line) for line in table.write_ndjson().splitlines()]
        answers |= {row["unique_id"]: row for row in rows}
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="prior", choices=["prior", "auto"])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--workers", default="1")
    parser.add_argument("--kill", action="store_true")
    given = parser.parse_args()
    visits: pl.DataFrame = ft.datasets.load_cdnow()
    rows = visits.write_csv().encode()
    log = ft.read_events(visits, id="customer_id", time="date", marks=["amount"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = ft.EventForecaster(model=given.model).fit(log, as_of=CUTOFF)
        model.save(folder / "shop")
        expected = expected_of(model)
        service = Service(folder, ["--workers", given.workers])
        print(f"{_SHOWN}\n|---|---|---|---|---|---|---|")
        try:
            for what, pause in (("as fast as answers come", 0.0), ("200 a second", 1.0), ("again", 0.0)):
                clients = Clients(service.port, expected)
                clients.run(given.seconds, pause)
                print(clients.row(what, given.seconds), flush=True)
            job = service.fit(rows)
            service.wait(job, "running")
            for what, pause in (("while a fit runs, 200 a second", 1.0), ("while a fit runs", 0.0)):
                clients = Clients(service.port, expected)
                clients.run(min(given.seconds, 8.0), pause)
                print(
                    clients.row(what, min(given.seconds, 8.0)),
                    service.ask(f"jobs/{job}")["progress"],
                    flush=True,
                )
            print("job:", service.wait(job, "done", "failed")["state"])
            if given.kill:
                job = service.fit(rows)
                service.wait(job, "running")
                service.end(signal.SIGKILL)
                began = time.perf_counter()
                service.start()
                print(f"answers again {time.perf_counter() - began:.1f} s after kill -9")
                clients = Clients(service.port, expected)
                clients.run(5.0, 1.0)
                print(clients.row("after the restart, the job runs again", 5.0), flush=True)
                done = service.wait(job, "done", "failed")
                print("job:", done["state"], service.ask("models/fitted")["size"], "customers")
        finally:
            service.end()


if __name__ == "__main__":
    main()
