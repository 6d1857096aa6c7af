"""Exponential smoothing of many series at once agrees with its recursions, written out for one."""

from __future__ import annotations

import numpy as np
import pytest

from foretell.series import smoothing
from foretell.series.smoothing import FAMILIES, smooth

RNG = np.random.default_rng(4)


def smoothed_alone(values, seasons, constants, start, h):
    """Return forecasts of one series by one set of constants: the slow, plain recursion."""
    alpha, beta, phi, gamma = (float(each) for each in constants)
    level, trend, tables = start[0], start[1], [list(table) for table in start[2]]
    for t, value in enumerate(values):
        expected = level + phi * trend
        error = value - expected - sum(table[t % len(table)] for table in tables)
        error = 0.0 if np.isnan(error) else error
        level, trend = expected + alpha * error, phi * trend + alpha * beta * error
        for table in tables:
            table[t % len(table)] += gamma * error
    ahead, forecasts = 0.0, []
    for k in range(h):
        ahead += phi ** (k + 1)
        place = len(values) + k
        forecasts.append(level + ahead * trend + sum(table[place % len(table)] for table in tables))
    return forecasts


@pytest.mark.parametrize("seasons", [(), (4,), (4, 12)])
def test_a_family_of_one_is_its_recursion(seasons):
    values = RNG.normal(size=(3, 40)).astype(np.float32)
    known = RNG.random((3, 40)) > 0.1
    known[:, 0] = True
    start = smoothing._start(values, known, known.argmax(axis=1), seasons)
    ours = smooth(values, known, seasons, 6).forecasts[:, FAMILIES.index("mean")]
    for i in range(3):
        own = (start[0][i, 0], start[1][i, 0], [table[:, i, 0] for table in start[2]])
        alone = smoothed_alone(
            np.where(known[i], values[i], np.nan), seasons, smoothing._CONSTANTS[0], own, 6
        )
        np.testing.assert_allclose(ours[i], alone, atol=1e-5)


def test_a_straight_line_and_a_season_go_on():
    steps = np.arange(60)
    truth = (0.1 * np.arange(66) + np.tile([0, 1, 3, -1], 17)[:66]).astype(np.float32)
    smoothed = smooth(truth[None, :60], steps[None] >= 0, (4,), 6)
    trend = smoothed.forecasts[0, FAMILIES.index("trend")]
    np.testing.assert_allclose(trend, truth[60:], atol=0.1)


def test_what_is_held_out_does_not_change_what_is_said_of_it():
    values = RNG.normal(size=(2, 30)).astype(np.float32).cumsum(axis=1)
    known = np.ones((2, 30), bool)
    other = values.copy()
    other[:, -5:] += 100.0
    whole, changed = (smooth(each, known, (), 3, (5,)) for each in (values, other))
    np.testing.assert_array_equal(whole.earlier[0], changed.earlier[0])
    before = smooth(values[:, :-5], known[:, :-5], (), 5)
    np.testing.assert_allclose(whole.earlier[0], before.forecasts, atol=1e-5)


def test_steps_before_the_first_value_are_as_if_they_were_not_there():
    values = RNG.normal(size=(1, 20)).astype(np.float32)
    padded = np.concatenate([np.zeros((1, 8), np.float32), values], axis=1)
    known = np.arange(28)[None] >= 8
    alone = smooth(values, np.ones((1, 20), bool), (4,), 4).forecasts
    np.testing.assert_allclose(smooth(padded, known, (4,), 4).forecasts, alone, atol=1e-4)
