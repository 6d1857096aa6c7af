"""Scalers come back to the original values; splits keep what they promise."""

import datetime as dt
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from foretell import prep
from foretell.errors import LeakageWarning, NotFittedError, ParameterError

SCALERS = [prep.MinMaxScaler, prep.StandardScaler, prep.RobustScaler, prep.RelativeScaler]
tables = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=6),
    elements=st.floats(0.5, 1e5),
)


@pytest.mark.parametrize("scaler", SCALERS)
@given(values=tables, axis=st.integers(0, 1))
def test_what_is_scaled_comes_back(scaler, values, axis):
    fitted = scaler(axis=min(axis, values.ndim - 1)).fit(values)
    assert np.allclose(fitted.inverse_transform(fitted.transform(values)), values, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scaler", SCALERS)
def test_new_values_are_scaled_by_what_training_taught(scaler):
    train, new = np.array([10.0, 20, 40, 80]), np.array([160.0, 5])
    fitted = scaler().fit(train)
    location, scale = {
        prep.MinMaxScaler: (10, 70),
        prep.StandardScaler: (train.mean(), train.std()),
        prep.RobustScaler: (30, 50 - 17.5),
        prep.RelativeScaler: (10, 10),
    }[scaler]
    assert np.allclose(fitted.transform(new), (new - location) / scale)
    assert np.allclose(fitted.transform([new, new]), (np.array([new, new]) - location) / scale)


def test_each_column_of_a_table_and_each_window_has_its_own_scale():
    table = np.array([[1.0, 100], [3, 300]])
    assert np.array_equal(prep.MinMaxScaler().fit_transform(table), [[0, 0], [1, 1]])
    assert np.array_equal(prep.MinMaxScaler(axis=1).fit_transform(table), [[0, 1], [0, 1]])


def test_constant_values_are_scaled_to_zero_and_come_back():
    fitted = prep.StandardScaler().fit([0.1] * 7)
    assert np.allclose(fitted.transform([0.1]), 0.0)
    assert np.allclose(fitted.inverse_transform([0.0]), 0.1)


def test_missing_values_teach_nothing_and_stay_missing():
    fitted = prep.MinMaxScaler().fit([np.nan, 1, 3])
    assert np.array_equal(fitted.transform([np.nan, 2]), [np.nan, 0.5], equal_nan=True)
    assert prep.RelativeScaler().fit([np.nan, 4.0]).transform([5.0]) == 0.25


def test_a_scaler_asked_too_early_says_so():
    with pytest.raises(NotFittedError, match="MinMaxScaler is not fitted yet; call fit"):
        prep.MinMaxScaler().transform([1])


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: prep.RelativeScaler().fit([0, 1]), "1 first value is 0"),
        (lambda: prep.MinMaxScaler().fit([]), r"shape \(0,\); expected at least one value"),
        (lambda: prep.MinMaxScaler(axis=1).fit([1.0]), "along axis 1"),
        (lambda: prep.MinMaxScaler().fit([[1, np.nan], [2, np.nan]]), "nothing but NaN"),
        (
            lambda: prep.MinMaxScaler(axis=1).fit([[1, 2], [3, 4]]).transform([1, 2]),
            r"expected \(2, any\)",
        ),
    ],
)
def test_what_cannot_be_scaled_is_refused(act, message):
    with pytest.raises(ParameterError, match=message):
        act()


@given(st.lists(st.integers(0, 4), min_size=2, max_size=30), st.floats(0.01, 0.99), st.integers(0, 3))
def test_random_splits_are_disjoint_complete_and_part_no_customer(customers, share, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeakageWarning)
        train, test, left_out = prep.split_random(customers, share=share, seed=seed)
    assert sorted([*train, *test]) == list(range(len(customers)))
    assert len(train)
    assert len(test)
    assert not len(left_out)
    if len(set(customers)) > 1:
        whose = np.array(customers)
        assert not set(whose[train]) & set(whose[test])


def test_windows_of_one_customer_are_split_four_to_one_with_a_warning():
    with pytest.warns(LeakageWarning, match=r"all 100 windows are of one customer.*split_by_time"):
        train, test, _ = prep.split_random(np.zeros(100))
    assert (len(train), len(test)) == (80, 20)


def test_the_same_seed_splits_the_same_way():
    customers = np.arange(50)
    assert np.array_equal(prep.split_random(customers).test, prep.split_random(customers).test)
    assert not np.array_equal(prep.split_random(customers).test, prep.split_random(customers, seed=1).test)


@given(
    hnp.arrays(np.int64, st.tuples(st.integers(2, 20), st.integers(1, 3)), elements=st.integers(0, 30)),
    st.one_of(st.none(), st.integers(0, 30)),
)
def test_splits_by_time_are_disjoint_complete_and_keep_their_order(times, cutoff):
    times[0], times[-1] = 0, 31  # something on either side
    train, test, left_out = prep.split_by_time(times, cutoff=cutoff, share=0.3)
    assert sorted([*train, *test, *left_out]) == list(range(len(times)))
    assert times[train].max() < times[test].min()


def test_a_split_by_time_may_name_its_day():
    days = np.array(["2024-01-03", "2024-01-01", "2024-01-02"], dtype="datetime64[D]")
    assert [part.tolist() for part in prep.split_by_time(days, cutoff="2024-01-01")] == [[1], [0, 2], []]
    with pytest.raises(ParameterError, match="cutoff=2024-01-03 leaves 3 windows to train on and 0 to test"):
        prep.split_by_time(days, cutoff="2024-01-03")


def test_times_may_be_dates_of_python_or_text():
    days = ["2024-01-01", "2024-01-02", "2024-01-03"]
    for times in (days, [dt.date.fromisoformat(day) for day in days]):
        assert prep.split_by_time(times, cutoff="2024-01-02").test.tolist() == [2]
    with pytest.raises(ParameterError, match=r"cutoff='later' cannot be read.*expected int64"):
        prep.split_by_time([1, 2, 3], cutoff="later")


def test_windows_that_reach_over_the_cutoff_are_left_out():
    times = prep.make_windows(np.arange(10), 3, ahead=2).targets
    train, test, left_out = prep.split_by_time(times, cutoff=6)
    assert times[train].max() == 6
    assert times[test].min() == 7
    assert times[left_out].tolist() == [[6, 7]]


def test_shares_and_sizes_that_cannot_be_split_are_refused():
    with pytest.raises(ParameterError, match=r"share=1\.0; expected a number greater than 0 and below 1"):
        prep.split_random([1, 2], share=1.0)
    with pytest.raises(ParameterError, match="there are 1 windows"):
        prep.split_random([1])
