"""Learning rate, weight decay, dropout and length of training are inputs of compiled steps."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import foretell as ft
from foretell.events.heads.mixture import GapNetwork
from foretell.nn.backend import keras
from foretell.nn.layers import make_dropout
from foretell.nn.optimizer import Hyperparameters, Optimizer, dropping, program_of

RATE, DECAY, STEPS = 0.03, 0.1, 7


def keras_itself(name: str) -> Any:
    """Return Keras' own optimizer with a schedule and weight decay: the oracle."""
    schedule = keras.optimizers.schedules.CosineDecay(RATE, STEPS)
    spec = {"learning_rate": schedule, "global_clipnorm": 1.0}
    if name == "adamw":
        spec["weight_decay"] = DECAY
    optimizer = keras.optimizers.get({"class_name": name, "config": spec})
    if name == "adamw":
        optimizer.exclude_from_weight_decay(var_names=["undecayed"])
    return optimizer


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "rmsprop"])
def test_steps_are_those_of_keras_with_a_schedule_and_decay(name: str) -> None:
    variables = [keras.Variable(np.zeros(3), name=part) for part in ("decayed", "undecayed")]
    config = ft.TrainConfig(optimizer=name, learning_rate=RATE, weight_decay=DECAY, epochs=STEPS)
    ours, theirs = Optimizer(config, variables, ["undecayed"]), keras_itself(name)
    theirs.build(variables)
    weights = [[jnp.array([1.0, -2.0, 3.0]), jnp.array([0.5, 0.0, -1.0])] for _ in range(2)]
    slots = [[jnp.array(slot) for slot in ours.slots], [jnp.array(v.value) for v in theirs.variables]]
    rng = np.random.default_rng(0)
    for _ in range(STEPS):
        gradients = [jnp.asarray(rng.normal(size=3), jnp.float32) for _ in range(2)]
        rates = Hyperparameters.of(config, 0.0, 1)
        weights[0], slots[0] = ours.step(rates, slots[0], gradients, weights[0])
        weights[1], slots[1] = theirs.stateless_apply(slots[1], gradients, weights[1])
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_the_dropped_fraction_is_an_input_of_one_program() -> None:
    layer = make_dropout(0.5, 0, "dropout")
    model = keras.Sequential([keras.Input((20_000,)), layer])
    state = [jax.random.key_data(jax.random.key(3)).astype(jnp.uint32)]
    compiled = 0

    @jax.jit
    def dropped(rate: Any) -> Any:
        nonlocal compiled
        compiled += 1
        with dropping(rate):
            return model.stateless_call([], state, jnp.ones((1, 20_000)), training=True)[0]

    for rate in (0.0, 0.1, 0.7):
        found = np.asarray(dropped(rate))
        assert np.mean(found == 0.0) == pytest.approx(rate, abs=0.02)
        assert found.mean() == pytest.approx(1.0, abs=0.05)
    assert compiled == 1
    assert "foretell" not in model.to_json()  # Keras alone can read it


def test_settings_that_are_inputs_do_not_tell_programs_apart() -> None:
    one = ft.TrainConfig(learning_rate=0.1, weight_decay=0.0, epochs=3, patience=2)
    assert program_of(one) == program_of(ft.TrainConfig())
    assert program_of(ft.TrainConfig(batch_size=7)) != program_of(one)
    drops, more, none = (ft.NetworkConfig(dropout=rate).program for rate in (0.1, 0.4, 0.0))
    assert drops == more != none
    networks = [GapNetwork(ft.NetworkConfig(units=2, dense=2, dropout=rate), 3) for rate in (0.1, 0.4, 0.0)]
    assert networks[0] == networks[1] != networks[2]


def test_joined_weights_take_the_same_steps() -> None:
    rng = np.random.default_rng(0)
    shapes, names = [(2, 3), (4,), (), (3, 1)], ["a", "left", "b", "left too"]
    variables = [
        keras.Variable(np.zeros(shape), name=name) for shape, name in zip(shapes, names, strict=True)
    ]
    config = ft.TrainConfig(learning_rate=RATE, weight_decay=DECAY, epochs=STEPS)
    weights, gradients = ([rng.normal(size=s).astype(np.float32) for s in shapes] for _ in range(2))
    after = []
    for joined in (True, False):
        optimizer = Optimizer(config, variables, ["left", "left too"], joined=joined)
        rates = Hyperparameters.of(config, 0.0, 1)
        packed, slots = optimizer.pack(weights), optimizer.slots
        for _ in range(3):
            packed, slots = optimizer.step(rates, slots, optimizer.pack(gradients), packed)
        after.append(optimizer.unpack(packed))
    for one, other, before in zip(*after, weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
        assert one.shape == before.shape
