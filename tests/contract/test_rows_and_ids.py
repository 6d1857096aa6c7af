"""The order of rows and of customers, and what names them, change no answer of any forecaster."""

from __future__ import annotations

import datetime as dt
import functools

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.conftest import read_small, small_events
from tests.contract import cases

import foretell as ft

every_case = pytest.mark.parametrize("case", cases.CASES, ids=lambda case: f"{case[0]}, {case[1]}")
KINDS = ("events", "series")
# Paths are drawn by name: with other names cases.answers differ by what so few paths leave to chance.
SIMULATED = {("events", name) for name in ("head mixture", "auto", "stores", "own cell")}
RECURSIVE, PATHS = ("series", "recursive"), 0.7
START = dt.date(1990, 1, 1)
# Names of any type, in the order of their numbers.
NAMES = {
    "text": lambda number: pl.format("n{}", number.cast(pl.String).str.zfill(4)),
    "signed": lambda number: (number - 50).cast(pl.Int8),
    "unsigned": lambda number: number.cast(pl.UInt64) + 2**63,
    "fractions": lambda number: number / 4,
    "category": lambda number: NAMES["text"](number).cast(pl.Categorical),
    "date": lambda number: pl.lit(START) + pl.duration(days=number),
    "moment": lambda number: pl.lit(START).cast(pl.Datetime("us")) + pl.duration(hours=number),
}


def rows(kind):
    """Return the table that the training data of one question are read from."""
    return small_events() if kind == "events" else cases.panel_of(cases.waves()).to_frame()


def read(table):
    """Return a log or a panel as it stood at the cut-off."""
    if "y" in table.columns:
        return cases.at_cut_off(ft.read_series(table))
    return read_small(table).until(cases.CUTOFF)


def renamed(table, name):
    """Return a table whose customers or series have other names."""
    number = pl.col("unique_id").rank("dense").cast(pl.Int64) - 1
    return table.with_columns(unique_id=name(number))


def backwards(number):
    """Name the first the last."""
    return NAMES["text"](1000 - number)


def as_text(table):
    """Return a table without categories: some are kept as text."""
    return table.cast({pl.Categorical: pl.String})


@functools.cache
def shuffled(kind):
    return read(rows(kind).sample(fraction=1.0, shuffle=True, seed=3))


@functools.cache
def numbered(kind):
    return read(renamed(rows(kind), NAMES["signed"]))


@every_case
class TestEveryForecaster:
    def test_rows_in_another_order_give_the_same_answers(self, case):
        model = cases.make(case).fit(shuffled(case[0]))
        assert_frame_equal(cases.answers(model), cases.answers(cases.fitted(case)), check_exact=True)

    def test_names_of_another_type_give_the_same_answers_also_when_reloaded(self, case, tmp_path):
        model = cases.make(case).fit(numbered(case[0]))
        table, expected = cases.answers(model), cases.answers(cases.fitted(case))
        assert table["unique_id"].dtype == numbered(case[0]).ids.dtype == pl.Int8
        if case == RECURSIVE:
            assert_frame_equal(table.drop("unique_id"), expected.drop("unique_id"), abs_tol=PATHS)
        else:
            drawn = [name for name in table.columns if case in SIMULATED and name.startswith("expected_")]
            rest = [one.drop("unique_id", *drawn) for one in (table, expected)]
            assert_frame_equal(*rest, check_exact=True)
        again = cases.answers(ft.load(model.save(tmp_path / "model")))
        assert_frame_equal(again, table, rel_tol=1e-6)

    def test_each_is_answered_by_name_and_as_alone_among_others(self, case):
        model, data = cases.fitted(case), cases.training_data(case[0])
        some = data.ids.gather([4, 0, 2]).alias("unique_id")
        expected = some.to_frame().join(
            cases.answers(model), on="unique_id", how="left", maintain_order="left"
        )
        if case[0] == "events":
            table = cases.answers(model, ids=some)
        else:
            table = model.predict(data.select(some), horizon=3, levels=[80])
            expected = expected.sort("unique_id", maintain_order=True)
        assert_frame_equal(table, expected, rel_tol=1e-5, abs_tol=1e-5)

    def test_a_fitted_one_answers_for_whoever_comes_first(self, case):
        model, data = cases.fitted(case), read(renamed(rows(case[0]), backwards))
        if case[0] == "series":
            table, expected = model.predict(data, horizon=3, levels=[80]), cases.answers(model)
            steps = np.arange(len(expected)).reshape(-1, 3)[::-1].ravel()
            columns = ["unique_id"]
            assert_frame_equal(
                table.drop(columns),
                expected[steps].drop(columns),
                abs_tol=PATHS if case == RECURSIVE else 1e-3,
            )
            return
        chances = [model.return_chances(log, [7, 30]) for log in (data, cases.training_data("events"))]
        if chances[0] is None:
            assert chances[1] is None
        else:
            np.testing.assert_allclose(chances[0], chances[1][::-1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
class TestNamesOfAnyType:
    CHEAP = {"events": "BG/NBD", "series": "seasonal naive"}  # noqa: RUF012  # the tests' own

    def test_they_are_read_asked_for_and_kept(self, kind, name, tmp_path):
        case = kind, self.CHEAP[kind]
        data = read(renamed(rows(kind), NAMES[name]))
        model = cases.make(case).fit(data)
        table, expected = cases.answers(model), cases.answers(cases.fitted(case))
        assert table["unique_id"].dtype == data.ids.dtype
        assert_frame_equal(table.drop("unique_id"), expected.drop("unique_id"), check_exact=True)
        again = ft.load(model.save(tmp_path / "model"))
        assert_frame_equal(as_text(cases.answers(again)), as_text(table))
        third = data.ids[3]
        if kind == "events":
            assert_frame_equal(as_text(cases.answers(again, ids=[third])), as_text(table[3:4]))
        else:
            alone = again.predict(data.select([third]), horizon=3, levels=[80])
            assert_frame_equal(as_text(alone), as_text(table.filter(pl.col("unique_id") == third)))
