"""Logs and panels come back from JSON and tables as they were; parts that do not fit are refused."""

import dataclasses
import datetime as dt
import json

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.data.state import column_of_arrays, log_from_state, log_state, panel_from_state, panel_state
from foretell.errors import DataError
from foretell.storage.directory import read, write

ROWS = {
    "who": ["b", "a", "a"], "ds": ["2024-01-05", "2024-01-01", "2024-01-08"],
    "shop": ["x", "y", "x"], "eur": [1.0, 2.5, 3.0],
}  # fmt: skip


@pytest.fixture
def log():
    return ft.read_events(pl.DataFrame(ROWS), id="who", time="ds", marks=["eur"], group="shop")


@pytest.fixture
def panel():
    return ft.Panel.from_arrays(
        {"a": [1.0, np.nan, 3.0], "b": [4.0, 5.0]},
        freq="B",
        start="2024-01-01",
        past={"w": [["hot", "cold", "hot"], ["cold", "cold"]]},
        future={"p": [[0, 1, 0, 1], [1, 1]]},
        static={"s": [1.0, 2.0]},
    )


def through_files(state, place):
    return read(write(state, place / "model", kind="events", forecaster="nobody")).state


def changed(state, table, **columns):
    tables = {**state.tables, table: state.tables[table].with_columns(**columns)}
    return dataclasses.replace(state, tables=tables)


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([1, 3], dtype=pl.UInt8),
        pl.Series([-1.0, 0.5]),
        pl.Series(["", "Zoë", "李"]),
        pl.Series([dt.date(2024, 1, 1)]),
        pl.Series([dt.datetime(2024, 1, 1, 5, tzinfo=dt.UTC)]).cast(pl.Datetime("ms", "Europe/Berlin")),
        pl.Series([False, True]),
        pl.Series(["b", "a"], dtype=pl.Enum(["b", "a"])),
        pl.Series(["a", "b"], dtype=pl.Categorical),
    ],
    ids=lambda values: str(values.dtype),
)
def test_ids_of_any_type_come_back(log, tmp_path, values):
    days = np.arange(len(values) + 1)
    whole = dataclasses.replace(
        log, ids=values, offsets=days, times=log.start + days[:-1], marks=np.ones((len(values), 1)),
        groups=None, group_names=None,
    )  # fmt: skip
    back = log_from_state(through_files(log_state(whole), tmp_path))
    assert back.ids.dtype == values.dtype
    assert back.ids.to_list() == values.to_list()


def test_a_log_comes_back(log, tmp_path):
    back = log_from_state(through_files(log_state(log), tmp_path))
    assert back.to_polars().equals(log.to_polars())
    assert (back.as_of, back.start, back.unit, back.merge) == (log.as_of, log.start, log.unit, log.merge)
    assert back.report == log.report


def test_a_panel_comes_back(panel, tmp_path):
    back = panel_from_state(through_files(panel_state(panel), tmp_path))
    assert back.to_frame().equals(panel.to_frame())
    assert repr(back) == repr(panel)
    assert back.report == panel.report


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"unique_id": pl.Series(["b", "a"])}, "not in order"),
        ({"unique_id": pl.Series(["a", "a"])}, "double"),
        ({"unique_id": pl.Series(["a", None])}, "missing"),
        ({"times": pl.Series([[19_723], [19_727]])}, "marks or groups of other visits"),
        ({"times": pl.Series([[19_730, 19_723], [19_727]])}, "visits out of order"),
        ({"times": pl.Series([[19_723, 29_723], [19_727]])}, "visits out of the period"),
        ({"mark-0": pl.Series([[np.inf, 1.0], [1.0]])}, "marks that are infinite or below 0"),
        ({"groups": pl.Series([[0, 2], [1]])}, "groups without a name"),
    ],
)
def test_parts_of_a_log_that_do_not_fit_are_refused(log, columns, message):
    with pytest.raises(DataError, match=message):
        log_from_state(changed(log_state(log), "customers", **columns))


@pytest.mark.parametrize("changes", [{"as_of": 10**12}, {"as_of": 0}, {"start": None}, {"start": 1.5}])
def test_a_log_of_an_impossible_period_is_refused(log, changes):
    state = log_state(log)
    with pytest.raises(DataError, match="a period of another length"):
        log_from_state(dataclasses.replace(state, described={**state.described, **changes}))


def test_parts_of_a_panel_that_do_not_fit_are_refused(panel):
    state = panel_state(panel)
    for columns, message in [
        ({"value-0": pl.Series([[1.0], [2.0]])}, "other lengths than their values"),
        ({"value-0": pl.Series([[1.0, np.inf, 3.0], [4.0, 5.0]])}, "infinite values"),
        ({"past-0": pl.Series([[0.0, 1.0, 2.0], [0.0, 1.0]])}, "codes without a category"),
    ]:
        with pytest.raises(DataError, match=message):
            panel_from_state(changed(state, "series", **columns))


def test_texts_that_do_not_fit_their_lengths_are_refused():
    """As the statistics of the second format kept them."""
    arrays = {"ids.lengths": np.array([2, 9]), "ids.text": np.frombuffer(b"abc", dtype=np.uint8)}
    with pytest.raises(DataError, match="add up to 11, not to 3"):
        column_of_arrays({"type": "String"}, arrays, "ids")
    arrays["ids.lengths"] = np.array([2, 1])
    assert column_of_arrays(json.loads('{"type": "String"}'), arrays, "ids").to_list() == ["ab", "c"]
