import math

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given, settings

from foretell.data.amounts import read_amounts


def read(*texts, **options):
    return read_amounts(pl.Series(texts, dtype=pl.String), **options).values.to_list()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12.0),
        ("1e3", 1000.0),
        ("1,2E+05", 120000.0),
        ("1,234.50", 1234.5),
        ("1.234,50", 1234.5),
        ("1'234.50", 1234.5),
        ("1’234.50", 1234.5),
        ("1 234,50", 1234.5),
        ("1\u00a0234,50", 1234.5),
        ("1\u202f234\u202f567,5", 1234567.5),
        ("1,23,456.50", 123456.5),
        ("1.234.567", 1234567.0),
        ("0,250", 0.25),
        ("1234,567", 1234.567),
        ("€12,50", 12.5),
        ("12.50 USD", 12.5),
        ("USD $5.00", 5.0),
        ("eur 5", 5.0),
        ("Rs. 500", 500.0),
        ("kr 1 234,50", 1234.5),
        ("100 Kč", 100.0),
        ("100元", 100.0),
        ("19,-", 19.0),
        ("CHF 19.—", 19.0),
        ("(12.50)", -12.5),
        ("$(12.50)", -12.5),
        ("($12.50)", -12.5),
        ("12,50-", -12.5),
        ("−5", -5.0),
        ("€ -5", -5.0),
        ("-€5", -5.0),
        ("１２３４", 1234.0),
        ("￥１，２３４．５", 1234.5),
        ("٣٤٥", 345.0),
        ("$.50", 0.5),
    ],
)
def test_a_number_is_read_as_people_write_it(text, value):
    assert read(text) == [value]


@pytest.mark.parametrize(
    "text",
    ["abc", "12.34.56", "24.12.2024", "12 34", "--5", "50%", "5²", "½", "A12", "1.2万", "5€50", "1 2 3"],
)
def test_what_may_be_anything_else_is_not_read(text):
    amounts = read_amounts(pl.Series([text, "7"]))
    assert (amounts.values.to_list(), amounts.unreadable.to_list()) == ([None, 7.0], [True, False])


@pytest.mark.parametrize("text", ["", " ", "NA", "N/A", "NULL", "-", None])
def test_nothing_is_missing_and_not_unreadable(text):
    amounts = read_amounts(pl.Series([text, "7"]))
    assert (amounts.values.to_list(), amounts.unreadable.any()) == ([None, 7.0], False)


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1.234", "1,50"], [1234.0, 1.5]),
        (["1,234", "1.50"], [1234.0, 1.5]),
        (["1,234", "2"], [1234.0, 2.0]),
        (["1.234", "2"], [1.234, 2.0]),
        (["1.234", "1.234.567"], [1234.0, 1234567.0]),
        (["1,234", "1.234.567"], [1.234, 1234567.0]),
        (["-1.234", "€1,50"], [-1234.0, 1.5]),
    ],
)
def test_the_whole_column_says_what_a_mark_before_three_digits_is(texts, values):
    assert read(*texts) == values


def test_where_columns_are_parted_by_semicolons_a_comma_is_before_decimals_unless_the_column_says_otherwise():
    assert read("1,234", "2", decimal_comma=True) == [1.234, 2.0]
    assert read("1.234", "2", decimal_comma=True) == [1234.0, 2.0]
    assert read("1.234", "1.5", decimal_comma=True) == [1.234, 1.5]


def test_a_column_that_contradicts_itself_leaves_open_what_may_be_two_numbers():
    assert read("1.234", "1.5", "1,5") == [None, 1.5, 1.5]
    assert read("1.234", "1,5", *["1.5"] * 9)[:2] == [1.234, 1.5]


def test_currencies_are_named_once():
    assert read_amounts(pl.Series(["€5", "5 EUR", "$5", "5"])).currencies == ("EUR", "USD")


WRITTEN = {
    "computer": lambda x: f"{x:.2f}",
    "english": lambda x: f"{x:,.2f}",
    "german": lambda x: f"{x:,.2f} €".translate(str.maketrans(",.", ".,")),
    "swiss": lambda x: f"CHF {x:,.2f}".replace(",", "’"),
    "french": lambda x: f"{x:,.2f}".translate({ord(","): "\u202f", ord("."): ","}),
    "accountant": lambda x: f"{x:,.2f}" if x >= 0 else f"({-x:,.2f})",
    "trailing": lambda x: f"{abs(x):.2f}" + "-" * (x < 0),
}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=20), st.sampled_from(sorted(WRITTEN)))
def test_amounts_with_cents_are_read_back_however_they_are_written(cents, style):
    values = [math.copysign(abs(c) / 100, c) for c in cents]
    assert read(*map(WRITTEN[style], values)) == pytest.approx(values)
