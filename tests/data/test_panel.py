"""A panel shows what was known at a date, and nothing else."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.panels import assert_same, assert_sound

import foretell as ft
from foretell.errors import EmptyLogError, ParameterError


def shops():
    """Three shops, one with gaps, one that opens late; promotions known two days ahead."""
    return ft.Panel.from_arrays(
        {
            "b": [1.0, np.nan, 3.0, np.nan, np.nan, 6.0],
            "a": [10.0, 11.0, 12.0],
            "c": [20.0, 21.0],
        },
        freq="1d",
        start=["2024-01-01", "2024-01-02", "2024-01-05"],
        past={"weather": [["sun", "rain", None, "rain", "sun", "snow"], ["sun"] * 3, ["fog"] * 2]},
        future={"promo": [["no"] * 6 + ["no", "big"], ["no", "yes", "no"], ["xl", "no", "no", "no"]]},
        static={"region": ["north", "south", "west"]},
    )


def test_arrays_come_out_by_id():
    panel = shops()
    assert_sound(panel)
    assert panel.ids.to_list() == ["a", "b", "c"]
    assert panel.lengths.tolist() == [3, 6, 2]
    assert panel.static.column("region").to_list() == ["south", "north", "west"]
    assert panel.ahead.column("promo").to_list() == ["no", "big", "no", "no"]
    assert panel.ahead_offsets.tolist() == [0, 0, 2, 4]
    assert panel.time_of(panel.starts).cast(pl.String).to_list() == ["2024-01-02", "2024-01-01", "2024-01-05"]
    assert repr(panel) == "Panel(3 series, 11 rows, 2024-01-01 to 2024-01-06, freq='1d')"


def test_a_sequence_of_arrays_is_numbered():
    panel = ft.Panel.from_arrays([[1, 2], np.ones((3, 1))])
    assert panel.ids.to_list() == [0, 1]
    assert panel.targets == ("y",)
    assert panel.index.tolist() == [0, 1, 0, 1, 2]
    assert panel.owner.tolist() == [0, 0, 1, 1, 1]
    assert ft.Panel.from_arrays([np.ones((4, 2))]).targets == ("y1", "y2")


@pytest.mark.parametrize(
    ("series", "settings", "message"),
    [
        ([], {}, "is empty"),
        ([["x"]], {}, "cannot be read as numbers"),
        ([[]], {}, r"of shape \(0,\)"),
        ([[1], [[1, 2]]], {}, "expected as many in each"),
        ([[1]], {"targets": ["a", "b"]}, "targets names 2 columns"),
        ([[1]], {"start": [1, 2]}, "2 times for 1 series"),
        ([[1]], {"start": "2024-01-01"}, "expected whole numbers, or freq='1d'"),
        ({"a": [1], 2: [1]}, {}, "all numbers or all text"),
        ([[1]], {"past": {"p": [[object()]]}}, "cannot be read as numbers or text"),
        ([[1], [2]], {"freq": "1d", "start": ["2024-01-01", "2024-01-01T05"]}, "is not on the grid"),
        ([[1]], {"past": {"p": [[1, 2]]}}, "expected 1"),
        ([[1, 2]], {"future": {"p": [[1]]}}, "expected 2"),
        ([[1]], {"future": {"p": [[1, 2]], "q": [[1]]}}, "as many in each column"),
        ([[1]], {"past": {"p": []}}, "0 arrays for 1 series"),
        ([[1]], {"static": {"p": []}}, "0 values for 1 series"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(series, settings, message):
    with pytest.raises(ParameterError, match=message):
        ft.Panel.from_arrays(series, **settings)


def test_until_ends_each_series_with_its_last_value_by_then():
    panel = shops().until("2024-01-04")
    assert_sound(panel)
    assert panel.ids.to_list() == ["a", "b"]
    np.testing.assert_array_equal(panel.values.ravel(), [10, 11, 12, 1, np.nan, 3])
    assert panel.report.noted["series that begin after the as-of date, not in the panel"] == 1


def test_until_knows_no_category_that_was_first_seen_later():
    panel = shops().until("2024-01-04")
    assert panel.past.categories == {"weather": ("rain", "sun")}
    assert panel.static.categories == {"region": ("north", "south")}


def test_future_covariates_of_later_steps_are_known_ahead():
    panel = shops().until("2024-01-04")
    assert panel.ahead_offsets.tolist() == [0, 0, 5]
    assert panel.ahead.column("promo").to_list() == ["no", "no", "no", "no", "big"]
    assert panel.future.categories == {"promo": ("no", "yes", "big")}


def test_until_the_end_changes_nothing():
    assert_same(shops().until("2030"), shops())


def test_until_before_the_beginning_is_refused():
    with pytest.raises(EmptyLogError, match="the first begins at 2024-01-01; choose a later date"):
        shops().until("2023")


def test_a_tail_split_holds_back_the_last_steps_of_every_series():
    before, after = shops().tail_split(2)
    assert_sound(before)
    assert_sound(after)
    assert before.ids.to_list() == after.ids.to_list() == ["a", "b"]
    np.testing.assert_array_equal(before.values.ravel(), [10, 1, np.nan, 3, np.nan])
    np.testing.assert_array_equal(after.values.reshape(2, 2), [[11, 12], [np.nan, 6]])
    np.testing.assert_array_equal(after.starts, before.ends + 1)
    assert before.ahead.column("promo").to_list() == ["yes", "no", "no", "no", "no", "big"]
    reason = "series without a value before their last 2 steps, kept out of the split"
    assert before.report.noted[reason] == after.report.noted[reason] == 1
    assert before.report.examples[reason] == ("c",)


@pytest.mark.parametrize("h", [0, -1, 1.5, True, 6])
def test_a_tail_split_that_leaves_nothing_is_refused(h):
    with pytest.raises(ParameterError):
        shops().tail_split(h)


def test_series_are_chosen_by_id_or_place():
    panel = shops().select(["c", "a"])
    assert_sound(panel)
    assert panel.ids.to_list() == ["a", "c"]
    np.testing.assert_array_equal(panel.values.ravel(), [10, 11, 12, 20, 21])
    assert panel.ahead.column("promo").to_list() == ["no", "no"]
    assert_same(panel, shops().take([0, 2]))
    assert_same(panel, shops().take(np.array([True, False, True])))


@pytest.mark.parametrize(
    ("ids", "message"), [("a", r"\['a'\]"), (["A"], "did you mean 'a'"), ([], "at least one id")]
)
def test_series_that_there_are_not_are_refused(ids, message):
    with pytest.raises(ParameterError, match=message):
        shops().select(ids)


def test_the_table_of_a_panel_gives_it_back():
    table = shops().to_frame()
    assert table.columns == ["unique_id", "ds", "y", "weather", "promo", "region"]
    assert table.height == 11 + 4
    assert_same(ft.read_series(table, past="weather", future="promo", static="region", freq="1d"), shops())


def test_codes_of_another_vocabulary_leave_out_what_it_does_not_know():
    weather = shops().past.recoded({"weather": ("snow", "rain")})
    expected = [None, None, None, None, "rain", None, "rain", None, "snow", None, None]
    assert weather.column("weather").to_list() == expected
    assert weather.categories == {"weather": ("snow", "rain")}


NUMBERS = st.one_of(st.just(np.nan), st.integers(0, 9).map(float))
SERIES = st.lists(st.lists(NUMBERS, min_size=1, max_size=12), min_size=1, max_size=5)


@given(SERIES, st.integers(0, 12), st.data())
def test_nothing_after_the_cut_off_changes_what_was_known(series, cut, data):
    starts = data.draw(st.lists(st.integers(0, 3), min_size=len(series), max_size=len(series)))
    rng = np.random.default_rng(0)

    def known(later):
        arrays = [np.array(s, dtype=float) for s in series]
        places = [np.arange(len(s)) + start > cut for s, start in zip(series, starts, strict=True)]
        texts = [["xyz"[int(k) % 3] for k in range(len(s))] for s in series]
        if later:
            for k, place in enumerate(places):
                arrays[k][place] = rng.choice([np.nan, 99.0], place.sum())
                texts[k] = ["new" if p else text for text, p in zip(texts[k], place, strict=True)]
        panel = ft.Panel.from_arrays(
            arrays, start=starts, past={"p": texts}, static={"s": [str(s) for s in starts]}
        )
        try:
            return panel.until(cut)
        except EmptyLogError:
            return None

    one, other = known(later=False), known(later=True)
    assert (one is None) == (other is None)
    if one is not None:
        assert_sound(one)
        assert one.ends.max() <= cut
        assert_same(one, other)
