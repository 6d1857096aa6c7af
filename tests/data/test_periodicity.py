"""The season of a panel is found in its values."""

import numpy as np
import pytest

import foretell as ft
from foretell.data.periodicity import find_season


@pytest.mark.parametrize("season", [3, 5, 9, 17])
def test_steps_that_are_bare_numbers_may_have_a_season_of_any_length(season):
    rng = np.random.default_rng(0)
    shape = rng.normal(size=season)
    series = [np.tile(shape, 8) + 0.1 * rng.normal(size=8 * season) for _ in range(5)]
    assert find_season(ft.Panel.from_arrays(series)) == season


@pytest.mark.parametrize("n", [9, 20, 60, 200])
def test_noise_and_random_walks_have_no_season(n):
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(20, n))
    assert find_season(ft.Panel.from_arrays(list(noise))) == 1
    assert find_season(ft.Panel.from_arrays(list(noise.cumsum(axis=1)))) == 1


def test_a_backtest_finds_the_season_of_whole_numbers_as_the_forecaster_does():
    panel = ft.Panel.from_arrays({"a": [1, 5, 2] * 8, "b": [3, 9, 1] * 8})
    compared = ft.backtest(panel, ["naive", "seasonal naive"], horizon=3, cutoffs=2)
    assert compared.folds.summary()["season"] == 3
    assert compared.table()["model"][0] == "seasonal naive"
