"""Settings: what is not set is the task's to choose, once, and setting one changes that one alone."""

import dataclasses

import pytest

import foretell as ft
from foretell.evaluation.search_space import with_settings
from foretell.nn.settings import EVENTS, SERIES, STORES

TASKS = {"events": EVENTS, "series": SERIES, "stores": STORES}
NETWORK = {
    "cell": "gru",
    "layers": 3,
    "units": 16,
    "dense": (8, 4),
    "dense_activation": "gelu",
    "dropout": 0.3,
    "components": 2,
    "activation": "relu",
    "recurrent_activation": "hard_sigmoid",
    "output_activation": "tanh",
    "recurrent_dropout": 0.2,
    "bidirectional": True,
}
TRAINING = {
    "epochs": 7,
    "batch_size": 16,
    "learning_rate": 0.1,
    "weight_decay": 0.5,
    "clip_norm": 2.0,
    "patience": 3,
    "validation_fraction": 0.4,
    "optimizer": "sgd",
    "max_steps": 9,
    "loss": "huber",
    "refit": False,
}


def differing(one, other):
    names = [field.name for field in dataclasses.fields(one)]
    return {name for name in names if getattr(one, name) != getattr(other, name)}


def test_the_lists_name_every_setting():
    assert set(NETWORK) == {field.name for field in dataclasses.fields(ft.NetworkConfig)}
    assert set(TRAINING) == {field.name for field in dataclasses.fields(ft.TrainConfig)}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", NETWORK)
def test_one_setting_of_a_network_changes_that_one_alone(task, name):
    complete = TASKS[task].complete_network
    changed = complete(ft.NetworkConfig(**{name: NETWORK[name]}))
    assert differing(changed, complete(ft.NetworkConfig())) == {name}
    assert complete(changed) == changed


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", TRAINING)
def test_one_setting_of_training_changes_that_one_alone(task, name):
    complete = TASKS[task].complete_training
    changed = complete(ft.TrainConfig(**{name: TRAINING[name]}))
    assert differing(changed, complete(None)) == {name}


@pytest.mark.parametrize("task", TASKS.values())
def test_a_task_leaves_nothing_unset_that_a_network_needs(task):
    network, training = task.complete_network(ft.NetworkConfig()), task.complete_training(None)
    free = {"activation", "recurrent_activation", "output_activation", "batch_size", "loss"}
    unset = {n for c in (network, training) for n, value in vars(c).items() if value is None}
    assert unset <= free


def test_widths_for_each_layer_say_how_many_layers_there_are():
    assert SERIES.complete_network(ft.NetworkConfig(units=(8, 4, 2))).layers == 3
    assert SERIES.complete_network(ft.NetworkConfig(units=8)).widths == (8, 8)


@pytest.mark.parametrize("model", [ft.EventForecaster(), ft.SeriesForecaster(), ft.StoreForecaster()])
def test_a_search_that_sets_one_knob_leaves_the_others_to_the_task(model):
    changed = with_settings(model, {"network.cell": "gru", "training.epochs": 3})
    assert changed.network == ft.NetworkConfig(cell="gru")
    assert changed.training == ft.TrainConfig(epochs=3)


def test_settings_that_depend_on_each_other_are_set_together():
    model = ft.SeriesForecaster(network=ft.NetworkConfig(units=(4, 4)))
    changed = model.set_params(network__units=(8, 8, 8), network__layers=3)
    assert changed.network.widths == (8, 8, 8)


def test_a_fraction_of_nothing_dropped_is_no_setting_of_a_cell_that_has_none():
    assert ft.NetworkConfig(cell="minlstm", recurrent_dropout=0.0).cell == "minlstm"
    with pytest.raises(ft.errors.ParameterError, match="has no such setting"):
        ft.NetworkConfig(cell="minlstm", recurrent_dropout=0.1)
