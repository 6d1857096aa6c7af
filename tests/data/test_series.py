"""Rows become steps of series on one grid, or are left out for a counted reason."""

# ruff: noqa: DTZ001  # the clock of the series has no zone
import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.panels import assert_same, assert_sound

import foretell as ft
from foretell.errors import ColumnError, DataError, EmptyLogError, ForetellError, ParameterError

NAN = float("nan")


def frame(*rows, schema=("who", "when", "much", "more")):
    return pl.DataFrame(list(rows), schema=list(schema)[: len(rows[0])], orient="row")


def read(data, **options):
    names = {"id": "who", "time": "when", "target": "much"}
    return ft.read_series(data, **(names | options))


SHOP = frame(
    ("b", "2024-01-05", 1.0, "x"),
    ("a", "2024-01-04", 2.0, "y"),
    ("a", "2024-01-03", 4.0, "x"),
    ("a", "2024-01-01", 8.0, "x"),
    ("b", "2024-01-06", 16.0, "x"),
)


def values(panel):
    return panel.values.ravel().tolist()


def test_series_come_out_by_id_and_time_with_gaps_as_missing():
    panel = read(SHOP)
    assert_sound(panel)
    assert panel.ids.to_list() == ["a", "b"]
    np.testing.assert_array_equal(panel.values.ravel(), [8.0, NAN, 4.0, 2.0, 1.0, 16.0])
    assert panel.time_of(panel.starts).to_list() == [dt.date(2024, 1, 1), dt.date(2024, 1, 5)]
    assert panel.grid.freq == "1d"
    assert panel.report.noted == {"steps without a row, missing": 1}


def test_several_targets_are_columns_and_one_is_enough_for_a_step():
    rows = [("a", f"2024-01-0{k}", k if k > 1 else None, k if k < 4 else None) for k in range(1, 6)]
    panel = read(frame(*rows), target=["much", "more"])
    assert panel.targets == ("much", "more")
    np.testing.assert_array_equal(panel.values, [[NAN, 1], [2, 2], [3, 3], [4, NAN], [5, NAN]])
    assert panel.report.noted["rows without a number in 'more', missing"] == 2


def test_a_table_without_ids_is_one_series():
    data = SHOP.filter(pl.col("who") == "a").drop("who")
    assert ft.read_series(data, id=None, time="when", target="much").ids.to_list() == ["much"]
    both = data.with_columns(twice=2 * pl.col("much"))
    assert ft.read_series(both, id=None, time="when", target=["much", "twice"]).ids.to_list() == ["series"]


def test_covariates_are_aligned_with_the_steps():
    data = frame(
        ("a", "2024-01-01", 1.0, "n"),
        ("a", "2024-01-02", 2.0, None),
        ("a", "2024-01-04", 3.0, "s"),
        ("b", "2024-01-02", 4.0, "n"),
    ).with_columns(price=pl.Series([1.5, None, 2.5, NAN]), open=pl.Series([True, False, None, True]), kind=3)
    panel = read(
        data.with_columns(zone=pl.col("who").str.to_uppercase()),
        past=["more", "price"],
        future=["open"],
        static=["kind", "zone"],
        categorical=["kind"],
    )
    assert_sound(panel)
    assert panel.past.column("more").to_list() == ["n", None, None, "s", "n"]
    assert panel.past.column("price").to_list() == [1.5, None, None, 2.5, None]
    assert panel.future.column("open").to_list() == ["true", "false", None, None, "true"]
    assert panel.static.column("kind").to_list() == ["3", "3"]
    assert panel.static.column("zone").to_list() == ["A", "B"]
    assert panel.past.categories == {"more": ("n", "s")}
    assert len(panel.ahead) == 0


def test_what_is_known_ahead_begins_after_the_last_target():
    data = frame(
        ("a", "2024-01-01", 1.0, 7.0),
        ("a", "2024-01-02", None, 8.0),
        ("a", "2024-01-03", 3.0, 9.0),
        ("a", "2024-01-04", None, 1.0),
        ("a", "2024-01-06", None, 3.0),
        ("a", "2024-01-07", None, None),
        ("b", "2024-01-02", 5.0, 6.0),
        ("b", "2024-01-05", None, 4.0),
    )
    panel = read(data, future="more")
    assert_sound(panel)
    np.testing.assert_array_equal(panel.values.ravel(), [1, NAN, 3, 5])
    np.testing.assert_array_equal(panel.future.values.ravel(), [7, 8, 9, 6])
    np.testing.assert_array_equal(panel.ahead.values.ravel(), [1, NAN, 3, NAN, NAN, 4])
    assert panel.ahead_offsets.tolist() == [0, 3, 6]
    assert panel.report.rows == 7
    assert panel.report.left_out == {
        "after the last number in 'much' of their series, with nothing known ahead": 1
    }


