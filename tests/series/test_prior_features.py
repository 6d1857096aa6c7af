"""What the prior reads has neither level nor unit, and is finite whatever comes."""

from __future__ import annotations

import numpy as np
import pytest

from foretell.series.prior_features import ANCHORS, TOKENS, Seasons, read

RNG = np.random.default_rng(5)
WAVE = 10 + np.tile([0.0, 3, 1, -2], 12) + RNG.normal(0, 0.3, (3, 48))
SEASONS = [Seasons(1), Seasons(4), Seasons(7, 364), Seasons(24, 168)]


@pytest.mark.parametrize("factor", [1e-15, 1e20])
def test_units_leave_what_is_read_and_scale_the_rest(factor):
    one, other = read(WAVE, Seasons(4), 5), read(WAVE * factor, Seasons(4), 5)
    for part in ("tokens", "static", "steps", "anchors"):
        np.testing.assert_allclose(getattr(one, part), getattr(other, part), atol=1e-4)
    np.testing.assert_allclose(one.base * factor, other.base, rtol=1e-6)
    np.testing.assert_allclose(one.scale * factor, other.scale, rtol=1e-6)


@pytest.mark.parametrize("seasons", SEASONS)
@pytest.mark.parametrize("length", [1, 2, 5, 30])
def test_any_history_is_read_as_finite_numbers(seasons, length):
    values = RNG.normal(3, 1, (6, length))
    values[0] = 0.0
    values[1] = 7.0
    values[2, :-1] = np.nan
    values[3] = np.abs(values[3]) * 1e300
    reading = read(values, seasons, 9)
    for part in reading:
        assert np.isfinite(part).all()
    assert reading.tokens.shape[:2] == (6, TOKENS)
    assert reading.anchors.shape == (6, 9, len(ANCHORS))


def test_a_series_is_read_alike_beside_longer_ones():
    short = WAVE[:, -17:]
    padded = np.concatenate([np.full((3, 31), np.nan), short], axis=1)
    alone, beside = read(short, Seasons(4), 4), read(padded, Seasons(4), 4)
    np.testing.assert_allclose(alone.anchors, beside.anchors, atol=1e-3)
    np.testing.assert_allclose(alone.static, beside.static, atol=1e-3)
    np.testing.assert_allclose(alone.tokens, beside.tokens, atol=1e-3)


def test_the_anchors_of_a_clean_season_repeat_it():
    reading = read(np.tile([1.0, 5.0, 2.0, 8.0], (1, 12)), Seasons(4), 8)
    forecasts = reading.base[:, None, None] + reading.scale[:, None, None] * reading.anchors
    for name in ("season ago", "profile", "change", "level"):
        expected = np.tile([1.0, 5.0, 2.0, 8.0], 2)
        np.testing.assert_allclose(forecasts[0, :, ANCHORS.index(name)], expected, atol=0.3)
