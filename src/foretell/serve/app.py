"""The application of one worker: what its routes share, and how it begins and ends."""

from __future__ import annotations

import contextlib
import gc
import json
import multiprocessing
import signal
from collections.abc import AsyncIterator

import anyio
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from foretell._version import __version__
from foretell.errors import ForetellError
from foretell.serve import api, page
from foretell.serve.desk import BusyError, Desk
from foretell.serve.guard import Guard, failure
from foretell.serve.jobs import Jobs
from foretell.serve.models import MOST_LOADED, ModelShelf
from foretell.serve.quick import Quick
from foretell.serve.runner import Runner
from foretell.serve.settings import ServeConfig
from foretell.serve.store import NotThereError, Store, places_of
from foretell.serve.watch import LOG, Counters

_BEARER = HTTPBearer(auto_error=False)  # the guard has looked; this says so in the description
_LEAVE_EVERY = 1.0  # seconds, after which other workers know the counts of this one


class Service:
    """What the routes of one worker share.

    Parameters
    ----------
    config : ServeConfig

    Attributes
    ----------
    store : Store
    jobs : Jobs
    shelf : ModelShelf
    desk : Desk
    counters : Counters
    """

    def __init__(self, config: ServeConfig) -> None:
        self.config = config
        self.store = Store(config.store)
        self.jobs = Jobs(self.store.database)
        self.shelf = ModelShelf(self.store, places_of(config.models))
        self.desk = Desk(config.limits.seconds)
        self.counters = Counters(self.store.figures)

    def make_room(self) -> None:
        """Let go of the oldest files where too many are kept, but for those that jobs wait for."""
        self.store.make_room({key for job in self.jobs.last() if not job.over for key in job.sources})

    def metrics(self) -> str:
        """Return the figures of all workers."""
        jobs = {f'state="{state}"': float(count) for state, count in self.jobs.counts().items()}
        models = {"": float(len(self.shelf.names()))}
        return self.counters.text({"foretell_jobs": jobs, "foretell_models": models})

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read the models, and do jobs until the worker ends."""
        for name in self.shelf.names()[:MOST_LOADED]:
            try:
                await self.desk.do(lambda name=name: _warmed(self.shelf, name))  # type: ignore[misc]  # its default
            except ForetellError as error:
                LOG.warning("model cannot be read", extra={"fields": {"model": name, "reason": str(error)}})
        # What is there now stays: looking through it for what is over would hold up requests.
        gc.collect()
        gc.freeze()
        runner = Runner(self.store, self.jobs, self.shelf.place)
        runner.start()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._leave_counts)
                yield
                tasks.cancel_scope.cancel()
        finally:
            await anyio.to_thread.run_sync(runner.stop)
            self.desk.close()

    async def _leave_counts(self) -> None:
        """Let other workers know the counts of this one, which ends with the process that began it."""
        parent = multiprocessing.parent_process()
        while parent is None or parent.is_alive():
            await anyio.sleep(_LEAVE_EVERY)
            await anyio.to_thread.run_sync(self.counters.leave)
        signal.raise_signal(signal.SIGTERM)


def _warmed(shelf: ModelShelf, name: str) -> None:
    """Read a model and ask it once: what has to be compiled is, then."""
    loaded = shelf.get(name)
    if loaded.about.kind == "events":
        loaded.model.predict(ids=loaded.model.log_.ids[:1])  # type: ignore[call-arg, union-attr]  # of visits


def make_app(config: ServeConfig) -> ASGIApp:
    """Return the application of one worker."""
    service = Service(config)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = FastAPI(
        title="foretell",
        version=__version__,
        summary="When does each customer come next? What do regular series do next?",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.include_router(api.health)
    app.include_router(api.api, dependencies=[] if config.token is None else [Depends(_BEARER)])
    app.include_router(page.root)
    app.include_router(page.page)
    app.add_exception_handler(ForetellError, _told)
    app.add_exception_handler(HTTPException, _told)
    app.add_exception_handler(RequestValidationError, _told)
    return Guard(Quick(app, service), config, service.counters)


async def _told(request: Request, error: Exception) -> Response:
    """Return an error in the one shape that all have; on the page as a page."""
    answer = _failure_of(error)
    if not request.url.path.startswith("/page"):
        return answer
    message = json.loads(bytes(answer.body))["error"]["message"]
    return page.show_error(request, message, answer.status_code)


def _failure_of(error: Exception) -> Response:
    if isinstance(error, RequestValidationError):
        where = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        return failure("RequestError", where, 422)
    if isinstance(error, HTTPException):
        return failure("HTTPError", error.detail, error.status_code, dict(error.headers or {}))
    if isinstance(error, NotThereError):
        return failure("NotThereError", str(error), 404)
    if isinstance(error, BusyError):
        return failure("BusyError", str(error), 503, {"Retry-After": "1"})
    return failure(type(error).__name__, str(error), 409)
