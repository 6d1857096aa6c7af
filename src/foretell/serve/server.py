"""Workers that listen on one port."""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from foretell.errors import StorageError
from foretell.serve.jobs import Jobs
from foretell.serve.settings import ServeConfig
from foretell.serve.store import Store, places_of
from foretell.serve.watch import log_in_json

_KEPT_JOBS = 1_000  # that are over
_GRACE = 10  # seconds in which requests are answered that have come before it stops


def listen(config: ServeConfig) -> socket.socket:
    """Return a socket that listens where the settings say.

    Raises
    ------
    StorageError
        Somebody else listens there.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((config.host, config.port))
    except OSError as error:
        listening.close()
        raise StorageError(
            f"cannot listen on {config.host}:{config.port}: {error.strerror or error}; choose another port, "
            "or 0 for one that is free"
        ) from error
    listening.listen(2048)
    listening.set_inheritable(True)  # the signature of Python's
    return listening


def serve(config: ServeConfig, ready: Callable[[str], None]) -> None:
    """Answer until the process is told to stop.

    Parameters
    ----------
    config : ServeConfig
    ready : callable
        Called with lines to say when it listens; the first is the address.
    """
    places_of(config.models)
    store = Store(config.store)
    store.clean()
    store.drop_results(Jobs(store.database).forget(_KEPT_JOBS))
    with listen(config) as listening:
        host, port = listening.getsockname()[:2]
        ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        ready(f"what is sent and fitted is kept in {store.place}; Ctrl-C ends the service")
        log_in_json()
        settings = uvicorn.Config(
            functools.partial(_worker, config),
            factory=True,
            workers=config.workers,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE,
            timeout_keep_alive=30,
        )
        if config.workers == 1:
            uvicorn.Server(settings).run(sockets=[listening])
        else:
            Multiprocess(settings, sockets=[listening]).run()


def _worker(config: ServeConfig) -> ASGIApp:
    """Return the application of a worker, which may be a process that knows of no log yet."""
    from foretell.serve.app import make_app  # noqa: PLC0415  # the process that starts workers needs none

    log_in_json()
    return make_app(config)
