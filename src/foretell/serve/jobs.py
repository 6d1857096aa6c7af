"""What was accepted and is not done at once: a table that outlives the processes that work on it.

An accepted job is waiting, running, or over: done, failed with a reason, or cancelled. Who runs the jobs of a
store holds its lock; a job that is found running by who takes the lock was interrupted, and waits again.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import secrets
from pathlib import Path
from typing import Final, Literal

import sqlalchemy as sa

from foretell.core.contracts import Described
from foretell.errors import ParameterError, StorageError
from foretell.serve.store import NotThereError

JobKind = Literal["fit", "update", "compare"]
JobState = Literal["waiting", "running", "done", "failed", "cancelled"]
MOST_TRIES: Final = 3

_metadata: Final = sa.MetaData()
_jobs: Final = sa.Table(
    "jobs",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("key", sa.String(32), unique=True, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("model", sa.String(64), nullable=False),
    sa.Column("asked", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("progress", sa.Float, nullable=False, default=0.0),
    sa.Column("message", sa.Text, nullable=False, default=""),
    sa.Column("tries", sa.Integer, nullable=False, default=0),
    sa.Column("cancel", sa.Boolean, nullable=False, default=False),
    sa.Column("created", sa.String(32), nullable=False),
    sa.Column("finished", sa.String(32)),
)


@dataclasses.dataclass(frozen=True)
class Job:
    """A job as it stands.

    Attributes
    ----------
    key : str
    kind : {"fit", "update", "compare"}
    model : str
        The model that it makes or changes; of a comparison a name for it.
    asked : mapping
        What was asked, as JSON.
    state : {"waiting", "running", "done", "failed", "cancelled"}
    progress : float
        From 0 to 1.
    message : str
        What goes on, or why it failed.
    tries : int
        How often it was begun.
    cancel : bool
        It is to be given up.
    created, finished : str, str or None
        Moments in UTC.
    """

    key: str
    kind: JobKind
    model: str
    asked: Described
    state: JobState
    progress: float
    message: str
    tries: int
    cancel: bool
    created: str
    finished: str | None

    @property
    def over(self) -> bool:
        """Whether nothing more comes."""
        return self.state not in {"waiting", "running"}

    @property
    def sources(self) -> list[str]:
        """The keys of the files and tables that it reads."""
        read = self.asked.get("read") or {}
        named = self.asked.get("source"), read.get("calendar")
        return [key for key in named if isinstance(key, str)]


class Jobs:
    """The jobs of a store, for any number of processes.

    Parameters
    ----------
    path : Path
        A SQLite file; it is made where it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})
        # What was accepted has to be there after the power fails, too.
        sa.event.listen(self._engine, "connect", _careful)
        try:
            _metadata.create_all(self._engine)
        except sa.exc.DBAPIError as error:
            raise StorageError(f"{path} cannot be used as a table of jobs: {error.orig}") from error

    def add(self, kind: JobKind, model: str, asked: Described, *, most: int) -> Job:
        """Accept a job; refuse it where too many wait."""
        key = secrets.token_hex(16)
        with self._engine.begin() as connection:
            waiting = sa.select(sa.func.count()).where(_jobs.c.state == "waiting")
            if (connection.execute(waiting).scalar() or 0) >= most:
                raise ParameterError(f"{most} jobs are waiting already; try again when some are done")
            connection.execute(
                _jobs.insert().values(
                    key=key, kind=kind, model=model, asked=json.dumps(asked), state="waiting", created=_now()
                )
            )
        return self.get(key)

    def get(self, key: str) -> Job:
        """Return a job."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(_jobs).where(_jobs.c.key == key)).mappings().first()
        if row is None:
            raise NotThereError(f"there is no job {key!r}")
        return _job(row)

    def last(self, count: int = 100) -> list[Job]:
        """Return the jobs that were accepted last, the latest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(_jobs).order_by(_jobs.c.number.desc()).limit(count))
            return [_job(row) for row in rows.mappings()]

    def counts(self) -> dict[str, int]:
        """Return how many jobs are in which state."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(_jobs.c.state, sa.func.count()).group_by(_jobs.c.state))
            return {str(state): int(count) for state, count in rows}

    def take(self) -> Job | None:
        """Begin the job that has waited longest; None where none waits."""
        with self._engine.begin() as connection:
            first = sa.select(_jobs.c.key).where(_jobs.c.state == "waiting").order_by(_jobs.c.number).limit(1)
            key = connection.execute(first).scalar()
            if key is None:
                return None
            begun = _jobs.update().where(_jobs.c.key == key, _jobs.c.state == "waiting")
            if not connection.execute(begun.values(state="running", tries=_jobs.c.tries + 1)).rowcount:
                return None
        return self.get(key)

    def tell(self, key: str, progress: float, message: str) -> None:
        """Say how far a running job is."""
        self._change(key, "running", progress=progress, message=message)

    def finish(self, key: str, state: JobState, message: str = "") -> None:
        """End a running job."""
        done = {"progress": 1.0} if state == "done" else {}
        self._change(key, "running", state=state, message=message, finished=_now(), **done)

    def put_back(self, key: str, *, counted: bool = True) -> None:
        """Let a job that was interrupted wait again; a job that is interrupted again and again fails."""
        job = self.get(key)
        if job.cancel:
            self.finish(key, "cancelled")
        elif counted and job.tries >= MOST_TRIES:
            self.finish(key, "failed", f"its process was ended {job.tries} times; it may need more memory")
        else:
            self._change(key, "running", state="waiting", tries=job.tries if counted else job.tries - 1)

    def put_all_back(self) -> None:
        """Let the jobs wait again that a killed service left running."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(_jobs.c.key).where(_jobs.c.state == "running"))
            keys = [str(key) for key in rows.scalars()]
        for key in keys:
            self.put_back(key)

    def forget(self, kept: int) -> list[str]:
        """Forget jobs that are over, but for the last so many; return which."""
        last = sa.select(_jobs.c.number).order_by(_jobs.c.number.desc()).limit(kept)
        old = sa.and_(_jobs.c.number.not_in(last), _jobs.c.state.not_in(("waiting", "running")))
        with self._engine.begin() as connection:
            keys = [str(key) for key in connection.execute(sa.select(_jobs.c.key).where(old)).scalars()]
            connection.execute(_jobs.delete().where(_jobs.c.key.in_(keys)))
        return keys

    def cancel(self, key: str) -> Job:
        """Give a job up; one that is over stays as it is."""
        self.get(key)
        self._change(key, "waiting", state="cancelled", finished=_now(), cancel=True)
        self._change(key, "running", cancel=True)
        return self.get(key)

    def _change(self, key: str, now: JobState, **values: object) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                _jobs.update().where(_jobs.c.key == key, _jobs.c.state == now).values(**values)
            )


def _job(row: sa.RowMapping) -> Job:
    fields = {field.name: row[field.name] for field in dataclasses.fields(Job)}
    return Job(**{**fields, "asked": json.loads(row["asked"])})


def _careful(connection: object, _: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]  # a connection of sqlite3
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