def test_past_covariates_after_the_last_target_are_counted_as_unused():
    data = frame(("a", "2024-01-01", 1.0, 7.0), ("a", "2024-01-02", None, 8.0)).with_columns(late=1.0)
    panel = read(data, future="more", past="late")
    assert panel.report.adjusted == {
        "with past covariates after the last number in 'much', which are not used": 1
    }


def test_what_lies_around_a_series_values_is_left_out_and_counted():
    data = frame(
        ("a", "2024-01-01", None),
        ("a", "2024-01-02", NAN),
        ("a", "2024-01-03", 1.0),
        ("a", "2024-01-04", None),
        ("a", "2024-01-05", 2.0),
        ("a", "2024-01-06", None),
        ("b", "2024-01-05", None),
        ("c", "2024-01-05", 4.0),
        ("d", "2024-01-05", 4.0),
        ("d", "2024-01-06", 4.0),
    )
    panel = read(data)
    assert panel.ids.to_list() == ["a", "c", "d"]
    np.testing.assert_array_equal(panel.values.ravel(), [1, NAN, 2, 4, 4, 4])
    assert panel.report.left_out == {
        "of series without any number in 'much'": 1,
        "before the first number in 'much' of their series": 2,
        "after the last number in 'much' of their series": 1,
    }
    assert panel.report.noted == {
        "rows without a number in 'much', missing": 1,
        "series of one step": 1,
        "constant series": 1,
    }
    assert panel.report.examples["constant series"] == ("d",)
    assert panel.report.rows_read == panel.report.rows + sum(panel.report.left_out.values())


def test_rows_without_an_id_a_time_or_outside_of_the_period_are_counted():
    data = frame(
        ("a", "2024-01-01", 1.0),
        (None, "2024-01-02", 1.0),
        ("a", "never", 1.0),
        ("a", "2023-06-01", 1.0),
        ("a", "2024-06-01", 1.0),
        ("c", "2024-01-02", 1.0),
        ("a", "2024-01-02", 1.0),
    )
    panel = read(data, start="2024-01-01", as_of="2024-01", ids=["a"])
    assert panel.report.left_out == {
        "without an id": 1,
        "of series that were not asked for": 1,
        "with an unreadable time": 1,
        "before the start": 1,
        "after the as-of date": 1,
    }
    assert panel.n_rows == 2


def test_infinities_are_missing_and_counted():
    data = frame(("a", "2024-01-01", 1.0), ("a", "2024-01-02", float("inf")), ("a", "2024-01-03", 2.0))
    panel = read(data)
    np.testing.assert_array_equal(panel.values.ravel(), [1, NAN, 2])
    assert panel.report.adjusted == {"with an infinite 'much', kept as missing": 1}


def test_the_same_row_twice_counts_once():
    panel = read(pl.concat([SHOP, SHOP[2:3]]))
    assert_same(panel, read(SHOP))
    assert panel.report.left_out == {"the same as another row, merged": 1}
    assert panel.report.examples["the same as another row, merged"] == ("a at 2024-01-03",)


@pytest.mark.parametrize(("rule", "expected"), [("mean", 6.0), ("sum", 18.0), ("last", 5.0)])
def test_rows_of_the_same_time_are_combined_as_asked(rule, expected):
    rows = [
        ("a", "2024-01-01", 1.0, "p"),
        *(("a", "2024-01-02", y, z) for y, z in [(6, "p"), (7, "q"), (None, "r"), (5, None)]),
    ]
    panel = read(frame(*rows), past="more", duplicates=rule)
    assert values(panel) == [1.0, expected]
    assert panel.past.column("more").to_list() == ["p", "r"]
    assert sum(panel.report.left_out.values()) == 3


def test_the_sum_of_nothing_is_missing():
    rows = [("a", f"2024-01-0{k}", y) for k, y in [(1, 1.0), (2, None), (2, None), (3, 3.0)]]
    np.testing.assert_array_equal(read(frame(*rows), duplicates="sum").values.ravel(), [1, NAN, 3])


