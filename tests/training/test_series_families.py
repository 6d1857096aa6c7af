"""Synthetic series: one seed draws the same, every family is finite, every support keeps its bounds."""

from __future__ import annotations

import numpy as np
import pytest
from training import series_families as families

from foretell.series.prior_features import Seasons

KINDS = [Seasons(1), Seasons(4), Seasons(12), Seasons(7, 364), Seasons(24, 168)]


@pytest.mark.parametrize("seasons", KINDS)
def test_series_are_finite_and_the_same_for_a_seed(seasons):
    one, other = (families.draw(np.random.default_rng(1), 40, 70, seasons) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert np.isfinite(one).all()
    assert one.shape == (40, 70)


@pytest.mark.parametrize("family", [*families.LEVELS, *families.ERRORS], ids=lambda family: family.__name__)
def test_a_family_draws_finite_series_of_its_size(family):
    series = family(np.random.default_rng(2), 5, 33)
    assert series.shape == (5, 33)
    assert np.isfinite(series).all()


@pytest.mark.parametrize("family", families.PROFILES, ids=lambda family: family.__name__)
def test_a_season_of_any_length_has_a_profile(family):
    for season in (2, 7, 24):
        assert np.isfinite(family(np.random.default_rng(3), 4, season)).all()


def test_a_season_comes_back_where_nothing_else_happens():
    cycle = families.profile(np.random.default_rng(4), 50, 12)
    series = families.repeated(np.random.default_rng(5), cycle, 48)
    still = np.isclose(series[:, :12], series[:, 36:]).all(axis=1)
    assert 0.4 < still.mean() < 0.9  # the others move slowly


def test_the_first_and_the_last_value_are_never_missing():
    holed = families.missing(np.random.default_rng(6), np.ones((200, 30)))
    assert np.isnan(holed).any()
    assert not np.isnan(holed[:, [0, -1]]).any()
