"""Models that were saved before say what they said then: see tests/fixtures/make_v1.py."""

import datetime as dt
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import foretell as ft

PLACE = Path(__file__).parent / "fixtures"
ASKED = json.loads((PLACE / "v1" / "asked.json").read_text(encoding="utf-8"))
# The statistics came with the second format.
NAMES = sorted(f"{place.parent.parent.name}/{place.parent.name}" for place in PLACE.glob("v*/*/model"))
# Dates of the next event are rounded up: another processor's rounding may move them by a tick.
ROUNDED = pl.selectors.starts_with("next_event")


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_was_saved_before_says_what_it_said_then(name):
    model = ft.load(PLACE / name / "model")
    drawn = pl.selectors.float() if "recursive" in name else pl.selectors.starts_with("expected_events")
    asked = ASKED[model.kind]
    for file in asked if model.is_ours else ("predictions",):
        call, options = asked[file]
        table = getattr(model, call)(**options)
        assert_alike(table, pl.read_parquet(PLACE / name / f"{file}.parquet"), drawn)


def assert_alike(table, expected, drawn):
    """Compare tables; what was drawn is as near as with another seed: streams have changed since."""
    assert table.schema == expected.schema
    assert table.null_count().equals(expected.null_count())
    for name in table.select(drawn).columns:
        now, then = (one[name].drop_nulls().to_numpy() for one in (table, expected))
        if len(then):
            assert now.mean() == pytest.approx(then.mean(), rel=0.05, abs=0.02), name
            assert np.abs(now - then).mean() < 0.1 * np.abs(then).mean() + 0.02, name
    for name in table.select(pl.selectors.float() - drawn).columns:
        np.testing.assert_allclose(table[name], expected[name], rtol=1e-4, atol=1e-6, err_msg=name)
    for name in table.select(ROUNDED - pl.selectors.float()).columns:
        assert ((table[name] - expected[name]).abs().drop_nulls() <= dt.timedelta(days=1)).all(), name
    rest = ~pl.selectors.float() - ROUNDED
    assert table.select(rest).equals(expected.select(rest))