def test_rows_that_contradict_each_other_are_refused_with_the_first():
    data = frame(("a", "2024-01-01", 1.0, "x"), ("a", "2024-01-02", 1.0, "x"), ("a", "2024-01-02", 2.0, "x"))
    with pytest.raises(
        DataError, match=r"1 times come twice .*a at 2024-01-02 \(much 1.0 and 2.0\).*duplicates="
    ):
        read(data)


def test_a_static_covariate_with_several_values_is_refused():
    data = SHOP.with_columns(zone=pl.Series(["n", "n", "s", None, "n"]))
    with pytest.raises(DataError, match=r"'zone' has several values within 1 series: a \(n, s\).*past="):
        read(data, static="zone")


def test_as_of_hides_what_came_later_but_for_what_is_known_ahead():
    data = SHOP.with_columns(price=pl.Series([1.0, 2.0, 3.0, 4.0, 5.0]))
    panel = read(data, as_of="2024-01-05", future="price", past="more")
    expected = read(data, future="price", past="more").until("2024-01-05")
    assert_same(panel, expected)
    assert panel.ahead.values.tolist() == [[5.0]]
    assert panel.report.adjusted["after the as-of date, of which only what is known ahead is used"] == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"target": "y"}, ColumnError, "no column 'y'; its columns are 'who', 'when', 'much', 'more'"),
        ({"target": "Much"}, ColumnError, "did you mean 'much'"),
        ({"target": "more"}, ColumnError, "the target column 'more' holds text, such as 'x' in row 1, 'y'"),
        ({"target": []}, ParameterError, "target is empty"),
        ({"target": ["much", "much"]}, ParameterError, "target names 'much' more than once"),
        ({"past": "much"}, ParameterError, "'much' is named by target= and by past="),
        ({"past": "more", "future": "more"}, ParameterError, "by past= and by future="),
        ({"static": "when"}, ParameterError, "by time= and by static="),
        ({"past": "who"}, ParameterError, "by id= and by past="),
        ({"categorical": "more"}, ParameterError, "is no covariate"),
        ({"id": "when"}, ParameterError, "two different columns"),
        ({"id": None, "ids": ["a"]}, ParameterError, "there is one; leave it out"),
        ({"freq": "1x"}, ParameterError, "is not a frequency"),
        ({"freq": 2}, ParameterError, "expected dates, and a step such as '1d'"),
        ({"closed": "yes"}, ParameterError, "'infer' or 'keep'"),
        ({"duplicates": "first"}, ParameterError, "'error', 'mean', 'sum' or 'last'"),
        ({"start": 5, "as_of": "2024-01-01"}, ParameterError, "do not go together"),
        ({"start": "2025", "as_of": "2024"}, ParameterError, "comes after"),
        ({"as_of": "2020"}, EmptyLogError, "5 after the as-of date"),
        ({"time_zone": "Europe/Berln"}, ParameterError, "did you mean 'Europe/Berlin'"),
        ({"ids": ["z"]}, EmptyLogError, "not asked for"),
        ({"query": "select 1"}, ParameterError, "for databases"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_was_expected(options, error, message):
    with pytest.raises(error, match=message):
        read(SHOP, **options)


def test_an_empty_frame_is_refused():
    with pytest.raises(EmptyLogError, match="no rows; expected one row per step of a series"):
        read(SHOP.clear())


def test_a_table_without_any_number_is_refused():
    with pytest.raises(EmptyLogError, match=r"none of the 5 rows .* without any number in 'much'"):
        read(SHOP.with_columns(much=pl.lit(None, dtype=pl.Float64)))


def test_the_id_may_be_learned_from_as_a_static_covariate():
    assert read(SHOP, static="who").static.column("who").to_list() == ["a", "b"]


def test_one_wrong_date_does_not_fill_the_memory():
    hours = [dt.datetime(2024, 1, 1) + dt.timedelta(hours=k) for k in range(50)]
    data = frame(*(("a", when, 1.0) for when in [dt.datetime(1901, 1, 1), *hours]))
    with pytest.raises(DataError, match=r"spread over 1,07.*series 'a' alone covers"):
        read(data)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 12),
        st.one_of(st.none(), st.integers(0, 3).map(float)),
        st.one_of(st.none(), st.sampled_from(["x", "y"])),
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda row: row[:2],
)


def days(rows):
    data = pl.DataFrame(
        rows, schema={"who": pl.String, "day": pl.Int64, "much": pl.Float64, "more": pl.String}, orient="row"
    )
    return data.select("who", pl.date(2024, 1, 1) + pl.duration(days="day"), "much", "more").rename(
        {"date": "when"}
    )


