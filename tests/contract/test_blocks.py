"""Answers by blocks are the answers of all together, whatever the size of a block."""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.contract.cases import CASES, HORIZON, answers, fitted

from foretell.errors import ParameterError

# One network of each kind is asked in blocks of all sizes: each compiles anew.
SIZES = {("events", "head mixture"): (17, 64, 100_000), ("series", "direct"): (1, 4, 1_000)}


def blocks(model, **options):
    asked = {"horizons": ["7d", "30d"]} if model.kind == "events" else {"horizon": HORIZON}
    return list(model.predict_blocks(**asked, levels=[80], **options))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}, {case[1]}")
class TestEveryForecaster:
    def test_blocks_of_any_size_hold_no_more_and_give_the_answers_of_all(self, case):
        model = fitted(case)
        expected = answers(model)
        for size in SIZES.get(case, (64 if case[0] == "events" else 4,)):
            tables = blocks(model, size=size)
            assert_frame_equal(pl.concat(tables), expected, check_exact=True)
            heights = [table["unique_id"].n_unique() for table in tables]
            assert max(heights) == min(size, sum(heights))
            assert len(heights) == -(-sum(heights) // size)

    def test_a_block_of_nobody_is_refused_at_once(self, case):
        with pytest.raises(ParameterError, match="size=0"):
            fitted(case).predict_blocks(size=0)


def test_customers_who_are_asked_for_come_in_their_order():
    model = fitted(("events", "head mixture"))
    asked = [*model.log_.ids.to_list()[4::-1], "never seen"]
    tables = blocks(model, ids=asked, size=2)
    assert [table["unique_id"].to_list() for table in tables] == [asked[:2], asked[2:4], asked[4:]]
    assert tables[-1]["n_events"].to_list()[-1] == 0
