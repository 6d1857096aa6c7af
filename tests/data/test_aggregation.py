"""Series of visits agree with a loop over the rows; what was not observed is left out, what was is 0."""

import datetime as dt

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

import foretell as ft
from foretell.errors import DataError, ParameterError

SHOP = pl.DataFrame(
    {
        "who": ["a", "a", "a", "b", "b", "c"],
        "when": ["2024-01-01", "2024-01-03", "2024-01-16", "2024-01-03", "2024-01-09", "2024-01-10"],
        "paid": [1.0, None, 4.0, 5.0, 6.0, 7.0],
        "shop": ["north", "north", "north", "south", "south", None],
    }
)


def read(**options):
    return ft.read_events(SHOP, id="who", time="when", **({"marks": "paid", "group": "shop"} | options))


def test_days_without_visits_are_zero():
    panel = ft.aggregate(read(), every="1d")
    assert panel.targets == ("visits",)
    assert panel.ids.to_list() == ["visits"]
    assert panel.values.ravel().tolist() == [1, 0, 2, *[0] * 5, 1, 1, *[0] * 5, 1]
    assert str(panel.grid.time_of(panel.starts)[0]) == "2024-01-01"
    assert panel.report.noted == {"steps without a visit": 11}


def test_only_weeks_and_months_that_were_observed_whole_are_steps():
    log = read()
    panel = ft.aggregate(log, every="1w", sum="paid", count=True)
    assert panel.targets == ("visits", "paid")
    assert panel.values.tolist() == [[3, 6], [2, 13]]
    reason = "in a first or last step of which only a part was observed"
    assert panel.report.left_out == {reason: 1}
    assert panel.report.rows_read == 6 == panel.report.rows + 1
    assert ft.aggregate(read(as_of="2024-01-31"), every="1mo").values.tolist() == [[6]]
    with pytest.raises(DataError, match="no visit falls in a step of '1mo'"):
        ft.aggregate(log, every="1mo")


def test_each_group_is_a_series_from_its_first_visit_on():
    panel = ft.aggregate(read(as_of="2024-01-21"), every="1w", sum="paid", by="group")
    assert panel.ids.to_list() == ["north", "south"]
    assert panel.lengths.tolist() == [3, 3]
    assert panel.values.ravel().tolist() == [1, 0, 4, 5, 6, 0]
    assert panel.report.left_out == {"without a group": 1}
    later = ft.aggregate(read(as_of="2024-01-21", start="2023-12-25"), every="1d", by="group")
    assert [str(day) for day in later.grid.time_of(later.starts)] == ["2024-01-01", "2024-01-03"]


def test_a_step_whose_visits_have_no_number_is_missing():
    panel = ft.aggregate(read(), every="1d", sum="paid", by="group")
    np.testing.assert_array_equal(panel.values[:3, 0], [1, 0, np.nan])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": "1h"}, r"no whole number of days.*unit='hour'"),
        ({"every": "often"}, "often"),
        ({"every": 3}, "no step of visits"),
        ({"every": "ME"}, "no step of visits"),
        ({"sum": "much"}, "sum names 'much', and the log's marks are 'paid'"),
        ({"sum": ["paid", "paid"]}, "names a target twice"),
        ({"count": False}, "nothing is left to forecast"),
        ({"by": "shop"}, "by='shop'; expected 'group', or None"),
    ],
)
def test_what_cannot_be_made_is_refused(settings, message):
    with pytest.raises(ParameterError, match=message):
        ft.aggregate(read(), **settings)
    with pytest.raises(ParameterError, match="has no groups"):
        ft.aggregate(read(group=None), by="group")


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), min_size=2, max_size=40),
    st.sampled_from(["1d", "1w", "1mo"]),
)
def test_counts_are_those_of_polars(rows, every):
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=day) for _, day in rows]
    data = pl.DataFrame({"unique_id": [who for who, _ in rows], "ds": days})
    log = ft.read_events(data, ids=[0, 1, 2, 3], start="2024-01-01", as_of="2024-03-31")
    counts = dict(data.unique().group_by(pl.col("ds").dt.truncate(every)).len().iter_rows())
    panel = ft.aggregate(log, every=every)
    steps = panel.grid.time_of(panel.index)
    assert panel.values.ravel().tolist() == [counts.get(step, 0) for step in steps]
    assert panel.values.sum() == log.n_events
