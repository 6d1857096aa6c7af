"""Counts of all workers, and lines of JSON."""

import io
import json
import logging
import threading

from foretell.serve.watch import Counters, JsonLines, Lines


def test_the_counts_of_all_workers_are_added_up(tmp_path):
    first, second = Counters(tmp_path), Counters(tmp_path)
    second._file = tmp_path / "other.json"
    for seconds in (0.003, 0.02, 0.3):
        first.count("GET", "/v1/models", 200, seconds)
    second.count("GET", "/v1/models", 200, 100.0)
    second.count("POST", "/v1/fits", 409, 0.1)
    second.leave()
    lines = first.text({"foretell_jobs": {'state="done"': 2.0}}).splitlines()
    assert 'foretell_requests_total{method="GET",route="/v1/models",status="200"} 4' in lines
    assert 'foretell_requests_total{method="POST",route="/v1/fits",status="409"} 1' in lines
    assert 'foretell_request_seconds_bucket{route="/v1/models",le="0.025"} 2' in lines
    assert 'foretell_request_seconds_bucket{route="/v1/models",le="60.0"} 3' in lines
    assert 'foretell_request_seconds_bucket{route="/v1/models",le="+Inf"} 4' in lines
    assert 'foretell_request_seconds_count{route="/v1/models"} 4' in lines
    assert 'foretell_jobs{state="done"} 2' in lines


def test_a_record_is_a_line_of_json():
    record = logging.LogRecord("foretell.serve", logging.INFO, "", 0, "request", None, None)
    record.fields = {"path": "/a\nb", "status": 200}
    line = JsonLines().format(record)
    assert "\n" not in line
    assert json.loads(line)["path"] == "/a\nb"
    assert json.loads(line)["event"] == "request"


class Stuck(io.StringIO):
    """A pipe that nobody reads for a while."""

    def __init__(self):
        super().__init__()
        self.read = threading.Event()

    def write(self, text):
        assert self.read.wait(10)
        return super().write(text)


def test_who_logs_does_not_wait_for_who_reads():
    pipe = Stuck()
    handler = Lines(pipe)
    for number in range(1000):
        handler.emit(logging.LogRecord("foretell.serve", logging.INFO, "", 0, f"line {number}", None, None))
    assert not pipe.getvalue()
    pipe.read.set()
    handler.flush()
    written = threading.Event()
    while pipe.getvalue().count("\n") < 1000:  # the handler's own thread may be at it
        assert not written.wait(0.01)
    assert pipe.getvalue().splitlines() == [f"line {number}" for number in range(1000)]
