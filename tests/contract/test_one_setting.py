"""Setting one thing changes that one alone: of what a forecaster is built with, not only of its arguments."""

from __future__ import annotations

import dataclasses

import pytest
from tests.contract.cases import panel_of, training_data

import foretell as ft
from foretell.errors import SmallDataWarning

# With too little data the networks are built and not trained: what they are built from can be read.
FEW = {
    "events": lambda: training_data("events").take(range(20)),
    "series": lambda: panel_of({"a": range(30)}),
}
MAKERS = {"events": ft.EventForecaster, "series": ft.SeriesForecaster}


def built_with(kind, **params):
    with pytest.warns(SmallDataWarning):
        model = MAKERS[kind](model="auto", **params).fit(FEW[kind]())
    return model, dataclasses.asdict(model.model_.network.config)


@pytest.fixture(scope="module", params=MAKERS)
def default(request):
    return request.param, *built_with(request.param)


# All of them, one by one, are held against the defaults in tests/nn/test_settings.py.
@pytest.mark.parametrize(("name", "value"), [("cell", "gru"), ("dropout", 0.25)])
def test_one_setting_of_the_network_leaves_the_others_as_the_task_has_them(default, name, value):
    kind, _, expected = default
    _, config = built_with(kind, network=ft.NetworkConfig(**{name: value}))
    assert expected[name] != value
    assert config == expected | {name: value}


@pytest.mark.parametrize(("name", "value"), [("epochs", 3), ("patience", 99), ("learning_rate", 0.5)])
def test_one_setting_of_training_leaves_the_others_as_the_task_has_them(default, name, value):
    kind, model, _ = default
    plain, changed = (
        MAKERS[kind].defaults.complete_training(training)
        for training in (model.training, ft.TrainConfig(**{name: value}))
    )
    assert dataclasses.asdict(changed) == dataclasses.asdict(plain) | {name: value}


def test_the_summary_shows_what_was_resolved(default):
    _, model, expected = default
    shown = model.summary()
    assert "NetworkConfig(" in shown
    assert f"units={expected['units']}" in shown
    assert f"epochs={type(model).defaults.training.epochs}" in shown
