"""Ray: one task for each partition, on a cluster that is there or on workers of this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

from foretell.core.constraints import Maybe, Whole, check_fields
from foretell.errors import ForetellError, MissingDependencyError, StorageError, WorkerError

Result = TypeVar("Result")

# Workers stand side by side, one for each core: each of them keeps to one.
_ONE_THREAD: Final = {
    "POLARS_MAX_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}
_RETRIES: Final = 5


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Where partitions are worked on.

    Parameters
    ----------
    workers : int, optional
        Partitions that are worked on at once, by default as many as there are cores. A cluster that the
        environment variable ``RAY_ADDRESS`` names, or that the process is connected to, is used as it is;
        else the workers are processes of this machine.
    progress : callable, optional
        Called with the number of partitions that are done and of all, whenever one is.
    """

    workers: int | None = None
    progress: Callable[[int, int], None] | None = None

    def __post_init__(self) -> None:
        check_fields(self, {"workers": Maybe(Whole())})

    @contextlib.contextmanager
    def connected(self) -> Iterator[Any]:
        """Give Ray, connected; a cluster of our own ends with it."""
        ray = _ray()
        if ray.is_initialized():
            yield ray
            return
        there = os.environ.get("RAY_ADDRESS")
        where = {"address": there} if there else {"address": "local", "num_cpus": self.workers}
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        flags = f"{os.environ.get('XLA_FLAGS', '')} {_ONE_THREAD['XLA_FLAGS']}".strip()
        with warnings.catch_warnings():
            # Ray forks to start its processes, which at once become other programs: JAX need not mind.
            warnings.filterwarnings("ignore", r"os\.fork\(\)", RuntimeWarning)
            ray.init(
                **where,
                include_dashboard=None if there else False,
                log_to_driver=False,
                logging_level="ERROR",
                runtime_env={"env_vars": _ONE_THREAD | {"XLA_FLAGS": flags}},
            )
        try:
            yield ray
        finally:
            ray.shutdown()

    def run(
        self, task: Callable[..., Result], parts: Iterable[tuple[Any, ...]], shared: object
    ) -> Iterator[Result]:
        """Yield what a task makes of each of the parts and of what they share, in no order.

        A worker that dies, and a table that cannot be written, cost a retry.

        Parameters
        ----------
        task : callable
        parts : iterable of tuple
            Arguments of each task, made no sooner than a worker is free.
        shared : object
            First argument of all of them: brought to each machine once.
        """
        with self.connected() as ray:
            remote = ray.remote(num_cpus=1, max_retries=_RETRIES, retry_exceptions=[StorageError])(task)
            common, todo = ray.put(shared), iter(parts)
            waiting: list[object] = []
            at_once = self.workers or int(ray.cluster_resources().get("CPU", 1))
            try:
                while True:
                    while len(waiting) < at_once and (part := next(todo, None)) is not None:
                        waiting.append(remote.remote(common, *part))
                    if not waiting:
                        return
                    (ready,), waiting = ray.wait(waiting, num_returns=1)
                    yield ray.get(ready)
            except ray.exceptions.RayTaskError as error:
                cause = error.cause
                raise cause if isinstance(cause, ForetellError) else error from None
            except ray.exceptions.RayError as error:
                raise WorkerError(
                    f"a worker was lost {_RETRIES + 1} times on the same partition ({error}); what is done "
                    "stays done: call again to go on, with smaller partitions if memory ran out"
                ) from error
            finally:
                for left in waiting:
                    ray.cancel(left)


def _ray() -> Any:
    try:
        import ray  # noqa: PLC0415  # an extra, and seldom wanted
    except ImportError as error:
        raise MissingDependencyError(
            f"{error}; install what clusters need: pip install 'foretell[ray]'"
        ) from error
    return ray
