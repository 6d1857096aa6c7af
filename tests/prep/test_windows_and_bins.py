"""The data steps: gaps, windows, bins, one-hot rows, outliers."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import foretell as ft
from foretell.errors import DataError, ParameterError

VISITS = [
    *("2015-05-15 14:03:51", "2015-05-15 15:32:46", "2015-06-28 18:00:17"),
    *("2015-07-16 21:27:18", "2015-07-16 22:04:51", "2015-09-08 14:59:56"),
]
finite = st.floats(-1e6, 1e6)
edges = st.lists(finite, min_size=2, max_size=9, unique=True).map(sorted)


def test_the_tutorials_example_goes_from_times_to_one_hot_rows():
    gaps = ft.prep.day_gaps(VISITS)
    assert gaps.tolist() == [0, 44, 18, 0, 54]
    inputs, targets, _ = ft.prep.make_windows(gaps, 3)
    assert inputs.tolist() == [[0, 44, 18], [44, 18, 0]]
    assert targets.tolist() == [[0], [54]]
    bins = ft.prep.Bins.equal_width(0, 100, 5)
    classes = bins.encode(targets[:, 0])
    assert classes.tolist() == [0, 2]
    assert bins.decode(classes).tolist() == [[0, 20], [40, 60]]
    assert ft.prep.one_hot(classes, len(bins)).tolist() == [[1, 0, 0, 0, 0], [0, 0, 1, 0, 0]]


@pytest.mark.parametrize(
    "times",
    [
        [dt.datetime.fromisoformat(visit) for visit in VISITS],
        pl.Series(VISITS).str.to_datetime(),
        np.array(VISITS, dtype="datetime64[s]"),
        [visit[:10] for visit in VISITS],
    ],
)
def test_times_of_any_kind_give_the_same_gaps(times):
    assert ft.prep.day_gaps(times).tolist() == [0, 44, 18, 0, 54]


def test_a_visit_after_midnight_is_a_day_after_one_before_it():
    assert ft.prep.day_gaps(["2024-01-01 23:59:00", "2024-01-02 00:01:00"]).tolist() == [1]


def test_one_visit_or_none_has_no_gaps():
    assert len(ft.prep.day_gaps(VISITS[:1])) == len(ft.prep.day_gaps([])) == 0


def test_times_out_of_order_are_refused_with_their_place():
    with pytest.raises(DataError, match=r"2015-05-15 15:32:46 at place 1 comes before.*sort them"):
        ft.prep.day_gaps([VISITS[2], VISITS[1]])


def test_times_that_cannot_be_read_are_refused_with_their_place():
    with pytest.raises(DataError, match=r"1 of the 3 times cannot be read, such as 'soon' at place 2"):
        ft.prep.day_gaps([*VISITS[:2], "soon"])


def test_a_log_gives_the_gaps_of_each_customer_with_their_ends(small_log):
    lengths, customers, ends = small_log.gaps()
    for k in range(small_log.n_customers):
        times = small_log.times[small_log.owner == k]
        assert lengths[customers == k].tolist() == np.diff(times).tolist()
        assert ends[customers == k].tolist() == times[1:].tolist()


@given(st.lists(st.integers(0, 5), max_size=6), st.integers(1, 4), st.integers(1, 3), st.booleans())
def test_windows_are_what_a_slow_loop_cuts(counts, length, ahead, wide):
    customers = np.repeat(np.arange(len(counts)), counts)
    values = np.random.default_rng(1).normal(size=(len(customers), 2) if wide else len(customers))
    inputs, targets, whose = ft.prep.make_windows(values, length, ahead=ahead, customers=customers)
    expected = []
    for customer in range(len(counts)):
        own = values[customers == customer]
        expected += [
            (own[i : i + length], own[i + length : i + length + ahead], customer)
            for i in range(len(own) - length - ahead + 1)
        ]
    assert inputs.shape == (len(expected), length, *values.shape[1:])
    assert targets.shape == (len(expected), ahead, *values.shape[1:])
    for k, (window, following, customer) in enumerate(expected):
        assert np.array_equal(inputs[k], window)
        assert np.array_equal(targets[k], following)
        assert whose[k] == customer


def test_windows_of_dates_say_when_the_values_were():
    days = np.arange("2024-01-01", "2024-01-06", dtype="datetime64[D]")
    assert ft.prep.make_windows(days, 3).targets[:, 0].tolist() == [dt.date(2024, 1, 4), dt.date(2024, 1, 5)]


def test_windows_refuse_customers_whose_rows_are_torn_apart():
    with pytest.raises(ParameterError, match="torn apart by others'; sort"):
        ft.prep.make_windows([1, 2, 3], 1, customers=["a", "b", "a"])


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([1, 2], {"length": 0}, "length=0; expected a whole number"),
        ([1, 2], {"length": 1, "ahead": 1.5}, "ahead=1.5; expected a whole number"),
        (3, {"length": 1}, "single number"),
        ([1, 2], {"length": 1, "customers": [1]}, r"shape \(1,\) beside 2 values"),
    ],
)
def test_windows_that_cannot_be_cut_are_refused(values, options, message):
    with pytest.raises(ParameterError, match=message):
        ft.prep.make_windows(values, **options)


@given(edges, st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_a_class_decodes_to_an_interval_that_holds_its_value(edges, shares):
    bins = ft.prep.Bins(edges)
    values = np.clip(edges[0] + np.array(shares) * (edges[-1] - edges[0]), edges[0], edges[-1])
    classes = bins.encode(values)
    low, high = bins.decode(classes).T
    last = classes == len(bins) - 1
    assert ((low <= values) & ((values < high) | (last & (values == high)))).all()


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.integers(0, n - 1)))))
def test_one_hot_rows_come_back_as_their_classes(drawn):
    n, classes = drawn
    rows = ft.prep.one_hot(classes, n)
    assert rows.shape == (len(classes), n)
    assert (rows.sum(axis=-1) == 1).all()
    assert ft.prep.from_one_hot(rows).tolist() == classes


def test_quantile_bins_hold_equally_many_and_take_in_later_values():
    values = np.random.default_rng(2).gamma(2.0, 20.0, 1_000)
    bins = ft.prep.Bins.quantiles(values, 5)
    assert np.bincount(bins.encode(values)).tolist() == [200] * 5
    assert bins.encode([0.0, 1e9]).tolist() == [0, 4]


def test_quantiles_that_fall_together_are_refused_with_the_value_that_does_it():
    with pytest.raises(ParameterError, match=r"7 alone makes up 60% of the values\); ask for fewer bins"):
        ft.prep.Bins.quantiles([7, 7, 7, 7, 7, 7, 1, 2, 3, 30], 5)


def test_values_outside_of_the_bins_are_refused_with_the_mend():
    with pytest.raises(ParameterError, match=r"2 of 3 values lie outside.*from 0 to 100.*np\.clip"):
        ft.prep.Bins.equal_width(0, 100, 5).encode([50, 101, np.nan])


@pytest.mark.parametrize("edges", [[1], [1, 1], [2, 1], [[0, 1]], [0, np.nan]])
def test_edges_that_do_not_ascend_are_refused(edges):
    with pytest.raises(ParameterError, match="each greater than the one before"):
        ft.prep.Bins(edges)


def test_bins_with_the_same_edges_are_equal():
    assert ft.prep.Bins([0, 20, 40]) == ft.prep.Bins.equal_width(0, 40, 2)
    assert len({ft.prep.Bins([0, 20, 40]), ft.prep.Bins.equal_width(0, 40, 2), ft.prep.Bins([0, 1])}) == 2


@pytest.mark.parametrize("classes", [[5], [-1], [0.5]])
def test_classes_that_no_bin_has_are_refused(classes):
    with pytest.raises(ParameterError, match="whole numbers from 0 to 4"):
        ft.prep.Bins.equal_width(0, 100, 5).decode(classes)


def test_every_day_gap_lies_within_the_dates_of_its_class():
    bins = ft.prep.Bins([0, 0.5, 7, 30.5, 100])
    gaps = np.arange(101)
    first, last = bins.decode_dates(bins.encode(gaps), "2024-02-20").T
    days = np.datetime64("2024-02-20") + gaps
    assert ((first <= days) & (days <= last)).all()
    assert first[1] == days[1]
    assert last[6] == days[6]


def test_dates_count_from_each_customers_own_day_and_may_have_no_end():
    dates = ft.prep.Bins([0, 10, np.inf]).decode_dates([0, 1], ["2024-01-01", "2024-02-01"])
    assert dates[0].tolist() == [dt.date(2024, 1, 1), dt.date(2024, 1, 10)]
    assert dates[1, 0] == np.datetime64("2024-02-11")
    assert np.isnat(dates[1, 1])


def test_outliers_are_removed_by_the_quartiles_and_counted():
    values = np.array([1.0, 2, 3, 4, 5, 100, np.nan, -50])
    cleaned = ft.prep.remove_outliers(values)
    first, third = np.nanquantile(values, [0.25, 0.75])
    assert (cleaned.low, cleaned.high) == (first - 1.5 * (third - first), third + 1.5 * (third - first))
    assert cleaned.values.tolist() == [1, 2, 3, 4, 5]
    assert cleaned.n_removed == 3
    assert np.array_equal(values[cleaned.kept], cleaned.values)


@pytest.mark.parametrize("values", [[], [np.nan], [[1.0, 2.0]]])
def test_outliers_of_nothing_are_refused(values):
    with pytest.raises(ParameterError, match="at least one number"):
        ft.prep.remove_outliers(values)
