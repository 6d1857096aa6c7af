"""Estimators: arguments by name, nested ones, rules declared once, what scikit-learn asks."""

import numpy as np
import pytest

import foretell as ft
from foretell.errors import ParameterError


def test_a_field_of_a_configuration_is_set_by_its_nested_name_and_the_configuration_replaced():
    training = ft.TrainConfig(patience=3)
    model = ft.EventForecaster(training=training).set_params(training__epochs=5, seed=4)
    assert (model.training.epochs, model.training.patience, model.seed) == (5, 3, 4)
    assert training.epochs != 5
    assert ft.SeriesForecaster().set_params(window__season=7).window == ft.WindowConfig(season=7)


@pytest.mark.parametrize("name", ["training__epoch", "seed__x"])
def test_an_unknown_nested_name_is_refused(name):
    with pytest.raises(ParameterError, match="has no field"):
        ft.EventForecaster().set_params(**{name: 1})


def test_an_estimator_says_whether_it_is_fitted_and_shows_itself_in_a_notebook():
    model = ft.EventForecaster()
    assert not model.__sklearn_is_fitted__()
    model.log_ = None
    assert model.__sklearn_is_fitted__()
    assert "EventForecaster" in model._repr_html_()


@pytest.mark.parametrize("config", [ft.TrainConfig, ft.SearchConfig, ft.WindowConfig])
@pytest.mark.parametrize("value", [True, 1.5, "3", 0])
def test_whole_numbers_of_configurations_are_checked_by_one_rule(config, value):
    name = {"TrainConfig": "epochs", "SearchConfig": "trials", "WindowConfig": "lookback"}[config.__name__]
    with pytest.raises(ParameterError, match=f"{name}={value!r}; expected a whole number of at least 1"):
        config(**{name: value})
    assert type(getattr(config(**{name: np.int64(2)}), name)) is int


@pytest.mark.parametrize("settings", [{"clip_norm": 0}, {"weight_decay": -1.0}, {"learning_rate": np.nan}])
def test_numbers_of_training_are_checked(settings):
    with pytest.raises(ParameterError, match="expected a number"):
        ft.TrainConfig(**settings)
