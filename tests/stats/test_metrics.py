"""Metrics against their definitions, written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell.stats import metrics

chances = st.lists(st.tuples(st.booleans(), st.sampled_from(np.linspace(0, 1, 7))), min_size=1, max_size=40)


@given(chances)
def test_auc_counts_the_pairs_in_the_right_order(cases):
    positive = [score for truth, score in cases if truth]
    negative = [score for truth, score in cases if not truth]
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    expected = np.mean(pairs) if pairs else np.nan
    np.testing.assert_allclose(metrics.auc(*zip(*cases, strict=True)), expected, atol=1e-12)


@given(chances)
def test_reliability_bins_hold_every_forecast_once_in_equal_numbers(cases):
    happened, probability = (np.array(column, dtype=float) for column in zip(*cases, strict=True))
    table = metrics.reliability(happened, probability)
    assert table.size.sum() == len(cases)
    assert np.ptp(table.size) <= 1
    assert table.size @ table.forecast == pytest.approx(probability.sum())
    assert table.size @ table.observed == pytest.approx(happened.sum())
    assert np.all(np.diff(table.forecast) >= -1e-12)


def test_perfect_probabilities_have_no_calibration_error():
    rng = np.random.default_rng(0)
    probability = rng.random(200_000)
    happened = rng.random(200_000) < probability
    assert metrics.expected_calibration_error(happened, probability) < 0.005
    assert metrics.expected_calibration_error(happened, probability**2) > 0.1


@pytest.mark.parametrize(
    "figure",
    [
        metrics.auc([True, True], [0.1, 0.2]),
        metrics.correlation([1, 1], [1, 2]),
    ],
)
def test_a_figure_that_the_data_cannot_tell_is_nan(figure):
    assert np.isnan(figure)
