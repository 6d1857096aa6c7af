"""Next to nothing to learn from, and data without sense: an answer, or one clear error."""

from __future__ import annotations

import jax
import numpy as np
import polars as pl
import pytest
from tests.contract.cases import EVENTS, SERIES, answers, make, numbers

import foretell as ft

# Customers with the days of their visits, to day 100.
LOGS = {
    "one customer, one visit": [[5]],
    "one customer, many visits": [[*range(0, 96, 6)]],
    "everybody once on one day": [[50]] * 12,
    "everybody every day": [[*range(85, 101)]] * 12,
    "everybody on the last day": [[100]] * 12,
}
SHORT = {
    "one series of two steps": {"a": [1.0, 2.0]},
    "one value": {"a": [np.nan, 3.0, np.nan]},
    "nothing observed": {"a": [np.nan] * 30, "b": [np.nan] * 9},
    "constant": {"a": [2.0] * 40, "b": [0.0] * 40},
    "one step each": {"a": [1.0], "b": [2.0]},
    "huge and tiny": {"a": [1e12, -1e12] * 20, "b": [1e-12, 2e-12] * 20},
}
# Networks of other heads and methods meet the same data by the same way: what compiles anew is left out.
NETWORKS = {
    "head bins",
    "head gap",
    "head hazard",
    "stores",
    "own cell",
    "recursive",
    "seq2seq",
    "own network",
}
CASES = [
    (kind, name, data)
    for kind, names, datasets in (("events", EVENTS, LOGS), ("series", SERIES, SHORT))
    for name in names
    for data in (list(datasets)[:1] if name in NETWORKS else datasets)
]


def log_of(visits):
    rows = [(f"c{who:02d}", day) for who, days in enumerate(visits) for day in days]
    frame = pl.DataFrame(rows, schema=["unique_id", "day"], orient="row")
    frame = frame.select("unique_id", ds=pl.date(2024, 1, 1) + pl.duration(days="day"))
    shops = frame.with_columns(shop=pl.lit("shop 0"), amount=pl.lit(1.0))
    # A single customer has to be meant.
    return ft.read_events(
        shops, marks=["amount"], group="shop", as_of="2024-04-11", ids=shops["unique_id"].unique()
    )


def panel_of(series):
    return ft.Panel.from_arrays(series, freq="1d", start="2024-01-01")


def answer_or_error(model, table):
    try:
        with jax.debug_nans(True):  # what no compiled program may hand out
            return answers(model.fit(table))
    except ft.errors.DataError as error:
        return error


@pytest.mark.filterwarnings("ignore::foretell.errors.SmallDataWarning")
@pytest.mark.parametrize("case", CASES, ids=", ".join)
def test_next_to_nothing_is_answered_or_refused_by_one_clear_error(case):
    kind, name, data = case
    table = log_of(LOGS[data]) if kind == "events" else panel_of(SHORT[data])
    outcome = answer_or_error(make((kind, name)), table)
    if isinstance(outcome, ft.errors.DataError):
        assert "; " in str(outcome)  # what to do about it
        return
    assert set(outcome["unique_id"]) == set(table.ids)
    assert all(np.isfinite(column.drop_nulls().to_numpy()).all() for column in numbers(outcome))
