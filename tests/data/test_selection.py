"""Some rows of tables: conditions, order and limit."""

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell.data.selection import Selection
from foretell.errors import ParameterError

TABLE = pl.DataFrame(
    {
        "unique_id": ["a", "b", "c", "d"],
        "n_events": [3, 1, 7, 2],
        "p_return_7d": [0.5, None, 0.1, 0.9],
        "last_event": [dt.date(2024, 1, day) for day in (1, 2, 3, 4)],
        "known": [True, True, False, None],
    }
)


@pytest.mark.parametrize(
    ("where", "left"),
    [
        (["n_events>=2"], "acd"),
        (["n_events > 2", "unique_id != c"], "a"),
        (["p_return_7d<0.6"], "ac"),
        (["last_event<=2024-01-02"], "ab"),
        (["last_event=20240103"], "c"),
        (["unique_id=b"], "b"),
        (["known=true"], "ab"),
        ([], "abcd"),
    ],
)
def test_conditions_are_read_in_the_type_of_their_column(where, left):
    assert "".join(Selection(where=where).of(TABLE)["unique_id"]) == left


@pytest.mark.parametrize(
    ("chosen", "ids"),
    [
        (Selection(sort="p_return_7d"), "dacb"),
        (Selection(sort="-p_return_7d"), "cadb"),
        (Selection(sort="n_events", top=2), "ca"),
        (Selection(top=1), "a"),
    ],
)
def test_the_largest_come_first_and_nulls_last(chosen, ids):
    assert "".join(chosen.of(TABLE)["unique_id"]) == ids


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("n_events", "expected a column, one of"),
        ("n_event>=2", "did you mean 'n_events'"),
        ("n_events>=many", "'many' cannot be compared with n_events"),
        ("last_event>soon", "is not a date"),
        ("known=perhaps", "'perhaps' cannot be compared with known"),
    ],
)
def test_a_condition_that_cannot_be_read_says_why(where, says):
    with pytest.raises(ParameterError, match=says):
        Selection(where=[where]).of(TABLE)


def test_a_single_text_is_no_list_of_conditions():
    with pytest.raises(ParameterError, match="expected a list"):
        Selection(where="n_events>=2")


@given(
    sizes=st.lists(st.integers(0, 3), max_size=5),
    top=st.one_of(st.none(), st.integers(1, 8)),
    sort=st.sampled_from([None, "value", "-value"]),
)
def test_tables_one_after_the_other_give_what_one_table_gives(sizes, top, sort):
    values = [7 * k % 5 for k in range(sum(sizes))]
    rows = pl.DataFrame({"value": values}, schema={"value": pl.Int64}).with_row_index("place")
    parts, begin = [], 0
    for size in sizes:
        parts.append(rows.slice(begin, size))
        begin += size
    chosen = Selection(where=["value>0"], sort=sort, top=top)
    whole = chosen.of(rows)
    together = pl.concat([whole.clear(), *chosen.of_all(parts)])
    assert together.equals(whole)
