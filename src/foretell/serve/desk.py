"""Where questions are answered: single customers together, everything else one after the other."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeAlias, TypeVar

from foretell.errors import WorkerError
from foretell.serve.bodies import Asked
from foretell.serve.models import Loaded

T = TypeVar("T")

# Of so many customers a question costs little more than of one, and the same code answers (numpy).
_TOGETHER: Final = 128
_GATHERS: Final = 0.002  # seconds in which those who ask at once come together
_KEPT: Final = 50_000  # answers of a model, the latest
_THREADS: Final = 2
_MOST_WAITING: Final = 64

_Question: TypeAlias = tuple[Loaded, Asked]


class BusyError(WorkerError):
    """More is asked than can be answered in time."""


class Desk:
    """Answers questions in threads, so that the service goes on listening.

    While one block of customers is answered those who are asked meanwhile gather for the next one. Answers
    are kept, as long as the model stays the same.

    Parameters
    ----------
    seconds : float
        After which an answer is given up.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._single = ThreadPoolExecutor(1, "single")
        self._others = ThreadPoolExecutor(_THREADS, "answers")
        self._waiting: dict[_Question, dict[object, asyncio.Future[bytes]]] = {}
        self._at_work: dict[_Question, asyncio.Task[None]] = {}
        self._n_others = 0

    async def do(self, work: Callable[[], T]) -> T:
        """Return what some work returns, which is done in a thread."""
        if self._n_others >= _MOST_WAITING:
            raise BusyError(f"{self._n_others} questions are being answered; ask again in a while")
        self._n_others += 1
        done = asyncio.get_running_loop().run_in_executor(self._others, work)
        done.add_done_callback(self._one_less)
        return await self._in_time(done)

    async def customer(self, loaded: Loaded, customer: object, asked: Asked) -> bytes:
        """Return one customer's row of the forecasts, as JSON."""
        question = (loaded, asked)
        kept = loaded.answers.get((asked, customer))
        if kept is not None:
            return kept
        waiting = self._waiting.setdefault(question, {})
        if customer not in waiting:
            if len(waiting) >= _TOGETHER * _MOST_WAITING:
                raise BusyError(f"{len(waiting)} customers wait for their answers; ask again in a while")
            waiting[customer] = asyncio.get_running_loop().create_future()
        answer = waiting[customer]
        if question not in self._at_work:
            self._at_work[question] = asyncio.create_task(self._answer(question))
        return await self._in_time(asyncio.shield(answer))

    def close(self) -> None:
        """Let go of what waits."""
        self._single.shutdown(wait=False, cancel_futures=True)
        self._others.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, question: _Question) -> None:
        """Answer one question about all who wait for it, block by block."""
        try:
            while waiting := self._waiting.get(question):
                block = dict(list(waiting.items())[:_TOGETHER])
                for customer in block:
                    del waiting[customer]
                await self._answer_block(question, block)
                await asyncio.sleep(_GATHERS)
        finally:
            self._waiting.pop(question, None)
            del self._at_work[question]

    async def _answer_block(self, question: _Question, block: dict[object, asyncio.Future[bytes]]) -> None:
        work = functools.partial(_rows, question, list(block))
        try:
            rows = await asyncio.get_running_loop().run_in_executor(self._single, work)
        except Exception as error:  # noqa: BLE001  # whatever it is, all who wait are told
            for answer in block.values():
                answer.set_exception(error)
            return
        loaded, asked = question
        for (customer, answer), row in zip(block.items(), rows, strict=True):
            loaded.answers[asked, customer] = row
            answer.set_result(row)
        while len(loaded.answers) > _KEPT:
            loaded.answers.popitem(last=False)

    async def _in_time(self, answer: asyncio.Future[T]) -> T:
        try:
            return await asyncio.wait_for(answer, self._seconds)
        except TimeoutError as error:
            raise BusyError(f"no answer within {self._seconds:g} seconds; ask for less at once") from error

    def _one_less(self, _: object) -> None:
        self._n_others -= 1


def _rows(question: _Question, customers: list[object]) -> list[bytes]:
    loaded, (horizons, levels) = question
    table = loaded.model.predict(horizons, levels, customers)  # type: ignore[call-arg, arg-type]  # of visits
    return table.write_ndjson().encode().splitlines()
