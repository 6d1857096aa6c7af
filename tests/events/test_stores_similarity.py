"""Stores are compared by the distributions of their gaps."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from foretell.errors import ParameterError
from foretell.events.similarity import Similarity, _statistics, compare_gaps, similar_groups

samples = st.lists(st.integers(0, 40), min_size=2, max_size=30)


@given(st.lists(samples, min_size=2, max_size=4))
def test_all_pairs_at_once_have_the_statistics_of_scipy(drawn):
    found = _statistics([np.array(sample) for sample in drawn])
    for i, first in enumerate(drawn):
        for j, second in enumerate(drawn):
            assert np.isclose(found[i, j], scipy.stats.ks_2samp(first, second, method="asymp").statistic)


@given(samples, samples)
def test_the_line_is_the_same_whichever_store_comes_first(first, second):
    there, back = compare_gaps(first, second), compare_gaps(second, first)
    assert np.isclose(there.statistic, back.statistic)
    assert np.isclose(there.slope * back.slope, 1.0)
    assert np.isclose(there.error, back.error, atol=1e-6)


def test_a_stretched_and_moved_distribution_has_that_line_and_no_error():
    gaps = np.random.default_rng(0).gamma(2.0, 10.0, 400)
    found = compare_gaps(gaps, 3.0 * gaps + 7.0)
    assert np.isclose(found.slope, 3.0)
    assert np.isclose(found.intercept, 7.0)
    assert np.isclose(found.error, 0.0, atol=1e-6)
    assert found.p_value < 1e-6


def test_stores_fall_into_the_groups_that_they_were_drawn_from():
    rng = np.random.default_rng(1)
    kinds = [0, 1, 0, 2, 1, 0, 2]
    draw = [
        lambda: rng.gamma(2.0, 3.5, 1_500),
        lambda: rng.gamma(2.0, 10.0, 1_500),
        lambda: rng.normal(30.0, 2.0, 1_500),
    ]
    assert similar_groups([draw[kind]() for kind in kinds]).tolist() == kinds


def test_within_a_group_every_pair_keeps_every_limit():
    rng = np.random.default_rng(2)
    gaps = [rng.gamma(2.0, scale, 800) for scale in np.linspace(8, 16, 9)]
    limits = Similarity(statistic=0.12, slope=1.3, intercept=0.3, error=0.2)
    groups = similar_groups(gaps, limits)
    assert 1 < groups.max() + 1 < 9
    for i in range(9):
        for j in range(9):
            if groups[i] == groups[j]:
                found = compare_gaps(gaps[i], gaps[j])
                assert found.statistic <= limits.statistic
                assert max(found.slope, 1 / found.slope) <= limits.slope
                assert found.error <= limits.error


def test_strict_limits_leave_every_store_alone_and_wide_ones_join_all():
    rng = np.random.default_rng(3)
    gaps = [rng.gamma(2.0, 10.0, 100) for _ in range(5)]
    assert similar_groups(gaps, Similarity(0.0, 1.0, 0.0, 0.0)).tolist() == [0, 1, 2, 3, 4]
    assert similar_groups(gaps, Similarity(1.0, 1e9, 1e9, 2.0)).tolist() == [0] * 5
    assert similar_groups(gaps[:1]).tolist() == [0]


def test_limits_and_samples_that_make_no_sense_are_refused():
    with pytest.raises(ParameterError, match=r"slope=0\.5; expected a number of at least 1"):
        Similarity(slope=0.5)
    with pytest.raises(ParameterError, match=r"samples \[1\] hold fewer than 2 gaps"):
        similar_groups([[1, 2], [3]])
    with pytest.raises(ParameterError, match="second holds 0 gaps"):
        compare_gaps([1, 2], [])
