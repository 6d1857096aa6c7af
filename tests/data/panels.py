"""What tests of panels share."""

import numpy as np

import foretell as ft

ARRAYS = ("offsets", "starts", "values", "ahead_offsets")
COVARIATES = ("past", "future", "static", "ahead")


def assert_same(one, other):
    assert one.ids.to_list() == other.ids.to_list()
    assert one.targets == other.targets
    assert one.grid == other.grid
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    for name in COVARIATES:
        mine, theirs = getattr(one, name), getattr(other, name)
        assert mine.names == theirs.names
        assert mine.categories == theirs.categories, name
        np.testing.assert_array_equal(mine.values, theirs.values, err_msg=name)


def assert_sound(panel):
    """What holds of every panel."""
    assert len(panel.ids) == panel.n_series == len(panel.offsets) - 1 == len(panel.ahead_offsets) - 1
    assert panel.ids.is_sorted()
    assert panel.offsets[0] == panel.ahead_offsets[0] == 0
    assert panel.offsets[-1] == panel.n_rows == len(panel.past) == len(panel.future)
    assert panel.ahead_offsets[-1] == len(panel.ahead)
    assert len(panel.static) == panel.n_series
    assert panel.ahead.names == panel.future.names
    assert panel.ahead.categories == panel.future.categories
    assert (panel.lengths > 0).all()
    for covariates in (panel.past, panel.future, panel.static, panel.ahead):
        assert covariates.values.shape[1] == len(covariates.names)
        for k, name in enumerate(covariates.names):
            if name in covariates.categories:
                codes = covariates.values[:, k]
                assert set(codes[~np.isnan(codes)]) <= set(range(len(covariates.categories[name])))


def small_forecaster(**changed):
    """Return a small network of series; all tests take its shapes: they are compiled once."""
    settings = {
        "horizon": 6,
        "window": ft.WindowConfig(lookback=24, patch=6, season=12),
        "network": ft.NetworkConfig(layers=1, units=16, dense=16),
        "training": ft.TrainConfig(epochs=4, learning_rate=3e-3),
        "ensemble": 1,
        "model": "network",
    }
    return ft.SeriesForecaster(**settings | changed)
