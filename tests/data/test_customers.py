"""What is known of customers is read from the log or from a table, and stays with its customer."""

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.data.state import log_from_state, log_state
from foretell.errors import ColumnError, DataError, ParameterError

VISITS = pl.DataFrame(
    {
        "unique_id": ["a", "a", "b", "b", "c"],
        "ds": ["2024-01-01", "2024-01-08", "2024-01-01", "2024-01-08", "2024-01-03"],
        "channel": ["web", "web", "shop", None, None],
        "age": [30, 31, 50, 50, None],
    }
)
CUSTOMERS = pl.DataFrame({"unique_id": ["c", "a", "z"], "channel": ["mail", "web", "q"], "age": [1.5, 2, 3]})


def known(log, name):
    return dict(zip(log.ids, log.static.column(name), strict=True))


def test_the_first_value_of_a_customer_counts_and_others_are_counted():
    log = ft.read_events(VISITS, static=["channel", "age"])
    assert known(log, "channel") == {"a": "web", "b": "shop", "c": None}
    assert known(log, "age") == {"a": 30.0, "b": 50.0, "c": None}
    assert log.report.noted == {
        "customers with several values of 'age', of which the first counts": 1,
        "customers of whom 'channel' is not known": 1,
        "customers of whom 'age' is not known": 1,
    }


def test_a_table_of_customers_is_joined_by_id():
    log = ft.read_events(VISITS.drop("channel", "age"), static=["channel", "age"], customers=CUSTOMERS)
    assert known(log, "channel") == {"a": "web", "b": None, "c": "mail"}
    assert known(log, "age") == {"a": 2.0, "b": None, "c": 1.5}
    assert log.report.noted["rows of the polars frame of nobody in the log"] == 1


def test_text_of_csv_files_is_read_as_ids_numbers_and_names(tmp_path):
    visits, table = tmp_path / "visits.csv", tmp_path / "customers.csv"
    visits.write_text("unique_id,ds\n7,2024-01-01\n7,2024-02-01\n12,2024-01-05\n")
    table.write_text("unique_id;region;spent\n12;3;1.000,50\n7;4;2,25\n")
    log = ft.read_events(visits, static=["region", "spent"], categorical="region", customers=table)
    assert known(log, "region") == {7: "4", 12: "3"}
    assert known(log, "spent") == {7: 2.25, 12: 1000.5}


def test_parts_of_a_log_keep_what_is_known_of_their_customers():
    log = ft.read_events(VISITS, static=["channel", "age"])
    assert known(log.until("2024-01-02"), "channel") == {"a": "web", "b": "shop"}
    assert known(log.take([2, 0]), "age") == {"a": 30.0, "c": None}
    assert log.take([0]).static.categories == {"channel": ("web",)}
    assert log.to_polars()["channel"].to_list() == ["web", "web", "shop", "shop", None]


def test_a_log_that_goes_on_learns_of_new_customers_and_of_what_was_not_known():
    log = ft.read_events(VISITS, static=["channel"])
    rows = {"unique_id": ["a", "c", "d"], "ds": ["2024-02-01"] * 3, "channel": ["mail", "kiosk", "shop"]}
    whole, _ = log.extended(
        ft.read_events(pl.DataFrame(rows), static="channel", start="2024-01-09", as_of="2024-02-01")
    )
    assert known(whole, "channel") == {"a": "web", "b": "shop", "c": "kiosk", "d": "shop"}
    with pytest.raises(ParameterError, match="static"):
        log.extended(
            ft.read_events(pl.DataFrame(rows).drop("channel"), start="2024-01-09", as_of="2024-02-01")
        )
    assert known(log.extended(log.quiet_until(log.as_of + 9))[0], "channel") == known(log, "channel")


def test_it_is_kept_with_the_log():
    log = ft.read_events(VISITS, static=["channel", "age"])
    again = log_from_state(log_state(log))
    assert again.static.names == ("channel", "age")
    assert known(again, "channel") == known(log, "channel")
    np.testing.assert_array_equal(again.static.values, log.static.values)


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        ({"static": "chanel"}, ColumnError, "no column 'chanel'.*channel"),
        ({"customers": CUSTOMERS}, ParameterError, "name its columns by static="),
        ({"categorical": "age"}, ParameterError, "categorical= names 'age'"),
        (
            {"static": "age", "customers": CUSTOMERS.with_columns(pl.lit("x").alias("unique_id"))},
            DataError,
            "none of the 1 customers of the polars frame",
        ),
        (
            {"static": "age", "customers": CUSTOMERS.with_columns(pl.Series("unique_id", [1.5, 2.5, 3.5]))},
            DataError,
            "nobody would be found",
        ),
        ({"static": ["age", "age"]}, ParameterError, "age"),
    ],
)
def test_what_cannot_be_known_is_refused_with_the_mend(how, error, said):
    with pytest.raises(error, match=said):
        ft.read_events(VISITS, **how)
