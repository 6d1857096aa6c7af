"""Jobs are done one after the other, each in a process of its own, by the one worker that holds the lock."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import filelock

from foretell.serve.jobs import Job, Jobs
from foretell.serve.store import Store
from foretell.serve.watch import LOG

_LOOK_EVERY: Final = 0.2  # seconds
_GRACE: Final = 3.0  # seconds that a process has to end


class Runner(threading.Thread):
    """Begins the jobs of a store, as long as no other process does.

    Parameters
    ----------
    store : Store
    jobs : Jobs
    place : callable
        Returns the directory of a model by its name.
    """

    def __init__(self, store: Store, jobs: Jobs, place: Callable[[str], Path]) -> None:
        super().__init__(name="jobs", daemon=True)
        self._store, self._jobs, self._place = store, jobs, place
        self._ending = threading.Event()
        self._lock = filelock.FileLock(store.place / "jobs.lock", blocking=False)

    def stop(self) -> None:
        """End; a running job waits again."""
        self._ending.set()
        self.join()

    def run(self) -> None:
        """Wait for the lock, then for jobs."""
        while not self._ending.wait(_LOOK_EVERY):
            with contextlib.suppress(filelock.Timeout), self._lock:
                # Whoever ran these was killed, and their processes have ended with it.
                self._jobs.put_all_back()
                self._work()

    def _work(self) -> None:
        while not self._ending.wait(_LOOK_EVERY):
            job = self._jobs.take()
            if job is not None:
                self._do(job)

    def _do(self, job: Job) -> None:
        LOG.info("job begun", extra={"fields": {"job": job.key, "kind": job.kind, "model": job.model}})
        place = str(self._place(job.model))
        command = [sys.executable, "-m", "foretell.serve.work", str(self._store.place), job.key, place]
        # In a session of its own: what is typed at the terminal of the service ends the service first.
        with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:  # noqa: S603
            while process.poll() is None:
                cancelled = self._jobs.get(job.key).cancel
                if cancelled or self._ending.is_set():
                    _end(process)
                    break
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_EVERY)
        # Of a job that said how it ended this changes nothing.
        self._jobs.put_back(job.key, counted=not self._ending.is_set())
        state = self._jobs.get(job.key).state
        LOG.info("job over", extra={"fields": {"job": job.key, "state": state}})


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