def oracle(rows):
    """Say plainly what placing rows on a grid of days means."""
    placed = {}
    for who in sorted({row[0] for row in rows}):
        mine = {day: (much, more) for name, day, much, more in rows if name == who}
        known = [day for day, (much, _) in mine.items() if much is not None]
        if known:
            span = range(min(known), max(known) + 1)
            beyond = [day for day, (_, more) in mine.items() if day > max(known) and more is not None]
            ahead = range(max(known) + 1, max(beyond, default=max(known)) + 1)
            nothing = (None, None)
            placed[who] = (
                [mine.get(day, nothing) for day in span],
                [mine.get(day, nothing)[1] for day in ahead],
            )
    return placed


def panel_or_none(rows):
    """Return the panel of some rows, None where nothing is left of them."""
    try:
        return read(days(rows), future="more", freq="1d")
    except EmptyLogError:
        return None


@settings(max_examples=60)
@given(STEPS)
def test_each_row_goes_to_its_day_and_the_rest_is_missing(rows):
    panel = panel_or_none(rows)
    if panel is None:
        assert oracle(rows) == {}
        return
    assert_sound(panel)
    found = {}
    for k, who in enumerate(panel.ids):
        own = slice(*panel.offsets[k : k + 2])
        pairs = zip(
            pl.Series(panel.values[own, 0]).fill_nan(None), panel.future.take(own).column("more"), strict=True
        )
        found[who] = (
            list(pairs),
            panel.ahead.take(slice(*panel.ahead_offsets[k : k + 2])).column("more").to_list(),
        )
    assert found == oracle(rows)
    assert panel.report.rows_read == len(rows) == panel.report.rows + sum(panel.report.left_out.values())


@settings(max_examples=60)
@given(STEPS, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    try:
        panel = read(days(rows), past="more")
    except ForetellError as error:
        with pytest.raises(type(error)):
            read(days(shuffled), past="more")
        return
    assert_same(panel, read(days(shuffled), past="more"))


@settings(max_examples=60)
@given(STEPS, st.integers(0, 12))
def test_reading_up_to_a_date_is_the_panel_as_it_stood_then(rows, cut):
    when = dt.date(2024, 1, 1) + dt.timedelta(days=cut)
    options = {"future": "more", "freq": "1d"}
    try:
        panel = read(days(rows), as_of=when, **options)
    except EmptyLogError:
        with pytest.raises(EmptyLogError):
            read(days(rows), **options).until(when)
        return
    assert_same(panel, read(days(rows), **options).until(when))


@settings(max_examples=60)
@given(STEPS)
def test_reading_its_own_table_gives_the_panel_back(rows):
    panel = panel_or_none(rows)
    if panel is None:
        return
    assert_same(ft.read_series(panel.to_frame(), target="much", future="more", freq="1d"), panel)


RETURNS = pl.DataFrame(
    {
        "unique_id": ["a"] * 6 + ["b"] * 3,
        "ds": [f"2024-01-0{day}" for day in (1, 2, 2, 3, 4, 4, 1, 2, 3)],
        "y": [5.0, 8.0, -3.0, -2.0, 4.0, -9.0, 1.0, 2.0, None],
    }
)


@pytest.mark.parametrize(
    ("rule", "values", "left_out"),
    [
        ("keep", [5.0, 5.0, -2.0, -5.0, 1.0, 2.0], None),
        ("drop", [5.0, 8.0, np.nan, 4.0, 1.0, 2.0], {"refunds (a negative target), left out": 3}),
        ("net", [5.0, 5.0, 0.0, 0.0, 1.0, 2.0], {"refunds, and what they are taken from": 2}),
    ],
)
def test_refunds_are_values_are_left_out_or_are_taken_from_their_step(rule, values, left_out):
    panel = ft.read_series(RETURNS, refunds=rule, duplicates="sum")
    np.testing.assert_array_equal(panel.values[:, 0], values)
    kept = {reason: n for reason, n in panel.report.left_out.items() if "refunds" in reason}
    assert kept == (left_out or {})
    assert panel.report.rows_read == panel.report.rows + sum(panel.report.left_out.values())
    if rule == "net":
        assert panel.report.noted["steps with more refunds than sales, taken as 0"] == 2


def test_a_panel_of_refunds_alone_has_nothing_left():
    with pytest.raises(EmptyLogError, match="refunds"):
        ft.read_series(RETURNS.with_columns(y=-1.0), refunds="drop", duplicates="sum")
    with pytest.raises(ParameterError, match="refunds='some'"):
        ft.read_series(RETURNS, refunds="some")
