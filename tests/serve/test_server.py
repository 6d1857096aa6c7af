"""The service as it is started: killed while it works, and started again."""

import json
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
from typer.testing import CliRunner

from foretell.cli.commands import app

VISITS = "customer,day\n" + "".join(
    f"c{k % 50},2024-{1 + (k * 7) % 9:02d}-{1 + (k * 11) % 28:02d}\n" for k in range(600)
)


def started(store, *options):
    """Start a service on a port that is free; return its process and its address."""
    command = [sys.executable, "-m", "foretell.cli.commands", "serve", "--port", "0", "--store", str(store)]
    process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)
    return process, process.stderr.readline().strip()


def end(process):
    process.kill()
    process.wait()
    process.stderr.close()


def ask(address, path, body=None, raw=None):
    data = raw if body is None else json.dumps(body).encode()
    kind = "application/json" if raw is None else "application/octet-stream"
    request = urllib.request.Request(f"{address}/v1/{path}", data, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=240) as answer:
        return json.load(answer)


def until(address, job, states):
    for _ in range(1200):  # a machine may have other things to do
        found = ask(address, f"jobs/{job}")
        if found["state"] in states:
            return found
        time.sleep(0.1)
    raise AssertionError(found)


def test_a_job_outlives_kill_9_and_is_done_after_the_restart(tmp_path):
    process, address = started(tmp_path, "--workers", "1")
    try:
        source = ask(address, "sources?name=visits.csv", raw=VISITS.encode())["source"]
        read = {"id": "customer", "time": "day"}
        body = {"model": "fitted", "source": source, "read": read, "by": "prior"}
        job = ask(address, "fits", body)["job"]
        until(address, job, {"running"})
    finally:
        end(process)
    process, address = started(tmp_path, "--workers", "2")
    try:
        done = until(address, job, {"done", "failed", "cancelled"})
        assert done["state"] == "done", done
        assert ask(address, "models/fitted")["size"] == 50
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in {0, -signal.SIGTERM}
    finally:
        end(process)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--host", "0.0.0.0"], "--host '0.0.0.0' can be reached by others, and there is no token"),
        (["--token-file", "nowhere.txt"], "--token-file nowhere.txt: No such file"),
        (["nowhere"], "no model in nowhere"),
    ],
)
def test_what_cannot_be_served_is_refused_at_once(options, words, tmp_path, monkeypatch):
    monkeypatch.delenv("FORETELL_TOKEN", raising=False)
    done = CliRunner().invoke(app, ["serve", "--store", str(tmp_path / "store"), *options])
    assert done.exit_code in {1, 2}
    assert words in done.stderr


def test_without_the_extra_the_mend_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = CliRunner().invoke(app, ["serve"])
    assert done.exit_code == 1
    assert "pip install 'foretell[serve]'" in done.stderr
