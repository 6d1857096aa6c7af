"""The process of one job: ``python -m foretell.serve.work STORE JOB [PLACE]``.

It ends with the process that began it, whose end of the pipe to it closes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from foretell.errors import EmptyLogError, ForetellError, ParameterError
from foretell.forecasters import load
from foretell.serve import reading
from foretell.serve.answers import data_of, read_visits
from foretell.serve.bodies import CompareAsk, FitAsk, Reading, UpdateAsk
from foretell.serve.jobs import Job, JobKind, Jobs
from foretell.serve.store import Source, Store
from foretell.serve.watch import LOG, log_in_json

if TYPE_CHECKING:
    from foretell.data.log import EventLog
    from foretell.events.forecaster import EventForecaster
    from foretell.nn.training import Progress

_NICE: Final = 10  # requests go before jobs
_TELL_EVERY: Final = 0.3  # seconds
_KEPT_FOR_THE_REST: Final = 0.9  # of the progress, by training


class Teller:
    """Says in the table of jobs how far this one is, not more often than anybody looks.

    Parameters
    ----------
    jobs : Jobs
    key : str
    """

    def __init__(self, jobs: Jobs, key: str) -> None:
        self._jobs, self._key = jobs, key
        self._last = 0.0
        self._members: dict[int, float] = {}

    def say(self, progress: float, message: str) -> None:
        """Say it now."""
        self._jobs.tell(self._key, progress, message)

    def epoch(self, epoch: Progress, members: int) -> None:
        """Say it after an epoch of one of so many networks."""
        self._members[epoch.member] = (epoch.epoch + 1) / epoch.epochs
        now = time.monotonic()
        if now - self._last >= _TELL_EVERY:
            self._last = now
            share = min(sum(self._members.values()) / max(members, len(self._members)), 1.0)
            self.say(0.1 + (_KEPT_FOR_THE_REST - 0.1) * share, "training")


def fit(job: Job, store: Store, place: Path, teller: Teller) -> str:
    """Read a source, learn from it, and put the model in its place."""
    ask = FitAsk.model_validate(job.asked)
    teller.say(0.0, "reading")
    data = reading.read(store.source(ask.source), ask.read, _calendar(store, ask.read))
    forecaster: Any = reading.forecaster(ask, data)
    teller.say(0.1, "training")
    members = int(getattr(forecaster, "ensemble", 1))
    forecaster.fit(data, progress=lambda epoch: teller.epoch(epoch, members))
    teller.say(0.95, "writing")
    forecaster.save(place)
    return str(data.report)


def _calendar(store: Store, how: Reading) -> Source | None:
    return None if how.calendar is None else store.source(how.calendar)


def update(job: Job, store: Store, place: Path, teller: Teller) -> str:
    """Move a model of visits forward; rows that it has seen are left out, so that it may be done twice."""
    ask = UpdateAsk.model_validate(job.asked)
    teller.say(0.0, "reading")
    model = cast("EventForecaster", load(place))
    if model.kind != "events":
        raise ParameterError(
            "update takes a model of visits, and this is one of regular series: fit it again"
        )
    try:
        later = _later(ask, store, model)
    except EmptyLogError:
        if job.tries > 1:
            return "nothing new is left: it was added before the service was interrupted"
        raise
    teller.say(0.4, "updating")
    model.update(later)
    teller.say(0.9, "writing")
    model.save(place)
    added = (
        f"{later.n_events:,} visits of {later.n_customers:,} customers added, up to {later.date(later.as_of)}"
    )
    return f"{added}\n{later.report}" if later.n_events else added


def _later(ask: UpdateAsk, store: Store, model: EventForecaster) -> EventLog:
    """Read what an update adds."""
    log = model.log_
    if ask.visits is not None:
        return read_visits(model, ask.visits, ask.as_of)
    if ask.source is not None and ask.read is not None:
        calendar = _calendar(store, ask.read)
        return reading.read_later(store.source(ask.source), ask.read, log, ask.as_of, calendar)
    log.check_later(ask.as_of)
    return log.quiet_until(log.last_tick(ask.as_of))


def compare(job: Job, store: Store, place: Path, teller: Teller) -> str:
    """Hold back the end of the data, and compare models on it."""
    from foretell.evaluation.backtest import evaluate  # noqa: PLC0415  # fits need no comparison

    ask = CompareAsk.model_validate(job.asked)
    teller.say(0.0, "reading")
    if ask.source is not None and ask.read is not None:
        data = reading.read(store.source(ask.source), ask.read, _calendar(store, ask.read))
    else:
        data = data_of(load(place))
    cutoff, horizon, models = reading.comparison(ask, data)
    teller.say(0.1, "fitting and comparing the models")
    evaluation = evaluate(data, cutoff, horizon, models)
    table, verdict = evaluation.table(), evaluation.verdict()
    store.keep_result(
        job.key,
        {
            "verdict": str(verdict),
            "judged": dataclasses.asdict(verdict),
            "headline": evaluation.headline,
            "columns": table.columns,
            "rows": table.rows(),
        },
    )
    return evaluation.headline


DO: Final[dict[JobKind, Callable[[Job, Store, Path, Teller], str]]] = {
    "fit": fit,
    "update": update,
    "compare": compare,
}


def run(store: Store, key: str, place: Path) -> None:
    """Do a job, and say how it ended."""
    jobs = Jobs(store.database)
    job = jobs.get(key)
    notes: list[str] = []

    def said(message: str) -> str:
        for source in job.sources:
            with contextlib.suppress(ForetellError):
                message = store.source(source).said(message)
        return message

    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            message = DO[job.kind](job, store, place, Teller(jobs, key))
        notes = [
            f"note: {warning.message}" for warning in caught if issubclass(warning.category, UserWarning)
        ]
    except ForetellError as error:
        jobs.finish(key, "failed", said(str(error)))
    except MemoryError:
        jobs.finish(key, "failed", "the memory of this machine does not suffice; send fewer rows")
    except Exception as error:  # noqa: BLE001  # whatever it is, it is logged and the job is over
        LOG.exception("job failed", extra={"fields": {"job": key}})
        jobs.finish(key, "failed", f"something went wrong inside ({type(error).__name__}); the log says more")
    else:
        jobs.finish(key, "done", said("\n".join([message, *dict.fromkeys(notes)])))


def _end_with_parent() -> None:
    """End this process when the pipe from its parent closes; a buffer would hold a lock to the end."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def main() -> None:
    """Do the job that the command line names."""
    store, key = Store(Path(sys.argv[1])), sys.argv[2]
    log_in_json()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    run(store, key, Path(sys.argv[3]))


if __name__ == "__main__":
    main()
