"""Models that were saved before say what they said then: see tests/fixtures/make_v1.py."""

import datetime as dt
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import foretell as ft

PLACE = Path(__file__).parent / "fixtures" / "v1"
ASKED = json.loads((PLACE / "asked.json").read_text(encoding="utf-8"))
# Dates of the next event are rounded up: another processor's rounding may move them by a tick.
ROUNDED = pl.selectors.starts_with("next_event")


@pytest.mark.parametrize("name", sorted(place.name for place in PLACE.iterdir() if place.is_dir()))
def test_a_model_that_was_saved_before_says_what_it_said_then(name):
    model = ft.load(PLACE / name / "model")
    kind = "series" if isinstance(model, ft.SeriesForecaster) else "events"
    for file, (call, options) in ASKED[kind].items():
        assert_alike(getattr(model, call)(**options), pl.read_parquet(PLACE / name / f"{file}.parquet"))


def assert_alike(table, expected):
    assert table.schema == expected.schema
    assert table.null_count().equals(expected.null_count())
    for name in table.select(pl.selectors.float()).columns:
        np.testing.assert_allclose(table[name], expected[name], rtol=1e-4, atol=1e-6, err_msg=name)
    for name in table.select(ROUNDED - pl.selectors.float()).columns:
        assert ((table[name] - expected[name]).abs().drop_nulls() <= dt.timedelta(days=1)).all(), name
    rest = ~pl.selectors.float() - ROUNDED
    assert table.select(rest).equals(expected.select(rest))
