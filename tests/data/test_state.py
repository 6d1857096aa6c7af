"""Logs and panels come back from JSON and plain arrays as they were."""

import datetime as dt
import json

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.data.state import (
    column_from_state,
    column_state,
    log_from_state,
    log_state,
    panel_from_state,
    panel_state,
)


def through_json(described):
    return json.loads(json.dumps(described))


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([3, 1], dtype=pl.UInt8),
        pl.Series([0.5, -1.0]),
        pl.Series(["", "Zoë", "李"]),
        pl.Series([dt.date(2024, 1, 1)]),
        pl.Series([dt.datetime(2024, 1, 1, 5, tzinfo=dt.UTC)]).cast(pl.Datetime("ms", "Europe/Berlin")),
        pl.Series([True, False]),
        pl.Series([], dtype=pl.String),
    ],
    ids=lambda values: str(values.dtype),
)
def test_a_column_of_any_type_comes_back(values):
    described, arrays = column_state(values, "ids")
    back = column_from_state(through_json(described), arrays, "ids")
    assert back.dtype == values.dtype
    assert back.to_list() == values.to_list()
    assert all(array.dtype != object for array in arrays.values())


def test_texts_that_do_not_fit_their_lengths_are_refused():
    described, arrays = column_state(pl.Series(["ab", "c"]), "ids")
    arrays["ids.lengths"] = np.array([2, 9])
    with pytest.raises(ft.errors.DataError, match="add up to 11, not to 3"):
        column_from_state(described, arrays, "ids")


def test_a_log_comes_back():
    rows = {
        "who": ["b", "a", "a"], "ds": ["2024-01-05", "2024-01-01", "2024-01-08"],
        "shop": ["x", "y", "x"], "eur": [1.0, 2.5, 3.0],
    }  # fmt: skip
    log = ft.read_events(pl.DataFrame(rows), id="who", time="ds", marks=["eur"], group="shop")
    described, arrays = log_state(log)
    back = log_from_state(through_json(described), arrays)
    assert back.to_polars().equals(log.to_polars())
    assert (back.as_of, back.start, back.unit, back.merge) == (log.as_of, log.start, log.unit, log.merge)
    assert back.report == log.report


def test_a_panel_comes_back():
    panel = ft.Panel.from_arrays(
        {"a": [1.0, np.nan, 3.0], "b": [4.0, 5.0]},
        freq="B",
        start="2024-01-01",
        past={"w": [["hot", "cold", "hot"], ["cold", "cold"]]},
        future={"p": [[0, 1, 0, 1], [1, 1]]},
        static={"s": [1.0, 2.0]},
    )
    described, arrays = panel_state(panel)
    back = panel_from_state(through_json(described), arrays)
    assert back.to_frame().equals(panel.to_frame())
    assert repr(back) == repr(panel)
    assert back.report == panel.report
