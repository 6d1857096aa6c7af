"""Many who ask at once are answered together, each with the own answer."""

import asyncio
import time

import polars as pl
import pytest

from foretell.serve.desk import BusyError, Desk
from foretell.serve.models import Loaded


class Slow:
    """Answers with the customer's number, and remembers how many were asked at once."""

    def __init__(self, error=None):
        self.blocks, self.error = [], error

    def predict(self, horizons, levels, ids):
        self.blocks.append(len(ids))
        time.sleep(0.01)
        if self.error is not None:
            raise self.error
        return pl.DataFrame({"unique_id": ids})


def asked(model, ids, seconds=5.0):
    async def ask():
        desk, loaded = Desk(seconds), Loaded("x", model, (0, 0, 0), None)
        try:
            question = (desk.customer(loaded, one, (("7d",), (80,))) for one in ids)
            return await asyncio.gather(*question, return_exceptions=True)
        finally:
            desk.close()

    return asyncio.run(ask())


def test_who_asks_meanwhile_is_answered_in_the_next_block():
    model = Slow()
    assert asked(model, range(300)) == [b'{"unique_id":%d}' % k for k in range(300)]
    assert len(model.blocks) == 3


def test_the_same_customer_is_asked_about_once():
    model = Slow()
    assert asked(model, [7] * 50) == [b'{"unique_id":7}'] * 50
    assert model.blocks == [1]


def test_what_goes_wrong_is_told_to_all_who_wait():
    answers = asked(Slow(ValueError("no")), range(3))
    assert [str(answer) for answer in answers] == ["no"] * 3


def test_answers_that_take_too_long_are_given_up():
    model = Slow()
    answers = asked(model, range(3), seconds=0.001)
    assert all(isinstance(answer, BusyError) for answer in answers)


def test_more_work_than_can_wait_is_refused():
    async def ask():
        desk = Desk(5.0)
        work = (desk.do(lambda: time.sleep(0.001)) for _ in range(100))
        answers = await asyncio.gather(*work, return_exceptions=True)
        desk.close()
        return answers

    answers = asyncio.run(ask())
    assert sum(isinstance(answer, BusyError) for answer in answers) == 36
    assert pytest.approx(64) == answers.count(None)
